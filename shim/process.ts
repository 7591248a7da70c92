/**
 * One process that containerd knows: a container's first one, or one that Exec added. It keeps what State and Wait answer, so
 * that neither has to ask the sandbox.
 */
import type { ExitStatus } from '../runsc/container/types.ts';
import type { ProcessStdio, StdioNames } from './stdio.ts';

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

  announce(): void {
    if (this.exit !== null) this.#resolveExited(this.exit);
  }
}
