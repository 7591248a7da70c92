/**
 * devpts (pty(7)): one file per pseudoterminal and `ptmx`, which makes new ones. Every mount made by mount(2) is an instance of
 * its own, as on Linux since 4.7.
 */
import { EBUSY, EINVAL, EIO, ENOENT, ENOSPC, type Errno } from '../../../abi/errno.ts';
import { O_ACCMODE, O_NOCTTY, O_WRONLY } from '../../../abi/fcntl.ts';
import { direntType, makedev, S_IFCHR } from '../../../abi/stat.ts';
import type { ByteString } from '../../../lib/byte_string.ts';
import { CAP_SYS_ADMIN, type Credentials, hasCap, rootCredentials } from '../../kernel/credentials.ts';
import type { Task } from '../../kernel/task.ts';
import { NO_ID } from '../../kernel/user_namespace.ts';
import { controlAtOpen } from '../../tty/job_control.ts';
import { MasterFile } from '../../tty/master_file.ts';
import { SlaveFile } from '../../tty/slave_file.ts';
import { Terminal } from '../../tty/terminal.ts';
import type { FileImpl } from '../../vfs/file.ts';
import type { AttributeChange, Inode, OpenContext, Timestamp } from '../../vfs/inode.ts';
import { Dentry, type Mount, type VfsPath } from '../../vfs/path.ts';
import { type Entry, SyntheticDirectory } from '../synthetic/directory.ts';
import { type Clock, SyntheticFilesystem, SyntheticInode, timestamp } from '../synthetic/filesystem.ts';

const DEVPTS_SUPER_MAGIC = 0x1cd1;
/** /dev/ptmx. */
export const TTYAUX_MAJOR = 5;
export const PTMX_MINOR = 2;
/** kernel.pty.max. */
const PTY_MAX = 4096;
const PTMX_INO = 2;
const FIRST_PTS_INO = 3;

/** mount(2) options of devpts. */
export interface DevptsOptions {
  /** Owner of new slaves; null: whoever opens ptmx. */
  readonly uid: number | null;
  readonly gid: number | null;
  readonly mode: number;
  readonly ptmxmode: number;
  readonly max: number;
  /** Owner of the directory and of ptmx. */
  readonly mounter: { readonly uid: number; readonly gid: number };
}

/** `creds`: who mounts. EINVAL for an unknown option or a bad number. */
export function parseDevptsOptions(data: string, { namespace, fsuid, fsgid }: Credentials = rootCredentials()): DevptsOptions | Errno {
  const options = { uid: null as number | null, gid: null as number | null, mode: 0o600, ptmxmode: 0, max: PTY_MAX };
  for (const option of data.split(',')) {
    if (option === '' || option === 'newinstance') continue;
    const match = /^(uid|gid|mode|ptmxmode|max)=([0-9]{1,10})$/.exec(option);
    if (match === null) return EINVAL;
    const [, name, text] = match as unknown as [string, Exclude<keyof DevptsOptions, 'mounter'>, string];
    const octal = name === 'mode' || name === 'ptmxmode';
    const value = Number.parseInt(text, octal ? 8 : 10);
    if (Number.isNaN(value)) return EINVAL;
    if (name === 'uid' || name === 'gid') {
      options[name] = (name === 'uid' ? namespace.uids : namespace.gids).toKernel(value);
      if (options[name] === NO_ID) return EINVAL;
    } else options[name] = octal ? value & 0o7777 : Math.min(value, PTY_MAX);
  }
  return { ...options, mounter: { uid: fsuid, gid: fsgid } };
}

export class DevptsFilesystem extends SyntheticFilesystem {
  readonly type = 'devpts';
  protected readonly magic = DEVPTS_SUPER_MAGIC;
  readonly root: DevptsRoot;
  readonly clock: Clock;
  readonly settings: DevptsOptions;
  readonly slaves = new Map<number, PtsInode>();

  constructor(dev: number, clock: Clock, settings: DevptsOptions) {
    super(dev, clock);
    this.clock = clock;
    this.settings = settings;
    this.root = new DevptsRoot(this, this.nextIno());
  }

  override options(): string {
    const { uid, gid, mode, ptmxmode, max } = this.settings;
    const owner = (uid === null ? '' : `uid=${uid},`) + (gid === null ? '' : `gid=${gid},`);
    const limit = max === PTY_MAX ? '' : `,max=${max}`;
    return `${owner}mode=${mode.toString(8).padStart(3, '0')},ptmxmode=${ptmxmode.toString(8).padStart(3, '0')}${limit}`;
  }

  /** A new pair, locked. `uid`, `gid`: of who asks. ENOSPC: too many. */
  create(uid: number, gid: number): Terminal | Errno {
    let index = 0;
    while (this.slaves.has(index)) index++;
    if (index >= this.settings.max) return ENOSPC;
    const terminal = new Terminal(index, () => this.slaves.delete(index));
    this.slaves.set(index, new PtsInode(this, terminal, this.settings.uid ?? uid, this.settings.gid ?? gid));
    return terminal;
  }

  /** Where the slave of a pair is seen through `mount`. */
  slavePath(mount: Mount, terminal: Terminal): VfsPath {
    return { mount, dentry: new Dentry(String(terminal.index), mount.root, this.slaves.get(terminal.index) ?? null) };
  }

  /** Opens a new master for a program. `mount`: where its slave will be seen. */
  openMaster(context: OpenContext, mount: Mount): FileImpl | Errno {
    const terminal = this.create(context.creds.fsuid, context.creds.fsgid);
    return terminal instanceof Terminal ? new MasterFile(terminal, this.slavePath(mount, terminal)) : terminal;
  }
}

class DevptsRoot extends SyntheticDirectory {
  override readonly fs: DevptsFilesystem;
  private readonly ptmx: PtmxInode;

  constructor(fs: DevptsFilesystem, ino: number) {
    super(fs, ino, 0o755);
    this.fs = fs;
    this.ptmx = new PtmxInode(fs);
  }
  override get uid(): number {
    return this.fs.settings.mounter.uid;
  }
  override get gid(): number {
    return this.fs.settings.mounter.gid;
  }
  *entries(): Iterable<Entry> {
    yield { name: 'ptmx', ino: PTMX_INO, type: direntType(S_IFCHR) };
    for (const [index, inode] of this.fs.slaves) yield { name: String(index), ino: inode.ino, type: direntType(S_IFCHR) };
  }
  lookup(name: ByteString): Inode | Errno {
    if (name === 'ptmx') return this.ptmx;
    return /^(0|[1-9]\d{0,4})$/.test(name) ? (this.fs.slaves.get(Number(name)) ?? ENOENT) : ENOENT;
  }
}

/** Device nodes that open by themselves, and whose mode and owner can be changed. */
abstract class TerminalNode extends SyntheticInode {
  override readonly fs: DevptsFilesystem;
  private owner: { uid: number; gid: number };
  private changed: Timestamp;

  constructor(fs: DevptsFilesystem, ino: number, permissions: number, uid: number, gid: number) {
    super(fs, ino, S_IFCHR | permissions);
    this.fs = fs;
    this.owner = { uid, gid };
    this.changed = timestamp(fs.clock);
  }
  override get uid(): number {
    return this.owner.uid;
  }
  override get gid(): number {
    return this.owner.gid;
  }
  protected override get time(): Timestamp {
    return this.changed;
  }
  override get opensItself(): boolean {
    return true;
  }
  override setAttributes(change: AttributeChange): 0 | Errno {
    if (change.mode !== undefined) this.modeBits = S_IFCHR | (change.mode & 0o7777);
    this.owner = { uid: change.uid ?? this.owner.uid, gid: change.gid ?? this.owner.gid };
    this.changed = timestamp(this.fs.clock);
    return 0;
  }
}

class PtmxInode extends TerminalNode {
  constructor(fs: DevptsFilesystem) {
    super(fs, PTMX_INO, fs.settings.ptmxmode, fs.settings.mounter.uid, fs.settings.mounter.gid);
  }
  protected override get rdev(): number {
    return makedev(TTYAUX_MAJOR, PTMX_MINOR);
  }
  open(_flags: number, context: OpenContext): FileImpl | Errno {
    return this.fs.openMaster(context, mountOfInstance(context, this.fs) ?? context.path.mount);
  }
}

export class PtsInode extends TerminalNode {
  readonly terminal: Terminal;

  constructor(fs: DevptsFilesystem, terminal: Terminal, uid: number, gid: number) {
    super(fs, FIRST_PTS_INO + terminal.index, fs.settings.mode, uid, gid);
    this.terminal = terminal;
  }
  protected override get rdev(): number {
    return this.terminal.rdev;
  }
  open(flags: number, context: OpenContext): FileImpl | Errno {
    return openSlave(this.terminal, flags, context.task);
  }
}

/** Opens a slave as open(2) of its node does. */
export function openSlave(terminal: Terminal, flags: number, task: Task | null): SlaveFile | Errno {
  if (!terminal.masterOpen || terminal.locked) return EIO;
  if (terminal.exclusive && task !== null && !hasCap(task.creds, CAP_SYS_ADMIN)) return EBUSY;
  const file = new SlaveFile(terminal);
  // Who may only write to it does not get it as a controlling terminal (a log on another's tty).
  if (task !== null && (flags & O_NOCTTY) === 0 && (flags & O_ACCMODE) !== O_WRONLY) controlAtOpen(task, terminal);
  return file;
}

/** A whole mount of the instance that the opener sees; ptmx itself may have been bind-mounted on /dev/ptmx. */
function mountOfInstance(context: OpenContext, fs: DevptsFilesystem): Mount | null {
  if (context.path.mount.root.inode === fs.root) return context.path.mount;
  return findDevptsMount(context.task, (mount) => mount.fs === fs);
}

/** The first mount of a devpts root that the task's namespace shows and `accept` takes. */
export function findDevptsMount(task: Task | null, accept: (mount: Mount) => boolean): Mount | null {
  if (task === null) return null;
  for (const mount of task.namespaces.mount.mounts()) {
    if (mount.fs instanceof DevptsFilesystem && mount.root.inode === mount.fs.root && accept(mount)) return mount;
  }
  return null;
}
