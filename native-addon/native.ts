/** The addon's functions, as typed as the boundary allows. Only lib/host.ts and the platforms call them. */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

export type Bytes = ArrayBufferView | ArrayBuffer;

export interface Native {
  /** Raw system call: numbers by value, views by address, null as 0. Result, or a negative errno. */
  syscall(nr: number, ...args: (number | Bytes | null)[]): number;
  /** Address of a view's first byte, for structs that hold pointers. Valid while the view is referenced. */
  addressOf(view: Bytes): number;
  /** clock_gettime(2) in ns. */
  clockNow(clockId: number): number;
  /** Events that epoll_pwait2(2) wrote into `events`, 0 after a signal, or a negative errno. timeoutNs -1: no limit. */
  pollWait(pollFd: number, events: ArrayBufferView, timeoutNs: number): number;
  /** process_vm_readv(2) of one range. Bytes, or a negative errno. */
  readProcess(pid: number, address: number, into: ArrayBufferView, offset: number, count: number): number;
  writeProcess(pid: number, address: number, from: ArrayBufferView, offset: number, count: number): number;
  /** MAP_SHARED view of a file, or a negative errno. */
  mapShared(fd: number, length: number, offset: number, prot: number): ArrayBuffer | number;
  /** See spawn.c; lib/spawn.ts packs the arguments. result: pid or -1, failed step, errno. */
  spawn(
    result: Int32Array,
    file: Bytes,
    argv: Bytes,
    envp: Bytes,
    fds: Int32Array,
    options: Int32Array,
    maps: Bytes | null,
    cgroupFds: Int32Array,
    cwd: Bytes | null,
  ): void;
  /** setgroups, setresgid, setresuid of every thread. 0 or a negative errno. */
  setIdentity(uid: number, gid: number): number;
  /** malloc_trim(3). */
  trimHeap(): void;
  /** Non-blocking eventfd that becomes readable when the signal comes; once for each signal. Or a negative errno. */
  signalEvents(number: number): number;
  ignoreSignal(number: number): number;
  /** See threads.c. The caller's thread and these keep the capabilities of the mask, and get no_new_privs. 0 or a negative errno. */
  restrictThreads(tids: Int32Array, capsLow: number, capsHigh: number): number;
  /** See listing.c. Where the next entry goes, or a negative errno. */
  encodeEntries(dirfd: number, dirents: Uint8Array, used: number, out: Uint8Array, at: number, limit: number, growth: number): number;
  /** See io_worker.c. Starts the pool; an eventfd that counts completions, or a negative errno. */
  ioStart(threads: number): number;
  /** Queues one transfer; `job` comes back with its completion. 0, EAGAIN (queue full). The buffer must stay referenced until then. */
  ioSubmit(job: number, operation: number, fd: number, buffer: Uint8Array | null, count: number, position: number, flags: number): number;
  /** Takes completions: pairs (job, result) in `into`. How many pairs. */
  ioCompletions(into: Float64Array): number;

  /** A child that runs the stub program; its descriptor 0 is `socketFd`, it has no other. pid, or a negative errno. */
  spawnStub(programFd: number, socketFd: number): number;
  /** Readable when a child stops or ends; non-blocking. */
  childEventFd(): number;
  /** Threads that stopped, as records in `stops`: their count, | 1 << 16 if pollFd is readable. timeoutNs -1: no limit. */
  ptraceWait(childFd: number, pollFd: number, timeoutNs: number, stops: Uint32Array): number;
  /** request: PTRACE_SYSEMU or PTRACE_SYSEMU_SINGLESTEP. setResult 1: rax = result first. 0 or a negative errno. */
  ptraceResume(pid: number, request: number, setResult: number, result: number): number;
  /** Result of a call that the stopped thread makes at `gate`, or THREAD_LOST. */
  ptraceInject(pid: number, gate: number, nr: number, ...args: number[]): number;
  /** tid of an attached, stopped copy of the stopped thread; a negative errno; THREAD_LOST. */
  ptraceClone(pid: number, gate: number, flags: number): number;

  /** A view of `count` slots, empty. */
  slotWindow(count: number): ArrayBuffer | number;
  /** Shows `count` slots of the memfd from slot `page` on as slots `index` and following; fd -1: zeros. 0 or a negative errno. */
  slotMap(window: ArrayBuffer, index: number, fd: number, page: number, count: number): number;
  /** The processor has the instructions that stub/fast.S needs. */
  canPatchCalls(): boolean;
  slotWake(window: ArrayBuffer, index: number): void;
  /** 0 once the stub has posted; -ESRCH if its process has ended; -ETIMEDOUT. */
  slotAwait(window: ArrayBuffer, index: number, pid: number): number;
  /** The stopped stub carries out its commands; result as slotAwait's. spin: cycles to look for that before we sleep. */
  slotCommand(window: ArrayBuffer, index: number, pid: number, spin: number): number;

  // The KVM platform: see kvm_addon.c. One virtual machine in a process.
  /** into: entry, paging, same clock, round trip and trap in ns. What is wrong, or "". The machine must not be open. */
  kvmProbe(kvmFd: number, into: Float64Array): string;
  /** Opens the machine: what it shares with us (platforms/kvm/layout.ts), or a negative errno. */
  kvmOpen(
    kvmFd: number,
    entry: number,
    paging: number,
    vcpus: number,
    vdsoStart: number,
    vdsoCode: number,
    vdsoEnd: number,
    vdsoPlace: number,
    pagemapFd: number,
  ): ArrayBuffer | number;
  kvmClose(): void;
  /** Where applications find the vDSO's code; 0: they have none. */
  kvmVdso(): number;
  /** Index of an empty space, or a negative errno. */
  kvmSpace(): number;
  kvmFork(space: number): number;
  kvmMap(space: number, address: number, length: number, prot: number): number;
  kvmMapFile(space: number, address: number, length: number, prot: number, shared: number, fd: number, offset: number): number;
  kvmUnmap(space: number, address: number, length: number): number;
  kvmProtect(space: number, address: number, length: number, prot: number): number;
  kvmMove(space: number, from: number, oldLength: number, to: number, newLength: number, keepSource: number): number;
  kvmAdvise(space: number, address: number, length: number, advice: number): number;
  kvmGrow(space: number, address: number, oldLength: number, newLength: number): number;
  kvmChangeWord(space: number, address: number, operation: number): number;
  kvmBarrier(space: number): void;
  /** flags: 1 write, 2 whatever the protections say. Bytes, or -EFAULT. */
  kvmCopy(space: number, address: number, view: Uint8Array, offset: number, count: number, flags: number): number;
  /** Stops its threads, whose events are still to be taken, and frees its memory. */
  kvmRelease(space: number): number;
  /** into: anonymous pages, pages of files. */
  kvmPages(space: number, into: Float64Array): void;
  /** /proc/PID/pagemap of so many pages, without frame numbers. */
  kvmPagemap(space: number, address: number, into: Uint8Array, pages: number): void;
  /** Pages that applications may be given from now on, the last `zone` one by one; negative: any. */
  kvmGrant(pages: number, zone: number): void;
  /** Takes back pages that were given and never touched: how many of them are left. */
  kvmTrim(): number;
  /** Index of a stopped thread, or a negative errno. source: whose vector state it gets; -1: the initial one. */
  kvmThread(space: number, source: number): number;
  kvmThreadFree(thread: number): void;
  kvmResume(thread: number, step: number): void;
  kvmInterrupt(thread: number): void;
  /** ns */
  kvmCpuTime(thread: number): number;
  kvmGetXstate(thread: number, into: Uint8Array): number;
  kvmSetXstate(thread: number, image: Uint8Array | null): number;
  /** Thread id of a vCPU. */
  kvmVcpuThread(vcpu: number): number;
  /** 1 if pollFd is readable. timeoutNs -1: no limit. */
  kvmWait(pollFd: number, timeoutNs: number): number;
  /** Threads that ran long enough make room for those that wait. */
  kvmPreempt(): void;
}

/** Beside the bundle in an installation, in the build folder in a checkout. */
function load(): Native {
  const require = createRequire(`${__dirname}/`);
  try {
    return require(join(__dirname, 'tsvisor_native.node')) as Native;
  } catch (e) {
    if ((e as NodeJS.ErrnoException).code !== 'MODULE_NOT_FOUND') throw e;
  }
  return require(join(__dirname, 'build/Release/tsvisor_native.node')) as Native;
}

export const native: Native = load();

/** Where a file that was built with the addon is: beside the bundle, or in the build folder. */
export function shippedFile(name: string): string {
  const beside = join(__dirname, name);
  return existsSync(beside) ? beside : join(__dirname, 'build/Release', name);
}
