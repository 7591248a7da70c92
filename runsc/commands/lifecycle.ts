/** create, start, kill, delete, pause, resume: the verbs of the OCI runtime specification, and the shim's and Docker's contract. */
import { command } from '../cli/command.ts';
import { UsageError } from '../cli/flags.ts';
import { signalNumber } from '../cli/signals.ts';
import { RuntimeError } from '../container/types.ts';
import { inheritedStdio, preservedFds } from './stdio.ts';

/** Flags of create and run. */
export const BUNDLE_FLAGS = {
  bundle: { kind: 'string', alias: 'b', help: 'folder with config.json (default: the current one)' },
  'pid-file': { kind: 'string', help: "file that gets the sandbox's pid" },
  'console-socket': { kind: 'string', help: 'unix socket that gets the master of the terminal' },
  'preserve-fds': { kind: 'int', help: 'pass so many descriptors from 3 on to the program' },
  // Concern kernels that are shared with the host.
  'no-pivot': { kind: 'bool' },
  'no-new-keyring': { kind: 'bool' },
  keep: { kind: 'bool', help: 'run: leave the container in place when it ends' },
} as const;

export const create = command('create', {
  usage: 'ID',
  summary: 'make a container; its program waits for start',
  flags: BUNDLE_FLAGS,
  words: [1, 1],
  run: async ({ containers }, flags, [id]) => {
    const container = await containers.create({
      id: id as string,
      bundle: flags.bundle ?? '.',
      stdio: inheritedStdio(),
      ...(flags['console-socket'] === undefined ? {} : { consoleSocket: flags['console-socket'] }),
      ...(flags['pid-file'] === undefined ? {} : { pidFile: flags['pid-file'] }),
      extraFds: preservedFds(flags['preserve-fds']),
    });
    container.close();
    return 0;
  },
});

export const start = command('start', {
  usage: 'ID',
  summary: 'run the program of a container that was created',
  flags: {},
  words: [1, 1],
  run: async ({ containers }, _flags, [id]) => {
    await (await containers.load(id as string)).start();
    return 0;
  },
});

export const kill = command('kill', {
  usage: 'ID [SIGNAL]',
  summary: 'send a signal (default TERM)',
  flags: { all: { kind: 'bool', alias: 'a', help: 'to every process of the container' }, pid: { kind: 'int' } },
  words: [1, 2],
  run: async ({ containers }, { all }, [id, signal = 'TERM']) => {
    const number = signalNumber(signal);
    if (number === null) throw new UsageError(`unknown signal ${signal}`);
    await (await containers.load(id as string)).kill(number, { all });
    return 0;
  },
});

export const remove = command('delete', {
  usage: 'ID',
  summary: 'remove a container that has ended, or with --force any',
  flags: { force: { kind: 'bool', alias: 'f', help: 'kill it first; no error if there is none' } },
  words: [1, 1],
  run: async ({ containers }, { force }, [id]) => {
    try {
      await (await containers.load(id as string)).delete({ force });
    } catch (e) {
      if (!force || !(e instanceof RuntimeError)) throw e;
      if (e.kind === 'NotFound' || e.kind === 'Internal') await containers.destroy(id as string);
      else throw e;
    }
    return 0;
  },
});

export const pause = command('pause', {
  usage: 'ID',
  summary: 'freeze a container',
  flags: {},
  words: [1, 1],
  run: async ({ containers }, _flags, [id]) => {
    await (await containers.load(id as string)).pause();
    return 0;
  },
});

export const resume = command('resume', {
  usage: 'ID',
  summary: 'let a frozen container go on',
  flags: {},
  words: [1, 1],
  run: async ({ containers }, _flags, [id]) => {
    await (await containers.load(id as string)).resume();
    return 0;
  },
});
