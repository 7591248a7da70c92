/** Memory of a sandbox on KVM is the Sentry's own: what its programs give back, and what they leave behind, goes to the host. */
import { readFileSync } from 'node:fs';
import { reportKvm } from '../lib/kvm_probe.ts';
import { missing, RunscWorld } from './runsc_bundle.ts';

const MIB = 1 << 20;
const suite = missing().length === 0 && reportKvm().entry !== 0 ? describe : describe.skip;

/** Bytes, by the name of the row in /proc/PID/status. */
function memoryOf(pid: number, row: 'VmRSS' | 'VmHWM'): number {
  const text = readFileSync(`/proc/${pid}/status`, 'latin1');
  return Number(new RegExp(`^${row}:\\s+(\\d+) kB`, 'm').exec(text)?.[1]) * 1024;
}

suite('memory of a sandbox on KVM', () => {
  const world = new RunscWorld();
  afterAll(() => world.close());

  test('a gigabyte that was used is given back', () => {
    const id = world.newId();
    const run = ['run', '--detach', '--bundle', world.bundle({ args: ['sleep', '1000'] }), id];
    expect(world.runsc(run, { global: ['--platform', 'kvm'], stdout: `${world.folder}/out` }).status).toBe(0);
    const { pid } = JSON.parse(world.runsc(['state', id]).stdout) as { pid: number };
    const before = memoryOf(pid, 'VmRSS');
    // One block of 1 GiB, read into and written from.
    const dd = ['exec', id, '/bin/busybox', 'dd', 'if=/dev/zero', 'of=/dev/null', 'bs=1024M', 'count=1'];
    expect(world.runsc(dd)).toMatchObject({ status: 0 });
    expect(memoryOf(pid, 'VmHWM') - before).toBeGreaterThan(1000 * MIB);
    expect(memoryOf(pid, 'VmRSS') - before).toBeLessThan(100 * MIB);
    world.runsc(['delete', '--force', id]);
  }, 120_000);
});
