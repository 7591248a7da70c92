/** The OCI verbs one by one, exec, and what is left when things go wrong. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually, missing, RunscWorld } from './runsc_bundle.ts';

const suite = missing().length === 0 ? describe : describe.skip;

suite('the life of a container', () => {
  let world: RunscWorld;
  beforeAll(() => {
    world = new RunscWorld();
  });
  afterEach(async () => {
    expect(await eventually(() => world.leftovers().length === 0)).toBe(true);
  }, 20_000);
  afterAll(() => world.close());

  const status = (id: string): string => (JSON.parse(world.runsc(['state', id]).stdout) as { status: string }).status;
  /** Created in the background: its stdio must not keep this test's pipes. */
  function create(script: string, more: Partial<Parameters<RunscWorld['bundle']>[0]> = {}): { id: string; out: string; pidFile: string } {
    const id = world.newId();
    const bundle = world.bundle({ args: ['sh', '-c', script], ...more });
    const [out, pidFile] = [join(bundle, 'out'), join(bundle, 'pid')];
    const r = world.runsc(['create', '--bundle', bundle, '--pid-file', pidFile, id], { stdout: out });
    expect(r).toMatchObject({ status: 0, stderr: '' });
    return { id, out, pidFile };
  }

  test('create, state, start, wait, delete', async () => {
    const { id, out, pidFile } = create('echo ran; exit 3');
    expect(JSON.parse(world.runsc(['state', id]).stdout)).toMatchObject({
      id,
      status: 'created',
      ociVersion: '1.0.2',
      pid: Number(readFileSync(pidFile)),
    });
    expect(readFileSync(out, 'utf8')).toBe('');
    expect(world.runsc(['start', id])).toEqual({ status: 0, stdout: '', stderr: '' });
    expect(JSON.parse(world.runsc(['wait', id]).stdout)).toEqual({ id, exitStatus: 3 });
    expect(readFileSync(out, 'utf8')).toBe('ran\n');
    expect(await eventually(() => status(id) === 'stopped')).toBe(true);
    expect(world.runsc(['start', id]).stderr).toContain('cannot start a container in the stopped state');
    expect(world.runsc(['kill', id]).stderr).toContain('container not running');
    expect(world.runsc(['delete', id]).status).toBe(0);
    expect(world.runsc(['state', id]).stderr).toContain('does not exist');
  });

  test('kill, pause, resume; delete wants it stopped or force', async () => {
    const { id } = create('trap "exit 9" TERM; while :; do sleep 0.05; done');
    world.runsc(['start', id]);
    expect(status(id)).toBe('running');
    expect(world.runsc(['delete', id]).stderr).toContain('that is not stopped: running');
    expect(world.runsc(['pause', id]).status).toBe(0);
    expect(status(id)).toBe('paused');
    expect(world.runsc(['pause', id]).status).toBe(1);
    expect(world.runsc(['resume', id]).status).toBe(0);
    expect(world.runsc(['kill', id, 'SIGTERM']).status).toBe(0);
    expect(JSON.parse(world.runsc(['wait', id]).stdout)).toEqual({ id, exitStatus: 9 });
    expect(world.runsc(['delete', '--force', id]).status).toBe(0);
    expect(world.runsc(['delete', '--force', id]).status).toBe(0); // gone is fine
  });

  test('killed before it was started', () => {
    const { id } = create('true');
    expect(world.runsc(['kill', id, 'KILL']).status).toBe(0);
    expect(status(id)).toBe('stopped');
    expect(world.runsc(['delete', id]).status).toBe(0);
  });

  test('exec: output, status, user, environment; in the background with a process that stands for it', async () => {
    const { id } = create('sleep 1000');
    world.runsc(['start', id]);
    expect(world.runsc(['exec', id, 'sh', '-c', 'echo out; echo err >&2; exit 5'])).toEqual({
      status: 5,
      stdout: 'out\n',
      stderr: 'err\n',
    });
    expect(
      world.runsc(['exec', '--user', '7:8', '--env', 'A=b', '--cwd', '/etc', id, 'sh', '-c', 'id -u; id -g; echo $A; pwd']).stdout,
    ).toBe('7\n8\nb\n/etc\n');
    expect(world.runsc(['exec', id, 'cat'], { input: 'through' }).stdout).toBe('through');
    const gone = world.runsc(['exec', id, 'no-such-program']);
    expect(gone.stderr).toContain('exec: "no-such-program": executable file not found in $PATH');
    const pidFile = join(world.folder, 'exec.pid');
    expect(world.runsc(['exec', '--detach', '--pid-file', pidFile, id, 'sleep', '500'], { stdout: `${pidFile}.out` })).toMatchObject({
      status: 0,
      stderr: '',
    });
    const pid = Number(readFileSync(pidFile));
    expect(readFileSync(`/proc/${pid}/comm`, 'utf8')).toBe('runsc-waiter\n');
    expect(world.runsc(['ps', id]).stdout).toMatch(/sleep\n.*sleep\n/);
    process.kill(pid, 'SIGTERM');
    expect(await eventually(() => !existsSync(`/proc/${pid}/exe`) || readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z '))).toBe(
      true,
    );
    expect(await eventually(() => !/sleep\n.*sleep\n/.test(world.runsc(['ps', id]).stdout))).toBe(true);
    world.runsc(['delete', '--force', id]);
  }, 60_000);

  test('list, ps, events, debug', async () => {
    const { id, pidFile } = create('sleep 1000');
    world.runsc(['start', id]);
    expect(JSON.parse(world.runsc(['list', '--format', 'json']).stdout)).toMatchObject([{ id, status: 'running' }]);
    expect(JSON.parse(world.runsc(['ps', '--format', 'json', id]).stdout)).toEqual([Number(readFileSync(pidFile))]);
    expect(JSON.parse(world.runsc(['events', '--stats', id]).stdout)).toMatchObject({ type: 'stats', id });
    // The shell becomes sleep a moment after start.
    expect(await eventually(() => world.runsc(['debug', '--stacks', id]).stdout.includes('sleep'))).toBe(true);
    world.runsc(['delete', '--force', id]);
  });

  test('hooks get the state; a failing one undoes everything', () => {
    const log = join(world.folder, 'hooks');
    const hook = (name: string) => [{ path: '/bin/sh', args: ['sh', '-c', `(echo ${name}; cat; echo) >> ${log}`] }];
    const hooks = {
      prestart: hook('prestart'),
      createRuntime: hook('createRuntime'),
      poststart: hook('poststart'),
      poststop: hook('poststop'),
    };
    const { id } = create('true', { spec: { hooks } });
    world.runsc(['start', id]);
    world.runsc(['wait', id]);
    world.runsc(['delete', '--force', id]);
    const lines = readFileSync(log, 'utf8').trim().split('\n');
    expect(lines.filter((l) => !l.startsWith('{'))).toEqual(['prestart', 'createRuntime', 'poststart', 'poststop']);
    expect(JSON.parse(lines[1] as string)).toMatchObject({ id, status: 'creating', pid: expect.any(Number) });

    const failing = { prestart: [{ path: '/bin/sh', args: ['sh', '-c', 'echo broken >&2; exit 4'] }] };
    const r = world.runsc(['create', '--bundle', world.bundle({ args: ['true'], spec: { hooks: failing } }), world.newId()]);
    expect(r.stderr).toContain('prestart hook /bin/sh: exit status 4: broken');
  });

  test('startContainer hooks run inside, before the program, which is process 1 all the same', () => {
    const hooks = { startContainer: [{ path: '/bin/sh', args: ['sh', '-c', 'cat >/state && echo hook $$'], env: ['A=b'] }] };
    const { id, out } = create('echo program $$; cat /state', { spec: { hooks } });
    expect(world.runsc(['start', id])).toEqual({ status: 0, stdout: '', stderr: '' });
    world.runsc(['wait', id]);
    const [first, second] = readFileSync(out, 'utf8').split('\n');
    expect(first).toBe('program 1');
    expect(JSON.parse(second as string)).toMatchObject({ id, status: 'created' });
    world.runsc(['delete', id]);

    const failing = { startContainer: [{ path: '/bin/sh', args: ['sh', '-c', 'echo broken; exit 4'] }] };
    const broken = create('echo never', { spec: { hooks: failing } });
    const r = world.runsc(['start', broken.id]);
    expect(r.stderr).toContain('startContainer hook /bin/sh: exit status 4: broken');
    expect(status(broken.id)).toBe('stopped');
    expect(readFileSync(broken.out, 'utf8')).toBe('');
    world.runsc(['delete', broken.id]);
  });

  test('what the host does to the sandbox shows', async () => {
    const { id, pidFile } = create('sleep 1000');
    world.runsc(['start', id]);
    process.kill(Number(readFileSync(pidFile)), 'SIGKILL');
    expect(await eventually(() => status(id) === 'stopped')).toBe(true);
    expect(world.runsc(['exec', id, 'true']).stderr).toContain('container not running');
    expect(world.runsc(['delete', id]).status).toBe(0);
  });

  test('errors say which part and why, in the log as well, and leave nothing', () => {
    const log = join(world.folder, 'log.json');
    const attempt = (bundle: string) =>
      world.runsc(['create', '--bundle', bundle, world.newId()], { global: ['--log', log, '--log-format', 'json'] });
    const last = () => JSON.parse(readFileSync(log, 'utf8').trim().split('\n').at(-1) as string) as { level: string; msg: string };

    const cases: [Parameters<RunscWorld['bundle']>[0], string][] = [
      [{ args: ['no-such-program'] }, 'exec: "no-such-program": executable file not found in $PATH'],
      [{ args: ['/etc/nothing'] }, 'exec: "/etc/nothing": stat /etc/nothing: no such file or directory'],
      [{ args: ['/etc'] }, 'exec: "/etc": is a directory'],
      [{ args: ['true'], spec: { root: { path: 'nowhere' } } }, 'root.path: cannot open'],
      [
        { args: ['true'], spec: { mounts: [{ destination: '/m', type: 'bind', source: '/does/not/exist' }] } },
        'mounts[0].source: cannot open /does/not/exist: ENOENT',
      ],
      [{ args: ['true'], spec: { mounts: [{ destination: '/m', type: 'nfs' }] } }, 'mount /m (type nfs'],
      [{ args: ['true'], process: { cwd: 'relative' } }, 'process.cwd: is not an absolute path'],
      [
        { args: ['true'], spec: { linux: { namespaces: [{ type: 'network', path: '/does/not/exist' }] } } },
        'cannot open network namespace /does/not/exist: ENOENT',
      ],
    ];
    for (const [options, message] of cases) {
      const r = attempt(world.bundle(options));
      expect(r.status).toBe(1);
      expect(r.stderr).toContain(message);
      expect(last()).toMatchObject({ level: 'error', msg: expect.stringContaining(message) });
    }
    const empty = join(world.folder, 'empty');
    mkdirSync(empty, { recursive: true });
    writeFileSync(join(empty, 'config.json'), '{');
    expect(attempt(empty).stderr).toContain('config.json');
    expect(world.runsc(['start', 'nobody']).stderr).toContain('does not exist');
  });

  test('a container whose maker was killed before it wrote down what it had started goes by force', () => {
    const { id } = create('sleep 1000');
    const path = join(world.state, id, 'state.json');
    const state = JSON.parse(readFileSync(path, 'utf8')) as object;
    writeFileSync(path, JSON.stringify({ ...state, status: 'creating', sandbox: null, gofer: null, sockets: null }));
    expect(status(id)).toBe('creating');
    expect(world.runsc(['delete', id]).stderr).toContain('creating');
    expect(world.runsc(['delete', '--force', id]).status).toBe(0);
    expect(existsSync(join(world.state, id))).toBe(false);
  });

  test('an id is taken once', () => {
    const { id } = create('sleep 1000');
    const again = world.runsc(['create', '--bundle', world.bundle({ args: ['true'] }), id]);
    expect(again.stderr).toContain(`container with id exists: ${id}`);
    expect(status(id)).toBe('created');
    world.runsc(['delete', '--force', id]);
  });
});
