/** The runtime in Docker's daemon.json. */
import { ConfigError } from './containerd_config.ts';

export interface DockerRuntime {
  readonly name: string;
  readonly path: string;
  readonly args: readonly string[];
  readonly makeDefault: boolean;
}

type Settings = Record<string, unknown>;

export function parseDaemonJson(text: string): Settings {
  if (text.trim() === '') return {};
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (e) {
    throw new ConfigError(`it is not JSON: ${(e as Error).message}`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new ConfigError('it is not a JSON object');
  return value as Settings;
}

/** `text` with the runtime, all other keys in their order; the same text if nothing changes. */
export function addDockerRuntime(text: string, runtime: DockerRuntime): string {
  const settings = parseDaemonJson(text);
  const before = JSON.stringify(settings);
  const runtimes = runtimesOf(settings);
  const args = runtime.args.length === 0 ? {} : { runtimeArgs: [...runtime.args] };
  settings.runtimes = { ...runtimes, [runtime.name]: { path: runtime.path, ...args } };
  if (runtime.makeDefault) settings['default-runtime'] = runtime.name;
  return JSON.stringify(settings) === before ? text : print(settings, text);
}

export function removeDockerRuntime(text: string, name: string): string {
  const settings = parseDaemonJson(text);
  const runtimes = runtimesOf(settings);
  if (!Object.hasOwn(runtimes, name)) return text;
  const { [name]: _, ...others } = runtimes;
  if (Object.keys(others).length === 0) delete settings.runtimes;
  else settings.runtimes = others;
  if (settings['default-runtime'] === name) delete settings['default-runtime'];
  return print(settings, text);
}

export function runtimesOf(settings: Settings): Record<string, { path?: string; runtimeType?: string }> {
  const { runtimes = {} } = settings;
  if (typeof runtimes !== 'object' || runtimes === null || Array.isArray(runtimes)) throw new ConfigError('runtimes is not an object');
  return runtimes as Record<string, { path?: string }>;
}

/** Indented as the text was. */
function print(settings: Settings, like: string): string {
  const indent = /\n([ \t]+)"/.exec(like)?.[1] ?? '  ';
  return `${JSON.stringify(settings, null, indent)}\n`;
}
