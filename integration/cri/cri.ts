/** A client of Kubernetes' container runtime interface, as much of one as a kubelet is. */
import { join } from 'node:path';
import { type Client, credentials, loadPackageDefinition, type ServiceError } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';

/** Of ContainerStatus. */
export const CREATED = 0;
export const RUNNING = 1;
export const EXITED = 2;
/** Of NamespaceOption. */
export const NODE = 2;
export const TARGET = 3;

/** ms that a call may take. */
const TIMEOUT = 60_000;

export interface ContainerStatus {
  readonly id: string;
  readonly state: number;
  readonly exit_code: number;
  readonly reason: string;
  readonly message: string;
  readonly finished_at: number;
}
export interface ContainerStats {
  readonly attributes: { readonly id: string };
  readonly cpu: { readonly usage_core_nano_seconds: { readonly value: number } } | null;
  readonly memory: {
    readonly working_set_bytes: { readonly value: number } | null;
    readonly usage_bytes: { readonly value: number } | null;
  } | null;
}
export interface ExecResult {
  readonly stdout: string;
  readonly stderr: string;
  readonly exit_code: number;
}

type Call = (request: object, options: { deadline: number }, done: (error: ServiceError | null, answer: unknown) => void) => void;

export class CriClient {
  readonly #client: Client & Record<string, Call>;

  constructor(socket: string) {
    const definition = loadSync(join(__dirname, 'cri.proto'), { keepCase: true, longs: Number, defaults: true });
    const services = loadPackageDefinition(definition) as unknown as {
      runtime: { v1: { RuntimeService: new (...a: unknown[]) => Client } };
    };
    this.#client = new services.runtime.v1.RuntimeService(`unix://${socket}`, credentials.createInsecure()) as Client &
      Record<string, Call>;
  }

  /** Rejects with the server's words. */
  call<T = object>(method: string, request: object = {}, timeoutMs = TIMEOUT): Promise<T> {
    return new Promise((resolve, reject) => {
      const run = this.#client[method] as Call;
      run.call(this.#client, request, { deadline: Date.now() + timeoutMs }, (error, answer) =>
        error === null ? resolve(answer as T) : reject(new Error(`${method}: ${error.details}`)),
      );
    });
  }

  async status(id: string): Promise<ContainerStatus> {
    return (await this.call<{ status: ContainerStatus }>('ContainerStatus', { container_id: id })).status;
  }

  async execSync(id: string, cmd: readonly string[], timeout = 20): Promise<ExecResult> {
    const r = await this.call<{ stdout: Buffer; stderr: Buffer; exit_code: number }>('ExecSync', { container_id: id, cmd, timeout });
    return { stdout: r.stdout.toString(), stderr: r.stderr.toString(), exit_code: r.exit_code };
  }

  close(): void {
    this.#client.close();
  }
}
