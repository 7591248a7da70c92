/** The sandbox's containers, as the control interface sees them. */
import type { Errno } from '../../abi/errno.ts';
import { POLLIN } from '../../abi/poll.ts';
import { SIGKILL } from '../../abi/signal.ts';
import { ALREADY_EXISTS, FAILED_PRECONDITION, NOT_FOUND, StatusError } from '../../lib/ttrpc/status.ts';
import type { CreateRequest, ExecRequest, MountMessage } from '../../proto/control.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { Filesystem } from '../vfs/inode.ts';
import { SandboxContainer } from './sandbox_container.ts';

/** Most containers of one pod. */
const MAX_CONTAINERS = 512;

/** Opens what one gofer connection serves. */
export interface ServedTrees {
  open(mount: MountMessage): Filesystem | Errno;
}

export interface SandboxOptions {
  readonly kernel: Kernel;
  /** Speaks 9P on a connection, which it owns from then on. */
  readonly connectGofer: (fd: number) => ServedTrees | Errno;
  /** The sandbox's first container has ended, or somebody wants the sandbox to: leave the loop when answers are out. */
  readonly finish: (exitCode: number) => void;
}

export class Sandbox {
  readonly kernel: Kernel;
  private readonly options: SandboxOptions;
  private readonly containers = new Map<string, SandboxContainer>();
  /** The first container has been made. */
  onFirst: () => void = () => {};

  constructor(options: SandboxOptions) {
    this.kernel = options.kernel;
    this.options = options;
  }

  /** `fds`: of the request; those that are taken are removed. @throws StatusError */
  create(request: CreateRequest, fds: number[]): void {
    const { container_id: id } = request;
    if (id === '' || this.containers.has(id)) throw new StatusError(ALREADY_EXISTS, `container ${id} exists`);
    if (this.containers.size >= MAX_CONTAINERS) throw new StatusError(FAILED_PRECONDITION, `${MAX_CONTAINERS} containers exist`);
    const joined = request.pid_namespace_of === '' ? null : this.get(request.pid_namespace_of);
    const { kernel, connectGofer } = this.options;
    const container = new SandboxContainer({ kernel, request, fds, connectGofer, joined, pod: this.first });
    this.containers.set(id, container);
    kernel.containers.set(id, container.container);
    if (!request.root_container) return;
    container.init.onExit((exit) => this.options.finish(exit.code));
    const lifeFd = container.lifeFd;
    if (lifeFd >= 0) kernel.poll.add(lifeFd, POLLIN, () => this.shutdown());
    this.onFirst();
  }

  exec(request: ExecRequest, fds: number[]): number {
    return this.get(request.container_id).exec(request, fds);
  }

  /** @throws StatusError NOT_FOUND */
  get(id: string): SandboxContainer {
    const container = this.containers.get(id);
    if (container === undefined) throw new StatusError(NOT_FOUND, `container ${id} does not exist`);
    return container;
  }

  all(): Iterable<SandboxContainer> {
    return this.containers.values();
  }

  /** Kills what is left and forgets the container. */
  delete(id: string): void {
    const container = this.get(id);
    container.destroy();
    this.containers.delete(id);
    this.kernel.containers.delete(id);
    if (container.isRoot) this.options.finish(container.init.exit?.code ?? 0);
  }

  shutdown(): void {
    for (const container of this.containers.values()) container.destroy();
    this.options.finish(this.first?.init.exit?.code ?? 128 + SIGKILL);
  }

  /** The pod's own container, whose namespaces others share. */
  get first(): SandboxContainer | null {
    for (const container of this.containers.values()) return container;
    return null;
  }
}
