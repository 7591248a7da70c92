/** The containers of this shim: made from requests, found by id, removed. Both services of containerd, Task and Sandbox, work on them. */
import { join } from 'node:path';
import { ALREADY_EXISTS, NOT_FOUND, StatusError } from '../lib/ttrpc/status.ts';
import type { ContainersApi, RuntimeSettings } from '../runsc/container/types.ts';
import { annotationSettings } from './annotations.ts';
import { checkId } from './arguments.ts';
import { makeStateRoot, readAnnotations, readSettings, stateRoot, writeSettings } from './bundle.ts';
import { type ContainerContext, TaskContainer } from './container.ts';
import { errorChain } from './errors.ts';
import type { EventSink } from './event_sink.ts';
import { type MountRequest, mountRootfs, unmountRootfs } from './mounts.ts';
import { loadOptions, type OptionsSource, runtimeSettings, type ShimOptions } from './options.ts';
import { TaskProcess } from './process.ts';
import type { ContainerRecord } from './record.ts';
import { openStdio, type StdioNames } from './stdio.ts';

export interface RegistryOptions extends ContainerContext {
  /** The container library under these settings. */
  containers(settings: RuntimeSettings): ContainersApi;
  /** Called with each Create's options. */
  configure(options: ShimOptions, containerId: string): Promise<void>;
  /** Called when the first container comes and when the last one is gone. */
  occupied(some: boolean): void;
}

export interface NewContainer {
  readonly id: string;
  readonly bundle: string;
  readonly rootfs: readonly MountRequest[];
  readonly stdio: StdioNames;
  readonly options: OptionsSource;
}

export class Registry {
  readonly #options: RegistryOptions;
  readonly #containers = new Map<string, TaskContainer>();
  /** Ids whose Create runs. */
  readonly #creating = new Set<string>();

  constructor(options: RegistryOptions) {
    this.#options = options;
  }

  get empty(): boolean {
    return this.#containers.size === 0 && this.#creating.size === 0;
  }

  get(id: string): TaskContainer | undefined {
    return this.#containers.get(id);
  }

  /** @throws StatusError NOT_FOUND */
  find(id: string): TaskContainer {
    const container = this.#containers.get(id);
    if (container === undefined) throw new StatusError(NOT_FOUND, `container ${id}`);
    return container;
  }

  /** `events`: where its life is told; as the registry's own if absent. */
  async create(request: NewContainer, events = this.#options.events): Promise<TaskContainer> {
    const { id } = request;
    checkId(id, 'container id');
    if (this.#containers.has(id) || this.#creating.has(id)) throw new StatusError(ALREADY_EXISTS, `container ${id}`);
    this.#creating.add(id);
    this.#options.occupied(true);
    try {
      const container = await this.#make(request, { ...this.#options, events });
      this.#containers.set(id, container);
      container.watch();
      return container;
    } finally {
      this.#creating.delete(id);
      if (this.empty) this.#options.occupied(false);
    }
  }

  async #make(request: NewContainer, context: ContainerContext): Promise<TaskContainer> {
    const { id, bundle, rootfs, stdio } = request;
    const { namespace, events } = context;
    const options = await loadOptions(request.options);
    await this.#options.configure(options, id);
    const overrides = annotationSettings(readAnnotations(bundle), options.allowedAnnotations);
    const settings = { ...runtimeSettings(options, stateRoot(bundle, namespace)), ...overrides };
    makeStateRoot(settings.root);
    writeSettings(bundle, settings);
    const init = new TaskProcess('', stdio, 'created');
    mountRootfs(rootfs, join(bundle, 'rootfs'));
    try {
      init.stdio = await openStdio(stdio, { namespace, containerId: id });
      const pidFile = join(bundle, 'init.pid');
      const handle = await this.#options.containers(settings).create({ id, bundle, stdio: init.stdio.stdio, pidFile });
      init.stdio.handedOver();
      events.create({ id, bundle, rootfs, io: stdio, pid: handle.pid });
      const origin = { bundle, pod: events !== this.#options.events, createdAt: Date.now() };
      return new TaskContainer(context, origin, handle, init);
    } catch (error) {
      init.stdio?.handedOver();
      init.stdio?.close();
      unmountRootfs(join(bundle, 'rootfs'));
      throw error;
    }
  }

  /**
   * Takes over what a daemon before this one had: containers go on as they are; one that was being made is removed, because whoever wanted it
   * has been told that it failed.
   */
  async recover(records: readonly ContainerRecord[], podEvents: EventSink): Promise<TaskContainer[]> {
    const out: TaskContainer[] = [];
    for (const record of records) {
      try {
        const container = await this.#adopt(record, { ...this.#options, events: record.pod ? podEvents : this.#options.events });
        this.#containers.set(record.id, container);
        out.push(container);
      } catch (error) {
        this.#options.log.warn('a container could not be taken over', { container: record.id, error: errorChain(error) });
        this.#options.records.remove(record.id);
      }
    }
    if (!this.empty) this.#options.occupied(true);
    for (const container of out) container.watch();
    return out;
  }

  async #adopt(record: ContainerRecord, context: ContainerContext): Promise<TaskContainer> {
    const { id, bundle } = record;
    const settings = readSettings(bundle);
    if (settings === null) throw new Error(`${bundle} has no settings`);
    const handle = await this.#options.containers(settings).load(id);
    const owner = { namespace: context.namespace, containerId: id };
    const [first, ...execs] = await Promise.all(record.processes.map((p) => TaskProcess.revive(p, owner)));
    const container = new TaskContainer(context, record, handle, first as TaskProcess);
    container.paused = record.paused;
    for (const [i, exec] of execs.entries()) container.adopt(exec, record.processes[i + 1]?.spec ?? null);
    return container;
  }

  /** It has been deleted. */
  forget(id: string): void {
    this.#containers.delete(id);
    if (this.empty) this.#options.occupied(false);
  }
}
