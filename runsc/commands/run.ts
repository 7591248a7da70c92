/** run: create, start, wait, delete. */
import { command } from '../cli/command.ts';
import type { Context } from '../cli/context.ts';
import type { Container } from '../container/container.ts';
import type { CreateOptions } from '../container/types.ts';
import { RuntimeError } from '../container/types.ts';
import { attend, terminalStdio } from './foreground.ts';
import { BUNDLE_FLAGS } from './lifecycle.ts';
import { inheritedStdio, preservedFds } from './stdio.ts';

export const run = command('run', {
  usage: 'ID',
  summary: 'create, start, wait for the end, delete',
  flags: { ...BUNDLE_FLAGS, detach: { kind: 'bool', alias: 'd', help: 'do not wait' }, 'no-subreaper': { kind: 'bool' } },
  words: [1, 1],
  run: async (context, flags, [id]) => {
    const { detach, keep } = flags;
    const terminal = await wantsTerminal(flags.bundle ?? '.');
    const consoleSocket = flags['console-socket'];
    if (terminal && detach && consoleSocket === undefined)
      throw new RuntimeError('Invalid', 'cannot allocate tty if runc will detach without setting console socket');
    const options: CreateOptions = {
      id: id as string,
      bundle: flags.bundle ?? '.',
      stdio: terminal && consoleSocket === undefined ? terminalStdio() : inheritedStdio(),
      ...(consoleSocket === undefined ? {} : { consoleSocket }),
      ...(flags['pid-file'] === undefined ? {} : { pidFile: flags['pid-file'] }),
      extraFds: preservedFds(flags['preserve-fds']),
      attached: !detach,
    };
    const container = await context.containers.create(options);
    return detach ? runDetached(container) : runToEnd(context, container, terminal && consoleSocket === undefined, keep);
  },
});

async function wantsTerminal(bundle: string): Promise<boolean> {
  const { loadSpec } = await import('../container/load_spec.ts');
  return loadSpec(bundle).spec.process?.terminal === true;
}

async function runDetached(container: Container): Promise<number> {
  try {
    await container.start();
  } catch (e) {
    await container.delete({ force: true });
    throw e;
  }
  container.close();
  return 0;
}

/** Whatever happens, nothing is left behind, unless it is meant to. */
export async function runToEnd(_context: Context, container: Container, terminal: boolean, keep = false): Promise<number> {
  try {
    const ended = attend(container, terminal);
    // A start that fails ends the container as well: the reason is what start says.
    ended.catch(() => {});
    await container.start();
    return (await ended).exitCode;
  } finally {
    if (!keep) await container.delete({ force: true });
    container.close();
  }
}
