/** The end of what a sandbox process printed, for error messages. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import type { StateStore } from './state_store.ts';
import type { RuntimeSettings } from './types.ts';

const TAIL_BYTES = 2000;
const TAIL_LINES = 12;

/** In the container's own folder, unless logs are collected. */
export function logPath(store: StateStore, settings: RuntimeSettings, id: string, name: 'sentry' | 'gofer'): string {
  return settings.debugLog === null ? join(store.folder(id), `${name}.log`) : join(settings.debugLog, `${id}.${name}.log`);
}

/** Empty if it printed nothing. */
export function logTail(path: string): string {
  try {
    const fd = openSync(path, 'r');
    try {
      const { size } = fstatSync(fd);
      const bytes = Buffer.alloc(Math.min(size, TAIL_BYTES));
      readSync(fd, bytes, 0, bytes.length, size - bytes.length);
      return bytes.toString('utf8').trim().split('\n').slice(-TAIL_LINES).join('\n');
    } finally {
      closeSync(fd);
    }
  } catch {
    return '';
  }
}

/** A paragraph for an error message, or nothing. */
export function lastWords(who: string, path: string): string {
  const tail = logTail(path);
  return tail === '' ? '' : `\n${who} printed last:\n  ${tail.replaceAll('\n', '\n  ')}`;
}
