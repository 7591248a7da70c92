/** Kicks that meet a thread in the stub, at each instruction of its way back to the application: none may get lost or change a register. */
import { PROT_EXEC, PROT_READ, PROT_WRITE } from '../abi/mman.ts';
import { host } from '../lib/host.ts';
import { HostPoll } from '../platforms/host_poll.ts';
import { type Platform, REG, type ThreadContext, type ThreadEvents } from '../platforms/platform.ts';
import { createPlatform, openSource } from '../platforms/select.ts';
import { STUB_BASE } from '../platforms/stub_layout.ts';
import { call, code, LOOP_FOREVER, mov, RDI_FROM_XMM3, XMM3_FROM_RAX } from './machine_code.ts';

const CODE = 0x40_0000;
const PAGE = 4096;
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

/** A debugger on the host's thread: stops it, runs so many instructions of the stub's, lets it go. How many it ran. */
function stepInStub(thread: ThreadContext & { tid: number }, meanwhile: () => void, steps: number): number {
  const { tid } = thread;
  const regs = new BigUint64Array(27);
  const status = new Int32Array(1);
  const trace = (request: number, data: BigUint64Array | number): number => host.syscall(PTRACE, request, tid, 0, data);
  const stopped = (): void => expect(host.syscall(WAIT4, tid, status, WALL, null)).toBe(tid);
  expect(trace(PTRACE_SEIZE, 0)).toBe(0);
  trace(PTRACE_INTERRUPT, 0);
  stopped();
  meanwhile();
  let done = 0;
  while (done < steps) {
    trace(PTRACE_GETREGS, regs);
    if (Number(regs[REG.rip]) < STUB_BASE) break;
    trace(PTRACE_SINGLESTEP, 0);
    stopped();
    done++;
  }
  thread.interrupt();
  // Behind a popf the host takes the trap flag of its own stepping for the program's.
  trace(PTRACE_GETREGS, regs);
  regs[REG.eflags] = (regs[REG.eflags] as bigint) & ~0x100n;
  trace(PTRACE_SETREGS, regs);
  trace(PTRACE_DETACH, 0);
  return done;
}

test.each(['in the quick way', 'by rt_sigreturn'])('a kick on the way back (%s) stops the application', (way) => {
  const thread = platform.newAddressSpace() as ThreadContext & { tid: number };
  thread.space.mapAnonymous(thread, CODE, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC);
  const program = code(
    mov.rax(0x1234_5678_9abc),
    XMM3_FROM_RAX,
    mov.rbx(0xfeed_f00d),
    mov.r9(77),
    call(7, 1, 2),
    RDI_FROM_XMM3,
    LOOP_FOREVER,
  );
  const behindCall = CODE + program.length - LOOP_FOREVER.length - RDI_FROM_XMM3.length;
  thread.space.write(CODE, program, 0, program.length);
  const set = (rip: number): void => {
    const regs = thread.registers();
    regs.set(REG.rip, rip);
    regs.set(REG.rsp, CODE + PAGE);
    thread.setRegisters();
  };
  /** One call, answered; then the kick after so many instructions of the stub's. How many it ran. */
  const round = (steps: number, result: number): number => {
    expect(next()).toBe('syscall 7');
    const ran = stepInStub(
      thread,
      () => {
        if (way === 'by rt_sigreturn') {
          thread.registers().set(REG.rcx, 1); // not what a system call leaves
          thread.setRegisters();
        }
        thread.resumeWithResult(result);
      },
      steps,
    );
    expect(next()).toBe('interrupted');
    const state = (): string => [REG.rip, REG.rax, REG.rbx, REG.r9, REG.rsi, REG.rsp].map((r) => thread.registers().get(r)).join();
    expect([behindCall, behindCall + RDI_FROM_XMM3.length].map((rip) => [rip, result, 0xfeed_f00d, 77, 2, CODE + PAGE].join())).toContain(
      state(),
    );
    return ran;
  };
  set(CODE);
  thread.resume();
  const all = round(MOST_STEPS, 5);
  expect(all).toBeGreaterThan(30);
  expect(all).toBeLessThan(MOST_STEPS);
  for (let steps = 0; steps < all; steps++) {
    set(CODE);
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
