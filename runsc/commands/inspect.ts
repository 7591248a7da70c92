/** state, list, ps, events, wait, debug: what containers do. */
import { setTimeout as sleep } from 'node:timers/promises';
import { command } from '../cli/command.ts';
import { UsageError } from '../cli/flags.ts';
import { table } from '../cli/screen.ts';
import type { ContainerStats, NetworkStats, ProcessInfo } from '../container/types.ts';

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

function checkFormat(format: string): void {
  if (format !== 'table' && format !== 'json') throw new UsageError(`--format: ${format} is neither table nor json`);
}

export const state = command('state', {
  usage: 'ID',
  summary: 'state of a container, JSON',
  flags: {},
  words: [1, 1],
  run: async ({ containers }, _flags, [id]) => {
    const container = await containers.load(id as string);
    const known = await container.state();
    // engines expect a pid, 0 for a container that has ended
    print(
      JSON.stringify(
        { ...known, pid: known.pid ?? 0, rootfs: container.rootfs, created: container.createdAt.toISOString(), owner: '' },
        null,
        2,
      ),
    );
    return 0;
  },
});

export const list = command('list', {
  usage: '',
  summary: 'all containers',
  flags: {
    format: { kind: 'string', alias: 'f', help: 'table (default) or json' },
    quiet: { kind: 'bool', alias: 'q', help: 'ids alone' },
  },
  words: [0, 0],
  run: async ({ containers }, { format = 'table', quiet }) => {
    checkFormat(format);
    const found = await containers.list();
    const states = await Promise.all(
      found.map(async (c) => ({ ...(await c.state()), created: c.createdAt.toISOString(), rootfs: c.rootfs, owner: '' })),
    );
    if (quiet) for (const s of states) print(s.id);
    else if (format === 'json') print(JSON.stringify(states.length === 0 ? null : states.map((s) => ({ ...s, pid: s.pid ?? 0 }))));
    else
      print(
        table([
          ['ID', 'PID', 'STATUS', 'BUNDLE', 'CREATED'],
          ...states.map((s) => [s.id, String(s.pid ?? 0), s.status, s.bundle, s.created]),
        ]),
      );
    return 0;
  },
});

export const ps = command('ps', {
  usage: 'ID',
  summary: 'processes of a container',
  flags: { format: { kind: 'string', alias: 'f', help: 'table (default), or json: host pids' } },
  words: [1, Number.POSITIVE_INFINITY],
  run: async ({ containers }, { format = 'table' }, [id, ...options]) => {
    checkFormat(format);
    // The columns of `ps -ef` are those that there are: the processes are the sandbox's, ps(1) does not see them.
    if (options.length > 0 && options.join(' ') !== '-ef') throw new UsageError(`ps: options of ps(1) are not taken: ${options.join(' ')}`);
    const container = await containers.load(id as string);
    if (format === 'json') print(JSON.stringify(container.hostPids()));
    else print(table([['UID', 'PID', 'PPID', 'STIME', 'TTY', 'TIME', 'CMD'], ...(await container.processes()).map(row)]));
    return 0;
  },
});

function row(p: ProcessInfo): string[] {
  const started = new Date(p.startedAt).toTimeString().slice(0, 5);
  const seconds = Math.floor(p.cpuTime / 1e9);
  const two = (n: number): string => String(n).padStart(2, '0');
  const time = `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
  return [String(p.uid), String(p.pid), String(p.ppid), started, p.tty, time, p.command];
}

export const events = command('events', {
  usage: 'ID',
  summary: 'resource usage, as a stream of JSON objects',
  flags: {
    stats: { kind: 'bool', help: 'once' },
    interval: { kind: 'string', help: 'between two objects, such as 5s (default)' },
  },
  words: [1, 1],
  run: async ({ containers }, { stats, interval = '5s' }, [id]) => {
    const container = await containers.load(id as string);
    const match = /^(\d+(?:\.\d+)?)(ms|s|m)?$/.exec(interval);
    if (match === null) throw new UsageError(`--interval: ${interval} is no time`);
    const delay = Number(match[1]) * ({ ms: 1, s: 1000, m: 60_000 }[match[2] ?? 's'] as number);
    container.watchOom(() => print(JSON.stringify({ type: 'oom', id })));
    for (;;) {
      print(JSON.stringify({ type: 'stats', id, data: statsData(await container.stats()) }));
      if (stats) return 0;
      await sleep(delay);
      if ((await container.state()).status === 'stopped') return 0;
    }
  },
});

function statsData(s: ContainerStats): unknown {
  const finite = (n: number): number => (Number.isFinite(n) ? n : 0);
  return {
    cpu: { usage: { total: s.cpu.total, kernel: s.cpu.system, user: s.cpu.user } },
    memory: {
      usage: { limit: finite(s.memory.limit), usage: s.memory.usage },
      raw: { total_rss: s.memory.anon, total_inactive_file: s.memory.inactiveFile, oom_kill: s.memory.oomKills },
    },
    pids: { current: s.pids.current, limit: finite(s.pids.limit) },
    ...(s.network === null ? {} : (networkData(s.network) as object)),
  };
}

/** `network_interfaces` as other runtimes print it; what only a stack of one's own knows is beside it. */
function networkData(n: NetworkStats): unknown {
  return {
    network_interfaces: n.interfaces.map((i) => ({
      Name: i.name,
      RxBytes: i.rx_bytes,
      RxPackets: i.rx_packets,
      RxErrors: 0,
      RxDropped: i.rx_dropped,
      TxBytes: i.tx_bytes,
      TxPackets: i.tx_packets,
      TxErrors: 0,
      TxDropped: i.tx_dropped,
    })),
    sockets: { tcp_connections: n.tcpConnections, tcp_listeners: n.tcpListeners, udp: n.udpSockets },
    egress: { allowed: n.egressAllowed, denied: n.egressDenied },
  };
}

export const wait = command('wait', {
  usage: 'ID',
  summary: 'wait until a container ends; prints its exit status',
  flags: {},
  words: [1, 1],
  run: async ({ containers }, _flags, [id]) => {
    const { exitCode } = await (await containers.load(id as string)).wait();
    print(JSON.stringify({ id, exitStatus: exitCode }));
    return 0;
  },
});

export const debug = command('debug', {
  usage: 'ID',
  summary: 'what a running sandbox does inside',
  flags: {
    stacks: { kind: 'bool', help: 'every task, its state and system call' },
    ps: { kind: 'bool', help: 'the same' },
    files: { kind: 'bool', help: 'open files of every process' },
    unimplemented: { kind: 'bool', help: 'system calls that were refused' },
    strace: { kind: 'string', help: 'on or off' },
    'log-level': { kind: 'string', help: 'debug or info' },
  },
  words: [1, 1],
  run: async ({ containers }, flags, [id]) => {
    const container = await containers.load(id as string);
    const any =
      flags.stacks || flags.ps || flags.files || flags.unimplemented || flags.strace !== undefined || flags['log-level'] !== undefined;
    const text = await container.debug({
      stacks: flags.stacks || flags.ps || !any,
      files: flags.files,
      unimplemented: flags.unimplemented || !any,
      strace: flags.strace ?? '',
      log_level: flags['log-level'] ?? '',
    });
    if (text !== '') print(text);
    return 0;
  },
});
