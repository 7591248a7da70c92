/** One connection of the control socket: requests in, answers out, on the kernel's own loop. */
import { EAGAIN, EINTR } from '../../abi/errno.ts';
import { POLLIN, POLLOUT } from '../../abi/poll.ts';
import type { Host } from '../../lib/host.ts';
import { decodeRequest, encodeResponse, FDS_KEY, type Request } from '../../lib/ttrpc/envelope.ts';
import { encodeFrame, FRAME_REQUEST, FRAME_RESPONSE, type Frame, FrameDecoder } from '../../lib/ttrpc/frame.ts';
import { INVALID_ARGUMENT, OK, RESOURCE_EXHAUSTED, StatusError } from '../../lib/ttrpc/status.ts';
import type { HostPoll } from '../../platforms/host_poll.ts';
import { MAX_REQUEST_FDS } from '../../proto/control.ts';

const MSG_DONTWAIT = 0x40;
const RECEIVE_CHUNK = 65536;
/** Descriptors that may wait for their request: more is a broken peer. */
const MAX_WAITING_FDS = 2 * MAX_REQUEST_FDS;
/** Answers that the peer has not read, bytes: more is a peer that does not read. */
const MAX_UNSENT = 16 << 20;
/** Calls that one connection may have open (Wait stays open). */
const MAX_OPEN_CALLS = 4096;
const EMPTY = new Uint8Array(0);

/** One call that is to be answered once. */
export interface Call {
  readonly request: Request;
  /** Takes the descriptors that came with the request; the taker closes them. */
  takeFds(): number[];
  answer(payload: Uint8Array): void;
  fail(code: number, message: string): void;
}

/** Requests follow each other closely: each says how many of the received descriptors are its own. */
function fdCount(request: Request): number {
  const text = request.metadata.find(([key]) => key === FDS_KEY)?.[1] ?? '0';
  const count = Number(text);
  return Number.isInteger(count) && count >= 0 ? count : 0;
}

export class Connection {
  private readonly host: Host;
  private readonly poll: HostPoll;
  private readonly fd: number;
  private readonly handle: (call: Call) => void;
  private readonly onClose: () => void;
  private readonly decoder = new FrameDecoder();
  private readonly chunk = new Uint8Array(RECEIVE_CHUNK);
  private readonly fds: number[] = [];
  private readonly open = new Set<number>();
  private unsent: Uint8Array[] = [];
  private unsentBytes = 0;
  private closed = false;

  /** Owns fd, which is non-blocking. */
  constructor(host: Host, poll: HostPoll, fd: number, handle: (call: Call) => void, onClose: () => void) {
    this.host = host;
    this.poll = poll;
    this.fd = fd;
    this.handle = handle;
    this.onClose = onClose;
    if (poll.add(fd, POLLIN, (events) => this.ready(events)) < 0) this.close();
  }

  /** False once everything that was answered has been handed to the host. */
  get sending(): boolean {
    return this.unsent.length > 0;
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.poll.remove(this.fd);
    this.host.close(this.fd);
    for (const fd of this.fds.splice(0)) this.host.close(fd);
    this.unsent = [];
    this.onClose();
  }

  private ready(events: number): void {
    if ((events & POLLOUT) !== 0) this.flush();
    if (!this.closed && (events & ~POLLOUT) !== 0) this.receive();
  }

  private receive(): void {
    const { count, fds } = this.host.receiveWithFds(this.fd, this.chunk, MSG_DONTWAIT);
    this.fds.push(...fds);
    if (count === EAGAIN || count === EINTR) return;
    if (count <= 0 || this.fds.length > MAX_WAITING_FDS) {
      this.close();
      return;
    }
    for (const frame of this.decoder.push(this.chunk.subarray(0, count))) {
      if (this.closed) return;
      this.dispatch(frame);
    }
  }

  private dispatch(frame: Frame): void {
    const { streamId, payload } = frame;
    if (frame.type !== FRAME_REQUEST) return;
    if (payload === null || this.open.size >= MAX_OPEN_CALLS || this.open.has(streamId)) {
      this.respond(streamId, RESOURCE_EXHAUSTED, 'the message is too long, or too many calls are open', EMPTY);
      return;
    }
    let request: Request;
    try {
      request = decodeRequest(payload);
    } catch (e) {
      this.respond(streamId, INVALID_ARGUMENT, (e as Error).message, EMPTY);
      return;
    }
    this.open.add(streamId);
    this.handle(this.callOf(streamId, request));
  }

  private callOf(streamId: number, request: Request): Call {
    const end = (code: number, message: string, payload: Uint8Array): void => {
      if (this.open.delete(streamId)) this.respond(streamId, code, message, payload);
    };
    return {
      request,
      takeFds: () => this.fds.splice(0, fdCount(request)),
      answer: (payload) => end(OK, '', payload),
      fail: (code, message) => end(code, new StatusError(code, message).message, EMPTY),
    };
  }

  private respond(streamId: number, code: number, message: string, payload: Uint8Array): void {
    if (this.closed) return;
    const frame = encodeFrame(streamId, FRAME_RESPONSE, 0, encodeResponse({ code, message, payload }));
    this.unsent.push(frame);
    this.unsentBytes += frame.length;
    if (this.unsentBytes > MAX_UNSENT) this.close();
    else if (this.unsent.length === 1) this.flush();
  }

  private flush(): void {
    for (let frame = this.unsent[0]; frame !== undefined; frame = this.unsent[0]) {
      const n = this.host.sendWithFds(this.fd, frame, [], MSG_DONTWAIT);
      if (n === EAGAIN) break;
      if (n < 0 && n !== EINTR) {
        this.close();
        return;
      }
      const sent = Math.max(0, n);
      this.unsentBytes -= sent;
      if (sent === frame.length) this.unsent.shift();
      else this.unsent[0] = frame.subarray(sent);
    }
    this.poll.modify(this.fd, this.unsent.length > 0 ? POLLIN | POLLOUT : POLLIN);
  }
}
