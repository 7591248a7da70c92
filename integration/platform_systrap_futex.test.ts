/**
 * Futex calls that the stub answers: kicks that meet a thread at any instruction of them, on its way to sleep above all, and sleepers that the
 * Sentry wakes.
 */
import { EAGAIN } from '../abi/errno.ts';
import { PROT_READ, PROT_WRITE } from '../abi/mman.ts';
import { host } from '../lib/host.ts';
import { REG, type ThreadContext } from '../platforms/platform.ts';
import { STUB_BASE } from '../platforms/stub_layout.ts';
import { STATE_POSTED } from '../platforms/systrap/layout.ts';
import { LOOP_FOREVER, mov, SYSCALL } from './machine_code.ts';
import { CODE, inTrampoline, MOST_STEPS, PAGE, type Stub, StubStepper } from './stub_stepper.ts';

const FUTEX = 202;
const FUTEX_WAIT_PRIVATE = 128;
const FUTEX_WAKE_PRIVATE = 129;
const WORD = 0x50_0000;
const OTHER_WORD = WORD + 64;
/** Of 5 the word is 5: whoever waits for it sleeps. */
const VALUE = 5;
/** struct timespec. */
const TIMEOUT = WORD + 128;
/** syscall; ret; mov $-4, %rax: where the stub goes to sleep. */
const SLEEPING_PLACE = [...SYSCALL, 0xc3, 0x48, 0xc7, 0xc0, 0xfc, 0xff, 0xff, 0xff];

let stepper: StubStepper;
let sleepingPlace = 0;
beforeAll(() => {
  stepper = new StubStepper();
});
afterAll(() => stepper.platform.shutdown());

const setup = (operation: number, value: number): number[][] => [
  mov.rax(WORD),
  mov.rdiFromRax,
  mov.esi(operation),
  mov.edx(value),
  mov.r10(0),
];
const SITE = CODE + setup(0, 0).flat().length;
const CALL = SITE + mov.eax(FUTEX).length;
const BEHIND = CALL + SYSCALL.length;

/** At its call, which the stub may answer. */
function start(way: string, operation: number, value: number): Stub {
  const thread = stepper.start(...setup(operation, value), mov.eax(FUTEX), SYSCALL, LOOP_FOREVER);
  thread.space.mapAnonymous(thread, WORD, PAGE, PROT_READ | PROT_WRITE);
  thread.space.write(WORD, Uint8Array.of(VALUE), 0, 1);
  if (way === 'without a signal') stepper.rewrite(thread, SITE, `syscall ${FUTEX}`);
  thread.grantFutexes?.('all');
  sleepingPlace ||= findSleepingPlace(thread);
  return thread;
}
function findSleepingPlace(thread: ThreadContext): number {
  const text = new Uint8Array(4 * PAGE);
  const length = thread.space.read(STUB_BASE, text, 0, text.length);
  for (let i = 0; i + SLEEPING_PLACE.length <= length; i++)
    if (SLEEPING_PLACE.every((byte, k) => text[i + k] === byte)) return STUB_BASE + i;
  throw new Error('the stub sleeps elsewhere');
}
const rip = (thread: ThreadContext): number => thread.registers().get(REG.rip);
const result = (thread: ThreadContext): number => Number(BigInt.asIntN(64, thread.registers().u64[REG.rax] as bigint));

/**
 * From the program's start; kicked `steps` instructions behind its call's site. False if it was out of the stub again before. 'told': the Sentry
 * was told in any case: this was one in a few of its calls, or the kick before stops it once more.
 */
function kickAt(thread: Stub, steps: number): boolean | 'told' {
  stepper.set(thread, CODE);
  let entered = false;
  let ran = -1;
  let inside = true;
  let before = 0;
  let owed = 0;
  let told = false;
  stepper.step(
    thread,
    () => thread.resume(),
    (at) => {
      told = stepper.words[thread.at] === STATE_POSTED;
      if (told) return false;
      entered ||= at === SITE;
      if (!entered) return true;
      // Behind its call, with the call's signal still to come; then at the handler, with a trap of our own still to come.
      if (at === BEHIND && before === CALL) owed = 2;
      before = at;
      if (owed-- > 0) return true;
      inside = ran < 0 || at === CALL || at >= STUB_BASE || inTrampoline(at);
      return inside && at !== sleepingPlace && ++ran < steps;
    },
    () => !told,
  );
  if (told && !entered) thread.interruptWanted = true;
  return told ? 'told' : inside && ran >= steps;
}
/** The first look at who is kicked may find the kick before, at the stop that it went on from. */
function stopOf(thread: Stub): string {
  const stop = stepper.next();
  expect([`syscall ${FUTEX}`, 'interrupted']).toContain(stop);
  if (stop === 'interrupted') expect([CODE, SITE, CALL, BEHIND]).toContain(rip(thread));
  return stop;
}

const WAYS = ['by a signal', 'without a signal'];

test.each(WAYS)('a thread on its way to sleep (%s) is stopped by a kick at each instruction', (way) => {
  const thread = start(way, FUTEX_WAIT_PRIVATE, VALUE);
  const seen = new Set<string>();
  let asked = 0;
  for (let steps = 0; ; steps++) {
    expect(steps).toBeLessThan(MOST_STEPS);
    const more = kickAt(thread, steps);
    const stop = stopOf(thread);
    if (more === 'told') steps--;
    if (stop === 'interrupted')
      expect(rip(thread)).not.toBe(BEHIND); // it would have been woken by nobody
    else asked++;
    seen.add(`${stop} ${rip(thread)}`);
    if (!more) break;
  }
  expect(asked).toBeGreaterThan(20);
  expect(seen.has(`syscall ${FUTEX} ${BEHIND}`)).toBe(true);
  thread.space.release();
});

test.each(WAYS)('a call that is answered in the stub (%s) is stopped by a kick at each instruction, with its result or unmade', (way) => {
  const stops = new Set<string>();
  for (const [operation, value, answer] of [
    [FUTEX_WAIT_PRIVATE, VALUE + 1, EAGAIN],
    [FUTEX_WAKE_PRIVATE, 1, 0],
  ] as const) {
    const thread = start(way, operation, value);
    const place = sleepingPlace;
    sleepingPlace = -1; // nobody sleeps: through it
    for (let steps = 0; ; steps++) {
      expect(steps).toBeLessThan(MOST_STEPS);
      const more = kickAt(thread, steps);
      const stop = stopOf(thread);
      if (more === 'told') steps--;
      if (stop === 'interrupted' && rip(thread) === BEHIND) {
        expect(result(thread)).toBe(answer);
        stops.add('answered');
      } else stops.add(stop === 'interrupted' ? 'unmade' : 'asked');
      if (!more) break;
    }
    sleepingPlace = place;
    thread.space.release();
  }
  expect([...stops].sort()).toEqual(['answered', 'asked', 'unmade']);
});

/** Until the stub says that the thread sleeps, and the host says so too. */
function untilAsleep(thread: Stub): void {
  const end = host.monotonicNow() + 20e9;
  const sleeps = (): boolean => thread.asleep === true && hostState(thread.tid) === 'S';
  while (!sleeps() && host.monotonicNow() < end);
  expect(sleeps()).toBe(true);
}
function hostState(tid: number): string {
  const fd = host.openat(-100, `/proc/${tid}/stat`, 0);
  const bytes = new Uint8Array(256);
  const text = Buffer.from(bytes.subarray(0, host.read(fd, bytes))).toString('latin1');
  host.close(fd);
  return text.slice(text.lastIndexOf(')') + 2)[0] as string;
}

test('a kick ends a sleep: the Sentry is asked', () => {
  const thread = start('by a signal', FUTEX_WAIT_PRIVATE, VALUE);
  stepper.set(thread, CODE);
  thread.resume();
  untilAsleep(thread);
  thread.interrupt();
  expect(stepper.next()).toBe(`syscall ${FUTEX}`);
  expect([thread.asleep, rip(thread)]).toEqual([false, BEHIND]);
  thread.space.release();
});

/** Set up for a wait of `seconds`. */
function startTimed(seconds: number): Stub {
  const thread = start('by a signal', FUTEX_WAIT_PRIVATE, VALUE);
  thread.space.write(TIMEOUT, new Uint8Array(new BigInt64Array([BigInt(seconds), 0n]).buffer), 0, 16);
  stepper.set(thread, CODE);
  const timeout = CODE + setup(0, 0).flat().length - 8; // what goes to r10
  thread.space.write(timeout, new Uint8Array(new BigInt64Array([BigInt(TIMEOUT)]).buffer), 0, 8);
  return thread;
}

test('a wait for a relative time is the stub’s: it ends there, or says when it began', () => {
  const short = startTimed(0);
  short.resume();
  while (rip(short) !== BEHIND) {
    short.interrupt();
    if (stepper.next() === `syscall ${FUTEX}`) short.registers().set(REG.rip, CODE); // it was kicked before it could wait
    if (rip(short) !== BEHIND) short.setRegisters(), short.resume();
  }
  short.space.release();

  const thread = startTimed(1000);
  const before = host.monotonicNow();
  thread.resume();
  untilAsleep(thread);
  const asleep = host.monotonicNow();
  thread.interrupt();
  expect(stepper.next()).toBe(`syscall ${FUTEX}`);
  expect(thread.waitsSince).toBeGreaterThanOrEqual(before);
  expect(thread.waitsSince).toBeLessThanOrEqual(asleep);
  // A call that is asked for another reason does not say so.
  thread.grantFutexes?.('none');
  stepper.set(thread, CODE);
  thread.resume();
  expect([stepper.next(), thread.waitsSince]).toEqual([`syscall ${FUTEX}`, 0]);
  thread.space.release();
});

test('the Sentry finds sleepers, and moves them', () => {
  const waiter = start('by a signal', FUTEX_WAIT_PRIVATE, VALUE);
  const other = waiter.space.newThread(waiter) as Stub;
  const { futexes } = waiter.space;
  stepper.set(waiter, CODE);
  waiter.resume();
  untilAsleep(waiter);
  expect(futexes?.requeue(other, WORD, OTHER_WORD, 0, 9, VALUE + 1)).toBe(EAGAIN);
  expect(futexes?.requeue(other, WORD, OTHER_WORD, 0, 9, VALUE)).toBe(1);
  expect(futexes?.wake(other, WORD, 9)).toBe(0);
  waiter.interrupt(); // it looks at its own word again, wherever it was moved to
  expect(stepper.next()).toBe(`syscall ${FUTEX}`);
  stepper.set(waiter, CODE);
  waiter.resume();
  untilAsleep(waiter);
  expect(futexes?.wake(other, WORD, 9)).toBe(1);
  waiter.interrupt();
  expect(stepper.next()).toBe('interrupted');
  expect([rip(waiter), result(waiter)]).toEqual([BEHIND, 0]);
  waiter.space.release();
});

test('a waiter on the Sentry’s list is not missed by a wake', () => {
  const thread = start('by a signal', FUTEX_WAKE_PRIVATE, 1);
  thread.space.futexes?.listed(WORD, 1);
  stepper.set(thread, CODE);
  thread.resume();
  expect(stepper.next()).toBe(`syscall ${FUTEX}`);
  thread.space.futexes?.listed(WORD, -1);
  stepper.set(thread, CODE);
  thread.resume();
  thread.interrupt();
  expect(stepper.next()).toBe('interrupted');
  thread.space.release();
});

test('what was not granted is asked', () => {
  const thread = start('by a signal', FUTEX_WAIT_PRIVATE, VALUE);
  thread.grantFutexes?.('none');
  stepper.set(thread, CODE);
  thread.resume();
  expect(stepper.next()).toBe(`syscall ${FUTEX}`);
  thread.space.release();
});
