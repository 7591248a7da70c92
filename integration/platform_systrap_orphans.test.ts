/** A Sentry that is killed where it has no pid namespace of its own: no process of its applications may stay behind. */
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { buildSync } from 'esbuild';

const ROOT = resolve(__dirname, '..');
const NODE = join(ROOT, 'node_modules/node/bin/node');
const BUILT = join(ROOT, 'native-addon/build/Release');
const PROGRAM = `
import { host } from './lib/host.ts';
import { HostPoll } from './platforms/host_poll.ts';
import { createPlatform, openSource } from './platforms/select.ts';
const open = (path) => host.openat(-100, path, 0o2000000);
const options = { host, poll: new HostPoll(host), procFd: open('/proc'), sourceFd: openSource(host, 'systrap', null) };
const platform = createPlatform('systrap', options);
const first = platform.newAddressSpace();
const second = first.space.fork(first);
require('node:fs').writeSync(1, [first, second].map((thread) => thread.space.pid).join());
process.kill(process.pid, 'SIGKILL');
`;

/** Whoever inherits orphans may leave them unreaped. */
function lives(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'latin1'));
  } catch {
    return false;
  }
}

test('the processes of a Sentry that is killed end', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tsvisor-orphans-'));
  try {
    const outfile = join(folder, 'program.cjs');
    buildSync({ stdin: { contents: PROGRAM, resolveDir: ROOT, loader: 'ts' }, outfile, bundle: true, platform: 'node', format: 'cjs' });
    for (const name of ['tsvisor_native.node', 'systrap_stub']) copyFileSync(join(BUILT, name), join(folder, name));
    const { stdout, stderr, signal } = spawnSync(NODE, ['--no-warnings', outfile], { encoding: 'latin1' });
    expect({ stderr, signal }).toEqual({ stderr: '', signal: 'SIGKILL' });
    const pids = stdout.split(',').map(Number);
    expect(pids.every((pid) => pid > 1)).toBe(true);
    for (let i = 0; i < 1000 && pids.some(lives); i++) await new Promise((done) => setTimeout(done, 10));
    expect(pids.filter(lives)).toEqual([]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
