/** An address space: page tables and ranges in the addon. Every operation takes effect at once. */
import { EFAULT, EINVAL, type Errno } from '../../abi/errno.ts';
import { PAGE_SIZE } from '../../abi/mman.ts';
import { native } from '../../native-addon/native.ts';
import type { AddressSpace, ThreadContext } from '../platform.ts';
import { setBitOperation } from '../ptrace/injection.ts';
import { MIN_ADDRESS, STUB_BASE } from '../stub_layout.ts';
import type { KvmPlatform } from './kvm_platform.ts';
import type { KvmThread } from './kvm_thread.ts';
import { COPY_FORCED, COPY_WRITE } from './layout.ts';

// membarrier(2)
const MEMBARRIER_CMD_PRIVATE_EXPEDITED = 8;
const MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE = 32;

// proc_pid_pagemap(5), bytes
const PAGEMAP_ENTRY = 8;

export class KvmSpace implements AddressSpace {
  readonly vdsoBase: number;
  readonly threads = new Set<KvmThread>();
  /** Its number in the addon; -1 when it is gone. */
  private index: number;
  private readonly platform: KvmPlatform;
  private readonly pages = new Float64Array(2);

  constructor(platform: KvmPlatform, index: number, vdsoBase: number) {
    this.platform = platform;
    this.index = index;
    this.vdsoBase = vdsoBase;
  }

  mapAnonymous(_via: ThreadContext, address: number, length: number, prot: number): 0 | Errno {
    if (!inRange(address, length)) return EINVAL;
    return native.kvmMap(this.index, address, length, prot) as 0 | Errno;
  }
  mapFile(_via: ThreadContext, address: number, length: number, prot: number, shared: boolean, hostFd: number, offset: number): 0 | Errno {
    if (!inRange(address, length) || !(offset >= 0) || offset % PAGE_SIZE !== 0) return EINVAL;
    return native.kvmMapFile(this.index, address, length, prot, shared ? 1 : 0, hostFd, offset) as 0 | Errno;
  }
  unmap(_via: ThreadContext, address: number, length: number): 0 | Errno {
    if (!inRange(address, length)) return EINVAL;
    return native.kvmUnmap(this.index, address, length) as 0 | Errno;
  }
  protect(_via: ThreadContext, address: number, length: number, prot: number): 0 | Errno {
    if (!inRange(address, length)) return EINVAL;
    return native.kvmProtect(this.index, address, length, prot) as 0 | Errno;
  }
  move(_via: ThreadContext, from: number, oldLength: number, to: number, newLength: number, keepSource: boolean): 0 | Errno {
    if (!inRange(from, oldLength) || !inRange(to, newLength)) return EINVAL;
    if (to === from) return native.kvmGrow(this.index, from, oldLength, newLength) as 0 | Errno;
    if (from < to + newLength && to < from + oldLength) return EINVAL;
    return native.kvmMove(this.index, from, oldLength, to, newLength, keepSource ? 1 : 0) as 0 | Errno;
  }
  advise(_via: ThreadContext, address: number, length: number, advice: number): 0 | Errno {
    if (!inRange(address, length)) return EINVAL;
    return native.kvmAdvise(this.index, address, length, advice) as 0 | Errno;
  }
  setBit(via: ThreadContext, address: number, bit: number): 0 | Errno {
    return this.changeWord(via, address, setBitOperation(bit));
  }
  changeWord(_via: ThreadContext, address: number, operation: number): 0 | Errno {
    if (!(address >= 0) || address >= STUB_BASE) return EFAULT;
    return native.kvmChangeWord(this.index, address, operation) as 0 | Errno;
  }
  /** Commands other than registrations, which need nothing here. */
  membarrier(_via: ThreadContext, command: number): 0 | Errno {
    if (command === MEMBARRIER_CMD_PRIVATE_EXPEDITED || command === MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE)
      native.kvmBarrier(this.index);
    return 0;
  }

  read(address: number, into: Uint8Array, offset: number, count: number): number {
    return this.copy(address, into, offset, count, 0);
  }
  write(address: number, from: Uint8Array, offset: number, count: number): number {
    return this.copy(address, from, offset, count, COPY_WRITE);
  }
  readForced(address: number, into: Uint8Array, offset: number, count: number): number {
    return this.copy(address, into, offset, count, COPY_FORCED);
  }
  writeForced(address: number, from: Uint8Array, offset: number, count: number): number {
    return this.copy(address, from, offset, count, COPY_WRITE | COPY_FORCED);
  }
  private copy(address: number, view: Uint8Array, offset: number, count: number, flags: number): number {
    if (!(address >= 0 && address < 2 ** 47)) return EFAULT;
    return native.kvmCopy(this.index, address, view, offset, count, flags);
  }

  fork(via: ThreadContext): ThreadContext | Errno {
    const index = native.kvmFork(this.index);
    if (index < 0) return index as Errno;
    return this.platform.firstThread(index, via as KvmThread);
  }
  newThread(via: ThreadContext): ThreadContext | Errno {
    return this.addThread(via as KvmThread);
  }
  /** source: whose state it gets; null: the initial one. */
  addThread(source: KvmThread | null): KvmThread | Errno {
    const index = native.kvmThread(this.index, source === null ? -1 : source.index);
    if (index < 0) return index as Errno;
    const thread = this.platform.adopt(this, index);
    this.threads.add(thread);
    if (source !== null) thread.takeStopOf(source);
    return thread;
  }

  release(): void {
    if (this.index < 0) return;
    native.kvmRelease(this.index);
    this.index = -1;
    for (const thread of this.threads) thread.abandon();
    this.threads.clear();
    this.platform.spaces.delete(this);
  }
  pagemap(offset: number, into: Uint8Array, count: number): number {
    const pages = Math.floor(count / PAGEMAP_ENTRY);
    native.kvmPagemap(this.index, (offset / PAGEMAP_ENTRY) * PAGE_SIZE, into, pages);
    return pages * PAGEMAP_ENTRY;
  }
  resident(): { readonly total: number; readonly shared: number } {
    this.pages.fill(0);
    native.kvmPages(this.index, this.pages);
    const [anonymous, file] = this.pages as unknown as [number, number];
    return { total: (anonymous + file) * PAGE_SIZE, shared: file * PAGE_SIZE };
  }
}

function inRange(address: number, length: number): boolean {
  return address >= MIN_ADDRESS && length > 0 && address + length <= STUB_BASE && address % PAGE_SIZE === 0;
}
