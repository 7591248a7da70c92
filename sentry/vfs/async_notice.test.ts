import { F_SETFL, F_SETOWN, F_SETSIG, O_NONBLOCK } from '../../abi/fcntl.ts';
import { SIGIO, SIGUSR1 } from '../../abi/signal.ts';
import { FileMachine, type FileUser } from '../testing/fake_files.ts';

const FASYNC = 0o20000;

function pipe(u: FileUser): [number, number] {
  const at = u.memory.place(8);
  u.call('pipe2', at, O_NONBLOCK);
  return [u.memory.i32(at), u.memory.i32(at + 4)];
}

test('O_ASYNC: a signal for the owner when something comes; none after it is switched off', () => {
  const u = new FileMachine().user();
  u.task.signalMask = ~0n;
  const { pending } = u.task.group;
  const [r, w] = pipe(u);
  expect(u.call('fcntl', r, F_SETFL, O_NONBLOCK | FASYNC)).toBe(0);
  u.write(w, 'x');
  expect(pending.take(~0n)).toBeNull(); // nobody owns it
  u.call('fcntl', r, F_SETOWN, u.task.pid);
  u.write(w, 'x');
  expect(pending.take(~0n)).toMatchObject({ signal: SIGIO, code: 0x80 });
  u.call('fcntl', r, F_SETSIG, SIGUSR1);
  u.write(w, 'x');
  expect(pending.take(~0n)).toMatchObject({ signal: SIGUSR1, code: 1, fd: r });
  u.call('fcntl', r, F_SETFL, O_NONBLOCK);
  u.write(w, 'x');
  expect(pending.take(~0n)).toBeNull();
  u.call('fcntl', r, F_SETFL, O_NONBLOCK | FASYNC);
  u.call('fcntl', r, F_SETOWN, -u.task.pid);
  u.write(w, 'x');
  expect(pending.take(~0n)).toMatchObject({ signal: SIGUSR1 });
  u.call('close', r);
  u.call('close', w);
});
