/**
 * Sockets, as every family implements them. A family derives from Socket and answers each operation at once, EAGAIN where it would
 * have to wait; the waiting, with time limits and signals, is in socket_io.ts and the same for all.
 *
 * Interface: `queue` is notified with POLLIN when receive or accept may succeed, POLLOUT when send or connect may.
 */
import { EAFNOSUPPORT, EINVAL, ENOENT, ENOPROTOOPT, ENOTCONN, ENOTTY, EOPNOTSUPP, type Errno } from '../../abi/errno.ts';
import { O_RDWR } from '../../abi/fcntl.ts';
import { FIONREAD } from '../../abi/ioctl.ts';
import { FIOGETOWN, FIOSETOWN, SIOCATMARK, SIOCGPGRP, SIOCGSTAMP, SIOCGSTAMPNS, SIOCOUTQ, SIOCSPGRP } from '../../abi/socket.ts';
import { S_IFSOCK } from '../../abi/stat.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { Task } from '../kernel/task.ts';
import { type SyscallResult, WaitQueue } from '../kernel/wait.ts';
import { FileDescription, FileImpl } from '../vfs/file.ts';
import type { Sink, Source } from '../vfs/io.ts';
import type { ReceivedControl, SentControl } from './control_message.ts';
import { interfaceIoctl } from './interface_ioctl.ts';
import { receiveOn, sendOn } from './socket_io.ts';
import { SocketOptions } from './socket_options.ts';

/** What send(2), sendto(2) and sendmsg(2) hand over. */
export interface OutgoingMessage {
  readonly data: Source;
  /** Destination, struct sockaddr as given; null: the connected peer. */
  readonly name: Uint8Array | null;
  /** Taken (and set to null) by the family when it has queued the first byte. */
  control: SentControl | null;
  /** MSG_*. */
  readonly flags: number;
}

/** What recv(2), recvfrom(2) and recvmsg(2) get besides the bytes; the family fills in what there is. */
export class IncomingMessage {
  /** MSG_* as the caller gave them. */
  readonly flags: number;
  /** Sender, as struct sockaddr; null: none (a stream). */
  name: Uint8Array | null = null;
  control: ReceivedControl | null = null;
  /** MSG_TRUNC, MSG_EOR, MSG_CTRUNC … for msg_flags. */
  resultFlags = 0;
  /** False: read(2) and recv(2); descriptors that come with the bytes are closed. */
  readonly wantsControl: boolean;
  constructor(flags: number, wantsControl: boolean) {
    this.flags = flags;
    this.wantsControl = wantsControl;
  }
}

/** The caller's buffer: some options are asked with something in it. */
export interface AskedOption {
  readonly address: number;
  readonly room: number;
}

export abstract class Socket extends FileImpl {
  override readonly queue = new WaitQueue();
  readonly kernel: Kernel;
  readonly family: number;
  /** SOCK_*. */
  readonly type: number;
  readonly protocol: number;
  readonly options = new SocketOptions();
  /** Inode number of its open file; 0 before it has one. */
  ino = 0;
  file: FileDescription | null = null;

  constructor(kernel: Kernel, family: number, type: number, protocol: number) {
    super();
    this.kernel = kernel;
    this.family = family;
    this.type = type;
    this.protocol = protocol;
  }

  /** Addresses are struct sockaddr as the application gave them, family included, at most SOCKADDR_MAX bytes. */
  bind(_task: Task, _address: Uint8Array): number {
    return EOPNOTSUPP;
  }
  listen(_task: Task, _backlog: number): number {
    return EOPNOTSUPP;
  }
  /** A connection that waits: a socket without FileDescription. EAGAIN, EINVAL if it does not listen. */
  accept(_task: Task): Socket | Errno {
    return EOPNOTSUPP;
  }
  /** May wait itself (`file.nonblocking` and options.sendTimeout count). */
  connect(_task: Task, _address: Uint8Array, _file: FileDescription): SyscallResult {
    return EOPNOTSUPP;
  }
  /** Bytes of `message.data` that it took; EAGAIN if none could be. A part only where the socket is a stream. */
  abstract send(task: Task, message: OutgoingMessage): number;
  /** Bytes moved into `dst`; with MSG_TRUNC in the flags, the real length of a datagram. 0: end of a stream. */
  abstract receive(task: Task, dst: Sink, message: IncomingMessage): number;
  shutdown(_task: Task, _how: number): number {
    return ENOTCONN;
  }
  /** getsockname(2). */
  abstract name(): Uint8Array | Errno;
  /** getpeername(2). */
  peerName(): Uint8Array | Errno {
    return ENOTCONN;
  }
  /** Options beyond the common ones of SOL_SOCKET. The bytes of the value. */
  getOption(_task: Task, _level: number, _option: number, _asked?: AskedOption): Uint8Array | Errno {
    return ENOPROTOOPT;
  }
  setOption(_task: Task, _level: number, _option: number, _value: Uint8Array): number {
    return ENOPROTOOPT;
  }
  /** SO_ACCEPTCONN. */
  get listening(): boolean {
    return false;
  }
  /** SO_ERROR: the pending error, cleared. 0 or an errno. */
  takeError(): number {
    return 0;
  }
  /** SIOCINQ: bytes that a receive would find. SIOCOUTQ: bytes sent and not yet received. */
  inputQueued(): number {
    return 0;
  }
  outputQueued(): number {
    return 0;
  }
  /** Largest message that a shrunk or grown SO_SNDBUF or SO_RCVBUF now allows may have changed. */
  buffersChanged(): void {}
  /** Bytes follow each other without boundaries: partial sends, MSG_WAITALL, SIGPIPE. */
  get isStream(): boolean {
    return false;
  }

  /** Nothing more will come: a receive or accept that finds nothing must not wait (0, EINVAL). */
  get endOfInput(): boolean {
    return false;
  }
  /** MSG_OOB means something here. */
  get supportsOutOfBand(): boolean {
    return false;
  }

  /** SIOCATMARK: the next byte to read is the urgent one. */
  get atMark(): boolean {
    return false;
  }
  /** When the message that was received last came in (realtime, ns); 0: none has. */
  lastStamp = 0;

  // FileImpl
  override read(dst: Sink, file: FileDescription, task: Task): SyscallResult {
    return dst.remaining === 0 && this.isStream ? 0 : receiveOn(task, file, this, dst, new IncomingMessage(0, false));
  }
  override write(src: Source, file: FileDescription, task: Task): SyscallResult {
    return sendOn(task, file, this, { data: src, name: null, control: null, flags: 0 });
  }
  override ioctl(file: FileDescription, task: Task, command: number, argument: number): SyscallResult {
    switch (command) {
      case FIONREAD:
        return this.listening ? EINVAL : task.writeU32(argument, this.inputQueued());
      case SIOCOUTQ:
        return this.listening ? EINVAL : task.writeU32(argument, this.outputQueued());
      case SIOCATMARK:
        return this.isStream ? task.writeU32(argument, Number(this.atMark)) : ENOTTY;
      case FIOSETOWN:
      case SIOCSPGRP:
        return this.setOwner(file, task, argument);
      case FIOGETOWN:
      case SIOCGPGRP:
        return task.writeU32(argument, file.owner >>> 0);
      case SIOCGSTAMP:
      case SIOCGSTAMPNS:
        return this.tellStamp(task, argument, command === SIOCGSTAMP ? 1000 : 1);
      default:
        return this.kernel.socketFamilies.ioctl(task, this, command, argument) ?? ENOTTY;
    }
  }
  private setOwner(file: FileDescription, task: Task, argument: number): number {
    const raw = task.readU32(argument);
    if (raw < 0) return raw;
    file.owner = raw | 0;
    file.ownerSetter = task;
    return 0;
  }
  /** struct timeval or timespec. */
  private tellStamp(task: Task, argument: number, unit: number): number {
    if (this.lastStamp === 0) return ENOENT;
    return task.copyOut(argument, timeBytes(this.lastStamp, unit));
  }
}
/** Seconds, and the rest in units of `unit` ns. */
export function timeBytes(ns: number, unit: number): Uint8Array {
  const sec = Math.floor(ns / 1e9);
  return new Uint8Array(BigInt64Array.of(BigInt(sec), BigInt(Math.floor((ns - sec * 1e9) / unit))).buffer);
}

/** Requests on any socket that concern interfaces and routes (netdevice(7)): null if it does not know the request. */
export type NetworkIoctl = (task: Task, socket: Socket, command: number, argument: number) => SyscallResult | null;

/** Makes a socket of one family. type: SOCK_* without flags. Checks type, protocol and privileges. */
export type CreateSocket = (task: Task, type: number, protocol: number) => Socket | Errno;

/** The address families that the kernel has: `kernel.socketFamilies`. */
export class SocketFamilies {
  private readonly families = new Map<number, CreateSocket>();
  /** The owner of the network may put one in front that knows more. */
  ioctl: NetworkIoctl = interfaceIoctl;

  register(family: number, create: CreateSocket): void {
    this.families.set(family, create);
  }
  create(task: Task, family: number, type: number, protocol: number): Socket | Errno {
    return this.families.get(family)?.(task, type, protocol) ?? EAFNOSUPPORT;
  }
}

/** The open file of a new socket. flags: O_NONBLOCK or 0. */
export function socketFile(kernel: Kernel, socket: Socket, flags: number): FileDescription {
  const path = kernel.anonymous.path('socket', S_IFSOCK | 0o777);
  socket.ino = path.dentry.inode?.attributes().ino ?? 0;
  const file = new FileDescription(socket, O_RDWR | flags, path);
  socket.file = file;
  return file;
}
