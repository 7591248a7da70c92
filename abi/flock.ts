/** Locks: fcntl(2)'s struct flock, flock(2)'s operations. */
import { i16, i32, off64, pad, struct } from './struct.ts';

export const Flock = struct('flock', 32, {
  l_type: i16,
  l_whence: i16,
  __pad0: pad(4),
  l_start: off64,
  l_len: off64,
  l_pid: i32,
  __pad1: pad(4),
});

export const LOCK_SH = 1;
export const LOCK_EX = 2;
export const LOCK_NB = 4;
export const LOCK_UN = 8;
/** Once asked for locks that bind everybody; Linux 5.17 and later say yes and do nothing. */
export const LOCK_MAND = 32;
