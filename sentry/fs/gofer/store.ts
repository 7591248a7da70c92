/** Room on the host for what an overlay holds: nameless files of a folder, gone with their last descriptor, whoever ends how. */
import { EMFILE, type Errno, isErrno } from '../../../abi/errno.ts';
import { O_RDWR } from '../../../abi/fcntl.ts';
import { S_IFREG } from '../../../abi/stat.ts';
import { P9_NOFID } from '../../../lib/p9/constants.ts';
import { Rmakex, Rstatfs, Tmakex, Tstatfs } from '../../../lib/p9/messages.ts';
import type { FilesystemStats } from '../../vfs/inode.ts';
import type { BackingStore } from '../tmpfs/tmpfs.ts';
import type { GoferClient } from './client.ts';

const NOBODY = 0xffff_ffff;

export class FileStore implements BackingStore {
  private readonly client: GoferClient;
  private readonly fid: number;

  private constructor(client: GoferClient, fid: number) {
    this.client = client;
    this.fid = fid;
    client.hold();
  }

  /** `name`: of the gofer's mount that is a store. */
  static attach(client: GoferClient, name: string): FileStore | Errno {
    const fid = client.attach(name);
    return fid < 0 ? (fid as Errno) : new FileStore(client, fid);
  }

  /** A descriptor of an empty file, or an errno. */
  newFile(): number {
    const what = { fid: this.fid, names: [], name: '', newfid: P9_NOFID, mode: S_IFREG | 0o600, umask: 0, major: 0, minor: 0, target: '' };
    const answer = this.client.call(Tmakex, { ...what, uid: NOBODY, gid: NOBODY, open: O_RDWR }, Rmakex);
    if (isErrno(answer)) return answer;
    const fd = this.client.takeDescriptor();
    return fd < 0 ? EMFILE : fd;
  }

  stats(): FilesystemStats | null {
    const stats = this.client.call(Tstatfs, { fid: this.fid }, Rstatfs);
    return isErrno(stats) ? null : stats;
  }

  release(): void {
    this.client.clunk(this.fid);
    this.client.flushClunks();
    this.client.release();
  }
}
