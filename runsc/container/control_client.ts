/** Typed calls to a sandbox. */
import { Socket } from 'node:net';
import { errnoName } from '../../abi/errno.ts';
import { TtrpcClient } from '../../lib/ttrpc/client.ts';
import {
  ALREADY_EXISTS,
  FAILED_PRECONDITION,
  INVALID_ARGUMENT,
  NOT_FOUND,
  StatusError,
  UNAVAILABLE,
  UNIMPLEMENTED,
} from '../../lib/ttrpc/status.ts';
import { unixConnect } from '../../lib/unix_socket.ts';
import { CONTROL, CONTROL_SERVICE, type ControlMethod, type RequestOf, type ResponseOf } from '../../proto/control.ts';
import { RuntimeError, type RuntimeErrorKind } from './types.ts';

const KINDS: Readonly<Record<number, RuntimeErrorKind>> = {
  [NOT_FOUND]: 'NotFound',
  [ALREADY_EXISTS]: 'Exists',
  [FAILED_PRECONDITION]: 'State',
  [INVALID_ARGUMENT]: 'Invalid',
  [UNIMPLEMENTED]: 'Unsupported',
};

/** The sandbox is not there (any more); the caller knows why, or finds out. */
export class SandboxGone extends Error {}

export class ControlClient {
  private readonly ttrpc: TtrpcClient;

  private constructor(ttrpc: TtrpcClient) {
    this.ttrpc = ttrpc;
  }

  /** @throws SandboxGone */
  static connect(path: string): ControlClient {
    const fd = unixConnect(path);
    if (fd < 0) throw new SandboxGone(`connect to ${path}: ${errnoName(fd)}`);
    return new ControlClient(new TtrpcClient(new Socket({ fd, readable: true, writable: true })));
  }

  /** Rejects with RuntimeError, or SandboxGone if the connection is lost. Without timeout it waits as long as the sandbox lives. */
  async call<M extends ControlMethod>(
    method: M,
    request: Partial<RequestOf<M>>,
    options: { readonly fds?: readonly number[]; readonly timeoutMs?: number } = {},
  ): Promise<ResponseOf<M>> {
    const row = CONTROL[method] as unknown as { request: { encode(v: unknown): Uint8Array }; response: { decode(b: Uint8Array): unknown } };
    try {
      const answer = await this.ttrpc.call(CONTROL_SERVICE, method, row.request.encode(request), options);
      return row.response.decode(answer) as ResponseOf<M>;
    } catch (e) {
      if (!(e instanceof StatusError)) throw e;
      if (e.code === UNAVAILABLE) throw new SandboxGone(e.message);
      // The suffix repeats the kind for callers that see the text alone.
      const text = e.message.replace(/: (not found|already exists|failed precondition|invalid argument|not implemented)$/, '');
      throw new RuntimeError(KINDS[e.code] ?? 'Internal', text, e);
    }
  }

  get closed(): boolean {
    return this.ttrpc.closed;
  }
  close(): void {
    this.ttrpc.close();
  }
}
