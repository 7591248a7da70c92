/** `grouping = "node"`: one daemon for all pods, whose death loses nothing. */
import { readdirSync } from 'node:fs';
import { eventually, processesWith } from '../containerd/containerd.ts';
import { OTHER_VERSIONS, type Version } from '../containerd/versions.ts';
import { EXITED, RUNNING } from './cri.ts';
import { CriWorld, lacking } from './world.ts';

for (const version of ['system', ...OTHER_VERSIONS.slice(-1)] as Version[]) {
  const suite = lacking(version).length === 0 ? describe : describe.skip;
  suite(`one shim for the node, containerd ${version}`, () => {
    let world: CriWorld;
    beforeAll(async () => {
      world = await CriWorld.start(version, { runsc: 'grouping = "node"\n' });
    }, 120_000);
    afterAll(async () => {
      await world?.stop();
    }, 60_000);

    const processes = (action: string): number[] =>
      processesWith(`-address ${world.containerd.address}`).filter((pid) => processesWith(` ${action}`).includes(pid));
    const worker = (): number => {
      const [pid, ...more] = processes('serve');
      expect(more).toEqual([]);
      return pid as number;
    };
    async function killWorker(): Promise<void> {
      const old = worker();
      process.kill(old, 'SIGKILL');
      expect(await eventually(() => processes('serve').some((pid) => pid !== old))).toBe(true);
    }

    test('pods share it; it dies and is replaced while they run, end, and are made', async () => {
      const { cri } = world;
      const pods = await Promise.all([world.runPod(), world.runPod(), world.runPod()]);
      const ids = await Promise.all(
        pods.map((pod) =>
          world.run(pod, { name: 'main', command: ['sh', '-c', 'trap "echo bye; exit 7" TERM; echo hi; while :; do sleep 0.05; done'] }),
        ),
      );
      expect(processes('keep')).toHaveLength(1);
      worker();

      for (let round = 0; round < 3; round++) {
        await killWorker();
        for (const id of ids) {
          expect((await cri.status(id)).state).toBe(RUNNING);
          expect(await cri.execSync(id, ['sh', '-c', 'echo still; exit 2'])).toMatchObject({ stdout: 'still\n', exit_code: 2 });
        }
      }
      // One ends while nobody serves it, another one afterwards: both are told, with their output.
      const [first, second, third] = ids as [string, string, string];
      const stop = cri.call('StopContainer', { container_id: first, timeout: 10 });
      await killWorker();
      await stop.catch(() => cri.call('StopContainer', { container_id: first, timeout: 10 }));
      await cri.call('StopContainer', { container_id: second, timeout: 10 });
      for (const id of [first, second]) expect(await cri.status(id)).toMatchObject({ state: EXITED, exit_code: 7 });
      expect(pods.slice(0, 2).map((pod) => world.log(pod, 'main'))).toEqual(['hi\nbye', 'hi\nbye']);
      expect((await cri.status(third)).state).toBe(RUNNING);
      const more = await world.runPod();
      expect(await world.ended(await world.run(more, { command: ['sh', '-c', 'exit 4'] }))).toBe(4);
      for (const pod of [...pods, more]) await world.removePod(pod.id);
    }, 120_000);

    test('descriptors do not grow with pods that have gone', async () => {
      const cycle = async (): Promise<void> => {
        const pod = await world.runPod();
        await world.run(pod, { command: ['sleep', '1000'] });
        await world.removePod(pod.id);
      };
      await cycle();
      const count = (): number => readdirSync(`/proc/${worker()}/fd`).length + readdirSync(`/proc/${processes('keep')[0]}/fd`).length;
      const before = count();
      for (let i = 0; i < 4; i++) await cycle();
      expect(await eventually(() => count() <= before)).toBe(true);
    }, 90_000);

    test('what holds the connections dies: every container is reported dead, and is', async () => {
      const pod = await world.runPod();
      const id = await world.run(pod, { command: ['sleep', '1000'] });
      process.kill(processes('keep')[0] as number, 'SIGKILL');
      for (let i = 0; i < 100 && (await world.cri.status(id)).state !== EXITED; i++) await new Promise((r) => setTimeout(r, 100));
      expect((await world.cri.status(id)).state).toBe(EXITED);
      await world.removePod(pod.id);
      await world.settled();
      expect(world.leftovers()).toEqual([]);
    }, 60_000);
  });
}
