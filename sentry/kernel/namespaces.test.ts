import { SIGKILL } from '../../abi/signal.ts';
import { NamespaceFile } from '../fs/nsfs.ts';
import { registerTmpFs } from '../fs/tmpfs/register.ts';
import { FileMachine } from '../testing/fake_files.ts';
import { FakeMachine } from '../testing/fake_task.ts';
import { isMountpoint } from '../vfs/mount.ts';
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

const CLONE_NEWNS = 0x0002_0000;
/** A machine with a tmpfs at /m that only an unshared namespace has; the process in that. */
function unsharedMount() {
  const machine = new FileMachine();
  registerTmpFs(machine.kernel);
  const outside = machine.user();
  outside.call('mkdir', '/m', 0o755);
  const inside = machine.user();
  expect(inside.call('unshare', CLONE_NEWNS)).toBe(0);
  expect(inside.call('mount', 't', '/m', 'tmpfs', 0, 0)).toBe(0);
  const { mount: ns } = inside.task.namespaces;
  const mounted = [...ns.mounts()].find((m) => m.mountpoint?.name === 'm');
  const at = mounted?.mountpoint;
  if (mounted === undefined || !at) throw new Error('not mounted');
  return { machine, inside, ns, fs: mounted.fs, at };
}

test('the mounts of an unshared namespace go with its last task', () => {
  const { machine, inside, ns, fs, at } = unsharedMount();
  const second = machine.user();
  second.task.namespaces = inside.task.namespaces;
  exitGroup(inside.task.group, SIGKILL);
  expect(fs.mounts).toBe(1);
  exitGroup(second.task.group, SIGKILL);
  expect([fs.mounts, ns.ended, at.mountCount]).toEqual([0, true, 0]);
  expect(isMountpoint(machine.ns, at)).toBe(false);
  expect([...machine.ns.mounts()].length).toBe(1);
});
test('an open file of nsfs keeps them, a second unshare does not', () => {
  const { machine, inside, ns, fs } = unsharedMount();
  const handle = new NamespaceFile(machine.kernel, 'mnt', ns);
  expect(inside.call('unshare', CLONE_NEWNS)).toBe(0);
  expect(fs.mounts).toBe(2); // the copy has it too
  handle.release();
  expect([fs.mounts, ns.ended]).toEqual([1, true]);
  exitGroup(inside.task.group, SIGKILL);
  expect(fs.mounts).toBe(0);
});
