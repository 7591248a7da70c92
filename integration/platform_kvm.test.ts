/** The suite of every platform, on KVM. scripts/test.sh says aloud where it does not run. */
import { host } from '../lib/host.ts';
import { openKvm, reportKvm } from '../lib/kvm_probe.ts';
import { HostPoll } from '../platforms/host_poll.ts';
import type { Platform } from '../platforms/platform.ts';
import { createPlatform } from '../platforms/select.ts';
import { exceptionsSuite } from './exceptions_suite.ts';
import { platformSuite } from './platform_suite.ts';

const O_RDONLY_CLOEXEC = 0o2000000;
const report = reportKvm();

const suite = report.entry !== 0 ? describe : describe.skip;

function create(): Platform {
  const procFd = host.openat(-100, '/proc', O_RDONLY_CLOEXEC);
  return createPlatform('kvm', { host, poll: new HostPoll(host), procFd, sourceFd: openKvm() as number });
}

suite('kvm', () => platformSuite(create, false));
suite('kvm: exceptions', () => exceptionsSuite(create));
