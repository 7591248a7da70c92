import { EAGAIN, EBUSY, EFAULT, EPERM, EPIPE, ERESTARTSYS } from '../../../abi/errno.ts';
import { O_DIRECT, O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY } from '../../../abi/fcntl.ts';
import { POLLERR, POLLHUP, POLLIN, POLLOUT } from '../../../abi/poll.ts';
import { S_IFIFO } from '../../../abi/stat.ts';
import { FakeMachine, type FakeTask } from '../../testing/fake_task.ts';
import { FileDescription } from '../../vfs/file.ts';
import { BufferIo } from '../../vfs/io.ts';
import type { VfsPath } from '../../vfs/path.ts';
import { AnonymousInode } from '../anonfs.ts';
import { openFifo } from './fifo.ts';
import { getPipeSize, makePipe, type PipeFile, setPipeSize } from './pipe_file.ts';

const text = (s: string): Uint8Array => Buffer.from(s);

/** A fifo that lies in some filesystem. */
function fifo(w: World): VfsPath {
  const { anonymous } = w.machine.kernel;
  const inode = new AnonymousInode(anonymous.filesystem('tmpfs'), 2, S_IFIFO | 0o644, 0, 0, anonymous.timestamp());
  return anonymous.place(inode, 'fifo');
}

class World {
  readonly machine = new FakeMachine();
  readonly task = this.machine.process();
  readonly other = this.machine.process();
  pipe(flags = 0): [FileDescription, FileDescription] {
    return makePipe(this.machine.kernel, this.task, flags);
  }
  write(file: FileDescription, bytes: Uint8Array, task: FakeTask = this.task): number | null {
    return this.machine.start(task, file.impl.write(new BufferIo(bytes), file, task));
  }
  read(file: FileDescription, count: number): Uint8Array | number {
    const into = new Uint8Array(count);
    const n = file.impl.read(new BufferIo(into), file, this.task) as number;
    return n < 0 ? n : into.subarray(0, n);
  }
}

test('bytes come out in order, across the end of the ring', () => {
  const w = new World();
  const [r, wr] = w.pipe();
  expect(w.read(r, 10)).toBe(EAGAIN);
  expect(w.write(wr, text('hello'))).toBe(5);
  expect(w.read(r, 2)).toEqual(new Uint8Array(text('he')));
  expect(r.impl.poll(r)).toBe(POLLIN | 0x40);
  expect(Buffer.from(w.read(r, 10) as Uint8Array).toString()).toBe('llo');
  wr.release();
  expect(w.read(r, 10)).toEqual(new Uint8Array(0));
  expect(r.impl.poll(r)).toBe(POLLHUP);
});

test('a full pipe: EAGAIN, atomic small writes, partial large ones', () => {
  const w = new World();
  const [r, wr] = w.pipe(O_NONBLOCK);
  expect(w.write(wr, new Uint8Array(70_000))).toBe(65536);
  expect(wr.impl.poll(wr)).toBe(0);
  expect(w.write(wr, new Uint8Array(1))).toBe(EAGAIN);
  w.read(r, 100);
  expect(w.write(wr, new Uint8Array(4096))).toBe(EAGAIN);
  expect(w.write(wr, new Uint8Array(4097))).toBe(100);
  w.read(r, 4096);
  expect(wr.impl.poll(wr)).toBe(POLLOUT | 0x100);
});

test('a blocking write ends when everything is in; a signal ends it early', () => {
  const w = new World();
  const [r, wr] = w.pipe();
  expect(w.write(wr, new Uint8Array(100_000))).toBeNull();
  w.read(r, 30_000);
  expect(w.machine.result(w.task)).toBeNull();
  w.read(r, 30_000);
  expect(w.machine.result(w.task)).toBe(100_000);
  expect(w.write(wr, new Uint8Array(100_000))).toBeNull();
  w.task.blocked?.notify('signal');
  expect(w.machine.result(w.task)).toBe(25_536);
  expect(w.write(wr, new Uint8Array(1))).toBeNull();
  w.task.blocked?.notify('signal');
  expect(w.machine.result(w.task)).toBe(ERESTARTSYS);
});

test('no reader: EPIPE and SIGPIPE; POLLERR', () => {
  const w = new World();
  const [r, wr] = w.pipe();
  expect(w.write(wr, new Uint8Array(65_537), w.other)).toBeNull();
  r.release();
  expect(w.machine.result(w.other)).toBe(65_536);
  expect(w.write(wr, text('x'))).toBe(EPIPE);
  expect(w.task.pending.take(~0n)?.signal).toBe(13);
  expect(wr.impl.poll(wr) & POLLERR).toBe(POLLERR);
});

test('packets keep their ends and lose what a short read leaves', () => {
  const w = new World();
  const [r, wr] = w.pipe(O_DIRECT | O_NONBLOCK);
  w.write(wr, text('abc'));
  w.write(wr, text('defg'));
  expect(Buffer.from(w.read(r, 100) as Uint8Array).toString()).toBe('abc');
  expect(Buffer.from(w.read(r, 2) as Uint8Array).toString()).toBe('de');
  expect(w.read(r, 100)).toBe(EAGAIN);
});

test('a fault takes nothing', () => {
  const w = new World();
  const [r, wr] = w.pipe(O_NONBLOCK);
  const bad = { remaining: 10, take: () => EFAULT };
  expect(wr.impl.write(bad, wr, w.task)).toBe(EFAULT);
  expect(w.read(r, 1)).toBe(EAGAIN);
});

test('F_SETPIPE_SZ rounds up and refuses to lose data', () => {
  const w = new World();
  const [r, wr] = w.pipe(O_NONBLOCK);
  expect(getPipeSize(r)).toBe(65536);
  expect(setPipeSize(wr, 100_000)).toBe(131_072);
  expect(w.write(wr, new Uint8Array(200_000))).toBe(131_072);
  expect(setPipeSize(wr, 4096)).toBe(EBUSY);
  expect(setPipeSize(wr, 1 << 21)).toBe(EPERM);
  w.read(r, 131_072);
  expect(setPipeSize(wr, 1)).toBe(4096);
});

test('a fifo: open waits for the other side, O_NONBLOCK does not', () => {
  const w = new World();
  const path = fifo(w);
  expect(openFifo(path, O_WRONLY | O_NONBLOCK, w.task)).toBe(-6);
  const opening = openFifo(path, O_RDONLY, w.task);
  if (!('next' in (opening as object))) throw new Error('did not wait');
  const generator = opening as Exclude<typeof opening, number | FileDescription>;
  const first = generator.next('ready');
  expect(first.done).toBe(false);
  const writer = openFifo(path, O_WRONLY, w.other) as FileDescription;
  expect(writer).toBeInstanceOf(FileDescription);
  const reader = generator.next('ready').value as FileDescription;
  w.write(writer, text('x'));
  expect(w.read(reader, 5)).toEqual(new Uint8Array(text('x')));
  reader.release();
  writer.release();
  expect(path.dentry.inode?.attachment).toBeNull();
  expect(w.machine.kernel.pipes.total).toBe(0);
  const both = openFifo(path, O_RDWR, w.task) as FileDescription;
  expect(both.impl.poll(both)).toBe(POLLOUT | 0x100);
  const late = openFifo(path, O_RDONLY | O_NONBLOCK, w.task) as FileDescription;
  both.release();
  expect(late.impl.poll(late) & POLLHUP).toBe(POLLHUP);
});

test('a pipe that is opened again through its descriptor never waits', () => {
  const w = new World();
  const [r, wr] = w.pipe();
  w.write(wr, text('left'));
  wr.release();
  const again = openFifo(r.path as VfsPath, O_RDONLY, w.task) as FileDescription;
  expect(w.read(again, 9)).toEqual(new Uint8Array(text('left')));
});

test('a fifo reader that came first sees no hang-up before a writer', () => {
  const w = new World();
  const path = fifo(w);
  const reader = openFifo(path, O_RDONLY | O_NONBLOCK, w.task) as FileDescription;
  expect(reader.impl.poll(reader)).toBe(0);
  (openFifo(path, O_WRONLY, w.task) as FileDescription).release();
  expect(reader.impl.poll(reader)).toBe(POLLHUP);
});

test('random writes, reads and resizes agree with a plain queue', () => {
  let seed = 12345;
  const random = (n: number): number => {
    seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff;
    return (seed >>> 8) % n;
  };
  const w = new World();
  const [r, wr] = w.pipe(O_NONBLOCK);
  const model: number[] = [];
  let next = 0;
  for (let i = 0; i < 800; i++) {
    const op = random(10);
    if (op < 5) {
      const bytes = new Uint8Array(random(random(4) === 0 ? 40_000 : 5000)).map(() => next++ & 0xff);
      const n = w.write(wr, bytes) as number;
      const free = (r.impl as PipeFile).pipe.capacity - model.length;
      const expected =
        bytes.length === 0
          ? 0
          : bytes.length <= 4096
            ? free >= bytes.length
              ? bytes.length
              : EAGAIN
            : Math.min(free, bytes.length) || EAGAIN;
      if (n !== expected) throw new Error(`step ${i}: wrote ${n}, expected ${expected}`);
      for (let k = 0; k < n; k++) model.push(bytes[k] as number);
    } else if (op < 9) {
      const got = w.read(r, 1 + random(30_000));
      const expected = model.splice(0, got instanceof Uint8Array ? got.length : 0);
      if (got instanceof Uint8Array) expect(Buffer.from(got).equals(Buffer.from(expected))).toBe(true);
      else expect([got, model.length]).toEqual([EAGAIN, 0]);
    } else {
      const size = 1 << (12 + random(6));
      expect(setPipeSize(wr, size)).toBe(model.length > size ? EBUSY : size);
    }
    expect((r.impl as PipeFile).pipe.used).toBe(model.length);
  }
});
