/** The container's control group on the host, version 1 or 2: sandbox, gofer and the application's processes live in it. */
import { existsSync, readFileSync, rmdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { CgroupV1 } from './cgroup_v1.ts';
import { CgroupV2 } from './cgroup_v2.ts';
import type { SpecResources } from './spec.ts';
import type { ContainerStats } from './types.ts';

/** Threads of the sandbox's and the gofer's own, which a limit on the container's processes must not count. */
export const OWN_THREADS = 48;

/** Paths of a group's files: what it may use, what it uses, and of what kind that is. */
export interface MemoryFiles {
  readonly limit: string;
  readonly usage: string;
  readonly stat: string;
}

export interface Cgroup {
  readonly version: 1 | 2;
  /** Folder in each hierarchy that is used. */
  readonly paths: readonly string[];
  /** Makes the folders and applies the limits. */
  create(resources: SpecResources | undefined): void;
  apply(resources: SpecResources): void;
  /** cgroup.procs files to write the pids of new members to. */
  procsFiles(): string[];
  stats(): Omit<ContainerStats, 'cgroupVersion' | 'network'>;
  /** File with the kinds of memory that it uses; null: its memory is not counted. */
  memoryStatFile(): string | null;
  /** Files of this group, and of those above it that have a limit, by which the sandbox keeps within its memory. */
  memoryFiles(): MemoryFiles[];
  /** Memory kills since it was made. */
  oomKills(): number;
  /** Member processes of the host. */
  pids(): number[];
}

/** One line of /proc/self/mountinfo, as far as cgroups need it. */
export interface CgroupMount {
  readonly mountPoint: string;
  readonly type: string;
  /** Of the filesystem: "rw,memory". */
  readonly options: readonly string[];
}

export function cgroupMounts(mountInfo = readFileSync('/proc/self/mountinfo', 'utf8')): CgroupMount[] {
  const mounts: CgroupMount[] = [];
  for (const line of mountInfo.split('\n')) {
    const [before, after] = line.split(' - ');
    if (before === undefined || after === undefined) continue;
    const [type, , options] = after.split(' ');
    if (type !== 'cgroup' && type !== 'cgroup2') continue;
    mounts.push({ mountPoint: before.split(' ')[4] as string, type, options: (options ?? '').split(',') });
  }
  return mounts;
}

/**
 * Path below each hierarchy's mount point. `path` is linux.cgroupsPath: absolute, relative to our own group, or "slice:prefix:name" as systemd
 * has it; absent: the id, below our own group.
 */
export function cgroupPath(path: string | undefined, id: string, own: string, systemd: boolean): string {
  if (path === undefined || path === '') return systemd ? systemdPath(`system.slice:runsc:${id}`) : `${own === '/' ? '' : own}/${id}`;
  if (systemd || /^[^/]*\.slice:[^:/]*:[^:/]+$/.test(path)) return systemdPath(path);
  const parts = path.split('/').filter((p) => p !== '' && p !== '.');
  if (parts.includes('..')) throw new Error(`linux.cgroupsPath: ${path} leaves its parent`);
  const absolute = `/${parts.join('/')}`;
  return path.startsWith('/') || own === '/' ? absolute : own + absolute;
}

/** "a-b.slice:cri:x" → "/a.slice/a-b.slice/cri-x.scope". */
function systemdPath(path: string): string {
  const [slice = '', prefix = '', name = ''] = path.split(':');
  if (name === '') throw new Error(`linux.cgroupsPath: ${path} is not of the form slice:prefix:name`);
  const stem = (slice === '' ? 'system.slice' : slice).replace(/\.slice$/, '');
  const folders = stem === '-' ? [] : stem.split('-').map((_, i, all) => `${all.slice(0, i + 1).join('-')}.slice`);
  const unit = name.endsWith('.slice') ? name : `${prefix === '' ? '' : `${prefix}-`}${name}.scope`;
  return `/${[...folders, unit].join('/')}`;
}

/** Null where the host has no cgroups. */
export function openCgroup(path: string | undefined, id: string, systemd: boolean): Cgroup | null {
  const mounts = cgroupMounts();
  const own = ownGroups();
  const v1 = mounts.filter((m) => m.type === 'cgroup');
  if (v1.length > 0) return new CgroupV1(v1, (controllers) => cgroupPath(path, id, own(controllers), systemd));
  const v2 = mounts.find((m) => m.type === 'cgroup2');
  return v2 === undefined ? null : new CgroupV2(v2.mountPoint, cgroupPath(path, id, own([]), systemd));
}

/** One that exists, from the folders that were stored. */
export function reopenCgroup(paths: readonly string[]): Cgroup | null {
  if (paths.length === 0) return null;
  const mounts = cgroupMounts().filter((m) => m.type === 'cgroup');
  const below = (m: CgroupMount): string | undefined => paths.find((p) => p.startsWith(`${m.mountPoint}/`))?.slice(m.mountPoint.length);
  const known = mounts.filter((m) => below(m) !== undefined);
  if (known.length > 0) return new CgroupV1(known, (_, mount) => below(mount) as string);
  const v2 = cgroupMounts().find((m) => m.type === 'cgroup2' && below(m) !== undefined);
  return v2 === undefined ? null : new CgroupV2(v2.mountPoint, below(v2) as string);
}

/** Our own group for a hierarchy's controllers (none: version 2). */
function ownGroups(): (controllers: readonly string[]) => string {
  const rows = readFileSync('/proc/self/cgroup', 'utf8')
    .split('\n')
    .map((line) => line.split(':'));
  return (controllers) => {
    const row = rows.find(([, list]) => (controllers.length === 0 ? list === '' : list?.split(',').some((c) => controllers.includes(c))));
    const path = row?.slice(2).join(':') ?? '/';
    return path.startsWith('/..') ? '/' : path;
  };
}

/** The kernel lets a group go when its last process has been reaped, a moment after it ended. */
export async function removeFolders(paths: readonly string[]): Promise<void> {
  for (const path of paths) {
    for (let delay = 1; existsSync(path); delay *= 2) {
      try {
        rmdirSync(path);
      } catch (e) {
        if ((e as NodeJS.ErrnoException).code === 'ENOENT') break;
        if (delay > 1000) throw new Error(`cannot remove cgroup ${path}: ${(e as Error).message}`);
        await sleep(delay);
      }
    }
  }
}
