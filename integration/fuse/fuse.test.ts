/** What a FUSE server may do to its clients in the sandbox, where Linux lets it do more. */
import { spawnSync } from 'node:child_process';
import { join, resolve } from 'node:path';
import { reportKvm } from '../../lib/kvm_probe.ts';
import { compileGuest } from '../guest_program.ts';

const ROOT = resolve(__dirname, '../..');
const OUT = join(ROOT, '.cache/fuse');
const PLATFORMS = process.env.TSVISOR_TEST_PLATFORMS?.split(',') ?? ['systrap', 'ptrace', ...(reportKvm().entry !== 0 ? ['kvm'] : [])];

beforeAll(() => void compileGuest(join(__dirname, 'stuck.c'), join(OUT, 'stuck'), ['-lpthread']));

test.each(PLATFORMS)(
  'who waits for a server that does nothing can be killed, on %s',
  (platform) => {
    const args = [`--platform=${platform}`, 'do', '--', join(OUT, 'stuck')];
    const { stdout, stderr, status } = spawnSync(join(ROOT, 'bin/runsc'), args, { encoding: 'latin1', timeout: 60_000, input: '' });
    expect({ stdout, stderr, status }).toEqual({ stdout: 'ok\n', stderr: '', status: 0 });
  },
  70_000,
);
