/**
 * Command-line flags as runc's and gVisor's users write them: one dash or two, `--name value`, `--name=value`, booleans without a value,
 * and after the first word that is no flag everything belongs to the command.
 */

export interface FlagKind {
  /** size: bytes, also as 64k, 512m, 2g. */
  readonly kind: 'bool' | 'string' | 'int' | 'size' | 'list';
  readonly alias?: string;
  /** Of a bool: true unless it is given. */
  readonly on?: boolean;
  /** Why nothing but 0, false or nothing is taken. */
  readonly refused?: string;
  /** For the usage text; absent: accepted without effect, for compatibility. */
  readonly help?: string;
}
export type FlagTable = Readonly<Record<string, FlagKind>>;

type ValueOf<F extends FlagKind> = F['kind'] extends 'bool'
  ? boolean
  : F['kind'] extends 'list'
    ? string[]
    : F['kind'] extends 'int' | 'size'
      ? number | undefined
      : string | undefined;
export type Flags<T extends FlagTable> = { [K in keyof T]: ValueOf<T[K]> };

export interface Parsed<T extends FlagTable> {
  readonly flags: Flags<T>;
  readonly rest: string[];
}

export class UsageError extends Error {}

/** `interspersed`: flags may follow positional words, up to "--". */
export function parseFlags<const T extends FlagTable>(table: T, args: readonly string[], interspersed = false): Parsed<T> {
  const values: Record<string, unknown> = {};
  for (const [name, { kind, on }] of Object.entries(table)) values[name] = kind === 'bool' ? on === true : kind === 'list' ? [] : undefined;
  const rest: string[] = [];
  let i = 0;
  for (; i < args.length; i++) {
    const arg = args[i] as string;
    if (arg === '--') {
      i++;
      break;
    }
    if (!arg.startsWith('-') || arg === '-') {
      if (!interspersed) break;
      rest.push(arg);
      continue;
    }
    const { name, inline } = split(arg);
    const key = findFlag(table, name);
    if (key === undefined) throw new UsageError(`unknown flag ${arg}`);
    const { kind } = table[key] as FlagKind;
    const value = inline ?? (kind === 'bool' ? 'true' : args[++i]);
    if (value === undefined) throw new UsageError(`flag ${arg} needs a value`);
    values[key] = convert(arg, kind, value, values[key]);
    const { refused } = table[key] as FlagKind;
    if (refused !== undefined && !['', '0', 'false'].includes(value)) throw new UsageError(`flag ${arg}: ${refused}`);
  }
  return { flags: values as Flags<T>, rest: [...rest, ...args.slice(i)] };
}

function split(arg: string): { name: string; inline: string | undefined } {
  const bare = arg.replace(/^--?/, '');
  const equals = bare.indexOf('=');
  return equals < 0 ? { name: bare, inline: undefined } : { name: bare.slice(0, equals), inline: bare.slice(equals + 1) };
}

function findFlag(table: FlagTable, name: string): string | undefined {
  if (Object.hasOwn(table, name)) return name;
  return Object.keys(table).find((key) => table[key]?.alias === name);
}

function convert(arg: string, kind: FlagKind['kind'], value: string, before: unknown): unknown {
  switch (kind) {
    case 'bool':
      if (!/^(true|false|0|1|t|f)$/i.test(value)) throw new UsageError(`flag ${arg}: ${value} is neither true nor false`);
      return /^(true|1|t)$/i.test(value);
    case 'int':
      if (!/^-?\d+$/.test(value)) throw new UsageError(`flag ${arg}: ${value} is no whole number`);
      return Number(value);
    case 'size': {
      const match = /^(-?\d+)([kmgt]?)b?$/i.exec(value);
      if (match === null) throw new UsageError(`flag ${arg}: ${value} is no number of bytes`);
      return Number(match[1]) * 1024 ** ' kmgt'.indexOf((match[2] as string).toLowerCase() || ' ');
    }
    case 'list':
      return [...(before as string[]), value];
    case 'string':
      return value;
  }
}

/** Aligned lines of what has help. */
export function describeFlags(table: FlagTable): string {
  const rows = Object.entries(table).filter(([, f]) => f.help !== undefined);
  const names = rows.map(([name, f]) => `${f.alias === undefined ? '' : `-${f.alias}, `}--${name}${f.kind === 'bool' ? '' : ' VALUE'}`);
  const width = Math.max(0, ...names.map((n) => n.length));
  return rows.map(([, f], i) => `  ${(names[i] as string).padEnd(width)}  ${f.help}`).join('\n');
}
