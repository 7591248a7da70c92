/** What the host watches for one client: an inotify(7) instance, which the client reads, and the numbers that it was told. */
import { EINVAL, EMFILE } from '../abi/errno.ts';
import { IN_EXCL_UNLINK } from '../abi/inotify.ts';
import { P9_MAX_WATCHES, P9_WATCHED_EVENTS } from '../lib/p9/constants.ts';
import type { HostCalls } from './host_calls.ts';

export class Watches {
  private readonly calls: HostCalls;
  private readonly numbers = new Set<number>();
  /** -1: nobody has asked for a watch yet. */
  private notifier = -1;
  private shared = false;

  constructor(calls: HostCalls) {
    this.calls = calls;
  }

  /** The watch's number for the object of `fd`, or an errno. One object has one number, however often it is asked for. */
  add(fd: number): number {
    if (this.numbers.size >= P9_MAX_WATCHES) return EMFILE;
    if (this.notifier < 0) this.notifier = this.calls.notifier();
    if (this.notifier < 0) return this.notifier;
    const wd = this.calls.watch(this.notifier, fd, P9_WATCHED_EVENTS | IN_EXCL_UNLINK);
    if (wd >= 0) this.numbers.add(wd);
    return wd;
  }
  /** The instance's descriptor for the client, the caller's; -1: it has had it, or there is no room for one. */
  share(): number {
    if (this.shared) return -1;
    const copy = this.calls.host.dup(this.notifier);
    this.shared = copy >= 0;
    return Math.max(copy, -1);
  }
  /** EINVAL: no number of this client's. The host may have given up the watch by itself: the object is gone. */
  remove(wd: number): number {
    if (!this.numbers.delete(wd)) return EINVAL;
    this.calls.unwatch(this.notifier, wd);
    return 0;
  }
  clear(): void {
    if (this.notifier >= 0) this.calls.close(this.notifier);
    this.notifier = -1;
    this.shared = false;
    this.numbers.clear();
  }
}
