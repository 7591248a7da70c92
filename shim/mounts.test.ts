import { parseOptions, shortenLayers } from './mounts.ts';

test('options split into flags, propagation and data', () => {
  expect(parseOptions(['rbind', 'ro', 'nosuid', 'rprivate'])).toEqual({
    flags: 4096 | 16384 | 1 | 2,
    propagation: (1 << 18) | 16384,
    data: [],
  });
  expect(parseOptions(['ro', 'rw'])).toEqual({ flags: 0, propagation: 0, data: [] });
  expect(parseOptions(['index=off', 'lowerdir=/a:/b', 'toString'])).toEqual({
    flags: 0,
    propagation: 0,
    data: ['index=off', 'lowerdir=/a:/b', 'toString'],
  });
});

test('overlays of many layers fit into a page', () => {
  const layers = Array.from({ length: 120 }, (_, i) => `/var/lib/containerd/snapshots/${i}/fs`);
  const short = shortenLayers(['upperdir=/u', `lowerdir=${layers.join(':')}`]);
  expect(short?.folder).toBe('/var/lib/containerd/snapshots');
  expect(short?.data[1]?.startsWith('lowerdir=0/fs:1/fs:')).toBe(true);
  expect(short?.data.join(',').length).toBeLessThan(4096);
  expect(shortenLayers([`lowerdir=${layers[0]}`])).toBeNull();
  expect(shortenLayers([`lowerdir=/${'a'.repeat(3000)}:/${'b'.repeat(3000)}`])).toBeNull();
});
