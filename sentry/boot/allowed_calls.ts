/**
 * Every host call that a locked-in Sentry may make, and why. Its root is an empty folder, it has no capability, and its descriptors are
 * those it was given: so calls that take a path reach its own procfs or nothing. No exec, no new process, no new namespace, no socket
 * but pairs. Where a row is missing the call answers ENOSYS.
 */
import type { HostCall } from '../../lib/host_call_filter.ts';

/** clone(2): threads of this process only. */
const CLONE_THREAD = 0x1_0000;
// ioctl(2) on terminals, pipes, files and sockets that were handed in.
const TCGETS = 0x5401;
const TCSETS = 0x5402;
const TIOCGWINSZ = 0x5413;
const TIOCSWINSZ = 0x5414;
const FIONREAD = 0x541b;
const FIONBIO = 0x5421;
const TIOCOUTQ = 0x5411;
const FIOCLEX = 0x5451;
// prctl(2)
const PR_SET_NAME = 15;
const PR_SET_VMA = 0x5356_4d41;

/** Threads, waiting, and where they run; what is a platform's own is in platforms/. */
const SCHEDULING: readonly HostCall[] = [
  { name: 'futex', nr: 202, reason: 'wakes stubs; locks of its own threads' },
  { name: 'epoll_pwait2', nr: 441, reason: 'sleeps until a thread of an application or a descriptor wants something' },
  { name: 'timerfd_settime', nr: 286, reason: 'until when it sleeps' },
  { name: 'ppoll', nr: 271, reason: 'the same, on the ptrace and KVM platforms' },
  { name: 'tgkill', nr: 234, reason: 'stops a thread that computes' },
  { name: 'sched_setaffinity', nr: 203, reason: 'keeps callers on its own CPU' },
  { name: 'sched_getaffinity', nr: 204, reason: 'which CPUs there are' },
  { name: 'getcpu', nr: 309, reason: 'where it runs' },
  { name: 'memfd_create', nr: 319, reason: 'slots; files in memory' },
];

/** Files in memory, donated files, streams and sockets that were handed in. */
const FILES: readonly HostCall[] = [
  { name: 'read', nr: 0, reason: 'eventfds, streams, procfs of its own' },
  { name: 'write', nr: 1, reason: 'eventfds, streams, the log' },
  { name: 'readv', nr: 19, reason: 'streams' },
  { name: 'writev', nr: 20, reason: 'streams' },
  { name: 'pread64', nr: 17, reason: 'files' },
  { name: 'pwrite64', nr: 18, reason: 'files' },
  { name: 'preadv2', nr: 327, reason: 'files, without waiting' },
  { name: 'pwritev2', nr: 328, reason: 'files, without waiting' },
  { name: 'close', nr: 3, reason: 'descriptors that are done' },
  { name: 'fstat', nr: 5, reason: 'kind and size of files' },
  { name: 'statx', nr: 332, reason: 'attributes of donated files' },
  { name: 'fstatfs', nr: 138, reason: 'whether a file is in memory' },
  { name: 'lseek', nr: 8, reason: 'holes; streams that can seek' },
  { name: 'ftruncate', nr: 77, reason: 'sizes' },
  { name: 'fallocate', nr: 285, reason: 'holes and room' },
  { name: 'fsync', nr: 74, reason: 'fsync(2) of the application' },
  { name: 'fdatasync', nr: 75, reason: 'fdatasync(2) of the application' },
  { name: 'copy_file_range', nr: 326, reason: 'copies between files' },
  { name: 'fcntl', nr: 72, reason: 'flags and seals of its descriptors' },
  { name: 'dup3', nr: 292, reason: 'descriptors that live on' },
  { name: 'pipe2', nr: 293, reason: 'wakes its own threads' },
  { name: 'openat', nr: 257, reason: 'procfs of its own namespace; elsewhere there is nothing' },
  { name: 'readlinkat', nr: 267, reason: 'procfs of its own namespace' },
  { name: 'getdents64', nr: 217, reason: 'procfs of its own namespace' },
  {
    name: 'ioctl',
    nr: 16,
    when: [{ arg: 1, values: [TCGETS, TCSETS, TIOCGWINSZ, TIOCSWINSZ, FIONREAD, TIOCOUTQ, FIONBIO, FIOCLEX] }],
    reason: 'terminals and streams that were handed in',
  },
];

/** The gofer, the control socket, the packet socket: all made before, but for connections that come in. */
const CONVERSATION: readonly HostCall[] = [
  { name: 'recvmsg', nr: 47, reason: 'answers of the gofer, control requests, descriptors' },
  { name: 'sendmsg', nr: 46, reason: 'requests, descriptors for stubs' },
  { name: 'recvfrom', nr: 45, reason: 'answers, packets' },
  { name: 'sendto', nr: 44, reason: 'requests, packets' },
  { name: 'recvmmsg', nr: 299, reason: 'packets' },
  { name: 'sendmmsg', nr: 307, reason: 'packets' },
  { name: 'accept4', nr: 288, reason: 'control connections' },
  { name: 'listen', nr: 50, reason: 'the control socket' },
  { name: 'shutdown', nr: 48, reason: 'ends of connections' },
  { name: 'getsockopt', nr: 55, reason: 'who asks' },
  { name: 'setsockopt', nr: 54, reason: 'time limits' },
  { name: 'poll', nr: 7, reason: 'one stream' },
  { name: 'epoll_wait', nr: 232, reason: 'all streams; loops of its helper threads' },
  { name: 'epoll_pwait', nr: 281, reason: 'loops of its helper threads' },
  { name: 'epoll_ctl', nr: 233, reason: 'streams that come and go' },
  { name: 'epoll_create1', nr: 291, reason: 'sets of streams' },
  { name: 'eventfd2', nr: 290, reason: 'doorbells' },
];

/** Node.js and V8. */
const RUNTIME: readonly HostCall[] = [
  // V8 must have executable memory; see docs: the gofer, which needs no speed, runs without.
  { name: 'mmap', nr: 9, reason: 'its heap and code; slots of stubs' },
  { name: 'mprotect', nr: 10, reason: 'its heap and code' },
  { name: 'pkey_mprotect', nr: 329, reason: 'its code' },
  { name: 'munmap', nr: 11, reason: 'its heap' },
  { name: 'mremap', nr: 25, reason: 'its heap' },
  { name: 'madvise', nr: 28, reason: 'its heap' },
  { name: 'brk', nr: 12, reason: 'its heap' },
  { name: 'membarrier', nr: 324, reason: 'code that changes' },
  { name: 'clone', nr: 56, when: [{ arg: 0, mask: CLONE_THREAD, values: [CLONE_THREAD] }], reason: 'I/O workers' },
  { name: 'set_robust_list', nr: 273, reason: 'starts of threads' },
  { name: 'rseq', nr: 334, reason: 'starts of threads' },
  { name: 'prctl', nr: 157, when: [{ arg: 0, values: [PR_SET_NAME, PR_SET_VMA] }], reason: 'names of threads and memory' },
  { name: 'rt_sigprocmask', nr: 14, reason: 'starts and ends of threads' },
  { name: 'rt_sigaction', nr: 13, reason: 'the signal of a child' },
  { name: 'rt_sigreturn', nr: 15, reason: 'signal handlers' },
  { name: 'sigaltstack', nr: 131, reason: 'ends of threads' },
  { name: 'restart_syscall', nr: 219, reason: 'sleeps that a signal interrupted' },
  { name: 'clock_gettime', nr: 228, reason: 'where the clock is not mapped' },
  { name: 'clock_nanosleep', nr: 230, reason: 'pauses of the collector' },
  { name: 'getrandom', nr: 318, reason: 'secrets; randomness for the application' },
  { name: 'getpid', nr: 39, reason: 'the collector' },
  { name: 'gettid', nr: 186, reason: 'names of threads' },
  { name: 'getrusage', nr: 98, reason: 'CPU time' },
  { name: 'sysinfo', nr: 99, reason: 'memory of the machine' },
  { name: 'uname', nr: 63, reason: 'the runtime asks once' },
  { name: 'sched_yield', nr: 24, reason: 'pauses of the collector' },
  { name: 'sched_getparam', nr: 143, reason: 'starts of threads' },
  { name: 'sched_getscheduler', nr: 145, reason: 'starts of threads' },
  { name: 'exit', nr: 60, reason: 'ends of threads' },
  { name: 'exit_group', nr: 231, reason: 'its own end' },
];

/** --network=sandbox. */
const SANDBOX_NETWORK: readonly HostCall[] = [
  { name: 'bind', nr: 49, reason: 'packet sockets that were handed in, to their interfaces: it can open none' },
];
/** With --directfs alone. Beneath the mounts' roots as nobody; how openat2 is meant (beneath, no links) a filter cannot see. */
export const DIRECTFS_CALLS: readonly HostCall[] = [{ name: 'openat2', nr: 437, reason: 'files that everybody may read, beneath a mount' }];

/** --network=host: sockets of the application are sockets of the host. */
const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;
const SOCK_TYPE_MASK = 0xf;
const HOST_NETWORK: readonly HostCall[] = [
  {
    name: 'socket',
    nr: 41,
    when: [
      { arg: 0, values: [AF_INET, AF_INET6] },
      { arg: 1, mask: SOCK_TYPE_MASK, values: [SOCK_STREAM, SOCK_DGRAM] },
      { arg: 2, values: [6, 17] },
    ],
    reason: 'TCP and UDP sockets of the application; no other kind',
  },
  { name: 'connect', nr: 42, reason: 'connect(2) of the application' },
  { name: 'bind', nr: 49, reason: 'bind(2) of the application' },
  { name: 'getsockname', nr: 51, reason: 'getsockname(2) of the application' },
  { name: 'getpeername', nr: 52, reason: 'getpeername(2) of the application' },
];

/** What every Sentry needs; the frequent ones first: the filter tries them in order. */
export const ALLOWED_CALLS: readonly HostCall[] = [...SCHEDULING, ...FILES, ...CONVERSATION, ...RUNTIME];
/** What a network mode needs beyond them. */
export const NETWORK_CALLS: Readonly<Record<'sandbox' | 'host' | 'none', readonly HostCall[]>> = {
  sandbox: SANDBOX_NETWORK,
  host: HOST_NETWORK,
  none: [],
};
