import { SIGHUP, SIGTSTP } from '../../abi/signal.ts';
import { getpgid, getsid, setpgid, setsid } from '../syscalls/sys_session.ts';
import { rootCredentials } from './credentials.ts';
import { PidNamespace } from './pid_namespace.ts';
import { ResourceLimits } from './rlimits.ts';
import { exitJobControl, isOrphaned, joinGroup, leaveGroup, startSession } from './session.ts';
import { PendingSignals, SignalHandlers } from './signal_state.ts';
import type { Task } from './task.ts';
import { noUsage, type ThreadGroup } from './thread_group.ts';
import { WaitQueue } from './wait.ts';

/** Processes with no more than what sessions look at. */
class World {
  readonly ns = new PidNamespace(null, 1);

  process(parent: Task | null): Task {
    const pid = this.ns.allocate();
    const group = {
      pidNamespace: this.ns,
      idIn: () => pid,
      parent: parent?.group ?? null,
      hasExeced: false,
      zombie: false,
      exiting: null,
      stopped: false,
      stopSignal: 0,
      handlers: new SignalHandlers(),
      limits: new ResourceLimits(),
      signalEvents: new WaitQueue(),
      childEvents: new WaitQueue(),
      dead: noUsage(),
      pending: new PendingSignals(),
      tasks: [],
      children: new Set<ThreadGroup>(),
    } as unknown as ThreadGroup;
    const task = {
      group,
      trace: null,
      ids: [pid],
      tid: pid,
      pid,
      pidNamespace: this.ns,
      signalMask: 0n,
      creds: { ...rootCredentials(), uid: 0 },
    } as unknown as Task;
    group.leader = task;
    this.ns.tasks.set(pid, task);
    if (parent === null) startSession(group);
    else joinGroup(group, parent.group.group);
    return task;
  }
}

function pendingOf(task: Task): number[] {
  const out: number[] = [];
  for (let info = task.group.pending.take(~0n); info !== null; info = task.group.pending.take(~0n)) out.push(info.signal);
  return out;
}

test('a first process leads session and group; children inherit', () => {
  const world = new World();
  const init = world.process(null);
  const child = world.process(init);
  expect([getsid(child, 0), getpgid(child, 0)]).toEqual([1, 1]);
  expect(setsid(init)).toBe(-1); // EPERM: leads already
  expect(setsid(child)).toBe(2);
  expect([getsid(init, 2), getpgid(init, 2)]).toEqual([2, 2]);
  expect(getsid(init, 99)).toBe(-3);
});

test('setpgid rules', () => {
  const world = new World();
  const shell = world.process(null);
  const a = world.process(shell);
  const b = world.process(shell);
  const grandchild = world.process(a);
  expect(setpgid(shell, 0, 0)).toBe(-1); // a session leader stays
  expect(setpgid(shell, 2, -1)).toBe(-22);
  expect(setpgid(shell, 2, 2)).toBe(0);
  expect(setpgid(shell, 3, 2)).toBe(0);
  expect(getpgid(b, 0)).toBe(2);
  expect(setpgid(shell, 3, 77)).toBe(-1); // no such group
  expect(setpgid(shell, grandchild.pid, 2)).toBe(-3); // not a child
  b.group.hasExeced = true;
  expect(setpgid(shell, 3, 3)).toBe(-13);
  expect(setpgid(b, 0, 0)).toBe(0); // oneself, any time
  expect(setsid(a)).toBe(-1); // its number is a group's
});

test('numbers are free again when the last member is reaped', () => {
  const world = new World();
  const init = world.process(null);
  const child = world.process(init);
  setsid(child);
  expect(world.ns.sessions.has(2) && world.ns.groups.has(2)).toBe(true);
  leaveGroup(child.group);
  expect(world.ns.sessions.has(2) || world.ns.groups.has(2)).toBe(false);
});

test('a stopped group that loses its last link to the session gets SIGHUP and goes on', () => {
  const world = new World();
  const init = world.process(null);
  const shell = world.process(init);
  setsid(shell);
  const job = world.process(shell);
  setpgid(shell, job.pid, job.pid);
  expect(isOrphaned(job.group.group)).toBe(false);
  expect(isOrphaned(shell.group.group)).toBe(true); // its parent is in another session
  job.group.stopped = true;
  job.group.stopSignal = SIGTSTP;
  shell.group.zombie = true;
  job.group.parent = init.group;
  exitJobControl(shell.group, [job.group]);
  expect(pendingOf(job)).toEqual([SIGHUP]); // SIGCONT, ignored by default, has done its work
  expect(job.group.stopped).toBe(false);
});

test('a running orphan is left alone; the leader takes the terminal down', () => {
  const world = new World();
  const shell = world.process(null);
  const job = world.process(shell);
  setpgid(shell, job.pid, job.pid);
  let hungUp = 0;
  shell.group.group.session.attach({ rdev: 0, foreground: null, control: () => {}, disassociate: () => hungUp++, hangUp: () => {} });
  shell.group.zombie = true;
  job.group.parent = null;
  exitJobControl(shell.group, [job.group]);
  expect(hungUp).toBe(1);
  expect(pendingOf(job)).toEqual([]);
});
