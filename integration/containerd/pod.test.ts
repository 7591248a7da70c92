/** Containers that share a sandbox, as Kubernetes makes them: annotations name the pod. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { BUSYBOX, Containerd, eventually, missing, processesWith, RUNSC } from './containerd.ts';

const suite = missing().length === 0 ? describe : describe.skip;

suite('pods', () => {
  let containerd: Containerd;
  beforeAll(async () => {
    containerd = await Containerd.start(['busybox.tar']);
  }, 300_000);
  afterAll(async () => {
    await containerd?.stop();
  }, 60_000);

  const run = (id: string, pod: string, type: string, command: readonly string[], flags: readonly string[] = ['-d', '--null-io']) =>
    containerd.ctr([
      ...['run', ...flags, '--runtime', RUNSC],
      ...['--annotation', `io.kubernetes.cri.container-type=${type}`, '--annotation', `io.kubernetes.cri.sandbox-id=${pod}`],
      ...[BUSYBOX, id, ...command],
    ]);
  const status = (id: string): string =>
    containerd
      .ctr(['tasks', 'ls'])
      .stdout.split('\n')
      .find((l) => l.startsWith(`${id} `))
      ?.split(/ +/)[2] ?? 'none';
  const sandboxPid = (id: string): number =>
    JSON.parse(readFileSync(join(containerd.folder, 'state/runsc/default', id, 'state.json'), 'utf8')).sandbox.pid;

  test('one shim and one sandbox for all; each container ends alone', async () => {
    const pod = containerd.newId('pod');
    expect(run(pod, pod, 'sandbox', ['sleep', '100000'])).toMatchObject({ status: 0 });
    const one = containerd.newId();
    const two = containerd.newId();
    expect(run(one, pod, 'container', ['sleep', '100000'])).toMatchObject({ status: 0 });
    expect(run(two, pod, 'container', ['sh', '-c', 'sleep 0.5; exit 3'])).toMatchObject({ status: 0 });
    expect([sandboxPid(one), sandboxPid(two)]).toEqual([sandboxPid(pod), sandboxPid(pod)]);
    expect(processesWith(`-id ${pod}`).length).toBe(1);
    expect(processesWith(`-id ${one}`)).toEqual([]);

    expect(await eventually(() => status(two) === 'STOPPED')).toBe(true);
    expect(status(one)).toBe('RUNNING');
    containerd.remove(two);
    expect(run(containerd.newId(), pod, 'container', ['sh', '-c', 'echo in the pod; exit 0'], ['--rm']).stdout).toBe('in the pod\n');

    containerd.ctr(['tasks', 'kill', '-s', 'SIGKILL', one]);
    expect(await eventually(() => status(one) === 'STOPPED')).toBe(true);
    expect(status(pod)).toBe('RUNNING');
    containerd.remove(one);
    containerd.remove(pod);
    expect(await eventually(() => processesWith(pod).length === 0)).toBe(true);
  }, 90_000);

  test('the containers of a pod have files of their own', async () => {
    const pod = containerd.newId('pod');
    run(pod, pod, 'sandbox', ['sleep', '100000']);
    const first = run(containerd.newId(), pod, 'container', ['sh', '-c', 'echo mine >/x; cat /x'], ['--rm']);
    expect(first.stdout).toBe('mine\n');
    const second = run(containerd.newId(), pod, 'container', ['sh', '-c', 'cat /x'], ['--rm']);
    expect(second.stderr).toContain('No such file');
    containerd.remove(pod);
  }, 60_000);

  test('a container whose pod is not there is an error', () => {
    const id = containerd.newId();
    const r = run(id, 'no-such-pod', 'container', ['true'], ['--rm']);
    expect(r.status).not.toBe(0);
    expect(r.stderr).toContain('no-such-pod');
    containerd.remove(id);
  }, 30_000);
});
