/** The open files of one inode behind the gofer, and the donated descriptors they share: one for reading, one for writing as well. */
import { EMFILE, type Errno, ESTALE, isErrno } from '../../../abi/errno.ts';
import { O_RDONLY, O_RDWR, O_WRONLY } from '../../../abi/fcntl.ts';
import { S_IALLUGO, S_ISGID, S_ISUID } from '../../../abi/stat.ts';
import { P9_NOFID } from '../../../lib/p9/constants.ts';
import { Rwalkx, Twalkx } from '../../../lib/p9/messages.ts';
import type { Credentials } from '../../kernel/credentials.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import type { FileImpl } from '../../vfs/file.ts';
import { modeAfterWrite } from '../../vfs/permission.ts';
import { HostFd } from '../host_fd.ts';
import { hostFifo } from '../host_fifo.ts';
import { HostFile, type HostFileOwner } from '../host_file.ts';
import { DENIED } from './direct.ts';
import type { GoferInode } from './inode.ts';
import { readEntries } from './listing.ts';

export class OpenFiles implements HostFileOwner {
  readonly kernel: Kernel;
  readers = 0;
  writers = 0;
  private readonly inode: GoferInode;
  private readFile: HostFd | null = null;
  private writeFile: HostFd | null = null;

  constructor(inode: GoferInode) {
    this.inode = inode;
    this.kernel = inode.fs.kernel;
  }

  get flushesAtClose(): boolean {
    return this.inode.fs.flushesAtClose;
  }
  /** A descriptor that knows the file's attributes; null: none is open. */
  get descriptor(): HostFd | null {
    return this.writers > 0 ? this.writeFile : this.readFile;
  }
  get none(): boolean {
    return this.readers + this.writers === 0;
  }

  /** Another open file. accessMode: O_RDONLY, O_WRONLY or O_RDWR. */
  open(accessMode: number): FileImpl | Errno {
    const writable = accessMode !== O_RDONLY;
    if (!writable) this.dropUnusedWriter();
    const file = this.descriptorFor(writable, accessMode);
    if (isErrno(file)) return file;
    if (this.none) this.inode.fs.open.set(this.inode.ino, this.inode);
    if (writable) {
      this.writers++;
      this.writeFile = file;
    } else {
      this.readers++;
      this.readFile = file;
    }
    return new HostFile(this, file, writable);
  }

  /** The descriptor that came with the creation: open(2) wants it next. */
  expectWriter(fd: number): void {
    this.writeFile = this.written(fd);
    this.inode.fs.created?.dropUnusedWriter();
    this.inode.fs.created = this;
  }
  /** It was then not opened for writing after all. */
  dropUnusedWriter(): void {
    if (this.writers > 0) return;
    this.writeFile?.release();
    this.writeFile = null;
  }

  currentSize(): number {
    return this.inode.attributes().size;
  }
  /**
   * The host takes set-id bits and file capabilities with a write of ours, as we have no privilege there. The bits stay if the application's own
   * privilege keeps them: then the gofer puts them back.
   */
  changing(creds: Credentials): (() => void) | null {
    const { inode } = this;
    inode.contentChanged();
    const watched = inode.changing();
    const kept = modeAfterWrite(inode, creds) & (S_ISUID | S_ISGID);
    if (kept === 0) return watched;
    return () => {
      watched?.();
      const { mode } = inode.attributes();
      if ((mode & kept) !== kept) inode.setAttributes({ mode: (mode | kept) & S_IALLUGO });
    };
  }
  closed(file: HostFd, writable: boolean): void {
    const { inode } = this;
    if (writable) {
      if (this.writers === 1) inode.askDescriptor(file); // the last look through it
      if (--this.writers > 0) return;
      this.writeFile = null;
      file.release();
      inode.contentChanged();
    } else {
      if (--this.readers > 0) return;
      this.readFile = null;
      if (inode.parent !== null) inode.fs.keepIdle(inode, file);
      else file.release();
    }
    if (this.none) inode.unused();
  }

  /** Files opened with the same rights share one descriptor. What is open for writing can be read as well, if the gofer may. */
  private descriptorFor(writable: boolean, accessMode: number): HostFd | Errno {
    const shared = writable ? this.writeFile : (this.readFile ?? this.inode.fs.takeIdle(this.inode));
    if (shared !== null) return shared;
    const fd = this.ask(writable ? O_RDWR : O_RDONLY);
    if (fd >= 0) return writable ? this.written(fd) : new HostFd(this.kernel.host, fd);
    const only = writable && accessMode === O_WRONLY ? this.ask(O_WRONLY) : fd;
    return only >= 0 ? this.written(only) : (only as Errno);
  }
  /** A descriptor for writing: that it is closed the host tells those who watch, and they have heard it from us. */
  private written(fd: number): HostFd {
    const { inode } = this;
    const file = new HostFd(this.kernel.host, fd);
    file.closing = () => inode.changing();
    return file;
  }

  /** A shared mount's open file keeps a fid as well: its name may come to mean something else. */
  private ask(accessMode: number): number {
    const { inode } = this;
    const { client, exclusive, device, direct } = inode.fs;
    const opened = direct !== null && accessMode === O_RDONLY ? direct.openFile(inode) : DENIED;
    if (opened !== DENIED) return opened;
    const ahead = accessMode === O_RDONLY ? inode.fs.ahead.open(inode) : -1;
    if (ahead >= 0) return ahead;
    const place = inode.place();
    if (isErrno(place)) return place;
    const newfid = !exclusive && inode.fid < 0 ? client.newFid() : P9_NOFID;
    const answer = client.call(Twalkx, { ...place, newfid, open: accessMode }, Rwalkx);
    const fd = client.takeDescriptor();
    // An answer without the descriptor: the host gave it to us and we had no number left for it.
    const error = isErrno(answer) ? answer : answer.ecode !== 0 ? client.errnoOf(answer.ecode) : fd < 0 ? EMFILE : 0;
    if (isErrno(answer) || error !== 0) {
      if (newfid !== P9_NOFID) client.unusedFid(newfid);
      if (fd >= 0) this.kernel.host.close(fd);
      return error;
    }
    const entry = readEntries(answer.entries, device)?.at(-1);
    if (entry === undefined || !inode.sameObject(entry.attributes)) {
      if (newfid !== P9_NOFID) client.clunk(newfid);
      this.kernel.host.close(fd);
      return ESTALE;
    }
    inode.told(entry);
    if (newfid !== P9_NOFID) inode.setFid(newfid);
    return fd;
  }
}

/** A fifo that the host has, too. It never waits: ENXIO for a writer without a reader. */
export function openFifo(inode: GoferInode, accessMode: number): FileImpl | Errno {
  const { client, kernel } = inode.fs;
  const place = inode.place();
  if (isErrno(place)) return place;
  const answer = client.call(Twalkx, { ...place, newfid: P9_NOFID, open: accessMode }, Rwalkx);
  if (isErrno(answer)) return answer;
  const fd = client.takeDescriptor();
  if (answer.ecode !== 0 || fd < 0) return answer.ecode !== 0 ? client.errnoOf(answer.ecode) : EMFILE;
  return hostFifo(kernel, fd);
}
