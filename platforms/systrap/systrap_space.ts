/** An address space: one host process with a stub, its slots and its socket. */
import { EAGAIN, EFAULT, EINVAL, type Errno } from '../../abi/errno.ts';
import { FUTEX_WAKE_OP } from '../../abi/futex.ts';
import { MREMAP_DONTUNMAP, MREMAP_FIXED, MREMAP_MAYMOVE, PAGE_SIZE, PROT_EXEC, PROT_WRITE } from '../../abi/mman.ts';
import { native } from '../../native-addon/native.ts';
import type { AddressSpace, CodePolicy, OwnedMemory, ThreadContext } from '../platform.ts';
import { ANONYMOUS_FLAGS, fileFlags, setBitOperation } from '../ptrace/injection.ts';
import { HOST_CALL } from '../ptrace/requests.ts';
import { MIN_ADDRESS, STUB_BASE } from '../stub_layout.ts';
import type { CallMemory, ProcessMemory } from './call_memory.ts';
import { CallRoom } from './call_room.ts';
import { CallSites, type CodeMemory } from './call_sites.ts';
import { FIRST_ROOM_SLOT, OP_HOST, OP_MAP_FILE, OP_THREAD, setWords, W_RSEQ, W_STATE } from './layout.ts';
import { SystrapFutexes } from './space_futexes.ts';
import type { SystrapPlatform } from './systrap_platform.ts';
import { SystrapThread } from './systrap_thread.ts';

const MSG_DONTWAIT = 0x40;
const MADV_DONTNEED = 4;
const ONE_BYTE = new Uint8Array(1);

export class SystrapSpace implements AddressSpace, CodeMemory, ProcessMemory {
  vdsoBase: number;
  /** The host process, a child of ours that we have not reaped. */
  pid = 0;
  readonly threads = new Set<SystrapThread>();
  private readonly platform: SystrapPlatform;
  /** Of its slots; page n is thread n's. */
  private readonly memfd: number;
  /** Our end of its socket. */
  readonly socket: number;
  /** Threads with commands that have not run. */
  private readonly pending = new Set<SystrapThread>();
  /** Of threads whose stubs have yet to write what their calls gave. */
  private readonly writers: CallMemory[] = [];
  /** Threads that are to end, and have not stopped yet. */
  readonly ending = new Set<SystrapThread>();
  /** Threads that were told to end: their numbers are free once they say so. */
  private readonly leaving: SystrapThread[] = [];
  /** Numbers of ended threads with their slots' places: both serve again. */
  private readonly free: { readonly index: number; readonly place: number }[] = [];
  private nextIndex = 0;
  /** Of the thread that the process began with: a forked one keeps the number it had. */
  private readonly firstIndex: number;
  private memFd = -1;
  /** System calls of its threads that came by a signal. */
  trapped = 0;
  /** Rewritten system calls; null: none, and there shall be none. */
  sites: CallSites | null = null;
  /** Of the process that this one was forked from, until `patchCalls`. */
  inherited: CallSites | null = null;
  readonly futexes: SystrapFutexes;
  readonly room: CallRoom;
  /** See `lateWrites`. Null: nothing is written late. */
  private owned: OwnedMemory | null = null;
  private released = false;

  constructor(platform: SystrapPlatform, memfd: number, socket: number, firstIndex: number, vdsoBase: number) {
    this.platform = platform;
    this.memfd = memfd;
    this.socket = socket;
    this.firstIndex = firstIndex;
    this.vdsoBase = vdsoBase;
    this.futexes = new SystrapFutexes(platform.window);
    this.room = new CallRoom(platform.rooms, memfd);
  }

  mapAnonymous(via: ThreadContext, address: number, length: number, prot: number): 0 | Errno {
    if (!inRange(address, length)) return EINVAL;
    this.sites?.forget(address, address + length);
    return (via as SystrapThread).defer(HOST_CALL.mmap, address, length, prot, ANONYMOUS_FLAGS, -1, 0);
  }
  mapFile(
    via: ThreadContext,
    address: number,
    length: number,
    prot: number,
    shared: boolean,
    hostFd: number,
    offset: number,
    late = false,
  ): 0 | Errno {
    if (!inRange(address, length)) return EINVAL;
    this.sites?.forget(address, address + length);
    const thread = via as SystrapThread;
    // Another thread would receive what was sent for this one.
    if (late && this.threads.size === 1) return thread.deferMapFile(address, length, prot, fileFlags(shared), hostFd, offset);
    const sent = this.sendFd(hostFd);
    if (sent < 0) return sent as Errno;
    thread.push(OP_MAP_FILE, 0, address, length, prot, fileFlags(shared), 0, offset);
    return done(thread.runCommands());
  }
  /** To the next of the process's stubs that receives. 0, or an errno. */
  sendFd(hostFd: number): number {
    return this.platform.host.sendWithFds(this.socket, ONE_BYTE, [hostFd], MSG_DONTWAIT);
  }
  unmap(via: ThreadContext, address: number, length: number): 0 | Errno {
    if (!inRange(address, length)) return EINVAL;
    this.sites?.forget(address, address + length);
    const thread = via as SystrapThread;
    // Deferred, it could come after another thread has been given the range anew.
    if (this.threads.size > 1) return this.now(thread, HOST_CALL.munmap, address, length, 0);
    return thread.defer(HOST_CALL.munmap, address, length, 0);
  }
  /** The host may refuse writing (a file opened for reading) and execution (a mount without it): those are asked at once. */
  protect(via: ThreadContext, address: number, length: number, prot: number): 0 | Errno {
    if (!inRange(address, length)) return EINVAL;
    const thread = via as SystrapThread;
    if ((prot & PROT_WRITE) !== 0) this.sites?.restoreIn(address, address + length);
    if ((prot & (PROT_WRITE | PROT_EXEC)) === 0) return thread.defer(HOST_CALL.mprotect, address, length, prot);
    return this.now(thread, HOST_CALL.mprotect, address, length, prot);
  }
  move(via: ThreadContext, from: number, oldLength: number, to: number, newLength: number, keepSource: boolean): 0 | Errno {
    if (!inRange(from, oldLength) || !inRange(to, newLength)) return EINVAL;
    if (this.sites !== null) {
      this.sites.restoreIn(from, from + oldLength);
      this.sites.forget(from, from + oldLength);
      this.sites.forget(to, to + newLength);
    }
    const flags = to === from ? 0 : MREMAP_MAYMOVE | MREMAP_FIXED | (keepSource ? MREMAP_DONTUNMAP : 0);
    return this.now(via as SystrapThread, HOST_CALL.mremap, from, oldLength, newLength, flags, to);
  }
  advise(via: ThreadContext, address: number, length: number, advice: number): 0 | Errno {
    if (!inRange(address, length)) return EINVAL;
    this.sites?.forgetTrampolines(address, address + length);
    const thread = via as SystrapThread;
    // The Sentry has seen that all of the range is mapped: giving back pages of one's own cannot fail. Not so for locked ones.
    if (advice === MADV_DONTNEED) return thread.deferAdvice(address, length, advice);
    return this.now(thread, HOST_CALL.madvise, address, length, advice);
  }
  changeWord(via: ThreadContext, address: number, operation: number): 0 | Errno {
    if (address >= STUB_BASE) return EFAULT;
    return this.now(via as SystrapThread, HOST_CALL.futex, address, FUTEX_WAKE_OP, 0, 0, address, operation);
  }
  membarrier(via: ThreadContext, command: number, flags: number, cpu: number): 0 | Errno {
    return this.now(via as SystrapThread, HOST_CALL.membarrier, command, flags, cpu);
  }
  setBit(via: ThreadContext, address: number, bit: number): 0 | Errno {
    if (address >= STUB_BASE) return EFAULT;
    return this.now(via as SystrapThread, HOST_CALL.futex, address, FUTEX_WAKE_OP, 0, 0, address, setBitOperation(bit));
  }
  private now(thread: SystrapThread, nr: number, a0: number, a1: number, a2: number, a3 = 0, a4 = 0, a5 = 0): 0 | Errno {
    thread.push(OP_HOST, nr, a0, a1, a2, a3, a4, a5);
    return done(thread.runCommands());
  }

  unsettled(thread: SystrapThread): void {
    this.pending.add(thread);
  }
  settled(thread: SystrapThread): void {
    this.pending.delete(thread);
  }
  /** Everything deferred happens now. */
  flush(): void {
    if (this.pending.size > 0) for (const thread of this.pending) this.flushThread(thread);
    while (this.writers.length > 0) (this.writers[this.writers.length - 1] as CallMemory).complete();
  }
  writing(memory: CallMemory): void {
    this.writers.push(memory);
  }
  written(memory: CallMemory): void {
    if (this.writers[this.writers.length - 1] === memory) this.writers.pop();
    else this.writers.splice(this.writers.indexOf(memory), 1);
  }
  flushThread(thread: SystrapThread): void {
    if (thread.runCommands() < 0) this.platform.lose(thread, 'a deferred memory operation failed');
  }

  read(address: number, into: Uint8Array, offset: number, count: number): number {
    this.flush();
    return native.readProcess(this.pid, address, into, offset, count);
  }
  write(address: number, from: Uint8Array, offset: number, count: number): number {
    if (address >= STUB_BASE) return EFAULT;
    this.flush();
    return this.writeNow(address, from, offset, Math.min(count, STUB_BASE - address));
  }
  writeNow(address: number, from: Uint8Array, offset: number, count: number): number {
    return native.writeProcess(this.pid, address, from, offset, count);
  }
  lateWrites(owned: OwnedMemory): void {
    this.owned = owned;
  }
  takeRoom(memory: CallMemory, address: number, count: number): number {
    return this.mayWriteLate(address, count) ? this.room.take(memory) : -1;
  }
  mayWriteLate(address: number, count: number): boolean {
    return this.owned?.isOwned(address, count) ?? false;
  }
  readForced(address: number, into: Uint8Array, offset: number, count: number): number {
    this.flush();
    const fd = this.openMem();
    const n = fd < 0 ? EFAULT : transferred(this.platform.host.pread(fd, into, offset, count, address));
    if (n > 0) this.sites?.overlay(address, into, offset, n);
    return n;
  }
  writeForced(address: number, from: Uint8Array, offset: number, count: number): number {
    this.flush();
    const fd = this.openMem();
    if (fd < 0 || address >= STUB_BASE) return EFAULT;
    this.sites?.restoreIn(address, address + count);
    return transferred(this.platform.host.pwrite(fd, from, offset, Math.min(count, STUB_BASE - address), address));
  }
  writeVdso(offset: number, code: Uint8Array): void {
    const fd = this.openMem();
    if (fd >= 0) this.platform.host.pwrite(fd, code, 0, code.length, this.vdsoBase + offset);
  }
  private openMem(): number {
    if (this.memFd < 0 && !this.released) this.memFd = Math.max(-1, this.platform.proc.openMemory(this.pid));
    return this.memFd;
  }

  patchCalls(policy: CodePolicy): void {
    if (this.platform.patchesCalls) this.sites = new CallSites(this, policy, this.inherited);
    this.inherited = null;
  }
  restoreCalls(): void {
    this.sites?.end();
  }
  get threaded(): boolean {
    return this.threads.size > 1;
  }
  readCode(address: number, into: Uint8Array): boolean {
    const fd = this.openMem();
    return fd >= 0 && this.platform.host.pread(fd, into, 0, into.length, address) === into.length;
  }
  writeCode(address: number, from: Uint8Array): boolean {
    this.flush();
    const fd = this.openMem();
    return fd >= 0 && this.platform.host.pwrite(fd, from, 0, from.length, address) === from.length;
  }
  hostCall(via: ThreadContext, nr: number, a0: number, a1: number, a2: number): void {
    this.now(via as SystrapThread, nr, a0, a1, a2);
  }

  fork(via: ThreadContext): ThreadContext | Errno {
    this.flush();
    return this.platform.forkFrom(via as SystrapThread);
  }
  newThread(via: ThreadContext, late = false): ThreadContext | Errno {
    const source = via as SystrapThread;
    this.flush();
    this.sites?.prepareThreads(source);
    source.needFrame();
    const { index, place } = this.takeIndex();
    if (index < 0) return EAGAIN;
    const thread = this.addThread(index, source, place);
    if (typeof thread === 'number') return thread;
    thread.startLike(source);
    source.push(OP_THREAD, 0, index);
    // Whoever is bound to a CPU or niceness is hurried while we wait for it, and not when it makes a thread by itself.
    if (late && !this.platform.scheduling.bound(source)) {
      source.starting = thread;
      return thread;
    }
    const tid = source.runCommands();
    if (tid < 0 || !this.platform.adopt(thread, tid)) {
      this.dropThread(thread);
      return tid < 0 ? (tid as Errno) : EAGAIN;
    }
    this.platform.scheduling.inherit(thread, source);
    return thread;
  }
  /** The process's thread `index` gets a slot, at `mapped` if it has one already; nothing runs yet. */
  addThread(index: number, parent: SystrapThread | null, mapped = -1): SystrapThread | Errno {
    const place = mapped >= 0 ? mapped : this.platform.window.map(this.memfd, index);
    if (place < 0) {
      this.free.push({ index, place: -1 });
      return place as Errno;
    }
    const { words } = this.platform.window;
    const at = this.platform.window.wordOf(place);
    words[at + W_STATE] = 0;
    setWords(words, at + W_RSEQ, 0);
    const thread = new SystrapThread(this.platform, this, index, place, parent);
    this.threads.add(thread);
    return thread;
  }
  dropThread(thread: SystrapThread): void {
    this.threads.delete(thread);
    this.free.push({ index: thread.index, place: thread.place });
  }
  /** The stubs of this space can see who waits on the Sentry's lists. */
  shareFutexes(): boolean {
    return !this.released && this.futexes.share(this.memfd);
  }
  isFirst(index: number): boolean {
    return index === this.firstIndex;
  }
  /** It was told to end (or to sleep for ever, if it is the first). */
  left(thread: SystrapThread): void {
    this.ending.delete(thread);
    this.leaving.push(thread);
  }
  /** A number that no thread has, -1 if there is none; place: of its slot, -1 if it has none. */
  private takeIndex(): { readonly index: number; readonly place: number } {
    for (let i = this.leaving.length - 1; i >= 0; i--) {
      const thread = this.leaving[i] as SystrapThread;
      if (!thread.hasEnded()) continue;
      this.leaving.splice(i, 1);
      this.dropThread(thread);
    }
    const free = this.free.pop();
    if (free !== undefined) return free;
    if (this.nextIndex === this.firstIndex) this.nextIndex++;
    return { index: this.nextIndex < FIRST_ROOM_SLOT ? this.nextIndex++ : -1, place: -1 };
  }

  release(): void {
    if (this.released) return;
    this.released = true;
    const { host, window } = this.platform;
    if (this.pid > 0) host.kill(this.pid, 9);
    const { threads, ending } = this;
    for (const thread of [...threads, ...ending]) this.platform.forget(thread);
    for (const { place } of [...threads, ...ending, ...this.leaving, ...this.free]) if (place >= 0) window.unmap(place);
    this.futexes.release();
    this.room.release();
    this.free.length = 0;
    threads.clear();
    ending.clear();
    this.leaving.length = 0;
    this.pending.clear();
    this.writers.length = 0;
    host.close(this.memfd);
    host.close(this.socket);
    if (this.memFd >= 0) host.close(this.memFd);
    this.memFd = -1;
    this.platform.spaces.delete(this.pid);
  }
  setOomScore(wanted: number): void {
    this.platform.proc.setOomScore(this.pid, wanted);
  }
  pagemap(offset: number, into: Uint8Array, count: number): number {
    return this.platform.proc.pagemap(this.pid, offset, into, count);
  }
  resident(): { readonly total: number; readonly shared: number } {
    return this.platform.proc.resident(this.pid);
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
