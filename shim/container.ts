/** One container of this shim: its first process, its execs, its mounts, and the order of the events that it sends. */
import { join } from 'node:path';
import { ALREADY_EXISTS, FAILED_PRECONDITION, INVALID_ARGUMENT, NOT_FOUND, StatusError } from '../lib/ttrpc/status.ts';
import type { SpecProcess } from '../runsc/container/spec.ts';
import type { ContainerHandle, ExitStatus } from '../runsc/container/types.ts';
import { writeExit } from './bundle.ts';
import { errorChain, isNotFound, toStatus } from './errors.ts';
import type { EventSink } from './event_sink.ts';
import type { Log } from './log.ts';
import { unmountRootfs } from './mounts.ts';
import { type Exit, TaskProcess } from './process.ts';
import type { ProcessRecord, Records } from './record.ts';
import { openStdio, type StdioNames, type StdioOwner } from './stdio.ts';

/** The status of a process whose sandbox died: that of SIGKILL. */
const KILLED = 137;
/** Most ms that a container's exit waits for those of its execs. */
const EXEC_PATIENCE = 2000;
/** Above every pid of Linux: keeps an exec's pid apart from the sandbox's, which callers take for the container's. */
const PID_LIMIT = 1 << 22;
/** Most execs that a container may have on record. */
const MAX_EXECS = 4096;

export interface ContainerContext {
  readonly namespace: string;
  readonly events: EventSink;
  readonly log: Log;
  /** Where a daemon that comes after this one finds the containers. */
  readonly records: Records;
}

/** How a container comes to this daemon. */
export interface Origin {
  readonly bundle: string;
  /** A pod of the Sandbox API. */
  readonly pod: boolean;
  /** ms since 1970. */
  readonly createdAt: number;
}

export class TaskContainer {
  readonly id: string;
  readonly origin: Origin;
  readonly init: TaskProcess;
  paused = false;
  readonly #context: ContainerContext;
  readonly #handle: ContainerHandle;
  readonly #execs = new Map<string, TaskProcess>();
  readonly #specs = new Map<string, SpecProcess>();
  readonly #stopOom: () => void;
  #deleting = false;

  /** `handle`: created, not started. `init` holds its streams, handed over already. */
  constructor(context: ContainerContext, origin: Origin, handle: ContainerHandle, init: TaskProcess) {
    this.id = handle.id;
    this.origin = origin;
    this.init = init;
    this.#context = context;
    this.#handle = handle;
    init.pid = handle.pid;
    this.#stopOom = handle.watchOom(() => context.events.oom(this.id));
  }

  get bundle(): string {
    return this.origin.bundle;
  }

  get handle(): ContainerHandle {
    return this.#handle;
  }

  /** From the moment of Create: the sandbox may also die before Start. */
  watch(): void {
    this.#record();
    void this.#watch(this.init);
  }

  #record(): void {
    const describe = (p: TaskProcess): ProcessRecord => ({
      execId: p.execId,
      names: p.names,
      state: p.state,
      pid: p.pid,
      exit: p.exit,
      stdinClosed: p.stdinClosed,
      spec: p.state === 'added' ? (this.#specs.get(p.execId) ?? null) : null,
    });
    const { bundle, pod, createdAt } = this.origin;
    const processes = [this.init, ...this.#execs.values()].map(describe);
    this.#context.records.write({ id: this.id, bundle, paused: this.paused, pod, createdAt, processes });
  }

  /** An exec of a daemon that died. */
  adopt(process: TaskProcess, spec: SpecProcess | null): void {
    this.#execs.set(process.execId, process);
    if (spec !== null) this.#specs.set(process.execId, spec);
    if (process.state === 'running') void this.#watch(process);
  }

  closeStdin(process: TaskProcess): void {
    process.closeStdin();
    this.#record();
  }

  find(execId: string): TaskProcess {
    const process = execId === '' ? this.init : this.#execs.get(execId);
    if (process === undefined) throw new StatusError(NOT_FOUND, `exec ${execId} in container ${this.id}`);
    return process;
  }

  start(execId: string): Promise<number> {
    const process = this.find(execId);
    return process.starting(() => (execId === '' ? this.#startInit() : this.#startExec(process)));
  }

  async #startInit(): Promise<number> {
    const { init } = this;
    if (init.state !== 'created') throw new StatusError(FAILED_PRECONDITION, `container ${this.id} is ${init.state}, not created`);
    init.state = 'running';
    try {
      await this.#handle.start();
    } catch (error) {
      if (init.exit === null) init.state = 'created';
      throw toStatus(error);
    }
    this.#record();
    this.#context.events.start(this.id, init.pid);
    await this.#applySize(init);
    return init.pid;
  }

  async #startExec(process: TaskProcess): Promise<number> {
    const { execId } = process;
    if (process.state !== 'added') throw new StatusError(FAILED_PRECONDITION, `exec ${execId} is ${process.state}, not added`);
    if (this.init.state !== 'running') throw new StatusError(FAILED_PRECONDITION, `container ${this.id} is not running`);
    if (this.paused) throw new StatusError(FAILED_PRECONDITION, `cannot exec in the paused container ${this.id}`);
    process.state = 'created';
    const owner: StdioOwner = { namespace: this.#context.namespace, containerId: this.id };
    let pid: number;
    try {
      process.stdio = await openStdio(process.names, owner);
      pid = (await this.#handle.exec({ execId, process: this.#specs.get(execId) as SpecProcess, stdio: process.stdio.stdio })).pid;
    } catch (error) {
      process.stdio?.handedOver();
      process.ended({ exitCode: 255, exitedAt: Date.now() });
      process.announce();
      throw toStatus(error);
    }
    process.stdio.handedOver();
    process.state = 'running';
    process.pid = pid === this.init.pid ? pid + PID_LIMIT : pid;
    this.#record();
    this.#context.events.execStarted(this.id, execId, process.pid);
    void this.#watch(process);
    await this.#applySize(process);
    return process.pid;
  }

  /** Follows one process to its end. */
  async #watch(process: TaskProcess): Promise<void> {
    const { execId } = process;
    let status: ExitStatus;
    try {
      status = await this.#handle.wait(execId === '' ? undefined : execId);
    } catch (error) {
      this.#context.log.warn('the sandbox went away', { container: this.id, exec: execId, error: errorChain(error) });
      status = { exitCode: KILLED, exitedAt: Date.now() };
    }
    await process.started;
    await process.stdio?.drained();
    if (execId === '') await this.#endExecs();
    this.#end(process, status);
  }

  #end(process: TaskProcess, status: ExitStatus): void {
    if (process.exit !== null) return; // told already: deleted, or gone with its container
    const exit = process.ended(status);
    const { execId } = process;
    if (execId === '') this.#recordExit(exit);
    this.#context.events.exit(this.id, execId === '' ? this.id : execId, exit);
    process.announce();
    if (!this.#deleting) this.#record();
  }

  #recordExit(exit: Exit): void {
    this.paused = false;
    this.#stopOom();
    try {
      writeExit(this.bundle, exit);
    } catch (error) {
      this.#context.log.warn('cannot keep the exit status', { container: this.id, error: errorChain(error) });
    }
  }

  /** The end of the first process ends the others: theirs are told first. */
  async #endExecs(): Promise<void> {
    const open = [...this.#execs.values()].filter((p) => p.state === 'running');
    if (open.length === 0) return;
    const all = Promise.all(open.map((p) => p.exited));
    await Promise.race([all, new Promise((resolve) => setTimeout(resolve, EXEC_PATIENCE).unref())]);
    for (const process of open) if (process.exit === null) this.#end(process, { exitCode: KILLED, exitedAt: Date.now() });
  }

  addExec(execId: string, names: StdioNames, spec: SpecProcess): void {
    if (execId === '') throw new StatusError(INVALID_ARGUMENT, 'an exec needs an id');
    if (this.#execs.has(execId)) throw new StatusError(ALREADY_EXISTS, `exec ${execId} in container ${this.id}`);
    if (this.#execs.size >= MAX_EXECS) throw new StatusError(FAILED_PRECONDITION, `container ${this.id} has ${MAX_EXECS} execs`);
    this.#execs.set(execId, new TaskProcess(execId, names, 'added'));
    this.#specs.set(execId, spec);
    this.#record();
    this.#context.events.execAdded(this.id, execId);
  }

  async kill(execId: string, signal: number, all: boolean): Promise<void> {
    const process = this.find(execId);
    if (process.state === 'stopped') throw new StatusError(NOT_FOUND, `process already finished`);
    if (process.state === 'added') throw new StatusError(FAILED_PRECONDITION, `exec ${execId} is not started`);
    try {
      await this.#handle.kill(signal, execId === '' ? { all } : { execId });
    } catch (error) {
      if (isNotFound(error)) throw new StatusError(NOT_FOUND, 'process already finished');
      throw toStatus(error);
    }
  }

  /** Drops an exec's record. */
  deleteExec(execId: string): Exit {
    const process = this.find(execId);
    if (process.state === 'running' || process.state === 'created') throw new StatusError(FAILED_PRECONDITION, `exec ${execId} is running`);
    this.#execs.delete(execId);
    this.#specs.delete(execId);
    this.#record();
    return process.exit ?? { pid: 0, exitCode: 0, exitedAt: Date.now() };
  }

  /** Removes the container. One that has not started is killed first. */
  async delete(): Promise<Exit> {
    const { init } = this;
    if (init.state === 'running') throw new StatusError(FAILED_PRECONDITION, `container ${this.id} is running`);
    if (this.#deleting) throw new StatusError(NOT_FOUND, `container ${this.id}`);
    this.#deleting = true;
    try {
      await this.#handle.delete({ force: true });
      unmountRootfs(join(this.bundle, 'rootfs'));
    } catch (error) {
      this.#deleting = false;
      throw toStatus(error);
    }
    this.#handle.close();
    this.#context.records.remove(this.id);
    if (init.exit === null) this.#end(init, { exitCode: KILLED, exitedAt: Date.now() });
    const exit = init.exit as unknown as Exit;
    this.#context.events.delete(this.id, exit);
    return exit;
  }

  async pause(): Promise<void> {
    await this.#handle.pause();
    this.paused = true;
    this.#record();
    this.#context.events.paused(this.id);
  }

  async resume(): Promise<void> {
    await this.#handle.resume();
    this.paused = false;
    this.#record();
    this.#context.events.resumed(this.id);
  }

  async resize(execId: string, rows: number, columns: number): Promise<void> {
    const process = this.find(execId);
    if (process.state === 'stopped') return; // the window outlives the program
    process.pendingSize = { rows, columns };
    if (process.state === 'running' || process === this.init) await this.#applySize(process);
  }

  async #applySize(process: TaskProcess): Promise<void> {
    const size = process.pendingSize;
    if (size === null || process.state === 'stopped') return;
    process.pendingSize = null;
    try {
      await this.#handle.resize(size, process.execId === '' ? undefined : process.execId);
    } catch (error) {
      if (!isNotFound(error)) this.#context.log.warn('cannot resize the terminal', { container: this.id, error: errorChain(error) });
    }
  }

  /** Host pids; those of the sandbox stand for all of its processes. */
  pids(): number[] {
    const pids = this.#handle.hostPids();
    return pids.includes(this.init.pid) || this.init.state === 'stopped' ? pids : [this.init.pid, ...pids];
  }
}
