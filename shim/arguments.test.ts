import { checkId, parseArguments, UsageError } from './arguments.ts';

test('the command lines of containerd', () => {
  const words = '-namespace k8s.io -address /run/containerd/containerd.sock -publish-binary /usr/bin/containerd -id c1 -debug start';
  expect(parseArguments(words.split(' '))).toMatchObject({
    namespace: 'k8s.io',
    address: '/run/containerd/containerd.sock',
    publishBinary: '/usr/bin/containerd',
    id: 'c1',
    debug: true,
    action: 'start',
  });
  expect(parseArguments(['--id=c2', '-bundle', '/b', 'delete'])).toMatchObject({ id: 'c2', bundle: '/b', debug: false, action: 'delete' });
  expect(parseArguments(['-v'])).toMatchObject({ version: true, action: '' });
  expect(parseArguments(['-publish-binary', '', 'start'])).toMatchObject({ publishBinary: '', action: 'start' });
});

test.each([
  ['an unknown flag', ['-what', 'start'], 'flag provided but not defined: -what'],
  ['a flag without its value', ['-id'], 'flag needs an argument: -id'],
  ['two actions', ['start', 'delete'], 'unexpected argument "delete"'],
])('%s is refused', (_name, argv, message) => {
  expect(() => parseArguments(argv)).toThrow(message);
});

test.each(['', '../x', 'a/b', '.a', 'a..', 'x'.repeat(77), 'a\0b', 'a b'])('id %j is refused', (id) => {
  expect(() => checkId(id, 'id')).toThrow(UsageError);
});

test.each(['a', 'A-1_b.c', 'x'.repeat(76), 'a--b'])('id %j is taken', (id) => {
  expect(() => checkId(id, 'id')).not.toThrow();
});
