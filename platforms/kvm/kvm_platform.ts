/**
 * The KVM platform: applications run in ring 3 of a virtual machine whose memory is a window of ours. vCPUs are threads of the addon;
 * page faults end there, everything else comes here as an event. The constructor and all methods run on one thread.
 */
import { type Errno, errnoName } from '../../abi/errno.ts';
import { O_CLOEXEC, O_RDONLY } from '../../abi/fcntl.ts';
import { PAGE_SIZE } from '../../abi/mman.ts';
import type { Host } from '../../lib/host.ts';
import { describeKvm, type KvmReport } from '../../lib/kvm_probe.ts';
import { native } from '../../native-addon/native.ts';
import { CpuPlacement, type PlacedThread, type ThreadPlacement } from '../cpu_placement.ts';
import { readHostMaps } from '../host_maps.ts';
import type { HostPoll } from '../host_poll.ts';
import { type Platform, PlatformError, type PlatformMemory, type ThreadContext, type ThreadEvents } from '../platform.ts';
import { MIN_ADDRESS, STUB_BASE, VDSO_PLACE } from '../stub_layout.ts';
import { KvmSpace } from './kvm_space.ts';
import { KvmThread } from './kvm_thread.ts';
import {
  KIND_CALL,
  KIND_FAULT,
  KIND_INTERRUPT,
  KIND_SHORT,
  LOSSES,
  RING_SIZE,
  S_ADDRESS,
  S_CODE,
  S_KIND,
  S_NUMBER,
  S_SIGNAL,
  S_VCPU,
  S_VECTOR,
  W_HEAD,
  W_RING,
  W_SHORT,
  W_TAIL,
} from './layout.ts';

export interface KvmOptions {
  readonly host: Host;
  readonly poll: HostPoll;
  /** A directory of a procfs that shows this process. */
  readonly procFd: number;
  /** /dev/kvm, open for reading and writing. */
  readonly deviceFd: number;
  /** What the probe has found there. */
  readonly report: KvmReport;
}

/** While threads keep stopping, host descriptors and those who wait for a vCPU are looked at once in so many waits. */
const BUSY_ROUNDS = 16;
/** vCPUs for each processor: the host shares it among them. */
const VCPUS_PER_CPU = 4;
const LEAST_VCPUS = 8;

/** A vCPU's thread, as far as its CPU goes. It counts as running from the first resume after a stop until the next stop. */
class Vcpu implements PlacedThread {
  readonly tid: number;
  running = true;
  readonly placement: ThreadPlacement;
  constructor(tid: number, placement: ThreadPlacement) {
    this.tid = tid;
    this.placement = placement;
  }
}

export class KvmPlatform implements Platform {
  readonly name = 'kvm';
  readonly description: string;
  readonly minAddress = MIN_ADDRESS;
  readonly maxAddress = STUB_BASE;
  readonly spaces = new Set<KvmSpace>();
  readonly memory: PlatformMemory = {
    grant: (bytes, zone) =>
      native.kvmGrant(bytes === Number.POSITIVE_INFINITY ? -1 : Math.max(0, Math.floor(bytes / PAGE_SIZE)), Math.floor(zone / PAGE_SIZE)),
    trim: () => native.kvmTrim() * PAGE_SIZE,
  };
  /** struct shared. */
  readonly buffer: ArrayBuffer;
  readonly words: Int32Array<ArrayBuffer>;
  private readonly host: Host;
  private readonly poll: HostPoll;
  private readonly vdsoBase: number;
  /** What of the window is in memory. */
  private readonly pagemapFd: number;
  /** By index in the addon. */
  private readonly threads: (KvmThread | undefined)[] = [];
  private busyRounds = 0;
  /** Whose threads have stopped before. */
  private readonly vcpus: (Vcpu | undefined)[] = [];
  private readonly placement: CpuPlacement;

  /** @throws Error with what the host refuses. */
  constructor(options: KvmOptions) {
    this.host = options.host;
    this.poll = options.poll;
    const { report, deviceFd } = options;
    this.description = `kvm: ${describeKvm(report)}`;
    if (report.entry === 0) throw new PlatformError(`platform kvm: ${report.message}`);
    const vdso = report.sameClock ? findVdso(options.host, options.procFd) : { start: 0, code: 0, end: 0 };
    const cpus = cpuCount(options.host);
    const vcpus = Math.max(LEAST_VCPUS, cpus * VCPUS_PER_CPU);
    this.pagemapFd = options.host.openat(options.procFd, 'self/pagemap', O_RDONLY | O_CLOEXEC);
    const { start, code, end } = vdso;
    const opened = native.kvmOpen(deviceFd, report.entry, report.paging, vcpus, start, code, end, VDSO_PLACE, this.pagemapFd);
    if (typeof opened === 'number') throw new PlatformError(`platform kvm: cannot make the virtual machine: ${errnoName(opened)}`);
    this.buffer = opened;
    this.words = new Int32Array(opened);
    this.vdsoBase = native.kvmVdso();
    // Last: the vCPUs' threads begin on the kernel thread's CPU.
    const present = this.vcpus;
    this.placement = new CpuPlacement(
      options.host,
      {
        *[Symbol.iterator]() {
          for (const vcpu of present) if (vcpu !== undefined) yield vcpu;
        },
      },
      false,
    );
  }

  newAddressSpace(): ThreadContext | Errno {
    const index = native.kvmSpace();
    return index < 0 ? (index as Errno) : this.firstThread(index, null);
  }
  /** The one thread of a space that the addon has just made. */
  firstThread(index: number, source: KvmThread | null): KvmThread | Errno {
    const space = new KvmSpace(this, index, this.vdsoBase);
    this.spaces.add(space);
    const thread = space.addThread(source);
    if (typeof thread === 'number') space.release();
    return thread;
  }
  adopt(space: KvmSpace, index: number): KvmThread {
    const thread = new KvmThread(this, space, index);
    this.threads[index] = thread;
    return thread;
  }
  /** A thread that the addon has no event of. */
  free(thread: KvmThread): void {
    this.threads[thread.index] = undefined;
    native.kvmThreadFree(thread.index);
  }
  /** `vcpu`: that ran the thread last, and mostly will again. */
  resumed(vcpu: number): void {
    const known = this.vcpus[vcpu];
    if (known !== undefined) known.running = true;
    this.placement.resumed();
  }
  private stopped(vcpu: number): void {
    let known = this.vcpus[vcpu];
    if (known === undefined) {
      known = new Vcpu(native.kvmVcpuThread(vcpu), this.placement.started(null));
      this.vcpus[vcpu] = known;
    }
    known.running = false;
    this.placement.stopped(known);
  }

  wait(events: ThreadEvents, deadline: number): void {
    if (this.words[W_SHORT] !== 0) {
      this.words[W_SHORT] = 0;
      events.memoryShort?.(null);
    }
    if (this.take(events) > 0) {
      if (++this.busyRounds >= BUSY_ROUNDS) {
        this.busyRounds = 0;
        native.kvmPreempt();
        this.poll.wait(0);
      }
      this.placement.round(false);
      return;
    }
    this.busyRounds = 0;
    const readable = native.kvmWait(this.poll.fd, this.timeoutUntil(this.placement.deadline(deadline)));
    const handled = this.take(events);
    if (readable !== 0) this.poll.wait(0);
    this.placement.round(handled === 0);
  }
  private timeoutUntil(deadline: number): number {
    if (deadline === 0) return 0;
    if (deadline === Number.POSITIVE_INFINITY) return -1;
    return Math.max(0, deadline - this.host.monotonicNow());
  }
  /** Handles the events that are in the ring, once each. How many. */
  private take(events: ThreadEvents): number {
    const { words } = this;
    let tail = words[W_TAIL] as number;
    const count = (Atomics.load(words, W_HEAD) - tail) | 0;
    for (let left = count; left > 0; left--) {
      const index = words[W_RING + ((tail >>> 0) % RING_SIZE)] as number;
      tail = (tail + 1) | 0;
      Atomics.store(words, W_TAIL, tail);
      this.handleSafely(events, this.threads[index] as KvmThread);
    }
    return count;
  }
  /** Whatever a thread has done, it costs that thread's process at most. */
  private handleSafely(events: ThreadEvents, thread: KvmThread): void {
    try {
      this.handle(events, thread);
    } catch (e) {
      if (thread.dead) return;
      thread.space.threads.delete(thread);
      thread.abandon();
      events.exited(thread, `an event of it cannot be handled: ${(e as Error).message}`);
    }
  }
  private handle(events: ThreadEvents, thread: KvmThread): void {
    const { words } = this;
    const at = thread.at;
    thread.running = false;
    this.stopped(words[at + S_VCPU] as number);
    if (thread.dead) {
      this.free(thread);
      return;
    }
    const wanted = thread.interruptWanted;
    thread.interruptWanted = false;
    switch (words[at + S_KIND]) {
      case KIND_CALL:
        thread.takeCall();
        events.syscall(thread);
        return;
      case KIND_FAULT: {
        const low = (words[at + S_ADDRESS] as number) >>> 0;
        const high = (words[at + S_ADDRESS + 1] as number) >>> 0;
        const trap = { error: words[at + S_NUMBER] as number, vector: words[at + S_VECTOR] as number };
        events.fault(thread, words[at + S_SIGNAL] as number, words[at + S_CODE] as number, high * 0x1_0000_0000 + low, trap);
        return;
      }
      case KIND_INTERRUPT:
        if (wanted) events.interrupted(thread);
        else thread.resume();
        return;
      case KIND_SHORT:
        events.memoryShort?.(thread);
        return;
      default:
        thread.space.threads.delete(thread);
        thread.abandon();
        events.exited(thread, this.describeLoss(at));
    }
  }

  private describeLoss(at: number): string {
    const { words } = this;
    const high = ((words[at + S_ADDRESS + 1] as number) >>> 0).toString(16);
    const low = ((words[at + S_ADDRESS] as number) >>> 0).toString(16).padStart(8, '0');
    return `${LOSSES[words[at + S_NUMBER] as number] ?? '?'} (${words[at + S_CODE]} at 0x${high}${low})`;
  }

  shutdown(): void {
    for (const space of [...this.spaces]) space.release();
    native.kvmClose();
    if (this.pagemapFd >= 0) this.host.close(this.pagemapFd);
  }
}

/** Our own vDSO with its data before it; zeros if there is none. */
function findVdso(host: Host, procFd: number): { start: number; code: number; end: number } {
  const parts = readHostMaps(host, procFd, process.pid).filter((m) => m.name === '[vdso]' || m.name.startsWith('[vvar'));
  const code = parts.find((m) => m.name === '[vdso]');
  const joined = parts.every((m, i) => i === 0 || parts[i - 1]?.end === m.start);
  if (code === undefined || !joined) return { start: 0, code: 0, end: 0 };
  return { start: (parts[0] as { start: number }).start, code: code.start, end: code.end };
}

const SCHED_GETAFFINITY = 204;
function cpuCount(host: Host): number {
  const mask = new Uint8Array(128);
  if (host.syscall(SCHED_GETAFFINITY, 0, mask.length, mask) < 0) return 1;
  let count = 0;
  for (const byte of mask) for (let bits = byte; bits > 0; bits >>= 1) count += bits & 1;
  return count;
}
