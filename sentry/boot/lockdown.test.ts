import { wrongLine } from './lockdown.ts';

const LOCKED = [
  'Name:\tnode',
  'Uid:\t65534\t65534\t65534\t65534',
  'Gid:\t65534\t65534\t65534\t65534',
  'CapInh:\t0000000000000000',
  'CapPrm:\t0000000000000000',
  'CapEff:\t0000000000000000',
  'CapBnd:\t000001ffffffffff',
  'CapAmb:\t0000000000000000',
  'NoNewPrivs:\t1',
].join('\n');

test('a thread without power passes', () => {
  expect(wrongLine(LOCKED, 65534)).toBeNull();
});

test.each([
  ['CapEff:\t0000000000000000', 'CapEff:\t0000000000200000', 'CapEff'],
  ['Uid:\t65534\t65534\t65534\t65534', 'Uid:\t65534\t65534\t0\t65534', 'Uid'],
  ['NoNewPrivs:\t1', 'NoNewPrivs:\t0', 'NoNewPrivs'],
  ['CapAmb:\t0000000000000000\n', '', 'CapAmb'],
])('a thread that kept something is named', (from, to, name) => {
  expect(wrongLine(LOCKED.replace(from, to), 65534)).toMatch(name);
});
