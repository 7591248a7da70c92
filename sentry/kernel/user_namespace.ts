/**
 * user_namespaces(7). Everywhere inside the kernel, users and groups are numbers of the first namespace ("kernel numbers"); a
 * namespace says what they are called inside of it. System calls translate at the edge: `toKernel` on the way in, `shown` on the way out.
 */

/** What a number that has no name in a namespace looks like there (/proc/sys/kernel/overflowuid). */
export const OVERFLOW_ID = 65534;
/** uid_t -1: no number at all. */
export const NO_ID = 0xffff_ffff;
/** Depth beyond the first namespace. */
export const MAX_LEVEL = 32;

/** `count` numbers from `inside` on are those from `kernel` on. */
export interface IdRange {
  readonly inside: number;
  readonly kernel: number;
  readonly count: number;
}

/** Maps of users and of groups. */
export interface OwnerMap {
  readonly uids: IdMap;
  readonly gids: IdMap;
}

/** Empty until it has been written, which happens once. */
export class IdMap {
  readonly ranges: readonly IdRange[];
  /** Everything is what it is: the common case costs nothing. */
  private readonly identity: boolean;

  constructor(ranges: readonly IdRange[]) {
    this.ranges = ranges;
    const [first] = ranges;
    this.identity = first !== undefined && first.inside === 0 && first.kernel === 0 && first.count === NO_ID;
  }
  /** NO_ID: not mapped. */
  toKernel(id: number): number {
    if (this.identity) return id;
    for (const { inside, kernel, count } of this.ranges) if (id >= inside && id - inside < count) return kernel + (id - inside);
    return NO_ID;
  }
  /** NO_ID: not mapped. */
  fromKernel(id: number): number {
    if (this.identity) return id;
    for (const { inside, kernel, count } of this.ranges) if (id >= kernel && id - kernel < count) return inside + (id - kernel);
    return NO_ID;
  }
  /** As stat(2) and getuid(2) show it. */
  shown(id: number): number {
    if (this.identity) return id === NO_ID ? OVERFLOW_ID : id;
    const found = this.fromKernel(id);
    return found === NO_ID ? OVERFLOW_ID : found;
  }
  /** A range of numbers of this namespace as kernel numbers; null unless all of it lies in one range. */
  rangeToKernel(first: number, count: number): number | null {
    for (const range of this.ranges) {
      const at = first - range.inside;
      if (at >= 0 && at + count <= range.count) return range.kernel + at;
    }
    return null;
  }
}
const EMPTY = new IdMap([]);
const IDENTITY = new IdMap([{ inside: 0, kernel: 0, count: NO_ID }]);

export class UserNamespace {
  readonly parent: UserNamespace | null;
  readonly level: number;
  /** nsfs number; 0 for the first one. */
  readonly id: number;
  /** Kernel numbers of who made it: effective user and group. */
  readonly owner: number;
  readonly ownerGroup: number;
  /** Its maker could have given files capabilities (needed to map root). */
  readonly makerHadSetfcap: boolean;
  uids: IdMap;
  gids: IdMap;
  /** /proc/PID/setgroups. */
  setgroupsAllowed: boolean;

  constructor(parent: UserNamespace | null, id: number, owner: number, ownerGroup: number, makerHadSetfcap: boolean) {
    this.parent = parent;
    this.level = parent === null ? 0 : parent.level + 1;
    this.id = id;
    this.owner = owner;
    this.ownerGroup = ownerGroup;
    this.makerHadSetfcap = makerHadSetfcap;
    this.uids = parent === null ? IDENTITY : EMPTY;
    this.gids = this.uids;
    this.setgroupsAllowed = parent?.setgroupsAllowed ?? true;
  }
  /** True for `other` itself and everything below this one. */
  contains(other: UserNamespace): boolean {
    for (let ns: UserNamespace | null = other; ns !== null; ns = ns.parent) if (ns === this) return true;
    return false;
  }
  /** Kernel number of its user 0, NO_ID without one. */
  get rootUser(): number {
    return this.uids.toKernel(0);
  }
}

/** The sandbox's first one. Its maps never change. */
export const ROOT_USER_NAMESPACE = new UserNamespace(null, 0, 0, 0, true);
