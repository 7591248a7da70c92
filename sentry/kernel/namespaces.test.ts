import { SIGKILL } from '../../abi/signal.ts';
import { FakeMachine } from '../testing/fake_task.ts';
import { exitGroup } from './exit.ts';
import { cloneNamespaces, type NewNamespaces } from './namespaces.ts';

test('segments of an unshared IPC namespace go with its last task, those of the container stay', () => {
  const machine = new FakeMachine();
  const first = machine.process();
  const second = machine.process();
  const fresh = cloneNamespaces(first, 0x0800_0000 /* CLONE_NEWIPC */, first.creds) as NewNamespaces;
  first.namespaces = second.namespaces = fresh.namespaces;
  let destroyed = 0;
  const segment = { destroy: () => destroyed++ };
  const { shm } = fresh.namespaces.ipc;
  Object.assign(shm, { objects: () => [segment] });
  exitGroup(first.group, SIGKILL);
  expect(destroyed).toBe(0);
  exitGroup(second.group, SIGKILL);
  expect(destroyed).toBe(1);
  const third = machine.process();
  Object.assign(third.namespaces.ipc.shm, { objects: () => [segment] });
  exitGroup(third.group, SIGKILL);
  expect(destroyed).toBe(1);
});
