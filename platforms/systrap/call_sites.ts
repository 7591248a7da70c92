/**
 * Call sites of one address space that need no signal: the instruction before a `syscall` instruction becomes a jump to a trampoline, which
 * does what it did and goes to the stub (native-addon/stub/fast.S). The syscall instruction stays: whoever jumps to it, restarts it or
 * uses gs itself takes the slow way. Where the instruction is too short for a jump, it becomes a short one to a gap between functions, and
 * the jump is there.
 *
 * Only code of files is rewritten that nobody can write, mapped privately; never what a program has made itself. The file does not change.
 * Sites are forgotten when something else is mapped there, and put back before a debugger looks.
 */
import { PAGE_SIZE } from '../../abi/mman.ts';
import type { CodePolicy, ThreadContext } from '../platform.ts';
import { HOST_CALL } from '../ptrace/requests.ts';
import { STUB_BASE } from '../stub_layout.ts';
import { BEFORE, gapsNear, JUMP_LENGTH, movableBytes, SHORT_JUMP_LENGTH, SYSCALL_LENGTH } from './site_forms.ts';
import { AREA_LENGTH, jump, shortJump, TRAMPOLINE_LENGTH, trampoline } from './trampoline.ts';

/** What a site needs of the process that it is in. */
export interface CodeMemory {
  /** Past all protections, whole or not at all. */
  readCode(address: number, into: Uint8Array): boolean;
  writeCode(address: number, from: Uint8Array): boolean;
  /** Another thread may run the code right now. */
  readonly threaded: boolean;
  hostCall(via: ThreadContext, nr: number, a0: number, a1: number, a2: number): void;
}

const MAX_SITES = 4096;
const MOST_TRAMPOLINES = AREA_LENGTH / TRAMPOLINE_LENGTH;
const INT3 = Uint8Array.of(0xcc);
/** A jump reaches ±2 GiB; the area's end, too. */
const REACH = 2 ** 31 - 2 ** 20;
// membarrier(2): every thread of the process sees the code as it is now.
const MEMBARRIER_SYNC_CORE = 0x20;
const MEMBARRIER_REGISTER_SYNC_CORE = 0x40;
/** Calls that need the thread's whole state: for them a signal is no detour. rt_sigreturn clone fork vfork execve exit exit_group execveat clone3. */
const WITH_STATE = new Set([15, 56, 57, 58, 59, 60, 231, 322, 435]);
/** A place where threads come by that leads to a trampoline. */
interface Site {
  readonly start: number;
  /** What was there. */
  readonly original: Uint8Array;
  /** In the same page, where the jump is if it is not here; 0: it is. */
  readonly gap: number;
}
interface Gap {
  /** The site that leads there. */
  readonly start: number;
  readonly original: Uint8Array;
}
/** A trampoline's: where the instructions were that it begins with. */
interface Moved {
  readonly start: number;
  readonly length: number;
}

export class CallSites {
  private policy: CodePolicy | null;
  /** By the address of the syscall instruction; null: looked at, and left alone. */
  private readonly sites: Map<number, Site | null>;
  /** Where threads come by, of all that were rewritten and are still mapped, also if they are put back: a thread may have met them. */
  private readonly rewritten: Set<number>;
  /** Gaps that hold a jump. They keep it as long as they are mapped: a thread may be about to run it. */
  private readonly gaps: Map<number, Gap>;
  /** Where trampolines are, and what each has moved, in order. */
  private areas: { readonly start: number; readonly moved: Moved[] }[];
  private readonly memory: CodeMemory;
  private registered = false;
  private readonly bytes = new Uint8Array(BEFORE + SYSCALL_LENGTH);

  /** from: of the process that this one was forked from. */
  constructor(memory: CodeMemory, policy: CodePolicy, from: CallSites | null) {
    this.memory = memory;
    this.policy = policy;
    this.sites = new Map(from?.sites);
    this.rewritten = new Set(from?.rewritten);
    this.gaps = new Map(from?.gaps);
    this.areas = from === null ? [] : from.areas.map(({ start, moved }) => ({ start, moved: moved.slice() }));
    if (from !== null && from.policy === null) this.policy = null;
  }

  /** The thread has made call `nr` by a signal; `rip` is behind the instruction. */
  consider(via: ThreadContext, rip: number, nr: number): void {
    const call = rip - SYSCALL_LENGTH;
    if (this.policy === null || this.sites.has(call) || this.sites.size >= MAX_SITES || rip >= STUB_BASE) return;
    if (!this.policy.isFixedCode(via, call - BEFORE, this.bytes.length)) return;
    this.sites.set(call, null);
    if (WITH_STATE.has(nr) || !this.memory.readCode(call - BEFORE, this.bytes)) return;
    const length = movableBytes(this.bytes, nr);
    if (length === 0) return;
    const start = call - length;
    const gap = length < JUMP_LENGTH ? this.findGap(via, start) : start;
    if (gap === 0) return;
    const to = this.place(via, start, this.bytes.slice(BEFORE - length, BEFORE));
    if (to === 0) return;
    if (gap !== start && !this.fillGap(gap, start, to)) return;
    const bytes = gap === start ? jump(start, to) : shortJump(start, gap);
    const original = this.bytes.slice(BEFORE - length, BEFORE - length + bytes.length);
    this.rewritten.add(start);
    if (this.replace(via, start, bytes)) this.sites.set(call, { start, original, gap: gap === start ? 0 : gap });
  }

  /** A gap in the site's page for a jump; 0: there is none. */
  private findGap(via: ThreadContext, start: number): number {
    const within = start % PAGE_SIZE;
    const page = start - within;
    const code = new Uint8Array(PAGE_SIZE);
    if (within + SHORT_JUMP_LENGTH > PAGE_SIZE || !this.policy?.isFixedCode(via, page, PAGE_SIZE)) return 0;
    if (!this.memory.readCode(page, code)) return 0;
    this.overlay(page, code, 0, PAGE_SIZE); // a gap may have room for two, of which one is taken
    const found = gapsNear(code, within).find((at) => !this.gaps.has(page + at));
    return found === undefined ? 0 : page + found;
  }
  /** Nobody comes by yet: written at once. */
  private fillGap(gap: number, start: number, to: number): boolean {
    const original = new Uint8Array(JUMP_LENGTH);
    if (!this.memory.readCode(gap, original) || !this.memory.writeCode(gap, jump(gap, to))) return false;
    this.gaps.set(gap, { start, original });
    return true;
  }

  /** Writes a trampoline for the instructions that are at `start`; where, or 0. */
  private place(via: ThreadContext, start: number, original: Uint8Array): number {
    let area = this.areas.find((a) => a.moved.length < MOST_TRAMPOLINES && Math.abs(a.start - start) < REACH);
    if (area === undefined) {
      const at = this.policy?.reserveCode(via, start, AREA_LENGTH) ?? 0;
      if (at === 0) return 0;
      area = { start: at, moved: [] };
      this.areas.push(area);
      if (Math.abs(at - start) >= REACH) return 0;
    }
    const at = area.start + area.moved.length * TRAMPOLINE_LENGTH;
    if (!this.memory.writeCode(at, trampoline(at, original, start + original.length + SYSCALL_LENGTH))) return 0;
    area.moved.push({ start, length: original.length });
    return at;
  }

  /**
   * Other threads may be running the bytes: they meet the old ones, an int3 (see `retry`), or the new ones; between two steps every
   * processor forgets what it has read ahead.
   */
  private replace(via: ThreadContext | null, site: number, bytes: Uint8Array): boolean {
    if (!this.memory.threaded) return this.memory.writeCode(site, bytes);
    if (!this.memory.writeCode(site, INT3)) return false;
    this.synchronize(via);
    if (!this.memory.writeCode(site + 1, bytes.subarray(1))) return false;
    this.synchronize(via);
    return this.memory.writeCode(site, bytes.subarray(0, 1));
  }
  /** The process gets its second thread: with more than one the host takes 10 to 20 ms for this, in which the kernel thread could do nothing else. */
  prepareThreads(via: ThreadContext): void {
    if (this.registered || this.policy === null) return;
    this.registered = true;
    this.memory.hostCall(via, HOST_CALL.membarrier, MEMBARRIER_REGISTER_SYNC_CORE, 0, 0);
  }
  private synchronize(via: ThreadContext | null): void {
    if (via === null) return;
    this.prepareThreads(via);
    this.memory.hostCall(via, HOST_CALL.membarrier, MEMBARRIER_SYNC_CORE, 0, 0);
  }

  /** A breakpoint trap with `rip` behind it: whether it was ours, which is gone by now. A program's own would still be there. */
  retry(rip: number): boolean {
    const byte = new Uint8Array(1);
    return this.rewritten.has(rip - 1) && this.memory.readCode(rip - 1, byte) && byte[0] !== INT3[0];
  }
  /** Where the application is if its instruction pointer is in a trampoline, or on the way there. Anything else as it is. */
  seenAt(rip: number): number {
    const gap = this.gaps.get(rip);
    if (gap !== undefined) return gap.start;
    for (const { start, moved } of this.areas) {
      const from = rip >= start ? moved[Math.floor((rip - start) / TRAMPOLINE_LENGTH)] : undefined;
      if (from !== undefined) return from.start + Math.min((rip - start) % TRAMPOLINE_LENGTH, from.length);
    }
    return rip;
  }

  /** Something else will be in [start, end), or nothing: what we know of it ends. */
  forget(start: number, end: number): void {
    if (this.sites.size === 0 && this.rewritten.size === 0) return;
    this.forgetTrampolines(start, end);
    for (const [call, site] of this.sites) if (touches(site, call, start, end)) this.sites.delete(call);
    for (const at of this.rewritten) if (at < end && at + JUMP_LENGTH > start) this.rewritten.delete(at);
    for (const gap of this.gaps.keys()) if (gap < end && gap + JUMP_LENGTH > start) this.gaps.delete(gap);
  }
  /** What becomes of trampolines in [start, end) is the application's doing: they are no more used. */
  forgetTrampolines(start: number, end: number): void {
    if (!this.areas.some((a) => a.start < end && a.start + AREA_LENGTH > start)) return;
    this.restoreIn(0, STUB_BASE);
    this.areas = [];
  }
  /** Puts back what was in [start, end), as before the application or a debugger writes there. */
  restoreIn(start: number, end: number): void {
    for (const [call, site] of this.sites) {
      if (!touches(site, call, start, end)) continue;
      if (site !== null) this.replace(null, site.start, site.original);
      this.sites.delete(call);
    }
  }
  /** As restoreIn, everywhere; and no site is rewritten any more. */
  end(): void {
    this.policy = null;
    this.restoreIn(0, STUB_BASE);
  }
  /** `bytes` have been read at `address`: shows what was there. */
  overlay(address: number, bytes: Uint8Array, offset: number, count: number): void {
    for (const site of this.sites.values()) if (site !== null) show(site.start, site.original);
    for (const [gap, { original }] of this.gaps) show(gap, original);
    function show(place: number, original: Uint8Array): void {
      for (let i = 0, at = place - address; i < original.length; i++, at++) {
        if (at >= 0 && at < count) bytes[offset + at] = original[i] as number;
      }
    }
  }
}

/** Whether the site, or what was looked at of one that is left alone, reaches into [start, end). */
function touches(site: Site | null, call: number, start: number, end: number): boolean {
  if (site === null) return call - BEFORE < end && call + SYSCALL_LENGTH > start;
  if (site.start < end && site.start + site.original.length > start) return true;
  return site.gap !== 0 && site.gap < end && site.gap + JUMP_LENGTH > start;
}
