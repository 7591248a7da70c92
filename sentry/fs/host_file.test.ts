import { O_APPEND, O_DSYNC, O_RDWR } from '../../abi/fcntl.ts';
import { host } from '../../lib/host.ts';
import { HostPoll } from '../../platforms/host_poll.ts';
import type { Platform } from '../../platforms/platform.ts';
import { Kernel } from '../kernel/kernel.ts';
import type { Task } from '../kernel/task.ts';
import type { SyscallResult } from '../kernel/wait.ts';
import { FileDescription } from '../vfs/file.ts';
import { BufferIo } from '../vfs/io.ts';
import { HostFd } from './host_fd.ts';
import { HostFile } from './host_file.ts';

const kernel = new Kernel({ host, poll: new HostPoll(host), platform: {} as Platform, syscalls: [], log: () => {} });
const task = { kernel } as Task;

function memoryFile(flags = O_RDWR): { file: FileDescription; hostFd: HostFd; closed: () => number } {
  const hostFd = new HostFd(host, host.memfdCreate('test', 1));
  let closed = 0;
  const size = (): number => host.syscall(8 /* lseek */, hostFd.fd, 0, 2);
  const owner = { kernel, currentSize: size, changing: () => null, flushesAtClose: false, closed: () => void closed++ };
  return { file: new FileDescription(new HostFile(owner, hostFd, true), flags), hostFd, closed: () => closed };
}
function finish(result: SyscallResult): number {
  if (typeof result === 'number') return result;
  for (let step = result.next('ready'); ; step = result.next('ready')) {
    if (step.done) return step.value;
    kernel.poll.wait(1000);
  }
}
const write = (file: FileDescription, text: string): SyscallResult => file.impl.write(new BufferIo(Buffer.from(text)), file, task);
function contents(file: FileDescription, count = 100): string {
  const bytes = new Uint8Array(count);
  return Buffer.from(bytes.subarray(0, finish(file.impl.pread(new BufferIo(bytes), 0, file, task)))).toString();
}

test('position, append, truncate, seek', () => {
  const { file, hostFd, closed } = memoryFile();
  expect(finish(write(file, 'one'))).toBe(3);
  expect(finish(write(file, 'two'))).toBe(3);
  expect(file.position).toBe(6);
  expect(file.impl.seek(file, 1, 0)).toBe(1);
  finish(write(file, 'X'));
  file.flags |= O_APPEND;
  finish(write(file, '!'));
  expect(contents(file)).toBe('oXetwo!');
  expect(file.position).toBe(7);
  expect(file.impl.truncate(file, 3, task.creds)).toBe(0);
  expect(file.impl.seek(file, 0, 2)).toBe(3);
  expect(file.impl.mapping(file, true, 3)).toEqual({ hostFd: hostFd.fd, offset: 0 });
  file.release();
  expect(closed()).toBe(1);
  hostFd.release();
});

test('synchronous writes, reads that would wait and syncs go through the worker', () => {
  const { file, hostFd } = memoryFile(O_RDWR | O_DSYNC);
  const text = 'x'.repeat(300_000);
  const result = write(file, text);
  expect(typeof result).toBe('object');
  expect(finish(result)).toBe(300_000);
  hostFd.noWaitRead = false;
  expect(contents(file, 400_000)).toBe(text);
  expect(finish(file.impl.sync(file, true))).toBe(0);
  hostFd.release();
});

test('a task that is killed leaves its buffer and descriptor to the worker until it is done', () => {
  const { file, hostFd } = memoryFile();
  finish(write(file, 'data'));
  hostFd.noWaitRead = false;
  const result = file.impl.pread(new BufferIo(new Uint8Array(4)), 0, file, task);
  if (typeof result === 'number') throw new Error('no wait');
  expect(result.next('ready').done).toBe(false);
  result.return(0);
  hostFd.release(); // the last user but the job
  expect(host.fcntl(hostFd.fd, 1)).toBeGreaterThanOrEqual(0);
  kernel.poll.wait(1000);
  expect(host.fcntl(hostFd.fd, 1)).toBe(-9);
});

test('faults: what was moved counts', () => {
  const { file, hostFd } = memoryFile();
  finish(write(file, 'abcdef'));
  const partly = { remaining: 6, put: () => 2 };
  expect(finish(file.impl.pread(partly, 0, file, task))).toBe(2);
  const never = { remaining: 6, put: () => -14 };
  expect(finish(file.impl.pread(never, 0, file, task))).toBe(-14);
  const source = { remaining: 6, take: () => -14 };
  expect(finish(file.impl.pwrite(source, 0, file, task))).toBe(-14);
  hostFd.release();
});
