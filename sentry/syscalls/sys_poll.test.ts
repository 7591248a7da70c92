import { EBADF, EINVAL, ERESTART_RESTARTBLOCK, ERESTARTNOHAND } from '../../abi/errno.ts';
import { POLLHUP, POLLIN, POLLNVAL, POLLOUT } from '../../abi/poll.ts';
import { USER_BASE } from '../testing/fake_memory.ts';
import { FakeMachine } from '../testing/fake_task.ts';
import type { FileDescription } from '../vfs/file.ts';
import { BufferIo } from '../vfs/io.ts';
import { EVENTFD_CALLS } from './sys_eventfd.ts';
import { PIPE_CALLS } from './sys_pipe.ts';
import { POLL_CALLS } from './sys_poll.ts';
import { SELECT_CALLS } from './sys_select.ts';

class World {
  readonly machine = new FakeMachine();
  readonly task = this.machine.process();
  readonly out = this.task.memory.place(1024);
  readonly sets = [0, 1, 2].map(() => this.task.memory.place(128));
  readonly r: number;
  readonly w: number;
  constructor() {
    this.machine.call(this.task, PIPE_CALLS.pipe, this.out);
    this.r = this.task.memory.i32(this.out);
    this.w = this.task.memory.i32(this.out + 4);
  }
  file(fd: number): FileDescription {
    return this.task.fds.get(fd) as FileDescription;
  }
  write(bytes: Uint8Array = new Uint8Array(1)): void {
    this.file(this.w).impl.write(new BufferIo(bytes), this.file(this.w), this.task);
  }
  poll(fds: readonly (readonly [number, number])[], timeout: number): number | null {
    const { view } = this.task.memory;
    for (const [i, [fd, events]] of fds.entries()) {
      view.setInt32(this.out - USER_BASE + 8 * i, fd, true);
      view.setUint32(this.out - USER_BASE + 8 * i + 4, events, true);
    }
    return this.machine.call(this.task, POLL_CALLS.poll, this.out, fds.length, timeout);
  }
  revents(i: number): number {
    return this.task.memory.u32(this.out + 8 * i + 4) >>> 16;
  }
  timespec(sec: number, nsec: number): number {
    const at = this.task.memory.place(16);
    this.task.memory.view.setBigInt64(at - USER_BASE, BigInt(sec), true);
    this.task.memory.view.setBigInt64(at - USER_BASE + 8, BigInt(nsec), true);
    return at;
  }
}

test('poll tells what is ready, what hung up and what is no file', () => {
  const w = new World();
  expect(
    w.poll(
      [
        [w.r, POLLIN],
        [w.w, POLLOUT],
        [77, POLLIN],
        [-1, POLLIN],
      ],
      0,
    ),
  ).toBe(2);
  expect([0, 1, 2, 3].map((i) => w.revents(i))).toEqual([0, POLLOUT, POLLNVAL, 0]);
  (w.task.fds.remove(w.w) as FileDescription).release();
  expect(w.poll([[w.r, 0]], -1)).toBe(1);
  expect(w.revents(0)).toBe(POLLHUP);
  expect(w.machine.call(w.task, POLL_CALLS.poll, w.out, 5000, 0)).toBe(EINVAL);
});

test('poll waits for a file, time, a signal; restarting keeps the deadline', () => {
  const w = new World();
  expect(w.poll([[w.r, POLLIN]], -1)).toBeNull();
  w.write();
  expect(w.machine.result(w.task)).toBe(1);
  expect(w.poll([[w.w, POLLIN]], 5)).toBeNull();
  w.machine.advance(4e6);
  w.task.blocked?.notify('signal');
  expect(w.machine.result(w.task)).toBe(ERESTART_RESTARTBLOCK);
  expect(w.machine.start(w.task, w.task.restart?.() ?? -1)).toBeNull();
  w.machine.advance(1e6);
  expect(w.machine.result(w.task)).toBe(0);
  expect(w.machine.call(w.task, POLL_CALLS.poll, 0, 0, 1)).toBeNull();
  w.machine.advance(1e6);
  expect(w.machine.result(w.task)).toBe(0);
});

test('ppoll: the mask holds during the wait, the time that is left is told', () => {
  const w = new World();
  const mask = w.task.memory.place(8);
  w.task.memory.view.setBigUint64(mask - USER_BASE, 0b100n, true);
  w.task.signalMask = 0b1n;
  const timeout = w.timespec(1, 0);
  w.poll([[w.r, POLLIN]], 0);
  expect(w.machine.call(w.task, POLL_CALLS.ppoll, w.out, 1, timeout, mask, 8)).toBeNull();
  expect(w.task.signalMask).toBe(0b100n);
  w.machine.advance(250e6);
  w.write();
  expect(w.machine.result(w.task)).toBe(1);
  expect(w.task.signalMask).toBe(0b1n);
  expect(w.task.memory.u64(timeout + 8)).toBe(750_000_000n);
  expect(w.machine.call(w.task, POLL_CALLS.ppoll, w.out, 1, w.timespec(0, 1e9), 0, 8)).toBe(EINVAL);
  expect(w.machine.call(w.task, POLL_CALLS.ppoll, w.out, 1, 0, mask, 4)).toBe(EINVAL);
});

test('select: sets come back with what is ready', () => {
  const w = new World();
  const [reads, writes] = w.sets as [number, number, number];
  const set = (address: number, fd: number): void => w.task.memory.view.setUint32(address - USER_BASE, 1 << fd, true);
  set(reads, w.r);
  set(writes, w.w);
  expect(w.machine.call(w.task, SELECT_CALLS.select, 8, reads, writes, 0, 0)).toBe(1);
  expect([w.task.memory.u32(reads), w.task.memory.u32(writes)]).toEqual([0, 1 << w.w]);
  set(reads, w.r);
  expect(w.machine.call(w.task, SELECT_CALLS.select, 8, reads, 0, 0, 0)).toBeNull();
  w.write();
  expect(w.machine.result(w.task)).toBe(1);
  expect(w.task.memory.u32(reads)).toBe(1 << w.r);
  set(reads, 20);
  expect(w.machine.call(w.task, SELECT_CALLS.select, 32, reads, 0, 0, 0)).toBe(EBADF);
  set(reads, w.w);
  expect(w.machine.call(w.task, SELECT_CALLS.pselect6, 8, reads, 0, 0, w.timespec(9, 0), 0)).toBeNull();
  w.task.blocked?.notify('signal');
  expect(w.machine.result(w.task)).toBe(ERESTARTNOHAND);
});

test('eventfd counts, and blocks at the maximum', () => {
  const w = new World();
  const fd = w.machine.call(w.task, EVENTFD_CALLS.eventfd2, 3, 1 /* EFD_SEMAPHORE */) as number;
  const file = w.file(fd);
  const eight = new Uint8Array(8);
  expect(file.impl.read(new BufferIo(eight), file, w.task)).toBe(8);
  expect(eight[0]).toBe(1);
  expect(file.impl.describe()).toContain('eventfd-count:                2');
  const big = new Uint8Array(8).fill(0xff);
  expect(file.impl.write(new BufferIo(big), file, w.task)).toBe(EINVAL);
  big[0] = 0xfc;
  expect(file.impl.write(new BufferIo(big), file, w.task)).toBe(8);
  big.fill(0);
  big[0] = 1;
  expect(w.machine.start(w.task, file.impl.write(new BufferIo(big), file, w.task))).toBeNull();
  file.impl.read(new BufferIo(eight), file, w.task);
  expect(w.machine.result(w.task)).toBe(8);
});
