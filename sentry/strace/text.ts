/** Pieces of a trace line: numbers with names, strings cut to length. */

/** Characters of a string or buffer that are shown. */
export const MAX_TEXT = 64;

export function hex(value: number): string {
  return value === 0 ? 'NULL' : `0x${value.toString(16)}`;
}

const ESCAPES: Readonly<Record<string, string>> = { '\n': '\\n', '\t': '\\t', '\r': '\\r', '"': '\\"', '\\': '\\\\', '\0': '\\0' };

/** A byte string in quotes, "…" behind it if it was cut. */
export function quote(text: string, limit = MAX_TEXT): string {
  const shown = text.slice(0, limit).replace(/[^ !#-[\]-~]/g, (c) => ESCAPES[c] ?? `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`);
  return `"${shown}"${text.length > limit ? '...' : ''}`;
}

/** A number and its names: `zero` is what an empty set is called. */
export interface FlagNames {
  readonly zero: string;
  readonly names: readonly (readonly [bits: number, name: string])[];
}

/** Several bits at once come first in `names`, so that O_SYNC is not shown as its parts. */
export function flagNames(value: number, { zero, names }: FlagNames): string {
  let left = value >>> 0;
  const found: string[] = [];
  for (const [bits, name] of names) {
    const wanted = bits >>> 0;
    if (wanted === 0 || (left & wanted) >>> 0 !== wanted) continue;
    found.push(name);
    left = (left & ~wanted) >>> 0;
  }
  if (left !== 0) found.push(`0x${left.toString(16)}`);
  return found.length === 0 ? zero : found.join('|');
}

/** An enumeration's names by value. */
export type Names = () => Readonly<Record<number, string>>;

/** "NAME" of an enumeration, or the number. */
export function nameOf(value: number, names: Names): string {
  return names()[value] ?? String(value);
}
