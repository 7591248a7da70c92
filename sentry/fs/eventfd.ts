/** eventfd(2): a file that holds one 64-bit counter. */
import { EAGAIN, EFAULT, EINVAL, ERESTARTSYS } from '../../abi/errno.ts';
import { O_RDWR } from '../../abi/fcntl.ts';
import { POLLERR, POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM } from '../../abi/poll.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { Task } from '../kernel/task.ts';
import { type Blocking, type SyscallResult, WaitQueue, waitFor } from '../kernel/wait.ts';
import { FileDescription, FileImpl } from '../vfs/file.ts';
import type { Sink, Source } from '../vfs/io.ts';

const MAX = 0xffff_ffff_ffff_ffffn;

export class EventFile extends FileImpl {
  override readonly queue = new WaitQueue();
  count: bigint;
  private readonly semaphore: boolean;
  private readonly buffer = new Uint8Array(8);
  private readonly view = new DataView(this.buffer.buffer);

  constructor(count: bigint, semaphore: boolean) {
    super();
    this.count = count;
    this.semaphore = semaphore;
  }

  override read(dst: Sink, _file: FileDescription, _task: Task): number {
    if (dst.remaining < 8) return EINVAL;
    if (this.count === 0n) return EAGAIN;
    const value = this.semaphore ? 1n : this.count;
    this.view.setBigUint64(0, value, true);
    this.count -= value;
    this.queue.notify(POLLOUT | POLLWRNORM);
    return dst.put(this.buffer, 0, 8) === 8 ? 8 : EFAULT;
  }

  override write(src: Source, file: FileDescription, _task: Task): SyscallResult {
    if (src.remaining < 8) return EINVAL;
    if (src.take(this.buffer, 0, 8) !== 8) return EFAULT;
    const value = this.view.getBigUint64(0, true);
    if (value === MAX) return EINVAL;
    if (this.add(value)) return 8;
    return file.nonblocking ? EAGAIN : this.addBlocking(value, file);
  }
  /** False if the sum would reach the maximum. */
  private add(value: bigint): boolean {
    if (this.count + value >= MAX) return false;
    this.count += value;
    if (value > 0n) this.queue.notify(POLLIN | POLLRDNORM);
    return true;
  }
  private *addBlocking(value: bigint, file: FileDescription): Blocking {
    file.hold();
    try {
      for (;;) {
        const wake = yield waitFor(this.queue, POLLOUT);
        if (this.add(value)) return 8;
        if (wake === 'signal') return ERESTARTSYS;
      }
    } finally {
      file.release();
    }
  }
  /** Adds for the kernel (AIO completions): stops below the maximum and never waits. */
  signal(value: bigint): void {
    const room = MAX - 1n - this.count;
    this.add(value < room ? value : room);
  }

  override seek(): number {
    return 0; // allowed, without effect
  }
  override poll(_file: FileDescription): number {
    let events = 0;
    if (this.count > 0n) events |= POLLIN;
    if (this.count < MAX - 1n) events |= POLLOUT;
    if (this.count === MAX) events |= POLLERR;
    return events;
  }
  override describe(): string {
    return `eventfd-count: ${this.count.toString(16).padStart(16)}\neventfd-semaphore: ${this.semaphore ? 1 : 0}\n`;
  }
}

/** flags: O_NONBLOCK or 0. */
export function makeEventFile(kernel: Kernel, count: number, semaphore: boolean, flags: number): FileDescription {
  const path = kernel.anonymous.path('anon_inode:[eventfd]', 0o600);
  return new FileDescription(new EventFile(BigInt(count), semaphore), O_RDWR | flags, path);
}
