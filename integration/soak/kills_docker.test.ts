/** Docker's parts and ours are killed at any moment: what the daemon says of a container is true, nothing hangs, nothing is left. */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually, processesWith, sleep } from '../containerd/containerd.ts';
import { CHECKOUT } from '../containerd/versions.ts';
import { Docker, missing } from '../docker/docker.ts';
import { patience, random, size } from './size.ts';

const IMAGE = 'busybox:test';
const suite = missing().length === 0 ? describe : describe.skip;
const ROUNDS = size(3, 60);
const VICTIMS = ['dockerd', 'sandbox', 'gofer', 'shim'] as const;
/** ms that anything may take before it counts as hanging. */
const HANGS = 30_000;

suite('kill -9 under Docker', () => {
  let docker: Docker;
  const { below, pick } = random('kills of Docker');
  beforeAll(async () => {
    docker = await Docker.start(['busybox.tar']);
  }, 120_000);
  afterAll(async () => {
    await docker?.stop();
  }, 120_000);

  const stateFolder = (): string => join(docker.folder, 'exec/runtime-runc/moby');
  const list = (folder: string): string[] => (existsSync(folder) ? readdirSync(folder) : []);
  const idOf = (name: string): string => docker.run(['inspect', '-f', '{{.Id}}', name]).stdout.trim();

  /** What the container has on the host right now. */
  function parts(id: string): { sandbox?: number; gofer?: number } {
    try {
      const { sandbox, gofer } = JSON.parse(readFileSync(join(stateFolder(), id, 'state.json'), 'utf8'));
      return { sandbox: sandbox?.pid, gofer: gofer?.pid };
    } catch {
      return {}; // not made yet, or gone
    }
  }
  function find(victim: 'sandbox' | 'gofer' | 'shim', id: string): number | undefined {
    return victim === 'shim' ? processesWith(`-id ${id} `)[0] : parts(id)[victim];
  }
  async function strike(victim: (typeof VICTIMS)[number], name: string): Promise<void> {
    if (victim === 'dockerd') {
      await docker.halt('SIGKILL');
      await docker.launch();
      return;
    }
    const id = idOf(name);
    const pid = id === '' ? undefined : find(victim, id);
    if (pid !== undefined) process.kill(pid, 'SIGKILL');
  }

  const alive = (pid: number | undefined): boolean =>
    pid !== undefined && existsSync(`/proc/${pid}/ns`) && !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));

  /**
   * The daemon and its containerd died while containerd's own shim was still making the container: it is made, and nobody knows of it, whatever
   * the runtime. What an administrator does then.
   */
  function takeAway(id: string): void {
    process.stderr.write(`kills of Docker: nobody knows of ${id} any more\n`);
    for (const pid of processesWith(`-id ${id} `)) process.kill(pid, 'SIGKILL');
    spawnSync(join(CHECKOUT, 'bin/runsc'), ['--root', stateFolder(), 'delete', '--force', id]);
  }

  /** What is said of the container and what can be seen of it agree, after a while. */
  async function truth(name: string, victim: string): Promise<void> {
    for (const end = Date.now() + HANGS; ; await sleep(100)) {
      const said = docker.run(['inspect', '-f', '{{.State.Status}}', name]);
      if (said.status !== 0 && said.stderr.includes('No such')) return; // it never came to be
      const status = said.stdout.trim();
      const { sandbox, gofer } = parts(idOf(name));
      if ((status === 'exited' || status === 'created' || status === 'dead') && !alive(sandbox)) return;
      if (status === 'created' && victim === 'dockerd' && Date.now() > end - HANGS / 2) return takeAway(idOf(name));
      const answers = docker.run(['exec', name, 'true'], { timeoutMs: 5000 }).status === 0;
      // Without its gofer nothing new can be started in it; it runs all the same.
      if (status === 'running' && alive(sandbox) && (answers || !alive(gofer))) return;
      if (Date.now() > end) throw new Error(`container ${name}: said to be ${status}, sandbox ${alive(sandbox) ? 'alive' : 'gone'}`);
    }
  }

  const leftovers = (): string[] => [
    ...list(stateFolder()).filter((n) => !n.startsWith('.')),
    ...readFileSync('/proc/mounts', 'utf8')
      .split('\n')
      .filter((l) => l.includes(`${docker.folder}/data/overlay2/`)),
    ...processesWith(join(docker.folder, 'exec/containerd/daemon')).map((pid) => `process ${pid}`),
    ...list(join('/sys/fs/cgroup/memory', docker.cgroup)).filter((n) => /^[0-9a-f]{64}$/.test(n)),
  ];

  test(
    `${ROUNDS} times, at random moments`,
    async () => {
      for (let round = 0; round < ROUNDS; round++) {
        const victim = pick(VICTIMS);
        const name = `round-${round}`;
        const client = docker.spawn(['run', '-d', '--name', name, '--network', 'none', IMAGE, 'sh', '-c', 'while :; do sleep 0.05; done']);
        const started = new Promise((r) => client.once('close', r));
        await sleep(below(900)); // somewhere in create, start, or after
        await strike(victim, name);
        await started;
        await truth(name, victim).catch((e: Error) => {
          throw new Error(`round ${round}, ${victim}: ${e.message}`);
        });
        for (const end = Date.now() + HANGS; ; await sleep(200)) {
          const removed = docker.run(['rm', '-f', name]);
          if (removed.status === 0 || removed.stderr.includes('No such container')) break;
          if (Date.now() > end) throw new Error(`round ${round}, ${victim}: ${removed.stderr}`);
        }
      }
      await eventually(() => leftovers().length === 0, 10_000);
      expect(leftovers()).toEqual([]);
    },
    patience(ROUNDS, 20_000),
  );
});
