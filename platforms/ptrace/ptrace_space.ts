/** An address space: one host process, all of whose threads are traced. */
import { EFAULT, EINVAL, type Errno } from '../../abi/errno.ts';
import { FUTEX_WAKE_OP } from '../../abi/futex.ts';
import { MREMAP_DONTUNMAP, MREMAP_FIXED, MREMAP_MAYMOVE, PAGE_SIZE } from '../../abi/mman.ts';
import { native } from '../../native-addon/native.ts';
import type { AddressSpace, ThreadContext } from '../platform.ts';
import { MIN_ADDRESS, STUB_BASE } from '../stub_layout.ts';
import { STUB_RECEIVED } from './descriptor_channel.ts';
import { ANONYMOUS_FLAGS, FORK_FLAGS, fileFlags, setBitOperation, THREAD_FLAGS } from './injection.ts';
import type { PtracePlatform } from './ptrace_platform.ts';
import { PtraceThread } from './ptrace_thread.ts';
import { HOST_CALL } from './requests.ts';

const O_RDWR_CLOEXEC = 0o2000002;

export class PtraceSpace implements AddressSpace {
  readonly vdsoBase: number;
  /** The host process, for kill(2). */
  readonly pid: number;
  readonly threads = new Set<PtraceThread>();
  private readonly platform: PtracePlatform;
  /** /proc/PID/mem, opened for the first forced access; -1 before. It keeps the memory's structure alive, not its pages. */
  private memFd = -1;
  private released = false;

  constructor(platform: PtracePlatform, pid: number, vdsoBase: number) {
    this.platform = platform;
    this.pid = pid;
    this.vdsoBase = vdsoBase;
  }

  mapAnonymous(via: ThreadContext, address: number, length: number, prot: number): 0 | Errno {
    if (!inRange(address, length)) return EINVAL;
    return done((via as PtraceThread).call(HOST_CALL.mmap, address, length, prot, ANONYMOUS_FLAGS, -1, 0));
  }
  mapFile(via: ThreadContext, address: number, length: number, prot: number, shared: boolean, hostFd: number, offset: number): 0 | Errno {
    if (!inRange(address, length)) return EINVAL;
    const thread = via as PtraceThread;
    const sent = thread.checked(this.platform.channel.send(thread.tid, hostFd));
    if (sent < 0) return sent as Errno;
    const mapped = thread.call(HOST_CALL.mmap, address, length, prot, fileFlags(shared), STUB_RECEIVED, offset);
    thread.call(HOST_CALL.close, STUB_RECEIVED);
    return done(mapped);
  }
  unmap(via: ThreadContext, address: number, length: number): 0 | Errno {
    if (!inRange(address, length)) return EINVAL;
    return done((via as PtraceThread).call(HOST_CALL.munmap, address, length));
  }
  protect(via: ThreadContext, address: number, length: number, prot: number): 0 | Errno {
    if (!inRange(address, length)) return EINVAL;
    return done((via as PtraceThread).call(HOST_CALL.mprotect, address, length, prot));
  }
  move(via: ThreadContext, from: number, oldLength: number, to: number, newLength: number, keepSource: boolean): 0 | Errno {
    if (!inRange(from, oldLength) || !inRange(to, newLength)) return EINVAL;
    const flags = to === from ? 0 : MREMAP_MAYMOVE | MREMAP_FIXED | (keepSource ? MREMAP_DONTUNMAP : 0);
    return done((via as PtraceThread).call(HOST_CALL.mremap, from, oldLength, newLength, flags, to));
  }
  advise(via: ThreadContext, address: number, length: number, advice: number): 0 | Errno {
    if (!inRange(address, length)) return EINVAL;
    return done((via as PtraceThread).call(HOST_CALL.madvise, address, length, advice));
  }
  changeWord(via: ThreadContext, address: number, operation: number): 0 | Errno {
    if (address >= STUB_BASE) return EFAULT;
    return done((via as PtraceThread).call(HOST_CALL.futex, address, FUTEX_WAKE_OP, 0, 0, address, operation));
  }
  membarrier(via: ThreadContext, command: number, flags: number, cpu: number): 0 | Errno {
    return done((via as PtraceThread).call(HOST_CALL.membarrier, command, flags, cpu));
  }
  setBit(via: ThreadContext, address: number, bit: number): 0 | Errno {
    if (address >= STUB_BASE) return EFAULT;
    return done((via as PtraceThread).call(HOST_CALL.futex, address, FUTEX_WAKE_OP, 0, 0, address, setBitOperation(bit)));
  }

  read(address: number, into: Uint8Array, offset: number, count: number): number {
    return native.readProcess(this.anyTid(), address, into, offset, count);
  }
  write(address: number, from: Uint8Array, offset: number, count: number): number {
    if (address >= STUB_BASE) return EFAULT; // what the host would allow there is ours
    return native.writeProcess(this.anyTid(), address, from, offset, Math.min(count, STUB_BASE - address));
  }
  readForced(address: number, into: Uint8Array, offset: number, count: number): number {
    const fd = this.openMem();
    return fd < 0 ? EFAULT : transferred(this.platform.host.pread(fd, into, offset, count, address));
  }
  writeForced(address: number, from: Uint8Array, offset: number, count: number): number {
    const fd = this.openMem();
    if (fd < 0 || address >= STUB_BASE) return EFAULT;
    return transferred(this.platform.host.pwrite(fd, from, offset, Math.min(count, STUB_BASE - address), address));
  }
  writeVdso(offset: number, code: Uint8Array): void {
    const fd = this.openMem();
    if (fd >= 0) this.platform.host.pwrite(fd, code, 0, code.length, this.vdsoBase + offset);
  }
  /** A leader that has exited has no memory, so any living thread names the space. */
  private anyTid(): number {
    for (const thread of this.threads) return thread.tid;
    return this.pid;
  }
  private openMem(): number {
    if (this.memFd < 0 && !this.released) {
      const fd = this.platform.host.openat(this.platform.proc.fd, `${this.anyTid()}/mem`, O_RDWR_CLOEXEC);
      if (fd >= 0) this.memFd = fd;
    }
    return this.memFd;
  }

  fork(via: ThreadContext): ThreadContext | Errno {
    return this.platform.forkFrom(via as PtraceThread, FORK_FLAGS);
  }
  newThread(via: ThreadContext): ThreadContext | Errno {
    const source = via as PtraceThread;
    const tid = source.clone(THREAD_FLAGS);
    if (tid < 0) return tid as Errno;
    const thread = this.platform.adopt(new PtraceThread(this.platform, this, tid, source));
    thread.takeStopOf(source);
    this.platform.scheduling.inherit(thread, source);
    return thread;
  }
  release(): void {
    if (this.released) return;
    this.released = true;
    for (const thread of this.threads) this.platform.forget(thread);
    this.threads.clear();
    this.platform.host.kill(this.pid, 9);
    if (this.memFd >= 0) this.platform.host.close(this.memFd);
    this.memFd = -1;
  }
  setOomScore(wanted: number): void {
    this.platform.proc.setOomScore(this.pid, wanted);
  }
  pagemap(offset: number, into: Uint8Array, count: number): number {
    return this.platform.proc.pagemap(this.pid, offset, into, count);
  }
  resident(): { readonly total: number; readonly shared: number } {
    return this.platform.proc.resident(this.anyTid());
  }
}

function inRange(address: number, length: number): boolean {
  return address >= MIN_ADDRESS && length > 0 && address + length <= STUB_BASE && address % PAGE_SIZE === 0;
}
function done(result: number): 0 | Errno {
  return result < 0 ? (result as Errno) : 0;
}
/** /proc/PID/mem says EIO, or 0 bytes, where nothing is mapped. */
function transferred(result: number): number {
  return result <= 0 ? EFAULT : result;
}
