import { EAGAIN, EBADF, EBUSY, EEXIST, EINVAL, EMSGSIZE, ENOENT, ETIMEDOUT } from '../../abi/errno.ts';
import { O_CREAT, O_EXCL, O_NONBLOCK, O_RDONLY, O_RDWR } from '../../abi/fcntl.ts';
import { MqAttr } from '../../abi/ipc.ts';
import { AF_NETLINK, MSG_DONTWAIT, SOCK_RAW } from '../../abi/socket.ts';
import { FileMachine, type FileUser } from '../testing/fake_files.ts';

function user(): FileUser {
  return new FileMachine().user();
}
function attr(messages: number, size: number): Uint8Array {
  return MqAttr.encode({ mq_flags: 0, mq_maxmsg: messages, mq_msgsize: size, mq_curmsgs: 0 });
}
function open(u: FileUser, name: string, flags = O_RDWR | O_CREAT | O_NONBLOCK, messages = 2, size = 16): number {
  return u.call('mq_open', name, flags, 0o600, attr(messages, size));
}
function send(u: FileUser, fd: number, text: string, priority = 0): number | null {
  return u.try('mq_timedsend', fd, Buffer.from(text), text.length, priority, 0);
}
function receive(u: FileUser, fd: number): string | number {
  const at = u.memory.place(16);
  const n = u.call('mq_timedreceive', fd, at, 16, 0, 0);
  return n < 0 ? n : Buffer.from(u.memory.slice(at, n)).toString();
}

test('messages come by priority, then by age', () => {
  const u = user();
  const fd = open(u, 'q', undefined, 4);
  for (const [text, priority] of [
    ['a', 1],
    ['b', 5],
    ['c', 1],
  ] as const)
    expect(send(u, fd, text, priority)).toBe(0);
  expect([receive(u, fd), receive(u, fd), receive(u, fd), receive(u, fd)]).toEqual(['b', 'a', 'c', EAGAIN]);
  expect(u.task.fds.isCloexec(fd)).toBe(true);
});

test('names, attributes, errors', () => {
  const u = user();
  expect(open(u, 'none', O_RDWR)).toBe(ENOENT);
  const fd = open(u, 'q');
  expect(open(u, 'q', O_RDWR | O_CREAT | O_EXCL)).toBe(EEXIST);
  expect(open(u, 'x', undefined, 0)).toBe(EINVAL);
  expect(send(u, fd, 'x'.repeat(17))).toBe(EMSGSIZE);
  expect(u.call('mq_timedreceive', fd, u.memory.place(8), 8, 0, 0)).toBe(EMSGSIZE);
  const reader = open(u, 'q', O_RDONLY);
  expect(send(u, reader, 'x')).toBe(EBADF);
  const out = u.memory.place(64);
  expect(u.call('mq_getsetattr', fd, 0, out)).toBe(0);
  expect(MqAttr.decode(u.memory.slice(out, 64))).toMatchObject({ mq_flags: O_NONBLOCK, mq_maxmsg: 2, mq_msgsize: 16 });
  send(u, fd, 'four');
  expect(u.read(fd)).toMatch(/^QSIZE:4 +NOTIFY:0 +SIGNO:0 +NOTIFY_PID:0 *\n$/);
  expect(u.call('mq_unlink', 'q')).toBe(0);
  expect(u.call('mq_unlink', 'q')).toBe(ENOENT);
  expect(receive(u, reader)).toBe('four');
});

test('a full queue blocks, an absolute time ends the wait', () => {
  const u = user();
  const fd = open(u, 'q', O_RDWR | O_CREAT, 1);
  send(u, fd, 'a');
  expect(send(u, fd, 'b')).toBeNull();
  const other = u.machine.user();
  const theirs = open(other, 'q', O_RDWR);
  expect(receive(other, theirs)).toBe('a');
  expect(u.machine.result(u.task)).toBe(0);
  const when = Buffer.alloc(16);
  when.writeBigInt64LE(BigInt(Math.floor(u.machine.realtime / 1e9) + 1), 0);
  receive(u, fd);
  expect(u.try('mq_timedreceive', fd, u.memory.place(16), 16, 0, when)).toBeNull();
  u.machine.advance(1.1e9);
  expect(u.machine.result(u.task)).toBe(ETIMEDOUT);
});

test('notification by signal, once; by cookie over netlink', () => {
  const u = user();
  u.task.signalMask = ~0n;
  const fd = open(u, 'q', undefined, 4);
  const event = Buffer.alloc(64);
  event.writeBigUint64LE(77n, 0);
  event.writeInt32LE(10, 8);
  expect(u.call('mq_notify', fd, event)).toBe(0);
  expect(u.call('mq_notify', fd, event)).toBe(EBUSY);
  send(u, fd, 'a');
  send(u, fd, 'b');
  expect(u.task.group.pending.take(~0n)).toMatchObject({ signal: 10, value: 77n });
  expect(u.task.group.pending.take(~0n)).toBeNull();
  receive(u, fd);
  receive(u, fd);
  const socket = u.call('socket', AF_NETLINK, SOCK_RAW, 0);
  const cookie = u.memory.place(Buffer.alloc(32, 7));
  event.writeBigUint64LE(BigInt(cookie), 0);
  event.writeInt32LE(socket, 8);
  event.writeInt32LE(2, 12);
  expect(u.call('mq_notify', fd, event)).toBe(0);
  send(u, fd, 'c');
  const at = u.memory.place(32);
  expect(u.call('recvfrom', socket, at, 32, MSG_DONTWAIT, 0, 0)).toBe(32);
  expect([u.memory.slice(at, 32)[0], u.memory.slice(at, 32)[31]]).toEqual([7, 1]);
});
