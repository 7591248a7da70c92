/** State on disk: one folder a container below the runtime's root. */
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { EWOULDBLOCK } from '../../abi/errno.ts';
import { host } from '../../lib/host.ts';
import type { Process } from './process_id.ts';
import { type ContainerStatus, RuntimeError, type RuntimeSettings } from './types.ts';

// flock(2), x86-64.
const NR_flock = 73;
const LOCK_EX = 2;
const LOCK_NB = 4;
/** How long a caller waits for another one that works on the same container, ms. */
const LOCK_PATIENCE = 30_000;

/** In a container's folder: how many of its processes the sandbox itself has ended for lack of memory. */
export const OOM_FILE = 'oom';

export interface StoredState {
  readonly version: 1;
  readonly id: string;
  readonly sandboxId: string;
  readonly bundle: string;
  readonly ociVersion: string;
  readonly annotations: Readonly<Record<string, string>>;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  /** What the last command left; whether the program has ended since is the sandbox's to say. */
  readonly status: ContainerStatus;
  readonly sandbox: Process | null;
  readonly gofer: Process | null;
  /** Folders of the container's cgroup, one a hierarchy. */
  readonly cgroupPaths: readonly string[];
  readonly settings: RuntimeSettings;
  /** Opens host sockets for a sandbox with a network. */
  readonly sockets: Process | null;
  /** Of a sandbox: its network namespace on the host, and what was changed of its /proc/sys; null: nothing to give back. */
  readonly network: { readonly path: string; readonly changed: Readonly<Record<string, string>> } | null;
}

export class StateStore {
  readonly root: string;
  constructor(root: string) {
    this.root = root;
  }

  folder(id: string): string {
    return join(this.root, id);
  }
  /** Folders that look like containers', whole or not. */
  ids(): string[] {
    return existsSync(this.root) ? readdirSync(this.root).filter((name) => !name.startsWith('.')) : [];
  }

  /** Takes the id. Exists: somebody has it. */
  reserve(id: string): void {
    mkdirSync(this.root, { recursive: true, mode: 0o711 });
    try {
      mkdirSync(this.folder(id), { mode: 0o700 });
    } catch (e) {
      if ((e as NodeJS.ErrnoException).code !== 'EEXIST') throw e;
      throw new RuntimeError('Exists', `container with id exists: ${id}`, e);
    }
  }

  /** NotFound, or Internal for a file that is damaged. */
  read(id: string): StoredState {
    const path = join(this.folder(id), 'state.json');
    let text: string;
    try {
      text = readFileSync(path, 'utf8');
    } catch (e) {
      if ((e as NodeJS.ErrnoException).code !== 'ENOENT') throw e;
      throw new RuntimeError('NotFound', `container ${JSON.stringify(id)} does not exist`, e);
    }
    try {
      const state = JSON.parse(text) as StoredState;
      if (state.version !== 1 || state.id !== id) throw new Error(`version ${state.version}, id ${state.id}`);
      return state;
    } catch (e) {
      throw new RuntimeError('Internal', `${path} is damaged: ${(e as Error).message}`, e);
    }
  }

  /** Readers see the old state or the new one. */
  write(state: StoredState): void {
    const path = join(this.folder(state.id), 'state.json');
    writeFileSync(`${path}.new`, JSON.stringify(state), { mode: 0o600 });
    renameSync(`${path}.new`, path);
  }

  remove(id: string): void {
    rmSync(this.folder(id), { recursive: true, force: true });
  }

  /** Runs `work` while no other process works on the container. NotFound if its folder is gone. */
  async locked<T>(id: string, work: () => Promise<T>): Promise<T> {
    let fd: number;
    try {
      fd = openSync(this.folder(id), 'r');
    } catch (e) {
      throw new RuntimeError('NotFound', `container ${JSON.stringify(id)} does not exist`, e);
    }
    try {
      const giveUp = Date.now() + LOCK_PATIENCE;
      while (host.syscall(NR_flock, fd, LOCK_EX | LOCK_NB) === EWOULDBLOCK) {
        if (Date.now() > giveUp) throw new RuntimeError('Internal', `another command works on container ${id} and does not end`);
        await sleep(5);
      }
      return await work();
    } finally {
      closeSync(fd);
    }
  }
}
