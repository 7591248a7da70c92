/**
 * A ttrpc server on Node's sockets. Calls of one connection run at once and are answered in the order in which they
 * end; a peer of another user is refused.
 */
import type { Server, Socket } from 'node:net';
import { peerCredentials } from '../peer_credentials.ts';
import { decodeRequest, encodeResponse, type Request } from './envelope.ts';
import {
  encodeFrame,
  FLAG_REMOTE_OPEN,
  FRAME_DATA,
  FRAME_REQUEST,
  FRAME_RESPONSE,
  type Frame,
  FrameDecoder,
  MAX_PAYLOAD,
} from './frame.ts';
import { DEADLINE_EXCEEDED, INVALID_ARGUMENT, OK, RESOURCE_EXHAUSTED, StatusError, statusOf, UNIMPLEMENTED } from './status.ts';

export interface Call {
  readonly metadata: Request['metadata'];
  /** Aborted when the caller's time is over or its connection is gone: nobody reads the answer then. */
  readonly signal: AbortSignal;
}

/** Takes and returns encoded messages. A StatusError chooses the code; any other error is Unknown. */
export type Method = (payload: Uint8Array, call: Call) => Promise<Uint8Array> | Uint8Array;
export type Service = Readonly<Record<string, Method>>;

/** Most calls that one connection may have open. */
const MAX_OPEN_CALLS = 4096;
const EMPTY = new Uint8Array(0);
/** setTimeout's longest delay, ms. */
const MAX_DELAY = 0x7fffffff;

export class TtrpcServer {
  readonly #services = new Map<string, Map<string, Method>>();
  readonly #connections = new Set<Connection>();
  readonly #uid: number;
  /** Called after a connection has gone. */
  onDisconnect: (() => void) | undefined;

  /** Peers must have this uid. */
  constructor(uid: number) {
    this.#uid = uid;
  }

  register(name: string, service: Service): void {
    this.#services.set(name, new Map(Object.entries(service)));
  }

  serve(server: Server): void {
    server.on('connection', (socket: Socket) => this.accept(socket));
  }

  accept(socket: Socket): void {
    const peer = peerCredentials(socket);
    if (peer === null || peer.uid !== this.#uid) {
      socket.destroy();
      return;
    }
    const connection = new Connection(socket, (request) => this.#method(request));
    this.#connections.add(connection);
    socket.on('close', () => {
      this.#connections.delete(connection);
      this.onDisconnect?.();
    });
  }

  get connections(): number {
    return this.#connections.size;
  }

  closeConnections(): void {
    for (const connection of this.#connections) connection.destroy();
  }

  #method(request: Request): Method {
    const service = this.#services.get(request.service);
    if (service === undefined) throw new StatusError(UNIMPLEMENTED, `service ${request.service}`);
    const method = service.get(request.method);
    if (method === undefined) throw new StatusError(UNIMPLEMENTED, `method ${request.service}/${request.method}`);
    return method;
  }
}

class Connection {
  readonly #socket: Socket;
  readonly #find: (request: Request) => Method;
  readonly #decoder = new FrameDecoder();
  readonly #open = new Map<number, AbortController>();
  #lastStream = 0;

  constructor(socket: Socket, find: (request: Request) => Method) {
    this.#socket = socket;
    this.#find = find;
    socket.on('data', (chunk: Buffer) => {
      for (const frame of this.#decoder.push(chunk)) this.#receive(frame);
    });
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      for (const call of this.#open.values()) call.abort();
      this.#open.clear();
    });
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #receive(frame: Frame): void {
    const { streamId } = frame;
    if (frame.type === FRAME_DATA) return; // no streaming methods here: nobody waits for it
    const wrong = this.#refusal(frame);
    if (wrong !== null) {
      this.#respond(streamId, wrong.code, wrong.message, EMPTY);
      return;
    }
    this.#lastStream = streamId;
    void this.#run(streamId, frame.payload as Uint8Array);
  }

  #refusal(frame: Frame): StatusError | null {
    if (frame.type !== FRAME_REQUEST) return new StatusError(INVALID_ARGUMENT, `frame type ${frame.type}`);
    if (frame.streamId % 2 !== 1) return new StatusError(INVALID_ARGUMENT, `stream id ${frame.streamId} is even`);
    if (frame.streamId <= this.#lastStream)
      return new StatusError(INVALID_ARGUMENT, `stream id ${frame.streamId} is not above ${this.#lastStream}`);
    if (frame.payload === null) {
      this.#lastStream = frame.streamId;
      return new StatusError(RESOURCE_EXHAUSTED, `message of ${frame.length} bytes is longer than ${MAX_PAYLOAD}`);
    }
    if (this.#open.size >= MAX_OPEN_CALLS) return new StatusError(RESOURCE_EXHAUSTED, `${MAX_OPEN_CALLS} calls are open`);
    if ((frame.flags & FLAG_REMOTE_OPEN) !== 0) return new StatusError(UNIMPLEMENTED, 'streaming calls');
    return null;
  }

  async #run(streamId: number, payload: Uint8Array): Promise<void> {
    const controller = new AbortController();
    this.#open.set(streamId, controller);
    let timer: NodeJS.Timeout | undefined;
    try {
      const request = decodeRequest(payload);
      const method = this.#find(request);
      if (request.timeoutNano > 0) timer = setTimeout(() => this.#expire(streamId), Math.min(request.timeoutNano / 1e6, MAX_DELAY));
      const reply = await method(request.payload, { metadata: request.metadata, signal: controller.signal });
      if (reply.length + 16 > MAX_PAYLOAD) throw new StatusError(RESOURCE_EXHAUSTED, `reply of ${reply.length} bytes is too long`);
      this.#answer(streamId, OK, '', reply);
    } catch (error) {
      const { code, message } = statusOf(error);
      this.#answer(streamId, code, message, EMPTY);
    } finally {
      clearTimeout(timer);
    }
  }

  #expire(streamId: number): void {
    const call = this.#open.get(streamId);
    this.#answer(streamId, DEADLINE_EXCEEDED, 'deadline exceeded', EMPTY);
    call?.abort();
  }

  /** Answers once: a call that ends after its deadline says nothing. */
  #answer(streamId: number, code: number, message: string, payload: Uint8Array): void {
    if (this.#open.delete(streamId)) this.#respond(streamId, code, message, payload);
  }

  #respond(streamId: number, code: number, message: string, payload: Uint8Array): void {
    if (this.#socket.destroyed) return;
    this.#socket.write(encodeFrame(streamId, FRAME_RESPONSE, 0, encodeResponse({ code, message, payload })));
  }
}
