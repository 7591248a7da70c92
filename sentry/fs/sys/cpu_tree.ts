/** /sys/devices/system/{cpu,node}: one socket of single-threaded cores, one memory node. */

import { cpuListText, cpuMaskText, cpuSetOf } from '../../kernel/cpu_set.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import { LazyDirectory, type StaticDirectory } from '../synthetic/directory.ts';
import { SyntheticFile, SyntheticLink } from '../synthetic/file.ts';

/** Caches that are shown; the last level's size is the processor's. */
interface Cache {
  readonly level: number;
  readonly type: 'Data' | 'Instruction' | 'Unified';
  /** KiB; null: as cpuinfo says. */
  readonly size: number | null;
  readonly ways: number;
  readonly shared: boolean;
}
const CACHES: readonly Cache[] = [
  { level: 1, type: 'Data', size: 32, ways: 8, shared: false },
  { level: 1, type: 'Instruction', size: 32, ways: 8, shared: false },
  { level: 2, type: 'Unified', size: 1024, ways: 16, shared: false },
  { level: 3, type: 'Unified', size: null, ways: 16, shared: true },
];
const LINE_SIZE = 64;
const DEFAULT_LAST_LEVEL = 16384;

/** /sys/devices/system/cpu. */
export function buildCpuTree(cpuDirectory: StaticDirectory, kernel: Kernel): void {
  const { cpus, possibleCpus, processor } = kernel.system;
  const possible = possibleCpus === 1 ? '0' : `0-${possibleCpus - 1}`;
  put(cpuDirectory, {
    online: cpuListText(cpuSetOf(cpus)),
    possible,
    present: possible,
    offline: '',
    isolated: '',
    nohz_full: '(null)',
    kernel_max: '8191',
    modalias: 'cpu:type:x86',
  });
  put(cpuDirectory.subdirectory('smt'), { active: '0', control: 'notsupported' });
  const lastLevel = Number(/^cache size\s*: (\d+) KB/m.exec(processor)?.[1] ?? DEFAULT_LAST_LEVEL);
  for (const i of cpus) {
    cpuDirectory.add(`cpu${i}`, new LazyDirectory(cpuDirectory.fs, (directory) => buildCpu(directory, i, kernel, lastLevel)));
  }
}

function buildCpu(directory: StaticDirectory, cpu: number, { system }: Kernel, lastLevel: number): void {
  const own = cpuMaskText(cpuSetOf([cpu]), system.possibleCpus);
  const set = cpuSetOf(system.cpus);
  const all = cpuMaskText(set, system.possibleCpus);
  const list = cpuListText(set);
  if (cpu > 0) put(directory, { online: '1' });
  put(directory.subdirectory('topology'), {
    core_id: String(cpu),
    cluster_id: '65535',
    die_id: '0',
    physical_package_id: '0',
    core_cpus: own,
    core_cpus_list: String(cpu),
    thread_siblings: own,
    thread_siblings_list: String(cpu),
    core_siblings: all,
    core_siblings_list: list,
    die_cpus: all,
    die_cpus_list: list,
    package_cpus: all,
    package_cpus_list: list,
  });
  for (const [i, { level, type, size, ways, shared }] of CACHES.entries()) {
    const kib = size ?? lastLevel;
    put(directory.subdirectory(`cache/index${i}`), {
      coherency_line_size: String(LINE_SIZE),
      id: shared ? '0' : String(cpu),
      level: String(level),
      number_of_sets: String(Math.floor((kib * 1024) / (ways * LINE_SIZE))),
      physical_line_partition: '1',
      shared_cpu_list: shared ? list : String(cpu),
      shared_cpu_map: shared ? all : own,
      size: `${kib}K`,
      type,
      ways_of_associativity: String(ways),
    });
  }
}

/** /sys/devices/system/node. */
export function buildNode(directory: StaticDirectory, kernel: Kernel): void {
  const { cpus, possibleCpus, memory } = kernel.system;
  put(directory, { online: '0', possible: '0', has_cpu: '0', has_memory: '0', has_normal_memory: '0' });
  const node = directory.subdirectory('node0');
  const kb = String(Math.floor(memory / 1024)).padStart(8);
  put(node, {
    cpulist: cpuListText(cpuSetOf(cpus)),
    cpumap: cpuMaskText(cpuSetOf(cpus), possibleCpus),
    distance: '10',
    meminfo: `Node 0 MemTotal:       ${kb} kB\nNode 0 MemFree:        ${kb} kB`,
  });
  put(node, { numastat: 'numa_hit 0\nnuma_miss 0\nnuma_foreign 0\ninterleave_hit 0\nlocal_node 0\nother_node 0' });
  for (const i of cpus) node.add(`cpu${i}`, new SyntheticLink(node.fs, `../../cpu/cpu${i}`));
}

/** Files of one line each (or more), without the final newline. */
export function put(directory: StaticDirectory, files: Readonly<Record<string, string>>): void {
  for (const [name, text] of Object.entries(files)) directory.add(name, new SyntheticFile(directory.fs, () => `${text}\n`));
}
