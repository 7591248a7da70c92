// abi/errno.ts
var EPERM = -1;
var ENOENT = -2;
var EAGAIN = -11;
var ENOMEM = -12;
var EACCES = -13;
var EFAULT = -14;
var EINVAL = -22;
var NAMES = {
  1: 'EPERM',
  2: 'ENOENT',
  3: 'ESRCH',
  4: 'EINTR',
  5: 'EIO',
  6: 'ENXIO',
  7: 'E2BIG',
  8: 'ENOEXEC',
  9: 'EBADF',
  10: 'ECHILD',
  11: 'EAGAIN',
  12: 'ENOMEM',
  13: 'EACCES',
  14: 'EFAULT',
  15: 'ENOTBLK',
  16: 'EBUSY',
  17: 'EEXIST',
  18: 'EXDEV',
  19: 'ENODEV',
  20: 'ENOTDIR',
  21: 'EISDIR',
  22: 'EINVAL',
  23: 'ENFILE',
  24: 'EMFILE',
  25: 'ENOTTY',
  26: 'ETXTBSY',
  27: 'EFBIG',
  28: 'ENOSPC',
  29: 'ESPIPE',
  30: 'EROFS',
  31: 'EMLINK',
  32: 'EPIPE',
  33: 'EDOM',
  34: 'ERANGE',
  35: 'EDEADLK',
  36: 'ENAMETOOLONG',
  37: 'ENOLCK',
  38: 'ENOSYS',
  39: 'ENOTEMPTY',
  40: 'ELOOP',
  42: 'ENOMSG',
  43: 'EIDRM',
  44: 'ECHRNG',
  45: 'EL2NSYNC',
  46: 'EL3HLT',
  47: 'EL3RST',
  48: 'ELNRNG',
  49: 'EUNATCH',
  50: 'ENOCSI',
  51: 'EL2HLT',
  52: 'EBADE',
  53: 'EBADR',
  54: 'EXFULL',
  55: 'ENOANO',
  56: 'EBADRQC',
  57: 'EBADSLT',
  59: 'EBFONT',
  60: 'ENOSTR',
  61: 'ENODATA',
  62: 'ETIME',
  63: 'ENOSR',
  64: 'ENONET',
  65: 'ENOPKG',
  66: 'EREMOTE',
  67: 'ENOLINK',
  68: 'EADV',
  69: 'ESRMNT',
  70: 'ECOMM',
  71: 'EPROTO',
  72: 'EMULTIHOP',
  73: 'EDOTDOT',
  74: 'EBADMSG',
  75: 'EOVERFLOW',
  76: 'ENOTUNIQ',
  77: 'EBADFD',
  78: 'EREMCHG',
  79: 'ELIBACC',
  80: 'ELIBBAD',
  81: 'ELIBSCN',
  82: 'ELIBMAX',
  83: 'ELIBEXEC',
  84: 'EILSEQ',
  85: 'ERESTART',
  86: 'ESTRPIPE',
  87: 'EUSERS',
  88: 'ENOTSOCK',
  89: 'EDESTADDRREQ',
  90: 'EMSGSIZE',
  91: 'EPROTOTYPE',
  92: 'ENOPROTOOPT',
  93: 'EPROTONOSUPPORT',
  94: 'ESOCKTNOSUPPORT',
  95: 'EOPNOTSUPP',
  96: 'EPFNOSUPPORT',
  97: 'EAFNOSUPPORT',
  98: 'EADDRINUSE',
  99: 'EADDRNOTAVAIL',
  100: 'ENETDOWN',
  101: 'ENETUNREACH',
  102: 'ENETRESET',
  103: 'ECONNABORTED',
  104: 'ECONNRESET',
  105: 'ENOBUFS',
  106: 'EISCONN',
  107: 'ENOTCONN',
  108: 'ESHUTDOWN',
  109: 'ETOOMANYREFS',
  110: 'ETIMEDOUT',
  111: 'ECONNREFUSED',
  112: 'EHOSTDOWN',
  113: 'EHOSTUNREACH',
  114: 'EALREADY',
  115: 'EINPROGRESS',
  116: 'ESTALE',
  117: 'EUCLEAN',
  118: 'ENOTNAM',
  119: 'ENAVAIL',
  120: 'EISNAM',
  121: 'EREMOTEIO',
  122: 'EDQUOT',
  123: 'ENOMEDIUM',
  124: 'EMEDIUMTYPE',
  125: 'ECANCELED',
  126: 'ENOKEY',
  127: 'EKEYEXPIRED',
  128: 'EKEYREVOKED',
  129: 'EKEYREJECTED',
  130: 'EOWNERDEAD',
  131: 'ENOTRECOVERABLE',
  132: 'ERFKILL',
  133: 'EHWPOISON',
};
function errnoName(errno) {
  return NAMES[-errno] ?? `errno ${-errno}`;
}

// native-addon/native.ts
var import_node_fs = require('node:fs');
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
function shippedFile(name) {
  const beside = (0, import_node_path.join)(__dirname, name);
  return (0, import_node_fs.existsSync)(beside) ? beside : (0, import_node_path.join)(__dirname, 'build/Release', name);
}

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
var CLOCK_BOOTTIME = 7;
var SCM_MAX_FD = 253;
var host = {
  /** Any call by its number: for the rare ones. */
  syscall: native.syscall,
  addressOf: native.addressOf,
  /** The C library gives back what it holds without use. */
  trimHeap: native.trimHeap,
  /** The caller's thread and these (gettid(2)) keep the capabilities of the mask, and get no_new_privs. 0 or an errno. */
  restrictThreads(tids, capabilities) {
    return native.restrictThreads(tids, Number(capabilities & 0xffffffffn), Number(capabilities >> 32n));
  },
  /** Directory entries with attributes, as the gofer tells them (native-addon/src/listing.c). */
  encodeEntries: native.encodeEntries,
  // The pool of threads for transfers that would block (native-addon/src/io_worker.c).
  ioStart: native.ioStart,
  ioSubmit: native.ioSubmit,
  ioCompletions: native.ioCompletions,
  /** CLOCK_MONOTONIC in ns. */
  monotonicNow() {
    return native.clockNow(CLOCK_MONOTONIC);
  },
  /** CLOCK_BOOTTIME in ns: goes on while the machine sleeps. */
  boottimeNow() {
    return native.clockNow(CLOCK_BOOTTIME);
  },
  /** CLOCK_REALTIME in ns; a double holds it to 256 ns. */
  realtimeNow() {
    return native.clockNow(CLOCK_REALTIME);
  },
  close(fd) {
    return native.syscall(NR.close, fd);
  },
  dup(fd) {
    return native.syscall(NR.fcntl, fd, 1030, 3);
  },
  fcntl(fd, cmd, arg = 0) {
    return native.syscall(NR.fcntl, fd, cmd, arg);
  },
  ioctl(fd, cmd, arg) {
    return native.syscall(NR.ioctl, fd, cmd, arg);
  },
  /** Reads into `into[offset..offset+count)`; count is clamped to the view. */
  read(fd, into, offset = 0, count = into.length - offset) {
    return native.syscall(NR.read, fd, into.subarray(offset, offset + count), Math.min(count, into.length - offset));
  },
  write(fd, from, offset = 0, count = from.length - offset) {
    return native.syscall(NR.write, fd, from.subarray(offset, offset + count), Math.min(count, from.length - offset));
  },
  pread(fd, into, offset, count, position) {
    return native.syscall(NR.pread64, fd, into.subarray(offset, offset + count), Math.min(count, into.length - offset), position);
  },
  pwrite(fd, from, offset, count, position) {
    return native.syscall(NR.pwrite64, fd, from.subarray(offset, offset + count), Math.min(count, from.length - offset), position);
  },
  ftruncate(fd, length) {
    return native.syscall(NR.ftruncate, fd, length);
  },
  lseek(fd, offset, whence) {
    return native.syscall(NR.lseek, fd, offset, whence);
  },
  /** st_blocks, 512-byte units, or an errno. */
  fileBlocks(fd) {
    const stat = new DataView(new ArrayBuffer(144));
    const r = native.syscall(NR.fstat, fd, stat);
    return r < 0 ? r : stat.getUint32(68, true) * 4294967296 + stat.getUint32(64, true);
  },
  fsync(fd) {
    return native.syscall(NR.fsync, fd);
  },
  fdatasync(fd) {
    return native.syscall(NR.fdatasync, fd);
  },
  fallocate(fd, mode, offset, length) {
    return native.syscall(NR.fallocate, fd, mode, offset, length);
  },
  memfdCreate(name, flags) {
    return native.syscall(NR.memfd_create, Buffer.from(`${name}\0`, 'latin1'), flags);
  },
  /** path must hold no NUL. */
  openat(dirfd, path, flags, mode = 0) {
    return native.syscall(NR.openat, dirfd, Buffer.from(`${path}\0`, 'latin1'), flags, mode);
  },
  getrandom(into) {
    return native.syscall(NR.getrandom, into, into.length, 0);
  },
  /** setgroups, setresgid, setresuid of every thread of this process. */
  setIdentity(uid, gid) {
    return native.setIdentity(uid, gid);
  },
  /** Non-blocking eventfd that becomes readable when the signal comes; once for each signal. Or an errno. */
  signalEvents(signal) {
    return native.signalEvents(signal);
  },
  ignoreSignal(signal) {
    return native.ignoreSignal(signal);
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
  pipe(flags) {
    const pair = new Int32Array(2);
    const r = native.syscall(NR.pipe2, pair, flags);
    return r < 0 ? r : [pair[0], pair[1]];
  },
  epollCreate() {
    return native.syscall(NR.epoll_create1, 524288);
  },
  /** op: 1 add, 2 delete, 3 modify; the event's data is `fd`. */
  /** epoll_pwait2(2): events in `events`, 0 also after a signal, or an errno. timeoutNs -1: no limit. */
  pollWait(epfd, events, timeoutNs) {
    return native.pollWait(epfd, events, timeoutNs);
  },
  epollCtl(epfd, op2, fd, events) {
    const event = new Uint32Array([events, fd, 0]);
    return native.syscall(NR.epoll_ctl, epfd, op2, fd, event);
  },
  /** sendmsg(2) of one buffer with descriptors; the flags always hold MSG_NOSIGNAL. */
  sendWithFds(fd, data, fds, flags = 0) {
    if (data.length === 0 || fds.length > SCM_MAX_FD) return EINVAL;
    const iov = new BigUint64Array([BigInt(native.addressOf(data)), BigInt(data.length)]);
    const controlLength = fds.length === 0 ? 0 : 16 + fds.length * 4;
    const control = new Uint8Array((controlLength + 7) & ~7);
    if (fds.length > 0) {
      const view = new DataView(control.buffer);
      view.setBigUint64(0, BigInt(controlLength), true);
      view.setUint32(8, 1, true);
      view.setUint32(12, 1, true);
      for (const [i, f] of fds.entries()) view.setInt32(16 + i * 4, f, true);
    }
    const msg = messageHeader(iov, control, control.length);
    const n = native.syscall(NR.sendmsg, fd, msg, flags | 16384);
    keepAlive(data, iov, control);
    return n;
  },
  /** recvmsg(2) into `into`; descriptors arrive close-on-exec. flags as recvmsg's (MSG_DONTWAIT 0x40). */
  receiveWithFds(fd, into, flags = 0) {
    const iov = new BigUint64Array([BigInt(native.addressOf(into)), BigInt(into.length)]);
    const control = new Uint8Array(16 + SCM_MAX_FD * 4 + 4);
    const msg = messageHeader(iov, control, control.length);
    const count = native.syscall(
      NR.recvmsg,
      fd,
      msg,
      flags | 1073741824,
      /* MSG_CMSG_CLOEXEC */
    );
    keepAlive(into, iov);
    const fds = [];
    if (count < 0) return { count, fds };
    const used = Number(new DataView(msg.buffer).getBigUint64(40, true));
    const view = new DataView(control.buffer);
    for (let at = 0; at + 16 <= used; ) {
      const length = Number(view.getBigUint64(at, true));
      if (length < 16) break;
      if (view.getUint32(at + 8, true) === 1 && view.getUint32(at + 12, true) === 1) {
        for (let i = at + 16; i + 4 <= at + length; i += 4) fds.push(view.getInt32(i, true));
      }
      at += (length + 7) & ~7;
    }
    return { count, fds };
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

// abi/fcntl.ts
var O_RDONLY = 0;
var O_RDWR = 2;
var O_DSYNC = 4096;
var O_DIRECTORY = 65536;
var O_CLOEXEC = 524288;
var __O_SYNC = 1048576;
var O_SYNC = O_DSYNC | __O_SYNC;
var __O_TMPFILE = 4194304;
var O_TMPFILE = __O_TMPFILE | O_DIRECTORY;

// lib/kvm_probe.ts
var KVM_DEVICE = '/dev/kvm';
function nothing(message) {
  return { entry: 0, paging: 0, sameClock: false, roundTrip: Number.POSITIVE_INFINITY, trap: 0, message };
}
function probeKvm(deviceFd) {
  const found = new Float64Array(5);
  const message = native.kvmProbe(deviceFd, found);
  const [entry, paging, sameClock, roundTrip, trap] = found;
  if (entry === 0) return nothing(`this host's KVM does not work: ${message}`);
  return { entry, paging, sameClock: sameClock !== 0, roundTrip, trap, message: '' };
}
function openKvm() {
  const fd = host.openat(-100, KVM_DEVICE, O_RDWR | O_CLOEXEC);
  if (fd >= 0) return fd;
  if (fd === ENOENT) return `this host has no ${KVM_DEVICE}`;
  if (fd === EACCES || fd === EPERM) return `no permission to open ${KVM_DEVICE}`;
  return `cannot open ${KVM_DEVICE}: ${errnoName(fd)}`;
}

// platforms/host_poll.ts
var EVENT_SIZE = 12;
var MAX_EVENTS = 64;
var EPOLL_CTL_ADD = 1;
var EPOLL_CTL_DEL = 2;
var EPOLL_CTL_MOD = 3;
var EPOLLIN_EPOLLET = 2147483649;
var TIMERFD_CREATE = 283;
var TIMERFD_SETTIME = 286;
var CLOCK_MONOTONIC2 = 1;
var TFD_CLOEXEC_NONBLOCK = 526336;
var TFD_TIMER_ABSTIME = 1;
var NS_PER_S = 1e9;
var MAX_FAILURES = 8;
var HostPoll = class {
  /** The epoll descriptor itself: a platform may put it into a wait of its own. */
  fd;
  host;
  handlers = /* @__PURE__ */ new Map();
  /** Throws in a row, by descriptor. */
  failures = /* @__PURE__ */ new Map();
  /** Told of what a handler throws; without it the exception leaves `wait`. */
  onBroken = null;
  events = new DataView(new ArrayBuffer(EVENT_SIZE * MAX_EVENTS));
  timerFd;
  /** When the timer fires next; Infinity: it is not set. */
  armedFor = Number.POSITIVE_INFINITY;
  /** struct itimerspec */
  timerValue = new Uint32Array(8);
  constructor(host2) {
    this.host = host2;
    this.fd = host2.epollCreate();
    if (this.fd < 0) throw new Error(`epoll_create1: errno ${-this.fd}`);
    this.timerFd = host2.syscall(TIMERFD_CREATE, CLOCK_MONOTONIC2, TFD_CLOEXEC_NONBLOCK);
    if (this.timerFd < 0) throw new Error(`timerfd_create: errno ${-this.timerFd}`);
    this.add(this.timerFd, EPOLLIN_EPOLLET, () => {
      this.armedFor = Number.POSITIVE_INFINITY;
    });
  }
  /** events: EPOLL* bits (they equal POLL*). 0, or an errno (EEXIST, EPERM for regular files). */
  add(fd, events, handler) {
    const r = this.host.epollCtl(this.fd, EPOLL_CTL_ADD, fd, events);
    if (r === 0) this.handlers.set(fd, handler);
    return r;
  }
  modify(fd, events) {
    return this.host.epollCtl(this.fd, EPOLL_CTL_MOD, fd, events);
  }
  /** Before the descriptor is closed. */
  remove(fd) {
    this.failures.delete(fd);
    if (this.handlers.delete(fd)) this.host.epollCtl(this.fd, EPOLL_CTL_DEL, fd, 0);
  }
  /** Sleeps up to timeoutMs (-1: no limit) and calls the handlers of what is ready. How many were. */
  wait(timeoutMs) {
    return this.waitNs(timeoutMs < 0 ? -1 : timeoutMs * 1e6);
  }
  /**
   * Sleeps until `deadline` (CLOCK_MONOTONIC ns; 0: not at all; Infinity) or an event, or for no reason. A timeout of the wait's own would be
   * set up and torn down each time, 0.5 µs: a timer that fires too early now and then is cheaper.
   */
  waitUntil(deadline) {
    if (deadline === 0) return this.waitNs(0);
    if (deadline < this.armedFor) this.arm(deadline);
    return this.waitNs(-1);
  }
  arm(deadline) {
    const at = Math.max(deadline, 1);
    const seconds = Math.floor(at / NS_PER_S);
    this.timerValue[4] = seconds;
    this.timerValue[5] = Math.floor(seconds / 4294967296);
    this.timerValue[6] = at - seconds * NS_PER_S;
    this.host.syscall(TIMERFD_SETTIME, this.timerFd, TFD_TIMER_ABSTIME, this.timerValue, null);
    this.armedFor = deadline;
  }
  waitNs(timeout) {
    const n = this.host.pollWait(this.fd, this.events, timeout);
    if (n < 0) throw new Error(`epoll_pwait2: errno ${-n}`);
    for (let i = 0; i < n; i++) {
      const fd = this.events.getInt32(i * EVENT_SIZE + 4, true);
      const handler = this.handlers.get(fd);
      if (handler !== void 0) this.run(fd, handler, this.events.getUint32(i * EVENT_SIZE, true));
    }
    return n;
  }
  run(fd, handler, events) {
    try {
      handler(events);
      if (this.failures.size > 0) this.failures.delete(fd);
    } catch (e) {
      if (this.onBroken === null) throw e;
      const count = (this.failures.get(fd) ?? 0) + 1;
      this.failures.set(fd, count);
      this.onBroken(`handler of host descriptor ${fd}`, e);
      if (count >= MAX_FAILURES && this.handlers.get(fd) === handler) this.remove(fd);
    }
  }
};

// platforms/host_maps.ts
function readHostMaps(host2, procFd2, pid) {
  const fd = host2.openat(
    procFd2,
    `${pid}/maps`,
    524288,
    /* O_RDONLY | O_CLOEXEC */
  );
  if (fd < 0) throw new Error(`procfs: cannot open ${pid}/maps: errno ${-fd}`);
  const chunk = new Uint8Array(16384);
  let text = '';
  for (;;) {
    const n = host2.read(fd, chunk);
    if (n <= 0) break;
    text += Buffer.from(chunk.subarray(0, n)).toString('latin1');
  }
  host2.close(fd);
  const mappings = [];
  for (const line of text.split('\n')) {
    const m = /^([0-9a-f]+)-([0-9a-f]+) \S+ \S+ \S+ \S+ *(.*)$/.exec(line);
    if (m) mappings.push({ start: Number.parseInt(m[1], 16), end: Number.parseInt(m[2], 16), name: m[3] });
  }
  return mappings;
}

// abi/mman.ts
var PAGE_SIZE = 4096;
var PROT_READ = 1;
var PROT_WRITE = 2;
var PROT_EXEC = 4;
var MAP_SHARED = 1;
var MAP_PRIVATE = 2;
var MAP_FIXED = 16;
var MAP_ANONYMOUS = 32;
var MAP_NORESERVE = 16384;
var MREMAP_MAYMOVE = 1;
var MREMAP_FIXED = 2;
var MREMAP_DONTUNMAP = 4;

// platforms/stub_layout.ts
var STUB_BASE = 140668768878592;
var STUB_SCRATCH = STUB_BASE + PAGE_SIZE;
var VDSO_PLACE = STUB_BASE + 1048576;
var MIN_ADDRESS = 65536;

// abi/struct.ts
function scalar(size, get, set, align = size) {
  return { size, align, get, set };
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
  view.setUint32(offset, value, true);
  view.setUint32(offset + 4, value >= 0 && value < 4294967296 ? 0 : Math.floor(value / 4294967296), true);
}
function struct(name, size, shape) {
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
  if (end !== size) throw new Error(`struct ${name}: fields add up to ${end} bytes, not ${size}`);
  const read = (view, offset = 0) => {
    const out2 = {};
    for (const f of named) out2[f.key] = f.field.get(view, offset + f.offset);
    return out2;
  };
  const write = (view, offset, value) => {
    for (const f of named) f.field.set(view, offset + f.offset, value[f.key]);
    for (const f of unused) for (let i = 0; i < f.field.size; i++) view.setUint8(offset + f.offset + i, 0);
  };
  return {
    name,
    size,
    align,
    offsets,
    get: read,
    set: write,
    read,
    write,
    encode: (value) => {
      const out2 = new Uint8Array(size);
      write(new DataView(out2.buffer), 0, value);
      return out2;
    },
    decode: (data) => read(new DataView(data.buffer, data.byteOffset, data.byteLength)),
  };
}

// abi/futex.ts
var FUTEX_WAKE_OP = 5;
var FUTEX_PRIVATE_FLAG = 128;
var FUTEX_CLOCK_REALTIME = 256;
var FUTEX_CMD_MASK = ~(FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME);
var FUTEX_OP_OR = 2;
var FUTEX_OP_ARG_SHIFT = 8;
var RobustListHead = struct('robust_list_head', 24, { list: u64, futex_offset: u64, list_op_pending: u64 });
var FutexWaitv = struct('futex_waitv', 24, { val: u64, uaddr: len64, flags: u32, __reserved: u32 });

// platforms/ptrace/injection.ts
var THREAD_LOST = -1e5;
function inject(pid, nr, a0 = 0, a1 = 0, a2 = 0, a3 = 0, a4 = 0, a5 = 0) {
  return native.ptraceInject(pid, STUB_BASE, nr, a0, a1, a2, a3, a4, a5);
}
function injectClone(pid, flags) {
  return native.ptraceClone(pid, STUB_BASE, flags);
}
var ANONYMOUS_FLAGS = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE;
function fileFlags(shared) {
  return MAP_FIXED | (shared ? MAP_SHARED : MAP_PRIVATE);
}
function setBitOperation(bit) {
  return (((FUTEX_OP_ARG_SHIFT | FUTEX_OP_OR) << 28) | (bit << 12)) >>> 0;
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

// platforms/kvm/layout.ts
var MAX_THREADS = 8192;
var RING_SIZE = 2 * MAX_THREADS;
var W_HEAD = 0;
var W_TAIL = 1;
var W_RING = 1024;
var W_SLOTS = W_RING + RING_SIZE;
var SLOT_WORDS = 64;
var S_KIND = 0;
var S_SIGNAL = 1;
var S_CODE = 2;
var S_ADDRESS = 4;
var S_NUMBER = 6;
var S_REGISTERS = 8;
var KIND_CALL = 1;
var KIND_FAULT = 2;
var KIND_INTERRUPT = 3;
var COPY_WRITE = 1;
var COPY_FORCED = 2;
var LOSSES = [
  '?',
  'the processor shut down',
  'the host refuses the registers',
  'the host failed to emulate',
  'an exception in ring 0',
  'an unexpected exit',
  'no memory',
  'the host refuses a call',
  'a page fault without a reason',
];

// platforms/kvm/kvm_space.ts
var MEMBARRIER_CMD_PRIVATE_EXPEDITED = 8;
var MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE = 32;
var KvmSpace = class {
  vdsoBase;
  threads = /* @__PURE__ */ new Set();
  /** Its number in the addon; -1 when it is gone. */
  index;
  platform;
  pages = new Float64Array(2);
  constructor(platform2, index, vdsoBase) {
    this.platform = platform2;
    this.index = index;
    this.vdsoBase = vdsoBase;
  }
  mapAnonymous(_via, address, length, prot) {
    if (!inRange(address, length)) return EINVAL;
    return native.kvmMap(this.index, address, length, prot);
  }
  mapFile(_via, address, length, prot, shared, hostFd, offset) {
    if (!inRange(address, length) || !(offset >= 0) || offset % PAGE_SIZE !== 0) return EINVAL;
    return native.kvmMapFile(this.index, address, length, prot, shared ? 1 : 0, hostFd, offset);
  }
  unmap(_via, address, length) {
    if (!inRange(address, length)) return EINVAL;
    return native.kvmUnmap(this.index, address, length);
  }
  protect(_via, address, length, prot) {
    if (!inRange(address, length)) return EINVAL;
    return native.kvmProtect(this.index, address, length, prot);
  }
  move(_via, from, oldLength, to, newLength, keepSource) {
    if (!inRange(from, oldLength) || !inRange(to, newLength)) return EINVAL;
    if (to === from) return native.kvmGrow(this.index, from, oldLength, newLength);
    if (from < to + newLength && to < from + oldLength) return EINVAL;
    return native.kvmMove(this.index, from, oldLength, to, newLength, keepSource ? 1 : 0);
  }
  advise(_via, address, length, advice) {
    if (!inRange(address, length)) return EINVAL;
    return native.kvmAdvise(this.index, address, length, advice);
  }
  setBit(via, address, bit) {
    return this.changeWord(via, address, setBitOperation(bit));
  }
  changeWord(_via, address, operation) {
    if (!(address >= 0) || address >= STUB_BASE) return EFAULT;
    return native.kvmChangeWord(this.index, address, operation);
  }
  /** Commands other than registrations, which need nothing here. */
  membarrier(_via, command) {
    if (command === MEMBARRIER_CMD_PRIVATE_EXPEDITED || command === MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE)
      native.kvmBarrier(this.index);
    return 0;
  }
  read(address, into, offset, count) {
    return this.copy(address, into, offset, count, 0);
  }
  write(address, from, offset, count) {
    return this.copy(address, from, offset, count, COPY_WRITE);
  }
  readForced(address, into, offset, count) {
    return this.copy(address, into, offset, count, COPY_FORCED);
  }
  writeForced(address, from, offset, count) {
    return this.copy(address, from, offset, count, COPY_WRITE | COPY_FORCED);
  }
  copy(address, view, offset, count, flags) {
    if (!(address >= 0 && address < 2 ** 47)) return EFAULT;
    return native.kvmCopy(this.index, address, view, offset, count, flags);
  }
  fork(via) {
    const index = native.kvmFork(this.index);
    if (index < 0) return index;
    return this.platform.firstThread(index, via);
  }
  newThread(via) {
    return this.addThread(via);
  }
  /** source: whose state it gets; null: the initial one. */
  addThread(source) {
    const index = native.kvmThread(this.index, source === null ? -1 : source.index);
    if (index < 0) return index;
    const thread = this.platform.adopt(this, index);
    this.threads.add(thread);
    if (source !== null) thread.takeStopOf(source);
    return thread;
  }
  release() {
    if (this.index < 0) return;
    native.kvmRelease(this.index);
    this.index = -1;
    for (const thread of this.threads) thread.abandon();
    this.threads.clear();
    this.platform.spaces.delete(this);
  }
  resident() {
    this.pages.fill(0);
    native.kvmPages(this.index, this.pages);
    const [anonymous, file] = this.pages;
    return { total: (anonymous + file) * PAGE_SIZE, shared: file * PAGE_SIZE };
  }
};
function inRange(address, length) {
  return address >= MIN_ADDRESS && length > 0 && address + length <= STUB_BASE && address % PAGE_SIZE === 0;
}

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
  u64;
  u32;
  /** Of its own, or as they lie in a buffer that the platform shares with others. */
  constructor(buffer = new ArrayBuffer(REGISTER_COUNT * 8), offset = 0) {
    this.u64 = new BigUint64Array(buffer, offset, REGISTER_COUNT);
    this.u32 = new Uint32Array(buffer, offset, REGISTER_COUNT * 2);
  }
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

// platforms/kvm/kvm_thread.ts
var USER_CS = 0x33n;
var USER_SS = 0x2bn;
var BASE_LIMIT = 0x7ffffffff000n;
var ARGUMENTS = [REG.rdi, REG.rsi, REG.rdx, REG.r10, REG.r8, REG.r9];
var MAX_XSTATE = 4096;
var KvmThread = class {
  data = null;
  sysno = -1;
  args = new Uint32Array(12);
  space;
  /** Its number in the addon. */
  index;
  /** Its slot's first word. */
  at;
  running = false;
  /** Nobody hears of it any more; if it still runs, its last event frees it. */
  dead = false;
  interruptWanted = false;
  platform;
  regs;
  constructor(platform2, space, index) {
    this.platform = platform2;
    this.space = space;
    this.index = index;
    this.at = W_SLOTS + index * SLOT_WORDS;
    this.regs = new Registers(platform2.buffer, (this.at + S_REGISTERS) * 4);
  }
  /** Reads number and arguments of a call from the slot. */
  takeCall() {
    const { u32: u322 } = this.regs;
    this.sysno = this.platform.words[this.at + S_NUMBER];
    if (this.sysno === -1) {
      this.args.fill(0);
      return;
    }
    for (let i = 0; i < 6; i++) {
      const word = ARGUMENTS[i] * 2;
      this.args[i * 2] = u322[word];
      this.args[i * 2 + 1] = u322[word + 1];
    }
  }
  /** A copy of `other` that has just come to be: same stop, same registers. */
  takeStopOf(other) {
    this.sysno = other.sysno;
    this.args.set(other.args);
    this.regs.copyFrom(other.regs);
  }
  registers() {
    return this.regs;
  }
  /** They are where they belong already. The addon lets no flag or address through that an application may not have. */
  setRegisters() {
    const { u64: u642 } = this.regs;
    u642[REG.cs] = USER_CS;
    u642[REG.ss] = USER_SS;
    if (u642[REG.fs_base] >= BASE_LIMIT) u642[REG.fs_base] = 0n;
    if (u642[REG.gs_base] >= BASE_LIMIT) u642[REG.gs_base] = 0n;
  }
  xstate() {
    const image = new Uint8Array(MAX_XSTATE);
    return image.subarray(0, this.dead ? 0 : native.kvmGetXstate(this.index, image)).slice();
  }
  setXstate(image) {
    return !this.dead && native.kvmSetXstate(this.index, image) === 1;
  }
  resumeWithResult(result) {
    this.regs.set(REG.rax, result);
    this.go(0);
  }
  resume() {
    this.go(0);
  }
  resumeSingleStep() {
    this.go(1);
  }
  go(step) {
    if (this.dead) return;
    this.running = true;
    this.platform.resumed();
    native.kvmResume(this.index, step);
  }
  interrupt() {
    if (!this.running || this.dead) return;
    this.interruptWanted = true;
    native.kvmInterrupt(this.index);
  }
  cpuTime() {
    return this.dead ? 0 : native.kvmCpuTime(this.index);
  }
  exit() {
    if (this.dead) return;
    this.space.threads.delete(this);
    if (this.running) native.kvmInterrupt(this.index);
    this.abandon();
  }
  /** Its slot is another's as soon as the addon has no event of it any more. */
  abandon() {
    this.dead = true;
    const last2 = new Registers();
    if (!this.running) {
      last2.copyFrom(this.regs);
      this.platform.free(this);
    }
    this.regs = last2;
  }
};

// platforms/kvm/kvm_platform.ts
var BUSY_ROUNDS = 16;
var VCPUS_PER_CPU = 4;
var LEAST_VCPUS = 8;
var KvmPlatform = class {
  name = 'kvm';
  minAddress = MIN_ADDRESS;
  maxAddress = STUB_BASE;
  spaces = /* @__PURE__ */ new Set();
  /** struct shared. */
  buffer;
  words;
  host;
  poll;
  vdsoBase;
  /** By index in the addon. */
  threads = [];
  busyRounds = 0;
  /** @throws Error with what the host refuses. */
  constructor(options) {
    this.host = options.host;
    this.poll = options.poll;
    const { report, deviceFd } = options;
    if (report.entry === 0) throw new Error(`platform kvm: ${report.message}`);
    const vdso = report.sameClock ? findVdso(options.host, options.procFd) : { start: 0, code: 0, end: 0 };
    const cpus = cpuCount(options.host);
    const vcpus = Math.max(LEAST_VCPUS, cpus * VCPUS_PER_CPU);
    const opened = native.kvmOpen(deviceFd, report.entry, report.paging, vcpus, vdso.start, vdso.code, vdso.end, VDSO_PLACE);
    if (typeof opened === 'number') throw new Error(`platform kvm: cannot make the virtual machine: errno ${-opened}`);
    this.buffer = opened;
    this.words = new Int32Array(opened);
    this.vdsoBase = native.kvmVdso();
  }
  newAddressSpace() {
    const index = native.kvmSpace();
    return index < 0 ? index : this.firstThread(index, null);
  }
  /** The one thread of a space that the addon has just made. */
  firstThread(index, source) {
    const space = new KvmSpace(this, index, this.vdsoBase);
    this.spaces.add(space);
    const thread = space.addThread(source);
    if (typeof thread === 'number') space.release();
    return thread;
  }
  adopt(space, index) {
    const thread = new KvmThread(this, space, index);
    this.threads[index] = thread;
    return thread;
  }
  /** A thread that the addon has no event of. */
  free(thread) {
    this.threads[thread.index] = void 0;
    native.kvmThreadFree(thread.index);
  }
  resumed() {}
  wait(events, deadline) {
    if (this.take(events) > 0) {
      if (++this.busyRounds >= BUSY_ROUNDS) {
        this.busyRounds = 0;
        native.kvmPreempt();
        this.poll.wait(0);
      }
      return;
    }
    this.busyRounds = 0;
    const readable = native.kvmWait(this.poll.fd, this.timeoutUntil(deadline));
    this.take(events);
    if (readable !== 0) this.poll.wait(0);
  }
  timeoutUntil(deadline) {
    if (deadline === 0) return 0;
    if (deadline === Number.POSITIVE_INFINITY) return -1;
    return Math.max(0, deadline - this.host.monotonicNow());
  }
  /** Handles the events that are in the ring, once each. How many. */
  take(events) {
    const { words } = this;
    let tail = words[W_TAIL];
    const count = (Atomics.load(words, W_HEAD) - tail) | 0;
    for (let left = count; left > 0; left--) {
      const index = words[W_RING + ((tail >>> 0) % RING_SIZE)];
      tail = (tail + 1) | 0;
      Atomics.store(words, W_TAIL, tail);
      this.handleSafely(events, this.threads[index]);
    }
    return count;
  }
  /** Whatever a thread has done, it costs that thread's process at most. */
  handleSafely(events, thread) {
    try {
      this.handle(events, thread);
    } catch (e) {
      if (thread.dead) return;
      thread.space.threads.delete(thread);
      thread.abandon();
      events.exited(thread, `an event of it cannot be handled: ${e.message}`);
    }
  }
  handle(events, thread) {
    const { words } = this;
    const at = thread.at;
    thread.running = false;
    if (thread.dead) {
      this.free(thread);
      return;
    }
    const wanted = thread.interruptWanted;
    thread.interruptWanted = false;
    switch (words[at + S_KIND]) {
      case KIND_CALL:
        thread.takeCall();
        events.syscall(thread);
        return;
      case KIND_FAULT: {
        const low = words[at + S_ADDRESS] >>> 0;
        const high = words[at + S_ADDRESS + 1] >>> 0;
        events.fault(thread, words[at + S_SIGNAL], words[at + S_CODE], high * 4294967296 + low);
        return;
      }
      case KIND_INTERRUPT:
        if (wanted) events.interrupted(thread);
        else thread.resume();
        return;
      default:
        thread.space.threads.delete(thread);
        thread.abandon();
        events.exited(thread, LOSSES[words[at + S_NUMBER]] ?? '?');
    }
  }
  shutdown() {
    for (const space of [...this.spaces]) space.release();
    native.kvmClose();
  }
};
function findVdso(host2, procFd2) {
  const parts = readHostMaps(host2, procFd2, process.pid).filter((m) => m.name === '[vdso]' || m.name.startsWith('[vvar'));
  const code = parts.find((m) => m.name === '[vdso]');
  const joined = parts.every((m, i) => i === 0 || parts[i - 1]?.end === m.start);
  if (code === void 0 || !joined) return { start: 0, code: 0, end: 0 };
  return { start: parts[0].start, code: code.start, end: code.end };
}
var SCHED_GETAFFINITY = 204;
function cpuCount(host2) {
  const mask = new Uint8Array(128);
  if (host2.syscall(SCHED_GETAFFINITY, 0, mask.length, mask) < 0) return 1;
  let count = 0;
  for (const byte of mask) for (let bits = byte; bits > 0; bits >>= 1) count += bits & 1;
  return count;
}

// abi/signal.ts
var SIGILL = 4;
var SIGTRAP = 5;
var SIGBUS = 7;
var SIGFPE = 8;
var SIGSEGV = 11;
var SIGNAL_NAMES =
  'HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS'.split(
    ' ',
  );

// platforms/hot_callers.ts
var HOT_CALLS = 250;
var COOL_CALLS = 100;
var WORTH = 1.4;
var TRIAL_TICKS = 2;
var FIRST_PAUSE = 40;
var LONGEST_PAUSE = 4e3;
var MOST_HOT = 3;
var SPIN_CYCLES = 12e4;
var SPIN_NS = 4e4;
var Heat = class {
  /** The CPU it has to itself; -1: it is not hot. */
  cpu = -1;
  /** Ticks that the trial still takes; 0: it has passed. */
  trial = 0;
  callsAtHome = 0;
  coldUntil = 0;
  pause = FIRST_PAUSE;
};
var HotCallers = class {
  hot = [];
  cpus;
  /** cpus: all that we may use. */
  constructor(cpus) {
    this.cpus = cpus;
  }
  /** Whether the kernel thread should look again before it sleeps. */
  get expecting() {
    for (const thread of this.hot) if (thread.running) return true;
    return false;
  }
  get any() {
    return this.hot.length > 0;
  }
  /**
   * Once a tick for each thread that runs at home and made `calls` calls in it. computing: threads that run elsewhere. The CPU to move it to,
   * or -1.
   */
  consider(thread, calls, tick, home, computing) {
    const { heat } = thread.placement;
    if (calls < HOT_CALLS || tick < heat.coldUntil || this.hot.length >= MOST_HOT) return -1;
    if (this.hot.length + computing + 1 >= this.cpus.length) return -1;
    const cpu = this.cpus.find((c) => c !== home && !this.hot.some((h) => h.placement.heat.cpu === c));
    if (cpu === void 0) return -1;
    heat.cpu = cpu;
    heat.trial = TRIAL_TICKS;
    heat.callsAtHome = calls;
    this.hot.push(thread);
    return cpu;
  }
  /** Once a tick for each hot thread that runs. False: it goes back home. */
  judge(thread, calls, tick) {
    const { heat } = thread.placement;
    if (heat.trial > 0 && --heat.trial > 0) return true;
    const inTrial = heat.callsAtHome > 0;
    const enough = inTrial ? calls >= heat.callsAtHome * WORTH : calls >= COOL_CALLS;
    if (enough) {
      heat.callsAtHome = 0;
      return true;
    }
    heat.pause = inTrial ? Math.min(heat.pause * 2, LONGEST_PAUSE) : FIRST_PAUSE;
    heat.coldUntil = tick + heat.pause;
    this.drop(thread);
    return false;
  }
  /** It ended, or goes home. */
  drop(thread) {
    const at = this.hot.indexOf(thread);
    if (at >= 0) this.hot.splice(at, 1);
    thread.placement.heat.cpu = -1;
  }
};

// platforms/cpu_placement.ts
var TICK = 5e6;
var ROUNDS_PER_CLOCK = 16;
var CALLS_TO_COME_HOME = 8;
var CONTENDED_TICKS = 4;
var CALLS_TO_STAY = 50;
var AWAY_TICKS = 100;
var TICKS_PER_CHOICE = 100;
var SCHED_SETAFFINITY = 203;
var SCHED_GETAFFINITY2 = 204;
var GETCPU = 309;
var MASK_BYTES = 128;
var ThreadPlacement = class {
  /** Kept on this CPU; -1: free. */
  cpu;
  stops = 0;
  stopsAtTick = 0;
  /** It comes home at its next stop. */
  returning = false;
  /** Tick before which it stays free. */
  awayUntil = 0;
  heat = new Heat();
  constructor(cpu) {
    this.cpu = cpu;
  }
};
var CpuPlacement = class {
  /** The kernel thread's CPU; new stub processes inherit it. */
  home = -1;
  host;
  threads;
  allowed = new Uint8Array(MASK_BYTES);
  mask = new Uint8Array(MASK_BYTES);
  rounds = 0;
  tick = 0;
  lastTick = 0;
  contended = 0;
  ticksOnCpu = 0;
  /** No thread runs at home, as far as the last look and the resumes since say. */
  quiet = true;
  /** Null where the platform cannot spin. */
  hot;
  /** threads: all of the platform's that run, or more, iterated once a tick. spins: stubs can wait awake. Pins the calling thread. */
  constructor(host2, threads, spins) {
    this.host = host2;
    this.threads = threads;
    host2.syscall(SCHED_GETAFFINITY2, 0, MASK_BYTES, this.allowed);
    this.hot = spins ? new HotCallers(cpusOf(this.allowed)) : null;
    this.choose();
  }
  /** A thread cloned from `parent` (null: started by the kernel thread) has its CPU. */
  started(parent) {
    return new ThreadPlacement(parent === null ? this.home : parent.placement.cpu);
  }
  /** At each stop. */
  stopped(thread) {
    const placement = thread.placement;
    placement.stops++;
    if (this.home < 0 || placement.heat.cpu >= 0) return;
    if (placement.returning || (placement.cpu >= 0 && placement.cpu !== this.home)) {
      placement.returning = false;
      this.place(thread, this.home);
    }
  }
  resumed() {
    this.quiet = false;
  }
  /** `deadline` (CLOCK_MONOTONIC ns), or the time before it by which a round must come so that the ticks go on. */
  deadline(deadline) {
    return this.quiet ? deadline : Math.min(deadline, this.lastTick + TICK);
  }
  /** After each wait. idle: it ended without an event. */
  round(idle) {
    if (!idle && ++this.rounds < ROUNDS_PER_CLOCK) return;
    this.rounds = 0;
    const now = this.host.monotonicNow();
    if (now - this.lastTick < TICK * 0.9) return;
    const gap = now - this.lastTick;
    this.lastTick = now;
    if (gap < 2 * TICK) this.look();
    else for (const thread of this.threads) thread.placement.stopsAtTick = thread.placement.stops;
  }
  look() {
    this.tick++;
    let atHome = 0;
    let rarest = null;
    let fewest = CALLS_TO_STAY;
    let computing = 0;
    this.quiet = true;
    for (const thread of this.threads) {
      const p = thread.placement;
      const calls = p.stops - p.stopsAtTick;
      p.stopsAtTick = p.stops;
      if (p.heat.cpu >= 0) {
        if (thread.running) this.judge(thread, calls);
      } else if (p.cpu < 0) {
        if (thread.running && calls < CALLS_TO_COME_HOME) computing++;
        p.returning = calls >= CALLS_TO_COME_HOME && this.tick >= p.awayUntil;
      } else if (thread.running) {
        if (calls === 0) {
          this.place(thread, -1);
          continue;
        }
        this.quiet = false;
        atHome++;
        this.consider(thread, calls, computing);
        if (calls < fewest) {
          fewest = calls;
          rarest = thread;
        }
      }
    }
    this.contended = atHome >= 2 ? this.contended + 1 : 0;
    if (this.contended >= CONTENDED_TICKS && rarest !== null) {
      this.contended = 0;
      rarest.placement.awayUntil = this.tick + AWAY_TICKS;
      this.place(rarest, -1);
    }
    if (++this.ticksOnCpu >= TICKS_PER_CHOICE && !this.hot?.any) {
      this.ticksOnCpu = 0;
      if (this.home >= 0) this.setMask(0, this.allowed);
      this.home = -1;
    } else if (this.home < 0) {
      this.choose();
    }
  }
  /** A thread that calls very often may get a CPU of its own. */
  consider(thread, calls, computing) {
    if (this.hot === null || this.home < 0) return;
    const cpu = this.hot.consider(thread, calls, this.tick, this.home, computing);
    if (cpu >= 0) this.place(thread, cpu);
  }
  judge(thread, calls) {
    this.quiet = false;
    if (this.hot?.judge(thread, calls, this.tick) === false) thread.placement.returning = true;
  }
  /** It runs no more. */
  ended(thread) {
    this.hot?.drop(thread);
  }
  choose() {
    const cpu = new Uint32Array(1);
    if (this.host.syscall(GETCPU, cpu, null, null) < 0) return;
    this.home = cpu[0];
    this.setMask(0, this.only(this.home));
  }
  place(thread, cpu) {
    thread.placement.cpu = cpu;
    this.setMask(thread.tid, cpu < 0 ? this.allowed : this.only(cpu));
  }
  only(cpu) {
    this.mask.fill(0);
    const byte = (cpu >> 3) % MASK_BYTES;
    this.mask[byte] = 1 << (cpu & 7);
    return this.mask;
  }
  /** An error (a CPU taken away, the thread gone) leaves the thread where it is: slower, not wrong. */
  setMask(tid, mask) {
    this.host.syscall(SCHED_SETAFFINITY, tid, MASK_BYTES, mask);
  }
};
function cpusOf(mask) {
  const cpus = [];
  for (let cpu = 0; cpu < mask.length * 8; cpu++) if ((mask[cpu >> 3] & (1 << (cpu & 7))) !== 0) cpus.push(cpu);
  return cpus;
}

// platforms/host_proc.ts
var O_RDONLY_CLOEXEC = 524288;
var O_WRONLY_CLOEXEC = 524289;
var HOST_PAGE = 4096;
var OOM_ADJ_MAX = 1e3;
var OOM_MARGIN = 500;
var HostProc = class {
  fd;
  host;
  bytes = new Uint8Array(256);
  /** Of this process: applications' are higher. */
  ownOomScore = null;
  /** fd: a directory of a procfs that shows this process's children. */
  constructor(host2, fd) {
    this.host = host2;
    this.fd = fd;
  }
  /** CPU time of one thread, ns (proc_pid_schedstat). */
  cpuTime(pid, tid) {
    return Number(this.read(`${pid}/task/${tid}/schedstat`).split(' ')[0]) || 0;
  }
  /** Bytes (proc_pid_statm(5)); shared: of files and shared memory. */
  resident(pid) {
    const fields = this.read(`${pid}/statm`).split(' ');
    return { total: (Number(fields[1]) || 0) * HOST_PAGE, shared: (Number(fields[2]) || 0) * HOST_PAGE };
  }
  /** How soon the host ends the process when memory is short: as the application wants it, but always before this process. */
  setOomScore(pid, wanted) {
    this.ownOomScore ??= Number(this.read('self/oom_score_adj')) || 0;
    const fd = this.host.openat(this.fd, `${pid}/oom_score_adj`, O_WRONLY_CLOEXEC);
    if (fd < 0) return;
    this.host.write(fd, Buffer.from(String(Math.min(OOM_ADJ_MAX, Math.max(wanted, this.ownOomScore + OOM_MARGIN)))));
    this.host.close(fd);
  }
  /** /proc/PID/pagemap from byte `offset` on: bytes, or an errno. */
  pagemap(pid, offset, into, count) {
    const fd = this.host.openat(this.fd, `${pid}/pagemap`, O_RDONLY_CLOEXEC);
    if (fd < 0) return fd;
    const n = this.host.pread(fd, into, 0, count, offset);
    this.host.close(fd);
    return n;
  }
  /** /proc/PID/mem, read and write, or an errno. */
  openMemory(pid) {
    return this.host.openat(this.fd, `${pid}/mem`, O_RDONLY_CLOEXEC | 2);
  }
  read(path) {
    const fd = this.host.openat(this.fd, path, O_RDONLY_CLOEXEC);
    if (fd < 0) return '';
    const n = this.host.read(fd, this.bytes);
    this.host.close(fd);
    return n > 0 ? Buffer.from(this.bytes.subarray(0, n)).toString('latin1') : '';
  }
};

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
  futex: 202,
  sched_setaffinity: 203,
  tgkill: 234,
  eventfd2: 290,
  prlimit64: 302,
  membarrier: 324,
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
    for (const fd of this.host.receiveWithFds(this.theirs, new Uint8Array(1), MSG_DONTWAIT).fds) this.host.close(fd);
  }
  close() {
    this.host.close(this.ours);
    this.host.close(this.theirs);
  }
};
function receiveMessage() {
  const bytes = new Uint8Array(SIZE);
  const view = new DataView(bytes.buffer);
  setLen64(view, MSGHDR + 16, STUB_SCRATCH + IOVEC);
  setLen64(view, MSGHDR + 24, 1);
  setLen64(view, MSGHDR + 32, STUB_SCRATCH + CONTROL);
  setLen64(view, MSGHDR + 40, 24);
  setLen64(view, IOVEC, STUB_SCRATCH + PAYLOAD);
  setLen64(view, IOVEC + 8, 1);
  return bytes;
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
var MAX_XSTATE2 = 16384;
var Tracer = class {
  host;
  xstateScratch = new Uint8Array(MAX_XSTATE2);
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
var USER_CS2 = 0x33n;
var USER_DS = 0x2bn;
var NO_CALL = 0xffffffffffffffffn;
var BASE_LIMIT2 = 0x7ffffffff000n;
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
  placement;
  platform;
  regs = new Registers();
  registersValid = false;
  /** At a system-call stop the host's rax is -ENOSYS; the number is in `numberLow` and `numberHigh` until rax is set. */
  atCall = false;
  numberLow = 0;
  numberHigh = 0;
  constructor(platform2, space, tid, parent) {
    this.platform = platform2;
    this.space = space;
    this.tid = tid;
    this.placement = platform2.placement.started(parent);
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
    u642[REG.cs] = USER_CS2;
    u642[REG.ss] = USER_DS;
    u642[REG.orig_rax] = NO_CALL;
    u642[REG.eflags] = u642[REG.eflags] | 0x200n;
    if (u642[REG.fs_base] >= BASE_LIMIT2) u642[REG.fs_base] = 0n;
    if (u642[REG.gs_base] >= BASE_LIMIT2) u642[REG.gs_base] = 0n;
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
    this.platform.placement.resumed();
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
  clone(flags) {
    return this.checked(injectClone(this.tid, flags));
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
    if (!inRange2(address, length)) return EINVAL;
    return done(via.call(HOST_CALL.mmap, address, length, prot, ANONYMOUS_FLAGS, -1, 0));
  }
  mapFile(via, address, length, prot, shared, hostFd, offset) {
    if (!inRange2(address, length)) return EINVAL;
    const thread = via;
    const sent = thread.checked(this.platform.channel.send(thread.tid, hostFd));
    if (sent < 0) return sent;
    const mapped = thread.call(HOST_CALL.mmap, address, length, prot, fileFlags(shared), STUB_RECEIVED, offset);
    thread.call(HOST_CALL.close, STUB_RECEIVED);
    return done(mapped);
  }
  unmap(via, address, length) {
    if (!inRange2(address, length)) return EINVAL;
    return done(via.call(HOST_CALL.munmap, address, length));
  }
  protect(via, address, length, prot) {
    if (!inRange2(address, length)) return EINVAL;
    return done(via.call(HOST_CALL.mprotect, address, length, prot));
  }
  move(via, from, oldLength, to, newLength, keepSource) {
    if (!inRange2(from, oldLength) || !inRange2(to, newLength)) return EINVAL;
    const flags = to === from ? 0 : MREMAP_MAYMOVE | MREMAP_FIXED | (keepSource ? MREMAP_DONTUNMAP : 0);
    return done(via.call(HOST_CALL.mremap, from, oldLength, newLength, flags, to));
  }
  advise(via, address, length, advice) {
    if (!inRange2(address, length)) return EINVAL;
    return done(via.call(HOST_CALL.madvise, address, length, advice));
  }
  changeWord(via, address, operation) {
    if (address >= STUB_BASE) return EFAULT;
    return done(via.call(HOST_CALL.futex, address, FUTEX_WAKE_OP, 0, 0, address, operation));
  }
  membarrier(via, command) {
    return done(via.call(HOST_CALL.membarrier, command, 0));
  }
  setBit(via, address, bit) {
    if (address >= STUB_BASE) return EFAULT;
    return done(via.call(HOST_CALL.futex, address, FUTEX_WAKE_OP, 0, 0, address, setBitOperation(bit)));
  }
  read(address, into, offset, count) {
    return native.readProcess(this.anyTid(), address, into, offset, count);
  }
  write(address, from, offset, count) {
    if (address >= STUB_BASE) return EFAULT;
    return native.writeProcess(this.anyTid(), address, from, offset, Math.min(count, STUB_BASE - address));
  }
  readForced(address, into, offset, count) {
    const fd = this.openMem();
    return fd < 0 ? EFAULT : transferred(this.platform.host.pread(fd, into, offset, count, address));
  }
  writeForced(address, from, offset, count) {
    const fd = this.openMem();
    if (fd < 0 || address >= STUB_BASE) return EFAULT;
    return transferred(this.platform.host.pwrite(fd, from, offset, Math.min(count, STUB_BASE - address), address));
  }
  /** A leader that has exited has no memory, so any living thread names the space. */
  anyTid() {
    for (const thread of this.threads) return thread.tid;
    return this.pid;
  }
  openMem() {
    if (this.memFd < 0 && !this.released) {
      const fd = this.platform.host.openat(this.platform.proc.fd, `${this.anyTid()}/mem`, O_RDWR_CLOEXEC);
      if (fd >= 0) this.memFd = fd;
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
    const thread = this.platform.adopt(new PtraceThread(this.platform, this, tid, source));
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
  setOomScore(wanted) {
    this.platform.proc.setOomScore(this.pid, wanted);
  }
  pagemap(offset, into, count) {
    return this.platform.proc.pagemap(this.pid, offset, into, count);
  }
  resident() {
    return this.platform.proc.resident(this.anyTid());
  }
};
function inRange2(address, length) {
  return address >= MIN_ADDRESS && length > 0 && address + length <= STUB_BASE && address % PAGE_SIZE === 0;
}
function done(result) {
  return result < 0 ? result : 0;
}
function transferred(result) {
  return result <= 0 ? EFAULT : result;
}

// platforms/ptrace/seed.ts
var VSYSCALL = 18446744073699066e3;
function startSeed(host2, procFd2, stubFd, socketFd) {
  const pid = native.spawnStub(stubFd, socketFd);
  if (pid < 0) throw new Error(`ptrace platform: cannot start the stub: errno ${-pid}`);
  try {
    attach(host2, pid);
    return { pid, vdsoBase: clearAddressSpace(readHostMaps(host2, procFd2, pid), pid) };
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
  const flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
  must('mmap', inject(pid, HOST_CALL.mmap, STUB_SCRATCH, PAGE_SIZE, PROT_READ | PROT_WRITE, flags, -1));
  return vdsoBase;
}

// platforms/ptrace/ptrace_platform.ts
var BUSY_ROUNDS2 = 16;
var PtracePlatform = class {
  name = 'ptrace';
  minAddress = MIN_ADDRESS;
  maxAddress = STUB_BASE;
  host;
  proc;
  tracer;
  channel;
  placement;
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
    this.proc = new HostProc(options.host, options.procFd);
    this.tracer = new Tracer(options.host);
    this.channel = new DescriptorChannel(options.host);
    this.childFd = native.childEventFd();
    if (this.childFd < 0) throw new Error(`signalfd: errno ${-this.childFd}`);
    this.placement = new CpuPlacement(options.host, { [Symbol.iterator]: () => this.threads.values() }, false);
    this.seed = startSeed(options.host, options.procFd, options.stubFd, this.channel.theirs);
    this.proc.setOomScore(this.seed.pid, 0);
    this.seedThread = new PtraceThread(this, new PtraceSpace(this, this.seed.pid, this.seed.vdsoBase), this.seed.pid, null);
  }
  newAddressSpace() {
    const thread = this.forkFrom(this.seedThread, FORK_FLAGS);
    if (typeof thread === 'number') return thread;
    thread.registers().u64.fill(0n);
    thread.setRegisters();
    return thread;
  }
  forkFrom(via, flags) {
    const pid = via.clone(flags);
    if (pid < 0) return pid;
    const thread = this.adopt(new PtraceThread(this, new PtraceSpace(this, pid, this.seed.vdsoBase), pid, via));
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
    if (thread !== this.seedThread) this.lost.push({ thread, cause });
  }
  wait(events, deadline) {
    if (this.lost.length > 0) {
      const lost = this.lost;
      this.lost = [];
      for (const { thread, cause } of lost) events.exited(thread, cause);
      return;
    }
    const r = native.ptraceWait(this.childFd, this.poll.fd, this.timeoutUntil(this.placement.deadline(deadline)), this.stops);
    if (r < 0) throw new Error(`ptraceWait: errno ${-r}`);
    const count = r & (POLL_READABLE - 1);
    for (let at = 0; at < count * STOP_WORDS; at += STOP_WORDS) this.handleSafely(events, at);
    if (r >= POLL_READABLE || (count > 0 && ++this.busyRounds >= BUSY_ROUNDS2)) {
      this.busyRounds = 0;
      this.poll.wait(0);
    }
    this.placement.round(r === 0);
  }
  /** ns for ptraceWait. */
  timeoutUntil(deadline) {
    if (deadline === 0) return 0;
    if (deadline === Number.POSITIVE_INFINITY) return -1;
    return Math.max(0, deadline - this.host.monotonicNow());
  }
  /** Whatever a process has done, it costs that process at most. */
  handleSafely(events, at) {
    try {
      this.handle(events, at);
    } catch (e) {
      const thread = this.threads.get(this.stops[at + STOP_PID]);
      if (thread === void 0) throw e;
      this.host.kill(thread.space.pid, 9);
      if (!thread.dead) this.lost.push({ thread, cause: `broken platform: ${e.stack ?? e}` });
    }
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
      this.placement.stopped(thread);
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
    return this.proc.cpuTime(thread.space.pid, thread.tid);
  }
  shutdown() {
    const spaces = /* @__PURE__ */ new Set([this.seedThread.space]);
    for (const thread of this.threads.values()) spaces.add(thread.space);
    for (const space of spaces) space.release();
    const status = new Int32Array(1);
    for (const space of spaces) this.host.syscall(HOST_CALL.wait4, space.pid, status, __WALL, null);
    this.channel.close();
  }
};

// platforms/systrap/layout.ts
var STUB_CODE_END = STUB_BASE + 65536;
var STUB_CODE = { start: STUB_BASE, end: STUB_CODE_END };
var STUB_END = STUB_BASE + 268435456;
var SLOTS = STUB_BASE + 16777216;
var SLOT_SIZE = 4096;
var SLOT_WORDS2 = SLOT_SIZE / 4;
var MAX_THREADS2 = 4096;
var STACK_SIZE = 32768;
var SLOTS_LENGTH = MAX_THREADS2 * SLOT_SIZE;
var STATE_POSTED = 1;
var STATE_SLEEPING = 2;
var STATE_REPLY = 3;
var STATE_GONE = 5;
var KIND_SYSCALL = 1;
var KIND_FAULT2 = 2;
var KIND_INTERRUPT2 = 3;
var KIND_BROKEN_FRAME = 5;
var OP_HOST = 0;
var OP_MAP_FILE = 1;
var OP_THREAD = 2;
var OP_FORK = 3;
var OP_STATE = 4;
var OP_ADVISE = 5;
var REPLY_RESULT = 1;
var REPLY_REGISTERS = 2;
var REPLY_EXIT = 4;
var REPLY_UNWIND = 8;
var REPLY_FRAME = 16;
var W_STATE = 0;
var W_KIND = 64 / 4;
var W_CODE = 68 / 4;
var W_SIGNAL = 72 / 4;
var W_KICK = 76 / 4;
var W_ADDRESS = 80 / 4;
var W_FPSTATE = 88 / 4;
var W_REGS = 96 / 4;
var W_FLAGS = 320 / 4;
var W_COMMAND_COUNT = 324 / 4;
var W_RESULT = 328 / 4;
var W_SPIN = 336 / 4;
var W_NONCE = 352 / 4;
var NONCE_WORDS = 4;
var W_COMMANDS = 384 / 4;
var COMMAND_WORDS = 16;
var MAX_COMMANDS = 48;
var C_NR = 1;
var C_ARGS = 2;
var C_RESULT = 14;
var W_FRAME = 3456 / 4;
var F_HANDLER = 0;
var F_RESTORER = 2;
var F_MASK = 4;
var F_STACK = 6;
var F_STACK_FLAGS = 8;
var F_STACK_SIZE = 10;
var F_SIGNAL = 12;
var F_ON_STACK = 13;
var F_ERR = 14;
var F_TRAPNO = 16;
var F_CR2 = 18;
var F_INFO = 20;
var W_PEEK = 3664 / 4;
var P_MASK = 0;
var P_SP = 2;
var P_STACK = 4;
var P_STACK_FLAGS = 6;
var P_STACK_SIZE = 8;
var P_VALID = 10;
var W_CPU_TIME = 3712 / 4;
var MAP_FD_HELD = 1;
var MAP_FD_KEEP = 2;
function setWords(words, w, value) {
  words[w] = value;
  words[w + 1] = Math.floor(value / 4294967296);
}
function getWords(words, w) {
  return (words[w + 1] >>> 0) * 4294967296 + (words[w] >>> 0);
}

// abi/seccomp.ts
var SECCOMP_RET_TRAP = 196608;
var SECCOMP_RET_ALLOW = 2147418112;
var SECCOMP_DATA_NR = 0;
var SECCOMP_DATA_ARCH = 4;
var SECCOMP_DATA_IP = 8;
var SECCOMP_DATA_ARGS = 16;
var AUDIT_ARCH_X86_64 = 3221225534;

// abi/bpf.ts
var SockFilter = struct('sock_filter', 8, { code: u16, jt: u8, jf: u8, k: u32 });
var BPF_LD = 0;
var BPF_ALU = 4;
var BPF_JMP = 5;
var BPF_RET = 6;
var BPF_W = 0;
var BPF_ABS = 32;
var BPF_AND = 80;
var BPF_JEQ = 16;
var BPF_JGE = 48;
var BPF_K = 0;

// lib/host_call_filter.ts
var op = (code, k, jt = 0, jf = 0) => ({ code, jt, jf, k: k >>> 0 });
var LOAD = BPF_LD | BPF_W | BPF_ABS;
var EQUAL = BPF_JMP | BPF_JEQ | BPF_K;
var AT_LEAST = BPF_JMP | BPF_JGE | BPF_K;
var RETURN = BPF_RET | BPF_K;
function compileFilterFor(code, calls, otherwise) {
  return assemble([
    op(LOAD, SECCOMP_DATA_ARCH),
    op(EQUAL, AUDIT_ARCH_X86_64, 1, 0),
    op(RETURN, otherwise),
    op(LOAD, SECCOMP_DATA_IP + 4),
    op(EQUAL, Math.floor(code.start / 4294967296), 1, 0),
    op(RETURN, otherwise),
    op(LOAD, SECCOMP_DATA_IP),
    op(AT_LEAST, code.start % 4294967296, 1, 0),
    op(RETURN, otherwise),
    op(AT_LEAST, code.end % 4294967296, 0, 1),
    op(RETURN, otherwise),
    op(LOAD, SECCOMP_DATA_NR),
    ...calls.flatMap(compileCall),
    // numbers of x32 are in no row
    op(RETURN, otherwise),
  ]);
}
function assemble(program) {
  const bytes = new Uint8Array(program.length * 8);
  const view = new DataView(bytes.buffer);
  for (const [i, { code, jt, jf, k }] of program.entries()) {
    view.setUint16(i * 8, code, true);
    view.setUint8(i * 8 + 2, jt);
    view.setUint8(i * 8 + 3, jf);
    view.setUint32(i * 8 + 4, k, true);
  }
  return bytes;
}
function compileCall({ nr, when = [] }) {
  if (when.length === 0) return [op(EQUAL, nr, 0, 1), op(RETURN, SECCOMP_RET_ALLOW)];
  const body = [op(RETURN, SECCOMP_RET_ALLOW)];
  for (const { arg, mask, values, wide } of [...when].reverse()) {
    const miss = body.length;
    const tests = values.map((value, i) => op(EQUAL, value, values.length - 1 - i, i === values.length - 1 ? miss : 0));
    body.unshift(op(LOAD, SECCOMP_DATA_ARGS + arg * 8), ...(mask === void 0 ? [] : [op(BPF_ALU | BPF_AND | BPF_K, mask)]), ...tests);
    if (wide) body.unshift(op(LOAD, SECCOMP_DATA_ARGS + arg * 8 + 4), op(EQUAL, 0, 0, body.length));
  }
  return [op(EQUAL, nr, 0, body.length + 1), ...body, op(LOAD, SECCOMP_DATA_NR)];
}

// platforms/systrap/host_calls.ts
var WAIT = 0;
var WAKE = 1;
var WAKE_OP = 5;
var CLONE_THREAD_FLAGS = 331520;
var CLONE_FORK_FLAGS = 32785;
var FILE_MAP_VARIES = 1 | 2 | 16 | 16384;
var ADVICE = [0, 1, 2, 3, 4, 8, 9, 10, 11, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23];
var MEMBARRIERS = [8, 16, 32, 64];
var HOST_CALLS = [
  {
    name: 'futex',
    nr: 202,
    when: [{ arg: 1, values: [WAIT, WAKE, WAKE_OP] }],
    reason: 'sleep until the Sentry has answered; set a bit of its own memory atomically',
  },
  {
    name: 'write',
    nr: 1,
    when: [
      { arg: 0, values: [1] },
      { arg: 2, values: [8], wide: true },
    ],
    reason: 'ring the doorbell (an eventfd that the Sentry empties)',
  },
  { name: 'rt_sigreturn', nr: 15, reason: 'the way back to the application; changes its own registers only' },
  {
    name: 'mmap',
    nr: 9,
    // Of 0x4002f: private and anonymous, not shared, not huge pages (those are a host-wide pool).
    when: [{ arg: 3, mask: 262191, values: [34], wide: true }],
    reason: 'private memory, which counts against its cgroup',
  },
  {
    name: 'mmap',
    nr: 9,
    when: [{ arg: 3, mask: 4294967295 & ~FILE_MAP_VARIES, values: [0], wide: true }],
    reason: 'a file whose descriptor the Sentry sent, opened with no more rights than the mapping needs',
  },
  { name: 'munmap', nr: 11, reason: 'its own memory' },
  { name: 'mprotect', nr: 10, reason: 'its own memory; a shared file opened read-only stays so' },
  { name: 'mremap', nr: 25, reason: 'its own memory' },
  { name: 'madvise', nr: 28, when: [{ arg: 2, values: ADVICE }], reason: 'its own memory' },
  { name: 'recvmsg', nr: 47, when: [{ arg: 0, values: [0] }], reason: 'descriptors that the Sentry sends to this process' },
  { name: 'close', nr: 3, reason: 'received descriptors' },
  {
    name: 'dup2',
    nr: 33,
    when: [{ arg: 1, values: [0] }],
    reason: 'a child process puts its own socket in the place of its parent\u2019s',
  },
  {
    name: 'clone',
    nr: 56,
    when: [{ arg: 0, values: [CLONE_THREAD_FLAGS, CLONE_FORK_FLAGS], wide: true }],
    reason: 'threads and forks; the pids cgroup bounds them',
  },
  {
    name: 'prctl',
    nr: 157,
    when: [
      { arg: 0, values: [1] },
      { arg: 1, values: [9], wide: true },
    ],
    reason: 'PR_SET_PDEATHSIG, SIGKILL: a child process ends with the Sentry',
  },
  { name: 'clock_gettime', nr: 228, when: [{ arg: 0, values: [3] }], reason: 'CPU time of the thread itself, told at its end' },
  {
    name: 'membarrier',
    nr: 324,
    when: [
      { arg: 0, values: MEMBARRIERS },
      { arg: 1, values: [0] },
    ],
    reason: 'barriers in its own threads, wherever they run',
  },
  { name: 'exit', nr: 60, reason: 'a thread ends' },
];

// platforms/systrap/seed.ts
var MREMAP_MAYMOVE_FIXED = 3;
var VSYSCALL2 = 18446744073699066e3;
function spawnSeed(host2, stubFd, fds) {
  const pid = native.spawnStub(stubFd, fds.theirs);
  if (pid < 0) throw new Error(`systrap: cannot start the stub: errno ${-pid}`);
  const sent = host2.sendWithFds(fds.ours, compileFilterFor(STUB_CODE, HOST_CALLS, SECCOMP_RET_TRAP), [
    fds.doorbell,
    fds.slots,
    fds.global,
  ]);
  if (sent < 0) throw new Error(`systrap: cannot reach the stub: errno ${-sent}`);
  return pid;
}
function clearAddressSpace2(host2, procFd2, pid, thread) {
  const call = (what, nr, a0, a1, a2 = 0, a3 = 0, a4 = 0) => {
    thread.push(OP_HOST, nr, a0, a1, a2, a3, a4);
    const r = thread.runCommands();
    if (r < 0) throw new Error(`systrap: ${what} in the stub: errno ${-r}`);
  };
  const maps = readHostMaps(host2, procFd2, pid);
  const vdso = maps.filter((m) => m.name === '[vdso]' || m.name.startsWith('[vvar'));
  const first = vdso[0]?.start ?? 0;
  let vdsoBase = 0;
  for (const m of vdso) {
    const to = VDSO_PLACE + (m.start - first);
    call(`moving ${m.name}`, HOST_CALL.mremap, m.start, m.end - m.start, m.end - m.start, MREMAP_MAYMOVE_FIXED, to);
    if (m.name === '[vdso]') vdsoBase = to;
  }
  call('munmap', HOST_CALL.munmap, 0, STUB_BASE);
  for (const m of maps) {
    if (m.start < STUB_END || m.start >= VSYSCALL2 || vdso.includes(m)) continue;
    call(`unmapping ${m.name}`, HOST_CALL.munmap, m.start, m.end - m.start);
  }
  return vdsoBase;
}

// platforms/systrap/slot_window.ts
var WINDOW_SLOTS = 8192;
var SlotWindow = class {
  words;
  u64;
  bytes;
  buffer;
  free = [];
  used = 0;
  constructor() {
    const window = native.slotWindow(WINDOW_SLOTS);
    if (typeof window === 'number') throw new Error(`systrap: slot window: errno ${-window}`);
    this.buffer = window;
    this.words = new Int32Array(window);
    this.u64 = new BigUint64Array(window);
    this.bytes = new Uint8Array(window);
  }
  /** Shows page `page` of the memfd. The slot's place. */
  map(fd, page) {
    const place = this.free.pop() ?? this.used;
    if (place >= WINDOW_SLOTS) return ENOMEM;
    const r = native.slotMap(this.buffer, place, fd, page);
    if (place === this.used) this.used++;
    if (r < 0) {
      this.free.push(place);
      return r;
    }
    return place;
  }
  unmap(place) {
    if (native.slotMap(this.buffer, place, -1, 0) === 0) this.free.push(place);
  }
  /** Fills `count` words from `at` with random bits; what they are. */
  randomize(host2, at, count) {
    const random = new Int32Array(count);
    host2.getrandom(new Uint8Array(random.buffer));
    this.words.set(random, at);
    return random;
  }
  wordOf(place) {
    return place * SLOT_WORDS2;
  }
};

// platforms/systrap/signal_xstate.ts
var SW_BYTES = 464;
var FP_XSTATE_MAGIC1 = 1179670611;
var SW_XFEATURES = 472;
var SW_XSTATE_SIZE = 480;
var LEGACY_END = 512;
var HEADER_END = 576;
var XCOMP_BV2 = 520;
var MXCSR2 = 24;
var MAX_XSTATE3 = 16384;
var EMPTY = new Uint8Array(0);
function frameAddress(words, at) {
  return (words[at + W_FPSTATE + 1] >>> 0) * 4294967296 + (words[at + W_FPSTATE] >>> 0);
}
function readFrame(pid, address) {
  const legacy = new Uint8Array(LEGACY_END);
  if (native.readProcess(pid, address, legacy, 0, LEGACY_END) !== LEGACY_END) return EMPTY;
  const view = new DataView(legacy.buffer);
  const size = view.getUint32(SW_XSTATE_SIZE, true);
  if (view.getUint32(SW_BYTES, true) !== FP_XSTATE_MAGIC1 || size < HEADER_END || size > MAX_XSTATE3) return EMPTY;
  const image = new Uint8Array(size);
  return native.readProcess(pid, address, image, 0, size) === size ? image : EMPTY;
}
function readXstate(pid, words, at) {
  const image = readFrame(pid, frameAddress(words, at));
  if (image.length === 0) return image;
  const features = image.slice(SW_XFEATURES, SW_XFEATURES + 8);
  image.fill(0, SW_BYTES, LEGACY_END);
  image.set(features, SW_BYTES);
  return image;
}
function writeXstate(pid, words, at, image) {
  const address = frameAddress(words, at);
  const current = readFrame(pid, address);
  if (current.length === 0) return false;
  if (image === null) clearXstate(current);
  else if (!isValid(image, current)) return false;
  else {
    current.set(image.subarray(0, SW_BYTES));
    current.set(image.subarray(LEGACY_END), LEGACY_END);
  }
  const legacy = native.writeProcess(pid, address, current, 0, SW_BYTES);
  const rest = native.writeProcess(pid, address + LEGACY_END, current, LEGACY_END, current.length - LEGACY_END);
  return legacy === SW_BYTES && rest === current.length - LEGACY_END;
}
function isValid(image, current) {
  if (image.length !== current.length) return false;
  const view = new DataView(image.buffer, image.byteOffset, image.byteLength);
  const features = new DataView(current.buffer).getBigUint64(SW_XFEATURES, true);
  if ((view.getBigUint64(LEGACY_END, true) & ~features) !== 0n) return false;
  for (let i = XCOMP_BV2; i < HEADER_END; i++) if (image[i] !== 0) return false;
  return view.getUint32(MXCSR2, true) <= 65535;
}

// platforms/systrap/thread_frames.ts
var REPLY_FRAMES = REPLY_FRAME | REPLY_UNWIND;
var ThreadFrames = class {
  thread;
  window;
  constructor(thread, window) {
    this.thread = thread;
    this.window = window;
  }
  get pending() {
    return (this.thread.flags & REPLY_FRAMES) !== 0;
  }
  push(order) {
    const { words, bytes, u64: u642 } = this.window;
    const w = this.thread.at + W_FRAME;
    const { altStack } = order;
    setWords(words, w + F_HANDLER, order.handler);
    setWords(words, w + F_RESTORER, order.restorer);
    u642[(w + F_MASK) / 2] = order.mask;
    setWords(words, w + F_STACK, altStack.address);
    words[w + F_STACK_FLAGS] = altStack.flags;
    setWords(words, w + F_STACK_SIZE, altStack.size);
    words[w + F_SIGNAL] = order.signal;
    words[w + F_ON_STACK] = order.onAltStack ? 1 : 0;
    setWords(words, w + F_ERR, order.err);
    setWords(words, w + F_TRAPNO, order.trapno);
    setWords(words, w + F_CR2, order.cr2);
    bytes.set(order.info, (w + F_INFO) * 4);
    this.thread.flags |= REPLY_FRAME;
  }
  peek() {
    const { words, u64: u642 } = this.window;
    const w = this.thread.at + W_PEEK;
    if (words[w + P_VALID] !== 1) return null;
    return {
      mask: u642[(w + P_MASK) / 2],
      altStack: {
        address: getWords(words, w + P_STACK),
        flags: words[w + P_STACK_FLAGS] >>> 0,
        size: getWords(words, w + P_STACK_SIZE),
      },
      sp: getWords(words, w + P_SP),
    };
  }
  pop() {
    this.thread.flags |= REPLY_UNWIND;
  }
  settle() {
    return !this.pending || this.thread.applyFlags();
  }
};

// platforms/systrap/systrap_thread.ts
var USER_CS3 = 0x33n;
var USER_SS2 = 0x2bn;
var TRAP_FLAG = 0x100n;
var BASE_LIMIT3 = 0x7ffffffff000n;
var KICK = 10;
var ARGUMENTS2 = [REG.rdi, REG.rsi, REG.rdx, REG.r10, REG.r8, REG.r9];
var LAST_CALLS = /* @__PURE__ */ new Set([60, 231, 59]);
var MAX_CPU_TIME = 32e16;
var SystrapThread = class {
  data = null;
  sysno = -1;
  args = new Uint32Array(12);
  space;
  /** Its number in its process. */
  index;
  /** Its slot in the window. */
  place;
  /** The slot's first word in the window. */
  at;
  /** Host thread; set once, when the host has confirmed that it belongs to the process. */
  tid = 0;
  placement;
  running = false;
  dead = false;
  interruptWanted = false;
  /** Index in the platform's list of running threads. */
  runIndex = -1;
  frames;
  /** REPLY_*: what the next reply tells the stub to do. */
  flags = 0;
  /** A frame was broken when somebody needed the registers before the thread was resumed: told then. */
  frameBroken = false;
  platform;
  words;
  regs = new Registers();
  registersValid = false;
  commands = 0;
  stepping = false;
  /** Command that maps a file by descriptor `deferredFd`, and has not run. */
  deferredMap = -1;
  deferredFd = -1;
  constructor(platform2, space, index, place, parent) {
    this.platform = platform2;
    this.space = space;
    this.index = index;
    this.place = place;
    this.at = platform2.window.wordOf(place);
    this.words = platform2.window.words;
    this.placement = platform2.placement.started(parent);
    this.frames = new ThreadFrames(this, platform2.window);
  }
  stopped() {
    this.running = false;
    this.registersValid = false;
    this.flags = 0;
    if (this.stepping) this.endStep();
  }
  /** Reads number and arguments of a call from the slot. */
  takeCall() {
    const words = this.words;
    const regs = this.at + W_REGS;
    if (words[this.at + W_CODE] !== 1) {
      this.sysno = -1;
      this.args.fill(0);
      return;
    }
    this.sysno = words[regs + REG.rax * 2];
    for (let i = 0; i < 6; i++) {
      const word = regs + ARGUMENTS2[i] * 2;
      this.args[i * 2] = words[word];
      this.args[i * 2 + 1] = words[word + 1];
    }
  }
  /** A clone of `other` that has just come to be: same stop, same registers, also those that `other` has yet to take. */
  takeStopOf(other) {
    this.sysno = other.sysno;
    this.args.set(other.args);
    if ((other.flags & REPLY_REGISTERS) === 0) return;
    this.regs.copyFrom(other.regs);
    this.setRegisters();
  }
  /** The slot of a thread that `other`'s stub is about to start on a copy of its frame: as if it had stopped there and posted. */
  startLike(other) {
    const { words, at } = this;
    this.sysno = other.sysno;
    this.args.set(other.args);
    this.regs.copyFrom(other.registers());
    this.setRegisters();
    const fpstate = getWords(words, other.at + W_FPSTATE) + (this.index - other.index) * STACK_SIZE;
    setWords(words, at + W_FPSTATE, fpstate);
    words[at + W_COMMAND_COUNT] = 0;
    words[at + W_KICK] = 0;
    Atomics.store(words, at + W_STATE, STATE_POSTED);
  }
  registers() {
    this.settleFrames();
    if (this.registersValid) return this.regs;
    const { u32: u322, u64: u642 } = this.regs;
    for (let i = 0, from = this.at + W_REGS; i < REGISTER_COUNT * 2; i++) u322[i] = this.words[from + i];
    u642[REG.orig_rax] = u642[REG.rax];
    this.registersValid = true;
    return this.regs;
  }
  setRegisters() {
    this.flags &= ~REPLY_RESULT;
    const { u32: u322, u64: u642 } = this.regs;
    u642[REG.cs] = USER_CS3;
    u642[REG.ss] = USER_SS2;
    if (u642[REG.fs_base] >= BASE_LIMIT3) u642[REG.fs_base] = 0n;
    if (u642[REG.gs_base] >= BASE_LIMIT3) u642[REG.gs_base] = 0n;
    for (let i = 0, to = this.at + W_REGS; i < REGISTER_COUNT * 2; i++) this.words[to + i] = u322[i];
    this.registersValid = true;
    this.flags |= REPLY_REGISTERS;
  }
  setResult(result) {
    const { words } = this;
    setWords(words, this.at + W_RESULT, result);
    setWords(words, this.at + W_REGS + REG.rax * 2, result);
    if (this.registersValid) this.regs.set(REG.rax, result);
    this.flags |= REPLY_RESULT;
  }
  /** Whoever looks at the thread's state sees it as it is after the frame. */
  settleFrames() {
    if ((this.flags & REPLY_FRAMES) !== 0 && !this.applyFlags()) this.frameBroken = true;
  }
  applyFlags() {
    const { flags } = this;
    this.flags = 0;
    this.push(OP_STATE, 0, flags);
    const r = this.runCommands();
    this.registersValid = false;
    return r >= 0;
  }
  xstate() {
    this.settleFrames();
    return readXstate(this.space.pid, this.words, this.at);
  }
  setXstate(image) {
    this.settleFrames();
    return writeXstate(this.space.pid, this.words, this.at, image);
  }
  resumeWithResult(result) {
    this.words[this.at + W_RESULT] = result % 4294967296;
    this.words[this.at + W_RESULT + 1] = Math.floor(result / 4294967296);
    this.reply(this.flags | REPLY_RESULT);
  }
  resume() {
    this.reply(this.flags);
  }
  resumeSingleStep() {
    const { u64: u642 } = this.registers();
    u642[REG.eflags] = u642[REG.eflags] | TRAP_FLAG;
    this.setRegisters();
    this.stepping = true;
    this.reply(this.flags);
  }
  /** The application's flags must not show the trap flag that was ours. */
  endStep() {
    this.stepping = false;
    const { u64: u642 } = this.registers();
    u642[REG.eflags] = u642[REG.eflags] & ~TRAP_FLAG;
    this.setRegisters();
  }
  reply(flags) {
    if (this.dead) return;
    if (this.frameBroken) {
      this.flags = flags;
      this.frameBroken = false;
      this.platform.frameBroken(this);
      return;
    }
    this.running = true;
    this.platform.started(this);
    this.send(flags);
  }
  send(flags) {
    const { words, at } = this;
    words[at + W_FLAGS] = flags;
    words[at + W_SPIN] = this.placement.heat.cpu >= 0 ? SPIN_CYCLES : 0;
    words[at + W_COMMAND_COUNT] = this.commands;
    if (this.commands > 0) this.space.settled(this);
    this.commands = 0;
    this.deferredMap = -1;
    this.flags = 0;
    if (Atomics.exchange(words, at + W_STATE, STATE_REPLY) === STATE_SLEEPING) native.slotWake(this.platform.window.buffer, this.place);
  }
  interrupt() {
    if (!this.running || this.dead) return;
    this.interruptWanted = true;
    this.kick();
  }
  kick() {
    this.platform.host.syscall(HOST_CALL.tgkill, this.space.pid, this.tid, KICK);
  }
  cpuTime() {
    if (!this.running && LAST_CALLS.has(this.sysno)) {
      const told = getWords(this.words, this.at + W_CPU_TIME);
      if (told > 0 && told < MAX_CPU_TIME) return told;
    }
    return this.platform.proc.cpuTime(this.space.pid, this.tid);
  }
  exit() {
    if (this.dead) return;
    this.space.threads.delete(this);
    if (this.running) this.kick();
    else this.leave();
    this.dead = true;
  }
  /**
   * The stopped thread ends. The first thread of a process stays, asleep for ever: its number stands for the process's memory, and
   * must neither end nor be given to another process.
   */
  leave() {
    this.space.flushThread(this);
    if (this.tid !== this.space.pid) this.send(REPLY_EXIT);
    this.space.left(this);
  }
  /** Adds a command for the stub. Those before it run first. */
  push(op2, nr, a0 = 0, a1 = 0, a2 = 0, a3 = 0, a4 = 0, a5 = 0) {
    if (this.commands === MAX_COMMANDS) this.runCommands();
    const { words } = this;
    let w = this.at + W_COMMANDS + this.commands++ * COMMAND_WORDS;
    words[w] = op2;
    words[w + C_NR] = nr;
    w += C_ARGS;
    setWords(words, w, a0);
    setWords(words, w + 2, a1);
    setWords(words, w + 4, a2);
    setWords(words, w + 6, a3);
    setWords(words, w + 8, a4);
    setWords(words, w + 10, a5);
  }
  /** As mapFile, deferred. The descriptor of a mapping that was deferred just before is not sent again. */
  deferMapFile(address, length, prot, flags, hostFd, offset) {
    const before = this.commands - 1;
    const held = this.deferredMap === before && this.deferredFd === hostFd && before >= 0 && this.commands < MAX_COMMANDS;
    if (held) {
      const w = this.at + W_COMMANDS + before * COMMAND_WORDS + C_ARGS + 8;
      this.words[w] = this.words[w] | MAP_FD_KEEP;
    } else {
      const sent = this.space.sendFd(hostFd);
      if (sent < 0) return sent;
    }
    this.push(OP_MAP_FILE, 0, address, length, prot, flags, held ? MAP_FD_HELD : 0, offset);
    this.deferredMap = this.commands - 1;
    this.deferredFd = hostFd;
    this.space.unsettled(this);
    return 0;
  }
  deferAdvice(address, length, advice) {
    this.push(OP_ADVISE, 0, address, length, advice);
    this.space.unsettled(this);
    return 0;
  }
  /** Deferred: the stub makes the call before it goes on, or when `runCommands` says so. It must not fail. */
  defer(nr, a0, a1, a2, a3 = 0, a4 = 0, a5 = 0) {
    this.push(0, nr, a0, a1, a2, a3, a4, a5);
    this.space.unsettled(this);
    return 0;
  }
  /** Has the stub carry out what is pushed, the last command's result. An errno also if the thread is lost by it. */
  runCommands() {
    const count = this.commands;
    if (count === 0 || this.dead) return this.dead ? ENOMEM : 0;
    this.commands = 0;
    this.deferredMap = -1;
    this.space.settled(this);
    this.words[this.at + W_COMMAND_COUNT] = count;
    const r = native.slotCommand(this.platform.window.buffer, this.place, this.space.pid);
    if (r < 0) {
      this.platform.lose(this, `the stub does not answer (errno ${-r})`);
      return ENOMEM;
    }
    let last2 = 0;
    for (let i = 0; i < count; i++) {
      const w = this.at + W_COMMANDS + i * COMMAND_WORDS + C_RESULT;
      last2 = this.words[w + 1] * 4294967296 + (this.words[w] >>> 0);
      if (last2 < 0 && i < count - 1) this.platform.lose(this, `a deferred memory operation failed (errno ${-last2})`);
    }
    return last2;
  }
};

// platforms/systrap/systrap_space.ts
var MSG_DONTWAIT2 = 64;
var MADV_DONTNEED = 4;
var ONE_BYTE = new Uint8Array(1);
var SystrapSpace = class {
  vdsoBase;
  /** The host process, a child of ours that we have not reaped. */
  pid = 0;
  threads = /* @__PURE__ */ new Set();
  platform;
  /** Of its slots; page n is thread n's. */
  memfd;
  /** Our end of its socket. */
  socket;
  /** Threads with commands that have not run. */
  pending = /* @__PURE__ */ new Set();
  /** Threads that were told to end: their numbers are free once they say so. */
  leaving = [];
  /** Numbers of ended threads with their slots' places: both serve again. */
  free = [];
  nextIndex = 0;
  /** Of the thread that the process began with: a forked one keeps the number it had. */
  firstIndex;
  memFd = -1;
  released = false;
  constructor(platform2, memfd, socket, firstIndex, vdsoBase) {
    this.platform = platform2;
    this.memfd = memfd;
    this.socket = socket;
    this.firstIndex = firstIndex;
    this.vdsoBase = vdsoBase;
  }
  mapAnonymous(via, address, length, prot) {
    if (!inRange3(address, length)) return EINVAL;
    return via.defer(HOST_CALL.mmap, address, length, prot, ANONYMOUS_FLAGS, -1, 0);
  }
  mapFile(via, address, length, prot, shared, hostFd, offset, late = false) {
    if (!inRange3(address, length)) return EINVAL;
    const thread = via;
    if (late && this.threads.size === 1) return thread.deferMapFile(address, length, prot, fileFlags(shared), hostFd, offset);
    const sent = this.sendFd(hostFd);
    if (sent < 0) return sent;
    thread.push(OP_MAP_FILE, 0, address, length, prot, fileFlags(shared), 0, offset);
    return done2(thread.runCommands());
  }
  /** To the next of the process's stubs that receives. 0, or an errno. */
  sendFd(hostFd) {
    return this.platform.host.sendWithFds(this.socket, ONE_BYTE, [hostFd], MSG_DONTWAIT2);
  }
  unmap(via, address, length) {
    if (!inRange3(address, length)) return EINVAL;
    const thread = via;
    if (this.threads.size > 1) return this.now(thread, HOST_CALL.munmap, address, length, 0);
    return thread.defer(HOST_CALL.munmap, address, length, 0);
  }
  /** The host may refuse writing (a file opened for reading) and execution (a mount without it): those are asked at once. */
  protect(via, address, length, prot) {
    if (!inRange3(address, length)) return EINVAL;
    const thread = via;
    if ((prot & (PROT_WRITE | PROT_EXEC)) === 0) return thread.defer(HOST_CALL.mprotect, address, length, prot);
    return this.now(thread, HOST_CALL.mprotect, address, length, prot);
  }
  move(via, from, oldLength, to, newLength, keepSource) {
    if (!inRange3(from, oldLength) || !inRange3(to, newLength)) return EINVAL;
    const flags = to === from ? 0 : MREMAP_MAYMOVE | MREMAP_FIXED | (keepSource ? MREMAP_DONTUNMAP : 0);
    return this.now(via, HOST_CALL.mremap, from, oldLength, newLength, flags, to);
  }
  advise(via, address, length, advice) {
    if (!inRange3(address, length)) return EINVAL;
    const thread = via;
    if (advice === MADV_DONTNEED) return thread.deferAdvice(address, length, advice);
    return this.now(thread, HOST_CALL.madvise, address, length, advice);
  }
  changeWord(via, address, operation) {
    if (address >= STUB_BASE) return EFAULT;
    return this.now(via, HOST_CALL.futex, address, FUTEX_WAKE_OP, 0, 0, address, operation);
  }
  membarrier(via, command) {
    return this.now(via, HOST_CALL.membarrier, command, 0, 0);
  }
  setBit(via, address, bit) {
    if (address >= STUB_BASE) return EFAULT;
    return this.now(via, HOST_CALL.futex, address, FUTEX_WAKE_OP, 0, 0, address, setBitOperation(bit));
  }
  now(thread, nr, a0, a1, a2, a3 = 0, a4 = 0, a5 = 0) {
    thread.push(OP_HOST, nr, a0, a1, a2, a3, a4, a5);
    return done2(thread.runCommands());
  }
  unsettled(thread) {
    this.pending.add(thread);
  }
  settled(thread) {
    this.pending.delete(thread);
  }
  /** Everything deferred happens now. */
  flush() {
    if (this.pending.size > 0) for (const thread of this.pending) this.flushThread(thread);
  }
  flushThread(thread) {
    if (thread.runCommands() < 0) this.platform.lose(thread, 'a deferred memory operation failed');
  }
  read(address, into, offset, count) {
    this.flush();
    return native.readProcess(this.pid, address, into, offset, count);
  }
  write(address, from, offset, count) {
    if (address >= STUB_BASE) return EFAULT;
    this.flush();
    return native.writeProcess(this.pid, address, from, offset, Math.min(count, STUB_BASE - address));
  }
  readForced(address, into, offset, count) {
    this.flush();
    const fd = this.openMem();
    return fd < 0 ? EFAULT : transferred2(this.platform.host.pread(fd, into, offset, count, address));
  }
  writeForced(address, from, offset, count) {
    this.flush();
    const fd = this.openMem();
    if (fd < 0 || address >= STUB_BASE) return EFAULT;
    return transferred2(this.platform.host.pwrite(fd, from, offset, Math.min(count, STUB_BASE - address), address));
  }
  openMem() {
    if (this.memFd < 0 && !this.released) this.memFd = Math.max(-1, this.platform.proc.openMemory(this.pid));
    return this.memFd;
  }
  fork(via) {
    this.flush();
    return this.platform.forkFrom(via);
  }
  newThread(via) {
    const source = via;
    this.flush();
    const { index, place } = this.takeIndex();
    if (index < 0) return EAGAIN;
    const thread = this.addThread(index, source, place);
    if (typeof thread === 'number') return thread;
    thread.startLike(source);
    source.push(OP_THREAD, 0, index);
    const tid = source.runCommands();
    if (tid < 0 || !this.platform.adopt(thread, tid)) {
      this.dropThread(thread);
      return tid < 0 ? tid : EAGAIN;
    }
    return thread;
  }
  /** The process's thread `index` gets a slot, at `mapped` if it has one already; nothing runs yet. */
  addThread(index, parent, mapped = -1) {
    const place = mapped >= 0 ? mapped : this.platform.window.map(this.memfd, index);
    if (place < 0) {
      this.free.push({ index, place: -1 });
      return place;
    }
    this.platform.window.words[this.platform.window.wordOf(place) + W_STATE] = 0;
    const thread = new SystrapThread(this.platform, this, index, place, parent);
    this.threads.add(thread);
    return thread;
  }
  dropThread(thread) {
    this.threads.delete(thread);
    this.free.push({ index: thread.index, place: thread.place });
  }
  /** It was told to end (or to sleep for ever, if it is the first). */
  left(thread) {
    this.leaving.push(thread);
  }
  /** A number that no thread has, -1 if there is none; place: of its slot, -1 if it has none. */
  takeIndex() {
    for (let i = this.leaving.length - 1; i >= 0; i--) {
      const thread = this.leaving[i];
      if (this.platform.window.words[thread.at + W_STATE] !== STATE_GONE) continue;
      this.leaving.splice(i, 1);
      this.dropThread(thread);
    }
    const free = this.free.pop();
    if (free !== void 0) return free;
    if (this.nextIndex === this.firstIndex) this.nextIndex++;
    return { index: this.nextIndex < MAX_THREADS2 ? this.nextIndex++ : -1, place: -1 };
  }
  release() {
    if (this.released) return;
    this.released = true;
    const { host: host2, window } = this.platform;
    if (this.pid > 0) host2.kill(this.pid, 9);
    for (const thread of this.threads) this.platform.forget(thread);
    for (const { place } of [...this.threads, ...this.leaving, ...this.free]) if (place >= 0) window.unmap(place);
    this.free.length = 0;
    this.threads.clear();
    this.leaving.length = 0;
    this.pending.clear();
    host2.close(this.memfd);
    host2.close(this.socket);
    if (this.memFd >= 0) host2.close(this.memFd);
    this.memFd = -1;
    this.platform.spaces.delete(this.pid);
  }
  setOomScore(wanted) {
    this.platform.proc.setOomScore(this.pid, wanted);
  }
  pagemap(offset, into, count) {
    return this.platform.proc.pagemap(this.pid, offset, into, count);
  }
  resident() {
    return this.platform.proc.resident(this.pid);
  }
};
function inRange3(address, length) {
  return address >= MIN_ADDRESS && length > 0 && address + length <= STUB_BASE && address % PAGE_SIZE === 0;
}
function done2(result) {
  return result < 0 ? result : 0;
}
function transferred2(result) {
  return result <= 0 ? EFAULT : result;
}

// platforms/systrap/systrap_platform.ts
var BUSY_ROUNDS3 = 16;
var SPINS_PER_CLOCK = 32;
var WNOHANG = 1;
var EFD_CLOEXEC = 524288;
var EPOLLIN = 1;
var EPOLLOUT = 4;
var EPOLLET = 2147483648;
var SOCK_SEQPACKET2 = 5;
var MFD_CLOEXEC_SEALABLE = 3;
var F_ADD_SEALS = 1033;
var F_SEAL_SEAL = 1;
var F_SEAL_SHRINK = 2;
var F_SEAL_GROW = 4;
var F_SEAL_FUTURE_WRITE = 16;
var PAGE = 4096;
var SystrapPlatform = class {
  name = 'systrap';
  minAddress = MIN_ADDRESS;
  maxAddress = STUB_BASE;
  host;
  proc;
  window = new SlotWindow();
  placement;
  /** By pid; the seed is not among them. */
  spaces = /* @__PURE__ */ new Map();
  poll;
  childFd;
  doorbell;
  /** Word 0: 1 while we sleep, so that stubs ring. */
  global;
  seed;
  /** Threads whose slots are worth a look. */
  running = [];
  lost = [];
  /** Stopped threads of which the next wait says that their frame is broken. */
  broken = [];
  busyRounds = 0;
  status = new Int32Array(1);
  drain = new Uint8Array(128);
  /** @throws Error with what the host refuses. */
  constructor(options) {
    this.host = options.host;
    this.poll = options.poll;
    this.proc = new HostProc(options.host, options.procFd);
    this.childFd = native.childEventFd();
    if (this.childFd < 0) throw new Error(`signalfd: errno ${-this.childFd}`);
    this.poll.add(this.childFd, EPOLLIN, () => this.reap());
    this.doorbell = this.host.syscall(HOST_CALL.eventfd2, 0, EFD_CLOEXEC);
    this.poll.add(this.doorbell, EPOLLIN | EPOLLOUT | EPOLLET, (ready) => this.rang(ready));
    this.placement = new CpuPlacement(options.host, this.running, true);
    const globalFd = this.sealedMemory('sandbox', PAGE);
    if (globalFd < 0) throw new Error(`memfd_create: errno ${-globalFd}`);
    const global = native.mapShared(globalFd, PAGE, 0, 3);
    if (typeof global === 'number') throw new Error(`systrap: mmap: errno ${-global}`);
    this.global = new Int32Array(global);
    this.host.fcntl(globalFd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE | F_SEAL_SEAL);
    this.seed = this.startSeed(options, globalFd);
    this.host.close(globalFd);
  }
  startSeed(options, globalFd) {
    const slots = this.sealedMemory('slots', SLOTS_LENGTH, F_SEAL_SEAL);
    const pair = this.host.socketpair(SOCK_SEQPACKET2);
    if (slots < 0 || typeof pair === 'number') throw new Error('systrap: no descriptors');
    const [ours, theirs] = pair;
    const space = new SystrapSpace(this, slots, ours, 0, 0);
    const thread = space.addThread(0, null);
    if (typeof thread === 'number') throw new Error(`systrap: slot: errno ${-thread}`);
    const pid = spawnSeed(this.host, options.stubFd, { ours, theirs, doorbell: this.doorbell, slots, global: globalFd });
    space.pid = pid;
    this.proc.setOomScore(pid, 0);
    this.host.close(theirs);
    try {
      if (!this.adopt(thread, pid) || native.slotAwait(this.window.buffer, thread.place, pid) < 0)
        throw new Error(`systrap: the stub does not start (${this.endOf(pid)})`);
      space.vdsoBase = clearAddressSpace2(this.host, options.procFd, pid, thread);
    } catch (e) {
      this.host.kill(pid, 9);
      throw e;
    }
    return thread;
  }
  endOf(pid) {
    const r = this.host.syscall(HOST_CALL.wait4, pid, this.status, __WALL | WNOHANG, null);
    return r === pid ? describeEnd(this.status[0]) : 'still running';
  }
  /** A memfd that keeps its size, or an errno. */
  sealedMemory(name, length, more = 0) {
    const fd = this.host.memfdCreate(name, MFD_CLOEXEC_SEALABLE);
    if (fd < 0) return fd;
    const sized = this.host.ftruncate(fd, length);
    const r = sized < 0 ? sized : this.host.fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | more);
    if (r < 0) this.host.close(fd);
    return r < 0 ? r : fd;
  }
  newAddressSpace() {
    const thread = this.forkFrom(this.seed);
    if (typeof thread === 'number') return thread;
    thread.registers().u64.fill(0n);
    thread.setRegisters();
    return thread;
  }
  /** A child process of `via`'s, whose one thread has stopped where `via` has. */
  forkFrom(via) {
    const slots = this.sealedMemory('slots', SLOTS_LENGTH, F_SEAL_SEAL);
    if (slots < 0) return slots;
    const pair = this.host.socketpair(SOCK_SEQPACKET2);
    if (typeof pair === 'number') {
      this.host.close(slots);
      return pair;
    }
    const [ours, theirs] = pair;
    const space = new SystrapSpace(this, slots, ours, via.index, via.space.vdsoBase);
    const thread = space.addThread(via.index, via);
    const r = typeof thread === 'number' ? thread : this.forkInto(via, thread, slots, theirs);
    this.host.close(theirs);
    if (r < 0) {
      space.release();
      return r;
    }
    this.spaces.set(space.pid, space);
    thread.takeStopOf(via);
    return thread;
  }
  forkInto(via, child, slots, theirs) {
    const nonce = this.window.randomize(this.host, child.at + W_NONCE, NONCE_WORDS);
    const sent = this.host.sendWithFds(
      via.space.socket,
      new Uint8Array(1),
      [slots, theirs],
      64,
      /* MSG_DONTWAIT */
    );
    if (sent < 0) return sent;
    via.push(OP_FORK, 0);
    const pid = via.runCommands();
    if (pid < 0) return pid;
    if (!this.isChild(pid, child, nonce)) {
      this.dismiss(child, via);
      this.lose(via, 'the stub names a process that is not its child');
      return EAGAIN;
    }
    child.space.pid = pid;
    child.tid = pid;
    return 0;
  }
  /**
   * The number comes from the application's memory. It is taken for the child's only if that process sees the fresh slots where the stub
   * has them, and is nobody else's: then it is a process that this application made.
   */
  isChild(pid, child, nonce) {
    if (pid <= 1 || this.spaces.has(pid) || pid === this.seed?.space.pid) return false;
    if (native.slotAwait(this.window.buffer, child.place, pid) < 0) return false;
    const seen = new Int32Array(NONCE_WORDS);
    const address = SLOTS + child.index * SLOT_SIZE + W_NONCE * 4;
    if (native.readProcess(pid, address, seen, 0, NONCE_WORDS * 4) !== NONCE_WORDS * 4) return false;
    return seen.every((word, i) => word === nonce[i]);
  }
  /** Whatever process it is that serves the child's slot: it is told to end. */
  dismiss(child, via) {
    if (native.slotAwait(this.window.buffer, child.place, via.space.pid) < 0) return;
    child.tid = -1;
    child.leave();
  }
  /** False if `tid`, which its process has named, is none of the process's. */
  adopt(thread, tid) {
    if (this.host.syscall(HOST_CALL.tgkill, thread.space.pid, tid, 0) < 0) return false;
    thread.tid = tid;
    return true;
  }
  /** The thread runs: its slot is worth a look. */
  started(thread) {
    thread.runIndex = this.running.length;
    this.running.push(thread);
    this.placement.resumed();
  }
  unlist(thread) {
    const at = thread.runIndex;
    if (at < 0) return;
    const last2 = this.running.pop();
    if (last2 !== thread) {
      this.running[at] = last2;
      last2.runIndex = at;
    }
    thread.runIndex = -1;
  }
  /** Nobody hears of the thread any more. */
  forget(thread) {
    thread.dead = true;
    this.unlist(thread);
    this.placement.ended(thread);
  }
  /** The stub broke the rules, or cannot go on: its process ends, wait reports it. */
  lose(thread, cause) {
    if (thread.dead) return;
    if (thread.space.pid > 0) this.host.kill(thread.space.pid, 9);
    this.forget(thread);
    thread.space.threads.delete(thread);
    if (thread !== this.seed) this.lost.push({ thread, cause });
  }
  frameBroken(thread) {
    this.broken.push(thread);
  }
  /** Children that have ended. Those of released spaces have no listener. */
  reap() {
    this.host.read(this.childFd, this.drain);
    for (;;) {
      const pid = this.host.syscall(HOST_CALL.wait4, -1, this.status, __WALL | WNOHANG, null);
      if (pid <= 0) return;
      const space = this.spaces.get(pid);
      if (space === void 0) continue;
      this.spaces.delete(pid);
      space.pid = 0;
      const cause = describeEnd(this.status[0]);
      for (const thread of space.threads) {
        this.forget(thread);
        this.lost.push({ thread, cause });
      }
    }
  }
  wait(events, deadline) {
    if (this.lost.length > 0) {
      const lost = this.lost;
      this.lost = [];
      for (const { thread, cause } of lost) events.exited(thread, cause);
      return;
    }
    if (this.broken.length > 0) {
      const broken = this.broken;
      this.broken = [];
      for (const thread of broken) if (!thread.dead) events.brokenFrame?.(thread);
      return;
    }
    const handled = this.scan(events);
    if (handled > 0) {
      if (++this.busyRounds >= BUSY_ROUNDS3) {
        this.busyRounds = 0;
        this.poll.wait(0);
      }
      this.placement.round(false);
      return;
    }
    this.busyRounds = 0;
    if (deadline !== 0 && this.placement.hot?.expecting && this.lookAgain()) {
      this.scan(events);
      this.placement.round(false);
      return;
    }
    this.sleep(events, deadline);
  }
  /** A hot thread will call in no time. True if one has. */
  lookAgain() {
    const end = this.host.monotonicNow() + SPIN_NS;
    for (;;) {
      for (let i = 0; i < SPINS_PER_CLOCK; i++) if (this.anyPosted()) return true;
      if (this.host.monotonicNow() > end) return false;
    }
  }
  sleep(events, deadline) {
    Atomics.store(this.global, 0, 1);
    this.poll.waitUntil(this.anyPosted() ? 0 : this.placement.deadline(deadline));
    Atomics.store(this.global, 0, 0);
    const handled = this.scan(events);
    this.placement.round(handled === 0);
  }
  /**
   * The bell itself says nothing: slots do. Each ring is an event of its own (EPOLLET), so it is emptied only when it is full: then stubs
   * that ring wait for it.
   */
  rang(ready) {
    if ((ready & EPOLLOUT) === 0) this.host.read(this.doorbell, this.drain);
  }
  anyPosted() {
    const { running } = this;
    for (let i = 0; i < running.length; i++) {
      const state = Atomics.load(this.window.words, running[i].at + W_STATE);
      if (state === STATE_POSTED || state === STATE_SLEEPING) return true;
    }
    return false;
  }
  /** Handles each thread that has posted, once. How many. */
  scan(events) {
    const { running } = this;
    let handled = 0;
    for (let i = 0, left = running.length; left > 0 && i < running.length; left--) {
      const thread = running[i];
      const state = Atomics.load(this.window.words, thread.at + W_STATE);
      if (state !== STATE_POSTED && state !== STATE_SLEEPING) {
        i++;
        continue;
      }
      this.unlist(thread);
      handled++;
      this.handleSafely(events, thread);
    }
    return handled;
  }
  /** Whatever a stub has posted, it costs its own process at most. */
  handleSafely(events, thread) {
    try {
      this.handle(events, thread);
    } catch (e) {
      this.lose(thread, `broken platform: ${e.stack ?? e}`);
    }
  }
  handle(events, thread) {
    thread.stopped();
    if (thread.dead) {
      thread.leave();
      return;
    }
    const words = this.window.words;
    const kind2 = words[thread.at + W_KIND];
    if (kind2 === KIND_SYSCALL) {
      thread.interruptWanted = false;
      thread.takeCall();
      this.placement.stopped(thread);
      events.syscall(thread);
    } else if (kind2 === KIND_FAULT2) {
      thread.interruptWanted = false;
      const low = words[thread.at + W_ADDRESS] >>> 0;
      const high = words[thread.at + W_ADDRESS + 1] >>> 0;
      const what = words[thread.at + W_SIGNAL];
      const signal = what & 255;
      const trap = { error: (what >> 8) & 255, vector: (what >> 16) & 255 };
      if (signal >= 1 && signal <= 31) events.fault(thread, signal, words[thread.at + W_CODE], high * 4294967296 + low, trap);
      else this.lose(thread, `the stub reports signal ${signal}`);
    } else if (kind2 === KIND_INTERRUPT2) {
      const wanted = thread.interruptWanted;
      thread.interruptWanted = false;
      if (wanted) events.interrupted(thread);
      else thread.resume();
    } else if (kind2 === KIND_BROKEN_FRAME && events.brokenFrame !== void 0) {
      events.brokenFrame(thread);
    } else {
      this.lose(thread, `the stub reports ${kind2}`);
    }
  }
  shutdown() {
    const pids = [...this.spaces.keys(), this.seed.space.pid];
    for (const space of [...this.spaces.values()]) space.release();
    this.seed.space.release();
    for (const pid of pids) this.host.syscall(HOST_CALL.wait4, pid, this.status, __WALL, null);
    this.poll.remove(this.childFd);
    this.poll.remove(this.doorbell);
    this.host.close(this.doorbell);
  }
};

// platforms/select.ts
function openSource(host2, kind2, deviceFd) {
  if (kind2 === 'kvm') return deviceFd ?? -1;
  const path = shippedFile(kind2 === 'systrap' ? 'systrap_stub' : 'ptrace_stub');
  const fd = host2.openat(-100, path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) throw new Error(`cannot open ${path}: ${errnoName(fd)}`);
  return fd;
}
function createPlatform(kind2, { host: host2, poll, procFd: procFd2, sourceFd }) {
  switch (kind2) {
    case 'ptrace':
      return new PtracePlatform({ host: host2, poll, procFd: procFd2, stubFd: sourceFd });
    case 'systrap':
      return new SystrapPlatform({ host: host2, poll, procFd: procFd2, stubFd: sourceFd });
    case 'kvm':
      return new KvmPlatform({ host: host2, poll, procFd: procFd2, deviceFd: sourceFd, report: probeKvm(sourceFd) });
  }
}

// ../../wt-kvm-x/exc.ts
var kind = process.argv[2];
var procFd = host.openat(-100, '/proc', 524288);
var platform = createPlatform(kind, {
  host,
  poll: new HostPoll(host),
  procFd,
  sourceFd: kind === 'kvm' ? openKvm() : openSource(host, kind, null),
});
var P = {
  div0: [49, 201, 247, 241],
  divovf: [184, 0, 0, 0, 128, 153, 185, 255, 255, 255, 255, 247, 249],
  int3: [204],
  int3cd: [205, 3],
  int4: [205, 4],
  int0: [205, 0],
  int0d: [205, 13],
  int0e: [205, 14],
  int21: [205, 33],
  int80: [184, 20, 0, 0, 0, 205, 128],
  icebp: [241],
  ud2: [15, 11],
  ud1: [15, 185, 192],
  hlt: [244],
  cli: [250],
  sti: [251],
  in_imm: [228, 17],
  out_imm: [230, 17],
  out12: [230, 18],
  out80: [230, 128],
  in_dx: [102, 186, 17, 0, 236],
  out_dx: [102, 186, 17, 0, 238],
  outl_dx: [102, 186, 17, 0, 239],
  outw: [102, 186, 17, 0, 102, 239],
  insb: [191, 0, 0, 80, 0, 102, 186, 17, 0, 108],
  outsb: [190, 0, 0, 80, 0, 102, 186, 17, 0, 110],
  rep_outsb: [185, 255, 0, 0, 0, 190, 0, 0, 80, 0, 102, 186, 17, 0, 243, 110],
  rep_insb: [72, 199, 193, 255, 255, 255, 255, 191, 0, 0, 80, 0, 102, 186, 17, 0, 243, 108],
  rdmsr: [15, 50],
  wrmsr: [15, 48],
  movcr0: [15, 32, 192],
  movtocr3: [15, 34, 216],
  movdr7: [15, 33, 248],
  lgdt: [15, 1, 20, 37, 0, 0, 80, 0],
  lidt: [15, 1, 28, 37, 0, 0, 80, 0],
  ltr: [15, 0, 216],
  lmsw: [15, 1, 240],
  clts: [15, 6],
  invlpg: [15, 1, 56],
  wbinvd: [15, 9],
  swapgs: [15, 1, 248],
  sysret: [72, 15, 7],
  sysexit: [15, 53],
  sysenter: [15, 52],
  iretq: [106, 43, 84, 156, 106, 51, 104, 48, 0, 64, 0, 72, 207],
  xsetbv: [15, 1, 209],
  monitor: [15, 1, 200],
  vmcall: [15, 1, 193],
  vmmcall: [15, 1, 217],
  vmrun: [15, 1, 216],
  rdpmc: [15, 51],
  load_null: [72, 139, 4, 37, 0, 0, 0, 0],
  load_16: [72, 139, 4, 37, 16, 0, 0, 0],
  store_code: [136, 5, 250, 255, 255, 255],
  noncanon: [72, 184, 0, 0, 0, 0, 0, 0, 0, 128, 72, 139, 0],
  khalf: [72, 184, 0, 0, 0, 0, 0, 128, 255, 255, 72, 139, 0],
  lstar: [72, 184, 0, 0, 0, 255, 255, 255, 255, 255, 72, 139, 0],
  jmplstar: [72, 184, 0, 0, 0, 255, 255, 255, 255, 255, 255, 224],
  jmpstub: [72, 184, 96, 48, 0, 255, 255, 255, 255, 255, 255, 224],
  gdtaddr: [72, 184, 0, 16, 0, 255, 255, 255, 255, 255, 72, 137, 0],
  jmpnoncanon: [72, 184, 0, 0, 0, 0, 0, 0, 0, 128, 255, 224],
  retnoncanon: [72, 184, 0, 0, 0, 0, 0, 0, 0, 128, 80, 195],
  rspnoncanon: [72, 188, 0, 0, 0, 0, 0, 0, 0, 128, 80],
  exec_data: [184, 0, 0, 80, 0, 255, 224],
  movss: [184, 43, 0, 0, 0, 142, 208, 15, 5],
  movss_bad: [184, 16, 0, 0, 0, 142, 208],
  movds_bad: [184, 8, 1, 0, 0, 142, 216],
  movfs: [184, 43, 0, 0, 0, 142, 224, 15, 5],
  lretcs0: [106, 16, 104, 0, 0, 64, 0, 72, 203],
  ac: [156, 129, 12, 36, 0, 0, 4, 0, 157, 139, 4, 37, 1, 0, 80, 0],
  tf: [156, 129, 12, 36, 0, 1, 0, 0, 157, 144, 144],
  nt: [156, 129, 12, 36, 0, 64, 0, 0, 157, 144, 15, 5],
  iopl: [156, 129, 12, 36, 0, 48, 0, 0, 157, 156, 95, 15, 5],
  x87: [219, 227, 217, 238, 106, 59, 104, 0, 0, 0, 0, 155, 217, 44, 37, 16, 0, 80, 0, 217, 232, 217, 238, 222, 249, 155],
  sse: [15, 174, 20, 37, 32, 0, 80, 0, 15, 87, 192, 15, 87, 201, 15, 94, 193],
  rdfsbase: [243, 72, 15, 174, 199, 15, 5],
  wrfs: [191, 0, 0, 80, 0, 243, 72, 15, 174, 215, 100, 72, 139, 4, 37, 0, 0, 0, 0, 15, 5],
  sgdt: [15, 1, 4, 37, 64, 0, 80, 0, 15, 5],
  smsw: [15, 1, 224, 15, 5],
  str: [15, 0, 200, 15, 5],
  sldt: [15, 0, 192, 15, 5],
  vsysc: [72, 199, 192, 0, 0, 96, 255, 255, 208, 15, 5],
  vsysrd: [72, 199, 192, 0, 0, 96, 255, 72, 139, 0],
  pushf: [156, 95, 15, 5],
  rdtsc: [15, 49, 49, 192, 49, 210, 15, 5],
  rdpid: [243, 15, 199, 248, 49, 192, 15, 5],
  lsl: [184, 123, 0, 0, 0, 15, 3, 248, 15, 5],
  lar: [184, 51, 0, 0, 0, 15, 2, 248, 15, 5],
  verr: [184, 16, 0, 0, 0, 15, 0, 224, 156, 95, 15, 5],
  cs: [140, 207, 15, 5],
  ss: [140, 215, 15, 5],
  ds: [140, 223, 15, 5],
  compat: [106, 35, 104, 32, 0, 64, 0, 72, 203],
  retf: [203],
  far_ff: [255, 44, 37, 0, 0, 80, 0],
  longnop_cross: [233, 245, 15, 0, 0],
  lockmov: [240, 137, 192],
  toolong: [102, 102, 102, 102, 102, 102, 102, 102, 102, 102, 102, 102, 102, 102, 102, 144],
  into: [206],
  bound: [98, 5],
  enqcmd: [242, 15, 56, 248, 7],
  pkru: [49, 201, 15, 1, 238, 15, 5],
  clac: [15, 1, 202],
  stac: [15, 1, 203],
  invd: [15, 8],
  rsm: [15, 170],
  umonitor: [243, 15, 174, 240],
  xgetbv: [49, 201, 15, 1, 208, 137, 199, 15, 5],
  cpuid7: [184, 7, 0, 0, 0, 49, 201, 15, 162, 137, 223, 15, 5],
  cpuid1: [184, 1, 0, 0, 0, 49, 201, 15, 162, 137, 207, 49, 210, 15, 5],
  call9: [154, 0, 0],
};
var out = {};
var last = '';
var ev = {
  syscall: (t) => {
    last = `call ${t.sysno} ${[0, 1, 2].map((i) => t.args[i * 2].toString(16)).join(',')}`;
  },
  fault: (t, s, c, a) => {
    last = `sig ${s} code ${c} addr ${a.toString(16)}`;
  },
  interrupted: () => {
    last = 'intr';
  },
  exited: (t, c) => {
    last = 'exited ' + c;
  },
};
for (const [name, bytes] of Object.entries(P)) {
  const t = platform.newAddressSpace();
  t.space.mapAnonymous(t, 4194304, 4096, 5);
  t.space.mapAnonymous(t, 5242880, 4096, 3);
  t.space.mapAnonymous(t, 6287360, 4096, 3);
  const code = new Uint8Array(64).fill(144);
  code.set(bytes);
  code.set([184, 77, 0, 0, 0, 15, 5], bytes.length);
  t.space.writeForced(4194304, code, 0, 64);
  const d = new Uint8Array(64);
  d.set([127 & 123, 3], 16);
  d.set([0, 29], 32);
  d.set([128, 29], 32);
  t.space.write(5242880, d, 0, 64);
  const r = t.registers();
  r.u64.fill(0n);
  r.set(REG.rip, 4194304);
  r.set(REG.rsp, 6291456 - 64);
  r.set(REG.eflags, 514);
  t.setRegisters();
  last = '';
  t.resume();
  const end = host.monotonicNow() + 1e9;
  while (last === '' && host.monotonicNow() < end) platform.wait(ev, end);
  const g = t.registers();
  out[name] =
    `${last || 'NOTHING'} rip ${g.get(REG.rip).toString(16)} fl ${(Number(g.u64[REG.eflags] & 0xffffffffn) & ~65536).toString(16)}${last.startsWith('exited') ? '' : ' rcx ' + g.get(REG.rcx).toString(16) + ' rax ' + g.get(REG.rax).toString(16)}`;
  t.space.release();
  platform.wait(ev, host.monotonicNow() + 1);
}
for (const [n, o] of Object.entries(out)) console.log(n.padEnd(14), o);
platform.shutdown();
process.exit(0);
