/**
 * --strace: one line a system call, in the form of strace(1). The kernel calls these hooks only while `Kernel.strace` is set, so that
 * tracing costs nothing when it is off.
 *
 * A call that waits gives two lines, "<unfinished ...>" and "<... NAME resumed>", so that lines of different tasks do not hide the order
 * of events.
 */
import { ERESTART_RESTARTBLOCK, ERESTARTNOHAND, ERESTARTNOINTR, ERESTARTSYS, errnoName } from '../../abi/errno.ts';
import { signalName } from '../../abi/signal.ts';
import type { SignalInfo } from '../kernel/signal_state.ts';
import type { Task } from '../kernel/task.ts';
import type { Syscall } from '../syscalls/definition.ts';
import { ADDRESS_RESULTS, NO_RETURN, SHOWN_CALLS, type ShownArgument } from './calls.ts';
import { hex } from './text.ts';

/** A call between its two ends. */
interface OpenCall {
  readonly name: string;
  readonly values: readonly number[];
  readonly shown: readonly ShownArgument[];
  /** Null: shown when the call has ended. */
  readonly parts: (string | null)[];
  /** Parts that have been printed before it had to wait; -1: none. */
  printed: number;
}

const RESTARTS: Readonly<Record<number, string>> = {
  [ERESTARTSYS]: 'ERESTARTSYS',
  [ERESTARTNOINTR]: 'ERESTARTNOINTR',
  [ERESTARTNOHAND]: 'ERESTARTNOHAND',
  [ERESTART_RESTARTBLOCK]: 'ERESTART_RESTARTBLOCK',
};

interface NamedRow {
  readonly name: string;
  readonly row: Syscall;
  readonly shown: readonly ShownArgument[];
}

export class Strace {
  private readonly rows: NamedRow[] = [];
  private readonly log: (line: string) => void;
  private readonly open = new WeakMap<Task, OpenCall>();

  /** rows: the table by name. log: one line without newline. */
  constructor(rows: Readonly<Record<string, Syscall>>, log: (line: string) => void) {
    this.log = log;
    for (const [name, row] of Object.entries(rows)) this.rows[row.number] = { name, row, shown: SHOWN_CALLS[name] ?? byKinds(row) };
  }

  /** A task has made a call; nothing of it has run. */
  enter(task: Task): void {
    const named = this.rows[task.syscallNumber];
    if (named === undefined) {
      this.open.set(task, { name: `syscall_${task.syscallNumber}`, values: [], shown: [], parts: [], printed: -1 });
      return;
    }
    const { name, row, shown } = named;
    const { args } = task.thread;
    const values = row.args.map((kind, i) => kind.decode(args[2 * i] as number, args[2 * i + 1] as number));
    const parts = values.map((value, i) => ((shown[i]?.out ?? true) ? null : (shown[i] as ShownArgument).show(task, value, values, 0)));
    this.open.set(task, { name, values, shown, parts, printed: -1 });
    if (NO_RETURN.has(name)) this.line(task, `${name}(${parts.join(', ')}) = ?`);
  }

  /** The call has to wait. */
  wait(task: Task): void {
    const call = this.open.get(task);
    if (call === undefined || call.printed >= 0) return;
    const known = call.parts.indexOf(null);
    call.printed = known < 0 ? call.parts.length : known;
    const text = call.parts.slice(0, call.printed).join(', ');
    this.line(task, `${call.name}(${text}${call.printed > 0 && known >= 0 ? ', ' : ''} <unfinished ...>`);
  }

  /** The call has its result; the application sees it next (signals aside). */
  exit(task: Task, result: number): void {
    const call = this.open.get(task);
    if (call === undefined) return;
    this.open.delete(task);
    if (NO_RETURN.has(call.name)) return;
    const parts = call.parts.map((part, i) => part ?? this.afterwards(task, call, i, result));
    const text =
      call.printed < 0 ? `${call.name}(${parts.join(', ')})` : `<... ${call.name} resumed>${parts.slice(call.printed).join(', ')})`;
    this.line(task, `${text} = ${showResult(call.name, result)}`);
  }

  /** A handler or a default action is about to happen. */
  signal(task: Task, { signal, code, pid, uid, address }: SignalInfo): void {
    const sender = pid === undefined || address !== undefined ? '' : `, si_pid=${pid}, si_uid=${uid ?? 0}`;
    const where = address === undefined ? '' : `, si_addr=${hex(address)}`;
    this.line(task, `--- ${signalName(signal)} {si_code=${code}${sender}${where}} ---`);
  }

  private afterwards(task: Task, { values, shown }: OpenCall, i: number, result: number): string {
    const value = values[i] as number;
    const argument = shown[i];
    return argument === undefined || result < 0 ? hex(value) : argument.show(task, value, values, result);
  }

  private line(task: Task, text: string): void {
    this.log(`[${task.group.leader.ids[0]} ${task.ids[0]}] ${text}`);
  }
}

/** What a row's own declaration says of its arguments. */
function byKinds(row: Syscall): ShownArgument[] {
  return row.args.map((kind) => ({ show: (task, value) => kind.format?.(task, value) ?? String(value), out: false }));
}

function showResult(name: string, result: number): string {
  const restart = RESTARTS[result];
  if (restart !== undefined) return `? ${restart}`;
  if (result < 0 && result > -4096) return `-1 ${errnoName(result)}`;
  return ADDRESS_RESULTS.has(name) ? hex(result) : String(result);
}
