/** socket(2) and the calls that name, connect and configure sockets. Transfers are in sys_sendmsg.ts. */
import { EBADF, EFAULT, EINVAL, ENOTSOCK, EOPNOTSUPP, type Errno, isErrno } from '../../abi/errno.ts';
import { O_NONBLOCK } from '../../abi/fcntl.ts';
import { AF_UNIX, SHUT_RDWR, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_TYPE_MASK, SOCKADDR_MAX, SOL_SOCKET, SOMAXCONN } from '../../abi/socket.ts';
import type { Task } from '../kernel/task.ts';
import type { Blocking, SyscallResult } from '../kernel/wait.ts';
import { Socket, socketFile } from '../socket/socket.ts';
import { acceptOn } from '../socket/socket_io.ts';
import { getSocketOption, setSocketOption } from '../socket/socket_options.ts';
import { makeUnixPair } from '../socket/unix/unix_family.ts';
import type { FileDescription } from '../vfs/file.ts';
import { addr, fd, flags, int, syscall, uint } from './definition.ts';
import { installFile } from './install_file.ts';

/** Longest option value that setsockopt(2) takes in: filters and lists; longer ones answer EINVAL. */
const OPTION_MAX = 2 << 20;

/** The socket of a descriptor: EBADF, ENOTSOCK. */
export function socketOf(file: FileDescription | Errno): Socket | Errno {
  if (typeof file === 'number') return file;
  if (file.isPath) return EBADF;
  return file.impl instanceof Socket ? file.impl : ENOTSOCK;
}

/** struct sockaddr from user memory. */
export function readSockaddr(task: Task, address: number, length: number): Uint8Array | Errno {
  if (length < 0 || length > SOCKADDR_MAX) return EINVAL;
  return task.readBytes(address, length);
}
/** Writes an address where the caller has room for *lengthAt bytes and tells the full length there. */
export function writeSockaddr(task: Task, name: Uint8Array, address: number, lengthAt: number): 0 | Errno {
  const room = task.readU32(lengthAt);
  if (room < 0) return EFAULT;
  if (room > 0x7fff_ffff) return EINVAL;
  return task.copyOut(address, name.subarray(0, room)) || task.writeU32(lengthAt, name.length);
}

/** SOCK_* flags of a type argument as O_*; EINVAL for unknown bits. */
function splitType(type: number): { kind: number; nonblock: number; cloexec: boolean } | Errno {
  if ((type & ~(SOCK_TYPE_MASK | SOCK_CLOEXEC | SOCK_NONBLOCK)) !== 0) return EINVAL;
  const nonblock = (type & SOCK_NONBLOCK) !== 0 ? O_NONBLOCK : 0;
  return { kind: type & SOCK_TYPE_MASK, nonblock, cloexec: (type & SOCK_CLOEXEC) !== 0 };
}

function socket(task: Task, family: number, type: number, protocol: number): number {
  const split = splitType(type);
  if (typeof split === 'number') return split;
  const made = task.kernel.socketFamilies.create(task, family, split.kind, protocol);
  return isErrno(made) ? made : installFile(task, socketFile(task.kernel, made, split.nonblock), split.cloexec);
}

function socketpair(task: Task, family: number, type: number, protocol: number, address: number): number {
  const split = splitType(type);
  if (typeof split === 'number') return split;
  if (family !== AF_UNIX) {
    const probe = task.kernel.socketFamilies.create(task, family, split.kind, protocol);
    return isErrno(probe) ? probe : EOPNOTSUPP;
  }
  const pair = makeUnixPair(task, split.kind, protocol);
  if (typeof pair === 'number') return pair;
  const [first, second] = pair.map((one) => socketFile(task.kernel, one, split.nonblock)) as [FileDescription, FileDescription];
  const a = installFile(task, first, split.cloexec);
  if (isErrno(a)) {
    second.release();
    return a;
  }
  const b = installFile(task, second, split.cloexec);
  const r = isErrno(b) ? b : task.copyOut(address, new Uint8Array(Int32Array.of(a, b).buffer));
  if (isErrno(r)) for (const number of [a, b]) removeFd(task, number);
  return r;
}
function removeFd(task: Task, number: number): void {
  const file = task.fds.remove(number);
  if (!isErrno(file)) file.release();
}

function bind(task: Task, number: number, address: number, length: number): number {
  const target = socketOf(task.fds.get(number));
  if (isErrno(target)) return target;
  const name = readSockaddr(task, address, length);
  return isErrno(name) ? name : target.bind(task, name);
}

function listen(task: Task, number: number, backlog: number): number {
  const target = socketOf(task.fds.get(number));
  if (isErrno(target)) return target;
  return target.listen(task, Math.min(backlog >>> 0, SOMAXCONN));
}

function connect(task: Task, number: number, address: number, length: number): SyscallResult {
  const file = task.fds.get(number);
  const target = socketOf(file);
  if (isErrno(target)) return target;
  const name = readSockaddr(task, address, length);
  return isErrno(name) ? name : target.connect(task, name, file as FileDescription);
}

function accept4(task: Task, number: number, address: number, lengthAt: number, flagBits: number): SyscallResult {
  if ((flagBits & ~(SOCK_CLOEXEC | SOCK_NONBLOCK)) !== 0) return EINVAL;
  const file = task.fds.get(number);
  const target = socketOf(file);
  if (isErrno(target)) return target;
  const result = acceptOn(task, file as FileDescription, target);
  if (typeof result === 'number' || result instanceof Socket) return accepted(task, result, address, lengthAt, flagBits);
  return (function* (): Blocking {
    return accepted(task, yield* result, address, lengthAt, flagBits);
  })();
}
function accepted(task: Task, connection: Socket | Errno, address: number, lengthAt: number, flagBits: number): number {
  if (isErrno(connection)) return connection;
  const file = socketFile(task.kernel, connection, (flagBits & SOCK_NONBLOCK) !== 0 ? O_NONBLOCK : 0);
  if (address !== 0) {
    const name = connection.peerName();
    const r = isErrno(name) ? name : writeSockaddr(task, name, address, lengthAt);
    if (r !== 0) {
      file.release();
      return r;
    }
  }
  return installFile(task, file, (flagBits & SOCK_CLOEXEC) !== 0);
}

function tellName(task: Task, number: number, address: number, lengthAt: number, peer: boolean): number {
  const target = socketOf(task.fds.get(number));
  if (isErrno(target)) return target;
  const name = peer ? target.peerName() : target.name();
  return isErrno(name) ? name : writeSockaddr(task, name, address, lengthAt);
}

function shutdown(task: Task, number: number, how: number): number {
  const target = socketOf(task.fds.get(number));
  if (isErrno(target)) return target;
  return how < 0 || how > SHUT_RDWR ? EINVAL : target.shutdown(task, how);
}

function setsockopt(task: Task, number: number, level: number, option: number, address: number, length: number): number {
  const target = socketOf(task.fds.get(number));
  if (isErrno(target)) return target;
  if (length < 0 || length > OPTION_MAX) return EINVAL;
  const value = task.readBytes(address, length);
  if (isErrno(value)) return value;
  return level === SOL_SOCKET ? setSocketOption(task, target, option, value) : target.setOption(task, level, option, value);
}

function getsockopt(task: Task, number: number, level: number, option: number, address: number, lengthAt: number): number {
  const target = socketOf(task.fds.get(number));
  if (isErrno(target)) return target;
  const room = task.readU32(lengthAt);
  if (room < 0) return EFAULT;
  if (room > 0x7fff_ffff) return EINVAL;
  const value = level === SOL_SOCKET ? getSocketOption(task, target, option) : target.getOption(task, level, option, { address, room });
  if (isErrno(value)) return value;
  const told = Math.min(room, value.length);
  return task.copyOut(address, value.subarray(0, told)) || task.writeU32(lengthAt, told);
}

export const SOCKET_CALLS = {
  socket: syscall({ x64: 41, man: 'socket(2)', args: [int, int, int], run: socket }),
  socketpair: syscall({ x64: 53, man: 'socketpair(2)', args: [int, int, int, addr], run: socketpair }),
  bind: syscall({ x64: 49, man: 'bind(2)', args: [fd, addr, int], run: bind }),
  listen: syscall({ x64: 50, man: 'listen(2)', args: [fd, uint], run: listen }),
  connect: syscall({ x64: 42, man: 'connect(2)', args: [fd, addr, int], run: connect }),
  accept: syscall({ x64: 43, man: 'accept(2)', args: [fd, addr, addr], run: (t, n, a, l) => accept4(t, n, a, l, 0) }),
  accept4: syscall({ x64: 288, man: 'accept(2)', args: [fd, addr, addr, flags], run: accept4 }),
  getsockname: syscall({ x64: 51, man: 'getsockname(2)', args: [fd, addr, addr], run: (t, n, a, l) => tellName(t, n, a, l, false) }),
  getpeername: syscall({ x64: 52, man: 'getpeername(2)', args: [fd, addr, addr], run: (t, n, a, l) => tellName(t, n, a, l, true) }),
  shutdown: syscall({ x64: 48, man: 'shutdown(2)', args: [fd, int], run: shutdown }),
  setsockopt: syscall({ x64: 54, man: 'setsockopt(2)', args: [fd, int, int, addr, int], run: setsockopt }),
  getsockopt: syscall({ x64: 55, man: 'getsockopt(2)', args: [fd, int, int, addr, addr], run: getsockopt }),
};
