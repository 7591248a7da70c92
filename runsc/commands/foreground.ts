/**
 * A process of a container in the foreground of this command: our terminal becomes its terminal's outside, signals that reach us are
 * passed on, and its exit code is ours.
 */
import { constants } from 'node:os';
import { makeRaw, windowSize } from '../container/console.ts';
import type { ContainerHandle, ExitStatus, Stdio } from '../container/types.ts';

/** Everything that a program may be meant to get; the rest is Node's or cannot be caught. */
const FORWARDED = ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM', 'SIGUSR1', 'SIGUSR2', 'SIGCONT', 'SIGALRM'] as const;

/** With a terminal our own is both sides; without one there is an error for callers to show. */
export function terminalStdio(): Stdio {
  return { stdin: 0, stdout: 1, stderr: null };
}

export interface Foreground {
  /** Puts our terminal back. */
  restore(): void;
}

/** Raw mode and window size of our terminal, and signals, for one process. */
export function enterForeground(container: ContainerHandle, terminal: boolean, execId = ''): Foreground {
  const ignore = (): void => {}; // it has ended; its exit is about to be told
  const restoreTerminal = terminal ? makeRaw(0) : null;
  const resize = (): void => {
    const size = windowSize(0) ?? windowSize(1);
    if (size !== null) void container.resize(size, execId).catch(ignore);
  };
  if (terminal) {
    resize();
    process.on('SIGWINCH', resize);
  }
  const pass = (name: NodeJS.Signals): void => {
    void container.kill(constants.signals[name], { execId }).catch(ignore);
  };
  for (const name of FORWARDED) process.on(name, pass);
  return {
    restore: () => {
      restoreTerminal?.();
      process.off('SIGWINCH', resize);
      for (const name of FORWARDED) process.off(name, pass);
    },
  };
}

/** Waits for the process and gives its exit code. */
export async function attend(container: ContainerHandle, terminal: boolean, execId = ''): Promise<ExitStatus> {
  const foreground = enterForeground(container, terminal, execId);
  try {
    return await container.wait(execId);
  } finally {
    foreground.restore();
  }
}
