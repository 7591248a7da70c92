/**
 * The runtime's tables in containerd's config.toml. The file is edited as text, between two marks of ours, and parsed before and after: comments,
 * order and whatever else stands there stay as they are.
 */
import { parse } from 'smol-toml';

const BEGIN = '# runsc install: begin (removed by runsc uninstall)';
const END = '# runsc install: end';

export interface RuntimeTable {
  /** As in RuntimeClass's handler. */
  readonly name: string;
  /** Options file of the shim; null: the default one. */
  readonly options: string | null;
}

export class ConfigError extends Error {}

type Table = Readonly<Record<string, unknown>>;

/** The plugin whose runtimes CRI uses, by the file's version. */
export function criPlugin(version: number): string {
  if (version >= 3) return 'io.containerd.cri.v1.runtime';
  return version === 2 ? 'io.containerd.grpc.v1.cri' : 'cri';
}

/** `text` without the tables that `addRuntime` put there. */
export function removeRuntime(text: string): string {
  const start = text.indexOf(BEGIN);
  if (start < 0) return text;
  const end = text.indexOf(END, start);
  if (end < 0)
    throw new ConfigError(`the line ${JSON.stringify(END)} is missing: remove what stands after ${JSON.stringify(BEGIN)} by hand`);
  const after = text.slice(end + END.length).replace(/^\n/, '');
  return text.slice(0, start).replace(/\n\n$/, '\n') + after;
}

/** `text` with the tables; unchanged if it has them already. @throws ConfigError if the file is wrong, or is written so that a table cannot be added */
export function addRuntime(text: string, table: RuntimeTable): string {
  const bare = removeRuntime(text);
  const before = parsed(bare);
  const version = typeof before.version === 'number' ? before.version : 1;
  const plugin = criPlugin(version);
  const own = at(before, ['plugins', plugin, 'containerd', 'runtimes', table.name]);
  if (own !== undefined) {
    const type = (own as Table).runtime_type;
    if (type === 'io.containerd.runsc.v1') return bare; // somebody's own, and right
    throw new ConfigError(`the runtime ${table.name} is configured already, with runtime_type ${JSON.stringify(type)}`);
  }
  const block = [BEGIN, ...lines(plugin, version, table), END, ''].join('\n');
  const next = bare === '' || bare.endsWith('\n\n') ? bare + block : `${bare.replace(/\n?$/, '\n')}\n${block}`;
  const after = at(parsed(next), ['plugins', plugin, 'containerd', 'runtimes', table.name]);
  if (after === undefined) throw new ConfigError('the runtimes are written in a way that tables cannot be added to (an inline table?)');
  return next;
}

function lines(plugin: string, version: number, { name, options }: RuntimeTable): string[] {
  const path = version >= 2 ? `plugins."${plugin}".containerd.runtimes.${key(name)}` : `plugins.${plugin}.containerd.runtimes.${key(name)}`;
  const out = [`[${path}]`, '  runtime_type = "io.containerd.runsc.v1"', '  pod_annotations = ["dev.tsvisor.*"]'];
  if (options === null) return out;
  return [...out, `[${path}.options]`, '  TypeUrl = "io.containerd.runsc.v1.options"', `  ConfigPath = ${JSON.stringify(options)}`];
}

function key(name: string): string {
  return /^[\w-]+$/.test(name) ? name : JSON.stringify(name);
}

function parsed(text: string): Table {
  try {
    return parse(text);
  } catch (e) {
    throw new ConfigError(`it is not TOML: ${(e as Error).message.split('\n')[0]}`);
  }
}

/** The runtime's table and the version of a file, for those who check it. */
export function findRuntime(text: string, name: string): { version: number; runtime: Table | null; misplaced: string | null } {
  const table = parsed(text);
  const version = typeof table.version === 'number' ? table.version : 1;
  const find = (plugin: string): Table | null =>
    (at(table, ['plugins', plugin, 'containerd', 'runtimes', name]) as Table | undefined) ?? null;
  const wrong = [1, 2, 3].filter((v) => criPlugin(v) !== criPlugin(version)).find((v) => find(criPlugin(v)) !== null);
  return { version, runtime: find(criPlugin(version)), misplaced: wrong === undefined ? null : criPlugin(wrong) };
}

function at(table: unknown, path: readonly string[]): unknown {
  let value: unknown = table;
  for (const name of path) {
    if (typeof value !== 'object' || value === null) return undefined;
    value = (value as Table)[name];
  }
  return value;
}
