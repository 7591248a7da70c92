/** clone(2), clone3(2), wait(2): flags, x86-64. */
import { len64, struct, u64 } from './struct.ts';

// clone(2)
export const CSIGNAL = 0xff;
export const CLONE_VM = 0x100;
export const CLONE_FS = 0x200;
export const CLONE_FILES = 0x400;
export const CLONE_SIGHAND = 0x800;
export const CLONE_PIDFD = 0x1000;
export const CLONE_PTRACE = 0x2000;
export const CLONE_VFORK = 0x4000;
export const CLONE_PARENT = 0x8000;
export const CLONE_THREAD = 0x10000;
export const CLONE_NEWNS = 0x20000;
export const CLONE_SYSVSEM = 0x40000;
export const CLONE_SETTLS = 0x80000;
export const CLONE_PARENT_SETTID = 0x100000;
export const CLONE_CHILD_CLEARTID = 0x200000;
export const CLONE_DETACHED = 0x400000;
export const CLONE_UNTRACED = 0x800000;
export const CLONE_CHILD_SETTID = 0x1000000;
export const CLONE_NEWCGROUP = 0x2000000;
export const CLONE_NEWUTS = 0x4000000;
export const CLONE_NEWIPC = 0x8000000;
export const CLONE_NEWUSER = 0x10000000;
export const CLONE_NEWPID = 0x20000000;
export const CLONE_NEWNET = 0x40000000;
export const CLONE_IO = 0x80000000;
/** clone3(2) and unshare(2) alone. */
export const CLONE_NEWTIME = 0x80;
export const CLONE_CLEAR_SIGHAND_HIGH = 1;
export const CLONE_INTO_CGROUP_HIGH = 2;
/** Depth of nested pid namespaces, at most: what set_tid may name. */
export const MAX_PID_NS_LEVEL = 32;

/** struct clone_args (clone(2)), the first version's 64 bytes and what later ones added. */
export const CloneArgs = struct('clone_args', 88, {
  flags: u64,
  pidfd: len64,
  child_tid: len64,
  parent_tid: len64,
  exit_signal: len64,
  stack: len64,
  stack_size: len64,
  tls: len64,
  set_tid: len64,
  set_tid_size: len64,
  cgroup: len64,
});
export const CLONE_ARGS_SIZE_VER0 = 64;

// wait(2)
export const WNOHANG = 1;
export const WUNTRACED = 2;
export const WSTOPPED = 2;
export const WEXITED = 4;
export const WCONTINUED = 8;
export const WNOWAIT = 0x1000000;
export const __WNOTHREAD = 0x20000000;
export const __WALL = 0x40000000;
export const __WCLONE = 0x80000000;
export const P_ALL = 0;
export const P_PID = 1;
export const P_PGID = 2;
export const P_PIDFD = 3;

// sched_setscheduler(2)
export const SCHED_OTHER = 0;
export const SCHED_FIFO = 1;
export const SCHED_RR = 2;
export const SCHED_BATCH = 3;
export const SCHED_IDLE = 5;
export const SCHED_DEADLINE = 6;
export const SCHED_RESET_ON_FORK = 0x4000_0000;
