/** Many pods and many execs: nothing is left of them, and what serves them does not grow. */
import { readdirSync, readFileSync } from 'node:fs';
import { processesWith } from '../containerd/containerd.ts';
import { CriWorld, lacking } from '../cri/world.ts';
import { patience, size } from './size.ts';

const suite = lacking('system').length === 0 ? describe : describe.skip;
const PODS = size(12, 200);
const EXECS = size(60, 1000);
/** At once. */
const WIDTH = 4;
const BATCH = 20;

suite('pods by the hundred', () => {
  let world: CriWorld;
  beforeAll(async () => {
    world = await CriWorld.start('system');
  }, 120_000);
  afterAll(async () => {
    await world?.stop();
  }, 120_000);

  test(
    `${PODS} pods come and go`,
    async () => {
      let left = PODS;
      const worker = async (): Promise<void> => {
        while (left-- > 0) {
          const pod = await world.runPod();
          const id = await world.run(pod, { command: ['sleep', '1000'] });
          expect(await world.cri.execSync(id, ['echo', 'here'])).toMatchObject({ stdout: 'here\n' });
          await world.removePod(pod.id);
        }
      };
      await Promise.all(Array.from({ length: WIDTH }, worker));
      await world.settled();
      expect(world.leftovers()).toEqual([]);
    },
    patience(PODS, 5000),
  );

  test(
    `${EXECS} execs leave no descriptor, no process, no memory behind`,
    async () => {
      const pod = await world.runPod();
      const id = await world.run(pod, { command: ['sleep', '1000'] });
      const [shim] = processesWith(`-id ${pod.id} -socket`);
      const sandbox = Number(
        JSON.parse(readFileSync(`${world.containerd.folder}/state/runsc/k8s.io/${pod.id}/state.json`, 'utf8')).sandbox.pid,
      );
      const batch = async (): Promise<void> => {
        const all = Array.from({ length: BATCH }, (_, n) => world.cri.execSync(id, ['sh', '-c', `echo ${n}; exit ${n}`]));
        expect((await Promise.all(all)).map((r) => [r.stdout, r.exit_code])).toEqual(all.map((_, n) => [`${n}\n`, n]));
      };
      const use = () => ({ fds: fdsOf(shim as number) + fdsOf(sandbox), rss: rssOf(shim as number) });
      await batch(); // what is loaded once is loaded
      const before = use();
      for (let done = BATCH; done < EXECS; done += BATCH) await batch();
      const after = use();
      expect(after.fds).toBe(before.fds);
      // Garbage is collected when it pays: a leak of a few KB for each exec would be far above.
      expect(after.rss - before.rss).toBeLessThan(48 << 20);
      expect((await world.cri.execSync(id, ['sh', '-c', 'ls /proc | grep -c "^[0-9]"'])).stdout).toBe('4\n');
      await world.removePod(pod.id);
    },
    patience(EXECS, 500),
  );
});

function fdsOf(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}
function rssOf(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024;
}
