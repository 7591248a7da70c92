/** What /dev of a container holds (the OCI runtime specification's default devices, fuse and net/tun), put into any filesystem that can hold nodes. */
import { EEXIST, type Errno, isErrno } from '../../../abi/errno.ts';
import { FUSE_MINOR, MISC_MAJOR } from '../../../abi/fuse.ts';
import { TUN_MINOR } from '../../../abi/if_tun.ts';
import { makedev, S_IFCHR, S_IFDIR, S_IFLNK } from '../../../abi/stat.ts';
import type { CreateOptions, Inode } from '../../vfs/inode.ts';
import { TTYAUX_MAJOR } from '../devpts/devpts.ts';
import { FULL_MINOR, MEM_MAJOR, NULL_MINOR, RANDOM_MINOR, URANDOM_MINOR, ZERO_MINOR } from './mem_devices.ts';
import { TTY_MINOR } from './register.ts';

interface Node {
  readonly name: string;
  readonly major: number;
  readonly minor: number;
  readonly mode: number;
}

const NODES: readonly Node[] = [
  { name: 'null', major: MEM_MAJOR, minor: NULL_MINOR, mode: 0o666 },
  { name: 'zero', major: MEM_MAJOR, minor: ZERO_MINOR, mode: 0o666 },
  { name: 'full', major: MEM_MAJOR, minor: FULL_MINOR, mode: 0o666 },
  { name: 'random', major: MEM_MAJOR, minor: RANDOM_MINOR, mode: 0o666 },
  { name: 'urandom', major: MEM_MAJOR, minor: URANDOM_MINOR, mode: 0o666 },
  { name: 'tty', major: TTYAUX_MAJOR, minor: TTY_MINOR, mode: 0o666 },
  { name: 'fuse', major: MISC_MAJOR, minor: FUSE_MINOR, mode: 0o666 },
];
const NET_NODE: Node = { name: 'tun', major: MISC_MAJOR, minor: TUN_MINOR, mode: 0o666 };
const LINKS: readonly (readonly [name: string, target: string])[] = [
  ['fd', '/proc/self/fd'],
  ['stdin', '/proc/self/fd/0'],
  ['stdout', '/proc/self/fd/1'],
  ['stderr', '/proc/self/fd/2'],
  ['core', '/proc/kcore'],
  ['ptmx', 'pts/ptmx'],
];
/** Mount points, and the place of NET_NODE. */
const NET = 'net';
const DIRECTORIES = ['pts', 'shm', 'mqueue', NET];

/** Fills a directory with what belongs to the given owner; what exists already stays as it is. The first other failure is returned. */
export function populateDev(root: Inode, { uid, gid }: Pick<CreateOptions, 'uid' | 'gid'>): 0 | Errno {
  const options = (mode: number): CreateOptions => ({ mode, uid, gid });
  const makeNode = (place: Inode, { name, major, minor, mode }: Node): 0 | Errno => {
    const r = place.mknod(name, options(S_IFCHR | mode), makedev(major, minor));
    return isErrno(r) && r !== EEXIST ? r : 0;
  };
  for (const node of NODES) {
    const r = makeNode(root, node);
    if (r !== 0) return r;
  }
  for (const name of DIRECTORIES) {
    const r = root.mkdir(name, options(S_IFDIR | (name === 'shm' ? 0o1777 : 0o755)));
    if (isErrno(r) && r !== EEXIST) return r;
  }
  for (const [name, target] of LINKS) {
    const r = root.symlink(name, target, options(S_IFLNK | 0o777));
    if (isErrno(r) && r !== EEXIST) return r;
  }
  const net = root.lookup(NET, null);
  return isErrno(net) ? net : makeNode(net, NET_NODE);
}
