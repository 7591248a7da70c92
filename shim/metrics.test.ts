import { Metrics } from '../proto/messages.ts';
import type { ContainerStats } from '../runsc/container/types.ts';
import { metricsOf } from './metrics.ts';

const traffic = { rx_bytes: 1000, rx_packets: 10, rx_dropped: 1, tx_bytes: 2000, tx_packets: 20, tx_dropped: 2 };
const STATS: Omit<ContainerStats, 'cgroupVersion'> = {
  cpu: { total: 5e9, user: 3e9, system: 2e9 },
  memory: { usage: 64 << 20, limit: 128 << 20, anon: 40 << 20, inactiveFile: 8 << 20, oomKills: 1 },
  pids: { current: 7, limit: 100 },
  network: {
    interfaces: [
      { name: 'lo', ...traffic },
      { name: 'eth0', ...traffic },
    ],
    tcpConnections: 0,
    tcpListeners: 0,
    udpSockets: 0,
    egressAllowed: 0,
    egressDenied: 0,
  },
};
const eth0 = expect.objectContaining({ name: 'eth0', ...traffic }) as unknown;

test('in the form of cgroups version 1', () => {
  const any = metricsOf({ ...STATS, cgroupVersion: 1 });
  expect(any.type_url).toBe('io.containerd.cgroups.v1.Metrics');
  expect(Metrics.MetricsV1.decode(any.value)).toMatchObject({
    pids: { current: 7, limit: 100 },
    cpu: { usage: { total: 5e9, kernel: 2e9, user: 3e9 } },
    memory: { usage: { usage: 64 << 20, limit: 128 << 20 }, total_rss: 40 << 20, total_inactive_file: 8 << 20 },
    network: [eth0],
  });
});

test('in the form of cgroups version 2', () => {
  const any = metricsOf({ ...STATS, cgroupVersion: 2 });
  expect(any.type_url).toBe('io.containerd.cgroups.v2.Metrics');
  expect(Metrics.MetricsV2.decode(any.value)).toMatchObject({
    pids: { current: 7, limit: 100 },
    cpu: { usage_usec: 5e6, user_usec: 3e6, system_usec: 2e6 },
    memory: { usage: 64 << 20, usage_limit: 128 << 20, anon: 40 << 20, inactive_file: 8 << 20 },
    network: [eth0],
  });
});

test('no limit, no network: both forms have a way to say so', () => {
  const none: ContainerStats = {
    ...STATS,
    cgroupVersion: 2,
    memory: { ...STATS.memory, limit: Number.POSITIVE_INFINITY },
    pids: { current: 1, limit: Number.POSITIVE_INFINITY },
    network: null,
  };
  const v2 = Metrics.MetricsV2.decode(metricsOf(none).value);
  expect(v2).toMatchObject({ pids: { current: 1 }, memory: { usage_limit: Number.MAX_SAFE_INTEGER } });
  expect(v2.network).toEqual([]);
  expect(Number(Metrics.MetricsV1.decode(metricsOf({ ...none, cgroupVersion: 1 }).value).pids?.limit ?? 0)).toBe(0);
});
