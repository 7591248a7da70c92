/** How the arguments of each call are shown, and when: what the call reads before it runs, what it writes afterwards. */
import * as N from './names.ts';
import * as V from './values.ts';

export interface ShownArgument {
  readonly show: V.Show;
  /** Filled in by the call: shown when it has succeeded. */
  readonly out: boolean;
}

function given(...shows: V.Show[]): ShownArgument[] {
  return shows.map((show) => ({ show, out: false }));
}
function out(show: V.Show): ShownArgument[] {
  return [{ show, out: true }];
}

const prot = V.flags(N.PROT_FLAGS);
const atFlags = V.flags(N.AT_FLAGS);
const { descriptor: fd, number: int, octal: mode, path, pointer: addr, signal } = V;

/** Calls that are not here are shown by the kinds of their row. */
export const SHOWN_CALLS: Readonly<Record<string, readonly ShownArgument[]>> = {
  read: [...given(fd), ...out(V.bytes('result')), ...given(int)],
  write: given(fd, V.bytes(2), int),
  pread64: [...given(fd), ...out(V.bytes('result')), ...given(int, int)],
  pwrite64: given(fd, V.bytes(2), int, int),
  readv: [...given(fd), ...out(V.vector), ...given(int)],
  writev: given(fd, V.vector, int),
  open: given(path, V.openFlags, mode),
  openat: given(fd, path, V.openFlags, mode),
  stat: [...given(path), ...out(V.stat)],
  lstat: [...given(path), ...out(V.stat)],
  fstat: [...given(fd), ...out(V.stat)],
  newfstatat: [...given(fd, path), ...out(V.stat), ...given(atFlags)],
  access: given(path, V.flags(N.ACCESS_FLAGS)),
  faccessat: given(fd, path, V.flags(N.ACCESS_FLAGS)),
  faccessat2: given(fd, path, V.flags(N.ACCESS_FLAGS), atFlags),
  readlink: [...given(path), ...out(V.bytes('result')), ...given(int)],
  readlinkat: [...given(fd, path), ...out(V.bytes('result')), ...given(int)],
  getcwd: [...out(V.path), ...given(int)],
  lseek: given(fd, int, V.oneOf(N.SEEK_NAMES)),
  fcntl: given(fd, V.oneOf(N.FCNTL_COMMANDS), addr),
  poll: [...out(V.pollfds), ...given(int, int)],
  ppoll: [...out(V.pollfds), ...given(int, V.timespec, V.sigset, int)],
  pipe: out(V.pair),
  pipe2: [...out(V.pair), ...given(V.openFlags)],
  mmap: given(addr, int, prot, V.flags(N.MAP_FLAGS), fd, addr),
  mprotect: given(addr, int, prot),
  execve: given(path, V.strings, V.environment),
  execveat: given(fd, path, V.strings, V.environment, atFlags),
  clone: given(V.cloneFlags, addr, addr, addr, addr),
  wait4: [...given(int), ...out(V.waitStatus), ...given(V.flags(N.WAIT_FLAGS), addr)],
  rt_sigaction: [...given(signal, V.sigaction), ...out(V.sigaction), ...given(int)],
  rt_sigprocmask: [...given(V.oneOf(N.MASK_COMMANDS), V.sigset), ...out(V.sigset), ...given(int)],
  rt_sigsuspend: given(V.sigset, int),
  rt_sigtimedwait: given(V.sigset, addr, V.timespec, int),
  kill: given(int, signal),
  tkill: given(int, signal),
  tgkill: given(int, int, signal),
  futex: given(addr, V.futexOp, int, addr, addr, int),
  nanosleep: [...given(V.timespec), ...out(V.timespec)],
  clock_nanosleep: given(V.oneOf(N.CLOCK_NAMES), int, V.timespec, addr),
  clock_gettime: [...given(V.oneOf(N.CLOCK_NAMES)), ...out(V.timespec)],
  clock_getres: [...given(V.oneOf(N.CLOCK_NAMES)), ...out(V.timespec)],
  gettimeofday: [...out(V.timeval), ...given(addr)],
  prctl: given(V.oneOf(N.PRCTL_OPERATIONS), addr, addr, addr, addr),
  socket: given(V.oneOf(N.FAMILIES), V.socketType, int),
  socketpair: [...given(V.oneOf(N.FAMILIES), V.socketType, int), ...out(V.pair)],
  bind: given(fd, V.sockaddr(2), int),
  connect: given(fd, V.sockaddr(2), int),
  accept: [...given(fd), ...out(V.sockaddr(2, true)), ...given(addr)],
  accept4: [...given(fd), ...out(V.sockaddr(2, true)), ...given(addr, V.flags(N.SOCKET_FLAGS))],
  getsockname: [...given(fd), ...out(V.sockaddr(2, true)), ...given(addr)],
  getpeername: [...given(fd), ...out(V.sockaddr(2, true)), ...given(addr)],
  sendto: given(fd, V.bytes(2), int, V.flags(N.MSG_FLAGS), V.sockaddr(5), int),
  recvfrom: [...given(fd), ...out(V.bytes('result')), ...given(int, V.flags(N.MSG_FLAGS), addr, addr)],
};

/** Results that are addresses. */
export const ADDRESS_RESULTS: ReadonlySet<string> = new Set(['mmap', 'brk', 'mremap', 'shmat']);
/** They do not return, or not to the program that called. */
export const NO_RETURN: ReadonlySet<string> = new Set(['exit', 'exit_group', 'rt_sigreturn']);
