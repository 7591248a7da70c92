/** proc, sysfs, devpts and cgroup2 as mount(2) and container specifications ask for them. */
import { EINVAL, ENODEV, EPERM, type Errno, isErrno } from '../../abi/errno.ts';
import type { Container } from '../kernel/container.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { PidNamespace } from '../kernel/pid_namespace.ts';
import { unixSocketTable } from '../socket/unix/proc_net_unix.ts';
import type { Filesystem } from '../vfs/inode.ts';
import { CgroupFilesystem } from './cgroup/cgroup_filesystem.ts';
import { ContainerCgroup } from './cgroup/cgroup_provider.ts';
import { DevptsFilesystem, parseDevptsOptions } from './devpts/devpts.ts';
import { ProcFilesystem } from './proc/proc_filesystem.ts';
import { SysFilesystem } from './sys/sys_filesystem.ts';

/** Whose view a filesystem shows. */
export interface Viewpoint {
  readonly pidNamespace: PidNamespace;
  readonly container: Container;
}

/** `data`: options that are no mount attributes. ENODEV: none of these types; EINVAL: an unknown option. */
export function containerFilesystem(
  kernel: Kernel,
  type: string,
  data: string,
  { pidNamespace, container }: Viewpoint,
): Filesystem | Errno {
  switch (type) {
    case 'proc':
      return procOf(kernel, pidNamespace, data);
    case 'sysfs':
      return new SysFilesystem(kernel.uniqueId(), kernel);
    case 'devpts': {
      const options = parseDevptsOptions(data);
      return isErrno(options) ? options : new DevptsFilesystem(kernel.uniqueId(), kernel, options);
    }
    case 'cgroup': // a specification's word for whatever version there is
    case 'cgroup2':
      return new CgroupFilesystem(kernel.uniqueId(), kernel, container, new ContainerCgroup(container));
    default:
      return ENODEV;
  }
}

/** All mounts about one pid namespace show one filesystem, as on Linux before its mount options became private. */
function procOf(kernel: Kernel, ns: PidNamespace, data: string): Filesystem | Errno {
  for (const option of data.split(',')) if (option !== '' && !/^(hidepid|gid|subset)=\w+$/.test(option)) return EINVAL;
  ns.proc ??= new ProcFilesystem(kernel.uniqueId(), kernel, ns);
  return ns.proc;
}

/** Makes the types known to mount(2), and what the kernel itself has to show in them. Call once, at boot. */
export function registerContainerFilesystems(kernel: Kernel): void {
  kernel.procNet.set('unix', (net) => unixSocketTable(kernel, net));
  for (const type of ['proc', 'sysfs', 'devpts', 'cgroup2']) {
    kernel.filesystems.register(type, (_kernel, { data, task }) => {
      if (task === null) return EPERM; // boot says whose view it means
      return containerFilesystem(kernel, type, data, { pidNamespace: task.pidNamespace, container: task.group.container });
    });
  }
}
