/**
 * do: runs a command of this machine in a sandbox. The machine's files are the root, read-only: what the command writes stays in memory
 * and is gone with it. Working directory and environment are kept. No daemon, no bundle.
 */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { isatty } from 'node:tty';
import { command } from '../cli/command.ts';
import { type Context, oneOf } from '../cli/context.ts';
import { UsageError } from '../cli/flags.ts';
import { windowSize } from '../container/console.ts';
import { Containers } from '../container/containers.ts';
import type { Spec, SpecMount } from '../container/spec.ts';
import { RuntimeError, type RuntimeSettings } from '../container/types.ts';
import { defaultSpec } from './default_spec.ts';
import { terminalStdio } from './foreground.ts';
import { hostUser } from './host_user.ts';
import { runToEnd } from './run.ts';
import { inheritedStdio } from './stdio.ts';

const FLAGS = {
  root: { kind: 'string', help: 'folder to see as / (default: this machine)' },
  cwd: { kind: 'string', help: 'working directory (default: the current one)' },
  env: { kind: 'list', alias: 'e', help: 'NAME=value, added to this environment' },
  user: { kind: 'string', alias: 'u', help: 'name of a user here, or UID[:GID] (default: 0:0)' },
  hostname: { kind: 'string', help: 'name of the sandbox' },
  network: { kind: 'string', help: 'sandbox or none (lo alone), host, or the PATH of a network namespace (default: as before do)' },
  volume: { kind: 'list', alias: 'v', help: 'HOST:PLACE[:ro], a folder or file to share' },
  tmpfs: { kind: 'list', help: 'PLACE for files in memory' },
  'no-tty': { kind: 'bool', help: 'no terminal, even if there is one here' },
  quiet: { kind: 'bool' },
} as const;

export const doCommand = command('do', {
  usage: '[--] COMMAND [ARGUMENT…]',
  summary: 'run a command of this machine in a sandbox; what it writes stays in memory',
  flags: FLAGS,
  words: [1, Number.POSITIVE_INFINITY],
  greedy: true,
  run: async (context, flags, words) => {
    const terminal = !flags['no-tty'] && isatty(0) && isatty(1);
    const bundle = mkdtempSync(join(tmpdir(), 'runsc-do-'));
    try {
      writeFileSync(join(bundle, 'config.json'), JSON.stringify(describe(words, flags, terminal)));
      return await runIn(context, networkOf(context, flags.network), bundle, terminal);
    } catch (e) {
      const status = shellStatus(e);
      if (status === null) throw e;
      process.stderr.write(`runsc: ${(e as Error).message}\n`);
      return status;
    } finally {
      rmSync(bundle, { recursive: true, force: true });
    }
  },
});

/** What a shell gives for a command that cannot be started: 127 if it is not there, 126 if it cannot be executed; null: another error. */
function shellStatus(e: unknown): number | null {
  const message = e instanceof RuntimeError && /: exec: "/.test(e.message) ? e.message : '';
  if (/executable file not found|no such file or directory$/.test(message)) return 127;
  return /permission denied$|is a directory$|exec format error$/.test(message) ? 126 : null;
}

/** With the mode of the network that was asked for; a namespace by its path is a sandbox's own. */
function networkOf(context: Context, network: string | undefined): RuntimeSettings {
  if (network === undefined) return context.settings;
  const mode = network.startsWith('/') ? 'sandbox' : oneOf('network', network, ['sandbox', 'host', 'none'], 'sandbox');
  return { ...context.settings, network: mode };
}
async function runIn(context: Context, settings: RuntimeSettings, bundle: string, terminal: boolean): Promise<number> {
  const id = `do-${process.pid}-${Date.now().toString(36)}`;
  // No limits, so no cgroup: making one costs more than much of the rest.
  const containers = new Containers({ ...settings, ignoreCgroups: true });
  await removeAbandoned(containers);
  const container = await containers.create({ id, bundle, stdio: terminal ? terminalStdio() : inheritedStdio(), attached: true });
  return runToEnd(context, container, terminal);
}

/** State of earlier runs that were killed before they could clean up: their sandboxes ended with them. */
async function removeAbandoned(containers: Containers): Promise<void> {
  for (const { id } of await containers.list()) {
    const pid = /^do-(\d+)-/.exec(id)?.[1];
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) await containers.destroy(id).catch(() => {});
  }
}

type DoFlags = {
  readonly root: string | undefined;
  readonly cwd: string | undefined;
  readonly env: string[];
  readonly user: string | undefined;
} & {
  readonly hostname: string | undefined;
  readonly network: string | undefined;
  readonly volume: string[];
  readonly tmpfs: string[];
};

function describe(args: readonly string[], flags: DoFlags, terminal: boolean): Spec {
  const base = defaultSpec(args);
  const env = Object.entries(process.env).map(([name, value]) => `${name}=${value}`);
  const size = terminal ? windowSize(0) : null;
  const [uid, gid] = userOf(flags.user);
  return {
    ...base,
    root: { path: resolve(flags.root ?? '/') },
    hostname: flags.hostname ?? 'sandbox',
    process: {
      ...(base.process as NonNullable<Spec['process']>),
      terminal,
      ...(size === null ? {} : { consoleSize: { height: size.rows, width: size.columns } }),
      user: { uid, gid },
      cwd: flags.cwd ?? (flags.root === undefined ? process.cwd() : '/'),
      env: [...env, ...flags.env],
      noNewPrivileges: false,
      rlimits: [{ type: 'RLIMIT_NOFILE', soft: 1024, hard: 1_048_576 }],
    },
    // Without a pid namespace of its own the command is not process 1, whom signals without a handler do not end.
    linux: { ...base.linux, namespaces: namespacesOf(base, flags.network) },
    mounts: [...(base.mounts ?? []), ...flags.tmpfs.map(tmpfsMount), ...flags.volume.map(volumeMount)],
  };
}

function namespacesOf(base: Spec, network: string | undefined): { type: string; path?: string }[] {
  const wanted = (base.linux?.namespaces ?? []).filter(({ type }) => type !== 'pid');
  if (network?.startsWith('/') !== true) return wanted;
  return [...wanted.filter(({ type }) => type !== 'network'), { type: 'network', path: network }];
}

function userOf(text = '0:0'): [number, number] {
  const match = /^(\d+)(?::(\d+))?$/.exec(text);
  if (match !== null) return [Number(match[1]), Number(match[2] ?? match[1])];
  if (!/^[a-z_][\w.-]*\$?$/i.test(text)) throw new UsageError(`--user: ${text} is neither a name nor of the form UID[:GID]`);
  const { uid, gid } = hostUser(text);
  return [uid, gid];
}

function tmpfsMount(place: string): SpecMount {
  return { destination: place, type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'nodev', 'mode=1777'] };
}

function volumeMount(text: string): SpecMount {
  const [source, destination, mode = 'rw', ...more] = text.split(':');
  if (!source || !destination?.startsWith('/') || more.length > 0 || !/^r[ow]$/.test(mode))
    throw new UsageError(`--volume: ${text} is not of the form HOST:PLACE[:ro]`);
  return { destination, type: 'bind', source: resolve(source), options: ['rbind', mode] };
}
