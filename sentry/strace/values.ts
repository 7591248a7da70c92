/** How single arguments are shown. Everything is read from user memory with a cap; what cannot be read is shown as its address. */
import { FUTEX_CLOCK_REALTIME, FUTEX_CMD_MASK, FUTEX_PRIVATE_FLAG } from '../../abi/futex.ts';
import { NSIG, signalName } from '../../abi/signal.ts';
import { KernelSigaction } from '../../abi/signal_frame.ts';
import { S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG, S_IFSOCK } from '../../abi/stat.ts';
import { getLen64 } from '../../abi/struct.ts';
import { byteString } from '../../lib/byte_string.ts';
import type { Task } from '../kernel/task.ts';
import * as N from './names.ts';
import { flagNames, hex, MAX_TEXT, type Names, nameOf, quote } from './text.ts';

/** args: all arguments; result: of the call, for what it has written. */
export type Show = (task: Task, value: number, args: readonly number[], result: number) => string;

/** Elements of a vector that are shown. */
const MAX_ELEMENTS = 8;
const MAX_PATH = 256;

/** `length` bytes at `address` as `show` sees fit. */
function memory(task: Task, address: number, length: number, show: (view: DataView, bytes: Uint8Array) => string): string {
  if (address === 0) return 'NULL';
  const bytes = task.readBytes(address, length);
  return typeof bytes === 'number' ? hex(address) : show(new DataView(bytes.buffer), bytes);
}
function i64(view: DataView, offset: number): string {
  return view.getBigInt64(offset, true).toString();
}

export const number: Show = (_task, value) => String(value);
export const pointer: Show = (_task, value) => hex(value);
export const octal: Show = (_task, value) => (value === 0 ? '0' : `0${value.toString(8)}`);
export const signal: Show = (_task, value) => signalName(value);

export const path: Show = (task, value) => {
  if (value === 0) return 'NULL';
  const text = task.readString(value, MAX_PATH);
  return typeof text === 'string' ? quote(text, MAX_PATH) : hex(value);
};
export const descriptor: Show = (_task, value) => (value === -100 ? 'AT_FDCWD' : String(value));

export function flags(names: Parameters<typeof flagNames>[1]): Show {
  return (_task, value) => flagNames(value, names);
}
export function oneOf(names: Names): Show {
  return (_task, value) => nameOf(value, names);
}

export const openFlags: Show = (_task, value) => {
  const rest = value & ~3;
  const mode = N.ACCESS_MODES[value & 3] as string;
  return rest === 0 ? mode : `${mode}|${flagNames(rest, N.OPEN_FLAGS)}`;
};
export const futexOp: Show = (_task, value) => {
  const priv = (value & FUTEX_PRIVATE_FLAG) !== 0 ? '|FUTEX_PRIVATE_FLAG' : '';
  const clock = (value & FUTEX_CLOCK_REALTIME) !== 0 ? '|FUTEX_CLOCK_REALTIME' : '';
  return `${nameOf(value & FUTEX_CMD_MASK, N.FUTEX_COMMANDS)}${priv}${clock}`;
};
export const cloneFlags: Show = (_task, value) => {
  const names = flagNames(value & ~0xff, N.CLONE_FLAGS);
  return (value & 0xff) === 0 ? names : `${names}|${signalName(value & 0xff)}`;
};
export const socketType: Show = (_task, value) => {
  const rest = flagNames(value & ~0xf, N.SOCKET_FLAGS);
  return `${nameOf(value & 0xf, N.SOCKET_TYPES)}${rest === '' ? '' : `|${rest}`}`;
};

/** Bytes: the count is argument `index`, or the call's result. */
export function bytes(index: number | 'result'): Show {
  return (task, value, args, result) => {
    const length = index === 'result' ? result : (args[index] ?? 0);
    if (!(length > 0)) return value === 0 ? 'NULL' : '""';
    const shown = Math.min(length, MAX_TEXT);
    const cut = length > shown ? '...' : '';
    return memory(task, value, shown, (_view, raw) => `${quote(byteString(raw))}${cut}`);
  };
}

export const timespec: Show = (task, value) => memory(task, value, 16, (view) => `{tv_sec=${i64(view, 0)}, tv_nsec=${i64(view, 8)}}`);
export const timeval: Show = (task, value) => memory(task, value, 16, (view) => `{tv_sec=${i64(view, 0)}, tv_usec=${i64(view, 8)}}`);

export function signalSet(set: bigint): string {
  const inside: string[] = [];
  const outside: string[] = [];
  for (let s = 1; s <= NSIG; s++) (((set >> BigInt(s - 1)) & 1n) === 1n ? inside : outside).push(signalName(s).replace(/^SIG/, ''));
  return outside.length < inside.length ? `~[${outside.join(' ')}]` : `[${inside.join(' ')}]`;
}
export const sigset: Show = (task, value) => memory(task, value, 8, (view) => signalSet(view.getBigUint64(0, true)));

export const sigaction: Show = (task, value) =>
  memory(task, value, KernelSigaction.size, (view) => {
    const { handler, sa_flags, mask } = KernelSigaction.read(view);
    const name = handler === 0 ? 'SIG_DFL' : handler === 1 ? 'SIG_IGN' : hex(handler);
    return `{sa_handler=${name}, sa_mask=${signalSet(mask)}, sa_flags=${flagNames(Number(sa_flags & 0xffff_ffffn), N.SA_FLAGS)}}`;
  });

const TYPES: Readonly<Record<number, string>> = {
  [S_IFSOCK]: 'S_IFSOCK',
  [S_IFLNK]: 'S_IFLNK',
  [S_IFREG]: 'S_IFREG',
  [S_IFBLK]: 'S_IFBLK',
  [S_IFDIR]: 'S_IFDIR',
  [S_IFCHR]: 'S_IFCHR',
  [S_IFIFO]: 'S_IFIFO',
};
/** struct stat: mode at 24, size at 48. */
export const stat: Show = (task, value) =>
  memory(task, value, 144, (view) => {
    const mode = view.getUint32(24, true);
    return `{st_mode=${TYPES[mode & S_IFMT] ?? 0}|0${(mode & 0o7777).toString(8)}, st_size=${i64(view, 48)}, ...}`;
  });

/** struct iovec: what it points to, up to the caller's count. */
export const vector: Show = (task, value, args) => {
  const count = Math.max(0, args[2] ?? 0);
  const shown = Math.min(count, MAX_ELEMENTS);
  if (shown === 0) return '[]';
  return memory(task, value, shown * 16, (view) => {
    const parts: string[] = [];
    for (let i = 0; i < shown; i++) {
      const length = getLen64(view, i * 16 + 8);
      parts.push(`{iov_base=${bytes(0)(task, getLen64(view, i * 16), [length], 0)}, iov_len=${length}}`);
    }
    return `[${parts.join(', ')}${count > shown ? ', ...' : ''}]`;
  });
};

/** A NULL-terminated vector of strings. */
export const strings: Show = (task, value) => {
  if (value === 0) return 'NULL';
  const parts: string[] = [];
  for (let i = 0; i < MAX_ELEMENTS; i++) {
    const raw = task.readBytes(value + i * 8, 8);
    if (typeof raw === 'number') return hex(value);
    const at = getLen64(new DataView(raw.buffer), 0);
    if (at === 0) return `[${parts.join(', ')}]`;
    parts.push(path(task, at, [], 0));
  }
  return `[${parts.join(', ')}, ...]`;
};
/** execve's environment: how many there are is enough. */
export const environment: Show = (_task, value) => hex(value);

/** struct sockaddr; the length is argument `index`, or behind a pointer for what the call fills in. */
export function sockaddr(index: number, indirect = false): Show {
  return (task, value, args) => {
    if (value === 0) return 'NULL';
    const given = args[index] ?? 0;
    const length = Math.min(indirect ? task.readU32(given) : given, 128);
    if (!(length >= 2)) return hex(value);
    return memory(task, value, length, address);
  };
}

function address(view: DataView, raw: Uint8Array): string {
  const family = view.getUint16(0, true);
  const name = nameOf(family, N.FAMILIES);
  if (family === 1) {
    const abstract = raw[2] === 0 && raw.length > 3;
    const text = byteString(raw, abstract ? 3 : 2).replace(abstract ? /$^/ : /\0.*$/s, '');
    return `{sa_family=${name}, sun_path=${abstract ? '@' : ''}${quote(text, MAX_PATH)}}`;
  }
  if (family === 2 && raw.length >= 8) {
    return `{sa_family=${name}, sin_port=htons(${view.getUint16(2)}), sin_addr="${raw.subarray(4, 8).join('.')}"}`;
  }
  if (family === 10 && raw.length >= 24) {
    const words = Array.from({ length: 8 }, (_, i) => view.getUint16(8 + i * 2).toString(16));
    return `{sa_family=${name}, sin6_port=htons(${view.getUint16(2)}), sin6_addr="${words.join(':')}"}`;
  }
  return `{sa_family=${name}, ...}`;
}

/** struct pollfd; `index`: argument with their number. */
export const pollfds: Show = (task, value, args, result) => {
  const count = args[1] ?? 0;
  const shown = Math.min(count, MAX_ELEMENTS);
  if (shown === 0) return '[]';
  return memory(task, value, shown * 8, (view) => {
    const parts = Array.from({ length: shown }, (_, i) => {
      const revents = view.getUint16(i * 8 + 6, true);
      const seen = result > 0 ? `, revents=${flagNames(revents, N.POLL_FLAGS)}` : '';
      return `{fd=${view.getInt32(i * 8, true)}, events=${flagNames(view.getUint16(i * 8 + 4, true), N.POLL_FLAGS)}${seen}}`;
    });
    return `[${parts.join(', ')}${count > shown ? ', ...' : ''}]`;
  });
};

/** Two descriptors that pipe(2) and socketpair(2) give. */
export const pair: Show = (task, value) => memory(task, value, 8, (view) => `[${view.getInt32(0, true)}, ${view.getInt32(4, true)}]`);

/** wait4(2)'s status. */
export const waitStatus: Show = (task, value) =>
  memory(task, value, 4, (view) => {
    const status = view.getUint32(0, true);
    if (status === 0xffff) return '[{WIFCONTINUED(s)}]';
    if ((status & 0xff) === 0x7f) return `[{WIFSTOPPED(s) && WSTOPSIG(s) == ${signalName((status >> 8) & 0xff)}}]`;
    if ((status & 0x7f) !== 0) return `[{WIFSIGNALED(s) && WTERMSIG(s) == ${signalName(status & 0x7f)}}]`;
    return `[{WIFEXITED(s) && WEXITSTATUS(s) == ${(status >> 8) & 0xff}}]`;
  });
