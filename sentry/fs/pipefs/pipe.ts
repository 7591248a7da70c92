/**
 * pipe(7): a bounded queue of bytes. The bytes lie in one ring that grows with use up to the capacity; packets (O_DIRECT) only add
 * a list of their lengths. Waiting is with the callers (pipe_file.ts): here everything happens at once or answers EAGAIN.
 */
import { EAGAIN, EBUSY, EPERM, EPIPE } from '../../../abi/errno.ts';
import { PAGE_SIZE } from '../../../abi/mman.ts';
import { POLLERR, POLLHUP, POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM } from '../../../abi/poll.ts';
import { ByteRing } from '../../../lib/byte_ring.ts';
import type { MemoryAccount } from '../../kernel/memory_account.ts';
import { WaitQueue } from '../../kernel/wait.ts';
import { BufferIo, type Sink, type Source } from '../../vfs/io.ts';

/** A write of at most this many bytes is not mixed with others' (pipe(7), POSIX). */
export const PIPE_BUF = 4096;
export const DEFAULT_CAPACITY = 65536;
/** /proc/sys/fs/pipe-max-size: what F_SETPIPE_SZ gives without CAP_SYS_RESOURCE; here: at all, the memory is the Sentry's. */
export const PIPE_MAX_SIZE = 1 << 20;
/** Capacity of pipes that are made when all pipes together could hold more than MAX_TOTAL. */
const SMALL_CAPACITY = 2 * PAGE_SIZE;
/** Bytes that all pipes of a sandbox may have as capacity before new ones become small. Stops memory use by many full pipes. */
const MAX_TOTAL = 256 << 20;

/** What all pipes of a kernel share. */
export class PipeAccount {
  /** Sum of capacities, bytes. */
  total = 0;
}

/** A run of bytes in a pipe that has seen packets. */
interface Run {
  length: number;
  readonly packet: boolean;
}

export class Pipe {
  readonly queue = new WaitQueue();
  capacity: number;
  /** Open ends. */
  readers = 0;
  writers = 0;
  /** How many readers and writers there have ever been: an open(2) of a fifo waits for a change. */
  readerOpens = 0;
  writerOpens = 0;
  private readonly account: PipeAccount;
  /** Of the container that made it; its bytes count there. */
  private readonly memory: MemoryAccount | null;
  private readonly bytes = new ByteRing();
  /** Empty while all bytes are a plain stream; else the runs add up to all of them. */
  private runs: Run[] = [];

  constructor(account: PipeAccount, memory: MemoryAccount | null = null) {
    this.account = account;
    this.memory = memory;
    this.capacity = account.total + DEFAULT_CAPACITY > MAX_TOTAL ? SMALL_CAPACITY : DEFAULT_CAPACITY;
    account.total += this.capacity;
  }

  /** Bytes in it (FIONREAD). */
  get used(): number {
    return this.bytes.length;
  }
  get free(): number {
    return this.capacity - this.bytes.length;
  }

  openEnd(reads: boolean, writes: boolean): void {
    if (reads) {
      this.readers++;
      this.readerOpens++;
    }
    if (writes) {
      this.writers++;
      this.writerOpens++;
    }
    this.queue.notify(POLLIN | POLLOUT); // openers of the other end wait on the same queue
  }
  closeEnd(reads: boolean, writes: boolean): void {
    if (reads && --this.readers === 0) this.queue.notify(POLLERR | POLLOUT);
    if (writes && --this.writers === 0) this.queue.notify(POLLHUP | POLLIN);
    if (this.readers > 0 || this.writers > 0) return;
    this.account.total -= this.capacity;
    this.capacity = 0;
    this.memory?.add(-this.used);
    this.bytes.clear();
    this.runs = [];
  }

  /** Moves what there is into `dst`. 0: no data and no writer; EAGAIN: no data yet. */
  read(dst: Sink): number {
    if (dst.remaining === 0) return 0;
    if (this.used === 0) return this.writers === 0 ? 0 : EAGAIN;
    const wasFull = this.free < PIPE_BUF;
    const before = this.used;
    const n = this.runs.length === 0 ? this.bytes.drain(dst, dst.remaining) : this.readRun(dst);
    this.memory?.add(this.used - before);
    if (wasFull && this.free >= PIPE_BUF) this.queue.notify(POLLOUT | POLLWRNORM);
    return n;
  }

  /**
   * Takes what fits from `src`, but all or nothing of at most PIPE_BUF bytes. EAGAIN: nothing fits. EPIPE: no reader (the caller
   * sends the signal).
   */
  write(src: Source, packet: boolean): number {
    if (this.readers === 0) return EPIPE;
    const wanted = src.remaining;
    if (wanted === 0) return 0;
    if (wanted <= PIPE_BUF ? this.free < wanted : this.free === 0) return EAGAIN;
    const n = packet ? this.writePackets(src) : this.moveIn(src, Math.min(wanted, this.free), false);
    if (n > 0) {
      this.memory?.add(n);
      this.queue.notify(POLLIN | POLLRDNORM);
    }
    return n;
  }

  /** Copies the first bytes of this pipe to the end of `to`, leaving them here (tee(2)). */
  copyTo(to: Pipe, length: number): number {
    const n = Math.min(length, this.used, to.free);
    if (n === 0) return 0;
    const copy = new Uint8Array(n);
    this.bytes.peek(new BufferIo(copy), n);
    to.append(copy);
    return n;
  }
  /** Appends bytes that are known to fit. */
  append(bytes: Uint8Array): void {
    this.noteRun(bytes.length, false);
    this.bytes.append(bytes);
    this.memory?.add(bytes.length);
    this.queue.notify(POLLIN | POLLRDNORM);
  }

  poll(reads: boolean, writes: boolean, hangup: boolean): number {
    let events = 0;
    if (reads) {
      if (this.used > 0) events |= POLLIN | POLLRDNORM;
      if (this.writers === 0 && hangup) events |= POLLHUP;
    }
    if (writes) {
      if (this.free >= PIPE_BUF) events |= POLLOUT | POLLWRNORM;
      if (this.readers === 0) events |= POLLERR;
    }
    return events;
  }

  /** F_SETPIPE_SZ: the capacity that it got. EBUSY: it holds more. EPERM: above the limit. */
  resize(size: number): number {
    let capacity = PAGE_SIZE;
    while (capacity < size && capacity <= PIPE_MAX_SIZE) capacity *= 2;
    if (capacity > PIPE_MAX_SIZE) return EPERM;
    if (capacity > this.capacity && this.account.total + capacity - this.capacity > MAX_TOTAL) return EPERM;
    if (capacity < this.used) return EBUSY;
    const wasFull = this.free < PIPE_BUF;
    this.account.total += capacity - this.capacity;
    this.capacity = capacity;
    if (wasFull && this.free >= PIPE_BUF) this.queue.notify(POLLOUT | POLLWRNORM);
    return capacity;
  }

  private readRun(dst: Sink): number {
    const run = this.runs[0] as Run;
    const n = this.bytes.drain(dst, Math.min(run.length, dst.remaining));
    if (n < 0) return n;
    run.length -= n;
    if (run.packet) this.bytes.drop(run.length); // the rest of a packet is lost, as pipe(2) says
    if (run.packet || run.length === 0) this.runs.shift();
    return n;
  }
  private writePackets(src: Source): number {
    let total = 0;
    while (src.remaining > 0 && this.free > 0) {
      const length = Math.min(src.remaining, PIPE_BUF);
      if (length > this.free) break;
      const n = this.moveIn(src, length, true);
      if (n < 0) return total > 0 ? total : n;
      total += n;
      if (n < length) break;
    }
    return total > 0 ? total : EAGAIN;
  }
  private moveIn(src: Source, length: number, packet: boolean): number {
    const before = this.used;
    const n = this.bytes.fill(src, length);
    if (n > 0 && (packet || this.runs.length > 0)) this.noteRun(n, packet, before);
    return n;
  }
  /** `length` bytes go in behind `before` others. */
  private noteRun(length: number, packet: boolean, before = this.used): void {
    if (!packet && this.runs.length === 0) return;
    if (this.runs.length === 0 && before > 0) this.runs.push({ length: before, packet: false });
    const last = this.runs[this.runs.length - 1];
    if (!packet && last !== undefined && !last.packet) last.length += length;
    else this.runs.push({ length, packet });
  }
}
