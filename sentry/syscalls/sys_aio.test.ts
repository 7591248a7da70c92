import * as A from '../../abi/aio.ts';
import { EAGAIN, EBADF, EINVAL } from '../../abi/errno.ts';
import { O_CREAT, O_RDWR } from '../../abi/fcntl.ts';
import { POLLIN } from '../../abi/poll.ts';
import { AioContext } from '../ipc/aio.ts';
import { FileMachine, type FileUser } from '../testing/fake_files.ts';

const CONTEXT = 0x7000;

/** A user with a context of four events; the fake platform maps nothing, so that io_setup itself is not asked. */
function user(): FileUser {
  const u = new FileMachine().user();
  u.machine.kernel.aio.of(u.task.mm).set(CONTEXT, new AioContext(4));
  return u;
}
function submit(u: FileUser, ...requests: Partial<ReturnType<typeof A.Iocb.read>>[]): number {
  const base = {
    aio_data: 0n,
    aio_rw_flags: 0,
    aio_lio_opcode: 0,
    aio_fildes: 0,
    aio_buf: 0,
    aio_nbytes: 0,
    aio_offset: 0,
    aio_flags: 0,
    aio_resfd: 0,
  };
  const addresses = requests.map((request) => u.memory.place(A.Iocb.encode({ ...base, ...request })));
  return u.call('io_submit', CONTEXT, requests.length, new Uint8Array(BigUint64Array.from(addresses, BigInt).buffer));
}
function events(u: FileUser, min: number, timeout = 0): string[] | number | null {
  const at = u.memory.place(32 * 8);
  const n = u.try('io_getevents', CONTEXT, min, 8, at, timeout);
  if (n === null || n < 0) return n;
  return Array.from({ length: n }, (_, i) => {
    const { data, res } = A.IoEvent.decode(u.memory.slice(at + 32 * i, 32));
    return `${data}:${res}`;
  });
}

test('transfers are done when io_submit returns', () => {
  const u = user();
  const fd = u.open('/f', O_CREAT | O_RDWR);
  const text = u.memory.place(Buffer.from('hello'));
  const room = u.memory.place(16);
  const write = { aio_data: 1n, aio_lio_opcode: A.IOCB_CMD_PWRITE, aio_fildes: fd, aio_buf: text, aio_nbytes: 5, aio_offset: 2 };
  const read = { aio_data: 2n, aio_lio_opcode: A.IOCB_CMD_PREAD, aio_fildes: fd, aio_buf: room, aio_nbytes: 16 };
  expect(submit(u, write, read)).toBe(2);
  expect(events(u, 1)).toEqual(['1:5', '2:7']);
  expect(Buffer.from(u.memory.slice(room, 7)).toString()).toBe('\0\0hello');
  expect(submit(u, { aio_fildes: 99 })).toBe(EBADF);
  expect(submit(u, { aio_fildes: fd, aio_lio_opcode: 99 })).toBe(EINVAL);
  expect(submit(u, read, { aio_fildes: 99 })).toBe(1);
  expect(submit(u, read, read, read, read)).toBe(3);
  expect(submit(u, read)).toBe(EAGAIN);
});

test('a poll completes when the file is ready; an eventfd counts', () => {
  const u = user();
  const pair = u.memory.place(8);
  u.call('pipe2', pair, 0);
  const [r, w] = [u.memory.i32(pair), u.memory.i32(pair + 4)];
  const counter = u.call('eventfd2', 0, 0);
  const poll = {
    aio_data: 9n,
    aio_lio_opcode: A.IOCB_CMD_POLL,
    aio_fildes: r,
    aio_buf: POLLIN,
    aio_flags: A.IOCB_FLAG_RESFD,
    aio_resfd: counter,
  };
  expect(submit(u, poll)).toBe(1);
  expect(events(u, 0)).toEqual([]);
  expect(events(u, 1)).toBeNull();
  const other = u.machine.user();
  other.task.fds.install((u.task.fds.get(w) as Exclude<ReturnType<typeof u.task.fds.get>, number>).hold(), false, 99, w);
  other.write(w, 'x');
  expect(u.machine.result(u.task)).toBe(1);
  expect(u.read(counter, 8)).toBe('\x01\0\0\0\0\0\0\0');
  u.read(r, 1);
  submit(u, poll);
  u.call('close', r);
  u.machine.kernel.aio.released(u.task.mm); // gives the pipe back
  expect(u.call('io_destroy', CONTEXT)).toBe(EINVAL);
});
