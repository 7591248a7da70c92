/**
 * A stream socket that carries 9P messages and, beside a message, descriptors. A stream and not packets: a packet
 * cannot be larger than the socket's send buffer (wmem_max, which we may not raise), a directory of 1 MiB can.
 *
 * Interface: `begin(type, tag)`, write the body to `out`, `send()`; `receive()` gives the type of the next whole message, whose body
 * `in` then reads until the next receive. Nothing is allocated per message.
 */
import { EIO, EMSGSIZE, EPROTO } from '../../abi/errno.ts';
import type { Host } from '../host.ts';
import { P9_HEADER_SIZE, P9_MAX_DESCRIPTORS, P9_MAX_MSIZE } from './constants.ts';
import { Reader, Writer } from './cursor.ts';

const SENDTO = 44;
const SENDMSG = 46;
const RECVMSG = 47;
const MSG_NOSIGNAL = 0x4000;
const MSG_CMSG_CLOEXEC = 0x4000_0000;
const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
/** Bytes of a cmsghdr. */
const CMSG_HEADER = 16;
const CONTROL_ROOM = CMSG_HEADER + 4 * P9_MAX_DESCRIPTORS;
const NO_DESCRIPTORS: readonly number[] = [];

/** struct msghdr with one iovec behind it and a control buffer, at fixed addresses. */
class MessageHeader {
  readonly words: Uint32Array;
  readonly control: DataView;
  private readonly host: Host;
  private readonly memory: ArrayBuffer;

  constructor(host: Host, buffer: Uint8Array) {
    this.host = host;
    // msghdr[56] iovec[16] control
    this.memory = new ArrayBuffer(72 + CONTROL_ROOM);
    this.words = new Uint32Array(this.memory);
    this.control = new DataView(this.memory, 72);
    const base = host.addressOf(this.words);
    this.address(4, base + 56); // msg_iov
    this.words[6] = 1; // msg_iovlen
    this.address(8, base + 72); // msg_control
    this.address(14, host.addressOf(buffer)); // iov_base
  }
  private address(word: number, value: number): void {
    this.words[word] = value % 0x1_0000_0000;
    this.words[word + 1] = Math.floor(value / 0x1_0000_0000);
  }
  aim(base: number, length: number, controlLength: number): void {
    this.address(14, base);
    this.words[16] = length;
    this.words[10] = controlLength;
    this.words[12] = 0; // msg_flags
  }
  call(nr: number, fd: number, flags: number): number {
    return this.host.syscall(nr, fd, this.words, flags);
  }
  get controlLength(): number {
    return this.words[10] as number;
  }
}

export class Channel {
  readonly fd: number;
  readonly in: Reader;
  readonly out: Writer;
  /** Tag of the message that was received last. */
  tag = 0;
  /** Body of the message that was received last, in `inBytes`. */
  bodyStart = 0;
  bodyEnd = 0;
  readonly inBytes: Uint8Array;
  readonly inView: DataView;
  private readonly host: Host;
  private readonly inBase: number;
  /** Address of out.bytes. */
  readonly outBase: number;
  private readonly header: MessageHeader;
  private limit: number;
  /** Bytes of inBytes that hold data not yet consumed: [start, end). */
  private start = 0;
  private end = 0;
  /** Descriptors that came with it and that nobody has taken, the last first. */
  private readonly received: number[] = [];

  constructor(host: Host, fd: number, msize: number) {
    this.host = host;
    this.fd = fd;
    this.limit = Math.min(msize, P9_MAX_MSIZE);
    this.inBytes = new Uint8Array(this.limit);
    this.inView = new DataView(this.inBytes.buffer);
    const outBytes = new Uint8Array(this.limit);
    this.inBase = host.addressOf(this.inBytes);
    this.outBase = host.addressOf(outBytes);
    this.in = new Reader(this.inBytes, 0, 0);
    this.out = new Writer(outBytes);
    this.header = new MessageHeader(host, this.inBytes);
  }

  /** The negotiated size: neither end sends more from now on. */
  setLimit(msize: number): void {
    this.limit = Math.min(msize, this.inBytes.length);
    this.out.limit = this.limit;
  }

  begin(type: number, tag: number): void {
    this.out.reset(4);
    this.out.u8(type);
    this.out.u16(tag);
  }

  /** Sends what was written since begin, with at most P9_MAX_DESCRIPTORS descriptors. 0 or an errno (EMSGSIZE: it did not fit). */
  send(fds: readonly number[] = NO_DESCRIPTORS): number {
    const { out } = this;
    if (out.bad) return EMSGSIZE;
    out.view.setUint32(0, out.at, true);
    let sent = fds.length === 0 ? 0 : this.sendWithDescriptors(fds);
    if (sent < 0) return sent;
    while (sent < out.at) {
      const n = this.host.syscall(SENDTO, this.fd, this.outBase + sent, out.at - sent, MSG_NOSIGNAL, null, 0);
      if (n === -4 /* EINTR */) continue;
      if (n < 0) return n;
      sent += n;
    }
    return 0;
  }

  private sendWithDescriptors(fds: readonly number[]): number {
    const { header } = this;
    const length = CMSG_HEADER + 4 * fds.length;
    header.aim(this.outBase, this.out.at, (length + 7) & ~7);
    header.control.setUint32(0, length, true);
    header.control.setUint32(4, 0, true);
    header.control.setUint32(8, SOL_SOCKET, true);
    header.control.setUint32(12, SCM_RIGHTS, true);
    for (let i = 0; i < fds.length; i++) header.control.setInt32(CMSG_HEADER + 4 * i, fds[i] as number, true);
    for (;;) {
      const n = header.call(SENDMSG, this.fd, MSG_NOSIGNAL);
      if (n !== -4) return n;
    }
  }

  /**
   * Waits for one whole message. Its type; 0: the peer closed; negative: errno (EPROTO: what came is no 9P message, and
   * the stream cannot be used any more).
   */
  receive(): number {
    this.dropDescriptors();
    for (;;) {
      const have = this.end - this.start;
      if (have >= P9_HEADER_SIZE) {
        const size = this.inView.getUint32(this.start, true);
        if (size < P9_HEADER_SIZE || size > this.limit) return EPROTO;
        if (have >= size) return this.deliver(size);
      }
      const n = this.fill();
      if (n <= 0) return n === 0 && have > 0 ? EIO : n;
    }
  }

  /** The next of the descriptors that came with the last message, now the caller's; -1: no more did. */
  takeDescriptor(): number {
    return this.received.pop() ?? -1;
  }

  /** A whole message is buffered already: the peer sends ahead. */
  get pending(): boolean {
    return this.end - this.start >= P9_HEADER_SIZE;
  }

  close(): void {
    this.dropDescriptors();
    this.host.close(this.fd);
  }

  private deliver(size: number): number {
    const at = this.start;
    this.start += size;
    this.tag = this.inView.getUint16(at + 5, true);
    this.bodyStart = at + P9_HEADER_SIZE;
    this.bodyEnd = at + size;
    this.in.reset(this.bodyStart, this.bodyEnd);
    const type = this.inBytes[at + 4] as number;
    return type === 0 ? EPROTO : type;
  }

  private fill(): number {
    if (this.start === this.end) this.start = this.end = 0;
    else if (this.start > 0) {
      this.inBytes.copyWithin(0, this.start, this.end);
      this.end -= this.start;
      this.start = 0;
    }
    const { header } = this;
    for (;;) {
      header.aim(this.inBase + this.end, this.inBytes.length - this.end, CONTROL_ROOM);
      const n = header.call(RECVMSG, this.fd, MSG_CMSG_CLOEXEC);
      if (n === -4) continue;
      if (n > 0) {
        this.end += n;
        if (header.controlLength > 0) this.keepDescriptors(header.controlLength);
      }
      return n;
    }
  }

  private keepDescriptors(used: number): void {
    const { control } = this.header;
    for (let at = 0; at + CMSG_HEADER <= used; ) {
      const length = control.getUint32(at, true);
      if (length < CMSG_HEADER) return;
      if (control.getUint32(at + 8, true) === SOL_SOCKET && control.getUint32(at + 12, true) === SCM_RIGHTS) {
        for (let i = at + CMSG_HEADER; i + 4 <= Math.min(at + length, used); i += 4) this.keep(control.getInt32(i, true));
      }
      at += (length + 7) & ~7;
    }
  }
  /** A peer that sends more than a message can have wastes its own time. */
  private keep(fd: number): void {
    if (this.received.length < P9_MAX_DESCRIPTORS) this.received.unshift(fd);
    else this.host.close(fd);
  }

  private dropDescriptors(): void {
    for (let fd = this.takeDescriptor(); fd >= 0; fd = this.takeDescriptor()) this.host.close(fd);
  }
}
