/** The control socket: who may connect, and which method answers. */
import { POLLIN } from '../../abi/poll.ts';
import type { Host } from '../../lib/host.ts';
import { peerCredentialsOf } from '../../lib/peer_credentials.ts';
import { INTERNAL, INVALID_ARGUMENT, RESOURCE_EXHAUSTED, StatusError, UNIMPLEMENTED } from '../../lib/ttrpc/status.ts';
import { WireError } from '../../lib/ttrpc/wire.ts';
import { accept } from '../../lib/unix_socket.ts';
import type { HostPoll } from '../../platforms/host_poll.ts';
import { CONTROL, CONTROL_SERVICE, type ControlMethod, MAX_REQUEST_FDS, type RequestOf, type ResponseOf } from '../../proto/control.ts';
import { type Call, Connection } from './connection.ts';

/** A method's outcome: now, or later through `Later`. */
export type Answer<M extends ControlMethod> = Partial<ResponseOf<M>> | Later<M>;

/** Answers when it is told to. */
export class Later<M extends ControlMethod> {
  readonly begin: (answer: (value: Partial<ResponseOf<M>>) => void, fail: (error: StatusError) => void) => void;
  constructor(begin: Later<M>['begin']) {
    this.begin = begin;
  }
}

/**
 * One function a method. `fds` are the request's descriptors: a method that keeps one removes it from the list, the rest is closed.
 * Throws StatusError.
 */
export type ControlMethods = { readonly [M in ControlMethod]: (request: RequestOf<M>, fds: number[]) => Answer<M> };

const MAX_CONNECTIONS = 256;

export class ControlServer {
  private readonly host: Host;
  private readonly poll: HostPoll;
  private readonly listener: number;
  private readonly methods: ControlMethods;
  private readonly uid: number;
  private readonly log: (line: string) => void;
  private readonly connections = new Set<Connection>();

  /** listener: a listening, non-blocking unix socket. uid: whose connections are taken, as this process's user namespace shows it. */
  constructor(init: { host: Host; poll: HostPoll; listener: number; methods: ControlMethods; uid: number; log: (line: string) => void }) {
    this.host = init.host;
    this.poll = init.poll;
    this.listener = init.listener;
    this.methods = init.methods;
    this.uid = init.uid;
    this.log = init.log;
  }

  start(): void {
    const r = this.poll.add(this.listener, POLLIN, () => this.accept());
    if (r < 0) throw new Error(`control socket: errno ${-r}`);
  }

  /** Answers are on their way that the host has not taken. */
  get sending(): boolean {
    return [...this.connections].some((c) => c.sending);
  }

  private accept(): void {
    const fd = accept(this.listener);
    if (fd < 0) return;
    const peer = peerCredentialsOf(fd);
    if (peer?.uid !== this.uid || this.connections.size >= MAX_CONNECTIONS) {
      this.log(`control: refused a connection of uid ${peer?.uid}`);
      this.host.close(fd);
      return;
    }
    const connection: Connection = new Connection(
      this.host,
      this.poll,
      fd,
      (call) => this.handle(call),
      () => this.connections.delete(connection),
    );
    this.connections.add(connection);
  }

  private handle(call: Call): void {
    const { service, method, payload } = call.request;
    const fds = call.takeFds();
    try {
      if (service !== CONTROL_SERVICE || !Object.hasOwn(CONTROL, method)) throw new StatusError(UNIMPLEMENTED, `${service}/${method}`);
      if (fds.length > MAX_REQUEST_FDS) throw new StatusError(RESOURCE_EXHAUSTED, `${fds.length} descriptors`);
      this.run(method as ControlMethod, payload, fds, call);
    } catch (e) {
      this.fail(call, method, e as Error);
    } finally {
      for (const fd of fds) this.host.close(fd);
    }
  }

  private run<M extends ControlMethod>(method: M, payload: Uint8Array, fds: number[], call: Call): void {
    const { request, response } = CONTROL[method] as unknown as {
      request: { decode(bytes: Uint8Array): RequestOf<M> };
      response: { encode(value: Partial<ResponseOf<M>>): Uint8Array };
    };
    const run = this.methods[method] as (request: RequestOf<M>, fds: number[]) => Answer<M>;
    const answer = run(request.decode(payload), fds);
    if (!(answer instanceof Later)) call.answer(response.encode(answer));
    else
      answer.begin(
        (value) => call.answer(response.encode(value)),
        (error) => this.fail(call, method, error),
      );
  }

  private fail(call: Call, method: string, error: Error): void {
    if (error instanceof StatusError) call.fail(error.code, error.message);
    else if (error instanceof WireError) call.fail(INVALID_ARGUMENT, error.message);
    else {
      this.log(`control: ${method}: ${error.stack}`);
      call.fail(INTERNAL, `${method}: ${error.message}`);
    }
  }
}
