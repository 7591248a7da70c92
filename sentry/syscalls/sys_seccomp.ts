/** seccomp(2). */
import { EINVAL, EOPNOTSUPP } from '../../abi/errno.ts';
import {
  SECCOMP_GET_ACTION_AVAIL,
  SECCOMP_GET_NOTIF_SIZES,
  SECCOMP_RET_ALLOW,
  SECCOMP_RET_ERRNO,
  SECCOMP_RET_KILL_PROCESS,
  SECCOMP_RET_KILL_THREAD,
  SECCOMP_RET_LOG,
  SECCOMP_RET_TRACE,
  SECCOMP_RET_TRAP,
  SECCOMP_RET_USER_NOTIF,
  SECCOMP_SET_MODE_FILTER,
  SECCOMP_SET_MODE_STRICT,
} from '../../abi/seccomp.ts';
import { installFilter, setStrict } from '../kernel/seccomp.ts';
import type { Task } from '../kernel/task.ts';
import { addr, syscall, uint } from './definition.ts';

const AVAILABLE: readonly number[] = [
  SECCOMP_RET_KILL_PROCESS,
  SECCOMP_RET_KILL_THREAD,
  SECCOMP_RET_TRAP,
  SECCOMP_RET_ERRNO,
  SECCOMP_RET_USER_NOTIF,
  SECCOMP_RET_TRACE,
  SECCOMP_RET_LOG,
  SECCOMP_RET_ALLOW,
];

function seccomp(task: Task, operation: number, flags: number, args: number): number {
  switch (operation) {
    case SECCOMP_SET_MODE_STRICT:
      return flags !== 0 || args !== 0 ? EINVAL : setStrict(task);
    case SECCOMP_SET_MODE_FILTER:
      return installFilter(task, flags, args);
    case SECCOMP_GET_ACTION_AVAIL: {
      if (flags !== 0) return EINVAL;
      const action = task.readU32(args);
      return action < 0 ? action : AVAILABLE.includes(action) ? 0 : EOPNOTSUPP;
    }
    case SECCOMP_GET_NOTIF_SIZES:
      // seccomp_notif, seccomp_notif_resp, seccomp_data
      return flags !== 0 ? EINVAL : task.copyOut(args, new Uint8Array(new Uint16Array([80, 24, 64]).buffer));
    default:
      return EINVAL;
  }
}

export const SECCOMP_CALLS = {
  seccomp: syscall({ x64: 317, man: 'seccomp(2)', args: [uint, uint, addr], run: seccomp }),
};
