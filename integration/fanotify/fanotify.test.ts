/** fanotify(7), for which a container needs CAP_SYS_ADMIN: the same program on the host and in a container that has it. */
import { spawnSync } from 'node:child_process';
import { copyFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { compileGuest } from '../guest_program.ts';
import { missing, RunscWorld } from '../runsc_bundle.ts';

const OUT = join(resolve(__dirname, '../..'), '.cache/fanotify');
const PLATFORMS = (process.env.TSVISOR_TEST_PLATFORMS ?? 'systrap,ptrace').split(',');
const CAPABILITIES = ['CAP_SYS_ADMIN', 'CAP_SETUID', 'CAP_SETGID'];

(missing().length === 0 ? describe : describe.skip)('fanotify', () => {
  const world = new RunscWorld();
  const program = join(OUT, 'events');
  let onHost = '';
  beforeAll(() => {
    compileGuest(join(__dirname, 'events.c'), program, ['-static']);
    const { stdout, stderr, status } = spawnSync(program, { encoding: 'latin1', timeout: 60_000 });
    expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
    onHost = stdout;
  }, 60_000);
  afterAll(() => world.close());

  test.each(PLATFORMS)(
    'on %s as on the host',
    (platform) => {
      const id = world.newId();
      const bundle = world.bundle({
        args: ['/events'],
        process: { capabilities: { bounding: CAPABILITIES, effective: CAPABILITIES, permitted: CAPABILITIES } },
        spec: { root: { path: 'rootfs', readonly: false }, mounts: [{ destination: '/tmp', type: 'tmpfs', source: 'tmpfs' }] },
      });
      copyFileSync(program, join(bundle, 'rootfs/events'));
      const { stdout, stderr, status } = world.runsc(['run', '--bundle', bundle, id], { global: ['--platform', platform] });
      expect({ stdout, stderr, status }).toEqual({ stdout: onHost, stderr: '', status: 0 });
    },
    70_000,
  );
});
