import { parseFlags, UsageError } from './flags.ts';

const TABLE = {
  root: { kind: 'string' },
  debug: { kind: 'bool' },
  bundle: { kind: 'string', alias: 'b' },
  env: { kind: 'list', alias: 'e' },
  'preserve-fds': { kind: 'int' },
  memory: { kind: 'size' },
  disk: { kind: 'int', refused: 'there is none' },
} as const;

test('one dash, two dashes, values apart and inline', () => {
  const { flags, rest } = parseFlags(TABLE, ['-root', '/r', '--debug', '-b=/x', '-e', 'A=1', '--env=B=2', 'id', '--debug=false']);
  expect(flags).toEqual({
    root: '/r',
    debug: true,
    bundle: '/x',
    env: ['A=1', 'B=2'],
    'preserve-fds': undefined,
    memory: undefined,
    disk: undefined,
  });
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
  [['--memory=much'], 'no number of bytes'],
  [['--disk', '5'], 'there is none'],
])('%s is refused', (args, message) => {
  expect(() => parseFlags(TABLE, args)).toThrow(UsageError);
  expect(() => parseFlags(TABLE, args)).toThrow(message);
});

test.each([
  ['4096', 4096],
  ['64k', 65536],
  ['2G', 2 * 2 ** 30],
  ['512mb', 512 * 2 ** 20],
  ['-1', -1],
])('%s is %d bytes', (text, bytes) => {
  expect(parseFlags(TABLE, [`--memory=${text}`, '--disk=0']).flags).toMatchObject({ memory: bytes, disk: 0 });
});
