/** Looks at a running Sentry from outside: what it holds on the host. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

export interface Holdings {
  readonly descriptors: number;
  /** Host processes in its pid namespace, itself included. */
  readonly processes: number;
  /** Bytes. */
  readonly resident: number;
}

/** The process of the sandbox `id`; null: there is none. */
export function sentryOf(id: string): number | null {
  return (
    numbers('/proc').find((pid) => {
      const words = text(`/proc/${pid}/cmdline`).split('\0');
      return words[0] === 'runsc-sandbox' && words.includes(id);
    }) ?? null
  );
}

/** Null: it is gone. */
export function holdings(pid: number): Holdings | null {
  const status = text(`/proc/${pid}/status`);
  const resident = /VmRSS:\s+(\d+) kB/.exec(status)?.[1];
  if (resident === undefined) return null;
  return { descriptors: numbers(`/proc/${pid}/fd`).length, processes: peers(pid), resident: Number(resident) * 1024 };
}

function peers(pid: number): number {
  const namespace = link(`/proc/${pid}/ns/pid`);
  return namespace === '' ? 0 : numbers('/proc').filter((other) => link(`/proc/${other}/ns/pid`) === namespace).length;
}

function numbers(folder: string): number[] {
  try {
    return readdirSync(folder)
      .filter((name) => /^\d+$/.test(name))
      .map(Number);
  } catch {
    return [];
  }
}
function text(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}
function link(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}
