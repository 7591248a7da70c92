/** Which pod a container belongs to, from the annotations that CRI implementations write. */
import type { Spec } from './spec.ts';
import { RuntimeError } from './types.ts';

const TYPE_KEYS = ['io.kubernetes.cri.container-type', 'io.kubernetes.cri-o.ContainerType'];
const SANDBOX_KEYS = ['io.kubernetes.cri.sandbox-id', 'io.kubernetes.cri-o.SandboxID'];

/** The sandbox to join, or null for a container that makes one of its own. */
export function podSandbox(spec: Spec): string | null {
  const get = (keys: readonly string[]): string | undefined =>
    keys.map((k) => spec.annotations?.[k]).find((v) => v !== undefined && v !== '');
  if (get(TYPE_KEYS) !== 'container') return null;
  const id = get(SANDBOX_KEYS);
  if (id === undefined)
    throw new RuntimeError('Invalid', `annotations: ${SANDBOX_KEYS[0]} is missing although the container belongs to a pod`);
  return id;
}

/** The container joins the pid namespace of its pod. */
export function sharesPidNamespace(spec: Spec): boolean {
  const entry = spec.linux?.namespaces?.find((n) => n.type === 'pid');
  return entry === undefined || (entry.path !== undefined && entry.path !== '');
}
