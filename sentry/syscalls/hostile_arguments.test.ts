/** Every file call with arguments that no libc would pass: it must answer, not throw. */

import { bytesOf } from '../../lib/byte_string.ts';
import { registerTmpFs } from '../fs/tmpfs/register.ts';
import { isBlocking } from '../kernel/wait.ts';
import { FileMachine, type FileUser } from '../testing/fake_files.ts';
import type { Syscall } from './definition.ts';
import { ATTR_CALLS } from './sys_attr.ts';
import { DIR_CALLS } from './sys_dir.ts';
import { FCNTL_CALLS } from './sys_fcntl.ts';
import { LINK_CALLS } from './sys_link.ts';
import { LOCK_CALLS } from './sys_lock.ts';
import { MOUNT_CALLS } from './sys_mount.ts';
import { MOUNT_FD_CALLS } from './sys_mount_fd.ts';
import { OPEN_CALLS } from './sys_open.ts';
import { READWRITE_CALLS } from './sys_readwrite.ts';
import { SENDFILE_CALLS } from './sys_sendfile.ts';
import { SPLICE_CALLS } from './sys_splice.ts';
import { STAT_CALLS } from './sys_stat.ts';
import { SYNC_CALLS } from './sys_sync.ts';
import { TRUNCATE_CALLS } from './sys_truncate.ts';
import { UTIME_CALLS } from './sys_utime.ts';
import { XATTR_CALLS } from './sys_xattr.ts';

const ROWS: Readonly<Record<string, Syscall>> = {
  ...ATTR_CALLS,
  ...DIR_CALLS,
  ...FCNTL_CALLS,
  ...LINK_CALLS,
  ...LOCK_CALLS,
  ...MOUNT_CALLS,
  ...MOUNT_FD_CALLS,
  ...OPEN_CALLS,
  ...READWRITE_CALLS,
  ...SENDFILE_CALLS,
  ...SPLICE_CALLS,
  ...STAT_CALLS,
  ...SYNC_CALLS,
  ...TRUNCATE_CALLS,
  ...UTIME_CALLS,
  ...XATTR_CALLS,
};
const ROUNDS = 60;
/** Halves of an argument. */
type Word = readonly [low: number, high: number];

/** A generator that repeats itself from its seed (xorshift). */
function random(seed: number): (limit: number) => number {
  let x = seed;
  return (limit) => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return (x >>> 0) % limit;
  };
}

function words(u: FileUser): Word[] {
  const place = (text: string): Word => [u.memory.place(bytesOf(`${text}\0`)), 0];
  const junk = new Uint8Array(4096).map((_, i) => (i * 37) & 0xff);
  const end = 0x10000 + u.memory.bytes.length;
  return [
    ...Array.from({ length: 12 }, (_, i): Word => [i, 0]),
    [0xffffffff, 0xffffffff],
    [0xffffff9c, 0xffffffff],
    [0, 0x80000000],
    [0xffffffff, 0x7fffffff],
    [0xfffff000, 0x7fff],
    [0x1000, 0],
    [0x1000, 0],
    [0x4000, 0],
    [0x40000, 0],
    [0x7fffffff, 0],
    [end - 3, 0],
    [u.memory.place(junk), 0],
    [u.memory.place(new Uint8Array(4096)), 0],
    ...['/f', '/d', '/d/x', '/l', '.', '..', '', '/d/', 'user.a', 'tmpfs', 'size=1k', '\xff\x01', 'x'.repeat(300)].map(place),
  ];
}

test.each(Object.keys(ROWS))('%s', (name) => {
  const machine = new FileMachine();
  registerTmpFs(machine.kernel);
  const next = random(name.length * 7919 + name.charCodeAt(0) * 104729 + 1);
  const row = ROWS[name] as Syscall;
  const u = machine.user();
  const arguments_ = words(u);
  for (let round = 0; round < ROUNDS; round++) {
    if (round % 20 === 0) {
      u.call('mkdir', '/d', 0o755);
      u.call('symlink', 'f', '/l');
      for (let i = 0; i < 4; i++) u.open(i === 0 ? '/d' : '/f', i === 0 ? 0 : 0o102);
      u.call('pipe2', u.memory.place(8), 0o4000);
    }
    const halves = new Uint32Array(12);
    for (let i = 0; i < row.args.length; i++) halves.set(arguments_[next(arguments_.length)] as Word, 2 * i);
    const result = row.invoke(u.task, halves);
    if (isBlocking(result)) {
      result.next('ready');
      result.return(0);
    } else expect(Number.isNaN(result)).toBe(false);
    const { fs } = u.task;
    fs.root = fs.cwd = machine.ns.rootPath; // chroot and chdir may have led away
  }
});
