/** The bytes that wait at one end of a SOCK_STREAM or SOCK_SEQPACKET connection, with what was attached to them. */
import { EAGAIN, EFAULT, EINVAL } from '../../../abi/errno.ts';
import { MSG_OOB, MSG_PEEK, MSG_TRUNC } from '../../../abi/socket.ts';
import { ByteRing } from '../../../lib/byte_ring.ts';
import type { Task } from '../../kernel/task.ts';
import type { FileDescription } from '../../vfs/file.ts';
import type { Sink } from '../../vfs/io.ts';
import { ownCredentials, type SenderCredentials } from '../control_message.ts';
import type { IncomingMessage, OutgoingMessage } from '../socket.ts';
import type { InFlight, Rights } from './in_flight.ts';

/** What a segment costs beside its bytes when the queue's fill is measured: bounds their number. */
const SEGMENT_COST = 256;

/** Bytes with one sender and one attachment. A packet, or a stretch of a stream. */
interface Segment {
  length: number;
  readonly sender: SenderCredentials;
  rights: Rights | null;
  /** A byte that was sent with MSG_OOB, which is not in the ring; `length` is 0. */
  readonly urgent?: number;
}

export class ConnectionQueue {
  private readonly inFlight: InFlight;
  private readonly bytes = new ByteRing();
  private segments: Segment[] = [];
  /** The urgent byte sent last, until somebody reads it; earlier ones are bytes as all others. */
  private mark: Segment | null = null;
  private urgentBytes = 0;

  constructor(inFlight: InFlight) {
    this.inFlight = inFlight;
  }
  get empty(): boolean {
    return this.segments.length === 0;
  }
  get length(): number {
    let urgent = 0;
    if (this.urgentBytes > 0) for (const segment of this.segments) if (segment.urgent !== undefined) urgent++;
    return this.bytes.length + urgent;
  }
  get hasUrgent(): boolean {
    return this.mark !== null;
  }
  /** The next byte is the urgent one. */
  get atMark(): boolean {
    return this.mark !== null && this.segments[0] === this.mark;
  }
  /** What the sender's SO_SNDBUF is compared with. */
  get charge(): number {
    return this.bytes.length + this.segments.length * SEGMENT_COST;
  }

  /** Takes up to `limit` bytes of the message; how many. `packet`: they stay one piece (the caller has checked that it fits). */
  append(task: Task, message: OutgoingMessage, limit: number, packet: boolean): number {
    const wanted = Math.min(message.data.remaining, limit);
    const files = message.control?.files ?? null;
    const rights = files === null ? null : this.inFlight.enter(task, files);
    if (typeof rights === 'number') return rights;
    const n = wanted === 0 ? 0 : this.bytes.fill(message.data, wanted);
    if (n < 0 || (n === 0 && wanted > 0) || (packet && n < wanted)) {
      if (rights !== null) this.inFlight.leave(rights); // the sender still has them
      if (packet && n > 0) this.bytes.dropTail(n);
      return n < 0 ? n : EFAULT;
    }
    const last = this.segments[this.segments.length - 1];
    const explicit = message.control?.credentials ?? null;
    if (
      !packet &&
      rights === null &&
      last !== undefined &&
      last.urgent === undefined &&
      last.rights === null &&
      sameSender(last.sender, task, explicit)
    )
      last.length += n;
    else this.segments.push({ length: n, sender: explicit ?? ownCredentials(task), rights });
    message.control = null;
    return n;
  }

  /** The last byte of a message with MSG_OOB. 1, or an errno. */
  appendUrgent(task: Task, message: OutgoingMessage): number {
    const byte = new Uint8Array(1);
    const n = message.data.take(byte, 0, 1);
    if (n !== 1) return n < 0 ? n : EFAULT;
    const files = message.control?.files ?? null;
    const rights = files === null ? null : this.inFlight.enter(task, files);
    if (typeof rights === 'number') return rights;
    this.mark = { length: 0, sender: message.control?.credentials ?? ownCredentials(task), rights, urgent: byte[0] as number };
    this.segments.push(this.mark);
    this.urgentBytes++;
    message.control = null;
    return 1;
  }

  /** recv(2) with MSG_OOB: the urgent byte, wherever it lies. EINVAL if there is none. */
  receiveUrgent(dst: Sink, message: IncomingMessage): number {
    const { mark } = this;
    if (mark === null) return EINVAL;
    const n = dst.put(Uint8Array.of(mark.urgent as number), 0, 1);
    if (n !== 1) return n < 0 ? n : 0;
    const peek = (message.flags & MSG_PEEK) !== 0;
    this.attach(mark, message, peek);
    message.resultFlags |= MSG_OOB;
    if (!peek) this.forgetUrgent(mark);
    return 1;
  }
  private forgetUrgent(segment: Segment): void {
    if (segment.rights !== null) this.inFlight.dispose(this.inFlight.leave(segment.rights));
    this.segments.splice(this.segments.indexOf(segment), 1);
    this.urgentBytes--;
    if (this.mark === segment) this.mark = null;
  }

  /**
   * Stream: bytes up to the end of the first attachment, to the urgent byte, or of one sender where `bySender`. EAGAIN if there are none.
   * An urgent byte that nobody has asked for is passed over, unless `inline`.
   */
  receive(dst: Sink, message: IncomingMessage, bySender: boolean, inline: boolean): number {
    const peek = (message.flags & MSG_PEEK) !== 0;
    let total = 0;
    let inRing = 0;
    for (let i = 0; dst.remaining > 0; ) {
      const segment = this.segments[i];
      if (segment === undefined || (bySender && differs(message, segment))) break;
      if (segment.urgent !== undefined) {
        const current = segment === this.mark;
        if (current && total > 0) break;
        if (current && !inline) {
          if (peek) i++;
          else this.forgetUrgent(segment);
          continue;
        }
        const attached = segment.rights !== null;
        const put = dst.put(Uint8Array.of(segment.urgent), 0, 1);
        if (put < 0) return total > 0 ? total : put;
        total++;
        this.attach(segment, message, peek);
        if (peek) i++;
        else this.forgetUrgent(segment);
        if (current || attached) break;
        continue;
      }
      const wanted = Math.min(segment.length, dst.remaining);
      const n = peek ? this.bytes.peek(dst, wanted, inRing) : this.bytes.drain(dst, wanted);
      if (n < 0) return total > 0 ? total : n;
      total += n;
      inRing += n;
      const attached = segment.rights !== null;
      this.attach(segment, message, peek);
      if (!peek) segment.length -= n;
      if (!peek && segment.length === 0) this.segments.shift();
      else i++;
      if (attached || n < wanted) break;
    }
    return total > 0 || (!this.empty && dst.remaining === 0) ? total : EAGAIN;
  }

  /** SOCK_SEQPACKET: one packet; what does not fit is lost. EAGAIN if there is none. */
  receivePacket(dst: Sink, message: IncomingMessage): number {
    const segment = this.segments[0];
    if (segment === undefined) return EAGAIN;
    const length = segment.length;
    const n = this.bytes.peek(dst, Math.min(length, dst.remaining));
    if (n < 0) return n;
    if (n < length) message.resultFlags |= MSG_TRUNC;
    const peek = (message.flags & MSG_PEEK) !== 0;
    this.attach(segment, message, peek);
    if (!peek) {
      this.bytes.drop(length);
      this.segments.shift();
    }
    return (message.flags & MSG_TRUNC) !== 0 ? length : n;
  }

  /** Files leave with the first byte that is received; a peek duplicates them. */
  private attach(segment: Segment, message: IncomingMessage, peek: boolean): void {
    message.control ??= {};
    message.control.credentials ??= segment.sender;
    const { rights } = segment;
    if (rights === null) return;
    if (peek) {
      if (message.wantsControl) message.control.files = rights.files.map((file) => file.hold());
      return;
    }
    segment.rights = null;
    const files = this.inFlight.leave(rights);
    if (message.wantsControl) message.control.files = files;
    else this.inFlight.dispose(files);
  }

  eachFile(visit: (file: FileDescription) => void): void {
    for (const { rights } of this.segments) for (const file of rights?.files ?? []) visit(file);
  }
  /** Takes the files out and leaves the bytes. */
  takeFiles(): FileDescription[] {
    const files: FileDescription[] = [];
    for (const segment of this.segments) {
      if (segment.rights !== null) files.push(...this.inFlight.leave(segment.rights));
      segment.rights = null;
    }
    return files;
  }
  clear(): void {
    this.inFlight.dispose(this.takeFiles());
    this.segments = [];
    this.mark = null;
    this.urgentBytes = 0;
    this.bytes.clear();
  }
}

function sameSender(sender: SenderCredentials, task: Task, explicit: SenderCredentials | null): boolean {
  if (explicit !== null) return sender.process === explicit.process && sender.uid === explicit.uid && sender.gid === explicit.gid;
  return sender.process === task.group && sender.uid === task.creds.uid && sender.gid === task.creds.gid;
}
function differs(message: IncomingMessage, segment: Segment): boolean {
  const first = message.control?.credentials;
  if (first === undefined) return false;
  return first.process !== segment.sender.process || first.uid !== segment.sender.uid || first.gid !== segment.sender.gid;
}
