/** What this host's KVM can do, found by trying it (native-addon/src/kvm_probe.c). */
import { EACCES, ENOENT, EPERM, errnoName } from '../abi/errno.ts';
import { O_CLOEXEC, O_RDWR } from '../abi/fcntl.ts';
import { native } from '../native-addon/native.ts';
import { host } from './host.ts';

export const KVM_DEVICE = '/dev/kvm';

/** Names of enum entry and enum paging (native-addon/src/kvm.h). */
const ENTRIES = ['none', 'hardware', 'user', 'fault'];
const PAGINGS = ['tlb', 'shadow'];

export interface KvmReport {
  /** How system calls leave the guest; 0: no way was found, `message` says why. */
  readonly entry: number;
  /** How the guest comes to see a changed page table. */
  readonly paging: number;
  /** The guest's time stamp counter is the host's. */
  readonly sameClock: boolean;
  /** Of a system call without its answer, ns. */
  readonly roundTrip: number;
  /** Of a signal to oneself and back, ns: what a system call costs at least on a platform that traps it on the host. */
  readonly trap: number;
  readonly message: string;
}

function nothing(message: string): KvmReport {
  return { entry: 0, paging: 0, sameClock: false, roundTrip: Number.POSITIVE_INFINITY, trap: 0, message };
}

/** Of an open device. No KVM platform is open in this process. */
export function probeKvm(deviceFd: number): KvmReport {
  const found = new Float64Array(5);
  const message = native.kvmProbe(deviceFd, found);
  const [entry, paging, sameClock, roundTrip, trap] = found as unknown as [number, number, number, number, number];
  if (entry === 0) return nothing(`this host's KVM does not work: ${message}`);
  return { entry, paging, sameClock: sameClock !== 0, roundTrip, trap, message: '' };
}

/** The device for us to close, or why not. */
export function openKvm(): number | string {
  const fd = host.openat(-100, KVM_DEVICE, O_RDWR | O_CLOEXEC);
  if (fd >= 0) return fd;
  if (fd === ENOENT) return `this host has no ${KVM_DEVICE}`;
  if (fd === EACCES || fd === EPERM) return `no permission to open ${KVM_DEVICE}`;
  return `cannot open ${KVM_DEVICE}: ${errnoName(fd)}`;
}

/** Opens the device, tries it, closes it. */
export function reportKvm(): KvmReport {
  const fd = openKvm();
  if (typeof fd === 'string') return nothing(fd);
  const report = probeKvm(fd);
  host.close(fd);
  return report;
}

/** One line for people. */
export function describeKvm(report: KvmReport): string {
  if (report.entry === 0) return report.message;
  const clock = report.sameClock ? 'the host’s clock' : 'a clock of its own';
  const us = (ns: number): string => `${(ns / 1000).toFixed(1)} µs`;
  return `${ENTRIES[report.entry]} entry, ${PAGINGS[report.paging]} paging, ${clock}, ${us(report.roundTrip)} a round trip (a trap on the host: ${us(report.trap)})`;
}
