/**
 * Exceptions outside of system calls (those are broken_call.ts's): in timers, in what host descriptors wake, in what platforms report, in
 * the steps of an exit. Each is a broken invariant of ours. What it belongs to fails — the timer is gone, the descriptor is no longer
 * watched, the step of the exit is left out — and the sandbox goes on, because one process's doing must not end every container of a pod.
 */

/** How the log line begins. */
export const BROKEN_EVENT = 'broken event:';

export type BrokenHandler = (what: string, error: unknown) => void;

export function describeBroken(what: string, error: unknown): string {
  return `${BROKEN_EVENT} ${what}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
}

/** Runs one step of several that must all be tried. */
export function contain(log: (line: string) => void, what: string, step: () => void): void {
  try {
    step();
  } catch (e) {
    log(describeBroken(what, e));
  }
}
