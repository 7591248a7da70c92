/** Host calls of the ptrace platform alone. */
import type { HostCall } from '../../lib/host_call_filter.ts';

export const PTRACE_CALLS: readonly HostCall[] = [{ name: 'ptrace', nr: 101, reason: 'stops its own children' }];
