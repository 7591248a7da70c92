import { podSandbox, refuseHostPrivileges, sandboxResources, sharesPidNamespace } from './pod.ts';
import type { Spec } from './spec.ts';

const spec = (annotations: Record<string, string>, namespaces: { type: string; path?: string }[] = []): Spec => ({
  ociVersion: '1.0.2',
  root: { path: 'r' },
  annotations,
  linux: { namespaces },
});

test('annotations of containerd and CRI-O say which pod', () => {
  expect(podSandbox(spec({}))).toBeNull();
  expect(podSandbox(spec({ 'io.kubernetes.cri.container-type': 'sandbox', 'io.kubernetes.cri.sandbox-id': 's' }))).toBeNull();
  expect(podSandbox(spec({ 'io.kubernetes.cri.container-type': 'container', 'io.kubernetes.cri.sandbox-id': 's' }))).toBe('s');
  expect(podSandbox(spec({ 'io.kubernetes.cri-o.ContainerType': 'container', 'io.kubernetes.cri-o.SandboxID': 't' }))).toBe('t');
  expect(() => podSandbox(spec({ 'io.kubernetes.cri.container-type': 'container' }))).toThrow('sandbox-id');
});

test('a pid namespace with a path, or none, is the pod’s', () => {
  expect(sharesPidNamespace(spec({}, [{ type: 'pid' }]))).toBe(false);
  expect(sharesPidNamespace(spec({}, [{ type: 'pid', path: '/proc/7/ns/pid' }]))).toBe(true);
  expect(sharesPidNamespace(spec({}))).toBe(true);
});

test('parts of the host are refused in words, to pods alone', () => {
  const pod = { 'io.kubernetes.cri.container-type': 'container', 'io.kubernetes.cri.sandbox-id': 's' };
  const own = [{ type: 'pid' }, { type: 'ipc' }];
  expect(() => refuseHostPrivileges(spec(pod, own))).not.toThrow();
  expect(() => refuseHostPrivileges(spec({}, []))).not.toThrow();
  expect(() => refuseHostPrivileges(spec(pod, [{ type: 'ipc' }]))).toThrow(/hostPID/);
  expect(() => refuseHostPrivileges(spec(pod, [{ type: 'pid' }]))).toThrow(/hostIPC/);
  const devices = (allow: boolean) => ({
    ...spec(pod, own),
    linux: { namespaces: own, resources: { devices: [{ allow, access: 'rwm' }] } },
  });
  expect(() => refuseHostPrivileges(devices(true))).toThrow(/privileged/);
  expect(() => refuseHostPrivileges(devices(false))).not.toThrow();
});

test('the sandbox of a pod has a share of the processor that its containers cannot starve', () => {
  const resources = { cpu: { shares: 2 }, pids: { limit: 5 } };
  const of = (type: string) => sandboxResources({ ...spec({ 'io.kubernetes.cri.container-type': type }), linux: { resources } });
  expect(of('sandbox')).toEqual({ cpu: { shares: 262_144 }, pids: { limit: 5 } });
  expect(of('container')).toBe(resources);
  expect(sandboxResources(spec({}))).toBeUndefined();
});
