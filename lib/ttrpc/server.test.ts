import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TtrpcClient } from './client.ts';
import { decodeResponse } from './envelope.ts';
import { encodeFrame, FLAG_REMOTE_OPEN, FRAME_REQUEST, type Frame, FrameDecoder, HEADER_LENGTH, MAX_PAYLOAD } from './frame.ts';
import { TtrpcServer } from './server.ts';
import {
  DEADLINE_EXCEEDED,
  INVALID_ARGUMENT,
  NOT_FOUND,
  RESOURCE_EXHAUSTED,
  StatusError,
  UNAVAILABLE,
  UNIMPLEMENTED,
  UNKNOWN,
} from './status.ts';

const text = (s: string): Uint8Array => Buffer.from(s);

async function setUp(uid = process.getuid?.() as number) {
  const folder = mkdtempSync(join(tmpdir(), 'ttrpc-'));
  const path = join(folder, 's');
  const ttrpc = new TtrpcServer(uid);
  const held: (() => void)[] = [];
  ttrpc.register('test.Echo', {
    Echo: (payload) => payload,
    Hold: (payload) => new Promise((resolve) => held.push(() => resolve(payload))),
    Fail: () => {
      throw new StatusError(NOT_FOUND, 'container x');
    },
    Break: () => Promise.reject(new Error('broken')),
    Meta: (_p, call) => text(JSON.stringify(call.metadata)),
    Long: () => new Uint8Array(MAX_PAYLOAD),
  });
  const server: Server = createServer();
  ttrpc.serve(server);
  await new Promise<void>((resolve) => server.listen(path, resolve));
  const close = (): void => {
    ttrpc.closeConnections();
    server.close();
    rmSync(folder, { recursive: true });
  };
  return { path, ttrpc, held, close };
}

test('calls run at once and are answered in any order', async () => {
  const { path, held, close } = await setUp();
  const client = await TtrpcClient.connect(path, 1000);
  const order: string[] = [];
  const slow = client.call('test.Echo', 'Hold', text('slow')).then((b) => order.push(Buffer.from(b).toString()));
  const fast = await client.call('test.Echo', 'Echo', text('fast'));
  order.push(Buffer.from(fast).toString());
  held[0]?.();
  await slow;
  expect(order).toEqual(['fast', 'slow']);
  const meta = await client.call('test.Echo', 'Meta', text(''), { metadata: [['ns', 'k8s.io']] });
  expect(JSON.parse(Buffer.from(meta).toString())).toEqual([['ns', 'k8s.io']]);
  client.close();
  close();
});

test('failures carry their codes', async () => {
  const { path, close } = await setUp();
  const client = await TtrpcClient.connect(path, 1000);
  const fail = (service: string, method: string): Promise<unknown> =>
    client.call(service, method, text('')).catch((e) => [e.code, e.message]);
  expect(await fail('test.Echo', 'Fail')).toEqual([NOT_FOUND, 'container x: not found']);
  expect(await fail('test.Echo', 'Break')).toEqual([UNKNOWN, 'broken']);
  expect(await fail('test.Echo', 'Nothing')).toEqual([UNIMPLEMENTED, 'method test.Echo/Nothing: not implemented']);
  expect(await fail('test.None', 'Echo')).toEqual([UNIMPLEMENTED, 'service test.None: not implemented']);
  expect(await fail('test.Echo', 'constructor')).toMatchObject([UNIMPLEMENTED, expect.anything()]);
  expect(await fail('test.Echo', 'Long')).toMatchObject([RESOURCE_EXHAUSTED, expect.anything()]);
  client.close();
  close();
});

test('a deadline ends the call on both sides', async () => {
  const { path, held, close } = await setUp();
  const client = await TtrpcClient.connect(path, 1000);
  await expect(client.call('test.Echo', 'Hold', text('x'), { timeoutMs: 5 })).rejects.toMatchObject({ code: DEADLINE_EXCEEDED });
  held[0]?.(); // a late end is silent
  expect(await client.call('test.Echo', 'Echo', text('y'))).toEqual(Buffer.from('y'));
  client.close();
  close();
});

test('open calls fail when the server goes, and later ones at once', async () => {
  const { path, ttrpc, close } = await setUp();
  const client = await TtrpcClient.connect(path, 1000);
  const open = client.call('test.Echo', 'Hold', text('x'));
  await client.call('test.Echo', 'Echo', text(''));
  ttrpc.closeConnections();
  await expect(open).rejects.toMatchObject({ code: UNAVAILABLE });
  await expect(client.call('test.Echo', 'Echo', text(''))).rejects.toMatchObject({ code: UNAVAILABLE });
  close();
  await expect(TtrpcClient.connect(path, 1000)).rejects.toMatchObject({ code: UNAVAILABLE });
});

test('another user is refused', async () => {
  const { path, close } = await setUp(12345);
  const client = await TtrpcClient.connect(path, 1000);
  await expect(client.call('test.Echo', 'Echo', text(''))).rejects.toMatchObject({ code: UNAVAILABLE });
  close();
});

/** Sends raw bytes and returns the first `count` frames that come back. */
function exchange(path: string, bytes: Uint8Array, count: number): Promise<Frame[]> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path });
    const decoder = new FrameDecoder();
    const frames: Frame[] = [];
    socket.on('error', reject);
    socket.on('data', (chunk: Buffer) => {
      frames.push(...decoder.push(chunk));
      if (frames.length < count) return;
      socket.destroy();
      resolve(frames);
    });
    socket.write(bytes);
  });
}

test('malformed frames are answered, and the connection goes on', async () => {
  const { path, close } = await setUp();
  const empty = new Uint8Array(0);
  const long = new Uint8Array(HEADER_LENGTH + MAX_PAYLOAD + 1);
  const view = new DataView(long.buffer);
  view.setUint32(0, MAX_PAYLOAD + 1);
  view.setUint32(4, 7);
  view.setUint8(8, FRAME_REQUEST);
  const sent = Buffer.concat([
    encodeFrame(2, FRAME_REQUEST, 0, empty), // even stream
    encodeFrame(1, 9, 0, empty), // unknown type
    encodeFrame(3, FRAME_REQUEST, 0, Uint8Array.of(0xff)), // no protobuf
    encodeFrame(3, FRAME_REQUEST, 0, empty), // used stream
    encodeFrame(5, FRAME_REQUEST, FLAG_REMOTE_OPEN, empty), // streaming
    long,
    encodeFrame(9, FRAME_REQUEST, 0, empty), // no service
  ]);
  const frames = await exchange(path, sent, 7);
  const answers = frames.map((f) => [f.streamId, decodeResponse(f.payload as Uint8Array).code]);
  expect(answers.sort()).toEqual(
    [
      [2, INVALID_ARGUMENT],
      [1, INVALID_ARGUMENT],
      [3, UNKNOWN],
      [3, INVALID_ARGUMENT],
      [5, UNIMPLEMENTED],
      [7, RESOURCE_EXHAUSTED],
      [9, UNIMPLEMENTED],
    ].sort(),
  );
  close();
});
