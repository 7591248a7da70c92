/**
 * Every host call that an application process can make, from the stub's code alone: the application may jump there with arguments
 * of its own, so each row must be harmless with any arguments that its constraints let through. All it can reach is its own memory,
 * the descriptors it was given, and more threads and processes in its own cgroup.
 */
import type { HostCall } from '../../lib/host_call_filter.ts';

const WAIT = 0;
const WAKE = 1;
const REQUEUE = 3;
const CMP_REQUEUE = 4;
const WAKE_OP = 5;
const WAIT_BITSET = 9;
const PRIVATE = 128;
const CLOCK_REALTIME = 256;
/** Thread: VM FS FILES SIGHAND THREAD SYSVSEM CHILD_SETTID CHILD_CLEARTID: the host writes its number to its own memory. */
const CLONE_THREAD_FLAGS = 0x125_0f00;
/** Process: CLONE_PARENT with SIGCHLD. */
const CLONE_FORK_FLAGS = 0x8011;
/** MAP_SHARED, MAP_PRIVATE, MAP_FIXED, MAP_NORESERVE may vary. */
const FILE_MAP_VARIES = 0x1 | 0x2 | 0x10 | 0x4000;
/** Advice about one's own pages that changes nothing else: NORMAL to DONTNEED, FREE, REMOVE, fork, huge page, dump, fork-wipe, reclaim, populate. */
const ADVICE = [0, 1, 2, 3, 4, 8, 9, 10, 11, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23];

/** PRIVATE_EXPEDITED, PRIVATE_EXPEDITED_SYNC_CORE, PRIVATE_EXPEDITED_RSEQ with their registrations: the calling process alone. */
const MEMBARRIERS = [8, 16, 32, 64, 128, 256];

/** The frequent ones first: the filter tries them in this order. */
export const HOST_CALLS: readonly HostCall[] = [
  {
    name: 'futex',
    nr: 202,
    when: [{ arg: 1, values: [WAIT, WAKE, WAKE_OP] }],
    reason: 'sleep until the Sentry has answered; set a bit of its own memory atomically',
  },
  {
    name: 'write',
    nr: 1,
    when: [
      { arg: 0, values: [1] },
      { arg: 2, values: [8], wide: true },
    ],
    reason: 'ring the doorbell (an eventfd that the Sentry empties)',
  },
  {
    name: 'futex',
    nr: 202,
    // Nothing that gives a word an owner (PI): what such words say is the Sentry's to keep.
    when: [
      {
        arg: 1,
        values: [
          WAKE | PRIVATE,
          WAIT | PRIVATE,
          WAIT_BITSET | PRIVATE,
          WAIT_BITSET | PRIVATE | CLOCK_REALTIME,
          REQUEUE | PRIVATE,
          CMP_REQUEUE | PRIVATE,
        ],
      },
    ],
    reason: 'futexes of the application itself: found by its own memory alone; any signal ends a wait',
  },
  { name: 'rt_sigreturn', nr: 15, reason: 'the way back to the application; changes its own registers only' },
  {
    name: 'mmap',
    nr: 9,
    // Of 0x4002f: private and anonymous, not shared, not huge pages (those are a host-wide pool).
    when: [{ arg: 3, mask: 0x4002f, values: [0x22], wide: true }],
    reason: 'private memory, which counts against its cgroup',
  },
  {
    name: 'mmap',
    nr: 9,
    when: [{ arg: 3, mask: 0xffff_ffff & ~FILE_MAP_VARIES, values: [0], wide: true }],
    reason: 'a file whose descriptor the Sentry sent, opened with no more rights than the mapping needs',
  },
  { name: 'munmap', nr: 11, reason: 'its own memory' },
  { name: 'mprotect', nr: 10, reason: 'its own memory; a shared file opened read-only stays so' },
  { name: 'mremap', nr: 25, reason: 'its own memory' },
  { name: 'madvise', nr: 28, when: [{ arg: 2, values: ADVICE }], reason: 'its own memory' },
  { name: 'recvmsg', nr: 47, when: [{ arg: 0, values: [0] }], reason: 'descriptors that the Sentry sends to this process' },
  { name: 'close', nr: 3, reason: 'received descriptors' },
  { name: 'dup2', nr: 33, when: [{ arg: 1, values: [0] }], reason: 'a child process puts its own socket in the place of its parent’s' },
  {
    name: 'clone',
    nr: 56,
    when: [{ arg: 0, values: [CLONE_THREAD_FLAGS, CLONE_FORK_FLAGS], wide: true }],
    reason: 'threads and forks; the pids cgroup bounds them',
  },
  {
    name: 'prctl',
    nr: 157,
    when: [
      { arg: 0, values: [1] },
      { arg: 1, values: [9], wide: true },
    ],
    reason: 'PR_SET_PDEATHSIG, SIGKILL: a child process ends with the Sentry',
  },
  {
    name: 'clock_gettime',
    nr: 228,
    when: [{ arg: 0, values: [1, 3] }],
    reason: 'CPU time of the thread itself, told at its end; the time at which a wait begins',
  },
  {
    name: 'membarrier',
    nr: 324,
    when: [
      { arg: 0, values: MEMBARRIERS },
      { arg: 1, values: [0, 1] },
    ],
    reason: 'barriers in its own threads, wherever they run',
  },
  {
    name: 'rseq',
    nr: 334,
    when: [
      { arg: 1, values: [32] },
      { arg: 2, values: [0, 1] },
    ],
    reason: 'the thread’s own restartable sequences: the host writes CPU numbers to its memory and moves its instruction pointer there',
  },
  {
    name: 'restart_syscall',
    nr: 219,
    reason: 'the host’s own way on with a timed wait that it has interrupted (cgroup freezer, a tracer of the host’s)',
  },
  { name: 'exit', nr: 60, reason: 'a thread ends' },
];
