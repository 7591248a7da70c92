/** The files that a shim keeps in a container's bundle, and what it reads there. */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { RuntimeSettings } from '../runsc/container/types.ts';

/** Read by containerd when it starts again, to find this shim. */
const ADDRESS = 'address';
/** How the container was started, for `delete` after this daemon is gone. */
const SETTINGS = 'shim.json';
const OPTIONS = 'options';
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

/** The runtime's options as `start` got them (an encoded Any): the Sandbox API's calls do not carry them. */
export function writeOptions(bundle: string, any: Uint8Array): void {
  const path = join(bundle, OPTIONS);
  writeFileSync(`${path}.new`, any, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

export function readOptions(bundle: string): Uint8Array {
  try {
    return readFileSync(join(bundle, OPTIONS));
  } catch {
    return new Uint8Array(0);
  }
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
 * keep apart. containerd's layout is STATE/PLUGIN/NAMESPACE/ID.
 */
export function stateRoot(bundle: string, namespace: string): string {
  const plugin = dirname(dirname(bundle));
  const state = /^io\.containerd\.[\w.-]+$/.test(basename(plugin)) ? dirname(plugin) : '/run/containerd';
  return join(state, 'runsc', namespace);
}

/** Of config.json; none if it cannot be read: Create says what is wrong with it. */
export function readAnnotations(bundle: string): Readonly<Record<string, string>> {
  const config = readJson<{ annotations?: Record<string, unknown> }>(join(bundle, 'config.json'));
  return Object.fromEntries(Object.entries(config?.annotations ?? {}).filter((e): e is [string, string] => typeof e[1] === 'string'));
}

export function makeStateRoot(root: string): void {
  mkdirSync(root, { recursive: true, mode: 0o711 });
}
