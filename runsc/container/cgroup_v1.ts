/** cgroups(7), version 1: one hierarchy a controller (or a few). */
import { join } from 'node:path';
import type { Cgroup, CgroupMount, MemoryFiles } from './cgroup.ts';
import { OWN_THREADS } from './cgroup.ts';
import { limitedGroups, makeGroup, readGroupFile, readGroupNumber, readGroupTable, readPids, writeGroupFile } from './cgroup_files.ts';
import type { SpecResources } from './spec.ts';

const CONTROLLERS = [
  'memory',
  'cpu',
  'cpuacct',
  'cpuset',
  'pids',
  'devices',
  'freezer',
  'blkio',
  'net_cls',
  'net_prio',
  'perf_event',
  'hugetlb',
];
/** cpuacct.stat counts in USER_HZ. */
const NS_PER_TICK = 1e7;

interface Hierarchy {
  readonly controllers: readonly string[];
  readonly mountPoint: string;
  readonly folder: string;
}

export class CgroupV1 implements Cgroup {
  readonly version = 1;
  private readonly hierarchies: readonly Hierarchy[];

  constructor(mounts: readonly CgroupMount[], path: (controllers: readonly string[], mount: CgroupMount) => string) {
    this.hierarchies = mounts.map((mount) => {
      const named = mount.options.filter((o) => o.startsWith('name='));
      const controllers = [...mount.options.filter((o) => CONTROLLERS.includes(o)), ...named];
      return { controllers, mountPoint: mount.mountPoint, folder: join(mount.mountPoint, path(controllers, mount)) };
    });
  }

  get paths(): readonly string[] {
    return this.hierarchies.map((h) => h.folder);
  }

  create(resources: SpecResources | undefined): void {
    for (const h of this.hierarchies) {
      makeGroup(h.folder);
      if (h.controllers.includes('cpuset')) inheritCpuset(h.mountPoint, h.folder);
    }
    if (resources !== undefined) this.apply(resources);
  }

  apply(resources: SpecResources): void {
    const { memory, cpu, pids } = resources;
    if (memory !== undefined) this.applyMemory(memory);
    this.set('cpu', 'cpu.shares', cpu?.shares);
    // The kernel checks quota against period: whichever order it accepts.
    if (cpu?.quota !== undefined && cpu.quota <= 0) this.set('cpu', 'cpu.cfs_quota_us', -1);
    this.set('cpu', 'cpu.cfs_period_us', cpu?.period);
    if (cpu?.quota !== undefined && cpu.quota > 0) this.set('cpu', 'cpu.cfs_quota_us', cpu.quota);
    this.set('cpuset', 'cpuset.cpus', cpu?.cpus);
    this.set('cpuset', 'cpuset.mems', cpu?.mems);
    if (pids !== undefined) this.set('pids', 'pids.max', pids.limit > 0 ? pids.limit + OWN_THREADS : 'max');
  }

  procsFiles(): string[] {
    return this.hierarchies.map((h) => join(h.folder, 'cgroup.procs'));
  }
  memoryStatFile(): string | null {
    const folder = this.folder('memory');
    return folder === '' ? null : join(folder, 'memory.stat');
  }
  pids(): number[] {
    return readPids(this.hierarchies[0]?.folder ?? '');
  }
  memoryFiles(): MemoryFiles[] {
    const memory = this.hierarchies.find((h) => h.controllers.includes('memory'));
    if (memory === undefined) return [];
    return limitedGroups(memory.folder, memory.mountPoint, 'memory.limit_in_bytes').map((group) => ({
      limit: join(group, 'memory.limit_in_bytes'),
      usage: join(group, 'memory.usage_in_bytes'),
      stat: join(group, 'memory.stat'),
    }));
  }
  oomKills(): number {
    return readGroupTable(this.folder('memory'), 'memory.oom_control').get('oom_kill') ?? 0;
  }

  stats(): ReturnType<Cgroup['stats']> {
    const cpuacct = this.folder('cpuacct');
    const memory = this.folder('memory');
    const ticks = readGroupTable(cpuacct, 'cpuacct.stat');
    const table = readGroupTable(memory, 'memory.stat');
    const limit = readGroupNumber(this.folder('pids'), 'pids.max', Number.POSITIVE_INFINITY);
    return {
      cpu: {
        total: readGroupNumber(cpuacct, 'cpuacct.usage'),
        user: (ticks.get('user') ?? 0) * NS_PER_TICK,
        system: (ticks.get('system') ?? 0) * NS_PER_TICK,
      },
      memory: {
        usage: readGroupNumber(memory, 'memory.usage_in_bytes'),
        limit: readGroupNumber(memory, 'memory.limit_in_bytes', Number.POSITIVE_INFINITY),
        anon: table.get('total_rss') ?? 0,
        inactiveFile: table.get('total_inactive_file') ?? 0,
        oomKills: this.oomKills(),
      },
      pids: { current: readGroupNumber(this.folder('pids'), 'pids.current'), limit: limit - OWN_THREADS },
    };
  }

  /** Memory and memory+swap limits are checked against each other: the growing one goes first. */
  private applyMemory(memory: NonNullable<SpecResources['memory']>): void {
    const { limit, swap } = memory;
    const folder = this.folder('memory');
    const now = readGroupNumber(folder, 'memory.memsw.limit_in_bytes', Number.POSITIVE_INFINITY);
    const swapFirst = swap !== undefined && limit !== undefined && (swap === -1 || swap > now);
    const hasSwap = readGroupFile(folder, 'memory.memsw.limit_in_bytes') !== '';
    if (swapFirst && hasSwap) this.set('memory', 'memory.memsw.limit_in_bytes', swap);
    this.set('memory', 'memory.limit_in_bytes', limit);
    if (!swapFirst && hasSwap) this.set('memory', 'memory.memsw.limit_in_bytes', swap);
    this.set('memory', 'memory.soft_limit_in_bytes', memory.reservation);
    if (memory.disableOOMKiller === true) this.set('memory', 'memory.oom_control', 1);
  }

  private folder(controller: string): string {
    return this.hierarchies.find((h) => h.controllers.includes(controller))?.folder ?? '';
  }
  /** 0 and "" mean that the spec does not say. @throws Error if the host lacks the controller. */
  private set(controller: string, file: string, value: number | string | undefined): void {
    if (value === undefined || value === 0 || value === '') return;
    const folder = this.folder(controller);
    if (folder === '') throw new Error(`cannot set ${file}: the host has no cgroup controller ${controller}`);
    writeGroupFile(folder, file, value);
  }
}

/** A cpuset group takes no process before its CPUs and memory nodes are set: those of its parent. */
function inheritCpuset(mountPoint: string, folder: string): void {
  const parts = folder
    .slice(mountPoint.length)
    .split('/')
    .filter((p) => p !== '');
  let parent = mountPoint;
  for (const part of parts) {
    const child = join(parent, part);
    for (const file of ['cpuset.cpus', 'cpuset.mems']) {
      if (readGroupFile(child, file) === '') writeGroupFile(child, file, readGroupFile(parent, file));
    }
    parent = child;
  }
}
