/**
 * What a daemon that comes after this one has to know: one file a container, in a folder beside the socket. Kept by daemons that serve a whole
 * node, whose death must not be that of its containers.
 */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { SpecProcess } from '../runsc/container/spec.ts';
import type { Exit, ProcessState } from './process.ts';
import type { StdioNames } from './stdio.ts';

export interface ProcessRecord {
  /** Empty for the first process. */
  readonly execId: string;
  readonly names: StdioNames;
  readonly state: ProcessState;
  readonly pid: number;
  readonly exit: Exit | null;
  readonly stdinClosed: boolean;
  /** Of an exec that has not started. */
  readonly spec: SpecProcess | null;
}

export interface ContainerRecord {
  readonly id: string;
  readonly bundle: string;
  readonly paused: boolean;
  /** A pod of the Sandbox API: no events are published for it. */
  readonly pod: boolean;
  /** ms since 1970. */
  readonly createdAt: number;
  /** The first is the container's own. */
  readonly processes: readonly ProcessRecord[];
}

export interface Records {
  write(record: ContainerRecord): void;
  remove(id: string): void;
}

/** Of daemons whose containers go with them. */
export const NO_RECORDS: Records = { write: () => {}, remove: () => {} };

export class RecordFolder implements Records {
  readonly #folder: string;

  /** Of the daemon that listens at `socket`. */
  constructor(socket: string) {
    this.#folder = `${socket}.d`;
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
  }

  write(record: ContainerRecord): void {
    const path = join(this.#folder, record.id);
    writeFileSync(`${path}.new`, JSON.stringify(record), { mode: 0o600 });
    renameSync(`${path}.new`, path);
  }

  remove(id: string): void {
    try {
      unlinkSync(join(this.#folder, id));
    } catch {
      // never written
    }
  }

  /** Those that can be read; of a write that was cut off the older version counts. */
  all(): ContainerRecord[] {
    const out: ContainerRecord[] = [];
    for (const name of readdirSync(this.#folder)) {
      if (name.endsWith('.new')) continue;
      try {
        out.push(JSON.parse(readFileSync(join(this.#folder, name), 'utf8')) as ContainerRecord);
      } catch {
        // not one of ours
      }
    }
    return out;
  }

  /** The last container is gone, and the daemon goes too. */
  destroy(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
