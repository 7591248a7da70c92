/** The FUSE protocol (linux/fuse.h): numbers and structs of /dev/fuse, version 7.38. */
import { bytes, i32, len64, off64, pad, struct, u16, u32, u64 } from './struct.ts';

export const FUSE_KERNEL_VERSION = 7;
export const FUSE_KERNEL_MINOR_VERSION = 38;
export const FUSE_ROOT_ID = 1n;
/** Major and minor number of /dev/fuse: a "misc" device. */
export const MISC_MAJOR = 10;
export const FUSE_MINOR = 229;
/** Smallest buffer that read(2) of the device takes. */
export const FUSE_MIN_READ_BUFFER = 8192;
export const FUSE_NAME_MAX = 1024;
export const FUSE_SUPER_MAGIC = 0x6573_5546;

// Operations
export const FUSE_LOOKUP = 1;
export const FUSE_FORGET = 2;
export const FUSE_GETATTR = 3;
export const FUSE_SETATTR = 4;
export const FUSE_READLINK = 5;
export const FUSE_SYMLINK = 6;
export const FUSE_MKNOD = 8;
export const FUSE_MKDIR = 9;
export const FUSE_UNLINK = 10;
export const FUSE_RMDIR = 11;
export const FUSE_RENAME = 12;
export const FUSE_LINK = 13;
export const FUSE_OPEN = 14;
export const FUSE_READ = 15;
export const FUSE_WRITE = 16;
export const FUSE_STATFS = 17;
export const FUSE_RELEASE = 18;
export const FUSE_FSYNC = 20;
export const FUSE_SETXATTR = 21;
export const FUSE_GETXATTR = 22;
export const FUSE_LISTXATTR = 23;
export const FUSE_REMOVEXATTR = 24;
export const FUSE_FLUSH = 25;
export const FUSE_INIT = 26;
export const FUSE_OPENDIR = 27;
export const FUSE_READDIR = 28;
export const FUSE_RELEASEDIR = 29;
export const FUSE_FSYNCDIR = 30;
export const FUSE_GETLK = 31;
export const FUSE_SETLK = 32;
export const FUSE_SETLKW = 33;
export const FUSE_ACCESS = 34;
export const FUSE_CREATE = 35;
export const FUSE_INTERRUPT = 36;
export const FUSE_IOCTL = 39;
export const FUSE_POLL = 40;
export const FUSE_NOTIFY_REPLY = 41;
export const FUSE_BATCH_FORGET = 42;
export const FUSE_FALLOCATE = 43;
export const FUSE_READDIRPLUS = 44;
export const FUSE_RENAME2 = 45;
export const FUSE_LSEEK = 46;
export const FUSE_COPY_FILE_RANGE = 47;
export const FUSE_TMPFILE = 51;

// Flags of INIT
export const FUSE_ASYNC_READ = 1 << 0;
export const FUSE_POSIX_LOCKS = 1 << 1;
export const FUSE_ATOMIC_O_TRUNC = 1 << 3;
export const FUSE_BIG_WRITES = 1 << 5;
export const FUSE_DONT_MASK = 1 << 6;
export const FUSE_FLOCK_LOCKS = 1 << 10;
export const FUSE_HAS_IOCTL_DIR = 1 << 11;
export const FUSE_AUTO_INVAL_DATA = 1 << 12;
export const FUSE_DO_READDIRPLUS = 1 << 13;
export const FUSE_READDIRPLUS_AUTO = 1 << 14;
export const FUSE_NO_OPEN_SUPPORT = 1 << 17;
export const FUSE_PARALLEL_DIROPS = 1 << 18;
export const FUSE_HANDLE_KILLPRIV = 1 << 19;
export const FUSE_ABORT_ERROR = 1 << 21;
export const FUSE_MAX_PAGES = 1 << 22;
export const FUSE_NO_OPENDIR_SUPPORT = 1 << 24;
export const FUSE_EXPLICIT_INVAL_DATA = 1 << 25;

// Flags of OPEN's answer
export const FOPEN_DIRECT_IO = 1 << 0;
export const FOPEN_KEEP_CACHE = 1 << 1;
export const FOPEN_NONSEEKABLE = 1 << 2;
export const FOPEN_STREAM = 1 << 4;
export const FOPEN_NOFLUSH = 1 << 5;

// Which fields of SETATTR count
export const FATTR_MODE = 1 << 0;
export const FATTR_UID = 1 << 1;
export const FATTR_GID = 1 << 2;
export const FATTR_SIZE = 1 << 3;
export const FATTR_ATIME = 1 << 4;
export const FATTR_MTIME = 1 << 5;
export const FATTR_FH = 1 << 6;

// Other flags
export const FUSE_GETATTR_FH = 1 << 0;
export const FUSE_READ_LOCKOWNER = 1 << 1;
export const FUSE_WRITE_CACHE = 1 << 0;
export const FUSE_WRITE_LOCKOWNER = 1 << 1;
export const FUSE_RELEASE_FLUSH = 1 << 0;
export const FUSE_RELEASE_FLOCK_UNLOCK = 1 << 1;
export const FUSE_FSYNC_FDATASYNC = 1 << 0;
export const FUSE_LK_FLOCK = 1 << 0;
export const FUSE_IOCTL_DIR = 1 << 4;
export const FUSE_IOCTL_RETRY = 1 << 2;
export const FUSE_POLL_SCHEDULE_NOTIFY = 1 << 0;

// Notifications: the error field of a message without a request
export const FUSE_NOTIFY_POLL = 1;
export const FUSE_NOTIFY_INVAL_INODE = 2;
export const FUSE_NOTIFY_INVAL_ENTRY = 3;
export const FUSE_NOTIFY_STORE = 4;
export const FUSE_NOTIFY_RETRIEVE = 5;
export const FUSE_NOTIFY_DELETE = 6;

/** _IOR(229, 0, uint32_t): makes this open device another one of the connection that a descriptor names. */
export const FUSE_DEV_IOC_CLONE = 0x8004_e500;

export const FuseInHeader = struct('fuse_in_header', 40, {
  len: u32,
  opcode: u32,
  unique: len64,
  nodeid: u64,
  uid: u32,
  gid: u32,
  pid: u32,
  __ext: pad(4),
});
export const FuseOutHeader = struct('fuse_out_header', 16, { len: u32, error: i32, unique: len64 });

export const FuseInitIn = struct('fuse_init_in', 64, {
  major: u32,
  minor: u32,
  max_readahead: u32,
  flags: u32,
  flags2: u32,
  __unused: pad(44),
});
/** Servers before 7.23 end it after max_write. */
export const FuseInitOut = struct('fuse_init_out', 64, {
  major: u32,
  minor: u32,
  max_readahead: u32,
  flags: u32,
  max_background: u16,
  congestion_threshold: u16,
  max_write: u32,
  time_gran: u32,
  max_pages: u16,
  __map_alignment: pad(2),
  __rest: pad(32),
});
export const FUSE_COMPAT_22_INIT_OUT_SIZE = 24;

/** Sizes are exact below 2^53; what is larger is refused where it is read. */
export const FuseAttr = struct('fuse_attr', 88, {
  ino: u64,
  size: len64,
  blocks: len64,
  atime: off64,
  mtime: off64,
  ctime: off64,
  atimensec: u32,
  mtimensec: u32,
  ctimensec: u32,
  mode: u32,
  nlink: u32,
  uid: u32,
  gid: u32,
  rdev: u32,
  blksize: u32,
  flags: u32,
});
/** In front of the attributes. */
export const FuseEntryOut = struct('fuse_entry_out', 128, {
  nodeid: u64,
  generation: u64,
  entry_valid: len64,
  attr_valid: len64,
  entry_valid_nsec: u32,
  attr_valid_nsec: u32,
  __attr: bytes(88),
});
export const FuseAttrOut = struct('fuse_attr_out', 104, { attr_valid: len64, attr_valid_nsec: u32, __dummy: pad(4), __attr: bytes(88) });

export const FuseGetattrIn = struct('fuse_getattr_in', 16, { getattr_flags: u32, __dummy: pad(4), fh: u64 });
export const FuseSetattrIn = struct('fuse_setattr_in', 88, {
  valid: u32,
  __padding: pad(4),
  fh: u64,
  size: len64,
  lock_owner: u64,
  atime: off64,
  mtime: off64,
  __ctime: pad(8),
  atimensec: u32,
  mtimensec: u32,
  __ctimensec: pad(4),
  mode: u32,
  __unused4: pad(4),
  uid: u32,
  gid: u32,
  __unused5: pad(4),
});
export const FuseOpenIn = struct('fuse_open_in', 8, { flags: u32, open_flags: u32 });
export const FuseOpenOut = struct('fuse_open_out', 16, { fh: u64, open_flags: u32, __backing_id: pad(4) });
export const FuseCreateIn = struct('fuse_create_in', 16, { flags: u32, mode: u32, umask: u32, open_flags: u32 });
export const FuseMknodIn = struct('fuse_mknod_in', 16, { mode: u32, rdev: u32, umask: u32, __padding: pad(4) });
export const FuseMkdirIn = struct('fuse_mkdir_in', 8, { mode: u32, umask: u32 });
export const FuseRenameIn = struct('fuse_rename_in', 8, { newdir: u64 });
export const FuseRename2In = struct('fuse_rename2_in', 16, { newdir: u64, flags: u32, __padding: pad(4) });
export const FuseLinkIn = struct('fuse_link_in', 8, { oldnodeid: u64 });
export const FuseReadIn = struct('fuse_read_in', 40, {
  fh: u64,
  offset: len64,
  size: u32,
  read_flags: u32,
  lock_owner: u64,
  flags: u32,
  __padding: pad(4),
});
export const FuseWriteIn = struct('fuse_write_in', 40, {
  fh: u64,
  offset: len64,
  size: u32,
  write_flags: u32,
  lock_owner: u64,
  flags: u32,
  __padding: pad(4),
});
export const FuseWriteOut = struct('fuse_write_out', 8, { size: u32, __padding: pad(4) });
export const FuseStatfsOut = struct('fuse_statfs_out', 80, {
  blocks: len64,
  bfree: len64,
  bavail: len64,
  files: len64,
  ffree: len64,
  bsize: u32,
  namelen: u32,
  frsize: u32,
  __padding: pad(28),
});
export const FuseReleaseIn = struct('fuse_release_in', 24, { fh: u64, flags: u32, release_flags: u32, lock_owner: u64 });
export const FuseFlushIn = struct('fuse_flush_in', 24, { fh: u64, __unused: pad(8), lock_owner: u64 });
export const FuseFsyncIn = struct('fuse_fsync_in', 16, { fh: u64, fsync_flags: u32, __padding: pad(4) });
export const FuseSetxattrIn = struct('fuse_setxattr_in', 8, { size: u32, flags: u32 });
export const FuseGetxattrIn = struct('fuse_getxattr_in', 8, { size: u32, __padding: pad(4) });
export const FuseGetxattrOut = struct('fuse_getxattr_out', 8, { size: u32, __padding: pad(4) });
export const FuseLkIn = struct('fuse_lk_in', 48, {
  fh: u64,
  owner: u64,
  start: u64,
  end: u64,
  type: u32,
  pid: u32,
  lk_flags: u32,
  __padding: pad(4),
});
export const FuseLkOut = struct('fuse_lk_out', 24, { start: u64, end: u64, type: u32, pid: u32 });
export const FuseAccessIn = struct('fuse_access_in', 8, { mask: u32, __padding: pad(4) });
export const FuseInterruptIn = struct('fuse_interrupt_in', 8, { unique: len64 });
export const FuseIoctlIn = struct('fuse_ioctl_in', 32, { fh: u64, flags: u32, cmd: u32, arg: len64, in_size: u32, out_size: u32 });
export const FuseIoctlOut = struct('fuse_ioctl_out', 16, { result: i32, flags: u32, __iovs: pad(8) });
export const FusePollIn = struct('fuse_poll_in', 24, { fh: u64, kh: len64, flags: u32, events: u32 });
export const FusePollOut = struct('fuse_poll_out', 8, { revents: u32, __padding: pad(4) });
export const FuseFallocateIn = struct('fuse_fallocate_in', 32, {
  fh: u64,
  offset: len64,
  length: len64,
  mode: u32,
  __padding: pad(4),
});
export const FuseLseekIn = struct('fuse_lseek_in', 24, { fh: u64, offset: off64, whence: u32, __padding: pad(4) });
export const FuseLseekOut = struct('fuse_lseek_out', 8, { offset: len64 });
export const FuseCopyFileRangeIn = struct('fuse_copy_file_range_in', 56, {
  fh_in: u64,
  off_in: len64,
  nodeid_out: u64,
  fh_out: u64,
  off_out: len64,
  len: len64,
  flags: u64,
});
export const FuseForgetIn = struct('fuse_forget_in', 8, { nlookup: len64 });
export const FuseBatchForgetIn = struct('fuse_batch_forget_in', 8, { count: u32, __dummy: pad(4) });
export const FuseForgetOne = struct('fuse_forget_one', 16, { nodeid: u64, nlookup: len64 });

/** In front of the name, which is padded to a multiple of 8 bytes. */
export const FuseDirent = struct('fuse_dirent', 24, { ino: u64, off: u64, namelen: u32, type: u32 });

export const FuseNotifyInvalInode = struct('fuse_notify_inval_inode_out', 24, { ino: u64, off: off64, len: off64 });
export const FuseNotifyInvalEntry = struct('fuse_notify_inval_entry_out', 16, { parent: u64, namelen: u32, flags: u32 });
export const FuseNotifyDelete = struct('fuse_notify_delete_out', 24, { parent: u64, child: u64, namelen: u32, __padding: pad(4) });
export const FuseNotifyStore = struct('fuse_notify_store_out', 24, { nodeid: u64, offset: len64, size: u32, __padding: pad(4) });
export const FuseNotifyRetrieve = struct('fuse_notify_retrieve_out', 32, {
  notify_unique: u64,
  nodeid: u64,
  offset: len64,
  size: u32,
  __padding: pad(4),
});
export const FuseNotifyRetrieveIn = struct('fuse_notify_retrieve_in', 40, {
  __dummy1: pad(8),
  offset: len64,
  size: u32,
  __dummy2: pad(20),
});
export const FuseNotifyPollWakeup = struct('fuse_notify_poll_wakeup_out', 8, { kh: len64 });
