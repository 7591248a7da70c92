/**
 * signalfd(2): pending signals of the reader, as a file. Readiness is that of the process that used the file last: an epoll instance
 * asks in nobody's name.
 */
import { EAGAIN, EFAULT, EINVAL } from '../../abi/errno.ts';
import { O_RDWR } from '../../abi/fcntl.ts';
import { POLLIN, POLLRDNORM } from '../../abi/poll.ts';
import { i32, len64, pad, struct, u32, u64 } from '../../abi/struct.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { takeSignal } from '../kernel/signal_delivery.ts';
import { type SignalInfo, type SignalSet, UNBLOCKABLE } from '../kernel/signal_state.ts';
import type { Task } from '../kernel/task.ts';
import type { ThreadGroup } from '../kernel/thread_group.ts';
import { type WaitEntry, WaitQueue } from '../kernel/wait.ts';
import { FileDescription, FileImpl } from '../vfs/file.ts';
import type { Sink } from '../vfs/io.ts';

/** struct signalfd_siginfo (signalfd(2)). */
const SignalfdSiginfo = struct('signalfd_siginfo', 128, {
  ssi_signo: u32,
  ssi_errno: i32,
  ssi_code: i32,
  ssi_pid: u32,
  ssi_uid: u32,
  ssi_fd: i32,
  ssi_tid: u32,
  ssi_band: u32,
  ssi_overrun: u32,
  __ssi_trapno: u32,
  ssi_status: i32,
  ssi_int: i32,
  ssi_ptr: u64,
  ssi_utime: len64,
  ssi_stime: len64,
  ssi_addr: len64,
  __pad: pad(48),
});

function encode(info: SignalInfo): Uint8Array {
  const value = info.value ?? 0n;
  return SignalfdSiginfo.encode({
    ssi_signo: info.signal,
    ssi_errno: info.errno ?? 0,
    ssi_code: info.code,
    ssi_pid: info.pid ?? 0,
    ssi_uid: info.uid ?? 0,
    ssi_fd: info.fd ?? 0,
    ssi_tid: info.timerId ?? 0,
    ssi_band: info.band ?? 0,
    ssi_overrun: info.overrun ?? 0,
    ssi_status: info.status ?? 0,
    ssi_int: Number(BigInt.asIntN(32, value)),
    ssi_ptr: BigInt.asUintN(64, value),
    ssi_utime: info.utime ?? 0,
    ssi_stime: info.stime ?? 0,
    ssi_addr: info.address ?? 0,
  });
}

export class SignalFile extends FileImpl implements WaitEntry {
  override readonly queue = new WaitQueue();
  private mask: SignalSet;
  private group: ThreadGroup;
  // WaitEntry, on the process's signalEvents
  readonly events = POLLIN;

  constructor(task: Task, mask: SignalSet) {
    super();
    this.mask = mask & ~UNBLOCKABLE;
    this.group = task.group;
    this.group.signalEvents.add(this);
  }
  wake(_events: number): void {
    if (this.pending() !== 0n) this.queue.notify(POLLIN | POLLRDNORM);
  }
  /** signalfd(2) of an existing descriptor. */
  setMask(mask: SignalSet): void {
    this.mask = mask & ~UNBLOCKABLE;
    this.wake(POLLIN);
  }

  override read(dst: Sink, _file: FileDescription, task: Task): number {
    this.follow(task);
    if (dst.remaining < SignalfdSiginfo.size) return EINVAL;
    let total = 0;
    while (dst.remaining >= SignalfdSiginfo.size) {
      const info = takeSignal(task, this.mask);
      if (info === null) break;
      const n = dst.put(encode(info), 0, SignalfdSiginfo.size);
      if (n !== SignalfdSiginfo.size) return total > 0 ? total : EFAULT;
      total += n;
    }
    return total > 0 ? total : EAGAIN;
  }
  override seek(): number {
    return 0; // allowed, without effect
  }
  override poll(_file: FileDescription, task: Task | null = null): number {
    if (task !== null) this.follow(task);
    const set = task === null ? this.pending() : (task.pending.set | task.group.pending.set) & this.mask;
    return set !== 0n ? POLLIN : 0;
  }
  /** Wanted signals that wait for the process or one of its threads. */
  private pending(): SignalSet {
    let set = this.group.pending.set;
    for (const task of this.group.tasks) set |= task.pending.set;
    return set & this.mask;
  }
  /** After fork(2) the child uses the same file for its own signals. */
  private follow(task: Task): void {
    if (task.group === this.group) return;
    this.group.signalEvents.remove(this);
    this.group = task.group;
    this.group.signalEvents.add(this);
  }
  override release(): void {
    this.group.signalEvents.remove(this);
  }
  override describe(): string {
    return `sigmask:\t${this.mask.toString(16).padStart(16, '0')}\n`;
  }
}

/** flags: O_NONBLOCK or 0. */
export function makeSignalFile(kernel: Kernel, task: Task, mask: SignalSet, flags: number): FileDescription {
  const path = kernel.anonymous.path('anon_inode:[signalfd]', 0o600);
  return new FileDescription(new SignalFile(task, mask), O_RDWR | flags, path);
}
