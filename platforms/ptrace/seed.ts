/**
 * The seed: one stopped host process with nothing mapped but the stub and the host's vDSO. Every fresh address space is a fork of it.
 */
import { MAP_ANONYMOUS, MAP_FIXED, MAP_PRIVATE, MREMAP_FIXED, MREMAP_MAYMOVE, PAGE_SIZE, PROT_READ, PROT_WRITE } from '../../abi/mman.ts';
import type { Host } from '../../lib/host.ts';
import { native } from '../../native-addon/native.ts';
import { type HostMapping, readHostMaps } from '../host_maps.ts';
import { STUB_BASE, STUB_SCRATCH, VDSO_PLACE } from '../stub_layout.ts';
import { inject } from './injection.ts';
import {
  __WALL,
  HOST_CALL,
  PTRACE_INTERRUPT,
  PTRACE_O_EXITKILL,
  PTRACE_O_TRACESYSGOOD,
  PTRACE_SEIZE,
  PTRACE_SETSIGMASK,
} from './requests.ts';

/** Where code, data and the vDSO end; nothing above remains mapped. */
const VSYSCALL = 0xffff_ffff_ff60_0000;

export interface Seed {
  readonly pid: number;
  readonly vdsoBase: number;
}

/** @throws Error with what the host refuses. */
export function startSeed(host: Host, procFd: number, stubFd: number, socketFd: number): Seed {
  const pid = native.spawnStub(stubFd, socketFd);
  if (pid < 0) throw new Error(`ptrace platform: cannot start the stub: errno ${-pid}`);
  try {
    attach(host, pid);
    return { pid, vdsoBase: clearAddressSpace(readHostMaps(host, procFd, pid), pid) };
  } catch (e) {
    host.kill(pid, 9);
    host.syscall(HOST_CALL.wait4, pid, null, __WALL, null);
    throw e;
  }
}

function attach(host: Host, pid: number): void {
  const options = PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL;
  const r = host.syscall(HOST_CALL.ptrace, PTRACE_SEIZE, pid, 0, options);
  if (r < 0) throw new Error(`ptrace platform: the host does not allow ptrace (errno ${-r}; see kernel.yama.ptrace_scope)`);
  const interrupted = host.syscall(HOST_CALL.ptrace, PTRACE_INTERRUPT, pid, 0, 0);
  const status = new Int32Array(1);
  const waited = host.syscall(HOST_CALL.wait4, pid, status, __WALL, null);
  if (interrupted < 0 || waited !== pid || ((status[0] as number) & 0xff) !== 0x7f)
    throw new Error(`ptrace platform: the stub does not stop (status 0x${(status[0] as number).toString(16)})`);
  host.syscall(HOST_CALL.ptrace, PTRACE_SETSIGMASK, pid, 8, new Uint8Array(8));
}

function must(what: string, r: number): void {
  if (r < 0) throw new Error(`ptrace platform: ${what} in the stub: errno ${-r}`);
}

/** Moves the vDSO behind the stub, unmaps all else, maps the scratch page. Where the vDSO is now; 0 if the host has none. */
function clearAddressSpace(maps: readonly HostMapping[], pid: number): number {
  const vdso = maps.filter((m) => m.name === '[vdso]' || m.name.startsWith('[vvar'));
  const first = vdso[0]?.start ?? 0;
  let vdsoBase = 0;
  for (const m of vdso) {
    const to = VDSO_PLACE + (m.start - first);
    const length = m.end - m.start;
    must(`moving ${m.name}`, inject(pid, HOST_CALL.mremap, m.start, length, length, MREMAP_MAYMOVE | MREMAP_FIXED, to));
    if (m.name === '[vdso]') vdsoBase = to;
  }
  must('munmap', inject(pid, HOST_CALL.munmap, 0, STUB_BASE));
  for (const m of maps) {
    if (m.start <= STUB_BASE || m.start >= VSYSCALL || vdso.includes(m)) continue;
    must(`unmapping ${m.name}`, inject(pid, HOST_CALL.munmap, m.start, m.end - m.start));
  }
  const flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
  must('mmap', inject(pid, HOST_CALL.mmap, STUB_SCRATCH, PAGE_SIZE, PROT_READ | PROT_WRITE, flags, -1));
  return vdsoBase;
}
