/** A few seconds of random instructions; npm run fuzz:instructions takes longer. */
import { host } from '../../lib/host.ts';
import { openKvm, reportKvm } from '../../lib/kvm_probe.ts';
import { HostPoll } from '../../platforms/host_poll.ts';
import { createPlatform } from '../../platforms/select.ts';
import { fuzzInstructions } from './instructions.ts';

(reportKvm().entry !== 0 ? test : test.skip)(
  'random instructions on kvm',
  () => {
    const procFd = host.openat(-100, '/proc', 0o2000000);
    const platform = createPlatform('kvm', { host, poll: new HostPoll(host), procFd, sourceFd: openKvm() as number });
    const { findings, cases, ends } = fuzzInstructions({ platform, seed: 1, seconds: 60, cases: 5000 });
    platform.shutdown();
    expect(findings).toEqual([]);
    expect(cases).toBeGreaterThan(100);
    expect([...ends.keys()].sort()).toEqual(expect.arrayContaining(['call', 'signal 11', 'signal 4', 'signal 5']));
  },
  90_000,
);
