/**
 * Open files on their way in SCM_RIGHTS. A file in flight is held by the message that carries it. Sockets that only reach each other
 * through such messages would never be released: `collect` finds and frees them.
 */
import { type Errno, ETOOMANYREFS } from '../../../abi/errno.ts';
import { CAP_SYS_ADMIN, CAP_SYS_RESOURCE, hasCap } from '../../kernel/credentials.ts';
import type { Task } from '../../kernel/task.ts';
import type { FileDescription } from '../../vfs/file.ts';

/** What one message carries, and whose quota it counts against. */
export interface Rights {
  readonly files: FileDescription[];
  readonly uid: number;
}

/** A socket that can hold files in flight. */
export interface RightsHolder {
  /** Calls `visit` for every file in its queues, and in those of connections that wait to be accepted. */
  eachFileInFlight(visit: (file: FileDescription) => void): void;
  /** Takes all files out of them. */
  takeFilesInFlight(): FileDescription[];
}

const MIN_THRESHOLD = 64;
/** Files in flight that one closed socket pays for. */
const FILES_PER_RELEASE = 16;

export class InFlight {
  /** How many messages carry each file. */
  private readonly carried = new Map<FileDescription, number>();
  private readonly perUser = new Map<number, number>();
  /** The next look for cycles from a send, in files. Releases of sockets look as well. */
  private threshold = MIN_THRESHOLD;
  /** Sockets closed since the last look. */
  private releases = 0;
  /** Files to release. Not recursive: a socket in the queue of a socket … may be as deep as the application likes. */
  private readonly condemned: FileDescription[] = [];
  private releasing = false;
  private readonly holderOf: (file: FileDescription) => RightsHolder | null;

  constructor(holderOf: (file: FileDescription) => RightsHolder | null) {
    this.holderOf = holderOf;
  }

  /** The message is about to be queued. Its files stay held by it. ETOOMANYREFS: over RLIMIT_NOFILE without privilege. */
  enter(task: Task, files: FileDescription[]): Rights | Errno {
    const uid = task.creds.uid;
    const total = (this.perUser.get(uid) ?? 0) + files.length;
    if (total > task.openFileLimit && !hasCap(task.creds, CAP_SYS_RESOURCE) && !hasCap(task.creds, CAP_SYS_ADMIN)) return ETOOMANYREFS;
    this.perUser.set(uid, total);
    for (const file of files) this.carried.set(file, (this.carried.get(file) ?? 0) + 1);
    if (this.carried.size > this.threshold) {
      this.collect();
      this.threshold = Math.max(MIN_THRESHOLD, this.carried.size * 2);
    }
    return { files, uid };
  }
  /** The message has left its queue; its files are the caller's. */
  leave(rights: Rights): FileDescription[] {
    const left = (this.perUser.get(rights.uid) ?? 0) - rights.files.length;
    if (left > 0) this.perUser.set(rights.uid, left);
    else this.perUser.delete(rights.uid);
    for (const file of rights.files) {
      const n = (this.carried.get(file) ?? 1) - 1;
      if (n > 0) this.carried.set(file, n);
      else this.carried.delete(file);
    }
    return rights.files;
  }
  get count(): number {
    return this.carried.size;
  }

  /** Releases files without recursion. */
  dispose(files: readonly FileDescription[]): void {
    for (const file of files) this.condemned.push(file);
    if (this.releasing) return;
    this.releasing = true;
    for (let file = this.condemned.pop(); file !== undefined; file = this.condemned.pop()) file.release();
    this.releasing = false;
  }

  /** A socket was closed: time to look for cycles, but not so often that closing costs more than a few files each. */
  socketReleased(): void {
    if (++this.releases * FILES_PER_RELEASE >= this.carried.size) this.collect();
  }
  /** Frees the sockets that nothing but messages in their own queues refers to. */
  collect(): void {
    this.releases = 0;
    if (this.carried.size === 0) return;
    // Suspects: sockets all of whose references are messages. Then subtract the messages that lie in suspects' queues.
    const outside = new Map<FileDescription, number>();
    for (const [file, n] of this.carried) if (file.referenceCount === n && this.holderOf(file) !== null) outside.set(file, n);
    for (const suspect of outside.keys()) {
      this.holderOf(suspect)?.eachFileInFlight((file) => {
        const n = outside.get(file);
        if (n !== undefined) outside.set(file, n - 1);
      });
    }
    // Those that a message elsewhere refers to are alive, and so is whatever lies in their queues.
    const alive = [...outside].filter(([, n]) => n > 0).map(([file]) => file);
    for (const file of alive) outside.delete(file);
    for (let file = alive.pop(); file !== undefined; file = alive.pop()) {
      this.holderOf(file)?.eachFileInFlight((held) => {
        if (outside.delete(held)) alive.push(held);
      });
    }
    const freed: FileDescription[] = [];
    for (const file of outside.keys()) for (const held of this.holderOf(file)?.takeFilesInFlight() ?? []) freed.push(held);
    this.dispose(freed);
  }
}
