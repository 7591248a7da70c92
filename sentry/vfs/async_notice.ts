/** O_ASYNC (fcntl(2), "Managing signals"): readiness of a file as a signal to its owner. */
import { POLLERR, POLLHUP, POLLIN, POLLOUT, POLLPRI } from '../../abi/poll.ts';
import { SI_KERNEL, SIGIO, SIGURG } from '../../abi/signal.ts';
import { maySignal, sendToGroup } from '../kernel/signal_send.ts';
import type { Task } from '../kernel/task.ts';
import type { ThreadGroup } from '../kernel/thread_group.ts';
import type { WaitEntry } from '../kernel/wait.ts';
import type { FileDescription } from './file.ts';

// si_code of SIGIO and of the signal that F_SETSIG chose
const POLL_IN = 1;
const POLL_OUT = 2;
const POLL_ERR = 4;
const POLL_PRI = 5;
const POLL_HUP = 6;

/** One file with O_ASYNC set. It ends with the flag or with the file. */
export class AsyncNotice implements WaitEntry {
  readonly events = POLLIN | POLLOUT | POLLPRI;
  private readonly file: FileDescription;
  /** Who set the flag: its privileges decide whom it may signal, its pid namespace what F_SETOWN's number means. */
  private readonly setter: Task;
  private readonly fd: number;
  private readonly end = (): void => this.stop();

  constructor(file: FileDescription, setter: Task, fd: number) {
    this.file = file;
    this.setter = setter;
    this.fd = fd;
    file.impl.queue?.add(this);
    file.addReleaseHook(this.end);
  }
  stop(): void {
    this.file.impl.queue?.remove(this);
    this.file.removeReleaseHook(this.end);
  }

  wake(events: number): void {
    signalOwner(this.file, this.setter, { code: codeOf(events), band: events & 0xffff, fd: this.fd });
  }
}
/** SIGURG (socket(7)): to the owner, whether O_ASYNC is set or not. */
export function tellUrgent(file: FileDescription): void {
  const { owner, ownerSetter } = file;
  if (owner === 0 || ownerSetter === null) return;
  for (const group of ownersOf(ownerSetter, owner)) {
    if (maySignal(ownerSetter, group, SIGURG) === 0) sendToGroup(group, { signal: SIGURG, code: SI_KERNEL });
  }
}

/** SIGIO, or the signal that F_SETSIG chose with `told`, for whom F_SETOWN named and `setter` may signal. */
export function signalOwner(file: FileDescription, setter: Task, told: { code: number; band: number; fd: number }): void {
  const { owner, ownerSignal } = file;
  const info = ownerSignal === 0 ? { signal: SIGIO, code: SI_KERNEL } : { signal: ownerSignal, ...told };
  for (const group of ownersOf(setter, owner)) if (maySignal(setter, group, info.signal) === 0) sendToGroup(group, info);
}
function ownersOf({ pidNamespace }: Task, owner: number): Iterable<ThreadGroup> {
  if (owner < 0) return [...(pidNamespace.groups.get(-owner)?.members ?? [])];
  const group = owner === 0 ? undefined : pidNamespace.tasks.get(owner)?.group;
  return group === undefined ? [] : [group];
}

function codeOf(events: number): number {
  if ((events & POLLIN) !== 0) return POLL_IN;
  if ((events & POLLOUT) !== 0) return POLL_OUT;
  if ((events & POLLPRI) !== 0) return POLL_PRI;
  if ((events & POLLHUP) !== 0) return POLL_HUP;
  return (events & POLLERR) !== 0 ? POLL_ERR : POLL_IN;
}

/** Follows a change of the flag. */
export function setAsync(task: Task, file: FileDescription, fd: number, on: boolean): void {
  if (on === (file.asyncNotice !== null)) return;
  file.asyncNotice?.stop();
  file.asyncNotice = on ? new AsyncNotice(file, task, fd) : null;
}
