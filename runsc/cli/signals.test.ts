import { signalNumber } from './signals.ts';

test('signals by number and by name', () => {
  expect(['15', 'TERM', 'SIGterm', 'RTMIN', 'SIGRTMIN+3', 'RTMAX-1', '0'].map(signalNumber)).toEqual([15, 15, 15, 34, 37, 63, 0]);
  expect(['99', 'NOPE', 'RTMIN+40', '-1', ''].map(signalNumber)).toEqual([null, null, null, null, null]);
});
