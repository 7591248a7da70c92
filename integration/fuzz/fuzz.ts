/**
 * One run of the system-call fuzzer (syscalls.c) in a sandbox, with the Sentry watched from outside. A finding is one line: the
 * Sentry died or does not answer, a handler threw, descriptors or host processes stay behind, memory grows without bound.
 */
import { type ChildProcess, execFile, execFileSync, spawn, spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { type Holdings, holdings, sentryOf } from './watch_sentry.ts';

// As a bundle this lies in dist/.
const ROOT = resolve(__dirname, __dirname.endsWith('dist') ? '..' : '../..');
const RUNSC = join(ROOT, 'bin/runsc');
const CACHE = join(ROOT, '.cache/fuzz');

/** A control request must be answered within this, ms; a program of ours is started for it, on a machine that is busy. */
const ANSWER_PATIENCE = 30_000;
/** How long the program may take to start, and to clear up at its end, ms. */
const START_PATIENCE = 15_000;
const END_PATIENCE = 20_000;
/** How long what died may take to leave the host, ms. */
const SETTLE_PATIENCE = 8000;
const WATCH_EVERY = 2000;
/** Descriptors that may stay: files of directories and dentries that the kernel keeps. */
const SPARE_DESCRIPTORS = 48;
const SPARE_PROCESSES = 3;
/** Resident bytes over those at the start. */
const MAX_GROWTH = 700 << 20;
/** Lines of the Sentry's log that are findings. */
const BAD_LINE = /broken call:|panic|Error:|^\s+at /;

export interface FuzzOptions {
  readonly platform: string;
  readonly seed: number;
  readonly seconds: number;
  /** Calls at most. */
  readonly count?: number;
}

export interface FuzzResult {
  readonly calls: number;
  readonly findings: readonly string[];
  readonly start: Holdings | null;
  readonly idle: Holdings | null;
  readonly peakResident: number;
}

/** The guest program, compiled when its sources are newer. */
export function compileFuzzer(): string {
  mkdirSync(CACHE, { recursive: true });
  const [source, header] = ['syscalls.c', 'arguments.h'].map((name) => join(ROOT, 'integration/fuzz', name)) as [string, string];
  const program = join(CACHE, 'syscalls');
  const newest = Math.max(statSync(source).mtimeMs, statSync(header).mtimeMs);
  if (!existsSync(program) || statSync(program).mtimeMs < newest)
    execFileSync('gcc', ['-O1', '-static', '-w', '-o', program, source, '-lpthread'], { stdio: ['ignore', 'inherit', 'pipe'] });
  return program;
}

export async function fuzz(options: FuzzOptions): Promise<FuzzResult> {
  const run = new FuzzRun(options, compileFuzzer());
  try {
    return await run.run();
  } finally {
    run.close();
  }
}

class FuzzRun {
  private readonly options: FuzzOptions;
  private readonly folder = mkdtempSync(join(tmpdir(), 'tsvisor-fuzz-'));
  private readonly findings: string[] = [];
  private readonly child: ChildProcess;
  private readonly ended: Promise<number | null>;
  private output = '';
  private peakResident = 0;

  constructor(options: FuzzOptions, program: string) {
    this.options = options;
    const root = join(this.folder, 'root');
    mkdirSync(root);
    copyFileSync(program, join(root, 'syscalls'));
    const { platform, seed, seconds, count = 1e12 } = options;
    const global = ['--root', this.state, '--platform', platform, '--debug', '--debug-log', join(this.folder, 'log')];
    const command = ['/syscalls', String(seed), String(count), String(seconds)];
    this.child = spawn(RUNSC, [...global, 'do', '--root', root, '--no-tty', '--', ...command], { stdio: ['pipe', 'pipe', 'pipe'] });
    this.child.stdout?.on('data', (data) => {
      this.output += data;
    });
    this.child.stderr?.on('data', (data) => this.findings.push(`stderr: ${String(data).slice(0, 2000)}`));
    this.ended = new Promise((done) => this.child.on('exit', (status) => done(status)));
  }

  private get state(): string {
    return join(this.folder, 'state');
  }

  async run(): Promise<FuzzResult> {
    const { seconds } = this.options;
    await this.until(() => this.output.includes('start'), START_PATIENCE);
    const id = existsSync(this.state) ? (readdirSync(this.state).find((name) => name.startsWith('do-')) ?? '') : '';
    const pid = sentryOf(id);
    const start = pid === null ? null : holdings(pid);
    if (pid === null || start === null) this.findings.push('the Sentry did not start');
    else await this.watch(id, pid, start, seconds * 1000 + END_PATIENCE);
    const idle = pid === null || start === null ? null : await this.settle(pid, start);
    await this.finish();
    this.readLogs();
    return {
      calls: Number(/idle (\d+)/.exec(this.output)?.[1] ?? 0),
      findings: this.findings,
      start,
      idle,
      peakResident: this.peakResident,
    };
  }

  /** Until the program says that it is idle. */
  private async watch(id: string, pid: number, start: Holdings, patience: number): Promise<void> {
    const end = Date.now() + patience;
    while (!this.output.includes('idle')) {
      const now = holdings(pid);
      if (now === null) return this.finding('the sandbox ended early');
      if (Date.now() > end) return this.finding('the program did not come to its end');
      this.peakResident = Math.max(this.peakResident, now.resident);
      if (now.resident - start.resident > MAX_GROWTH) return this.finding(`${now.resident >> 20} MiB are resident`);
      if (!(await this.answers(id))) return this.finding(`no answer to a control request within ${ANSWER_PATIENCE} ms`);
      await this.until(() => this.output.includes('idle'), WATCH_EVERY);
    }
  }

  private answers(id: string): Promise<boolean> {
    return new Promise((done) => {
      execFile(RUNSC, ['--root', this.state, 'ps', id], { timeout: ANSWER_PATIENCE }, (error) => {
        done(error === null || this.output.includes('idle') || this.child.exitCode !== null);
      });
    });
  }

  /** What is held when all is over, as soon as it is near to what was held at the start. */
  private async settle(pid: number, start: Holdings): Promise<Holdings | null> {
    if (!this.output.includes('idle')) return null;
    let last: Holdings | null = null;
    const near = (): boolean => {
      last = holdings(pid);
      if (last === null) return false;
      return last.descriptors <= start.descriptors + SPARE_DESCRIPTORS && last.processes <= start.processes + SPARE_PROCESSES;
    };
    if (!(await this.until(near, SETTLE_PATIENCE)))
      this.finding(`left behind: ${JSON.stringify(last)}, at the start ${JSON.stringify(start)}`);
    return last;
  }

  private async finish(): Promise<void> {
    this.child.stdin?.on('error', () => {});
    this.child.stdin?.end('end\n');
    const status = await Promise.race([this.ended, new Promise<string>((done) => setTimeout(done, END_PATIENCE, 'late').unref())]);
    if (status !== 0) this.finding(`runsc ended with ${status}`);
    if (status === 'late') this.child.kill('SIGKILL');
  }

  private readLogs(): void {
    const folder = join(this.folder, 'log');
    const names = existsSync(folder) ? readdirSync(folder) : [];
    for (const name of names) {
      const bad = readFileSync(join(folder, name), 'utf8')
        .split('\n')
        .filter((line) => BAD_LINE.test(line));
      if (bad.length > 0) this.finding(`${name}:\n${bad.slice(0, 200).join('\n')}`);
    }
  }

  private finding(text: string): void {
    this.findings.push(text);
  }

  private async until(condition: () => boolean, patience: number): Promise<boolean> {
    for (const end = Date.now() + patience; Date.now() < end; ) {
      if (condition()) return true;
      if (this.child.exitCode !== null || this.child.signalCode !== null) break;
      await new Promise((done) => setTimeout(done, 50));
    }
    return condition();
  }

  /** Ends what a finding has left running. */
  close(): void {
    for (const id of existsSync(this.state) ? readdirSync(this.state) : [])
      if (id.startsWith('do-')) spawnSync(RUNSC, ['--root', this.state, 'delete', '--force', id], { timeout: END_PATIENCE });
    this.child.kill('SIGKILL');
    if (process.env.TSVISOR_FUZZ_KEEP === undefined) rmSync(this.folder, { recursive: true, force: true });
  }
}
