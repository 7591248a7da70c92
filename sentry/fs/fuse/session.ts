/** FUSE_INIT: what is offered to the server, and what it takes of that. */
import { EINVAL, type Errno } from '../../../abi/errno.ts';
import * as F from '../../../abi/fuse.ts';
import { PAGE_SIZE } from '../../../abi/mman.ts';

/** Pages of one transfer unless the server asks for more, and at most. */
const DEFAULT_PAGES = 32;
const MAX_PAGES = 256;
const MIN_TRANSFER = PAGE_SIZE;
/** Bytes that are read ahead of a reader. */
const MAX_READAHEAD = 128 << 10;

/**
 * Splicing the device is not among them: bytes would be copied all the same, and a message must not be cut. Nor is the write-back cache: what
 * was written is at the server when write(2) returns.
 */
const OFFERED =
  F.FUSE_ASYNC_READ |
  F.FUSE_POSIX_LOCKS |
  F.FUSE_ATOMIC_O_TRUNC |
  F.FUSE_BIG_WRITES |
  F.FUSE_DONT_MASK |
  F.FUSE_FLOCK_LOCKS |
  F.FUSE_HAS_IOCTL_DIR |
  F.FUSE_AUTO_INVAL_DATA |
  F.FUSE_DO_READDIRPLUS |
  F.FUSE_READDIRPLUS_AUTO |
  F.FUSE_NO_OPEN_SUPPORT |
  F.FUSE_PARALLEL_DIROPS |
  F.FUSE_HANDLE_KILLPRIV |
  F.FUSE_ABORT_ERROR |
  F.FUSE_MAX_PAGES |
  F.FUSE_NO_OPENDIR_SUPPORT |
  F.FUSE_EXPLICIT_INVAL_DATA;

export interface Limits {
  /** FUSE_* flags that both sides have. */
  readonly features: number;
  /** Bytes of one WRITE and of one READ. */
  readonly maxWrite: number;
  readonly maxRead: number;
  readonly readahead: number;
}

export const DEFAULT_LIMITS: Limits = { features: 0, maxWrite: MIN_TRANSFER, maxRead: MIN_TRANSFER, readahead: 0 };

export function initMessage(): Uint8Array {
  return F.FuseInitIn.encode({
    major: F.FUSE_KERNEL_VERSION,
    minor: F.FUSE_KERNEL_MINOR_VERSION,
    max_readahead: MAX_READAHEAD,
    flags: OFFERED,
    flags2: 0,
  });
}

/** maxRead: the mount option. EINVAL: a server of another age. */
export function limitsFrom(reply: Uint8Array, maxRead: number): Limits | Errno {
  const whole = new Uint8Array(F.FuseInitOut.size); // servers of before 7.23 leave the end away
  whole.set(reply);
  const out = F.FuseInitOut.decode(whole);
  // Before 7.9 attributes were shorter; nothing of that age is in use.
  if (out.major !== F.FUSE_KERNEL_VERSION || out.minor < 9 || reply.length < F.FUSE_COMPAT_22_INIT_OUT_SIZE) return EINVAL;
  const features = out.flags & OFFERED;
  const asked = (features & F.FUSE_MAX_PAGES) !== 0 ? Math.min(Math.max(out.max_pages, 1), MAX_PAGES) : DEFAULT_PAGES;
  const most = asked * PAGE_SIZE;
  return {
    features,
    maxWrite: Math.min(Math.max(out.max_write, MIN_TRANSFER), most),
    maxRead: Math.min(Math.max(maxRead, MIN_TRANSFER), most),
    readahead: Math.min(out.max_readahead, MAX_READAHEAD),
  };
}
