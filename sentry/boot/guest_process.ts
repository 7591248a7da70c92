/**
 * A process that the control interface started (a container's first, or one of exec's): its stdio, and how its end is told. The end is
 * told when the process is gone and what it wrote is with the host, in this order.
 */
import { POLLIN } from '../../abi/poll.ts';
import { endInput } from '../fs/host_stdio.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { ThreadGroup, WaitStatus } from '../kernel/thread_group.ts';
import type { WaitEntry } from '../kernel/wait.ts';
import type { HostTerminal } from '../tty/host_terminal.ts';
import type { FileDescription } from '../vfs/file.ts';

/** How long a terminal's last output may wait for somebody who reads it, ns. */
const DRAIN_PATIENCE = 2e9;

export interface Exit {
  readonly code: number;
  /** Milliseconds since the epoch. */
  readonly at: number;
}

/** 0..255, 128 + n after signal n. */
export function exitCodeOf(status: WaitStatus): number {
  const signal = status & 0x7f;
  return signal === 0 ? (status >> 8) & 0xff : 128 + signal;
}

/** What a process begins with. The files' references go to the process at its start. */
export interface ProcessStreams {
  readonly fds: Map<number, FileDescription>;
  /** With a terminal: the bridge to the host. */
  readonly bridge: HostTerminal | null;
}

export class GuestProcess {
  readonly execId: string;
  readonly bridge: HostTerminal | null;
  /** Null before the start, and again after the end. */
  group: ThreadGroup | null = null;
  exit: Exit | null = null;
  private readonly kernel: Kernel;
  private waiters: ((exit: Exit) => void)[] = [];
  /** Held for closeStdin until the end; null with a terminal. */
  private stdin: FileDescription | null;

  constructor(kernel: Kernel, execId: string, streams: ProcessStreams) {
    this.kernel = kernel;
    this.execId = execId;
    this.bridge = streams.bridge;
    this.stdin = streams.bridge === null ? (streams.fds.get(0)?.hold() ?? null) : null;
  }

  /** The program reads what has arrived, then the end. A terminal's input has no end. */
  closeStdin(): void {
    if (this.stdin !== null) endInput(this.stdin);
  }

  started(group: ThreadGroup): void {
    this.group = group;
    if (group.zombie) {
      this.groupEnded(group);
      return;
    }
    const entry: WaitEntry = {
      events: POLLIN,
      wake: () => {
        group.exitEvents.remove(entry);
        this.groupEnded(group);
      },
    };
    group.exitEvents.add(entry);
  }

  /** Calls back when it has ended, at once if it has. */
  onExit(tell: (exit: Exit) => void): void {
    if (this.exit !== null) tell(this.exit);
    else this.waiters.push(tell);
  }

  /** It never ran, and never will. */
  endWithoutStart(code: number): void {
    this.bridge?.close();
    this.tell(code);
  }

  private groupEnded(group: ThreadGroup): void {
    if (this.group === null) return;
    this.group = null;
    const code = exitCodeOf(group.exiting ?? 0);
    if (this.bridge === null) {
      this.tell(code);
      return;
    }
    const { bridge, kernel } = this;
    const timer = kernel.timers.add(kernel.now() + DRAIN_PATIENCE, () => bridge.close());
    bridge.finish(() => {
      kernel.timers.cancel(timer);
      this.tell(code);
    });
  }

  private tell(code: number): void {
    this.stdin?.release();
    this.stdin = null;
    this.exit = { code, at: Math.floor(this.kernel.realtime() / 1e6) };
    for (const waiter of this.waiters.splice(0)) waiter(this.exit);
  }
}
