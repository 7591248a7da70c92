/** A gofer that locks itself in, started in namespaces of its own as runsc starts it. */
import { mkdirSync, readdirSync, readFileSync, readlinkSync, statSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { O_RDONLY } from '../abi/fcntl.ts';
import type { GoferConfig } from '../lib/gofer_config.ts';
import { host } from '../lib/host.ts';
import { CLONE_NEWIPC, CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWUSER, CLONE_NEWUTS, spawn } from '../lib/spawn.ts';
import type { GoferFilesystem } from '../sentry/fs/gofer/filesystem.ts';
import type { GoferInode } from '../sentry/fs/gofer/inode.ts';
import { buildGofer, GOFER, idleKernel, mountGofer, temporaryFolder } from './gofer_process.ts';

const ROOT = resolve(__dirname, '..');
const O_PATH = 0o10000000;
/** CHOWN, DAC_OVERRIDE, DAC_READ_SEARCH, FOWNER, FSETID. */
const EXPECTED = 0x1fn;
const folder = temporaryFolder(true);
const at = (path: string): string => join(folder.path, path);
let pid = 0;
let fs: GoferFilesystem;
let control = -1;

beforeAll(() => {
  buildGofer();
  mkdirSync(at('root'));
  writeFileSync(at('root/private'), 'of another user', { mode: 0o600 });
  const pair = host.socketpair(1);
  const packets = host.socketpair(5);
  if (typeof pair === 'number' || typeof packets === 'number') throw new Error('socketpair');
  const root = host.openat(-100, at('root'), O_PATH);
  const nothing = host.openat(-100, '/dev/null', 2);
  const mounts = [{ name: '/', rootFd: 5, readonly: false, exclusive: false }];
  const config: GoferConfig = { connections: [{ socketFd: 4, mounts }], controlFd: 6, confine: 'pivot' };
  const memory = host.memfdCreate('config', 1);
  host.write(memory, Buffer.from(JSON.stringify(config)));
  pid = spawn({
    file: join(ROOT, 'node_modules/node/bin/node'),
    args: ['gofer', '--jitless', '--no-warnings', GOFER, '--config-fd', '3'],
    env: [],
    fds: [nothing, 1, 2, memory, pair[1], root, packets[1]],
    namespaces: CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET,
    maps: { uid: '0 0 4294967295\n', gid: '0 0 4294967295\n' },
    cwd: '/',
    boundingSet: [0, 1, 2, 3, 4, 6, 7, 18, 21, 27],
    noNewPrivileges: true,
  });
  for (const fd of [pair[1], packets[1], root, nothing, memory]) host.close(fd);
  control = packets[0];
  fs = mountGofer(idleKernel(), pair[0], '/', true);
});
afterAll(() => folder.remove());

function found(of: GoferInode, name: string): GoferInode {
  const inode = of.lookup(name, null);
  if (typeof inode === 'number') throw new Error(`errno ${inode}`);
  return inode as GoferInode;
}

test('its root is empty and cannot be written', () => {
  expect(readdirSync(`/proc/${pid}/root/`)).toEqual([]);
  expect(readFileSync(`/proc/${pid}/mountinfo`, 'utf8').trim().split('\n')).toHaveLength(1);
  expect(readFileSync(`/proc/${pid}/mountinfo`, 'utf8')).toMatch(/ ro,nosuid,nodev,noexec/);
  for (const name of ['user', 'pid', 'mnt', 'net', 'ipc', 'uts']) {
    expect(readlinkSync(`/proc/${pid}/ns/${name}`)).not.toBe(readlinkSync(`/proc/self/ns/${name}`));
  }
});

test('every thread has lost what file access does not take', () => {
  const tasks = readdirSync(`/proc/${pid}/task`);
  expect(tasks.length).toBeGreaterThan(1);
  for (const task of tasks) {
    const status = readFileSync(`/proc/${pid}/task/${task}/status`, 'latin1');
    const field = (name: string): string => new RegExp(`^${name}:\\s*(\\w+)`, 'm').exec(status)?.[1] ?? '';
    for (const set of ['CapPrm', 'CapEff']) expect(BigInt(`0x${field(set)}`)).toBe(EXPECTED);
    expect(BigInt(`0x${field('CapInh')}`)).toBe(0n);
    expect(field('NoNewPrivs')).toBe('1');
  }
});

test('it serves files of every owner', () => {
  const file = fs.root.create('new', { mode: 0o100640, uid: 4_000_000_000, gid: 77 });
  expect(typeof file).toBe('object');
  expect(statSync(at('root/new'))).toMatchObject({ uid: 4_000_000_000, gid: 77 });
  const secret = found(fs.root, 'private');
  expect(secret.setAttributes({ uid: 1000, gid: 1000, mode: 0o400 })).toBe(0);
  expect(typeof secret.open(O_RDONLY, {} as never)).toBe('object');
  expect(secret.setXattr('user.x', Buffer.from('y'), 0)).toBe(0);
  expect(fs.root.link('again', secret)).toBe(0);
  expect(fs.root.rename('again', secret, fs.root, 'once', null, 0)).toBe(0);
  expect(statSync(at('root/once')).nlink).toBe(2);
});

test('its list of calls suffices for work that makes garbage', () => {
  mkdirSync(at('root/many'));
  for (let i = 0; i < 3000; i++) writeFileSync(at(`root/many/${'n'.repeat(100)}${i}`), '');
  const many = found(fs.root, 'many');
  const missing = Array.from({ length: 100 }, () => 'x'.repeat(200));
  for (let round = 0; round < 30; round++) {
    const directory = many.open(O_RDONLY, {} as never);
    if (typeof directory === 'number') throw new Error('open');
    const names: string[] = [];
    directory.readdir({ position: 0, path: null } as never, (name) => names.push(name) > 0, {} as never);
    expect(names).toHaveLength(3002);
    fs.dropListing(many);
    for (let i = 0; i < 100; i++) expect(many.lookup('none', null, { names: missing, index: 0 })).toBe(-2);
    expect(many.setXattr('user.big', new Uint8Array(1000), 0)).toBe(0);
  }
});

test('another container joins by the control socket; it ends with its last client', async () => {
  mkdirSync(at('second'));
  writeFileSync(at('second/hello'), 'x');
  const pair = host.socketpair(1);
  if (typeof pair === 'number') throw new Error('socketpair');
  const root = host.openat(-100, at('second'), O_PATH);
  const request = { socketFd: 0, mounts: [{ name: 'two', rootFd: 1, readonly: true, exclusive: true }] };
  host.sendWithFds(control, Buffer.from(JSON.stringify(request)), [pair[1], root]);
  host.close(pair[1]);
  host.close(root);
  const answer = new Uint8Array(1000);
  expect(Buffer.from(answer.subarray(0, host.read(control, answer))).toString()).toBe('{}');
  const second = mountGofer(idleKernel(), pair[0], 'two', true);
  expect(found(second.root, 'hello').attributes().size).toBe(1);
  host.sendWithFds(control, Buffer.from('{"socketFd":0,"mounts":[{"name":"x","rootFd":7,"readonly":true}]}'), []);
  expect(Buffer.from(answer.subarray(0, host.read(control, answer))).toString()).toMatch(/"error"/);
  fs.release();
  expect(found(second.root, 'hello').isRegular).toBe(true);
  second.release();
  host.close(control);
  const status = new Int32Array(1);
  expect(host.syscall(61 /* wait4 */, pid, status, 0, null)).toBe(pid);
  expect(status[0]).toBe(0);
});
