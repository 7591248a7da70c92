/** Who may use a terminal when (credentials(7), tcsetpgrp(3)): background access, becoming and ceasing to be the controlling terminal. */
import { EINVAL, EIO, ENOTTY, EPERM, ERESTARTSYS, type Errno, ESRCH } from '../../abi/errno.ts';
import { SI_KERNEL, SIG_IGN, SIGCONT, SIGHUP, SIGTTIN, SIGTTOU } from '../../abi/signal.ts';
import { CAP_SYS_ADMIN, hasCap } from '../kernel/credentials.ts';
import { controllingTerminal, isOrphaned } from '../kernel/session.ts';
import { sendToProcessGroup } from '../kernel/signal_send.ts';
import { signalBit } from '../kernel/signal_state.ts';
import type { Task } from '../kernel/task.ts';
import type { Terminal } from './terminal.ts';

/** May the task read (SIGTTIN) or change and write (SIGTTOU) its controlling terminal now? ERESTARTSYS: the signal has been sent. */
export function checkBackground(task: Task, terminal: Terminal, signal: typeof SIGTTIN | typeof SIGTTOU): 0 | Errno {
  const { group } = task.group;
  if (controllingTerminal(task.group) !== terminal || terminal.foreground === null || terminal.foreground === group) return 0;
  const ignored = (task.signalMask & signalBit(signal)) !== 0n || task.group.handlers.get(signal).handler === SIG_IGN;
  if (ignored) return signal === SIGTTIN ? EIO : 0;
  if (isOrphaned(group)) return EIO;
  sendToProcessGroup(group, { signal, code: SI_KERNEL });
  return ERESTARTSYS;
}

/** After open(2) without O_NOCTTY: a session leader without a terminal gets this one. */
export function controlAtOpen(task: Task, terminal: Terminal): void {
  const { session } = task.group.group;
  if (session.leader !== task.group || session.terminal !== null || terminal.session !== null) return;
  terminal.control(session, task.group.group);
}

/** TIOCSCTTY. `steal`: take it from another session, as an administrator may. */
export function setControlling(task: Task, terminal: Terminal, steal: boolean, readable: boolean): 0 | Errno {
  const { session } = task.group.group;
  const leads = session.leader === task.group;
  if (leads && terminal.session === session) return 0;
  if (!leads || session.terminal !== null) return EPERM;
  const admin = hasCap(task.creds, CAP_SYS_ADMIN);
  if (terminal.session !== null) {
    if (!steal || !admin) return EPERM;
    terminal.uncontrol();
  }
  if (!readable && !admin) return EPERM;
  terminal.control(session, task.group.group);
  return 0;
}

/** TIOCNOTTY: a leader takes the terminal from the whole session, anyone else from itself. */
export function giveUpControlling(task: Task, terminal: Terminal): 0 | Errno {
  const process = task.group;
  if (controllingTerminal(process) !== terminal) return ENOTTY;
  const { session } = process.group;
  if (session.leader !== process) {
    session.detach(process);
    return 0;
  }
  const { foreground } = terminal;
  terminal.uncontrol();
  if (foreground !== null) {
    sendToProcessGroup(foreground, { signal: SIGHUP, code: SI_KERNEL });
    sendToProcessGroup(foreground, { signal: SIGCONT, code: SI_KERNEL });
  }
  return 0;
}

/** TIOCGPGRP through the slave (`own`: must be the caller's terminal) or the master. */
export function foregroundGroup(task: Task, terminal: Terminal, own: boolean): number {
  if (own && controllingTerminal(task.group) !== terminal) return ENOTTY;
  return terminal.foreground?.idIn(task.pidNamespace) ?? 0;
}

/** TIOCSPGRP. */
export function setForegroundGroup(task: Task, terminal: Terminal, id: number): 0 | Errno {
  const background = checkBackground(task, terminal, SIGTTOU);
  if (background !== 0) return background === EIO ? ENOTTY : background;
  const { session } = task.group.group;
  if (controllingTerminal(task.group) !== terminal || terminal.session !== session) return ENOTTY;
  if (id < 0) return EINVAL;
  const group = task.pidNamespace.groups.get(id);
  if (group === undefined) return ESRCH;
  if (group.session !== session) return EPERM;
  terminal.foreground = group;
  return 0;
}

/** TIOCGSID. */
export function sessionOf(task: Task, terminal: Terminal, own: boolean): number {
  if ((own && controllingTerminal(task.group) !== terminal) || terminal.session === null) return ENOTTY;
  return terminal.session.idIn(task.pidNamespace);
}
