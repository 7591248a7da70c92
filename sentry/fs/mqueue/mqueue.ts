/** The mqueue filesystem: an ipc namespace's POSIX message queues as files (mq_overview(7)). */
import { EBADF, EEXIST, EMFILE, ENOENT, ENOSPC, type Errno } from '../../../abi/errno.ts';
import { direntType, S_IFREG, S_ISVTX } from '../../../abi/stat.ts';
import { type ByteString, bytesOf } from '../../../lib/byte_string.ts';
import { PosixQueue } from '../../ipc/posix_queue.ts';
import { CAP_SYS_RESOURCE, hasCap } from '../../kernel/credentials.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import { RLIMIT_MSGQUEUE } from '../../kernel/rlimits.ts';
import type { Task } from '../../kernel/task.ts';
import type { WaitQueue } from '../../kernel/wait.ts';
import { FileDescription, FileImpl } from '../../vfs/file.ts';
import type { AttributeChange, CreateOptions, Inode } from '../../vfs/inode.ts';
import type { Sink } from '../../vfs/io.ts';
import { Dentry, Mount, MS_NODEV, MS_NOEXEC, MS_NOSUID } from '../../vfs/path.ts';
import { type Entry, SyntheticDirectory } from '../synthetic/directory.ts';
import { SyntheticFilesystem, SyntheticInode } from '../synthetic/filesystem.ts';

const MQUEUE_MAGIC = 0x19800202;
/** fs.mqueue.queues_max. */
const QUEUES_MAX = 256;
/** Length of the state that reading a queue shows. */
const STATE_SIZE = 80;
/** What one message costs beside its bytes against RLIMIT_MSGQUEUE (struct msg_msg and a tree node). */
const MESSAGE_COST = 96;
export const DEFAULT_MESSAGES = 10;
export const DEFAULT_SIZE = 8192;

export class MqueueFilesystem extends SyntheticFilesystem {
  readonly type = 'mqueue';
  protected readonly magic = MQUEUE_MAGIC;
  readonly root: MqueueDirectory;
  /** How descriptors of queues see the filesystem; no namespace shows it. */
  readonly mount: Mount;
  /** Bytes reserved by each user. */
  readonly reserved = new Map<number, number>();

  constructor(kernel: Kernel) {
    super(kernel.uniqueId(), kernel);
    this.root = new MqueueDirectory(this);
    this.mount = new Mount(kernel.uniqueId(), this, new Dentry('', null, this.root), MS_NOSUID | MS_NODEV | MS_NOEXEC, 'mqueue');
  }
}

/** The only directory: mode 1777. */
class MqueueDirectory extends SyntheticDirectory {
  declare readonly fs: MqueueFilesystem;
  private readonly queues = new Map<ByteString, MqueueInode>();

  constructor(fs: MqueueFilesystem) {
    super(fs, fs.nextIno(), S_ISVTX | 0o777);
  }
  *entries(): Iterable<Entry> {
    for (const [name, inode] of this.queues) yield { name, ino: inode.ino, type: direntType(S_IFREG) };
  }
  override lookup(name: ByteString): MqueueInode | Errno {
    return this.queues.get(name) ?? ENOENT;
  }
  /** open(2) with O_CREAT below /dev/mqueue makes a queue of the default size. */
  override create(name: ByteString, options: CreateOptions): MqueueInode | Errno {
    return this.add(name, options, new PosixQueue(DEFAULT_MESSAGES, DEFAULT_SIZE), 0);
  }
  private add(name: ByteString, options: CreateOptions, queue: PosixQueue, cost: number): MqueueInode | Errno {
    if (this.queues.has(name)) return EEXIST;
    const inode = new MqueueInode(this.fs, options, queue, cost);
    this.queues.set(name, inode);
    return inode;
  }
  /** mq_open(2) with O_CREAT. EMFILE: over RLIMIT_MSGQUEUE; ENOSPC: too many queues. */
  make(task: Task, name: ByteString, mode: number, maxMessages: number, messageSize: number): MqueueInode | Errno {
    const { creds } = task;
    if (this.queues.size >= QUEUES_MAX && !hasCap(creds, CAP_SYS_RESOURCE)) return ENOSPC;
    const cost = maxMessages * (messageSize + MESSAGE_COST);
    const total = (this.fs.reserved.get(creds.uid) ?? 0) + cost;
    if (total > task.group.limits.soft(RLIMIT_MSGQUEUE)) return EMFILE;
    const options = { mode: S_IFREG | (mode & ~task.fs.umask & 0o777), uid: creds.fsuid, gid: creds.fsgid };
    const inode = this.add(name, options, new PosixQueue(maxMessages, messageSize), cost);
    if (typeof inode !== 'number') {
      inode.payer = creds.uid;
      this.fs.reserved.set(creds.uid, total);
    }
    return inode;
  }
  override unlink(name: ByteString, target: Inode): 0 | Errno {
    if (this.queues.get(name) !== target) return ENOENT;
    this.queues.delete(name);
    (target as MqueueInode).unlinked();
    return 0;
  }
}

export class MqueueInode extends SyntheticInode {
  declare readonly fs: MqueueFilesystem;
  readonly queue: PosixQueue;
  /** Whose RLIMIT_MSGQUEUE it counts against. */
  payer = -1;
  private cost: number;
  private owner: number;
  private groupId: number;
  private opens = 0;
  private hasName = true;

  constructor(fs: MqueueFilesystem, options: CreateOptions, queue: PosixQueue, cost: number) {
    super(fs, fs.nextIno(), options.mode);
    this.queue = queue;
    this.cost = cost;
    this.owner = options.uid;
    this.groupId = options.gid;
  }
  override get uid(): number {
    return this.owner;
  }
  override get gid(): number {
    return this.groupId;
  }
  protected override get size(): number {
    return STATE_SIZE;
  }
  override setAttributes(change: AttributeChange): 0 | Errno {
    if (change.mode !== undefined) this.modeBits = (this.modeBits & ~0o7777) | change.mode;
    if (change.uid !== undefined) this.owner = change.uid;
    if (change.gid !== undefined) this.groupId = change.gid;
    return 0;
  }
  open(): MqueueFile {
    this.opens++;
    return new MqueueFile(this);
  }
  closed(): void {
    this.opens--;
    this.giveBack();
  }
  unlinked(): void {
    this.hasName = false;
    this.giveBack();
  }
  private giveBack(): void {
    if (this.hasName || this.opens > 0 || this.cost === 0) return;
    this.fs.reserved.set(this.payer, Math.max(0, (this.fs.reserved.get(this.payer) ?? 0) - this.cost));
    this.cost = 0;
  }
}

/** An open queue. Messages go through mq_timedsend(2) and mq_timedreceive(2); read(2) shows the state. */
export class MqueueFile extends FileImpl {
  override readonly queue: WaitQueue;
  readonly messages: PosixQueue;
  private readonly inode: MqueueInode;

  constructor(inode: MqueueInode) {
    super();
    this.inode = inode;
    this.messages = inode.queue;
    this.queue = inode.queue.queue;
  }
  override read(dst: Sink, file: FileDescription, task: Task): number {
    const { registered, bytes } = this.messages;
    const notify = registered === null ? 0 : registered.tell !== null ? 2 : registered.signal === 0 ? 1 : 0;
    const pid = registered?.group.idIn(task.pidNamespace) ?? 0;
    const field = (name: string, n: number): string => `${name}:${String(n)}`;
    const text = `${field('QSIZE', bytes).padEnd(17)}${field('NOTIFY', notify).padEnd(13)}${field('SIGNO', registered?.signal ?? 0).padEnd(12)}${field('NOTIFY_PID', pid)}\n`;
    const raw = bytesOf(text);
    if (file.position >= raw.length) return 0;
    const n = dst.put(raw, file.position, raw.length);
    if (n > 0) file.position += n;
    return n;
  }
  override poll(_file: FileDescription): number {
    return this.messages.poll();
  }
  override flush(_file: FileDescription, task: Task): number {
    this.messages.unregister(task.group);
    return 0;
  }
  override release(): void {
    this.inode.closed();
  }
}

/** The descriptor that mq_open(2) gives. flags: O_RDONLY … O_RDWR and O_NONBLOCK. */
export function openQueue(fs: MqueueFilesystem, name: ByteString, inode: MqueueInode, flags: number): FileDescription {
  return new FileDescription(inode.open(), flags, { mount: fs.mount, dentry: new Dentry(`/${name}`, null, inode) });
}
/** The queue behind a descriptor; EBADF. */
export function queueOf(file: FileDescription | Errno): MqueueFile | Errno {
  if (typeof file === 'number') return file;
  return file.impl instanceof MqueueFile ? file.impl : EBADF;
}
