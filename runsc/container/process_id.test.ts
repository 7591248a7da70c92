import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { exitCode, identify, isAlive, signal } from './process_id.ts';

test('a process is known by its start time, too', async () => {
  const child = spawn('/bin/sleep', ['100'], { stdio: 'ignore' });
  const known = identify(child.pid as number);
  expect(isAlive(known)).toBe(true);
  const other = { ...known, startTime: known.startTime - 1 };
  expect(isAlive(other)).toBe(false);
  expect(signal(other, 9)).toBe(false);
  expect(signal(known, 9)).toBe(true);
  await once(child, 'exit');
  expect(isAlive(known)).toBe(false);
  expect(signal(known, 9)).toBe(false);
});

test('wait statuses become exit codes', () => {
  expect([0, 7 << 8, 9, 11 | 0x80].map(exitCode)).toEqual([0, 7, 137, 139]);
});
