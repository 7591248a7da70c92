/** --overlay2: which trees get a writable layer that is not the host's own, and where that layer's bytes are. */

export interface OverlaySetting {
  readonly root: boolean;
  /** Volumes as well, those that are not read-only. */
  readonly all: boolean;
  /** 'self': in nameless files of the tree that it lies over. 'dir': of another folder, `dir`. */
  readonly medium: 'memory' | 'self' | 'dir';
  readonly dir: string;
  /** Most bytes of one layer; 0: as much as the sandbox has memory, or the disk room. */
  readonly size: number;
}

const NONE: OverlaySetting = { root: false, all: false, medium: 'memory', dir: '', size: 0 };

/** "none", or "root|all:memory|self|dir=PATH[,size=N[kmgt]]"; null: no such setting. */
export function parseOverlay2(text: string): OverlaySetting | null {
  if (text === 'none') return NONE;
  const match = /^(root|all):(memory|self|dir=(\/[^,]*))(?:,size=(\d{1,15})([kmgtKMGT]?)[bB]?)?$/.exec(text);
  if (match === null) return null;
  const [, scope, medium = '', dir = '', count, unit = ''] = match;
  const size = count === undefined ? 0 : Number(count) * 1024 ** ' kmgt'.indexOf(unit.toLowerCase() || ' ');
  if (!Number.isSafeInteger(size)) return null;
  return { root: true, all: scope === 'all', medium: dir !== '' ? 'dir' : (medium as 'memory' | 'self'), dir, size };
}
