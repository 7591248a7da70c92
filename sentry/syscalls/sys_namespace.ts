/** unshare(2): leave what clone(2) shared. */
import { EINVAL, isErrno } from '../../abi/errno.ts';
import {
  CLONE_FILES,
  CLONE_FS,
  CLONE_NEWCGROUP,
  CLONE_NEWIPC,
  CLONE_NEWNET,
  CLONE_NEWNS,
  CLONE_NEWPID,
  CLONE_NEWTIME,
  CLONE_NEWUSER,
  CLONE_NEWUTS,
  CLONE_SIGHAND,
  CLONE_SYSVSEM,
  CLONE_THREAD,
  CLONE_VM,
} from '../../abi/sched.ts';
import { leaveNamespaces } from '../kernel/namespace_end.ts';
import { cloneNamespaces } from '../kernel/namespaces.ts';
import type { Task } from '../kernel/task.ts';
import { newUserNamespace } from '../kernel/user_namespace_change.ts';
import { flags, syscall } from './definition.ts';

const NEW_NAMESPACES = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWCGROUP | CLONE_NEWTIME;
const KNOWN = NEW_NAMESPACES | CLONE_NEWUSER | CLONE_FS | CLONE_FILES | CLONE_SYSVSEM | CLONE_THREAD | CLONE_SIGHAND | CLONE_VM;

function unshare(task: Task, what: number): number {
  if ((what & ~KNOWN) !== 0) return EINVAL;
  // A process of several threads cannot leave what makes them one process.
  if ((what & (CLONE_THREAD | CLONE_SIGHAND | CLONE_VM)) !== 0 && task.mm.userCount > 1) return EINVAL;
  if ((what & CLONE_NEWUSER) !== 0 && task.group.tasks.length > 1) return EINVAL;
  const creds = (what & CLONE_NEWUSER) !== 0 ? newUserNamespace(task) : task.creds;
  if (isErrno(creds)) return creds;
  const fresh = cloneNamespaces(task, what & NEW_NAMESPACES, creds);
  if (isErrno(fresh)) return fresh;
  task.creds = creds;
  if ((what & (CLONE_FS | CLONE_NEWNS | CLONE_NEWUSER)) !== 0 && task.fs.shared) {
    const own = task.fs.fork();
    task.fs.release();
    task.fs = own;
  }
  if ((what & CLONE_FILES) !== 0 && task.fds.shared) {
    const own = task.fds.fork();
    task.fds.release((file) => task.kernel.closeFile(task, file));
    task.fds = own;
  }
  if (fresh.relocate !== null) task.fs.relocate(fresh.relocate);
  const left = task.namespaces;
  task.namespaces = fresh.namespaces;
  leaveNamespaces(task, left, fresh.namespaces);
  return 0;
}

export const NAMESPACE_CALLS = {
  unshare: syscall({
    x64: 272,
    man: 'unshare(2)',
    args: [flags],
    run: unshare,
    partial: 'CLONE_NEWTIME: on KVM a child that starts no program reads the old clocks in the vDSO',
  }),
};
