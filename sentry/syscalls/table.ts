/** The one table: number → row. Each sys_*.ts file exports its rows; dispatch, strace, counters and docs/compatibility.md read this. */
import type { Syscall } from './definition.ts';
import { EPOLL_CALLS } from './sys_epoll.ts';
import { EVENTFD_CALLS } from './sys_eventfd.ts';
import { MEMORY_CALLS } from './sys_mm.ts';
import { NAMESPACE_CALLS } from './sys_namespace.ts';
import { PIPE_CALLS } from './sys_pipe.ts';
import { POLL_CALLS } from './sys_poll.ts';
import { PROCESS_CALLS } from './sys_process.ts';
import { SELECT_CALLS } from './sys_select.ts';
import { SESSION_CALLS } from './sys_session.ts';

/** Rows by name, file by file. */
export const SYSCALLS: Readonly<Record<string, Syscall>> = {
  ...MEMORY_CALLS,
  ...NAMESPACE_CALLS,
  ...PIPE_CALLS,
  ...PROCESS_CALLS,
  ...EPOLL_CALLS,
  ...EVENTFD_CALLS,
  ...POLL_CALLS,
  ...SELECT_CALLS,
  ...SESSION_CALLS,
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
