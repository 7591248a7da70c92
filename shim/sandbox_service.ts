/** containerd 2.x's Sandbox service: pods that the shim makes itself (`sandboxer = "shim"`). */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Service } from '../lib/ttrpc/server.ts';
import { FAILED_PRECONDITION, NOT_FOUND, StatusError } from '../lib/ttrpc/status.ts';
import { Sandbox, timestamp } from '../proto/messages.ts';
import { readOptions } from './bundle.ts';
import type { TaskContainer } from './container.ts';
import { SILENT } from './event_sink.ts';
import { metricsOf } from './metrics.ts';
import { type MountMessage, mountRequests } from './mounts.ts';
import { decodeOptionsAny } from './options.ts';
import { writePodBundle } from './pod_bundle.ts';
import type { Registry } from './registry.ts';
import { Empty, method } from './task_service.ts';

export const SANDBOX_SERVICE = 'containerd.runtime.sandbox.v1.Sandbox';
const SIGTERM = 15;
const SIGKILL = 9;
/** ms that a pod's processes get to end when no time is given. */
const DEFAULT_GRACE = 0;

export class SandboxService {
  readonly #registry: Registry;
  readonly #shutdown: () => void;
  /** ms since 1970, by id: known from Create to Shutdown. */
  readonly #created = new Map<string, number>();

  /** `shutdown`: the last sandbox is gone and has been answered for. */
  constructor(registry: Registry, shutdown: () => void) {
    this.#registry = registry;
    this.#shutdown = shutdown;
  }

  /** A pod of a daemon before this one. */
  adopt(id: string, createdAt: number): void {
    this.#created.set(id, createdAt);
  }

  service(): Service {
    const { SandboxRequest } = Sandbox;
    return {
      CreateSandbox: method(Sandbox.CreateSandboxRequest, Empty, (q) => this.#create(q)),
      StartSandbox: method(SandboxRequest, Sandbox.StartSandboxResponse, async (q) => ({
        pid: await this.#find(q.sandbox_id).start(''),
        created_at: timestamp(this.#created.get(q.sandbox_id) as number),
      })),
      Platform: method(SandboxRequest, Sandbox.PlatformResponse, () => ({ platform: { os: 'linux', architecture: 'amd64' } })),
      StopSandbox: method(Sandbox.StopSandboxRequest, Empty, (q) => this.#stop(q.sandbox_id, q.timeout_secs)),
      WaitSandbox: method(SandboxRequest, Sandbox.WaitSandboxResponse, async (q) => {
        const exit = await this.#find(q.sandbox_id).init.exited;
        return { exit_status: exit.exitCode, exited_at: timestamp(exit.exitedAt) };
      }),
      SandboxStatus: method(Sandbox.SandboxStatusRequest, Sandbox.SandboxStatusResponse, (q) => this.#status(q.sandbox_id, q.verbose)),
      PingSandbox: method(SandboxRequest, Empty, (q) => {
        if (this.#find(q.sandbox_id).init.state !== 'running')
          throw new StatusError(FAILED_PRECONDITION, `sandbox ${q.sandbox_id} does not run`);
      }),
      ShutdownSandbox: method(SandboxRequest, Empty, (q) => this.#end(q.sandbox_id)),
      SandboxMetrics: method(SandboxRequest, Sandbox.SandboxMetricsResponse, async (q) => ({
        metrics: {
          timestamp: timestamp(Date.now()),
          id: q.sandbox_id,
          data: metricsOf(await this.#find(q.sandbox_id).handle.stats()),
        },
      })),
    };
  }

  #find(id: string): TaskContainer {
    if (!this.#created.has(id)) throw new StatusError(NOT_FOUND, `sandbox ${id}`);
    return this.#registry.find(id);
  }

  async #create(q: InstanceType<typeof Sandbox.CreateSandboxRequest>): Promise<void> {
    const { sandbox_id: id, bundle_path: bundle } = q;
    writePodBundle({ id, bundle, netns: q.netns_path, options: q.options ?? null, annotations: q.annotations });
    const stdio = { stdin: '', stdout: '', stderr: '', terminal: false };
    const options = decodeOptionsAny(readOptions(bundle));
    // A sandbox is no task: its end is told by WaitSandbox.
    await this.#registry.create({ id, bundle, rootfs: mountRequests(q.rootfs as readonly MountMessage[]), stdio, options }, SILENT);
    this.#created.set(id, Date.now());
  }

  /** Its containers have been stopped before; whoever has not goes with it. */
  async #stop(id: string, seconds: number): Promise<void> {
    const { init } = this.#find(id);
    const gone = (e: StatusError): void => {
      if (e.code !== NOT_FOUND) throw e;
    };
    if (init.state === 'running' && seconds > 0) {
      await this.#find(id).kill('', SIGTERM, false).catch(gone);
      await Promise.race([init.exited, sleep(seconds * 1000 || DEFAULT_GRACE, undefined, { ref: false })]);
    }
    if (init.state === 'stopped') return;
    await this.#find(id).kill('', SIGKILL, true).catch(gone);
    await init.exited;
  }

  #status(id: string, verbose: boolean): Parameters<typeof Sandbox.SandboxStatusResponse.encode>[0] {
    const { init, handle } = this.#find(id);
    return {
      sandbox_id: id,
      pid: init.pid,
      state: init.state === 'running' ? 'SANDBOX_READY' : 'SANDBOX_NOTREADY',
      info: verbose ? { sandboxPid: String(handle.pid), state: init.state } : {},
      created_at: timestamp(this.#created.get(id) as number),
      exited_at: init.exit === null ? null : timestamp(init.exit.exitedAt),
    };
  }

  /** Also of one that never came to be. */
  async #end(id: string): Promise<void> {
    if (this.#created.has(id)) {
      await this.#stop(id, 0);
      await this.#registry.find(id).delete();
      this.#registry.forget(id);
      this.#created.delete(id);
    }
    if (this.#registry.empty) setImmediate(this.#shutdown);
  }
}
