/** /proc/PID/stat, statm and limits (proc_pid_stat(5)). */
import { PAGE_SIZE } from '../../../abi/mman.ts';
import { REG } from '../../../platforms/platform.ts';
import { groupCpuTimes, NS_PER_TICK } from '../../kernel/cpu_time.ts';
import type { PidNamespace } from '../../kernel/pid_namespace.ts';
import { RLIMIT_RSS } from '../../kernel/rlimits.ts';
import { controllingTerminal } from '../../kernel/session.ts';
import type { Task } from '../../kernel/task.ts';
import { mayTrace } from '../../kernel/trace_access.ts';
import { dispositions } from './task_status.ts';
import { memoryOf, memoryUse, parentId, stateOf } from './task_view.ts';

/** RLIM_INFINITY and other all-ones values. */
const MAX_U64 = '18446744073709551615';
const MASK_31 = 0x7fff_ffffn;

function ticks(ns: number): number {
  return Math.floor(ns / NS_PER_TICK);
}

/** The thread's own times, or those of the whole process. */
function times(task: Task, whole: boolean): { user: number; system: number } {
  if (whole) return groupCpuTimes(task.group);
  return { user: task.state === 'dead' ? 0 : task.thread.cpuTime(), system: task.systemTime };
}

/** `whole`: of the process; else of the one thread (/proc/PID/task/TID/stat). */
export function statText(task: Task, ns: PidNamespace, whole: boolean, reader: Task): string {
  const { group } = task;
  const { dead, reapedChildren } = group;
  const [letter] = stateOf(task);
  const terminal = controllingTerminal(group);
  const { user, system } = times(task, whole);
  const use = memoryUse(task);
  const rss = group.limits.soft(RLIMIT_RSS);
  const { ignored, caught } = dispositions(task);
  const [code, stackAddresses, layout] = addresses(task, mayTrace(reader, task));
  const fields = [
    [task.idIn(ns), `(${task.name})`, letter, parentId(group, ns.level)],
    [group.group.idIn(ns), group.group.session.idIn(ns), terminal?.rdev ?? 0, terminal?.foreground?.idIn(ns) ?? -1],
    [0x400000 /* PF_RANDOMIZE */, dead.minorFaults, reapedChildren.minorFaults, 0, 0],
    [ticks(user), ticks(system), ticks(reapedChildren.userTime), ticks(reapedChildren.systemTime)],
    [20 + task.niceValue, task.niceValue, Math.max(1, group.tasks.length), 0],
    [ticks(whole ? group.startTime : task.startTime), use.size, Math.floor(use.resident / PAGE_SIZE)],
    [Number.isFinite(rss) ? rss : MAX_U64, ...code, ...stackAddresses],
    [task.pending.set & MASK_31, task.maskNow & MASK_31, ignored & MASK_31, caught & MASK_31],
    [task.state === 'blocked' || task.asleep ? 1 : 0, 0, 0],
    [group.exitSignal || 17, 0, task.schedPriority, task.schedPolicy, 0, 0, 0],
    [...layout, task.state === 'dead' ? (group.exiting ?? task.exitCode) : 0],
  ];
  return `${fields.flat().join(' ')}\n`;
}

/** startcode endcode startstack kstkesp kstkeip; then start_data … env_end. Zeros for who may not look. */
function addresses(task: Task, allowed: boolean): [code: number[], stack: number[], layout: number[]] {
  const mm = memoryOf(task);
  if (mm === null)
    return [
      [0, 0],
      [0, 0, 0],
      [0, 0, 0, 0, 0, 0, 0],
    ];
  if (!allowed)
    return [
      [1, 1],
      [0, 0, 0],
      [0, 0, 0, 0, 0, 0, 0],
    ];
  const l = mm.layout;
  return [
    [l.startCode, l.endCode],
    [l.startStack, 0, 0],
    [l.startData, l.endData, l.startBrk, l.argStart, l.argEnd, l.envStart, l.envEnd],
  ];
}

export function statmText(task: Task): string {
  const use = memoryUse(task);
  const pages = [use.size, use.resident, use.shared, use.text, 0, use.data + use.stack, 0].map((b) => Math.floor(b / PAGE_SIZE));
  return `${pages.join(' ')}\n`;
}

/** Name and unit by resource number. */
const LIMITS: readonly (readonly [name: string, unit: string])[] = [
  ['Max cpu time', 'seconds'],
  ['Max file size', 'bytes'],
  ['Max data size', 'bytes'],
  ['Max stack size', 'bytes'],
  ['Max core file size', 'bytes'],
  ['Max resident set', 'bytes'],
  ['Max processes', 'processes'],
  ['Max open files', 'files'],
  ['Max locked memory', 'bytes'],
  ['Max address space', 'bytes'],
  ['Max file locks', 'locks'],
  ['Max pending signals', 'signals'],
  ['Max msgqueue size', 'bytes'],
  ['Max nice priority', ''],
  ['Max realtime priority', ''],
  ['Max realtime timeout', 'us'],
];

export function limitsText(task: Task): string {
  const row = (name: string, soft: string, hard: string, unit: string): string =>
    `${name.padEnd(25)} ${soft.padEnd(20)} ${hard.padEnd(20)} ${unit === '' ? '' : unit.padEnd(10)}\n`;
  const value = (n: number): string => (Number.isFinite(n) ? String(n) : 'unlimited');
  let text = row('Limit', 'Soft Limit', 'Hard Limit', 'Units');
  for (const [i, [name, unit]] of LIMITS.entries()) {
    const { soft, hard } = task.group.limits.get(i);
    text += row(name, value(soft), value(hard), unit);
  }
  return text;
}

/** /proc/PID/syscall: "running", or the call that waits with its arguments, stack pointer and program counter. */
export function syscallText(task: Task): string {
  if (task.state !== 'blocked') return 'running\n';
  const { args } = task.thread;
  const registers = task.thread.registers();
  const values = Array.from({ length: 6 }, (_, i) => (args[2 * i + 1] as number) * 2 ** 32 + (args[2 * i] as number));
  const all = [...values, registers.get(REG.rsp), registers.get(REG.rip)];
  return `${task.syscallNumber} ${all.map((v) => `0x${v.toString(16)}`).join(' ')}\n`;
}
