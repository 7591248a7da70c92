/** capget(2), capset(2). */
import {
  _LINUX_CAPABILITY_VERSION_1,
  _LINUX_CAPABILITY_VERSION_2,
  _LINUX_CAPABILITY_VERSION_3,
  CapUserData,
  CapUserHeader,
} from '../../abi/capability.ts';
import { EFAULT, EINVAL, EPERM, type Errno, ESRCH, isErrno } from '../../abi/errno.ts';
import { ALL_CAPS, CAP_SETPCAP, type Capabilities, hasOwnCap } from '../kernel/credentials.ts';
import type { Task } from '../kernel/task.ts';
import { addr, syscall } from './definition.ts';

interface Header {
  readonly pid: number;
  /** Data structures that follow: 1 or 2. */
  readonly words: number;
}

/** EINVAL after the version that is spoken here was written back: how a library probes. */
function readHeader(task: Task, address: number): Header | Errno {
  const raw = task.readBytes(address, CapUserHeader.size);
  if (isErrno(raw)) return raw;
  const { version, pid } = CapUserHeader.decode(raw as Uint8Array);
  if (version === _LINUX_CAPABILITY_VERSION_1) return { pid, words: 1 };
  if (version === _LINUX_CAPABILITY_VERSION_2 || version === _LINUX_CAPABILITY_VERSION_3) return { pid, words: 2 };
  return task.writeU32(address, _LINUX_CAPABILITY_VERSION_3) === 0 ? EINVAL : EFAULT;
}

function capget(task: Task, address: number, data: number): number {
  const header = readHeader(task, address);
  if (isErrno(header)) return header === EINVAL && data === 0 ? 0 : header;
  const { pid, words } = header as Header;
  if (pid < 0) return EINVAL;
  const target = pid === 0 ? task : task.pidNamespace.tasks.get(pid);
  if (target === undefined) return ESRCH;
  if (data === 0) return 0;
  const { effective, permitted, inheritable } = target.creds.caps;
  const out = new Uint8Array(words * CapUserData.size);
  for (let i = 0; i < words; i++) {
    const word = (set: bigint): number => Number((set >> BigInt(32 * i)) & 0xffff_ffffn);
    CapUserData.write(new DataView(out.buffer), i * CapUserData.size, {
      effective: word(effective),
      permitted: word(permitted),
      inheritable: word(inheritable),
    });
  }
  return task.copyOut(data, out);
}

function capset(task: Task, address: number, data: number): number {
  const header = readHeader(task, address);
  if (isErrno(header)) return header;
  const { pid, words } = header as Header;
  if (pid !== 0 && pid !== task.tid) return EPERM;
  const raw = task.readBytes(data, words * CapUserData.size);
  if (isErrno(raw)) return raw;
  const given = { effective: 0n, permitted: 0n, inheritable: 0n };
  for (let i = 0; i < words; i++) {
    const part = CapUserData.read(new DataView((raw as Uint8Array).buffer), i * CapUserData.size);
    for (const set of ['effective', 'permitted', 'inheritable'] as const) given[set] |= (BigInt(part[set]) << BigInt(32 * i)) & ALL_CAPS;
  }
  const next = checked(task, given);
  if (next === null) return EPERM;
  task.creds = { ...task.creds, caps: next };
  return 0;
}

/** capset(2)'s rules; null: not permitted. */
function checked(task: Task, given: Pick<Capabilities, 'effective' | 'permitted' | 'inheritable'>): Capabilities | null {
  const { caps } = task.creds;
  const within = (set: bigint, limit: bigint): boolean => (set & ~limit) === 0n;
  if (!hasOwnCap(task.creds, CAP_SETPCAP) && !within(given.inheritable, caps.inheritable | caps.permitted)) return null;
  if (!within(given.inheritable, caps.inheritable | caps.bounding)) return null;
  if (!within(given.permitted, caps.permitted) || !within(given.effective, given.permitted)) return null;
  return { ...given, bounding: caps.bounding, ambient: caps.ambient & given.permitted & given.inheritable };
}

export const CAPABILITY_CALLS = {
  capget: syscall({ x64: 125, man: 'capget(2)', args: [addr, addr], run: capget }),
  capset: syscall({ x64: 126, man: 'capget(2)', args: [addr, addr], run: capset }),
};
