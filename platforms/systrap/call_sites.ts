/**
 * Call sites of one address space that need no signal: the five bytes before a `syscall` instruction become a jump to a trampoline, which
 * does what they did and goes to the stub (native-addon/stub/fast.S). The syscall instruction stays: whoever jumps to it, restarts it or
 * uses gs itself takes the slow way.
 *
 * Only code of files is rewritten that nobody can write, mapped privately; never what a program has made itself. The file does not change.
 * Sites are forgotten when something else is mapped there, and put back before a debugger looks.
 */
import type { CodePolicy, ThreadContext } from '../platform.ts';
import { HOST_CALL } from '../ptrace/requests.ts';
import { STUB_BASE } from '../stub_layout.ts';
import { AREA_LENGTH, TRAMPOLINE_LENGTH, trampoline, writeJump } from './trampoline.ts';

/** What a site needs of the process that it is in. */
export interface CodeMemory {
  /** Past all protections, whole or not at all. */
  readCode(address: number, into: Uint8Array): boolean;
  writeCode(address: number, from: Uint8Array): boolean;
  /** Another thread may run the code right now. */
  readonly threaded: boolean;
  hostCall(via: ThreadContext, nr: number, a0: number, a1: number, a2: number): void;
}

const SYSCALL_LENGTH = 2;
/** The instruction before `syscall`, which the jump replaces. */
export const SITE_LENGTH = 5;
/** Bytes before the site that have to be known as well. */
const CONTEXT = 6;
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
const MOV_EAX = 0xb8;
/** mov %r9, %r8; mov 8(%rsp), %r9: how syscall(3) of the GNU C library takes its last arguments. */
const SYSCALL_FUNCTION = [0x4d, 0x89, 0xc2, 0x4d, 0x89, 0xc8, 0x4c, 0x8b, 0x4c, 0x24, 0x08];

export class CallSites {
  private policy: CodePolicy | null;
  /** By the address of the five bytes: what they were; null: looked at, and left alone. */
  private readonly sites: Map<number, Uint8Array | null>;
  /** All that were rewritten and are still mapped, also if they are put back: a thread may have met them. */
  private readonly rewritten: Set<number>;
  /** Where trampolines are, and of which sites, in order. */
  private areas: { readonly start: number; readonly sites: number[] }[];
  private readonly memory: CodeMemory;
  private registered = false;
  private readonly bytes = new Uint8Array(CONTEXT + SITE_LENGTH + SYSCALL_LENGTH);

  /** from: of the process that this one was forked from. */
  constructor(memory: CodeMemory, policy: CodePolicy, from: CallSites | null) {
    this.memory = memory;
    this.policy = policy;
    this.sites = new Map(from?.sites);
    this.rewritten = new Set(from?.rewritten);
    this.areas = from === null ? [] : from.areas.map(({ start, sites }) => ({ start, sites: sites.slice() }));
    if (from !== null && from.policy === null) this.policy = null;
  }

  /** The thread has made call `nr` by a signal; `rip` is behind the instruction. */
  consider(via: ThreadContext, rip: number, nr: number): void {
    const site = rip - SYSCALL_LENGTH - SITE_LENGTH;
    if (this.policy === null || this.sites.has(site) || this.sites.size >= MAX_SITES || rip >= STUB_BASE) return;
    if (!this.policy.isFixedCode(via, site - CONTEXT, this.bytes.length)) return;
    this.sites.set(site, null);
    if (WITH_STATE.has(nr) || !this.memory.readCode(site - CONTEXT, this.bytes) || !this.isKnown(nr)) return;
    const original = this.bytes.slice(CONTEXT, CONTEXT + SITE_LENGTH);
    const to = this.place(via, site, original);
    if (to === 0) return;
    const jump = new Uint8Array(SITE_LENGTH);
    writeJump(jump, site, to);
    this.rewritten.add(site);
    if (this.replace(via, site, jump)) this.sites.set(site, original);
  }

  /** Whether the five bytes are one instruction that means the same elsewhere. */
  private isKnown(nr: number): boolean {
    const { bytes } = this;
    if (bytes[CONTEXT + SITE_LENGTH] !== 0x0f || bytes[CONTEXT + SITE_LENGTH + 1] !== 0x05) return false;
    if (SYSCALL_FUNCTION.every((byte, i) => bytes[i] === byte)) return true;
    // Not with a prefix: then it would be another register's. And it has just put the number there.
    const before = bytes[CONTEXT - 1] as number;
    if (bytes[CONTEXT] !== MOV_EAX || (before >= 0x40 && before <= 0x4f)) return false;
    return new DataView(bytes.buffer).getInt32(CONTEXT + 1, true) === nr;
  }

  /** Writes a trampoline; where, or 0. */
  private place(via: ThreadContext, site: number, original: Uint8Array): number {
    let area = this.areas.find((a) => a.sites.length < MOST_TRAMPOLINES && Math.abs(a.start - site) < REACH);
    if (area === undefined) {
      const start = this.policy?.reserveCode(via, site, AREA_LENGTH) ?? 0;
      if (start === 0) return 0;
      area = { start, sites: [] };
      this.areas.push(area);
      if (Math.abs(start - site) >= REACH) return 0;
    }
    const at = area.start + area.sites.length * TRAMPOLINE_LENGTH;
    if (!this.memory.writeCode(at, trampoline(at, original, site + SITE_LENGTH + SYSCALL_LENGTH))) return 0;
    area.sites.push(site);
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
  private synchronize(via: ThreadContext | null): void {
    if (via === null) return;
    if (!this.registered) this.memory.hostCall(via, HOST_CALL.membarrier, MEMBARRIER_REGISTER_SYNC_CORE, 0, 0);
    this.registered = true;
    this.memory.hostCall(via, HOST_CALL.membarrier, MEMBARRIER_SYNC_CORE, 0, 0);
  }

  /** A breakpoint trap with `rip` behind it: whether it was ours, which is gone by now. A program's own would still be there. */
  retry(rip: number): boolean {
    const byte = new Uint8Array(1);
    return this.rewritten.has(rip - 1) && this.memory.readCode(rip - 1, byte) && byte[0] !== INT3[0];
  }
  /**
   * Where the application is if its instruction pointer is in a trampoline: at the site before the first instruction has run, behind it
   * at the syscall instruction. Anything else as it is.
   */
  seenAt(rip: number): number {
    for (const { start, sites } of this.areas) {
      const site = rip >= start ? sites[Math.floor((rip - start) / TRAMPOLINE_LENGTH)] : undefined;
      if (site !== undefined) return (rip - start) % TRAMPOLINE_LENGTH === 0 ? site : site + SITE_LENGTH;
    }
    return rip;
  }

  /** Something else will be in [start, end), or nothing: what we know of it ends. */
  forget(start: number, end: number): void {
    if (this.sites.size === 0 && this.rewritten.size === 0) return;
    this.forgetTrampolines(start, end);
    for (const site of this.sites.keys()) if (site < end && site + SITE_LENGTH > start) this.sites.delete(site);
    for (const site of this.rewritten) if (site < end && site + SITE_LENGTH > start) this.rewritten.delete(site);
  }
  /** What becomes of trampolines in [start, end) is the application's doing: they are no more used. */
  forgetTrampolines(start: number, end: number): void {
    if (!this.areas.some((a) => a.start < end && a.start + AREA_LENGTH > start)) return;
    this.restoreIn(0, STUB_BASE);
    this.areas = [];
  }
  /** Puts back what was in [start, end), as before the application or a debugger writes there. */
  restoreIn(start: number, end: number): void {
    for (const [site, original] of this.sites) {
      if (site >= end || site + SITE_LENGTH <= start) continue;
      if (original !== null) this.replace(null, site, original);
      this.sites.delete(site);
    }
  }
  /** As restoreIn, everywhere; and no site is rewritten any more. */
  end(): void {
    this.policy = null;
    this.restoreIn(0, STUB_BASE);
  }
  /** `bytes` have been read at `address`: shows what was there. */
  overlay(address: number, bytes: Uint8Array, offset: number, count: number): void {
    for (const [site, original] of this.sites) {
      if (original === null) continue;
      for (let i = 0; i < SITE_LENGTH; i++) {
        const at = site + i - address;
        if (at >= 0 && at < count) bytes[offset + at] = original[i] as number;
      }
    }
  }
}
