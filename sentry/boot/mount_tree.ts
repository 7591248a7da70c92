/**
 * Builds a container's mount namespace: root, the spec's mounts in their order, what every container expects and the spec does not name
 * (/proc, /dev), then read-only and masked paths.
 */
import { ENOENT, type Errno, errnoName, isErrno } from '../../abi/errno.ts';
import { makedev, S_IFCHR, S_IFIFO } from '../../abi/stat.ts';
import { fromUnicode } from '../../lib/byte_string.ts';
import type { IdMapping, MountMessage } from '../../proto/control.ts';
import type { Spec, SpecDevice } from '../../proto/oci_spec.ts';
import { populateDev } from '../fs/dev/populate.ts';
import { CopiedTmpFs } from '../fs/overlay/copied_tmpfs.ts';
import { parseTmpFsOptions } from '../fs/tmpfs/tmpfs.ts';
import type { Container } from '../kernel/container.ts';
import { type Credentials, rootOf } from '../kernel/credentials.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { IpcNamespace } from '../kernel/namespaces.ts';
import { IdMap, NO_ID, ROOT_USER_NAMESPACE, type UserNamespace } from '../kernel/user_namespace.ts';
import type { Filesystem } from '../vfs/inode.ts';
import { attach, bindMount, type MountNamespace, newMount, newNamespace, topOf } from '../vfs/mount.ts';
import { MountIdMap } from '../vfs/mount_id_map.ts';
import { inodeOf, type Mount, MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_RDONLY, mountAttributes, type VfsPath } from '../vfs/path.ts';
import { containerFilesystem } from './filesystems.ts';
import { parseMountOptions } from './mount_options.ts';
import { ensurePlace, find } from './mount_points.ts';

/** Opens a tree that the container's gofer serves. */
export type OpenServed = (mount: MountMessage) => Filesystem | Errno;

export class MountError extends Error {}

const NOTHING: Omit<MountMessage, 'destination' | 'type' | 'options'> = {
  source: '',
  attach: '',
  file: false,
  shared: false,
  overlay: false,
  store: '',
  overlay_size: 0,
  uid_mappings: [],
  gid_mappings: [],
};
/** What the spec may leave out. */
const DEFAULTS: readonly MountMessage[] = [
  { ...NOTHING, destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'nodev', 'noexec'] },
  { ...NOTHING, destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'] },
  {
    ...NOTHING,
    destination: '/dev/pts',
    type: 'devpts',
    source: 'devpts',
    options: ['nosuid', 'noexec', 'mode=0620', 'ptmxmode=0666', 'gid=5'],
  },
  { ...NOTHING, destination: '/dev/shm', type: 'tmpfs', source: 'shm', options: ['nosuid', 'nodev', 'noexec', 'mode=1777', 'size=65536k'] },
];

export interface MountInput {
  readonly kernel: Kernel;
  readonly container: Container;
  /** Whose message queues an mqueue mount shows. */
  readonly ipc: IpcNamespace;
  /** The container's. */
  readonly userNamespace: UserNamespace;
  readonly spec: Spec;
  /** The first is the root. */
  readonly mounts: readonly MountMessage[];
  /** It gets /dev/console. */
  readonly terminal: boolean;
  readonly open: OpenServed;
}

/** @throws MountError that names the mount. */
export function buildMounts(input: MountInput): MountNamespace {
  const { kernel, spec, terminal, open } = input;
  const [root, ...rest] = input.mounts;
  if (root === undefined) throw new MountError('the container has no root');
  const rootFs = open(root);
  if (isErrno(rootFs)) throw new MountError(`root filesystem: ${errnoName(rootFs)}`);
  const ns = newNamespace(kernel, rootFs, mountAttributes(0), root.source, input.userNamespace);
  const builder = new TreeBuilder(input, ns);
  for (const mount of withDefaults(rest)) builder.add(mount);
  builder.devices(spec.linux?.devices ?? [], terminal);
  for (const path of spec.linux?.readonlyPaths ?? []) builder.makeReadonly(path);
  for (const path of spec.linux?.maskedPaths ?? []) builder.mask(path);
  if (parseMountOptions(root.options).flags & MS_RDONLY) ns.root.flags |= MS_RDONLY;
  return ns;
}

/** Defaults come where the spec has nothing at their place; first, so that the spec's mounts can lie upon them. */
function withDefaults(mounts: readonly MountMessage[]): MountMessage[] {
  const clean = (path: string): string =>
    `/${path
      .split('/')
      .filter((p) => p !== '' && p !== '.')
      .join('/')}`;
  const named = new Set(mounts.map((m) => clean(m.destination)));
  const missing = DEFAULTS.filter((d) => !named.has(d.destination));
  const under = (path: string): MountMessage[] => missing.filter((d) => d.destination.startsWith(`${path}/`));
  const out = missing.filter((d) => !d.destination.startsWith('/dev/') || !named.has('/dev'));
  for (const mount of mounts) out.push(mount, ...(clean(mount.destination) === '/dev' ? under('/dev') : []));
  return out;
}

class TreeBuilder {
  private readonly input: MountInput;
  private readonly kernel: Kernel;
  private readonly ns: MountNamespace;
  /** The container's root. */
  private readonly creds: Credentials;

  constructor(input: MountInput, ns: MountNamespace) {
    this.creds = rootOf(input.userNamespace);
    this.input = input;
    this.kernel = input.kernel;
    this.ns = ns;
  }

  add(mount: MountMessage): void {
    const { flags, data } = parseMountOptions(mount.options);
    const place = ensurePlace(this.root, fromUnicode(mount.destination), this.creds, mount.file);
    this.check(mount, place, 'its place');
    const copied = mount.type === 'tmpfs' && mount.options.includes('tmpcopyup');
    const fs = copied
      ? this.copyOf(place as VfsPath, data)
      : mount.type === 'gofer'
        ? this.input.open(mount)
        : this.synthetic(mount.type, mount.source, data);
    this.check(mount, fs);
    const owner = mount.type === 'gofer' ? ROOT_USER_NAMESPACE : this.input.userNamespace;
    const attached = newMount(this.kernel, fs as Filesystem, mountAttributes(flags), fromUnicode(mount.source), owner);
    attached.idMap = idMapOf(mount);
    this.check(mount, attach(this.kernel, attached, place as VfsPath));
    if (mount.destination.replace(/\/+$/, '') === '/dev' && mount.type !== 'gofer')
      this.check(mount, populateDev((fs as Filesystem).root, this.creds));
  }

  private synthetic(type: string, source: string, data: string): Filesystem | Errno {
    return containerFilesystem(this.kernel, this.input.container, this.input.ipc, this.creds, { type, source, data });
  }

  /** tmpcopyup: a tmpfs that begins with what its place holds. What the options do not say of its root stays as it is there. */
  private copyOf(place: VfsPath, data: string): Filesystem | Errno {
    const options = parseTmpFsOptions(data);
    if (isErrno(options)) return options;
    const { mode, uid, gid } = options;
    const says = (key: string): boolean => data.split(',').some((part) => part.startsWith(`${key}=`));
    const given = { ...(says('mode') ? { mode } : {}), ...(says('uid') ? { uid } : {}), ...(says('gid') ? { gid } : {}) };
    return new CopiedTmpFs(this.kernel, this.kernel.uniqueId(), inodeOf(place), options, given);
  }

  private get root(): VfsPath {
    return this.ns.rootPath;
  }
  private check(mount: MountMessage, result: unknown, what = `type ${mount.type}`): void {
    if (isErrno(result))
      throw new MountError(`mount ${mount.destination} (${what}, options ${mount.options.join(',')}): ${errnoName(result)}`);
  }

  /** Fifos and nodes that the spec adds, these as far as a driver answers for them, and /dev/console. */
  devices(devices: readonly SpecDevice[], terminal: boolean): void {
    const wanted = devices.filter((d) => d.type === 'p' || (isCharacter(d) && this.hasDriver(d.major ?? -1)));
    const console: SpecDevice = { path: '/dev/console', type: 'c', major: 5, minor: 1, fileMode: 0o620 };
    for (const device of terminal ? [...wanted, console] : wanted) {
      const path = fromUnicode(device.path);
      const slash = path.lastIndexOf('/');
      const parent = ensurePlace(this.root, path.slice(0, slash), this.creds);
      if (isErrno(parent) || !isErrno(find(this.root, path))) continue;
      const mode = (isCharacter(device) ? S_IFCHR : S_IFIFO) | ((device.fileMode ?? 0o666) & 0o7777);
      const options = { mode, uid: this.kernelNumber('uids', device.uid), gid: this.kernelNumber('gids', device.gid) };
      const made = inodeOf(parent).mknod(path.slice(slash + 1), options, makedev(device.major ?? 0, device.minor ?? 0));
      // `find` has left a cached "no such file".
      if (!isErrno(made)) parent.dentry.children?.delete(path.slice(slash + 1));
    }
  }
  /** A device's owner whom the container does not know is its root. */
  private kernelNumber(map: 'uids' | 'gids', id = 0): number {
    const { namespace } = this.creds;
    const number = namespace[map].toKernel(id);
    return number === NO_ID ? namespace[map].toKernel(0) : number;
  }
  private hasDriver(major: number): boolean {
    for (const driver of this.kernel.devices.drivers()) if (driver.major === major) return true;
    return false;
  }

  makeReadonly(path: string): void {
    const place = find(this.root, fromUnicode(path));
    if (isErrno(place)) return; // nothing to protect
    const bound = bindMount(this.kernel, place, place, true);
    if (bound < 0) throw new MountError(`readonlyPaths: ${path}: ${errnoName(bound)}`);
    setReadonly(topOf(place).mount);
  }

  mask(path: string): void {
    const place = find(this.root, fromUnicode(path));
    if (isErrno(place)) return;
    const done = inodeOf(place).isDirectory ? this.maskFolder(place) : this.maskFile(place);
    if (done < 0) throw new MountError(`maskedPaths: ${path}: ${errnoName(done)}`);
  }
  private maskFolder(place: VfsPath): number {
    const empty = this.synthetic('tmpfs', 'tmpfs', 'mode=555,nr_inodes=1');
    if (isErrno(empty)) return empty;
    return attach(this.kernel, newMount(this.kernel, empty, MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, 'tmpfs'), place);
  }
  private maskFile(place: VfsPath): number {
    const nothing = find(this.root, '/dev/null');
    return isErrno(nothing) ? ENOENT : bindMount(this.kernel, nothing, place, false);
  }
}

/** "u": one that is not buffered, which none is. */
function isCharacter({ type }: SpecDevice): boolean {
  return type === 'c' || type === 'u';
}

/** Null: the mount shows owners as they are. */
function idMapOf({ uid_mappings, gid_mappings }: MountMessage): MountIdMap | null {
  if (uid_mappings.length + gid_mappings.length === 0) return null;
  const map = (mappings: readonly IdMapping[]): IdMap =>
    new IdMap(mappings.map(({ from, to, count }) => ({ inside: from, kernel: to, count })));
  return new MountIdMap(map(uid_mappings), map(gid_mappings));
}

function setReadonly(mount: Mount): void {
  mount.flags |= MS_RDONLY;
  for (const child of mount.children) setReadonly(child);
}

/** The devpts that /dev/pts shows; null if there is none. */
export function devptsMount(ns: MountNamespace): Mount | null {
  for (const mount of ns.mounts()) if (mount.fs.type === 'devpts') return mount;
  return null;
}
