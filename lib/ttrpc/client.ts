/** A ttrpc client on a Node socket: many calls at once over one connection. */
import { connect as netConnect, type Socket } from 'node:net';
import { EAGAIN, EPIPE, errnoName } from '../../abi/errno.ts';
import { host } from '../host.ts';
import { decodeResponse, encodeRequest, FDS_KEY } from './envelope.ts';
import { encodeFrame, FLAG_REMOTE_CLOSED, FRAME_REQUEST, FRAME_RESPONSE, type Frame, FrameDecoder } from './frame.ts';
import { DEADLINE_EXCEEDED, OK, RESOURCE_EXHAUSTED, StatusError, UNAVAILABLE } from './status.ts';

interface Pending {
  resolve(payload: Uint8Array): void;
  reject(error: Error): void;
  timer: NodeJS.Timeout | undefined;
}

export interface CallOptions {
  /** Undefined = wait for ever. */
  readonly timeoutMs?: number;
  readonly metadata?: readonly (readonly [string, string])[];
  /** Descriptors that travel beside the request's first byte (SCM_RIGHTS); they stay the caller's. */
  readonly fds?: readonly number[];
}

const MSG_DONTWAIT = 0x40;
/** ms between tries to send descriptors while the socket is full. */
const SEND_RETRY = 2;

export class TtrpcClient {
  readonly #socket: Socket;
  readonly #decoder = new FrameDecoder();
  readonly #pending = new Map<number, Pending>();
  #nextStream = 1;
  #failure: StatusError | null = null;
  /** Called once, when the connection is gone. */
  onClose: (() => void) | undefined;

  /** Takes over a connected socket. */
  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => {
      for (const frame of this.#decoder.push(chunk)) this.#receive(frame);
    });
    socket.on('error', (error) => this.#fail(error.message));
    socket.on('close', () => {
      this.#fail('connection closed');
      this.onClose?.();
    });
  }

  static connect(path: string, timeoutMs: number): Promise<TtrpcClient> {
    return new Promise((resolve, reject) => {
      const socket = netConnect({ path });
      const fail = (message: string): void => {
        clearTimeout(timer);
        socket.destroy();
        reject(new StatusError(UNAVAILABLE, `connect to ${path}: ${message}`));
      };
      const timer = setTimeout(() => fail(`no answer in ${timeoutMs} ms`), timeoutMs);
      const onError = (error: Error): void => fail(error.message);
      socket.once('error', onError);
      socket.once('connect', () => {
        clearTimeout(timer);
        socket.off('error', onError);
        resolve(new TtrpcClient(socket));
      });
    });
  }

  get closed(): boolean {
    return this.#failure !== null;
  }

  /** Encoded message in, encoded message out. Rejects with a StatusError. */
  call(service: string, method: string, payload: Uint8Array, options: CallOptions = {}): Promise<Uint8Array> {
    if (this.#failure !== null) return Promise.reject(this.#failure);
    const streamId = this.#nextStream;
    this.#nextStream += 2;
    const timeoutMs = options.timeoutMs;
    const fds = options.fds ?? [];
    const metadata = [...(options.metadata ?? []), ...(fds.length === 0 ? [] : [[FDS_KEY, String(fds.length)] as const])];
    const request = encodeRequest({ service, method, payload, timeoutNano: (timeoutMs ?? 0) * 1e6, metadata });
    return new Promise((resolve, reject) => {
      const expire = (): void =>
        this.#take(streamId)?.reject(new StatusError(DEADLINE_EXCEEDED, `${method}: no answer in ${timeoutMs} ms`));
      const timer = timeoutMs === undefined ? undefined : setTimeout(expire, timeoutMs);
      this.#pending.set(streamId, { resolve, reject, timer });
      const frame = encodeFrame(streamId, FRAME_REQUEST, FLAG_REMOTE_CLOSED, request);
      if (fds.length === 0) this.#socket.write(frame);
      else
        this.#sendWithFds(
          frame,
          fds.map((fd) => host.dup(fd)),
        );
    });
  }

  /** `fds` are ours to close. Node's sockets cannot carry descriptors: the frame goes out beside them, in order, once they are idle. */
  #sendWithFds(frame: Uint8Array, fds: readonly number[]): void {
    const fd = (this.#socket as unknown as { _handle?: { fd: number } })._handle?.fd ?? -1;
    if (this.#failure === null && this.#socket.writableLength > 0) {
      setTimeout(() => this.#sendWithFds(frame, fds), SEND_RETRY);
      return;
    }
    const sent = this.#failure === null ? host.sendWithFds(fd, frame, fds, MSG_DONTWAIT) : EPIPE;
    if (sent === EAGAIN) {
      setTimeout(() => this.#sendWithFds(frame, fds), SEND_RETRY);
      return;
    }
    for (const f of fds) host.close(f);
    if (sent < 0) this.#fail(`cannot send descriptors: ${errnoName(sent)}`);
    else if (sent < frame.length) this.#socket.write(frame.subarray(sent));
  }

  close(): void {
    this.#socket.destroy();
    this.#fail('connection closed');
  }

  /** Lets the process end although this connection is open. */
  unref(): void {
    this.#socket.unref();
  }

  #take(streamId: number): Pending | undefined {
    const pending = this.#pending.get(streamId);
    this.#pending.delete(streamId);
    clearTimeout(pending?.timer);
    return pending;
  }

  #receive(frame: Frame): void {
    if (frame.type !== FRAME_RESPONSE) return;
    const pending = this.#take(frame.streamId);
    if (pending === undefined) return;
    if (frame.payload === null) {
      pending.reject(new StatusError(RESOURCE_EXHAUSTED, `answer of ${frame.length} bytes is too long`));
      return;
    }
    try {
      const { code, message, payload } = decodeResponse(frame.payload);
      if (code === OK) pending.resolve(payload);
      else pending.reject(new StatusError(code, message));
    } catch (error) {
      pending.reject(error as Error);
    }
  }

  #fail(message: string): void {
    if (this.#failure !== null) return;
    this.#failure = new StatusError(UNAVAILABLE, message);
    for (const streamId of [...this.#pending.keys()]) this.#take(streamId)?.reject(this.#failure);
    this.#socket.destroy();
  }
}
