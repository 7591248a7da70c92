/** A thread under systrap, and a debugger on the host's side of it that goes through the stub instruction by instruction. */
import { PROT_EXEC, PROT_READ, PROT_WRITE } from '../abi/mman.ts';
import { SIGTRAP } from '../abi/signal.ts';
import { host } from '../lib/host.ts';
import { HostPoll } from '../platforms/host_poll.ts';
import { type Platform, REG, type ThreadContext, type ThreadEvents } from '../platforms/platform.ts';
import { createPlatform, openSource } from '../platforms/select.ts';
import { W_REGS } from '../platforms/systrap/layout.ts';
import { code } from './machine_code.ts';

export const CODE = 0x40_0000;
export const PAGE = 4096;
/** Trampolines. */
export const AREA = 0x80_0000;
/** No way through the stub is longer. */
export const MOST_STEPS = 2000;
const AREA_LENGTH = 65536;
const O_RDONLY_CLOEXEC = 0o2000000;
// wait4(2), ptrace(2)
const WAIT4 = 61;
const WALL = 0x4000_0000;
const PTRACE = 101;
const PTRACE_SINGLESTEP = 9;
const PTRACE_GETREGS = 12;
const PTRACE_SETREGS = 13;
const PTRACE_DETACH = 17;
const PTRACE_SEIZE = 0x4206;
const PTRACE_INTERRUPT = 0x4207;
const TRAP_FLAG = 0x100;

export type Stub = ThreadContext & { readonly tid: number; readonly at: number; interruptWanted: boolean };

export class StubStepper {
  readonly platform: Platform;
  /** What the platform told last. */
  last = '';
  private readonly events: ThreadEvents = {
    syscall: (thread) => {
      this.last = `syscall ${thread.sysno}`;
    },
    fault: (_thread, signal) => {
      this.last = `fault ${signal}`;
    },
    interrupted: () => {
      this.last = 'interrupted';
    },
    exited: (_thread, cause) => {
      this.last = `exited ${cause}`;
    },
  };

  constructor() {
    const procFd = host.openat(-100, '/proc', O_RDONLY_CLOEXEC);
    const sourceFd = openSource(host, 'systrap', null);
    this.platform = createPlatform('systrap', { host, poll: new HostPoll(host), procFd, sourceFd });
  }

  next(): string {
    this.last = '';
    const end = host.monotonicNow() + 4e9;
    while (this.last === '' && host.monotonicNow() < end) this.platform.wait(this.events, end);
    return this.last;
  }
  get words(): Int32Array {
    return (this.platform as unknown as { window: { words: Int32Array } }).window.words;
  }

  /** A thread that is about to run the program. */
  start(...program: readonly number[][]): Stub {
    const thread = this.platform.newAddressSpace() as Stub;
    thread.space.mapAnonymous(thread, CODE, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC);
    const bytes = code(...program);
    thread.space.write(CODE, bytes, 0, bytes.length);
    return thread;
  }
  set(thread: ThreadContext, rip: number): void {
    const regs = thread.registers();
    regs.set(REG.rip, rip);
    regs.set(REG.rsp, CODE + PAGE);
    thread.setRegisters();
  }
  /** Runs the program up to its call often, until `site` no longer raises a signal. */
  rewrite(thread: Stub, site: number, call: string): void {
    thread.space.patchCalls?.({
      isFixedCode: () => true,
      reserveCode: (via, _near, length) => (thread.space.mapAnonymous(via, AREA, length, PROT_READ | PROT_EXEC), AREA),
    });
    this.set(thread, CODE);
    for (let i = 0; i < 100; i++) {
      thread.resume();
      expect(this.next()).toBe(call);
      this.set(thread, CODE);
    }
    const first = new Uint8Array(1);
    thread.space.read(site, first, 0, 1);
    expect(first[0]).toBe(0xe9);
  }

  /** Stops the running thread, goes on step by step as long as `more` says, kicks it if `kicks` says so, lets it go. */
  step(thread: Stub, meanwhile: () => void, more: (rip: number) => boolean, kicks = (): boolean => true): void {
    const { tid } = thread;
    const regs = new BigUint64Array(27);
    const status = new Int32Array(1);
    const trace = (request: number, data: BigUint64Array | number): number => host.syscall(PTRACE, request, tid, 0, data);
    const stopped = (): void => expect(host.syscall(WAIT4, tid, status, WALL, null)).toBe(tid);
    expect(trace(PTRACE_SEIZE, 0)).toBe(0);
    trace(PTRACE_INTERRUPT, 0);
    stopped();
    meanwhile();
    for (;;) {
      trace(PTRACE_GETREGS, regs);
      this.hideStepping(thread, regs);
      if (!more(Number(regs[REG.rip]))) break;
      trace(PTRACE_SETREGS, regs);
      const signal = ((status[0] as number) >> 8) & 0x7f;
      trace(PTRACE_SINGLESTEP, signal === SIGTRAP ? 0 : signal);
      stopped();
    }
    if (kicks()) thread.interrupt();
    trace(PTRACE_SETREGS, regs);
    trace(PTRACE_DETACH, 0);
  }
  /** Behind a popf the host takes the trap flag of its own stepping for the program's, and a pushf shows it. */
  private hideStepping(thread: Stub, regs: BigUint64Array): void {
    regs[REG.eflags] = (regs[REG.eflags] as bigint) & ~BigInt(TRAP_FLAG);
    const flags = thread.at + W_REGS + REG.eflags * 2;
    this.words[flags] = (this.words[flags] as number) & ~TRAP_FLAG;
  }
}

export function inTrampoline(rip: number): boolean {
  return rip >= AREA && rip < AREA + AREA_LENGTH;
}
