/** The name of a place: getcwd(2), /proc/PID/{cwd,root,exe,fd,maps}, /proc/PID/mountinfo. */
import type { ByteString } from '../../lib/byte_string.ts';
import type { Dentry, VfsPath } from './path.ts';

/** Names from `root` down to `path`, and whether `root` was met on the way up. */
export function pathFromRoot(path: VfsPath, root: VfsPath | null): { readonly name: ByteString; readonly reachable: boolean } {
  let { mount, dentry } = path;
  let name = '';
  for (;;) {
    if (root !== null && dentry === root.dentry && mount === root.mount) return { name: name || '/', reachable: true };
    if (dentry === mount.root) {
      if (mount.parent === null) break;
      dentry = mount.mountpoint as Dentry;
      mount = mount.parent;
      continue;
    }
    // A filesystem's own root without a mount below it: anonymous files (their dentry is all the name they have).
    if (dentry.parent === null) break;
    name = `/${dentry.name}${name}`;
    dentry = dentry.parent;
  }
  return { name: name || '/', reachable: root === null };
}

/** As /proc shows it: " (deleted)" for what was removed, "(unreachable)" for what lies outside of `root`. */
export function pathName(path: VfsPath, root: VfsPath): ByteString {
  const { dentry, mount } = path;
  if (isAnonymous(path)) return dentry.name;
  const { name, reachable } = pathFromRoot(path, root);
  const shown = reachable || mount.parent === null ? name : `(unreachable)${name}`;
  return dentry.deleted ? `${shown} (deleted)` : shown;
}

/** A pipe, socket or other file without a place: its whole name is "pipe:[7]". */
function isAnonymous({ mount, dentry }: VfsPath): boolean {
  return dentry.parent === null && dentry !== mount.root && dentry.name !== '';
}
