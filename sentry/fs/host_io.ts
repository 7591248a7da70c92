/**
 * Transfers between host files and the kernel's scratch buffer, without waiting: what the host's page cache has, or can take, moves now;
 * for the rest the caller turns to the worker.
 */
import { EAGAIN, EOPNOTSUPP } from '../../abi/errno.ts';
import type { Host } from '../../lib/host.ts';
import type { HostPoll } from '../../platforms/host_poll.ts';
import { IoWorker } from '../kernel/io_worker.ts';
import type { HostFd } from './host_fd.ts';

const PREADV2 = 327;
const PWRITEV2 = 328;
const FSTATFS = 138;

// preadv2(2)
export const RWF_DSYNC = 2;
export const RWF_SYNC = 4;
const RWF_NOWAIT = 8;
export const RWF_APPEND = 16;

/** statfs(2): filesystems that live in memory, where reading never waits although RWF_NOWAIT may be unknown. */
const TMPFS_MAGIC = 0x0102_1994;
const RAMFS_MAGIC = 0x8584_58f6;

/** A write that takes longer, copying aside, is one that waited for the disk; the next ones of the file go to the worker for a while. */
const SLOW_WRITE_NS = 1_000_000;
/** What copying a byte into new pages takes at most on a busy machine. */
const COPY_NS = 4;
const SLOW_PERIOD_NS = 50_000_000;

export class HostIo {
  readonly worker: IoWorker;
  private readonly host: Host;
  /** struct iovec. */
  private readonly iov = new Uint32Array(4);
  private readonly scratch: number;

  constructor(host: Host, poll: HostPoll, scratch: Uint8Array) {
    this.host = host;
    this.worker = new IoWorker(host, poll);
    this.scratch = host.addressOf(scratch);
  }
  private aim(address: number, count: number): void {
    this.iov[0] = address % 0x1_0000_0000;
    this.iov[1] = Math.floor(address / 0x1_0000_0000);
    this.iov[2] = count;
  }

  /** Reads into the scratch buffer, or to an address of ours. Bytes, 0 at the end, EAGAIN if it would wait, or an errno. */
  read(file: HostFd, count: number, position: number, to = this.scratch): number {
    if (!file.noWaitRead) return EAGAIN;
    this.aim(to, count);
    const n = this.host.syscall(PREADV2, file.fd, this.iov, 1, position, 0, file.inMemory ? 0 : RWF_NOWAIT);
    if (n !== EOPNOTSUPP || file.inMemory) return n;
    file.inMemory = this.isInMemory(file);
    file.noWaitRead = file.inMemory;
    return this.read(file, count, position, to);
  }

  /**
   * Writes from the scratch buffer, or from an address of ours. Filesystems without RWF_NOWAIT for buffered writes (ext4) take them into the page cache at once,
   * unless the host throttles writers: such writes happen here as long as they are quick. This is the one place where the kernel thread may
   * wait for the host's disk, for one write.
   */
  write(file: HostFd, count: number, position: number, flags: number, from = this.scratch): number {
    this.aim(from, count);
    if (file.noWaitWrite) {
      const n = this.host.syscall(PWRITEV2, file.fd, this.iov, 1, position, 0, flags | RWF_NOWAIT);
      if (n !== EOPNOTSUPP) return n;
      file.noWaitWrite = false;
    }
    const start = this.host.monotonicNow();
    if (start < file.slowUntil) return EAGAIN;
    const n = this.host.syscall(PWRITEV2, file.fd, this.iov, 1, position, 0, flags);
    const end = this.host.monotonicNow();
    if (end - start > SLOW_WRITE_NS + count * COPY_NS) file.slowUntil = end + SLOW_PERIOD_NS;
    return n;
  }

  private isInMemory(file: HostFd): boolean {
    const stats = new DataView(new ArrayBuffer(120));
    if (this.host.syscall(FSTATFS, file.fd, stats) < 0) return false;
    const type = stats.getUint32(0, true);
    return type === TMPFS_MAGIC || type === RAMFS_MAGIC;
  }
}
