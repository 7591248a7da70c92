/** Where this installation's programs are, and how Node runs them. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { RuntimeError } from './types.ts';

export type ProgramName = 'sentry' | 'gofer' | 'containerd-shim-runsc-v1' | 'runsc';

/** Beside this bundle in an installation, in dist/ in a checkout. */
export function programPath(name: ProgramName): string {
  const candidates = [join(__dirname, `${name}.cjs`), join(__dirname, '../../dist', `${name}.cjs`)];
  const found = candidates.find((path) => existsSync(path));
  if (found === undefined) throw new RuntimeError('Internal', `this installation is not complete: ${candidates[0]} is missing`);
  return found;
}

/** A helper binary of native-addon/. */
export function helperPath(name: string): string {
  const candidates = [join(__dirname, name), join(__dirname, '../../native-addon/build/Release', name)];
  const found = candidates.find((path) => existsSync(path));
  if (found === undefined) throw new RuntimeError('Internal', `this installation is not complete: ${candidates[0]} is missing`);
  return found;
}

/** Node itself: the one that runs us. */
export function nodePath(): string {
  return process.execPath;
}
