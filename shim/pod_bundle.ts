/** The bundle of a pod that containerd leaves to the shim: a first container that does nothing but wait, and owns what its containers share. */
import { copyFileSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Sandbox } from '../proto/messages.ts';
import { helperPath } from '../runsc/container/programs.ts';
import type { Spec } from '../runsc/container/spec.ts';

/** google.protobuf.Any's name of the pod's configuration. */
const CONFIG_TYPE = 'runtime.v1.PodSandboxConfig';
/** containerd wants its own folder rootfs back empty. */
const ROOT = 'pod';
/** Of NamespaceOption. */
const NODE = 2;

export interface PodRequest {
  readonly id: string;
  readonly bundle: string;
  /** Empty: the host's network. */
  readonly netns: string;
  readonly options: { readonly type_url?: string | null; readonly value?: Uint8Array | null } | null;
  readonly annotations: Readonly<Record<string, string>>;
}

/** Writes config.json and a root with one program, unless containerd has written a specification. */
export function writePodBundle(request: PodRequest): void {
  const path = join(request.bundle, 'config.json');
  if (existsSync(path)) return;
  const root = join(request.bundle, ROOT);
  mkdirSync(root, { recursive: true, mode: 0o711 });
  copyFileSync(helperPath('runsc-pause'), join(root, 'pause'));
  writeFileSync(path, JSON.stringify(podSpec(request)), { mode: 0o600 });
}

export function podSpec({ id, netns, options, annotations }: PodRequest): Spec {
  const known = (options?.type_url ?? '').endsWith(CONFIG_TYPE);
  const config = Sandbox.PodSandboxConfig.decode(known ? (options?.value ?? new Uint8Array(0)) : new Uint8Array(0));
  const { metadata, linux } = config;
  const modes = linux?.security_context?.namespace_options;
  const own = ['mount', ...(modes?.pid === NODE ? [] : ['pid']), ...(modes?.ipc === NODE ? [] : ['ipc']), ...(netns === '' ? [] : ['uts'])];
  const parent = linux?.cgroup_parent ?? '';
  return {
    ociVersion: '1.0.2',
    process: { args: ['/pause'], cwd: '/', env: [], user: { uid: 65535, gid: 65535 }, noNewPrivileges: true },
    root: { path: ROOT, readonly: true },
    ...(config.hostname ? { hostname: config.hostname } : {}),
    mounts: [
      { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
      { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'mode=755', 'size=65536k'] },
    ],
    annotations: {
      ...annotations,
      ...config.annotations,
      'io.kubernetes.cri.container-type': 'sandbox',
      'io.kubernetes.cri.sandbox-id': id,
      ...(metadata?.name ? { 'io.kubernetes.cri.sandbox-name': metadata.name } : {}),
      ...(metadata?.namespace ? { 'io.kubernetes.cri.sandbox-namespace': metadata.namespace } : {}),
    },
    linux: {
      namespaces: [...own.map((type) => ({ type })), ...(netns === '' ? [] : [{ type: 'network', path: netns }])],
      ...(parent === '' ? {} : { cgroupsPath: parent.endsWith('.slice') ? `${parent}:cri-containerd:${id}` : join(parent, id) }),
      resources: { cpu: { shares: 2 } },
      ...(linux?.sysctls ? { sysctl: linux.sysctls } : {}),
    },
  };
}
