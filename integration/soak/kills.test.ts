/** Parts are killed at any moment: whoever asks is told the truth, nothing hangs, nothing is left. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { processesWith, sleep } from '../containerd/containerd.ts';
import { CREATED, EXITED, RUNNING } from '../cri/cri.ts';
import { CriWorld, lacking, type Pod } from '../cri/world.ts';
import { patience, random, size } from './size.ts';

const suite = lacking('system').length === 0 ? describe : describe.skip;
const ROUNDS = size(10, 140);
const VICTIMS = ['shim', 'sentry', 'gofer', 'containerd'] as const;
/** ms that anything may take before it counts as hanging. */
const HANGS = 30_000;

suite('kill -9', () => {
  let world: CriWorld;
  const { below, pick } = random('kills');
  beforeAll(async () => {
    world = await CriWorld.start('system');
  }, 120_000);
  afterAll(async () => {
    await world?.stop();
  }, 120_000);

  const state = (id: string) =>
    JSON.parse(readFileSync(join(world.containerd.folder, 'state/runsc/k8s.io', id, 'state.json'), 'utf8')) as {
      sandbox: { pid: number };
      gofer: { pid: number } | null;
    };

  /** The pid, if it exists right now. */
  function find(victim: 'shim' | 'sentry' | 'gofer', pod: Pod, id: string): number | undefined {
    try {
      if (victim === 'shim') return processesWith(`-id ${pod.id} -socket`)[0];
      return victim === 'sentry' ? state(pod.id).sandbox.pid : state(id).gofer?.pid;
    } catch {
      return undefined; // not made yet, or gone
    }
  }

  async function strike(victim: (typeof VICTIMS)[number], pod: Pod, id: string): Promise<void> {
    if (victim === 'containerd') {
      await world.containerd.halt('SIGKILL');
      await world.containerd.launch();
      return;
    }
    const pid = find(victim, pod, id);
    if (pid !== undefined) process.kill(pid, 'SIGKILL');
  }

  const runningTask = (id: string): boolean =>
    world.containerd
      .ctr(['-n', 'k8s.io', 'tasks', 'ls'])
      .stdout.split('\n')
      .some((l) => l.startsWith(id) && l.includes('RUNNING'));
  /** containerd died between the answer to Start and its own note of it: its record says created for ever, with every runtime. */
  function unwedge(id: string): void {
    process.stderr.write(`kills: containerd forgot that it had started ${id}\n`);
    world.containerd.ctr(['-n', 'k8s.io', 'tasks', 'rm', '-f', id]);
  }

  /** What is said of the container and what can be seen of it agree, after a while. */
  async function truth(id: string, sandbox: number, victim: string): Promise<void> {
    for (const end = Date.now() + HANGS; ; await sleep(100)) {
      const said = await world.cri.status(id).catch(() => null);
      const alive = existsSync(`/proc/${sandbox}/ns`) && !/^State:\s+Z/m.test(readFileSync(`/proc/${sandbox}/status`, 'utf8'));
      if (said?.state === EXITED && !alive) return;
      if (said?.state === EXITED && alive && (await world.cri.execSync(id, ['true'], 5).catch(() => null)) === null) return; // it ended alone
      if (said?.state === RUNNING && alive && (await world.cri.execSync(id, ['true'], 5).catch(() => null))?.exit_code === 0) return;
      // Start never came to the shim: then created is what it is.
      if (said?.state === CREATED && alive && victim === 'containerd') return runningTask(id) ? unwedge(id) : undefined;
      // Its files are gone with the gofer: it runs, and nothing new can be started in it.
      if (said?.state === RUNNING && alive && state(id).gofer !== null && !existsSync(`/proc/${state(id).gofer?.pid}/ns/net`)) return;
      if (Date.now() > end) throw new Error(`container ${id}: said to be ${said?.state}, sandbox ${alive ? 'alive' : 'gone'}`);
    }
  }

  test(
    `${ROUNDS} times, at random moments`,
    async () => {
      for (let round = 0; round < ROUNDS; round++) {
        const victim = pick(VICTIMS);
        const pod = await world.runPod();
        const sandbox = state(pod.id).sandbox.pid;
        const id = await world.create(pod, { command: ['sh', '-c', 'while :; do echo x >/tmp/x; sleep 0.05; done'] });
        // The moment: somewhere in start, exec and stop.
        const work = (async () => {
          await world.cri.call('StartContainer', { container_id: id });
          await world.cri.execSync(id, ['sh', '-c', 'echo y >/tmp/y'], 5);
          if (below(2) === 0) await world.cri.call('StopContainer', { container_id: id, timeout: 0 });
        })().catch(() => null);
        await sleep(below(300));
        await strike(victim, pod, id);
        await work;
        await truth(id, sandbox, victim).catch((e: Error) => {
          throw new Error(`round ${round}, ${victim}: ${e.message}`);
        });
        // Whatever happened, the pod can be taken away. A kubelet tries again as well.
        for (const end = Date.now() + HANGS; ; await sleep(200)) {
          const failure = await world.removePod(pod.id).then(
            () => null,
            (e: Error) => e,
          );
          if (failure === null) break;
          // The order to start arrived late, when the daemon that gave it was gone.
          if (victim === 'containerd' && failure.message.includes('cannot delete running task')) unwedge(id);
          if (Date.now() > end) throw new Error(`round ${round}, ${victim}: ${failure.message}`);
        }
      }
      // A shim that never got a container goes after a minute.
      await world.settled(90_000);
      expect(world.leftovers()).toEqual([]);
    },
    patience(ROUNDS, 10_000),
  );
});
