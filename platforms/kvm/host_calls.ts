/**
 * Host calls of the KVM platform. Its descriptors are the device, one virtual machine and its vCPUs; of what they can be asked, these: the
 * rest (devices, interrupts, migration, nested guests) stays out of a broken Sentry's reach.
 */
import type { HostCall } from '../../lib/host_call_filter.ts';

// ioctl(2) numbers of linux/kvm.h.
const KVM_CREATE_VCPU = 0xae41;
const KVM_SET_USER_MEMORY_REGION = 0x4020_ae46;
const KVM_RUN = 0xae80;
const KVM_GET_SREGS = 0x8138_ae83;
const KVM_SET_SREGS = 0x4138_ae84;
const KVM_SET_MSRS = 0x4008_ae89;
const KVM_SET_CPUID2 = 0x4008_ae90;
const KVM_GET_VCPU_EVENTS = 0x8040_ae9f;
const KVM_GET_XSAVE = 0x9000_aea4;
const KVM_SET_XSAVE = 0x5000_aea5;
const KVM_SET_XCRS = 0x4188_aea7;
const KVM_SET_DEVICE_ATTR = 0x4018_aee1;

export const KVM_CALLS: readonly HostCall[] = [
  { name: 'ioctl', nr: 16, when: [{ arg: 1, values: [KVM_RUN] }], reason: 'runs the application' },
  { name: 'ioctl', nr: 16, when: [{ arg: 1, values: [KVM_GET_XSAVE, KVM_SET_XSAVE] }], reason: 'vector state of threads' },
  {
    name: 'ioctl',
    nr: 16,
    when: [{ arg: 1, values: [KVM_SET_USER_MEMORY_REGION] }],
    reason: 'more memory of its own for the guest; makes the host forget shadow tables',
  },
  {
    name: 'ioctl',
    nr: 16,
    when: [{ arg: 1, values: [KVM_GET_VCPU_EVENTS] }],
    reason: 'whether an exception is on its way when a thread is stopped',
  },
  {
    name: 'ioctl',
    nr: 16,
    when: [
      {
        arg: 1,
        values: [KVM_CREATE_VCPU, KVM_SET_CPUID2, KVM_SET_MSRS, KVM_GET_SREGS, KVM_SET_SREGS, KVM_SET_XCRS, KVM_SET_DEVICE_ATTR],
      },
    ],
    reason: 'a vCPU when more threads run',
  },
  { name: 'process_vm_readv', nr: 310, reason: 'mapped files that may have been cut off: its own memory' },
  { name: 'process_vm_writev', nr: 311, reason: 'mapped files that may have been cut off: its own memory' },
];
