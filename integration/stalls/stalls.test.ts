/** A guest's long calls let others run, whatever they are. */
import { spawnSync } from 'node:child_process';
import { join, resolve } from 'node:path';
import { compileGuest } from '../guest_program.ts';

const ROOT = resolve(__dirname, '../..');
const PLATFORMS = (process.env.TSVISOR_TEST_PLATFORMS ?? 'systrap,ptrace').split(',');
const PARTS = ['devices', 'files', 'reservations', 'other_memory', 'messages', 'waiters', 'timers', 'terminal', 'mappings'];

test.each(PLATFORMS)(
  'while one process makes the longest calls there are, another makes its own, on %s',
  (platform) => {
    const program = compileGuest(join(__dirname, 'stalls.c'), join(ROOT, '.cache/stalls/stalls'));
    const args = [`--platform=${platform}`, 'do', '--tmpfs', '/mnt', '--', program];
    const { stdout, stderr, status } = spawnSync(join(ROOT, 'bin/runsc'), args, { encoding: 'latin1', timeout: 120_000, input: '' });
    expect({ stdout, stderr, status }).toEqual({ stdout: PARTS.map((part) => `ok ${part}\n`).join(''), stderr: '', status: 0 });
  },
  130_000,
);
