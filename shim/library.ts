/** The container library, behind its interface: loaded by the daemon, and by `delete` only where something is left to remove. */
import { Containers } from '../runsc/container/containers.ts';
import type { ContainersApi, RuntimeSettings } from '../runsc/container/types.ts';

export function openContainers(settings: RuntimeSettings): ContainersApi {
  return new Containers(settings);
}
