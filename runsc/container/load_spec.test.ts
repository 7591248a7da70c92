import { checkId, checkProcess, checkSpec } from './load_spec.ts';

const MINIMAL = { ociVersion: '1.0.2', root: { path: 'rootfs' }, process: { cwd: '/', args: ['sh'], user: { uid: 0, gid: 0 } } };

test('takes a minimal document and what it does not know', () => {
  expect(checkSpec(MINIMAL)).toBe(MINIMAL);
  expect(() => checkSpec({ ...MINIMAL, vm: { kernel: 1 }, linux: { personality: {}, resources: { pids: { limit: 5 } } } })).not.toThrow();
});

test.each([
  [{ ...MINIMAL, ociVersion: '2.0' }, 'ociVersion: is not of version 1.x'],
  [{ ...MINIMAL, root: undefined }, 'root: is missing (an object)'],
  [{ ...MINIMAL, process: { cwd: 'x', args: ['a'] } }, 'process.cwd: is not an absolute path'],
  [{ ...MINIMAL, process: { cwd: '/', args: [] } }, 'process.args: is not a list of at least one string'],
  [{ ...MINIMAL, process: { cwd: '/', args: ['a', 3] } }, 'process.args[1]: is not a string'],
  [{ ...MINIMAL, mounts: [{ destination: '/a' }, { source: 'x' }] }, 'mounts[1].destination: is missing (a string)'],
  [{ ...MINIMAL, linux: { namespaces: [{ type: 'net' }] } }, 'linux.namespaces[0].type: is not one of pid, network'],
  [{ ...MINIMAL, hooks: { prestart: [{ path: 'x' }] } }, 'hooks.prestart[0].path: is not an absolute path'],
  [
    { ...MINIMAL, process: { cwd: '/', args: ['a'], rlimits: [{ type: 'RLIMIT_CPU', soft: 2, hard: 1 }] } },
    'process.rlimits[0].soft: is not at',
  ],
])('names the field that is wrong', (spec, message) => {
  expect(() => checkSpec(spec)).toThrow(message);
});

test('an exec document is checked alike', () => {
  expect(() => checkProcess({ cwd: '/', args: ['a'], user: { uid: -1 } })).toThrow('process.user.uid: is not a whole number from 0');
});

test('ids are file names', () => {
  for (const bad of ['', '.', '..', 'a/b', 'a b', 'ä']) expect(() => checkId(bad)).toThrow('container id');
  checkId('a.b_c-d+1');
});
