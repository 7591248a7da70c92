/** Limits of one container of a pod hold it, and nobody else of the pod. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ContainerStats, EXITED, RUNNING } from './cri.ts';
import { CriWorld, lacking, type Pod } from './world.ts';

const PLATFORMS = (process.env.TSVISOR_TEST_PLATFORMS ?? 'systrap,ptrace').split(',').filter((name) => name !== 'kvm');
const MIB = 1 << 20;
const sh = (script: string): string[] => ['sh', '-c', script];
const IDLE = sh('trap "exit 3" TERM; while :; do sleep 0.1; done');
const ALONE = { security_context: { namespace_options: { pid: 1 } } };

const suite = lacking('system').length === 0 ? describe : describe.skip;
suite.each(PLATFORMS)('limits of single containers on %s', (platform) => {
  let world: CriWorld;
  let pod: Pod;
  let other: string;
  beforeAll(async () => {
    world = await CriWorld.start('system', { runsc: `[runsc_config]\nplatform = "${platform}"\n` });
    pod = await world.runPod();
    other = await world.run(pod, { name: 'other', command: IDLE });
  }, 120_000);
  afterAll(async () => {
    await world?.stop();
  }, 120_000);

  const limited = (command: readonly string[], resources: object): Promise<string> =>
    world.run(pod, { command, linux: { ...ALONE, resources } });
  const remove = async (id: string): Promise<void> => {
    await world.cri.call('StopContainer', { container_id: id, timeout: 0 });
    await world.cri.call('RemoveContainer', { container_id: id });
  };
  const usage = async (id: string): Promise<number> =>
    (await world.cri.call<{ stats: ContainerStats }>('ContainerStats', { container_id: id })).stats.memory?.usage_bytes?.value ?? 0;

  test('the memory of processes: the largest one ends, or the container does; the others run on', async () => {
    const { cri } = world;
    const limit = { memory_limit_in_bytes: 160 * MIB };
    const id = await limited(IDLE, limit);
    expect(await cri.execSync(id, sh('tail /dev/zero; echo "ended $?"'))).toMatchObject({ stdout: 'ended 137\n' });
    expect((await cri.status(id)).state).toBe(RUNNING);
    const whole = await limited(sh('exec tail /dev/zero'), limit);
    expect(await world.ended(whole)).toBe(137);
    expect(await cri.status(whole)).toMatchObject({ state: EXITED, reason: 'OOMKilled' });
    for (const alive of [id, other]) expect((await cri.execSync(alive, ['echo', 'here'])).stdout).toBe('here\n');
    await remove(id);
    await remove(whole);
  }, 90_000);

  test('memory that the sandbox holds for it counts as well: files of its root and of a tmpfs', async () => {
    const { cri } = world;
    const id = await limited(sh('dd if=/dev/zero of=/dev/shm/a bs=1M count=60; exec dd if=/dev/zero of=/file bs=1M count=400'), {
      memory_limit_in_bytes: 160 * MIB,
    });
    expect(await world.ended(id)).toBe(137);
    expect(await cri.status(id)).toMatchObject({ state: EXITED, reason: 'OOMKilled' });
    await remove(id);
    expect((await cri.status(other)).state).toBe(RUNNING);
  }, 90_000);

  test('figures are the container’s own: memory of its processes and of its files', async () => {
    const id = await limited(sh('dd if=/dev/zero of=/file bs=1M count=50; head -c 50000000 /dev/zero | tail -c 50000000 | sleep 1000'), {});
    const before = await usage(other);
    expect(await until(async () => (await usage(id)) > before + 80 * MIB)).toBe(true);
    expect(await usage(other)).toBeLessThan(before + 20 * MIB);
    expect(processesIn(id).length).toBeGreaterThan(2);
    await remove(id);
  }, 60_000);

  test('processor time: who has a quota waits for it, nobody else does; the quota changes while it runs', async () => {
    const { cri } = world;
    const id = await limited(sh('while :; do :; done'), { cpu_period: 100_000, cpu_quota: 10_000 });
    expect(await until(async () => throttled(id) > 2)).toBe(true);
    expect(throttled(other)).toBe(0);
    await cri.call('UpdateContainerResources', { container_id: id, linux: { cpu_period: 100_000, cpu_quota: -1 } });
    const before = throttled(id);
    const spent = cpuTime(id);
    expect(await until(async () => cpuTime(id) > spent + 3e8)).toBe(true);
    expect(throttled(id)).toBeLessThanOrEqual(before + 1);
    await remove(id);
  }, 60_000);

  test('a memory limit that changes while it runs', async () => {
    const { cri } = world;
    const id = await limited(IDLE, { memory_limit_in_bytes: 512 * MIB });
    const hold = sh('dd if=/dev/zero of=/file bs=1M count=200 2>/dev/null && echo held; rm -f /file');
    expect((await cri.execSync(id, hold)).stdout).toBe('held\n');
    await cri.call('UpdateContainerResources', { container_id: id, linux: { memory_limit_in_bytes: 128 * MIB } });
    expect((await cri.execSync(id, ['cat', '/sys/fs/cgroup/memory.max'])).stdout).toBe(`${128 * MIB}\n`);
    expect((await cri.execSync(id, hold)).stdout).not.toContain('held');
    await remove(id);
  }, 60_000);

  test('its host process goes with it', async () => {
    const id = await limited(IDLE, {});
    const folder = cgroupOf(id, 'memory');
    await remove(id);
    expect(
      await until(async () => execFileSync('sh', ['-c', `test -e ${folder} && echo there || echo gone`]).toString() === 'gone\n'),
    ).toBe(true);
    expect((await world.cri.status(other)).state).toBe(RUNNING);
  }, 60_000);
});

async function until(check: () => Promise<boolean>): Promise<boolean> {
  for (const end = Date.now() + 20_000; Date.now() < end; await new Promise((r) => setTimeout(r, 50))) if (await check()) return true;
  return check();
}

function cgroupOf(id: string, controller: string): string {
  return execFileSync('find', [`/sys/fs/cgroup/${controller}`, '-type', 'd', '-name', id], { encoding: 'utf8' })
    .trim()
    .split('\n')[0] as string;
}
function groupFile(id: string, controller: string, file: string): string {
  return readFileSync(join(cgroupOf(id, controller), file), 'utf8');
}
function processesIn(id: string): string[] {
  return groupFile(id, 'memory', 'cgroup.procs').trim().split('\n');
}
function throttled(id: string): number {
  return Number(/nr_throttled (\d+)/.exec(groupFile(id, 'cpu', 'cpu.stat'))?.[1]);
}
function cpuTime(id: string): number {
  return Number(groupFile(id, 'cpuacct', 'cpuacct.usage'));
}
