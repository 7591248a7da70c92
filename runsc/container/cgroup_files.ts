/** Reading and writing the files of a control group. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Empty if the file is not there. */
export function readGroupFile(folder: string, name: string): string {
  try {
    return readFileSync(join(folder, name), 'utf8').trim();
  } catch {
    return '';
  }
}

/** "max", nothing, and version 1's huge number all mean no limit. */
export function readGroupNumber(folder: string, name: string, missing = 0): number {
  const text = readGroupFile(folder, name);
  if (text === 'max') return Number.POSITIVE_INFINITY;
  const value = text === '' ? missing : Number(text);
  return value > 2 ** 62 ? Number.POSITIVE_INFINITY : value;
}

/** Lines "key value". */
export function readGroupTable(folder: string, name: string): Map<string, number> {
  return new Map(
    readGroupFile(folder, name)
      .split('\n')
      .map((line) => line.split(' '))
      .map(([key, value]) => [key as string, Number(value)]),
  );
}

/** @throws Error that names file and value. */
export function writeGroupFile(folder: string, name: string, value: string | number): void {
  try {
    writeFileSync(join(folder, name), String(value));
  } catch (e) {
    throw new Error(`cannot write ${value} to ${join(folder, name)}: ${(e as Error).message}`);
  }
}

/** mkdir -p that reports whether the last one is new; what exists above stays as it is. */
export function makeGroup(folder: string): void {
  mkdirSync(dirname(folder), { recursive: true });
  mkdirSync(folder, { recursive: true });
}

/** The group, and those above it that have a limit now: up to `root`, which has none. */
export function limitedGroups(folder: string, root: string, limitFile: string): string[] {
  const groups = [folder];
  for (let above = dirname(folder); above.startsWith(`${root}/`); above = dirname(above))
    if (readGroupNumber(above, limitFile, Number.POSITIVE_INFINITY) !== Number.POSITIVE_INFINITY) groups.push(above);
  return groups;
}

export function readPids(folder: string): number[] {
  return readGroupFile(folder, 'cgroup.procs')
    .split('\n')
    .filter((l) => l !== '')
    .map(Number);
}
