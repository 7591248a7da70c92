/**
 * How the Sentry locks itself in. It starts as uid 0 of a user namespace of its own, in mount, pid, ipc and uts namespaces of its own. Order:
 *
 *   1. openProc: a procfs of its own pid namespace, processes only, reachable by a descriptor alone.
 *   2. everything that is opened by path (stub program, devices of the platform).
 *   3. emptyRoot: "/" becomes an empty, read-only folder in memory.
 *   4. dropIdentity: another uid in every thread, and with it no capability; it cannot come back (no_new_privs since before exec).
 *   5. verify: reads back from the kernel that it is so for every thread. A Sentry that is not locked in does not run.
 *   6. filterCalls, once the platform has its first process: a list of host calls (allowed_calls.ts).
 */
import { EINVAL, ENOSYS, errnoName } from '../../abi/errno.ts';
import { O_CLOEXEC, O_DIRECTORY, O_RDONLY } from '../../abi/fcntl.ts';
import { SECCOMP_RET_ERRNO } from '../../abi/seccomp.ts';
import type { Host } from '../../lib/host.ts';
import { type HostCall, installFilter } from '../../lib/host_call_filter.ts';
import { ALLOWED_CALLS, DIRECTFS_CALLS, NETWORK_CALLS } from './allowed_calls.ts';

// Host system calls, x86-64.
const NR = {
  chdir: 80,
  prctl: 157,
  pivot_root: 155,
  mount: 165,
  umount2: 166,
  getdents64: 217,
  fsopen: 430,
  fsconfig: 431,
  fsmount: 432,
} as const;
// mount(2), umount(2), fsopen(2), mount_setattr(2), prctl(2)
const MS_RDONLY = 1;
const MS_NOSUID = 2;
const MS_NODEV = 4;
const MS_NOEXEC = 8;
const MS_REMOUNT = 32;
const MS_REC = 16384;
const MS_PRIVATE = 1 << 18;
const MNT_DETACH = 2;
const FSOPEN_CLOEXEC = 1;
const FSMOUNT_CLOEXEC = 1;
const FSCONFIG_SET_STRING = 1;
const FSCONFIG_CMD_CREATE = 6;
const MOUNT_ATTR_RESTRICTED = 0x2 | 0x4 | 0x8; // NOSUID NODEV NOEXEC
const PR_SET_DUMPABLE = 4;

function text(value: string): Uint8Array {
  return Buffer.from(`${value}\0`, 'latin1');
}

function must(what: string, result: number): number {
  if (result < 0) throw new Error(`cannot lock the sandbox in: ${what}: ${errnoName(result)}`);
  return result;
}

/** Descriptor of a fresh procfs that shows this pid namespace and nothing but processes (where the kernel can leave the rest out). */
export function openProc(host: Host): number {
  const context = must('fsopen proc', host.syscall(NR.fsopen, text('proc'), FSOPEN_CLOEXEC));
  const subset = host.syscall(NR.fsconfig, context, FSCONFIG_SET_STRING, text('subset'), text('pid'), 0);
  if (subset < 0 && subset !== EINVAL) must('fsconfig subset=pid', subset);
  must('fsconfig proc (is /proc of the caller partly covered?)', host.syscall(NR.fsconfig, context, FSCONFIG_CMD_CREATE, null, null, 0));
  const fd = must('fsmount proc', host.syscall(NR.fsmount, context, FSMOUNT_CLOEXEC, MOUNT_ATTR_RESTRICTED));
  host.close(context);
  return fd;
}

export function emptyRoot(host: Host): void {
  must('make mounts private', host.syscall(NR.mount, text('none'), text('/'), null, MS_REC | MS_PRIVATE, null));
  // Any folder will do as the place; it is never seen again.
  const place = text('/proc');
  const flags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
  must('mount tmpfs', host.syscall(NR.mount, text('none'), place, text('tmpfs'), flags, text('mode=0555,size=4k,nr_inodes=1')));
  must('chdir', host.syscall(NR.chdir, place));
  must('pivot_root', host.syscall(NR.pivot_root, text('.'), text('.')));
  must('umount', host.syscall(NR.umount2, text('.'), MNT_DETACH));
  must('make the root read-only', host.syscall(NR.mount, text('none'), text('/'), null, MS_REMOUNT | MS_RDONLY | flags, null));
  must('chdir /', host.syscall(NR.chdir, text('/')));
}

/** uid and gid of every thread. */
export function dropIdentity(host: Host, nobody: number): void {
  must('change the user', host.setIdentity(nobody, nobody));
  // Its children (the application's processes) are read and written through it; other namespaces cannot reach in all the same.
  must('stay readable to itself', host.syscall(NR.prctl, PR_SET_DUMPABLE, 1, 0, 0, 0));
}

/** @throws Error naming the thread and the line. */
export function verify(host: Host, procFd: number, nobody: number): void {
  const tasks = must('open self/task', host.openat(procFd, 'self/task', O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const threads = listNumbers(host, tasks);
  host.close(tasks);
  if (threads.length === 0) throw new Error('cannot lock the sandbox in: no thread is visible in its procfs');
  for (const thread of threads) {
    const wrong = wrongLine(readText(host, procFd, `self/task/${thread}/status`), nobody);
    if (wrong !== null) throw new Error(`cannot lock the sandbox in: thread ${thread} still has ${wrong}`);
  }
  const root = host.openat(-100, '/proc', O_RDONLY | O_CLOEXEC);
  if (root >= 0) throw new Error('cannot lock the sandbox in: the root still has /proc');
}

/** The first line of /proc/PID/status that gives too much; null if none does. */
export function wrongLine(status: string, nobody: number): string | null {
  const lines = new Map(status.split('\n').map((line) => line.split(':\t') as [string, string]));
  for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapAmb']) if (Number(`0x${lines.get(set)}`) !== 0) return `${set} ${lines.get(set)}`;
  for (const ids of ['Uid', 'Gid']) if (lines.get(ids) !== Array(4).fill(nobody).join('\t')) return `${ids} ${lines.get(ids)}`;
  if (lines.get('NoNewPrivs') !== '1') return `NoNewPrivs ${lines.get('NoNewPrivs')}`;
  return null;
}

function readText(host: Host, dir: number, path: string): string {
  const fd = must(`open ${path}`, host.openat(dir, path, O_RDONLY | O_CLOEXEC));
  const bytes = new Uint8Array(8192);
  const n = host.read(fd, bytes);
  host.close(fd);
  return Buffer.from(bytes.buffer, 0, must(`read ${path}`, n)).toString('latin1');
}

/** Numeric names in a directory (getdents64(2)). */
function listNumbers(host: Host, fd: number): number[] {
  const found: number[] = [];
  const bytes = new Uint8Array(16384);
  const view = new DataView(bytes.buffer);
  for (;;) {
    const n = must('list threads', host.syscall(NR.getdents64, fd, bytes, bytes.length));
    if (n === 0) return found;
    for (let at = 0; at < n; at += view.getUint16(at + 16, true)) {
      const name = Buffer.from(bytes.buffer, at + 19, 16)
        .toString('latin1')
        .split('\0')[0] as string;
      if (/^\d+$/.test(name)) found.push(Number(name));
    }
  }
}

/** From here on only the listed host calls; for every thread. */
export function filterCalls(host: Host, platform: readonly HostCall[], network: keyof typeof NETWORK_CALLS, directfs: boolean): void {
  const calls = [...platform, ...ALLOWED_CALLS, ...NETWORK_CALLS[network], ...(directfs ? DIRECTFS_CALLS : [])];
  const r = must('filter host calls', installFilter(host, calls, SECCOMP_RET_ERRNO | -ENOSYS));
  if (r > 0) throw new Error(`cannot lock the sandbox in: thread ${r} does not take the filter of host calls`);
}
