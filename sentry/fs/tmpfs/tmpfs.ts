/** tmpfs(5): files in memory. */
import { EINVAL, ENOSPC, type Errno } from '../../../abi/errno.ts';
import { PAGE_SIZE } from '../../../abi/mman.ts';
import { S_IALLUGO, S_IFDIR, S_IFMT, S_IFREG } from '../../../abi/stat.ts';
import { TMPFS_MAGIC } from '../../../abi/statfs.ts';
import type { ByteString } from '../../../lib/byte_string.ts';
import type { Host } from '../../../lib/host.ts';
import type { MemoryAccount } from '../../kernel/memory_account.ts';
import { type CreateOptions, Filesystem, type FilesystemStats } from '../../vfs/inode.ts';
import type { FileData } from './file_data.ts';
import { TmpDirectory } from './tmp_directory.ts';
import { TmpFile } from './tmp_file.ts';
import { type TmpInode, TmpSpecial, TmpSymlink } from './tmp_inode.ts';

/** What a tmpfs needs of the Kernel. */
export interface TmpFsEnvironment {
  readonly host: Host;
  readonly ioScratch: Uint8Array;
  /** Bytes of memory: the sandbox's limit, or the machine's. */
  readonly system: { readonly memory: number };
  /** ns since the epoch. */
  realtime(): number;
  /** Closes a memfd of `size` bytes. */
  closeMemory(fd: number, size: number): void;
}

/** Objects of one tmpfs that sets no limit itself (nr_inodes=): each costs the Sentry some hundred bytes. */
const MAX_INODES = 2_000_000;

/** Mount options; null = no limit of its own. */
export interface TmpFsOptions {
  /** Bytes of content, rounded up to pages. */
  readonly size: number | null;
  readonly inodes: number | null;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

export const DEFAULT_TMPFS_OPTIONS: TmpFsOptions = { size: null, inodes: null, mode: 0o1777, uid: 0, gid: 0 };

/** Files of the host for content that is not to be in memory. */
export interface BackingStore {
  /** A descriptor of an empty file, or an errno. */
  newFile(): number;
  /** Of the filesystem it is on; null if that cannot be told. */
  stats(): FilesystemStats | null;
  release(): void;
}

export class TmpFs extends Filesystem {
  readonly type: string = 'tmpfs';
  override readonly idMappable = true;
  readonly env: TmpFsEnvironment;
  /** Contents that are in a memfd. */
  readonly hosted = new Set<FileData>();
  /** Where grown files are; null: in memory. */
  readonly store: BackingStore | null;
  protected settings: TmpFsOptions;
  /** Of the container whose memory it takes; a store takes none. */
  private account: MemoryAccount | null = null;
  private rootInode: TmpDirectory | null = null;
  private nextIno: number;
  private usedPages = 0;
  private usedInodes = 0;

  constructor(
    env: TmpFsEnvironment,
    dev: number,
    options: TmpFsOptions = DEFAULT_TMPFS_OPTIONS,
    firstIno = 1,
    store: BackingStore | null = null,
  ) {
    super(dev);
    this.env = env;
    this.settings = options;
    this.store = store;
    this.nextIno = firstIno;
  }

  protected makeRoot(): TmpDirectory {
    const { mode, uid, gid } = this.settings;
    return this.newDirectory({ mode: S_IFDIR | mode, uid, gid }) as TmpDirectory;
  }
  get root(): TmpDirectory {
    return (this.rootInode ??= this.makeRoot());
  }

  /** Bytes of content where the options set no limit: half of the memory, as on Linux. */
  protected get defaultSize(): number {
    return this.env.system.memory / 2;
  }
  private get maxPages(): number {
    return Math.ceil((this.settings.size ?? this.defaultSize) / PAGE_SIZE);
  }
  reserve(pages: number): boolean {
    if (this.usedPages + pages > this.maxPages) return false;
    this.usedPages += pages;
    this.account?.add(pages * PAGE_SIZE);
    return true;
  }
  /** Pages that contents count for. */
  get reservedPages(): number {
    return this.usedPages;
  }
  get freePages(): number {
    return Math.max(0, this.maxPages - this.usedPages);
  }
  unreserve(pages: number): void {
    this.usedPages -= pages;
    this.account?.add(-pages * PAGE_SIZE);
  }
  /** From now on; what it holds already goes along. */
  countFor(account: MemoryAccount): void {
    if (this.store !== null || this.account !== null) return;
    this.account = account;
    account.add(this.usedPages * PAGE_SIZE);
  }
  recountHosted(): void {
    for (const data of this.hosted) data.recount();
  }

  protected takeIno(): number {
    if (this.usedInodes >= (this.settings.inodes ?? MAX_INODES)) return ENOSPC;
    this.usedInodes++;
    return this.nextIno++;
  }
  /** An object with a number from elsewhere is here as well. */
  inodeAdopted(): void {
    this.usedInodes++;
  }
  inodeFreed(): void {
    this.usedInodes--;
  }

  newFile(options: CreateOptions): TmpFile | Errno {
    const ino = this.takeIno();
    return ino < 0 ? (ino as Errno) : new TmpFile(this, ino, withType(options, S_IFREG));
  }
  newDirectory(options: CreateOptions): TmpDirectory | Errno {
    const ino = this.takeIno();
    return ino < 0 ? (ino as Errno) : new TmpDirectory(this, ino, withType(options, S_IFDIR));
  }
  /** options.mode holds the type. */
  newNode(options: CreateOptions, rdev: number): TmpInode | Errno {
    if ((options.mode & S_IFMT) === S_IFREG) return this.newFile(options);
    const ino = this.takeIno();
    return ino < 0 ? (ino as Errno) : new TmpSpecial(this, ino, options, rdev);
  }
  newSymlink(options: CreateOptions, target: ByteString): TmpInode | Errno {
    const ino = this.takeIno();
    return ino < 0 ? (ino as Errno) : new TmpSymlink(this, ino, { ...options, mode: 0o120777 }, target);
  }

  stats(): FilesystemStats {
    this.recountHosted();
    const blocks = this.maxPages;
    const free = Math.max(0, blocks - this.usedPages);
    const files = this.settings.inodes ?? MAX_INODES;
    return {
      type: TMPFS_MAGIC,
      bsize: PAGE_SIZE,
      blocks,
      bfree: free,
      bavail: free,
      files,
      ffree: Math.max(0, files - this.usedInodes),
      namelen: 255,
    };
  }

  override options(): string {
    const { size, inodes, mode, uid, gid } = this.settings;
    const parts: string[] = [];
    if (size !== null) parts.push(`size=${Math.ceil(size / 1024)}k`);
    if (inodes !== null) parts.push(`nr_inodes=${inodes}`);
    if (mode !== 0o1777) parts.push(`mode=${mode.toString(8)}`);
    if (uid !== 0) parts.push(`uid=${uid}`);
    if (gid !== 0) parts.push(`gid=${gid}`);
    return parts.join(',');
  }

  /** Limits may change, but not below what is in use. */
  override remount(text: string): 0 | Errno {
    const wanted = parseTmpFsOptions(text);
    if (typeof wanted === 'number') return wanted;
    const given = (name: string): boolean => text.split(',').some((part) => part.startsWith(`${name}=`));
    const size = given('size') || given('nr_blocks') ? wanted.size : this.settings.size;
    const inodes = given('nr_inodes') ? wanted.inodes : this.settings.inodes;
    if (size !== null && size < this.usedPages * PAGE_SIZE) return EINVAL;
    if (inodes !== null && inodes < this.usedInodes) return EINVAL;
    this.settings = { ...this.settings, size, inodes };
    return 0;
  }

  /** Nobody can reach the tree any more, but for what is still open. */
  override release(): void {
    for (const data of [...this.hosted]) if (data.owner.openers === 0) data.release();
    this.store?.release();
  }
}

function withType(options: CreateOptions, type: number): CreateOptions {
  return (options.mode & S_IFMT) === type ? options : { ...options, mode: (options.mode & S_IALLUGO) | type };
}

/** "size=64m,mode=1777"; EINVAL for what tmpfs(5) does not know. */
export function parseTmpFsOptions(text: string): TmpFsOptions | Errno {
  const out = { ...DEFAULT_TMPFS_OPTIONS } as { -readonly [K in keyof TmpFsOptions]: TmpFsOptions[K] };
  for (const part of text.split(',')) {
    if (part === '') continue;
    const [key, value = ''] = part.split('=', 2) as [string, string?];
    if (key === 'mode') {
      if (!/^[0-7]{1,5}$/.test(value)) return EINVAL;
      out.mode = Number.parseInt(value, 8) & S_IALLUGO;
    } else if (key === 'uid' || key === 'gid') {
      if (!/^\d{1,10}$/.test(value)) return EINVAL;
      out[key] = Number(value);
    } else if (key === 'size' || key === 'nr_blocks' || key === 'nr_inodes') {
      const count = parseSize(value);
      if (count === null) return EINVAL;
      if (key === 'nr_inodes') out.inodes = count === 0 ? null : count;
      else out.size = count === 0 ? null : key === 'size' ? count : count * PAGE_SIZE;
    } else if (!IGNORED.has(key)) return EINVAL;
  }
  return out;
}

const IGNORED: ReadonlySet<string> = new Set(['huge', 'mpol', 'inode32', 'inode64', 'noswap', 'seclabel', 'context', 'rw', 'ro']);

/** "64m" and the like. A percentage is of the host's memory on Linux; here it means no limit. */
function parseSize(text: string): number | null {
  if (/^\d{1,3}%$/.test(text)) return 0;
  const match = /^(\d{1,16})([kmgtKMGT]?)$/.exec(text);
  if (match === null) return null;
  return Number(match[1]) * 1024 ** ' kmgt'.indexOf((match[2] as string).toLowerCase() || ' ');
}
