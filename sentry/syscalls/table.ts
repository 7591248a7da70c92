/** The one table: number → row. Each sys_*.ts file exports its rows; dispatch, strace, counters and docs/compatibility.md read this. */
import type { Syscall } from './definition.ts';
import { AIO_CALLS } from './sys_aio.ts';
import { ATTR_CALLS } from './sys_attr.ts';
import { CAPABILITY_CALLS } from './sys_capabilities.ts';
import { CREDENTIAL_CALLS } from './sys_creds.ts';
import { DIR_CALLS } from './sys_dir.ts';
import { EPOLL_CALLS } from './sys_epoll.ts';
import { EVENTFD_CALLS } from './sys_eventfd.ts';
import { FANOTIFY_CALLS } from './sys_fanotify.ts';
import { FCNTL_CALLS } from './sys_fcntl.ts';
import { FUTEX_CALLS } from './sys_futex.ts';
import { INOTIFY_CALLS } from './sys_inotify.ts';
import { KILL_CALLS } from './sys_kill.ts';
import { LIMIT_CALLS } from './sys_limits.ts';
import { LINK_CALLS } from './sys_link.ts';
import { LOCK_CALLS } from './sys_lock.ts';
import { MEMBARRIER_CALLS } from './sys_membarrier.ts';
import { MEMFD_CALLS } from './sys_memfd.ts';
import { MISC_CALLS } from './sys_misc.ts';
import { MEMORY_CALLS } from './sys_mm.ts';
import { MOUNT_CALLS } from './sys_mount.ts';
import { MOUNT_FD_CALLS } from './sys_mount_fd.ts';
import { MOUNT_SETATTR_CALLS } from './sys_mount_setattr.ts';
import { MOVE_PAGES_CALLS } from './sys_move_pages.ts';
import { MQUEUE_CALLS } from './sys_mqueue.ts';
import { MSG_CALLS } from './sys_msg.ts';
import { NAMESPACE_CALLS } from './sys_namespace.ts';
import { OPEN_CALLS } from './sys_open.ts';
import { PIDFD_CALLS } from './sys_pidfd.ts';
import { PIPE_CALLS } from './sys_pipe.ts';
import { POLL_CALLS } from './sys_poll.ts';
import { PRCTL_CALLS } from './sys_prctl.ts';
import { PROCESS_CALLS } from './sys_process.ts';
import { PROCESS_MEMORY_CALLS } from './sys_process_memory.ts';
import { PTRACE_CALLS } from './sys_ptrace.ts';
import { READWRITE_CALLS } from './sys_readwrite.ts';
import { REFUSED_CALLS } from './sys_refused.ts';
import { RSEQ_CALLS } from './sys_rseq.ts';
import { SCHED_CALLS } from './sys_sched.ts';
import { SECCOMP_CALLS } from './sys_seccomp.ts';
import { SELECT_CALLS } from './sys_select.ts';
import { SEM_CALLS } from './sys_sem.ts';
import { SENDFILE_CALLS } from './sys_sendfile.ts';
import { SENDMSG_CALLS } from './sys_sendmsg.ts';
import { SESSION_CALLS } from './sys_session.ts';
import { SETNS_CALLS } from './sys_setns.ts';
import { SHM_CALLS } from './sys_shm.ts';
import { SIGNAL_CALLS } from './sys_signal.ts';
import { SIGNALFD_CALLS } from './sys_signalfd.ts';
import { SOCKET_CALLS } from './sys_socket.ts';
import { SPLICE_CALLS } from './sys_splice.ts';
import { STAT_CALLS } from './sys_stat.ts';
import { SYNC_CALLS } from './sys_sync.ts';
import { SYSTEM_CALLS } from './sys_system.ts';
import { THREAD_CALLS } from './sys_thread.ts';
import { TIME_CALLS } from './sys_time.ts';
import { TIMER_CALLS } from './sys_timer.ts';
import { TIMERFD_CALLS } from './sys_timerfd.ts';
import { TRUNCATE_CALLS } from './sys_truncate.ts';
import { UTIME_CALLS } from './sys_utime.ts';
import { XATTR_CALLS } from './sys_xattr.ts';

/** Rows by name, file by file. */
export const SYSCALLS: Readonly<Record<string, Syscall>> = {
  ...OPEN_CALLS,
  ...READWRITE_CALLS,
  ...STAT_CALLS,
  ...DIR_CALLS,
  ...LINK_CALLS,
  ...ATTR_CALLS,
  ...UTIME_CALLS,
  ...TRUNCATE_CALLS,
  ...XATTR_CALLS,
  ...FCNTL_CALLS,
  ...LOCK_CALLS,
  ...SYNC_CALLS,
  ...SENDFILE_CALLS,
  ...SPLICE_CALLS,
  ...MOUNT_CALLS,
  ...MOUNT_FD_CALLS,
  ...MOUNT_SETATTR_CALLS,
  ...MEMBARRIER_CALLS,
  ...RSEQ_CALLS,
  ...MEMORY_CALLS,
  ...NAMESPACE_CALLS,
  ...SETNS_CALLS,
  ...PIPE_CALLS,
  ...PROCESS_CALLS,
  ...PROCESS_MEMORY_CALLS,
  ...EPOLL_CALLS,
  ...EVENTFD_CALLS,
  ...POLL_CALLS,
  ...SELECT_CALLS,
  ...SENDMSG_CALLS,
  ...SOCKET_CALLS,
  ...MEMFD_CALLS,
  ...PIDFD_CALLS,
  ...SIGNALFD_CALLS,
  ...TIMERFD_CALLS,
  ...SHM_CALLS,
  ...SEM_CALLS,
  ...MSG_CALLS,
  ...INOTIFY_CALLS,
  ...FANOTIFY_CALLS,
  ...MOVE_PAGES_CALLS,
  ...MQUEUE_CALLS,
  ...AIO_CALLS,
  ...SESSION_CALLS,
  ...CAPABILITY_CALLS,
  ...CREDENTIAL_CALLS,
  ...KILL_CALLS,
  ...LIMIT_CALLS,
  ...SIGNAL_CALLS,
  ...SYSTEM_CALLS,
  ...THREAD_CALLS,
  ...TIME_CALLS,
  ...TIMER_CALLS,
  ...FUTEX_CALLS,
  ...MISC_CALLS,
  ...PRCTL_CALLS,
  ...REFUSED_CALLS,
  ...SCHED_CALLS,
  ...SECCOMP_CALLS,
  ...PTRACE_CALLS,
};

/** By number; undefined answers ENOSYS. */
export function buildTable(rows: Readonly<Record<string, Syscall>>): (Syscall | undefined)[] {
  const table: (Syscall | undefined)[] = [];
  for (const [name, row] of Object.entries(rows)) {
    if (table[row.number] !== undefined) throw new Error(`system call ${row.number} (${name}) is declared twice`);
    table[row.number] = row;
  }
  return table;
}
