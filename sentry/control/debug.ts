/** What `runsc debug` shows and changes. */

import { isErrno } from '../../abi/errno.ts';
import { toUnicode } from '../../lib/byte_string.ts';
import { INVALID_ARGUMENT, StatusError } from '../../lib/ttrpc/status.ts';
import type { RequestOf } from '../../proto/control.ts';
import type { SandboxLog } from '../boot/log.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { watchersChanged } from '../kernel/own_answers.ts';
import type { Task } from '../kernel/task.ts';
import { Strace } from '../strace/strace.ts';
import { SYSCALLS } from '../syscalls/table.ts';
import { pathName } from '../vfs/path_name.ts';

const FUTEX = 202;

/** @throws StatusError for a value that is none. */
export function debug(kernel: Kernel, log: SandboxLog, request: RequestOf<'Debug'>): string {
  const { strace, log_level: level } = request;
  if (!['', 'on', 'off'].includes(strace)) throw new StatusError(INVALID_ARGUMENT, `strace: ${strace} is neither on nor off`);
  if (!['', 'debug', 'info'].includes(level)) throw new StatusError(INVALID_ARGUMENT, `log level: ${level} is neither debug nor info`);
  if (strace !== '') kernel.strace = strace === 'on' ? new Strace(SYSCALLS, log.line) : null;
  if (strace !== '') for (const task of kernel.rootPidNamespace.tasks.values()) if (task.state !== 'dead') watchersChanged(task);
  if (level !== '' || strace === 'on') log.setVerbose(level === 'debug' || strace === 'on');
  const parts: string[] = [];
  if (request.stacks) parts.push(stacks(kernel));
  if (request.files) parts.push(files(kernel));
  if (request.unimplemented) parts.push(unimplemented(kernel));
  return parts.join('\n');
}

/** Every task, its state and the call it is in. */
function stacks(kernel: Kernel): string {
  const lines = ['container\tpid\ttid\tstate\tsystem call\tname'];
  for (const container of kernel.containers.values()) {
    for (const group of container.processes) {
      for (const task of group.tasks) {
        const state = task.parked ?? (task.asleep ? 'blocked' : task.state);
        const call = task.asleep ? FUTEX : inCall(task) ? task.syscallNumber : '-';
        lines.push([container.id, task.pid, task.tid, state, call, task.name].join('\t'));
      }
    }
  }
  return lines.join('\n');
}

/** What every process has open, by descriptor. */
function files(kernel: Kernel): string {
  const lines = ['container\tpid\tfd\tname'];
  for (const container of kernel.containers.values()) {
    for (const group of container.processes) {
      const { leader } = group;
      for (const fd of leader.fds.numbers()) {
        const file = leader.fds.get(fd);
        const name = isErrno(file) || file.path === null ? '-' : pathName(file.path, leader.fs.root);
        lines.push([container.id, leader.pid, fd, toUnicode(name)].join('\t'));
      }
    }
  }
  return lines.join('\n');
}

function inCall(task: Task): boolean {
  return task.state === 'blocked' || task.state === 'kernel';
}

/** Calls that were answered ENOSYS, the most frequent first. */
function unimplemented(kernel: Kernel): string {
  const rows = [...kernel.unimplemented].sort((a, b) => b[1] - a[1]);
  return rows.length === 0 ? 'no system call was refused' : rows.map(([what, count]) => `${count}\t${what}`).join('\n');
}
