/** /proc/PID/maps, smaps and smaps_rollup (proc_pid_maps(5)). */
import { PROT_EXEC, PROT_READ, PROT_WRITE } from '../../../abi/mman.ts';
import { major, minor } from '../../../abi/stat.ts';
import type { ByteString } from '../../../lib/byte_string.ts';
import type { Task } from '../../kernel/task.ts';
import { VMA_DONTFORK, VMA_GROWSDOWN, VMA_LOCKED, VMA_NORESERVE, VMA_WIPEONFORK, type Vma } from '../../mm/vma.ts';
import type { VfsPath } from '../../vfs/path.ts';
import { pathName } from '../../vfs/path_name.ts';
import { memoryOf } from './task_view.ts';

/** Column of the name. */
const NAME_COLUMN = 73;

function hex(value: number, width: number): string {
  return value.toString(16).padStart(width, '0');
}

function header(start: number, end: number, permissions: string, offset: number, dev: number, ino: number): string {
  return `${hex(start, 8)}-${hex(end, 8)} ${permissions} ${hex(offset, 8)} ${hex(major(dev), 2)}:${hex(minor(dev), 2)} ${ino} `;
}

function mapLine(vma: Vma, root: VfsPath): ByteString {
  const { prot, file } = vma;
  const permissions =
    ((prot & PROT_READ) !== 0 ? 'r' : '-') +
    ((prot & PROT_WRITE) !== 0 ? 'w' : '-') +
    ((prot & PROT_EXEC) !== 0 ? 'x' : '-') +
    (vma.shared ? 's' : 'p');
  const inode = file?.inode ?? null;
  const line = header(vma.start, vma.end, permissions, file === null ? 0 : vma.offset, inode?.fs.dev ?? 0, inode?.attributes().ino ?? 0);
  const name = file?.path != null ? pathName(file.path, root).replaceAll('\n', '\\012') : vma.label;
  return name === '' ? `${line}\n` : `${line.padEnd(NAME_COLUMN)}${name}\n`;
}

/** A text of so many bytes is made at once. */
const PART = 16 << 10;

/** What `line` says of each mapping. Between two parts there may be other mappings: it goes on behind the last one that was told. */
function* each(task: Task, line: (vma: Vma) => ByteString): Generator<ByteString, void> {
  let text = '';
  for (let at = 0; ; ) {
    const vmas = memoryOf(task)?.vmas;
    const vma = vmas?.all[vmas.indexAt(at)];
    if (vma === undefined) break;
    text += line(vma);
    at = vma.end;
    if (text.length < PART) continue;
    yield text;
    text = '';
  }
  if (text !== '') yield text;
}

export function mapsText(task: Task, root: VfsPath): Iterable<ByteString> {
  return each(task, (vma) => mapLine(vma, root));
}

/** Fields of smaps in kB, in order. */
interface Usage {
  readonly resident: number;
  readonly file: boolean;
  readonly shared: boolean;
  readonly locked: boolean;
}

/**
 * The platform knows residency of whole address spaces only: it is spread over the mappings by their size, so that sums (PSS of a
 * process, as memory profilers read it) are right.
 */
function residencyOf(task: Task): (vma: Vma) => number {
  const mm = memoryOf(task);
  if (mm === null) return () => 0;
  const accessible = mm.vmas.all.reduce((n, vma) => n + (vma.prot === 0 ? 0 : vma.end - vma.start), 0);
  const share = accessible === 0 ? 0 : Math.min(1, mm.space.resident().total / accessible);
  return (vma) => (vma.prot === 0 ? 0 : Math.floor(((vma.end - vma.start) * share) / 4096) * 4);
}

function kb(name: string, value: number): string {
  return `${`${name}:`.padEnd(16)}${String(value).padStart(8)} kB\n`;
}

function usageText({ resident, file, shared, locked }: Usage, rollup: boolean): string {
  const clean = file ? resident : 0;
  const dirty = file ? 0 : resident;
  const rows: readonly (readonly [string, number])[] = [
    ['Rss', resident],
    ['Pss', resident],
    ['Pss_Dirty', dirty],
    ...(rollup
      ? ([
          ['Pss_Anon', dirty],
          ['Pss_File', clean],
          ['Pss_Shmem', 0],
        ] as const)
      : []),
    ['Shared_Clean', shared ? clean : 0],
    ['Shared_Dirty', shared ? dirty : 0],
    ['Private_Clean', shared ? 0 : clean],
    ['Private_Dirty', shared ? 0 : dirty],
    ['Referenced', resident],
    ['Anonymous', dirty],
    ['KSM', 0],
    ['LazyFree', 0],
    ['AnonHugePages', 0],
    ['ShmemPmdMapped', 0],
    ['FilePmdMapped', 0],
    ['Shared_Hugetlb', 0],
    ['Private_Hugetlb', 0],
    ['Swap', 0],
    ['SwapPss', 0],
    ['Locked', locked ? resident : 0],
  ];
  return rows.map(([name, value]) => kb(name, value)).join('');
}

/** Two letters each (proc_pid_smaps(5)). */
function vmFlags(vma: Vma): string {
  const names: string[] = [];
  const put = (on: boolean, name: string): void => void (on && names.push(name));
  put((vma.prot & PROT_READ) !== 0, 'rd');
  put((vma.prot & PROT_WRITE) !== 0, 'wr');
  put((vma.prot & PROT_EXEC) !== 0, 'ex');
  put(vma.shared, 'sh');
  put((vma.maxProt & PROT_READ) !== 0, 'mr');
  put((vma.maxProt & PROT_WRITE) !== 0, 'mw');
  put((vma.maxProt & PROT_EXEC) !== 0, 'me');
  put(vma.shared, 'ms');
  put(vma.label === '[stack]' || (vma.advice & VMA_GROWSDOWN) !== 0, 'gd');
  put((vma.advice & VMA_LOCKED) !== 0, 'lo');
  put((vma.advice & VMA_DONTFORK) !== 0, 'dc');
  put((vma.advice & VMA_WIPEONFORK) !== 0, 'wf');
  put((vma.advice & VMA_NORESERVE) !== 0, 'nr');
  return `${names.join(' ')} `;
}

export function smapsText(task: Task, root: VfsPath): Iterable<ByteString> {
  const residency = residencyOf(task);
  return each(task, (vma) => {
    const use = { resident: residency(vma), file: vma.file !== null, shared: vma.shared, locked: (vma.advice & VMA_LOCKED) !== 0 };
    const sizes = kb('Size', (vma.end - vma.start) / 1024) + kb('KernelPageSize', 4) + kb('MMUPageSize', 4);
    return `${mapLine(vma, root)}${sizes}${usageText(use, false)}THPeligible:           0\nVmFlags: ${vmFlags(vma)}\n`;
  });
}

/** The only node has everything, and no policy but the default one applies. */
export function numaMapsText(task: Task, root: VfsPath): Iterable<ByteString> {
  return each(task, (vma) => {
    const name = vma.file === null ? '' : ` file=${mapLine(vma, root).slice(NAME_COLUMN).trim()}`;
    const label = vma.label === '[heap]' ? ' heap' : vma.label === '[stack]' ? ' stack' : '';
    return `${vma.start.toString(16).padStart(8, '0')} default${name}${label}\n`;
  });
}

export function smapsRollupText(task: Task): ByteString {
  const vmas = memoryOf(task)?.vmas.all ?? [];
  const first = vmas[0];
  const last = vmas[vmas.length - 1];
  if (first === undefined || last === undefined) return '';
  const residency = residencyOf(task);
  const resident = vmas.reduce((n, vma) => n + residency(vma), 0);
  const line = header(first.start, last.end, '---p', 0, 0, 0).padEnd(NAME_COLUMN);
  return `${line}[rollup]\n${usageText({ resident, file: false, shared: false, locked: false }, true)}`;
}
