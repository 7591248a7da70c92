import { parseFlags, UsageError } from './flags.ts';

const TABLE = {
  root: { kind: 'string' },
  debug: { kind: 'bool' },
  bundle: { kind: 'string', alias: 'b' },
  env: { kind: 'list', alias: 'e' },
  'preserve-fds': { kind: 'int' },
} as const;

test('one dash, two dashes, values apart and inline', () => {
  const { flags, rest } = parseFlags(TABLE, ['-root', '/r', '--debug', '-b=/x', '-e', 'A=1', '--env=B=2', 'id', '--debug=false']);
  expect(flags).toEqual({ root: '/r', debug: true, bundle: '/x', env: ['A=1', 'B=2'], 'preserve-fds': undefined });
  expect(rest).toEqual(['id', '--debug=false']);
});

test('flags may follow words where the command says so, up to --', () => {
  const { flags, rest } = parseFlags(TABLE, ['id', '--debug', '--', '-x'], true);
  expect(flags.debug).toBe(true);
  expect(rest).toEqual(['id', '-x']);
});

test.each([
  [['--nope'], 'unknown flag --nope'],
  [['--root'], 'needs a value'],
  [['--preserve-fds=x'], 'no whole number'],
  [['--debug=maybe'], 'neither true nor false'],
])('%s is refused', (args, message) => {
  expect(() => parseFlags(TABLE, args)).toThrow(UsageError);
  expect(() => parseFlags(TABLE, args)).toThrow(message);
});
