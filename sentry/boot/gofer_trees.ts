/** Filesystems that a container's gofer serves, overlaid with memory where changes are not meant to last. */
import { type Errno, isErrno } from '../../abi/errno.ts';
import type { MountMessage } from '../../proto/control.ts';
import { GoferClient } from '../fs/gofer/client.ts';
import { GoferFilesystem } from '../fs/gofer/filesystem.ts';
import { OverlayFs } from '../fs/overlay/overlay_fs.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { Filesystem } from '../vfs/inode.ts';
import type { ServedTrees } from './sandbox.ts';

/** Takes the connection over. */
export function connectGofer(kernel: Kernel, fd: number): ServedTrees | Errno {
  const client = GoferClient.connect(kernel.host, fd, kernel.log);
  return isErrno(client) ? client : { open: (mount) => openTree(kernel, client, mount) };
}

function openTree(kernel: Kernel, client: GoferClient, mount: MountMessage): Filesystem | Errno {
  // What lies under an overlay must not change: that is what `exclusive` says of the root and of nothing else.
  const readonly = mount.overlay || mount.options.includes('ro');
  const tree = GoferFilesystem.attach(kernel, client, { name: mount.attach, exclusive: !mount.shared, readonly });
  if (isErrno(tree) || !mount.overlay || mount.file) return tree;
  return new OverlayFs(kernel, kernel.uniqueId(), [tree.root]);
}
