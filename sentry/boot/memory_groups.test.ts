import type { Host } from '../../lib/host.ts';
import { HostMemoryGroup } from './memory_groups.ts';

/** Files by descriptor. */
function group(limit: string, usage: string, stat: string): HostMemoryGroup {
  const files: Record<number, string> = { 3: limit, 4: usage, 5: stat };
  const pread = (fd: number, into: Uint8Array): number => Buffer.from(into.buffer).write(files[fd] as string, 'latin1');
  return new HostMemoryGroup({ pread } as unknown as Host, { limit: 3, usage: 4, stat: 5 });
}

test('version 2: pages of files do not count', () => {
  const g = group('1000000\n', '500000\n', 'anon 300000\nfile 200000\ninactive_file 100000\nactive_file 50000\n');
  expect(g.limit()).toBe(1_000_000);
  expect(g.used()).toBe(350_000);
});

test('version 1 counts groups below under names of their own', () => {
  const rows = 'inactive_file 1\nactive_file 2\ntotal_cache 9\ntotal_inactive_file 100\ntotal_active_file 200\n';
  expect(group('9223372036854771712', '1000', rows).used()).toBe(700);
});

test('no limit', () => {
  expect(group('max\n', '1', '').limit()).toBe(Number.POSITIVE_INFINITY);
  expect(group('9223372036854771712\n', '1', '').limit()).toBe(Number.POSITIVE_INFINITY);
});
