/**
 * Shared subtrees (mount_namespaces(7)): what is mounted on, or taken from, a shared mount happens in its peers and in their slaves as well.
 *
 * A mount is shared (in a peer group), a slave (of a group, which it receives from), both, or neither (private, unbindable).
 */
import type { Dentry, Mount } from './path.ts';

export class PeerGroup {
  readonly id: number;
  readonly peers = new Set<Mount>();
  readonly slaves = new Set<Mount>();
  constructor(id: number) {
    this.id = id;
  }
}

/** Gives group ids (Kernel.uniqueId). */
interface IdSource {
  uniqueId(): number;
}

export function joinGroup(mount: Mount, group: PeerGroup): void {
  leaveGroup(mount);
  mount.group = group;
  group.peers.add(mount);
}
export function becomeSlave(mount: Mount, master: PeerGroup | null): void {
  mount.master?.slaves.delete(mount);
  mount.master = master;
  master?.slaves.add(mount);
}
/** The mount is shared no more. The last peer's slaves go to its own master. */
function leaveGroup(mount: Mount): void {
  const { group } = mount;
  if (group === null) return;
  group.peers.delete(mount);
  mount.group = null;
  if (group.peers.size > 0) return;
  for (const slave of [...group.slaves]) becomeSlave(slave, mount.master);
}
/** The mount is gone, or private. */
export function leaveAll(mount: Mount): void {
  leaveGroup(mount);
  becomeSlave(mount, null);
}

export function makeShared(ids: IdSource, mount: Mount): void {
  mount.unbindable = false;
  if (mount.group === null) joinGroup(mount, new PeerGroup(ids.uniqueId()));
}
/** Without a peer to receive from it keeps the master that it has, or is private. */
export function makeSlave(mount: Mount): void {
  mount.unbindable = false;
  const { group } = mount;
  const others = group !== null && group.peers.size > 1;
  leaveGroup(mount);
  if (others) becomeSlave(mount, group);
}
export function makePrivate(mount: Mount, unbindable: boolean): void {
  leaveAll(mount);
  mount.unbindable = unbindable;
}

/** A copy receives and sends what its original does. */
export function copyPropagation(from: Mount, to: Mount): void {
  if (from.group !== null) joinGroup(to, from.group);
  becomeSlave(to, from.master);
  to.unbindable = from.unbindable;
}

/** One mount that an event on another reaches. */
export interface Receiver {
  readonly mount: Mount;
  /** The group that it hears it from as a slave; null: it is a peer of the source. */
  readonly from: PeerGroup | null;
}

/** Every mount that receives what happens on `source`, masters before their slaves. `source` itself is not among them. */
export function receivers(source: Mount): Receiver[] {
  const found: Receiver[] = [];
  const seen = new Set<Mount>([source]);
  const pending: { readonly group: PeerGroup; readonly from: PeerGroup | null }[] = [];
  if (source.group !== null) pending.push({ group: source.group, from: null });
  for (let next = pending.shift(); next !== undefined; next = pending.shift()) {
    for (const mount of next.group.peers) {
      if (!seen.has(mount)) found.push({ mount, from: next.from });
      seen.add(mount);
    }
    for (const slave of next.group.slaves) {
      if (seen.has(slave)) continue;
      if (slave.group !== null) pending.push({ group: slave.group, from: next.group });
      else {
        seen.add(slave);
        found.push({ mount: slave, from: next.group });
      }
    }
  }
  return found;
}

/** Does `mount` show this place of its filesystem? */
export function shows(mount: Mount, dentry: Dentry): boolean {
  for (let d: Dentry | null = dentry; d !== null; d = d.parent) if (d === mount.root) return true;
  return false;
}
