/** FUSE for mount(2) and fsopen(2): "fuse", and "fuse.NAME" for a server that wants to be seen by its name. */
import { EINVAL, type Errno } from '../../../abi/errno.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import type { MountRequest } from '../../vfs/filesystem_types.ts';
import type { Filesystem } from '../../vfs/inode.ts';
import { FuseConnection } from './connection.ts';
import { deviceFor, registerFuseDevice } from './device.ts';
import { FuseFilesystem } from './filesystem.ts';
import { parseFuseOptions } from './mount_options.ts';

/** Call once, before the first container starts. */
export function registerFuse(kernel: Kernel): void {
  registerFuseDevice(kernel);
  kernel.filesystems.register('fuse', mountFuse, { subtypes: true });
}

function mountFuse(kernel: Kernel, { data, task, subtype }: MountRequest): Filesystem | Errno {
  if (task === null) return EINVAL; // a container's specification has no descriptor to name
  const { namespace } = task.creds;
  const options = parseFuseOptions(data, namespace);
  if (typeof options === 'number') return options;
  const device = deviceFor(task, options.fd);
  if (typeof device === 'number') return device;
  const shown = subtype === '' ? options : { ...options, subtype };
  const connection = new FuseConnection(kernel, shown, namespace, task.pidNamespace);
  const fs = new FuseFilesystem(kernel, connection);
  device.bind(connection);
  connection.start();
  return fs;
}
