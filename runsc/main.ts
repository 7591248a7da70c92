/** runsc: the OCI runtime's command line. */
import type { Command } from './cli/command.ts';
import { Context, GLOBAL_FLAGS } from './cli/context.ts';
import { describeFlags, parseFlags, UsageError } from './cli/flags.ts';
import { versionText } from './cli/version.ts';
import { COMMANDS } from './commands/index.ts';

/** Of usage mistakes and failures alike, as runc's. */
const FAILURE = 1;

async function main(argv: readonly string[]): Promise<number> {
  const { flags, rest } = parseFlags(GLOBAL_FLAGS, argv);
  const [name, ...args] = rest;
  if (flags.version) return print(versionText());
  if (flags.help || name === undefined || name === 'help') return print(usage(name === 'help' ? args[0] : name));
  const command = COMMANDS[name];
  if (command === undefined) throw new UsageError(`unknown command ${name}; runsc help lists them`);
  if (args.some((a, i) => /^--?(help|h)$/.test(a) && !args.slice(0, i).includes('--')) && name !== 'do')
    return print(commandUsage(name, command));
  const context = new Context(flags);
  process.on('warning', (w) => context.warn(w.message));
  try {
    return await command.run(context, args);
  } catch (e) {
    context.error((e as Error).message);
    if (context.settings.debug) process.stderr.write(`${(e as Error).stack}\n`);
    return FAILURE;
  }
}

function print(text: string): number {
  process.stdout.write(`${text}\n`);
  return 0;
}

function usage(name: string | undefined): string {
  const known = name === undefined ? undefined : COMMANDS[name];
  if (known !== undefined) return commandUsage(name as string, known);
  const width = Math.max(...Object.keys(COMMANDS).map((n) => n.length));
  const lines = Object.entries(COMMANDS).map(([n, c]) => `  ${n.padEnd(width)}  ${c.summary}`);
  return `usage: runsc [global flags] COMMAND [flags] [words]\n\ncommands:\n${lines.join('\n')}\n\nglobal flags:\n${describeFlags(GLOBAL_FLAGS)}`;
}

function commandUsage(name: string, command: Command): string {
  const flags = describeFlags(command.flags);
  return `usage: runsc ${name} ${flags === '' ? '' : '[flags] '}${command.usage}\n\n${command.summary}${flags === '' ? '' : `\n\nflags:\n${flags}`}`;
}

main(process.argv.slice(2)).then(
  (code) => process.exit(code),
  (e: Error) => {
    process.stderr.write(`runsc: ${e.message}\n`);
    process.exit(FAILURE);
  },
);
