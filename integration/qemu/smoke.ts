/** Runs inside the emulated machine (scripts/kvm-qemu.sh): what the probe finds, then the suites that need nothing but the device. */
import { host } from '../../lib/host.ts';
import { describeKvm, openKvm, reportKvm } from '../../lib/kvm_probe.ts';
import { HostPoll } from '../../platforms/host_poll.ts';
import type { Platform } from '../../platforms/platform.ts';
import { createPlatform, openSource, type PlatformKind } from '../../platforms/select.ts';
import { exceptionsSuite } from '../exceptions_suite.ts';
import { fuzzInstructions } from '../fuzz/instructions.ts';
import { platformSuite } from '../platform_suite.ts';
import { runSuites } from './mini_jest.ts';

/** The emulated one lets ring 3 return into virtual 8086 mode. */
const IRET = 0xcf;
const PROBES = 10;

function create(kind: PlatformKind): Platform {
  const procFd = host.openat(-100, '/proc', 0o2000000);
  const device = kind === 'kvm' ? (openKvm() as number) : null;
  return createPlatform(kind, { host, poll: new HostPoll(host), procFd, sourceFd: openSource(host, kind, device) });
}

async function main(): Promise<void> {
  console.log(`SMOKE ${describeKvm(reportKvm())}`);
  // The emulated processor raises less than a real one: what it does not do without KVM cannot be asked of it with KVM.
  const plain = await runSuites(
    () => describe('exceptions on ptrace', () => exceptionsSuite(() => create('ptrace'))),
    () => {},
  );
  console.log(`SMOKE this processor does not do: ${plain.failed.join(', ')}`);
  const { passed, failed } = await runSuites(
    () => {
      describe('kvm', () => platformSuite(() => create('kvm'), false));
      describe('exceptions', () => exceptionsSuite(() => create('kvm')));
      require('../kvm_machine.test.ts');
    },
    (name, line) => {
      if (!plain.failed.includes(name)) console.log(line);
    },
  );
  // Its processors' clocks drift apart: then applications get no vDSO, by design.
  const own = failed.filter((name) => !plain.failed.includes(name) && name !== 'the host vDSO works');
  const platform = create('kvm');
  const { findings: found, cases } = fuzzInstructions({ platform, seed: 7, seconds: 20, cases: 2000, without: [IRET] });
  platform.shutdown();
  const findings = [...found];
  for (let i = 0; i < PROBES; i++) {
    const again = reportKvm();
    if (again.entry === 0) findings.push(`probe: ${again.message}`);
  }
  for (const finding of findings) console.log(`FAILED fuzz: ${finding}`);
  console.log(`SMOKE ${cases} random cases; ${passed} passed, ${own.length + findings.length} failed`);
  process.exit(0);
}
void main();
