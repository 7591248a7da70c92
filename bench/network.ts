/**
 * npm run bench -- --network [--rounds N] [--seconds S] [--targets native,runc,gvisor,tsvisor-systrap] [--rows a,b]
 *
 * Servers in a container against clients in another network namespace, over a veth pair that is made afresh for each server. Writes medians to
 * docs/bench/network.{md,json}: throughput, requests, the 99th percentile, and the CPU time of the container for the work done.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { addSample, type Samples, summarize } from './report.ts';
import { spec } from './targets.ts';

const ROOT = resolve(__dirname, '..');
const { values: options } = parseArgs({
  options: {
    network: { type: 'boolean' },
    rounds: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '4' },
    targets: { type: 'string', default: 'native,runc,gvisor,tsvisor-systrap' },
    rows: { type: 'string', default: 'iperf,udp,nginx,ab,redis' },
    out: { type: 'string', default: join(ROOT, 'docs/bench') },
  },
});
const POD = 'benchpod';
const PEER = 'benchpeer';
const ADDRESS = '10.76.0.2';
const SECONDS = Number(options.seconds);
/** ms that a server may take to answer. */
const PATIENCE = 30_000;

function sh(command: string, timeout = 120_000): string {
  const r = spawnSync('sh', ['-c', command], { encoding: 'utf8', timeout, maxBuffer: 64 << 20 });
  if (r.status !== 0) throw new Error(`${command}: status ${r.status}: ${(r.stderr || r.stdout).trim().split('\n').slice(-2).join(' | ')}`);
  return r.stdout;
}
const client = (command: string): string => sh(`ip netns exec ${PEER} ${command}`);
const number = (text: string, pattern: RegExp): number => {
  const found = pattern.exec(text)?.[1];
  if (found === undefined) throw new Error(`nothing like ${pattern} in ${text.slice(-300)}`);
  return Number(found);
};

/** Afresh: gVisor takes the addresses off the interface. */
function makeNamespaces(): void {
  removeNamespaces();
  sh(`ip netns add ${POD} && ip netns add ${PEER} && ip link add bv0 netns ${PEER} type veth peer name eth0 netns ${POD}`);
  sh(
    `for n in ${POD} ${PEER}; do ip -n $n link set lo up; done; ip -n ${PEER} addr add 10.76.0.1/24 dev bv0; ip -n ${POD} addr add ${ADDRESS}/24 dev eth0`,
  );
  sh(`ip -n ${PEER} link set bv0 up; ip -n ${POD} link set eth0 up; ip -n ${POD} route add default via 10.76.0.1`);
}
function removeNamespaces(): void {
  for (const name of [POD, PEER]) spawnSync('ip', ['netns', 'del', name]);
}

/** The machine's own files, which hold the servers, as every container's root: what is written goes to memory. */
class SharedRoot {
  readonly folder = mkdtempSync(join(tmpdir(), 'bench-net-'));
  readonly path = join(this.folder, 'root');
  readonly www = join(this.folder, 'www');
  readonly config = join(this.folder, 'nginx.conf');
  constructor() {
    mkdirSync(this.path);
    mkdirSync(this.www);
    const memory = join(this.folder, 'memory');
    mkdirSync(memory);
    sh(`mount -t tmpfs none ${memory} && mkdir ${memory}/upper ${memory}/work`);
    sh(`mount -t overlay overlay -o lowerdir=/,upperdir=${memory}/upper,workdir=${memory}/work ${this.path}`);
    writeFileSync(join(this.www, 'f12k'), Buffer.alloc(12_288, 'x'));
    const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path /tmp/${name};`).join(' ');
    writeFileSync(
      this.config,
      `worker_processes 1; daemon off; pid /tmp/bench-nginx.pid; error_log /dev/null; events { worker_connections 1024; }
http { access_log off; sendfile on; keepalive_requests 1000000; ${paths}
server { listen 8080; root ${this.www}; location /small { return 200 "${'x'.repeat(200)}"; } } }\n`,
    );
  }
  close(): void {
    spawnSync('umount', [this.path]);
    spawnSync('umount', [join(this.folder, 'memory')]);
    rmSync(this.folder, { recursive: true, force: true });
  }
}

interface Target {
  readonly name: string;
  /** The command that runs `argv` in the pod's namespace until it is killed. */
  command(argv: readonly string[], root: SharedRoot): readonly string[];
}
function runtime(name: string, command: readonly string[]): Target {
  let serial = 0;
  return {
    name,
    command: (argv, root) => {
      const bundle = join(root.folder, name);
      mkdirSync(bundle, { recursive: true });
      const base = spec(root.path, argv) as { linux: { namespaces: { type: string }[] }; mounts: object[] };
      base.linux.namespaces = base.linux.namespaces.map((n) => (n.type === 'network' ? { ...n, path: `/var/run/netns/${POD}` } : n));
      base.mounts.push({ destination: '/tmp', type: 'tmpfs', source: 'tmpfs' });
      for (const place of [root.www, root.config])
        base.mounts.push({ destination: place, type: 'bind', source: place, options: ['bind', 'ro'] });
      writeFileSync(join(bundle, 'config.json'), JSON.stringify(base));
      return [...command, 'run', '--bundle', bundle, `bench-net-${process.pid}-${serial++}`];
    },
  };
}
function targets(root: SharedRoot): Target[] {
  const state = (name: string): string => join(root.folder, `state-${name}`);
  const peer = join(ROOT, '.cache/peers/usr/bin/runsc');
  const all: (Target | null)[] = [
    { name: 'native', command: (argv) => ['ip', 'netns', 'exec', POD, ...argv] },
    runtime('runc', ['runc', '--root', state('runc')]),
    existsSync(peer)
      ? runtime('gvisor', [join(ROOT, 'bench/gvisor_sysctl.sh'), peer, '--root', state('gvisor'), '--platform=systrap', '--ignore-cgroups'])
      : null,
    ...['systrap', 'ptrace'].map((p) =>
      runtime(`tsvisor-${p}`, [join(ROOT, 'bin/runsc'), '--root', state(p), `--platform=${p}`, '--ignore-cgroups']),
    ),
  ];
  const wanted = options.targets.split(',');
  return all.filter((t): t is Target => t !== null && wanted.includes(t.name));
}

/** CPU time of everything that a server's command has started, ns; null where there is no cgroup of version 1 for it. */
class CpuMeter {
  private readonly folder = `/sys/fs/cgroup/cpuacct/bench-net-${process.pid}`;
  readonly works: boolean;
  constructor() {
    this.works = existsSync('/sys/fs/cgroup/cpuacct/cpuacct.usage');
    if (this.works) mkdirSync(this.folder, { recursive: true });
  }
  wrap(argv: readonly string[]): readonly string[] {
    return this.works ? ['sh', '-c', `echo $$ >${this.folder}/cgroup.procs; exec "$@"`, 'sh', ...argv] : argv;
  }
  read(): number {
    return this.works ? Number(readFileSync(join(this.folder, 'cpuacct.usage'), 'latin1')) : 0;
  }
  close(): void {
    spawnSync('rmdir', [this.folder]);
  }
}

class Bench {
  readonly samples: Samples = new Map();
  readonly errors: string[] = [];
  private readonly meter = new CpuMeter();
  private readonly root = new SharedRoot();

  private async serve(target: Target, argv: readonly string[], port: number, work: () => void): Promise<void> {
    makeNamespaces();
    const command = this.meter.wrap(target.command(argv, this.root));
    const server = spawn(command[0] as string, command.slice(1), { stdio: 'ignore', detached: true });
    try {
      await this.answers(port);
      work();
    } catch (e) {
      this.errors.push(`${target.name}: ${(e as Error).message}`);
    } finally {
      await this.end(server, command);
    }
  }
  private async answers(port: number): Promise<void> {
    for (const end = Date.now() + PATIENCE; Date.now() < end; ) {
      if (spawnSync('ip', ['netns', 'exec', PEER, 'bash', '-c', `exec 3<>/dev/tcp/${ADDRESS}/${port}`], { timeout: 2000 }).status === 0)
        return;
      await new Promise((r) => setTimeout(r, 100));
    }
    throw new Error(`no answer at port ${port}`);
  }
  private async end(server: ChildProcess, command: readonly string[]): Promise<void> {
    const at = command.indexOf('run');
    const id = command.at(-1) as string;
    if (at >= 0 && id.startsWith('bench-net-')) {
      const cli = command.slice(this.meter.works ? 4 : 0, at);
      spawnSync(cli[0] as string, [...cli.slice(1), 'kill', id, 'KILL']);
      await new Promise((r) => setTimeout(r, 300));
      spawnSync(cli[0] as string, [...cli.slice(1), 'delete', '--force', id]);
    }
    try {
      process.kill(-(server.pid as number), 'SIGKILL');
    } catch {
      // It has ended.
    }
    await new Promise((r) => setTimeout(r, 200));
  }

  private add(row: string, target: Target, value: number): void {
    addSample(this.samples, row, target.name, value);
  }
  /** Runs work; `units`: what it did, from its result. The container's CPU time for each. */
  private measured(row: string, unit: string, target: Target, work: () => { value: number; units: number }): void {
    const before = this.meter.read();
    const { value, units } = work();
    this.add(row, target, value);
    if (this.meter.works && units > 0) this.add(`${row}: CPU, ${unit}`, target, (this.meter.read() - before) / units / 1e3);
  }

  async iperf(target: Target): Promise<void> {
    await this.serve(target, ['iperf3', '-s'], 5201, () => {
      const run = (flags: string) => {
        const { end } = JSON.parse(client(`iperf3 -c ${ADDRESS} -t ${SECONDS} -J ${flags}`)) as {
          end: { sum_received: { bits_per_second: number; bytes: number } };
        };
        return { value: end.sum_received.bits_per_second / 1e9, units: end.sum_received.bytes / 1e6 };
      };
      this.measured('iperf3 to the container, Gbit/s', 'µs a MB', target, () => run(''));
      this.measured('iperf3 from the container, Gbit/s', 'µs a MB', target, () => run('-R'));
    });
  }
  async udp(target: Target): Promise<void> {
    await this.serve(target, ['iperf3', '-s'], 5201, () => {
      const run = (flags: string) => {
        const { end } = JSON.parse(client(`iperf3 -c ${ADDRESS} -t ${SECONDS} -u -l 64 -b 0 -J ${flags}`)) as {
          end: { sum?: { packets: number; lost_packets: number; seconds: number } };
        };
        if (end.sum === undefined) throw new Error(`iperf3 -u ${flags}: the server did not tell how many packets came`);
        const got = end.sum.packets - end.sum.lost_packets;
        return { value: got / end.sum.seconds / 1e3, units: got / 1e3 };
      };
      this.measured('UDP to the container, 1000 packets/s', 'µs for 1000', target, () => run(''));
      this.measured('UDP from the container, 1000 packets/s', 'µs for 1000', target, () => run('-R'));
    });
  }
  async nginx(target: Target): Promise<void> {
    await this.serve(target, ['nginx', '-c', this.root.config, '-p', '/tmp'], 8080, () => {
      for (const [name, path] of [
        ['200 B', 'small'],
        ['12 KiB', 'f12k'],
      ] as const) {
        let text = '';
        this.measured(`nginx ${name}, requests/s`, 'µs a request', target, () => {
          text = client(`wrk -t1 -c32 -d${SECONDS}s --latency http://${ADDRESS}:8080/${path}`);
          return { value: number(text, /Requests\/sec:\s+([\d.]+)/), units: number(text, /(\d+) requests in/) };
        });
        const [, value, unit] = /99%\s+([\d.]+)(us|ms|s)/.exec(text) ?? [];
        this.add(`nginx ${name}, p99 ms`, target, Number(value) * ({ us: 1e-3, ms: 1, s: 1e3 }[unit as 'us'] ?? Number.NaN));
      }
    });
  }
  async ab(target: Target): Promise<void> {
    await this.serve(target, ['nginx', '-c', this.root.config, '-p', '/tmp'], 8080, () => {
      this.measured('new connections (ab -c 16), 1/s', 'µs each', target, () => {
        const text = client(`ab -q -t ${SECONDS} -n 1000000 -c 16 http://${ADDRESS}:8080/small`);
        return { value: number(text, /Requests per second:\s+([\d.]+)/), units: number(text, /Complete requests:\s+(\d+)/) };
      });
    });
  }
  async redis(target: Target): Promise<void> {
    const server = ['redis-server', '--save', '', '--appendonly', 'no', '--protected-mode', 'no', '--bind', '0.0.0.0'];
    await this.serve(target, server, 6379, () => {
      for (const [name, flags, n] of [
        ['GET', '', 30_000],
        ['GET pipelined by 16', '-P 16', 200_000],
      ] as const) {
        this.measured(`redis ${name}, 1/s`, 'µs each', target, () => {
          const text = client(`redis-benchmark -h ${ADDRESS} -t get -n ${n} -c 50 ${flags} --csv`);
          return { value: number(text, /"GET","([\d.]+)"/), units: n };
        });
      }
    });
  }

  async run(): Promise<void> {
    try {
      const rows = options.rows.split(',') as ('iperf' | 'udp' | 'nginx' | 'ab' | 'redis')[];
      for (let round = 0; round < Number(options.rounds); round++) {
        for (const row of rows) {
          for (const target of targets(this.root)) {
            process.stderr.write(`round ${round + 1}: ${row} ${target.name}\n`);
            await this[row](target);
          }
          this.report(false);
        }
      }
      this.report(true);
    } finally {
      removeNamespaces();
      this.root.close();
      this.meter.close();
    }
  }

  private report(last: boolean): void {
    const names = options.targets.split(',');
    const rows = summarize(this.samples);
    const cell = (v: number | undefined): string =>
      v === undefined ? '–' : v >= 1000 ? v.toFixed(0) : v >= 10 ? v.toFixed(1) : v.toFixed(2);
    const ours = names.find((n) => n.startsWith('tsvisor'));
    const ratio = (m: Readonly<Record<string, number>>): string =>
      ours !== undefined && m[ours] !== undefined && m.gvisor !== undefined ? (m[ours] / m.gvisor).toFixed(2) : '–';
    const text = [
      '# Network benchmark\n',
      `Medians of ${options.rounds} interleaved rounds, ${SECONDS} s each, over a veth pair on one machine. Rates: higher is better; times: lower.\n`,
      `| row | ${names.join(' | ')} | ${ours} / gvisor |`,
      `|---|${names.map(() => '--:|').join('')}--:|`,
      ...rows.map(({ row, medians }) => `| ${row} | ${names.map((n) => cell(medians[n])).join(' | ')} | ${ratio(medians)} |`),
      '',
      ...[...new Set(this.errors)].map((e) => `- ${e}`),
      '',
    ].join('\n');
    mkdirSync(options.out, { recursive: true });
    writeFileSync(join(options.out, 'network.md'), text);
    writeFileSync(join(options.out, 'network.json'), `${JSON.stringify({ targets: names, rows, errors: this.errors }, null, 1)}\n`);
    if (last) process.stdout.write(text);
  }
}

void new Bench().run();
