/** install, uninstall: this runtime in Docker's and containerd's configuration. */
import { existsSync } from 'node:fs';
import { command } from '../cli/command.ts';
import type { Flags } from '../cli/flags.ts';
import { RuntimeError } from '../container/types.ts';
import { addRuntime, ConfigError, removeRuntime } from '../setup/containerd_config.ts';
import { addDockerRuntime, parseDaemonJson, removeDockerRuntime } from '../setup/docker_config.ts';
import { BACKUP, type Change, editFile } from '../setup/edit_file.ts';
import { CONTAINERD_CONFIG, DOCKER_CONFIG, findProgram, ownPath, versionOf } from '../setup/places.ts';

/** What `docker cp`, `commit`, `diff` and `build` need: writes that reach the container's folder. */
const DOCKER_ARGS = ['--overlay2=none'];

const WHERE = {
  runtime: { kind: 'string', help: 'name of the runtime (default runsc)' },
  docker: { kind: 'bool', help: 'Docker alone' },
  containerd: { kind: 'bool', help: 'containerd alone' },
  'docker-config': { kind: 'string', alias: 'config_file', help: `default ${DOCKER_CONFIG}` },
  'containerd-config': { kind: 'string', help: `default ${CONTAINERD_CONFIG}` },
} as const;

interface Target {
  readonly name: 'docker' | 'containerd';
  readonly path: string;
}

/** The engines that are meant: those that were named, or those that this machine has. */
function targets(flags: Pick<Flags<typeof WHERE>, 'docker' | 'containerd' | 'docker-config' | 'containerd-config'>): Target[] {
  const paths = { docker: flags['docker-config'] ?? DOCKER_CONFIG, containerd: flags['containerd-config'] ?? CONTAINERD_CONFIG };
  const named = flags.docker || flags.containerd || flags['docker-config'] !== undefined || flags['containerd-config'] !== undefined;
  const wanted = {
    docker: named ? flags.docker || flags['docker-config'] !== undefined : findProgram('dockerd') !== null,
    containerd: named ? flags.containerd || flags['containerd-config'] !== undefined : findProgram('containerd') !== null,
  };
  const found = (['containerd', 'docker'] as const).filter((name) => wanted[name]).map((name) => ({ name, path: paths[name] }));
  if (found.length === 0)
    throw new RuntimeError('Invalid', 'this machine has neither Docker nor containerd; --docker or --containerd says so anyway');
  return found;
}

function change({ name, path }: Target, edit: (text: string) => string | null): void {
  let result: Change;
  try {
    result = editFile(path, edit);
  } catch (e) {
    throw e instanceof ConfigError ? new RuntimeError('Invalid', e.message, e) : e;
  }
  const note = result === 'changed' ? ` (as it was: ${path}${BACKUP}); restart ${name}` : result === 'created' ? `; restart ${name}` : '';
  process.stdout.write(`${path}: ${result}${note}\n`);
}

export const install = command('install', {
  usage: '[-- RUNSC FLAG…]',
  summary: 'make this runtime known to Docker and containerd; what else is in their files stays',
  flags: {
    ...WHERE,
    default: { kind: 'bool', help: "make it Docker's default runtime" },
    options: { kind: 'string', help: "containerd: the shim's options file (default /etc/containerd/runsc.toml, if it exists)" },
  },
  words: [0, Number.POSITIVE_INFINITY],
  run: (_context, flags, args) => {
    const { runtime = 'runsc', options = null } = flags;
    for (const target of targets(flags)) {
      if (target.name === 'docker') {
        const entry = { name: runtime, path: ownPath(), args: args.length === 0 ? DOCKER_ARGS : args, makeDefault: flags.default };
        change(target, (text) => addDockerRuntime(text, entry));
      } else {
        change(target, (text) => addRuntime(existsSync(target.path) ? text : emptyConfig(), { name: runtime, options }));
      }
    }
    return 0;
  },
});

export const uninstall = command('uninstall', {
  usage: '',
  summary: 'take back what install did',
  flags: WHERE,
  words: [0, 0],
  run: (_context, flags) => {
    const { runtime = 'runsc' } = flags;
    for (const target of targets(flags)) {
      if (target.name === 'docker') {
        change(target, (text) => {
          const next = removeDockerRuntime(text, runtime);
          return next !== text && Object.keys(parseDaemonJson(next)).length === 0 && !existsSync(target.path + BACKUP) ? null : next;
        });
      } else {
        change(target, (text) => {
          const next = removeRuntime(text);
          return next !== text && next === emptyConfig() && !existsSync(target.path + BACKUP) ? null : next;
        });
      }
    }
    return 0;
  },
});

/** The version of the file is that of the containerd that will read it. */
function emptyConfig(): string {
  return `version = ${(versionOf('containerd')?.[0] ?? 1) >= 2 ? 3 : 2}\n`;
}
