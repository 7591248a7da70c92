/** What a thread answers itself: only while it is allowed, with kicks at each instruction, and in the face of a slot that lies. */
import { PROT_READ, PROT_WRITE } from '../abi/mman.ts';
import { host } from '../lib/host.ts';
import { REG, type ThreadContext } from '../platforms/platform.ts';
import { STATE_POSTED } from '../platforms/systrap/layout.ts';
import { LOOP_FOREVER, mov, NOP, SYSCALL } from './machine_code.ts';
import { CODE, MOST_STEPS, PAGE, type Stub, StubStepper } from './stub_stepper.ts';

const STACK = 0x60_0000;
const GETPID = 39;
const GETTID = 186;
const RT_SIGRETURN = 15;
const SIGUSR1 = 10;
const RET = [0xc3];
/** mov qword [rsp + 8 + 40 + 184], 0; ret: the frame has no extended state, which would take a step for each byte. */
const WITHOUT_XSTATE = [0x48, 0xc7, 0x84, 0x24, 232, 0, 0, 0, 0, 0, 0, 0, ...RET];
/** Steps of a return, bytes of the frame among them. */
const MOST_COPIES = 20_000;
/** Jumps back over `length` bytes and itself. */
const back = (length: number): number[] => [0xeb, 256 - length - 2];

let stepper: StubStepper;
beforeAll(() => {
  stepper = new StubStepper();
});
afterAll(() => stepper.platform.shutdown());
const next = (): string => stepper.next();

function program(...parts: number[][]): Stub {
  const thread = stepper.start(...parts);
  thread.space.mapAnonymous(thread, STACK - 8 * PAGE, 8 * PAGE, PROT_READ | PROT_WRITE);
  const regs = thread.registers();
  regs.set(REG.rip, CODE);
  regs.set(REG.rsp, STACK - PAGE);
  thread.setRegisters();
  return thread;
}
const numbers = { pid: 4711, tid: 4712 };

test('numbers that it was told a thread gives itself, and asks once in a while, or when they were taken back', () => {
  const call = (nr: number): number[] => [...mov.eax(nr), ...SYSCALL];
  const thread = program(call(GETPID), call(GETTID), [0x48, 0x89, 0xc3], call(GETPID), [0x48, 0x89, 0xc5], call(500), LOOP_FOREVER);
  thread.resume();
  expect(next()).toBe(`syscall ${GETPID}`);
  thread.tellNumbers?.(numbers);
  thread.resumeWithResult(1);
  expect(next()).toBe('syscall 500');
  expect([thread.registers().get(REG.rbx), thread.registers().get(REG.rbp)]).toEqual([numbers.tid, numbers.pid]);
  thread.registers().set(REG.rip, CODE);
  thread.setRegisters();
  thread.tellNumbers?.(null);
  thread.resume();
  for (const nr of [GETPID, GETTID, GETPID]) {
    expect(next()).toBe(`syscall ${nr}`);
    thread.resumeWithResult(1);
  }
  expect(next()).toBe('syscall 500');
  thread.space.release();

  const often = program(call(GETPID), back(7));
  often.resume();
  next();
  often.tellNumbers?.(numbers);
  for (let i = 0; i < 3; i++) {
    often.resumeWithResult(1);
    expect(next()).toBe(`syscall ${GETPID}`);
  }
  often.space.release();
});

test('a new thread and a forked process have to be told anew', () => {
  const thread = program([...mov.eax(GETPID), ...SYSCALL], back(7));
  thread.resume();
  next();
  thread.tellNumbers?.(numbers);
  const other = thread.space.newThread(thread) as ThreadContext;
  const child = thread.space.fork(thread) as ThreadContext;
  for (const fresh of [other, child]) {
    fresh.resumeWithResult(0);
    expect(next()).toBe(`syscall ${GETPID}`);
  }
  child.space.release();
  thread.space.release();
});

test('a kick meets a thread that answers itself at any instruction: it stops with the call made or not', () => {
  const before = new Array<number>(16).fill(NOP[0] as number); // a site is known by what is before it, too
  const site = CODE + before.length;
  const call = site + mov.eax(GETPID).length;
  const behind = call + SYSCALL.length;
  const thread = program(before, mov.eax(GETPID), SYSCALL, back(7));
  stepper.rewrite(thread, site, `syscall ${GETPID}`);
  /** The kick after so many instructions of the call. How many there were. */
  const round = (steps: number): number => {
    thread.tellNumbers?.(numbers);
    thread.registers().set(REG.rip, site);
    thread.registers().set(REG.rbx, 0xfeed);
    thread.setRegisters();
    let ran = -1;
    const more = (rip: number): boolean => {
      if (stepper.words[thread.at] === STATE_POSTED) return false; // the one that is asked: it waits for us
      if (ran < 0 && rip !== site) return true;
      return ++ran < steps && rip !== behind;
    };
    stepper.step(thread, () => thread.resume(), more);
    for (let event = next(); event !== 'interrupted'; event = next()) {
      expect(event).toBe(`syscall ${GETPID}`);
      thread.resumeWithResult(numbers.pid);
      thread.interrupt(); // the first kick was for the other stop
    }
    const regs = thread.registers();
    const rip = regs.get(REG.rip);
    expect(regs.get(REG.rbx)).toBe(0xfeed);
    expect([site, call, behind]).toContain(rip);
    if (rip !== site) expect(regs.get(REG.rax)).toBe(rip === call ? GETPID : numbers.pid);
    return ran;
  };
  const all = round(MOST_STEPS);
  expect(all).toBeGreaterThan(20);
  expect(all).toBeLessThan(MOST_STEPS);
  for (let steps = 0; steps < all; steps++) round(steps);
  thread.space.release();
});

/** A thread that is about to enter a handler, which returns at once; the frame's mask is `mask`. */
function inHandler(mask: bigint, handlerCode: readonly number[] = RET): { thread: Stub; calledAt: number; returns: number } {
  const main = [...mov.eax(500), ...SYSCALL, ...LOOP_FOREVER];
  const restorer = [...mov.eax(RT_SIGRETURN), ...SYSCALL];
  const thread = program(main, [...handlerCode], restorer);
  const handler = CODE + main.length;
  thread.resume();
  expect(next()).toBe('syscall 500');
  thread.registers().set(REG.rbx, 0xfeed);
  thread.setRegisters();
  thread.setResult?.(9);
  const altStack = { address: 0, size: 0, flags: 2 };
  const order = { signal: SIGUSR1, handler, restorer: handler + handlerCode.length, info: new Uint8Array(128), mask };
  thread.frames?.push({ ...order, onAltStack: false, altStack, err: 0, trapno: 0, cr2: 0 });
  return { thread, calledAt: CODE + main.length - LOOP_FOREVER.length, returns: handler + handlerCode.length + 5 };
}

test('a thread that was lent its return makes it alone, once, and the mask is told', () => {
  const { thread, calledAt } = inHandler(0x1234n);
  thread.frames?.lend();
  thread.resume();
  const end = host.monotonicNow() + 20e9;
  let mask: bigint | null = null;
  // Lent again where it has not come to its return yet.
  while (mask === null && host.monotonicNow() < end) {
    mask = thread.frames?.recall() ?? null;
    if (mask === null) thread.frames?.lend();
  }
  expect(mask).toBe(0x1234n);
  expect(thread.frames?.recall()).toBeNull();
  thread.interrupt();
  expect(next()).toBe('interrupted');
  expect([REG.rip, REG.rax, REG.rbx].map((r) => thread.registers().get(r))).toEqual([calledAt, 9, 0xfeed]);
  thread.space.release();
});

test('what was recalled, and a frame that comes with another stack, is the Sentry’s to return from', () => {
  const recalled = inHandler(1n);
  recalled.thread.frames?.lend();
  expect(recalled.thread.frames?.recall()).toBeNull();
  recalled.thread.resume();
  expect(next()).toBe(`syscall ${RT_SIGRETURN}`);
  expect(recalled.thread.frames?.peek()?.mask).toBe(1n);
  recalled.thread.space.release();

  // add qword [rsp + 24], 1: uc_stack.ss_sp
  const changed = inHandler(1n, [0x48, 0x83, 0x44, 0x24, 24, 1, ...RET]);
  changed.thread.frames?.lend();
  changed.thread.resume();
  expect(next()).toBe(`syscall ${RT_SIGRETURN}`);
  expect(changed.thread.frames?.peek()?.altStack.address).toBe(1);
  changed.thread.space.release();

  // mov byte [rsp + 8 + 40 + 18 * 8], 0: no selector of 64-bit code
  const broken = inHandler(7n, [0xc6, 0x84, 0x24, 192, 0, 0, 0, 0, ...RET]);
  broken.thread.frames?.lend();
  broken.thread.resume();
  expect(next()).toBe(`syscall ${RT_SIGRETURN}`);
  broken.thread.frames?.pop();
  broken.thread.resume();
  expect(next()).toContain('the stub reports'); // nobody listens for broken frames here
  broken.thread.space.release();
});

test('a kick meets a thread that returns alone at any instruction: it stops behind its return, or before it', () => {
  /** The kick after so many steps; of each the instruction. */
  const round = (steps: number): number[] => {
    const { thread, calledAt, returns } = inHandler(0x55n, WITHOUT_XSTATE);
    thread.frames?.lend();
    const rips: number[] = [];
    const more = (rip: number): boolean => {
      if (rips.length === 0 && rip !== returns) return true;
      if (rip !== returns + SYSCALL.length) rips.push(rip); // there the signal has not come yet
      return rips.length <= steps && rip !== calledAt;
    };
    stepper.step(thread, () => thread.resume(), more);
    expect(next()).toBe('interrupted');
    const regs = thread.registers();
    if (steps === 0) {
      expect(regs.get(REG.rip)).toBe(returns);
      expect(thread.frames?.recall()).toBeNull();
    } else {
      expect([REG.rip, REG.rax, REG.rbx].map((r) => regs.get(r))).toEqual([calledAt, 9, 0xfeed]);
      expect(thread.frames?.recall()).toBe(0x55n);
    }
    thread.space.release();
    return rips;
  };
  const all = round(MOST_COPIES);
  expect(all.length).toBeLessThan(MOST_COPIES);
  // A copy is one instruction, and a step for each byte; loops come to the same ones again.
  const first = [...all.keys()].filter((i) => all.indexOf(all[i] as number) === i);
  expect(first.length).toBeGreaterThan(50);
  for (const steps of first.filter((_, i) => i % 32 === 0 || i > first.length - 10)) round(steps);
}, 60_000);
