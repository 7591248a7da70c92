/**
 * npm run bench [-- --rounds N] [--targets host,runc,…] [--rows a,b] [--programs a,b] [--rootfs DIR]
 *
 * Runs the workloads on the host, under runc, under gVisor and under tsvisor on each platform, interleaved round by round, and
 * writes medians and ratios: docs/bench/results.{md,json}, micro.svg, programs.svg. Nothing here passes or fails by a time.
 */
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { type IdleCost, measureIdle } from './idle.ts';
import { addSample, chart, type Samples, summarize, table } from './report.ts';
import { hostTarget, runtimeTarget, type Target } from './targets.ts';

const ROOT = resolve(__dirname, '..');
const MICRO = [
  'getpid',
  'clock_gettime',
  'read-1',
  'write-null-4k',
  'stat',
  'open-close',
  'pread-4k',
  'pread-64k',
  'pwrite-4k',
  'create-unlink',
  'readdir-1000',
  'pipe-pingpong',
  'unix-4k',
  'epoll-1000',
  'page-fault',
  'mmap-touch-munmap',
  'fork-64m',
  'fork-exec',
  'thread',
  'futex-pingpong',
  'mutex-2',
  'signal',
];
const PROGRAMS = [
  'true-200',
  'python-pass',
  'perl-1',
  'node-1',
  'gcc-hello',
  'gcc-5000',
  'find-share',
  'tar-doc',
  'tar-10000',
  'git-status',
  'sqlite-100k',
];

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    targets: { type: 'string', default: 'host,runc,gvisor,tsvisor-ptrace,tsvisor-systrap' },
    rows: { type: 'string', default: MICRO.join(',') },
    programs: { type: 'string', default: PROGRAMS.join(',') },
    rootfs: { type: 'string', default: join(ROOT, '.cache/images/debian-rootfs') },
    gvisor: { type: 'string', default: '' },
    idle: { type: 'string', default: '1,10' },
    'idle-seconds': { type: 'string', default: '10' },
    out: { type: 'string', default: join(ROOT, 'docs/bench') },
  },
});

function list(text: string): string[] {
  return text.split(',').filter((word) => word !== '');
}

function makeTargets(work: string): Target[] {
  const rootfs = options.rootfs;
  const gvisor = options.gvisor !== '' ? options.gvisor : join(ROOT, '.cache/peers/usr/bin/runsc');
  const ours = join(ROOT, 'bin/runsc');
  const runtime = (name: string, binary: string, flags: readonly string[]) => runtimeTarget({ name, binary, flags, rootfs, work });
  const known: Record<string, () => Target> = {
    host: () => hostTarget(rootfs),
    runc: () => runtime('runc', '/usr/sbin/runc', []),
    gvisor: () => runtime('gvisor', gvisor, ['--platform=systrap', '--network=none', '--ignore-cgroups']),
    'tsvisor-ptrace': () => runtime('tsvisor-ptrace', ours, ['--platform=ptrace', '--network=none']),
    'tsvisor-systrap': () => runtime('tsvisor-systrap', ours, ['--platform=systrap', '--network=none']),
  };
  return list(options.targets).map((name) => {
    const make = known[name];
    if (make === undefined) throw new Error(`no target ${name}; there are ${Object.keys(known).join(', ')}`);
    return make();
  });
}

/** The programs into the root file system's /bench: every target sees the same files. */
function prepare(): void {
  const folder = join(options.rootfs, 'bench');
  if (!existsSync(options.rootfs))
    throw new Error(`no root file system at ${options.rootfs}: run scripts/images/build.sh, or give --rootfs`);
  mkdirSync(join(folder, 'data'), { recursive: true });
  execFileSync('gcc', ['-O2', '-static', '-o', join(folder, 'micro'), join(ROOT, 'bench/workloads/micro.c'), '-lpthread']);
  copyFileSync(join(ROOT, 'bench/workloads/programs.sh'), join(folder, 'programs.sh'));
}

function sample(samples: Samples, target: Target, argv: readonly string[], errors: string[]): void {
  try {
    for (const line of target.run(argv).split('\n')) {
      const match = /^row (\S+) (?:([\d.]+)|failed (.*))$/.exec(line);
      if (match?.[2] !== undefined) addSample(samples, match[1] as string, target.name, Number(match[2]));
      else if (match !== null) errors.push(`${target.name}: ${match[1]}: ${match[3]}`);
    }
  } catch (e) {
    errors.push(`${target.name}: ${argv.join(' ')}: ${(e as Error).message}`);
  }
}

function startToExit(samples: Samples, target: Target, errors: string[]): void {
  const start = process.hrtime.bigint();
  try {
    target.run(['/bin/true']);
    addSample(samples, 'start-to-exit', target.name, Number(process.hrtime.bigint() - start) / 1e6);
  } catch (e) {
    errors.push(`${target.name}: /bin/true: ${(e as Error).message}`);
  }
}

async function main(): Promise<void> {
  const work = mkdtempSync(join(tmpdir(), 'tsvisor-bench-'));
  const micro: Samples = new Map();
  const programs: Samples = new Map();
  const errors: string[] = [];
  try {
    prepare();
    const all = makeTargets(work);
    const targets = all.filter((t) => t.absent === null);
    for (const t of all) if (t.absent !== null) errors.push(`${t.name}: absent: ${t.absent}`);
    for (let round = 0; round < Number(options.rounds); round++) {
      for (const target of targets) {
        process.stderr.write(`round ${round + 1}: ${target.name}\n`);
        startToExit(programs, target, errors);
        if (list(options.rows).length > 0) sample(micro, target, ['/bench/micro', '/bench/data', ...list(options.rows)], errors);
        for (const name of list(options.programs)) sample(programs, target, ['/bin/sh', '/bench/programs.sh', name], errors);
        rmSync(join(options.rootfs, 'bench/data'), { recursive: true, force: true });
        rmSync(join(options.rootfs, 'tmp/bench-programs'), { recursive: true, force: true });
        mkdirSync(join(options.rootfs, 'bench/data'), { recursive: true });
      }
    }
    report(
      micro,
      programs,
      await idleRows(work, errors),
      targets.map((t) => t.name),
      errors,
    );
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** Idle sandboxes of ours, by number. */
async function idleRows(work: string, errors: string[]): Promise<IdleCost[]> {
  const rows: IdleCost[] = [];
  for (const count of list(options.idle).map(Number)) {
    try {
      rows.push(
        await measureIdle(join(ROOT, 'bin/runsc'), ['--network=none'], options.rootfs, work, count, Number(options['idle-seconds'])),
      );
    } catch (e) {
      errors.push(`idle ${count}: ${(e as Error).message}`);
    }
  }
  return rows;
}

function idleTable(rows: readonly IdleCost[]): string {
  const lines = rows.map(
    (r) =>
      `| ${r.sandboxes} | ${(r.privateKiB / 1024).toFixed(1)} | ${(r.proportionalKiB / 1024).toFixed(1)} | ${r.cpuMs} ms in ${r.seconds} s |`,
  );
  return ['| idle sandboxes | private MiB each | proportional MiB each | CPU of all |', '|--:|--:|--:|--:|', ...lines, ''].join('\n');
}

function report(micro: Samples, programs: Samples, idle: readonly IdleCost[], targets: readonly string[], errors: readonly string[]): void {
  const base = targets[0] as string;
  const [a, b] = [summarize(micro), summarize(programs)];
  const problems = [...new Set(errors)];
  const text = [
    `# Benchmark\n`,
    `Medians of ${options.rounds} interleaved rounds on one machine; lower is better.\n`,
    table(a, targets, base, 'µs'),
    table(b, targets, base, 'ms'),
    idleTable(idle),
    ...problems.map((e) => `- ${e}`),
    '',
  ].join('\n');
  mkdirSync(options.out, { recursive: true });
  writeFileSync(join(options.out, 'results.md'), text);
  writeFileSync(
    join(options.out, 'results.json'),
    `${JSON.stringify({ targets, micro: a, programs: b, idle, errors: problems }, null, 1)}\n`,
  );
  if (a.length > 0) writeFileSync(join(options.out, 'micro.svg'), chart(a, targets, 'µs per operation, lower is better (logarithmic)'));
  if (b.length > 0) writeFileSync(join(options.out, 'programs.svg'), chart(b, targets, 'ms per run, lower is better (logarithmic)'));
  process.stdout.write(text);
}

void main();
