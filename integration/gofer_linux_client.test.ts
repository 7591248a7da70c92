/**
 * Linux's own 9p client on a gofer: an implementation of the protocol that is not ours. Needs root and a kernel with 9p
 * (CONFIG_NET_9P, CONFIG_NET_9P_FD, CONFIG_9P_FS); where it has none, this suite says so and checks nothing.
 */
import { execFileSync } from 'node:child_process';
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmdirSync,
  statSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { host } from '../lib/host.ts';
import { buildGofer, startGofer, temporaryFolder } from './gofer_process.ts';

function kernelHas9p(): boolean {
  try {
    execFileSync('modprobe', ['-a', '9p', '9pnet_fd'], { stdio: 'ignore' });
  } catch {
    // Built in, or not there at all.
  }
  return /\b9p$/m.test(readFileSync('/proc/filesystems', 'latin1'));
}

const available = kernelHas9p();
if (!available) console.warn('This kernel has no 9p client: the gofer is not checked against it.');

(available ? test : test.skip)('the kernel mounts it and works on it', () => {
  buildGofer();
  const folder = temporaryFolder();
  const served = join(folder.path, 'served');
  const mount = join(folder.path, 'mount');
  mkdirSync(served);
  mkdirSync(mount);
  const gofer = startGofer([{ name: '/', path: served }]);
  const options = `trans=fd,rfdno=${gofer.socket},wfdno=${gofer.socket},version=9p2000.L,msize=65536,aname=/,cache=none`;
  const text = (value: string): Buffer => Buffer.from(`${value}\0`);
  expect(host.syscall(165 /* mount */, text('gofer'), text(mount), text('9p'), 0, text(options))).toBe(0);
  const at = (path: string): string => join(mount, path);
  try {
    writeFileSync(at('file'), 'x'.repeat(300_000), { mode: 0o640 });
    expect(readFileSync(join(served, 'file'), 'utf8')).toHaveLength(300_000);
    expect(statSync(at('file')).mode & 0o777).toBe(0o640);
    mkdirSync(at('dir/sub'), { recursive: true });
    renameSync(at('file'), at('dir/renamed'));
    symlinkSync('renamed', at('dir/link'));
    expect(readlinkSync(at('dir/link'))).toBe('renamed');
    truncateSync(at('dir/renamed'), 10);
    expect(readFileSync(at('dir/link'), 'utf8')).toBe('x'.repeat(10));
    for (let i = 0; i < 500; i++) writeFileSync(at(`dir/sub/${i}`), '');
    expect(readdirSync(at('dir/sub'))).toHaveLength(500);
    for (let i = 0; i < 500; i++) unlinkSync(at(`dir/sub/${i}`));
    rmdirSync(at('dir/sub'));
    expect(readdirSync(join(served, 'dir')).sort()).toEqual(['link', 'renamed']);
  } finally {
    host.syscall(166 /* umount2 */, text(mount), 0);
    host.close(gofer.socket);
    folder.remove();
  }
});
