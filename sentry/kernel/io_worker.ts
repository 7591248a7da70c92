/**
 * The kernel thread's side of the I/O workers (native-addon/src/io_worker.c): transfers that would block the host thread run in a
 * pool, and the task waits as for any other event. The pool starts when it is first needed.
 */
import { EAGAIN, EIO } from '../../abi/errno.ts';
import { POLLIN, POLLOUT } from '../../abi/poll.ts';
import { setLen64 } from '../../abi/struct.ts';
import type { Host } from '../../lib/host.ts';
import type { HostPoll } from '../../platforms/host_poll.ts';
import type { HostFd } from '../fs/host_fd.ts';
import { type Blocking, WaitQueue, waitFor } from './wait.ts';

// Operations, as io_worker.c numbers them.
export const IO_READ = 0;
export const IO_WRITE = 1;
export const IO_FSYNC = 2;
export const IO_FDATASYNC = 3;
/** What close(2) of the descriptor would report. */
export const IO_FLUSH = 4;
export const IO_PUNCH = 5;
const IO_CLOSE = 6;
const IO_COPY = 7;

/** Disks have more than one request under way; more threads would only wait for the same lock. */
const THREADS = 4;
export const IO_BUFFER_SIZE = 128 << 10;
/** Free buffers that are kept. */
const KEPT_BUFFERS = 4;
const COMPLETIONS_PER_CALL = 64;

interface Job {
  readonly buffer: Uint8Array | null;
  readonly file: HostFd;
  /** The other file of a copy. */
  readonly target: HostFd | null;
  readonly done: WaitQueue;
  result: number | null;
}

export class IoWorker {
  private readonly host: Host;
  private readonly poll: HostPoll;
  private started = false;
  private nextJob = 1;
  /** Under way. The map holds what the pool's threads use: buffer and descriptor. */
  private readonly jobs = new Map<number, Job>();
  private readonly room = new WaitQueue();
  private readonly completions = new Float64Array(2 * COMPLETIONS_PER_CALL);
  private readonly buffers: Uint8Array[] = [];
  /** Buffers whose task was killed while a thread used them. */
  private readonly orphans = new Set<Uint8Array>();

  constructor(host: Host, poll: HostPoll) {
    this.host = host;
    this.poll = poll;
  }

  takeBuffer(): Uint8Array {
    return this.buffers.pop() ?? new Uint8Array(IO_BUFFER_SIZE);
  }
  giveBuffer(buffer: Uint8Array): void {
    for (const job of this.jobs.values()) {
      if (job.buffer === buffer) {
        this.orphans.add(buffer);
        return;
      }
    }
    if (this.buffers.length < KEPT_BUFFERS) this.buffers.push(buffer);
  }

  /** One operation; ends with its result. Not interrupted by signals, as disk I/O is not. */
  run(operation: number, file: HostFd, buffer: Uint8Array | null, count: number, position: number, flags: number): Blocking {
    return this.runJob(operation, file, null, buffer, count, position, flags);
  }
  /** copy_file_range(2), as `run`. */
  copy(from: HostFd, position: number, to: HostFd, target: number, count: number): Blocking {
    const place = new DataView(new ArrayBuffer(16)); // struct copy_target
    setLen64(place, 0, target);
    place.setInt32(8, to.fd, true);
    return this.runJob(IO_COPY, from, to, new Uint8Array(place.buffer), count, position, 0);
  }
  private *runJob(
    operation: number,
    file: HostFd,
    target: HostFd | null,
    buffer: Uint8Array | null,
    count: number,
    position: number,
    flags: number,
  ): Blocking {
    if (!this.start()) return EIO;
    const number = this.nextJob++;
    for (;;) {
      const r = this.host.ioSubmit(number, operation, file.fd, buffer, count, position, flags);
      if (r === 0) break;
      if (r !== EAGAIN) return r;
      yield waitFor(this.room, POLLOUT);
    }
    const job: Job = { buffer, file: file.hold(), target: target?.hold() ?? null, done: new WaitQueue(), result: null };
    this.jobs.set(number, job);
    while (job.result === null) yield waitFor(job.done, POLLIN);
    return job.result;
  }

  /** Closes a descriptor whose end takes long. Nobody waits for it. */
  close(fd: number): void {
    if (!this.start() || this.host.ioSubmit(this.nextJob++, IO_CLOSE, fd, null, 0, 0, 0) !== 0) this.host.close(fd);
  }

  private start(): boolean {
    if (this.started) return true;
    const fd = this.host.ioStart(THREADS);
    this.started = fd >= 0 && this.poll.add(fd, POLLIN, () => this.collect()) === 0;
    return this.started;
  }

  private collect(): void {
    const count = this.host.ioCompletions(this.completions);
    for (let i = 0; i < count; i++) {
      const number = this.completions[2 * i] as number;
      const job = this.jobs.get(number);
      if (job === undefined) continue;
      this.jobs.delete(number);
      job.result = this.completions[2 * i + 1] as number;
      job.file.release();
      job.target?.release();
      if (job.buffer !== null && this.orphans.delete(job.buffer)) this.giveBuffer(job.buffer);
      job.done.notify(POLLIN);
    }
    if (count > 0) this.room.notify(POLLOUT);
  }
}
