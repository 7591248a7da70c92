/**
 * A stream socket that carries 9P messages and, beside a message, at most one descriptor. A stream and not packets: a packet
 * cannot be larger than the socket's send buffer (wmem_max, which we may not raise), a directory of 1 MiB can.
 *
 * Interface: `begin(type, tag)`, write the body to `out`, `send()`; `receive()` gives the type of the next whole message, whose body
 * `in` then reads until the next receive. Nothing is allocated per message.
 */
import { EIO, EMSGSIZE, EPROTO } from '../../abi/errno.ts';
import type { Host } from '../host.ts';
import { P9_HEADER_SIZE, P9_MAX_MSIZE } from './constants.ts';
import { Reader, Writer } from './cursor.ts';

const SENDTO = 44;
const SENDMSG = 46;
const RECVMSG = 47;
const MSG_NOSIGNAL = 0x4000;
const MSG_CMSG_CLOEXEC = 0x4000_0000;
const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
/** cmsghdr and one descriptor, padded; room for a few more on receipt, so that extra ones are seen and closed. */
const CMSG_ONE = 24;
const CMSG_LENGTH = 20;
const CONTROL_ROOM = 64;

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
  private received = -1;

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

  /** Sends what was written since begin, with a descriptor if `fd` is not negative. 0 or an errno (EMSGSIZE: it did not fit). */
  send(fd = -1): number {
    const { out } = this;
    if (out.bad) return EMSGSIZE;
    out.view.setUint32(0, out.at, true);
    let sent = fd < 0 ? 0 : this.sendWithDescriptor(fd);
    if (sent < 0) return sent;
    while (sent < out.at) {
      const n = this.host.syscall(SENDTO, this.fd, this.outBase + sent, out.at - sent, MSG_NOSIGNAL, null, 0);
      if (n === -4 /* EINTR */) continue;
      if (n < 0) return n;
      sent += n;
    }
    return 0;
  }

  private sendWithDescriptor(fd: number): number {
    const { header } = this;
    header.aim(this.outBase, this.out.at, CMSG_ONE);
    header.control.setUint32(0, CMSG_LENGTH, true);
    header.control.setUint32(4, 0, true);
    header.control.setUint32(8, SOL_SOCKET, true);
    header.control.setUint32(12, SCM_RIGHTS, true);
    header.control.setInt32(16, fd, true);
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
    this.dropDescriptor();
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

  /** The descriptor that came with the last message, now the caller's; -1: none did. */
  takeDescriptor(): number {
    const fd = this.received;
    this.received = -1;
    return fd;
  }

  /** A whole message is buffered already: the peer sends ahead. */
  get pending(): boolean {
    return this.end - this.start >= P9_HEADER_SIZE;
  }

  close(): void {
    this.dropDescriptor();
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

  /** Keeps the first descriptor; a peer that sends more wastes its own time. */
  private keepDescriptors(used: number): void {
    const { control } = this.header;
    for (let at = 0; at + 16 <= used; ) {
      const length = control.getUint32(at, true);
      if (length < 16) return;
      if (control.getUint32(at + 8, true) === SOL_SOCKET && control.getUint32(at + 12, true) === SCM_RIGHTS) {
        for (let i = at + 16; i + 4 <= Math.min(at + length, used); i += 4) {
          const fd = control.getInt32(i, true);
          if (this.received < 0) this.received = fd;
          else this.host.close(fd);
        }
      }
      at += (length + 7) & ~7;
    }
  }

  private dropDescriptor(): void {
    if (this.received >= 0) this.host.close(this.received);
    this.received = -1;
  }
}
