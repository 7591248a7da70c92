/** Whose numbers are whose: the container's user namespace, ID-mapped mounts, and which owners its gofer may give files. */
import type { GoferOwners, IdSpan } from '../../lib/gofer_config.ts';
import type { IdMapping } from '../../proto/control.ts';
import type { Spec, SpecIdMapping, SpecMount } from './spec.ts';
import { RuntimeError } from './types.ts';

/** Of users and of groups. */
export interface IdMappings {
  readonly uids: readonly SpecIdMapping[];
  readonly gids: readonly SpecIdMapping[];
}

/** The container's user namespace; null: it has none of its own. @throws RuntimeError */
export function namespaceMappings({ linux = {} }: Spec): IdMappings | null {
  const { uidMappings: uids = [], gidMappings: gids = [], namespaces = [] } = linux;
  const user = namespaces.find(({ type }) => type === 'user');
  const given = uids.length + gids.length > 0;
  if (user === undefined) {
    if (given) throw new RuntimeError('Invalid', 'linux.uidMappings: there is no user namespace in linux.namespaces');
    return null;
  }
  // The pod's, which has its own.
  if (!given && (user.path ?? '') !== '') return null;
  if (uids.length === 0 || gids.length === 0) {
    throw new RuntimeError('Invalid', `linux.${uids.length === 0 ? 'uid' : 'gid'}Mappings: is missing (the user namespace has no map)`);
  }
  return { uids, gids };
}

/** What an ID-mapped mount maps; null: it is none. `field` names it. @throws RuntimeError */
export function mountMappings(mount: SpecMount, isBind: boolean, container: IdMappings | null, field: string): IdMappings | null {
  const { uidMappings: uids = [], gidMappings: gids = [], options = [] } = mount;
  const asked = options.includes('idmap') || options.includes('ridmap');
  if (!asked && uids.length + gids.length === 0) return null;
  if (!isBind) throw new RuntimeError('Unsupported', `${field}: id-mapped mounts are only supported for bind mounts`);
  if (uids.length + gids.length > 0) {
    if (uids.length === 0 || gids.length === 0) throw new RuntimeError('Invalid', `${field}: uidMappings and gidMappings go together`);
    return { uids, gids };
  }
  if (container === null) throw new RuntimeError('Invalid', `${field}: idmap without mappings needs a container with a user namespace`);
  return container;
}

export function mappingMessages(mappings: readonly SpecIdMapping[]): IdMapping[] {
  return mappings.map(({ containerID, hostID, size }) => ({ from: containerID, to: hostID, count: size }));
}

/** On a mapped mount what the map reaches, else the container's own users; null: everybody. */
export function ownersOf(mount: IdMappings | null, container: IdMappings | null): GoferOwners | null {
  const of = (mappings: readonly SpecIdMapping[], key: 'containerID' | 'hostID'): IdSpan[] =>
    mappings.map((mapping) => ({ first: mapping[key], count: mapping.size }));
  if (mount !== null) return { uids: of(mount.uids, 'containerID'), gids: of(mount.gids, 'containerID') };
  return container === null ? null : { uids: of(container.uids, 'hostID'), gids: of(container.gids, 'hostID') };
}
