/** The files that a shim keeps in a container's bundle, and what it reads there. */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { RuntimeSettings } from '../runsc/container/types.ts';

/** Read by containerd when it starts again, to find this shim. */
const ADDRESS = 'address';
/** How the container was started, for `delete` after this daemon is gone. */
const SETTINGS = 'shim.json';
/** How the container ended, for the same. */
const EXIT = 'exit.json';

/** Largest file read from a bundle, bytes. */
const MAX_FILE = 16 << 20;

export interface RecordedExit {
  readonly pid: number;
  readonly exitCode: number;
  /** ms since 1970. */
  readonly exitedAt: number;
}

function writeAtomically(path: string, content: string): void {
  const temporary = `${path}.${process.pid}`;
  writeFileSync(temporary, content, { mode: 0o600 });
  renameSync(temporary, path);
}

function readJson<T>(path: string): T | null {
  try {
    const content = readFileSync(path);
    return content.length > MAX_FILE ? null : (JSON.parse(content.toString('utf8')) as T);
  } catch {
    return null;
  }
}

export function writeAddress(bundle: string, address: string): void {
  writeAtomically(join(bundle, ADDRESS), address);
}

export function readAddress(bundle: string): string | null {
  try {
    return readFileSync(join(bundle, ADDRESS), 'utf8').trim();
  } catch {
    return null;
  }
}

export function writeSettings(bundle: string, settings: RuntimeSettings): void {
  writeAtomically(join(bundle, SETTINGS), JSON.stringify(settings));
}

export function readSettings(bundle: string): RuntimeSettings | null {
  return readJson(join(bundle, SETTINGS));
}

export function writeExit(bundle: string, exit: RecordedExit): void {
  writeAtomically(join(bundle, EXIT), JSON.stringify(exit));
}

export function readExit(bundle: string): RecordedExit | null {
  return readJson(join(bundle, EXIT));
}

/**
 * Folder of the containers' state for this bundle's containerd: beside its own state, so that two containerds on one host
 * keep apart. containerd's layout is STATE/io.containerd.runtime.v2.task/NAMESPACE/ID.
 */
export function stateRoot(bundle: string, namespace: string): string {
  const task = dirname(dirname(bundle));
  const state = task.endsWith('/io.containerd.runtime.v2.task') ? dirname(task) : '/run/containerd';
  return join(state, 'runsc', namespace);
}

export function makeStateRoot(root: string): void {
  mkdirSync(root, { recursive: true, mode: 0o711 });
}
