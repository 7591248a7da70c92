import { mkdtempSync, rmSync } from 'node:fs';
import { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { host } from '../../lib/host.ts';
import { TtrpcClient } from '../../lib/ttrpc/client.ts';
import { NOT_FOUND, StatusError } from '../../lib/ttrpc/status.ts';
import { unixConnect, unixListen } from '../../lib/unix_socket.ts';
import { HostPoll } from '../../platforms/host_poll.ts';
import { CONTROL, CONTROL_SERVICE, ExecRequest, ProcessId, ProcessRequest, WaitResponse } from '../../proto/control.ts';
import { type ControlMethods, ControlServer, Later } from './server.ts';

function start(methods: Partial<ControlMethods>, uid = process.getuid?.() ?? 0) {
  const dir = mkdtempSync(join(tmpdir(), 'control-'));
  const poll = new HostPoll(host);
  const listener = unixListen(join(dir, 'control.sock'));
  const server = new ControlServer({ host, poll, listener, methods: methods as ControlMethods, uid, log: () => {} });
  server.start();
  const client = new TtrpcClient(new Socket({ fd: unixConnect(join(dir, 'control.sock')) }));
  /** The kernel's loop and Node's take turns until the promise settles. */
  async function run<T>(promise: Promise<T>): Promise<T> {
    let settled = false;
    promise.then(
      () => (settled = true),
      () => (settled = true),
    );
    for (let i = 0; i < 1000 && !settled; i++) {
      poll.wait(0);
      await turn();
    }
    return promise;
  }
  const stop = (): void => {
    client.close();
    host.close(listener);
    host.close(poll.fd);
    rmSync(dir, { recursive: true });
  };
  return { client, run, stop };
}

test('a request with descriptors is answered, and what is not kept is closed', async () => {
  const pipe = host.pipe(0o2000000) as [number, number];
  const { client, run, stop } = start({
    Exec: (request, fds) => {
      expect(request).toMatchObject({ container_id: 'c', stdout_fd: 1, process: Buffer.from('{}') });
      expect(fds).toHaveLength(2);
      host.write(fds[0] as number, Buffer.from('hello'));
      return { pid: 7 };
    },
  });
  const request = ExecRequest.encode({ container_id: 'c', process: Buffer.from('{}'), stdout_fd: 1 });
  const answer = await run(client.call(CONTROL_SERVICE, 'Exec', request, { fds: [pipe[1], pipe[1]] }));
  expect(ProcessId.decode(answer).pid).toBe(7);
  host.close(pipe[1]);
  const read = new Uint8Array(16);
  expect(host.read(pipe[0], read)).toBe(5);
  expect(host.read(pipe[0], read)).toBe(0); // nobody holds the other end
  host.close(pipe[0]);
  stop();
});

test('a Wait stays open while other calls pass it', async () => {
  let finish: (value: { exit_code: number; exited_at: number }) => void = () => {};
  const { client, run, stop } = start({
    Wait: () => new Later<'Wait'>((answer) => (finish = answer)),
    Start: () => ({ pid: 1 }),
  });
  const waiting = client.call(CONTROL_SERVICE, 'Wait', ProcessRequest.encode({ container_id: 'c' }));
  await run(client.call(CONTROL_SERVICE, 'Start', CONTROL.Start.request.encode({ container_id: 'c' })));
  finish({ exit_code: 3, exited_at: 5 });
  expect(WaitResponse.decode(await run(waiting))).toEqual({ exit_code: 3, exited_at: 5 });
  stop();
});

test('failures carry their code; unknown methods and broken messages are refused', async () => {
  const { client, run, stop } = start({
    Start: () => {
      throw new StatusError(NOT_FOUND, 'no such container');
    },
  });
  const call = (method: string, payload: Uint8Array) =>
    run(client.call(CONTROL_SERVICE, method, payload).catch((e: StatusError) => e.message));
  expect(await call('Start', new Uint8Array(0))).toBe('no such container: not found');
  expect(await call('toString', new Uint8Array(0))).toMatch('not implemented');
  expect(await call('Start', Uint8Array.of(0x0a, 0x7f))).toMatch('field ends early');
  stop();
});

test('other users are refused', async () => {
  const { client, run, stop } = start({ Start: () => ({ pid: 1 }) }, 12345);
  await expect(run(client.call(CONTROL_SERVICE, 'Start', new Uint8Array(0)))).rejects.toThrow('unavailable');
  stop();
});
