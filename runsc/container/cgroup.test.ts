import { cgroupMounts, cgroupPath } from './cgroup.ts';
import { weightOf } from './cgroup_v2.ts';

test.each([
  [undefined, '/', false, '/c1'],
  [undefined, '/user', false, '/user/c1'],
  ['/docker/abc', '/user', false, '/docker/abc'],
  ['pods/x', '/user', false, '/user/pods/x'],
  ['pods//./x', '/', false, '/pods/x'],
  [
    'kubepods-burstable-pod1.slice:cri-containerd:abc',
    '/',
    false,
    '/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1.slice/cri-containerd-abc.scope',
  ],
  ['system.slice:docker:abc', '/', true, '/system.slice/docker-abc.scope'],
  ['-.slice:a:b', '/', true, '/a-b.scope'],
  [':runsc:x', '/', true, '/system.slice/runsc-x.scope'],
])('cgroupsPath %s below %s, systemd %s', (path, own, systemd, expected) => {
  expect(cgroupPath(path, 'c1', own, systemd)).toBe(expected);
});

test('a path may not leave its parent, nor be half a systemd one', () => {
  expect(() => cgroupPath('/a/../../b', 'c', '/', false)).toThrow('leaves its parent');
  expect(() => cgroupPath('/a/b', 'c', '/', true)).toThrow('slice:prefix:name');
});

test('mounts of both versions are found', () => {
  const info = [
    '30 25 0:26 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory',
    '31 25 0:27 / /sys/fs/cgroup/unified rw - cgroup2 none rw,nsdelegate',
    '32 25 0:28 / /tmp rw - tmpfs tmpfs rw',
  ].join('\n');
  expect(cgroupMounts(info)).toEqual([
    { mountPoint: '/sys/fs/cgroup/memory', type: 'cgroup', options: ['rw', 'memory'] },
    { mountPoint: '/sys/fs/cgroup/unified', type: 'cgroup2', options: ['rw', 'nsdelegate'] },
  ]);
});

test('shares become weights', () => {
  expect([2, 1024, 262_144, 1].map(weightOf)).toEqual([1, 39, 10_000, 1]);
});
