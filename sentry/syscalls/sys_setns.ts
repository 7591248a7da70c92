/** setns(2): into a namespace that a file of /proc/PID/ns names, or into those of the process behind a pidfd. */
import { EINVAL, EPERM, type Errno, EUSERS, isErrno } from '../../abi/errno.ts';
import { NAMESPACE_TYPES, NamespaceFile, type NamespaceType, namespaceOf } from '../fs/nsfs.ts';
import { PidFile } from '../fs/pidfd.ts';
import { CAP_SYS_ADMIN, CAP_SYS_CHROOT, type Credentials, hasCapIn, hasOwnCap } from '../kernel/credentials.ts';
import { grantFutexes } from '../kernel/futex_grant.ts';
import { leaveNamespaces } from '../kernel/namespace_end.ts';
import type { IpcNamespace, Namespaces, NetNamespace, UtsNamespace } from '../kernel/namespaces.ts';
import type { PidNamespace } from '../kernel/pid_namespace.ts';
import type { Task } from '../kernel/task.ts';
import { adoptClocks, type TimeNamespace } from '../kernel/time_namespace.ts';
import { mayTrace } from '../kernel/trace_access.ts';
import { ROOT_USER_NAMESPACE, type UserNamespace } from '../kernel/user_namespace.ts';
import { enterUserNamespace } from '../kernel/user_namespace_change.ts';
import type { MountNamespace } from '../vfs/mount.ts';
import { fd, flags, syscall } from './definition.ts';

/** A namespace and its kind; null: the only one of the kind, where everybody is. */
interface Goal {
  readonly type: NamespaceType;
  readonly namespace: { readonly id: number } | null;
}

function setns(task: Task, descriptor: number, kinds: number): number {
  const file = task.fds.get(descriptor);
  if (isErrno(file)) return file;
  if (file.impl instanceof NamespaceFile) {
    const { type, namespace } = file.impl;
    if (kinds !== 0 && kinds !== NAMESPACE_TYPES[type]) return EINVAL;
    return enter(task, [{ type, namespace }]);
  }
  if (!(file.impl instanceof PidFile)) return EINVAL;
  const target = file.impl.group.leader;
  const types = (Object.keys(NAMESPACE_TYPES) as NamespaceType[]).filter((type) => (kinds & NAMESPACE_TYPES[type]) !== 0);
  const known = types.reduce((all, type) => all | NAMESPACE_TYPES[type], 0);
  if (kinds === 0 || known !== kinds) return EINVAL;
  if (!mayTrace(task, target)) return EPERM;
  return enter(
    task,
    types.map((type) => ({ type, namespace: namespaceOf(target, type) })),
  );
}

/** All or none. */
function enter(task: Task, goals: readonly Goal[]): number {
  const user = goals.find(({ type }) => type === 'user')?.namespace as UserNamespace | undefined;
  const creds = user === undefined ? task.creds : enterUserNamespace(task, user);
  if (isErrno(creds)) return creds;
  let joined: Namespaces = task.namespaces;
  for (const goal of goals) {
    const next = join(task, creds, joined, goal);
    if (isErrno(next)) return next;
    joined = next as Namespaces;
  }
  task.creds = creds;
  const left = task.namespaces;
  const moved = joined.mount !== left.mount;
  task.namespaces = joined;
  if (left.time !== joined.time) grantFutexes(task);
  if (moved) {
    task.fs.root = joined.mount.rootPath;
    task.fs.cwd = joined.mount.rootPath;
  }
  leaveNamespaces(task, left, joined);
  return 0;
}

function join(task: Task, creds: Credentials, now: Namespaces, { type, namespace }: Goal): Namespaces | Errno {
  if (type === 'user') return now;
  const { owner = ROOT_USER_NAMESPACE } = (namespace ?? {}) as { readonly owner?: UserNamespace };
  if (!hasOwnCap(creds, CAP_SYS_ADMIN) || !hasCapIn(creds, CAP_SYS_ADMIN, owner)) return EPERM;
  switch (type) {
    case 'mnt':
      if (!hasOwnCap(creds, CAP_SYS_CHROOT)) return EPERM;
      if (task.fs.shared) return EINVAL;
      return { ...now, mount: namespace as MountNamespace };
    case 'uts':
      return { ...now, uts: namespace as UtsNamespace };
    case 'ipc':
      return { ...now, ipc: namespace as IpcNamespace };
    case 'net':
      return { ...now, net: namespace as NetNamespace };
    case 'time':
      if (task.group.tasks.length > 1) return EUSERS;
      (namespace as TimeNamespace).frozen = true;
      adoptClocks(task, namespace as TimeNamespace);
      return { ...now, time: namespace as TimeNamespace, timeForChildren: namespace as TimeNamespace };
    case 'pid':
      // Only downwards: nobody gets a number that its own namespace does not see.
      return task.pidNamespace.contains(namespace as PidNamespace) ? { ...now, pidForChildren: namespace as PidNamespace } : EINVAL;
    default:
      return now;
  }
}

export const SETNS_CALLS = {
  setns: syscall({ x64: 308, man: 'setns(2)', args: [fd, flags], run: setns }),
};
