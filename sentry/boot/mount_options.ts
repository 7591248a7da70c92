/** Mount options as fstab and OCI specs write them: attributes of the mount, and what is left for the filesystem. */
import {
  MS_NOATIME,
  MS_NODEV,
  MS_NODIRATIME,
  MS_NOEXEC,
  MS_NOSUID,
  MS_NOSYMFOLLOW,
  MS_RDONLY,
  MS_RELATIME,
  MS_STRICTATIME,
} from '../vfs/path.ts';

export interface MountOptions {
  /** MS_* attributes. */
  readonly flags: number;
  /** For the filesystem: "mode=755,size=64k". */
  readonly data: string;
  readonly recursive: boolean;
}

/** Option → bits it sets, bits it clears. */
const FLAGS: Readonly<Record<string, readonly [set: number, clear: number]>> = {
  ro: [MS_RDONLY, 0],
  rw: [0, MS_RDONLY],
  nosuid: [MS_NOSUID, 0],
  suid: [0, MS_NOSUID],
  nodev: [MS_NODEV, 0],
  dev: [0, MS_NODEV],
  noexec: [MS_NOEXEC, 0],
  exec: [0, MS_NOEXEC],
  noatime: [MS_NOATIME, 0],
  atime: [0, MS_NOATIME],
  nodiratime: [MS_NODIRATIME, 0],
  diratime: [0, MS_NODIRATIME],
  relatime: [MS_RELATIME, 0],
  norelatime: [0, MS_RELATIME],
  strictatime: [MS_STRICTATIME, 0],
  nosymfollow: [MS_NOSYMFOLLOW, 0],
  symfollow: [0, MS_NOSYMFOLLOW],
};
/** Recursive forms, propagation, what concerns hosts alone, and what mount_tree.ts looks at. */
const WITHOUT_EFFECT: ReadonlySet<string> = new Set(
  (
    'bind rbind defaults private rprivate shared rshared slave rslave unbindable runbindable sync async dirsync mand nomand iversion noiversion ' +
    'tmpcopyup idmap ridmap lazytime nolazytime silent loud nofail user users auto noauto'
  ).split(' '),
);

export function parseMountOptions(options: readonly string[]): MountOptions {
  let flags = 0;
  let recursive = false;
  const data: string[] = [];
  for (const option of options) {
    const row = FLAGS[option] ?? (option.startsWith('r') ? FLAGS[option.slice(1)] : undefined);
    if (option === 'rbind') recursive = true;
    if (row !== undefined) flags = (flags | row[0]) & ~row[1];
    else if (option !== '' && !WITHOUT_EFFECT.has(option)) data.push(option);
  }
  return { flags, data: data.join(','), recursive };
}
