/**
 * One packet socket of the host (packet(7)), bound to an interface: frames with a virtio-net header in front, in batches both ways.
 * Headers of recvmmsg(2) and sendmmsg(2) are laid out once; what a frame costs is its copy.
 */
import { EAGAIN, EINTR, type Errno } from '../../../../abi/errno.ts';
import { POLLIN, POLLOUT } from '../../../../abi/poll.ts';
import { AF_PACKET, MMSGHDR_SIZE, MSG_DONTWAIT, MSG_TRUNC } from '../../../../abi/socket.ts';
import type { BufferPool } from '../../../../lib/buffer_pool.ts';
import type { Host } from '../../../../lib/host.ts';
import type { HostPoll } from '../../../../platforms/host_poll.ts';

// Host system calls, x86-64.
const NR = { sendto: 44, bind: 49, recvmmsg: 299, sendmmsg: 307 } as const;
const ETH_P_ALL = 3;
const SOCKADDR_LL_SIZE = 20;
/** virtio-net header, Ethernet header with a VLAN tag, 64 KiB. */
const FRAME_MAX = 10 + 18 + 65_536;
/** In one turn of the loop: under a flood of small packets the application must have its turn, too. */
const RECEIVE_BATCH = 8;
const SEND_BATCH = 64;
/** What waits for room in the host; more is lost, as on any link. */
const MAX_WAITING = 1024;
const IOVEC_SIZE = 16;
// struct mmsghdr
const MSG_IOV = 16;
const MSG_IOVLEN = 24;
const MSG_FLAGS = 48;
const MSG_LEN = 56;

export type TakeFrame = (bytes: Uint8Array, start: number, end: number) => void;

export class PacketPort {
  readonly fd: number;
  /** Frames that the host did not take. */
  dropped = 0;
  private readonly host: Host;
  private readonly poll: HostPoll;
  private readonly buffers: BufferPool;
  private readonly received = new Uint8Array(RECEIVE_BATCH * FRAME_MAX);
  private readonly receiveHeaders: DataView;
  private readonly receiveVectors: DataView;
  private readonly sendHeaders: DataView;
  private readonly sendVectors: DataView;
  private waiting: Uint8Array[] = [];
  private blocked = false;

  /** buffers: get back what was sent. */
  constructor(host: Host, poll: HostPoll, fd: number, buffers: BufferPool) {
    this.buffers = buffers;
    this.host = host;
    this.poll = poll;
    this.fd = fd;
    [this.receiveHeaders, this.receiveVectors] = layOut(host, RECEIVE_BATCH);
    [this.sendHeaders, this.sendVectors] = layOut(host, SEND_BATCH);
    const base = host.addressOf(this.received);
    for (let i = 0; i < RECEIVE_BATCH; i++) {
      setAddress(this.receiveVectors, i * IOVEC_SIZE, base + i * FRAME_MAX);
      setAddress(this.receiveVectors, i * IOVEC_SIZE + 8, FRAME_MAX);
    }
  }

  /** Frames of the interface come from now on. 0 or an errno. `take` gets them in batches: `batch` runs the work for one. */
  start(index: number, take: TakeFrame, batch: (work: () => void) => void): 0 | Errno {
    const address = new DataView(new ArrayBuffer(SOCKADDR_LL_SIZE));
    address.setUint16(0, AF_PACKET, true);
    address.setUint16(2, ETH_P_ALL);
    address.setInt32(4, index, true);
    const r = this.host.syscall(NR.bind, this.fd, address, SOCKADDR_LL_SIZE);
    if (r < 0) return r as Errno;
    const work = (): void => this.receive(take);
    return this.poll.add(this.fd, POLLIN, (events) => {
      if ((events & POLLOUT) !== 0) this.unblock();
      if ((events & ~POLLOUT) !== 0) batch(work);
    }) as 0 | Errno;
  }
  stop(): void {
    this.poll.remove(this.fd);
    this.host.close(this.fd);
    this.waiting = [];
  }

  private receive(take: TakeFrame): void {
    const count = this.host.syscall(NR.recvmmsg, this.fd, this.receiveHeaders, RECEIVE_BATCH, MSG_DONTWAIT, null);
    for (let i = 0; i < count; i++) {
      const header = i * MMSGHDR_SIZE;
      if ((this.receiveHeaders.getUint32(header + MSG_FLAGS, true) & MSG_TRUNC) !== 0) continue;
      const start = i * FRAME_MAX;
      take(this.received, start, start + this.receiveHeaders.getUint32(header + MSG_LEN, true));
    }
  }

  /** The frame's bytes are ours until they are sent. */
  queue(frame: Uint8Array): void {
    if (this.waiting.length >= MAX_WAITING) this.dropped++;
    else this.waiting.push(frame);
  }
  flush(): void {
    if (this.waiting.length === 0 || this.blocked) return;
    let at = 0;
    while (at < this.waiting.length) {
      const n = this.send(at);
      if (n === EAGAIN) {
        this.block();
        break;
      }
      // One frame that the host refuses must not hold up the others.
      if (n < 0) this.dropped++;
      at += Math.max(n, 1);
    }
    for (let i = 0; i < at; i++) this.buffers.give(this.waiting[i] as Uint8Array);
    if (at >= this.waiting.length) this.waiting.length = 0;
    else this.waiting.splice(0, at);
  }
  /** From the frame at `at` on: how many went, or an errno for that one. */
  private send(at: number): number {
    const count = Math.min(this.waiting.length - at, SEND_BATCH);
    let n: number;
    do n = count === 1 ? this.sendOne(this.waiting[at] as Uint8Array) : this.sendMany(at, count);
    while (n === EINTR);
    return n;
  }
  private sendOne(frame: Uint8Array): number {
    const n = this.host.syscall(NR.sendto, this.fd, frame, frame.length, MSG_DONTWAIT, null, 0);
    return n < 0 ? n : 1;
  }
  private sendMany(at: number, count: number): number {
    for (let i = 0; i < count; i++) {
      const frame = this.waiting[at + i] as Uint8Array;
      setAddress(this.sendVectors, i * IOVEC_SIZE, this.host.addressOf(frame));
      setAddress(this.sendVectors, i * IOVEC_SIZE + 8, frame.length);
    }
    return this.host.syscall(NR.sendmmsg, this.fd, this.sendHeaders, count, MSG_DONTWAIT);
  }
  private block(): void {
    this.blocked = true;
    this.poll.modify(this.fd, POLLIN | POLLOUT);
  }
  private unblock(): void {
    this.blocked = false;
    this.poll.modify(this.fd, POLLIN);
    this.flush();
  }
}

/** `count` of struct mmsghdr, each with one of `count` of struct iovec. */
function layOut(host: Host, count: number): [DataView, DataView] {
  const headers = new DataView(new ArrayBuffer(count * MMSGHDR_SIZE));
  const vectors = new DataView(new ArrayBuffer(count * IOVEC_SIZE));
  const base = host.addressOf(vectors);
  for (let i = 0; i < count; i++) {
    setAddress(headers, i * MMSGHDR_SIZE + MSG_IOV, base + i * IOVEC_SIZE);
    headers.setUint32(i * MMSGHDR_SIZE + MSG_IOVLEN, 1, true);
  }
  return [headers, vectors];
}
function setAddress(view: DataView, at: number, value: number): void {
  view.setUint32(at, value % 0x1_0000_0000, true);
  view.setUint32(at + 4, Math.floor(value / 0x1_0000_0000), true);
}
