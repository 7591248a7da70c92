/** What idle sandboxes cost: private and proportional memory of all their processes, CPU time over a while. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { spec } from './targets.ts';

export interface IdleCost {
  readonly sandboxes: number;
  /** KiB a sandbox. */
  readonly privateKiB: number;
  readonly proportionalKiB: number;
  /** CPU milliseconds of all of them together over `seconds`. */
  readonly cpuMs: number;
  readonly seconds: number;
}

const TICKS_PER_SECOND = 100;

function pids(): string[] {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name));
}
function attempt<T>(read: () => T, otherwise: T): T {
  try {
    return read();
  } catch {
    return otherwise; // gone meanwhile
  }
}
function sum(pid: string, field: RegExp): number {
  const text = attempt(() => readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1'), '');
  return [...text.matchAll(field)].reduce((total, m) => total + Number(m[1]), 0);
}
function cpuTicks(pid: string): number {
  const text = attempt(() => readFileSync(`/proc/${pid}/stat`, 'latin1'), '');
  const after = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return Number(after[11] ?? 0) + Number(after[12] ?? 0);
}

/** Starts `count` sandboxes that sleep, measures, and ends them. */
export async function measureIdle(
  binary: string,
  flags: readonly string[],
  rootfs: string,
  work: string,
  count: number,
  seconds: number,
): Promise<IdleCost> {
  const state = join(work, 'idle-state');
  const bundle = join(work, 'idle-bundle');
  mkdirSync(bundle, { recursive: true });
  writeFileSync(join(bundle, 'config.json'), JSON.stringify(spec(rootfs, ['/bin/sleep', '1000'])));
  const ids = Array.from({ length: count }, (_, i) => `idle-${process.pid}-${i}`);
  const run = (...args: string[]) =>
    spawnSync(binary, ['--root', state, ...flags, ...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], timeout: 60_000 });
  try {
    for (const id of ids) {
      // Its output must not be our pipe: a sandbox would hold it.
      const r = spawnSync('sh', [
        '-c',
        'exec "$@" >/dev/null 2>&1',
        'sh',
        binary,
        '--root',
        state,
        ...flags,
        'run',
        '--detach',
        '--bundle',
        bundle,
        id,
      ]);
      if (r.status !== 0) throw new Error(`cannot start sandbox ${id}: status ${r.status}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 2000));
    const all = processesOf(ids.map((id) => (JSON.parse(run('state', id).stdout) as { pid: number }).pid));
    const before = all.reduce((total, pid) => total + cpuTicks(pid), 0);
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
    const after = all.reduce((total, pid) => total + cpuTicks(pid), 0);
    const total = (field: RegExp): number => all.reduce((t, pid) => t + sum(pid, field), 0);
    return {
      sandboxes: count,
      privateKiB: Math.round(total(/^Private_(?:Clean|Dirty):\s+(\d+)/gm) / count),
      proportionalKiB: Math.round(total(/^Pss:\s+(\d+)/gm) / count),
      cpuMs: ((after - before) * 1000) / TICKS_PER_SECOND,
      seconds,
    };
  } finally {
    for (const id of ids) run('delete', '--force', id);
    rmSync(state, { recursive: true, force: true });
  }
}

/** The sandbox processes, all in their pid namespaces, and the gofers, which stand in the same cgroup. */
function processesOf(sandboxes: readonly number[]): string[] {
  const namespaces = new Set(sandboxes.map((pid) => attempt(() => readlinkSync(`/proc/${pid}/ns/pid`), '')));
  const cgroups = new Set(sandboxes.map((pid) => attempt(() => readFileSync(`/proc/${pid}/cgroup`, 'latin1'), '')));
  return pids().filter((pid) => {
    if (namespaces.has(attempt(() => readlinkSync(`/proc/${pid}/ns/pid`), '-'))) return true;
    const name = attempt(() => readFileSync(`/proc/${pid}/cmdline`, 'latin1'), '');
    return /gofer/.test(name) && cgroups.has(attempt(() => readFileSync(`/proc/${pid}/cgroup`, 'latin1'), '-'));
  });
}
