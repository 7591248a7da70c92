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

/**
 * What a pod may ask for and a sandbox cannot give: a part of the host. Saying so beats running without it.
 * @throws RuntimeError Unsupported
 */
export function refuseHostPrivileges(spec: Spec): void {
  const type = TYPE_KEYS.map((k) => spec.annotations?.[k]).find((v) => v !== undefined && v !== '');
  if (type === undefined) return; // no pod
  const has = (name: string): boolean => spec.linux?.namespaces?.some((n) => n.type === name) === true;
  const refuse = (what: string, why: string): never => {
    throw new RuntimeError('Unsupported', `${what} is not possible in a sandbox: ${why}; run the pod with another RuntimeClass`);
  };
  if (!has('pid')) refuse('hostPID', "it has no view of the host's processes");
  if (!has('ipc')) refuse('hostIPC', "it has no access to the host's System V and POSIX objects");
  // CRI allows every device to privileged containers alone.
  const all = spec.linux?.resources?.devices?.some(
    (d) => d.allow && (d.type ?? 'a') === 'a' && d.major === undefined && d.minor === undefined,
  );
  if (all === true) refuse('privileged', 'it has no devices and no rights of the host');
}

/** The container joins the pid namespace of its pod. */
export function sharesPidNamespace(spec: Spec): boolean {
  const entry = spec.linux?.namespaces?.find((n) => n.type === 'pid');
  return entry === undefined || (entry.path !== undefined && entry.path !== '');
}
