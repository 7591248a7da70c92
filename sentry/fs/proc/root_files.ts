/** The files of /proc itself that tell of the system: cpuinfo, meminfo, stat and the like (proc(5)). */

import { groupCpuTimes, NS_PER_TICK } from '../../kernel/cpu_time.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import type { PidNamespace } from '../../kernel/pid_namespace.ts';
import type { Task } from '../../kernel/task.ts';
import type { ThreadGroup } from '../../kernel/thread_group.ts';
import { KERNEL_BANNER, KERNEL_RELEASE } from '../../kernel/version.ts';
import type { MemoryMap } from '../../mm/memory_map.ts';
import { locksText } from '../../vfs/lock_text.ts';
import type { Content } from '../synthetic/file.ts';

/** What the host could not tell: the least that parsers expect. */
const UNKNOWN_PROCESSOR = [
  'processor\t: 0',
  'vendor_id\t: GenuineIntel',
  'cpu family\t: 6',
  'model\t\t: 85',
  'model name\t: x86-64 processor',
  'stepping\t: 0',
  'cpu MHz\t\t: 2000.000',
  'cache size\t: 1024 KB',
  'physical id\t: 0',
  'siblings\t: 1',
  'core id\t\t: 0',
  'cpu cores\t: 1',
  'apicid\t\t: 0',
  'initial apicid\t: 0',
  'fpu\t\t: yes',
  'flags\t\t: fpu vme de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx fxsr sse sse2 syscall nx lm',
  'bogomips\t: 4000.00',
].join('\n');

/** One paragraph a processor, numbered anew: one socket of single-threaded cores. */
export function cpuinfo(kernel: Kernel): Content {
  const { cpus, processor } = kernel.system;
  const numbers = (i: number): Readonly<Record<string, number>> => ({
    processor: i,
    'physical id': 0,
    siblings: cpus.length,
    'core id': i,
    'cpu cores': cpus.length,
    apicid: i,
    'initial apicid': i,
  });
  let text = '';
  for (const i of cpus) {
    const own = numbers(i);
    for (const line of (processor || UNKNOWN_PROCESSOR).split('\n')) {
      const key = line.slice(0, line.indexOf(':')).trimEnd();
      text += key in own ? `${line.slice(0, line.indexOf(':'))}: ${own[key]}\n` : `${line}\n`;
    }
    text += '\n';
  }
  return text;
}

/** Every process once. */
function* processes(ns: PidNamespace): Generator<ThreadGroup> {
  for (const task of ns.tasks.values()) if (task.group.leader === task) yield task.group;
}

/** Bytes resident in the sandbox's address spaces. */
function residentBytes(kernel: Kernel): number {
  const seen = new Set<MemoryMap>();
  let total = 0;
  for (const { leader } of processes(kernel.rootPidNamespace)) {
    if (leader.state === 'dead' || seen.has(leader.mm)) continue;
    seen.add(leader.mm);
    total += leader.mm.space.resident().total;
  }
  return total;
}

export function meminfo(kernel: Kernel): Content {
  const total = kernel.system.memory;
  const used = Math.min(total, residentBytes(kernel));
  const free = total - used;
  const rows: readonly (readonly [string, number])[] = [
    ['MemTotal', total],
    ['MemFree', free],
    ['MemAvailable', free],
    ['Buffers', 0],
    ['Cached', 0],
    ['SwapCached', 0],
    ['Active', used],
    ['Inactive', 0],
    ['Active(anon)', used],
    ['Inactive(anon)', 0],
    ['Active(file)', 0],
    ['Inactive(file)', 0],
    ['Unevictable', 0],
    ['Mlocked', 0],
    ['SwapTotal', 0],
    ['SwapFree', 0],
    ['Dirty', 0],
    ['Writeback', 0],
    ['AnonPages', used],
    ['Mapped', 0],
    ['Shmem', 0],
    ['KReclaimable', 0],
    ['Slab', 0],
    ['SReclaimable', 0],
    ['SUnreclaim', 0],
    ['KernelStack', 0],
    ['PageTables', 0],
    ['NFS_Unstable', 0],
    ['Bounce', 0],
    ['WritebackTmp', 0],
    ['CommitLimit', total],
    ['Committed_AS', used],
    ['VmallocTotal', 34359738367 * 1024],
    ['VmallocUsed', 0],
    ['VmallocChunk', 0],
    ['Percpu', 0],
    ['HardwareCorrupted', 0],
    ['AnonHugePages', 0],
    ['ShmemHugePages', 0],
    ['ShmemPmdMapped', 0],
  ];
  const text = rows.map(([name, bytes]) => `${`${name}:`.padEnd(15)} ${String(Math.floor(bytes / 1024)).padStart(8)} kB\n`).join('');
  const huge = ['HugePages_Total', 'HugePages_Free', 'HugePages_Rsvd', 'HugePages_Surp'].map(
    (n) => `${`${n}:`.padEnd(15)} ${'0'.padStart(8)}\n`,
  );
  return `${text}${huge.join('')}Hugepagesize:       2048 kB\nHugetlb:               0 kB\n`;
}

/** Ticks by kind, of everything that ran in the sandbox. */
function cpuTicks(kernel: Kernel): { user: number; system: number; idle: number } {
  let user = 0;
  let system = 0;
  for (const group of processes(kernel.rootPidNamespace)) {
    const own = groupCpuTimes(group);
    user += own.user + group.reapedChildren.userTime;
    system += own.system + group.reapedChildren.systemTime;
  }
  const idle = Math.max(0, kernel.now() * kernel.system.cpus.length - user - system);
  return { user: Math.floor(user / NS_PER_TICK), system: Math.floor(system / NS_PER_TICK), idle: Math.floor(idle / NS_PER_TICK) };
}

function countTasks(ns: PidNamespace): { running: number; all: number } {
  let running = 0;
  for (const task of ns.tasks.values()) if ((task.state === 'app' && !task.asleep) || task.state === 'kernel') running++;
  return { running, all: ns.tasks.size };
}

export function systemStat(kernel: Kernel, ns: PidNamespace): Content {
  const { cpus } = kernel.system;
  const { user, system, idle } = cpuTicks(kernel);
  const line = (name: string, parts: number): string => {
    return `${name} ${Math.floor(user / parts)} 0 ${Math.floor(system / parts)} ${Math.floor(idle / parts)} 0 0 0 0 0 0\n`;
  };
  let text = line('cpu ', 1);
  for (const i of cpus) text += line(`cpu${i}`, cpus.length);
  const boot = Math.floor((kernel.realtime() - kernel.now()) / 1e9);
  const { running } = countTasks(ns);
  return (
    `${text}intr 0\nctxt 0\nbtime ${boot}\nprocesses ${ns.lastPid}\nprocs_running ${running}\nprocs_blocked 0\n` +
    'softirq 0 0 0 0 0 0 0 0 0 0 0\n'
  );
}

/** shift: of the reader's time namespace, ns. */
function uptime(kernel: Kernel, shift: number): Content {
  const { idle } = cpuTicks(kernel);
  return `${((kernel.now() + shift) / 1e9).toFixed(2)} ${(idle / 100).toFixed(2)}\n`;
}

/** Averages are not kept. */
export function loadavg(ns: PidNamespace): Content {
  const { running, all } = countTasks(ns);
  return `0.00 0.00 0.00 ${running}/${all} ${ns.lastPid}\n`;
}

export function devices(kernel: Kernel): Content {
  const rows = [...kernel.devices.drivers()].map(({ major, name }) => `${String(major).padStart(3)} ${name}\n`);
  return `Character devices:\n${rows.join('')}\nBlock devices:\n`;
}

const CONTROLLERS = ['cpuset', 'cpu', 'cpuacct', 'blkio', 'memory', 'devices', 'freezer', 'pids'];
/** Filesystems that nobody mounts by name. */
const HIDDEN = ['pipefs', 'sockfs', '9p', 'overlay'];

function vmstat(kernel: Kernel): Content {
  const pages = (bytes: number): number => Math.floor(bytes / 4096);
  const used = Math.min(kernel.system.memory, residentBytes(kernel));
  return (
    `nr_free_pages ${pages(kernel.system.memory - used)}\nnr_inactive_anon 0\nnr_active_anon ${pages(used)}\nnr_inactive_file 0\n` +
    `nr_active_file 0\nnr_unevictable 0\nnr_mlock 0\nnr_anon_pages ${pages(used)}\nnr_mapped 0\nnr_file_pages 0\nnr_dirty 0\nnr_writeback 0\n` +
    'pgpgin 0\npgpgout 0\npswpin 0\npswpout 0\npgfault 0\npgmajfault 0\noom_kill 0\n'
  );
}

function zoneinfo(kernel: Kernel): Content {
  const pages = Math.floor(kernel.system.memory / 4096);
  return (
    `Node 0, zone   Normal\n  pages free     ${pages}\n        boost    0\n        min      0\n        low      0\n        high     0\n` +
    `        spanned  ${pages}\n        present  ${pages}\n        managed  ${pages}\n`
  );
}

function interrupts(kernel: Kernel): Content {
  const columns = kernel.system.cpus.map((i) => `CPU${i}`.padEnd(10)).join(' ');
  return `           ${columns} \n`;
}

/** Fixed texts. */
export const FIXED_FILES: Readonly<Record<string, string>> = {
  cgroups: `#subsys_name\thierarchy\tnum_cgroups\tenabled\n${CONTROLLERS.map((c) => `${c}\t0\t1\t1\n`).join('')}`,
  cmdline: `BOOT_IMAGE=/vmlinuz-${KERNEL_RELEASE} quiet\n`,
  consoles: '',
  crypto: '',
  diskstats: '',
  misc: '',
  modules: '',
  mtrr: '',
  partitions: 'major minor  #blocks  name\n\n',
  swaps: 'Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n',
  version: `${KERNEL_BANNER}\n`,
};

/** Made at each reading. */
export const SYSTEM_FILES: Readonly<Record<string, (kernel: Kernel, ns: PidNamespace, reader: Task) => Content>> = {
  cpuinfo,
  devices,
  filesystems: (kernel) => kernel.filesystems.text() + HIDDEN.map((name) => `nodev\t${name}\n`).join(''),
  interrupts,
  loadavg: (_kernel, ns) => loadavg(ns),
  meminfo,
  stat: systemStat,
  locks: locksText,
  uptime: (kernel, _ns, reader) => uptime(kernel, reader.namespaces.time.boottime),
  vmstat,
  zoneinfo,
};
