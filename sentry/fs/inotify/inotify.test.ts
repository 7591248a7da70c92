import { EAGAIN, EEXIST, EINVAL, ENOENT, ENOTDIR } from '../../../abi/errno.ts';
import { O_CREAT, O_NONBLOCK, O_RDWR } from '../../../abi/fcntl.ts';
import * as N from '../../../abi/inotify.ts';
import { FileMachine, type FileUser } from '../../testing/fake_files.ts';
import type { InotifyInstance } from './inotify.ts';

const NAMES: Readonly<Record<number, string>> = {
  [N.IN_MODIFY]: 'modify',
  [N.IN_ATTRIB]: 'attrib',
  [N.IN_CLOSE_WRITE]: 'close_write',
  [N.IN_OPEN]: 'open',
  [N.IN_MOVED_FROM]: 'from',
  [N.IN_MOVED_TO]: 'to',
  [N.IN_CREATE]: 'create',
  [N.IN_DELETE]: 'delete',
  [N.IN_DELETE_SELF]: 'delete_self',
  [N.IN_MOVE_SELF]: 'move_self',
  [N.IN_IGNORED]: 'ignored',
  [N.IN_Q_OVERFLOW]: 'overflow',
};

function user(): FileUser {
  return new FileMachine().user();
}
/** Events that wait: "event name", directories with a slash. */
function events(u: FileUser, fd: number): string[] | number {
  const raw = u.read(fd, 1 << 16);
  if (typeof raw === 'number') return raw;
  const bytes = Buffer.from(raw, 'latin1');
  const out: string[] = [];
  for (let at = 0; at < bytes.length; ) {
    const mask = bytes.readUInt32LE(at + 4);
    const length = bytes.readUInt32LE(at + 12);
    const name = bytes.toString('latin1', at + 16, at + 16 + length).replaceAll('\0', '');
    out.push(`${NAMES[mask & 0xffff] ?? mask}${(mask & N.IN_ISDIR) !== 0 ? '/' : ''}${name === '' ? '' : ` ${name}`}`);
    at += 16 + length;
  }
  return out;
}

test('what happens in a directory and to a file', () => {
  const u = user();
  u.call('mkdir', '/d', 0o755);
  const fd = u.call('inotify_init1', O_NONBLOCK);
  const mask = N.IN_CREATE | N.IN_DELETE | N.IN_MODIFY | N.IN_CLOSE_WRITE | N.IN_MOVED_FROM | N.IN_MOVED_TO;
  expect(u.call('inotify_add_watch', fd, '/d', mask)).toBe(1);
  expect(events(u, fd)).toBe(EAGAIN);
  const f = u.open('/d/file', O_CREAT | O_RDWR);
  u.write(f, 'x');
  u.write(f, 'y');
  u.call('close', f);
  expect(events(u, fd)).toEqual(['create file', 'modify file', 'close_write file']);
  u.call('mkdir', '/d/sub', 0o755);
  u.call('rename', '/d/file', '/d/other');
  expect(events(u, fd)).toEqual(['create/ sub', 'from file', 'to other']);
  expect(u.call('inotify_add_watch', fd, '/d/other', N.IN_DELETE_SELF)).toBe(2);
  u.call('unlink', '/d/other');
  expect((events(u, fd) as string[]).sort()).toEqual(['delete other', 'delete_self', 'ignored']);
});

test('watches change, end, and the kernel stops listening', () => {
  const u = user();
  u.file('/f', '');
  const fd = u.call('inotify_init1', O_NONBLOCK);
  expect(u.call('inotify_add_watch', fd, '/f', N.IN_MODIFY)).toBe(1);
  expect(u.call('inotify_add_watch', fd, '/f', N.IN_OPEN | N.IN_MASK_ADD)).toBe(1);
  expect(u.call('inotify_add_watch', fd, '/f', N.IN_OPEN | N.IN_MASK_CREATE)).toBe(EEXIST);
  u.file('/f', 'x');
  expect(events(u, fd)).toContain('open');
  expect(u.call('inotify_rm_watch', fd, 9)).toBe(EINVAL);
  expect(u.call('inotify_rm_watch', fd, 1)).toBe(0);
  expect(u.machine.kernel.notify).toBeNull();
  expect(events(u, fd)).toEqual(['ignored']);
  expect(u.call('inotify_add_watch', fd, '/none', N.IN_OPEN)).toBe(ENOENT);
  expect(u.call('inotify_add_watch', fd, '/f', N.IN_OPEN | N.IN_ONLYDIR)).toBe(ENOTDIR);
  expect(u.call('inotify_add_watch', fd, '/f', 0)).toBe(EINVAL);
  u.call('inotify_add_watch', fd, '/f', N.IN_OPEN | N.IN_ONESHOT);
  u.content('/f');
  u.content('/f');
  expect(events(u, fd)).toEqual(['open', 'ignored']);
  u.call('inotify_add_watch', fd, '/f', N.IN_OPEN);
  u.call('close', fd);
  expect([u.machine.kernel.notify, u.machine.kernel.inotify.instances]).toEqual([null, 0]);
});

test('a short buffer and an overflow', () => {
  const u = user();
  const fd = u.call('inotify_init1', O_NONBLOCK);
  u.call('inotify_add_watch', fd, '/', N.IN_CREATE | N.IN_DELETE);
  u.file('/a-name', '');
  expect(u.read(fd, 31)).toBe(EINVAL);
  expect(u.read(fd, 32)).toHaveLength(32);
  const instance = (u.task.fds.get(fd) as Exclude<ReturnType<typeof u.task.fds.get>, number>).impl as InotifyInstance;
  for (let i = 0; i < 16_500; i++) instance.push({ wd: 1, mask: N.IN_CREATE, cookie: i, name: '' });
  let last: string[] = [];
  for (let some = events(u, fd); typeof some !== 'number'; some = events(u, fd)) last = some;
  expect(last[last.length - 1]).toBe('overflow');
});
