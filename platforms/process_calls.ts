/** Host calls of the platforms whose applications are host processes. */
import type { HostCall } from '../lib/host_call_filter.ts';

const AF_UNIX = 1;

export const PROCESS_CALLS: readonly HostCall[] = [
  { name: 'process_vm_readv', nr: 310, reason: 'arguments of calls' },
  { name: 'process_vm_writev', nr: 311, reason: 'results of calls' },
  { name: 'wait4', nr: 61, reason: 'stops and ends of application processes' },
  { name: 'waitid', nr: 247, reason: 'whether a process that does not answer still lives' },
  { name: 'kill', nr: 62, reason: 'ends application processes; it sees no others' },
  { name: 'socketpair', nr: 53, when: [{ arg: 0, values: [AF_UNIX] }], reason: 'hands descriptors to a process' },
];
