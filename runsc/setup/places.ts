/** Where the programs and files of this machine are that an installation touches. */
import { accessSync, constants, existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

export const DOCKER_CONFIG = '/etc/docker/daemon.json';
export const CONTAINERD_CONFIG = '/etc/containerd/config.toml';
export const SHIM = 'containerd-shim-runsc-v1';
/** Searched besides PATH, which is short in cron and in sudo. */
const USUAL = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];

/** Path of a program, or null. */
export function findProgram(name: string): string | null {
  const folders = [...(process.env.PATH ?? '').split(delimiter).filter(Boolean), ...USUAL];
  for (const folder of folders) {
    const path = join(folder, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // not there
    }
  }
  return null;
}

/** The command that this program was started by, as an engine is to call it. */
export function ownPath(): string {
  const checkout = join(__dirname, '../bin/runsc');
  return existsSync(checkout) ? checkout : (findProgram('runsc') ?? '/usr/local/bin/runsc');
}

/** [major, minor], or null if the program is not there or says no version. */
export function versionOf(program: string): readonly [number, number] | null {
  const path = findProgram(program);
  if (path === null) return null;
  const r = process.getBuiltinModule('node:child_process').spawnSync(path, ['--version'], { encoding: 'utf8', timeout: 10_000 });
  const found = /(?:^|[ v])(\d+)\.(\d+)/m.exec(`${r.stdout ?? ''}`);
  return found === null ? null : [Number(found[1]), Number(found[2])];
}
