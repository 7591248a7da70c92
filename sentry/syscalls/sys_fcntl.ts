/** fcntl(2), dup(2), ioctl(2)'s requests that every file knows. */
import { EBADF, EFAULT, EINVAL, ENOTTY, EOPNOTSUPP, EPERM } from '../../abi/errno.ts';
import {
  F_ADD_SEALS,
  F_DUPFD,
  F_DUPFD_CLOEXEC,
  F_GET_RW_HINT,
  F_GET_SEALS,
  F_GETFD,
  F_GETFL,
  F_GETLEASE,
  F_GETLK,
  F_GETOWN,
  F_GETOWN_EX,
  F_GETPIPE_SZ,
  F_GETSIG,
  F_NOTIFY,
  F_OFD_GETLK,
  F_OFD_SETLK,
  F_OFD_SETLKW,
  F_SET_RW_HINT,
  F_SETFD,
  F_SETFL,
  F_SETLEASE,
  F_SETLK,
  F_SETLKW,
  F_SETOWN,
  F_SETOWN_EX,
  F_SETPIPE_SZ,
  F_SETSIG,
  FASYNC,
  FD_CLOEXEC,
  O_APPEND,
  O_CLOEXEC,
  O_DIRECT,
  O_NOATIME,
  O_NONBLOCK,
} from '../../abi/fcntl.ts';
import { FICLONE, FICLONERANGE, FIGETBSZ, FIOASYNC, FIOCLEX, FIONBIO, FIONCLEX, FIONREAD, FIOQSIZE } from '../../abi/ioctl.ts';
import { NSIG } from '../../abi/signal.ts';
import { setLen64 } from '../../abi/struct.ts';
import { notifyOfChanges } from '../fs/inotify/directory_notice.ts';
import { getPipeSize, setPipeSize } from '../fs/pipefs/pipe_file.ts';
import type { Task } from '../kernel/task.ts';
import type { Blocking, SyscallResult } from '../kernel/wait.ts';
import { setAsync } from '../vfs/async_notice.ts';
import { NR_OPEN } from '../vfs/fd_table.ts';
import type { FileDescription } from '../vfs/file.ts';
import { leaseOf, setLease } from '../vfs/leases.ts';
import { credentialsOn } from '../vfs/mount_id_map.ts';
import { ownerOrCapable } from '../vfs/permission.ts';
import { addr, fd, flags, int, long, syscall, uint } from './definition.ts';
import { recordLock } from './sys_lock.ts';

/** What F_SETFL can change. */
const SETTABLE = O_APPEND | O_NONBLOCK | FASYNC | O_DIRECT | O_NOATIME;

function duplicate(task: Task, file: FileDescription, min: number, cloexec: boolean): number {
  if (min < 0 || min >= Math.min(task.openFileLimit, NR_OPEN)) return EINVAL;
  file.hold();
  const number = task.fds.install(file, cloexec, task.openFileLimit, min);
  if (number < 0) file.release();
  return number;
}

function dup(task: Task, number: number): number {
  const file = task.fds.get(number);
  return typeof file === 'number' ? file : duplicate(task, file, 0, false);
}

function dup3(task: Task, from: number, to: number, dupFlags: number): SyscallResult {
  if ((dupFlags & ~O_CLOEXEC) !== 0 || from === to) return EINVAL;
  return placeAt(task, from, to, (dupFlags & O_CLOEXEC) !== 0);
}
function dup2(task: Task, from: number, to: number): SyscallResult {
  if (from !== to) return placeAt(task, from, to, false);
  const file = task.fds.get(from);
  return typeof file === 'number' ? file : to;
}
function placeAt(task: Task, from: number, to: number, cloexec: boolean): SyscallResult {
  const file = task.fds.get(from);
  if (typeof file === 'number') return file;
  if (to < 0 || to >= Math.min(task.openFileLimit, NR_OPEN)) return EBADF;
  const old = task.fds.replace(to, file.hold(), cloexec);
  if (old === undefined) return to;
  const { impl } = old;
  task.kernel.closeFile(task, old);
  const waits = impl.afterClose(old);
  return typeof waits === 'number' ? to : closedBefore(waits, to);
}
/** What was closed is waited for; how that went nobody is told. */
function* closedBefore(waits: Blocking, to: number): Blocking {
  yield* waits;
  return to;
}

function fcntl(task: Task, number: number, command: number, argument: number): SyscallResult {
  const file = task.fds.get(number);
  if (typeof file === 'number') return file;
  const value = argument | 0;
  switch (command) {
    case F_DUPFD:
    case F_DUPFD_CLOEXEC:
      return duplicate(task, file, value, command === F_DUPFD_CLOEXEC);
    case F_GETFD:
      return task.fds.isCloexec(number) ? FD_CLOEXEC : 0;
    case F_SETFD:
      task.fds.setCloexec(number, (value & FD_CLOEXEC) !== 0);
      return 0;
    case F_GETFL:
      return file.flags;
    case F_SETFL:
      return file.isPath ? EBADF : setFlags(task, file, value, number);
  }
  if (file.isPath) return EBADF;
  return command === F_NOTIFY ? notifyOfChanges(task, file, number, argument >>> 0) : fileCommand(task, file, number, command, argument);
}

/** The commands that an O_PATH descriptor does not know. */
function fileCommand(task: Task, file: FileDescription, number: number, command: number, argument: number): SyscallResult {
  const value = argument | 0;
  switch (command) {
    case F_GETLK:
    case F_SETLK:
    case F_SETLKW:
    case F_OFD_GETLK:
    case F_OFD_SETLK:
    case F_OFD_SETLKW:
      return argument < 0 ? EFAULT : recordLock(task, file, command, argument);
    case F_SETOWN:
      file.owner = value;
      file.ownerSetter = task;
      return 0;
    case F_GETOWN:
      return file.owner;
    case F_SETOWN_EX:
      return argument < 0 ? EFAULT : setOwner(task, file, argument);
    case F_GETOWN_EX:
      return argument < 0 ? EFAULT : getOwner(task, file, argument);
    case F_SETSIG:
      if (value < 0 || value > NSIG) return EINVAL;
      file.ownerSignal = value;
      return 0;
    case F_GETSIG:
      return file.ownerSignal;
    case F_SETPIPE_SZ:
      return setPipeSize(file, value >>> 0);
    case F_GETPIPE_SZ:
      return getPipeSize(file);
    case F_ADD_SEALS:
      return file.writable ? file.impl.addSeals(value) : EPERM;
    case F_GET_SEALS:
      return file.impl.seals();
    case F_GETLEASE:
      return leaseOf(task, file);
    case F_SETLEASE:
      return setLease(task, file, number, value);
    case F_GET_RW_HINT:
    case F_SET_RW_HINT:
      return lifetimeHint(task, file, command, argument);
    default:
      return EINVAL;
  }
}

/** The hint is kept, and says nothing to anybody here. */
function lifetimeHint(task: Task, { inode }: FileDescription, command: number, address: number): number {
  if (inode === null) return EINVAL;
  if (command === F_GET_RW_HINT) {
    const bytes = new Uint8Array(8);
    bytes[0] = inode.lifetimeHint;
    return task.copyOut(address, bytes);
  }
  const raw = task.readBytes(address, 8);
  if (typeof raw === 'number') return raw;
  if ((raw[0] as number) > RWH_WRITE_LIFE_EXTREME || raw.subarray(1).some((byte) => byte !== 0)) return EINVAL;
  inode.lifetimeHint = raw[0] as number;
  return 0;
}
const RWH_WRITE_LIFE_EXTREME = 5;

/** `fd`: the number that signals of O_ASYNC tell. */
export function setFlags(task: Task, file: FileDescription, wanted: number, fd: number): number {
  const next = (file.flags & ~SETTABLE) | (wanted & SETTABLE);
  const gained = next & ~file.flags;
  if ((gained & O_NOATIME) !== 0 && file.inode !== null && !ownerOrCapable(file.inode, credentialsOn(file.path?.mount, task.creds)))
    return EPERM;
  const r = file.impl.setFlags(file, next);
  if (r !== 0) return r;
  file.flags = next;
  setAsync(task, file, fd, (next & FASYNC) !== 0);
  return 0;
}

// struct f_owner_ex (fcntl(2)): type, pid
const F_OWNER_TID = 0;
const F_OWNER_PID = 1;
const F_OWNER_PGRP = 2;

function setOwner(task: Task, file: FileDescription, address: number): number {
  const raw = task.readBytes(address, 8);
  if (typeof raw === 'number') return raw;
  const view = new DataView(raw.buffer);
  const type = view.getInt32(0, true);
  const id = view.getInt32(4, true);
  if (type !== F_OWNER_TID && type !== F_OWNER_PID && type !== F_OWNER_PGRP) return EINVAL;
  file.ownerSetter = task;
  file.owner = type === F_OWNER_PGRP ? -id : id;
  return 0;
}
function getOwner(task: Task, file: FileDescription, address: number): number {
  const owner = Int32Array.of(file.owner < 0 ? F_OWNER_PGRP : F_OWNER_PID, Math.abs(file.owner));
  return task.copyOut(address, new Uint8Array(owner.buffer));
}

function ioctl(task: Task, number: number, request: number, argument: number): SyscallResult {
  const file = task.fds.get(number);
  if (typeof file === 'number') return file;
  if (file.isPath) return EBADF;
  switch (request) {
    case FIOCLEX:
    case FIONCLEX:
      task.fds.setCloexec(number, request === FIOCLEX);
      return 0;
    case FIONBIO:
    case FIOASYNC: {
      const on = task.readBytes(argument, 4);
      if (typeof on === 'number') return on;
      const bit = request === FIONBIO ? O_NONBLOCK : FASYNC;
      return setFlags(task, file, on.some((b) => b !== 0) ? file.flags | bit : file.flags & ~bit, number);
    }
    case FICLONE:
    case FICLONERANGE:
      if (file.inode?.isRegular) return EOPNOTSUPP; // no filesystem here shares blocks
      break;
    case FIOQSIZE:
    case FIGETBSZ:
    case FIONREAD: {
      const r = regularIoctl(task, file, request, argument);
      if (r !== ENOTTY) return r;
      break;
    }
  }
  return file.impl.ioctl(file, task, request, argument);
}

/** What any regular file (FIOQSIZE: directories too) answers by itself. ENOTTY: not one. */
function regularIoctl(task: Task, file: FileDescription, request: number, address: number): number {
  const { inode } = file;
  if (inode === null || !(inode.isRegular || inode.isDirectory)) return ENOTTY;
  const { size, blksize } = inode.attributes();
  if (request === FIOQSIZE) {
    const bytes = new Uint8Array(8);
    setLen64(new DataView(bytes.buffer), 0, size);
    return task.copyOut(address, bytes);
  }
  if (request === FIGETBSZ) return task.writeU32(address, blksize);
  return inode.isRegular ? task.writeU32(address, Math.max(0, size - file.position)) : ENOTTY;
}

export const FCNTL_CALLS = {
  dup: syscall({ x64: 32, man: 'dup(2)', args: [fd], run: dup }),
  dup2: syscall({ x64: 33, man: 'dup(2)', args: [fd, fd], run: dup2 }),
  dup3: syscall({ x64: 292, man: 'dup(2)', args: [fd, fd, flags], run: dup3 }),
  fcntl: syscall({ x64: 72, man: 'fcntl(2)', args: [fd, int, long], run: fcntl }),
  ioctl: syscall({ x64: 16, man: 'ioctl(2)', args: [fd, uint, addr], run: ioctl }),
};
