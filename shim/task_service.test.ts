import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ALREADY_EXISTS, FAILED_PRECONDITION, INVALID_ARGUMENT, NOT_FOUND, UNIMPLEMENTED } from '../lib/ttrpc/status.ts';
import { Events, Metrics, Task } from '../proto/messages.ts';
import { RuntimeError } from '../runsc/container/types.ts';
import { eventSink } from './event_sink.ts';
import { Log } from './log.ts';
import { NO_RECORDS } from './record.ts';
import { TaskService } from './task_service.ts';
import { type FakeContainer, FakeContainers } from './testing/fake_containers.ts';

const DECODERS: Record<string, { decode(b: Uint8Array): object }> = Events;
const folders: string[] = [];
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

function setUp() {
  const folder = mkdtempSync(join(tmpdir(), 'shim-'));
  folders.push(folder);
  const library = new FakeContainers();
  const events: string[] = [];
  const occupied: boolean[] = [];
  let shutdowns = 0;
  const publish = (topic: string, event: { type_url: string; value: Uint8Array }): void => {
    const e = (DECODERS[event.type_url.replace('containerd.events.', '')] as (typeof DECODERS)[string]).decode(event.value);
    const { container_id, exec_id, id, exit_status } = e as Record<string, unknown>;
    events.push(
      [topic.replace('/tasks/', ''), container_id, exec_id ?? (id === container_id ? undefined : id), exit_status]
        .filter((x) => x)
        .join(' '),
    );
  };
  const service = new TaskService({
    namespace: 'test',
    events: eventSink({ publish }),
    log: new Log(null, 'error', {}),
    records: NO_RECORDS,
    containers: () => library,
    configure: async () => {},
    occupied: (some) => occupied.push(some),
    shutdown: () => shutdowns++,
  });
  const methods = service.service();
  const call = async (name: string, request: object, coder: { encode(m: never): { finish(): Uint8Array } } = Task.ProcessRequest) => {
    const bytes = coder.encode(request as never).finish();
    return (methods[name] as (p: Uint8Array, c: never) => Promise<Uint8Array>)(bytes, undefined as never);
  };
  const create = async (id: string): Promise<FakeContainer> => {
    const bundle = join(folder, 'io.containerd.runtime.v2.task/test', id);
    mkdirSync(bundle, { recursive: true });
    await call('Create', { id, bundle }, Task.CreateTaskRequest);
    return library.made.get(id) as FakeContainer;
  };
  const state = async (id: string, exec_id = '') => Task.StateResponse.decode(await call('State', { id, exec_id }));
  return { folder, library, events, occupied, call, create, state, shutdowns: () => shutdowns };
}

const execRequest = (id: string, exec_id: string, args: string[]) => ({
  id,
  exec_id,
  spec: {
    type_url: 'types.containerd.io/opencontainers/runtime-spec/1/Process',
    value: Buffer.from(JSON.stringify({ args, cwd: '/', user: { uid: 0, gid: 0 } })),
  },
});

test('a container from create to delete', async () => {
  const { folder, call, create, state, events, occupied } = setUp();
  const fake = await create('c');
  expect(await state('c')).toMatchObject({ status: Task.Status.CREATED, pid: 1000 });
  expect(Task.StartResponse.decode(await call('Start', { id: 'c' })).pid).toBe(1000);
  expect((await state('c')).status).toBe(Task.Status.RUNNING);
  const waiting = call('Wait', { id: 'c' });
  await expect(call('Delete', { id: 'c' })).rejects.toMatchObject({ code: FAILED_PRECONDITION });
  fake.init.exit(3);
  expect(Task.WaitResponse.decode(await waiting)).toMatchObject({ exit_status: 3, exited_at: { seconds: 1 } });
  expect(await state('c')).toMatchObject({ status: Task.Status.STOPPED, exit_status: 3 });
  await expect(call('Kill', { id: 'c', signal: 9 }, Task.KillRequest)).rejects.toMatchObject({ code: NOT_FOUND });
  const deleted = Task.DeleteResponse.decode(await call('Delete', { id: 'c' }));
  expect(deleted).toMatchObject({ pid: 1000, exit_status: 3 });
  await expect(call('Wait', { id: 'c' })).rejects.toMatchObject({ code: NOT_FOUND });
  expect(events).toEqual(['create c', 'start c', 'exit c 3', 'delete c 3']);
  expect(occupied).toEqual([true, false]);
  const exit = JSON.parse(readFileSync(join(folder, 'io.containerd.runtime.v2.task/test/c/exit.json'), 'utf8'));
  expect(exit).toEqual({ pid: 1000, exitCode: 3, exitedAt: 1000 });
});

test('execs: recorded, started, and told before the exit of their container', async () => {
  const { call, create, state, events } = setUp();
  const fake = await create('c');
  await call('Start', { id: 'c' });
  await call('Exec', execRequest('c', 'e', ['true', '1']), Task.ExecProcessRequest);
  await expect(call('Exec', execRequest('c', 'e', ['x']), Task.ExecProcessRequest)).rejects.toMatchObject({ code: ALREADY_EXISTS });
  expect(await state('c', 'e')).toMatchObject({ status: Task.Status.CREATED, pid: 0 });
  await call('Start', { id: 'c', exec_id: 'e' });
  expect(fake.calls).toContain('exec e true 1');
  await call('Exec', execRequest('c', 'never', ['x']), Task.ExecProcessRequest);
  await call('Kill', { id: 'c', exec_id: 'e', signal: 15 }, Task.KillRequest);
  expect(fake.calls).toContain('kill 15 e');
  fake.execs.get('e')?.exit(0);
  await call('Wait', { id: 'c', exec_id: 'e' });
  await call('Delete', { id: 'c', exec_id: 'e' });
  await expect(state('c', 'e')).rejects.toMatchObject({ code: NOT_FOUND });
  await call('Exec', execRequest('c', 'f', ['sleep']), Task.ExecProcessRequest);
  await call('Start', { id: 'c', exec_id: 'f' });
  fake.execs.get('f')?.exit(137);
  fake.init.exit(0);
  await call('Wait', { id: 'c' });
  expect(events).toEqual([
    'create c',
    'start c',
    'exec-added c e',
    'exec-started c e',
    'exec-added c never',
    'exit c e',
    'exec-added c f',
    'exec-started c f',
    'exit c f 137',
    'exit c',
  ]);
});

test('an exec that cannot start has ended, and says why', async () => {
  const { call, create, state } = setUp();
  await create('c');
  await call('Exec', execRequest('c', 'e', ['missing']), Task.ExecProcessRequest);
  await expect(call('Start', { id: 'c', exec_id: 'e' })).rejects.toMatchObject({ code: FAILED_PRECONDITION }); // not running yet
  await call('Start', { id: 'c' });
  await expect(call('Start', { id: 'c', exec_id: 'e' })).rejects.toMatchObject({
    code: INVALID_ARGUMENT,
    message: expect.stringContaining('no such file or directory'),
  });
  expect((await state('c', 'e')).status).toBe(Task.Status.STOPPED);
  await call('Delete', { id: 'c', exec_id: 'e' });
});

test('deleting a created container kills it', async () => {
  const { call, create, events } = setUp();
  const fake = await create('c');
  const waiting = call('Wait', { id: 'c' });
  expect(Task.DeleteResponse.decode(await call('Delete', { id: 'c' })).exit_status).toBe(137);
  expect(Task.WaitResponse.decode(await waiting).exit_status).toBe(137);
  expect(fake.calls).toEqual(['delete']);
  expect(events).toEqual(['create c', 'exit c 137', 'delete c 137']);
});

test('the exit of a short program comes after its start', async () => {
  const { call, create, events } = setUp();
  const fake = await create('c');
  fake.init.exit(0); // before start has returned
  const [, exit] = await Promise.all([call('Start', { id: 'c' }), call('Wait', { id: 'c' })]);
  expect(Task.WaitResponse.decode(exit).exit_status).toBe(0);
  expect(events).toEqual(['create c', 'start c', 'exit c']);
});

test('out of memory is told before the exit that it causes', async () => {
  const { call, create, events } = setUp();
  const fake = await create('c');
  await call('Start', { id: 'c' });
  fake.onOom();
  fake.init.exit(137);
  await call('Wait', { id: 'c' });
  expect(events).toEqual(['create c', 'start c', 'oom c', 'exit c 137']);
});

test('a failed create leaves the service as it was', async () => {
  const { folder, library, call, create, events, occupied } = setUp();
  library.createError = new RuntimeError('Invalid', 'config.json: process.cwd must be absolute');
  const bundle = join(folder, 'io.containerd.runtime.v2.task/test', 'c');
  mkdirSync(bundle, { recursive: true });
  const request = { id: 'c', bundle };
  await expect(call('Create', request, Task.CreateTaskRequest)).rejects.toMatchObject({
    code: INVALID_ARGUMENT,
    message: 'config.json: process.cwd must be absolute: invalid argument',
  });
  await expect(call('Delete', { id: 'c' })).rejects.toMatchObject({ code: NOT_FOUND });
  await expect(call('Create', { id: '../x', bundle }, Task.CreateTaskRequest)).rejects.toMatchObject({ code: INVALID_ARGUMENT });
  const missing = { ...request, stdout: join(folder, 'none') };
  library.createError = null;
  await expect(call('Create', missing, Task.CreateTaskRequest)).rejects.toMatchObject({ message: expect.stringContaining('ENOENT') });
  expect(events).toEqual([]);
  expect(occupied.at(-1)).toBe(false);
  await create('c');
  await expect(call('Create', request, Task.CreateTaskRequest)).rejects.toMatchObject({ code: ALREADY_EXISTS });
});

test('pause, resize, pids, stats, update, connect, shutdown', async () => {
  const { call, create, state, events, shutdowns } = setUp();
  const fake = await create('c');
  await call('ResizePty', { id: 'c', width: 80, height: 24 }, Task.ResizePtyRequest);
  await call('Start', { id: 'c' });
  await call('Pause', { id: 'c' });
  expect((await state('c')).status).toBe(Task.Status.PAUSED);
  await call('Exec', execRequest('c', 'e', ['true']), Task.ExecProcessRequest);
  await expect(call('Start', { id: 'c', exec_id: 'e' })).rejects.toMatchObject({ code: FAILED_PRECONDITION });
  await call('Resume', { id: 'c' });
  expect((await state('c')).status).toBe(Task.Status.RUNNING);
  expect(fake.calls).toEqual(['resize 24x80 ', 'start']);
  expect(events.slice(2)).toEqual(['paused c', 'exec-added c e', 'resumed c']);

  expect(Task.PidsResponse.decode(await call('Pids', { id: 'c' })).processes.map((p) => p.pid)).toEqual([1000, 1001]);
  const stats = Task.StatsResponse.decode(await call('Stats', { id: 'c' })).stats;
  expect(stats?.type_url).toBe('io.containerd.cgroups.v1.Metrics');
  expect(Metrics.MetricsV1.decode(stats?.value as Uint8Array).cpu?.usage).toMatchObject({ total: 3, kernel: 2, user: 1 });
  const resources = {
    type_url: 'types.containerd.io/opencontainers/runtime-spec/1/LinuxResources',
    value: Buffer.from('{"pids":{"limit":5}}'),
  };
  await call('Update', { id: 'c', resources }, Task.UpdateTaskRequest);
  expect(fake.calls.at(-1)).toBe('update {"pids":{"limit":5}}');

  expect(Task.ConnectResponse.decode(await call('Connect', { id: 'c' }))).toMatchObject({ shim_pid: process.pid, task_pid: 1000 });
  expect(Task.ConnectResponse.decode(await call('Connect', { id: 'other' })).task_pid).toBe(0);
  await expect(call('Checkpoint', { id: 'c' }, Task.CheckpointTaskRequest)).rejects.toMatchObject({ code: UNIMPLEMENTED });

  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  await call('Shutdown', { id: 'c' }, Task.ShutdownRequest);
  await turn();
  expect(shutdowns()).toBe(0);
  await call('Kill', { id: 'c', signal: 9, all: true }, Task.KillRequest);
  await call('Wait', { id: 'c' });
  await call('ResizePty', { id: 'c', width: 1, height: 1 }, Task.ResizePtyRequest);
  await call('Delete', { id: 'c' });
  await call('Shutdown', { id: 'c' }, Task.ShutdownRequest);
  await turn();
  expect(shutdowns()).toBe(1);
});
