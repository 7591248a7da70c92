/**
 * The daemon's socket, made with bare system calls: `start` binds and listens, the daemon inherits the descriptor, and
 * neither Node's net module nor a closing handle (which would unlink the path) has part in it.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, unlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { EADDRINUSE, EAGAIN, type Errno, isErrno } from '../abi/errno.ts';
import { O_CLOEXEC, O_DIRECTORY, O_RDONLY } from '../abi/fcntl.ts';
import { host } from '../lib/host.ts';

// Host system calls, x86-64.
const NR = { socket: 41, connect: 42, bind: 49, listen: 50, umask: 95, flock: 73 } as const;
const AF_UNIX = 1;
const SOCK_STREAM_CLOEXEC = 0o2000001;
const LOCK_EX_NB = 6;
const BACKLOG = 128;
/** sun_path holds 108 bytes; containerd's own limit is 106. */
const MAX_PATH = 106;
const FOLDER = '/run/containerd/s';
/** Longest wait for another `start` that is binding, ms. */
const LOCK_PATIENCE = 2000;
const AT_FDCWD = -100;

/** The path of the shim that serves `group` for the containerd at `address`. */
export function socketPath(address: string, namespace: string, group: string): string {
  const key = createHash('sha256')
    .update(join(address, namespace, group))
    .digest('hex');
  return join(FOLDER, key);
}

function sockaddr(path: string): Uint8Array {
  const bytes = Buffer.from(path, 'utf8');
  if (bytes.length === 0 || bytes.length > MAX_PATH) throw new Error(`socket path ${path} is longer than ${MAX_PATH} bytes`);
  const out = new Uint8Array(2 + bytes.length + 1);
  out[0] = AF_UNIX;
  out.set(bytes, 2);
  return out;
}

/** True if somebody answers there. */
export function connectable(path: string): boolean {
  const fd = host.syscall(NR.socket, AF_UNIX, SOCK_STREAM_CLOEXEC | 0o4000, 0);
  if (fd < 0) return false;
  const address = sockaddr(path);
  const r = host.syscall(NR.connect, fd, address, address.length);
  host.close(fd);
  return r === 0 || r === EAGAIN; // EAGAIN: alive, its backlog is full
}

/** A listening descriptor (mode 0600, close-on-exec), or null if a live shim has the path already. A dead one's socket is replaced. */
export function listenAt(path: string): number | null {
  mkdirSync(dirname(path), { recursive: true, mode: 0o711 });
  const lock = lockFolder(dirname(path));
  try {
    const first = bindAndListen(path);
    if (!isErrno(first)) return first;
    if (first !== EADDRINUSE) throw new Error(`listen at ${path}: errno ${-first}`);
    if (connectable(path)) return null;
    unlinkSync(path);
    const second = bindAndListen(path);
    if (isErrno(second)) throw new Error(`listen at ${path}: errno ${-second}`);
    return second;
  } finally {
    if (lock >= 0) host.close(lock);
  }
}

function bindAndListen(path: string): number | Errno {
  const fd = host.syscall(NR.socket, AF_UNIX, SOCK_STREAM_CLOEXEC, 0);
  if (fd < 0) return fd as Errno;
  const address = sockaddr(path);
  const umask = host.syscall(NR.umask, 0o177);
  let r = host.syscall(NR.bind, fd, address, address.length);
  host.syscall(NR.umask, umask);
  if (r === 0) r = host.syscall(NR.listen, fd, BACKLOG);
  if (r === 0) return fd;
  host.close(fd);
  return r as Errno;
}

/** Between another start's bind and listen its socket looks dead: only one at a time. The lock goes with the descriptor. */
function lockFolder(folder: string): number {
  const fd = host.openat(AT_FDCWD, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return fd;
  const sleeper = new Int32Array(new SharedArrayBuffer(4));
  for (let waited = 0; waited < LOCK_PATIENCE && host.syscall(NR.flock, fd, LOCK_EX_NB) < 0; waited += 5) Atomics.wait(sleeper, 0, 0, 5);
  return fd;
}
