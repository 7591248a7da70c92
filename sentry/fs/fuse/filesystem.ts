/** A mounted FUSE filesystem. */
import type { Errno } from '../../../abi/errno.ts';
import * as F from '../../../abi/fuse.ts';
import { PAGE_SIZE } from '../../../abi/mman.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import { type CachePolicy, Filesystem, type FilesystemStats, type Inode } from '../../vfs/inode.ts';
import { TmpFs } from '../tmpfs/tmpfs.ts';
import { FuseAccess } from './access.ts';
import type { FuseConnection } from './connection.ts';
import type { FilePoll } from './file_poll.ts';
import type { FuseHandle } from './handle.ts';
import { FuseInode } from './inode.ts';
import { NodeTable } from './node_table.ts';
import { handleNotice } from './notices.ts';

/** Pages of files that nobody has mapped, in all. */
const MAX_KEPT_PAGES = (64 << 20) / PAGE_SIZE;
/** How often a filesystem that is mounted nowhere any more looks whether it is still in use. ns. */
const DETACHED_CHECK_NS = 200e6;

export class FuseFilesystem extends Filesystem {
  override readonly type: string;
  override readonly cachePolicy: CachePolicy = 'revalidate';
  override readonly attributesExpire = true;
  readonly connection: FuseConnection;
  readonly access: FuseAccess;
  readonly root: FuseInode;
  readonly nodes: NodeTable;
  readonly polls = new PollNumbers();
  /** Where kept pages lie, and are counted. */
  readonly pageStore: TmpFs;
  /** Whose pages were used last stands last. */
  private readonly recent = new Set<FuseInode>();
  private created: FuseHandle | null = null;

  constructor(kernel: Kernel, connection: FuseConnection) {
    super(kernel.uniqueId());
    const { subtype, rootMode, userId, groupId } = connection.options;
    this.type = subtype === '' ? 'fuse' : `fuse.${subtype}`;
    this.connection = connection;
    this.access = new FuseAccess(connection);
    this.pageStore = new TmpFs(kernel, this.dev);
    const never = { sec: 0, nsec: 0 };
    this.root = new FuseInode(this, {
      nodeid: F.FUSE_ROOT_ID,
      generation: 0n,
      entryValid: 0,
      attrValid: 0,
      attributes: {
        ino: 1,
        mode: rootMode,
        nlink: 1,
        uid: userId,
        gid: groupId,
        rdev: 0,
        size: 0,
        blksize: PAGE_SIZE,
        blocks: 0,
        atime: never,
        mtime: never,
        ctime: never,
      },
    });
    this.nodes = new NodeTable(this, this.root);
    connection.notice = (code, body) => handleNotice(this, code, body);
  }

  stats(): FilesystemStats | Errno {
    const { root } = this;
    const request = this.connection.ask('F', () => root.question(F.FUSE_STATFS, [], { least: F.FuseStatfsOut.size }));
    if (request.error !== 0) return request.error;
    const { bsize, blocks, bfree, bavail, files, ffree, namelen, frsize } = F.FuseStatfsOut.decode(request.reply);
    return { type: F.FUSE_SUPER_MAGIC, bsize, blocks, bfree, bavail, files, ffree, namelen, frsize };
  }
  override options(): string {
    const { userId, groupId, defaultPermissions, allowOther, maxRead } = this.connection.options;
    const { uids, gids } = this.connection.userNamespace;
    const parts = [`user_id=${uids.shown(userId)}`, `group_id=${gids.shown(groupId)}`];
    if (defaultPermissions) parts.push('default_permissions');
    if (allowOther) parts.push('allow_other');
    if (maxRead !== Number.POSITIVE_INFINITY) parts.push(`max_read=${maxRead}`);
    return parts.join(',');
  }

  // What CREATE has opened, until the open(2) it belongs to takes it.

  keepCreated(handle: FuseHandle): Inode {
    this.created = handle;
    return handle.node;
  }
  takeCreated(node: FuseInode): FuseHandle | null {
    const { created } = this;
    this.created = null;
    return created?.node === node ? created : null;
  }

  /** The pages of `node` are used now; those whose use is longest ago go if there are too many. */
  usePages(node: FuseInode): void {
    this.recent.delete(node);
    this.recent.add(node);
    if (this.pageStore.reservedPages <= MAX_KEPT_PAGES) return;
    for (const oldest of this.recent) {
      if (oldest === node) return;
      this.recent.delete(oldest);
      if (oldest.dropPages() && this.pageStore.reservedPages <= MAX_KEPT_PAGES) return;
    }
  }
  forgetPages(node: FuseInode): void {
    this.recent.delete(node);
  }

  /** umount2(2) with MNT_FORCE. */
  override abort(): void {
    this.connection.abort();
  }
  /** The last mount is gone. Who has something of it open, or stands in it, goes on with the server. */
  override release(): void {
    const { kernel } = this.connection;
    if (this.connection.state !== 'dead' && this.nodes.inUse()) {
      kernel.timers.add(kernel.now() + DETACHED_CHECK_NS, () => this.release());
      return;
    }
    this.nodes.stop();
    this.connection.abort();
    this.nodes.release();
  }
}

/** Names for files that wait for FUSE_NOTIFY_POLL. */
class PollNumbers {
  private readonly byNumber = new Map<number, FilePoll>();
  private last = 0;
  add(file: FilePoll): number {
    this.byNumber.set(++this.last, file);
    return this.last;
  }
  remove(number: number): void {
    this.byNumber.delete(number);
  }
  find(number: number): FilePoll | null {
    return this.byNumber.get(number) ?? null;
  }
}
