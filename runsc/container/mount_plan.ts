/**
 * What a container's tree is made of: the spec's mounts in their order, and the host folders and files that its gofer serves. Only here are
 * paths of the host looked up; everybody else gets descriptors.
 */
import { isAbsolute, resolve } from 'node:path';
import { EINVAL, ENOSYS, errnoName } from '../../abi/errno.ts';
import { AT_EMPTY_PATH, AT_RECURSIVE, O_CLOEXEC, O_DIRECTORY, O_PATH } from '../../abi/fcntl.ts';
import { S_IFDIR, S_IFMT } from '../../abi/stat.ts';
import type { GoferOwners } from '../../lib/gofer_config.ts';
import { host } from '../../lib/host.ts';
import type { MountMessage } from '../../proto/control.ts';
import { type IdMappings, mappingMessages, mountMappings, namespaceMappings, ownersOf } from './id_mappings.ts';
import { rootfsPath } from './load_spec.ts';
import { type OverlaySetting, parseOverlay2 } from './overlay_setting.ts';
import type { Spec, SpecMount } from './spec.ts';
import { RuntimeError, type RuntimeSettings } from './types.ts';

// open_tree(2), statx(2), x86-64.
const NR_open_tree = 428;
const NR_statx = 332;
const NR_mount_setattr = 442;
const OPEN_TREE_CLONE = 1;
const MOUNT_ATTR_RDONLY = 1;
const MOUNT_ATTR_NODEV = 4;
const STATX_MODE_OFFSET = 28;
/** Most mounts of one container. */
const MAX_MOUNTS = 1000;

/** One tree that the gofer serves. */
export interface ServedTree {
  /** How the sandbox names it on the connection. */
  readonly attach: string;
  /** The folder or file itself; ours to close. */
  readonly fd: number;
  readonly readonly: boolean;
  /** Nobody on the host changes it while the container lives. */
  readonly exclusive: boolean;
  /** The sandbox may have its descriptor (directfs). */
  readonly direct: boolean;
  /** It gives room for nameless files of an overlay and shows nothing. */
  readonly store: boolean;
  /** Who may become owners of its files; null: everybody. */
  readonly owners: GoferOwners | null;
}

export interface MountPlan {
  /** The first is the root. */
  readonly mounts: MountMessage[];
  readonly trees: ServedTree[];
  close(): void;
}

const NOTHING: MountMessage = {
  destination: '',
  type: '',
  source: '',
  options: [],
  attach: '',
  file: false,
  shared: false,
  overlay: false,
  store: '',
  overlay_size: 0,
  uid_mappings: [],
  gid_mappings: [],
};

export type PlanSettings = Pick<RuntimeSettings, 'overlay2' | 'directfs'>;

/** @throws RuntimeError that names the mount; nothing stays open then. */
export function planMounts(bundle: string, spec: Spec, settings: PlanSettings): MountPlan {
  const builder = new PlanBuilder(bundle, settings, namespaceMappings(spec));
  try {
    builder.root(spec);
    if ((spec.mounts ?? []).length > MAX_MOUNTS) throw new RuntimeError('Invalid', `mounts: more than ${MAX_MOUNTS}`);
    for (const [i, mount] of (spec.mounts ?? []).entries()) builder.add(mount, i);
    return builder;
  } catch (e) {
    builder.close();
    throw e;
  }
}

class PlanBuilder implements MountPlan {
  readonly mounts: MountMessage[] = [];
  readonly trees: ServedTree[] = [];
  private readonly bundle: string;
  private readonly overlay: OverlaySetting;
  private readonly directfs: boolean;
  /** Of the container's user namespace. */
  private readonly users: IdMappings | null;

  constructor(bundle: string, { overlay2, directfs }: PlanSettings, users: IdMappings | null) {
    this.users = users;
    this.directfs = directfs;
    const overlay = parseOverlay2(overlay2);
    if (overlay === null) throw new RuntimeError('Invalid', `overlay2: ${overlay2} is no such setting`);
    this.overlay = overlay;
    this.bundle = bundle;
  }

  close(): void {
    for (const tree of this.trees.splice(0)) host.close(tree.fd);
  }

  root(spec: Spec): void {
    const readonly = spec.root.readonly === true;
    const path = rootfsPath(this.bundle, spec);
    // A read-only root takes a layer too: the places of mounts that it lacks are made there.
    const layered = readonly || this.overlay.root;
    // Where writes reach the host, so do those of others: `docker cp` changes the root of a container that runs.
    const exclusive = layered;
    const tree = this.serve(path, layered, exclusive, ownersOf(null, this.users), 'root.path');
    if (tree.file) throw new RuntimeError('Invalid', `root.path: ${path} is not a folder`);
    const options = [readonly ? 'ro' : 'rw'];
    this.mounts.push({
      ...NOTHING,
      destination: '/',
      type: 'gofer',
      source: 'none',
      options,
      attach: tree.attach,
      shared: !exclusive,
      ...this.layer(path, layered, 'root.path'),
    });
  }

  add(mount: SpecMount, index: number): void {
    const options = [...(mount.options ?? [])];
    const map = mountMappings(mount, isBind(mount), this.users, `mounts[${index}]`);
    // Some engines write relative destinations; they start at the root.
    const destination = isAbsolute(mount.destination) ? mount.destination : `/${mount.destination}`;
    if (!isBind(mount)) {
      this.mounts.push({ ...NOTHING, destination, type: mount.type ?? 'none', source: mount.source ?? mount.type ?? 'none', options });
      return;
    }
    if (mount.source === undefined || mount.source === '')
      throw new RuntimeError('Invalid', `mounts[${index}].source: is missing (a path)`);
    const source = isAbsolute(mount.source) ? mount.source : resolve(this.bundle, mount.source);
    const overlay = this.overlay.all && !options.includes('ro');
    const tree = this.serve(source, options.includes('ro') || overlay, false, ownersOf(map, this.users), `mounts[${index}].source`);
    // Docker and the kubelet rewrite what they mount (resolv.conf, secrets): the sandbox must look again.
    this.mounts.push({
      ...NOTHING,
      destination,
      type: 'gofer',
      source: 'none',
      options,
      attach: tree.attach,
      file: tree.file,
      shared: true,
      uid_mappings: mappingMessages(map?.uids ?? []),
      gid_mappings: mappingMessages(map?.gids ?? []),
      ...this.layer(source, overlay && !tree.file, `mounts[${index}].source`),
    });
  }

  /** The writable layer over a tree. */
  private layer(path: string, overlay: boolean, field: string): Pick<MountMessage, 'overlay' | 'store' | 'overlay_size'> {
    const { medium, dir, size } = this.overlay;
    if (!overlay) return { overlay, store: '', overlay_size: 0 };
    if (medium === 'memory') return { overlay, store: '', overlay_size: size };
    const place = medium === 'dir' ? dir : path;
    const fd = host.openat(-100, place, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) throw new RuntimeError('Invalid', `${field}: cannot open ${place} for its overlay: ${errnoName(fd)}`);
    const attach = String(this.trees.length);
    this.trees.push({ attach, fd, readonly: false, exclusive: false, direct: false, store: true, owners: null });
    return { overlay, store: attach, overlay_size: size };
  }

  private serve(
    path: string,
    readonly: boolean,
    exclusive: boolean,
    owners: GoferOwners | null,
    field: string,
  ): { attach: string; file: boolean } {
    const { fd, cloned } = openTree(path);
    if (fd < 0) throw new RuntimeError('Invalid', `${field}: cannot open ${path}: ${errnoName(fd)}`);
    const attach = String(this.trees.length);
    const file = !isFolder(fd);
    this.trees.push({
      attach,
      fd,
      readonly,
      exclusive,
      direct: this.directfs && !file && cloned && restrictTree(fd, readonly),
      store: false,
      owners,
    });
    return { attach, file };
  }
}

function isBind(mount: SpecMount): boolean {
  return mount.type === 'bind' || (mount.options ?? []).some((o) => o === 'bind' || o === 'rbind');
}

/** A detached copy of the mounts there, so that later changes of the host's mount table do not reach in; else the place itself. */
function openTree(path: string): { readonly fd: number; readonly cloned: boolean } {
  const name = Buffer.from(`${path}\0`);
  const fd = host.syscall(NR_open_tree, -100, name, OPEN_TREE_CLONE | O_CLOEXEC | AT_RECURSIVE);
  // EINVAL: a place that cannot be cloned (unbindable, or of another mount namespace such as a namespace file).
  const cloned = fd !== ENOSYS && fd !== EINVAL && fd !== -1;
  return { fd: cloned ? fd : host.openat(-100, path, O_PATH | O_CLOEXEC), cloned };
}

/** Makes a cloned tree one whose descriptor can be given away: no devices, and no writing if that is not meant. */
function restrictTree(fd: number, readonly: boolean): boolean {
  // struct mount_attr: attr_set, attr_clr, propagation, userns_fd
  const attributes = new Uint32Array(8);
  attributes[0] = MOUNT_ATTR_NODEV | (readonly ? MOUNT_ATTR_RDONLY : 0);
  return host.syscall(NR_mount_setattr, fd, Buffer.from('\0'), AT_EMPTY_PATH | AT_RECURSIVE, attributes, 32) === 0;
}

function isFolder(fd: number): boolean {
  const statx = new Uint8Array(256);
  host.syscall(NR_statx, fd, Buffer.from('\0'), AT_EMPTY_PATH, 1 /* STATX_TYPE */, statx);
  return (new DataView(statx.buffer).getUint16(STATX_MODE_OFFSET, true) & S_IFMT) === S_IFDIR;
}
