/** cgroups(7), version 2: one hierarchy. */
import { join } from 'node:path';
import type { Cgroup, MemoryFiles } from './cgroup.ts';
import { OWN_THREADS } from './cgroup.ts';
import { limitedGroups, makeGroup, readGroupFile, readGroupNumber, readGroupTable, readPids, writeGroupFile } from './cgroup_files.ts';
import type { SpecResources } from './spec.ts';

const WANTED = ['memory', 'cpu', 'cpuset', 'pids', 'io'];

export class CgroupV2 implements Cgroup {
  readonly version = 2;
  private readonly mountPoint: string;
  private readonly folder: string;

  constructor(mountPoint: string, path: string) {
    this.mountPoint = mountPoint;
    this.folder = join(mountPoint, path);
  }

  get paths(): readonly string[] {
    return [this.folder];
  }

  create(resources: SpecResources | undefined): void {
    makeGroup(this.folder);
    this.enableControllers();
    if (resources !== undefined) this.apply(resources);
  }

  apply(resources: SpecResources): void {
    const { memory, cpu, pids, unified } = resources;
    const unlimited = (n: number): number | string => (n < 0 ? 'max' : n);
    if (memory?.limit) this.set('memory.max', unlimited(memory.limit));
    if (memory?.reservation) this.set('memory.low', unlimited(memory.reservation));
    // The spec's swap is memory and swap together.
    if (memory?.swap) this.set('memory.swap.max', memory.swap < 0 ? 'max' : Math.max(0, memory.swap - (memory.limit ?? 0)));
    if (cpu?.shares) this.set('cpu.weight', weightOf(cpu.shares));
    if (cpu?.quota || cpu?.period) this.set('cpu.max', `${cpu.quota && cpu.quota > 0 ? cpu.quota : 'max'} ${cpu.period || 100_000}`);
    if (cpu?.idle) this.set('cpu.idle', cpu.idle);
    if (cpu?.cpus) this.set('cpuset.cpus', cpu.cpus);
    if (cpu?.mems) this.set('cpuset.mems', cpu.mems);
    if (pids) this.set('pids.max', pids.limit > 0 ? pids.limit + OWN_THREADS : 'max');
    for (const [file, value] of Object.entries(unified ?? {})) {
      if (file.includes('/')) throw new Error(`linux.resources.unified: ${file} is not a file's name`);
      this.set(file, value);
    }
  }

  procsFiles(): string[] {
    return [join(this.folder, 'cgroup.procs')];
  }
  memoryStatFile(): string | null {
    return readGroupFile(this.folder, 'memory.stat') === '' ? null : join(this.folder, 'memory.stat');
  }
  pids(): number[] {
    return readPids(this.folder);
  }
  memoryFiles(): MemoryFiles[] {
    return limitedGroups(this.folder, this.mountPoint, 'memory.max').map((group) => ({
      limit: join(group, 'memory.max'),
      usage: join(group, 'memory.current'),
      stat: join(group, 'memory.stat'),
    }));
  }
  oomKills(): number {
    return readGroupTable(this.folder, 'memory.events').get('oom_kill') ?? 0;
  }

  stats(): ReturnType<Cgroup['stats']> {
    const cpu = readGroupTable(this.folder, 'cpu.stat');
    const memory = readGroupTable(this.folder, 'memory.stat');
    const ns = (key: string): number => (cpu.get(key) ?? 0) * 1000;
    return {
      cpu: { total: ns('usage_usec'), user: ns('user_usec'), system: ns('system_usec') },
      memory: {
        usage: readGroupNumber(this.folder, 'memory.current'),
        limit: readGroupNumber(this.folder, 'memory.max', Number.POSITIVE_INFINITY),
        anon: memory.get('anon') ?? 0,
        inactiveFile: memory.get('inactive_file') ?? 0,
        oomKills: this.oomKills(),
      },
      pids: {
        current: readGroupNumber(this.folder, 'pids.current'),
        limit: readGroupNumber(this.folder, 'pids.max', Number.POSITIVE_INFINITY) - OWN_THREADS,
      },
    };
  }

  private set(file: string, value: string | number): void {
    writeGroupFile(this.folder, file, value);
  }

  /** A controller works in a group if every group above hands it down. Those that cannot be handed down show when a limit is set. */
  private enableControllers(): void {
    const parts = this.folder
      .slice(this.mountPoint.length)
      .split('/')
      .filter((p) => p !== '');
    let group = this.mountPoint;
    for (const part of parts) {
      const available = readGroupFile(group, 'cgroup.controllers').split(' ');
      const enabled = readGroupFile(group, 'cgroup.subtree_control').split(' ');
      for (const controller of WANTED.filter((c) => available.includes(c) && !enabled.includes(c))) {
        try {
          writeGroupFile(group, 'cgroup.subtree_control', `+${controller}`);
        } catch {
          // A group with processes of its own may not hand controllers down.
        }
      }
      group = join(group, part);
    }
  }
}

/** cpu.shares 2..262144 to cpu.weight 1..10000, linearly, as systemd and the OCI runtimes map it. */
export function weightOf(shares: number): number {
  return Math.max(1, Math.min(10_000, 1 + Math.floor(((shares - 2) * 9999) / 262_142)));
}
