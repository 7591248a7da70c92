/**
 * The process that holds containerd's connections for a daemon that serves a whole node. containerd takes the end of a connection for the
 * end of the container behind it, so the connections must not die with the daemon: they are this process's, which does nothing but pass
 * frames on. When the daemon dies it starts another one, which takes the containers over from its records, and asks it again what was being
 * asked for; what the dead one may have done in part is answered as unavailable.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { peerCredentials } from '../lib/peer_credentials.ts';
import { decodeRequest, encodeResponse } from '../lib/ttrpc/envelope.ts';
import { encodeFrame, FRAME_REQUEST, FRAME_RESPONSE, type Frame, FrameDecoder } from '../lib/ttrpc/frame.ts';
import { RESOURCE_EXHAUSTED, UNAVAILABLE } from '../lib/ttrpc/status.ts';
import type { ShimArguments } from './arguments.ts';
import { listenAt } from './listen.ts';
import { Log } from './log.ts';
import { LISTEN_FD } from './start.ts';

/** Calls that change nothing: they can be made twice. */
const REPEATABLE = new Set([
  'Wait',
  'State',
  'Connect',
  'Pids',
  'Stats',
  'WaitSandbox',
  'SandboxStatus',
  'PingSandbox',
  'Platform',
  'SandboxMetrics',
]);
/** Deaths in a row, each within QUICK ms of the start, after which there is no use in another try. */
const MAX_DEATHS = 5;
const QUICK = 2000;
const LOG_FD = 2;

/** The daemon's own socket. */
export function workerSocket(socket: string): string {
  return `${socket}.w`;
}

export function keep(args: ShimArguments): void {
  const log = new Log(LOG_FD, args.debug ? 'debug' : 'info', { namespace: args.namespace, keeper: args.id });
  const inner = listenAt(workerSocket(args.socket));
  if (inner === null) throw new Error(`${workerSocket(args.socket)} is taken`);
  const worker = new Worker(args, inner, log);
  const listener: Server = createServer();
  const links = new Set<Link>();
  const uid = process.geteuid?.() ?? 0;
  listener.on('connection', (socket: Socket) => {
    if (peerCredentials(socket)?.uid !== uid) {
      socket.destroy();
      return;
    }
    const link = new Link(socket, workerSocket(args.socket));
    links.add(link);
    socket.on('close', () => links.delete(link));
  });
  listener.listen({ fd: LISTEN_FD });
  worker.start();
  for (const signal of ['SIGINT', 'SIGHUP', 'SIGPIPE', 'SIGTERM'] as const) process.on(signal, () => {}); // the daemon decides
}

/** The daemon behind, started again whenever it dies. */
class Worker {
  readonly #args: ShimArguments;
  readonly #listenFd: number;
  readonly #log: Log;
  #deaths = 0;

  constructor(args: ShimArguments, listenFd: number, log: Log) {
    this.#args = args;
    this.#listenFd = listenFd;
    this.#log = log;
  }

  start(): void {
    const { namespace, address, id, socket, debug } = this.#args;
    const words = [
      '-namespace',
      namespace,
      '-address',
      address,
      '-id',
      id,
      '-socket',
      socket,
      ...(debug ? ['-debug'] : []),
      '-node',
      'serve',
    ];
    const started = Date.now();
    const child: ChildProcess = spawn(process.execPath, [...process.execArgv, process.argv[1] as string, ...words], {
      stdio: ['pipe', LOG_FD, LOG_FD, this.#listenFd], // the pipe ends with us: the daemon goes then
      cwd: '/',
    });
    child.once('error', () => process.exit(1));
    child.once('exit', (code, signal) => {
      if (code === 0) process.exit(0); // nobody needs it any more
      this.#deaths = Date.now() - started < QUICK ? this.#deaths + 1 : 0;
      this.#log.error('the daemon died; another one takes over', { code: code ?? undefined, signal: signal ?? undefined });
      if (this.#deaths >= MAX_DEATHS) process.exit(1);
      this.start();
    });
  }
}

/** One connection of containerd's, and ours to the daemon for it. */
class Link {
  readonly #outer: Socket;
  readonly #path: string;
  readonly #requests = new FrameDecoder();
  /** Open calls by stream, in the order in which they came. */
  readonly #open = new Map<number, Frame>();
  #inner: Socket;

  constructor(outer: Socket, path: string) {
    this.#outer = outer;
    this.#path = path;
    this.#inner = this.#connect();
    outer.on('data', (chunk: Buffer) => {
      for (const frame of this.#requests.push(chunk)) this.#request(frame);
    });
    outer.on('error', () => outer.destroy());
    outer.on('close', () => this.#inner.destroy());
  }

  #request(frame: Frame): void {
    if (frame.payload === null) {
      this.#refuse(frame.streamId, RESOURCE_EXHAUSTED, `message of ${frame.length} bytes is too long`);
      return;
    }
    if (frame.type === FRAME_REQUEST) this.#open.set(frame.streamId, frame);
    this.#send(frame);
  }

  #send(frame: Frame): void {
    this.#inner.write(encodeFrame(frame.streamId, frame.type, frame.flags, frame.payload as Uint8Array));
  }

  #refuse(streamId: number, code: number, message: string): void {
    this.#outer.write(encodeFrame(streamId, FRAME_RESPONSE, 0, encodeResponse({ code, message, payload: new Uint8Array(0) })));
  }

  /** The daemon's socket is held open by the keeper: a connection waits there until a daemon takes it. */
  #connect(): Socket {
    const inner = connect({ path: this.#path });
    const answers = new FrameDecoder();
    inner.on('data', (chunk: Buffer) => {
      for (const frame of answers.push(chunk)) {
        this.#open.delete(frame.streamId);
        if (frame.payload !== null) this.#outer.write(encodeFrame(frame.streamId, frame.type, frame.flags, frame.payload));
      }
    });
    inner.on('error', () => inner.destroy());
    inner.on('close', () => {
      if (!this.#outer.destroyed) this.#again();
    });
    return inner;
  }

  #again(): void {
    this.#inner = this.#connect();
    for (const [streamId, frame] of this.#open) {
      const { method } = decodeRequest(frame.payload as Uint8Array);
      if (REPEATABLE.has(method)) {
        this.#send(frame);
        continue;
      }
      this.#open.delete(streamId);
      this.#refuse(streamId, UNAVAILABLE, `the shim died while it worked on ${method}`);
    }
  }
}
