import { SIGKILL } from '../../abi/signal.ts';
import { FakeMachine } from '../testing/fake_task.ts';
import { BROKEN_CALL, endBrokenCall } from './broken_call.ts';
import { rootCredentials } from './credentials.ts';

test('a call that throws ends its process, and the log has its number, arguments and stack', () => {
  const machine = new FakeMachine();
  const lines: string[] = [];
  Object.assign(machine.kernel, { log: (line: string) => lines.push(line) });
  const task = machine.process();
  const other = machine.process(rootCredentials());
  task.syscallNumber = 16;
  task.thread.args[1] = 1;
  endBrokenCall(task, new TypeError('x is not a function'), 'ioctl(2)');
  expect(task.state).toBe('dead');
  expect(task.group.exiting).toBe(SIGKILL);
  expect(other.state).not.toBe('dead');
  expect(lines).toHaveLength(1);
  expect(lines[0]).toContain(`${BROKEN_CALL} 16 ioctl(2) [0x100000000 0x0`);
  expect(lines[0]).toMatch(/TypeError: x is not a function\n {4}at /);
});

test('a handler that throws does not leave the kernel', () => {
  const machine = new FakeMachine();
  const task = machine.process();
  Object.assign(machine.kernel, {
    syscalls: [
      {
        number: 0,
        man: 'read(2)',
        args: [],
        partial: null,
        refused: null,
        invoke: () => (undefined as unknown as { x: () => number }).x(),
      },
    ],
  });
  task.fake.data = task;
  task.fake.sysno = 0;
  machine.kernel.syscall(task.fake);
  expect(task.group.exiting).toBe(SIGKILL);
});
