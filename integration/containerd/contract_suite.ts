/** What a task answers under every containerd: figures, checkpoint, output to files and programs, wrong options. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BUSYBOX, type Containerd, eventually, RUNSC } from './containerd.ts';

/** Of `ctr tasks metrics`, in the forms of both versions of cgroups. */
interface Figures {
  readonly pids: { readonly current: number };
  readonly cpu: { readonly usage?: { readonly total: number }; readonly usage_usec?: number };
  readonly memory: { readonly usage: number | { readonly usage: number; readonly limit: number }; readonly usage_limit?: number };
}

export interface Contract {
  readonly containerd: () => Containerd;
  /** Words of `ctr run` for a container. */
  readonly words: (flags: readonly string[], id: string, command: readonly string[]) => readonly string[];
  /** Of a task, as ctr shows it. */
  readonly status: (id: string) => string;
}

export function contractTests({ containerd, words, status }: Contract): void {
  const run = (flags: readonly string[], id: string, command: readonly string[]) => containerd().ctr(words(flags, id, command));

  test('figures: processor, memory with its limit, tasks; what is held of others is not there', () => {
    const id = containerd().newId();
    run(['-d', '--null-io', '--memory-limit', String(200 << 20)], id, ['sh', '-c', 'sleep 1000 & sleep 1001']);
    const metrics = JSON.parse(containerd().ctr(['tasks', 'metrics', '--format', 'json', id]).stdout) as Figures;
    const { memory, cpu, pids } = metrics;
    expect(pids.current).toBe(2);
    // Version 1's form, then version 2's: the host has one of them.
    expect(cpu.usage?.total ?? cpu.usage_usec).toBeGreaterThan(0);
    const usage = typeof memory.usage === 'object' ? memory.usage : { usage: memory.usage, limit: memory.usage_limit };
    expect(usage.limit).toBe(200 << 20);
    expect(usage.usage).toBeGreaterThan(1 << 20);
    expect(usage.usage).toBeLessThan(200 << 20);
    containerd().remove(id);
  }, 60_000);

  test('checkpoint says that it is not there; the task goes on', () => {
    const id = containerd().newId();
    run(['-d', '--null-io'], id, ['sleep', '1000']);
    const r = containerd().ctr(['tasks', 'checkpoint', id]);
    expect(r.status).toBe(1);
    expect(r.stderr).toMatch(/checkpoint: not implemented/);
    expect(status(id)).toBe('RUNNING');
    containerd().remove(id);
  }, 60_000);

  test('output to a file and to a program', async () => {
    const file = join(containerd().folder, 'output');
    const logged = join(containerd().folder, 'logged');
    const logger = join(containerd().folder, 'logger');
    writeFileSync(logger, `#!/bin/sh\nexec 5>&-\ncat <&3 >"$2.new"\nmv "$2.new" "$2"\n`, { mode: 0o755 });
    for (const [uri, target] of [
      [`file://${file}`, file],
      [`binary://${logger}?to=${logged}`, logged],
    ] as const) {
      const id = containerd().newId();
      expect(run(['-d', '--log-uri', uri], id, ['sh', '-c', 'echo one; echo two'])).toMatchObject({ status: 0 });
      expect(await eventually(() => existsSync(target) && readFileSync(target, 'utf8') === 'one\ntwo\n')).toBe(true);
      expect(await eventually(() => status(id) === 'STOPPED')).toBe(true);
      containerd().remove(id);
    }
  }, 60_000);

  test('an option that is not known is an error that names it', () => {
    const path = join(containerd().folder, 'wrong.toml');
    writeFileSync(path, `[runsc_config]\nplatfrom = "ptrace"\n`);
    const id = containerd().newId();
    const r = containerd().ctr(['run', '--rm', '--runtime', RUNSC, '--runtime-config-path', path, BUSYBOX, id, 'true']);
    expect(r.status).not.toBe(0);
    expect(r.stderr).toContain('platfrom');
    containerd().remove(id);
  }, 60_000);
}
