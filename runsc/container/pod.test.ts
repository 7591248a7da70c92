import { podSandbox, sharesPidNamespace } from './pod.ts';
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
