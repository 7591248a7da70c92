/** A Docker daemon of the suite's own: folders, socket, cgroup, and a network namespace, so that its bridge and rules are nobody else's. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually, IMAGES, missing as missingContainerd, processesWith, sleep } from '../containerd/containerd.ts';
import { CHECKOUT } from '../containerd/versions.ts';

/** ms until the daemon answers. */
const START_TIMEOUT = 60_000;
/** ms that one command may take unless the test says otherwise. */
const TIMEOUT = 60_000;
const PATH = `${process.env.PATH}:/usr/sbin:/sbin`;

export function missing(): string[] {
  const out = missingContainerd();
  for (const program of ['dockerd', 'docker', 'iptables', 'unshare', 'nsenter'])
    if (spawnSync('sh', ['-c', `command -v ${program}`], { env: { PATH } }).status !== 0) out.push(program);
  return out;
}

export interface Result {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export class Docker {
  readonly folder: string;
  #daemon: ChildProcess | null = null;

  private constructor(folder: string) {
    this.folder = folder;
  }

  /** `settings`: more of daemon.json. */
  static async start(images: readonly string[], settings: object = {}): Promise<Docker> {
    const docker = new Docker(mkdtempSync(join(tmpdir(), 'tsvisor-docker-')));
    const { folder } = docker;
    mkdirSync(join(folder, 'client'));
    writeFileSync(
      join(folder, 'daemon.json'),
      JSON.stringify({
        'data-root': join(folder, 'data'),
        'exec-root': join(folder, 'exec'),
        pidfile: join(folder, 'pid'),
        hosts: [docker.host],
        'cgroup-parent': docker.cgroup,
        'storage-driver': 'overlay2',
        bip: '10.218.0.1/24',
        'live-restore': true,
        ...settings,
      }),
    );
    const install = ['install', '--docker-config', join(folder, 'daemon.json'), '--default'];
    const r = spawnSync(join(CHECKOUT, 'bin/runsc'), install, { encoding: 'utf8' });
    if (r.status !== 0) throw new Error(`runsc install: ${r.stderr}`);
    await docker.launch();
    for (const image of images) docker.must(['load', '-i', join(IMAGES, image)]);
    return docker;
  }

  get host(): string {
    return `unix://${this.folder}/docker.sock`;
  }
  get cgroup(): string {
    return `/tsvisor-docker-${process.pid}`;
  }
  get log(): string {
    return readFileSync(join(this.folder, 'log'), 'utf8');
  }
  get pid(): number {
    return Number(readFileSync(join(this.folder, 'pid'), 'utf8'));
  }

  /** Starts the daemon, also again after `halt`, in the same network namespace. */
  async launch(): Promise<void> {
    const log = openSync(join(this.folder, 'log'), 'a');
    const holder = join(this.folder, 'netns');
    const daemon = ['dockerd', '--config-file', join(this.folder, 'daemon.json')];
    const first = `touch ${holder} && mount --bind /proc/self/ns/net ${holder} && ip link set lo up && exec ${daemon.join(' ')}`;
    const command = existsSync(holder) ? ['nsenter', `--net=${holder}`, ...daemon] : ['unshare', '--net', 'sh', '-c', first];
    this.#daemon = spawn(command[0] as string, command.slice(1), { env: { ...process.env, PATH }, stdio: ['ignore', log, log] });
    const answers = (): boolean => this.run(['version'], { timeoutMs: 5000 }).status === 0;
    if (!(await eventually(answers, START_TIMEOUT))) throw new Error(`dockerd does not answer:\n${this.log.slice(-3000)}`);
  }

  async halt(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    const daemon = this.#daemon;
    this.#daemon = null;
    if (daemon === null || daemon.exitCode !== null) return;
    const gone = new Promise((r) => daemon.once('exit', r));
    const containerd = readFileSync(join(this.folder, 'exec/containerd/containerd.pid'), 'utf8').trim();
    daemon.kill(signal);
    await gone;
    // Its containerd goes a moment later: a daemon that comes in between takes it for one to use.
    await eventually(() => !existsSync(`/proc/${containerd}`));
  }

  async stop(): Promise<void> {
    const ids = this.run(['ps', '-aq']).stdout.split('\n').filter(Boolean);
    if (ids.length > 0) this.run(['rm', '-f', ...ids]);
    await this.halt();
    // What a daemon that did not come up again has left.
    for (const pid of processesWith(this.folder).filter((p) => p !== process.pid)) process.kill(pid, 'SIGKILL');
    for (let i = 0; i < 3; i++) {
      for (const line of readFileSync('/proc/mounts', 'utf8').split('\n').reverse()) {
        const point = line.split(' ')[1];
        if (point?.startsWith(`${this.folder}/`)) spawnSync('umount', ['-l', point]);
      }
      await sleep(50);
    }
    for (const controller of readdirSync('/sys/fs/cgroup')) spawnSync('rmdir', [join('/sys/fs/cgroup', controller, this.cgroup)]);
    rmSync(this.folder, { recursive: true, force: true });
  }

  command(args: readonly string[]): [string, string[]] {
    return ['docker', ['--config', join(this.folder, 'client'), '-H', this.host, ...args]];
  }

  run(args: readonly string[], options: { input?: string | Buffer; timeoutMs?: number } = {}): Result {
    const [program, words] = this.command(args);
    const r = spawnSync(program, words, {
      env: { ...process.env, PATH, DOCKER_BUILDKIT: '0' },
      input: options.input ?? '',
      timeout: options.timeoutMs ?? TIMEOUT,
      killSignal: 'SIGKILL',
      maxBuffer: 64 << 20,
      encoding: 'utf8',
    });
    return { status: r.error === undefined ? r.status : null, stdout: r.stdout ?? '', stderr: r.stderr ?? '' };
  }

  /** Its output, without the last line's end. @throws Error with what it said */
  must(args: readonly string[], options: { input?: string; timeoutMs?: number } = {}): string {
    const r = this.run(args, options);
    if (r.status !== 0) throw new Error(`docker ${args.join(' ')}: status ${r.status}\n${r.stderr}${r.stdout}`);
    return r.stdout.replace(/\n$/, '');
  }

  spawn(args: readonly string[]): ChildProcess {
    const [program, words] = this.command(args);
    return spawn(program, words, { env: { ...process.env, PATH }, stdio: ['pipe', 'pipe', 'pipe'] });
  }

  /** A command of this machine in the daemon's network: what is "outside" for a container. */
  outside(command: readonly string[], input = ''): Result {
    const r = spawnSync('nsenter', [`--net=${join(this.folder, 'netns')}`, ...command], { encoding: 'utf8', input, timeout: TIMEOUT });
    return { status: r.status, stdout: r.stdout, stderr: r.stderr };
  }

  inspect(name: string, format: string): string {
    return this.must(['inspect', '-f', format, name]);
  }
}
