import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { host } from '../lib/host.ts';
import { groupOf } from './group.ts';
import { connectable, listenAt, socketPath } from './listen.ts';
import { logLine } from './log.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'listen-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

test('a live socket is kept, a dead one replaced', () => {
  const path = join(folder, 's');
  const first = listenAt(path) as number;
  expect(first).toBeGreaterThan(2);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(connectable(path)).toBe(true);
  expect(listenAt(path)).toBeNull();
  host.close(first);
  expect(connectable(path)).toBe(false);
  const second = listenAt(path) as number;
  expect(second).toBeGreaterThan(2);
  host.close(second);
  expect(() => listenAt(join(folder, 'x'.repeat(120)))).toThrow('longer than 106');
});

test('the path depends on containerd, namespace and group alone, and fits', () => {
  const path = socketPath('/run/containerd/containerd.sock', 'k8s.io', 'pod');
  expect(path).toBe(socketPath('/run/containerd/./containerd.sock', 'k8s.io', 'pod'));
  expect(path).not.toBe(socketPath('/run/containerd/containerd.sock', 'k8s.io', 'pod2'));
  expect(path).toMatch(/^\/run\/containerd\/s\/[0-9a-f]{64}$/);
});

test('containers of a pod form a group', () => {
  const config = (annotations: object): void => writeFileSync(join(folder, 'config.json'), JSON.stringify({ annotations }));
  config({ 'io.kubernetes.cri.sandbox-id': 'pod', 'io.kubernetes.cri.container-type': 'container' });
  expect(groupOf(folder, 'c', 'pod')).toBe('pod');
  expect(groupOf(folder, 'c', 'none')).toBe('c');
  config({ 'io.kubernetes.cri-o.SandboxID': 'pod2' });
  expect(groupOf(folder, 'c', 'pod')).toBe('pod2');
  config({});
  expect(groupOf(folder, 'c', 'pod')).toBe('c');
  writeFileSync(join(folder, 'config.json'), '{');
  expect(groupOf(folder, 'c', 'pod')).toBe('c');
});

test('log lines are one line each', () => {
  const line = logLine(new Date(0), 'warn', 'two\nlines', { id: 'a-1', error: 'x "y"', none: undefined });
  expect(line).toBe('time="1970-01-01T00:00:00.000Z" level=warning msg="two\\nlines" id=a-1 error="x \\"y\\""\n');
});
