/** Bundles with a static busybox as their only program, and runsc over a state folder of the test's own. */
import { type StdioOptions, spawnSync } from 'node:child_process';
import {
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Spec, SpecProcess } from '../proto/oci_spec.ts';

const ROOT = resolve(__dirname, '..');
export const RUNSC = join(ROOT, 'bin/runsc');
const BUSYBOX = ['/usr/bin/busybox', '/bin/busybox'].find((path) => existsSync(path));
const APPLETS = 'sh ls cat echo ps id mount sleep stty tty env true false pwd touch mkdir rm kill head wc hostname test printf'.split(' ');

/** What this machine lacks for these tests; empty: nothing. */
export function missing(): string[] {
  const wanted: [boolean, string][] = [
    [process.getuid?.() === 0, 'root'],
    [BUSYBOX !== undefined, 'a static busybox'],
    [existsSync(join(ROOT, 'dist/sentry.cjs')), 'a build (node scripts/build.mjs)'],
  ];
  return wanted.filter(([has]) => !has).map(([, name]) => name);
}

export interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface BundleOptions {
  readonly args: readonly string[];
  readonly process?: Partial<SpecProcess>;
  readonly spec?: Partial<Spec>;
}

/** Options with the platform that the suites are told, unless they say another. */
function onPlatform(global: readonly string[]): readonly string[] {
  const platform = process.env.TSVISOR_TEST_PLATFORMS?.split(',')[0];
  return platform === undefined || global.some((word) => word.startsWith('--platform')) ? global : ['--platform', platform, ...global];
}

export class RunscWorld {
  readonly folder = mkdtempSync(join(tmpdir(), 'runsc-test-'));
  readonly state = join(this.folder, 'state');
  private bundles = 0;

  /** `stdout`: a file that gets the output of the command and of what it starts; else it is in the outcome. */
  runsc(args: readonly string[], options: { input?: string; stdout?: string; global?: readonly string[] } = {}): Outcome {
    const { input } = options;
    const global = onPlatform(options.global ?? []);
    const out = options.stdout === undefined ? 'pipe' : openSync(options.stdout, 'w');
    const stdio: StdioOptions = [
      input === undefined ? 'ignore' : 'pipe',
      out,
      out === 'pipe' ? 'pipe' : openSync(`${options.stdout}.err`, 'w'),
    ];
    const r = spawnSync(RUNSC, this.commandLine([...global, ...args]).slice(1), {
      encoding: 'utf8',
      cwd: this.folder,
      timeout: 60_000,
      stdio,
      ...(input === undefined ? {} : { input }),
    });
    for (const fd of stdio) if (typeof fd === 'number') closeSync(fd);
    return {
      status: r.status,
      stdout: r.stdout ?? '',
      stderr: options.stdout === undefined ? r.stderr : readFileSync(`${options.stdout}.err`, 'utf8'),
    };
  }

  /** Program and words of a command, for a shell. */
  commandLine(args: readonly string[]): string[] {
    return [RUNSC, '--root', this.state, ...args];
  }

  bundle({ args, process, spec }: BundleOptions): string {
    const bundle = join(this.folder, `bundle${this.bundles++}`);
    const bin = join(bundle, 'rootfs/bin');
    mkdirSync(bin, { recursive: true });
    mkdirSync(join(bundle, 'rootfs/etc'));
    copyFileSync(BUSYBOX as string, join(bin, 'busybox'));
    for (const name of APPLETS) symlinkSync('busybox', join(bin, name));
    const base: Spec = {
      ociVersion: '1.0.2',
      root: { path: 'rootfs' },
      hostname: 'box',
      process: { args, cwd: '/', user: { uid: 0, gid: 0 }, env: ['PATH=/bin'], ...process },
      linux: { namespaces: ['pid', 'network', 'mount', 'ipc', 'uts'].map((type) => ({ type })) },
    };
    writeFileSync(join(bundle, 'config.json'), JSON.stringify({ ...base, ...spec }));
    return bundle;
  }

  /** run of a fresh bundle: what people do first. */
  run(options: BundleOptions, input = ''): Outcome {
    return this.runsc(['run', '--bundle', this.bundle(options), this.newId()], { input });
  }

  newId(): string {
    return `test-${process.pid}-${this.bundles}-${Math.random().toString(36).slice(2, 8)}`;
  }

  /** Everything on this machine that a container could have left behind. */
  leftovers(): string[] {
    const found = existsSync(this.state) ? readdirSync(this.state).map((id) => `state of ${id}`) : [];
    for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
      const line = commandLine(pid);
      // Sandboxes name their container in their arguments; gofers and waiters are found through the cgroup.
      if (/^runsc-(sandbox|gofer|waiter)/.test(line) && cgroupOf(pid).includes(`test-${process.pid}-`))
        found.push(`process ${pid}: ${line}`);
    }
    for (const controller of ['memory', 'pids', '']) {
      const top = join('/sys/fs/cgroup', controller);
      const groups = existsSync(top) ? readdirSync(top) : [];
      found.push(...groups.filter((g) => g.startsWith(`test-${process.pid}-`)).map((g) => `cgroup ${controller}/${g}`));
    }
    return found;
  }

  close(): void {
    for (const id of existsSync(this.state) ? readdirSync(this.state) : []) this.runsc(['delete', '--force', id]);
    rmSync(this.folder, { recursive: true, force: true });
  }
}

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ');
  } catch {
    return '';
  }
}
function cgroupOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cgroup`, 'latin1');
  } catch {
    return '';
  }
}

/** The Sentry of the sandbox that `runsc do`, started as process `pid`, runs. @throws Error: there is none */
export function sentryOf(pid: number): number {
  for (const name of readdirSync('/proc').filter((n) => /^\d+$/.test(n))) {
    const line = commandLine(name);
    if (line.startsWith('runsc-sandbox') && line.includes(` do-${pid}-`)) return Number(name);
  }
  throw new Error(`no sandbox of process ${pid}`);
}

/** Until `condition` holds, for at most `patience` ms. */
export async function eventually(condition: () => boolean, patience = 5000): Promise<boolean> {
  for (const end = Date.now() + patience; Date.now() < end; ) {
    if (condition()) return true;
    await new Promise((r) => setTimeout(r, 20));
  }
  return condition();
}
