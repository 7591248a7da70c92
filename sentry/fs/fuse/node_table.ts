/**
 * The objects that a server has told of, by node number, and how often it did: it remembers a node until as many of its answers have been
 * forgotten (FORGET). What no name, no open file and no process needs any more is found by a sweep, some time after names have gone.
 */
import type { Task } from '../../kernel/task.ts';
import type { Timer } from '../../kernel/timer_queue.ts';
import type { Inode } from '../../vfs/inode.ts';
import type { MountNamespace } from '../../vfs/mount.ts';
import type { Dentry } from '../../vfs/path.ts';
import type { Entry } from './entry.ts';
import type { FuseFilesystem } from './filesystem.ts';
import { FuseInode } from './inode.ts';

/** From a name's end to the sweep: at least, and for each node (which makes a sweep a small part of the time). ns. */
const SWEEP_DELAY_NS = 50e6;
const SWEEP_DELAY_PER_NODE_NS = 20e3;
/** Nodes beyond the names that the dentry cache keeps. */
const SLACK = 1024;

export class NodeTable {
  private readonly fs: FuseFilesystem;
  private readonly nodes = new Map<bigint, FuseInode>();
  private timer: Timer | null = null;

  constructor(fs: FuseFilesystem, root: FuseInode) {
    this.fs = fs;
    this.nodes.set(root.nodeid, root);
  }

  get size(): number {
    return this.nodes.size;
  }
  find(nodeid: bigint): FuseInode | null {
    return this.nodes.get(nodeid) ?? null;
  }

  /** The object of an answer, which counts. The same number with another generation or type is another object. */
  receive(entry: Entry): FuseInode {
    const known = this.nodes.get(entry.nodeid);
    let node = known;
    if (node === undefined || !node.isStill(entry)) {
      if (node !== undefined) node.gone = true;
      node = new FuseInode(this.fs, entry);
      node.lookups = known?.lookups ?? 0;
      this.nodes.set(entry.nodeid, node);
      if (this.nodes.size > this.fs.cachedDentries + SLACK) this.sweepLater();
    }
    node.lookups++;
    return node;
  }

  /** Names have gone, or an answer came that nobody waits for. */
  sweepLater(): void {
    const { kernel } = this.fs.connection;
    this.timer ??= kernel.timers.add(kernel.now() + SWEEP_DELAY_NS + this.nodes.size * SWEEP_DELAY_PER_NODE_NS, () => this.sweep());
  }
  /** Something outside of the tree needs one of its objects. */
  inUse(): boolean {
    for (const node of this.nodes.values()) if (node.inUse) return true;
    const needed = new Set<FuseInode>();
    this.markProcesses(needed);
    return needed.size > 0;
  }
  /** A dentry of a directory; null: none is known. */
  dentryOf(directory: FuseInode): Dentry | null {
    const chain: FuseInode[] = [];
    for (let node = directory; node !== this.fs.root; node = node.parent) {
      if (node.parent === null) return null;
      chain.push(node);
    }
    let dentry = this.fs.rootDentry;
    for (let node = chain.pop(); node !== undefined; node = chain.pop()) {
      const found: Dentry | undefined = dentry?.children?.get(node.knownName);
      if (found?.inode !== node) return null;
      dentry = found;
    }
    return dentry;
  }
  /** Nothing is asked any more. */
  release(): void {
    for (const node of this.nodes.values()) node.forgotten();
    this.nodes.clear();
  }
  stop(): void {
    if (this.timer !== null) this.fs.connection.kernel.timers.cancel(this.timer);
    this.timer = null;
  }

  private sweep(): void {
    this.timer = null;
    const needed = new Set<FuseInode>();
    this.markNames(needed);
    this.markProcesses(needed);
    for (const node of this.nodes.values()) if (node.inUse) mark(node, needed);
    for (const [nodeid, node] of this.nodes) {
      if (node === this.fs.root || needed.has(node)) continue;
      this.nodes.delete(nodeid);
      node.forgotten();
      this.fs.connection.forget(nodeid, node.lookups);
    }
  }
  private markNames(needed: Set<FuseInode>): void {
    const pending: Dentry[] = this.fs.rootDentry === null ? [] : [this.fs.rootDentry];
    for (let dentry = pending.pop(); dentry !== undefined; dentry = pending.pop()) {
      if (this.owns(dentry.inode)) needed.add(dentry.inode);
      if (dentry.children !== null) pending.push(...dentry.children.values());
    }
  }
  /** Working directories, roots, mounts' roots, and the calls that are in the middle of something. */
  private markProcesses(needed: Set<FuseInode>): void {
    const namespaces = new Set<MountNamespace>();
    const seen = new Set<Dentry>();
    for (const task of this.fs.connection.kernel.rootPidNamespace.tasks.values() as Iterable<Task>) {
      this.markDentry(task.fs.cwd.dentry, needed, seen);
      this.markDentry(task.fs.root.dentry, needed, seen);
      namespaces.add(task.namespaces.mount);
      for (const value of task.callLog?.values() ?? []) this.markValue(value, needed);
    }
    for (const namespace of namespaces) for (const mount of namespace.mounts()) this.markDentry(mount.root, needed, seen);
  }
  /** A dentry and what is above it. `seen`: those that have been through here, so that many who stand deep cost no more than one. */
  private markDentry(dentry: Dentry, needed: Set<FuseInode>, seen: Set<Dentry>): void {
    for (let d: Dentry | null = dentry; d !== null && this.owns(d.inode) && !seen.has(d); d = d.parent) {
      seen.add(d);
      needed.add(d.inode);
    }
  }
  private markValue(value: object | null, needed: Set<FuseInode>): void {
    if (value instanceof FuseInode) mark(value, needed);
    else if (value !== null && 'value' in value) this.markValue(value.value as object | null, needed);
  }
  private owns(inode: Inode | null): inode is FuseInode {
    return inode instanceof FuseInode && inode.fs === this.fs;
  }
}

/** A node keeps the directories that ".." leads to. */
function mark(node: FuseInode, needed: Set<FuseInode>): void {
  for (let n: FuseInode | null = node; n !== null && !needed.has(n); n = n.parent) needed.add(n);
}
