/** Starts the seed: the stub program, given its slots, doorbell and filter, alone in its address space but for the host's vDSO. */
import { SECCOMP_RET_TRAP } from '../../abi/seccomp.ts';
import type { Host } from '../../lib/host.ts';
import { compileFilterFor } from '../../lib/host_call_filter.ts';
import { native } from '../../native-addon/native.ts';
import { readHostMaps } from '../host_maps.ts';
import { HOST_CALL } from '../ptrace/requests.ts';
import { STUB_BASE, VDSO_PLACE } from '../stub_layout.ts';
import { HOST_CALLS } from './host_calls.ts';
import { OP_HOST, STUB_CODE, STUB_END } from './layout.ts';
import type { SystrapThread } from './systrap_thread.ts';

const MREMAP_MAYMOVE_FIXED = 3;
/** The host's vsyscall page: not a mapping that a process could change. */
const VSYSCALL = 0xffff_ffff_ff60_0000;

export interface SeedDescriptors {
  /** The stub's end of its socket; ours. */
  readonly theirs: number;
  readonly ours: number;
  readonly doorbell: number;
  readonly slots: number;
  readonly global: number;
}

/** The child's pid. @throws Error with what the host refuses. */
export function spawnSeed(host: Host, stubFd: number, fds: SeedDescriptors): number {
  const pid = native.spawnStub(stubFd, fds.theirs);
  if (pid < 0) throw new Error(`systrap: cannot start the stub: errno ${-pid}`);
  const sent = host.sendWithFds(fds.ours, compileFilterFor(STUB_CODE, HOST_CALLS, SECCOMP_RET_TRAP), [fds.doorbell, fds.slots, fds.global]);
  if (sent < 0) throw new Error(`systrap: cannot reach the stub: errno ${-sent}`);
  return pid;
}

/** Moves the vDSO behind the stub and unmaps all that is not the stub's. Where the vDSO is now; 0 if the host has none. */
export function clearAddressSpace(host: Host, procFd: number, pid: number, thread: SystrapThread): number {
  const call = (what: string, nr: number, a0: number, a1: number, a2 = 0, a3 = 0, a4 = 0): void => {
    thread.push(OP_HOST, nr, a0, a1, a2, a3, a4);
    const r = thread.runCommands();
    if (r < 0) throw new Error(`systrap: ${what} in the stub: errno ${-r}`);
  };
  const maps = readHostMaps(host, procFd, pid);
  const vdso = maps.filter((m) => m.name === '[vdso]' || m.name.startsWith('[vvar'));
  const first = vdso[0]?.start ?? 0;
  let vdsoBase = 0;
  for (const m of vdso) {
    const to = VDSO_PLACE + (m.start - first);
    call(`moving ${m.name}`, HOST_CALL.mremap, m.start, m.end - m.start, m.end - m.start, MREMAP_MAYMOVE_FIXED, to);
    if (m.name === '[vdso]') vdsoBase = to;
  }
  call('munmap', HOST_CALL.munmap, 0, STUB_BASE);
  for (const m of maps) {
    if (m.start < STUB_END || m.start >= VSYSCALL || vdso.includes(m)) continue;
    call(`unmapping ${m.name}`, HOST_CALL.munmap, m.start, m.end - m.start);
  }
  return vdsoBase;
}
