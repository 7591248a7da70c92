import { EPROTO } from '../../abi/errno.ts';
import { host } from '../host.ts';
import { Channel } from './channel.ts';
import { P9_MAX_DESCRIPTORS } from './constants.ts';
import { Rread, Rreaddirx, Tclunk } from './messages.ts';

const SOCK_STREAM = 1;

function pair(msize = 1 << 16): [Channel, Channel] {
  const fds = host.socketpair(SOCK_STREAM);
  if (typeof fds === 'number') throw new Error('socketpair');
  return [new Channel(host, fds[0], msize), new Channel(host, fds[1], msize)];
}

test('messages arrive whole and in order, however many are sent ahead', () => {
  const [a, b] = pair();
  for (let i = 0; i < 5; i++) {
    a.begin(Tclunk.type, i);
    Tclunk.write(a.out, { fid: 100 + i });
    expect(a.send()).toBe(0);
  }
  for (let i = 0; i < 5; i++) {
    expect(b.receive()).toBe(Tclunk.type);
    expect(b.tag).toBe(i);
    expect(Tclunk.read(b.in)).toEqual({ fid: 100 + i });
  }
  a.close();
  expect(b.receive()).toBe(0);
  b.close();
});

test('a message that comes in pieces', () => {
  const [a, b] = pair();
  a.begin(Rread.type, 1);
  Rread.write(a.out, { data: new Uint8Array(300).fill(7) });
  a.out.view.setUint32(0, a.out.at, true);
  host.write(a.fd, a.out.bytes, 0, 150);
  host.write(a.fd, a.out.bytes, 150, a.out.at - 150);
  expect(b.receive()).toBe(Rread.type);
  expect(Rread.read(b.in)?.data).toEqual(new Uint8Array(300).fill(7));
  a.close();
  b.close();
});

test('a descriptor travels with its message; one that nobody takes is closed', () => {
  const [a, b] = pair();
  const memfd = host.memfdCreate('t', 1);
  host.write(memfd, Uint8Array.of(1, 2, 3));
  for (let i = 0; i < 2; i++) {
    a.begin(Rreaddirx.type, 0);
    expect(a.send([memfd])).toBe(0);
  }
  b.receive();
  const got = b.takeDescriptor();
  expect(got).toBeGreaterThan(2);
  const bytes = new Uint8Array(3);
  expect(host.pread(got, bytes, 0, 3, 0)).toBe(3);
  expect([...bytes]).toEqual([1, 2, 3]);
  expect(b.takeDescriptor()).toBe(-1);
  b.receive(); // not taken
  a.begin(Tclunk.type, 0);
  a.send();
  b.receive();
  expect(b.takeDescriptor()).toBe(-1);
  for (const fd of [got, memfd]) host.close(fd);
  a.close();
  b.close();
});

test('several descriptors keep their order; those beyond the cap are closed', () => {
  const [a, b] = pair();
  const given = Array.from({ length: P9_MAX_DESCRIPTORS }, () => host.memfdCreate('t', 1));
  for (const [i, fd] of given.entries()) host.write(fd, Uint8Array.of(i));
  for (let i = 0; i < 2; i++) {
    a.begin(Tclunk.type, 0);
    expect(a.send(given)).toBe(0);
  }
  b.receive(); // may find both messages' descriptors: no more than the cap are kept
  const bytes = new Uint8Array(1);
  for (let i = 0; i < given.length; i++) {
    const fd = b.takeDescriptor();
    expect([host.pread(fd, bytes, 0, 1, 0), bytes[0]]).toEqual([1, i]);
    host.close(fd);
  }
  expect(b.takeDescriptor()).toBe(-1);
  for (const fd of given) host.close(fd);
  a.close();
  b.close();
});

test('sizes outside the limits end the conversation', () => {
  for (const size of [0, 6, 0x7fffffff, 9000]) {
    const [a, b] = pair(8192);
    const bytes = new Uint8Array(16);
    new DataView(bytes.buffer).setUint32(0, size, true);
    host.write(a.fd, bytes);
    expect(b.receive()).toBe(EPROTO);
    a.close();
    b.close();
  }
});
