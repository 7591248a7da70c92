/** The texts of /proc/PID/mounts, mountinfo and mountstats (proc_pid_mountinfo(5)). */
import type { ByteString } from '../../lib/byte_string.ts';
import { isReachable, type MountNamespace } from './mount.ts';
import {
  type Dentry,
  type Mount,
  MS_NOATIME,
  MS_NODEV,
  MS_NODIRATIME,
  MS_NOEXEC,
  MS_NOSUID,
  MS_NOSYMFOLLOW,
  MS_RDONLY,
  MS_RELATIME,
  type VfsPath,
} from './path.ts';
import { pathFromRoot } from './path_name.ts';

const OPTION_NAMES: readonly (readonly [number, string])[] = [
  [MS_NOSUID, 'nosuid'],
  [MS_NODEV, 'nodev'],
  [MS_NOEXEC, 'noexec'],
  [MS_NOATIME, 'noatime'],
  [MS_NODIRATIME, 'nodiratime'],
  [MS_RELATIME, 'relatime'],
  [MS_NOSYMFOLLOW, 'nosymfollow'],
];

/** "rw,nosuid,nodev". */
export function mountOptions({ flags, idMap }: Pick<Mount, 'flags' | 'idMap'>): string {
  let text = (flags & MS_RDONLY) !== 0 ? 'ro' : 'rw';
  for (const [bit, name] of OPTION_NAMES) if ((flags & bit) !== 0) text += `,${name}`;
  return idMap === null ? text : `${text},idmapped`;
}

/** Space, tab, newline and backslash as octal escapes. */
function escapeField(text: ByteString): ByteString {
  return text.replace(/[ \t\n\\#]/g, (c) => `\\${c.charCodeAt(0).toString(8).padStart(3, '0')}`);
}

/** Where `mount` is seen from `root`, or null if it is not. */
function pointOf(mount: Mount, root: VfsPath): ByteString | null {
  if (mount === root.mount) return '/';
  const place = { mount, dentry: mount.root };
  return isReachable(place, root) ? pathFromRoot(place, root).name : null;
}

/** Path of a bind mount's source within its filesystem. */
function rootWithin(mount: Mount): ByteString {
  let name = '';
  for (let d: Dentry = mount.root; d.parent !== null; d = d.parent) name = `/${d.name}${name}`;
  return name === '' ? '/' : mount.root.deleted ? `${name}//deleted` : name;
}

function superOptions(mount: Mount): string {
  const options = mount.fs.options();
  const access = (mount.flags & MS_RDONLY) !== 0 ? 'ro' : 'rw';
  return options === '' ? access : `${access},${options}`;
}

function propagationField(mount: Mount): string {
  const shared = mount.group === null ? '' : `shared:${mount.group.id} `;
  const master = mount.master === null ? '' : `master:${mount.master.id} `;
  return shared + master + (mount.unbindable ? 'unbindable ' : '');
}

/** /proc/PID/mounts (and /etc/mtab): `root` is the process's root. */
export function mountsText(ns: MountNamespace, root: VfsPath): ByteString {
  let text = '';
  for (const mount of ns.mounts()) {
    const point = pointOf(mount, root);
    if (point === null) continue;
    const options = mount.fs.options();
    const all = mountOptions(mount) + (options === '' ? '' : `,${options}`);
    text += `${escapeField(mount.source)} ${escapeField(point)} ${mount.fs.type} ${all} 0 0\n`;
  }
  return text;
}

/** /proc/PID/mountinfo. */
export function mountInfoText(ns: MountNamespace, root: VfsPath): ByteString {
  let text = '';
  for (const mount of ns.mounts()) {
    const point = pointOf(mount, root);
    if (point === null) continue;
    const { dev, type } = mount.fs;
    const place = `${mount.id} ${mount.parent?.id ?? ns.id} 0:${dev} ${escapeField(rootWithin(mount))} ${escapeField(point)}`;
    text += `${place} ${mountOptions(mount)} ${propagationField(mount)}- ${type} ${escapeField(mount.source)} ${superOptions(mount)}\n`;
  }
  return text;
}

/** /proc/PID/mountstats. */
export function mountStatsText(ns: MountNamespace, root: VfsPath): ByteString {
  let text = '';
  for (const mount of ns.mounts()) {
    const point = pointOf(mount, root);
    if (point !== null) text += `device ${escapeField(mount.source)} mounted on ${escapeField(point)} with fstype ${mount.fs.type}\n`;
  }
  return text;
}
