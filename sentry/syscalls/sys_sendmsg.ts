/** send(2), recv(2) and their many-argument forms. */
import { EFAULT, EINVAL, EMSGSIZE, ENOBUFS, EOPNOTSUPP, type Errno, isErrno } from '../../abi/errno.ts';
import {
  MMSGHDR_SIZE,
  MSG_CMSG_CLOEXEC,
  MSG_DONTWAIT,
  MSG_OOB,
  MSG_WAITFORONE,
  Msghdr,
  type MsghdrValue,
  SOCKADDR_MAX,
} from '../../abi/socket.ts';
import { getLen64, setLen64 } from '../../abi/struct.ts';
import { type Task, UIO_MAXIOV } from '../kernel/task.ts';
import { TimeShare } from '../kernel/time_share.ts';
import type { Blocking, SyscallResult } from '../kernel/wait.ts';
import { ControlWriter, deliverControl, dropFiles, parseControl } from '../socket/control_message.ts';
import { IncomingMessage, type OutgoingMessage, type Socket } from '../socket/socket.ts';
import { receiveOn, sendOn } from '../socket/socket_io.ts';
import type { FileDescription } from '../vfs/file.ts';
import type { UserBuffer } from '../vfs/io.ts';
import { addr, fd, flags, int, size, syscall, uint } from './definition.ts';
import { readSockaddr, socketOf, writeSockaddr } from './sys_socket.ts';
import { readTimespec } from './user_time.ts';

/** net.core.optmem_max: largest ancillary data of one send. A receiver's buffer beyond it is not filled. */
const OPTMEM_MAX = 131_072;
const MSG_COMPAT = 0x8000_0000 | 0;
const FLAGS_OFFSET = 48;
const CONTROLLEN_OFFSET = 40;
const MSG_LEN_OFFSET = 56;

/** A descriptor's file and socket. */
function lookUp(task: Task, number: number): { file: FileDescription; socket: Socket } | Errno {
  const file = task.fds.get(number);
  const socket = socketOf(file);
  return isErrno(socket) ? socket : { file: file as FileDescription, socket };
}

function sendto(
  task: Task,
  number: number,
  address: number,
  length: number,
  bits: number,
  nameAt: number,
  nameLength: number,
): SyscallResult {
  const target = lookUp(task, number);
  if (typeof target === 'number') return target;
  const data = task.userBuffer(address, length);
  if (isErrno(data)) return data;
  const name = nameAt === 0 ? null : readSockaddr(task, nameAt, nameLength);
  if (isErrno(name)) return name;
  return send(task, target.file, target.socket, { data, name, control: null, flags: bits });
}

function send(task: Task, file: FileDescription, socket: Socket, message: OutgoingMessage): SyscallResult {
  if ((message.flags & MSG_OOB) !== 0 && !socket.supportsOutOfBand) return EOPNOTSUPP;
  return sendOn(task, file, socket, message);
}

/** By hand: this is the busiest struct of all. */
function readHeader(task: Task, address: number): MsghdrValue | Errno {
  const { scratch64, scratch64View: view } = task.kernel;
  if (task.userMemory.read(address, scratch64, 0, Msghdr.size) !== Msghdr.size) return EFAULT;
  return {
    msg_name: getLen64(view, 0),
    msg_namelen: view.getUint32(8, true),
    msg_iov: getLen64(view, 16),
    msg_iovlen: getLen64(view, 24),
    msg_control: getLen64(view, 32),
    msg_controllen: getLen64(view, CONTROLLEN_OFFSET),
    msg_flags: view.getInt32(FLAGS_OFFSET, true),
  };
}
function vectorOf(task: Task, header: MsghdrValue): UserBuffer | Errno {
  return header.msg_iovlen > UIO_MAXIOV ? EMSGSIZE : task.userVector(header.msg_iov, header.msg_iovlen);
}

function sendMessage(task: Task, file: FileDescription, socket: Socket, header: MsghdrValue, bits: number): SyscallResult {
  const data = vectorOf(task, header);
  if (isErrno(data)) return data;
  const hasName = header.msg_name !== 0 && header.msg_namelen > 0;
  const name = hasName ? readSockaddr(task, header.msg_name, Math.min(header.msg_namelen | 0, SOCKADDR_MAX)) : null;
  if (isErrno(name)) return name;
  if (header.msg_controllen > OPTMEM_MAX) return ENOBUFS;
  const raw = header.msg_controllen === 0 ? null : task.readBytes(header.msg_control, header.msg_controllen);
  if (isErrno(raw)) return raw;
  const control = raw === null ? null : parseControl(task, raw);
  if (isErrno(control)) return control;
  const message: OutgoingMessage = { data, name, control, flags: bits };
  const result = send(task, file, socket, message);
  if (control === null) return result;
  if (typeof result !== 'number') return dropAfter(result, message);
  dropUnsent(message);
  return result;
}
function* dropAfter(call: Blocking, message: OutgoingMessage): Blocking {
  try {
    return yield* call;
  } finally {
    dropUnsent(message);
  }
}
/** The family took `control` if it sent anything. */
function dropUnsent(message: OutgoingMessage): void {
  dropFiles(message.control?.files);
}

function sendmsg(task: Task, number: number, address: number, bits: number): SyscallResult {
  const target = lookUp(task, number);
  if (typeof target === 'number') return target;
  const header = readHeader(task, address);
  return typeof header === 'number' ? header : sendMessage(task, target.file, target.socket, header, bits);
}

function recvfrom(
  task: Task,
  number: number,
  address: number,
  length: number,
  bits: number,
  nameAt: number,
  nameLengthAt: number,
): SyscallResult {
  const target = lookUp(task, number);
  if (typeof target === 'number') return target;
  const dst = task.userBuffer(address, length);
  if (isErrno(dst)) return dst;
  const message = new IncomingMessage(bits, false);
  const result = receive(task, target.file, target.socket, dst, message);
  if (nameAt === 0) return result;
  const tell = (n: number): number => {
    if (n < 0) return n;
    return writeSockaddr(task, message.name ?? new Uint8Array(0), nameAt, nameLengthAt) || n;
  };
  return typeof result === 'number' ? tell(result) : then(result, tell);
}

/** Goes on with the result of a call that waits. */
function* then(call: Blocking, next: (n: number) => number): Blocking {
  return next(yield* call);
}

function receive(task: Task, file: FileDescription, socket: Socket, dst: UserBuffer, message: IncomingMessage): SyscallResult {
  if ((message.flags & MSG_OOB) !== 0 && !socket.supportsOutOfBand) return socket.isStream ? EINVAL : EOPNOTSUPP;
  return receiveOn(task, file, socket, dst, message);
}

function receiveMessage(task: Task, target: { file: FileDescription; socket: Socket }, at: number, bits: number): SyscallResult {
  const header = readHeader(task, at);
  if (typeof header === 'number') return header;
  const dst = vectorOf(task, header);
  if (isErrno(dst)) return dst;
  const message = new IncomingMessage(bits, true);
  const result = receive(task, target.file, target.socket, dst, message);
  const finish = (n: number): number => finishReceive(task, target.socket, header, at, message, n);
  return typeof result === 'number' ? finish(result) : then(result, finish);
}

/** Name, control and flags back into the caller's header. */
function finishReceive(task: Task, socket: Socket, header: MsghdrValue, at: number, message: IncomingMessage, n: number): number {
  if (n < 0) return n;
  const writer = controlFor(task, socket, header, message);
  if (header.msg_name !== 0) {
    const name = message.name ?? new Uint8Array(0);
    const r = task.copyOut(header.msg_name, name.subarray(0, header.msg_namelen)) || task.writeU32(at + 8, name.length);
    if (r !== 0) return r;
  }
  const used = writer?.used ?? 0;
  if (used > 0 && task.copyOut(header.msg_control, (writer as ControlWriter).bytes.subarray(0, used)) !== 0) return EFAULT;
  const resultFlags = message.resultFlags | (writer?.truncated ?? 0) | (message.flags & MSG_CMSG_CLOEXEC);
  // msg_controllen and msg_flags lie side by side.
  const { scratch16, scratch16View: tail } = task.kernel;
  setLen64(tail, 0, used);
  tail.setUint32(8, resultFlags >>> 0, true);
  return task.userMemory.write(at + CONTROLLEN_OFFSET, scratch16, 0, 12) === 12 ? n : EFAULT;
}
/** Null if there is nothing to tell. */
function controlFor(task: Task, socket: Socket, header: MsghdrValue, message: IncomingMessage): ControlWriter | null {
  const { control } = message;
  const { passCredentials } = socket.options;
  if (control === null || (!passCredentials && control.files === undefined && control.others === undefined)) return null;
  const writer = new ControlWriter(Math.min(header.msg_controllen, OPTMEM_MAX));
  deliverControl(task, control, writer, passCredentials, message.flags);
  return writer;
}

function recvmsg(task: Task, number: number, address: number, bits: number): SyscallResult {
  const target = lookUp(task, number);
  return typeof target === 'number' ? target : receiveMessage(task, target, address, bits);
}

/** One message of a vector; what it gave, and whether the next one follows. */
type Step = (at: number, index: number) => SyscallResult;

/** Runs `step` over an array of struct mmsghdr: how many succeeded; the first errno only if none did. */
function* eachMessage(task: Task, address: number, count: number, step: Step, stop: () => boolean): Blocking {
  const share = new TimeShare(task);
  for (let i = 0; i < count; i++) {
    const at = address + i * MMSGHDR_SIZE;
    const result = step(at, i);
    const n = typeof result === 'number' ? result : yield* result;
    if (n < 0) return i > 0 ? i : n;
    if (task.writeU32(at + MSG_LEN_OFFSET, n) !== 0) return i > 0 ? i : EFAULT;
    if (stop() || (share.isOver && (yield* share.pass()))) return i + 1;
  }
  return count;
}

function sendmmsg(task: Task, number: number, address: number, count: number, bits: number): SyscallResult {
  const target = lookUp(task, number);
  if (typeof target === 'number') return target;
  const step: Step = (at) => {
    const header = readHeader(task, at);
    return typeof header === 'number' ? header : sendMessage(task, target.file, target.socket, header, bits);
  };
  return eachMessage(task, address, Math.min(count, UIO_MAXIOV), step, () => false);
}

/** The timeout is looked at after each message, as recvmmsg(2) says. */
function recvmmsg(task: Task, number: number, address: number, count: number, bits: number, timeout: number): SyscallResult {
  const target = lookUp(task, number);
  if (typeof target === 'number') return target;
  const ns = timeout === 0 ? Number.POSITIVE_INFINITY : readTimespec(task, timeout);
  if (ns < 0) return ns;
  const deadline = timeout === 0 ? ns : task.kernel.now() + ns;
  const step: Step = (at, i) => {
    const nowait = i > 0 && (bits & MSG_WAITFORONE) !== 0 ? MSG_DONTWAIT : 0;
    return receiveMessage(task, target, at, (bits & ~MSG_WAITFORONE) | nowait);
  };
  return eachMessage(task, address, Math.min(count, UIO_MAXIOV), step, () => task.kernel.now() >= deadline);
}

/** Bits that the kernel itself uses never come from outside. */
function clean(bits: number): number {
  return bits & ~MSG_COMPAT;
}

export const SENDMSG_CALLS = {
  sendto: syscall({
    x64: 44,
    man: 'send(2)',
    args: [fd, addr, size, flags, addr, int],
    run: (t, n, a, l, f, d, dl) => sendto(t, n, a, l, clean(f), d, dl),
  }),
  recvfrom: syscall({
    x64: 45,
    man: 'recv(2)',
    args: [fd, addr, size, flags, addr, addr],
    run: (t, n, a, l, f, s, sl) => recvfrom(t, n, a, l, clean(f), s, sl),
  }),
  sendmsg: syscall({ x64: 46, man: 'send(2)', args: [fd, addr, flags], run: (t, n, a, f) => sendmsg(t, n, a, clean(f)) }),
  recvmsg: syscall({ x64: 47, man: 'recv(2)', args: [fd, addr, flags], run: (t, n, a, f) => recvmsg(t, n, a, clean(f)) }),
  sendmmsg: syscall({
    x64: 307,
    man: 'sendmmsg(2)',
    args: [fd, addr, uint, flags],
    run: (t, n, a, c, f) => sendmmsg(t, n, a, c, clean(f)),
  }),
  recvmmsg: syscall({
    x64: 299,
    man: 'recvmmsg(2)',
    args: [fd, addr, uint, flags, addr],
    run: (t, n, a, c, f, at) => recvmmsg(t, n, a, c, clean(f), at),
  }),
};
