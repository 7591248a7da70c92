/** Hostile system calls, a few seconds of them on each platform: the Sentry lives, answers, and gives back what it took. */
import { reportKvm } from '../../lib/kvm_probe.ts';
import { missing } from '../runsc_bundle.ts';
import { fuzz } from './fuzz.ts';

const EVERYWHERE = reportKvm().entry === 0 ? 'ptrace,systrap' : 'ptrace,systrap,kvm';
const PLATFORMS = (process.env.TSVISOR_TEST_PLATFORMS ?? EVERYWHERE).split(',');
const suite = missing().length === 0 ? describe : describe.skip;

suite('random system calls', () => {
  test.each(PLATFORMS)(
    'on %s',
    async (platform) => {
      const { findings, calls } = await fuzz({ platform, seed: 1, seconds: 20 });
      expect(findings).toEqual([]);
      expect(calls).toBeGreaterThan(10_000);
    },
    120_000,
  );
});
