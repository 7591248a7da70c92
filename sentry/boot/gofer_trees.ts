/** Filesystems that a container's gofer serves, overlaid with memory where changes are not meant to last. */
import { type Errno, isErrno } from '../../abi/errno.ts';
import type { MountMessage } from '../../proto/control.ts';
import { GoferClient } from '../fs/gofer/client.ts';
import { GoferFilesystem } from '../fs/gofer/filesystem.ts';
import { FileStore } from '../fs/gofer/store.ts';
import { OverlayFs } from '../fs/overlay/overlay_fs.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { Filesystem } from '../vfs/inode.ts';
import type { BootConfig } from './config.ts';
import type { ServedTrees } from './sandbox.ts';

/** How much of the host's files the sandbox may have. */
type FileAccess = Pick<BootConfig, 'directfs' | 'hostSockets' | 'hostFifos'>;

/** Takes the connection over. */
export function connectGofer(kernel: Kernel, fd: number, access: FileAccess): ServedTrees | Errno {
  const client = GoferClient.connect(kernel.host, fd, kernel.log);
  return isErrno(client) ? client : { open: (mount) => openTree(kernel, client, mount, access) };
}

function openTree(kernel: Kernel, client: GoferClient, mount: MountMessage, access: FileAccess): Filesystem | Errno {
  // What lies under an overlay must not change: that is what `exclusive` says of the root and of nothing else.
  const readonly = mount.overlay || mount.options.includes('ro');
  const tree = GoferFilesystem.attach(kernel, client, {
    name: mount.attach,
    exclusive: !mount.shared,
    readonly,
    direct: access.directfs,
    hostSockets: access.hostSockets,
    hostFifos: access.hostFifos,
  });
  if (isErrno(tree) || !mount.overlay || mount.file) return tree;
  const store = mount.store === '' ? null : FileStore.attach(client, mount.store);
  if (isErrno(store)) return store;
  const size = mount.overlay_size === 0 ? null : mount.overlay_size;
  return new OverlayFs(kernel, kernel.uniqueId(), [tree.root], { size, inodes: null }, store);
}
