/** The Task API under other containerds: a short form of the suites that this machine's own containerd goes through. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BUSYBOX, Containerd, eventually, missing, processesWith, RUNSC, sleep } from './containerd.ts';
import { contractTests } from './contract_suite.ts';
import { isInstalled, majorOf, OTHER_VERSIONS, type Version } from './versions.ts';

interface Case {
  readonly version: Version;
  /** How the shim announces itself. */
  readonly options: string;
  readonly service: string;
}

// containerd 2.1 takes a connection by gRPC for lost before it has used it, with any shim: not to be tested there.
const CASES: readonly Case[] = OTHER_VERSIONS.flatMap((version) => [
  { version, options: '', service: 'containerd.task.v2.Task over ttrpc' },
  majorOf(version) < 2
    ? { version, options: 'protocol = "grpc"\n', service: 'containerd.task.v3.Task over gRPC' }
    : { version, options: 'task_api = 3\n', service: 'containerd.task.v3.Task over ttrpc' },
]);

for (const { version, options, service } of CASES) {
  const suite = missing().length === 0 && isInstalled(version) ? describe : describe.skip;
  suite(`containerd ${version}, ${service}`, () => {
    let containerd: Containerd;
    beforeAll(async () => {
      containerd = await Containerd.start(['busybox.tar'], { version });
      writeFileSync(join(containerd.folder, 'runsc.toml'), options);
    }, 120_000);
    afterAll(async () => {
      await containerd?.stop();
    }, 60_000);

    const words = (flags: readonly string[], id: string, command: readonly string[]): string[] => {
      const settings = ['--runtime', RUNSC, '--runtime-config-path', join(containerd.folder, 'runsc.toml')];
      return ['run', ...settings, ...flags, BUSYBOX, id, ...command];
    };
    const run = (flags: readonly string[], id: string, command: readonly string[]) => containerd.ctr(words(flags, id, command));
    const status = (id: string): string =>
      containerd
        .ctr(['tasks', 'ls'])
        .stdout.split('\n')
        .find((l) => l.startsWith(`${id} `))
        ?.split(/ +/)[2] ?? 'none';

    test('run: output, exit status, input', async () => {
      expect(run(['--rm'], containerd.newId(), ['sh', '-c', 'echo out; echo err >&2; exit 7'])).toEqual({
        status: 7,
        stdout: 'out\n',
        stderr: 'err\n',
      });
      const { child, result } = containerd.ctrAsync(words(['--rm'], containerd.newId(), ['sh', '-c', 'echo ready; cat']));
      // ctr closes the input only if its end comes after the task has been made.
      child.stdout?.once('data', () => child.stdin?.end('through stdin'));
      expect((await result).stdout).toBe('ready\nthrough stdin');
    }, 60_000);

    test('exec, metrics, pause, kill, removal', async () => {
      const id = containerd.newId();
      expect(run(['-d', '--null-io'], id, ['sleep', '1000'])).toMatchObject({ status: 0 });
      expect(containerd.ctr(['tasks', 'exec', '--exec-id', 'e', id, 'sh', '-c', 'echo $((6 * 7)); exit 3'])).toMatchObject({
        status: 3,
        stdout: '42\n',
      });
      expect(containerd.ctr(['tasks', 'metrics', id]).stdout).toMatch(/memory\.usage(_in_bytes)?\s+[1-9]/);
      expect(containerd.ctr(['tasks', 'pause', id]).status).toBe(0);
      expect(status(id)).toBe('PAUSED');
      expect(containerd.ctr(['tasks', 'resume', id]).status).toBe(0);
      expect(containerd.ctr(['tasks', 'kill', '-s', 'SIGTERM', id]).status).toBe(0);
      containerd.ctr(['tasks', 'kill', '-s', 'SIGKILL', id]);
      expect(await eventually(() => status(id) === 'STOPPED')).toBe(true);
      containerd.remove(id);
      expect(status(id)).toBe('none');
    }, 60_000);

    if (options === '') contractTests({ containerd: () => containerd, words, status });

    test('events come in order', async () => {
      const { child, result } = containerd.ctrAsync(['events']);
      const seen: string[] = [];
      child.stdout?.on('data', (chunk: Buffer) => seen.push(chunk.toString()));
      const id = containerd.newId();
      // ctr says nothing when it listens: events of a marker container tell.
      for (let i = 0; seen.length === 0 && i < 10; i++, await sleep(20)) run(['--rm'], containerd.newId('m'), ['true']);
      run(['--rm'], id, ['true']);
      await eventually(() => seen.join('').includes(`/tasks/delete {"container_id":"${id}"`));
      child.kill('SIGTERM');
      const topics = (await result).stdout
        .split('\n')
        .filter((l) => l.includes(id))
        .map((l) => /\/tasks\/[\w-]+/.exec(l)?.[0])
        .filter(Boolean);
      expect(topics).toEqual(['/tasks/create', '/tasks/start', '/tasks/exit', '/tasks/delete']);
    }, 60_000);

    test('a restarted containerd finds its tasks', async () => {
      const stays = containerd.newId();
      run(['-d', '--null-io'], stays, ['sleep', '1000']);
      await containerd.halt('SIGKILL');
      await containerd.launch();
      expect(await eventually(() => status(stays) === 'RUNNING')).toBe(true);
      expect(containerd.ctr(['tasks', 'exec', '--exec-id', 'e', stays, 'echo', 'still here']).stdout).toBe('still here\n');
      containerd.ctr(['tasks', 'kill', '-s', 'SIGKILL', stays]);
      expect(await eventually(() => status(stays) === 'STOPPED')).toBe(true);
      containerd.remove(stays);
    }, 60_000);

    test('no shim and no mount is left', async () => {
      const leftovers = (): string[] => [
        ...processesWith(`-address ${containerd.address}`).map((p) => `shim ${p}`),
        ...readFileSync('/proc/mounts', 'utf8')
          .split('\n')
          .filter((l) => l.includes(`${containerd.folder}/state`)),
      ];
      await eventually(() => leftovers().length === 0, 5000);
      expect(leftovers()).toEqual([]);
    }, 30_000);
  });
}
