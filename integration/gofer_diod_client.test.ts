/**
 * diod's clients (diodls, diodcat) on a gofer: a user-space implementation of 9P2000.L that is not ours, where the kernel has none. They come
 * with Debian's diod; where it is not installed, this suite says so and checks nothing.
 */
import { execFile, spawnSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, Socket } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { buildGofer, startGofer, temporaryFolder } from './gofer_process.ts';

const run = promisify(execFile);
const PATH = `${process.env.PATH}:/usr/sbin`;
const available = ['diodls', 'diodcat'].every((name) => spawnSync('sh', ['-c', `command -v ${name}`], { env: { PATH } }).status === 0);
if (!available) console.warn('diod is not installed: the gofer is not checked against its clients.');

(available ? test : test.skip)(
  'diodls and diodcat work on it',
  async () => {
    buildGofer();
    const folder = temporaryFolder();
    const served = join(folder.path, 'served');
    mkdirSync(join(served, 'dir/deep'), { recursive: true });
    writeFileSync(join(served, 'file'), 'x'.repeat(300_000));
    writeFileSync(join(served, 'dir/deep/name'), 'found\n', { mode: 0o640 });
    symlinkSync('file', join(served, 'link'));
    const address = join(folder.path, 'socket');
    // Each client has a connection of its own, and so a gofer.
    const server = createServer((client) => {
      const gofer = new Socket({ fd: startGofer([{ name: '/', path: served }]).socket });
      client.pipe(gofer).pipe(client);
      client.on('error', () => gofer.destroy());
      gofer.on('error', () => client.destroy());
    }).listen(address);
    const common = ['-s', address, '-a', '/'];
    try {
      const { stdout } = await run('diodls', [...common, '-l', '/'], { env: { PATH } });
      for (const name of ['dir', 'file', 'link']) expect(stdout).toContain(name);
      const whole = await run('diodcat', [...common, 'file'], { env: { PATH }, maxBuffer: 1 << 20 });
      expect(whole.stdout).toBe('x'.repeat(300_000));
      expect((await run('diodcat', [...common, 'dir/deep/name'], { env: { PATH } })).stdout).toBe('found\n');
      await expect(run('diodcat', [...common, 'missing'], { env: { PATH } })).rejects.toThrow(/No such file/);
    } finally {
      server.close();
      folder.remove();
    }
  },
  60_000,
);
