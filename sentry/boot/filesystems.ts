/** Filesystems by the names that mount(2) and OCI specs use. */
import { EINVAL, type Errno, isErrno } from '../../abi/errno.ts';
import type { SpecResources } from '../../proto/oci_spec.ts';
import { CgroupFilesystem } from '../fs/cgroup/cgroup_filesystem.ts';
import { ContainerCgroup } from '../fs/cgroup/cgroup_provider.ts';
import { DevptsFilesystem, parseDevptsOptions } from '../fs/devpts/devpts.ts';
import { registerFuse } from '../fs/fuse/register.ts';
import { ProcFilesystem } from '../fs/proc/proc_filesystem.ts';
import { SysFilesystem } from '../fs/sys/sys_filesystem.ts';
import { registerTmpFs } from '../fs/tmpfs/register.ts';
import { TmpFs } from '../fs/tmpfs/tmpfs.ts';
import { type CgroupLimits, NO_LIMITS } from '../kernel/cgroup_limits.ts';
import type { Container } from '../kernel/container.ts';
import type { Credentials } from '../kernel/credentials.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { IpcNamespace } from '../kernel/namespaces.ts';
import { unixSocketTable } from '../socket/unix/proc_net_unix.ts';
import type { Filesystem } from '../vfs/inode.ts';

/** Call once, before the first container. */
export function registerFilesystems(kernel: Kernel): void {
  registerTmpFs(kernel);
  registerFuse(kernel);
  kernel.procNet.set('unix', (net) => unixSocketTable(kernel, net));
  const { filesystems } = kernel;
  filesystems.register('devpts', (_kernel, { data, creds }) => {
    const options = parseDevptsOptions(data, creds);
    return isErrno(options) ? EINVAL : new DevptsFilesystem(kernel.uniqueId(), kernel, options);
  });
  filesystems.register(
    'proc',
    (_kernel, { task }) => new ProcFilesystem(kernel.uniqueId(), kernel, task?.pidNamespace ?? kernel.rootPidNamespace),
  );
  filesystems.register('mqueue', (_kernel, { task }) => (task === null ? EINVAL : task.namespaces.ipc.mqueue(kernel)));
  filesystems.register('sysfs', () => new SysFilesystem(kernel.uniqueId(), kernel));
  filesystems.register('cgroup2', (_kernel, { task }) => (task === null ? EINVAL : cgroupOf(kernel, task.group.container)));
}

/** A mount of a container's specification, made as `creds`: proc and cgroup are about the container. ENODEV: no such type; EINVAL: it does not know an option. */
export function containerFilesystem(
  kernel: Kernel,
  container: Container,
  ipc: IpcNamespace,
  creds: Credentials,
  mount: { readonly type: string; readonly source: string; readonly data: string },
): Filesystem | Errno {
  const { type, source, data } = mount;
  if (type === 'proc') return new ProcFilesystem(kernel.uniqueId(), kernel, container.pidNamespace);
  // Version 1 is not to be had: what asks for it gets the one group of version 2.
  if (type === 'cgroup' || type === 'cgroup2') return cgroupOf(kernel, container);
  if (type === 'mqueue') return ipc.mqueue(kernel);
  const fs = kernel.filesystems.make(type, kernel, { source, data, task: null, creds });
  if (fs instanceof TmpFs) fs.countFor(container.memory);
  return fs;
}

function cgroupOf(kernel: Kernel, container: Container): Filesystem {
  return new CgroupFilesystem(kernel.uniqueId(), kernel, container, new ContainerCgroup(container));
}

/** linux.resources, as the container's own cgroup files show them. What they do not say stays as it was. */
export function cgroupLimits(resources: SpecResources | undefined, before: CgroupLimits = NO_LIMITS): CgroupLimits {
  const { memory, cpu, pids } = resources ?? {};
  /** 0 and nothing: the specification does not say. Below: no limit. */
  const changed = (value: number | undefined, old: number | null): number | null => (value ? (value > 0 ? value : null) : old);
  const limit = changed(memory?.limit, before.memory);
  // The specification's swap is memory and swap together.
  const both = changed(memory?.swap, before.swap === null ? null : before.swap + (before.memory ?? 0));
  return {
    memory: limit,
    swap: both === null ? null : Math.max(0, both - (limit ?? 0)),
    cpuQuota: changed(cpu?.quota, before.cpuQuota),
    cpuPeriod: cpu?.period || before.cpuPeriod,
    cpuWeight: cpu?.shares ? Math.max(1, Math.min(10_000, 1 + Math.floor(((cpu.shares - 2) * 9999) / 262_142))) : before.cpuWeight,
    pids: changed(pids?.limit, before.pids),
  };
}
