/**
 * Every command of commands.ts, run by containerd with runc and with this runtime: same output, same exit status. Writes the
 * table of docs/compat-commands.md when UPDATE_DOCS=1.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { COMMANDS, type Command } from './commands.ts';
import { Containerd, missing, type Result, RUNC, RUNSC } from './containerd.ts';

const lacking = missing();
const suite = lacking.length === 0 ? describe : describe.skip;
const TIMEOUT = 180_000;

interface Row {
  readonly command: Command;
  readonly reference: Result;
  readonly ours: Result;
  readonly same: boolean;
}

suite('commands give what they give under runc', () => {
  let containerd: Containerd;
  const rows: Row[] = [];

  beforeAll(async () => {
    containerd = await Containerd.start();
  }, 300_000);
  afterAll(async () => {
    await containerd?.stop();
    if (process.env.UPDATE_DOCS === '1') writeFileSync(join(__dirname, '../../docs/compat-commands.md'), page(rows));
  }, 60_000);

  test.each(COMMANDS.map((c) => [`${c.image.includes('busybox') ? 'busybox' : 'debian'}: ${c.name}`, c] as const))(
    '%s',
    (_name, command) => {
      const run = (runtime: string): Result => containerd.run(runtime, command.image, command.argv, options(command));
      const ours = run(RUNSC);
      const actual = comparable(command, ours);
      let reference = run(RUNC);
      let expected = comparable(command, reference);
      // Now and then ctr ends before it has copied the last output of a short runc container: the reference is asked again, ours never.
      for (let again = 0; again < 2 && !same(expected, actual); again++) {
        reference = run(RUNC);
        expected = comparable(command, reference);
      }
      rows.push({ command, reference, ours, same: same(expected, actual) });
      expect(actual).toEqual(expected);
    },
    TIMEOUT,
  );
});

function options(command: Command) {
  return { timeoutMs: 80_000, ...(command.input === undefined ? {} : { input: command.input }), flags: command.flags ?? [] };
}

function comparable(command: Command, r: Result): Result {
  const normalise = command.normalise ?? ((s: string) => s);
  // ctr's own lines are not the program's.
  const stderr = r.stderr.replaceAll(/^(ctr: |time=).*\n/gm, '');
  return { status: r.status, stdout: normalise(r.stdout), stderr: normalise(stderr) };
}

const same = (a: Result, b: Result): boolean => JSON.stringify(a) === JSON.stringify(b);

const shown = (text: string): string => {
  const line = text.trim().replaceAll('\n', ' ⏎ ').replaceAll('|', '\\|').replaceAll('`', "'");
  return line.length > 60 ? `${line.slice(0, 57)}…` : line;
};

function page(rows: readonly Row[]): string {
  const lines = rows.map(({ command, reference, ours, same }) => {
    const script = command.argv.length === 3 && command.argv[1] === '-c' ? (command.argv[2] as string) : command.argv.join(' ');
    const result = (r: Result): string => `\`${shown(comparable(command, r).stdout) || ' '}\` (${r.status ?? 'no end'})`;
    const image = command.image.includes('busybox') ? 'busybox' : 'Debian';
    return `| ${image} | ${command.name} | \`${shown(script)}\` | ${result(reference)} | ${result(ours)} | ${same ? 'same' : '**differs**'} |`;
  });
  const same = rows.filter((r) => r.same).length;
  return `# Commands, compared with runc

Each command runs twice through the same containerd, under runc and under this runtime, and standard output, standard error
and exit status are compared in full (here: the start of the output, and the status). Times, pids and sizes that differ
between any two runs are left out of the comparison. Written by \`UPDATE_DOCS=1 npx jest integration/containerd/compare\`.

${same} of ${rows.length} are the same.

| image | what | command | runc | runsc | |
|---|---|---|---|---|---|
${lines.join('\n')}
`;
}
