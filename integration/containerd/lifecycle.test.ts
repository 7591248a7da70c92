/** What people do with a task besides running it: exec, kill, pause, look, and restart containerd in between. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { BUSYBOX, Containerd, DEBIAN, eventually, missing, processesInCgroup, processesWith, RUNSC, sleep } from './containerd.ts';
import { contractTests } from './contract_suite.ts';

const suite = missing().length === 0 ? describe : describe.skip;

suite('the life of a task', () => {
  let containerd: Containerd;
  beforeAll(async () => {
    containerd = await Containerd.start();
  }, 300_000);
  afterAll(async () => {
    await containerd?.stop();
  }, 60_000);

  /** A detached container; null IO unless the test needs output. */
  function detached(command: readonly string[], flags: readonly string[] = ['--null-io'], image = BUSYBOX): string {
    const id = containerd.newId();
    const r = containerd.ctr(['run', '-d', '--runtime', RUNSC, ...flags, image, id, ...command]);
    expect(r).toMatchObject({ status: 0, stderr: '' });
    return id;
  }
  const status = (id: string): string =>
    containerd
      .ctr(['tasks', 'ls'])
      .stdout.split('\n')
      .find((l) => l.startsWith(`${id} `))
      ?.split(/ +/)[2] ?? 'none';
  const exec = (id: string, command: readonly string[], options: { flags?: string[]; input?: string } = {}) =>
    containerd.ctr(['tasks', 'exec', '--exec-id', containerd.newId('e'), ...(options.flags ?? []), id, ...command], {
      timeoutMs: 20_000,
      ...(options.input === undefined ? {} : { input: options.input }),
    });
  /** What ctr says of a task that it removes. */
  const exitStatusAtRemoval = (id: string, flags: readonly string[] = []): number =>
    Number(/non-zero exit code (\d+)/.exec(containerd.ctr(['tasks', 'rm', ...flags, id]).stderr)?.[1]);
  const remove = (id: string): void => containerd.remove(id);

  test('exec: output, status, user, working directory, environment of the container', () => {
    const id = detached(['sleep', '1000']);
    expect(exec(id, ['sh', '-c', 'echo out; echo err >&2; exit 5'])).toEqual({ status: 5, stdout: 'out\n', stderr: 'err\n' });
    expect(exec(id, ['sh', '-c', 'pwd; id -u'], { flags: ['--cwd', '/etc', '--user', '1000'] }).stdout).toBe('/etc\n1000\n');
    expect(exec(id, ['cat'], { input: 'through stdin' }).stdout).toBe('through stdin');
    expect(exec(id, ['sh', '-c', 'ps | grep -c "sleep 1000"; kill -9 $$']).stdout.trim()).not.toBe('0');
    expect(exec(id, ['sh', '-c', 'kill -9 $$']).status).toBe(137);
    const gone = exec(id, ['no-such-program']);
    expect(gone.status).not.toBe(0);
    expect(gone.stderr).toContain('no-such-program');
    expect(status(id)).toBe('RUNNING');
    remove(id);
  }, 60_000);

  test('kill ends the task with the status of the signal; the second time there is nothing to kill', async () => {
    const id = detached(['sh', '-c', 'trap "exit 9" TERM; while :; do sleep 0.05; done']);
    await sleep(300);
    expect(containerd.ctr(['tasks', 'kill', '-s', 'SIGTERM', id]).status).toBe(0);
    expect(await eventually(() => status(id) === 'STOPPED')).toBe(true);
    expect(containerd.ctr(['tasks', 'kill', '-s', 'SIGKILL', id]).stderr).toContain('not found');
    expect(exitStatusAtRemoval(id)).toBe(9);
    expect(containerd.ctr(['tasks', 'rm', id]).stderr).toContain('not found');
    remove(id);
  }, 60_000);

  test('ls and ps show the task; metrics have numbers', () => {
    const id = detached(['sleep', '1000']);
    expect(status(id)).toBe('RUNNING');
    const pid = containerd
      .ctr(['tasks', 'ls'])
      .stdout.split('\n')
      .find((l) => l.startsWith(id))
      ?.split(/ +/)[1] as string;
    expect(readFileSync(`/proc/${pid}/comm`, 'utf8')).not.toBe('');
    expect(containerd.ctr(['tasks', 'ps', id]).stdout).toContain(pid);
    const metrics = containerd.ctr(['tasks', 'metrics', id]);
    expect(metrics.stderr).toBe('');
    expect(metrics.stdout).toMatch(/memory\.usage_in_bytes\s+[1-9]|memory\.usage\s+[1-9]/);
    remove(id);
  }, 60_000);

  contractTests({
    containerd: () => containerd,
    words: (flags, id, command) => ['run', '--runtime', RUNSC, ...flags, BUSYBOX, id, ...command],
    status,
  });

  test('a running task cannot be removed', () => {
    const id = detached(['sleep', '1000']);
    expect(containerd.ctr(['tasks', 'rm', id]).status).not.toBe(0);
    expect(status(id)).toBe('RUNNING');
    expect(exitStatusAtRemoval(id, ['-f'])).toBe(137);
    expect(status(id)).toBe('none');
    remove(id);
  }, 60_000);

  test('pause stops the program, resume lets it go on', async () => {
    const id = detached(['sh', '-c', 'i=0; while :; do i=$((i+1)); echo $i >/tmp/n; sleep 0.01; done']);
    await sleep(200);
    expect(containerd.ctr(['tasks', 'pause', id]).status).toBe(0);
    expect(status(id)).toBe('PAUSED');
    expect(containerd.ctr(['tasks', 'resume', id]).status).toBe(0);
    expect(status(id)).toBe('RUNNING');
    const first = Number(exec(id, ['cat', '/tmp/n']).stdout);
    await sleep(200);
    expect(Number(exec(id, ['cat', '/tmp/n']).stdout)).toBeGreaterThan(first);
    containerd.ctr(['tasks', 'pause', id]);
    expect(containerd.ctr(['tasks', 'kill', '-s', 'SIGKILL', id]).status).toBe(0);
    containerd.ctr(['tasks', 'resume', id]);
    expect(await eventually(() => status(id) === 'STOPPED')).toBe(true);
    remove(id);
  }, 60_000);

  test('a restarted containerd finds its tasks, also one that ended meanwhile', async () => {
    const stays = detached(['sleep', '1000']);
    const ends = detached(['sh', '-c', 'sleep 1; exit 6']);
    await containerd.halt('SIGKILL');
    await sleep(1500);
    await containerd.launch();
    expect(await eventually(() => status(stays) === 'RUNNING' && status(ends) === 'STOPPED')).toBe(true);
    expect(exec(stays, ['echo', 'still here']).stdout).toBe('still here\n');
    expect(exitStatusAtRemoval(ends)).toBe(6);
    containerd.ctr(['tasks', 'kill', '-s', 'SIGKILL', stays]);
    expect(await eventually(() => status(stays) === 'STOPPED')).toBe(true);
    remove(stays);
    remove(ends);
  }, 60_000);

  test('events come in order', async () => {
    const { child, result } = containerd.ctrAsync(['events']);
    await sleep(500);
    const id = containerd.newId();
    containerd.ctr(['run', '--rm', '--runtime', RUNSC, BUSYBOX, id, 'true']);
    await sleep(500);
    child.kill('SIGTERM');
    const topics = (await result).stdout
      .split('\n')
      .filter((l) => l.includes(id))
      .map((l) => /\/tasks\/\w+/.exec(l)?.[0])
      .filter(Boolean);
    expect(topics).toEqual(['/tasks/create', '/tasks/start', '/tasks/exit', '/tasks/delete']);
  }, 60_000);

  test('memory runs out: that is told before the end', async () => {
    const { child, result } = containerd.ctrAsync(['events']);
    const seen: string[] = [];
    child.stdout?.on('data', (chunk: Buffer) => seen.push(chunk.toString()));
    const id = containerd.newId();
    await sleep(500);
    const script = 'head -c 400000000 /dev/zero | tail';
    const r = containerd.ctr(['run', '--rm', '--runtime', RUNSC, '--memory-limit', String(128 << 20), BUSYBOX, id, 'sh', '-c', script]);
    expect(r.status).not.toBe(0);
    expect(await eventually(() => seen.join('').includes(`/tasks/delete {"container_id":"${id}"`))).toBe(true);
    child.kill('SIGTERM');
    const topics = (await result).stdout
      .split('\n')
      .filter((l) => l.includes(id))
      .map((l) => /\/tasks\/\w+/.exec(l)?.[0]);
    expect(topics).toContain('/tasks/oom');
    expect(topics.indexOf('/tasks/oom')).toBeLessThan(topics.indexOf('/tasks/exit'));
  }, 60_000);

  test('output goes to a file', async () => {
    const id = containerd.newId();
    const log = `${containerd.folder}/out.log`;
    const command = ['sh', '-c', 'echo one; echo two >&2; sleep 0.1; echo three'];
    containerd.ctr(['run', '-d', '--runtime', RUNSC, '--log-uri', `file://${log}`, BUSYBOX, id, ...command]);
    expect(await eventually(() => status(id) === 'STOPPED')).toBe(true);
    expect(readFileSync(log, 'utf8').split('\n').sort().join(' ').trim()).toBe('one three two');
    remove(id);
  }, 60_000);

  test('options: log files of the shim and of the sandbox, system calls in it', () => {
    const logs = `${containerd.folder}/logs`;
    mkdirSync(logs);
    const options = `${containerd.folder}/runsc.toml`;
    writeFileSync(
      options,
      `log_level = "debug"\nlog_path = "${logs}/%NAMESPACE%.%ID%.log"\n[runsc_config]\ndebug = true\nstrace = true\ndebug-log = "${logs}"\n`,
    );
    const id = containerd.newId();
    const r = containerd.ctr(['run', '--rm', '--runtime', RUNSC, '--runtime-config-path', options, BUSYBOX, id, 'echo', 'traced']);
    expect(r).toEqual({ status: 0, stdout: 'traced\n', stderr: '' });
    expect(readFileSync(`${logs}/default.${id}.log`, 'utf8')).toContain('/tasks/start');
    expect(readFileSync(`${logs}/${id}.sentry.log`, 'utf8')).toMatch(/write\(1, "traced\\n", 7\)/);
  }, 30_000);

  test('ten tasks at once', async () => {
    const runs = Array.from({ length: 10 }, (_, i) =>
      containerd.ctrAsync(['run', '--rm', '--runtime', RUNSC, BUSYBOX, containerd.newId(), 'sh', '-c', `sleep 0.2; echo ${i}; exit ${i}`]),
    );
    const results = await Promise.all(runs.map((r) => r.result));
    expect(results.map((r) => [r.status, r.stdout])).toEqual(results.map((_r, i) => [i, `${i}\n`]));
  }, 90_000);

  test('a program that is missing, or none, is an error that names it, and leaves nothing', async () => {
    for (const [argv, words] of [
      [['/no/such/program'], '/no/such/program'],
      [['/etc/passwd'], 'permission denied'],
      [['/suite/hello.c'], 'exec format error|permission denied|not executable'],
    ] as const) {
      const r = containerd.run(RUNSC, DEBIAN, argv);
      expect(r.status).not.toBe(0);
      expect(r.stderr.toLowerCase()).toMatch(new RegExp(words));
    }
    expect(containerd.ctr(['tasks', 'ls', '-q']).stdout).toBe('');
  }, 90_000);

  test('nothing is left: no process, no mount, no socket, no cgroup', async () => {
    const leftovers = (): string[] => [
      ...processesWith(`-address ${containerd.address}`).map((p) => `shim ${p}`),
      ...processesInCgroup(`/default/t${process.pid}-`).map((p) => `sandbox ${p}`),
      ...readFileSync('/proc/mounts', 'utf8')
        .split('\n')
        .filter((l) => l.includes(`${containerd.folder}/state`)),
      ...list(`${containerd.folder}/state/runsc/default`),
      ...list('/sys/fs/cgroup/memory/default').filter((n) => n.startsWith(`t${process.pid}-`)),
    ];
    await eventually(() => leftovers().length === 0, 5000);
    expect(leftovers()).toEqual([]);
  }, 30_000);
});

function list(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
