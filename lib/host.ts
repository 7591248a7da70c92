/**
 * The host kernel, as this project uses it: each call returns its result or a negative errno and never throws. Tests
 * inject a fake of the part they need.
 */
import { EINVAL, type Errno } from '../abi/errno.ts';
import { native } from '../native-addon/native.ts';

// Host system-call numbers, x86-64.
const NR = {
  read: 0,
  write: 1,
  close: 3,
  fstat: 5,
  poll: 7,
  lseek: 8,
  ioctl: 16,
  pread64: 17,
  pwrite64: 18,
  dup: 32,
  getpid: 39,
  socket: 41,
  sendmsg: 46,
  recvmsg: 47,
  shutdown: 48,
  socketpair: 53,
  fcntl: 72,
  fsync: 74,
  fdatasync: 75,
  ftruncate: 77,
  kill: 62,
  tgkill: 234,
  fallocate: 285,
  epoll_ctl: 233,
  epoll_wait: 232,
  eventfd2: 290,
  epoll_create1: 291,
  dup3: 292,
  pipe2: 293,
  preadv2: 327,
  pwritev2: 328,
  memfd_create: 319,
  getrandom: 318,
  openat2: 437,
  openat: 257,
  readlinkat: 267,
  statx: 332,
  copy_file_range: 326,
} as const;

export const CLOCK_REALTIME = 0;
export const CLOCK_MONOTONIC = 1;
export const CLOCK_BOOTTIME = 7;
/** preadv2(2): do not block. */
export const RWF_NOWAIT = 8;

/** What one recvmsg gave: `fds` are ours to close. */
export interface ReceivedMessage {
  /** Bytes written to the buffer; 0 = the peer closed; negative = errno. */
  readonly count: number;
  readonly fds: readonly number[];
}

/** Most descriptors that one message may carry (SCM_MAX_FD). */
const SCM_MAX_FD = 253;

export const host = {
  /** Any call by its number: for the rare ones. */
  syscall: native.syscall,
  addressOf: native.addressOf,

  /** The C library gives back what it holds without use. */
  trimHeap: native.trimHeap,
  /** The caller's thread and these (gettid(2)) keep the capabilities of the mask, and get no_new_privs. 0 or an errno. */
  restrictThreads(tids: Int32Array, capabilities: bigint): number {
    return native.restrictThreads(tids, Number(capabilities & 0xffff_ffffn), Number(capabilities >> 32n));
  },
  /** Directory entries with attributes, as the gofer tells them (native-addon/src/listing.c). */
  encodeEntries: native.encodeEntries,
  // The pool of threads for transfers that would block (native-addon/src/io_worker.c).
  ioStart: native.ioStart,
  ioSubmit: native.ioSubmit,
  ioCompletions: native.ioCompletions,

  /** CLOCK_MONOTONIC in ns. */
  monotonicNow(): number {
    return native.clockNow(CLOCK_MONOTONIC);
  },
  /** CLOCK_BOOTTIME in ns: goes on while the machine sleeps. */
  boottimeNow(): number {
    return native.clockNow(CLOCK_BOOTTIME);
  },
  /** CLOCK_REALTIME in ns; a double holds it to 256 ns. */
  realtimeNow(): number {
    return native.clockNow(CLOCK_REALTIME);
  },
  close(fd: number): number {
    return native.syscall(NR.close, fd);
  },
  dup(fd: number): number {
    return native.syscall(NR.fcntl, fd, 1030 /* F_DUPFD_CLOEXEC */, 3);
  },
  fcntl(fd: number, cmd: number, arg = 0): number {
    return native.syscall(NR.fcntl, fd, cmd, arg);
  },
  ioctl(fd: number, cmd: number, arg: number | ArrayBufferView): number {
    return native.syscall(NR.ioctl, fd, cmd, arg);
  },
  /** Reads into `into[offset..offset+count)`; count is clamped to the view. */
  read(fd: number, into: Uint8Array, offset = 0, count = into.length - offset): number {
    return native.syscall(NR.read, fd, into.subarray(offset, offset + count), Math.min(count, into.length - offset));
  },
  write(fd: number, from: Uint8Array, offset = 0, count = from.length - offset): number {
    return native.syscall(NR.write, fd, from.subarray(offset, offset + count), Math.min(count, from.length - offset));
  },
  pread(fd: number, into: Uint8Array, offset: number, count: number, position: number): number {
    return native.syscall(NR.pread64, fd, into.subarray(offset, offset + count), Math.min(count, into.length - offset), position);
  },
  pwrite(fd: number, from: Uint8Array, offset: number, count: number, position: number): number {
    return native.syscall(NR.pwrite64, fd, from.subarray(offset, offset + count), Math.min(count, from.length - offset), position);
  },
  ftruncate(fd: number, length: number): number {
    return native.syscall(NR.ftruncate, fd, length);
  },
  lseek(fd: number, offset: number, whence: number): number {
    return native.syscall(NR.lseek, fd, offset, whence);
  },
  /** st_blocks, 512-byte units, or an errno. */
  fileBlocks(fd: number): number {
    const stat = new DataView(new ArrayBuffer(144));
    const r = native.syscall(NR.fstat, fd, stat);
    return r < 0 ? r : stat.getUint32(68, true) * 0x1_0000_0000 + stat.getUint32(64, true);
  },
  fsync(fd: number): number {
    return native.syscall(NR.fsync, fd);
  },
  fdatasync(fd: number): number {
    return native.syscall(NR.fdatasync, fd);
  },
  fallocate(fd: number, mode: number, offset: number, length: number): number {
    return native.syscall(NR.fallocate, fd, mode, offset, length);
  },
  memfdCreate(name: string, flags: number): number {
    return native.syscall(NR.memfd_create, Buffer.from(`${name}\0`, 'latin1'), flags);
  },
  /** path must hold no NUL. */
  openat(dirfd: number, path: string, flags: number, mode = 0): number {
    return native.syscall(NR.openat, dirfd, Buffer.from(`${path}\0`, 'latin1'), flags, mode);
  },
  getrandom(into: Uint8Array): number {
    return native.syscall(NR.getrandom, into, into.length, 0);
  },
  /** setgroups, setresgid, setresuid of every thread of this process. */
  setIdentity(uid: number, gid: number): number {
    return native.setIdentity(uid, gid);
  },
  /** Non-blocking eventfd that becomes readable when the signal comes; once for each signal. Or an errno. */
  signalEvents(signal: number): number {
    return native.signalEvents(signal);
  },
  ignoreSignal(signal: number): number {
    return native.ignoreSignal(signal);
  },
  kill(pid: number, signal: number): number {
    return native.syscall(NR.kill, pid, signal);
  },
  eventfd(): number {
    return native.syscall(NR.eventfd2, 0, 0o2004000 /* EFD_CLOEXEC | EFD_NONBLOCK */);
  },
  /** Both ends, close-on-exec, or an errno. */
  socketpair(type: number): [number, number] | Errno {
    const pair = new Int32Array(2);
    const r = native.syscall(NR.socketpair, 1 /* AF_UNIX */, type | 0o2000000, 0, pair);
    return r < 0 ? (r as Errno) : [pair[0] as number, pair[1] as number];
  },
  pipe(flags: number): [number, number] | Errno {
    const pair = new Int32Array(2);
    const r = native.syscall(NR.pipe2, pair, flags);
    return r < 0 ? (r as Errno) : [pair[0] as number, pair[1] as number];
  },
  epollCreate(): number {
    return native.syscall(NR.epoll_create1, 0o2000000);
  },
  /** op: 1 add, 2 delete, 3 modify; the event's data is `fd`. */
  /** epoll_pwait2(2): events in `events`, 0 also after a signal, or an errno. timeoutNs -1: no limit. */
  pollWait(epfd: number, events: ArrayBufferView, timeoutNs: number): number {
    return native.pollWait(epfd, events, timeoutNs);
  },
  epollCtl(epfd: number, op: number, fd: number, events: number): number {
    const event = new Uint32Array([events, fd, 0]);
    return native.syscall(NR.epoll_ctl, epfd, op, fd, event);
  },

  /** sendmsg(2) of one buffer with descriptors; the flags always hold MSG_NOSIGNAL. */
  sendWithFds(fd: number, data: Uint8Array, fds: readonly number[], flags = 0): number {
    if (data.length === 0 || fds.length > SCM_MAX_FD) return EINVAL;
    const iov = new BigUint64Array([BigInt(native.addressOf(data)), BigInt(data.length)]);
    const controlLength = fds.length === 0 ? 0 : 16 + fds.length * 4;
    const control = new Uint8Array((controlLength + 7) & ~7);
    if (fds.length > 0) {
      const view = new DataView(control.buffer);
      view.setBigUint64(0, BigInt(controlLength), true); // cmsg_len
      view.setUint32(8, 1, true); // SOL_SOCKET
      view.setUint32(12, 1, true); // SCM_RIGHTS
      for (const [i, f] of fds.entries()) view.setInt32(16 + i * 4, f, true);
    }
    const msg = messageHeader(iov, control, control.length);
    const n = native.syscall(NR.sendmsg, fd, msg, flags | 0x4000);
    keepAlive(data, iov, control);
    return n;
  },
  /** recvmsg(2) into `into`; descriptors arrive close-on-exec. flags as recvmsg's (MSG_DONTWAIT 0x40). */
  receiveWithFds(fd: number, into: Uint8Array, flags = 0): ReceivedMessage {
    const iov = new BigUint64Array([BigInt(native.addressOf(into)), BigInt(into.length)]);
    const control = new Uint8Array(16 + SCM_MAX_FD * 4 + 4);
    const msg = messageHeader(iov, control, control.length);
    const count = native.syscall(NR.recvmsg, fd, msg, flags | 0x40000000 /* MSG_CMSG_CLOEXEC */);
    keepAlive(into, iov);
    const fds: number[] = [];
    if (count < 0) return { count, fds };
    const used = Number(new DataView(msg.buffer).getBigUint64(40, true));
    const view = new DataView(control.buffer);
    for (let at = 0; at + 16 <= used; ) {
      const length = Number(view.getBigUint64(at, true));
      if (length < 16) break;
      if (view.getUint32(at + 8, true) === 1 && view.getUint32(at + 12, true) === 1) {
        for (let i = at + 16; i + 4 <= at + length; i += 4) fds.push(view.getInt32(i, true));
      }
      at += (length + 7) & ~7;
    }
    return { count, fds };
  },
};
export type Host = typeof host;

/** struct msghdr with one iovec (recvmsg(2)). */
function messageHeader(iov: BigUint64Array, control: Uint8Array, controlLength: number): Uint8Array {
  const msg = new BigUint64Array(7);
  msg[2] = BigInt(native.addressOf(iov));
  msg[3] = 1n;
  msg[4] = controlLength === 0 ? 0n : BigInt(native.addressOf(control));
  msg[5] = BigInt(controlLength);
  return new Uint8Array(msg.buffer);
}

/** Holds views whose addresses were handed out until here: the collector must not free them earlier. */
function keepAlive(...views: ArrayBufferView[]): void {
  if (views.length === 0) throw new Error('unreachable');
}
