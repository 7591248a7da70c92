/**
 * npm run bench [-- --rounds N] [--targets host,runc,…] [--rows a,b] [--programs a,b] [--rootfs DIR] [--ctr no]
 *
 * Runs the workloads on the host, under runc, under gVisor and under tsvisor on each platform, interleaved round by round, and
 * writes medians and ratios: docs/bench/results.{md,json}, micro.svg, programs.svg. Nothing here passes or fails by a time.
 */
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { BenchContainerd } from './containerd.ts';
import { type IdleCost, measureIdle } from './idle.ts';
import { prepare } from './prepare.ts';
import { addSample, chart, type Samples, summarize, table } from './report.ts';
import { hostTarget, runtimeTarget, type Target } from './targets.ts';

const ROOT = resolve(__dirname, '..');
const MICRO = [
  'getppid',
  'getppid-200-procs',
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
  'page-fault-1m',
  'page-fault-sparse',
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
  'find-usr',
  'tar-doc',
  'tar-10000',
  'git-status',
  'sqlite-100k',
  'npm-unpack',
  'redis-set-get',
  'volume-write-1g',
  'volume-read-1g',
];

/** KVM where the machine has it. */
const DEFAULT_TARGETS = `host,runc,gvisor,tsvisor-ptrace,tsvisor-systrap${existsSync('/dev/kvm') ? ',tsvisor-kvm' : ''}`;

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    targets: { type: 'string', default: DEFAULT_TARGETS },
    rows: { type: 'string', default: MICRO.join(',') },
    programs: { type: 'string', default: PROGRAMS.join(',') },
    rootfs: { type: 'string', default: join(ROOT, '.cache/images/debian-rootfs') },
    gvisor: { type: 'string', default: '' },
    ctr: { type: 'string', default: 'yes' },
    idle: { type: 'string', default: '1,10' },
    'idle-seconds': { type: 'string', default: '10' },
    out: { type: 'string', default: join(ROOT, 'docs/bench') },
  },
});

function list(text: string): string[] {
  return text.split(',').filter((word) => word !== '');
}

function makeTargets(work: string, volume: string): Target[] {
  const rootfs = options.rootfs;
  const gvisor = options.gvisor !== '' ? options.gvisor : join(ROOT, '.cache/peers/usr/bin/runsc');
  const ours = join(ROOT, 'bin/runsc');
  const runtime = (name: string, binary: string, flags: readonly string[]) => runtimeTarget({ name, binary, flags, rootfs, volume, work });
  const known: Record<string, () => Target> = {
    host: () => hostTarget(rootfs, volume),
    runc: () => runtime('runc', '/usr/sbin/runc', []),
    gvisor: () => runtime('gvisor', gvisor, ['--platform=systrap', '--network=none', '--ignore-cgroups']),
    'tsvisor-ptrace': () => runtime('tsvisor-ptrace', ours, ['--platform=ptrace', '--network=none']),
    'tsvisor-systrap': () => runtime('tsvisor-systrap', ours, ['--platform=systrap', '--network=none']),
    'tsvisor-kvm': () => runtime('tsvisor-kvm', ours, ['--platform=kvm', '--network=none']),
  };
  return list(options.targets).map((name) => {
    const make = known[name];
    if (make === undefined) throw new Error(`no target ${name}; there are ${Object.keys(known).join(', ')}`);
    return make();
  });
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

/** Targets that containerd can start: the platform of our shim, null for runc's. */
const BY_CONTAINERD: Readonly<Record<string, string | null>> = {
  runc: null,
  'tsvisor-ptrace': 'ptrace',
  'tsvisor-systrap': 'systrap',
  'tsvisor-kvm': 'kvm',
};

function containerdRun(samples: Samples, target: Target, containerd: BenchContainerd | null, errors: string[]): void {
  const platform = BY_CONTAINERD[target.name];
  if (containerd === null || platform === undefined) return;
  try {
    addSample(samples, 'ctr-run-true', target.name, containerd.run(platform, options.rootfs, ['/bin/true']));
  } catch (e) {
    errors.push(`${target.name}: ctr run: ${(e as Error).message}`);
  }
}

async function startContainerd(folder: string, errors: string[]): Promise<BenchContainerd | null> {
  try {
    return await BenchContainerd.start(folder, join(ROOT, 'bin'));
  } catch (e) {
    errors.push(`ctr run: absent: ${(e as Error).message}`);
    return null;
  }
}

async function main(): Promise<void> {
  const work = mkdtempSync(join(tmpdir(), 'tsvisor-bench-'));
  const micro: Samples = new Map();
  const programs: Samples = new Map();
  const errors: string[] = [];
  const volume = join(work, 'volume');
  const containerd = options.ctr === 'no' ? null : await startContainerd(join(work, 'containerd'), errors);
  try {
    mkdirSync(volume);
    prepare(options.rootfs, join(ROOT, 'bench/workloads'));
    const all = makeTargets(work, volume);
    const targets = all.filter((t) => t.absent === null);
    for (const t of all) if (t.absent !== null) errors.push(`${t.name}: absent: ${t.absent}`);
    for (let round = 0; round < Number(options.rounds); round++) {
      for (const target of targets) {
        process.stderr.write(`round ${round + 1}: ${target.name}\n`);
        startToExit(programs, target, errors);
        containerdRun(programs, target, containerd, errors);
        if (list(options.rows).length > 0) sample(micro, target, ['/bench/micro', '/bench/data', ...list(options.rows)], errors);
        for (const name of list(options.programs)) sample(programs, target, ['/bin/sh', '/bench/programs.sh', name], errors);
        rmSync(join(options.rootfs, 'bench/data'), { recursive: true, force: true });
        rmSync(join(options.rootfs, 'tmp/bench-programs'), { recursive: true, force: true });
        mkdirSync(join(options.rootfs, 'bench/data'), { recursive: true });
        rmSync(join(volume, 'big'), { force: true });
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
    await containerd?.stop();
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
    `Medians of ${options.rounds} interleaved rounds on one machine; lower is better. Load of the machine at the end: ${loadavg()[2]?.toFixed(1)}.\n`,
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
