/**
 * The address space of a process as the kernel keeps it: which range is mapped from what, limits, the heap. Pages belong to the
 * platform: every change here is told to it "via" the calling task's stopped thread.
 *
 * Shared by the tasks of CLONE_VM; the last one's release frees everything.
 */
import { EACCES, EAGAIN, EEXIST, EFAULT, EINVAL, ENOMEM, EPERM, type Errno, isErrno } from '../../abi/errno.ts';
import { O_RDWR } from '../../abi/fcntl.ts';
import { F_SEAL_FUTURE_WRITE, F_SEAL_WRITE } from '../../abi/memfd.ts';
import {
  MAP_ANONYMOUS,
  MAP_FIXED,
  MAP_FIXED_NOREPLACE,
  MAP_GROWSDOWN,
  MAP_LOCKED,
  MAP_NORESERVE,
  MAP_SHARED,
  MAP_SHARED_VALIDATE,
  MAP_TYPE,
  PAGE_SIZE,
  PROT_EXEC,
  PROT_READ,
  PROT_WRITE,
} from '../../abi/mman.ts';
import type { AddressSpace, OwnedMemory, SpaceFutexes, ThreadContext } from '../../platforms/platform.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { type ResourceLimits, RLIMIT_AS, RLIMIT_DATA } from '../kernel/rlimits.ts';
import { FileDescription, type HostMapping } from '../vfs/file.ts';
import { MS_NOEXEC } from '../vfs/path.ts';
import { MappedCode } from './code_policy.ts';
import { SharedAnonymous } from './shared_anonymous.ts';
import { VMA_GROWSDOWN, VMA_LOCKED, VMA_NORESERVE, type Vma, VmaSet } from './vma.ts';

/** vm.max_map_count. */
export const MAX_MAP_COUNT = 65530;
/** vm.mmap_min_addr. */
const MMAP_MIN_ADDR = 65536;
const PROT_ALL = PROT_READ | PROT_WRITE | PROT_EXEC;

export function pageUp(value: number): number {
  return Math.ceil(value / PAGE_SIZE) * PAGE_SIZE;
}
export function pageDown(value: number): number {
  return Math.floor(value / PAGE_SIZE) * PAGE_SIZE;
}

/** Where parts of the program lie, for /proc/PID/stat, auxv and prctl(2) PR_SET_MM. Addresses. */
export interface Layout {
  startCode: number;
  endCode: number;
  startData: number;
  endData: number;
  startBrk: number;
  startStack: number;
  argStart: number;
  argEnd: number;
  envStart: number;
  envEnd: number;
}

export class MemoryMap implements OwnedMemory {
  readonly kernel: Kernel;
  readonly space: AddressSpace;
  vmas = new VmaSet();
  layout: Layout = {
    startCode: 0,
    endCode: 0,
    startData: 0,
    endData: 0,
    startBrk: 0,
    startStack: 0,
    argStart: 0,
    argEnd: 0,
    envStart: 0,
    envEnd: 0,
  };
  /** End of the heap, as brk(2) set it; not rounded. */
  brk = 0;
  /** mmap looks for room downwards from here. */
  mmapBase: number;
  /** The auxiliary vector as execve wrote it (/proc/PID/auxv). */
  auxv = new Uint8Array(0);
  private program: FileDescription | null = null;
  /** prctl(2) PR_SET_DUMPABLE. */
  dumpable = 1;
  /** prctl(2) PR_SET_THP_DISABLE. */
  hugePagesOff = false;
  /** Bytes locked by mlock(2). */
  lockedBytes = 0;
  lockFuture = false;
  /** membarrier(2): commands that the process has registered for. */
  membarriers = 0;
  private users = 1;

  constructor(kernel: Kernel, space: AddressSpace, mmapBase: number) {
    this.kernel = kernel;
    this.space = space;
    this.mmapBase = mmapBase;
    if (kernel.patchesCalls) space.patchCalls?.(new MappedCode(this));
    space.lateWrites?.(this);
  }
  /** The program's own data too: its file cannot be cut while it runs. */
  isOwned(address: number, count: number): boolean {
    const { vmas, program } = this;
    for (let i = vmas.indexAt(address), at = address; at < address + count; i++) {
      const vma = vmas.all[i];
      if (vma === undefined || vma.start > at || vma.shared || (vma.prot & PROT_WRITE) === 0) return false;
      if (vma.file !== null && vma.file.inode !== (program?.inode ?? null)) return false;
      at = vma.end;
    }
    return true;
  }

  // Life

  share(): this {
    this.users++;
    return this;
  }
  get userCount(): number {
    return this.users;
  }
  /** One task leaves. True if it was the last: the space is gone, threads included. */
  release(): boolean {
    if (--this.users > 0) return false;
    this.kernel.aio.released(this);
    this.vmas.clear();
    this.setExecutable(null);
    this.space.release();
    return true;
  }
  /** The map of a forked space. */
  fork(space: AddressSpace): MemoryMap {
    const copy = new MemoryMap(this.kernel, space, this.mmapBase);
    copy.vmas = this.vmas.fork();
    copy.layout = { ...this.layout };
    copy.brk = this.brk;
    copy.auxv = this.auxv;
    copy.setExecutable(this.program);
    copy.dumpable = this.dumpable;
    copy.membarriers = this.membarriers;
    return copy;
  }

  /** The executable (/proc/PID/exe). */
  get executable(): FileDescription | null {
    return this.program;
  }
  /** Holds the file; nobody can open it for writing meanwhile. */
  setExecutable(file: FileDescription | null): void {
    const before = this.program;
    this.program = file?.hold() ?? null;
    if (file?.inode) file.inode.programs++;
    if (before?.inode) before.inode.programs--;
    before?.release();
  }

  // mmap(2)

  /** Address, or an errno. Arguments as mmap(2)'s; `file` stays the caller's. */
  map(
    via: ThreadContext,
    limits: ResourceLimits,
    hint: number,
    bytes: number,
    prot: number,
    flags: number,
    file: FileDescription | null,
    offset: number,
  ): number {
    if (bytes === 0 || offset % PAGE_SIZE !== 0 || offset < 0) return EINVAL;
    const length = pageUp(bytes);
    if (!(length <= this.kernel.platform.maxAddress)) return ENOMEM;
    const type = flags & MAP_TYPE;
    const shared = type === MAP_SHARED || type === MAP_SHARED_VALIDATE;
    if (this.vmas.all.length >= MAX_MAP_COUNT) return ENOMEM;
    let maxProt = PROT_ALL;
    if (file !== null && (flags & MAP_ANONYMOUS) === 0) {
      const allowed = this.fileProtection(file, shared, prot);
      if (isErrno(allowed)) return allowed;
      maxProt = allowed;
    }
    const address = this.choose(hint, length, flags);
    if (isErrno(address)) return address;
    if (!this.withinLimits(limits, address, length, prot, shared)) return ENOMEM;
    const source =
      (flags & MAP_ANONYMOUS) !== 0
        ? this.anonymousSource(shared, length)
        : this.fileSource(file as FileDescription, shared, prot, offset, length);
    if (isErrno(source)) return source;
    const growsDown = (flags & MAP_GROWSDOWN) !== 0 && !shared && (flags & MAP_ANONYMOUS) !== 0;
    const advice =
      (growsDown ? VMA_GROWSDOWN : 0) |
      ((flags & MAP_LOCKED) !== 0 || this.lockFuture ? VMA_LOCKED : 0) |
      ((flags & MAP_NORESERVE) !== 0 ? VMA_NORESERVE : 0);
    const vma: Vma = {
      start: address,
      end: address + length,
      prot: prot & PROT_ALL,
      maxProt,
      shared,
      advice,
      file: source.file,
      offset: source.file === null ? 0 : source.anonymous ? 0 : offset,
      label: '',
    };
    const r = this.place(via, vma, source.mapping);
    if (isErrno(r)) {
      source.file?.release();
      return r;
    }
    return address;
  }

  /**
   * Records a mapping and tells the platform; replaces what was there. Takes vma.file's reference on success. late: a program is being
   * loaded, which ends with its thread if the host refuses a part of it.
   */
  place(via: ThreadContext, vma: Vma, mapping: HostMapping | null, late = false): 0 | Errno {
    this.forget(vma.start, vma.end);
    const length = vma.end - vma.start;
    const r =
      mapping === null
        ? this.space.mapAnonymous(via, vma.start, length, vma.prot)
        : this.space.mapFile(via, vma.start, length, vma.prot, vma.shared, mapping.hostFd, mapping.offset + vma.offset, late);
    if (isErrno(r)) return r;
    if ((vma.advice & VMA_LOCKED) !== 0) this.lockedBytes += length;
    this.vmas.add(vma);
    return 0;
  }

  /** What the file's mode and mount allow: maxProt, or the errno of mmap(2). */
  private fileProtection(file: FileDescription, shared: boolean, prot: number): number {
    if (!file.readable) return EACCES;
    const noexec = file.path !== null && (file.path.mount.flags & MS_NOEXEC) !== 0;
    if (noexec && (prot & PROT_EXEC) !== 0) return EPERM;
    if (shared && (prot & PROT_WRITE) !== 0 && !file.writable) return EACCES;
    const seals = shared ? file.impl.seals() : 0;
    const sealed = seals > 0 && (seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)) !== 0;
    return PROT_READ | (noexec ? 0 : PROT_EXEC) | (!shared || (file.writable && !sealed) ? PROT_WRITE : 0);
  }

  private fileSource(
    file: FileDescription,
    shared: boolean,
    prot: number,
    offset: number,
    length: number,
  ): { file: FileDescription | null; mapping: HostMapping | null; anonymous: boolean } | Errno {
    const mapping = file.impl.mapping(file, shared, prot, offset, length);
    if (isErrno(mapping)) return mapping;
    if (mapping.hostFd < 0) return { file: null, mapping: null, anonymous: true }; // /dev/zero
    return { file: file.hold(), mapping, anonymous: false };
  }

  private anonymousSource(
    shared: boolean,
    length: number,
  ): { file: FileDescription | null; mapping: HostMapping | null; anonymous: boolean } | Errno {
    if (!shared) return { file: null, mapping: null, anonymous: true };
    const object = SharedAnonymous.create(this.kernel.host, length);
    if (isErrno(object)) return object;
    const file = new FileDescription(object, O_RDWR);
    return { file, mapping: object.mapping(file, true, PROT_ALL), anonymous: true };
  }

  /** An address for `length` bytes by mmap(2)'s rules of hint and MAP_FIXED. */
  choose(hint: number, length: number, flags: number): number {
    const { minAddress, maxAddress } = this.kernel.platform;
    if ((flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) !== 0) {
      if (hint % PAGE_SIZE !== 0) return EINVAL;
      if (hint < Math.max(minAddress, MMAP_MIN_ADDR)) return EPERM;
      if (hint + length > maxAddress) return ENOMEM;
      if ((flags & MAP_FIXED_NOREPLACE) !== 0 && this.vmas.overlapping(hint, hint + length).length > 0) return EEXIST;
      return hint;
    }
    const at = pageDown(hint);
    if (hint !== 0 && at >= MMAP_MIN_ADDR && at + length <= maxAddress && this.vmas.overlapping(at, at + length).length === 0) return at;
    const bottom = Math.max(minAddress, MMAP_MIN_ADDR);
    const low = (flags & 0x40) /* MAP_32BIT */ !== 0;
    const top = low ? 0x8000_0000 : this.mmapBase;
    let found = this.vmas.findHole(length, low ? 0x4000_0000 : bottom, top);
    if (found < 0 && !low) found = this.vmas.findHole(length, bottom, maxAddress);
    return found < 0 ? ENOMEM : found;
  }

  private withinLimits(limits: ResourceLimits, address: number, length: number, prot: number, shared: boolean): boolean {
    const as = limits.soft(RLIMIT_AS);
    if (as !== Number.POSITIVE_INFINITY) {
      let replaced = 0;
      for (const vma of this.vmas.overlapping(address, address + length)) {
        replaced += Math.min(vma.end, address + length) - Math.max(vma.start, address);
      }
      if (this.vmas.bytes - replaced + length > as) return false;
    }
    const data = limits.soft(RLIMIT_DATA);
    if (data === Number.POSITIVE_INFINITY || shared || (prot & PROT_WRITE) === 0) return true;
    let used = 0;
    for (const vma of this.vmas.all) if (!vma.shared && (vma.prot & PROT_WRITE) !== 0) used += vma.end - vma.start;
    return used + length <= data;
  }

  // munmap(2), mprotect(2), madvise(2)

  unmap(via: ThreadContext, address: number, bytes: number): 0 | Errno {
    const length = pageUp(bytes);
    if (address % PAGE_SIZE !== 0 || length === 0 || !(address + length <= this.kernel.platform.maxAddress)) return EINVAL;
    const rows = this.vmas.overlapping(address, address + length);
    const first = rows[0];
    if (first === undefined) return 0;
    // Cutting a hole into a row makes one more.
    if (rows.length === 1 && first.start < address && first.end > address + length && this.vmas.all.length >= MAX_MAP_COUNT) return ENOMEM;
    this.forget(address, address + length);
    return this.space.unmap(via, address, length);
  }

  /** Takes rows out without telling the platform. */
  private forget(start: number, end: number): void {
    for (const vma of this.vmas.take(start, end)) {
      if ((vma.advice & VMA_LOCKED) !== 0) this.lockedBytes -= vma.end - vma.start;
      vma.file?.release();
    }
  }

  protect(via: ThreadContext, address: number, bytes: number, prot: number): 0 | Errno {
    const length = pageUp(bytes);
    if (address % PAGE_SIZE !== 0) return EINVAL;
    if (length === 0) return 0;
    const end = address + length;
    if (!(end <= this.kernel.platform.maxAddress) || !this.vmas.covers(address, end)) return ENOMEM;
    for (const vma of this.vmas.overlapping(address, end)) if ((prot & PROT_ALL & ~vma.maxProt) !== 0) return EACCES;
    if (this.vmas.all.length + 2 > MAX_MAP_COUNT) return ENOMEM;
    this.vmas.update(address, end, (vma) => ({ ...vma, prot: prot & PROT_ALL }));
    return this.space.protect(via, address, length, prot & PROT_ALL);
  }

  /** Sets and clears VMA_* bits of the rows in the range, which must be covered (ENOMEM). */
  mark(address: number, bytes: number, set: number, clear: number): 0 | Errno {
    const end = address + pageUp(bytes);
    const covered = this.vmas.covers(address, end);
    this.vmas.update(address, end, (vma) => {
      const advice = (vma.advice & ~clear) | set;
      this.lockedBytes += (((advice & VMA_LOCKED) >> 2) - ((vma.advice & VMA_LOCKED) >> 2)) * (vma.end - vma.start);
      return { ...vma, advice };
    });
    return covered ? 0 : ENOMEM;
  }

  // brk(2)

  /** The new end of the heap, or the old one if it cannot be. */
  setBrk(via: ThreadContext, limits: ResourceLimits, address: number): number {
    const start = this.layout.startBrk;
    if (address < start || !(address <= this.kernel.platform.maxAddress)) return this.brk;
    const oldEnd = pageUp(this.brk);
    const newEnd = pageUp(address);
    if (newEnd < oldEnd) {
      if (isErrno(this.unmap(via, newEnd, oldEnd - newEnd))) return this.brk;
    } else if (newEnd > oldEnd) {
      const length = newEnd - oldEnd;
      if (this.vmas.overlapping(oldEnd, newEnd).length > 0) return this.brk;
      if (!this.withinLimits(limits, oldEnd, length, PROT_READ | PROT_WRITE, false)) return this.brk;
      const heap: Vma = {
        start: oldEnd,
        end: newEnd,
        prot: PROT_READ | PROT_WRITE,
        maxProt: PROT_ALL,
        shared: false,
        advice: this.lockFuture ? VMA_LOCKED : 0,
        file: null,
        offset: 0,
        label: '[heap]',
      };
      if (isErrno(this.place(via, heap, null))) return this.brk;
    }
    this.brk = address;
    return address;
  }

  // mremap(2)

  remap(
    via: ThreadContext,
    limits: ResourceLimits,
    from: number,
    oldBytes: number,
    newBytes: number,
    mayMove: boolean,
    fixed: number | null,
    keepSource: boolean,
  ): number {
    const oldLength = pageUp(oldBytes);
    const newLength = pageUp(newBytes);
    if (from % PAGE_SIZE !== 0 || newLength === 0) return EINVAL;
    if (fixed !== null) {
      if (fixed % PAGE_SIZE !== 0 || !(fixed + newLength <= this.kernel.platform.maxAddress) || fixed < MMAP_MIN_ADDR) return EINVAL;
      if (fixed < from + oldLength && from < fixed + newLength) return EINVAL;
    }
    const vma = this.vmas.find(from);
    if (vma === null) return EFAULT;
    if (oldLength === 0) return this.duplicate(via, limits, vma, from, newLength, fixed);
    if (from + oldLength > vma.end) return EFAULT;
    if (keepSource && oldLength !== newLength) return EINVAL;
    if (newLength > oldLength && (vma.advice & VMA_LOCKED) !== 0 && this.lockedBytes + newLength - oldLength > limits.soft(8))
      return EAGAIN;
    if (fixed === null && !keepSource) {
      if (newLength <= oldLength) {
        if (newLength < oldLength) this.unmap(via, from + newLength, oldLength - newLength);
        return from;
      }
      const grown = this.growInPlace(via, limits, vma, from + oldLength, newLength - oldLength);
      if (!isErrno(grown)) return from;
    }
    if (!mayMove) return ENOMEM;
    if (newLength > oldLength && !this.withinLimits(limits, 0, newLength - oldLength, vma.prot, vma.shared)) return ENOMEM;
    const to = fixed ?? this.choose(0, newLength, 0);
    if (isErrno(to)) return to;
    return this.moveTo(via, vma, from, oldLength, to, newLength, keepSource);
  }

  /** Extends the row that ends at `end`, if the room behind it is free. */
  private growInPlace(via: ThreadContext, limits: ResourceLimits, vma: Vma, end: number, more: number): 0 | Errno {
    if (vma.end !== end || end + more > this.kernel.platform.maxAddress || this.vmas.overlapping(end, end + more).length > 0) return ENOMEM;
    if (!this.withinLimits(limits, end, more, vma.prot, vma.shared)) return ENOMEM;
    const tail: Vma = {
      ...vma,
      start: end,
      end: end + more,
      offset: vma.file === null ? 0 : vma.offset + (vma.end - vma.start),
      file: vma.file?.hold() ?? null,
    };
    // The platform grows its own mapping too: one beside it would be a second one, which no later call could move with the first.
    const r = vma.file === null ? this.growMapping(via, vma, tail) : this.place(via, tail, this.mappingOf(tail));
    if (isErrno(r)) tail.file?.release();
    return r;
  }
  private growMapping(via: ThreadContext, vma: Vma, tail: Vma): 0 | Errno {
    const length = vma.end - vma.start;
    const r = this.space.move(via, vma.start, length, vma.start, tail.end - vma.start, false);
    if (r === 0) this.vmas.add(tail);
    // What is one row here may be several mappings there: then the new part is another one.
    return r === EFAULT ? this.place(via, tail, null) : r;
  }

  private moveTo(
    via: ThreadContext,
    vma: Vma,
    from: number,
    oldLength: number,
    to: number,
    newLength: number,
    keepSource: boolean,
  ): number {
    if (this.vmas.all.length + 3 > MAX_MAP_COUNT) return ENOMEM;
    this.forget(to, to + newLength);
    const moved: Vma = { ...vma, start: to, end: to + newLength, offset: vma.offset + (from - vma.start), file: vma.file?.hold() ?? null };
    if (vma.file === null) (moved as { offset: number }).offset = 0;
    if (newLength < oldLength) this.unmap(via, from + newLength, oldLength - newLength);
    const r = this.space.move(via, from, Math.min(oldLength, newLength), to, newLength, keepSource);
    if (isErrno(r)) {
      moved.file?.release();
      return r;
    }
    if (!keepSource) this.forget(from, from + oldLength);
    this.vmas.add(moved);
    return to;
  }

  /** mremap(2) with an old size of 0: a second mapping of the same shared object. */
  private duplicate(via: ThreadContext, limits: ResourceLimits, vma: Vma, from: number, length: number, fixed: number | null): number {
    if (!vma.shared || vma.file === null) return EINVAL;
    const to = fixed ?? this.choose(0, length, 0);
    if (isErrno(to)) return to;
    if (!this.withinLimits(limits, to, length, vma.prot, true)) return ENOMEM;
    const copy: Vma = { ...vma, start: to, end: to + length, offset: vma.offset + (from - vma.start), file: vma.file.hold() };
    const r = this.place(via, copy, this.mappingOf(copy));
    if (!isErrno(r)) return to;
    copy.file?.release();
    return r;
  }

  private mappingOf(vma: Vma): HostMapping | null {
    if (vma.file === null) return null;
    const mapping = vma.file.impl.mapping(vma.file, vma.shared, vma.prot);
    return isErrno(mapping) ? null : mapping;
  }

  // What others ask

  /** Identity of a futex word: the object it lies in and its offset there. EFAULT where nothing is mapped. */
  futexKey(address: number): { readonly owner: object; readonly offset: number; readonly held: SpaceFutexes | null } | Errno {
    const vma = this.vmas.find(address);
    if (vma === null) return EFAULT;
    if (!vma.shared || vma.file === null) return { owner: this, offset: address, held: this.space.futexes ?? null };
    return { owner: vma.file.inode ?? vma.file.impl, offset: vma.offset + (address - vma.start), held: null };
  }

  /** The files that the range maps shared: for msync(2). */
  sharedFiles(address: number, length: number): FileDescription[] {
    return this.vmas.overlapping(address, address + length).flatMap((vma) => (vma.shared && vma.file !== null ? [vma.file] : []));
  }
}
