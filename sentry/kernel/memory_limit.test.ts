import { readFileSync } from 'node:fs';
import { MFD_CLOEXEC } from '../../abi/mman.ts';
import { host } from '../../lib/host.ts';
import type { SpaceSource } from '../../platforms/platform.ts';
import { makePipe } from '../fs/pipefs/pipe_file.ts';
import { TmpFs } from '../fs/tmpfs/tmpfs.ts';
import { FakeMachine } from '../testing/fake_task.ts';
import { BufferIo } from '../vfs/io.ts';
import { NO_LIMITS } from './cgroup_limits.ts';
import { fixedMemory, MemoryLimit } from './memory_limit.ts';

const MIB = 1 << 20;

class World {
  readonly machine = new FakeMachine();
  readonly container = this.machine.container;
  readonly small = this.machine.process();
  readonly large = this.machine.process();
  readonly statFd = host.memfdCreate('stat', MFD_CLOEXEC);
  readonly killsFd = host.memfdCreate('kills', MFD_CLOEXEC);
  readonly limit: MemoryLimit;

  constructor(bytes: number | null) {
    this.container.limits = { ...NO_LIMITS, memory: bytes };
    this.container.spaces = { pid: 7 } as SpaceSource;
    for (const task of [this.small, this.large]) this.container.processes.add(task.group);
    this.large.fake.space.resident = () => ({ total: 3 * MIB, shared: 0 });
    this.small.fake.space.resident = () => ({ total: 2 * MIB, shared: 0 });
    this.container.killsFd = this.killsFd;
    this.limit = new MemoryLimit(this.machine.kernel, this.container, this.statFd);
  }
  /** As the host would count it. */
  anonymous(bytes: number): void {
    const text = Buffer.from(`anon ${bytes}\nfile 99999999999\n`);
    host.ftruncate(this.statFd, 0);
    host.pwrite(this.statFd, text, 0, text.length, 0);
  }
  pass(ns: number): void {
    this.machine.monotonic += ns;
    this.machine.kernel.timers.fireDue(this.machine.monotonic);
  }
  get dead(): boolean[] {
    return [this.small, this.large].map((task) => task.state === 'dead');
  }
  get kills(): string {
    return readFileSync(`/proc/self/fd/${this.killsFd}`, 'latin1').trim();
  }
}

test('what the Sentry holds and what the host counts are one sum; the largest process goes', () => {
  const w = new World(64 * MIB);
  w.anonymous(40 * MIB);
  const { memory } = w.container;
  memory.add(20 * MIB);
  w.pass(0);
  expect(w.dead).toEqual([false, false]);
  memory.add(10 * MIB);
  expect(w.dead).toEqual([false, false]); // not in the middle of the call
  w.pass(0);
  expect(w.dead).toEqual([false, true]);
  expect([w.container.oomKills, w.kills]).toEqual([1, '1']);
  w.anonymous(30 * MIB); // it gave back
  w.pass(1e9);
  expect(w.dead).toEqual([false, true]);
});

test('processes that grow later are seen; who may never be ended is not', () => {
  const w = new World(64 * MIB);
  w.anonymous(0);
  w.large.group.oomScoreAdj = -1000;
  w.container.memory.add(32 * MIB);
  w.pass(0);
  w.anonymous(40 * MIB);
  w.pass(1e9);
  expect(w.dead).toEqual([true, false]);
  w.pass(1e9);
  expect([w.dead, w.kills]).toEqual([[true, false], '1']);
});

test('no limit, a new one, and the end', () => {
  const w = new World(null);
  w.anonymous(0);
  w.container.memory.add(100 * MIB);
  w.pass(0);
  w.container.limits = { ...NO_LIMITS, memory: 200 * MIB };
  w.limit.check();
  expect(w.dead).toEqual([false, false]);
  w.limit.stop();
  w.container.memory.add(500 * MIB);
  w.pass(1e9);
  expect(w.dead).toEqual([false, false]);
  expect(w.machine.kernel.timers.next).toBe(Number.POSITIVE_INFINITY);
});

test('pipes, files in memory and tasks count while they are there', () => {
  const machine = new FakeMachine();
  const task = machine.process();
  const { memory } = machine.container;
  const [reader, writer] = makePipe(machine.kernel, task, 0);
  machine.start(task, writer.impl.write(new BufferIo(Buffer.alloc(5000)), writer, task));
  expect(memory.held).toBe(5000);
  machine.start(task, reader.impl.read(new BufferIo(new Uint8Array(1000)), reader, task));
  expect(memory.held).toBe(4000);
  reader.release();
  writer.release();
  expect(memory.held).toBe(0);
  const fs = new TmpFs(machine.kernel, 5);
  fs.reserve(3);
  fs.countFor(memory);
  fs.reserve(2);
  expect(memory.held).toBe(5 * 4096);
  fs.unreserve(5);
  expect(memory.held).toBe(0);
  expect(machine.container.taskCount).toBe(1);
});

test('of memory.stat counts what cannot be taken back, in both versions', () => {
  expect(fixedMemory('cache 100\nrss 7\nshmem 3\nmapped_file 9\ntotal_rss 7\n')).toBe(10);
  expect(fixedMemory('anon 5\nfile 100\nkernel 2\nshmem 1\n')).toBe(8);
  expect(fixedMemory('')).toBe(0);
});
