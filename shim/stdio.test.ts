import { execFileSync } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, readFileSync, readSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openStdio as openPatiently, type ProcessStdio, type StdioNames, type StdioOwner } from './stdio.ts';

const owner = { namespace: 'test', containerId: 'c' };
const { O_NONBLOCK, O_RDONLY, O_WRONLY } = constants;
let folder: string;
const at = (name: string): string => join(folder, name);
/** No client is waited for. */
const openStdio = (names: StdioNames, by: StdioOwner): Promise<ProcessStdio> => openPatiently(names, by, 0);
const none = { stdin: '', stdout: '', stderr: '', terminal: false };

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'stdio-'));
  execFileSync('mkfifo', [at('in'), at('out')]);
});
afterAll(() => rmSync(folder, { recursive: true }));

function readAll(fd: number): string | null {
  const buffer = Buffer.alloc(100);
  try {
    return buffer.toString('utf8', 0, readSync(fd, buffer));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return null;
    throw error;
  }
}

test('no names, no streams', async () => {
  const opened = await openStdio(none, owner);
  expect(opened.stdio).toEqual({ stdin: null, stdout: null, stderr: null });
  opened.close();
});

test('output outlives its reader, and waits for it', async () => {
  const opened = await openStdio({ ...none, stdout: at('out') }, owner);
  const client = openSync(at('out'), O_RDONLY | O_NONBLOCK);
  closeSync(client);
  writeSync(opened.stdio.stdout as number, 'late'); // no EPIPE
  const again = openSync(at('out'), O_RDONLY | O_NONBLOCK);
  expect(readAll(again)).toBe('late');
  expect(readAll(again)).toBeNull();
  opened.handedOver();
  opened.close();
  expect(readAll(again)).toBe(''); // the end
  closeSync(again);
});

test('what the client has not read yet is waited for', async () => {
  const opened = await openStdio({ ...none, stdout: at('out') }, owner);
  await opened.drained();
  const client = openSync(at('out'), O_RDONLY | O_NONBLOCK);
  writeSync(opened.stdio.stdout as number, 'tail');
  let done = false;
  const drained = opened.drained().then(() => (done = true));
  await new Promise((resolve) => setImmediate(resolve));
  expect(done).toBe(false);
  expect(readAll(client)).toBe('tail');
  await drained;
  opened.handedOver();
  opened.close();
  closeSync(client);
});

test('a client that comes late finds the output of a process that was short', async () => {
  let done = false;
  const opening = openPatiently({ ...none, stdout: at('out') }, owner).then((opened) => {
    done = true;
    return opened;
  });
  await new Promise((resolve) => setImmediate(resolve));
  expect(done).toBe(false);
  const client = openSync(at('out'), O_RDONLY | O_NONBLOCK);
  const opened = await opening;
  writeSync(opened.stdio.stdout as number, 'short');
  opened.handedOver();
  opened.close();
  expect([readAll(client), readAll(client)]).toEqual(['short', '']);
  closeSync(client);
});

test('input ends after CloseIO and the close of the client', async () => {
  const opened = await openStdio({ ...none, stdin: at('in') }, owner);
  const stdin = opened.stdio.stdin as number;
  const client = openSync(at('in'), O_WRONLY | O_NONBLOCK);
  writeSync(client, 'x');
  closeSync(client);
  expect(readAll(stdin)).toBe('x');
  expect(readAll(stdin)).toBeNull(); // held open
  opened.closeStdin();
  expect(readAll(stdin)).toBe('');
  opened.handedOver();
  opened.close();
});

test('one file takes both streams, appending', async () => {
  const uri = `file://${at('logs/both')}`;
  const opened = await openStdio({ ...none, stdout: uri, stderr: uri }, owner);
  writeSync(opened.stdio.stdout as number, 'a');
  writeSync(opened.stdio.stderr as number, 'b');
  writeSync(opened.stdio.stdout as number, 'c');
  opened.handedOver();
  opened.close();
  expect(readFileSync(at('logs/both'), 'utf8')).toBe('abc');
});

test('a logging program gets both streams, its arguments and its environment', async () => {
  const script = at('logger');
  writeFileSync(
    script,
    `#!/bin/sh\nexec 5>&-\ncat <&3 >${at('log')}\necho "$CONTAINER_NAMESPACE $CONTAINER_ID $*" >>${at('log')}\necho done >${at('done')}\n`,
    {
      mode: 0o755,
    },
  );
  const opened = await openStdio({ ...none, stdout: `binary://${script}?key=value` }, owner);
  writeSync(opened.stdio.stdout as number, 'hello\n');
  opened.handedOver();
  for (let i = 0; i < 200; i++) {
    await new Promise((resolve) => setTimeout(resolve, 5));
    try {
      readFileSync(at('done'));
      break;
    } catch {
      // it still writes
    }
  }
  opened.close();
  expect(readFileSync(at('log'), 'utf8')).toBe('hello\ntest c key value\n');
});

test('what is no fifo, and what does not exist, is refused without leaking descriptors', async () => {
  writeFileSync(at('plain'), '');
  await expect(openStdio({ ...none, stdout: at('plain') }, owner)).rejects.toThrow('is no fifo');
  await expect(openStdio({ ...none, stdout: at('out'), stderr: at('none') }, owner)).rejects.toThrow('ENOENT');
  await expect(openStdio({ ...none, stdout: 'http://x/' }, owner)).rejects.toThrow('unknown scheme http');
  await expect(openStdio({ ...none, stdout: 'binary:///no/such/program' }, owner)).rejects.toThrow('logging program /no/such/program');
  expect(() => openSync(at('out'), O_WRONLY | O_NONBLOCK)).toThrow('ENXIO'); // nobody holds it
});
