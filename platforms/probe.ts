/** What the host can do for a platform, asked before anything is started. */
import type { Host } from '../lib/host.ts';

const SECCOMP = 317;
const SECCOMP_GET_ACTION_AVAIL = 2;
const SECCOMP_RET_TRAP = 0x0003_0000;
const AT_HWCAP2 = 26;
/** User code may read and write its segment bases (FSGSBASE). */
const HWCAP2_FSGSBASE = 2;

/** Why systrap cannot work here; null if it can. procFd: a procfs that shows this process. */
export function whyNoSystrap(host: Host, procFd: number): string | null {
  if (host.syscall(SECCOMP, SECCOMP_GET_ACTION_AVAIL, 0, new Uint32Array([SECCOMP_RET_TRAP])) < 0) return 'the host has no seccomp filters';
  if ((auxiliary(host, procFd, AT_HWCAP2) & HWCAP2_FSGSBASE) === 0) return 'processor or host lack FSGSBASE';
  return null;
}

/** A value of our own auxiliary vector (getauxval(3)), its low 32 bits; 0 if it is not there. */
function auxiliary(host: Host, procFd: number, type: number): number {
  const fd = host.openat(procFd, 'self/auxv', 0o2000000 /* O_RDONLY | O_CLOEXEC */);
  if (fd < 0) return 0;
  const bytes = new Uint8Array(1024);
  const n = host.read(fd, bytes);
  host.close(fd);
  const view = new DataView(bytes.buffer);
  for (let at = 0; at + 16 <= n; at += 16) if (view.getUint32(at, true) === type) return view.getUint32(at + 8, true);
  return 0;
}
