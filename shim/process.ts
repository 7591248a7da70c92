/**
 * One process that containerd knows: a container's first one, or one that Exec added. It keeps what State and Wait answer, so
 * that neither has to ask the sandbox.
 */
import type { ExitStatus } from '../runsc/container/types.ts';
import type { ProcessRecord } from './record.ts';
import { type ProcessStdio, reopenStdio, type StdioNames, type StdioOwner } from './stdio.ts';

/** 'added': recorded, not in the sandbox yet (an exec before Start). */
export type ProcessState = 'added' | 'created' | 'running' | 'stopped';

export interface Exit extends ExitStatus {
  readonly pid: number;
}

export class TaskProcess {
  /** Empty for the container's first process. */
  readonly execId: string;
  readonly names: StdioNames;
  state: ProcessState;
  /** As containerd is told; 0 before there is one. */
  pid = 0;
  exit: Exit | null = null;
  stdio: ProcessStdio | null = null;
  stdinClosed = false;
  /** A size that came before there was a terminal. */
  pendingSize: { rows: number; columns: number } | null = null;
  /** Resolves once the exit is on its way to containerd; what Wait waits for. */
  readonly exited: Promise<Exit>;
  #resolveExited!: (exit: Exit) => void;
  /** Resolves when Start has published its event, or will never: the exit's comes after it. */
  #started: Promise<void> = Promise.resolve();

  constructor(execId: string, names: StdioNames, state: ProcessState) {
    this.execId = execId;
    this.names = names;
    this.state = state;
    this.exited = new Promise((resolve) => {
      this.#resolveExited = resolve;
    });
  }

  /** Of a daemon that died. The sandbox has its streams; what keeps them open for clients that come and go is opened again. */
  static async revive(record: ProcessRecord, owner: StdioOwner): Promise<TaskProcess> {
    const process = new TaskProcess(
      record.execId,
      record.names,
      record.state === 'created' && record.execId !== '' ? 'added' : record.state,
    );
    process.pid = record.pid;
    process.exit = record.exit;
    process.stdinClosed = record.stdinClosed;
    if (record.exit !== null) process.announce();
    else if (process.state !== 'added') process.stdio = await reopenStdio(record.names, owner, record.stdinClosed);
    return process;
  }

  /** Runs Start's work; an exit waits for its end. */
  starting<T>(work: () => Promise<T>): Promise<T> {
    const result = work();
    this.#started = result.then(
      () => {},
      () => {},
    );
    return result;
  }

  get started(): Promise<void> {
    return this.#started;
  }

  /** Closes the streams; to be followed by the exit's event and then by `announce`. */
  ended(status: ExitStatus): Exit {
    this.state = 'stopped';
    this.exit = { ...status, pid: this.pid };
    this.stdio?.close();
    this.stdio = null;
    return this.exit;
  }

  /** CloseIO. */
  closeStdin(): void {
    this.stdinClosed = true;
    this.stdio?.closeStdin();
  }

  announce(): void {
    if (this.exit !== null) this.#resolveExited(this.exit);
  }
}
