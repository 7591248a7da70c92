/** Which pod a container belongs to, from the annotations that CRI implementations write. */
import type { Spec, SpecResources } from './spec.ts';
import { RuntimeError } from './types.ts';

const TYPE_KEYS = ['io.kubernetes.cri.container-type', 'io.kubernetes.cri-o.ContainerType'];
const SANDBOX_KEYS = ['io.kubernetes.cri.sandbox-id', 'io.kubernetes.cri-o.SandboxID'];

/** The first of these that says something. */
function annotation(spec: Spec, keys: readonly string[]): string | undefined {
  return keys.map((k) => spec.annotations?.[k]).find((v) => v !== undefined && v !== '');
}

/** cgroups(7): the most that version 1 takes; version 2's most follows from it. */
const MAX_CPU_SHARES = 262_144;

/**
 * A pod's own container does nothing, and engines give it the least share of processor time. Its cgroup holds the sandbox, which is the kernel
 * of all containers of the pod: one that computes without end must not starve it.
 */
export function sandboxResources(spec: Spec): SpecResources | undefined {
  const resources = spec.linux?.resources;
  if (annotation(spec, TYPE_KEYS) !== 'sandbox' || !resources?.cpu?.shares) return resources;
  return { ...resources, cpu: { ...resources.cpu, shares: MAX_CPU_SHARES } };
}

/** The sandbox to join, or null for a container that makes one of its own. */
export function podSandbox(spec: Spec): string | null {
  if (annotation(spec, TYPE_KEYS) !== 'container') return null;
  const id = annotation(spec, SANDBOX_KEYS);
  if (id === undefined)
    throw new RuntimeError('Invalid', `annotations: ${SANDBOX_KEYS[0]} is missing although the container belongs to a pod`);
  return id;
}

/**
 * What a pod may ask for and a sandbox cannot give: a part of the host. Saying so beats running without it.
 * @throws RuntimeError Unsupported
 */
export function refuseHostPrivileges(spec: Spec): void {
  if (annotation(spec, TYPE_KEYS) === undefined) return; // no pod
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
