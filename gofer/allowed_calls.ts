/**
 * Every host call that a confined gofer may make, and why. Its root is an empty folder and it holds no descriptor outside of its mounts
 * (but the one folder of its own descriptors), so calls that take a path reach those mounts or nothing.
 */
import { AT_FDCWD, F_DUPFD_CLOEXEC, O_CREAT } from '../abi/fcntl.ts';
import { PROT_EXEC } from '../abi/mman.ts';
import type { HostCall } from '../lib/host_call_filter.ts';

const NO_CODE = { arg: 2, mask: PROT_EXEC, values: [0] };

/** With --host-uds alone. AF_UNIX; what an address names is in a mount: the root is an empty folder. */
export const SOCKET_CALLS: readonly HostCall[] = [
  { name: 'socket', nr: 41, when: [{ arg: 0, values: [1 /* AF_UNIX */] }], reason: "connections to a volume's sockets" },
  { name: 'connect', nr: 42, reason: "a volume's sockets, by a descriptor's number" },
  { name: 'bind', nr: 49, reason: 'socket files on volumes' },
];

export const ALLOWED_CALLS: readonly HostCall[] = [
  // Conversation
  { name: 'recvmsg', nr: 47, reason: 'requests' },
  { name: 'sendto', nr: 44, reason: 'answers' },
  { name: 'sendmsg', nr: 46, reason: 'answers with a descriptor' },
  { name: 'poll', nr: 7, reason: 'more than one connection' },
  { name: 'write', nr: 1, reason: 'answers on the control socket, eventfds of the runtime, last words' },
  { name: 'read', nr: 0, reason: 'eventfds of the runtime' },
  // Files
  { name: 'openat2', nr: 437, reason: 'one name below a descriptor' },
  { name: 'statx', nr: 332, reason: 'attributes' },
  { name: 'close', nr: 3, reason: 'fids that are gone' },
  {
    name: 'openat',
    nr: 257,
    when: [
      { arg: 0, values: [AT_FDCWD] },
      { arg: 2, mask: O_CREAT, values: [0] },
    ],
    reason: 'reopens a descriptor by its number',
  },
  { name: 'readlinkat', nr: 267, reason: 'targets of links' },
  { name: 'getdents64', nr: 217, reason: 'directories' },
  { name: 'pread64', nr: 17, reason: 'Tread' },
  { name: 'pwrite64', nr: 18, reason: 'Twrite' },
  { name: 'fsync', nr: 74, reason: 'Tfsync' },
  { name: 'syncfs', nr: 306, reason: 'sync(2) of the application' },
  { name: 'fstatfs', nr: 138, reason: 'Tstatfs' },
  { name: 'fchownat', nr: 260, reason: 'owners' },
  { name: 'fchmodat', nr: 268, reason: 'modes' },
  { name: 'utimensat', nr: 280, reason: 'times' },
  { name: 'truncate', nr: 76, reason: 'sizes' },
  { name: 'umask', nr: 95, reason: "the container's, which a default ACL replaces" },
  { name: 'mkdirat', nr: 258, reason: 'new directories' },
  { name: 'mknodat', nr: 259, reason: 'new fifos and sockets' },
  { name: 'symlinkat', nr: 266, reason: 'new links' },
  { name: 'linkat', nr: 265, reason: 'more names' },
  { name: 'unlinkat', nr: 263, reason: 'fewer names' },
  { name: 'renameat2', nr: 316, reason: 'other names' },
  { name: 'getxattr', nr: 191, reason: 'extended attributes' },
  { name: 'setxattr', nr: 188, reason: 'extended attributes' },
  { name: 'listxattr', nr: 194, reason: 'extended attributes' },
  { name: 'removexattr', nr: 197, reason: 'extended attributes' },
  { name: 'inotify_init1', nr: 294, reason: 'changes by others, for a client that asks' },
  { name: 'inotify_add_watch', nr: 254, reason: 'what a descriptor stands for; a path reaches nothing else' },
  { name: 'inotify_rm_watch', nr: 255, reason: 'watches that are not wanted any more' },
  { name: 'fcntl', nr: 72, when: [{ arg: 1, values: [F_DUPFD_CLOEXEC] }], reason: 'another fid for a root' },
  { name: 'getrandom', nr: 318, reason: 'a name that nobody else has' },
  // The runtime
  { name: 'futex', nr: 202, reason: 'locks of its threads' },
  { name: 'mmap', nr: 9, when: [NO_CODE], reason: 'its heap; never code' },
  { name: 'mprotect', nr: 10, when: [NO_CODE], reason: 'its heap; never code' },
  { name: 'munmap', nr: 11, reason: 'its heap' },
  { name: 'mremap', nr: 25, reason: 'its heap' },
  { name: 'madvise', nr: 28, reason: 'its heap' },
  { name: 'brk', nr: 12, reason: 'its heap' },
  { name: 'epoll_pwait', nr: 281, reason: "its helper threads' loops" },
  { name: 'epoll_wait', nr: 232, reason: "its helper threads' loops" },
  { name: 'rt_sigprocmask', nr: 14, reason: 'ends of threads' },
  { name: 'rt_sigreturn', nr: 15, reason: 'signal handlers of the runtime' },
  { name: 'clock_gettime', nr: 228, reason: 'where the clock is not mapped' },
  { name: 'clock_nanosleep', nr: 230, reason: 'pauses of the collector' },
  { name: 'sched_getaffinity', nr: 204, reason: 'the collector counts CPUs' },
  { name: 'getpid', nr: 39, reason: 'the collector' },
  { name: 'sched_getparam', nr: 143, reason: 'starts of its helper threads' },
  { name: 'sched_getscheduler', nr: 145, reason: 'starts of its helper threads' },
  { name: 'sched_yield', nr: 24, reason: 'pauses of the collector' },
  { name: 'exit', nr: 60, reason: 'ends of threads' },
  { name: 'exit_group', nr: 231, reason: 'its own end' },
];
