/** A containerd with root, state and socket of its own, for the rows that start containers through it. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** ms until it answers, and that one command may take. */
const START_TIMEOUT = 20_000;
const COMMAND_TIMEOUT = 60_000;

export class BenchContainerd {
  readonly folder: string;
  private readonly daemon: ChildProcess;
  private serial = 0;

  private constructor(folder: string, daemon: ChildProcess) {
    this.folder = folder;
    this.daemon = daemon;
  }

  /** `bin`: where our shim is found. @throws Error if there is no containerd, or it does not start. */
  static async start(folder: string, bin: string): Promise<BenchContainerd> {
    if (!existsSync('/usr/bin/containerd')) throw new Error('containerd is not installed');
    mkdirSync(folder, { recursive: true });
    const config = join(folder, 'config.toml');
    writeFileSync(
      config,
      `version = 2\nroot = "${folder}/root"\nstate = "${folder}/state"\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n` +
        `[grpc]\n  address = "${folder}/containerd.sock"\n`,
    );
    const log = openSync(join(folder, 'log'), 'a');
    const env = { ...process.env, PATH: `${bin}:${process.env.PATH}` };
    const self = new BenchContainerd(folder, spawn('/usr/bin/containerd', ['-c', config], { env, stdio: ['ignore', log, log] }));
    for (const end = Date.now() + START_TIMEOUT; self.ctr(['version']).status !== 0; ) {
      if (Date.now() > end) {
        await self.stop();
        throw new Error('containerd does not answer');
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    return self;
  }

  private ctr(args: readonly string[]): { status: number | null; stderr: string } {
    return spawnSync('/usr/bin/ctr', ['-a', join(this.folder, 'containerd.sock'), ...args], {
      encoding: 'utf8',
      timeout: COMMAND_TIMEOUT,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  }

  /** `ctr run --rm` of one program in an unpacked root file system; ms. `platform`: of our shim, null for runc's. */
  run(platform: string | null, rootfs: string, argv: readonly string[]): number {
    const runtime = platform === null ? ['--runtime', 'io.containerd.runc.v2'] : this.ours(platform);
    const id = `bench-${process.pid}-${this.serial++}`;
    const start = process.hrtime.bigint();
    const r = this.ctr(['run', '--rm', ...runtime, '--rootfs', rootfs, id, ...argv]);
    const ms = Number(process.hrtime.bigint() - start) / 1e6;
    if (r.status === 0) return ms;
    this.ctr(['tasks', 'rm', '-f', id]);
    this.ctr(['containers', 'rm', id]);
    throw new Error(`ctr run: status ${r.status}: ${r.stderr.trim().slice(-200)}`);
  }

  private ours(platform: string): string[] {
    const settings = join(this.folder, `${platform}.toml`);
    if (!existsSync(settings)) writeFileSync(settings, `[runsc_config]\nplatform = "${platform}"\nnetwork = "none"\n`);
    return ['--runtime', 'io.containerd.runsc.v1', '--runtime-config-path', settings];
  }

  async stop(): Promise<void> {
    if (this.daemon.exitCode === null) {
      const gone = new Promise((resolve) => this.daemon.once('exit', resolve));
      this.daemon.kill('SIGTERM');
      await gone;
    }
    for (const line of readFileSync('/proc/mounts', 'utf8').split('\n').reverse()) {
      const point = line.split(' ')[1];
      if (point?.startsWith(`${this.folder}/`)) spawnSync('umount', ['-l', point]);
    }
  }
}
