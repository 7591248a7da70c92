/**
 * What the gofer gives up before it reads the first byte from a client: every path of the host, and every right but those that
 * file access in its mounts takes.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { O_CLOEXEC, O_DIRECTORY, O_PATH } from '../abi/fcntl.ts';
import type { Host } from '../lib/host.ts';
import { installFilter } from '../lib/host_call_filter.ts';
import { ALLOWED_CALLS, SOCKET_CALLS } from './allowed_calls.ts';

const NR = {
  chdir: 80,
  fchdir: 81,
  umask: 95,
  pivot_root: 155,
  mount: 165,
  umount2: 166,
  prlimit64: 302,
  fsopen: 430,
  fsconfig: 431,
  fsmount: 432,
} as const;
const RLIMIT_NOFILE = 7;

// mount(2), umount2(2)
const MS_RDONLY = 1;
const MS_NOSUID = 2;
const MS_NODEV = 4;
const MS_NOEXEC = 8;
const MS_REMOUNT = 32;
const MS_REC = 0x4000;
const MS_PRIVATE = 1 << 18;
const MNT_DETACH = 2;

// fsopen(2), fsconfig(2), fsmount(2)
const FSOPEN_CLOEXEC = 1;
const FSCONFIG_SET_STRING = 1;
const FSCONFIG_CMD_CREATE = 6;
const FSMOUNT_CLOEXEC = 1;
const MOUNT_ATTR_RESTRICTED = 2 | 4 | 8; // NOSUID NODEV NOEXEC

/**
 * Capabilities of the gofer, each with its reason (capabilities(7)). They hold in its own user namespace, so for
 * files only.
 */
export const GOFER_CAPABILITIES: readonly { readonly name: string; readonly bit: number; readonly reason: string }[] = [
  { name: 'CAP_CHOWN', bit: 0, reason: 'files of the container belong to its users' },
  { name: 'CAP_DAC_OVERRIDE', bit: 1, reason: "the Sentry decides who may, by the container's users" },
  { name: 'CAP_DAC_READ_SEARCH', bit: 2, reason: 'the same for directories and hard links' },
  { name: 'CAP_FOWNER', bit: 3, reason: 'mode and times of files that belong to its users' },
  { name: 'CAP_FSETID', bit: 4, reason: 'set-id bits as the container sets them' },
  { name: 'CAP_SETFCAP', bit: 31, reason: 'file capabilities as the container sets them' },
];

/** Descriptors it may open: as many as root's limit allows; raised while it still has the right. The number. */
export function raiseDescriptorLimit(host: Host): number {
  const limit = new BigUint64Array(2);
  host.syscall(NR.prlimit64, 0, RLIMIT_NOFILE, null, limit);
  limit[0] = limit[1] as bigint;
  host.syscall(NR.prlimit64, 0, RLIMIT_NOFILE, limit, null);
  return Math.min(Number(limit[0]), 1 << 20);
}

/**
 * Makes the process's own folder of descriptors the working directory: host_calls.ts says what for. `ofItsOwn`: in a procfs that shows this
 * pid namespace and nothing but processes, so that nothing of the host is above it either. @throws Error
 */
export function enterDescriptorFolder(host: Host, ofItsOwn: boolean): void {
  const own = ofItsOwn ? ownProc(host) : -1;
  if (own >= 0) {
    must('enter proc', host.syscall(NR.fchdir, own));
    must('chdir to self/fd', host.syscall(NR.chdir, cString('self/fd')));
    host.close(own);
  } else must('chdir to /proc/self/fd', host.syscall(NR.chdir, cString('/proc/self/fd')));
  host.syscall(NR.umask, 0);
}

/** Negative where the kernel makes none: in a container whose own /proc is partly covered, for instance. */
function ownProc(host: Host): number {
  const context = host.syscall(NR.fsopen, cString('proc'), FSOPEN_CLOEXEC);
  if (context < 0) return context;
  host.syscall(NR.fsconfig, context, FSCONFIG_SET_STRING, cString('subset'), cString('pid'), 0);
  let r = host.syscall(NR.fsconfig, context, FSCONFIG_CMD_CREATE, null, null, 0);
  if (r >= 0) r = host.syscall(NR.fsmount, context, FSMOUNT_CLOEXEC, MOUNT_ATTR_RESTRICTED);
  host.close(context);
  return r;
}

/** An empty read-only folder as root, GOFER_CAPABILITIES and ALLOWED_CALLS alone (`sockets`: and SOCKET_CALLS), in every thread. @throws Error naming the step. */
export function confine(host: Host, sockets: boolean): void {
  const descriptors = must('open the working directory', host.openat(-100, '.', O_PATH | O_DIRECTORY | O_CLOEXEC));
  const oldRoot = must('open the root', host.openat(-100, '/', O_PATH | O_DIRECTORY | O_CLOEXEC));
  const none = cString('none');
  const proc = cString('/proc');
  const flags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
  must('make mounts private', host.syscall(NR.mount, none, cString('/'), null, MS_REC | MS_PRIVATE, null));
  // Any folder will do to put the new root on; this one exists wherever the process got this far.
  must('mount the empty root', host.syscall(NR.mount, none, proc, cString('tmpfs'), flags, cString('size=4k,nr_inodes=2,mode=555')));
  must('pivot_root', host.syscall(NR.pivot_root, proc, proc));
  must('go to the old root', host.syscall(NR.fchdir, oldRoot));
  must('detach the old root', host.syscall(NR.umount2, cString('.'), MNT_DETACH));
  must('make the root read-only', host.syscall(NR.mount, none, cString('/'), null, MS_REMOUNT | MS_RDONLY | flags, null));
  must('go back', host.syscall(NR.fchdir, descriptors));
  host.close(descriptors);
  host.close(oldRoot);
  restrictThreads(host);
  must('install the filter', -Math.abs(installFilter(host, sockets ? [...ALLOWED_CALLS, ...SOCKET_CALLS] : ALLOWED_CALLS)));
}

/** Of one thread, from its /proc status: number in its own pid namespace, and what is left to it. */
interface ThreadStatus {
  readonly tid: number;
  readonly restricted: boolean;
}

function threads(expected: string): ThreadStatus[] {
  return readdirSync('../task').map((task) => {
    const status = readFileSync(`../task/${task}/status`, 'latin1');
    const field = (name: string): string => new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(status)?.[1] ?? '';
    const restricted = field('CapPrm') === expected && field('CapEff') === expected && field('NoNewPrivs') === '1';
    return { tid: Number(field('NSpid').split('\t').at(-1)), restricted };
  });
}

function restrictThreads(host: Host): void {
  const mask = GOFER_CAPABILITIES.reduce((sum, { bit }) => sum | (1n << BigInt(bit)), 0n);
  // What the process does not have it cannot keep.
  const own = BigInt(`0x${/^CapPrm:\s*(\w+)$/m.exec(readFileSync('../status', 'latin1'))?.[1] ?? '0'}`);
  const kept = mask & own;
  const expected = kept.toString(16).padStart(16, '0');
  // A thread may have been started while the others were told: its parent's rights are its own.
  for (let round = 0; round < 5; round++) {
    const left = threads(expected).filter((thread) => !thread.restricted);
    if (left.length === 0) return;
    const tids = Int32Array.from(left, ({ tid }) => tid);
    must('restrict threads', host.restrictThreads(tids, kept));
  }
  throw new Error('some threads keep their capabilities');
}

function cString(text: string): Buffer {
  return Buffer.from(`${text}\0`, 'latin1');
}

function must(what: string, result: number): number {
  if (result < 0) throw new Error(`${what}: errno ${-result}`);
  return result;
}
