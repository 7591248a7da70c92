/** Sockets and fifos on volumes: the sandbox's own, or shared with the host by --host-uds and --host-fifo. */
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually, missing, RUNSC } from './runsc_bundle.ts';

const suite = missing().length === 0 ? describe : describe.skip;

suite('sockets and fifos of a volume', () => {
  const folder = mkdtempSync(join(tmpdir(), 'host-objects-'));
  const at = (name: string): string => join(folder, name);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  function start(flags: readonly string[], python: string) {
    const child = spawn(RUNSC, [...flags, 'do', '-v', `${folder}:/v`, '--', 'python3', '-c', python], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const out = { stdout: '', stderr: '' };
    child.stdout.on('data', (data) => (out.stdout += data));
    child.stderr.on('data', (data) => (out.stderr += data));
    const ended = new Promise<{ status: number | null; stdout: string; stderr: string }>((done) =>
      child.on('close', (status) => done({ status, ...out })),
    );
    return { ended, out };
  }
  const CONNECT = `
import socket
s = socket.socket(socket.AF_UNIX)
s.connect('/v/server')
s.sendall(b'x' * 300000)
s.shutdown(socket.SHUT_WR)
got = 0
while True:
    d = s.recv(65536)
    if not d: break
    got += len(d)
print(got)`;

  test('open: a server of the host answers; none: it does not exist', async () => {
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      let got = 0;
      socket.on('data', (data) => (got += data.length));
      socket.on('end', () => socket.end(Buffer.alloc(got * 2)));
    }).listen(at('server'));
    try {
      expect(await start(['--host-uds=open'], CONNECT).ended).toEqual({ status: 0, stdout: '600000\n', stderr: '' });
      expect(await start(['--host-uds=create'], CONNECT).ended).toMatchObject({
        status: 1,
        stderr: expect.stringContaining('ConnectionRefusedError'),
      });
      expect(await start([], CONNECT).ended).toMatchObject({ status: 1, stderr: expect.stringContaining('ConnectionRefusedError') });
    } finally {
      await new Promise((done) => server.close(done));
    }
  }, 60_000);

  test('create: the host connects to a server of the container', async () => {
    const serve = `
import socket
s = socket.socket(socket.AF_UNIX)
s.bind('/v/inside')
s.listen(4)
print('up', flush=True)
for i in range(3):
    c, _ = s.accept()
    d = c.recv(100)
    c.sendall(d.upper())
    c.close()`;
    const run = start(['--host-uds=create'], serve);
    expect(await eventually(() => run.out.stdout === 'up\n', 20_000)).toBe(true);
    const answers = await Promise.all(
      ['a', 'b', 'c'].map(
        (text) =>
          new Promise<string>((done, failed) => {
            const socket = connect(at('inside'), () => socket.write(text));
            let got = '';
            socket.on('data', (data) => (got += data));
            socket.on('close', () => done(got));
            socket.on('error', failed);
          }),
      ),
    );
    expect(answers).toEqual(['A', 'B', 'C']);
    expect(await run.ended).toEqual({ status: 0, stdout: 'up\n', stderr: '' });
  }, 60_000);

  test('fifos: open shares them with the host, none keeps them apart', async () => {
    execFileSync('mkfifo', [at('in'), at('out')]);
    const echo = "d = open('/v/in').read()\nopen('/v/out', 'w').write(d.upper())\nprint(len(d))";
    const run = start(['--host-fifo=open'], echo);
    const writer = spawn('sh', ['-c', `echo hello > ${at('in')}; cat ${at('out')}`], { stdio: ['ignore', 'pipe', 'inherit'] });
    let got = '';
    writer.stdout.on('data', (data) => (got += data));
    const done = new Promise((resolve) => writer.on('close', resolve));
    expect(await run.ended).toEqual({ status: 0, stdout: '6\n', stderr: '' });
    await done;
    expect(got).toBe('HELLO\n');
    const apart =
      "import os, threading\nthreading.Thread(target=lambda: open('/v/in', 'w').write('own')).start()\nprint(open('/v/in').read())";
    expect(await start([], apart).ended).toEqual({ status: 0, stdout: 'own\n', stderr: '' });
  }, 60_000);
});
