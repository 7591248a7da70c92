/** Names of flags and constants as trace lines show them. */
import * as FCNTL from '../../abi/fcntl.ts';
import * as FUTEX from '../../abi/futex.ts';
import * as MMAN from '../../abi/mman.ts';
import * as POLL from '../../abi/poll.ts';
import * as PRCTL from '../../abi/prctl.ts';
import * as SCHED from '../../abi/sched.ts';
import * as SIGNAL from '../../abi/signal.ts';
import * as SOCKET from '../../abi/socket.ts';
import * as TIME from '../../abi/time.ts';
import type { FlagNames, Names } from './text.ts';

type Module = Readonly<Record<string, unknown>>;

/** Every numeric constant of a module whose name begins with one of the prefixes, widest bit sets first. */
function constants(module: Module, prefixes: readonly string[]): [number, string][] {
  return Object.entries(module)
    .filter((entry): entry is [string, number] => typeof entry[1] === 'number' && prefixes.some((prefix) => entry[0].startsWith(prefix)))
    .map(([name, value]): [number, string] => [value, name]);
}
function popcount(value: number): number {
  return (value >>> 0).toString(2).replaceAll('0', '').length;
}
/** Sorted at the first use: most sandboxes are never traced. */
function flagsOf(zero: string, module: Module, prefixes: readonly string[], except: readonly string[] = []): FlagNames {
  let sorted: [number, string][] | null = null;
  const sort = (): [number, string][] =>
    constants(module, prefixes)
      .filter(([value, name]) => value !== 0 && !except.includes(name))
      .sort((a, b) => popcount(b[0]) - popcount(a[0]) || a[0] - b[0]);
  return {
    zero,
    get names() {
      sorted ??= sort();
      return sorted;
    },
  };
}
/** Made at the first use, too. */
function namesOf(module: Module, prefixes: readonly string[], except: readonly string[] = []): Names {
  let table: Record<number, string> | null = null;
  const make = (): Record<number, string> => {
    const out: Record<number, string> = {};
    for (const [value, name] of constants(module, prefixes)) if (!except.includes(name)) out[value] ??= name;
    return out;
  };
  return () => {
    table ??= make();
    return table;
  };
}

/** open(2), without the access mode. */
export const OPEN_FLAGS = flagsOf('0', FCNTL, ['O_'], ['O_ACCMODE', 'O_RDONLY', 'O_WRONLY', 'O_RDWR']);
export const ACCESS_MODES = ['O_RDONLY', 'O_WRONLY', 'O_RDWR', 'O_ACCMODE'] as const;
export const AT_FLAGS = flagsOf('0', FCNTL, ['AT_'], ['AT_FDCWD', 'AT_REMOVEDIR', 'AT_STATX_SYNC_TYPE']);
export const ACCESS_FLAGS = flagsOf('F_OK', FCNTL, ['R_OK', 'W_OK', 'X_OK']);
export const FCNTL_COMMANDS = namesOf(FCNTL, ['F_'], ['F_OK', 'F_RDLCK', 'F_WRLCK', 'F_UNLCK']);
export const SEEK_NAMES = namesOf(FCNTL, ['SEEK_']);
export const PROT_FLAGS = flagsOf('PROT_NONE', MMAN, ['PROT_']);
export const MAP_FLAGS = flagsOf('0', MMAN, ['MAP_'], ['MAP_TYPE', 'MAP_SHARED_VALIDATE']);
export const CLONE_FLAGS = flagsOf('0', SCHED, ['CLONE_'], ['CLONE_ARGS_SIZE_VER0', 'CLONE_NEWTIME', 'CLONE_CLEAR_SIGHAND_HIGH']);
export const WAIT_FLAGS = flagsOf('0', SCHED, ['WNOHANG', 'WUNTRACED', 'WCONTINUED', 'WEXITED', 'WNOWAIT', '__W']);
export const SA_FLAGS = flagsOf('0', SIGNAL, ['SA_']);
export const MASK_COMMANDS = namesOf(SIGNAL, ['SIG_BLOCK', 'SIG_UNBLOCK', 'SIG_SETMASK']);
export const FUTEX_COMMANDS = namesOf(
  FUTEX,
  ['FUTEX_'],
  Object.keys(FUTEX).filter((name) => /FLAG|REALTIME|MASK|MATCH|WAITERS|OWNER|TID|_OP_|WAITV|_32/.test(name)),
);
export const CLOCK_NAMES = namesOf(TIME, ['CLOCK_']);
export const POLL_FLAGS = flagsOf('0', POLL, ['POLL']);
export const PRCTL_OPERATIONS = namesOf(
  PRCTL,
  ['PR_SET_', 'PR_GET_', 'PR_CAP', 'PR_MCE_KILL', 'PR_TASK'],
  ['PR_MCE_KILL_DEFAULT'].concat(Object.keys(PRCTL).filter((name) => name.startsWith('PR_SET_MM_') || name.startsWith('PR_CAP_AMBIENT_'))),
);
export const FAMILIES = namesOf(SOCKET, ['AF_'], ['AF_MAX']);
export const SOCKET_TYPES = namesOf(SOCKET, ['SOCK_'], ['SOCK_CLOEXEC', 'SOCK_NONBLOCK', 'SOCK_TYPE_MASK']);
export const SOCKET_FLAGS = flagsOf('', SOCKET, ['SOCK_CLOEXEC', 'SOCK_NONBLOCK']);
export const MSG_FLAGS = flagsOf('0', SOCKET, ['MSG_']);
