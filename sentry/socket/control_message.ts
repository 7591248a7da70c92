/** Control messages (cmsg(3), unix(7)): SCM_RIGHTS and SCM_CREDENTIALS between user memory and the kernel. */
import { EBADF, EINVAL, EPERM, type Errno, ESRCH, isErrno } from '../../abi/errno.ts';
import { MSG_CMSG_CLOEXEC, MSG_CTRUNC, SCM_CREDENTIALS, SCM_MAX_FD, SCM_RIGHTS, SOL_SOCKET, Ucred } from '../../abi/socket.ts';
import { getLen64, setLen64 } from '../../abi/struct.ts';
import { CAP_SETGID, CAP_SETUID, CAP_SYS_ADMIN, hasCapIn, hasOwnCap } from '../kernel/credentials.ts';
import type { Task } from '../kernel/task.ts';
import type { ThreadGroup } from '../kernel/thread_group.ts';
import { NO_ID } from '../kernel/user_namespace.ts';
import type { FileDescription } from '../vfs/file.ts';

const CMSG_HEADER = 16; // cmsg_len, cmsg_level, cmsg_type

/** Who sent a message: translated to numbers when it is received. */
export interface SenderCredentials {
  readonly process: ThreadGroup;
  readonly uid: number;
  readonly gid: number;
}

/** What a sender attaches. `files` are held. */
export interface SentControl {
  files: FileDescription[] | null;
  /** Explicit SCM_CREDENTIALS; null: the sender's own. */
  credentials: SenderCredentials | null;
  /** Messages of other levels, for families that know them. */
  others: RawControl[] | null;
}
export interface RawControl {
  readonly level: number;
  readonly type: number;
  readonly data: Uint8Array;
}

/** What a receive found. `files` are held by the message and become the receiver's. */
export interface ReceivedControl {
  files?: FileDescription[];
  credentials?: SenderCredentials;
  others?: RawControl[];
}

export function ownCredentials(task: Task): SenderCredentials {
  return { process: task.group, uid: task.creds.uid, gid: task.creds.gid };
}
/** struct ucred as `reader` sees it. */
export function encodeUcred(from: SenderCredentials | null, reader: Task): Uint8Array {
  const { uids, gids } = reader.creds.namespace;
  if (from === null) return Ucred.encode({ pid: 0, uid: 0xffff_ffff, gid: 0xffff_ffff });
  return Ucred.encode({ pid: from.process.idIn(reader.pidNamespace), uid: uids.shown(from.uid), gid: gids.shown(from.gid) });
}

/** Decodes msg_control. Null if it holds nothing. Files are held for the message; on an error none is. */
export function parseControl(task: Task, bytes: Uint8Array): SentControl | null | Errno {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const control: SentControl = { files: null, credentials: null, others: null };
  for (let at = 0; at + CMSG_HEADER <= bytes.length; ) {
    const length = getLen64(view, at);
    if (length < CMSG_HEADER || at + length > bytes.length) return refuse(control, EINVAL);
    const level = view.getInt32(at + 8, true);
    const type = view.getInt32(at + 12, true);
    const data = bytes.subarray(at + CMSG_HEADER, at + length);
    const r = level === SOL_SOCKET ? parseOne(task, control, type, data) : keepOther(control, level, type, data);
    if (r !== 0) return refuse(control, r);
    at += (length + 7) & ~7;
  }
  return control.files === null && control.credentials === null && control.others === null ? null : control;
}

function parseOne(task: Task, control: SentControl, type: number, data: Uint8Array): 0 | Errno {
  if (type === SCM_RIGHTS) return parseRights(task, control, data);
  if (type === SCM_CREDENTIALS) return parseCredentials(task, control, data);
  return keepOther(control, SOL_SOCKET, type, data);
}
function keepOther(control: SentControl, level: number, type: number, data: Uint8Array): 0 {
  control.others ??= [];
  control.others.push({ level, type, data });
  return 0;
}

function parseRights(task: Task, control: SentControl, data: Uint8Array): 0 | Errno {
  const count = Math.floor(data.length / 4);
  const files = control.files ?? [];
  if (count + files.length > SCM_MAX_FD) return EINVAL;
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  if (count > 0) control.files = files;
  for (let i = 0; i < count; i++) {
    const file = task.fds.get(view.getInt32(i * 4, true));
    if (isErrno(file)) return EBADF;
    files.push(file.hold());
  }
  return 0;
}

/** A process may claim its own numbers; others take privilege (unix(7)). */
function parseCredentials(task: Task, control: SentControl, data: Uint8Array): 0 | Errno {
  if (data.length !== Ucred.size) return EINVAL;
  const given = Ucred.decode(data);
  const { creds } = task;
  const { pid } = given;
  const uid = creds.namespace.uids.toKernel(given.uid);
  const gid = creds.namespace.gids.toKernel(given.gid);
  if (uid === NO_ID || gid === NO_ID) return EINVAL;
  const process = pid === task.pid ? task.group : task.pidNamespace.tasks.get(pid)?.group;
  if (pid !== task.pid && !hasCapIn(creds, CAP_SYS_ADMIN, task.pidNamespace.owner)) return EPERM;
  if (uid !== creds.uid && uid !== creds.euid && uid !== creds.suid && !hasOwnCap(creds, CAP_SETUID)) return EPERM;
  if (gid !== creds.gid && gid !== creds.egid && gid !== creds.sgid && !hasOwnCap(creds, CAP_SETGID)) return EPERM;
  if (process === undefined) return ESRCH;
  control.credentials = { process, uid, gid };
  return 0;
}

function refuse(control: SentControl, errno: Errno): Errno {
  dropFiles(control.files);
  return errno;
}
export function dropFiles(files: readonly FileDescription[] | null | undefined): void {
  for (const file of files ?? []) file.release();
}

/** Lays out control messages in a buffer of the receiver's size; says MSG_CTRUNC when something does not fit. */
export class ControlWriter {
  readonly bytes: Uint8Array;
  used = 0;
  truncated = 0;
  private readonly view: DataView;
  constructor(capacity: number) {
    this.bytes = new Uint8Array(capacity);
    this.view = new DataView(this.bytes.buffer);
  }
  /** Bytes of data that the next message may have. */
  get room(): number {
    return Math.max(0, this.bytes.length - this.used - CMSG_HEADER);
  }
  /** Data that does not fit is cut. */
  add(level: number, type: number, data: Uint8Array): void {
    if (this.bytes.length - this.used < CMSG_HEADER) {
      this.truncated = MSG_CTRUNC;
      return;
    }
    const length = Math.min(data.length, this.room);
    if (length < data.length) this.truncated = MSG_CTRUNC;
    setLen64(this.view, this.used, CMSG_HEADER + length);
    this.view.setInt32(this.used + 8, level, true);
    this.view.setInt32(this.used + 12, type, true);
    this.bytes.set(data.subarray(0, length), this.used + CMSG_HEADER);
    this.used = Math.min(this.bytes.length, this.used + ((CMSG_HEADER + length + 7) & ~7));
  }
}

/**
 * Gives the receiver what came: credentials if `passCredentials`, files as new descriptors as far as there is room; the others are
 * closed.
 */
export function deliverControl(task: Task, control: ReceivedControl, writer: ControlWriter, passCredentials: boolean, flags: number): void {
  if (passCredentials) {
    writer.add(SOL_SOCKET, SCM_CREDENTIALS, encodeUcred(control.credentials ?? null, task));
  }
  for (const other of control.others ?? []) writer.add(other.level, other.type, other.data);
  if (control.files !== undefined && control.files.length > 0) deliverFiles(task, control.files, writer, (flags & MSG_CMSG_CLOEXEC) !== 0);
}

function deliverFiles(task: Task, files: FileDescription[], writer: ControlWriter, cloexec: boolean): void {
  const fits = Math.min(files.length, Math.floor(writer.room / 4));
  const numbers: number[] = [];
  while (numbers.length < fits) {
    const fd = task.fds.install(files[numbers.length] as FileDescription, cloexec, task.openFileLimit);
    if (isErrno(fd)) break;
    numbers.push(fd);
  }
  if (numbers.length > 0) writer.add(SOL_SOCKET, SCM_RIGHTS, new Uint8Array(Int32Array.from(numbers).buffer));
  if (numbers.length < files.length) writer.truncated = MSG_CTRUNC;
  dropFiles(files.slice(numbers.length));
}
