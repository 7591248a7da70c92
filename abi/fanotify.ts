/** fanotify(7). */
import { i32, struct, u8, u16, u32, u64 } from './struct.ts';

// fanotify_init(2) flags
export const FAN_CLOEXEC = 1;
export const FAN_NONBLOCK = 2;
export const FAN_UNLIMITED_QUEUE = 0x10;
export const FAN_UNLIMITED_MARKS = 0x20;

// fanotify_mark(2) flags
export const FAN_MARK_ADD = 1;
export const FAN_MARK_REMOVE = 2;
export const FAN_MARK_DONT_FOLLOW = 4;
export const FAN_MARK_ONLYDIR = 8;
export const FAN_MARK_MOUNT = 0x10;
export const FAN_MARK_IGNORED_MASK = 0x20;
export const FAN_MARK_IGNORED_SURV_MODIFY = 0x40;
export const FAN_MARK_FLUSH = 0x80;
export const FAN_MARK_FILESYSTEM = 0x100;

// Events; as inotify(7) numbers them
export const FAN_ACCESS = 1;
export const FAN_MODIFY = 2;
export const FAN_CLOSE_WRITE = 8;
export const FAN_CLOSE_NOWRITE = 0x10;
export const FAN_OPEN = 0x20;
export const FAN_Q_OVERFLOW = 0x4000;
export const FAN_EVENT_ON_CHILD = 0x0800_0000;
export const FAN_ONDIR = 0x4000_0000;
/** Of an object, told with a descriptor. */
export const FAN_EVENTS = FAN_ACCESS | FAN_MODIFY | FAN_CLOSE_WRITE | FAN_CLOSE_NOWRITE | FAN_OPEN;

export const FANOTIFY_METADATA_VERSION = 3;
export const FAN_NOFD = -1;

export const FanotifyEventMetadata = struct('fanotify_event_metadata', 24, {
  event_len: u32,
  vers: u8,
  reserved: u8,
  metadata_len: u16,
  mask: u64,
  fd: i32,
  pid: i32,
});
