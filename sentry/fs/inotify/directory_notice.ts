/** F_NOTIFY (fcntl(2), "File and directory change notification"): what happens in a directory as a signal to the file's owner. */
import { ENOTDIR } from '../../../abi/errno.ts';
import * as N from '../../../abi/inotify.ts';
import type { Task } from '../../kernel/task.ts';
import { signalOwner } from '../../vfs/async_notice.ts';
import type { FileDescription } from '../../vfs/file.ts';
import type { DirectoryWatcher } from '../../vfs/notify.ts';
import type { Event, Watch, WatchOwner } from './inotify.ts';

/** fcntl(2): the argument's bits, and the event bits of notify.ts that each stands for. */
const DN_EVENTS: readonly (readonly [bit: number, events: number])[] = [
  [0x01, N.IN_ACCESS],
  [0x02, N.IN_MODIFY],
  [0x04, N.IN_CREATE | N.IN_MOVED_TO],
  [0x08, N.IN_DELETE | N.IN_MOVED_FROM],
  [0x10, N.IN_MOVED_FROM],
  [0x20, N.IN_ATTRIB],
];
const DN_MULTISHOT = 0x8000_0000;
// sigaction(2): si_code POLL_MSG and the band that belongs to it
const POLL_MSG = 3;
const MSG_BAND = 0x441;

export class DirectoryNotice implements WatchOwner, DirectoryWatcher {
  private readonly file: FileDescription;
  private readonly setter: Task;
  private readonly fd: number;
  private watch: Watch | null = null;
  private multishot = false;
  private readonly end = (): void => this.stop();

  constructor(file: FileDescription, setter: Task, fd: number) {
    this.file = file;
    this.setter = setter;
    this.fd = fd;
  }
  /** ENOSPC: too many watches. `bits`: DN_*; they join those that are set. */
  start(bits: number): number {
    const { inode } = this.file;
    if (inode === null) return ENOTDIR;
    if ((bits & DN_MULTISHOT) !== 0) this.multishot = true;
    let mask = 0;
    for (const [bit, events] of DN_EVENTS) if ((bits & bit) !== 0) mask |= events;
    if (this.watch !== null) {
      this.watch.mask |= mask;
      return 0;
    }
    const watch: Watch = { instance: this, wd: 0, inode, mask };
    const r = this.setter.kernel.inotify.add(watch);
    if (r !== 0) return r;
    this.watch = watch;
    this.file.addReleaseHook(this.end);
    return 0;
  }
  stop(): void {
    if (this.watch === null) return;
    this.setter.kernel.inotify.remove(this.watch);
    this.watch = null;
    this.file.removeReleaseHook(this.end);
    this.file.directoryNotice = null;
  }

  /** Only what happens to the entries counts, not to the directory itself. */
  push(event: Event): void {
    if (event.name === '') return;
    signalOwner(this.file, this.setter, { code: POLL_MSG, band: MSG_BAND, fd: this.fd });
    if (!this.multishot) this.stop();
  }
  drop(_watch: Watch): void {
    this.stop();
  }
}

/** F_NOTIFY. ENOTDIR: no directory; 0 as `bits` ends it. The caller becomes the owner of the file's signals. */
export function notifyOfChanges(task: Task, file: FileDescription, fd: number, bits: number): number {
  if (!file.inode?.isDirectory) return ENOTDIR;
  if ((bits & ~DN_MULTISHOT) === 0) {
    file.directoryNotice?.stop();
    return 0;
  }
  const notice: DirectoryWatcher = file.directoryNotice ?? new DirectoryNotice(file, task, fd);
  const r = notice.start(bits);
  if (r !== 0) return r;
  file.directoryNotice = notice;
  file.owner = task.group.idIn(task.pidNamespace);
  return 0;
}
