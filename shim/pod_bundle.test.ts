import { Sandbox } from '../proto/messages.ts';
import { podSpec } from './pod_bundle.ts';

const options = (config: object) => ({
  type_url: 'runtime.v1.PodSandboxConfig',
  value: Sandbox.PodSandboxConfig.encode(config as never).finish(),
});

test("a pod's specification comes from its configuration", () => {
  const config = {
    hostname: 'web',
    metadata: { name: 'p', namespace: 'd' },
    annotations: { 'dev.tsvisor.platform': 'ptrace' },
    linux: { cgroup_parent: '/kube/pod1' },
  };
  const spec = podSpec({ id: 's', bundle: '/b', netns: '/run/netns/x', options: options(config), annotations: {} });
  expect(spec.hostname).toBe('web');
  expect(spec.linux?.cgroupsPath).toBe('/kube/pod1/s');
  expect(spec.linux?.namespaces).toContainEqual({ type: 'network', path: '/run/netns/x' });
  expect(spec.linux?.namespaces?.map((n) => n.type)).toEqual(['mount', 'pid', 'ipc', 'uts', 'network']);
  expect(spec.annotations).toMatchObject({
    'io.kubernetes.cri.container-type': 'sandbox',
    'io.kubernetes.cri.sandbox-name': 'p',
    'dev.tsvisor.platform': 'ptrace',
  });
});

test('the host’s network and processes, a slice, and no configuration at all', () => {
  const config = { linux: { cgroup_parent: 'kube-pod1.slice', security_context: { namespace_options: { network: 2, pid: 2 } } } };
  const spec = podSpec({ id: 's', bundle: '/b', netns: '', options: options(config), annotations: {} });
  expect(spec.linux?.cgroupsPath).toBe('kube-pod1.slice:cri-containerd:s');
  expect(spec.linux?.namespaces?.map((n) => n.type)).toEqual(['mount', 'ipc']);
  expect(podSpec({ id: 's', bundle: '/b', netns: '', options: null, annotations: {} }).linux?.cgroupsPath).toBeUndefined();
});
