/** What proc asks of a task again and again. */

import { PROT_EXEC, PROT_WRITE } from '../../../abi/mman.ts';
import type { Task } from '../../kernel/task.ts';
import type { ThreadGroup } from '../../kernel/thread_group.ts';
import type { MemoryMap } from '../../mm/memory_map.ts';
import { pageUp } from '../../mm/memory_map.ts';

/** Its memory; null once it has ended. */
export function memoryOf(task: Task): MemoryMap | null {
  return task.state === 'dead' ? null : task.mm;
}

/** Letter and word of its state (proc_pid_status(5)). */
export function stateOf(task: Task): readonly [letter: string, word: string] {
  switch (task.state) {
    case 'app':
      return task.asleep ? ['S', 'sleeping'] : ['R', 'running'];
    case 'kernel':
      return ['R', 'running'];
    case 'blocked':
      return ['S', 'sleeping'];
    case 'dead':
      return ['Z', 'zombie'];
    default:
      if (task.parked === 'group-stop') return ['T', 'stopped'];
      return task.parked === 'ptrace-stop' ? ['t', 'tracing stop'] : ['D', 'disk sleep'];
  }
}

/** Bytes by kind, as status tells them. */
export interface MemoryUse {
  readonly size: number;
  readonly resident: number;
  readonly shared: number;
  readonly data: number;
  readonly stack: number;
  readonly text: number;
  readonly libraries: number;
}

export const NO_MEMORY: MemoryUse = { size: 0, resident: 0, shared: 0, data: 0, stack: 0, text: 0, libraries: 0 };

export function memoryUse(task: Task): MemoryUse {
  const mm = memoryOf(task);
  if (mm === null) return NO_MEMORY;
  const { total, shared } = mm.space.resident();
  const { startCode, endCode } = mm.layout;
  const text = Math.max(0, pageUp(endCode) - startCode);
  let [data, stack, executable] = [0, 0, 0];
  for (const vma of mm.vmas.all) {
    const bytes = vma.end - vma.start;
    if (vma.label === '[stack]') stack += bytes;
    else if (!vma.shared && (vma.prot & PROT_WRITE) !== 0) data += bytes;
    else if (vma.file !== null && (vma.prot & PROT_EXEC) !== 0) executable += bytes;
  }
  return { size: mm.vmas.bytes, resident: total, shared, data, stack, text, libraries: Math.max(0, executable - text) };
}

/** comm as files that are parsed show it: newline and backslash escaped. */
export function escapedName(task: Task): string {
  return task.name.replace(/[\n\\]/g, (c) => (c === '\n' ? '\\n' : '\\\\'));
}

/** The parent's number as `task`'s own thread group namespace has it; 0 if it is outside. */
export function parentId(group: ThreadGroup, level: number): number {
  return group.parent?.leader.ids[level] ?? 0;
}
