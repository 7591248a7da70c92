import { EAGAIN, EDEADLK, EINVAL, EPERM, ERESTARTSYS, ETIMEDOUT } from '../../abi/errno.ts';
import {
  FUTEX_CMP_REQUEUE,
  FUTEX_LOCK_PI,
  FUTEX_OWNER_DIED,
  FUTEX_PRIVATE_FLAG,
  FUTEX_TRYLOCK_PI,
  FUTEX_UNLOCK_PI,
  FUTEX_WAIT,
  FUTEX_WAIT_BITSET,
  FUTEX_WAITERS,
  FUTEX_WAKE,
  FUTEX_WAKE_BITSET,
  FUTEX_WAKE_OP,
} from '../../abi/futex.ts';
import { clearChildTid } from '../kernel/futex.ts';
import { exitRobustList } from '../kernel/futex_lock.ts';
import { FakeMachine, type FakeTask } from '../testing/fake_task.ts';
import { FUTEX_CALLS } from './sys_futex.ts';

const P = FUTEX_PRIVATE_FLAG;

class World {
  readonly machine = new FakeMachine();
  readonly a = this.machine.process();
  readonly b = this.machine.thread(this.a);
  readonly c = this.machine.thread(this.a);
  readonly word = this.a.memory.place(4);
  readonly word2 = this.a.memory.place(4);
  futex(task: FakeTask, address: number, op: number, ...rest: number[]): number | null {
    return this.machine.call(task, FUTEX_CALLS.futex, address, op | P, ...rest);
  }
  timespec(sec: number): number {
    const bytes = new Uint8Array(16);
    new DataView(bytes.buffer).setUint32(0, sec, true);
    return this.a.memory.place(bytes);
  }
  set(address: number, value: number): void {
    this.a.writeU32(address, value);
  }
}

test('wait sleeps only on the expected value; wake counts', () => {
  const w = new World();
  expect(w.futex(w.a, w.word, FUTEX_WAIT, 1)).toBe(EAGAIN);
  expect(w.futex(w.a, w.word + 1, FUTEX_WAIT, 1)).toBe(EINVAL);
  expect(w.futex(w.a, w.word, FUTEX_WAIT, 0)).toBeNull();
  expect(w.futex(w.b, w.word, FUTEX_WAIT, 0)).toBeNull();
  expect(w.futex(w.c, w.word2, FUTEX_WAKE, 9)).toBe(0);
  expect(w.futex(w.c, w.word, FUTEX_WAKE, 1)).toBe(1);
  expect([w.machine.result(w.a), w.machine.result(w.b)]).toEqual([0, null]);
  expect(w.futex(w.c, w.word, FUTEX_WAKE, 9)).toBe(1);
  expect(w.machine.result(w.b)).toBe(0);
});

test('timeouts are relative for WAIT, absolute for WAIT_BITSET', () => {
  const w = new World();
  expect(w.futex(w.a, w.word, FUTEX_WAIT, 0, w.timespec(2))).toBeNull();
  expect(w.futex(w.b, w.word, FUTEX_WAIT_BITSET, 0, w.timespec(1003), 0, 0xffffffff)).toBeNull();
  w.machine.advance(2e9);
  expect([w.machine.result(w.a), w.machine.result(w.b)]).toEqual([ETIMEDOUT, null]);
  w.machine.advance(1e9);
  expect(w.machine.result(w.b)).toBe(ETIMEDOUT);
  expect(w.futex(w.c, w.word, FUTEX_WAKE, 9)).toBe(0);
});

test('bitsets choose; a signal interrupts', () => {
  const w = new World();
  w.futex(w.a, w.word, FUTEX_WAIT_BITSET, 0, 0, 0, 0x2);
  w.futex(w.b, w.word, FUTEX_WAIT_BITSET, 0, 0, 0, 0x4);
  expect(w.futex(w.c, w.word, FUTEX_WAKE_BITSET, 9, 0, 0, 0x4)).toBe(1);
  expect(w.machine.result(w.b)).toBe(0);
  w.a.blocked?.notify('signal');
  expect(w.machine.result(w.a)).toBe(ERESTARTSYS);
  expect(w.futex(w.c, w.word, FUTEX_WAKE, 9)).toBe(0);
});

test('requeue moves waiters, and only if the word has not changed', () => {
  const w = new World();
  w.futex(w.a, w.word, FUTEX_WAIT, 0);
  w.futex(w.b, w.word, FUTEX_WAIT, 0);
  expect(w.futex(w.c, w.word, FUTEX_CMP_REQUEUE, 1, 9, w.word2, 5)).toBe(EAGAIN);
  expect(w.futex(w.c, w.word, FUTEX_CMP_REQUEUE, 1, 9, w.word2, 0)).toBe(2);
  expect([w.machine.result(w.a), w.machine.result(w.b)]).toEqual([0, null]);
  expect(w.futex(w.c, w.word, FUTEX_WAKE, 9)).toBe(0);
  expect(w.futex(w.c, w.word2, FUTEX_WAKE, 9)).toBe(1);
});

test('FUTEX_WAKE_OP: operate, compare the old value, wake both', () => {
  const w = new World();
  w.set(w.word2, 5);
  w.futex(w.a, w.word, FUTEX_WAIT, 0);
  w.futex(w.b, w.word2, FUTEX_WAIT, 5);
  const addOneIfFive = (1 << 28) | (0 << 24) | (1 << 12) | 5;
  expect(w.futex(w.c, w.word, FUTEX_WAKE_OP, 1, 1, w.word2, addOneIfFive)).toBe(2);
  expect(w.a.memory.u32(w.word2)).toBe(6);
});

test('a lock is handed over in order', () => {
  const w = new World();
  w.set(w.word, w.a.tid);
  expect(w.futex(w.a, w.word, FUTEX_LOCK_PI, 0)).toBe(EDEADLK);
  expect(w.futex(w.b, w.word, FUTEX_TRYLOCK_PI, 0)).toBe(EAGAIN);
  expect(w.futex(w.b, w.word, FUTEX_LOCK_PI, 0)).toBeNull();
  expect(w.a.memory.u32(w.word)).toBe((w.a.tid | FUTEX_WAITERS) >>> 0);
  expect(w.futex(w.c, w.word, FUTEX_LOCK_PI, 0)).toBeNull();
  expect(w.futex(w.b, w.word, FUTEX_UNLOCK_PI)).toBe(EPERM);
  expect(w.futex(w.a, w.word, FUTEX_UNLOCK_PI)).toBe(0);
  expect([w.machine.result(w.b), w.a.memory.u32(w.word)]).toEqual([0, (w.b.tid | FUTEX_WAITERS) >>> 0]);
  exitRobustList(w.b); // dies with the lock
  expect([w.machine.result(w.c), w.a.memory.u32(w.word)]).toEqual([0, (w.c.tid | FUTEX_OWNER_DIED) >>> 0]);
  expect(w.futex(w.c, w.word, FUTEX_UNLOCK_PI)).toBe(0);
  expect(w.a.memory.u32(w.word)).toBe(0);
});

test('a robust lock says that its owner died', () => {
  const w = new World();
  const list = w.a.memory.place(48);
  const { view } = w.a.memory;
  const put = (address: number, value: number): void => view.setBigUint64(address - 0x10000, BigInt(value), true);
  put(list, list + 24); // head → the one entry → head
  put(list + 8, 8); // the word is 8 bytes behind an entry
  put(list + 24, list);
  w.set(list + 32, (w.a.tid | FUTEX_WAITERS) >>> 0);
  w.futex(w.b, list + 32, FUTEX_WAIT, (w.a.tid | FUTEX_WAITERS) >>> 0);
  w.a.mm.futexKey = (offset) => ({ owner: w.a.mm, offset, held: null });
  w.a.robustList = list;
  exitRobustList(w.a);
  expect(w.a.memory.u32(list + 32)).toBe((FUTEX_WAITERS | FUTEX_OWNER_DIED) >>> 0);
  expect(w.machine.result(w.b)).toBe(0);
});

test('a robust list that does not come back to its head is walked once', () => {
  const w = new World();
  const list = w.a.memory.place(96);
  const { view } = w.a.memory;
  const put = (address: number, value: number): void => view.setBigUint64(address - 0x10000, BigInt(value), true);
  put(list, list + 24);
  put(list + 8, 8);
  put(list + 24, list + 48); // two entries that name each other
  put(list + 48, list + 24);
  for (const entry of [24, 48]) w.set(list + entry + 8, w.a.tid);
  w.a.mm.futexKey = (offset) => ({ owner: w.a.mm, offset, held: null });
  w.a.robustList = list;
  const read = jest.spyOn(w.a, 'readBytes');
  exitRobustList(w.a);
  for (const entry of [24, 48]) expect(w.a.memory.u32(list + entry + 8)).toBe(FUTEX_OWNER_DIED);
  expect(read.mock.calls.length).toBeLessThan(5);
});

test('a wait that has begun in the platform takes what is left of its time', () => {
  const w = new World();
  const timeout = w.a.memory.place(new Uint8Array(new BigInt64Array([10n, 0n]).buffer));
  w.set(w.word, 1);
  Object.assign(w.a.fake, { waitsSince: w.machine.monotonic - 9e9 });
  expect(w.futex(w.a, w.word, FUTEX_WAIT, 1, timeout)).toBeNull();
  w.machine.advance(1.5e9);
  expect(w.machine.result(w.a)).toBe(ETIMEDOUT);
  Object.assign(w.b.fake, { waitsSince: w.machine.monotonic + 9e9 }); // a lie
  expect(w.futex(w.b, w.word, FUTEX_WAIT, 1, timeout)).toBeNull();
  w.machine.advance(9e9);
  expect(w.machine.result(w.b)).toBeNull();
  w.machine.advance(1.5e9);
  expect(w.machine.result(w.b)).toBe(ETIMEDOUT);
});

test('joining a thread', () => {
  const w = new World();
  w.a.mm.futexKey = (offset) => ({ owner: w.a.mm, offset, held: null });
  w.set(w.word, w.b.tid);
  w.b.clearChildTid = w.word;
  expect(w.futex(w.a, w.word, FUTEX_WAIT, w.b.tid)).toBeNull();
  clearChildTid(w.b);
  expect([w.machine.result(w.a), w.a.memory.u32(w.word)]).toEqual([0, 0]);
});

test('futex_waitv gives the index that was woken', () => {
  const w = new World();
  const bytes = new DataView(new ArrayBuffer(48));
  for (const [i, address] of [w.word, w.word2].entries()) {
    bytes.setUint32(i * 24 + 8, address, true);
    bytes.setUint32(i * 24 + 16, 2 | P, true);
  }
  const list = w.a.memory.place(new Uint8Array(bytes.buffer));
  expect(w.machine.call(w.a, FUTEX_CALLS.futex_waitv, list, 2, 0, 0, 1)).toBeNull();
  expect(w.futex(w.b, w.word2, FUTEX_WAKE, 1)).toBe(1);
  expect(w.machine.result(w.a)).toBe(1);
});
