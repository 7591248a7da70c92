/** POSIX message queues: mq_open(2), mq_unlink(2), mq_timedsend(2), mq_timedreceive(2), mq_notify(2), mq_getsetattr(2). */
import {
  EACCES,
  EAGAIN,
  EBADF,
  EEXIST,
  EFAULT,
  EINVAL,
  EMSGSIZE,
  ENOENT,
  EPERM,
  ERESTARTSYS,
  type Errno,
  ETIMEDOUT,
  isErrno,
} from '../../abi/errno.ts';
import { NAME_MAX, O_ACCMODE, O_CREAT, O_EXCL, O_NONBLOCK, O_RDONLY, O_WRONLY } from '../../abi/fcntl.ts';
import { MqAttr } from '../../abi/ipc.ts';
import { POLLIN, POLLOUT } from '../../abi/poll.ts';
import { NSIG, SIGEV_NONE, SIGEV_SIGNAL, SIGEV_THREAD } from '../../abi/signal.ts';
import { DEFAULT_MESSAGES, DEFAULT_SIZE, type MqueueFile, type MqueueInode, openQueue, queueOf } from '../fs/mqueue/mqueue.ts';
import type { PosixMessage, QueueNotification } from '../ipc/posix_queue.ts';
import { CAP_FOWNER, CAP_SYS_RESOURCE, hasCap } from '../kernel/credentials.ts';
import type { Task } from '../kernel/task.ts';
import { type Blocking, type SyscallResult, waitFor } from '../kernel/wait.ts';
import { NetlinkSocket } from '../socket/netlink/netlink_socket.ts';
import type { FileDescription } from '../vfs/file.ts';
import { checkPermission, MAY_READ, MAY_WRITE } from '../vfs/permission.ts';
import { addr, fd, flags, mode, path, size, syscall, uint } from './definition.ts';
import { installFile } from './install_file.ts';
import { readTimespec } from './user_time.ts';

const MQ_PRIO_MAX = 32768;
/** fs.mqueue.msg_max and msgsize_max, and what CAP_SYS_RESOURCE may have (less than Linux's 16 MiB a message: the Sentry's memory). */
const MSG_MAX = 10;
const MSGSIZE_MAX = 8192;
const HARD_MSG_MAX = 65_536;
const HARD_MSGSIZE_MAX = 1 << 20;
const HARD_TOTAL = 64 << 20;
/** struct sigevent, and the cookie of SIGEV_THREAD: its last byte tells what happened. */
const SIGEVENT_SIZE = 64;
const NOTIFY_COOKIE_LEN = 32;
const NOTIFY_WOKENUP = 1;
const NOTIFY_REMOVED = 2;

/** The C library has taken the leading slash off. */
function readName(task: Task, address: number): string | Errno {
  const name = task.readString(address, NAME_MAX);
  if (isErrno(name)) return name;
  if (name === '') return ENOENT;
  return name.includes('/') || name === '.' || name === '..' ? EACCES : name;
}

function mq_open(task: Task, nameAt: number, openFlags: number, modeBits: number, attrAt: number): number {
  const name = readName(task, nameAt);
  if (isErrno(name)) return name;
  const fs = task.namespaces.ipc.mqueue(task.kernel);
  const access = openFlags & O_ACCMODE;
  if (access === O_ACCMODE) return EINVAL;
  let inode = fs.root.lookup(name);
  if (isErrno(inode)) {
    if ((openFlags & O_CREAT) === 0) return ENOENT;
    const attr = readAttributes(task, attrAt);
    if (typeof attr === 'number') return attr;
    inode = fs.root.make(task, name, modeBits, attr.messages, attr.size);
    if (isErrno(inode)) return inode;
  } else {
    if ((openFlags & (O_CREAT | O_EXCL)) === (O_CREAT | O_EXCL)) return EEXIST;
    const wanted = (access === O_WRONLY ? 0 : MAY_READ) | (access === O_RDONLY ? 0 : MAY_WRITE);
    const denied = checkPermission(inode, task.creds, wanted);
    if (denied !== 0) return denied;
  }
  return installFile(task, openQueue(fs, name, inode as MqueueInode, access | (openFlags & O_NONBLOCK)), true);
}

function readAttributes(task: Task, address: number): { messages: number; size: number } | Errno {
  if (address === 0) return { messages: DEFAULT_MESSAGES, size: DEFAULT_SIZE };
  const raw = task.readBytes(address, MqAttr.size);
  if (isErrno(raw)) return raw;
  const { mq_maxmsg: messages, mq_msgsize: bytes } = MqAttr.decode(raw);
  const privileged = hasCap(task.creds, CAP_SYS_RESOURCE);
  if (messages < 1 || bytes < 1) return EINVAL;
  if (messages > (privileged ? HARD_MSG_MAX : MSG_MAX) || bytes > (privileged ? HARD_MSGSIZE_MAX : MSGSIZE_MAX)) return EINVAL;
  return messages * bytes > HARD_TOTAL ? EINVAL : { messages, size: bytes };
}

/** The directory is sticky: owner only. */
function mq_unlink(task: Task, nameAt: number): number {
  const name = readName(task, nameAt);
  if (isErrno(name)) return name;
  const { root } = task.namespaces.ipc.mqueue(task.kernel);
  const inode = root.lookup(name);
  if (isErrno(inode)) return inode;
  if (inode.uid !== task.creds.fsuid && task.creds.fsuid !== 0 && !hasCap(task.creds, CAP_FOWNER)) return EPERM;
  return root.unlink(name, inode);
}

/** Kernel monotonic time of a CLOCK_REALTIME deadline in user memory; Infinity for none, or an errno. */
function deadlineAt(task: Task, address: number): number {
  if (address === 0) return Number.POSITIVE_INFINITY;
  const time = readTimespec(task, address);
  return time < 0 ? time : Math.max(1, task.kernel.now() + time - task.kernel.realtime());
}

/** Tries, then waits for `events`. */
function transfer(file: FileDescription, impl: MqueueFile, events: number, deadline: number, attempt: () => number): SyscallResult {
  const r = attempt();
  return r !== EAGAIN || file.nonblocking ? r : transferBlocking(file, impl, events, deadline, attempt);
}
function* transferBlocking(file: FileDescription, impl: MqueueFile, events: number, deadline: number, attempt: () => number): Blocking {
  const wait = waitFor(impl.queue, events, Number.isFinite(deadline) ? deadline : undefined);
  const receiver = events === POLLIN ? 1 : 0;
  impl.messages.receivers += receiver;
  file.hold();
  try {
    for (;;) {
      const wake = yield wait;
      const r = attempt();
      if (r !== EAGAIN) return r;
      if (wake === 'timeout') return ETIMEDOUT;
      if (wake === 'signal') return ERESTARTSYS;
    }
  } finally {
    impl.messages.receivers -= receiver;
    file.release();
  }
}

function mq_timedsend(task: Task, number: number, address: number, length: number, priority: number, timeout: number): SyscallResult {
  if (priority >= MQ_PRIO_MAX) return EINVAL;
  const deadline = deadlineAt(task, timeout);
  if (deadline < 0) return deadline;
  const file = task.fds.get(number);
  const impl = queueOf(file);
  if (isErrno(impl) || isErrno(file)) return EBADF;
  if (!file.writable) return EBADF;
  if (length > impl.messages.messageSize) return EMSGSIZE;
  const bytes = task.readBytes(address, length);
  if (isErrno(bytes)) return bytes;
  const message: PosixMessage = { priority, bytes };
  return transfer(file, impl, POLLOUT, deadline, () => impl.messages.send(task, message));
}

function mq_timedreceive(task: Task, number: number, address: number, room: number, priorityAt: number, timeout: number): SyscallResult {
  const deadline = deadlineAt(task, timeout);
  if (deadline < 0) return deadline;
  const file = task.fds.get(number);
  const impl = queueOf(file);
  if (isErrno(impl) || isErrno(file)) return EBADF;
  if (!file.readable) return EBADF;
  if (room < impl.messages.messageSize) return EMSGSIZE;
  return transfer(file, impl, POLLIN, deadline, () => {
    const message = impl.messages.receive();
    if (isErrno(message)) return message;
    if (task.copyOut(address, message.bytes) !== 0) return EFAULT;
    if (priorityAt !== 0 && task.writeU32(priorityAt, message.priority) !== 0) return EFAULT;
    return message.bytes.length;
  });
}

function mq_notify(task: Task, number: number, address: number): number {
  const impl = queueOf(task.fds.get(number));
  if (address === 0) {
    if (isErrno(impl)) return impl;
    impl.messages.unregister(task.group);
    return 0;
  }
  const raw = task.readBytes(address, SIGEVENT_SIZE);
  if (isErrno(raw)) return raw;
  const view = new DataView(raw.buffer);
  const how = view.getInt32(12, true);
  const signal = view.getInt32(8, true);
  if (how !== SIGEV_NONE && how !== SIGEV_SIGNAL && how !== SIGEV_THREAD) return EINVAL;
  if (how === SIGEV_SIGNAL && (signal < 0 || signal > NSIG)) return EINVAL;
  if (isErrno(impl)) return impl;
  const value = view.getBigUint64(0, true);
  const tell = how === SIGEV_THREAD ? threadNotification(task, signal, Number(value)) : null;
  if (typeof tell === 'number') return tell;
  const notification: QueueNotification = { group: task.group, signal: how === SIGEV_SIGNAL ? signal : 0, value, tell };
  return impl.messages.register(notification);
}

/** SIGEV_THREAD: the C library's helper thread reads its cookie back from a netlink socket. */
function threadNotification(task: Task, socketFd: number, cookieAt: number): QueueNotification['tell'] | Errno {
  const file = task.fds.get(socketFd);
  if (isErrno(file)) return file;
  const { impl } = file;
  if (!(impl instanceof NetlinkSocket)) return EBADF;
  const cookie = task.readBytes(cookieAt, NOTIFY_COOKIE_LEN);
  if (isErrno(cookie)) return cookie;
  return (what) => {
    cookie[NOTIFY_COOKIE_LEN - 1] = what === 'woken' ? NOTIFY_WOKENUP : NOTIFY_REMOVED;
    impl.deliver(cookie.slice());
  };
}

function mq_getsetattr(task: Task, number: number, newAt: number, oldAt: number): number {
  const file = task.fds.get(number);
  const impl = queueOf(file);
  if (isErrno(impl) || isErrno(file)) return EBADF;
  const raw = newAt === 0 ? null : task.readBytes(newAt, MqAttr.size);
  if (isErrno(raw)) return raw;
  const wanted = raw === null ? null : MqAttr.decode(raw).mq_flags;
  if (wanted !== null && (wanted & ~O_NONBLOCK) !== 0) return EINVAL;
  const { maxMessages, messageSize, count } = impl.messages;
  const old = { mq_flags: file.flags & O_NONBLOCK, mq_maxmsg: maxMessages, mq_msgsize: messageSize, mq_curmsgs: count };
  if (wanted !== null) file.flags = (file.flags & ~O_NONBLOCK) | wanted;
  return oldAt === 0 ? 0 : task.copyOut(oldAt, MqAttr.encode(old));
}

export const MQUEUE_CALLS = {
  mq_open: syscall({ x64: 240, man: 'mq_open(2)', args: [path, flags, mode, addr], run: mq_open }),
  mq_unlink: syscall({ x64: 241, man: 'mq_unlink(2)', args: [path], run: mq_unlink }),
  mq_timedsend: syscall({ x64: 242, man: 'mq_timedsend(2)', args: [fd, addr, size, uint, addr], run: mq_timedsend }),
  mq_timedreceive: syscall({ x64: 243, man: 'mq_timedreceive(2)', args: [fd, addr, size, addr, addr], run: mq_timedreceive }),
  mq_notify: syscall({ x64: 244, man: 'mq_notify(2)', args: [fd, addr], run: mq_notify }),
  mq_getsetattr: syscall({ x64: 245, man: 'mq_getsetattr(2)', args: [fd, addr, addr], run: mq_getsetattr }),
};
