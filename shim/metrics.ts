/** Stats as containerd's clients read them: in the form of the host's cgroup version. */
import { readFileSync } from 'node:fs';
import { type Any, Metrics } from '../proto/messages.ts';
import type { ContainerStats } from '../runsc/container/types.ts';

/** cgroup v1's "no limit", rounded to what a number holds. */
const UNLIMITED = Number.MAX_SAFE_INTEGER;

export function metricsOf(stats: ContainerStats): Any {
  const version = stats.cgroupVersion === 0 ? hostCgroupVersion() : stats.cgroupVersion;
  return version === 2 ? metricsV2(stats) : metricsV1(stats);
}

function limit(value: number): number {
  return Number.isFinite(value) ? Math.min(value, UNLIMITED) : UNLIMITED;
}

/** "No limit" of pids is 0 in both forms. */
function pids(stats: ContainerStats): { current: number; limit: number } {
  return { current: stats.pids.current, limit: Number.isFinite(stats.pids.limit) ? stats.pids.limit : 0 };
}

/** The loopback is nobody's traffic. */
function network(stats: ContainerStats) {
  return (stats.network?.interfaces ?? []).filter(({ name }) => name !== 'lo');
}

function metricsV1(stats: ContainerStats): Any {
  const { cpu, memory } = stats;
  const message = Metrics.MetricsV1.encode({
    pids: pids(stats),
    cpu: { usage: { total: Math.round(cpu.total), kernel: Math.round(cpu.system), user: Math.round(cpu.user) } },
    memory: {
      cache: memory.inactiveFile,
      total_rss: memory.anon,
      total_inactive_file: memory.inactiveFile,
      usage: { limit: limit(memory.limit), usage: memory.usage },
    },
    network: network(stats),
  });
  return { type_url: 'io.containerd.cgroups.v1.Metrics', value: message.finish() };
}

function metricsV2(stats: ContainerStats): Any {
  const { cpu, memory } = stats;
  const us = (ns: number): number => Math.round(ns / 1000);
  const message = Metrics.MetricsV2.encode({
    pids: pids(stats),
    cpu: { usage_usec: us(cpu.total), user_usec: us(cpu.user), system_usec: us(cpu.system) },
    memory: { anon: memory.anon, inactive_file: memory.inactiveFile, usage: memory.usage, usage_limit: limit(memory.limit) },
    network: network(stats),
  });
  return { type_url: 'io.containerd.cgroups.v2.Metrics', value: message.finish() };
}

/** 2 where the unified hierarchy is mounted at the usual place. */
function hostCgroupVersion(): 1 | 2 {
  try {
    readFileSync('/sys/fs/cgroup/cgroup.controllers');
    return 2;
  } catch {
    return 1;
  }
}
