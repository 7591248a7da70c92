/** Kicks that meet a thread in the stub, at each instruction of its way back to the application: none may get lost or change a register. */
import { PROT_EXEC, PROT_READ, PROT_WRITE } from '../abi/mman.ts';
import { SIGTRAP } from '../abi/signal.ts';
import { host } from '../lib/host.ts';
import { HostPoll } from '../platforms/host_poll.ts';
import { type Platform, REG, type ThreadContext, type ThreadEvents } from '../platforms/platform.ts';
import { createPlatform, openSource } from '../platforms/select.ts';
import { STUB_BASE } from '../platforms/stub_layout.ts';
import { STATE_POSTED, STATE_REPLY, W_REGS } from '../platforms/systrap/layout.ts';
import { code, LOOP_FOREVER, mov, RDI_FROM_XMM3, SYSCALL, XMM3_FROM_RAX } from './machine_code.ts';

const CODE = 0x40_0000;
const PAGE = 4096;
/** Trampolines. */
const AREA = 0x80_0000;
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
const MOST_STEPS = 2000;

let platform: Platform;
let last = '';
const events: ThreadEvents = {
  syscall: (thread) => {
    last = `syscall ${thread.sysno}`;
  },
  fault: (_thread, signal) => {
    last = `fault ${signal}`;
  },
  interrupted: () => {
    last = 'interrupted';
  },
  exited: (_thread, cause) => {
    last = `exited ${cause}`;
  },
};
beforeAll(() => {
  const procFd = host.openat(-100, '/proc', O_RDONLY_CLOEXEC);
  const sourceFd = openSource(host, 'systrap', null);
  platform = createPlatform('systrap', { host, poll: new HostPoll(host), procFd, sourceFd });
});
afterAll(() => platform.shutdown());

function next(): string {
  last = '';
  const end = host.monotonicNow() + 4e9;
  while (last === '' && host.monotonicNow() < end) platform.wait(events, end);
  return last;
}

const words = (): Int32Array => (platform as unknown as { window: { words: Int32Array } }).window.words;
type Stub = ThreadContext & { readonly tid: number; readonly at: number };

/** A debugger on the host's thread: stops it, steps as long as `more` says, kicks it, lets it go. */
function step(thread: Stub, meanwhile: () => void, more: (rip: number) => boolean): void {
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
    if (!more(Number(regs[REG.rip]))) break;
    const signal = ((status[0] as number) >> 8) & 0x7f;
    trace(PTRACE_SINGLESTEP, signal === SIGTRAP ? 0 : signal);
    stopped();
  }
  thread.interrupt();
  // Behind a popf the host takes the trap flag of its own stepping for the program's, and a pushf shows it.
  const flags = thread.at + W_REGS + REG.eflags * 2;
  words()[flags] = (words()[flags] as number) & ~0x100;
  regs[REG.eflags] = (regs[REG.eflags] as bigint) & ~0x100n;
  trace(PTRACE_SETREGS, regs);
  trace(PTRACE_DETACH, 0);
}

const PROGRAM = [mov.rax(0x1234_5678_9abc), XMM3_FROM_RAX, mov.rbx(0xfeed_f00d), mov.r9(77), mov.edi(1), mov.esi(2)];
const SITE = CODE + PROGRAM.flat().length;
const CALL = SITE + mov.eax(7).length;
const BEHIND = CALL + SYSCALL.length;

function start(): Stub {
  const thread = platform.newAddressSpace() as Stub;
  thread.space.mapAnonymous(thread, CODE, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC);
  const program = code(...PROGRAM, mov.eax(7), SYSCALL, RDI_FROM_XMM3, LOOP_FOREVER);
  thread.space.write(CODE, program, 0, program.length);
  return thread;
}
function set(thread: ThreadContext, rip: number): void {
  const regs = thread.registers();
  regs.set(REG.rip, rip);
  regs.set(REG.rsp, CODE + PAGE);
  thread.setRegisters();
}
function state(thread: ThreadContext): string {
  return [REG.rip, REG.rax, REG.rbx, REG.r9, REG.rsi, REG.rsp].map((r) => thread.registers().get(r)).join();
}
const expected = (rip: number, rax: number): string => [rip, rax, 0xfeed_f00d, 77, 2, CODE + PAGE].join();

/** Its call is made often, until it no longer raises a signal. */
function startRewritten(): Stub {
  const thread = start();
  thread.space.patchCalls?.({
    isFixedCode: () => true,
    reserveCode: (via, _near, length) => (thread.space.mapAnonymous(via, AREA, length, PROT_READ | PROT_EXEC), AREA),
  });
  set(thread, CODE);
  for (let i = 0; i < 40; i++) {
    thread.resume();
    expect(next()).toBe('syscall 7');
    set(thread, CODE);
  }
  const site = new Uint8Array(1);
  thread.space.read(SITE, site, 0, 1);
  expect(site[0]).toBe(0xe9);
  return thread;
}

test.each(['in the quick way', 'by rt_sigreturn', 'without a signal'])('a kick on the way back (%s) stops the application', (way) => {
  const thread = way === 'without a signal' ? startRewritten() : start();
  /** One call, answered; then the kick after so many instructions of the stub's. How many it ran. */
  const round = (steps: number, result: number): number => {
    expect(next()).toBe('syscall 7');
    const reply = (): void => {
      if (way === 'by rt_sigreturn') {
        thread.registers().set(REG.rcx, 1); // not what a system call leaves
        thread.setRegisters();
      }
      thread.resumeWithResult(result);
    };
    let ran = -1;
    step(thread, reply, (rip) => ++ran < steps && rip >= STUB_BASE);
    expect(next()).toBe('interrupted');
    expect([expected(BEHIND, result), expected(BEHIND + RDI_FROM_XMM3.length, result)]).toContain(state(thread));
    return ran;
  };
  set(thread, CODE);
  thread.resume();
  const all = round(MOST_STEPS, 5);
  expect(all).toBeGreaterThan(20);
  expect(all).toBeLessThan(MOST_STEPS);
  for (let steps = 0; steps < all; steps++) {
    set(thread, CODE);
    thread.resume();
    round(steps, steps);
  }
  // And the vector registers are whole.
  thread.resume();
  thread.interrupt();
  expect(next()).toBe('interrupted');
  expect(thread.registers().get(REG.rdi)).toBe(0x1234_5678_9abc);
  thread.space.release();
});

test('a kick on the way in, from the rewritten call site to the stub, shows the application at its call', () => {
  const thread = startRewritten();
  const seen = new Set<string>();
  const inside = (rip: number): boolean => rip >= STUB_BASE || (rip >= AREA && rip < AREA + 65536);
  for (let steps = 0, posted = false; !posted; steps++) {
    expect(steps).toBeLessThan(MOST_STEPS);
    set(thread, SITE);
    const regs = thread.registers();
    for (const [r, value] of [
      [REG.rbx, 0xfeed_f00d],
      [REG.r9, 77],
      [REG.rdi, 1],
      [REG.rsi, 2],
      [REG.rax, 999],
    ] as const)
      regs.set(r, value);
    thread.setRegisters();
    let atSite = false;
    let ran = -1;
    const more = (rip: number): boolean => {
      atSite ||= rip === SITE;
      // A kick that came before the last call was told stops it once more, on its way out: for nothing, and this round with it.
      if (!atSite && words()[thread.at] === STATE_POSTED) return false;
      posted = atSite && words()[thread.at] === STATE_POSTED;
      if (!atSite || (rip !== SITE && !inside(rip))) return !atSite;
      return !posted && ++ran < steps;
    };
    step(thread, () => thread.resume(), more);
    if (!atSite) steps--;
    if (next() === 'interrupted') {
      const now = state(thread);
      seen.add(now);
      expect([expected(SITE, 999), expected(CALL, 7)]).toContain(now);
      thread.resume();
      next();
    }
    expect(last).toBe('syscall 7');
    expect(state(thread)).toBe(expected(BEHIND, 7));
  }
  expect(seen.size).toBe(2);
  thread.space.release();
});

test('a thread that meets the breakpoint of a call site that is being rewritten makes its call', () => {
  const thread = startRewritten();
  const first = new Uint8Array(1);
  thread.space.read(SITE, first, 0, 1);
  thread.space.write(SITE, Uint8Array.of(0xcc), 0, 1);
  set(thread, SITE);
  thread.resume();
  const end = host.monotonicNow() + 20e9;
  while (words()[thread.at] === STATE_REPLY && host.monotonicNow() < end);
  thread.space.write(SITE, first, 0, 1);
  expect(next()).toBe('syscall 7');
  thread.space.release();
});
