var __create = Object.create;
var __defProp = Object.defineProperty;
var __getOwnPropDesc = Object.getOwnPropertyDescriptor;
var __getOwnPropNames = Object.getOwnPropertyNames;
var __getProtoOf = Object.getPrototypeOf;
var __hasOwnProp = Object.prototype.hasOwnProperty;
var __copyProps = (to, from, except, desc) => {
  if ((from && typeof from === 'object') || typeof from === 'function') {
    for (const key of __getOwnPropNames(from))
      if (!__hasOwnProp.call(to, key) && key !== except)
        __defProp(to, key, { get: () => from[key], enumerable: !(desc = __getOwnPropDesc(from, key)) || desc.enumerable });
  }
  return to;
};
var __toESM = (mod, isNodeMode, target) => (
  (target = mod != null ? __create(__getProtoOf(mod)) : {}),
  __copyProps(
    // If the importer is in node compatibility mode or this is not an ESM
    // file that has been converted to a CommonJS file using a Babel-
    // compatible transform (i.e. "__esModule" has not been set), then set
    // "default" to the CommonJS "module.exports" for node compatibility.
    isNodeMode || !mod || !mod.__esModule ? __defProp(target, 'default', { value: mod, enumerable: true }) : target,
    mod,
  )
);

// ../../wt-core-boot/boot.ts
var fs = __toESM(require('node:fs'));

// abi/errno.ts
function isErrno(value) {
  return typeof value === 'number' && value < 0;
}
var EPERM = -1;
var ENOENT = -2;
var ESRCH = -3;
var EINTR = -4;
var ENXIO = -6;
var E2BIG = -7;
var ENOEXEC = -8;
var EBADF = -9;
var ECHILD = -10;
var EAGAIN = -11;
var ENOMEM = -12;
var EACCES = -13;
var EFAULT = -14;
var EBUSY = -16;
var EEXIST = -17;
var EXDEV = -18;
var ENODEV = -19;
var ENOTDIR = -20;
var EINVAL = -22;
var EMFILE = -24;
var ENOTTY = -25;
var ENOSPC = -28;
var ESPIPE = -29;
var EPIPE = -32;
var ENAMETOOLONG = -36;
var ENOSYS = -38;
var ELOOP = -40;
var ENODATA = -61;
var ELIBBAD = -80;
var EOPNOTSUPP = -95;
var ERESTARTSYS = -512;
var ERESTARTNOINTR = -513;
var ERESTARTNOHAND = -514;
var ERESTART_RESTARTBLOCK = -516;

// native-addon/native.ts
var import_node_module = require('node:module');
var import_node_path = require('node:path');
function load() {
  const require2 = (0, import_node_module.createRequire)(`${__dirname}/`);
  try {
    return require2((0, import_node_path.join)(__dirname, 'tsvisor_native.node'));
  } catch (e) {
    if (e.code !== 'MODULE_NOT_FOUND') throw e;
  }
  return require2((0, import_node_path.join)(__dirname, 'build/Release/tsvisor_native.node'));
}
var native = load();

// lib/host.ts
var NR = {
  read: 0,
  write: 1,
  close: 3,
  fstat: 5,
  poll: 7,
  lseek: 8,
  ioctl: 16,
  pread64: 17,
  pwrite64: 18,
  dup: 32,
  getpid: 39,
  socket: 41,
  sendmsg: 46,
  recvmsg: 47,
  shutdown: 48,
  socketpair: 53,
  fcntl: 72,
  fsync: 74,
  fdatasync: 75,
  ftruncate: 77,
  kill: 62,
  tgkill: 234,
  fallocate: 285,
  epoll_ctl: 233,
  epoll_wait: 232,
  eventfd2: 290,
  epoll_create1: 291,
  dup3: 292,
  pipe2: 293,
  preadv2: 327,
  pwritev2: 328,
  memfd_create: 319,
  getrandom: 318,
  openat2: 437,
  openat: 257,
  readlinkat: 267,
  statx: 332,
  copy_file_range: 326,
};
var CLOCK_REALTIME = 0;
var CLOCK_MONOTONIC = 1;
var SCM_MAX_FD = 253;
var host = {
  /** Any call by its number: for the rare ones. */
  syscall: native.syscall,
  addressOf: native.addressOf,
  /** CLOCK_MONOTONIC in ns. */
  monotonicNow() {
    return native.clockNow(CLOCK_MONOTONIC);
  },
  /** CLOCK_REALTIME in ns; a double holds it to 256 ns. */
  realtimeNow() {
    return native.clockNow(CLOCK_REALTIME);
  },
  close(fd2) {
    return native.syscall(NR.close, fd2);
  },
  dup(fd2) {
    return native.syscall(NR.fcntl, fd2, 1030, 3);
  },
  fcntl(fd2, cmd, arg = 0) {
    return native.syscall(NR.fcntl, fd2, cmd, arg);
  },
  ioctl(fd2, cmd, arg) {
    return native.syscall(NR.ioctl, fd2, cmd, arg);
  },
  /** Reads into `into[offset..offset+count)`; count is clamped to the view. */
  read(fd2, into, offset = 0, count2 = into.length - offset) {
    return native.syscall(NR.read, fd2, into.subarray(offset, offset + count2), Math.min(count2, into.length - offset));
  },
  write(fd2, from, offset = 0, count2 = from.length - offset) {
    return native.syscall(NR.write, fd2, from.subarray(offset, offset + count2), Math.min(count2, from.length - offset));
  },
  pread(fd2, into, offset, count2, position) {
    return native.syscall(NR.pread64, fd2, into.subarray(offset, offset + count2), Math.min(count2, into.length - offset), position);
  },
  pwrite(fd2, from, offset, count2, position) {
    return native.syscall(NR.pwrite64, fd2, from.subarray(offset, offset + count2), Math.min(count2, from.length - offset), position);
  },
  ftruncate(fd2, length) {
    return native.syscall(NR.ftruncate, fd2, length);
  },
  fsync(fd2) {
    return native.syscall(NR.fsync, fd2);
  },
  fdatasync(fd2) {
    return native.syscall(NR.fdatasync, fd2);
  },
  fallocate(fd2, mode, offset, length) {
    return native.syscall(NR.fallocate, fd2, mode, offset, length);
  },
  memfdCreate(name, flags3) {
    return native.syscall(NR.memfd_create, Buffer.from(`${name}\0`, 'latin1'), flags3);
  },
  /** path must hold no NUL. */
  openat(dirfd, path3, flags3, mode = 0) {
    return native.syscall(NR.openat, dirfd, Buffer.from(`${path3}\0`, 'latin1'), flags3, mode);
  },
  getrandom(into) {
    return native.syscall(NR.getrandom, into, into.length, 0);
  },
  kill(pid, signal) {
    return native.syscall(NR.kill, pid, signal);
  },
  eventfd() {
    return native.syscall(
      NR.eventfd2,
      0,
      526336,
      /* EFD_CLOEXEC | EFD_NONBLOCK */
    );
  },
  /** Both ends, close-on-exec, or an errno. */
  socketpair(type) {
    const pair = new Int32Array(2);
    const r = native.syscall(NR.socketpair, 1, type | 524288, 0, pair);
    return r < 0 ? r : [pair[0], pair[1]];
  },
  pipe(flags3) {
    const pair = new Int32Array(2);
    const r = native.syscall(NR.pipe2, pair, flags3);
    return r < 0 ? r : [pair[0], pair[1]];
  },
  epollCreate() {
    return native.syscall(NR.epoll_create1, 524288);
  },
  /** op: 1 add, 2 delete, 3 modify; the event's data is `fd`. */
  epollCtl(epfd, op, fd2, events) {
    const event = new Uint32Array([events, fd2, 0]);
    return native.syscall(NR.epoll_ctl, epfd, op, fd2, event);
  },
  /** sendmsg(2) of one buffer with descriptors; the flags always hold MSG_NOSIGNAL. */
  sendWithFds(fd2, data, fds2, flags3 = 0) {
    if (data.length === 0 || fds2.length > SCM_MAX_FD) return EINVAL;
    const iov = new BigUint64Array([BigInt(native.addressOf(data)), BigInt(data.length)]);
    const controlLength = fds2.length === 0 ? 0 : 16 + fds2.length * 4;
    const control = new Uint8Array((controlLength + 7) & ~7);
    if (fds2.length > 0) {
      const view = new DataView(control.buffer);
      view.setBigUint64(0, BigInt(controlLength), true);
      view.setUint32(8, 1, true);
      view.setUint32(12, 1, true);
      for (const [i, f] of fds2.entries()) view.setInt32(16 + i * 4, f, true);
    }
    const msg = messageHeader(iov, control, control.length);
    const n = native.syscall(NR.sendmsg, fd2, msg, flags3 | 16384);
    keepAlive(data, iov, control);
    return n;
  },
  /** recvmsg(2) into `into`; descriptors arrive close-on-exec. flags as recvmsg's (MSG_DONTWAIT 0x40). */
  receiveWithFds(fd2, into, flags3 = 0) {
    const iov = new BigUint64Array([BigInt(native.addressOf(into)), BigInt(into.length)]);
    const control = new Uint8Array(16 + SCM_MAX_FD * 4 + 4);
    const msg = messageHeader(iov, control, control.length);
    const count2 = native.syscall(
      NR.recvmsg,
      fd2,
      msg,
      flags3 | 1073741824,
      /* MSG_CMSG_CLOEXEC */
    );
    keepAlive(into, iov);
    const fds2 = [];
    if (count2 < 0) return { count: count2, fds: fds2 };
    const used2 = Number(new DataView(msg.buffer).getBigUint64(40, true));
    const view = new DataView(control.buffer);
    for (let at = 0; at + 16 <= used2; ) {
      const length = Number(view.getBigUint64(at, true));
      if (length < 16) break;
      if (view.getUint32(at + 8, true) === 1 && view.getUint32(at + 12, true) === 1) {
        for (let i = at + 16; i + 4 <= at + length; i += 4) fds2.push(view.getInt32(i, true));
      }
      at += (length + 7) & ~7;
    }
    return { count: count2, fds: fds2 };
  },
};
function messageHeader(iov, control, controlLength) {
  const msg = new BigUint64Array(7);
  msg[2] = BigInt(native.addressOf(iov));
  msg[3] = 1n;
  msg[4] = controlLength === 0 ? 0n : BigInt(native.addressOf(control));
  msg[5] = BigInt(controlLength);
  return new Uint8Array(msg.buffer);
}
function keepAlive(...views) {
  if (views.length === 0) throw new Error('unreachable');
}

// platforms/host_poll.ts
var EPOLL_WAIT = 232;
var EVENT_SIZE = 12;
var MAX_EVENTS = 64;
var EPOLL_CTL_ADD = 1;
var EPOLL_CTL_DEL = 2;
var EPOLL_CTL_MOD = 3;
var HostPoll = class {
  /** The epoll descriptor itself: a platform may put it into a wait of its own. */
  fd;
  host;
  handlers = /* @__PURE__ */ new Map();
  events = new DataView(new ArrayBuffer(EVENT_SIZE * MAX_EVENTS));
  constructor(host2) {
    this.host = host2;
    this.fd = host2.epollCreate();
    if (this.fd < 0) throw new Error(`epoll_create1: errno ${-this.fd}`);
  }
  /** events: EPOLL* bits (they equal POLL*). 0, or an errno (EEXIST, EPERM for regular files). */
  add(fd2, events, handler) {
    const r = this.host.epollCtl(this.fd, EPOLL_CTL_ADD, fd2, events);
    if (r === 0) this.handlers.set(fd2, handler);
    return r;
  }
  modify(fd2, events) {
    return this.host.epollCtl(this.fd, EPOLL_CTL_MOD, fd2, events);
  }
  /** Before the descriptor is closed. */
  remove(fd2) {
    if (this.handlers.delete(fd2)) this.host.epollCtl(this.fd, EPOLL_CTL_DEL, fd2, 0);
  }
  /** Sleeps up to timeoutMs (-1: no limit) and calls the handlers of what is ready. How many were; 0 after EINTR too. */
  wait(timeoutMs) {
    const n = this.host.syscall(EPOLL_WAIT, this.fd, this.events, MAX_EVENTS, timeoutMs);
    if (n === EINTR) return 0;
    if (n < 0) throw new Error(`epoll_wait: errno ${-n}`);
    for (let i = 0; i < n; i++) {
      const fd2 = this.events.getInt32(i * EVENT_SIZE + 4, true);
      this.handlers.get(fd2)?.(this.events.getUint32(i * EVENT_SIZE, true));
    }
    return n;
  }
};

// abi/signal.ts
var SIGHUP = 1;
var SIGQUIT = 3;
var SIGILL = 4;
var SIGTRAP = 5;
var SIGABRT = 6;
var SIGBUS = 7;
var SIGFPE = 8;
var SIGKILL = 9;
var SIGSEGV = 11;
var SIGPIPE = 13;
var SIGCHLD = 17;
var SIGCONT = 18;
var SIGSTOP = 19;
var SIGTSTP = 20;
var SIGTTIN = 21;
var SIGTTOU = 22;
var SIGURG = 23;
var SIGXCPU = 24;
var SIGXFSZ = 25;
var SIGWINCH = 28;
var SIGIO = 29;
var SIGSYS = 31;
var SIGRTMIN = 32;
var NSIG = 64;
var SIG_DFL = 0;
var SIG_IGN = 1;
var SA_NOCLDSTOP = 1;
var SA_NOCLDWAIT = 2;
var SA_RESTORER = 67108864;
var SA_ONSTACK = 134217728;
var SA_RESTART = 268435456;
var SA_NODEFER = 1073741824;
var SA_RESETHAND = 2147483648;
var SS_ONSTACK = 1;
var SS_DISABLE = 2;
var SS_AUTODISARM = 2147483648;
var SI_USER = 0;
var SI_KERNEL = 128;
var SI_QUEUE = -1;
var SI_TIMER = -2;
var SI_MESGQ = -3;
var SI_ASYNCIO = -4;
var SI_SIGIO = -5;
var SEGV_ACCERR = 2;
var CLD_EXITED = 1;
var CLD_KILLED = 2;
var CLD_DUMPED = 3;
var CLD_STOPPED = 5;
var CLD_CONTINUED = 6;
var UC_FP_XSTATE = 1;
var UC_SIGCONTEXT_SS = 2;
var UC_STRICT_RESTORE_SS = 4;
var FP_XSTATE_MAGIC1 = 1179670611;
var FP_XSTATE_MAGIC2 = 1179670597;
var SIGNAL_NAMES =
  'HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS'.split(
    ' ',
  );

// platforms/platform.ts
var REG = {
  r15: 0,
  r14: 1,
  r13: 2,
  r12: 3,
  rbp: 4,
  rbx: 5,
  r11: 6,
  r10: 7,
  r9: 8,
  r8: 9,
  rax: 10,
  rcx: 11,
  rdx: 12,
  rsi: 13,
  rdi: 14,
  orig_rax: 15,
  rip: 16,
  cs: 17,
  eflags: 18,
  rsp: 19,
  ss: 20,
  fs_base: 21,
  gs_base: 22,
  ds: 23,
  es: 24,
  fs: 25,
  gs: 26,
};
var REGISTER_COUNT = 27;
var Registers = class {
  u64 = new BigUint64Array(REGISTER_COUNT);
  u32 = new Uint32Array(this.u64.buffer);
  /** As an unsigned number: exact for addresses. */
  get(index) {
    return this.u32[index * 2 + 1] * 4294967296 + this.u32[index * 2];
  }
  /** Two's complement; exact within ±2^53. */
  set(index, value) {
    this.u32[index * 2] = value;
    this.u32[index * 2 + 1] = Math.floor(value / 4294967296);
  }
  copyFrom(other) {
    this.u64.set(other.u64);
  }
};

// abi/mman.ts
var PAGE_SIZE = 4096;
var PROT_READ = 1;
var PROT_WRITE = 2;
var PROT_EXEC = 4;
var PROT_GROWSDOWN = 16777216;
var PROT_GROWSUP = 33554432;
var MAP_SHARED = 1;
var MAP_PRIVATE = 2;
var MAP_SHARED_VALIDATE = 3;
var MAP_TYPE = 15;
var MAP_FIXED = 16;
var MAP_ANONYMOUS = 32;
var MAP_LOCKED = 8192;
var MAP_NORESERVE = 16384;
var MAP_HUGETLB = 262144;
var MAP_SYNC = 524288;
var MAP_FIXED_NOREPLACE = 1048576;
var MREMAP_MAYMOVE = 1;
var MREMAP_FIXED = 2;
var MREMAP_DONTUNMAP = 4;
var MFD_CLOEXEC = 1;
var MS_ASYNC = 1;
var MS_INVALIDATE = 2;
var MS_SYNC = 4;
var TASK_SIZE = 140737488351232;

// platforms/stub_layout.ts
var STUB_BASE = 140668768878592;
var STUB_SCRATCH = STUB_BASE + PAGE_SIZE;
var VDSO_PLACE = STUB_BASE + 1048576;
var MIN_ADDRESS = 65536;

// abi/struct.ts
function scalar(size2, get, set, align = size2) {
  return { size: size2, align, get, set };
}
var u8 = scalar(
  1,
  (v, o) => v.getUint8(o),
  (v, o, x) => v.setUint8(o, x),
);
var i8 = scalar(
  1,
  (v, o) => v.getInt8(o),
  (v, o, x) => v.setInt8(o, x),
);
var u16 = scalar(
  2,
  (v, o) => v.getUint16(o, true),
  (v, o, x) => v.setUint16(o, x, true),
);
var i16 = scalar(
  2,
  (v, o) => v.getInt16(o, true),
  (v, o, x) => v.setInt16(o, x, true),
);
var u32 = scalar(
  4,
  (v, o) => v.getUint32(o, true),
  (v, o, x) => v.setUint32(o, x, true),
);
var i32 = scalar(
  4,
  (v, o) => v.getInt32(o, true),
  (v, o, x) => v.setInt32(o, x, true),
);
var u64 = scalar(
  8,
  (v, o) => v.getBigUint64(o, true),
  (v, o, x) => v.setBigUint64(o, x, true),
);
var i64 = scalar(
  8,
  (v, o) => v.getBigInt64(o, true),
  (v, o, x) => v.setBigInt64(o, x, true),
);
var len64 = scalar(8, getLen64, setLen64);
var off64 = scalar(8, (v, o) => v.getInt32(o + 4, true) * 4294967296 + v.getUint32(o, true), setLen64);
var be16 = scalar(
  2,
  (v, o) => v.getUint16(o),
  (v, o, x) => v.setUint16(o, x),
  1,
);
var be32 = scalar(
  4,
  (v, o) => v.getUint32(o),
  (v, o, x) => v.setUint32(o, x),
  1,
);
function getLen64(view, offset) {
  return view.getUint32(offset + 4, true) * 4294967296 + view.getUint32(offset, true);
}
function setLen64(view, offset, value) {
  view.setUint32(offset, value % 4294967296, true);
  view.setUint32(offset + 4, Math.floor(value / 4294967296), true);
}
function pad(n, align = 1) {
  return {
    size: n,
    align,
    get: () => void 0,
    set: (view, offset) => new Uint8Array(view.buffer, view.byteOffset + offset, n).fill(0),
  };
}
function bytes(n) {
  return {
    size: n,
    align: 1,
    get: (view, offset) => new Uint8Array(view.buffer, view.byteOffset + offset, n).slice(),
    set: (view, offset, value) => {
      const target = new Uint8Array(view.buffer, view.byteOffset + offset, n);
      target.fill(0);
      target.set(value);
    },
  };
}
function struct(name, size2, shape) {
  const offsets = {};
  const named = [];
  const unused = [];
  let end = 0;
  let align = 1;
  for (const [key, value] of Object.entries(shape)) {
    const field = value;
    if (end % field.align !== 0) throw new Error(`struct ${name}: ${key} at ${end} is not aligned to ${field.align}`);
    offsets[key] = end;
    if (key.startsWith('__')) unused.push({ offset: end, field });
    else named.push({ key, offset: end, field });
    end += field.size;
    align = Math.max(align, field.align);
  }
  if (end !== size2) throw new Error(`struct ${name}: fields add up to ${end} bytes, not ${size2}`);
  const read = (view, offset = 0) => {
    const out = {};
    for (const f of named) out[f.key] = f.field.get(view, offset + f.offset);
    return out;
  };
  const write = (view, offset, value) => {
    for (const f of named) f.field.set(view, offset + f.offset, value[f.key]);
    for (const f of unused) for (let i = 0; i < f.field.size; i++) view.setUint8(offset + f.offset + i, 0);
  };
  return {
    name,
    size: size2,
    align,
    offsets,
    get: read,
    set: write,
    read,
    write,
    encode: (value) => {
      const out = new Uint8Array(size2);
      write(new DataView(out.buffer), 0, value);
      return out;
    },
    decode: (data) => read(new DataView(data.buffer, data.byteOffset, data.byteLength)),
  };
}

// platforms/ptrace/injection.ts
var THREAD_LOST = -1e5;
function inject(pid, nr, a0 = 0, a1 = 0, a2 = 0, a3 = 0, a4 = 0, a5 = 0) {
  return native.ptraceInject(pid, STUB_BASE, nr, a0, a1, a2, a3, a4, a5);
}
function injectClone(pid, flags3) {
  return native.ptraceClone(pid, STUB_BASE, flags3);
}
var ANONYMOUS_FLAGS = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE;
function fileFlags(shared) {
  return MAP_FIXED | (shared ? MAP_SHARED : MAP_PRIVATE);
}
var CLONE_VM = 256;
var CLONE_FS = 512;
var CLONE_FILES = 1024;
var CLONE_SIGHAND = 2048;
var CLONE_PARENT = 32768;
var CLONE_THREAD = 65536;
var CLONE_SYSVSEM = 262144;
var THREAD_FLAGS = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
var FORK_FLAGS = CLONE_PARENT;

// platforms/ptrace/requests.ts
var PTRACE_CONT = 7;
var PTRACE_GETREGS = 12;
var PTRACE_SETREGS = 13;
var PTRACE_SYSEMU = 31;
var PTRACE_SYSEMU_SINGLESTEP = 32;
var PTRACE_GETREGSET = 16900;
var PTRACE_SETREGSET = 16901;
var PTRACE_SEIZE = 16902;
var PTRACE_INTERRUPT = 16903;
var PTRACE_SETSIGMASK = 16907;
var PTRACE_O_TRACESYSGOOD = 1;
var PTRACE_O_EXITKILL = 1048576;
var PTRACE_EVENT_STOP = 128;
var NT_X86_XSTATE = 514;
var __WALL = 1073741824;
var HOST_CALL = {
  close: 3,
  mmap: 9,
  mprotect: 10,
  munmap: 11,
  mremap: 25,
  madvise: 28,
  recvmsg: 47,
  exit: 60,
  wait4: 61,
  kill: 62,
  ptrace: 101,
  sched_setaffinity: 203,
  tgkill: 234,
  prlimit64: 302,
};

// platforms/ptrace/descriptor_channel.ts
var SOCK_SEQPACKET = 5;
var MSG_DONTWAIT = 64;
var STUB_SOCKET = 0;
var STUB_RECEIVED = 1;
var MSGHDR = 0;
var IOVEC = 56;
var CONTROL = 72;
var PAYLOAD = 104;
var SIZE = 112;
var DescriptorChannel = class {
  host;
  ours;
  /** For the seed; and for us, to take back what was sent to a process that died. */
  theirs;
  message;
  payload = new Uint8Array(1);
  constructor(host2) {
    const pair = host2.socketpair(SOCK_SEQPACKET);
    if (typeof pair === 'number') throw new Error(`socketpair: errno ${-pair}`);
    this.host = host2;
    [this.ours, this.theirs] = pair;
    this.message = receiveMessage();
  }
  /** The stopped thread `pid` gets a copy of hostFd as STUB_RECEIVED. 0, an errno or THREAD_LOST. */
  send(pid, hostFd) {
    const sent = this.host.sendWithFds(this.ours, this.payload, [hostFd], MSG_DONTWAIT);
    if (sent < 0) return sent;
    const wrote = native.writeProcess(pid, STUB_SCRATCH, this.message, 0, SIZE);
    const r = wrote < 0 ? wrote : inject(pid, HOST_CALL.recvmsg, STUB_SOCKET, STUB_SCRATCH + MSGHDR, MSG_DONTWAIT);
    if (r < 0) this.takeBack();
    return Math.min(r, 0);
  }
  takeBack() {
    for (const fd2 of this.host.receiveWithFds(this.theirs, new Uint8Array(1), MSG_DONTWAIT).fds) this.host.close(fd2);
  }
  close() {
    this.host.close(this.ours);
    this.host.close(this.theirs);
  }
};
function receiveMessage() {
  const bytes2 = new Uint8Array(SIZE);
  const view = new DataView(bytes2.buffer);
  setLen64(view, MSGHDR + 16, STUB_SCRATCH + IOVEC);
  setLen64(view, MSGHDR + 24, 1);
  setLen64(view, MSGHDR + 32, STUB_SCRATCH + CONTROL);
  setLen64(view, MSGHDR + 40, 24);
  setLen64(view, IOVEC, STUB_SCRATCH + PAYLOAD);
  setLen64(view, IOVEC + 8, 1);
  return bytes2;
}

// platforms/ptrace/stops.ts
var STOP_WORDS = 18;
var MAX_STOPS = 64;
var POLL_READABLE = 1 << 16;
var STOP_PID = 0;
var STOP_STATUS = 1;
var STOP_CODE = 2;
var STOP_NUMBER = 4;
var STOP_ARGS = 6;
var ARG_WORDS = 12;
var SYSCALL_STOP = SIGTRAP | 128;
function describeEnd(status) {
  return (status & 127) === 0 ? `exited with status ${(status >> 8) & 255}` : `killed by signal ${status & 127}`;
}

// platforms/ptrace/tracer.ts
var MAX_XSTATE = 16384;
var Tracer = class {
  host;
  xstateScratch = new Uint8Array(MAX_XSTATE);
  iovec = new BigUint64Array(2);
  constructor(host2) {
    this.host = host2;
  }
  getRegisters(pid, into) {
    return this.host.syscall(HOST_CALL.ptrace, PTRACE_GETREGS, pid, 0, into);
  }
  setRegisters(pid, from) {
    return this.host.syscall(HOST_CALL.ptrace, PTRACE_SETREGS, pid, 0, from);
  }
  interrupt(pid) {
    this.host.syscall(HOST_CALL.ptrace, PTRACE_INTERRUPT, pid, 0, 0);
  }
  /** A copy of the thread's XSAVE area; empty if the thread is gone. */
  getXstate(pid) {
    const r = this.regset(PTRACE_GETREGSET, pid, this.xstateScratch);
    return this.xstateScratch.slice(0, r < 0 ? 0 : Number(this.iovec[1]));
  }
  /** 0, or an errno: the host checks the image and takes all of it or nothing. */
  setXstate(pid, image) {
    return this.regset(PTRACE_SETREGSET, pid, image);
  }
  regset(request, pid, area) {
    this.iovec[0] = BigInt(this.host.addressOf(area));
    this.iovec[1] = BigInt(area.length);
    return this.host.syscall(HOST_CALL.ptrace, request, pid, NT_X86_XSTATE, this.iovec);
  }
};
var FCW = 0;
var MXCSR = 24;
var XSTATE_BV = 512;
var XCOMP_BV = 520;
function clearXstate(image) {
  const view = new DataView(image.buffer, image.byteOffset, image.byteLength);
  image.fill(0, 0, 464);
  image.fill(0, XSTATE_BV);
  view.setUint16(FCW, 895, true);
  view.setUint32(MXCSR, 8064, true);
  view.setUint32(XSTATE_BV, 3, true);
  view.setUint32(XCOMP_BV, 0, true);
}

// platforms/ptrace/ptrace_thread.ts
var USER_CS = 0x33n;
var USER_DS = 0x2bn;
var NO_CALL = 0xffffffffffffffffn;
var BASE_LIMIT = 0x7ffffffff000n;
var PtraceThread = class {
  data = null;
  sysno = -1;
  args = new Uint32Array(ARG_WORDS);
  tid;
  space;
  running = false;
  /** Gone, or to go at its next stop: nobody hears of it any more. */
  dead = false;
  /** interrupt() was called and no stop has been reported since. */
  interruptWanted = false;
  platform;
  regs = new Registers();
  registersValid = false;
  /** At a system-call stop the host's rax is -ENOSYS; the number is in `numberLow` and `numberHigh` until rax is set. */
  atCall = false;
  numberLow = 0;
  numberHigh = 0;
  constructor(platform2, space, tid) {
    this.platform = platform2;
    this.space = space;
    this.tid = tid;
  }
  /** It stopped. */
  stopped() {
    this.running = false;
    this.registersValid = false;
    this.atCall = false;
  }
  /** It stopped at a system call, which `stops` describes from word `at` on. */
  stoppedAtCall(stops, at) {
    this.stopped();
    this.interruptWanted = false;
    this.atCall = true;
    this.numberLow = stops[at + STOP_NUMBER];
    this.numberHigh = stops[at + STOP_NUMBER + 1];
    const native64 = stops[at + STOP_CODE] === 1;
    this.sysno = native64 ? this.numberLow | 0 : -1;
    for (let i = 0; i < ARG_WORDS; i++) this.args[i] = native64 ? stops[at + STOP_ARGS + i] : 0;
  }
  /** A clone of `other` that just came to be: same registers, same stop. */
  takeStopOf(other) {
    this.atCall = other.atCall;
    this.sysno = other.sysno;
    this.numberLow = other.numberLow;
    this.numberHigh = other.numberHigh;
    this.args.set(other.args);
  }
  registers() {
    if (this.registersValid) return this.regs;
    const u642 = this.regs.u64;
    if (this.platform.tracer.getRegisters(this.tid, u642) < 0) u642.fill(0n);
    if (this.atCall) {
      this.regs.u32[REG.rax * 2] = this.numberLow;
      this.regs.u32[REG.rax * 2 + 1] = this.numberHigh;
    }
    this.registersValid = true;
    return this.regs;
  }
  setRegisters() {
    const u642 = this.regs.u64;
    u642[REG.cs] = USER_CS;
    u642[REG.ss] = USER_DS;
    u642[REG.orig_rax] = NO_CALL;
    if (u642[REG.fs_base] >= BASE_LIMIT) u642[REG.fs_base] = 0n;
    if (u642[REG.gs_base] >= BASE_LIMIT) u642[REG.gs_base] = 0n;
    u642[REG.ds] = u642[REG.es] = u642[REG.fs] = u642[REG.gs] = 0n;
    this.atCall = false;
    this.platform.tracer.setRegisters(this.tid, u642);
  }
  xstate() {
    return this.platform.tracer.getXstate(this.tid);
  }
  setXstate(image) {
    if (image !== null) return this.platform.tracer.setXstate(this.tid, image) === 0;
    const initial = this.xstate();
    if (initial.length === 0) return false;
    clearXstate(initial);
    return this.platform.tracer.setXstate(this.tid, initial) === 0;
  }
  resumeWithResult(result) {
    this.go(PTRACE_SYSEMU, 1, result);
  }
  resume() {
    this.settleNumber();
    this.go(PTRACE_SYSEMU, 0, 0);
  }
  resumeSingleStep() {
    this.settleNumber();
    this.go(PTRACE_SYSEMU_SINGLESTEP, 0, 0);
  }
  /** Gives the host's rax what registers() shows. */
  settleNumber() {
    if (!this.atCall) return;
    this.registers();
    this.setRegisters();
  }
  go(request, setResult, result) {
    if (this.dead) return;
    this.running = true;
    native.ptraceResume(this.tid, request, setResult, result);
  }
  interrupt() {
    if (!this.running || this.dead) return;
    this.interruptWanted = true;
    this.platform.tracer.interrupt(this.tid);
  }
  cpuTime() {
    return this.platform.threadCpuTime(this);
  }
  exit() {
    if (this.dead) return;
    this.dead = true;
    this.space.threads.delete(this);
    if (this.running) this.platform.tracer.interrupt(this.tid);
    else this.leave();
  }
  /** The stopped thread makes its last call. */
  leave() {
    const regs = this.registers();
    this.platform.exitGate(regs);
    this.setRegisters();
    native.ptraceResume(this.tid, PTRACE_CONT, 0, 0);
  }
  /** An injected call. Undefined behaviour unless stopped. */
  call(nr, a0 = 0, a1 = 0, a2 = 0, a3 = 0, a4 = 0, a5 = 0) {
    return this.checked(inject(this.tid, nr, a0, a1, a2, a3, a4, a5));
  }
  clone(flags3) {
    return this.checked(injectClone(this.tid, flags3));
  }
  /** Turns THREAD_LOST into an errno and a report. */
  checked(result) {
    if (result !== THREAD_LOST) return result;
    this.platform.lose(this, 'lost during a host call');
    return ENOMEM;
  }
};

// platforms/ptrace/ptrace_space.ts
var O_RDWR_CLOEXEC = 524290;
var PtraceSpace = class {
  vdsoBase;
  /** The host process, for kill(2). */
  pid;
  threads = /* @__PURE__ */ new Set();
  platform;
  /** /proc/PID/mem, opened for the first forced access; -1 before. It keeps the memory's structure alive, not its pages. */
  memFd = -1;
  released = false;
  constructor(platform2, pid, vdsoBase) {
    this.platform = platform2;
    this.pid = pid;
    this.vdsoBase = vdsoBase;
  }
  mapAnonymous(via, address, length, prot) {
    if (!inRange(address, length)) return EINVAL;
    return done(via.call(HOST_CALL.mmap, address, length, prot, ANONYMOUS_FLAGS, -1, 0));
  }
  mapFile(via, address, length, prot, shared, hostFd, offset) {
    if (!inRange(address, length)) return EINVAL;
    const thread = via;
    const sent = thread.checked(this.platform.channel.send(thread.tid, hostFd));
    if (sent < 0) return sent;
    const mapped = thread.call(HOST_CALL.mmap, address, length, prot, fileFlags(shared), STUB_RECEIVED, offset);
    thread.call(HOST_CALL.close, STUB_RECEIVED);
    return done(mapped);
  }
  unmap(via, address, length) {
    if (!inRange(address, length)) return EINVAL;
    return done(via.call(HOST_CALL.munmap, address, length));
  }
  protect(via, address, length, prot) {
    if (!inRange(address, length)) return EINVAL;
    return done(via.call(HOST_CALL.mprotect, address, length, prot));
  }
  move(via, from, oldLength, to, newLength, keepSource) {
    if (!inRange(from, oldLength) || !inRange(to, newLength)) return EINVAL;
    const flags3 = MREMAP_MAYMOVE | MREMAP_FIXED | (keepSource ? MREMAP_DONTUNMAP : 0);
    return done(via.call(HOST_CALL.mremap, from, oldLength, newLength, flags3, to));
  }
  advise(via, address, length, advice) {
    if (!inRange(address, length)) return EINVAL;
    return done(via.call(HOST_CALL.madvise, address, length, advice));
  }
  read(address, into, offset, count2) {
    return native.readProcess(this.anyTid(), address, into, offset, count2);
  }
  write(address, from, offset, count2) {
    if (address >= STUB_BASE) return EFAULT;
    return native.writeProcess(this.anyTid(), address, from, offset, Math.min(count2, STUB_BASE - address));
  }
  readForced(address, into, offset, count2) {
    const fd2 = this.openMem();
    return fd2 < 0 ? EFAULT : transferred(this.platform.host.pread(fd2, into, offset, count2, address));
  }
  writeForced(address, from, offset, count2) {
    const fd2 = this.openMem();
    if (fd2 < 0 || address >= STUB_BASE) return EFAULT;
    return transferred(this.platform.host.pwrite(fd2, from, offset, Math.min(count2, STUB_BASE - address), address));
  }
  /** A leader that has exited has no memory, so any living thread names the space. */
  anyTid() {
    for (const thread of this.threads) return thread.tid;
    return this.pid;
  }
  openMem() {
    if (this.memFd < 0 && !this.released) {
      const fd2 = this.platform.host.openat(this.platform.procFd, `${this.anyTid()}/mem`, O_RDWR_CLOEXEC);
      if (fd2 >= 0) this.memFd = fd2;
    }
    return this.memFd;
  }
  fork(via) {
    return this.platform.forkFrom(via, FORK_FLAGS);
  }
  newThread(via) {
    const source = via;
    const tid = source.clone(THREAD_FLAGS);
    if (tid < 0) return tid;
    const thread = this.platform.adopt(new PtraceThread(this.platform, this, tid));
    thread.takeStopOf(source);
    return thread;
  }
  release() {
    if (this.released) return;
    this.released = true;
    for (const thread of this.threads) this.platform.forget(thread);
    this.threads.clear();
    this.platform.host.kill(this.pid, 9);
    if (this.memFd >= 0) this.platform.host.close(this.memFd);
    this.memFd = -1;
  }
  resident() {
    return this.platform.readStatm(this.anyTid());
  }
};
function inRange(address, length) {
  return address >= MIN_ADDRESS && length > 0 && address + length <= STUB_BASE && address % PAGE_SIZE === 0;
}
function done(result) {
  return result < 0 ? result : 0;
}
function transferred(result) {
  return result <= 0 ? EFAULT : result;
}

// platforms/host_maps.ts
function readHostMaps(host2, procFd, pid) {
  const fd2 = host2.openat(
    procFd,
    `${pid}/maps`,
    524288,
    /* O_RDONLY | O_CLOEXEC */
  );
  if (fd2 < 0) throw new Error(`procfs: cannot open ${pid}/maps: errno ${-fd2}`);
  const chunk = new Uint8Array(16384);
  let text = '';
  for (;;) {
    const n = host2.read(fd2, chunk);
    if (n <= 0) break;
    text += Buffer.from(chunk.subarray(0, n)).toString('latin1');
  }
  host2.close(fd2);
  const mappings = [];
  for (const line of text.split('\n')) {
    const m = /^([0-9a-f]+)-([0-9a-f]+) \S+ \S+ \S+ \S+ *(.*)$/.exec(line);
    if (m) mappings.push({ start: Number.parseInt(m[1], 16), end: Number.parseInt(m[2], 16), name: m[3] });
  }
  return mappings;
}

// platforms/ptrace/seed.ts
var VSYSCALL = 18446744073699066e3;
function startSeed(host2, procFd, stubFd, socketFd) {
  const pid = native.spawnStub(stubFd, socketFd);
  if (pid < 0) throw new Error(`ptrace platform: cannot start the stub: errno ${-pid}`);
  try {
    attach(host2, pid);
    return { pid, vdsoBase: clearAddressSpace(readHostMaps(host2, procFd, pid), pid) };
  } catch (e) {
    host2.kill(pid, 9);
    host2.syscall(HOST_CALL.wait4, pid, null, __WALL, null);
    throw e;
  }
}
function attach(host2, pid) {
  const options = PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL;
  const r = host2.syscall(HOST_CALL.ptrace, PTRACE_SEIZE, pid, 0, options);
  if (r < 0) throw new Error(`ptrace platform: the host does not allow ptrace (errno ${-r}; see kernel.yama.ptrace_scope)`);
  const interrupted = host2.syscall(HOST_CALL.ptrace, PTRACE_INTERRUPT, pid, 0, 0);
  const status = new Int32Array(1);
  const waited = host2.syscall(HOST_CALL.wait4, pid, status, __WALL, null);
  if (interrupted < 0 || waited !== pid || (status[0] & 255) !== 127)
    throw new Error(`ptrace platform: the stub does not stop (status 0x${status[0].toString(16)})`);
  host2.syscall(HOST_CALL.ptrace, PTRACE_SETSIGMASK, pid, 8, new Uint8Array(8));
}
function must(what, r) {
  if (r < 0) throw new Error(`ptrace platform: ${what} in the stub: errno ${-r}`);
}
function clearAddressSpace(maps, pid) {
  const vdso = maps.filter((m) => m.name === '[vdso]' || m.name.startsWith('[vvar'));
  const first = vdso[0]?.start ?? 0;
  let vdsoBase = 0;
  for (const m of vdso) {
    const to = VDSO_PLACE + (m.start - first);
    const length = m.end - m.start;
    must(`moving ${m.name}`, inject(pid, HOST_CALL.mremap, m.start, length, length, MREMAP_MAYMOVE | MREMAP_FIXED, to));
    if (m.name === '[vdso]') vdsoBase = to;
  }
  must('munmap', inject(pid, HOST_CALL.munmap, 0, STUB_BASE));
  for (const m of maps) {
    if (m.start <= STUB_BASE || m.start >= VSYSCALL || vdso.includes(m)) continue;
    must(`unmapping ${m.name}`, inject(pid, HOST_CALL.munmap, m.start, m.end - m.start));
  }
  const flags3 = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
  must('mmap', inject(pid, HOST_CALL.mmap, STUB_SCRATCH, PAGE_SIZE, PROT_READ | PROT_WRITE, flags3, -1));
  return vdsoBase;
}

// platforms/ptrace/ptrace_platform.ts
var BUSY_ROUNDS = 16;
var PtracePlatform = class {
  name = 'ptrace';
  minAddress = MIN_ADDRESS;
  maxAddress = STUB_BASE;
  host;
  procFd;
  tracer;
  channel;
  poll;
  childFd;
  seed;
  seedThread;
  /** Every traced thread that still has a listener. */
  threads = /* @__PURE__ */ new Map();
  stops = new Uint32Array(STOP_WORDS * MAX_STOPS);
  lost = [];
  busyRounds = 0;
  /** @throws Error with what the host refuses. */
  constructor(options) {
    this.host = options.host;
    this.poll = options.poll;
    this.procFd = options.procFd;
    this.tracer = new Tracer(options.host);
    this.channel = new DescriptorChannel(options.host);
    this.childFd = native.childEventFd();
    if (this.childFd < 0) throw new Error(`signalfd: errno ${-this.childFd}`);
    this.seed = startSeed(options.host, options.procFd, options.stubFd, this.channel.theirs);
    this.seedThread = new PtraceThread(this, new PtraceSpace(this, this.seed.pid, this.seed.vdsoBase), this.seed.pid);
  }
  newAddressSpace() {
    return this.forkFrom(this.seedThread, FORK_FLAGS);
  }
  forkFrom(via, flags3) {
    const pid = via.clone(flags3);
    if (pid < 0) return pid;
    const thread = this.adopt(new PtraceThread(this, new PtraceSpace(this, pid, this.seed.vdsoBase), pid));
    thread.takeStopOf(via);
    return thread;
  }
  adopt(thread) {
    this.threads.set(thread.tid, thread);
    thread.space.threads.add(thread);
    return thread;
  }
  /** Nobody hears of the thread any more. Its number stays taken until wait has reaped it. */
  forget(thread) {
    thread.dead = true;
    this.threads.delete(thread.tid);
  }
  /** The host thread is gone, or unusable: the process ends, wait reports it. */
  lose(thread, cause) {
    if (thread.dead) return;
    this.host.kill(thread.space.pid, 9);
    this.forget(thread);
    thread.space.threads.delete(thread);
    this.lost.push({ thread, cause });
  }
  wait(events, deadline) {
    if (this.lost.length > 0) {
      const lost = this.lost;
      this.lost = [];
      for (const { thread, cause } of lost) events.exited(thread, cause);
      return;
    }
    const r = native.ptraceWait(this.childFd, this.poll.fd, this.timeoutUntil(deadline), this.stops);
    if (r < 0) throw new Error(`ptraceWait: errno ${-r}`);
    const count2 = r & (POLL_READABLE - 1);
    for (let at = 0; at < count2 * STOP_WORDS; at += STOP_WORDS) this.handle(events, at);
    if (r >= POLL_READABLE || (count2 > 0 && ++this.busyRounds >= BUSY_ROUNDS)) {
      this.busyRounds = 0;
      this.poll.wait(0);
    }
  }
  /** ns for ptraceWait. */
  timeoutUntil(deadline) {
    if (deadline === 0) return 0;
    if (deadline === Number.POSITIVE_INFINITY) return -1;
    return Math.max(0, deadline - this.host.monotonicNow());
  }
  handle(events, at) {
    const stops = this.stops;
    const thread = this.threads.get(stops[at + STOP_PID]);
    if (thread === void 0) return;
    const status = stops[at + STOP_STATUS];
    if ((status & 255) !== 127) {
      this.ended(events, thread, status);
    } else if (thread.dead) {
      thread.stopped();
      thread.leave();
    } else if (((status >> 8) & 255) === SYSCALL_STOP) {
      thread.stoppedAtCall(stops, at);
      events.syscall(thread);
    } else if (status >> 16 === PTRACE_EVENT_STOP) {
      this.trapped(events, thread);
    } else {
      this.signalled(events, thread, status >> 8, at);
    }
  }
  ended(events, thread, status) {
    const expected = thread.dead;
    this.forget(thread);
    thread.space.threads.delete(thread);
    if (!expected) events.exited(thread, describeEnd(status));
  }
  /** An interrupt, or one that came too late: another stop was reported in its place. */
  trapped(events, thread) {
    const wanted = thread.interruptWanted;
    thread.stopped();
    thread.interruptWanted = false;
    if (wanted) events.interrupted(thread);
    else thread.resume();
  }
  /** Only what the thread's own instruction raised is its business; signals from the host's other processes are dropped. */
  signalled(events, thread, signal, at) {
    const code = this.stops[at + STOP_CODE] | 0;
    const low = this.stops[at + STOP_NUMBER];
    const address = this.stops[at + STOP_NUMBER + 1] * 4294967296 + low;
    thread.stopped();
    const own = signal === SIGSEGV || signal === SIGBUS || signal === SIGFPE || signal === SIGILL || signal === SIGTRAP;
    if (!own || code <= 0) {
      thread.resume();
      return;
    }
    thread.interruptWanted = false;
    events.fault(thread, signal, code, address);
  }
  /** Registers with which a thread ends itself. */
  exitGate(regs) {
    regs.set(REG.rip, STUB_BASE);
    regs.set(REG.rax, HOST_CALL.exit);
    regs.set(REG.rdi, 0);
  }
  threadCpuTime(thread) {
    return Number(this.readProc(`${thread.tid}/schedstat`).split(' ')[0] ?? 0) || 0;
  }
  readStatm(tid) {
    const fields = this.readProc(`${tid}/statm`).split(' ');
    return { total: (Number(fields[1]) || 0) * 4096, shared: (Number(fields[2]) || 0) * 4096 };
  }
  readProc(path3) {
    const fd2 = this.host.openat(
      this.procFd,
      path3,
      524288,
      /* O_RDONLY | O_CLOEXEC */
    );
    if (fd2 < 0) return '';
    const bytes2 = new Uint8Array(256);
    const n = this.host.read(fd2, bytes2);
    this.host.close(fd2);
    return n > 0 ? Buffer.from(bytes2.subarray(0, n)).toString('latin1') : '';
  }
  shutdown() {
    const spaces = /* @__PURE__ */ new Set();
    for (const thread of this.threads.values()) spaces.add(thread.space);
    for (const space of spaces) space.release();
    this.seedThread.space.release();
    this.host.kill(this.seed.pid, 9);
    const status = new Int32Array(1);
    while (this.host.syscall(HOST_CALL.wait4, -1, status, 1073741824, null) > 0);
    this.channel.close();
  }
};

// platforms/select.ts
function stubName(_kind) {
  return 'ptrace_stub';
}
function createPlatform(kind2, options) {
  switch (kind2) {
    case 'auto':
    case 'ptrace':
      return new PtracePlatform(options);
  }
}

// abi/stat.ts
var S_IFMT = 61440;
var S_IFLNK = 40960;
var S_IFREG = 32768;
var S_IFBLK = 24576;
var S_IFDIR = 16384;
var S_IFIFO = 4096;
var S_ISUID = 2048;
var S_ISGID = 1024;
var S_IXGRP = 8;
function major(dev) {
  return (dev >>> 8) & 4095;
}
function minor(dev) {
  return (dev & 255) | ((dev >>> 12) & 1048320);
}

// sentry/vfs/inode.ts
var Filesystem = class {
  /** st_dev of its files; the Kernel numbers them. */
  dev;
  cachePolicy = 'forever';
  /** Mounts of all namespaces, bind mounts included; `release` follows the last one. */
  mounts = 0;
  /** Made with the first mount: all mounts share one tree of dentries. */
  rootDentry = null;
  constructor(dev) {
    this.dev = dev;
  }
  /** The options part of /proc/mounts, without rw/ro ("size=1024k"). */
  options() {
    return '';
  }
  /** The last mount is gone. */
  release() {}
  sync() {
    return 0;
  }
};
var Inode = class {
  fs;
  /** What hangs on the object while it is in use: the Pipe of a fifo, the socket bound to a socket file. */
  attachment = null;
  constructor(fs2) {
    this.fs = fs2;
  }
  /** Fast path of permission checks: type and permission bits. */
  get mode() {
    return this.attributes().mode;
  }
  /** Owner, for permission checks. */
  get uid() {
    return this.attributes().uid;
  }
  get gid() {
    return this.attributes().gid;
  }
  get isDirectory() {
    return (this.mode & S_IFMT) === S_IFDIR;
  }
  get isSymlink() {
    return (this.mode & S_IFMT) === S_IFLNK;
  }
  get isRegular() {
    return (this.mode & S_IFMT) === S_IFREG;
  }
  /** Changes metadata. The VFS has checked ownership and cleared setuid bits where due. */
  setAttributes(_change) {
    return EPERM;
  }
  /** For 'revalidate' filesystems: is the object that `lookup` gave still what the name means? Refreshes attributes. */
  revalidate(_parent, _name, _ahead) {
    return true;
  }
  /**
   * For 'revalidate' filesystems: makes attributes() current where no walk has just done so (fstat, "." and the root, AT_EMPTY_PATH).
   * ESTALE if the object cannot be reached any more.
   */
  refresh() {
    return 0;
  }
  /** True for device nodes that the filesystem opens by itself, without the kernel's registry. */
  get opensItself() {
    return false;
  }
  // Directories. ENOENT if there is no such name.
  lookup(_name, _task, _ahead) {
    return ENOTDIR;
  }
  create(_name, _options) {
    return EPERM;
  }
  mkdir(_name, _options) {
    return EPERM;
  }
  /** mode holds the type (fifo, socket, character or block device, regular). */
  mknod(_name, _options, _rdev) {
    return EPERM;
  }
  symlink(_name, _target, _options) {
    return EPERM;
  }
  link(_name, _target) {
    return EPERM;
  }
  /** `target`: what the name means now; no directory. */
  unlink(_name, _target) {
    return EPERM;
  }
  /** ENOTEMPTY if it is not. */
  rmdir(_name, _target) {
    return EPERM;
  }
  /** Same filesystem. `replaced`: what newName means now, or null. flags: RENAME_EXCHANGE, RENAME_WHITEOUT (NOREPLACE is checked before). */
  rename(_oldName, _target, _newParent, _newName, _replaced, _flags) {
    return EPERM;
  }
  /** O_TMPFILE: an object without a name. */
  tmpfile(_options) {
    return EOPNOTSUPP;
  }
  /** Target of a symbolic link. */
  readlink(_task) {
    return EINVAL;
  }
  /** A link that leads to an object and not to a path (/proc/PID/fd/N, exe, cwd, root, ns/*); null for ordinary links. */
  magicTarget(_task) {
    return null;
  }
  // Extended attributes (xattr(7)); the VFS has checked the namespace's rules.
  getXattr(_name) {
    return ENODATA;
  }
  setXattr(_name, _value, _flags) {
    return EOPNOTSUPP;
  }
  listXattrs() {
    return [];
  }
  removeXattr(_name) {
    return ENODATA;
  }
};

// sentry/vfs/path.ts
var Dentry = class {
  name;
  parent;
  inode;
  /** Known names below, for directories of caching filesystems. */
  children = null;
  /** How many mounts of any namespace sit on it: the walk looks for one only if it is not 0. */
  mountCount = 0;
  /** Unlinked or rmdir'ed: open files still hold it. */
  deleted = false;
  constructor(name, parent, inode) {
    this.name = name;
    this.parent = parent;
    this.inode = inode;
  }
  /** Makes `child` what its name means here. */
  adopt(child) {
    this.children ??= /* @__PURE__ */ new Map();
    this.children.set(child.name, child);
  }
};
var MS_NOSUID = 2;
var MS_NOEXEC = 8;
var MS_NOSYMFOLLOW = 256;
var MS_RELATIME = 1 << 21;
var MS_STRICTATIME = 1 << 24;
var Mount = class {
  id;
  fs;
  /** What is seen at the mount point: the filesystem's root, or the source of a bind mount. */
  root;
  /** MS_* attributes. */
  flags;
  /** First field of /proc/mounts. */
  source;
  /** Null for the namespace's root. */
  parent = null;
  mountpoint = null;
  children = [];
  propagation = 'private';
  /** Peer group of a shared mount, master of a slave; 0 = none. */
  peerGroup = 0;
  constructor(id, fs2, root, flags3, source) {
    this.id = id;
    this.fs = fs2;
    this.root = root;
    this.flags = flags3;
    this.source = source;
  }
  /** The mount that sits on `dentry` of this one; at most one does (a second sits on the first one's root). */
  mountedOn(dentry) {
    for (const child of this.children) if (child.mountpoint === dentry) return child;
    return null;
  }
};
function inodeOf(path3) {
  return path3.dentry.inode;
}

// sentry/fs/anonfs.ts
var PIPEFS_MAGIC = 1346981957;
var SOCKFS_MAGIC = 1397703499;
var ANON_INODE_FS_MAGIC = 151263540;
var TMPFS_MAGIC = 16914836;
var MAGIC = {
  pipefs: PIPEFS_MAGIC,
  sockfs: SOCKFS_MAGIC,
  anon_inodefs: ANON_INODE_FS_MAGIC,
  tmpfs: TMPFS_MAGIC,
};
var AnonymousFilesystem = class extends Filesystem {
  type;
  mount;
  rootInode;
  lastIno = 1;
  constructor(kind2, dev, mountId, now) {
    super(dev);
    this.type = kind2;
    this.rootInode = new AnonymousInode(this, 1, 16749, 0, 0, now);
    this.mount = new Mount(mountId, this, new Dentry('', null, this.rootInode), 0, kind2);
  }
  get root() {
    return this.rootInode;
  }
  nextIno() {
    return ++this.lastIno;
  }
  stats() {
    return { type: MAGIC[this.type], bsize: PAGE_SIZE, blocks: 0, bfree: 0, bavail: 0, files: 0, ffree: 0, namelen: 255 };
  }
};
var AnonymousInode = class extends Inode {
  ino;
  attrs;
  constructor(fs2, ino, mode, uid, gid, now) {
    super(fs2);
    this.ino = ino;
    const times = { atime: now, mtime: now, ctime: now };
    this.attrs = { ino, mode, nlink: 1, uid, gid, rdev: 0, size: 0, blksize: PAGE_SIZE, blocks: 0, ...times };
  }
  attributes() {
    return this.attrs;
  }
  get mode() {
    return this.attrs.mode;
  }
  /** fchmod(2) and fchown(2) work on pipes and sockets, without effect on who may use them. */
  setAttributes(change) {
    const { mode, size: _size, ...rest } = change;
    this.attrs = { ...this.attrs, ...rest, mode: mode === void 0 ? this.attrs.mode : (this.attrs.mode & ~4095) | mode };
    return 0;
  }
  open(_flags) {
    return ENXIO;
  }
};
var AnonymousFiles = class {
  kernel;
  filesystems = /* @__PURE__ */ new Map();
  /** Files of the anon_inode kind share one inode, as on Linux, and so one place per name. */
  shared = /* @__PURE__ */ new Map();
  constructor(kernel2) {
    this.kernel = kernel2;
  }
  /**
   * A place for a new file. 'pipe' and 'socket' get a numbered inode and the name "pipe:[N]"; any other name is used as it is
   * ("anon_inode:[eventpoll]"). `mode` holds type and permission bits; `creds` the owner (root if absent).
   */
  path(name, mode, creds = null) {
    if (name !== 'pipe' && name !== 'socket') return this.sharedPath(name, mode);
    const fs2 = this.filesystem(name === 'pipe' ? 'pipefs' : 'sockfs');
    const inode = new AnonymousInode(fs2, fs2.nextIno(), mode, creds?.fsuid ?? 0, creds?.fsgid ?? 0, this.timestamp());
    return this.place(inode, `${name}:[${inode.ino}]`);
  }
  /** A place for an inode of the caller's own, made with `filesystem(kind)`. */
  place(inode, name) {
    return { mount: inode.fs.mount, dentry: new Dentry(name, null, inode) };
  }
  filesystem(kind2) {
    let fs2 = this.filesystems.get(kind2);
    if (fs2 === void 0) {
      fs2 = new AnonymousFilesystem(kind2, this.kernel.uniqueId(), this.kernel.uniqueId(), this.timestamp());
      this.filesystems.set(kind2, fs2);
    }
    return fs2;
  }
  /** Now, for a new inode's times. */
  timestamp() {
    const now = this.kernel.realtime();
    const sec = Math.floor(now / 1e9);
    return { sec, nsec: Math.floor(now - sec * 1e9) };
  }
  sharedPath(name, mode) {
    const key = `${mode} ${name}`;
    let path3 = this.shared.get(key);
    if (path3 === void 0) {
      const fs2 = this.filesystem('anon_inodefs');
      path3 = this.place(new AnonymousInode(fs2, 1, mode, 0, 0, this.timestamp()), name);
      this.shared.set(key, path3);
    }
    return path3;
  }
};

// abi/poll.ts
var POLLIN = 1;
var POLLPRI = 2;
var POLLOUT = 4;
var POLLERR = 8;
var POLLHUP = 16;
var POLLNVAL = 32;
var POLLRDNORM = 64;
var POLLRDBAND = 128;
var POLLWRNORM = 256;
var POLLWRBAND = 512;

// sentry/kernel/wait.ts
function isBlocking(result) {
  return typeof result !== 'number';
}
var ALWAYS = 8 | 16;
var WaitQueue = class {
  entries = null;
  add(entry) {
    if (this.entries === null) this.entries = [entry];
    else this.entries.push(entry);
  }
  remove(entry) {
    const at = this.entries?.indexOf(entry) ?? -1;
    if (at >= 0) this.entries.splice(at, 1);
  }
  get empty() {
    return this.entries === null || this.entries.length === 0;
  }
  /** Wakes everyone whose events overlap. Entries may come and go while it runs. */
  notify(events) {
    const { entries } = this;
    if (entries === null || entries.length === 0) return;
    if (entries.length === 1) {
      const only = entries[0];
      if (((only.events | ALWAYS) & events) !== 0) only.wake(events);
      return;
    }
    let taken = false;
    for (const entry of entries.slice()) {
      if (((entry.events | ALWAYS) & events) === 0 || (taken && entry.exclusive === true)) continue;
      const accepted = entry.wake(events);
      if (entry.exclusive === true && accepted === true) taken = true;
    }
  }
  /** Wakes the first `count` waiters whose events overlap; how many there were. Exclusive waits: futex, accept. */
  notifySome(events, count2) {
    let woken = 0;
    for (const entry of this.entries?.slice() ?? []) {
      if (woken >= count2) break;
      if (((entry.events | ALWAYS) & events) === 0) continue;
      entry.wake(events);
      woken++;
    }
    return woken;
  }
};
function waitFor(queue, events, deadline) {
  return deadline === void 0 ? { on: [{ queue, events }] } : { on: [{ queue, events }], deadline };
}

// sentry/fs/pipefs/pipe.ts
var PIPE_BUF = 4096;
var DEFAULT_CAPACITY = 65536;
var PIPE_MAX_SIZE = 1 << 20;
var SMALL_CAPACITY = 2 * PAGE_SIZE;
var MAX_TOTAL = 256 << 20;
var PipeAccount = class {
  /** Sum of capacities, bytes. */
  total = 0;
};
var Pipe = class {
  queue = new WaitQueue();
  capacity;
  /** Open ends. */
  readers = 0;
  writers = 0;
  /** How many readers and writers there have ever been: an open(2) of a fifo waits for a change. */
  readerOpens = 0;
  writerOpens = 0;
  account;
  ring = EMPTY;
  head = 0;
  count = 0;
  /** Empty while all bytes are a plain stream; else the runs add up to `count`. */
  runs = [];
  constructor(account) {
    this.account = account;
    this.capacity = account.total + DEFAULT_CAPACITY > MAX_TOTAL ? SMALL_CAPACITY : DEFAULT_CAPACITY;
    account.total += this.capacity;
  }
  /** Bytes in it (FIONREAD). */
  get used() {
    return this.count;
  }
  get free() {
    return this.capacity - this.count;
  }
  openEnd(reads, writes) {
    if (reads) {
      this.readers++;
      this.readerOpens++;
    }
    if (writes) {
      this.writers++;
      this.writerOpens++;
    }
    this.queue.notify(POLLIN | POLLOUT);
  }
  closeEnd(reads, writes) {
    if (reads && --this.readers === 0) this.queue.notify(POLLERR | POLLOUT);
    if (writes && --this.writers === 0) this.queue.notify(POLLHUP | POLLIN);
    if (this.readers > 0 || this.writers > 0) return;
    this.account.total -= this.capacity;
    this.ring = EMPTY;
    this.head = this.count = this.capacity = 0;
    this.runs = [];
  }
  /** Moves what there is into `dst`. 0: no data and no writer; EAGAIN: no data yet. */
  read(dst) {
    if (dst.remaining === 0) return 0;
    if (this.count === 0) return this.writers === 0 ? 0 : EAGAIN;
    const wasFull = this.free < PIPE_BUF;
    const n = this.runs.length === 0 ? this.moveOut(dst, this.count) : this.readRun(dst);
    if (wasFull && this.free >= PIPE_BUF) this.queue.notify(POLLOUT | POLLWRNORM);
    return n;
  }
  /**
   * Takes what fits from `src`, but all or nothing of at most PIPE_BUF bytes. EAGAIN: nothing fits. EPIPE: no reader (the caller
   * sends the signal).
   */
  write(src, packet) {
    if (this.readers === 0) return EPIPE;
    const wanted = src.remaining;
    if (wanted === 0) return 0;
    if (wanted <= PIPE_BUF ? this.free < wanted : this.free === 0) return EAGAIN;
    const n = packet ? this.writePackets(src) : this.moveIn(src, Math.min(wanted, this.free), false);
    if (n > 0) this.queue.notify(POLLIN | POLLRDNORM);
    return n;
  }
  /** Copies the first bytes of this pipe to the end of `to`, leaving them here (tee(2)). */
  copyTo(to, length) {
    const n = Math.min(length, this.count, to.free);
    if (n === 0) return 0;
    const copy = new Uint8Array(n);
    const first = Math.min(n, this.ring.length - this.head);
    copy.set(this.ring.subarray(this.head, this.head + first));
    copy.set(this.ring.subarray(0, n - first), first);
    to.append(copy);
    return n;
  }
  /** Appends bytes that are known to fit. */
  append(bytes2) {
    this.reserve(bytes2.length);
    const tail = (this.head + this.count) % this.ring.length;
    const first = Math.min(bytes2.length, this.ring.length - tail);
    this.ring.set(bytes2.subarray(0, first), tail);
    this.ring.set(bytes2.subarray(first), 0);
    this.noteRun(bytes2.length, false);
    this.count += bytes2.length;
    this.queue.notify(POLLIN | POLLRDNORM);
  }
  poll(reads, writes, hangup) {
    let events = 0;
    if (reads) {
      if (this.count > 0) events |= POLLIN | POLLRDNORM;
      if (this.writers === 0 && hangup) events |= POLLHUP;
    }
    if (writes) {
      if (this.free >= PIPE_BUF) events |= POLLOUT | POLLWRNORM;
      if (this.readers === 0) events |= POLLERR;
    }
    return events;
  }
  /** F_SETPIPE_SZ: the capacity that it got. EBUSY: it holds more. EPERM: above the limit. */
  resize(size2) {
    let capacity = PAGE_SIZE;
    while (capacity < size2 && capacity <= PIPE_MAX_SIZE) capacity *= 2;
    if (capacity > PIPE_MAX_SIZE) return EPERM;
    if (capacity > this.capacity && this.account.total + capacity - this.capacity > MAX_TOTAL) return EPERM;
    if (capacity < this.count) return EBUSY;
    const wasFull = this.free < PIPE_BUF;
    this.relocate(Math.min(capacity, Math.max(this.ring.length, MIN_RING)));
    this.account.total += capacity - this.capacity;
    this.capacity = capacity;
    if (wasFull && this.free >= PIPE_BUF) this.queue.notify(POLLOUT | POLLWRNORM);
    return capacity;
  }
  readRun(dst) {
    const run = this.runs[0];
    const n = this.moveOut(dst, run.length);
    if (n < 0) return n;
    run.length -= n;
    if (run.packet) this.drop(run.length);
    if (run.packet || run.length === 0) this.runs.shift();
    return n;
  }
  writePackets(src) {
    let total2 = 0;
    while (src.remaining > 0 && this.free > 0) {
      const length = Math.min(src.remaining, PIPE_BUF);
      if (length > this.free) break;
      const n = this.moveIn(src, length, true);
      if (n < 0) return total2 > 0 ? total2 : n;
      total2 += n;
      if (n < length) break;
    }
    return total2 > 0 ? total2 : EAGAIN;
  }
  moveOut(dst, limit) {
    let left = Math.min(limit, dst.remaining);
    let total2 = 0;
    while (left > 0) {
      const step = Math.min(left, this.ring.length - this.head);
      const n = dst.put(this.ring, this.head, this.head + step);
      if (n < 0) return total2 > 0 ? total2 : EFAULT;
      this.drop(n);
      total2 += n;
      left -= n;
      if (n < step) break;
    }
    return total2;
  }
  drop(n) {
    this.count -= n;
    this.head = this.count === 0 ? 0 : (this.head + n) % this.ring.length;
  }
  moveIn(src, length, packet) {
    this.reserve(length);
    let total2 = 0;
    while (total2 < length) {
      const tail = (this.head + this.count + total2) % this.ring.length;
      const step = Math.min(length - total2, this.ring.length - tail);
      const n = src.take(this.ring, tail, tail + step);
      if (n < 0) {
        if (total2 === 0) return EFAULT;
        break;
      }
      total2 += n;
      if (n < step) break;
    }
    this.noteRun(total2, packet);
    this.count += total2;
    return total2;
  }
  /** Before `count` grows by `length`. */
  noteRun(length, packet) {
    if (length === 0 || (!packet && this.runs.length === 0)) return;
    if (this.runs.length === 0 && this.count > 0) this.runs.push({ length: this.count, packet: false });
    const last = this.runs[this.runs.length - 1];
    if (!packet && last !== void 0 && !last.packet) last.length += length;
    else this.runs.push({ length, packet });
  }
  reserve(extra2) {
    const needed = this.count + extra2;
    if (needed <= this.ring.length) return;
    let size2 = Math.max(this.ring.length, MIN_RING);
    while (size2 < needed) size2 *= 2;
    this.relocate(Math.min(size2, this.capacity));
  }
  relocate(size2) {
    const ring = new Uint8Array(size2);
    const first = Math.min(this.count, this.ring.length - this.head);
    ring.set(this.ring.subarray(this.head, this.head + first));
    ring.set(this.ring.subarray(0, this.count - first), first);
    this.ring = ring;
    this.head = 0;
  }
};
var EMPTY = new Uint8Array(0);
var MIN_RING = 4096;

// sentry/syscalls/definition.ts
var HIGH = 4294967296;
var int = { name: 'int', decode: (low) => low | 0 };
var fd = { name: 'fd', decode: (low) => low | 0, format: (_t, v) => (v === -100 ? 'AT_FDCWD' : String(v)) };
var uint = { name: 'uint', decode: (low) => low >>> 0 };
var flags = { name: 'flags', decode: (low) => low | 0, format: (_t, v) => `0x${(v >>> 0).toString(16)}` };
var addr = {
  name: 'addr',
  decode: (low, high) => high * HIGH + low,
  format: (_t, v) => (v === 0 ? 'NULL' : `0x${v.toString(16)}`),
};
var size = { name: 'size', decode: (low, high) => high * HIGH + low };
var long = { name: 'long', decode: (low, high) => (high | 0) * HIGH + low };
var path = {
  name: 'path',
  decode: addr.decode,
  format: (task, v) => {
    if (v === 0) return 'NULL';
    const text = task.readPath(v);
    return typeof text === 'string' ? JSON.stringify(text) : `0x${v.toString(16)}`;
  },
};
var NO_RESULT = -1e5;
function syscall(definition) {
  const run = definition.run;
  return {
    number: definition.x64,
    man: definition.man,
    args: definition.args,
    partial: definition.partial ?? null,
    invoke: invoker(run, definition.args),
  };
}
function invoker(run, kinds) {
  const [a, b, c2, d, e, f] = kinds.map((kind2) => kind2.decode);
  const at = (decode, args, i) => decode(args[2 * i], args[2 * i + 1]);
  if (a === void 0) return (task) => run(task);
  if (b === void 0) return (task, r) => run(task, at(a, r, 0));
  if (c2 === void 0) return (task, r) => run(task, at(a, r, 0), at(b, r, 1));
  if (d === void 0) return (task, r) => run(task, at(a, r, 0), at(b, r, 1), at(c2, r, 2));
  if (e === void 0) return (task, r) => run(task, at(a, r, 0), at(b, r, 1), at(c2, r, 2), at(d, r, 3));
  if (f === void 0) return (task, r) => run(task, at(a, r, 0), at(b, r, 1), at(c2, r, 2), at(d, r, 3), at(e, r, 4));
  return (task, r) => run(task, at(a, r, 0), at(b, r, 1), at(c2, r, 2), at(d, r, 3), at(e, r, 4), at(f, r, 5));
}

// sentry/vfs/device.ts
var ALL_MINORS = 1 << 20;
var DeviceRegistry = class {
  character = /* @__PURE__ */ new Map();
  /** Ranges of one major must not overlap. */
  registerCharacter(driver) {
    const drivers = this.character.get(driver.major);
    if (drivers === void 0) this.character.set(driver.major, [driver]);
    else drivers.push(driver);
  }
  /** mode: of the node, with its type; rdev: its number (makedev). ENXIO: nobody answers. */
  open(mode, rdev, flags3, context) {
    if ((mode & S_IFMT) === S_IFBLK) return ENXIO;
    const number = minor(rdev);
    for (const driver of this.character.get(major(rdev)) ?? []) {
      if (number >= driver.firstMinor && number < driver.firstMinor + driver.minors) return driver.open(flags3, context, number);
    }
    return ENXIO;
  }
  /** Every driver, by major number. */
  *drivers() {
    for (const number of [...this.character.keys()].sort((a, b) => a - b)) yield* this.character.get(number);
  }
};

// abi/epoll.ts
var EPOLL_CLOEXEC = 524288;
var EPOLL_CTL_ADD2 = 1;
var EPOLL_CTL_DEL2 = 2;
var EPOLL_CTL_MOD2 = 3;
var EPOLLEXCLUSIVE = 1 << 28;
var EPOLLWAKEUP = 1 << 29;
var EPOLLONESHOT = 1 << 30;
var EPOLLET = 1 << 31;
var EPOLL_EVENT_SIZE = 12;

// abi/fcntl.ts
var O_RDONLY = 0;
var O_WRONLY = 1;
var O_RDWR = 2;
var O_ACCMODE = 3;
var O_CREAT = 64;
var O_EXCL = 128;
var O_NOCTTY = 256;
var O_TRUNC = 512;
var O_APPEND = 1024;
var O_NONBLOCK = 2048;
var O_DSYNC = 4096;
var O_DIRECT = 16384;
var O_LARGEFILE = 32768;
var O_DIRECTORY = 65536;
var O_NOFOLLOW = 131072;
var O_CLOEXEC = 524288;
var __O_SYNC = 1048576;
var O_SYNC = O_DSYNC | __O_SYNC;
var O_PATH = 2097152;
var __O_TMPFILE = 4194304;
var O_TMPFILE = __O_TMPFILE | O_DIRECTORY;
var AT_FDCWD = -100;
var AT_SYMLINK_NOFOLLOW = 256;
var AT_EMPTY_PATH = 4096;
var SEEK_SET = 0;
var SEEK_CUR = 1;
var SEEK_END = 2;
var PATH_MAX = 4096;
var NAME_MAX = 255;
var MAXSYMLINKS = 40;

// sentry/vfs/file.ts
var FileImpl = class {
  /** Waiters for readiness; null: always ready (regular files, directories). */
  queue = null;
  /**
   * Moves up to `dst.remaining` bytes in: how many, 0 at the end, EAGAIN if it would have to wait (the caller then waits for POLLIN on
   * `queue` and tries again). Streams and files with a position alike; the position is file.position.
   */
  read(_dst, _file, _task) {
    return EINVAL;
  }
  write(_src, _file, _task) {
    return EINVAL;
  }
  pread(_dst, _offset, _file, _task) {
    return ESPIPE;
  }
  pwrite(_src, _offset, _file, _task) {
    return ESPIPE;
  }
  /** New position or an errno. */
  seek(_file, _offset, _whence) {
    return ESPIPE;
  }
  /** Which of POLL* hold now (POLLERR and POLLHUP without being asked). `_task`: who asks, null from epoll. */
  poll(_file, _task = null) {
    return POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM;
  }
  ioctl(_file, _task, _command, _argument) {
    return ENOTTY;
  }
  /** From file.position on, "." and ".." included; updates file.position. 0 or an errno. */
  readdir(_file, _emit, _task) {
    return ENOTDIR;
  }
  /** For mmap(2) with these PROT_* bits; `shared`: MAP_SHARED. ENODEV: not mappable. */
  mapping(_file, _shared, _prot) {
    return ENODEV;
  }
  truncate(_file, _size) {
    return EINVAL;
  }
  allocate(_file, _mode, _offset, _length) {
    return ENODEV;
  }
  sync(_file, _dataOnly) {
    return EINVAL;
  }
  /** close(2) of one descriptor (not the last reference, perhaps): pending errors to report. */
  flush(_file, _task) {
    return 0;
  }
  /** fcntl(2) F_SETFL of O_NONBLOCK, O_APPEND, O_ASYNC is done by the caller; a file may refuse. */
  setFlags(_file, _flags) {
    return 0;
  }
  /** The last reference is gone. */
  release(_file) {}
  /** Extra lines of /proc/PID/fdinfo/N. */
  describe() {
    return '';
  }
};
var PositionedFile = class extends FileImpl {
  read(dst, file, task) {
    const n = this.pread(dst, file.position, file, task);
    if (typeof n === 'number') {
      if (n > 0) file.position += n;
      return n;
    }
    return advance(n, file);
  }
  write(src, file, task) {
    if ((file.flags & O_APPEND) !== 0) file.position = this.size(file);
    const n = this.pwrite(src, file.position, file, task);
    if (typeof n === 'number') {
      if (n > 0) file.position += n;
      return n;
    }
    return advance(n, file);
  }
  seek(file, offset, whence) {
    const base = whence === SEEK_SET ? 0 : whence === SEEK_CUR ? file.position : whence === SEEK_END ? this.size(file) : Number.NaN;
    const target = base + offset;
    if (!(target >= 0) || target > Number.MAX_SAFE_INTEGER) return EINVAL;
    file.position = target;
    return target;
  }
  sync(_file, _dataOnly) {
    return 0;
  }
};
function* advance(transfer, file) {
  const n = yield* transfer;
  if (n > 0) file.position += n;
  return n;
}
var FileDescription = class {
  impl;
  /** O_* access mode and status flags; O_CLOEXEC is the descriptor's and not here. */
  flags;
  /** Where it was opened; pipes, sockets and the like have a path in an anonymous filesystem. */
  path;
  position = 0;
  /** fcntl(2) F_SETOWN: positive pid, negative process group. F_SETSIG: the signal, 0 = SIGIO. */
  owner = 0;
  ownerSignal = 0;
  references = 1;
  /** Called at the last release, before impl.release: epoll registrations, locks. */
  onLastRelease = null;
  constructor(impl, flags3, path3 = null) {
    this.impl = impl;
    this.flags = flags3;
    this.path = path3;
  }
  get inode() {
    return this.path?.dentry.inode ?? null;
  }
  get readable() {
    return (this.flags & O_ACCMODE) !== O_WRONLY && (this.flags & O_PATH) === 0;
  }
  get writable() {
    return (this.flags & O_ACCMODE) !== O_RDONLY && (this.flags & O_PATH) === 0;
  }
  get nonblocking() {
    return (this.flags & O_NONBLOCK) !== 0;
  }
  get isPath() {
    return (this.flags & O_PATH) !== 0;
  }
  hold() {
    this.references++;
    return this;
  }
  release() {
    if (--this.references > 0) return;
    for (const hook of this.onLastRelease ?? []) hook(this);
    this.onLastRelease = null;
    this.impl.release(this);
  }
  addReleaseHook(hook) {
    this.onLastRelease ??= [];
    this.onLastRelease.push(hook);
  }
  removeReleaseHook(hook) {
    this.onLastRelease = this.onLastRelease?.filter((h) => h !== hook) ?? null;
  }
};

// sentry/vfs/poll_events.ts
function wakeEvents(events) {
  return events | ((events & POLLRDNORM) !== 0 ? POLLIN : 0) | ((events & POLLWRNORM) !== 0 ? POLLOUT : 0);
}

// sentry/vfs/epoll.ts
var MAX_WATCHES = 1 << 20;
var MAX_NESTING = 5;
var FLAGS = EPOLLET | EPOLLONESHOT | EPOLLWAKEUP | EPOLLEXCLUSIVE;
var EXCLUSIVE_ALLOWED = POLLIN | POLLOUT | POLLERR | POLLHUP | EPOLLWAKEUP | EPOLLET | EPOLLEXCLUSIVE;
var EpollAccount = class {
  watches = 0;
};
var EpollItem = class {
  epoll;
  file;
  fd;
  /** As epoll_ctl(2) was given them. */
  mask = 0;
  dataLow = 0;
  dataHigh = 0;
  /** EPOLLONESHOT has fired: nothing until EPOLL_CTL_MOD. */
  disabled = false;
  /** Ready list. */
  listed = false;
  next = null;
  previous = null;
  /** Another number for the same file in the same instance. */
  sibling = null;
  // WaitEntry
  events = 0;
  exclusive = false;
  constructor(epoll, file, fd2) {
    this.epoll = epoll;
    this.file = file;
    this.fd = fd2;
  }
  configure(mask, dataLow, dataHigh) {
    this.mask = mask;
    this.dataLow = dataLow;
    this.dataHigh = dataHigh;
    this.disabled = false;
    this.events = wakeEvents(mask & ~FLAGS);
    this.exclusive = (mask & EPOLLEXCLUSIVE) !== 0;
  }
  /** True if somebody waits on the instance: an exclusive wake-up has then found its one. */
  wake(_events) {
    return this.disabled ? false : this.epoll.markReady(this);
  }
  /** Events to report now. */
  ready() {
    return this.disabled ? 0 : this.file.impl.poll(this.file, null) & ((this.mask & ~FLAGS) | POLLERR | POLLHUP);
  }
};
var EpollFile = class _EpollFile extends FileImpl {
  queue = new WaitQueue();
  account;
  /** First item of each watched file; the others follow as siblings. */
  items = /* @__PURE__ */ new Map();
  /** Instances among the watched files, and instances that watch this one: item counts. */
  below = /* @__PURE__ */ new Map();
  above = /* @__PURE__ */ new Map();
  head = null;
  tail = null;
  listedCount = 0;
  forgetFile = (file) => this.removeFile(file);
  constructor(kernel2) {
    super();
    this.account = kernel2.epolls;
  }
  /** EPOLL_CTL_ADD. */
  add(file, fd2, mask, dataLow, dataHigh) {
    if (file.impl.queue === null) return EPERM;
    if ((mask & EPOLLEXCLUSIVE) !== 0 && ((mask & ~EXCLUSIVE_ALLOWED) !== 0 || file.impl instanceof _EpollFile)) return EINVAL;
    if (this.find(file, fd2) !== null) return EEXIST;
    if (this.account.watches >= MAX_WATCHES) return ENOSPC;
    if (file.impl instanceof _EpollFile && !mayWatch(this, file.impl)) return ELOOP;
    const item = new EpollItem(this, file, fd2);
    item.configure(mask, dataLow, dataHigh);
    const first = this.items.get(file);
    if (first === void 0) {
      this.items.set(file, item);
      file.addReleaseHook(this.forgetFile);
    } else {
      item.sibling = first.sibling;
      first.sibling = item;
    }
    this.account.watches++;
    if (file.impl instanceof _EpollFile) this.link(file.impl, 1);
    file.impl.queue.add(item);
    if (item.ready() !== 0) this.markReady(item);
    return 0;
  }
  modify(file, fd2, mask, dataLow, dataHigh) {
    const item = this.find(file, fd2);
    if (item === null) return ENOENT;
    if (item.exclusive || (mask & EPOLLEXCLUSIVE) !== 0) return EINVAL;
    item.configure(mask, dataLow, dataHigh);
    if (item.ready() !== 0) this.markReady(item);
    return 0;
  }
  remove(file, fd2) {
    const item = this.find(file, fd2);
    if (item === null) return ENOENT;
    const first = this.items.get(file);
    if (first !== item) {
      let before = first;
      while (before.sibling !== item) before = before.sibling;
      before.sibling = item.sibling;
    } else if (item.sibling !== null) {
      this.items.set(file, item.sibling);
    } else {
      this.items.delete(file);
      file.removeReleaseHook(this.forgetFile);
    }
    this.discard(item);
    return 0;
  }
  /**
   * Writes up to `max` events (struct epoll_event) into `out`; how many. Level-triggered items go to the end of the list and are
   * asked again next time, the others leave it.
   */
  collect(out, max) {
    let count2 = 0;
    for (let left = this.listedCount; left > 0 && count2 < max; left--) {
      const item = this.head;
      this.unlist(item);
      const events = item.ready();
      if (events === 0) continue;
      const at = count2++ * EPOLL_EVENT_SIZE;
      out.setUint32(at, events, true);
      out.setUint32(at + 4, item.dataLow, true);
      out.setUint32(at + 8, item.dataHigh, true);
      if ((item.mask & EPOLLONESHOT) !== 0) item.disabled = true;
      else if ((item.mask & EPOLLET) === 0) this.list(item);
    }
    return count2;
  }
  /** True if somebody was waiting. */
  markReady(item) {
    if (!item.listed) this.list(item);
    if (this.queue.empty) return false;
    this.queue.notify(POLLIN | POLLRDNORM);
    return true;
  }
  /** Ready if any listed item still is; those that are not leave the list. */
  poll(_file) {
    for (let item = this.head; item !== null; ) {
      const following = item.next;
      if (item.ready() !== 0) return POLLIN | POLLRDNORM;
      this.unlist(item);
      item = following;
    }
    return 0;
  }
  release(_file) {
    for (const [file, first] of this.items) {
      file.removeReleaseHook(this.forgetFile);
      for (let item = first; item !== null; item = item.sibling) this.discard(item);
    }
    this.items.clear();
  }
  describe() {
    let text = '';
    for (const first of this.items.values()) {
      for (let item = first; item !== null; item = item.sibling) {
        const data = (BigInt(item.dataHigh) << 32n) | BigInt(item.dataLow);
        const events = ((item.disabled ? 0 : item.mask | POLLERR | POLLHUP) >>> 0).toString(16);
        const ino = item.file.inode?.attributes().ino ?? 0;
        text += `tfd: ${String(item.fd).padStart(8)} events: ${events.padStart(8)} data: ${data.toString(16).padStart(16)}  pos:${item.file.position} ino:${ino.toString(16)} sdev:${(item.file.inode?.fs.dev ?? 0).toString(16)}
`;
      }
    }
    return text;
  }
  link(watched, change) {
    count(this.below, watched, change);
    count(watched.above, this, change);
  }
  find(file, fd2) {
    let item = this.items.get(file) ?? null;
    while (item !== null && item.fd !== fd2) item = item.sibling;
    return item;
  }
  removeFile(file) {
    let item = this.items.get(file) ?? null;
    this.items.delete(file);
    for (; item !== null; item = item.sibling) this.discard(item);
  }
  /** Off the file's queue and the ready list. */
  discard(item) {
    const { impl } = item.file;
    impl.queue?.remove(item);
    if (impl instanceof _EpollFile) this.link(impl, -1);
    item.disabled = true;
    if (item.listed) this.unlist(item);
    this.account.watches--;
  }
  list(item) {
    item.listed = true;
    item.previous = this.tail;
    item.next = null;
    if (this.tail === null) this.head = item;
    else this.tail.next = item;
    this.tail = item;
    this.listedCount++;
  }
  unlist(item) {
    item.listed = false;
    if (item.previous === null) this.head = item.next;
    else item.previous.next = item.next;
    if (item.next === null) this.tail = item.previous;
    else item.next.previous = item.previous;
    item.next = item.previous = null;
    this.listedCount--;
  }
};
function count(map, key, change) {
  const n = (map.get(key) ?? 0) + change;
  if (n > 0) map.set(key, n);
  else map.delete(key);
}
function mayWatch(watcher, watched) {
  const up = chain(watcher, 'above', null);
  const down = chain(watched, 'below', watcher);
  return watcher !== watched && up + down <= MAX_NESTING;
}
function chain(start2, direction, forbidden) {
  let layer = /* @__PURE__ */ new Set([start2]);
  let length = 0;
  for (; layer.size > 0 && length <= MAX_NESTING; length++) {
    if (forbidden !== null && layer.has(forbidden)) return MAX_NESTING + 1;
    const following = /* @__PURE__ */ new Set();
    for (const epoll of layer) for (const other of epoll[direction].keys()) following.add(other);
    layer = following;
  }
  return length;
}
function epollOf(file) {
  if (typeof file === 'number') return EBADF;
  return file.impl instanceof EpollFile ? file.impl : EINVAL;
}

// sentry/kernel/futex.ts
function exitRobustList(task) {
  task.robustList = 0;
}
function clearChildTid(task) {
  const address = task.clearChildTid;
  task.clearChildTid = 0;
  if (address !== 0 && task.mm.userCount > 1) task.writeU32(address, 0);
}

// sentry/kernel/cpu_time.ts
var NS_PER_TICK = 1e7;
function groupCpuTimes(group) {
  let user = group.dead.userTime;
  let system = group.dead.systemTime;
  for (const task of group.tasks) {
    if (task.state === 'dead') continue;
    user += task.thread.cpuTime();
    system += task.systemTime;
  }
  return { user, system };
}
function clockTicks(group) {
  const { user, system } = groupCpuTimes(group);
  return { utime: Math.floor(user / NS_PER_TICK), stime: Math.floor(system / NS_PER_TICK) };
}

// sentry/kernel/credentials.ts
var CAP_DAC_OVERRIDE = 1;
var CAP_DAC_READ_SEARCH = 2;
var CAP_IPC_LOCK = 14;
var CAP_SYS_ADMIN = 21;
var CAP_SYS_RESOURCE = 24;
var CAP_SYS_TTY_CONFIG = 26;
var CAP_LAST_CAP = 40;
var ALL_CAPS = (1n << BigInt(CAP_LAST_CAP + 1)) - 1n;
function hasCap(creds, cap) {
  return ((creds.caps.effective >> BigInt(cap)) & 1n) === 1n;
}
function inGroup(creds, gid) {
  return creds.fsgid === gid || creds.groups.includes(gid);
}
function rootCredentials(caps = ALL_CAPS) {
  return {
    uid: 0,
    euid: 0,
    suid: 0,
    fsuid: 0,
    gid: 0,
    egid: 0,
    sgid: 0,
    fsgid: 0,
    groups: [],
    caps: { effective: caps, permitted: caps, inheritable: 0n, bounding: caps, ambient: 0n },
    securebits: 0,
    noNewPrivs: false,
  };
}

// sentry/kernel/rlimits.ts
var RLIMIT_DATA = 2;
var RLIMIT_STACK = 3;
var RLIMIT_CORE = 4;
var RLIMIT_NPROC = 6;
var RLIMIT_NOFILE = 7;
var RLIMIT_MEMLOCK = 8;
var RLIMIT_AS = 9;
var RLIMIT_SIGPENDING = 11;
var RLIMIT_MSGQUEUE = 12;
var RLIMIT_NICE = 13;
var RLIMIT_RTPRIO = 14;
var RLIM_NLIMITS = 16;
var RLIM_INFINITY = Number.POSITIVE_INFINITY;
var DEFAULTS = {
  [RLIMIT_STACK]: { soft: 8 << 20, hard: RLIM_INFINITY },
  [RLIMIT_CORE]: { soft: 0, hard: RLIM_INFINITY },
  [RLIMIT_NPROC]: { soft: 65536, hard: 65536 },
  [RLIMIT_NOFILE]: { soft: 1024, hard: 1048576 },
  [RLIMIT_MEMLOCK]: { soft: 8 << 20, hard: 8 << 20 },
  [RLIMIT_SIGPENDING]: { soft: 65536, hard: 65536 },
  [RLIMIT_MSGQUEUE]: { soft: 819200, hard: 819200 },
  [RLIMIT_NICE]: { soft: 0, hard: 0 },
  [RLIMIT_RTPRIO]: { soft: 0, hard: 0 },
};
var ResourceLimits = class {
  limits;
  constructor(from) {
    this.limits = from
      ? from.limits.slice()
      : Array.from({ length: RLIM_NLIMITS }, (_, i) => DEFAULTS[i] ?? { soft: RLIM_INFINITY, hard: RLIM_INFINITY });
  }
  get(resource) {
    return this.limits[resource];
  }
  set(resource, limit) {
    this.limits[resource] = limit;
  }
  soft(resource) {
    return this.limits[resource].soft;
  }
};

// sentry/kernel/signal_state.ts
var BITS = Array.from({ length: NSIG + 1 }, (_, n) => (n === 0 ? 0n : 1n << BigInt(n - 1)));
function signalBit(signal) {
  return BITS[signal];
}
var UNBLOCKABLE = signalBit(SIGKILL) | signalBit(SIGSTOP);
var ALL_SIGNALS = (1n << BigInt(NSIG)) - 1n;
var DEFAULT_ACTION = { handler: SIG_DFL, flags: 0, restorer: 0, mask: 0n };
var SignalHandlers = class {
  actions;
  constructor(from) {
    this.actions = from ? from.actions.slice() : new Array(NSIG + 1).fill(DEFAULT_ACTION);
  }
  get(signal) {
    return this.actions[signal];
  }
  set(signal, action) {
    this.actions[signal] = action;
  }
  /** execve(2): caught signals go back to the default, ignored ones stay ignored. */
  resetCaught() {
    for (let s = 1; s <= NSIG; s++) if (this.actions[s].handler > 1) this.actions[s] = DEFAULT_ACTION;
  }
};
var SYNCHRONOUS = [SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE, SIGSYS].reduce((set, s) => set | signalBit(s), 0n);
var PendingSignals = class {
  set = 0n;
  /** Queued instances. */
  count = 0;
  queued = /* @__PURE__ */ new Map();
  /** False: a standard signal that was pending already (it is dropped). */
  add(info) {
    const bit = signalBit(info.signal);
    if ((this.set & bit) !== 0n && info.signal < SIGRTMIN) return false;
    this.set |= bit;
    this.count++;
    const queue = this.queued.get(info.signal);
    if (queue === void 0) this.queued.set(info.signal, [info]);
    else queue.push(info);
    return true;
  }
  /** The next one in `allowed`: synchronous ones first, then by number. */
  take(allowed) {
    const ready = this.set & allowed;
    if (ready === 0n) return null;
    return this.shift(lowest((ready & SYNCHRONOUS) === 0n ? ready : ready & SYNCHRONOUS));
  }
  /** Drops every instance of `signals`. */
  discard(signals) {
    if ((this.set & signals) === 0n) return;
    this.set &= ~signals;
    for (const [signal, queue] of this.queued) {
      if ((signals & signalBit(signal)) === 0n) continue;
      this.count -= queue.length;
      this.queued.delete(signal);
    }
  }
  /** Takes one instance out that `is` picks (a timer that is deleted). */
  withdraw(signal, is) {
    const queue = this.queued.get(signal);
    const at = queue?.findIndex(is) ?? -1;
    if (queue === void 0 || at < 0) return;
    queue.splice(at, 1);
    this.count--;
    if (queue.length === 0) this.forget(signal);
  }
  shift(signal) {
    const queue = this.queued.get(signal);
    const info = queue.shift();
    this.count--;
    if (queue.length === 0) this.forget(signal);
    return info;
  }
  forget(signal) {
    this.queued.delete(signal);
    this.set &= ~signalBit(signal);
  }
};
function lowest(set) {
  const low = Number(set & 0xffffffffn);
  if (low !== 0) return 32 - Math.clz32(low & -low);
  const high = Number(set >> 32n);
  return 64 - Math.clz32(high & -high);
}

// sentry/kernel/signal_actions.ts
function setOf(...signals) {
  return signals.reduce((set, signal) => set | signalBit(signal), 0n);
}
var STOP_SIGNALS = setOf(SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU);
var CONTINUE_SIGNAL = signalBit(SIGCONT);
var KERNEL_ONLY = setOf(SIGKILL, SIGSTOP);
var IGNORED = setOf(SIGCHLD, SIGCONT, SIGURG, SIGWINCH);
var CORE = setOf(SIGQUIT, SIGILL, SIGTRAP, SIGABRT, SIGFPE, SIGSEGV, SIGBUS, SIGSYS, SIGXCPU, SIGXFSZ);
function inSet(set, signal) {
  return (set & signalBit(signal)) !== 0n;
}
function defaultAction(signal) {
  if (inSet(IGNORED, signal)) return 'ignore';
  if (inSet(STOP_SIGNALS, signal)) return 'stop';
  return inSet(CORE, signal) ? 'core' : 'terminate';
}

// sentry/kernel/signal_send.ts
function sendToTask(task, info) {
  if (task.state === 'dead') return 0;
  const r = enqueue(task.group, task, task.pending, info);
  if (r === true && (wants(task, info.signal) || info.signal === SIGKILL)) wake(task, info.signal === SIGKILL);
  return typeof r === 'boolean' ? 0 : r;
}
function sendToGroup(group, info) {
  if (group.zombie) return 0;
  const r = enqueue(group, group.tasks[0] ?? group.leader, group.pending, info);
  if (r === true) wakeOne(group, info.signal);
  return typeof r === 'boolean' ? 0 : r;
}
function sendToProcessGroup(group, info) {
  for (const member of [...group.members]) sendToGroup(member, info);
}
function forceSignal(task, info) {
  const { handlers } = task.group;
  const blocked = inSet(task.signalMask, info.signal);
  const action = handlers.get(info.signal);
  if (blocked || action.handler === SIG_IGN) handlers.set(info.signal, { ...action, handler: SIG_DFL });
  if (blocked) setSignalMask(task, task.signalMask & ~(1n << BigInt(info.signal - 1)));
  task.pending.add({ ...info, forced: true });
  task.attention = true;
}
function forceFatal(task, signal) {
  task.group.handlers.set(signal, DEFAULT_ACTION);
  forceSignal(task, { signal, code: 128 });
}
function setSignalMask(task, mask) {
  const next = mask & ~UNBLOCKABLE;
  const newlyBlocked = next & ~task.signalMask;
  task.signalMask = next;
  if (((task.pending.set | task.group.pending.set) & ~next) !== 0n) task.attention = true;
  if (newlyBlocked !== 0n) retargetShared(task, newlyBlocked);
}
function retargetShared(task, signals) {
  const left = task.group.pending.set & signals;
  if (left === 0n) return;
  for (const other of task.group.tasks) {
    if (other === task || other.state === 'dead' || (left & ~other.signalMask) === 0n) continue;
    if (other.parked !== 'group-stop') wake(other, false);
  }
}
function isNamespaceInit(group) {
  return group.leader.tid === 1;
}
function enqueue(group, target, queue, info) {
  if (group.exiting !== null) return false;
  stopOrContinue(group, info.signal);
  if (isIgnored(group, target, info)) return false;
  if (info.signal >= SIGRTMIN && info.code !== SI_TIMER && queue.count >= group.limits.soft(RLIMIT_SIGPENDING)) {
    if (info.code !== SI_USER) return EAGAIN;
    if (inSet(queue.set, info.signal)) return false;
  }
  if (!queue.add(info)) return false;
  group.signalEvents.notify(POLLIN);
  return true;
}
function stopOrContinue(group, signal) {
  if (inSet(STOP_SIGNALS, signal)) discardEverywhere(group, CONTINUE_SIGNAL);
  else if (signal === SIGCONT) {
    discardEverywhere(group, STOP_SIGNALS);
    continueGroup(group, true);
  }
}
function discardEverywhere(group, signals) {
  group.pending.discard(signals);
  for (const task of group.tasks) task.pending.discard(signals);
}
function isIgnored(group, target, info) {
  if (inSet(target.signalMask, info.signal)) return false;
  const { handler } = group.handlers.get(info.signal);
  if (handler !== SIG_DFL) return handler === SIG_IGN;
  const fromOutside = (info.pid ?? 0) === 0;
  if (isNamespaceInit(group) && !(fromOutside && inSet(KERNEL_ONLY, info.signal))) return true;
  return defaultAction(info.signal) === 'ignore';
}
function wants(task, signal) {
  return task.state !== 'dead' && !inSet(task.signalMask, signal) && task.parked !== 'group-stop' && task.parked !== 'ptrace-stop';
}
function wakeOne(group, signal) {
  if (signal === SIGKILL) {
    const target = group.tasks.find((task) => task.state !== 'dead');
    if (target !== void 0) wake(target, true);
    return;
  }
  let chosen = wants(group.leader, signal) ? group.leader : null;
  if (chosen === null || chosen.attention) {
    for (const task of group.tasks) {
      if (!wants(task, signal)) continue;
      chosen ??= task;
      if (task.attention) continue;
      chosen = task;
      break;
    }
  }
  if (chosen !== null) wake(chosen, false);
}
function wake(task, fatal) {
  task.attention = true;
  if (task.state === 'app') task.thread.interrupt();
  else if (task.state === 'blocked') task.blocked?.notify('signal');
  else if (task.state === 'parked' && fatal) task.kernel.unpark(task);
}

// sentry/kernel/job_control.ts
function beginStop(group, signal) {
  if (group.stopSignal === 0) group.stopSignal = signal;
  for (const task of group.tasks) {
    if (task.state === 'app') task.thread.interrupt();
    else if (task.state === 'blocked') task.blocked?.notify('signal');
    task.attention = true;
  }
}
function park(task, why) {
  task.state = 'parked';
  task.parked = why;
}
function parkForStop(task) {
  park(task, 'group-stop');
  completeStop(task.group);
}
function stopAfterExit(group) {
  if (group.stopSignal !== 0 && !group.stopped && !group.zombie) completeStop(group);
}
function completeStop(group) {
  if (group.stopped) return;
  for (const task of group.tasks) if (task.state !== 'dead' && task.parked === null) return;
  group.stopped = true;
  group.stopReport = 'stopped';
  notifyParent(group, CLD_STOPPED, group.stopSignal);
}
function continueGroup(group, report) {
  if (group.stopSignal === 0) return;
  const wasStopped = group.stopped;
  group.stopSignal = 0;
  group.stopped = false;
  for (const task of group.tasks) if (task.parked === 'group-stop') task.kernel.unpark(task);
  if (!report) {
    group.stopReport = 'none';
    return;
  }
  if (!wasStopped) return;
  group.stopReport = 'continued';
  notifyParent(group, CLD_CONTINUED, SIGCONT);
}
function notifyParent(group, code, status) {
  const { parent } = group;
  if (parent === null) return;
  const action = parent.handlers.get(SIGCHLD);
  if (action.handler !== SIG_IGN && (action.flags & SA_NOCLDSTOP) === 0) {
    const { utime, stime } = clockTicks(group);
    sendToGroup(parent, {
      signal: SIGCHLD,
      code,
      pid: group.idIn(parent.pidNamespace),
      uid: group.leader.creds.uid,
      status,
      utime,
      stime,
    });
  }
  parent.childEvents.notify(POLLIN);
}

// sentry/kernel/session.ts
var Session = class {
  leader;
  /** Number in each pid namespace from the root down, as the leader's had. */
  ids;
  groups = /* @__PURE__ */ new Set();
  terminal = null;
  /** Foreground group of a terminal that hung up: it hears of it when the leader exits. */
  lastForeground = null;
  /** Members that gave the terminal up for themselves (TIOCNOTTY of a process that is not the leader). */
  detached = null;
  constructor(leader, ids) {
    this.leader = leader;
    this.ids = ids;
  }
  idIn(ns) {
    return this.ids[ns.level] ?? 0;
  }
  /** The controlling terminal of one member. */
  terminalOf(process2) {
    return this.detached?.has(process2) ? null : this.terminal;
  }
  detach(process2) {
    this.detached ??= /* @__PURE__ */ new WeakSet();
    this.detached.add(process2);
  }
  /** A new terminal: every member has it. */
  attach(terminal) {
    this.terminal = terminal;
    this.detached = null;
  }
};
var ProcessGroup = class {
  session;
  ids;
  /** The namespace of the process that began it: the deepest that numbers it. */
  pidNamespace;
  /** Zombies included, until they are reaped. */
  members = /* @__PURE__ */ new Set();
  constructor(session, ids, pidNamespace) {
    this.session = session;
    this.ids = ids;
    this.pidNamespace = pidNamespace;
  }
  idIn(ns) {
    return this.ids[ns.level] ?? 0;
  }
};
function controllingTerminal(process2) {
  return process2.group.session.terminalOf(process2);
}
function startSession(process2) {
  const { ids } = process2.leader;
  const session = new Session(process2, ids);
  for (let ns = process2.pidNamespace; ns !== null; ns = ns.parent) ns.sessions.set(session.idIn(ns), session);
  enterGroup(process2, newGroup(process2, session));
  return session;
}
function startGroup(process2) {
  const group = newGroup(process2, process2.group.session);
  enterGroup(process2, group);
  return group;
}
function joinGroup(process2, group) {
  enterGroup(process2, group);
}
function leaveGroup(process2) {
  removeMember(process2, process2.group);
}
function newGroup(leader, session) {
  const group = new ProcessGroup(session, leader.leader.ids, leader.pidNamespace);
  session.groups.add(group);
  for (let ns = leader.pidNamespace; ns !== null; ns = ns.parent) ns.groups.set(group.idIn(ns), group);
  return group;
}
function enterGroup(process2, group) {
  const old = process2.group;
  group.members.add(process2);
  process2.group = group;
  if (old !== group && old != null) removeMember(process2, old);
}
function removeMember(process2, group) {
  group.members.delete(process2);
  if (group.members.size > 0) return;
  const { session } = group;
  for (let ns = group.pidNamespace; ns !== null; ns = ns.parent) forget(ns.groups, group.idIn(ns), group);
  session.groups.delete(group);
  if (session.groups.size > 0) return;
  for (let ns = session.leader.pidNamespace; ns !== null; ns = ns.parent) forget(ns.sessions, session.idIn(ns), session);
  if (session.terminal !== null) session.terminal.disassociate();
}
function forget(map, id, value) {
  if (map.get(id) === value) map.delete(id);
}
function isOrphaned(group, ignored = null) {
  for (const member of group.members) {
    if (member === ignored || member.zombie || member.parent === null) continue;
    const { parent } = member;
    if (parent.group !== group && parent.group.session === group.session) return false;
  }
  return true;
}
function exitJobControl(process2, children) {
  const { session } = process2.group;
  if (session.leader === process2) {
    session.terminal?.disassociate();
    if (session.lastForeground !== null) sendToProcessGroup(session.lastForeground, { signal: SIGHUP, code: SI_KERNEL });
    session.lastForeground = null;
  }
  for (const child of children) hangUpIfOrphaned(child, process2, null);
  if (process2.parent !== null) hangUpIfOrphaned(process2, process2.parent, process2);
}
function hangUpIfOrphaned(process2, connection, ignored) {
  const { group } = process2;
  if (connection.group === group || connection.group.session !== group.session || !isOrphaned(group, ignored)) return;
  if (!hasStopped(group)) return;
  sendToProcessGroup(group, { signal: SIGHUP, code: SI_KERNEL });
  sendToProcessGroup(group, { signal: SIGCONT, code: SI_KERNEL });
}
function hasStopped(group) {
  for (const member of group.members) if (member.stopped) return true;
  return false;
}

// sentry/kernel/exit.ts
var CORE_DUMPED = 128;
function exitGroup(group, status) {
  group.exiting ??= status;
  for (const task of group.tasks.slice()) exitTask(task, group.exiting);
}
function exitTask(task, status) {
  if (task.state === 'dead') return;
  const { group } = task;
  task.blocked?.abandon();
  task.blocked = null;
  task.state = 'dead';
  task.parked = null;
  task.exitCode = status;
  for (const hook of task.exitHooks) hook(task);
  exitRobustList(task);
  clearChildTid(task);
  group.dead.userTime += task.thread.cpuTime();
  group.dead.systemTime += task.systemTime;
  releaseResources(task);
  group.tasks.splice(group.tasks.indexOf(task), 1);
  if (group.tasks.length === 0) {
    processExited(group, group.exiting ?? group.leader.exitCode);
    return;
  }
  if (task !== group.leader) forgetIds(task);
  if (group.exiting !== null) return;
  retargetShared(task, ALL_SIGNALS);
  stopAfterExit(group);
}
function releaseResources(task) {
  releaseVforkParent(task);
  task.fds.release((file) => task.kernel.closeFile(task, file));
  task.fs.release();
  if (!task.mm.release()) task.thread.exit();
}
function releaseVforkParent(task) {
  const parent = task.vforkParent;
  task.vforkParent = null;
  if (parent !== null && parent.parked === 'vfork') task.kernel.unpark(parent);
}
function forgetIds(task) {
  for (let ns = task.group.pidNamespace; ns !== null; ns = ns.parent) {
    if (ns.tasks.get(task.idIn(ns)) === task) ns.tasks.delete(task.idIn(ns));
  }
}
function processExited(group, status) {
  const { container, pidNamespace } = group;
  group.exiting = status;
  group.zombie = true;
  group.timers.cancelAll();
  const children = [...group.children];
  reparentChildren(group);
  exitJobControl(group, children);
  if (group.leader.tid === 1) {
    pidNamespace.dead = true;
    killAll([...pidNamespace.tasks.values()].map((task) => task.group));
  }
  if (container.init === group) {
    container.exitStatus = status;
    killAll([...container.processes]);
  }
  notifyParent2(group);
  group.exitEvents.notify(POLLIN);
  if (container.init === group) container.exitEvents.notify(POLLIN);
}
function killAll(groups) {
  for (const group of groups) if (!group.zombie) exitGroup(group, SIGKILL);
}
function reparentChildren(group) {
  if (group.children.size === 0) return;
  const reaper = findReaper(group);
  for (const child of group.children) {
    group.children.delete(child);
    child.parent = reaper;
    reaper?.children.add(child);
    for (const task of child.tasks) {
      if (task.parentDeathSignal !== 0)
        sendToTask(task, {
          signal: task.parentDeathSignal,
          code: SI_USER,
          pid: group.idIn(child.pidNamespace),
          uid: group.leader.creds.uid,
        });
    }
    if (child.zombie) notifyParent2(child);
  }
}
function findReaper(group) {
  for (let up = group.parent; up !== null; up = up.parent) {
    if (up.subreaper && !up.zombie && up.pidNamespace === group.pidNamespace) return up;
  }
  const init = group.pidNamespace.tasks.get(1)?.group;
  return init === void 0 || init === group || init.zombie ? null : init;
}
function notifyParent2(group) {
  const { parent } = group;
  if (parent === null) {
    reap(group);
    return;
  }
  const action = parent.handlers.get(SIGCHLD);
  const unwanted = group.exitSignal === SIGCHLD && (action.handler === SIG_IGN || (action.flags & SA_NOCLDWAIT) !== 0);
  if (group.exitSignal !== 0) sendToGroup(parent, { signal: group.exitSignal, ...childInfo(group, parent.pidNamespace) });
  if (unwanted) reap(group);
  parent.childEvents.notify(POLLIN);
}
function childInfo(group, ns) {
  const status = group.exiting ?? 0;
  const signal = status & 127;
  return {
    code: signal === 0 ? CLD_EXITED : (status & CORE_DUMPED) !== 0 ? CLD_DUMPED : CLD_KILLED,
    pid: group.idIn(ns),
    uid: group.leader.creds.uid,
    status: signal === 0 ? (status >> 8) & 255 : signal,
    utime: Math.floor(group.dead.userTime / 1e7),
    stime: Math.floor(group.dead.systemTime / 1e7),
  };
}
function reap(group) {
  if (group.reaped) return;
  group.reaped = true;
  const { parent } = group;
  if (parent !== null) {
    parent.children.delete(group);
    for (const from of [group.dead, group.reapedChildren]) {
      parent.reapedChildren.userTime += from.userTime;
      parent.reapedChildren.systemTime += from.systemTime;
      parent.reapedChildren.minorFaults += from.minorFaults;
      parent.reapedChildren.maxResident = Math.max(parent.reapedChildren.maxResident, from.maxResident);
    }
  }
  forgetIds(group.leader);
  leaveGroup(group);
  group.container.processes.delete(group);
}

// sentry/kernel/pid_namespace.ts
var PID_MAX = 4194304;
var RESERVED_PIDS = 300;
var PidNamespace = class {
  parent;
  /** 0 for the sandbox's root namespace. */
  level;
  /** nsfs inode number. */
  id;
  tasks = /* @__PURE__ */ new Map();
  groups = /* @__PURE__ */ new Map();
  sessions = /* @__PURE__ */ new Map();
  last = 0;
  /** The child reaper has exited: no new task may join. */
  dead = false;
  constructor(parent, id) {
    this.parent = parent;
    this.level = parent === null ? 0 : parent.level + 1;
    this.id = id;
  }
  /** A free number. It stays taken while a task, a group or a session has it. */
  allocate() {
    for (let tries = 0; tries < PID_MAX; tries++) {
      this.last = this.last + 1 < PID_MAX ? this.last + 1 : RESERVED_PIDS;
      if (!this.tasks.has(this.last) && !this.groups.has(this.last) && !this.sessions.has(this.last)) return this.last;
    }
    return 0;
  }
  /** Last number given out (/proc/loadavg, ns_last_pid). */
  get lastPid() {
    return this.last;
  }
  /** True for `other` itself and everything below this one. */
  contains(other) {
    for (let ns = other; ns !== null; ns = ns.parent) if (ns === this) return true;
    return false;
  }
};

// abi/signal_frame.ts
var StackT = struct('stack_t', 24, { ss_sp: len64, ss_flags: u32, __pad: pad(4), ss_size: len64 });
var SigContext = struct('sigcontext', 256, {
  r8: u64,
  r9: u64,
  r10: u64,
  r11: u64,
  r12: u64,
  r13: u64,
  r14: u64,
  r15: u64,
  rdi: u64,
  rsi: u64,
  rbp: u64,
  rbx: u64,
  rdx: u64,
  rax: u64,
  rcx: u64,
  rsp: u64,
  rip: u64,
  eflags: u64,
  cs: u16,
  gs: u16,
  fs: u16,
  ss: u16,
  err: u64,
  trapno: u64,
  oldmask: u64,
  cr2: u64,
  fpstate: len64,
  __reserved1: pad(64),
});
var UContext = struct('ucontext', 304, {
  uc_flags: u64,
  uc_link: u64,
  uc_stack: StackT,
  uc_mcontext: SigContext,
  uc_sigmask: u64,
});
var SIGINFO_SIZE = 128;
var RtSigframe = struct('rt_sigframe', 440, { pretcode: len64, uc: UContext, info: bytes(SIGINFO_SIZE) });
var KernelSigaction = struct('sigaction', 32, { handler: len64, sa_flags: u64, restorer: len64, mask: u64 });
var FPX_SW_BYTES_OFFSET = 464;
var XSAVE_HEADER_OFFSET = 512;
var FpxSwBytes = struct('_fpx_sw_bytes', 48, {
  magic1: u32,
  extended_size: u32,
  xfeatures: u64,
  xstate_size: u32,
  __padding: pad(28),
});

// sentry/kernel/alt_stack.ts
var NO_ALT_STACK = { address: 0, size: 0, flags: SS_DISABLE };
function onAltStack(stack, sp) {
  return (stack.flags & SS_AUTODISARM) === 0 && within(stack, sp);
}
function within(stack, sp) {
  return sp > stack.address && sp - stack.address <= stack.size;
}
function altStackState(stack, sp) {
  if (stack.size === 0) return SS_DISABLE;
  return onAltStack(stack, sp) ? SS_ONSTACK : 0;
}

// sentry/kernel/signal_info.ts
function layoutOf({ signal, code }) {
  if (code === SI_TIMER) return 'timer';
  if (code === SI_SIGIO) return 'poll';
  if (code === SI_QUEUE || code === SI_MESGQ || code === SI_ASYNCIO) return 'queue';
  if (code <= 0 || code >= 128) return 'kill';
  if (signal === SIGCHLD) return 'child';
  if (signal === SIGSYS) return 'sys';
  if (signal === SIGIO) return 'poll';
  if (signal === SIGSEGV || signal === SIGBUS || signal === SIGFPE || signal === SIGILL || signal === SIGTRAP) return 'fault';
  return 'kill';
}
function encodeSignalInfo(info) {
  if (info.raw !== void 0) return info.raw;
  const out = new Uint8Array(SIGINFO_SIZE);
  const view = new DataView(out.buffer);
  view.setInt32(0, info.signal, true);
  view.setInt32(4, info.errno ?? 0, true);
  view.setInt32(8, info.code, true);
  fill(view, info, layoutOf(info));
  return out;
}
function fill(view, info, layout) {
  switch (layout) {
    case 'kill':
    case 'queue':
    case 'child':
      view.setInt32(16, info.pid ?? 0, true);
      view.setUint32(20, info.uid ?? 0, true);
      if (layout === 'queue') view.setBigUint64(24, info.value ?? 0n, true);
      if (layout !== 'child') return;
      view.setInt32(24, info.status ?? 0, true);
      setLen64(view, 32, info.utime ?? 0);
      setLen64(view, 40, info.stime ?? 0);
      return;
    case 'timer':
      view.setInt32(16, info.timerId ?? 0, true);
      view.setInt32(20, info.overrun ?? 0, true);
      view.setBigUint64(24, info.value ?? 0n, true);
      return;
    case 'fault':
      setLen64(view, 16, info.address ?? 0);
      return;
    case 'poll':
      setLen64(view, 16, info.band ?? 0);
      view.setInt32(24, info.fd ?? 0, true);
      return;
    case 'sys':
      setLen64(view, 16, info.callAddress ?? 0);
      view.setInt32(24, info.syscall ?? 0, true);
      view.setUint32(28, info.arch ?? 0, true);
      return;
  }
}

// sentry/kernel/signal_frame.ts
var RED_ZONE = 128;
var USER_CS2 = 0x33n;
var USER_DS2 = 0x2bn;
var DF = 0x400n;
var TF = 0x100n;
var RF = 0x10000n;
var XFEATURE_FPSSE = 3n;
var XFEATURE_TILES = 3n << 17n;
var TILES_OFFSET = 2752;
function pushSignalFrame(task, info, action, saved) {
  if ((action.flags & SA_RESTORER) === 0) return false;
  const { thread } = task;
  const registers = thread.registers();
  const image = frameImage(task);
  const sp = registers.get(REG.rsp);
  const entering = (action.flags & SA_ONSTACK) !== 0 && altStackState(task.altStack, sp) === 0;
  const nested = onAltStack(task.altStack, sp);
  const top = entering ? task.altStack.address + task.altStack.size : sp - RED_ZONE;
  const fpstate = Math.floor((top - image.length - 4) / 64) * 64;
  const frame = Math.floor((fpstate - RtSigframe.size) / 16) * 16 - 8;
  if ((entering || nested) && !within(task.altStack, frame)) return false;
  if (frame < task.kernel.platform.minAddress || top > TASK_SIZE) return false;
  const bytes2 = new Uint8Array(fpstate + image.length + 4 - frame);
  const view = new DataView(bytes2.buffer);
  RtSigframe.write(view, 0, {
    pretcode: action.restorer,
    uc: contextOf(task, registers, info, fpstate, saved),
    info: encodeSignalInfo(info),
  });
  bytes2.set(image, fpstate - frame);
  view.setUint32(fpstate - frame + image.length, FP_XSTATE_MAGIC2, true);
  if (thread.space.write(frame, bytes2, 0, bytes2.length) !== bytes2.length) return false;
  if ((task.altStack.flags & SS_AUTODISARM) !== 0) task.altStack = { ...NO_ALT_STACK };
  enterHandler(registers, info.signal, action.handler, frame);
  thread.setRegisters();
  thread.setXstate(null);
  return true;
}
function enterHandler(registers, signal, handler, frame) {
  registers.set(REG.rdi, signal);
  registers.set(REG.rsi, frame + RtSigframe.offsets.info);
  registers.set(REG.rdx, frame + RtSigframe.offsets.uc);
  registers.set(REG.rax, 0);
  registers.set(REG.rip, handler);
  registers.set(REG.rsp, frame);
  registers.u64[REG.cs] = USER_CS2;
  registers.u64[REG.ss] = USER_DS2;
  registers.u64[REG.eflags] = registers.u64[REG.eflags] & ~(DF | TF | RF);
  registers.set(REG.orig_rax, -1);
}
function frameImage(task) {
  let image = task.thread.xstate();
  task.kernel.xstateSize = image.length;
  const full = new DataView(image.buffer, image.byteOffset, image.byteLength);
  const present = full.getBigUint64(XSAVE_HEADER_OFFSET, true) | XFEATURE_FPSSE;
  let features = full.getBigUint64(FPX_SW_BYTES_OFFSET, true) | present;
  if ((features & XFEATURE_TILES) !== 0n && (present & XFEATURE_TILES) === 0n && image.length > TILES_OFFSET) {
    features &= ~XFEATURE_TILES;
    image = image.subarray(0, TILES_OFFSET);
  }
  const view = new DataView(image.buffer, image.byteOffset, image.byteLength);
  view.setBigUint64(XSAVE_HEADER_OFFSET, present, true);
  FpxSwBytes.write(view, FPX_SW_BYTES_OFFSET, {
    magic1: FP_XSTATE_MAGIC1,
    extended_size: image.length + 4,
    xfeatures: features,
    xstate_size: image.length,
  });
  return image;
}
function contextOf(task, r, info, fpstate, saved) {
  const at = (index) => r.u64[index];
  return {
    uc_flags: BigInt(UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS),
    uc_link: 0n,
    uc_stack: { ss_sp: task.altStack.address, ss_flags: task.altStack.flags, ss_size: task.altStack.size },
    uc_mcontext: {
      r8: at(REG.r8),
      r9: at(REG.r9),
      r10: at(REG.r10),
      r11: at(REG.r11),
      r12: at(REG.r12),
      r13: at(REG.r13),
      r14: at(REG.r14),
      r15: at(REG.r15),
      rdi: at(REG.rdi),
      rsi: at(REG.rsi),
      rbp: at(REG.rbp),
      rbx: at(REG.rbx),
      rdx: at(REG.rdx),
      rax: at(REG.rax),
      rcx: at(REG.rcx),
      rsp: at(REG.rsp),
      rip: at(REG.rip),
      eflags: at(REG.eflags),
      cs: Number(at(REG.cs)),
      gs: 0,
      fs: 0,
      ss: Number(at(REG.ss)),
      ...trapOf(info),
      oldmask: saved,
      fpstate,
    },
    uc_sigmask: saved,
  };
}
function trapOf(info) {
  if (info.forced !== true) return { err: 0n, trapno: 0n, cr2: 0n };
  const cr2 = BigInt(info.address ?? 0);
  switch (info.signal) {
    case SIGSEGV:
      return info.code >= 128 ? { err: 0n, trapno: 13n, cr2: 0n } : { err: info.code === SEGV_ACCERR ? 5n : 4n, trapno: 14n, cr2 };
    case SIGBUS:
      return { err: 4n, trapno: 14n, cr2 };
    case SIGILL:
      return { err: 0n, trapno: 6n, cr2: 0n };
    case SIGTRAP:
      return { err: 0n, trapno: info.code === 2 ? 1n : 3n, cr2: 0n };
    case SIGFPE:
      return { err: 0n, trapno: info.code === 1 ? 0n : 19n, cr2: 0n };
    default:
      return { err: 0n, trapno: 0n, cr2: 0n };
  }
}

// sentry/kernel/signal_delivery.ts
var RESTART_SYSCALL = 219;
var SYSCALL_LENGTH = 2;
var KILL_BIT = signalBit(SIGKILL);
function endSyscall(task, result) {
  task.syscallResult = null;
  task.interrupted = result <= ERESTARTSYS && result >= ERESTART_RESTARTBLOCK ? result : 0;
  task.thread.registers().set(REG.rax, result);
  task.thread.setRegisters();
}
function deliverPending(task) {
  const { group } = task;
  task.state = 'kernel';
  task.attention = false;
  if (task.syscallResult !== null) endSyscall(task, task.syscallResult);
  for (;;) {
    if (group.exiting !== null) exitTask(task, group.exiting);
    if (task.state === 'dead') return 'dead';
    if (((task.pending.set | group.pending.set) & KILL_BIT) === 0n) {
      if (group.stopSignal !== 0) {
        parkForStop(task);
        return 'parked';
      }
      if (group.container.paused) {
        park(task, 'paused');
        return 'parked';
      }
    }
    const info = takeSignal(task, ~task.signalMask);
    if (info !== null) act(task, info);
    else if (finish(task)) return 'run';
  }
}
function takeSignal(task, allowed) {
  if (((task.pending.set | task.group.pending.set) & allowed) === 0n) return null;
  return task.pending.take(allowed) ?? task.group.pending.take(allowed);
}
function act(task, info) {
  const { group } = task;
  const action = group.handlers.get(info.signal);
  if (info.signal !== SIGKILL && action.handler === SIG_IGN) return;
  if (action.handler !== SIG_DFL) {
    runHandler(task, info, action);
    return;
  }
  const what = defaultAction(info.signal);
  if (what === 'ignore') return;
  if (isNamespaceInit(group) && info.forced !== true && !inSet(KERNEL_ONLY, info.signal)) return;
  if (what === 'stop') {
    if (info.signal === SIGSTOP || !isOrphaned(group.group)) beginStop(group, info.signal);
    return;
  }
  exitGroup(group, info.signal);
}
function runHandler(task, info, action) {
  const { signal } = info;
  if ((action.flags & SA_RESETHAND) !== 0) task.group.handlers.set(signal, { ...action, handler: SIG_DFL });
  task.restart = null;
  decideRestart(task, action);
  const saved = task.savedMask ?? task.signalMask;
  if (!pushSignalFrame(task, info, action, saved)) {
    if (signal === SIGSEGV) forceFatal(task, SIGSEGV);
    else forceSignal(task, { signal: SIGSEGV, code: 128 });
    return;
  }
  task.savedMask = null;
  const own = (action.flags & SA_NODEFER) !== 0 ? 0n : signalBit(signal);
  setSignalMask(task, task.signalMask | action.mask | own);
}
function finish(task) {
  decideRestart(task, null);
  const { savedMask } = task;
  if (savedMask !== null) {
    task.savedMask = null;
    setSignalMask(task, savedMask);
    if (((task.pending.set | task.group.pending.set) & ~task.signalMask) !== 0n) return false;
  }
  task.attention = false;
  return true;
}
function decideRestart(task, action) {
  const code = task.interrupted;
  if (code === 0) return;
  task.interrupted = 0;
  const registers = task.thread.registers();
  if (restarts(code, action)) restart(registers, code === ERESTART_RESTARTBLOCK ? RESTART_SYSCALL : task.syscallNumber);
  else registers.set(REG.rax, EINTR);
  task.thread.setRegisters();
}
function restarts(code, action) {
  if (action === null || code === ERESTARTNOINTR) return true;
  if (code === ERESTARTNOHAND || code === ERESTART_RESTARTBLOCK) return false;
  return (action.flags & SA_RESTART) !== 0;
}
function restart(registers, number) {
  registers.set(REG.rax, number);
  registers.set(REG.rip, registers.get(REG.rip) - SYSCALL_LENGTH);
}

// sentry/kernel/task_block.ts
var BlockedCall = class {
  generator;
  task;
  wait = null;
  entries = [];
  timer = null;
  /** Why it was woken; null while it sleeps. */
  wake = null;
  constructor(task, generator) {
    this.task = task;
    this.generator = generator;
  }
  /** Parks the task until one of the wait's conditions comes. */
  sleep(wait) {
    const { kernel: kernel2 } = this.task;
    this.wait = wait;
    this.wake = null;
    this.entries = wait.on.map(({ events }) => ({ events, wake: () => this.notify('ready') }));
    for (const [i, target] of wait.on.entries()) target.queue.add(this.entries[i]);
    if (wait.deadline !== void 0) this.timer = kernel2.timers.add(wait.deadline, () => this.notify('timeout'));
  }
  /** The first reason counts; the task runs on in the kernel's next round. */
  notify(reason) {
    if (this.wake !== null || this.wait === null) return;
    this.wake = reason;
    this.unregister();
    this.task.kernel.makeReady(this.task);
  }
  /** Runs the generator until it sleeps again (null) or ends (its result). */
  advance() {
    const reason = this.wake ?? 'ready';
    this.wake = null;
    const step = this.generator.next(reason);
    if (step.done) return step.value;
    this.sleep(step.value);
    return null;
  }
  /** The task dies here: the generator's finally blocks run. */
  abandon() {
    this.unregister();
    this.generator.return(0);
  }
  unregister() {
    for (const [i, target] of (this.wait?.on ?? []).entries()) target.queue.remove(this.entries[i]);
    this.entries = [];
    this.wait = null;
    if (this.timer !== null) this.task.kernel.timers.cancel(this.timer);
    this.timer = null;
  }
};

// sentry/kernel/timer_queue.ts
var TimerQueue = class {
  heap = [];
  /** fire runs once, on the kernel thread, at or after `deadline`. */
  add(deadline, fire) {
    const timer = { deadline, index: this.heap.length, fire };
    this.heap.push(timer);
    this.up(timer.index);
    return timer;
  }
  /** Safe for one that has fired. */
  cancel(timer) {
    const at = timer.index;
    if (at < 0) return;
    timer.index = -1;
    const last = this.heap.pop();
    if (last === timer) return;
    this.heap[at] = last;
    last.index = at;
    this.up(at);
    this.down(last.index);
  }
  /** Infinity if there is none. */
  get next() {
    return this.heap[0]?.deadline ?? Number.POSITIVE_INFINITY;
  }
  fireDue(now) {
    for (let timer = this.heap[0]; timer !== void 0 && timer.deadline <= now; timer = this.heap[0]) {
      this.cancel(timer);
      timer.fire();
    }
  }
  up(start2) {
    let at = start2;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (this.at(parent).deadline <= this.at(at).deadline) return;
      this.swap(at, parent);
      at = parent;
    }
  }
  down(start2) {
    let at = start2;
    for (;;) {
      let least = at;
      for (const child of [2 * at + 1, 2 * at + 2]) {
        if (child < this.heap.length && this.at(child).deadline < this.at(least).deadline) least = child;
      }
      if (least === at) return;
      this.swap(at, least);
      at = least;
    }
  }
  at(i) {
    return this.heap[i];
  }
  swap(a, b) {
    const x = this.at(a);
    const y = this.at(b);
    this.heap[a] = y;
    this.heap[b] = x;
    y.index = a;
    x.index = b;
  }
};

// sentry/kernel/kernel.ts
var LOWEST_ERRNO = -511;
var DEFAULT_MAX_TASKS = 32768;
var Kernel = class {
  host;
  poll;
  platform;
  timers = new TimerQueue();
  rootPidNamespace;
  devices = new DeviceRegistry();
  containers = /* @__PURE__ */ new Map();
  /** File events, while somebody watches. */
  notify = null;
  log;
  /** Calls that nobody implements: "name-or-number program" → how often. */
  unimplemented = /* @__PURE__ */ new Map();
  scratch8 = new Uint8Array(8);
  scratch8View = new DataView(this.scratch8.buffer);
  scratch16 = new Uint8Array(16);
  scratch16View = new DataView(this.scratch16.buffer);
  /** One poll(2) or epoll_wait(2) in progress. */
  pollScratch = new Int32Array(16384);
  pollScratchBytes = new Uint8Array(this.pollScratch.buffer);
  pollScratchView = new DataView(this.pollScratch.buffer);
  /** Length of a thread's XSAVE image; 0 until the first signal frame. */
  xstateSize = 0;
  stringScratch = new Uint8Array(4096);
  /** For transfers between host files and user memory; valid until the next use. */
  ioScratch = new Uint8Array(1 << 20);
  /** Places of pipes, sockets, eventfds …, which no mount shows. */
  anonymous;
  pipes = new PipeAccount();
  /** Tasks beyond it: clone(2) gives EAGAIN. */
  maxTasks = DEFAULT_MAX_TASKS;
  /** CLONE_PIDFD; supplied by the pidfd files. */
  pidFdTarget = () => EBADF;
  openPidFd = () => EINVAL;
  epolls = new EpollAccount();
  syscalls;
  ready = [];
  nextId = 1;
  halted = false;
  constructor(options) {
    this.host = options.host;
    this.poll = options.poll;
    this.platform = options.platform;
    this.syscalls = options.syscalls;
    this.log = options.log;
    this.rootPidNamespace = new PidNamespace(null, this.uniqueId());
    this.anonymous = new AnonymousFiles(this);
  }
  /** Kernel monotonic time, ns: the host's CLOCK_MONOTONIC. */
  now() {
    return this.host.monotonicNow();
  }
  /** Wall clock, ns since the epoch. */
  realtime() {
    return this.host.realtimeNow();
  }
  /** Numbers for namespaces, mounts, filesystems (st_dev), anonymous inodes: never used twice. */
  uniqueId() {
    return this.nextId++;
  }
  /** Runs until halt(). */
  run() {
    while (!this.halted) this.runOnce(Number.POSITIVE_INFINITY);
  }
  halt() {
    this.halted = true;
  }
  /** One round: tasks that were woken, timers that are due, then whatever the platform reports until `deadline` (ns). */
  runOnce(deadline) {
    this.timers.fireDue(this.now());
    for (let n = this.ready.length; n > 0; n--) this.advanceBlocked(this.ready.shift());
    if (this.halted) return;
    this.platform.wait(this, this.ready.length > 0 ? 0 : Math.min(deadline, this.timers.next));
  }
  makeReady(task) {
    this.ready.push(task);
  }
  // ThreadEvents: a thread has stopped.
  syscall(thread) {
    const task = thread.data;
    task.state = 'kernel';
    task.syscallNumber = thread.sysno;
    const row = this.syscalls[thread.sysno];
    this.complete(task, row === void 0 ? this.refuse(task, thread.sysno) : row.invoke(task, thread.args));
  }
  fault(thread, signal, code, address) {
    const task = thread.data;
    task.state = 'kernel';
    forceSignal(task, { signal, code, address });
    this.returnToUser(task, null);
  }
  interrupted(thread) {
    const task = thread.data;
    task.state = 'kernel';
    this.returnToUser(task, null);
  }
  exited(thread, cause) {
    const task = thread.data;
    if (task.state === 'dead') return;
    this.log(`thread ${task.tid} of ${task.name} ended on the host: ${cause}`);
    exitGroup(task.group, SIGKILL);
  }
  // How a system call ends.
  /** What a handler gave: a result, or a generator that has to wait. */
  complete(task, result) {
    if (isBlocking(result)) this.block(task, result);
    else if (result !== NO_RESULT) this.returnToUser(task, result);
  }
  block(task, generator) {
    const first = generator.next('ready');
    if (first.done) {
      this.complete(task, first.value);
      return;
    }
    if (task.state === 'dead') {
      generator.return(0);
      return;
    }
    task.state = 'blocked';
    task.blocked = new BlockedCall(task, generator);
    task.blocked.sleep(first.value);
    if (task.attention) task.blocked.notify('signal');
  }
  advanceBlocked(task) {
    const call = task.blocked;
    if (call === null) {
      if (task.state === 'parked' && task.parked === null) this.returnToUser(task, task.syscallResult);
      return;
    }
    task.state = 'kernel';
    const result = call.advance();
    if (result === null) {
      if (task.state === 'kernel') task.state = 'blocked';
      return;
    }
    task.blocked = null;
    this.complete(task, result);
  }
  /**
   * The only way back to the application. `result` ends a system call; null leaves the registers as they are. Signals, stops and
   * the end of the process come first.
   */
  returnToUser(task, result) {
    if (task.state === 'dead') return;
    if (!task.attention && result !== null && result >= LOWEST_ERRNO) {
      task.state = 'app';
      task.thread.resumeWithResult(result);
      return;
    }
    task.syscallResult = result;
    const verdict = deliverPending(task);
    if (verdict !== 'run') return;
    task.state = 'app';
    task.thread.resume();
  }
  // Tasks outside a system call.
  /** A task that clone(2) made enters the application: its call returns 0. */
  startTask(task) {
    this.returnToUser(task, 0);
  }
  /** A task enters a program at its first instruction. */
  startProgram(task, entry, stackPointer) {
    const registers = task.thread.registers();
    registers.set(REG.rip, entry);
    registers.set(REG.rsp, stackPointer);
    task.thread.setRegisters();
    this.returnToUser(task, null);
  }
  /** Keeps a task from running although its call has its result; `unpark` goes on. Returns NO_RESULT for handlers. */
  park(task, reason, result) {
    task.syscallResult = result;
    park(task, reason);
    return NO_RESULT;
  }
  /** The task goes on in the loop's next round, signals first. */
  unpark(task) {
    if (task.state !== 'parked' || task.parked === null) return;
    task.parked = null;
    task.attention = true;
    this.makeReady(task);
  }
  /** close(2) of one descriptor: locks of the process, pending errors, then the reference. 0 or an errno. */
  closeFile(task, file) {
    const r = file.impl.flush(file, task);
    file.release();
    return r;
  }
  /** Uniform in [0, limit), from the host's random source; limit up to 2^48. */
  randomBelow(limit) {
    this.host.getrandom(this.scratch8);
    const view = this.scratch8View;
    return (view.getUint16(4, true) * 4294967296 + view.getUint32(0, true)) % limit;
  }
  refuse(task, number) {
    const key = `${number} ${task.name}`;
    const count2 = this.unimplemented.get(key) ?? 0;
    if (count2 === 0) this.log(`system call ${number} is not implemented, called by ${task.name}`);
    this.unimplemented.set(key, count2 + 1);
    return ENOSYS;
  }
};

// sentry/kernel/container.ts
var Container = class {
  id;
  pidNamespace;
  /** Credentials of processes that exec starts without a user of their own. */
  creds;
  /** The first process; null before start. */
  init = null;
  /** Set when init has ended. */
  exitStatus = null;
  exitEvents = new WaitQueue();
  /** Every process that belongs to the container, in whatever pid namespace. */
  processes = /* @__PURE__ */ new Set();
  /** Paused: no task of the container runs. */
  paused = false;
  /** The terminal it was started with: /dev/console. */
  console = null;
  /** Path of the cgroup as the guest sees it. */
  cgroupPath;
  constructor(id, pidNamespace, creds, cgroupPath) {
    this.id = id;
    this.pidNamespace = pidNamespace;
    this.creds = creds;
    this.cgroupPath = cgroupPath;
  }
};

// abi/sched.ts
var CSIGNAL = 255;
var CLONE_VM2 = 256;
var CLONE_FS2 = 512;
var CLONE_FILES2 = 1024;
var CLONE_SIGHAND2 = 2048;
var CLONE_PIDFD = 4096;
var CLONE_VFORK = 16384;
var CLONE_PARENT2 = 32768;
var CLONE_THREAD2 = 65536;
var CLONE_NEWNS = 131072;
var CLONE_SETTLS = 524288;
var CLONE_PARENT_SETTID = 1048576;
var CLONE_CHILD_CLEARTID = 2097152;
var CLONE_DETACHED = 4194304;
var CLONE_CHILD_SETTID = 16777216;
var CLONE_NEWCGROUP = 33554432;
var CLONE_NEWUTS = 67108864;
var CLONE_NEWIPC = 134217728;
var CLONE_NEWUSER = 268435456;
var CLONE_NEWPID = 536870912;
var CLONE_NEWNET = 1073741824;
var CLONE_CLEAR_SIGHAND_HIGH = 1;
var CloneArgs = struct('clone_args', 88, {
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
var CLONE_ARGS_SIZE_VER0 = 64;
var WNOHANG = 1;
var WUNTRACED = 2;
var WSTOPPED = 2;
var WEXITED = 4;
var WCONTINUED = 8;
var WNOWAIT = 16777216;
var __WNOTHREAD = 536870912;
var __WALL2 = 1073741824;
var __WCLONE = 2147483648;
var P_ALL = 0;
var P_PID = 1;
var P_PGID = 2;
var P_PIDFD = 3;

// sentry/kernel/namespaces.ts
var UtsNamespace = class _UtsNamespace {
  id;
  nodename;
  domainname = '(none)';
  constructor(id, nodename) {
    this.id = id;
    this.nodename = nodename;
  }
  copy(id) {
    const copy = new _UtsNamespace(id, this.nodename);
    copy.domainname = this.domainname;
    return copy;
  }
};
var IpcNamespace = class {
  id;
  constructor(id) {
    this.id = id;
  }
};
var NetNamespace = class {
  id;
  constructor(id) {
    this.id = id;
  }
};
function cloneNamespaces(task, flags3) {
  const now = task.namespaces;
  if (flags3 === 0) return now.pidForChildren === task.pidNamespace ? now : { ...now };
  if (!hasCap(task.creds, CAP_SYS_ADMIN)) return EPERM;
  const { kernel: kernel2 } = task;
  return {
    ...now,
    uts: (flags3 & CLONE_NEWUTS) !== 0 ? now.uts.copy(kernel2.uniqueId()) : now.uts,
    ipc: (flags3 & CLONE_NEWIPC) !== 0 ? new IpcNamespace(kernel2.uniqueId()) : now.ipc,
    net: (flags3 & CLONE_NEWNET) !== 0 ? new NetNamespace(kernel2.uniqueId()) : now.net,
    pidForChildren: (flags3 & CLONE_NEWPID) !== 0 ? new PidNamespace(now.pidForChildren, kernel2.uniqueId()) : now.pidForChildren,
  };
}

// sentry/kernel/process_timers.ts
var ProcessTimers = class {
  kernel;
  constructor(kernel2) {
    this.kernel = kernel2;
  }
  /** execve(2) deletes POSIX timers and keeps interval timers. */
  deletePosixTimers() {}
  /** The process has exited: nothing may fire any more. */
  cancelAll() {}
};

// lib/byte_string.ts
function bytesOf(text) {
  return Buffer.from(text, 'latin1');
}
function byteString(bytes2, start2 = 0, end = bytes2.length) {
  return Buffer.from(bytes2.buffer, bytes2.byteOffset, bytes2.byteLength).toString('latin1', start2, end);
}

// sentry/vfs/io.ts
var UserBuffer = class {
  memory;
  ranges;
  index = 0;
  within = 0;
  left = 0;
  constructor(memory, ranges) {
    this.memory = memory;
    this.ranges = ranges;
    for (const r of ranges) this.left += r.length;
  }
  get remaining() {
    return this.left;
  }
  put(bytes2, start2 = 0, end = bytes2.length) {
    return this.move(start2, end, (address, offset, count2) => this.memory.write(address, bytes2, offset, count2));
  }
  take(into, start2 = 0, end = into.length) {
    return this.move(start2, end, (address, offset, count2) => this.memory.read(address, into, offset, count2));
  }
  /** Moves on without touching memory (a host call wrote there itself). */
  skip(count2) {
    this.move(0, count2, (_address, _offset, n) => n);
  }
  /** Address of the next byte and how many follow it in the same range. */
  next() {
    while (this.index < this.ranges.length && this.ranges[this.index].length === this.within) {
      this.index++;
      this.within = 0;
    }
    const range = this.ranges[this.index];
    return range === void 0 ? { address: 0, length: 0 } : { address: range.address + this.within, length: range.length - this.within };
  }
  move(start2, end, step) {
    let at = start2;
    while (at < end && this.left > 0) {
      const { address, length } = this.next();
      const count2 = Math.min(length, end - at);
      const n = step(address, at, count2);
      if (n < 0) return at > start2 ? at - start2 : EFAULT;
      at += n;
      this.within += n;
      this.left -= n;
      if (n < count2) break;
    }
    return at - start2;
  }
};

// sentry/kernel/task.ts
var UIO_MAXIOV = 1024;
var MAX_RW_COUNT = 2147479552;
var Task = class {
  kernel;
  group;
  thread;
  mm;
  fds;
  fs;
  creds;
  namespaces;
  /** Task number in each pid namespace, root first. */
  ids;
  /** comm: at most 15 bytes. */
  name;
  state = 'kernel';
  parked = null;
  /** The system call that waits; null unless state is 'blocked'. */
  blocked = null;
  /** Something must be looked at before it returns to the application: signal, stop, exit, trace. One flag for the hot path. */
  attention = false;
  /** Result of the system call that the task is about to return from; null: none (a fault, an interrupt, a new program). */
  syscallResult = null;
  /** Called as the task ends, while its memory and files are still there. */
  exitHooks = [];
  // Signals
  signalMask = 0n;
  /** Mask to restore when a handler has been set up or the call returns (sigsuspend, ppoll …); null = none. */
  savedMask = null;
  pending = new PendingSignals();
  /** ERESTART* result of the system call that was interrupted and has not been decided on; 0 = none. */
  interrupted = 0;
  /** sigaltstack(2): address, size, SS_* flags. */
  altStack = {
    address: 0,
    size: 0,
    flags: 2,
    /* SS_DISABLE */
  };
  /** What restart_syscall(2) continues (ERESTART_RESTARTBLOCK). */
  restart = null;
  // Threads
  /** set_tid_address(2), CLONE_CHILD_CLEARTID: zeroed and woken at exit. 0 = none. */
  clearChildTid = 0;
  /** set_robust_list(2). */
  robustList = 0;
  rseq = null;
  /** The parent that waits for this child of vfork(2) to exec or exit. */
  vforkParent = null;
  exitCode = 0;
  /** prctl(2). */
  parentDeathSignal = 0;
  timerSlack = 5e4;
  /** Kernel monotonic ns. */
  startTime;
  /** Number of the system call that is being handled, for strace and /proc/PID/syscall. */
  syscallNumber = -1;
  /** CPU time in the kernel for this task, ns. */
  systemTime = 0;
  niceValue = 0;
  constructor(init) {
    this.kernel = init.kernel;
    this.group = init.group;
    this.thread = init.thread;
    this.mm = init.mm;
    this.fds = init.fds;
    this.fs = init.fs;
    this.creds = init.creds;
    this.namespaces = init.namespaces;
    this.ids = init.ids;
    this.name = init.name;
    this.startTime = init.kernel.now();
    init.thread.data = this;
  }
  /** What a new task takes over from the one that cloned it, beyond what clone(2)'s flags say. */
  inheritFrom(parent) {
    this.signalMask = parent.signalMask;
    this.niceValue = parent.niceValue;
    this.timerSlack = parent.timerSlack;
  }
  /** gettid(2) in the task's own namespace. */
  get tid() {
    return this.ids[this.ids.length - 1];
  }
  /** getpid(2). */
  get pid() {
    return this.group.leader.tid;
  }
  /** Number in `ns`, 0 where it is not visible. */
  idIn(ns) {
    return this.ids[ns.level] ?? 0;
  }
  get pidNamespace() {
    return this.group.pidNamespace;
  }
  get openFileLimit() {
    return this.group.limits.soft(RLIMIT_NOFILE);
  }
  // User memory
  /** Fills `into`; 0, or EFAULT if any byte is missing. */
  copyIn(address, into) {
    return this.thread.space.read(address, into, 0, into.length) === into.length ? 0 : EFAULT;
  }
  copyOut(address, bytes2) {
    return this.thread.space.write(address, bytes2, 0, bytes2.length) === bytes2.length ? 0 : EFAULT;
  }
  /** `length` bytes, or EFAULT. The caller has capped the length. */
  readBytes(address, length) {
    const bytes2 = new Uint8Array(length);
    return this.copyIn(address, bytes2) || bytes2;
  }
  readU32(address) {
    const bytes2 = this.kernel.scratch8;
    return this.thread.space.read(address, bytes2, 0, 4) === 4 ? this.kernel.scratch8View.getUint32(0, true) : EFAULT;
  }
  writeU32(address, value) {
    this.kernel.scratch8View.setUint32(0, value >>> 0, true);
    return this.thread.space.write(address, this.kernel.scratch8, 0, 4) === 4 ? 0 : EFAULT;
  }
  /** A NUL-terminated string of at most `max` bytes without the NUL; EFAULT, or ENAMETOOLONG if no NUL came. */
  readString(address, max) {
    const chunk = this.kernel.stringScratch;
    let text = '';
    let at = address;
    while (text.length <= max) {
      const want = Math.min(4096 - (at % 4096), max + 1 - text.length, text === '' ? 256 : 4096);
      const n = this.thread.space.read(at, chunk, 0, want);
      if (n <= 0) return EFAULT;
      const end = chunk.subarray(0, n).indexOf(0);
      if (end >= 0) return text + byteString(chunk, 0, end);
      text += byteString(chunk, 0, n);
      at += n;
    }
    return ENAMETOOLONG;
  }
  /** A path argument: ENAMETOOLONG from PATH_MAX on. May be empty. */
  readPath(address) {
    return this.readString(address, PATH_MAX - 1);
  }
  /** One range of user memory for a transfer; the length is capped as Linux does. */
  userBuffer(address, length) {
    const count2 = Math.min(length, MAX_RW_COUNT);
    if (address + count2 > TASK_SIZE) return EFAULT;
    return new UserBuffer(this.thread.space, [{ address, length: count2 }]);
  }
  /** readv(2)'s list: EINVAL for too many or a total that overflows, EFAULT. */
  userVector(address, count2) {
    if (count2 < 0 || count2 > UIO_MAXIOV) return EINVAL;
    const raw = this.readBytes(address, count2 * 16);
    if (typeof raw === 'number') return raw;
    const view = new DataView(raw.buffer);
    const ranges = [];
    let total2 = 0;
    for (let i = 0; i < count2; i++) {
      const at = view.getUint32(i * 16 + 4, true) * 4294967296 + view.getUint32(i * 16, true);
      const length = view.getInt32(i * 16 + 12, true) * 4294967296 + view.getUint32(i * 16 + 8, true);
      if (length < 0) return EINVAL;
      const take = Math.min(length, MAX_RW_COUNT - total2);
      if (take > 0 && at + take > TASK_SIZE) return EFAULT;
      if (take > 0) ranges.push({ address: at, length: take });
      total2 += take;
    }
    return new UserBuffer(this.thread.space, ranges);
  }
};

// sentry/kernel/thread_group.ts
function noUsage() {
  return { userTime: 0, systemTime: 0, minorFaults: 0, maxResident: 0, voluntarySwitches: 0, involuntarySwitches: 0 };
}
var ThreadGroup = class {
  /** The task whose tid is the process's pid; execve(2) from another thread makes that one the leader. */
  leader;
  tasks = [];
  pidNamespace;
  container;
  parent = null;
  children = /* @__PURE__ */ new Set();
  group;
  handlers;
  /** Signals sent to the process as a whole. */
  pending;
  limits;
  timers;
  /** Signal for the parent at exit; SIGCHLD after execve. 0 = none. */
  exitSignal;
  /** Set once exit_group or a fatal signal has been decided; the threads then leave one by one. */
  exiting = null;
  /** All threads are gone; waits to be reaped. */
  zombie = false;
  reaped = false;
  /** Job control: 0, or the signal of the stop that is under way or complete. */
  stopSignal = 0;
  stopped = false;
  /** What wait4 with WUNTRACED/WCONTINUED has not reported yet. */
  stopReport = 'none';
  /** Parents in wait4 sleep here; so do pidfd pollers of this process (POLLIN at exit). */
  childEvents = new WaitQueue();
  exitEvents = new WaitQueue();
  /** POLLIN whenever a signal has been queued for the process or one of its threads: sigtimedwait, signalfd. */
  signalEvents = new WaitQueue();
  /** prctl(2) PR_SET_CHILD_SUBREAPER. */
  subreaper = false;
  hasExeced = false;
  dead = noUsage();
  reapedChildren = noUsage();
  /** oom_score_adj, dumpable and the like live with their users; start time for /proc/PID/stat, kernel monotonic ns. */
  startTime;
  oomScoreAdj = 0;
  constructor(init) {
    this.leader = init.leader;
    this.pidNamespace = init.pidNamespace;
    this.container = init.container;
    this.group = init.group;
    this.handlers = init.handlers;
    this.pending = init.pending;
    this.limits = init.limits;
    this.timers = init.timers;
    this.exitSignal = init.exitSignal;
    this.startTime = init.startTime;
  }
  /** getpid(2) as seen in `ns`; 0 where it is not visible. */
  idIn(ns) {
    return this.leader.idIn(ns);
  }
};

// sentry/kernel/clone.ts
var NEW_NAMESPACES = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWUSER | CLONE_NEWCGROUP;
function clone(task, request) {
  const refused = check(task, request.flags);
  if (refused !== 0) return refused;
  const namespaces = cloneNamespaces(task, request.flags & NEW_NAMESPACES);
  if (isErrno(namespaces)) return namespaces;
  const ns = namespaces.pidForChildren;
  if (ns.dead) return ENOMEM;
  const ids = allocateIds(ns);
  if (ids === null) return EAGAIN;
  const thread = (request.flags & CLONE_VM2) !== 0 ? task.thread.space.newThread(task.thread) : task.thread.space.fork(task.thread);
  if (isErrno(thread)) return thread;
  const child = makeTask(task, request, thread, ids, namespaces, ns);
  const tid = child.idIn(task.pidNamespace);
  const failed = tellNumbers(task, child, request, tid);
  start(task, child, request);
  if (failed !== 0) task.kernel.log(`clone: ${task.name} gave a bad address for a thread number`);
  if ((request.flags & CLONE_VFORK) === 0) return tid;
  child.vforkParent = task;
  return task.kernel.park(task, 'vfork', tid);
}
function check(task, flags3) {
  if ((flags3 & CLONE_THREAD2) !== 0 && (flags3 & CLONE_SIGHAND2) === 0) return EINVAL;
  if ((flags3 & CLONE_SIGHAND2) !== 0 && (flags3 & CLONE_VM2) === 0) return EINVAL;
  if ((flags3 & CLONE_FS2) !== 0 && (flags3 & (CLONE_NEWNS | CLONE_NEWUSER)) !== 0) return EINVAL;
  if ((flags3 & CLONE_THREAD2) !== 0 && (flags3 & (CLONE_NEWPID | CLONE_NEWUSER | CLONE_PIDFD)) !== 0) return EINVAL;
  if ((flags3 & CLONE_PARENT2) !== 0 && task.group.leader.tid === 1) return EINVAL;
  if (task.namespaces.pidForChildren !== task.pidNamespace && (flags3 & CLONE_THREAD2) !== 0) return EINVAL;
  const limit = task.group.limits.soft(RLIMIT_NPROC);
  if (limit !== Number.POSITIVE_INFINITY && task.creds.uid !== 0 && !hasCap(task.creds, CAP_SYS_RESOURCE)) {
    let count2 = 0;
    for (const other of task.kernel.rootPidNamespace.tasks.values()) if (other.creds.uid === task.creds.uid) count2++;
    if (count2 >= limit) return EAGAIN;
  }
  if (task.kernel.rootPidNamespace.tasks.size >= task.kernel.maxTasks) return EAGAIN;
  return (flags3 & CLONE_NEWUSER) !== 0 ? EPERM : 0;
}
function allocateIds(ns) {
  const ids = [];
  for (let at = ns; at !== null; at = at.parent) {
    const id = at.allocate();
    if (id === 0) return null;
    ids.unshift(id);
  }
  return ids;
}
function makeTask(task, request, thread, ids, namespaces, ns) {
  const { flags: flags3 } = request;
  const mm = (flags3 & CLONE_VM2) !== 0 ? task.mm.share() : task.mm.fork(thread.space);
  const child = new Task({
    kernel: task.kernel,
    group: task.group,
    thread,
    mm,
    fds: (flags3 & CLONE_FILES2) !== 0 ? task.fds.share() : task.fds.fork(),
    fs: (flags3 & CLONE_FS2) !== 0 ? task.fs.share() : task.fs.fork(),
    creds: task.creds,
    namespaces,
    ids,
    name: task.name,
  });
  child.inheritFrom(task);
  if ((flags3 & CLONE_VM2) === 0 || (flags3 & CLONE_VFORK) !== 0) child.altStack = { ...task.altStack };
  if ((flags3 & CLONE_VM2) === 0) child.rseq = task.rseq;
  if ((flags3 & CLONE_THREAD2) === 0) joinNewProcess(task, child, request, ns);
  child.group.tasks.push(child);
  for (let at = ns; at !== null; at = at.parent) at.tasks.set(child.idIn(at), child);
  return child;
}
function joinNewProcess(task, child, request, ns) {
  const { group } = task;
  const handlers = (request.flags & CLONE_SIGHAND2) !== 0 ? group.handlers : new SignalHandlers(group.handlers);
  if (request.clearHandlers) handlers.resetCaught();
  const process2 = new ThreadGroup({
    leader: child,
    pidNamespace: ns,
    container: group.container,
    group: group.group,
    handlers,
    pending: new PendingSignals(),
    limits: new ResourceLimits(group.limits),
    timers: new ProcessTimers(task.kernel),
    exitSignal: (request.flags & CLONE_PARENT2) !== 0 ? group.exitSignal : request.exitSignal,
    startTime: child.startTime,
  });
  child.group = process2;
  process2.oomScoreAdj = group.oomScoreAdj;
  const parent = (request.flags & CLONE_PARENT2) !== 0 ? group.parent : group;
  process2.parent = parent;
  parent?.children.add(process2);
  joinGroup(process2, group.group);
  group.container.processes.add(process2);
}
function tellNumbers(task, child, request, tid) {
  const { flags: flags3 } = request;
  let failed = 0;
  if ((flags3 & CLONE_PARENT_SETTID) !== 0) failed = task.writeU32(request.parentTid, tid);
  if ((flags3 & CLONE_CHILD_SETTID) !== 0) failed ||= child.writeU32(request.childTid, child.tid);
  if ((flags3 & CLONE_CHILD_CLEARTID) !== 0) child.clearChildTid = request.childTid;
  if ((flags3 & CLONE_PIDFD) !== 0) {
    const fd2 = task.kernel.openPidFd(task, child.group);
    failed ||= fd2 < 0 ? fd2 : task.writeU32(request.pidFd, fd2);
  }
  return failed;
}
function start(task, child, request) {
  const registers = child.thread.registers();
  if (request.stackPointer !== 0) registers.set(REG.rsp, request.stackPointer);
  if ((request.flags & CLONE_SETTLS) !== 0) registers.set(REG.fs_base, request.tls);
  if (request.stackPointer !== 0 || (request.flags & CLONE_SETTLS) !== 0) child.thread.setRegisters();
  task.kernel.startTask(child);
}

// abi/elf.ts
var ElfHeader = struct('Elf64_Ehdr', 64, {
  e_ident: bytes(16),
  e_type: u16,
  e_machine: u16,
  e_version: u32,
  e_entry: len64,
  e_phoff: len64,
  e_shoff: len64,
  e_flags: u32,
  e_ehsize: u16,
  e_phentsize: u16,
  e_phnum: u16,
  e_shentsize: u16,
  e_shnum: u16,
  e_shstrndx: u16,
});
var ProgramHeader = struct('Elf64_Phdr', 56, {
  p_type: u32,
  p_flags: u32,
  p_offset: len64,
  p_vaddr: len64,
  p_paddr: len64,
  p_filesz: len64,
  p_memsz: len64,
  p_align: len64,
});
var ET_EXEC = 2;
var ET_DYN = 3;
var EM_X86_64 = 62;
var ELFCLASS64 = 2;
var ELFDATA2LSB = 1;
var PT_LOAD = 1;
var PT_INTERP = 3;
var PT_PHDR = 6;
var PT_GNU_STACK = 1685382481;
var PF_X = 1;
var PF_W = 2;
var PF_R = 4;
var AT_NULL = 0;
var AT_PHDR = 3;
var AT_PHENT = 4;
var AT_PHNUM = 5;
var AT_PAGESZ = 6;
var AT_BASE = 7;
var AT_FLAGS = 8;
var AT_ENTRY = 9;
var AT_UID = 11;
var AT_EUID = 12;
var AT_GID = 13;
var AT_EGID = 14;
var AT_PLATFORM = 15;
var AT_HWCAP = 16;
var AT_CLKTCK = 17;
var AT_SECURE = 23;
var AT_RANDOM = 25;
var AT_HWCAP2 = 26;
var AT_EXECFN = 31;
var AT_SYSINFO_EHDR = 33;
var AT_MINSIGSTKSZ = 51;

// sentry/mm/shared_anonymous.ts
var SharedAnonymous = class _SharedAnonymous extends FileImpl {
  host;
  hostFd;
  constructor(host2, hostFd) {
    super();
    this.host = host2;
    this.hostFd = hostFd;
  }
  /** ENOMEM, EMFILE as the host says. */
  static create(host2, length) {
    const fd2 = host2.memfdCreate('shared', MFD_CLOEXEC);
    if (isErrno(fd2)) return fd2;
    const r = host2.ftruncate(fd2, length);
    if (isErrno(r)) {
      host2.close(fd2);
      return r;
    }
    return new _SharedAnonymous(host2, fd2);
  }
  mapping(_file, _shared, _prot) {
    return { hostFd: this.hostFd, offset: 0 };
  }
  release() {
    this.host.close(this.hostFd);
  }
};

// sentry/mm/vma.ts
var VMA_DONTFORK = 1;
var VMA_WIPEONFORK = 2;
var VMA_LOCKED = 4;
var VMA_NORESERVE = 8;
function mergeable(a, b) {
  return (
    a.end === b.start &&
    a.prot === b.prot &&
    a.maxProt === b.maxProt &&
    a.shared === b.shared &&
    a.advice === b.advice &&
    a.file === b.file &&
    a.label === b.label &&
    (a.file === null || a.offset + (a.end - a.start) === b.offset)
  );
}
var VmaSet = class _VmaSet {
  rows = [];
  /** Sum of all lengths in bytes. */
  bytes = 0;
  get all() {
    return this.rows;
  }
  /** Index of the first row that ends above `address`. */
  indexAt(address) {
    let low = 0;
    let high = this.rows.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.rows[middle].end > address) high = middle;
      else low = middle + 1;
    }
    return low;
  }
  /** The row that holds `address`, or null. */
  find(address) {
    const vma = this.rows[this.indexAt(address)];
    return vma !== void 0 && vma.start <= address ? vma : null;
  }
  /** Rows that overlap [start, end). */
  overlapping(start2, end) {
    const out = [];
    for (let i = this.indexAt(start2); i < this.rows.length && this.rows[i].start < end; i++) out.push(this.rows[i]);
    return out;
  }
  /** True if every byte of [start, end) is mapped. */
  covers(start2, end) {
    let at = start2;
    for (let i = this.indexAt(start2); at < end; i++) {
      const vma = this.rows[i];
      if (vma === void 0 || vma.start > at) return false;
      at = vma.end;
    }
    return true;
  }
  /** Adds a row where nothing is mapped; takes the caller's file reference. Merges with neighbours. */
  add(vma) {
    this.bytes += vma.end - vma.start;
    const at = this.indexAt(vma.start);
    const before = this.rows[at - 1];
    const after = this.rows[at];
    let merged = vma;
    let from = at;
    let count2 = 0;
    if (before !== void 0 && mergeable(before, merged)) {
      merged = { ...before, end: merged.end };
      merged.file?.release();
      from--;
      count2++;
    }
    if (after !== void 0 && mergeable(merged, after)) {
      merged = { ...merged, end: after.end };
      merged.file?.release();
      count2++;
    }
    this.rows.splice(from, count2, merged);
  }
  /** Takes [start, end) out; what is cut gets references of its own. The rows taken out, clipped, are the caller's to release. */
  take(start2, end) {
    const from = this.indexAt(start2);
    const out = [];
    const keep = [];
    let to = from;
    for (; to < this.rows.length && this.rows[to].start < end; to++) {
      const vma = this.rows[to];
      if (vma.start < start2) keep.push({ ...vma, file: vma.file?.hold() ?? null, end: start2 });
      if (vma.end > end) keep.push({ ...vma, file: vma.file?.hold() ?? null, start: end, offset: vma.offset + (end - vma.start) });
      const first = Math.max(vma.start, start2);
      out.push({ ...vma, start: first, end: Math.min(vma.end, end), offset: vma.offset + (first - vma.start) });
    }
    this.rows.splice(from, to - from, ...keep);
    for (const vma of out) this.bytes -= vma.end - vma.start;
    return out;
  }
  /** Replaces the rows in [start, end) by changed copies. */
  update(start2, end, change) {
    for (const vma of this.take(start2, end)) this.add(change(vma));
  }
  /** Highest start of a hole of `length` bytes inside [bottom, top); -1 if there is none. */
  findHole(length, bottom, top) {
    let end = top;
    for (let i = this.indexAt(top - 1); end - bottom >= length; i--) {
      const vma = this.rows[i];
      if (vma === void 0 && i > 0) continue;
      const floor = vma === void 0 ? bottom : Math.max(bottom, vma.end);
      if (end - floor >= length) return end - length;
      if (vma === void 0) return -1;
      end = Math.min(end, vma.start);
    }
    return -1;
  }
  /** A copy for fork(2) with references of its own. */
  fork() {
    const copy = new _VmaSet();
    copy.rows = this.rows.filter((vma) => (vma.advice & VMA_DONTFORK) === 0);
    for (const vma of copy.rows) {
      vma.file?.hold();
      copy.bytes += vma.end - vma.start;
    }
    return copy;
  }
  clear() {
    for (const vma of this.rows) vma.file?.release();
    this.rows = [];
    this.bytes = 0;
  }
};

// sentry/mm/memory_map.ts
var MAX_MAP_COUNT = 65530;
var MMAP_MIN_ADDR = 65536;
var PROT_ALL = PROT_READ | PROT_WRITE | PROT_EXEC;
function pageUp(value) {
  return Math.ceil(value / PAGE_SIZE) * PAGE_SIZE;
}
function pageDown(value) {
  return Math.floor(value / PAGE_SIZE) * PAGE_SIZE;
}
var MemoryMap = class _MemoryMap {
  kernel;
  space;
  vmas = new VmaSet();
  layout = {
    startCode: 0,
    endCode: 0,
    startData: 0,
    endData: 0,
    startBrk: 0,
    startStack: 0,
    argStart: 0,
    argEnd: 0,
    envStart: 0,
    envEnd: 0,
  };
  /** End of the heap, as brk(2) set it; not rounded. */
  brk = 0;
  /** mmap looks for room downwards from here. */
  mmapBase;
  /** The auxiliary vector as execve wrote it (/proc/PID/auxv). */
  auxv = new Uint8Array(0);
  /** The executable, held (/proc/PID/exe). */
  executable = null;
  /** prctl(2) PR_SET_DUMPABLE. */
  dumpable = 1;
  /** Bytes locked by mlock(2). */
  lockedBytes = 0;
  lockFuture = false;
  users = 1;
  constructor(kernel2, space, mmapBase) {
    this.kernel = kernel2;
    this.space = space;
    this.mmapBase = mmapBase;
  }
  // Life
  share() {
    this.users++;
    return this;
  }
  get userCount() {
    return this.users;
  }
  /** One task leaves. True if it was the last: the space is gone, threads included. */
  release() {
    if (--this.users > 0) return false;
    this.vmas.clear();
    this.executable?.release();
    this.executable = null;
    this.space.release();
    return true;
  }
  /** The map of a forked space. */
  fork(space) {
    const copy = new _MemoryMap(this.kernel, space, this.mmapBase);
    copy.vmas = this.vmas.fork();
    copy.layout = { ...this.layout };
    copy.brk = this.brk;
    copy.auxv = this.auxv;
    copy.executable = this.executable?.hold() ?? null;
    copy.dumpable = this.dumpable;
    return copy;
  }
  // mmap(2)
  /** Address, or an errno. Arguments as mmap(2)'s; `file` stays the caller's. */
  map(via, limits, hint, bytes2, prot, flags3, file, offset) {
    if (bytes2 === 0 || offset % PAGE_SIZE !== 0 || offset < 0) return EINVAL;
    const length = pageUp(bytes2);
    if (!(length <= this.kernel.platform.maxAddress)) return ENOMEM;
    const type = flags3 & MAP_TYPE;
    const shared = type === MAP_SHARED || type === MAP_SHARED_VALIDATE;
    if (this.vmas.all.length >= MAX_MAP_COUNT) return ENOMEM;
    let maxProt = PROT_ALL;
    if (file !== null && (flags3 & MAP_ANONYMOUS) === 0) {
      const allowed = this.fileProtection(file, shared, prot);
      if (isErrno(allowed)) return allowed;
      maxProt = allowed;
    }
    const address = this.choose(hint, length, flags3);
    if (isErrno(address)) return address;
    if (!this.withinLimits(limits, address, length, prot, shared)) return ENOMEM;
    const source = (flags3 & MAP_ANONYMOUS) !== 0 ? this.anonymousSource(shared, length) : this.fileSource(file, shared, prot);
    if (isErrno(source)) return source;
    const advice = ((flags3 & MAP_LOCKED) !== 0 || this.lockFuture ? VMA_LOCKED : 0) | ((flags3 & MAP_NORESERVE) !== 0 ? VMA_NORESERVE : 0);
    const vma = {
      start: address,
      end: address + length,
      prot: prot & PROT_ALL,
      maxProt,
      shared,
      advice,
      file: source.file,
      offset: source.file === null ? 0 : source.anonymous ? 0 : offset,
      label: '',
    };
    const r = this.place(via, vma, source.mapping);
    if (isErrno(r)) {
      source.file?.release();
      return r;
    }
    return address;
  }
  /** Records a mapping and tells the platform; replaces what was there. Takes vma.file's reference on success. */
  place(via, vma, mapping) {
    this.forget(vma.start, vma.end);
    const length = vma.end - vma.start;
    const r =
      mapping === null
        ? this.space.mapAnonymous(via, vma.start, length, vma.prot)
        : this.space.mapFile(via, vma.start, length, vma.prot, vma.shared, mapping.hostFd, mapping.offset + vma.offset);
    if (isErrno(r)) return r;
    if ((vma.advice & VMA_LOCKED) !== 0) this.lockedBytes += length;
    this.vmas.add(vma);
    return 0;
  }
  /** What the file's mode and mount allow: maxProt, or the errno of mmap(2). */
  fileProtection(file, shared, prot) {
    if (!file.readable) return EACCES;
    const noexec = file.path !== null && (file.path.mount.flags & MS_NOEXEC) !== 0;
    if (noexec && (prot & PROT_EXEC) !== 0) return EPERM;
    if (shared && (prot & PROT_WRITE) !== 0 && !file.writable) return EACCES;
    return PROT_READ | (noexec ? 0 : PROT_EXEC) | (!shared || file.writable ? PROT_WRITE : 0);
  }
  fileSource(file, shared, prot) {
    const mapping = file.impl.mapping(file, shared, prot);
    if (isErrno(mapping)) return mapping;
    if (mapping.hostFd < 0) return { file: null, mapping: null, anonymous: true };
    return { file: file.hold(), mapping, anonymous: false };
  }
  anonymousSource(shared, length) {
    if (!shared) return { file: null, mapping: null, anonymous: true };
    const object = SharedAnonymous.create(this.kernel.host, length);
    if (isErrno(object)) return object;
    const file = new FileDescription(object, O_RDWR);
    return { file, mapping: object.mapping(file, true, PROT_ALL), anonymous: true };
  }
  /** An address for `length` bytes by mmap(2)'s rules of hint and MAP_FIXED. */
  choose(hint, length, flags3) {
    const { minAddress, maxAddress } = this.kernel.platform;
    if ((flags3 & (MAP_FIXED | MAP_FIXED_NOREPLACE)) !== 0) {
      if (hint % PAGE_SIZE !== 0) return EINVAL;
      if (hint < Math.max(minAddress, MMAP_MIN_ADDR)) return EPERM;
      if (hint + length > maxAddress) return ENOMEM;
      if ((flags3 & MAP_FIXED_NOREPLACE) !== 0 && this.vmas.overlapping(hint, hint + length).length > 0) return EEXIST;
      return hint;
    }
    const at = pageDown(hint);
    if (hint !== 0 && at >= MMAP_MIN_ADDR && at + length <= maxAddress && this.vmas.overlapping(at, at + length).length === 0) return at;
    const bottom = Math.max(minAddress, MMAP_MIN_ADDR);
    const low = (flags3 & 64) !== 0;
    const top = low ? 2147483648 : this.mmapBase;
    let found = this.vmas.findHole(length, low ? 1073741824 : bottom, top);
    if (found < 0 && !low) found = this.vmas.findHole(length, bottom, maxAddress);
    return found < 0 ? ENOMEM : found;
  }
  withinLimits(limits, address, length, prot, shared) {
    const as = limits.soft(RLIMIT_AS);
    if (as !== Number.POSITIVE_INFINITY) {
      let replaced = 0;
      for (const vma of this.vmas.overlapping(address, address + length)) {
        replaced += Math.min(vma.end, address + length) - Math.max(vma.start, address);
      }
      if (this.vmas.bytes - replaced + length > as) return false;
    }
    const data = limits.soft(RLIMIT_DATA);
    if (data === Number.POSITIVE_INFINITY || shared || (prot & PROT_WRITE) === 0) return true;
    let used2 = 0;
    for (const vma of this.vmas.all) if (!vma.shared && (vma.prot & PROT_WRITE) !== 0) used2 += vma.end - vma.start;
    return used2 + length <= data;
  }
  // munmap(2), mprotect(2), madvise(2)
  unmap(via, address, bytes2) {
    const length = pageUp(bytes2);
    if (address % PAGE_SIZE !== 0 || length === 0 || !(address + length <= this.kernel.platform.maxAddress)) return EINVAL;
    const rows2 = this.vmas.overlapping(address, address + length);
    const first = rows2[0];
    if (first === void 0) return 0;
    if (rows2.length === 1 && first.start < address && first.end > address + length && this.vmas.all.length >= MAX_MAP_COUNT) return ENOMEM;
    this.forget(address, address + length);
    return this.space.unmap(via, address, length);
  }
  /** Takes rows out without telling the platform. */
  forget(start2, end) {
    for (const vma of this.vmas.take(start2, end)) {
      if ((vma.advice & VMA_LOCKED) !== 0) this.lockedBytes -= vma.end - vma.start;
      vma.file?.release();
    }
  }
  protect(via, address, bytes2, prot) {
    const length = pageUp(bytes2);
    if (address % PAGE_SIZE !== 0) return EINVAL;
    if (length === 0) return 0;
    const end = address + length;
    if (!(end <= this.kernel.platform.maxAddress) || !this.vmas.covers(address, end)) return ENOMEM;
    for (const vma of this.vmas.overlapping(address, end)) if ((prot & PROT_ALL & ~vma.maxProt) !== 0) return EACCES;
    if (this.vmas.all.length + 2 > MAX_MAP_COUNT) return ENOMEM;
    this.vmas.update(address, end, (vma) => ({ ...vma, prot: prot & PROT_ALL }));
    return this.space.protect(via, address, length, prot & PROT_ALL);
  }
  /** Sets and clears VMA_* bits of the rows in the range, which must be covered (ENOMEM). */
  mark(address, bytes2, set, clear) {
    const end = address + pageUp(bytes2);
    const covered = this.vmas.covers(address, end);
    this.vmas.update(address, end, (vma) => {
      const advice = (vma.advice & ~clear) | set;
      this.lockedBytes += (((advice & VMA_LOCKED) >> 2) - ((vma.advice & VMA_LOCKED) >> 2)) * (vma.end - vma.start);
      return { ...vma, advice };
    });
    return covered ? 0 : ENOMEM;
  }
  // brk(2)
  /** The new end of the heap, or the old one if it cannot be. */
  setBrk(via, limits, address) {
    const start2 = this.layout.startBrk;
    if (address < start2 || !(address <= this.kernel.platform.maxAddress)) return this.brk;
    const oldEnd = pageUp(this.brk);
    const newEnd = pageUp(address);
    if (newEnd < oldEnd) {
      if (isErrno(this.unmap(via, newEnd, oldEnd - newEnd))) return this.brk;
    } else if (newEnd > oldEnd) {
      const length = newEnd - oldEnd;
      if (this.vmas.overlapping(oldEnd, newEnd).length > 0) return this.brk;
      if (!this.withinLimits(limits, oldEnd, length, PROT_READ | PROT_WRITE, false)) return this.brk;
      const heap = {
        start: oldEnd,
        end: newEnd,
        prot: PROT_READ | PROT_WRITE,
        maxProt: PROT_ALL,
        shared: false,
        advice: this.lockFuture ? VMA_LOCKED : 0,
        file: null,
        offset: 0,
        label: '[heap]',
      };
      if (isErrno(this.place(via, heap, null))) return this.brk;
    }
    this.brk = address;
    return address;
  }
  // mremap(2)
  remap(via, limits, from, oldBytes, newBytes, mayMove, fixed, keepSource) {
    const oldLength = pageUp(oldBytes);
    const newLength = pageUp(newBytes);
    if (from % PAGE_SIZE !== 0 || newLength === 0) return EINVAL;
    if (fixed !== null) {
      if (fixed % PAGE_SIZE !== 0 || !(fixed + newLength <= this.kernel.platform.maxAddress) || fixed < MMAP_MIN_ADDR) return EINVAL;
      if (fixed < from + oldLength && from < fixed + newLength) return EINVAL;
    }
    const vma = this.vmas.find(from);
    if (vma === null) return EFAULT;
    if (oldLength === 0) return this.duplicate(via, limits, vma, from, newLength, fixed);
    if (from + oldLength > vma.end) return EFAULT;
    if (keepSource && (vma.file !== null || oldLength !== newLength)) return EINVAL;
    if (newLength > oldLength && (vma.advice & VMA_LOCKED) !== 0 && this.lockedBytes + newLength - oldLength > limits.soft(8))
      return EAGAIN;
    if (fixed === null && !keepSource) {
      if (newLength <= oldLength) {
        if (newLength < oldLength) this.unmap(via, from + newLength, oldLength - newLength);
        return from;
      }
      const grown = this.growInPlace(via, limits, vma, from + oldLength, newLength - oldLength);
      if (!isErrno(grown)) return from;
    }
    if (!mayMove) return ENOMEM;
    if (newLength > oldLength && !this.withinLimits(limits, 0, newLength - oldLength, vma.prot, vma.shared)) return ENOMEM;
    const to = fixed ?? this.choose(0, newLength, 0);
    if (isErrno(to)) return to;
    return this.moveTo(via, vma, from, oldLength, to, newLength, keepSource);
  }
  /** Extends the row that ends at `end`, if the room behind it is free. */
  growInPlace(via, limits, vma, end, more) {
    if (vma.end !== end || end + more > this.kernel.platform.maxAddress || this.vmas.overlapping(end, end + more).length > 0) return ENOMEM;
    if (!this.withinLimits(limits, end, more, vma.prot, vma.shared)) return ENOMEM;
    const tail = {
      ...vma,
      start: end,
      end: end + more,
      offset: vma.file === null ? 0 : vma.offset + (vma.end - vma.start),
      file: vma.file?.hold() ?? null,
    };
    const r = this.place(via, tail, this.mappingOf(tail));
    if (isErrno(r)) tail.file?.release();
    return r;
  }
  moveTo(via, vma, from, oldLength, to, newLength, keepSource) {
    if (this.vmas.all.length + 3 > MAX_MAP_COUNT) return ENOMEM;
    this.forget(to, to + newLength);
    const moved = { ...vma, start: to, end: to + newLength, offset: vma.offset + (from - vma.start), file: vma.file?.hold() ?? null };
    if (vma.file === null) moved.offset = 0;
    if (newLength < oldLength) this.unmap(via, from + newLength, oldLength - newLength);
    const r = this.space.move(via, from, Math.min(oldLength, newLength), to, newLength, keepSource);
    if (isErrno(r)) {
      moved.file?.release();
      return r;
    }
    if (!keepSource) this.forget(from, from + oldLength);
    this.vmas.add(moved);
    return to;
  }
  /** mremap(2) with an old size of 0: a second mapping of the same shared object. */
  duplicate(via, limits, vma, from, length, fixed) {
    if (!vma.shared || vma.file === null) return EINVAL;
    const to = fixed ?? this.choose(0, length, 0);
    if (isErrno(to)) return to;
    if (!this.withinLimits(limits, to, length, vma.prot, true)) return ENOMEM;
    const copy = { ...vma, start: to, end: to + length, offset: vma.offset + (from - vma.start), file: vma.file.hold() };
    const r = this.place(via, copy, this.mappingOf(copy));
    if (!isErrno(r)) return to;
    copy.file?.release();
    return r;
  }
  mappingOf(vma) {
    if (vma.file === null) return null;
    const mapping = vma.file.impl.mapping(vma.file, vma.shared, vma.prot);
    return isErrno(mapping) ? null : mapping;
  }
  // What others ask
  /** Identity of a futex word: the object it lies in and its offset there. EFAULT where nothing is mapped. */
  futexKey(address) {
    const vma = this.vmas.find(address);
    if (vma === null) return EFAULT;
    if (!vma.shared || vma.file === null) return { owner: this, offset: address };
    return { owner: vma.file.inode ?? vma.file.impl, offset: vma.offset + (address - vma.start) };
  }
  /** The files that the range maps shared: for msync(2). */
  sharedFiles(address, length) {
    return this.vmas.overlapping(address, address + length).flatMap((vma) => (vma.shared && vma.file !== null ? [vma.file] : []));
  }
};

// sentry/loader/elf.ts
var MAX_PHDR_BYTES = 65536;
function parseElf(head, read) {
  if (head.length < ElfHeader.size) return ENOEXEC;
  const header = ElfHeader.decode(head);
  const id = header.e_ident;
  if (id[0] !== 127 || id[1] !== 69 || id[2] !== 76 || id[3] !== 70) return ENOEXEC;
  if (id[4] !== ELFCLASS64 || id[5] !== ELFDATA2LSB || header.e_machine !== EM_X86_64) return ENOEXEC;
  if (header.e_type !== ET_EXEC && header.e_type !== ET_DYN) return ENOEXEC;
  const tableBytes = header.e_phnum * ProgramHeader.size;
  if (header.e_phentsize !== ProgramHeader.size || tableBytes === 0 || tableBytes > MAX_PHDR_BYTES) return ENOEXEC;
  if (!Number.isSafeInteger(header.e_phoff + tableBytes)) return ENOEXEC;
  const table = new Uint8Array(tableBytes);
  if (read(table, header.e_phoff) !== tableBytes) return ENOEXEC;
  const view = new DataView(table.buffer);
  const headers = Array.from({ length: header.e_phnum }, (_, i) => ProgramHeader.read(view, i * ProgramHeader.size));
  return layOut(header, headers, read);
}
function layOut(header, headers, read) {
  const loads = headers.filter((p) => p.p_type === PT_LOAD && p.p_memsz > 0);
  const first = loads[0];
  if (first === void 0) return ENOEXEC;
  const segments = [];
  let align = PAGE_SIZE;
  let end = 0;
  for (const p of loads) {
    if (!isSane(p, end)) return ENOEXEC;
    end = p.p_vaddr + p.p_memsz;
    if (Number.isInteger(Math.log2(p.p_align)) && p.p_align <= 1 << 30) align = Math.max(align, p.p_align);
    segments.push({ vaddr: p.p_vaddr, offset: p.p_offset, fileSize: p.p_filesz, memorySize: p.p_memsz, prot: protection(p.p_flags) });
  }
  const interpreter = interpreterOf(headers, read);
  if (typeof interpreter === 'number') return interpreter;
  const stack = headers.find((p) => p.p_type === PT_GNU_STACK);
  return {
    relocatable: header.e_type === ET_DYN,
    entry: header.e_entry,
    segments,
    low: first.p_vaddr - (first.p_vaddr % PAGE_SIZE),
    high: Math.ceil(end / PAGE_SIZE) * PAGE_SIZE,
    align,
    interpreter,
    phdrAddress: phdrAddress(header, headers, segments),
    phdrCount: header.e_phnum,
    executableStack: stack !== void 0 && (stack.p_flags & PF_X) !== 0,
  };
}
function isSane(p, previousEnd) {
  return (
    p.p_filesz <= p.p_memsz &&
    p.p_vaddr + p.p_memsz <= TASK_SIZE &&
    p.p_vaddr % PAGE_SIZE === p.p_offset % PAGE_SIZE &&
    p.p_vaddr >= previousEnd - (previousEnd % PAGE_SIZE) &&
    Number.isSafeInteger(p.p_offset + p.p_filesz)
  );
}
function protection(flags3) {
  return ((flags3 & PF_R) !== 0 ? PROT_READ : 0) | ((flags3 & PF_W) !== 0 ? PROT_WRITE : 0) | ((flags3 & PF_X) !== 0 ? PROT_EXEC : 0);
}
function phdrAddress(header, headers, segments) {
  const said = headers.find((p) => p.p_type === PT_PHDR);
  if (said !== void 0) return said.p_vaddr;
  const holder = segments.find((s) => header.e_phoff >= s.offset && header.e_phoff < s.offset + s.fileSize);
  return holder === void 0 ? 0 : holder.vaddr + (header.e_phoff - holder.offset);
}
function interpreterOf(headers, read) {
  const p = headers.find((h) => h.p_type === PT_INTERP);
  if (p === void 0) return null;
  if (p.p_filesz < 2 || p.p_filesz > PATH_MAX) return ENOEXEC;
  const bytes2 = new Uint8Array(p.p_filesz);
  if (read(bytes2, p.p_offset) !== bytes2.length) return EINVAL;
  const end = bytes2.indexOf(0);
  return end < 0 ? ENOEXEC : byteString(bytes2, 0, end);
}

// sentry/loader/script.ts
var LINE_MAX = 256;
var MAX_SCRIPT_DEPTH = 4;
function parseScript(head) {
  if (head[0] !== 35 || head[1] !== 33) return null;
  const text = byteString(head, 2, Math.min(head.length, LINE_MAX));
  const newline = text.indexOf('\n');
  const line = (newline < 0 ? text : text.slice(0, newline)).split('\0')[0];
  const match = /^[ \t]*([^ \t]+)(?:[ \t]+(.*?))?[ \t]*$/.exec(line);
  if (match === null) return ENOEXEC;
  const cut = newline < 0 && head.length >= LINE_MAX && match[2] === void 0 && !/[ \t]$/.test(line);
  if (cut) return ENOEXEC;
  return { interpreter: match[1], argument: match[2] === void 0 || match[2] === '' ? null : match[2] };
}

// sentry/loader/stack.ts
var MAX_ARG_STRLEN = 131072;
var PLATFORM = 'x86_64';
function buildStack(input) {
  const { argv: argv2, env, execPath, random, top } = input;
  let strings = execPath.length + 1 + PLATFORM.length + 1 + random.length;
  for (const list of [argv2, env]) {
    for (const text of list) {
      if (text.length >= MAX_ARG_STRLEN) return E2BIG;
      strings += text.length + 1;
    }
  }
  const words = 1 + argv2.length + 1 + env.length + 1 + (input.auxv.length + 4) * 2;
  const size2 = strings + words * 8 + 32;
  if (size2 > input.limit) return E2BIG;
  const area = new Uint8Array(Math.ceil((size2 + 8) / 16) * 16 + 16);
  const base = top - area.length;
  let at = area.length - 8;
  const put = (bytes2, nul) => {
    at -= bytes2.length + nul;
    area.set(bytes2, at);
    return base + at;
  };
  const putAll = (texts) => {
    const addresses = new Array(texts.length);
    for (let i = texts.length - 1; i >= 0; i--) addresses[i] = put(bytesOf(texts[i]), 1);
    return addresses;
  };
  const execAddress = put(bytesOf(execPath), 1);
  const envAt = putAll(env);
  const envStart = envAt[0] ?? execAddress;
  const argAt = putAll(argv2);
  const argStart = argAt[0] ?? envStart;
  const platformAddress = put(bytesOf(PLATFORM), 1);
  const randomAddress = put(random, 0);
  const auxv = [...input.auxv, [AT_RANDOM, randomAddress], [AT_EXECFN, execAddress], [AT_PLATFORM, platformAddress], [AT_NULL, 0]];
  const start2 = Math.floor((at - words * 8) / 16) * 16;
  const view = new DataView(area.buffer);
  let word = start2;
  for (const value of [argv2.length, ...argAt, 0, ...envAt, 0]) {
    setLen64(view, word, value);
    word += 8;
  }
  const auxStart = word;
  for (const value of auxv.flat()) {
    setLen64(view, word, value);
    word += 8;
  }
  return {
    bytes: area.subarray(start2),
    pointer: base + start2,
    argStart,
    argEnd: envStart,
    envStart,
    envEnd: execAddress,
    auxv: area.slice(auxStart, word),
  };
}

// sentry/loader/load.ts
var PROT_ALL2 = PROT_READ | PROT_WRITE | PROT_EXEC;
var HEAD_BYTES = 4096;
var DEFAULT_STACK = 8 << 20;
var MIN_STACK = 128 << 10;
var MAX_STACK = 1 << 30;
var STACK_GUARD = 1 << 20;
var MAX_STRINGS = 6 << 20;
var PIE_BASE = 93824992231424;
var MMAP_RANDOM_PAGES = 2 ** 28;
var STACK_RANDOM_PAGES = 2 ** 22;
var HEAP_RANDOM_PAGES = 2 ** 13;
var HWCAP = 395049983;
var HWCAP2 = 2;
var SIGNAL_FRAME = 3632;
var VDSO_BYTES = 2 * PAGE_SIZE;
function loadProgram(request) {
  const program = resolveScripts(request);
  if (isErrno(program)) return program;
  const wanted = program.image.interpreter;
  const interpreter = wanted === null ? null : openInterpreter(request, wanted);
  const thread = isErrno(interpreter) ? interpreter : request.kernel.platform.newAddressSpace();
  const loaded = isErrno(thread) ? thread : new ProgramLoader(request, thread).load(program, interpreter, program.argv);
  program.file.release();
  if (interpreter !== null && !isErrno(interpreter)) interpreter.file.release();
  if (isErrno(loaded) && !isErrno(thread)) thread.space.release();
  return loaded;
}
function resolveScripts(request) {
  let file = request.file.hold();
  let { argv: argv2, path: path3 } = request;
  for (let depth = 0; ; depth++) {
    const opened = openScriptOrImage(request.kernel, file);
    if (isErrno(opened)) {
      file.release();
      return opened;
    }
    if ('image' in opened) return { image: opened.image, file, argv: argv2 };
    const next = depth >= MAX_SCRIPT_DEPTH ? ELOOP : request.open(AT_FDCWD, opened.interpreter);
    file.release();
    if (isErrno(next)) return next;
    argv2 = [opened.interpreter, ...(opened.argument === null ? [] : [opened.argument]), path3, ...argv2.slice(1)];
    path3 = opened.interpreter;
    file = next;
  }
}
function openScriptOrImage(kernel2, file) {
  const read = reader(kernel2, file);
  if (isErrno(read)) return read;
  const head = new Uint8Array(HEAD_BYTES);
  const n = read(head, 0);
  if (n < 0) return n;
  const script = parseScript(head.subarray(0, n));
  if (script !== null) return script;
  const image = parseElf(head.subarray(0, n), read);
  return isErrno(image) ? image : { image };
}
function openInterpreter(request, path3) {
  const file = request.open(AT_FDCWD, path3);
  if (isErrno(file)) return file;
  const opened = openScriptOrImage(request.kernel, file);
  if (!isErrno(opened) && 'image' in opened) return { image: opened.image, file };
  file.release();
  return isErrno(opened) && opened !== ENOEXEC ? opened : ELIBBAD;
}
function reader(kernel2, file) {
  const mapping = file.impl.mapping(file, false, PROT_READ | PROT_EXEC);
  if (isErrno(mapping) || mapping.hostFd < 0) return EACCES;
  return (into, offset) => kernel2.host.pread(mapping.hostFd, into, 0, into.length, mapping.offset + offset);
}
var ProgramLoader = class {
  request;
  thread;
  mm;
  stackTop;
  stackSize;
  constructor(request, thread) {
    const { kernel: kernel2, limits } = request;
    this.request = request;
    this.thread = thread;
    const soft = limits.soft(RLIMIT_STACK);
    this.stackSize = pageUp(Math.min(Math.max(soft === Number.POSITIVE_INFINITY ? DEFAULT_STACK : soft, MIN_STACK), MAX_STACK));
    this.stackTop = pageDown(kernel2.platform.maxAddress) - kernel2.randomBelow(STACK_RANDOM_PAGES) * PAGE_SIZE;
    const base = this.stackTop - this.stackSize - STACK_GUARD - kernel2.randomBelow(MMAP_RANDOM_PAGES) * PAGE_SIZE;
    this.mm = new MemoryMap(kernel2, thread.space, pageDown(base));
  }
  load(program, interpreter, argv2) {
    const { mm } = this;
    const bias = this.placeImage(program, interpreter === null ? null : PIE_BASE);
    if (isErrno(bias)) return this.fail(bias);
    const base = interpreter === null ? 0 : this.placeImage(interpreter, null);
    if (isErrno(base)) return this.fail(base);
    this.describe(program.image, bias);
    this.showVdso();
    const pointer = this.placeStack(argv2, program.image.executableStack, this.auxv(program.image, bias, base));
    if (isErrno(pointer)) return this.fail(pointer);
    mm.executable = program.file.hold();
    const entry = interpreter === null ? program.image.entry + bias : interpreter.image.entry + base;
    return { thread: this.thread, mm, entry, stackPointer: pointer };
  }
  /** The host space is released by the caller; here only what the map holds. */
  fail(errno) {
    this.mm.vmas.clear();
    return errno;
  }
  /** Maps the segments; the load bias. pieBase: where a position-independent program goes; null: among the mappings. */
  placeImage({ image, file }, pieBase) {
    let bias = 0;
    if (image.relocatable) {
      const random = pieBase === null ? 0 : pieBase + this.request.kernel.randomBelow(MMAP_RANDOM_PAGES) * PAGE_SIZE;
      const at = pieBase === null ? this.mm.choose(0, image.high - image.low + image.align - PAGE_SIZE, 0) : random;
      if (isErrno(at)) return at;
      bias = Math.ceil(at / image.align) * image.align - image.low;
    } else if (image.low < 65536 || image.high > this.stackTop - this.stackSize - STACK_GUARD) {
      return ENOMEM;
    }
    for (const segment of image.segments) {
      const r = this.placeSegment(segment, bias, file);
      if (isErrno(r)) return r;
    }
    return bias;
  }
  placeSegment(segment, bias, file) {
    const start2 = pageDown(segment.vaddr + bias);
    const fileEnd = segment.vaddr + bias + segment.fileSize;
    const end = pageUp(segment.vaddr + bias + segment.memorySize);
    const mappedEnd = segment.fileSize === 0 ? start2 : pageUp(fileEnd);
    if (mappedEnd > start2) {
      const mapping = file.impl.mapping(file, false, segment.prot);
      if (isErrno(mapping)) return mapping;
      const r = this.place(start2, mappedEnd, segment.prot, file, mapping, segment.offset - (segment.vaddr % PAGE_SIZE));
      if (isErrno(r)) return r;
    }
    if (end > mappedEnd) {
      const r = this.place(mappedEnd, end, segment.prot, null, null, 0);
      if (isErrno(r)) return r;
    }
    const tail = segment.memorySize > segment.fileSize && segment.fileSize > 0 ? pageUp(fileEnd) - fileEnd : 0;
    if (tail === 0 || (segment.prot & PROT_WRITE) === 0) return 0;
    return this.thread.space.write(fileEnd, new Uint8Array(tail), 0, tail) === tail ? 0 : ENOEXEC;
  }
  place(start2, end, prot, file, mapping, offset, label = '') {
    const vma = { start: start2, end, prot, maxProt: PROT_ALL2, shared: false, advice: 0, file: file?.hold() ?? null, offset, label };
    const r = this.mm.place(this.thread, vma, mapping);
    if (isErrno(r)) vma.file?.release();
    return r;
  }
  /** Addresses for /proc and brk. */
  describe(image, bias) {
    const { layout } = this.mm;
    for (const s of image.segments) {
      const start2 = s.vaddr + bias;
      if ((s.prot & PROT_EXEC) !== 0) Object.assign(layout, { startCode: start2, endCode: start2 + s.fileSize });
      else if ((s.prot & PROT_WRITE) !== 0) Object.assign(layout, { startData: start2, endData: start2 + s.fileSize });
    }
    layout.startBrk = pageUp(image.high + bias) + this.request.kernel.randomBelow(HEAP_RANDOM_PAGES) * PAGE_SIZE;
    this.mm.brk = layout.startBrk;
  }
  /** The vDSO is there already, outside the application's range: only maps has to show it. */
  showVdso() {
    const start2 = this.thread.space.vdsoBase;
    if (start2 === 0) return;
    const prot = PROT_READ | PROT_EXEC;
    this.mm.vmas.add({
      start: start2,
      end: start2 + VDSO_BYTES,
      prot,
      maxProt: prot,
      shared: false,
      advice: 0,
      file: null,
      offset: 0,
      label: '[vdso]',
    });
  }
  auxv(image, bias, interpreterBase) {
    const { creds } = this.request;
    const vdso = this.thread.space.vdsoBase;
    return [
      ...(vdso === 0 ? [] : [[AT_SYSINFO_EHDR, vdso]]),
      [AT_MINSIGSTKSZ, SIGNAL_FRAME],
      [AT_HWCAP, HWCAP],
      [AT_PAGESZ, PAGE_SIZE],
      [AT_CLKTCK, 100],
      [AT_PHDR, image.phdrAddress + bias],
      [AT_PHENT, ProgramHeader.size],
      [AT_PHNUM, image.phdrCount],
      [AT_BASE, interpreterBase],
      [AT_FLAGS, 0],
      [AT_ENTRY, image.entry + bias],
      [AT_UID, creds.uid],
      [AT_EUID, creds.euid],
      [AT_GID, creds.gid],
      [AT_EGID, creds.egid],
      [AT_SECURE, this.request.secure ? 1 : 0],
      [AT_HWCAP2, HWCAP2],
    ];
  }
  /** Maps the whole stack (the host gives pages as they are touched) and writes what main() finds on it; the stack pointer. */
  placeStack(argv2, executable, auxv) {
    const { request, mm, stackTop, stackSize } = this;
    const random = new Uint8Array(16);
    request.kernel.host.getrandom(random);
    const limit = Math.min(Math.max(Math.floor(stackSize / 4), MIN_STACK), MAX_STRINGS);
    const built = buildStack({ top: stackTop, limit, argv: argv2, env: request.env, execPath: request.path, random, auxv });
    if (isErrno(built)) return built;
    const prot = PROT_READ | PROT_WRITE | (executable ? PROT_EXEC : 0);
    const r = this.place(stackTop - stackSize, stackTop, prot, null, null, 0, '[stack]');
    if (isErrno(r)) return r;
    if (this.thread.space.write(built.pointer, built.bytes, 0, built.bytes.length) !== built.bytes.length) return ENOMEM;
    mm.auxv = new Uint8Array(built.auxv);
    const { argStart, argEnd, envStart, envEnd } = built;
    Object.assign(mm.layout, { startStack: built.pointer, argStart, argEnd, envStart, envEnd });
    return built.pointer;
  }
};

// abi/ioctl.ts
var FIONREAD = 21531;

// sentry/kernel/broken_pipe.ts
function sendBrokenPipe(task) {
  sendToTask(task, { signal: SIGPIPE, code: SI_USER, pid: task.pid, uid: task.creds.uid });
  return EPIPE;
}

// sentry/fs/pipefs/pipe_file.ts
var PipeFile = class extends FileImpl {
  pipe;
  reads;
  writes;
  queue;
  /** The fifo or pipe inode that leads to `pipe` while it is open. */
  inode;
  /** A fifo's reader sees no hang-up before the first writer has come (poll(2)). */
  writersBefore;
  constructor(pipe, access, inode) {
    super();
    this.pipe = pipe;
    this.queue = pipe.queue;
    this.reads = (access & O_ACCMODE) !== O_WRONLY;
    this.writes = (access & O_ACCMODE) !== O_RDONLY;
    this.inode = inode;
    this.writersBefore = pipe.writers === 0 && !this.writes ? pipe.writerOpens : -1;
    inode.attachment = pipe;
    pipe.openEnd(this.reads, this.writes);
  }
  read(dst, _file, _task) {
    return this.reads ? this.pipe.read(dst) : EBADF;
  }
  write(src, file, task) {
    if (!this.writes) return EBADF;
    const wanted = src.remaining;
    const packet = (file.flags & O_DIRECT) !== 0;
    const n = this.pipe.write(src, packet);
    if (n === wanted) return n;
    if (n === EPIPE) return sendBrokenPipe(task);
    if (n < 0 && n !== EAGAIN) return n;
    return file.nonblocking ? n : this.writeRest(src, file, task, packet, Math.max(n, 0));
  }
  /** A blocking write ends when all is written, or with what was when a signal or a fault came. */
  *writeRest(src, file, task, packet, written) {
    let total2 = written;
    file.hold();
    try {
      while (src.remaining > 0) {
        const wake2 = yield waitFor(this.queue, POLLOUT);
        const n = this.pipe.write(src, packet);
        if (n === EPIPE) return total2 > 0 ? sendBrokenPipe(task) && total2 : sendBrokenPipe(task);
        if (n > 0) total2 += n;
        else if (n !== EAGAIN) return total2 > 0 ? total2 : n;
        if (wake2 === 'signal' && src.remaining > 0) return total2 > 0 ? total2 : ERESTARTSYS;
      }
      return total2;
    } finally {
      file.release();
    }
  }
  poll(_file) {
    return this.pipe.poll(this.reads, this.writes, this.writersBefore !== this.pipe.writerOpens);
  }
  ioctl(_file, task, command, argument) {
    return command === FIONREAD ? task.writeU32(argument, this.pipe.used) : ENOTTY;
  }
  release(_file) {
    this.pipe.closeEnd(this.reads, this.writes);
    if (this.pipe.readers === 0 && this.pipe.writers === 0 && this.inode.attachment === this.pipe) this.inode.attachment = null;
  }
};
function makePipe(kernel2, task, flags3) {
  const path3 = kernel2.anonymous.path('pipe', S_IFIFO | 384, task.creds);
  const pipe = new Pipe(kernel2.pipes);
  const inode = path3.dentry.inode;
  const reader2 = new PipeFile(pipe, O_RDONLY, inode);
  const writer = new PipeFile(pipe, O_WRONLY, inode);
  return [new FileDescription(reader2, O_RDONLY | flags3, path3), new FileDescription(writer, O_WRONLY | flags3, path3)];
}

// sentry/vfs/dentry_cache.ts
function lookupChild(parent, name, task, ahead) {
  const known = parent.children?.get(name);
  const directory = parent.inode;
  const policy = directory.fs.cachePolicy;
  if (known !== void 0) {
    if (policy !== 'revalidate' || known.mountCount > 0) return known;
    if (known.inode?.revalidate(directory, name, ahead)) return known;
    forget2(known);
  }
  const found = directory.lookup(name, task, ahead);
  if (typeof found === 'number') {
    if (found !== ENOENT) return found;
    const negative = new Dentry(name, parent, null);
    if (policy === 'forever') remember(parent, negative);
    return negative;
  }
  const dentry = new Dentry(name, parent, found);
  if (policy !== 'never') remember(parent, dentry);
  return dentry;
}
function forget2(dentry) {
  const siblings = dentry.parent?.children;
  if (siblings?.get(dentry.name) === dentry) siblings.delete(dentry.name);
}
function remember(parent, dentry) {
  dentry.name = flat(dentry.name);
  parent.adopt(dentry);
}
function flat(name) {
  return name.length < 13 ? name : Buffer.from(name, 'latin1').toString('latin1');
}

// sentry/vfs/permission.ts
var MAY_EXEC = 1;
var MAY_WRITE = 2;
var MAY_READ = 4;
function checkPermission(inode, creds, mask) {
  const mode = inode.mode;
  if ((mode & (mode >> 3) & (mode >> 6) & mask) === mask) return 0;
  const bits = inode.uid === creds.fsuid ? mode >> 6 : inGroup(creds, inode.gid) ? mode >> 3 : mode;
  if ((bits & mask) === mask) return 0;
  return overridesPermission(mode, creds, mask) ? 0 : EACCES;
}
function overridesPermission(mode, creds, mask) {
  const directory = (mode & S_IFMT) === S_IFDIR;
  const overridable = directory || (mask & MAY_EXEC) === 0 || (mode & 73) !== 0;
  if (overridable && hasCap(creds, CAP_DAC_OVERRIDE)) return true;
  const readOnly = directory ? (mask & MAY_WRITE) === 0 : mask === MAY_READ;
  return readOnly && hasCap(creds, CAP_DAC_READ_SEARCH);
}
function checkSearch(directory, creds) {
  return (directory.mode & 73) === 73 ? 0 : checkPermission(directory, creds, MAY_EXEC);
}

// sentry/vfs/walk.ts
var LOOKUP_FOLLOW = 1;
var LOOKUP_DIRECTORY = 2;
var LOOKUP_EMPTY = 4;
var RESOLVE_SHIFT = 8;
var NO_XDEV = 1 << RESOLVE_SHIFT;
var NO_MAGICLINKS = 2 << RESOLVE_SHIFT;
var NO_SYMLINKS = 4 << RESOLVE_SHIFT;
var BENEATH = 8 << RESOLVE_SHIFT;
var IN_ROOT = 16 << RESOLVE_SHIFT;
var SCOPED = BENEATH | IN_ROOT;
var SLASH = 47;
var Walk = class {
  /** Where the walk is; afterwards the object, or the directory that holds (or would hold) `name`. */
  mount;
  dentry;
  /** After 'parent', and after 'create' if the object is missing (`missing`). */
  name = '';
  last = 'root';
  missing = false;
  /** The path ended in a slash. */
  trailingSlash = false;
  root;
  creds;
  task;
  options;
  links = 0;
  /** Names looked at so far, and the list that filesystems with costly look-ups are told, made at component `aheadFrom`. */
  component = 0;
  ahead = null;
  aheadFrom = 0;
  /** Relative paths begin at `start`. `task` is for filesystems that show each process something else; null: the kernel asks. */
  constructor(root, start2, creds, task, options) {
    this.root = (options & SCOPED) !== 0 ? start2 : root;
    this.mount = start2.mount;
    this.dentry = start2.dentry;
    this.creds = creds;
    this.task = task;
    this.options = options;
  }
  run(path3, end) {
    let text = path3;
    let at = 0;
    if (text.charCodeAt(0) === SLASH) {
      const r = this.toRoot();
      if (r !== 0) return r;
    }
    for (;;) {
      while (text.charCodeAt(at) === SLASH) at++;
      if (at >= text.length) return this.finish();
      let stop = text.indexOf('/', at);
      if (stop < 0) stop = text.length;
      let next = stop;
      while (text.charCodeAt(next) === SLASH) next++;
      const final = next >= text.length;
      if (final) this.trailingSlash = stop < text.length;
      const directory = this.dentry.inode;
      if (!directory.isDirectory) return ENOTDIR;
      const denied = checkSearch(directory, this.creds);
      if (denied !== 0) return denied;
      if (stop - at > NAME_MAX) return ENAMETOOLONG;
      const name = text.slice(at, stop);
      at = next;
      this.component++;
      if (final && end === 'parent') return this.stopBefore(name);
      if (name === '.') {
        if (final) this.last = 'dot';
        continue;
      }
      if (name === '..') {
        const r = this.ascend();
        if (r !== 0) return r;
        if (final) this.last = 'dotdot';
        continue;
      }
      let child = this.dentry.children?.get(name);
      if (child === void 0 || directory.fs.cachePolicy === 'revalidate') {
        child = lookupChild(this.dentry, name, this.task, this.lookAhead(text, name, at, final));
      }
      if (typeof child === 'number') return child;
      const inode = child.inode;
      if (inode === null) {
        if (!final || end !== 'create') return ENOENT;
        this.missing = true;
        return this.stopBefore(name);
      }
      if ((inode.mode & S_IFMT) === S_IFLNK && (!final || this.trailingSlash || (this.options & LOOKUP_FOLLOW) !== 0)) {
        const target = this.followLink(inode);
        if (typeof target === 'number') {
          if (target < 0) return target;
          continue;
        }
        text = final ? (this.trailingSlash ? `${target}/` : target) : `${target}/${text.slice(next)}`;
        at = 0;
        if (text.charCodeAt(0) === SLASH) {
          const r = this.toRoot();
          if (r !== 0) return r;
        }
        continue;
      }
      if (final) {
        this.last = 'name';
        this.name = name;
      }
      this.dentry = child;
      if (child.mountCount > 0) {
        const r = this.descend();
        if (r !== 0) return r;
      }
    }
  }
  get path() {
    return { mount: this.mount, dentry: this.dentry };
  }
  /** What follows `name` in `text` from `next` on, for a look-up that may cost a round trip. */
  lookAhead(text, name, next, final) {
    const index = this.component - this.aheadFrom;
    if (this.ahead !== null && this.ahead[index] === name) return { names: this.ahead, index };
    if (final) return void 0;
    const names = [name];
    for (const part of text.slice(next).split('/')) {
      if (part === '.' || part === '..') break;
      if (part !== '') names.push(part);
    }
    this.ahead = names;
    this.aheadFrom = this.component;
    return { names, index: 0 };
  }
  finish() {
    if ((this.trailingSlash || (this.options & LOOKUP_DIRECTORY) !== 0) && !this.dentry.inode.isDirectory) return ENOTDIR;
    return 0;
  }
  stopBefore(name) {
    this.name = name;
    this.last = name === '.' ? 'dot' : name === '..' ? 'dotdot' : 'name';
    return 0;
  }
  toRoot() {
    if ((this.options & BENEATH) !== 0) return EXDEV;
    if ((this.options & NO_XDEV) !== 0 && this.mount !== this.root.mount) return EXDEV;
    this.mount = this.root.mount;
    this.dentry = this.root.dentry;
    return 0;
  }
  /** Onto the topmost of what is mounted here. */
  descend() {
    while (this.dentry.mountCount > 0) {
      const mounted = this.mount.mountedOn(this.dentry);
      if (mounted === null) return 0;
      if ((this.options & NO_XDEV) !== 0) return EXDEV;
      this.mount = mounted;
      this.dentry = mounted.root;
    }
    return 0;
  }
  /** "..": never above the root. */
  ascend() {
    let { mount, dentry } = this;
    for (;;) {
      if (dentry === this.root.dentry && mount === this.root.mount) {
        return (this.options & BENEATH) !== 0 ? EXDEV : 0;
      }
      if (dentry !== mount.root) break;
      if (mount.parent === null) return 0;
      dentry = mount.mountpoint;
      mount = mount.parent;
    }
    if (mount !== this.mount && (this.options & NO_XDEV) !== 0) return EXDEV;
    this.mount = mount;
    this.dentry = dentry.parent ?? dentry;
    return this.descend();
  }
  /** The text of a link to go on with; 0: a magic link took the walk to its object; or an errno. */
  followLink(link) {
    if ((this.options & NO_SYMLINKS) !== 0 || (this.mount.flags & MS_NOSYMFOLLOW) !== 0) return ELOOP;
    if (++this.links > MAXSYMLINKS) return ELOOP;
    if (this.task !== null) {
      const magic = link.magicTarget(this.task);
      if (magic !== null) return typeof magic === 'number' ? magic : this.jump(magic);
    }
    const target = link.readlink(this.task);
    return target === '' ? ENOENT : target;
  }
  jump(target) {
    if ((this.options & NO_MAGICLINKS) !== 0) return ELOOP;
    if ((this.options & SCOPED) !== 0) return EXDEV;
    if ((this.options & NO_XDEV) !== 0 && target.mount !== this.mount) return EXDEV;
    this.mount = target.mount;
    this.dentry = target.dentry;
    return 0;
  }
};
function startOf(task, dirfd) {
  if (dirfd === AT_FDCWD) return task.fs.cwd;
  const file = task.fds.get(dirfd);
  if (typeof file === 'number') return file;
  return file.path ?? ENOTDIR;
}
function startWalk(task, dirfd, path3, options) {
  const absolute = path3.charCodeAt(0) === SLASH && (options & SCOPED) === 0;
  const start2 = absolute ? task.fs.root : startOf(task, dirfd);
  if (typeof start2 === 'number') return start2;
  return new Walk(task.fs.root, start2, task.creds, task, options);
}
function resolve(task, dirfd, path3, options) {
  if (path3 === '') return (options & LOOKUP_EMPTY) !== 0 ? startOf(task, dirfd) : ENOENT;
  const walk = startWalk(task, dirfd, path3, options);
  if (typeof walk === 'number') return walk;
  const r = walk.run(path3, 'object');
  return r !== 0 ? r : walk.path;
}

// sentry/vfs/open.ts
var OPEN_ONLY = O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_CLOEXEC;
var PATH_FLAGS = O_PATH | O_DIRECTORY | O_NOFOLLOW;
function openExecutable(task, dirfd, path3, options = LOOKUP_FOLLOW) {
  const found = resolve(task, dirfd, path3, options & (LOOKUP_FOLLOW | LOOKUP_EMPTY));
  if (typeof found === 'number') return found;
  const inode = inodeOf(found);
  if (inode.isSymlink) return ELOOP;
  if (!inode.isRegular || (found.mount.flags & MS_NOEXEC) !== 0) return EACCES;
  const denied = checkPermission(inode, task.creds, MAY_EXEC);
  if (denied !== 0) return denied;
  const impl = inode.open(O_RDONLY | O_LARGEFILE, { path: found, creds: task.creds, task });
  return typeof impl === 'number' ? impl : new FileDescription(impl, O_RDONLY | O_LARGEFILE, found);
}

// sentry/kernel/exec_credentials.ts
function execCredentials(task, file) {
  const { creds } = task;
  const attributes = file.inode?.attributes();
  if (attributes === void 0) return creds;
  const honoured = !creds.noNewPrivs && ((file.path?.mount.flags ?? 0) & MS_NOSUID) === 0;
  const setuid = honoured && (attributes.mode & S_ISUID) !== 0;
  const setgid = honoured && (attributes.mode & (S_ISGID | S_IXGRP)) === (S_ISGID | S_IXGRP);
  const euid = setuid ? attributes.uid : creds.euid;
  const egid = setgid ? attributes.gid : creds.egid;
  const root = euid === 0 || creds.uid === 0;
  const ambient = setuid || setgid ? 0n : creds.caps.ambient;
  const permitted = root ? creds.caps.inheritable | creds.caps.bounding : ambient;
  const effective = euid === 0 ? permitted : ambient;
  return { ...creds, euid, suid: euid, fsuid: euid, egid, sgid: egid, fsgid: egid, caps: { ...creds.caps, permitted, effective, ambient } };
}

// sentry/kernel/exec.ts
function lookupOptions(flags3) {
  return ((flags3 & AT_SYMLINK_NOFOLLOW) === 0 ? LOOKUP_FOLLOW : 0) | ((flags3 & AT_EMPTY_PATH) !== 0 ? LOOKUP_EMPTY : 0);
}
function exec(task, request) {
  const file = openExecutable(task, request.dirfd, request.path, lookupOptions(request.flags));
  if (isErrno(file)) return file;
  const creds = execCredentials(task, file);
  const loaded = load2(task, request, file, creds);
  if (isErrno(loaded)) {
    file.release();
    return loaded;
  }
  const name = programName(request, file);
  file.release();
  becomeOnlyThread(task);
  replaceMemory(task, loaded);
  resetForProgram(task, creds, name);
  task.kernel.startProgram(task, loaded.entry, loaded.stackPointer);
  return NO_RESULT;
}
function load2(task, request, file, creds) {
  const named = request.path === '' || (request.dirfd !== AT_FDCWD && !request.path.startsWith('/'));
  return loadProgram({
    kernel: task.kernel,
    file,
    path: named ? `/dev/fd/${request.dirfd}${request.path === '' ? '' : `/${request.path}`}` : request.path,
    argv: request.argv.length === 0 ? [''] : request.argv,
    env: request.env,
    creds,
    secure: creds.euid !== creds.uid || creds.egid !== creds.gid,
    limits: task.group.limits,
    open: (dirfd, path3) => openExecutable(task, dirfd, path3),
  });
}
function programName(request, file) {
  const path3 = request.path === '' ? (file.path?.dentry.name ?? '') : request.path;
  return path3.slice(path3.lastIndexOf('/') + 1).slice(0, 15);
}
function becomeOnlyThread(task) {
  const { group } = task;
  const old = group.leader;
  if (old !== task) {
    const ids = old.ids;
    old.ids = task.ids;
    task.ids = ids;
    for (let ns = group.pidNamespace; ns !== null; ns = ns.parent) {
      ns.tasks.set(task.idIn(ns), task);
      ns.tasks.set(old.idIn(ns), old);
    }
    group.leader = task;
    if (old.state === 'dead') for (let ns = group.pidNamespace; ns !== null; ns = ns.parent) ns.tasks.delete(old.idIn(ns));
  }
  for (const other of group.tasks.slice()) if (other !== task) exitTask(other, 0);
}
function replaceMemory(task, loaded) {
  exitRobustList(task);
  clearChildTid(task);
  const oldThread = task.thread;
  task.group.dead.userTime += oldThread.cpuTime();
  if (!task.mm.release()) oldThread.exit();
  task.thread = loaded.thread;
  task.mm = loaded.mm;
  loaded.thread.data = task;
  releaseVforkParent(task);
}
function resetForProgram(task, creds, name) {
  const { group } = task;
  if (creds.euid !== task.creds.euid || creds.egid !== task.creds.egid) task.mm.dumpable = 0;
  task.creds = creds;
  task.name = name;
  task.altStack = { address: 0, size: 0, flags: 2 };
  task.clearChildTid = 0;
  task.robustList = 0;
  task.rseq = null;
  task.restart = null;
  if (creds.euid !== creds.uid) task.parentDeathSignal = 0;
  group.handlers = new SignalHandlers(group.handlers);
  group.handlers.resetCaught();
  group.timers.deletePosixTimers();
  group.exitSignal = SIGCHLD;
  group.hasExeced = true;
  if (task.fds.shared) {
    const own = task.fds.fork();
    task.fds.release((file) => task.kernel.closeFile(task, file));
    task.fds = own;
  }
  for (const file of task.fds.takeCloexec()) task.kernel.closeFile(task, file);
  if (task.fs.shared) {
    const own = task.fs.fork();
    task.fs.release();
    task.fs = own;
  }
}

// sentry/vfs/fd_table.ts
var NR_OPEN = 1048576;
var FdTable = class _FdTable {
  files = [];
  cloexec = /* @__PURE__ */ new Set();
  /** No free number below it. */
  firstFree = 0;
  users = 1;
  /** The open file, or EBADF. The caller does not own it: hold() it before waiting. */
  get(fd2) {
    return this.files[fd2] ?? EBADF;
  }
  /** Lowest free number >= min, below limit (RLIMIT_NOFILE). Takes the caller's reference on success; EMFILE: still the caller's. */
  install(file, cloexec, limit, min = 0) {
    let fd2 = Math.max(min, this.firstFree);
    while (this.files[fd2] !== void 0) fd2++;
    if (fd2 >= Math.min(limit, NR_OPEN)) return EMFILE;
    this.files[fd2] = file;
    if (cloexec) this.cloexec.add(fd2);
    if (min <= this.firstFree) this.firstFree = fd2 + 1;
    return fd2;
  }
  /** dup3(2): puts the file at `fd`; gives back what was there, for the caller to close. */
  replace(fd2, file, cloexec) {
    const old = this.files[fd2];
    this.files[fd2] = file;
    if (cloexec) this.cloexec.add(fd2);
    else this.cloexec.delete(fd2);
    return old;
  }
  /** Takes the file out: its reference is the caller's. */
  remove(fd2) {
    const file = this.files[fd2];
    if (file === void 0) return EBADF;
    this.files[fd2] = void 0;
    this.cloexec.delete(fd2);
    if (fd2 < this.firstFree) this.firstFree = fd2;
    return file;
  }
  isCloexec(fd2) {
    return this.cloexec.has(fd2);
  }
  setCloexec(fd2, on) {
    if (on) this.cloexec.add(fd2);
    else this.cloexec.delete(fd2);
  }
  /** Open numbers in ascending order. */
  *numbers() {
    for (let fd2 = 0; fd2 < this.files.length; fd2++) if (this.files[fd2] !== void 0) yield fd2;
  }
  /** A copy for fork(2): every file gets one more reference. */
  fork() {
    const copy = new _FdTable();
    for (const fd2 of this.numbers()) copy.files[fd2] = this.files[fd2].hold();
    for (const fd2 of this.cloexec) copy.cloexec.add(fd2);
    copy.firstFree = this.firstFree;
    return copy;
  }
  share() {
    this.users++;
    return this;
  }
  get shared() {
    return this.users > 1;
  }
  /** One task leaves; the last one closes everything through `close`. */
  release(close) {
    if (--this.users > 0) return;
    for (const fd2 of this.numbers()) close(this.remove(fd2));
  }
  /** execve(2): the close-on-exec files, taken out. */
  takeCloexec() {
    return [...this.cloexec].map((fd2) => this.remove(fd2));
  }
};

// sentry/vfs/fs_context.ts
var FsContext = class _FsContext {
  root;
  cwd;
  umask;
  users = 1;
  constructor(root, cwd, umask) {
    this.root = root;
    this.cwd = cwd;
    this.umask = umask;
  }
  fork() {
    return new _FsContext(this.root, this.cwd, this.umask);
  }
  share() {
    this.users++;
    return this;
  }
  get shared() {
    return this.users > 1;
  }
  release() {
    this.users--;
  }
};

// sentry/loader/start_process.ts
function isStartError(result) {
  return 'stage' in result;
}
function startProcess(kernel2, spec) {
  const task = createTask(kernel2, spec);
  if (isErrno(task)) {
    for (const file of spec.fds.values()) file.release();
    return { errno: task, stage: 'create' };
  }
  const cwd = resolve(task, AT_FDCWD, spec.cwd, LOOKUP_FOLLOW);
  const failed = isErrno(cwd) ? cwd : inodeOf(cwd).isDirectory ? 0 : ENOTDIR;
  if (failed !== 0 || isErrno(cwd)) return abandon(task, { errno: failed, stage: 'cwd' });
  task.fs.cwd = cwd;
  const result = exec(task, { dirfd: AT_FDCWD, path: spec.path, flags: 0, argv: spec.argv, env: spec.env });
  return isErrno(result) && result >= -4095 ? abandon(task, { errno: result, stage: 'exec' }) : task;
}
function abandon(task, error) {
  const { group } = task;
  if (group.container.init === group) group.container.init = null;
  exitTask(task, 0);
  return error;
}
function createTask(kernel2, spec) {
  const ns = spec.namespaces.pidForChildren;
  const ids = ns.dead ? null : allocateIds(ns);
  if (ids === null) return ENOMEM;
  const thread = kernel2.platform.newAddressSpace();
  if (isErrno(thread)) return thread;
  const fds2 = new FdTable();
  for (const [fd2, file] of spec.fds) fds2.replace(fd2, file, false);
  const task = new Task({
    kernel: kernel2,
    group: null,
    // set two lines below: a group needs its leader
    thread,
    mm: new MemoryMap(kernel2, thread.space, 0),
    fds: fds2,
    fs: new FsContext(spec.root, spec.root, spec.umask),
    creds: spec.creds,
    namespaces: spec.namespaces,
    ids,
    name: spec.path.slice(spec.path.lastIndexOf('/') + 1).slice(0, 15),
  });
  task.group = createProcess(kernel2, spec, task, ns);
  task.group.tasks.push(task);
  for (let at = ns; at !== null; at = at.parent) at.tasks.set(task.idIn(at), task);
  const session = startSession(task.group);
  if (spec.terminal !== null) {
    session.attach(spec.terminal);
    spec.terminal.foreground = task.group.group;
  }
  return task;
}
function createProcess(kernel2, spec, leader, ns) {
  const process2 = new ThreadGroup({
    leader,
    pidNamespace: ns,
    container: spec.container,
    group: null,
    // startSession gives it one
    handlers: new SignalHandlers(),
    pending: new PendingSignals(),
    limits: spec.limits,
    timers: new ProcessTimers(kernel2),
    exitSignal: SIGCHLD,
    startTime: leader.startTime,
  });
  spec.container.processes.add(process2);
  spec.container.init ??= process2;
  return process2;
}

// sentry/kernel/temporary_mask.ts
function withSignalMask(task, mask, call) {
  if (mask === null) return call();
  task.savedMask = task.signalMask;
  task.signalMask = mask & ~UNBLOCKABLE;
  lookForSignals(task);
  const result = call();
  if (typeof result !== 'number') return finish2(task, result);
  restore(task, result);
  return result;
}
function* finish2(task, call) {
  const result = yield* call;
  restore(task, result);
  return result;
}
function restore(task, result) {
  task.attention = true;
  if (result === EINTR || result === ERESTARTNOHAND || result === ERESTARTSYS || result === ERESTART_RESTARTBLOCK) return;
  if (task.savedMask === null) return;
  task.signalMask = task.savedMask;
  task.savedMask = null;
}
function lookForSignals(task) {
  if (((task.pending.set | task.group.pending.set) & ~task.signalMask) !== 0n) task.attention = true;
}

// sentry/syscalls/install_file.ts
function installFile(task, file, cloexec) {
  const fd2 = task.fds.install(file, cloexec, task.openFileLimit);
  if (isErrno(fd2)) file.release();
  return fd2;
}

// sentry/syscalls/user_signal_mask.ts
var SIGSET_SIZE = 8;
function readSignalMask(task, address, size2) {
  if (address === 0) return null;
  if (size2 !== SIGSET_SIZE) return EINVAL;
  const { scratch8, scratch8View } = task.kernel;
  return task.thread.space.read(address, scratch8, 0, 8) === 8 ? scratch8View.getBigUint64(0, true) : EFAULT;
}

// abi/time.ts
var NSEC_PER_SEC = 1e9;
var Timespec = struct('timespec', 16, { tv_sec: off64, tv_nsec: off64 });
var Timeval = struct('timeval', 16, { tv_sec: off64, tv_usec: off64 });
var Itimerspec = struct('itimerspec', 32, { it_interval: Timespec, it_value: Timespec });

// sentry/syscalls/user_time.ts
function seconds(view, offset) {
  return view.getInt32(offset + 4, true) * 4294967296 + view.getUint32(offset, true);
}
function decodeTimespec(view, offset) {
  const sec = seconds(view, offset);
  const nsec = getLen64(view, offset + 8);
  if (sec < 0 || nsec >= NSEC_PER_SEC) return EINVAL;
  return sec * NSEC_PER_SEC + nsec;
}
function encodeTimespec(view, offset, ns) {
  const sec = Math.floor(ns / NSEC_PER_SEC);
  setLen64(view, offset, sec);
  setLen64(view, offset + 8, Math.floor(ns - sec * NSEC_PER_SEC));
}
function readTimespec(task, address) {
  const { scratch16, scratch16View } = task.kernel;
  return task.thread.space.read(address, scratch16, 0, 16) === 16 ? decodeTimespec(scratch16View, 0) : EFAULT;
}
function readTimeval(task, address) {
  const { scratch16, scratch16View: view } = task.kernel;
  if (task.thread.space.read(address, scratch16, 0, 16) !== 16) return EFAULT;
  const sec = seconds(view, 0);
  const usec = seconds(view, 8);
  if (sec < 0 || usec < 0) return EINVAL;
  return sec * NSEC_PER_SEC + usec * 1e3;
}
function writeTimespec(task, address, ns) {
  encodeTimespec(task.kernel.scratch16View, 0, ns);
  return task.copyOut(address, task.kernel.scratch16);
}
function writeTimeval(task, address, ns) {
  const view = task.kernel.scratch16View;
  const sec = Math.floor(ns / NSEC_PER_SEC);
  setLen64(view, 0, sec);
  setLen64(view, 8, Math.floor((ns - sec * NSEC_PER_SEC) / 1e3));
  return task.copyOut(address, task.kernel.scratch16);
}

// sentry/syscalls/sys_poll.ts
var POLLFD_SIZE = 8;
function deadlineAfter(task, ns) {
  return ns > 1e18 ? Number.POSITIVE_INFINITY : task.kernel.now() + ns;
}
function pollUntil(task, address, nfds, deadline, restart2) {
  const length = nfds * POLLFD_SIZE;
  const { pollScratch } = task.kernel;
  const fits = length <= pollScratch.byteLength;
  const words = fits ? pollScratch : new Int32Array(nfds * 2);
  const bytes2 = fits ? task.kernel.pollScratchBytes : new Uint8Array(words.buffer);
  if (length > 0 && task.thread.space.read(address, bytes2, 0, length) !== length) return EFAULT;
  const count2 = scan(task, words, nfds);
  if (count2 === 0 && deadline !== 0) return pollBlocking(task, address, words.slice(0, nfds * 2), deadline, restart2);
  if (length > 0 && task.thread.space.write(address, bytes2, 0, length) !== length) return EFAULT;
  return count2;
}
function scan(task, words, nfds) {
  let count2 = 0;
  for (let i = 0; i < nfds * 2; i += 2) {
    const fd2 = words[i];
    const events = words[i + 1] & 65535;
    let found = 0;
    if (fd2 >= 0) {
      const file = task.fds.get(fd2);
      if (isErrno(file) || file.isPath) found = POLLNVAL;
      else found = file.impl.poll(file, task) & (events | POLLERR | POLLHUP);
    }
    words[i + 1] = events | (found << 16);
    if (found !== 0) count2++;
  }
  return count2;
}
function* pollBlocking(task, address, words, deadline, restart2) {
  const nfds = words.length / 2;
  const held = [];
  const on = [];
  for (let i = 0; i < words.length; i += 2) {
    const file = task.fds.get(words[i]);
    if (isErrno(file) || file.impl.queue === null) continue;
    held.push(file.hold());
    on.push({ queue: file.impl.queue, events: wakeEvents(words[i + 1] & 65535) });
  }
  const wait = Number.isFinite(deadline) ? { on, deadline } : { on };
  try {
    for (;;) {
      const wake2 = yield wait;
      const count2 = scan(task, words, nfds);
      if (count2 === 0 && wake2 === 'ready') continue;
      if (count2 === 0 && wake2 === 'signal') {
        if (!restart2) return ERESTARTNOHAND;
        task.restart = () => pollUntil(task, address, nfds, deadline, true);
        return ERESTART_RESTARTBLOCK;
      }
      const bytes2 = new Uint8Array(words.buffer);
      return bytes2.length > 0 && task.copyOut(address, bytes2) !== 0 ? EFAULT : count2;
    }
  } finally {
    for (const file of held) file.release();
  }
}
function poll(task, address, nfds, timeout) {
  if (nfds > task.openFileLimit) return EINVAL;
  const deadline = timeout < 0 ? Number.POSITIVE_INFINITY : timeout === 0 ? 0 : deadlineAfter(task, timeout * 1e6);
  return pollUntil(task, address, nfds, deadline, true);
}
function ppoll(task, address, nfds, timeout, mask, maskSize) {
  if (nfds > task.openFileLimit) return EINVAL;
  const ns = timeout === 0 ? Number.POSITIVE_INFINITY : readTimespec(task, timeout);
  if (ns < 0) return ns;
  const set = readSignalMask(task, mask, maskSize);
  if (typeof set === 'number') return set;
  const deadline = ns === 0 ? 0 : deadlineAfter(task, ns);
  return withSignalMask(task, set, () => {
    const result = pollUntil(task, address, nfds, deadline, false);
    return timeout === 0 || ns === 0 ? result : tellRemaining(task, result, deadline, timeout, writeTimespec);
  });
}
function tellRemaining(task, result, deadline, address, write) {
  const tell = () => {
    if (Number.isFinite(deadline)) write(task, address, Math.max(0, deadline - task.kernel.now()));
  };
  if (typeof result !== 'number') return tellAfter(result, tell);
  tell();
  return result;
}
function* tellAfter(call, tell) {
  const result = yield* call;
  tell();
  return result;
}
var POLL_CALLS = {
  poll: syscall({ x64: 7, man: 'poll(2)', args: [addr, uint, int], run: poll }),
  ppoll: syscall({ x64: 271, man: 'poll(2)', args: [addr, uint, addr, addr, size], run: ppoll }),
};

// sentry/syscalls/sys_epoll.ts
var MAX_EVENTS2 = Math.floor(2147483647 / EPOLL_EVENT_SIZE);
function epollCreate1(task, flagBits) {
  if ((flagBits & ~EPOLL_CLOEXEC) !== 0) return EINVAL;
  const path3 = task.kernel.anonymous.path('anon_inode:[eventpoll]', 384);
  return installFile(task, new FileDescription(new EpollFile(task.kernel), O_RDWR, path3), flagBits !== 0);
}
function epollCtl(task, epfd, op, target, address) {
  const { scratch16, scratch16View: event } = task.kernel;
  if (op !== EPOLL_CTL_DEL2 && task.thread.space.read(address, scratch16, 0, EPOLL_EVENT_SIZE) !== EPOLL_EVENT_SIZE) return EFAULT;
  const self = task.fds.get(epfd);
  const file = task.fds.get(target);
  if (isErrno(self) || isErrno(file) || file.isPath) return EBADF;
  const epoll = epollOf(self);
  if (isErrno(epoll) || self === file) return EINVAL;
  if (op === EPOLL_CTL_DEL2) return epoll.remove(file, target);
  const mask = event.getInt32(0, true);
  const low = event.getUint32(4, true);
  const high = event.getUint32(8, true);
  if (op === EPOLL_CTL_ADD2) return epoll.add(file, target, mask, low, high);
  return op === EPOLL_CTL_MOD2 ? epoll.modify(file, target, mask, low, high) : EINVAL;
}
function waitUntil(task, epfd, address, max, deadline) {
  if (max <= 0 || max > MAX_EVENTS2) return EINVAL;
  const file = task.fds.get(epfd);
  const epoll = epollOf(file);
  if (isErrno(epoll)) return epoll;
  const n = collect(task, epoll, address, max);
  return n !== 0 || deadline === 0 ? n : waitBlocking(task, file, epoll, address, max, deadline);
}
function* waitBlocking(task, file, epoll, address, max, deadline) {
  file.hold();
  try {
    const wait = waitFor(epoll.queue, POLLIN, Number.isFinite(deadline) ? deadline : void 0);
    for (;;) {
      const wake2 = yield wait;
      const n = collect(task, epoll, address, max);
      if (n !== 0 || wake2 === 'timeout') return n;
      if (wake2 === 'signal') return EINTR;
    }
  } finally {
    file.release();
  }
}
function collect(task, epoll, address, max) {
  const { pollScratchBytes, pollScratchView } = task.kernel;
  const n = epoll.collect(pollScratchView, Math.min(max, Math.floor(pollScratchBytes.length / EPOLL_EVENT_SIZE)));
  if (n === 0) return 0;
  const length = n * EPOLL_EVENT_SIZE;
  return task.thread.space.write(address, pollScratchBytes, 0, length) === length ? n : EFAULT;
}
function millisecondDeadline(task, timeout) {
  return timeout < 0 ? Number.POSITIVE_INFINITY : timeout === 0 ? 0 : deadlineAfter(task, timeout * 1e6);
}
function epollWait(task, epfd, address, max, timeout) {
  return waitUntil(task, epfd, address, max, millisecondDeadline(task, timeout));
}
function epollPwait(task, epfd, address, max, timeout, mask, maskSize) {
  const set = readSignalMask(task, mask, maskSize);
  if (typeof set === 'number') return set;
  if (set === null) return epollWait(task, epfd, address, max, timeout);
  return withSignalMask(task, set, () => epollWait(task, epfd, address, max, timeout));
}
function epollPwait2(task, epfd, address, max, timeout, mask, maskSize) {
  const ns = timeout === 0 ? Number.POSITIVE_INFINITY : readTimespec(task, timeout);
  if (ns < 0) return ns;
  const set = readSignalMask(task, mask, maskSize);
  if (typeof set === 'number') return set;
  const deadline = ns === 0 ? 0 : deadlineAfter(task, ns);
  return withSignalMask(task, set, () => waitUntil(task, epfd, address, max, deadline));
}
var EPOLL_CALLS = {
  epoll_create: syscall({
    x64: 213,
    man: 'epoll_create(2)',
    args: [int],
    run: (task, count2) => (count2 <= 0 ? EINVAL : epollCreate1(task, 0)),
  }),
  epoll_create1: syscall({ x64: 291, man: 'epoll_create(2)', args: [flags], run: epollCreate1 }),
  epoll_ctl: syscall({ x64: 233, man: 'epoll_ctl(2)', args: [fd, int, fd, addr], run: epollCtl }),
  epoll_wait: syscall({ x64: 232, man: 'epoll_wait(2)', args: [fd, addr, int, int], run: epollWait }),
  epoll_pwait: syscall({ x64: 281, man: 'epoll_wait(2)', args: [fd, addr, int, int, addr, size], run: epollPwait }),
  epoll_pwait2: syscall({ x64: 441, man: 'epoll_wait(2)', args: [fd, addr, int, addr, addr, size], run: epollPwait2 }),
};

// sentry/fs/eventfd.ts
var MAX = 0xffffffffffffffffn;
var EventFile = class extends FileImpl {
  queue = new WaitQueue();
  count;
  semaphore;
  buffer = new Uint8Array(8);
  view = new DataView(this.buffer.buffer);
  constructor(count2, semaphore) {
    super();
    this.count = count2;
    this.semaphore = semaphore;
  }
  read(dst, _file, _task) {
    if (dst.remaining < 8) return EINVAL;
    if (this.count === 0n) return EAGAIN;
    const value = this.semaphore ? 1n : this.count;
    this.view.setBigUint64(0, value, true);
    this.count -= value;
    this.queue.notify(POLLOUT | POLLWRNORM);
    return dst.put(this.buffer, 0, 8) === 8 ? 8 : EFAULT;
  }
  write(src, file, _task) {
    if (src.remaining < 8) return EINVAL;
    if (src.take(this.buffer, 0, 8) !== 8) return EFAULT;
    const value = this.view.getBigUint64(0, true);
    if (value === MAX) return EINVAL;
    if (this.add(value)) return 8;
    return file.nonblocking ? EAGAIN : this.addBlocking(value, file);
  }
  /** False if the sum would reach the maximum. */
  add(value) {
    if (this.count + value >= MAX) return false;
    this.count += value;
    if (value > 0n) this.queue.notify(POLLIN | POLLRDNORM);
    return true;
  }
  *addBlocking(value, file) {
    file.hold();
    try {
      for (;;) {
        const wake2 = yield waitFor(this.queue, POLLOUT);
        if (this.add(value)) return 8;
        if (wake2 === 'signal') return ERESTARTSYS;
      }
    } finally {
      file.release();
    }
  }
  /** Adds for the kernel (AIO completions): stops below the maximum and never waits. */
  signal(value) {
    const room = MAX - 1n - this.count;
    this.add(value < room ? value : room);
  }
  poll(_file) {
    let events = 0;
    if (this.count > 0n) events |= POLLIN | POLLRDNORM;
    if (this.count < MAX - 1n) events |= POLLOUT | POLLWRNORM;
    if (this.count === MAX) events |= POLLERR;
    return events;
  }
  describe() {
    return `eventfd-count: ${this.count.toString(16).padStart(16)}
eventfd-semaphore: ${this.semaphore ? 1 : 0}
`;
  }
};
function makeEventFile(kernel2, count2, semaphore, flags3) {
  const path3 = kernel2.anonymous.path('anon_inode:[eventfd]', 384);
  return new FileDescription(new EventFile(BigInt(count2), semaphore), O_RDWR | flags3, path3);
}

// sentry/syscalls/sys_eventfd.ts
var EFD_SEMAPHORE = 1;
var EFD_NONBLOCK = O_NONBLOCK;
var EFD_CLOEXEC = O_CLOEXEC;
function eventfd2(task, count2, flagBits) {
  if ((flagBits & ~(EFD_SEMAPHORE | EFD_NONBLOCK | EFD_CLOEXEC)) !== 0) return EINVAL;
  const file = makeEventFile(task.kernel, count2, (flagBits & EFD_SEMAPHORE) !== 0, flagBits & EFD_NONBLOCK);
  return installFile(task, file, (flagBits & EFD_CLOEXEC) !== 0);
}
var EVENTFD_CALLS = {
  eventfd: syscall({ x64: 284, man: 'eventfd(2)', args: [uint], run: (task, count2) => eventfd2(task, count2, 0) }),
  eventfd2: syscall({ x64: 290, man: 'eventfd(2)', args: [uint, flags], run: eventfd2 }),
};

// sentry/syscalls/sys_mm.ts
var PROT_KNOWN = PROT_READ | PROT_WRITE | PROT_EXEC | 8 | PROT_GROWSDOWN | PROT_GROWSUP;
var MADV_DONTNEED = 4;
var MADV_REMOVE = 9;
var MADV_DONTFORK = 10;
var MADV_DOFORK = 11;
var MADV_WIPEONFORK = 18;
var MADV_KEEPONFORK = 19;
var MADV_FREE = 8;
var MADV_HWPOISON = 100;
var MADV_SOFT_OFFLINE = 101;
var HINTS = /* @__PURE__ */ new Set([0, 1, 2, 3, 12, 13, 14, 15, 16, 17, 20, 21, 22, 23, 25]);
var MCL_CURRENT = 1;
var MCL_FUTURE = 2;
var MCL_ONFAULT = 4;
var MLOCK_ONFAULT = 1;
function mmap(task, address, length, prot, mapFlags, fdNumber, offset) {
  const type = mapFlags & MAP_TYPE;
  if (type !== MAP_PRIVATE && type !== MAP_SHARED && type !== MAP_SHARED_VALIDATE) return EINVAL;
  if ((mapFlags & MAP_HUGETLB) !== 0) return ENOMEM;
  if (type === MAP_SHARED_VALIDATE && (mapFlags & MAP_SYNC) !== 0) return EOPNOTSUPP;
  let file = null;
  if ((mapFlags & MAP_ANONYMOUS) === 0) {
    const found = task.fds.get(fdNumber);
    if (isErrno(found)) return EBADF;
    if (found.isPath) return EBADF;
    file = found;
  }
  return task.mm.map(task.thread, task.group.limits, address, length, prot, mapFlags, file, file === null ? 0 : offset);
}
function munmap(task, address, length) {
  return task.mm.unmap(task.thread, address, length);
}
function mprotect(task, address, length, prot) {
  if ((prot & ~PROT_KNOWN) !== 0 || (prot & PROT_GROWSDOWN & PROT_GROWSUP) !== 0) return EINVAL;
  return task.mm.protect(task.thread, address, length, prot);
}
function mremap(task, from, oldLength, newLength, mapFlags, to) {
  if ((mapFlags & ~(MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP)) !== 0) return EINVAL;
  const fixed = (mapFlags & MREMAP_FIXED) !== 0;
  const keep = (mapFlags & MREMAP_DONTUNMAP) !== 0;
  if ((fixed || keep) && (mapFlags & MREMAP_MAYMOVE) === 0) return EINVAL;
  return task.mm.remap(
    task.thread,
    task.group.limits,
    from,
    oldLength,
    newLength,
    (mapFlags & MREMAP_MAYMOVE) !== 0,
    fixed ? to : null,
    keep,
  );
}
function brk(task, address) {
  return task.mm.setBrk(task.thread, task.group.limits, address);
}
function madvise(task, address, bytes2, advice) {
  const length = pageUp(bytes2);
  if (address % PAGE_SIZE !== 0 || (length === 0 && bytes2 !== 0)) return EINVAL;
  if (advice === MADV_HWPOISON || advice === MADV_SOFT_OFFLINE) return EPERM;
  const { mm } = task;
  const mark = {
    [MADV_DONTFORK]: [VMA_DONTFORK, 0],
    [MADV_DOFORK]: [0, VMA_DONTFORK],
    [MADV_WIPEONFORK]: [VMA_WIPEONFORK, 0],
    [MADV_KEEPONFORK]: [0, VMA_WIPEONFORK],
  }[advice];
  const acts = mark !== void 0 || advice === MADV_DONTNEED || advice === MADV_FREE || advice === MADV_REMOVE;
  if (!acts && !HINTS.has(advice)) return EINVAL;
  if (length === 0) return 0;
  const end = address + length;
  const covered = mm.vmas.covers(address, end);
  if (!acts) return covered ? 0 : ENOMEM;
  if (!(end <= task.kernel.platform.maxAddress)) return ENOMEM;
  for (const vma of mm.vmas.overlapping(address, end)) {
    if ((vma.advice & VMA_LOCKED) !== 0 && (advice === MADV_DONTNEED || advice === MADV_FREE)) return EINVAL;
    if ((advice === MADV_FREE || advice === MADV_WIPEONFORK) && (vma.file !== null || vma.shared)) return EINVAL;
    if (advice === MADV_REMOVE && (!vma.shared || vma.file === null)) return EINVAL;
    if (advice === MADV_REMOVE && (vma.maxProt & PROT_WRITE) === 0) return EACCES;
  }
  for (const vma of mm.vmas.overlapping(address, end)) {
    const start2 = Math.max(vma.start, address);
    const r = mm.space.advise(task.thread, start2, Math.min(vma.end, end) - start2, advice);
    if (isErrno(r)) return r;
  }
  if (mark !== void 0) mm.mark(address, length, mark[0], mark[1]);
  return covered ? 0 : ENOMEM;
}
function mincore(task, address, length, vector) {
  if (address % PAGE_SIZE !== 0) return EINVAL;
  const pages = pageUp(length) / PAGE_SIZE;
  if (!task.mm.vmas.covers(address, address + pageUp(length))) return ENOMEM;
  const chunk = new Uint8Array(Math.min(pages, 4096)).fill(1);
  for (let done2 = 0; done2 < pages; done2 += chunk.length) {
    if (task.copyOut(vector + done2, chunk.subarray(0, Math.min(chunk.length, pages - done2))) !== 0) return EFAULT;
  }
  return 0;
}
function msync(task, address, bytes2, syncFlags) {
  if (address % PAGE_SIZE !== 0 || (syncFlags & ~(MS_ASYNC | MS_INVALIDATE | MS_SYNC)) !== 0) return EINVAL;
  if ((syncFlags & MS_ASYNC) !== 0 && (syncFlags & MS_SYNC) !== 0) return EINVAL;
  const length = pageUp(bytes2);
  if (length === 0) return 0;
  const { vmas } = task.mm;
  if ((syncFlags & MS_INVALIDATE) !== 0 && vmas.overlapping(address, address + length).some((vma) => (vma.advice & VMA_LOCKED) !== 0))
    return EBUSY;
  const covered = vmas.covers(address, address + length);
  if ((syncFlags & MS_SYNC) === 0) return covered ? 0 : ENOMEM;
  return syncFiles([...new Set(task.mm.sharedFiles(address, length))], covered ? 0 : ENOMEM);
}
function syncFiles(files, result) {
  return files.length === 0 ? result : syncEach(files, result);
}
function* syncEach(files, result) {
  for (const file of files) file.hold();
  try {
    for (const file of files) {
      const r = file.impl.sync(file, false);
      const done2 = isBlocking(r) ? yield* r : r;
      if (done2 < 0 && done2 !== EINVAL) return done2;
    }
    return result;
  } finally {
    for (const file of files) file.release();
  }
}
function lockRange(task, address, bytes2, lockFlags) {
  if ((lockFlags & ~MLOCK_ONFAULT) !== 0) return EINVAL;
  const start2 = address - (address % PAGE_SIZE);
  const length = pageUp(bytes2 + (address - start2));
  const limit = task.group.limits.soft(RLIMIT_MEMLOCK);
  if (!hasCap(task.creds, CAP_IPC_LOCK)) {
    if (limit === 0) return EPERM;
    if (task.mm.lockedBytes + length > limit) return ENOMEM;
  }
  if (length === 0) return 0;
  return task.mm.vmas.covers(start2, start2 + length) ? task.mm.mark(start2, length, VMA_LOCKED, 0) : ENOMEM;
}
function mlock(task, address, bytes2) {
  return lockRange(task, address, bytes2, 0);
}
function munlock(task, address, bytes2) {
  const start2 = address - (address % PAGE_SIZE);
  const length = pageUp(bytes2 + (address - start2));
  return length === 0 ? 0 : task.mm.mark(start2, length, 0, VMA_LOCKED);
}
function mlockall(task, lockFlags) {
  if (lockFlags === 0 || lockFlags === MCL_ONFAULT || (lockFlags & ~(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT)) !== 0) return EINVAL;
  const limit = task.group.limits.soft(RLIMIT_MEMLOCK);
  if (!hasCap(task.creds, CAP_IPC_LOCK)) {
    if (limit === 0) return EPERM;
    if ((lockFlags & MCL_CURRENT) !== 0 && task.mm.vmas.bytes > limit) return ENOMEM;
  }
  if ((lockFlags & MCL_CURRENT) !== 0)
    for (const vma of task.mm.vmas.all.slice()) task.mm.mark(vma.start, vma.end - vma.start, VMA_LOCKED, 0);
  task.mm.lockFuture = (lockFlags & MCL_FUTURE) !== 0;
  return 0;
}
function munlockall(task) {
  for (const vma of task.mm.vmas.all.slice()) task.mm.mark(vma.start, vma.end - vma.start, 0, VMA_LOCKED);
  task.mm.lockFuture = false;
  return 0;
}
var MEMORY_CALLS = {
  mmap: syscall({ x64: 9, man: 'mmap(2)', args: [addr, size, flags, flags, fd, long], run: mmap, partial: 'no MAP_HUGETLB' }),
  mprotect: syscall({ x64: 10, man: 'mprotect(2)', args: [addr, size, flags], run: mprotect }),
  munmap: syscall({ x64: 11, man: 'munmap(2)', args: [addr, size], run: munmap }),
  brk: syscall({ x64: 12, man: 'brk(2)', args: [addr], run: brk }),
  mremap: syscall({ x64: 25, man: 'mremap(2)', args: [addr, size, size, flags, addr], run: mremap }),
  msync: syscall({ x64: 26, man: 'msync(2)', args: [addr, size, flags], run: msync }),
  mincore: syscall({ x64: 27, man: 'mincore(2)', args: [addr, size, addr], run: mincore }),
  madvise: syscall({ x64: 28, man: 'madvise(2)', args: [addr, size, int], run: madvise }),
  mlock: syscall({ x64: 149, man: 'mlock(2)', args: [addr, size], run: mlock }),
  munlock: syscall({ x64: 150, man: 'mlock(2)', args: [addr, size], run: munlock }),
  mlockall: syscall({ x64: 151, man: 'mlockall(2)', args: [flags], run: mlockall }),
  munlockall: syscall({ x64: 152, man: 'mlockall(2)', args: [], run: munlockall }),
  mlock2: syscall({ x64: 325, man: 'mlock2(2)', args: [addr, size, flags], run: lockRange }),
};

// sentry/syscalls/sys_pipe.ts
function pipe2(task, address, flagBits) {
  if ((flagBits & ~(O_CLOEXEC | O_DIRECT | O_NONBLOCK)) !== 0) return EINVAL;
  const cloexec = (flagBits & O_CLOEXEC) !== 0;
  const [reader2, writer] = makePipe(task.kernel, task, flagBits & ~O_CLOEXEC);
  const readFd = installFile(task, reader2, cloexec);
  if (isErrno(readFd)) {
    writer.release();
    return readFd;
  }
  const writeFd = installFile(task, writer, cloexec);
  const pair = new Uint8Array(Int32Array.of(readFd, writeFd).buffer);
  const r = isErrno(writeFd) ? writeFd : task.copyOut(address, pair);
  if (isErrno(r)) {
    for (const fd2 of [readFd, writeFd]) {
      const file = task.fds.remove(fd2);
      if (!isErrno(file)) file.release();
    }
  }
  return r;
}
var PIPE_CALLS = {
  pipe: syscall({ x64: 22, man: 'pipe(2)', args: [addr], run: (task, address) => pipe2(task, address, 0) }),
  pipe2: syscall({ x64: 293, man: 'pipe(2)', args: [addr, flags], run: pipe2 }),
};

// abi/resource.ts
var Timeval2 = struct('timeval', 16, { tv_sec: off64, tv_usec: off64 });
var Rusage = struct('rusage', 144, {
  ru_utime: Timeval2,
  ru_stime: Timeval2,
  /** KiB. */
  ru_maxrss: off64,
  __ru_ixrss: pad(24),
  ru_minflt: off64,
  ru_majflt: off64,
  __ru_nswap: pad(8),
  ru_inblock: off64,
  ru_oublock: off64,
  __ru_msgsnd: pad(24),
  ru_nvcsw: off64,
  ru_nivcsw: off64,
});

// sentry/kernel/wait_child.ts
function* waitForChild(task, request) {
  for (;;) {
    let any = false;
    for (const child of task.group.children) {
      if (!eligible(child, request.options) || !request.matches(child)) continue;
      any = true;
      const event = eventOf(task, child, request.options);
      if (event !== null) return event;
    }
    if (!any) return ECHILD;
    if ((request.options & WNOHANG) !== 0) return null;
    const wake2 = yield waitFor(task.group.childEvents, POLLIN);
    if (wake2 === 'signal') return ERESTARTSYS;
  }
}
function eligible(child, options) {
  if ((options & __WALL2) !== 0) return true;
  return (child.exitSignal !== SIGCHLD) === ((options & __WCLONE) !== 0);
}
function eventOf(task, child, options) {
  const ns = task.pidNamespace;
  const keep = (options & WNOWAIT) !== 0;
  const base = { pid: child.idIn(ns), uid: child.leader.creds.uid };
  if (child.zombie && (options & WEXITED) !== 0) {
    const info = childInfo(child, ns);
    const event = { ...base, status: child.exiting ?? 0, code: info.code, siStatus: info.status, usage: total(child) };
    if (!keep) reap(child);
    return event;
  }
  if (child.stopReport === 'stopped' && (options & WSTOPPED) !== 0) {
    if (!keep) child.stopReport = 'none';
    return { ...base, status: 127 | (child.stopSignal << 8), code: CLD_STOPPED, siStatus: child.stopSignal, usage: noUsage() };
  }
  if (child.stopReport === 'continued' && (options & WCONTINUED) !== 0) {
    if (!keep) child.stopReport = 'none';
    return { ...base, status: 65535, code: CLD_CONTINUED, siStatus: SIGCONT, usage: noUsage() };
  }
  return null;
}
function total(child) {
  const usage = { ...child.dead };
  usage.userTime += child.reapedChildren.userTime;
  usage.systemTime += child.reapedChildren.systemTime;
  usage.minorFaults += child.reapedChildren.minorFaults;
  usage.maxResident = Math.max(usage.maxResident, child.reapedChildren.maxResident);
  return usage;
}

// sentry/syscalls/sys_process.ts
var MAX_ARG_BYTES = 6 << 20;
var MAX_ARG_STRLEN2 = 131072;
var CLONE_ARGS_MAX = 4096;
function sysClone(task, cloneFlags, stack, parentTid, childTid, tls) {
  if ((cloneFlags & CLONE_PIDFD) !== 0 && (cloneFlags & (CLONE_PARENT_SETTID | CLONE_DETACHED)) !== 0) return EINVAL;
  return clone(task, {
    flags: cloneFlags & ~CSIGNAL,
    exitSignal: cloneFlags & CSIGNAL,
    stackPointer: stack,
    tls,
    parentTid,
    childTid,
    pidFd: parentTid,
    clearHandlers: false,
  });
}
var plainFork = { stackPointer: 0, tls: 0, parentTid: 0, childTid: 0, pidFd: 0, clearHandlers: false, exitSignal: SIGCHLD };
function fork(task) {
  return clone(task, { ...plainFork, flags: 0 });
}
function vfork(task) {
  return clone(task, { ...plainFork, flags: CLONE_VFORK | CLONE_VM2 });
}
function clone3(task, address, length) {
  if (length < CLONE_ARGS_SIZE_VER0) return EINVAL;
  if (length > CLONE_ARGS_MAX) return E2BIG;
  const raw = task.readBytes(address, length);
  if (isErrno(raw)) return raw;
  if (raw.subarray(CloneArgs.size).some((byte) => byte !== 0)) return E2BIG;
  const bytes2 = new Uint8Array(CloneArgs.size);
  bytes2.set(raw.subarray(0, CloneArgs.size));
  const args = CloneArgs.decode(bytes2);
  const low = Number(args.flags & 0xffffffffn) | 0;
  const high = Number(args.flags >> 32n);
  if ((high & ~CLONE_CLEAR_SIGHAND_HIGH) !== 0 || (low & (CSIGNAL | CLONE_DETACHED)) !== 0) return EINVAL;
  const clearHandlers = (high & CLONE_CLEAR_SIGHAND_HIGH) !== 0;
  if (clearHandlers && (low & CLONE_SIGHAND2) !== 0) return EINVAL;
  if (args.exit_signal > NSIG || args.set_tid_size !== 0 || args.set_tid !== 0) return EINVAL;
  if ((args.stack === 0) !== (args.stack_size === 0)) return EINVAL;
  return clone(task, {
    flags: low,
    exitSignal: args.exit_signal,
    stackPointer: args.stack + args.stack_size,
    tls: args.tls,
    parentTid: args.parent_tid,
    childTid: args.child_tid,
    pidFd: args.pidfd,
    clearHandlers,
  });
}
function readStrings(task, address) {
  const out = [];
  let total2 = 0;
  if (address === 0) return out;
  const word = new Uint8Array(8);
  const view = new DataView(word.buffer);
  for (let at = address; ; at += 8) {
    const r = task.copyIn(at, word);
    if (r !== 0) return r;
    const pointer = view.getUint32(4, true) * 4294967296 + view.getUint32(0, true);
    if (pointer === 0) return out;
    const text = task.readString(pointer, MAX_ARG_STRLEN2 - 1);
    if (isErrno(text)) return text === EFAULT ? EFAULT : E2BIG;
    total2 += text.length + 9;
    if (total2 > MAX_ARG_BYTES) return E2BIG;
    out.push(text);
  }
}
function execve(task, pathname, argv2, envp) {
  return execveat(task, AT_FDCWD, pathname, argv2, envp, 0);
}
function execveat(task, dirfd, pathname, argv2, envp, execFlags) {
  if ((execFlags & ~(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW)) !== 0) return EINVAL;
  const name = task.readPath(pathname);
  if (isErrno(name)) return name;
  const args = readStrings(task, argv2);
  if (isErrno(args)) return args;
  const env = readStrings(task, envp);
  if (isErrno(env)) return env;
  return exec(task, { dirfd, path: name, flags: execFlags, argv: args, env });
}
function exit(task, code) {
  exitTask(task, (code & 255) << 8);
  return NO_RESULT;
}
function exit_group(task, code) {
  exitGroup(task.group, (code & 255) << 8);
  return NO_RESULT;
}
function encodeUsage(usage) {
  const time = (ns) => ({ tv_sec: Math.floor(ns / 1e9), tv_usec: Math.floor((ns % 1e9) / 1e3) });
  return Rusage.encode({
    ru_utime: time(usage.userTime),
    ru_stime: time(usage.systemTime),
    ru_maxrss: Math.floor(usage.maxResident / 1024),
    ru_minflt: usage.minorFaults,
    ru_majflt: 0,
    ru_inblock: 0,
    ru_oublock: 0,
    ru_nvcsw: usage.voluntarySwitches,
    ru_nivcsw: usage.involuntarySwitches,
  });
}
function wait4(task, pid, status, options, usage) {
  if ((options & ~(WNOHANG | WUNTRACED | WCONTINUED | __WNOTHREAD | __WCLONE | __WALL2)) !== 0) return EINVAL;
  if (pid === -2147483648) return ESRCH;
  const group = pid === 0 ? task.group.group : pid < -1 ? task.pidNamespace.groups.get(-pid) : null;
  if (group === void 0) return ECHILD;
  const matches = (child) => (pid > 0 ? child.idIn(task.pidNamespace) === pid : group === null || child.group === group);
  return reportWait4(task, { matches, options: options | WEXITED }, status, usage);
}
function* reportWait4(task, request, status, usage) {
  const event = yield* waitForChild(task, request);
  if (typeof event === 'number') return event;
  if (event === null) return 0;
  if (status !== 0 && task.writeU32(status, event.status) !== 0) return EFAULT;
  if (usage !== 0 && task.copyOut(usage, encodeUsage(event.usage)) !== 0) return EFAULT;
  return event.pid;
}
function waitid(task, idType, id, info, options, usage) {
  if ((options & ~(WNOHANG | WEXITED | WSTOPPED | WCONTINUED | WNOWAIT | __WNOTHREAD | __WCLONE | __WALL2)) !== 0) return EINVAL;
  if ((options & (WEXITED | WSTOPPED | WCONTINUED)) === 0) return EINVAL;
  const matches = matcher(task, idType, id);
  if (isErrno(matches)) return matches;
  return reportWaitid(task, { matches, options }, info, usage);
}
function matcher(task, idType, id) {
  const ns = task.pidNamespace;
  if (idType === P_ALL) return () => true;
  if (idType === P_PID) return id <= 0 ? EINVAL : (child) => child.idIn(ns) === id;
  if (idType === P_PGID) {
    if (id < 0) return EINVAL;
    const group2 = id === 0 ? task.group.group : ns.groups.get(id);
    return group2 === void 0 ? ECHILD : (child) => child.group === group2;
  }
  if (idType !== P_PIDFD) return EINVAL;
  const group = task.kernel.pidFdTarget(task, id);
  return isErrno(group) ? group : (child) => child === group;
}
function* reportWaitid(task, request, info, usage) {
  const event = yield* waitForChild(task, request);
  if (typeof event === 'number') return event;
  if (info !== 0 && task.copyOut(info, encodeWaitInfo(event)) !== 0) return EFAULT;
  if (event !== null && usage !== 0 && task.copyOut(usage, encodeUsage(event.usage)) !== 0) return EFAULT;
  return 0;
}
function encodeWaitInfo(event) {
  const bytes2 = new Uint8Array(128);
  if (event === null) return bytes2;
  const words = new Int32Array(bytes2.buffer);
  words[0] = SIGCHLD;
  words[2] = event.code;
  words[4] = event.pid;
  words[5] = event.uid;
  words[6] = event.siStatus;
  return bytes2;
}
var PROCESS_CALLS = {
  clone: syscall({ x64: 56, man: 'clone(2)', args: [flags, addr, addr, addr, addr], run: sysClone }),
  fork: syscall({ x64: 57, man: 'fork(2)', args: [], run: fork }),
  vfork: syscall({ x64: 58, man: 'vfork(2)', args: [], run: vfork }),
  execve: syscall({ x64: 59, man: 'execve(2)', args: [path, addr, addr], run: execve }),
  exit: syscall({ x64: 60, man: '_exit(2)', args: [int], run: exit }),
  wait4: syscall({ x64: 61, man: 'wait4(2)', args: [int, addr, flags, addr], run: wait4 }),
  exit_group: syscall({ x64: 231, man: 'exit_group(2)', args: [int], run: exit_group }),
  waitid: syscall({ x64: 247, man: 'waitid(2)', args: [uint, int, addr, flags, addr], run: waitid }),
  execveat: syscall({ x64: 322, man: 'execveat(2)', args: [fd, path, addr, addr, flags], run: execveat }),
  clone3: syscall({ x64: 435, man: 'clone3(2)', args: [addr, size], run: clone3, partial: 'no set_tid, no CLONE_INTO_CGROUP' }),
};

// sentry/syscalls/sys_select.ts
var SETS = [POLLRDNORM | POLLRDBAND | POLLIN | POLLHUP | POLLERR, POLLWRBAND | POLLWRNORM | POLLOUT | POLLERR, POLLPRI];
function readRequest(task, nfds, addresses) {
  if (nfds < 0) return EINVAL;
  const count2 = Math.min(nfds, NR_OPEN);
  const length = Math.ceil(count2 / 64) * 8;
  const asked = [];
  for (const address of addresses) {
    const bits = address === 0 ? null : task.readBytes(address, length);
    if (typeof bits === 'number') return bits;
    asked.push(bits);
  }
  return { nfds: count2, addresses, asked };
}
function eachFd(task, request, visit) {
  const [a, b, c2] = request.asked;
  for (let fd2 = 0; fd2 < request.nfds; fd2++) {
    const byte = fd2 >> 3;
    if ((fd2 & 7) === 0 && ((a?.[byte] ?? 0) | (b?.[byte] ?? 0) | (c2?.[byte] ?? 0)) === 0) {
      fd2 += 7;
      continue;
    }
    const shift = fd2 & 7;
    const sets = (((a?.[byte] ?? 0) >> shift) & 1) | ((((b?.[byte] ?? 0) >> shift) & 1) << 1) | ((((c2?.[byte] ?? 0) >> shift) & 1) << 2);
    if (sets === 0) continue;
    const file = task.fds.get(fd2);
    if (isErrno(file) || file.isPath) return EBADF;
    visit(file, fd2, sets);
  }
  return 0;
}
function scan2(task, request, found) {
  let count2 = 0;
  for (const bits of found) bits?.fill(0);
  const r = eachFd(task, request, (file, fd2, sets) => {
    const events = file.impl.poll(file, task);
    for (let i = 0; i < 3; i++) {
      if ((sets & (1 << i)) === 0 || (events & SETS[i]) === 0) continue;
      const bits = found[i];
      bits[fd2 >> 3] = bits[fd2 >> 3] | (1 << (fd2 & 7));
      count2++;
    }
  });
  return r < 0 ? r : count2;
}
function writeResult(task, request, found, count2) {
  for (const [i, bits] of found.entries()) if (bits !== null && task.copyOut(request.addresses[i], bits) !== 0) return EFAULT;
  return count2;
}
function selectUntil(task, request, deadline) {
  const found = request.asked.map((bits) => (bits === null ? null : new Uint8Array(bits.length)));
  const count2 = scan2(task, request, found);
  if (count2 < 0) return count2;
  if (count2 > 0 || deadline === 0) return writeResult(task, request, found, count2);
  return selectBlocking(task, request, found, deadline);
}
function* selectBlocking(task, request, found, deadline) {
  const held = [];
  const on = [];
  eachFd(task, request, (file, _fd, sets) => {
    if (file.impl.queue === null) return;
    let events = 0;
    for (let i = 0; i < 3; i++) if ((sets & (1 << i)) !== 0) events |= SETS[i];
    held.push(file.hold());
    on.push({ queue: file.impl.queue, events });
  });
  const wait = Number.isFinite(deadline) ? { on, deadline } : { on };
  try {
    for (;;) {
      const wake2 = yield wait;
      const count2 = scan2(task, request, found);
      if (count2 < 0) return count2;
      if (count2 === 0 && wake2 === 'ready') continue;
      if (count2 === 0 && wake2 === 'signal') return ERESTARTNOHAND;
      return writeResult(task, request, found, count2);
    }
  } finally {
    for (const file of held) file.release();
  }
}
function select(task, nfds, reads, writes, exceptions, timeout) {
  const ns = timeout === 0 ? Number.POSITIVE_INFINITY : readTimeval(task, timeout);
  if (ns < 0) return ns;
  const request = readRequest(task, nfds, [reads, writes, exceptions]);
  if (typeof request === 'number') return request;
  const deadline = ns === 0 ? 0 : deadlineAfter(task, ns);
  const result = selectUntil(task, request, deadline);
  return timeout === 0 || ns === 0 ? result : tellRemaining(task, result, deadline, timeout, writeTimeval);
}
function pselect6(task, nfds, reads, writes, exceptions, timeout, sig) {
  const ns = timeout === 0 ? Number.POSITIVE_INFINITY : readTimespec(task, timeout);
  if (ns < 0) return ns;
  const pair = sig === 0 ? null : task.readBytes(sig, 16);
  if (typeof pair === 'number') return pair;
  const view = pair === null ? null : new DataView(pair.buffer);
  const set = view === null ? null : readSignalMask(task, getLen64(view, 0), getLen64(view, 8));
  if (typeof set === 'number') return set;
  const request = readRequest(task, nfds, [reads, writes, exceptions]);
  if (typeof request === 'number') return request;
  const deadline = ns === 0 ? 0 : deadlineAfter(task, ns);
  return withSignalMask(task, set, () => {
    const result = selectUntil(task, request, deadline);
    return timeout === 0 || ns === 0 ? result : tellRemaining(task, result, deadline, timeout, writeTimespec);
  });
}
var SELECT_CALLS = {
  select: syscall({ x64: 23, man: 'select(2)', args: [int, addr, addr, addr, addr], run: select }),
  pselect6: syscall({ x64: 270, man: 'select(2)', args: [int, addr, addr, addr, addr, addr], run: pselect6 }),
};

// sentry/syscalls/sys_session.ts
function setsid(task) {
  const process2 = task.group;
  const { pidNamespace } = process2;
  if (process2.group.session.leader === process2 || pidNamespace.groups.has(process2.leader.tid)) return EPERM;
  return startSession(process2).idIn(pidNamespace);
}
function find(task, pid) {
  if (pid === 0) return task.group;
  return task.pidNamespace.tasks.get(pid)?.group ?? ESRCH;
}
function getsid(task, pid) {
  const process2 = find(task, pid);
  return isErrno(process2) ? process2 : process2.group.session.idIn(task.pidNamespace);
}
function getpgid(task, pid) {
  const process2 = find(task, pid);
  return isErrno(process2) ? process2 : process2.group.idIn(task.pidNamespace);
}
function setpgid(task, pid, pgid) {
  const caller = task.group;
  const ns = caller.pidNamespace;
  const number = pid === 0 ? caller.leader.tid : pid;
  const wanted = pgid === 0 ? number : pgid;
  if (wanted < 0) return EINVAL;
  const target = ns.tasks.get(number);
  if (target === void 0) return ESRCH;
  const process2 = target.group;
  if (process2.leader !== target) return EINVAL;
  if (process2.parent === caller) {
    if (process2.group.session !== caller.group.session) return EPERM;
    if (process2.hasExeced) return EACCES;
  } else if (process2 !== caller) return ESRCH;
  if (process2.group.session.leader === process2) return EPERM;
  const group = ns.groups.get(wanted);
  if (wanted !== number && (group === void 0 || group.session !== caller.group.session)) return EPERM;
  if (group === void 0) startGroup(process2);
  else if (group.session !== process2.group.session) return EPERM;
  else if (group !== process2.group) joinGroup(process2, group);
  return 0;
}
function vhangup(task) {
  if (!hasCap(task.creds, CAP_SYS_TTY_CONFIG)) return EPERM;
  controllingTerminal(task.group)?.disassociate();
  return 0;
}
var SESSION_CALLS = {
  setpgid: syscall({ x64: 109, man: 'setpgid(2)', args: [int, int], run: setpgid }),
  getpgrp: syscall({ x64: 111, man: 'getpgrp(2)', args: [], run: (task) => getpgid(task, 0) }),
  setsid: syscall({ x64: 112, man: 'setsid(2)', args: [], run: setsid }),
  getpgid: syscall({ x64: 121, man: 'getpgid(2)', args: [int], run: getpgid }),
  getsid: syscall({ x64: 124, man: 'getsid(2)', args: [int], run: getsid }),
  vhangup: syscall({ x64: 153, man: 'vhangup(2)', args: [], run: vhangup }),
};

// sentry/syscalls/table.ts
var SYSCALLS = {
  ...MEMORY_CALLS,
  ...PIPE_CALLS,
  ...PROCESS_CALLS,
  ...EPOLL_CALLS,
  ...EVENTFD_CALLS,
  ...POLL_CALLS,
  ...SELECT_CALLS,
  ...SESSION_CALLS,
};
function buildTable(rows2) {
  const table = [];
  for (const [name, row] of Object.entries(rows2)) {
    if (table[row.number] !== void 0) throw new Error(`system call ${row.number} (${name}) is declared twice`);
    table[row.number] = row;
  }
  return table;
}

// sentry/vfs/mount.ts
var MountNamespace = class {
  id;
  root;
  constructor(id, root) {
    this.id = id;
    this.root = root;
  }
  /** "/" of the namespace: its topmost root mount. */
  get rootPath() {
    return topOf({ mount: this.root, dentry: this.root.root });
  }
  /** Every mount, parents before children. */
  *mounts() {
    yield* subtree(this.root);
  }
  contains(mount) {
    let top = mount;
    while (top.parent !== null) top = top.parent;
    return top === this.root;
  }
};
function newMount(ids, fs2, flags3, source) {
  return countMount(new Mount(ids.uniqueId(), fs2, rootDentry(fs2), flags3, source));
}
function newNamespace(ids, fs2, flags3, source) {
  return new MountNamespace(ids.uniqueId(), newMount(ids, fs2, flags3, source));
}
function rootDentry(fs2) {
  fs2.rootDentry ??= new Dentry('', null, fs2.root);
  return fs2.rootDentry;
}
function countMount(mount) {
  mount.fs.mounts++;
  return mount;
}
function* subtree(mount) {
  yield mount;
  for (const child of mount.children.slice()) yield* subtree(child);
}
function topOf(path3) {
  let { mount, dentry } = path3;
  while (dentry.mountCount > 0) {
    const above = mount.mountedOn(dentry);
    if (above === null) break;
    mount = above;
    dentry = above.root;
  }
  return { mount, dentry };
}

// ../../wt-core-boot/boot.ts
var DevFs = class extends Filesystem {
  type = 'hostfs';
  _r;
  get root() {
    return (this._r ??= new DevInode(this, '/'));
  }
  stats() {
    return {};
  }
};
var DevInode = class _DevInode extends Inode {
  p;
  st;
  constructor(f, p) {
    super(f);
    this.p = p;
    this.st = fs.lstatSync(p);
  }
  attributes() {
    const s = this.st;
    const t2 = { sec: Math.floor(s.mtimeMs / 1e3), nsec: 0 };
    return {
      ino: s.ino,
      mode: s.mode,
      nlink: s.nlink,
      uid: s.uid,
      gid: s.gid,
      rdev: 0,
      size: s.size,
      blksize: 4096,
      blocks: s.blocks,
      atime: t2,
      mtime: t2,
      ctime: t2,
    };
  }
  lookup(n) {
    try {
      return new _DevInode(this.fs, this.p + '/' + n);
    } catch {
      return -2;
    }
  }
  readlink() {
    return fs.readlinkSync(this.p);
  }
  open(f) {
    return new DevFile(fs.openSync(this.p, 'r'));
  }
};
var DevFile = class extends PositionedFile {
  f;
  constructor(f) {
    super();
    this.f = f;
  }
  size() {
    return fs.fstatSync(this.f).size;
  }
  pread(dst, off) {
    const b = new Uint8Array(Math.min(dst.remaining, 65536));
    const n = host.pread(this.f, b, 0, b.length, off);
    return n <= 0 ? n : dst.put(b, 0, n);
  }
  mapping() {
    return { hostFd: this.f, offset: 0 };
  }
  release() {
    host.close(this.f);
  }
};
var Out = class extends FileImpl {
  f;
  constructor(f) {
    super();
    this.f = f;
  }
  write(src) {
    const b = new Uint8Array(src.remaining);
    const n = src.take(b);
    if (n > 0) fs.writeSync(this.f, b.subarray(0, n));
    return n;
  }
  read(dst) {
    return 0;
  }
};
var extra = {
  read: syscall({
    x64: 0,
    man: '',
    args: [fd, addr, size],
    run: (t2, f, a, n) => {
      const x = t2.fds.get(f);
      if (typeof x === 'number') return x;
      const b = t2.userBuffer(a, n);
      return typeof b === 'number' ? b : x.impl.read(b, x, t2);
    },
  }),
  write: syscall({
    x64: 1,
    man: '',
    args: [fd, addr, size],
    run: (t2, f, a, n) => {
      const x = t2.fds.get(f);
      if (typeof x === 'number') return x;
      const b = t2.userBuffer(a, n);
      return typeof b === 'number' ? b : x.impl.write(b, x, t2);
    },
  }),
  arch_prctl: syscall({
    x64: 158,
    man: '',
    args: [int, addr],
    run: (t2, c2, a) => {
      if (c2 !== 4098) return -22;
      t2.thread.registers().set(21, a);
      t2.thread.setRegisters();
      return 0;
    },
  }),
  set_tid_address: syscall({
    x64: 218,
    man: '',
    args: [addr],
    run: (t2, a) => {
      t2.clearChildTid = a;
      return t2.tid;
    },
  }),
  getpid: syscall({ x64: 39, man: '', args: [], run: (t2) => t2.pid }),
  getuid: syscall({ x64: 102, man: '', args: [], run: () => 0 }),
};
process.on('uncaughtException', (e) => {
  console.error(e);
  process.exit(70);
});
var poll2 = new HostPoll(host);
var kind = process.env.PLATFORM ?? 'ptrace';
var stub = fs.openSync('/tmp/wt/core/native-addon/build/Release/' + stubName(kind), 'r');
var platform = createPlatform(kind, { host, poll: poll2, procFd: fs.openSync('/proc', 'r'), stubFd: stub });
var rows = { ...SYSCALLS };
var used = new Set(Object.values(rows).map((r) => r.number));
for (const [k, v] of Object.entries(extra)) if (!used.has(v.number)) rows[k] = v;
var kernel = new Kernel({ host, poll: poll2, platform, syscalls: buildTable(rows), log: (l) => console.error('LOG', l) });
var mnt = newNamespace(kernel, new DevFs(kernel.uniqueId()), 0, 'root');
var pidns = kernel.rootPidNamespace;
var c = new Container('c', pidns, rootCredentials(), '/');
var argv = process.argv.slice(2);
var fds = new Map([0, 1, 2].map((n) => [n, new FileDescription(new Out(n), 2)]));
var t = startProcess(kernel, {
  container: c,
  path: argv[0],
  argv,
  env: ['PATH=/usr/bin:/bin', 'HOME=/root'],
  cwd: '/',
  root: mnt.rootPath,
  creds: rootCredentials(),
  umask: 18,
  limits: new ResourceLimits(),
  fds,
  terminal: null,
  namespaces: { mount: mnt, uts: new UtsNamespace(1, 'box'), ipc: new IpcNamespace(2), net: new NetNamespace(3), pidForChildren: pidns },
});
if (isStartError(t)) {
  console.error('start error', t);
  process.exit(71);
}
c.exitEvents.add({ events: 1, wake: () => kernel.halt() });
kernel.run();
console.error('exit', c.exitStatus, [...kernel.unimplemented]);
platform.shutdown();
process.exit((c.exitStatus ?? 0) >> 8);
