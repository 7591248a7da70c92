/** Nice values and SCHED_IDLE, where this host lets runsc give them effect (RLIMIT_NICE): a weaker process gets less of a CPU. */
import { spawnSync } from 'node:child_process';
import { join, resolve } from 'node:path';
import { host } from '../../lib/host.ts';
import { allowNiceZero, mayReturnToNiceZero } from '../../lib/nice_limit.ts';
import { compileGuest } from '../guest_program.ts';

const ROOT = resolve(__dirname, '../..');
const OUT = join(ROOT, '.cache/niceness');
const RUNSC = join(ROOT, 'bin/runsc');

const program = compileGuest(join(__dirname, 'share.c'), join(OUT, 'share'));
allowNiceZero(host);
const works = mayReturnToNiceZero(host);

function share(platform: string, how: string): number {
  const { stdout, status } = spawnSync(RUNSC, [`--platform=${platform}`, 'do', '--', program, how], {
    encoding: 'latin1',
    timeout: 60_000,
  });
  expect(status).toBe(0);
  return Number(stdout);
}

describe.each(['systrap', 'ptrace'])('%s', (platform) => {
  test('equals share', () => {
    expect(share(platform, 'equal')).toBeGreaterThan(50);
  });
  test.each(['nice', 'idle'])(`%s: ${works ? 'the weaker one gets little' : 'told, and without effect here'}`, (how) => {
    if (works) expect(share(platform, how)).toBeLessThan(40);
    else expect(share(platform, how)).toBeGreaterThan(50);
  });
});
