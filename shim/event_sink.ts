/** What happens to tasks, as containerd's events. Topic and message of each stand here alone. */
import { type Any, Events, timestamp } from '../proto/messages.ts';
import type { EventPublisher } from './events.ts';
import type { MountRequest } from './mounts.ts';
import type { Exit } from './process.ts';
import type { StdioNames } from './stdio.ts';

export interface EventSink {
  create(event: { id: string; bundle: string; rootfs: readonly MountRequest[]; io: StdioNames; pid: number }): void;
  start(id: string, pid: number): void;
  /** `processId`: the container's or the exec's. */
  exit(id: string, processId: string, exit: Exit): void;
  delete(id: string, exit: Exit): void;
  oom(id: string): void;
  execAdded(id: string, execId: string): void;
  execStarted(id: string, execId: string, pid: number): void;
  paused(id: string): void;
  resumed(id: string): void;
}

const nothing = (): void => {};

/** For what is no task of containerd's. */
export const SILENT: EventSink = {
  create: nothing,
  start: nothing,
  exit: nothing,
  delete: nothing,
  oom: nothing,
  execAdded: nothing,
  execStarted: nothing,
  paused: nothing,
  resumed: nothing,
};

function any(name: string, encoded: { finish(): Uint8Array }): Any {
  return { type_url: `containerd.events.${name}`, value: encoded.finish() };
}

export function eventSink(publisher: Pick<EventPublisher, 'publish'>): EventSink {
  return {
    create: ({ id, bundle, rootfs, io, pid }) =>
      publisher.publish(
        '/tasks/create',
        any(
          'TaskCreate',
          Events.TaskCreate.encode({ container_id: id, bundle, rootfs: rootfs.map((m) => ({ ...m, options: [...m.options] })), io, pid }),
        ),
      ),
    start: (id, pid) => publisher.publish('/tasks/start', any('TaskStart', Events.TaskStart.encode({ container_id: id, pid }))),
    exit: (id, processId, exit) =>
      publisher.publish(
        '/tasks/exit',
        any(
          'TaskExit',
          Events.TaskExit.encode({
            container_id: id,
            id: processId,
            pid: exit.pid,
            exit_status: exit.exitCode,
            exited_at: timestamp(exit.exitedAt),
          }),
        ),
      ),
    delete: (id, exit) =>
      publisher.publish(
        '/tasks/delete',
        any(
          'TaskDelete',
          Events.TaskDelete.encode({
            container_id: id,
            pid: exit.pid,
            exit_status: exit.exitCode,
            exited_at: timestamp(exit.exitedAt),
            id,
          }),
        ),
      ),
    oom: (id) => publisher.publish('/tasks/oom', any('TaskOOM', Events.TaskOOM.encode({ container_id: id }))),
    execAdded: (id, execId) =>
      publisher.publish('/tasks/exec-added', any('TaskExecAdded', Events.TaskExecAdded.encode({ container_id: id, exec_id: execId }))),
    execStarted: (id, execId, pid) =>
      publisher.publish(
        '/tasks/exec-started',
        any('TaskExecStarted', Events.TaskExecStarted.encode({ container_id: id, exec_id: execId, pid })),
      ),
    paused: (id) => publisher.publish('/tasks/paused', any('TaskPaused', Events.TaskPaused.encode({ container_id: id }))),
    resumed: (id) => publisher.publish('/tasks/resumed', any('TaskResumed', Events.TaskResumed.encode({ container_id: id }))),
  };
}
