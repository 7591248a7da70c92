/** Unix stream sockets as bare descriptors, for paths of any length: those beyond sun_path's 108 bytes go through the folder's descriptor. */
import { basename, dirname } from 'node:path';
import { EINVAL, type Errno, isErrno } from '../abi/errno.ts';
import { O_CLOEXEC, O_DIRECTORY, O_PATH } from '../abi/fcntl.ts';
import { host } from './host.ts';

// Host system calls, x86-64; unix(7).
const NR = { socket: 41, connect: 42, accept4: 288, bind: 49, listen: 50 } as const;
const AF_UNIX = 1;
export const SOCK_STREAM = 1;
export const SOCK_SEQPACKET = 5;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const SUN_PATH_MAX = 107;
const BACKLOG = 64;

/** A listening socket, non-blocking; the file must not exist. */
export function unixListen(path: string): number {
  const fd = withSocket(path, SOCK_NONBLOCK, NR.bind);
  if (isErrno(fd)) return fd;
  const listened = host.syscall(NR.listen, fd, BACKLOG);
  if (listened < 0) host.close(fd);
  return listened < 0 ? listened : fd;
}

/** Connected at once or not at all: a listener's queue answers, not its process. */
export function unixConnect(path: string): number {
  return withSocket(path, 0, NR.connect);
}

/** A connection of a listening socket, non-blocking; EAGAIN if none waits. */
export function accept(listener: number): number {
  return host.syscall(NR.accept4, listener, null, null, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

function withSocket(path: string, flags: number, call: number): number {
  const folder = Buffer.byteLength(path) > SUN_PATH_MAX ? host.openat(-100, dirname(path), O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
  const address = sockaddr(folder < 0 ? path : `/proc/self/fd/${folder}/${basename(path)}`);
  const fd = isErrno(address) ? address : host.syscall(NR.socket, AF_UNIX, SOCK_STREAM | flags | SOCK_CLOEXEC, 0);
  const done = isErrno(address) || fd < 0 ? fd : host.syscall(call, fd, address, address.length);
  if (folder >= 0) host.close(folder);
  if (done >= 0) return fd;
  if (fd >= 0) host.close(fd);
  return done;
}

function sockaddr(path: string): Uint8Array | Errno {
  const name = Buffer.from(path);
  if (name.length > SUN_PATH_MAX || name.includes(0)) return EINVAL;
  return Buffer.concat([Uint8Array.of(AF_UNIX, 0), name, Uint8Array.of(0)]);
}
