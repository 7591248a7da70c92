/** containerd's Task service: from encoded requests to containers and back. */
import type { Call, Method, Service } from '../lib/ttrpc/server.ts';
import { INVALID_ARGUMENT, StatusError, UNIMPLEMENTED } from '../lib/ttrpc/status.ts';
import { Task, timestamp } from '../proto/messages.ts';
import type { SpecProcess, SpecResources } from '../runsc/container/spec.ts';
import { checkId, UsageError } from './arguments.ts';
import { toStatus } from './errors.ts';
import { metricsOf } from './metrics.ts';
import { type MountMessage, mountRequests } from './mounts.ts';
import { optionsSource } from './options.ts';
import { Registry, type RegistryOptions } from './registry.ts';

const PROCESS_TYPE = 'types.containerd.io/opencontainers/runtime-spec/1/Process';
const RESOURCES_TYPE = 'types.containerd.io/opencontainers/runtime-spec/1/LinuxResources';
const API_VERSION = 'v2';
const SIGKILL = 9;

export interface TaskServiceOptions extends RegistryOptions {
  /** Called after Shutdown has been answered. */
  shutdown(): void;
}

export type Coder<T> = { encode(message: T): { finish(): Uint8Array }; decode(bytes: Uint8Array): unknown };

/** A method of one request and one response message; failures become status codes. */
export function method<Q, R>(
  request: { decode(bytes: Uint8Array): Q },
  response: Coder<R>,
  run: (q: Q, call: Call | undefined) => Promise<R> | R,
): Method {
  return async (payload, call) => {
    try {
      return response.encode(await run(request.decode(payload), call)).finish();
    } catch (error) {
      if (error instanceof UsageError) throw new StatusError(INVALID_ARGUMENT, error.message);
      throw toStatus(error);
    }
  };
}

/** google.protobuf.Empty. */
export const Empty: Coder<void> = { encode: () => ({ finish: () => new Uint8Array(0) }), decode: () => undefined };

export class TaskService {
  readonly registry: Registry;
  readonly #shutdown: () => void;

  constructor(options: TaskServiceOptions) {
    this.registry = new Registry(options);
    this.#shutdown = () => options.shutdown();
  }

  get empty(): boolean {
    return this.registry.empty;
  }

  /** The methods, by name: the same for containerd.task.v2.Task and v3. */
  service(): Service {
    const { ProcessRequest, ContainerRequest } = Task;
    return {
      Create: method(Task.CreateTaskRequest, Task.CreateTaskResponse, (q) => this.#create(q)),
      Start: method(ProcessRequest, Task.StartResponse, (q, call) => this.#start(q.id, q.exec_id, call)),
      State: method(ProcessRequest, Task.StateResponse, (q) => this.#state(q.id, q.exec_id)),
      Wait: method(ProcessRequest, Task.WaitResponse, async (q) => {
        const exit = await this.registry.find(q.id).find(q.exec_id).exited;
        return { exit_status: exit.exitCode, exited_at: timestamp(exit.exitedAt) };
      }),
      Delete: method(ProcessRequest, Task.DeleteResponse, (q) => this.#delete(q.id, q.exec_id)),
      Kill: method(Task.KillRequest, Empty, (q) => this.registry.find(q.id).kill(q.exec_id, q.signal, q.all)),
      Exec: method(Task.ExecProcessRequest, Empty, (q) => this.#exec(q)),
      Pause: method(ContainerRequest, Empty, (q) => this.registry.find(q.id).pause()),
      Resume: method(ContainerRequest, Empty, (q) => this.registry.find(q.id).resume()),
      Pids: method(ContainerRequest, Task.PidsResponse, (q) => this.#pids(q.id)),
      CloseIO: method(Task.CloseIORequest, Empty, (q) => {
        const container = this.registry.find(q.id);
        const process = container.find(q.exec_id);
        if (q.stdin) container.closeStdin(process);
      }),
      ResizePty: method(Task.ResizePtyRequest, Empty, (q) => this.registry.find(q.id).resize(q.exec_id, q.height, q.width)),
      Update: method(Task.UpdateTaskRequest, Empty, (q) => this.#update(q)),
      Stats: method(ContainerRequest, Task.StatsResponse, async (q) => ({
        stats: metricsOf(await this.registry.find(q.id).handle.stats()),
      })),
      Connect: method(ContainerRequest, Task.ConnectResponse, (q) => ({
        shim_pid: process.pid,
        task_pid: this.registry.get(q.id)?.init.pid ?? 0,
        version: API_VERSION,
      })),
      Shutdown: method(Task.ShutdownRequest, Empty, () => {
        if (this.empty) setImmediate(this.#shutdown);
      }),
      Checkpoint: method(Task.CheckpointTaskRequest, Empty, () => {
        throw new StatusError(UNIMPLEMENTED, 'checkpoint');
      }),
    };
  }

  async #create(q: InstanceType<typeof Task.CreateTaskRequest>): Promise<{ pid: number }> {
    if (q.checkpoint !== '') throw new StatusError(UNIMPLEMENTED, 'restore from a checkpoint');
    const container = await this.registry.create({
      id: q.id,
      bundle: q.bundle,
      rootfs: mountRequests(q.rootfs as readonly MountMessage[]),
      stdio: { stdin: q.stdin, stdout: q.stdout, stderr: q.stderr, terminal: q.terminal },
      options: optionsSource(q.options?.type_url ?? '', q.options?.value ?? new Uint8Array(0)),
    });
    return { pid: container.init.pid };
  }

  /**
   * A start whose caller is gone before the answer has failed for everybody but us. A container that runs although nobody knows would
   * block containerd's clean-up: it ends, and what a restarted containerd finds is a task that has stopped.
   */
  async #start(id: string, execId: string, call: Call | undefined): Promise<{ pid: number }> {
    const container = this.registry.find(id);
    const pid = await container.start(execId);
    if (call?.signal.aborted === true) await container.kill(execId, SIGKILL, execId === '').catch(() => {}); // or it has ended by itself
    return { pid };
  }

  #state(id: string, execId: string): Parameters<typeof Task.StateResponse.encode>[0] {
    const container = this.registry.find(id);
    const process = container.find(execId);
    const { Status } = Task;
    const byState = { added: Status.CREATED, created: Status.CREATED, running: Status.RUNNING, stopped: Status.STOPPED };
    const status = process.state === 'running' && container.paused ? Status.PAUSED : byState[process.state];
    return {
      id,
      bundle: container.bundle,
      pid: process.pid,
      status,
      stdin: process.names.stdin,
      stdout: process.names.stdout,
      stderr: process.names.stderr,
      terminal: process.names.terminal,
      exit_status: process.exit?.exitCode ?? 0,
      exited_at: process.exit === null ? null : timestamp(process.exit.exitedAt),
      exec_id: execId,
    };
  }

  async #delete(id: string, execId: string): Promise<{ pid: number; exit_status: number; exited_at: ReturnType<typeof timestamp> }> {
    const container = this.registry.find(id);
    const exit = execId === '' ? await container.delete() : container.deleteExec(execId);
    if (execId === '') this.registry.forget(id);
    return { pid: exit.pid, exit_status: exit.exitCode, exited_at: timestamp(exit.exitedAt) };
  }

  #exec(q: InstanceType<typeof Task.ExecProcessRequest>): void {
    const container = this.registry.find(q.id);
    if (q.exec_id !== '') checkId(q.exec_id, 'exec id');
    const spec = json<SpecProcess>(q.spec, PROCESS_TYPE, 'process');
    const terminal = q.terminal || spec.terminal === true;
    container.addExec(q.exec_id, { stdin: q.stdin, stdout: q.stdout, stderr: q.stderr, terminal }, { ...spec, terminal });
  }

  #pids(id: string): { processes: { pid: number }[] } {
    const container = this.registry.find(id);
    return { processes: container.pids().map((pid) => ({ pid })) };
  }

  async #update(q: InstanceType<typeof Task.UpdateTaskRequest>): Promise<void> {
    await this.registry.find(q.id).handle.update(json<SpecResources>(q.resources, RESOURCES_TYPE, 'resources'));
  }
}

/** What an Any holds as JSON (containerd's way with the OCI spec's types, which have no protobuf). */
function json<T>(any: { type_url?: string | null; value?: Uint8Array | null } | null | undefined, type: string, what: string): T {
  const url = any?.type_url ?? '';
  if (!type.endsWith(url.slice(url.lastIndexOf('types.containerd.io/'))) || url === '')
    throw new StatusError(INVALID_ARGUMENT, `${what} of type ${JSON.stringify(url)}`);
  try {
    return JSON.parse(Buffer.from(any?.value ?? new Uint8Array(0)).toString('utf8')) as T;
  } catch (error) {
    throw new StatusError(INVALID_ARGUMENT, `${what}: ${(error as Error).message}`);
  }
}
