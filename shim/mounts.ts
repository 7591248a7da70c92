/** The mounts that make up a container's root filesystem, as containerd's snapshotters describe them. */
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { EINVAL, ENOENT, type Errno, isErrno } from '../abi/errno.ts';
import { host } from '../lib/host.ts';

// Host system calls, x86-64.
const NR = { mount: 165, umount2: 166 } as const;

// mount(2)
const MS_RDONLY = 1;
const MS_REMOUNT = 32;
const MS_BIND = 4096;
const MNT_DETACH = 2;
/** Propagation is a call of its own. */
const PROPAGATION = (1 << 17) | (1 << 18) | (1 << 19) | (1 << 20);
/** The kernel takes one page of options. */
const MAX_DATA = 4095;

export interface MountRequest {
  readonly type: string;
  readonly source: string;
  /** Beneath the root filesystem; empty: the root itself. */
  readonly target: string;
  readonly options: readonly string[];
}

/** containerd.types.Mount as decoded. */
export interface MountMessage {
  readonly type?: string | null;
  readonly source?: string | null;
  readonly target?: string | null;
  readonly options?: readonly string[] | null;
}

export function mountRequests(messages: readonly MountMessage[]): MountRequest[] {
  return messages.map((m) => ({ type: m.type ?? '', source: m.source ?? '', target: m.target ?? '', options: m.options ?? [] }));
}

/** mount(8)'s names of the flags: [set, clear]. */
const FLAGS: Readonly<Record<string, readonly [number, number]>> = {
  async: [0, 16],
  atime: [0, 1024],
  bind: [MS_BIND, 0],
  defaults: [0, 0],
  dev: [0, 4],
  diratime: [0, 2048],
  dirsync: [128, 0],
  exec: [0, 8],
  mand: [64, 0],
  noatime: [1024, 0],
  nodev: [4, 0],
  nodiratime: [2048, 0],
  noexec: [8, 0],
  nomand: [0, 64],
  norelatime: [0, 1 << 21],
  nostrictatime: [0, 1 << 24],
  nosuid: [2, 0],
  rbind: [MS_BIND | 16384, 0],
  relatime: [1 << 21, 0],
  remount: [MS_REMOUNT, 0],
  ro: [MS_RDONLY, 0],
  rw: [0, MS_RDONLY],
  strictatime: [1 << 24, 0],
  suid: [0, 2],
  sync: [16, 0],
  private: [1 << 18, 0],
  rprivate: [(1 << 18) | 16384, 0],
  rshared: [(1 << 20) | 16384, 0],
  rslave: [(1 << 19) | 16384, 0],
  shared: [1 << 20, 0],
  slave: [1 << 19, 0],
};

export interface ParsedOptions {
  readonly flags: number;
  readonly propagation: number;
  /** The options that the filesystem itself reads. */
  readonly data: readonly string[];
}

export function parseOptions(options: readonly string[]): ParsedOptions {
  let flags = 0;
  let propagation = 0;
  const data: string[] = [];
  for (const option of options) {
    const row = FLAGS[option];
    if (row === undefined || !Object.hasOwn(FLAGS, option)) {
      if (option !== '' && option !== 'loop') data.push(option);
    } else if ((row[0] & PROPAGATION) !== 0) {
      propagation |= row[0];
    } else {
      flags = (flags & ~row[1]) | row[0];
    }
  }
  return { flags, propagation, data };
}

/**
 * Overlays of many layers do not fit into a page: what the layers' paths have in common can become the working folder
 * during the call. Null where nothing is to be gained.
 */
export function shortenLayers(data: readonly string[]): { folder: string; data: string[] } | null {
  const at = data.findIndex((o) => o.startsWith('lowerdir='));
  if (at < 0 || data.join(',').length <= MAX_DATA) return null;
  const layers = (data[at] as string).slice('lowerdir='.length).split(':');
  let folder = layers[0] as string;
  for (const layer of layers) while (folder !== '' && !layer.startsWith(`${folder}/`)) folder = folder.slice(0, folder.lastIndexOf('/'));
  if (folder === '') return null;
  const out = [...data];
  out[at] = `lowerdir=${layers.map((l) => l.slice(folder.length + 1)).join(':')}`;
  return { folder, data: out };
}

function call(source: string, target: string, type: string, flags: number, data: string): number {
  const bytes = (s: string): Uint8Array => Buffer.from(`${s}\0`, 'utf8');
  return host.syscall(NR.mount, bytes(source), bytes(target), bytes(type), flags, data === '' ? null : bytes(data));
}

function mountOne(request: MountRequest, target: string): number {
  const { flags, propagation, data } = parseOptions(request.options);
  const short = shortenLayers(data);
  const options = (short === null ? data : short.data).join(',');
  if (options.length > MAX_DATA) return EINVAL;
  const before = process.cwd();
  if (short !== null) process.chdir(short.folder);
  let r: number;
  try {
    r = call(request.source, target, request.type, flags, options);
  } finally {
    if (short !== null) process.chdir(before);
  }
  // A bind mount takes no flags of its own: they need a second call.
  if (r === 0 && (flags & MS_BIND) !== 0 && (flags & ~(MS_BIND | 16384)) !== 0)
    r = call('', target, '', (flags & ~16384) | MS_REMOUNT | MS_BIND, '');
  if (r === 0 && propagation !== 0) r = call('', target, '', propagation, '');
  return r;
}

/** Mounts all of them in order; after a failure none is left. `target` is the bundle's rootfs. */
export function mountRootfs(requests: readonly MountRequest[], target: string): void {
  if (requests.length === 0) return;
  mkdirSync(target, { recursive: true, mode: 0o711 });
  for (const request of requests) {
    const r = mountOne(request, join(target, request.target));
    if (r === 0) continue;
    unmountRootfs(target);
    throw new Error(`mount ${request.type} ${request.source} on the root filesystem ${target}: errno ${-r}`);
  }
}

/** Takes away every mount on or beneath `target`; nothing there is no error. */
export function unmountRootfs(target: string): void {
  for (const point of mountsBeneath(target)) {
    for (let r: number | Errno = 0; r === 0; ) {
      r = host.syscall(NR.umount2, Buffer.from(`${point}\0`, 'utf8'), MNT_DETACH);
      if (isErrno(r) && r !== EINVAL && r !== ENOENT) throw new Error(`unmount ${point}: errno ${-r}`);
    }
  }
}

/** Innermost first. proc(5): a path's blanks are written as octal escapes. */
function mountsBeneath(target: string): string[] {
  const out: string[] = [];
  for (const line of readFileSync('/proc/self/mountinfo', 'utf8').split('\n')) {
    const escaped = line.split(' ')[4];
    if (escaped === undefined) continue;
    const point = escaped.replaceAll(/\\([0-7]{3})/g, (_m, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
    if (point === target || point.startsWith(`${target}/`)) out.push(point);
  }
  return [...new Set(out)].sort((a, b) => b.length - a.length);
}
