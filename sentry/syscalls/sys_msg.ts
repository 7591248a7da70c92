/** msgget(2), msgsnd(2), msgrcv(2), msgctl(2). */
import { EAGAIN, EFAULT, EIDRM, EINTR, EINVAL, ENOMSG, EPERM, ERANGE, type Errno, isErrno } from '../../abi/errno.ts';
import * as I from '../../abi/ipc.ts';
import { POLLIN, POLLOUT } from '../../abi/poll.ts';
import { off64, setLen64 } from '../../abi/struct.ts';
import { READ, WRITE } from '../ipc/ipc_object.ts';
import { type Message, MessageQueue, MSGMAX, MSGMNB, MSGMNI } from '../ipc/msg.ts';
import { CAP_SYS_RESOURCE, hasCap } from '../kernel/credentials.ts';
import type { Task } from '../kernel/task.ts';
import { type Blocking, type SyscallResult, waitFor } from '../kernel/wait.ts';
import { addr, flags, int, long, size, syscall } from './definition.ts';

function msgget(task: Task, key: number, flagBits: number): number {
  const none = (): 0 => 0;
  return task.namespaces.ipc.msg.open(task, key, flagBits, none, () => new MessageQueue(task, key, flagBits));
}

function msgsnd(task: Task, id: number, address: number, length: number, flagBits: number): SyscallResult {
  if (length > MSGMAX || id < 0) return EINVAL;
  const raw = task.readBytes(address, 8 + length);
  if (isErrno(raw)) return raw;
  const type = off64.get(new DataView(raw.buffer), 0);
  if (type < 1) return EINVAL;
  const queue = task.namespaces.ipc.msg.get(id);
  if (isErrno(queue)) return queue;
  const denied = queue.check(task, WRITE);
  if (denied !== 0) return denied;
  const message = { type, bytes: raw.subarray(8) };
  const r = queue.send(task, message);
  return r !== EAGAIN || (flagBits & I.IPC_NOWAIT) !== 0 ? r : sendBlocking(task, queue, message);
}
function* sendBlocking(task: Task, queue: MessageQueue, message: Message): Blocking {
  const wait = waitFor(queue.queue, POLLOUT);
  for (;;) {
    const wake = yield wait;
    if (queue.removed) return EIDRM;
    const r = queue.send(task, message);
    if (r !== EAGAIN) return r;
    if (wake === 'signal') return EINTR;
  }
}

function msgrcv(task: Task, id: number, address: number, room: number, type: number, flagBits: number): SyscallResult {
  if (id < 0 || room < 0 || room > Number.MAX_SAFE_INTEGER) return EINVAL;
  if ((flagBits & I.MSG_COPY) !== 0 && (flagBits & (I.IPC_NOWAIT | I.MSG_EXCEPT)) !== I.IPC_NOWAIT) return EINVAL;
  const queue = task.namespaces.ipc.msg.get(id);
  if (isErrno(queue)) return queue;
  const denied = queue.check(task, READ);
  if (denied !== 0) return denied;
  const message = queue.receive(task, room, type, flagBits);
  if (message !== ENOMSG || (flagBits & I.IPC_NOWAIT) !== 0) return deliver(task, message, address, room);
  return receiveBlocking(task, queue, address, room, type, flagBits);
}
function* receiveBlocking(task: Task, queue: MessageQueue, address: number, room: number, type: number, flagBits: number): Blocking {
  const wait = waitFor(queue.queue, POLLIN);
  for (;;) {
    const wake = yield wait;
    if (queue.removed) return EIDRM;
    const message = queue.receive(task, room, type, flagBits);
    if (message !== ENOMSG) return deliver(task, message, address, room);
    if (wake === 'signal') return EINTR;
  }
}
function deliver(task: Task, message: Message | Errno, address: number, room: number): number {
  if (isErrno(message)) return message;
  const length = Math.min(room, message.bytes.length);
  const out = new Uint8Array(8 + length);
  setLen64(new DataView(out.buffer), 0, message.type);
  out.set(message.bytes.subarray(0, length), 8);
  return task.copyOut(address, out) || length;
}

function msgctl(task: Task, id: number, command: number, address: number): number {
  const table = task.namespaces.ipc.msg;
  const cmd = command & ~I.IPC_64;
  if (cmd === I.IPC_INFO || cmd === I.MSG_INFO) return tellInfo(task, cmd, address);
  const bySlot = cmd === I.MSG_STAT || cmd === I.MSG_STAT_ANY;
  const queue = bySlot ? table.at(id) : table.get(id);
  if (isErrno(queue)) return queue;
  switch (cmd) {
    case I.IPC_STAT:
    case I.MSG_STAT:
    case I.MSG_STAT_ANY: {
      const denied = cmd === I.MSG_STAT_ANY ? 0 : queue.check(task, READ);
      return denied || task.copyOut(address, encodeQueue(task, queue)) || (bySlot ? queue.id : 0);
    }
    case I.IPC_SET:
      return setQueue(task, queue, address);
    case I.IPC_RMID: {
      const denied = queue.checkOwner(task);
      if (denied === 0) queue.destroy(table);
      return denied;
    }
    default:
      return EINVAL;
  }
}

/** More than MSGMNB bytes take privilege; more than sixteen times that nobody gets: the memory is the Sentry's. */
function setQueue(task: Task, queue: MessageQueue, address: number): number {
  const raw = task.readBytes(address, I.MsqidDs.size);
  if (isErrno(raw)) return EFAULT;
  const denied = queue.checkOwner(task);
  if (denied !== 0) return denied;
  const { msg_perm, msg_qbytes } = I.MsqidDs.decode(raw);
  if (msg_qbytes > MSGMNB && !hasCap(task.creds, CAP_SYS_RESOURCE)) return EPERM;
  if (msg_qbytes > 16 * MSGMNB) return ERANGE;
  const changed = queue.setPermissions(task, msg_perm);
  if (changed !== 0) return changed;
  queue.maxBytes = msg_qbytes;
  queue.queue.notify(POLLOUT);
  return 0;
}

function encodeQueue(task: Task, queue: MessageQueue): Uint8Array {
  const ns = task.pidNamespace;
  return I.MsqidDs.encode({
    msg_perm: queue.permissions(task),
    msg_stime: BigInt(queue.sendTime),
    msg_rtime: BigInt(queue.receiveTime),
    msg_ctime: BigInt(queue.changeTime),
    msg_cbytes: queue.bytes,
    msg_qnum: queue.messages.length,
    msg_qbytes: queue.maxBytes,
    msg_lspid: queue.lastSender?.idIn(ns) ?? 0,
    msg_lrpid: queue.lastReceiver?.idIn(ns) ?? 0,
  });
}

/** MSG_INFO: queues, messages and bytes in use, where IPC_INFO has msgpool, msgmap and msgtql. */
function tellInfo(task: Task, cmd: number, address: number): number {
  const table = task.namespaces.ipc.msg;
  let [messages, bytes] = [0, 0];
  for (const queue of table.objects()) {
    messages += queue.messages.length;
    bytes += queue.bytes;
  }
  const pool = Math.floor((MSGMNI * MSGMNB) / 1024);
  const values =
    cmd === I.MSG_INFO ? [table.count, messages, MSGMAX, MSGMNB, MSGMNI, 16, bytes] : [pool, MSGMNB, MSGMAX, MSGMNB, MSGMNI, 16, MSGMNB];
  return task.copyOut(address, I.Msginfo.encode({ values, msgseg: 0xffff })) || table.highest;
}

export const MSG_CALLS = {
  msgget: syscall({ x64: 68, man: 'msgget(2)', args: [int, flags], run: msgget }),
  msgsnd: syscall({ x64: 69, man: 'msgop(2)', args: [int, addr, size, flags], run: msgsnd }),
  msgrcv: syscall({ x64: 70, man: 'msgop(2)', args: [int, addr, long, long, flags], run: msgrcv }),
  msgctl: syscall({ x64: 71, man: 'msgctl(2)', args: [int, int, addr], run: msgctl }),
};
