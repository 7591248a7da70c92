/** Changing a configuration file of somebody else's: all or nothing, and the last version stays beside it. */
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { ConfigError } from './containerd_config.ts';

/** What it was before this program changed it last. */
export const BACKUP = '.before-runsc';

export type Change = 'unchanged' | 'changed' | 'created' | 'removed';

/** `edit` gets the text (empty if there is no file); null from it: the file goes. @throws ConfigError that names the file */
export function editFile(path: string, edit: (text: string) => string | null): Change {
  const exists = existsSync(path);
  const real = exists ? realpathSync(path) : path; // a link stays one
  const before = exists ? readFileSync(real, 'utf8') : '';
  let after: string | null;
  try {
    after = edit(before);
  } catch (e) {
    if (e instanceof ConfigError) throw new ConfigError(`${path}: ${e.message}`);
    throw e;
  }
  if (after === null) {
    if (exists) rmSync(real);
    return exists ? 'removed' : 'unchanged';
  }
  if (after === before) return 'unchanged';
  mkdirSync(dirname(real), { recursive: true });
  const temporary = `${real}.new-runsc`;
  writeFileSync(temporary, after, { mode: 0o644 });
  if (exists) {
    const { mode, uid, gid } = statSync(real);
    chmodSync(temporary, mode & 0o7777);
    chownSync(temporary, uid, gid);
    copyFileSync(real, real + BACKUP);
  }
  renameSync(temporary, real);
  return exists ? 'changed' : 'created';
}
