/** A containerd of the suite's own: root, state, socket and configuration in a temporary folder. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CACHE, CHECKOUT, type CriSettings, configText, pathFor, type Version } from './versions.ts';

export const IMAGES = join(CACHE, 'images');
export const GUEST_SCRIPTS = join(__dirname, 'guest');

export const RUNC = 'io.containerd.runc.v2';
/** The runtime under test; runc itself here shows what differs by nature. */
export const RUNSC = process.env.TSVISOR_TEST_RUNTIME ?? 'io.containerd.runsc.v1';
export const BUSYBOX = 'docker.io/library/busybox:test';
export const DEBIAN = 'docker.io/library/debian:test';

/** ms until containerd answers. */
const START_TIMEOUT = 20_000;
/** ms that one ctr command may take unless the test says otherwise. */
const CTR_TIMEOUT = 60_000;
/** s */
const INPUT_DELAY = 1.5;

/** The platform that all sandboxes run on; undefined: what the runtime chooses. */
const PLATFORM = process.env.TSVISOR_TEST_PLATFORMS?.split(',')[0];
const TABLE = '[runsc_config]';

/** runsc.toml with the platform in it, unless the text says another. */
function withPlatform(text: string): string {
  if (PLATFORM === undefined || /^platform\s*=/m.test(text)) return text;
  const row = `platform = "${PLATFORM}"`;
  return text.includes(TABLE) ? text.replace(TABLE, `${TABLE}\n${row}`) : `${text}\n${TABLE}\n${row}\n`;
}

/** containerd 2 gives a shim that makes pods itself no options: those stay on the platform that it chooses. */
function platformSettings({ runsc = null, sandboxer }: CriSettings): string | null {
  return PLATFORM === undefined || sandboxer === 'shim' ? runsc : withPlatform(runsc ?? '');
}

/** What this machine lacks for these suites; empty: nothing. */
export function missing(): string[] {
  const out: string[] = [];
  if (process.getuid?.() !== 0) out.push('root');
  for (const program of ['containerd', 'ctr', 'runc']) {
    if (spawnSync('sh', ['-c', `command -v ${program}`]).status !== 0) out.push(program);
  }
  for (const image of ['busybox.tar', 'debian.tar']) if (!existsSync(join(IMAGES, image))) out.push(`the image ${image}`);
  if (!existsSync(join(CHECKOUT, 'dist/containerd-shim-runsc-v1.cjs'))) out.push('a build (npm run build)');
  return out;
}

export interface Result {
  /** Exit status; null if it did not end in time. */
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly input?: string;
  readonly timeoutMs?: number;
  /** ctrAsync: the test reads the output itself. */
  readonly quiet?: boolean;
}

export interface StartOptions {
  readonly version?: Version;
  readonly cri?: CriSettings;
}

export class Containerd {
  readonly folder: string;
  readonly version: Version;
  #process: ChildProcess | null = null;
  #nextId = 1;

  private constructor(folder: string, version: Version) {
    this.folder = folder;
    this.version = version;
  }

  static async start(images: readonly string[] = ['busybox.tar', 'debian.tar'], options: StartOptions = {}): Promise<Containerd> {
    const { version = 'system' } = options;
    const cri = options.cri === undefined ? null : { ...options.cri, runsc: platformSettings(options.cri) };
    const folder = mkdtempSync(join(tmpdir(), 'tsvisor-containerd-'));
    const containerd = new Containerd(folder, version);
    mkdirSync(join(folder, 'root'));
    mkdirSync(join(folder, 'cni'));
    if ((cri?.runsc ?? null) !== null) writeFileSync(join(folder, 'runsc.toml'), cri?.runsc as string);
    if (PLATFORM !== undefined) writeFileSync(containerd.platformFile, withPlatform(''));
    writeFileSync(join(folder, 'config.toml'), configText(version, { folder, address: containerd.address, cri }));
    await containerd.launch();
    const namespace = cri === null ? [] : ['-n', 'k8s.io'];
    for (const image of images) {
      const r = containerd.ctr([...namespace, 'images', 'import', join(IMAGES, image)], { timeoutMs: 300_000 });
      if (r.status !== 0) throw new Error(`import of ${image}: ${r.stderr}`);
    }
    return containerd;
  }

  /** Options of the runtime for sandboxes that have none of their own. */
  private get platformFile(): string {
    return join(this.folder, 'platform.toml');
  }
  /** `ctr run` on the platform that the suites are told. */
  private onPlatform(args: readonly string[]): readonly string[] {
    const at = args.indexOf(RUNSC);
    if (PLATFORM === undefined || at < 1 || args[at - 1] !== '--runtime' || args.includes('--runtime-config-path')) return args;
    return [...args.slice(0, at + 1), '--runtime-config-path', this.platformFile, ...args.slice(at + 1)];
  }

  get address(): string {
    return join(this.folder, 'containerd.sock');
  }

  get env(): NodeJS.ProcessEnv {
    return { ...process.env, PATH: pathFor(this.version) };
  }

  get log(): string {
    return readFileSync(join(this.folder, 'log'), 'utf8');
  }

  /** Starts the daemon, also again after `halt`. */
  async launch(): Promise<void> {
    const log = openSync(join(this.folder, 'log'), 'a');
    this.#process = spawn('containerd', ['-c', join(this.folder, 'config.toml')], { env: this.env, stdio: ['ignore', log, log] });
    for (const end = Date.now() + START_TIMEOUT; ; ) {
      if (this.ctr(['version'], { timeoutMs: 5000 }).status === 0) return;
      if (Date.now() > end) throw new Error(`containerd does not answer:\n${this.log.slice(-2000)}`);
      await sleep(50);
    }
  }

  /** Ends the daemon; containers and shims live on. */
  async halt(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    const daemon = this.#process;
    this.#process = null;
    if (daemon === null || daemon.exitCode !== null) return;
    const gone = new Promise((r) => daemon.once('exit', r));
    daemon.kill(signal);
    await gone;
  }

  /** Removes every container, the daemon and the folder. */
  async stop(): Promise<void> {
    const containers = this.ctr(['containers', 'ls', '-q']).stdout.split('\n').filter(Boolean);
    for (const id of containers) this.remove(id);
    await this.halt();
    for (const line of readFileSync('/proc/mounts', 'utf8').split('\n').reverse()) {
      const point = line.split(' ')[1];
      if (point?.startsWith(`${this.folder}/`)) spawnSync('umount', ['-l', point]);
    }
    rmSync(this.folder, { recursive: true, force: true });
  }

  remove(id: string): void {
    this.ctr(['tasks', 'kill', '-s', 'SIGKILL', '-a', id], { timeoutMs: 10_000 });
    this.ctr(['tasks', 'rm', '-f', id], { timeoutMs: 10_000 });
    this.ctr(['containers', 'rm', id], { timeoutMs: 10_000 });
  }

  /** Input comes a little late: this ctr says CloseIO only at an end that it meets after it has made the task. */
  ctr(args: readonly string[], options: RunOptions = {}): Result {
    const command = ['ctr', '-a', this.address, ...this.onPlatform(args)];
    const late = ['sh', '-c', `{ sleep ${INPUT_DELAY}; cat; } | exec "$@"`, 'sh', ...command];
    const [program, ...rest] = options.input === undefined ? command : late;
    const r = spawnSync(program as string, rest, {
      env: this.env,
      input: options.input ?? '',
      timeout: options.timeoutMs ?? CTR_TIMEOUT,
      killSignal: 'SIGKILL',
      maxBuffer: 64 << 20,
      encoding: 'utf8',
    });
    return { status: r.error === undefined ? r.status : null, stdout: r.stdout ?? '', stderr: r.stderr ?? '' };
  }

  /** Like `ctr`, while the test does something else. */
  ctrAsync(args: readonly string[], options: RunOptions = {}): { child: ChildProcess; result: Promise<Result> } {
    const child = spawn('ctr', ['-a', this.address, ...this.onPlatform(args)], { env: this.env, stdio: ['pipe', 'pipe', 'pipe'] });
    if (options.input !== undefined) child.stdin.end(options.input);
    let stdout = '';
    let stderr = '';
    if (options.quiet !== true) child.stdout.on('data', (chunk) => (stdout += chunk));
    child.stderr.on('data', (chunk) => (stderr += chunk));
    const timer = setTimeout(() => child.kill('SIGKILL'), options.timeoutMs ?? CTR_TIMEOUT);
    const result = new Promise<Result>((r) =>
      child.once('close', (status) => {
        clearTimeout(timer);
        r({ status, stdout, stderr });
      }),
    );
    return { child, result };
  }

  newId(prefix = 't'): string {
    return `${prefix}${process.pid}-${this.#nextId++}`;
  }

  /** `ctr run --rm`: one command in a new container, with the suite's scripts at /suite. A container that hangs is removed. */
  run(runtime: string, image: string, command: readonly string[], options: RunOptions & { flags?: readonly string[] } = {}): Result {
    const id = this.newId();
    const mount = `type=bind,src=${GUEST_SCRIPTS},dst=/suite,options=rbind:ro`;
    const flags = ['--rm', '--runtime', runtime, '--mount', mount, ...(options.flags ?? [])];
    const result = this.ctr(['run', ...flags, image, id, ...command], options);
    if (result.status === null) this.remove(id);
    return result;
  }
}

export function sleep(ms: number): Promise<void> {
  return new Promise((r) => setTimeout(r, ms));
}

/** Waits until `check` is true; false if it never is. */
export async function eventually(check: () => boolean, timeoutMs = 10_000): Promise<boolean> {
  for (const end = Date.now() + timeoutMs; Date.now() < end; await sleep(50)) if (check()) return true;
  return check();
}

/** Host processes whose command line holds `word`. */
export function processesWith(word: string): number[] {
  return processes((folder) => readFileSync(`${folder}/cmdline`, 'utf8').replaceAll('\0', ' ').includes(word));
}

/** Host processes whose cgroup's path holds `word`. */
export function processesInCgroup(word: string): number[] {
  return processes((folder) => readFileSync(`${folder}/cgroup`, 'utf8').includes(word));
}

function processes(matches: (folder: string) => boolean): number[] {
  const out: number[] = [];
  for (const entry of readdirSync('/proc')) {
    try {
      if (/^\d+$/.test(entry) && matches(`/proc/${entry}`)) out.push(Number(entry));
    } catch {
      // it ended meanwhile
    }
  }
  return out;
}
