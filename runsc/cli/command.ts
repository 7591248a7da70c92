/** How a command of runsc is declared. */
import type { Context } from './context.ts';
import { type Flags, type FlagTable, parseFlags, UsageError } from './flags.ts';

export interface Command {
  /** Words after the command's name: "ID SIGNAL". */
  readonly usage: string;
  readonly summary: string;
  readonly flags: FlagTable;
  /** Parses and runs: the exit code. */
  run(context: Context, args: readonly string[]): Promise<number>;
}

interface Declaration<T extends FlagTable> {
  readonly usage: string;
  readonly summary: string;
  readonly flags: T;
  /** Least and most positional words. */
  readonly words: readonly [min: number, max: number];
  /** Flags stop at the first positional word: what follows is another program's. */
  readonly greedy?: boolean;
  readonly run: (context: Context, flags: Flags<T>, words: string[]) => Promise<number> | number;
}

export function command<const T extends FlagTable>(name: string, declaration: Declaration<T>): Command {
  const { usage, summary, flags, words, greedy = false, run } = declaration;
  return {
    usage,
    summary,
    flags,
    run: async (context, args) => {
      const parsed = parseFlags(flags, args, !greedy);
      const { rest } = parsed;
      if (rest.length < words[0] || rest.length > words[1]) throw new UsageError(`usage: runsc ${name} [flags] ${usage}`);
      return await run(context, parsed.flags, rest);
    },
  };
}
