import { EAGAIN, EPIPE, isErrno } from '../../abi/errno.ts';
import { O_NONBLOCK } from '../../abi/fcntl.ts';
import { POLLHUP, POLLIN } from '../../abi/poll.ts';
import { S_IFCHR, S_IFIFO, S_IFMT, S_IFREG } from '../../abi/stat.ts';
import { byteString, bytesOf } from '../../lib/byte_string.ts';
import { host } from '../../lib/host.ts';
import { HostPoll } from '../../platforms/host_poll.ts';
import { FakeMachine, type FakeTask } from '../testing/fake_task.ts';
import type { FileDescription } from '../vfs/file.ts';
import { BufferIo } from '../vfs/io.ts';
import { openHostStdio } from './host_stdio.ts';

const OWNER = { uid: 1000, gid: 1000 };

class Machine extends FakeMachine {
  readonly hostPoll = new HostPoll(host);
  readonly me: FakeTask;
  constructor() {
    super();
    Object.assign(this.kernel, { poll: this.hostPoll });
    this.me = this.process();
  }
  open(fd: number): FileDescription {
    const file = openHostStdio(this.kernel, fd, OWNER);
    if (isErrno(file)) throw new Error(`errno ${file}`);
    return file;
  }
  /** What one read gives. */
  read(file: FileDescription, count = 100): string | number {
    const bytes = new Uint8Array(count);
    const n = file.impl.read(new BufferIo(bytes), file, this.me) as number;
    return n < 0 ? n : byteString(bytes, 0, n);
  }
  write(file: FileDescription, text: string): number | null {
    return this.start(this.me, file.impl.write(new BufferIo(bytesOf(text)), file, this.me));
  }
}

function pipe(): [number, number] {
  const pair = host.pipe(0);
  if (isErrno(pair)) throw new Error('pipe');
  return pair;
}

test('a pipe as standard input: data, nothing yet, end', () => {
  const m = new Machine();
  const [r, w] = pipe();
  const file = m.open(r);
  expect((file.inode?.attributes().mode ?? 0) & S_IFMT).toBe(S_IFIFO);
  expect(file.path?.dentry.name).toMatch(/^pipe:\[\d+\]$/);
  expect(m.read(file)).toBe(EAGAIN);
  expect(file.impl.poll(file) & POLLIN).toBe(0);
  host.write(w, bytesOf('hello'));
  expect(file.impl.poll(file) & POLLIN).toBe(POLLIN);
  expect(m.read(file, 2)).toBe('he');
  expect(m.read(file)).toBe('llo');
  host.close(w);
  expect(file.impl.poll(file) & POLLHUP).toBe(POLLHUP);
  expect(m.read(file)).toBe('');
  file.release();
});

test('waiters are woken when the host has data', () => {
  const m = new Machine();
  const [r, w] = pipe();
  const file = m.open(r);
  let woken = 0;
  file.impl.queue?.add({ events: POLLIN, wake: () => woken++ });
  m.hostPoll.wait(0);
  expect(woken).toBe(0);
  host.write(w, bytesOf('x'));
  m.hostPoll.wait(0);
  expect(woken).toBe(1);
  m.hostPoll.wait(0); // unread, and yet quiet
  expect(woken).toBe(1);
  host.close(w);
  file.release();
});

test('a full pipe makes a writer wait, and nothing is lost or written twice', () => {
  const m = new Machine();
  const [r, w] = pipe();
  const file = m.open(w);
  const text = Array.from({ length: 20_000 }, (_, i) => `line ${i}\n`).join('');
  expect(m.write(file, text)).toBe(null);
  let got = '';
  const chunk = new Uint8Array(50_000);
  let result: number | null = null;
  for (let i = 0; i < 100 && result === null; i++) {
    got += byteString(chunk, 0, host.read(r, chunk));
    m.hostPoll.wait(0);
    result = m.result(m.me);
  }
  expect(result).toBe(text.length);
  got += byteString(chunk, 0, host.read(r, chunk));
  while (got.length < text.length) got += byteString(chunk, 0, host.read(r, chunk));
  expect(got === text).toBe(true);
  file.flags |= O_NONBLOCK;
  expect(m.write(file, 'x'.repeat(200_000))).toBeGreaterThan(0);
  expect(m.write(file, 'x')).toBe(EAGAIN);
  host.close(r);
  expect(m.write(file, 'x')).toBe(EPIPE);
  file.release();
});

test('a regular file shares its position with the host and can be mapped', () => {
  const m = new Machine();
  const fd = host.memfdCreate('stdio', 0);
  const file = m.open(fd);
  expect((file.inode?.attributes().mode ?? 0) & S_IFMT).toBe(S_IFREG);
  expect(m.write(file, 'abcdef')).toBe(6);
  expect(host.syscall(8, fd, 0, 1)).toBe(6);
  expect(file.impl.seek(file, 2, 0)).toBe(2);
  expect(m.read(file)).toBe('cdef');
  expect(file.impl.mapping(file, true, 1)).toEqual({ hostFd: fd, offset: 0 });
  expect(file.inode?.attributes().size).toBe(6);
  file.release();
});

test('the host’s /dev/null becomes ours; /dev/stdout can be opened again', () => {
  const m = new Machine();
  const none = m.open(host.openat(-100, '/dev/null', 2));
  expect((none.inode?.attributes().mode ?? 0) & S_IFMT).toBe(S_IFCHR);
  expect([m.read(none), m.write(none, 'xyz')]).toEqual(['', 3]);
  const [r, w] = pipe();
  const file = m.open(w);
  const again = file.inode?.open(1, { path: file.path as never, creds: m.me.creds, task: m.me });
  expect(isErrno(again)).toBe(false);
  file.release();
  expect(host.fcntl(w, 1)).toBeGreaterThanOrEqual(0); // the second still has it
  (again as { release(file: FileDescription): void }).release(file);
  expect(host.fcntl(w, 1)).toBe(-9);
  host.close(r);
});
