/** Kicks that meet a thread in the stub, at each instruction of its way back to the application: none may get lost or change a register. */
import { host } from '../lib/host.ts';
import { REG, type ThreadContext } from '../platforms/platform.ts';
import { STUB_BASE } from '../platforms/stub_layout.ts';
import { STATE_POSTED, STATE_REPLY } from '../platforms/systrap/layout.ts';
import { LOOP_FOREVER, mov, RDI_FROM_XMM3, SYSCALL, XMM3_FROM_RAX } from './machine_code.ts';
import { CODE, inTrampoline, MOST_STEPS, PAGE, type Stub, StubStepper } from './stub_stepper.ts';

let stepper: StubStepper;
beforeAll(() => {
  stepper = new StubStepper();
});
afterAll(() => stepper.platform.shutdown());
const next = (): string => stepper.next();
const words = (): Int32Array => stepper.words;
const set = (thread: ThreadContext, rip: number): void => stepper.set(thread, rip);

const PROGRAM = [mov.rax(0x1234_5678_9abc), XMM3_FROM_RAX, mov.rbx(0xfeed_f00d), mov.r9(77), mov.edi(1), mov.esi(2)];
const SITE = CODE + PROGRAM.flat().length;
const CALL = SITE + mov.eax(7).length;
const BEHIND = CALL + SYSCALL.length;

const start = (): Stub => stepper.start(...PROGRAM, mov.eax(7), SYSCALL, RDI_FROM_XMM3, LOOP_FOREVER);
function state(thread: ThreadContext): string {
  return [REG.rip, REG.rax, REG.rbx, REG.r9, REG.rsi, REG.rsp].map((r) => thread.registers().get(r)).join();
}
const expected = (rip: number, rax: number): string => [rip, rax, 0xfeed_f00d, 77, 2, CODE + PAGE].join();

function startRewritten(): Stub {
  const thread = start();
  stepper.rewrite(thread, SITE, 'syscall 7');
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
    stepper.step(thread, reply, (rip) => ++ran < steps && rip >= STUB_BASE);
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
  do {
    thread.resume();
    for (const end = host.monotonicNow() + 1e6; host.monotonicNow() < end; ); // or it would be stopped before its next instruction again
    thread.interrupt();
    expect(next()).toBe('interrupted');
  } while (thread.registers().get(REG.rip) === BEHIND);
  expect(thread.registers().get(REG.rdi)).toBe(0x1234_5678_9abc);
  thread.space.release();
});

test('a new thread is stopped by a kick at each instruction of its way to the application, and by the next one', () => {
  const creator = start();
  set(creator, CODE);
  creator.resume();
  expect(next()).toBe('syscall 7');
  for (let steps = 0, outside = false; !outside; steps++) {
    expect(steps).toBeLessThan(MOST_STEPS);
    const thread = creator.space.newThread(creator) as Stub;
    let ran = -1;
    stepper.step(
      thread,
      () => thread.resumeWithResult(steps),
      (rip) => {
        outside = rip < STUB_BASE;
        return ++ran < steps && !outside;
      },
    );
    // The second one needs the thread's signal stack: it has none until it leaves the stub by rt_sigreturn.
    for (let kicks = 0; kicks < 2; kicks++) {
      expect(next()).toBe('interrupted');
      expect(thread.registers().get(REG.rbx)).toBe(0xfeed_f00d);
      if (kicks > 0) break;
      thread.resume();
      thread.interrupt();
    }
    thread.exit();
  }
  creator.space.release();
});

test('a kick on the way in, from the rewritten call site to the stub, shows the application at its call', () => {
  const thread = startRewritten();
  const seen = new Set<string>();
  const inside = (rip: number): boolean => rip >= STUB_BASE || inTrampoline(rip);
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
    stepper.step(thread, () => thread.resume(), more);
    if (!atSite) steps--;
    if (next() === 'interrupted') {
      const now = state(thread);
      seen.add(now);
      expect([expected(SITE, 999), expected(CALL, 7)]).toContain(now);
      thread.resume();
      next();
    }
    expect(stepper.last).toBe('syscall 7');
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
