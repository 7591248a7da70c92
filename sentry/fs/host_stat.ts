/** fstat(2) of a host descriptor. */
import { type Errno, isErrno } from '../../abi/errno.ts';
import { len64, off64, pad, struct, u32, u64 } from '../../abi/struct.ts';
import type { Host } from '../../lib/host.ts';

const FSTAT = 5;

/** struct stat, x86-64 (stat(3type)); what lies behind the times is not looked at. */
const RawStat = struct('stat', 144, {
  st_dev: u64,
  st_ino: u64,
  st_nlink: len64,
  st_mode: u32,
  st_uid: u32,
  st_gid: u32,
  __pad0: pad(4),
  st_rdev: len64,
  st_size: off64,
  st_blksize: len64,
  st_blocks: len64,
  __rest: pad(72),
});

export interface HostStat {
  readonly mode: number;
  readonly rdev: number;
  readonly size: number;
  readonly blksize: number;
  readonly blocks: number;
}

export function hostStat(host: Host, fd: number): HostStat | Errno {
  const raw = new Uint8Array(RawStat.size);
  const r = host.syscall(FSTAT, fd, raw);
  if (isErrno(r)) return r;
  const { st_mode, st_rdev, st_size, st_blksize, st_blocks } = RawStat.decode(raw);
  return { mode: st_mode, rdev: st_rdev, size: st_size, blksize: st_blksize, blocks: st_blocks };
}
