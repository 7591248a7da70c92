/** What a thread answers itself: only while it is allowed, with kicks at each instruction, and in the face of a slot that lies. */
import { PROT_READ, PROT_WRITE } from '../abi/mman.ts';
import { host } from '../lib/host.ts';
import { REG, type ThreadContext, type ThreadOwn } from '../platforms/platform.ts';
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
const altStack = { address: 0, size: 0, flags: 2 };
/** What the thread has while a handler runs. */
const IN_HANDLER = 0x40n;
const lend = (thread: Stub): void => thread.own?.lendMask(IN_HANDLER, altStack);

test('numbers that it was told a thread gives itself, and asks once in a while, or when they were taken back', () => {
  const call = (nr: number): number[] => [...mov.eax(nr), ...SYSCALL];
  const thread = program(call(GETPID), call(GETTID), [0x48, 0x89, 0xc3], call(GETPID), [0x48, 0x89, 0xc5], call(500), LOOP_FOREVER);
  thread.resume();
  expect(next()).toBe(`syscall ${GETPID}`);
  thread.own?.tellNumbers(numbers);
  thread.resumeWithResult(1);
  expect(next()).toBe('syscall 500');
  expect([thread.registers().get(REG.rbx), thread.registers().get(REG.rbp)]).toEqual([numbers.tid, numbers.pid]);
  thread.registers().set(REG.rip, CODE);
  thread.setRegisters();
  thread.own?.tellNumbers(null);
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
  often.own?.tellNumbers(numbers);
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
  thread.own?.tellNumbers(numbers);
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
    thread.own?.tellNumbers(numbers);
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

const PROCMASK = 14;
const SET = CODE + PAGE - 32;
const OLD = SET + 8;
const memory = new BigUint64Array(2);
const bytes = new Uint8Array(memory.buffer);
/** rt_sigprocmask(how, SET, OLD, 8) */
const procmask = (how: number): number[] => [
  ...mov.edi(how),
  ...mov.esi(SET),
  ...mov.edx(OLD),
  ...mov.r10(8),
  ...mov.eax(PROCMASK),
  ...SYSCALL,
];
const [SIG_BLOCK, SIG_UNBLOCK, SIG_SETMASK, NO_SUCH] = [0, 1, 2, 3];

test('a thread changes the mask that it was lent, and none that it was not', () => {
  const thread = program(procmask(SIG_BLOCK), procmask(SIG_UNBLOCK), procmask(SIG_SETMASK), [...mov.eax(500), ...SYSCALL]);
  thread.space.write(SET, new Uint8Array(new BigUint64Array([0xffn | 0x100n]).buffer), 0, 8); // SIGKILL among them
  thread.own?.lendMask(0x3300f0n, altStack);
  thread.resume();
  expect(next()).toBe('syscall 500');
  thread.space.read(SET, bytes, 0, 16);
  expect([thread.own?.mask, memory[1], thread.registers().get(REG.rax)]).toEqual([0xffn, 0x330000n, 500]);
  expect(thread.own?.recallMask()).toBe(0xffn);
  thread.registers().set(REG.rip, CODE);
  thread.setRegisters();
  thread.resume();
  expect(next()).toBe(`syscall ${PROCMASK}`);
  thread.space.release();
});

test('what is wrong with a mask the Sentry says', () => {
  const wrong: readonly (readonly [number[], string])[] = [
    [procmask(NO_SUCH), 'no such change'],
    [[...mov.edi(SIG_BLOCK), ...mov.esi(SET), ...mov.edx(OLD), ...mov.r10(4), ...mov.eax(PROCMASK), ...SYSCALL], 'size'],
    [[...mov.edi(SIG_BLOCK), ...mov.esi(8), ...mov.edx(OLD), ...mov.r10(8), ...mov.eax(PROCMASK), ...SYSCALL], 'set'],
    [[...mov.edi(SIG_BLOCK), ...mov.esi(SET), ...mov.edx(8), ...mov.r10(8), ...mov.eax(PROCMASK), ...SYSCALL], 'old set'],
  ];
  for (const [call, what] of wrong) {
    const thread = program(call);
    thread.own?.lendMask(0x5n, altStack);
    thread.resume();
    expect([what, next(), thread.own?.recallMask()]).toEqual([what, `syscall ${PROCMASK}`, 0x5n]);
    thread.space.release();
  }
});

test('a thread keeps its robust list, its thread number’s address and its first rseq area, where it may', () => {
  const AREA = CODE + PAGE - 128;
  const call = (nr: number, a: number, b: number, c = 0, d = 0): number[] => [
    ...mov.edi(a),
    ...mov.esi(b),
    ...mov.edx(c),
    ...mov.r10(d),
    ...mov.eax(nr),
    ...SYSCALL,
  ];
  const thread = program(call(273, 0x1234, 24), call(218, 0x5678, 0), call(334, AREA, 32, 0, 0x53053053), [...mov.eax(500), ...SYSCALL]);
  thread.own?.tellNumbers(numbers);
  (thread.own as ThreadOwn).keeps = true;
  thread.resume();
  expect(next()).toBe('syscall 500');
  expect([thread.own?.robustList, thread.own?.clearChildTid]).toEqual([0x1234, 0x5678]);
  expect(thread.rseqArea).toEqual({ address: AREA, signature: 0x53053053 });
  expect(thread.dropRseq?.()).toBe(0);
  expect(thread.rseqArea).toBeNull();
  (thread.own as ThreadOwn).keeps = false;
  for (const nr of [273, 218, 334]) {
    thread.registers().set(REG.rip, CODE);
    thread.setRegisters();
    thread.resume();
    expect(next()).toBe('syscall 273');
    thread.resumeWithResult(0);
    expect(next()).toBe('syscall 218');
    thread.resumeWithResult(0);
    expect(next()).toBe('syscall 334');
    thread.resumeWithResult(0);
    expect([nr, next()]).toEqual([nr, 'syscall 500']);
  }
  const other = thread.space.newThread(thread) as ThreadContext;
  expect([other.own?.robustList, other.own?.clearChildTid, other.rseqArea]).toEqual([0, 0, null]);
  thread.space.release();
});

test('a mask that is recalled while the thread changes it: each change is the thread’s or the Sentry’s', () => {
  const loop = [...procmask(SIG_SETMASK)];
  const thread = program(loop, back(loop.length));
  let asked = 0;
  let alone = 0;
  thread.space.write(SET, new Uint8Array(new BigUint64Array([0x33n]).buffer), 0, 8);
  thread.own?.lendMask(0n, altStack);
  thread.resume();
  const end = host.monotonicNow() + 20e9;
  while ((asked < 50 || alone < 50) && host.monotonicNow() < end) {
    for (let i = 0; thread.own?.mask === 0n && i < 20_000; i++);
    const mask = thread.own?.recallMask();
    expect([0n, 0x33n]).toContain(mask);
    if (mask === 0x33n) alone++;
    expect(next()).toBe(`syscall ${PROCMASK}`);
    asked++;
    thread.own?.lendMask(0n, altStack);
    thread.resumeWithResult(0);
  }
  expect(Math.min(asked, alone)).toBeGreaterThanOrEqual(50);
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
  const order = { signal: SIGUSR1, handler, restorer: handler + handlerCode.length, info: new Uint8Array(128), mask };
  thread.frames?.push({ ...order, onAltStack: false, altStack, err: 0, trapno: 0, cr2: 0 });
  return { thread, calledAt: CODE + main.length - LOOP_FOREVER.length, returns: handler + handlerCode.length + 5 };
}

test('a thread that was lent its mask returns from its handler alone, and the mask is told', () => {
  const { thread, calledAt } = inHandler(0x1234n);
  lend(thread);
  thread.resume();
  const end = host.monotonicNow() + 20e9;
  while (thread.own?.mask === IN_HANDLER && host.monotonicNow() < end);
  expect(thread.own?.mask).toBe(0x1234n);
  expect(thread.own?.recallMask()).toBe(0x1234n);
  expect(thread.own?.recallMask()).toBeNull();
  thread.interrupt();
  expect(next()).toBe('interrupted');
  expect([REG.rip, REG.rax, REG.rbx].map((r) => thread.registers().get(r))).toEqual([calledAt, 9, 0xfeed]);
  thread.space.release();
});

test('what was recalled, and a frame that comes with another stack, is the Sentry’s to return from', () => {
  const recalled = inHandler(1n);
  lend(recalled.thread);
  expect(recalled.thread.own?.recallMask()).toBe(IN_HANDLER);
  recalled.thread.resume();
  expect(next()).toBe(`syscall ${RT_SIGRETURN}`);
  expect(recalled.thread.frames?.peek()?.mask).toBe(1n);
  recalled.thread.space.release();

  // add qword [rsp + 24], 1: uc_stack.ss_sp
  const changed = inHandler(1n, [0x48, 0x83, 0x44, 0x24, 24, 1, ...RET]);
  lend(changed.thread);
  changed.thread.resume();
  expect(next()).toBe(`syscall ${RT_SIGRETURN}`);
  expect(changed.thread.frames?.peek()?.altStack.address).toBe(1);
  changed.thread.space.release();

  // mov byte [rsp + 8 + 40 + 18 * 8], 0: no selector of 64-bit code
  const broken = inHandler(7n, [0xc6, 0x84, 0x24, 192, 0, 0, 0, 0, ...RET]);
  lend(broken.thread);
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
    lend(thread);
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
      expect(thread.own?.recallMask()).toBe(IN_HANDLER);
    } else {
      expect([REG.rip, REG.rax, REG.rbx].map((r) => regs.get(r))).toEqual([calledAt, 9, 0xfeed]);
      expect(thread.own?.recallMask()).toBe(0x55n);
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
