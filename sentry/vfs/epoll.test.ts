import { EPOLLET, EPOLLEXCLUSIVE, EPOLLONESHOT } from '../../abi/epoll.ts';
import { EBADF, EEXIST, EINTR, EINVAL, ELOOP, ENOENT, EPERM } from '../../abi/errno.ts';
import { POLLHUP, POLLIN, POLLOUT } from '../../abi/poll.ts';
import { EPOLL_CALLS } from '../syscalls/sys_epoll.ts';
import { EVENTFD_CALLS } from '../syscalls/sys_eventfd.ts';
import { PIPE_CALLS } from '../syscalls/sys_pipe.ts';
import { FakeMachine } from '../testing/fake_task.ts';
import { FileDescription, FileImpl } from './file.ts';
import { BufferIo } from './io.ts';

const { epoll_create1, epoll_ctl, epoll_wait } = EPOLL_CALLS;

class World {
  readonly machine = new FakeMachine();
  readonly task = this.machine.process();
  private readonly event = this.task.memory.place(16);
  private readonly out = this.task.memory.place(12 * 64);
  private readonly pair = this.task.memory.place(8);

  epoll(): number {
    return this.machine.call(this.task, epoll_create1, 0) as number;
  }
  ctl(ep: number, op: number, fd: number, events: number, data = fd): number {
    const at = this.event - 0x10000;
    this.task.memory.view.setUint32(at, events >>> 0, true);
    this.task.memory.view.setBigUint64(at + 4, BigInt(data), true);
    return this.machine.call(this.task, epoll_ctl, ep, op, fd, this.event) as number;
  }
  /** Events as "data:events", or an errno, or null while it blocks. */
  wait(ep: number, max = 64, timeout = 0): string[] | number | null {
    return this.events(this.machine.call(this.task, epoll_wait, ep, this.out, max, timeout));
  }
  resumed(): string[] | number | null {
    return this.events(this.machine.result(this.task));
  }
  private events(n: number | null): string[] | number | null {
    if (n === null || n < 0) return n;
    const at = (i: number): number => this.out + 12 * i;
    return Array.from({ length: n }, (_, i) => `${this.task.memory.u64(at(i) + 4)}:${this.task.memory.u32(at(i)).toString(16)}`);
  }
  pipe(): [number, number] {
    this.machine.call(this.task, PIPE_CALLS.pipe2, this.pair, 0o4000);
    return [this.task.memory.i32(this.pair), this.task.memory.i32(this.pair + 4)];
  }
  file(fd: number): FileDescription {
    return this.task.fds.get(fd) as FileDescription;
  }
  write(fd: number, n = 1): void {
    this.file(fd).impl.write(new BufferIo(new Uint8Array(n)), this.file(fd), this.task);
  }
  read(fd: number, n = 1): void {
    this.file(fd).impl.read(new BufferIo(new Uint8Array(n)), this.file(fd), this.task);
  }
  close(fd: number): void {
    (this.task.fds.remove(fd) as FileDescription).release();
  }
}

test('level-triggered: told until it is read', () => {
  const w = new World();
  const ep = w.epoll();
  const [r, wr] = w.pipe();
  expect(w.ctl(ep, 1, r, POLLIN)).toBe(0);
  expect(w.wait(ep)).toEqual([]);
  w.write(wr);
  expect(w.wait(ep)).toEqual([`${r}:1`]);
  expect(w.wait(ep)).toEqual([`${r}:1`]);
  w.read(r);
  expect(w.wait(ep)).toEqual([]);
  w.close(wr);
  expect(w.wait(ep)).toEqual([`${r}:${POLLHUP.toString(16)}`]);
});

test('edge-triggered: told once for each write; one-shot: once until MOD', () => {
  const w = new World();
  const ep = w.epoll();
  const [r, wr] = w.pipe();
  w.ctl(ep, 1, r, POLLIN | EPOLLET);
  w.write(wr);
  expect(w.wait(ep)).toEqual([`${r}:1`]);
  expect(w.wait(ep)).toEqual([]);
  w.write(wr);
  expect(w.wait(ep)).toEqual([`${r}:1`]);
  w.ctl(ep, 3, r, POLLIN | EPOLLONESHOT);
  expect(w.wait(ep)).toEqual([`${r}:1`]);
  w.write(wr);
  expect(w.wait(ep)).toEqual([]);
  w.ctl(ep, 3, r, POLLIN | EPOLLONESHOT);
  expect(w.wait(ep)).toEqual([`${r}:1`]);
});

test('blocks until something happens, a timeout, a signal', () => {
  const w = new World();
  const ep = w.epoll();
  const [r, wr] = w.pipe();
  w.ctl(ep, 1, r, POLLIN);
  expect(w.wait(ep, 8, -1)).toBeNull();
  w.write(wr);
  expect(w.resumed()).toEqual([`${r}:1`]);
  w.read(r);
  expect(w.wait(ep, 8, 10)).toBeNull();
  w.machine.advance(9e6);
  expect(w.resumed()).toBeNull();
  w.machine.advance(1e6);
  expect(w.resumed()).toEqual([]);
  expect(w.wait(ep, 8, -1)).toBeNull();
  w.task.blocked?.notify('signal');
  expect(w.resumed()).toBe(EINTR);
});

test('errors of epoll_ctl and epoll_wait', () => {
  const w = new World();
  const ep = w.epoll();
  const [r] = w.pipe();
  expect(w.ctl(ep, 1, 99, POLLIN)).toBe(EBADF);
  expect(w.ctl(r, 1, ep, POLLIN)).toBe(EINVAL);
  expect(w.ctl(ep, 1, ep, POLLIN)).toBe(EINVAL);
  expect(w.ctl(ep, 3, r, POLLIN)).toBe(ENOENT);
  expect(w.ctl(ep, 1, r, POLLIN)).toBe(0);
  expect(w.ctl(ep, 1, r, POLLIN)).toBe(EEXIST);
  expect(w.ctl(ep, 2, r, 0)).toBe(0);
  expect(w.ctl(ep, 2, r, 0)).toBe(ENOENT);
  expect(w.ctl(ep, 1, r, POLLIN | EPOLLEXCLUSIVE | EPOLLONESHOT)).toBe(EINVAL);
  expect(w.wait(ep, 0)).toBe(EINVAL);
  expect(w.wait(r)).toBe(EINVAL);
  class Plain extends FileImpl {}
  const fd = w.task.fds.install(new FileDescription(new Plain(), 0), false, 1024);
  expect(w.ctl(ep, 1, fd, POLLIN)).toBe(EPERM);
});

test('closing takes the item out; a duplicate keeps it', () => {
  const w = new World();
  const ep = w.epoll();
  const [r, wr] = w.pipe();
  w.ctl(ep, 1, r, POLLIN);
  const dup = w.task.fds.install(w.file(r).hold(), false, 1024);
  w.ctl(ep, 1, dup, POLLIN);
  w.write(wr);
  w.close(r);
  expect((w.wait(ep) as string[]).sort()).toEqual([`${r}:1`, `${dup}:1`]);
  expect(w.ctl(ep, 2, dup, 0)).toBe(0);
  expect(w.wait(ep)).toEqual([`${r}:1`]); // the stale number still reports: the description lives
  w.close(dup);
  expect(w.wait(ep)).toEqual([]);
  expect(w.machine.kernel.epolls.watches).toBe(0);
});

test('an instance can watch another; loops and long chains are refused', () => {
  const w = new World();
  const [r, wr] = w.pipe();
  const chain = Array.from({ length: 7 }, () => w.epoll());
  w.ctl(chain[0] as number, 1, r, POLLIN);
  for (let i = 1; i < 5; i++) expect(w.ctl(chain[i] as number, 1, chain[i - 1] as number, POLLIN)).toBe(0);
  expect(w.ctl(chain[5] as number, 1, chain[4] as number, POLLIN)).toBe(ELOOP);
  expect(w.ctl(chain[0] as number, 1, chain[4] as number, POLLIN)).toBe(ELOOP);
  expect(w.ctl(chain[0] as number, 1, chain[5] as number, POLLIN)).toBe(ELOOP); // five above it already
  expect(w.wait(chain[4] as number, 8, -1)).toBeNull();
  w.write(wr);
  expect(w.resumed()).toEqual([`${chain[3]}:1`]);
  w.read(r);
  expect(w.wait(chain[4] as number)).toEqual([]);
});

test('EPOLLEXCLUSIVE: one of several waiting instances is woken', () => {
  const w = new World();
  const [r, wr] = w.pipe();
  const tasks = [w.machine.process(), w.machine.process()];
  const [a, b] = [w.epoll(), w.epoll()];
  for (const [i, ep] of [a, b].entries()) {
    w.ctl(ep, 1, r, POLLIN | EPOLLEXCLUSIVE);
    const task = tasks[i] as (typeof tasks)[0];
    task.fds.install(w.file(ep).hold(), false, 9, 3);
    expect(w.machine.call(task, epoll_wait, 3, task.memory.place(96), 8, -1)).toBeNull();
  }
  w.write(wr);
  expect(tasks.map((t) => w.machine.result(t))).toEqual([1, null]);
});

test('eventfd wakes; more events than asked for come in turn', () => {
  const w = new World();
  const ep = w.epoll();
  const fds = Array.from({ length: 5 }, () => w.machine.call(w.task, EVENTFD_CALLS.eventfd2, 1, 0) as number);
  for (const fd of fds) w.ctl(ep, 1, fd, POLLIN | POLLOUT);
  const seen = [...(w.wait(ep, 2) as string[]), ...(w.wait(ep, 2) as string[]), ...(w.wait(ep, 1) as string[])];
  expect(seen.map((s) => Number(s.split(':')[0])).sort()).toEqual(fds);
});

test('random operations agree with asking every file', () => {
  let seed = 99;
  const random = (n: number): number => {
    seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff;
    return (seed >>> 8) % n;
  };
  const w = new World();
  const ep = w.epoll();
  const pipes = Array.from({ length: 8 }, () => w.pipe());
  const watched = new Map<number, number>();
  for (let i = 0; i < 2000; i++) {
    const [r, wr] = pipes[random(pipes.length)] as [number, number];
    const fd = random(2) === 0 ? r : wr;
    const mask = [POLLIN, POLLOUT, POLLIN | POLLOUT, 0][random(4)] as number;
    const op = random(6);
    if (op === 0) expect(w.ctl(ep, 1, fd, mask)).toBe(watched.has(fd) ? EEXIST : 0);
    if (op === 0 && !watched.has(fd)) watched.set(fd, mask);
    if (op === 1) expect(w.ctl(ep, 2, fd, 0)).toBe(watched.delete(fd) ? 0 : ENOENT);
    if (op === 2) expect(w.ctl(ep, 3, fd, mask)).toBe(watched.has(fd) ? 0 : ENOENT);
    if (op === 2 && watched.has(fd)) watched.set(fd, mask);
    if (op === 3) w.write(wr, 30_000);
    if (op === 4) w.read(r, 50_000);
    const expected = [...watched].flatMap(([n, m]) => {
      const events = w.file(n).impl.poll(w.file(n)) & m;
      return events === 0 ? [] : [`${n}:${events.toString(16)}`];
    });
    expect((w.wait(ep) as string[]).sort()).toEqual(expected.sort());
  }
});
