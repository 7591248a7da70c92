/** Who is at the other end of a unix socket (SO_PEERCRED, unix(7)). */
import type { Socket } from 'node:net';
import { host } from './host.ts';

// Host system call getsockopt, x86-64; socket(7).
const NR_getsockopt = 55;
const SOL_SOCKET = 1;
const SO_PEERCRED = 17;

export interface PeerCredentials {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

/** Null if `fd` is no connected unix socket. */
export function peerCredentialsOf(fd: number): PeerCredentials | null {
  const ucred = new Uint32Array(3);
  const length = new Uint32Array([12]);
  if (host.syscall(NR_getsockopt, fd, SOL_SOCKET, SO_PEERCRED, ucred, length) < 0 || length[0] !== 12) return null;
  return { pid: ucred[0] as number, uid: ucred[1] as number, gid: ucred[2] as number };
}

/** Node keeps the descriptor in the handle below the socket; null if there is none. */
export function peerCredentials(socket: Socket): PeerCredentials | null {
  const fd = (socket as unknown as { _handle?: { fd?: number } })._handle?.fd;
  return fd === undefined || fd < 0 ? null : peerCredentialsOf(fd);
}
