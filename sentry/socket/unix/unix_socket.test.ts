import {
  EACCES,
  EADDRINUSE,
  EAFNOSUPPORT,
  EAGAIN,
  EBADF,
  ECONNREFUSED,
  ECONNRESET,
  EINVAL,
  EISCONN,
  EMSGSIZE,
  ENOENT,
  ENOTCONN,
  ENOTSOCK,
  EPIPE,
  EPROTOTYPE,
} from '../../../abi/errno.ts';
import { O_NONBLOCK } from '../../../abi/fcntl.ts';
import { POLLHUP, POLLIN, POLLOUT, POLLRDHUP } from '../../../abi/poll.ts';
import * as S from '../../../abi/socket.ts';
import { rootCredentials } from '../../kernel/credentials.ts';
import { FileMachine, type FileUser } from '../../testing/fake_files.ts';
import { controlMessage, recvmsg, sendmsg } from '../../testing/message.ts';
import type { FileDescription } from '../../vfs/file.ts';

const {
  AF_UNIX,
  MSG_DONTWAIT,
  MSG_PEEK,
  MSG_TRUNC,
  MSG_WAITALL,
  SCM_CREDENTIALS,
  SCM_RIGHTS,
  SOCK_DGRAM,
  SOCK_SEQPACKET,
  SOCK_STREAM,
  SOL_SOCKET,
} = S;

function user(): FileUser {
  return new FileMachine().user();
}
function unixName(path: string): Uint8Array {
  return Uint8Array.of(AF_UNIX, 0, ...Buffer.from(path, 'latin1'));
}
function bind(u: FileUser, fd: number, path: string): number {
  return u.call('bind', fd, unixName(path), path.length + 2);
}
function connect(u: FileUser, fd: number, path: string): number | null {
  return u.try('connect', fd, unixName(path), path.length + 2);
}
function pair(u: FileUser, type: number): [number, number] {
  const at = u.memory.place(8);
  expect(u.call('socketpair', AF_UNIX, type, 0, at)).toBe(0);
  return [u.memory.i32(at), u.memory.i32(at + 4)];
}
function send(u: FileUser, fd: number, text: string, flags = 0): number | null {
  return u.try('sendto', fd, Buffer.from(text, 'latin1'), text.length, flags, 0, 0);
}
function receive(u: FileUser, fd: number, count = 4096, flags = MSG_DONTWAIT): string | number {
  const at = u.memory.place(count);
  const n = u.call('recvfrom', fd, at, count, flags, 0, 0);
  return n < 0 ? n : Buffer.from(u.memory.slice(at, Math.min(n, count))).toString('latin1');
}
function poll(u: FileUser, fd: number): number {
  const file = u.task.fds.get(fd) as FileDescription;
  return file.impl.poll(file);
}

test('a pair of streams: bytes both ways, end of file, SIGPIPE', () => {
  const u = user();
  const [a, b] = pair(u, SOCK_STREAM);
  expect(send(u, a, 'hello ')).toBe(6);
  expect(u.write(a, 'world')).toBe(5);
  expect(receive(u, b, 8, MSG_DONTWAIT | MSG_PEEK)).toBe('hello wo');
  expect(receive(u, b)).toBe('hello world');
  expect(receive(u, b)).toBe(EAGAIN);
  expect(poll(u, b) & (POLLIN | POLLOUT)).toBe(POLLOUT);
  u.call('close', a);
  expect(poll(u, b) & (POLLIN | POLLHUP | POLLRDHUP)).toBe(POLLIN | POLLHUP | POLLRDHUP);
  expect(receive(u, b)).toBe('');
  expect(send(u, b, 'x', S.MSG_NOSIGNAL)).toBe(EPIPE);
  expect(u.task.pending.set).toBe(0n);
  expect(send(u, b, 'x')).toBe(EPIPE);
  expect(u.task.pending.take(~0n)?.signal).toBe(13);
});

test('closing with unread bytes resets the peer', () => {
  const u = user();
  const [a, b] = pair(u, SOCK_STREAM);
  send(u, a, 'lost');
  u.call('close', b);
  expect(receive(u, a)).toBe(ECONNRESET);
  expect(receive(u, a)).toBe('');
});

test('a full stream takes a part and blocks until it is read', () => {
  const u = user();
  const [a, b] = pair(u, SOCK_STREAM);
  const text = 'x'.repeat(300_000);
  const n = send(u, a, text, MSG_DONTWAIT) as number;
  expect(n).toBeLessThan(300_000);
  expect(send(u, a, 'y', MSG_DONTWAIT)).toBe(EAGAIN);
  expect(send(u, a, 'yy')).toBeNull();
  receive(u, b, 200_000);
  expect(u.machine.result(u.task)).toBe(2);
  const rest = receive(u, b, 300_000) as string;
  expect(rest.length).toBe(n - 200_000 + 2);
});

test('bind, listen, connect, accept, names', () => {
  const u = user();
  const client = u.machine.user();
  const server = u.call('socket', AF_UNIX, SOCK_STREAM, 0);
  expect(u.call('listen', server, 5)).toBe(EINVAL);
  expect(bind(u, server, '/sock')).toBe(0);
  expect(u.stat('/sock')).toMatchObject({ st_mode: 0o140755 });
  expect(bind(u, u.call('socket', AF_UNIX, SOCK_STREAM, 0), '/sock')).toBe(EADDRINUSE);
  const c = client.call('socket', AF_UNIX, SOCK_STREAM, 0);
  expect(connect(client, c, '/sock')).toBe(ECONNREFUSED);
  expect(u.call('listen', server, 0)).toBe(0);
  expect(u.try('accept', server, 0, 0)).toBeNull();
  expect(connect(client, c, '/sock')).toBe(0);
  const fd = u.machine.result(u.task) as number;
  expect(connect(client, c, '/sock')).toBe(EISCONN);
  send(client, c, 'hi');
  expect(receive(u, fd)).toBe('hi');
  const room = client.memory.place(Int32Array.of(128) as unknown as Uint8Array);
  client.memory.view.setInt32(room - 0x10000, 128, true);
  const at = client.memory.place(128);
  expect(client.call('getpeername', c, at, room)).toBe(0);
  expect(client.memory.i32(room)).toBe(8);
  expect(Buffer.from(client.memory.slice(at + 2, 6)).toString()).toBe('/sock\0');
  expect(client.call('getpeername', client.call('socket', AF_UNIX, SOCK_STREAM, 0), at, room)).toBe(ENOTCONN);
});

test('a full backlog: EAGAIN or wait; a closed listener refuses', () => {
  const u = user();
  const server = u.call('socket', AF_UNIX, SOCK_STREAM, 0);
  bind(u, server, '\0name');
  u.call('listen', server, 0);
  const connectNew = (client: FileUser, flags: number): number | null =>
    connect(client, client.call('socket', AF_UNIX, SOCK_STREAM | flags, 0), '\0name');
  const client = u.machine.user();
  expect(connectNew(client, 0)).toBe(0);
  expect(connectNew(client, O_NONBLOCK)).toBe(EAGAIN);
  expect(connectNew(client, 0)).toBeNull();
  expect(u.call('accept', server, 0, 0)).toBeGreaterThan(0);
  expect(u.machine.result(client.task)).toBe(0);
  expect(connectNew(client, 0)).toBeNull();
  u.call('close', server);
  expect(u.machine.result(client.task)).toBe(ECONNREFUSED);
});

test('errors of connect and socket', () => {
  const u = user();
  expect(u.call('socket', 99, SOCK_STREAM, 0)).toBe(EAFNOSUPPORT);
  expect(u.call('socket', AF_UNIX, 77, 0)).toBe(EINVAL);
  const s = u.call('socket', AF_UNIX, SOCK_STREAM, 0);
  expect(connect(u, s, '/none')).toBe(ENOENT);
  u.file('/plain', '');
  expect(connect(u, s, '/plain')).toBe(ECONNREFUSED);
  const fd = u.open('/plain', 0);
  expect(connect(u, fd, '/x')).toBe(ENOTSOCK);
  expect(connect(u, 99, '/x')).toBe(EBADF);
  const d = u.call('socket', AF_UNIX, SOCK_DGRAM, 0);
  bind(u, d, '/dgram');
  expect(connect(u, s, '/dgram')).toBe(EPROTOTYPE);
  const nobody = u.machine.user({ ...rootCredentials(0n), uid: 1, euid: 1, fsuid: 1, gid: 1, egid: 1, fsgid: 1 });
  expect(connect(nobody, nobody.call('socket', AF_UNIX, SOCK_DGRAM, 0), '/dgram')).toBe(EACCES);
});

test('datagrams keep their ends and their sender', () => {
  const u = user();
  const server = u.call('socket', AF_UNIX, SOCK_DGRAM, 0);
  bind(u, server, '/d');
  const c = u.call('socket', AF_UNIX, SOCK_DGRAM, 0);
  expect(send(u, c, 'x')).toBe(ENOTCONN);
  bind(u, c, '\0me');
  expect(connect(u, c, '/d')).toBe(0);
  send(u, c, 'first');
  send(u, c, '');
  send(u, c, 'third');
  const first = recvmsg(u, server, 3);
  expect([first.text, first.flags & MSG_TRUNC, first.name]).toEqual(['fir', MSG_TRUNC, '\0me']);
  expect(receive(u, server)).toBe('');
  expect(u.call('recvfrom', server, u.memory.place(2), 2, MSG_TRUNC, 0, 0)).toBe(5);
  expect(send(u, c, 'x'.repeat(300_000))).toBe(EMSGSIZE);
  u.call('close', server);
  expect(send(u, c, 'x')).toBe(ECONNREFUSED);
  expect(send(u, c, 'x')).toBe(ENOTCONN);
});

test('a datagram sender waits for room', () => {
  const u = user();
  const [a, b] = pair(u, SOCK_DGRAM);
  let sent = 0;
  while (send(u, a, 'x'.repeat(10_000), MSG_DONTWAIT) === 10_000) sent++;
  expect(sent).toBeGreaterThan(10);
  expect(poll(u, a) & POLLOUT).toBe(0);
  expect(send(u, a, 'y'.repeat(10_000))).toBeNull();
  receive(u, b);
  expect(u.machine.result(u.task)).toBe(10_000);
});

test('seqpacket: packets over a connection', () => {
  const u = user();
  const [a, b] = pair(u, SOCK_SEQPACKET);
  send(u, a, 'one');
  send(u, a, 'two');
  expect(receive(u, b, 2)).toBe('on');
  expect(receive(u, b)).toBe('two');
  u.call('close', a);
  expect(receive(u, b)).toBe('');
});

test('descriptors travel, end a read, and are cut where there is no room', () => {
  const u = user();
  const [a, b] = pair(u, SOCK_STREAM);
  u.file('/f', 'content');
  const f = u.open('/f', 0);
  send(u, a, 'ab');
  expect(sendmsg(u, a, 'cd', controlMessage(SOL_SOCKET, SCM_RIGHTS, [f, f]))).toBe(2);
  send(u, a, 'ef');
  u.call('close', f);
  const got = recvmsg(u, b, 100);
  expect([got.text, got.control.length, got.control[0]?.type, got.control[0]?.data.length]).toEqual(['abcd', 1, SCM_RIGHTS, 2]);
  expect(u.read(got.control[0]?.data[1] as number)).toBe('content');
  expect(receive(u, b)).toBe('ef');
  sendmsg(u, a, 'x', controlMessage(SOL_SOCKET, SCM_RIGHTS, [a, b]));
  const cut = recvmsg(u, b, 10, 20);
  expect([cut.control[0]?.data.length, cut.flags & S.MSG_CTRUNC]).toEqual([1, S.MSG_CTRUNC]);
  expect(sendmsg(u, a, 'x', controlMessage(SOL_SOCKET, SCM_RIGHTS, [99]))).toBe(EBADF);
  sendmsg(u, a, 'x', controlMessage(SOL_SOCKET, SCM_RIGHTS, [a]));
  expect(receive(u, b)).toBe('x');
  expect(u.machine.kernel.unix.inFlight.count).toBe(0);
});

test("credentials: SO_PASSCRED, SO_PEERCRED, nobody else's", () => {
  const u = user();
  const [a, b] = pair(u, SOCK_DGRAM);
  u.call('setsockopt', b, SOL_SOCKET, S.SO_PASSCRED, new Uint8Array(Int32Array.of(1).buffer), 4);
  send(u, a, 'x');
  const got = recvmsg(u, b, 10);
  expect(got.control).toEqual([{ level: SOL_SOCKET, type: SCM_CREDENTIALS, data: Int32Array.of(u.task.pid, 0, 0) }]);
  const at = u.memory.place(12);
  const room = u.memory.place(new Uint8Array(Int32Array.of(12).buffer));
  expect(u.call('getsockopt', a, SOL_SOCKET, S.SO_PEERCRED, at, room)).toBe(0);
  expect(u.memory.i32(at)).toBe(u.task.pid);
  const nobody = u.machine.user({ ...rootCredentials(0n), uid: 1, euid: 1, suid: 1 });
  const [c] = pair(nobody, SOCK_DGRAM);
  expect(sendmsg(nobody, c, 'x', controlMessage(SOL_SOCKET, SCM_CREDENTIALS, [nobody.task.pid, 0, 0]))).toBe(-1);
});

test('sockets that only hold each other are freed', () => {
  const u = user();
  const { unix } = u.machine.kernel;
  for (let i = 0; i < 3; i++) {
    const [a, b] = pair(u, SOCK_STREAM);
    sendmsg(u, a, 'x', controlMessage(SOL_SOCKET, SCM_RIGHTS, [a, b]));
    sendmsg(u, b, 'x', controlMessage(SOL_SOCKET, SCM_RIGHTS, [a]));
    u.call('close', a);
    u.call('close', b);
  }
  const [c, d] = pair(u, SOCK_STREAM);
  sendmsg(u, c, 'x', controlMessage(SOL_SOCKET, SCM_RIGHTS, [c]));
  const [e] = pair(u, SOCK_STREAM);
  u.call('close', e); // looks for cycles
  expect(unix.sockets.size).toBe(3); // c, d and e's peer
  expect(unix.inFlight.count).toBe(1);
  u.call('close', c);
  expect(recvmsg(u, d, 5).control[0]?.type).toBe(SCM_RIGHTS); // c was reachable through d
});

test('a long chain of sockets in sockets is freed without recursion', () => {
  const u = user();
  let [inner, other] = pair(u, SOCK_DGRAM);
  u.call('close', other);
  for (let i = 0; i < 5000; i++) {
    const [a, b] = pair(u, SOCK_DGRAM);
    expect(sendmsg(u, a, 'x', controlMessage(SOL_SOCKET, SCM_RIGHTS, [inner]))).toBe(1);
    u.call('close', inner);
    u.call('close', a);
    inner = b;
    other = a;
  }
  u.call('close', inner);
  expect(u.machine.kernel.unix.sockets.size).toBe(0);
});

test('MSG_WAITALL, time limits, shutdown', () => {
  const u = user();
  const [a, b] = pair(u, SOCK_STREAM);
  const at = u.memory.place(16);
  send(u, a, 'abc');
  expect(u.try('recvfrom', b, at, 6, MSG_WAITALL, 0, 0)).toBeNull();
  const other = u.machine.user();
  other.task.fds.install((u.task.fds.get(a) as FileDescription).hold(), false, 99, a);
  send(other, a, 'defg');
  expect(u.machine.result(u.task)).toBe(6);
  expect(Buffer.from(u.memory.slice(at, 6)).toString()).toBe('abcdef');
  receive(u, b);
  const limit = new Uint8Array(16);
  limit[8] = 100; // 100 µs
  expect(u.call('setsockopt', b, SOL_SOCKET, S.SO_RCVTIMEO, limit, 16)).toBe(0);
  expect(u.try('recvfrom', b, at, 6, 0, 0, 0)).toBeNull();
  u.machine.advance(100_000);
  expect(u.machine.result(u.task)).toBe(EAGAIN);
  expect(u.call('shutdown', a, S.SHUT_WR)).toBe(0);
  expect(receive(u, b)).toBe('');
  expect(send(u, a, 'x', S.MSG_NOSIGNAL)).toBe(EPIPE);
  expect(send(u, b, 'still')).toBe(5);
  expect(receive(u, a)).toBe('still');
});

test('sendmmsg and recvmmsg', () => {
  const u = user();
  const [a, b] = pair(u, SOCK_DGRAM);
  const vector = (texts: readonly (string | number)[]): number => {
    const at = u.memory.place(64 * texts.length);
    for (const [i, text] of texts.entries()) {
      const data = u.memory.place(typeof text === 'number' ? text : Buffer.from(text));
      const iov = u.memory.place(16);
      u.memory.view.setBigUint64(iov - 0x10000, BigInt(data), true);
      u.memory.view.setBigUint64(iov - 0x10000 + 8, BigInt(typeof text === 'number' ? text : text.length), true);
      u.memory.view.setBigUint64(at - 0x10000 + 64 * i + 16, BigInt(iov), true);
      u.memory.view.setBigUint64(at - 0x10000 + 64 * i + 24, 1n, true);
    }
    return at;
  };
  expect(u.call('sendmmsg', a, vector(['one', 'three']), 2, 0)).toBe(2);
  const at = vector([10, 10, 10]);
  expect(u.call('recvmmsg', b, at, 3, S.MSG_WAITFORONE, 0)).toBe(2);
  expect([u.memory.u32(at + 56), u.memory.u32(at + 64 + 56)]).toEqual([3, 5]);
});
