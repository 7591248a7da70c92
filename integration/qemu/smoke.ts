/**
 * Runs inside the emulated machine (scripts/kvm-qemu.sh): what the probe finds, then the suites that need nothing but the device. Each case
 * is named before it begins, so that whoever ends us can tell where we were.
 */
import { writeFileSync } from 'node:fs';
import { host } from '../../lib/host.ts';
import { describeKvm, openKvm, reportKvm } from '../../lib/kvm_probe.ts';
import { HostPoll } from '../../platforms/host_poll.ts';
import type { Platform } from '../../platforms/platform.ts';
import { createPlatform, openSource, type PlatformKind } from '../../platforms/select.ts';
import { exceptionsSuite } from '../exceptions_suite.ts';
import { fuzzInstructions } from '../fuzz/instructions.ts';
import { platformSuite } from '../platform_suite.ts';
import { runSuites } from './mini_jest.ts';
import { measureFaults } from './page_faults.ts';

/** The emulated one lets ring 3 return into virtual 8086 mode. */
const IRET = 0xcf;
const PROBES = 10;
const CASES = 2000;
/** Random cases get what the budget leaves, within these bounds, s. */
const MOST_SECONDS = 20;
const LEAST_SECONDS = 3;
const budget = Number(process.env.SMOKE_SECONDS ?? 120);
/** Where the case in hand is written for the machine's init, which ends us if it stays the same for long. */
const caseFile = process.env.SMOKE_CASE;

/** Of linux/kvm.h, by ioctl(2). */
const IOCTL = 16;
const KVM_CREATE_VM = 0xae01;
const KVM_CREATE_VCPU = 0xae41;

/**
 * A machine that stays open. The emulated kernel patches its own code whenever the first virtual machine or vCPU comes and the last one goes, and
 * qemu sometimes goes on executing the breakpoint that the patch leaves for a moment: then the kernel hangs for good.
 */
function holdMachine(): void {
  const device = openKvm();
  if (typeof device === 'string') return;
  const machine = host.syscall(IOCTL, device, KVM_CREATE_VM, 0);
  const vcpu = machine < 0 ? machine : host.syscall(IOCTL, machine, KVM_CREATE_VCPU, 0);
  if (vcpu < 0) console.log(`FAILED to hold a virtual machine: ${vcpu}`);
}

function create(kind: PlatformKind): Platform {
  const procFd = host.openat(-100, '/proc', 0o2000000);
  const device = kind === 'kvm' ? (openKvm() as number) : null;
  return createPlatform(kind, { host, poll: new HostPoll(host), procFd, sourceFd: openSource(host, kind, device) });
}

function began(group: string, name: string): void {
  const line = `${performance.now().toFixed(0)} ms: ${group}: ${name}`;
  console.log(`CASE ${line}`);
  if (caseFile !== undefined) writeFileSync(caseFile, line);
}

/** Both from inside the emulated machine: an application under ptrace has page faults of its kernel's own. */
function reportFaults(): void {
  const [native, kvm] = (['ptrace', 'kvm'] as const).map((kind) => {
    began('page faults', kind);
    const platform = create(kind);
    const found = measureFaults(platform);
    platform.shutdown();
    return found;
  }) as [Map<string, number>, Map<string, number>];
  const us = (ns: number): string => (ns / 1000).toFixed(2);
  for (const [name, ns] of native)
    console.log(`SMOKE page faults, ${name}: ${us(ns)} µs a page natively, ${us(kvm.get(name) ?? 0)} on KVM`);
}

async function main(): Promise<void> {
  began('probe', 'the first');
  holdMachine();
  console.log(`SMOKE ${describeKvm(reportKvm())}`);
  // The emulated processor raises less than a real one: what it does not do without KVM cannot be asked of it with KVM.
  const plain = await runSuites(() => describe('exceptions on ptrace', () => exceptionsSuite(() => create('ptrace'))), {
    began,
    failed: () => {},
  });
  console.log(`SMOKE this processor does not do: ${plain.failed.join(', ')}`);
  const { passed, failed } = await runSuites(
    () => {
      describe('kvm', () => platformSuite(() => create('kvm'), false));
      describe('exceptions', () => exceptionsSuite(() => create('kvm')));
      require('../kvm_machine.test.ts');
    },
    {
      began,
      failed: (name, line) => {
        if (!plain.failed.includes(name)) console.log(line);
      },
    },
  );
  // Its processors' clocks drift apart: then applications get no vDSO, by design.
  reportFaults();
  const own = failed.filter((name) => !plain.failed.includes(name) && name !== 'the host vDSO works');
  const platform = create('kvm');
  const seconds = Math.max(LEAST_SECONDS, Math.min(MOST_SECONDS, budget - performance.now() / 1000));
  const progress = (done: number): void => began('random instructions', `from case ${done} on`);
  const { findings: found, cases } = fuzzInstructions({ platform, seed: 7, seconds, cases: CASES, without: [IRET], progress });
  platform.shutdown();
  const findings = [...found];
  for (let i = 0; i < PROBES; i++) {
    began('probe', `again, ${i}`);
    const again = reportKvm();
    if (again.entry === 0) findings.push(`probe: ${again.message}`);
  }
  for (const finding of findings) console.log(`FAILED fuzz: ${finding}`);
  const spent = (performance.now() / 1000).toFixed(0);
  console.log(`SMOKE ${cases} random cases; ${spent} s; ${passed} passed, ${own.length + findings.length} failed`);
  process.exit(0);
}
void main();
