/** What the system says of itself: uname(2), sysinfo(2), getrandom(2). */
import { EFAULT, EINVAL, EPERM } from '../../abi/errno.ts';
import { array, len64, off64, pad, struct, u16, u32 } from '../../abi/struct.ts';
import { bytesOf } from '../../lib/byte_string.ts';
import { CAP_SYS_ADMIN, hasCapIn } from '../kernel/credentials.ts';
import type { Task } from '../kernel/task.ts';
import { KERNEL_MACHINE, KERNEL_OSTYPE, KERNEL_RELEASE, KERNEL_VERSION } from '../kernel/version.ts';
import { addr, flags, int, size, syscall } from './definition.ts';

/** One string of struct utsname, NUL included. */
const UTS_LENGTH = 65;
const MAX_NAME = 64;

function uname(task: Task, address: number): number {
  const { nodename, domainname } = task.namespaces.uts;
  const out = new Uint8Array(UTS_LENGTH * 6);
  const fields = [KERNEL_OSTYPE, nodename, KERNEL_RELEASE, KERNEL_VERSION, KERNEL_MACHINE, domainname];
  for (const [i, text] of fields.entries()) out.set(bytesOf(text.slice(0, MAX_NAME)), i * UTS_LENGTH);
  return task.copyOut(address, out);
}

function setName(task: Task, field: 'nodename' | 'domainname', address: number, length: number): number {
  if (!hasCapIn(task.creds, CAP_SYS_ADMIN, task.namespaces.uts.owner)) return EPERM;
  if (length < 0 || length > MAX_NAME) return EINVAL;
  const bytes = task.readBytes(address, length);
  if (typeof bytes === 'number') return bytes;
  task.namespaces.uts[field] = Buffer.from(bytes).toString('latin1').replace(/\0.*$/s, '');
  return 0;
}

/** struct sysinfo (sysinfo(2)). */
const Sysinfo = struct('sysinfo', 112, {
  uptime: off64,
  loads: array(len64, 3),
  totalram: len64,
  freeram: len64,
  sharedram: len64,
  bufferram: len64,
  totalswap: len64,
  freeswap: len64,
  procs: u16,
  __pad: pad(6),
  totalhigh: len64,
  freehigh: len64,
  mem_unit: u32,
  __tail: pad(4),
});
const SYS_SYSINFO = 99;

/** Swap is not the application's concern; load averages are not kept, /proc/loadavg says 0 as well. */
function sysinfo(task: Task, address: number): number {
  const { kernel } = task;
  const raw = new Uint8Array(Sysinfo.size);
  const r = kernel.host.syscall(SYS_SYSINFO, raw);
  if (r < 0) return r;
  const host = Sysinfo.decode(raw);
  const { memory } = kernel.system;
  return task.copyOut(
    address,
    Sysinfo.encode({
      uptime: Math.floor((kernel.now() + task.namespaces.time.boottime) / 1e9),
      loads: [0, 0, 0],
      totalram: memory,
      freeram: Math.min(memory, host.freeram * host.mem_unit),
      sharedram: 0,
      bufferram: 0,
      totalswap: 0,
      freeswap: 0,
      procs: Math.min(task.pidNamespace.tasks.size, 0xffff),
      totalhigh: 0,
      freehigh: 0,
      mem_unit: 1,
    }),
  );
}

// getrandom(2)
const GRND_NONBLOCK = 1;
const GRND_RANDOM = 2;
const GRND_INSECURE = 4;
/** What one call gives at most. */
const MAX_RANDOM = 32 * 1024 * 1024 - 1;

function getrandom(task: Task, address: number, count: number, options: number): number {
  if ((options & ~(GRND_NONBLOCK | GRND_RANDOM | GRND_INSECURE)) !== 0) return EINVAL;
  if ((options & (GRND_RANDOM | GRND_INSECURE)) === (GRND_RANDOM | GRND_INSECURE)) return EINVAL;
  const total = Math.min(count, MAX_RANDOM);
  const { ioScratch, host } = task.kernel;
  for (let done = 0; done < total; ) {
    const n = Math.min(total - done, ioScratch.length);
    const chunk = ioScratch.subarray(0, n);
    if (host.getrandom(chunk) !== n) return done > 0 ? done : EFAULT;
    const written = task.thread.space.write(address + done, chunk, 0, n);
    if (written < n) return done + Math.max(written, 0) > 0 ? done + Math.max(written, 0) : EFAULT;
    done += n;
  }
  return total;
}

export const SYSTEM_CALLS = {
  uname: syscall({ x64: 63, man: 'uname(2)', args: [addr], run: uname }),
  sysinfo: syscall({ x64: 99, man: 'sysinfo(2)', args: [addr], run: sysinfo }),
  sethostname: syscall({ x64: 170, man: 'sethostname(2)', args: [addr, int], run: (task, a, n) => setName(task, 'nodename', a, n) }),
  setdomainname: syscall({ x64: 171, man: 'setdomainname(2)', args: [addr, int], run: (task, a, n) => setName(task, 'domainname', a, n) }),
  getrandom: syscall({ x64: 318, man: 'getrandom(2)', args: [addr, size, flags], run: getrandom }),
};
