/** The layout of a core file (core(5), elf(5)): headers and notes. What is in memory is written by core_dump.ts. */
import { ElfHeader, EM_X86_64, ProgramHeader, PT_LOAD } from '../../abi/elf.ts';
import { PAGE_SIZE } from '../../abi/mman.ts';
import { NT_PRFPREG, NT_PRSTATUS, NT_X86_XSTATE, USER_REGS_SIZE } from '../../abi/ptrace.ts';
import { FXSAVE_SIZE } from '../../abi/signal_frame.ts';
import { setLen64 } from '../../abi/struct.ts';
import { bytesOf } from '../../lib/byte_string.ts';
import { pathName } from '../vfs/path_name.ts';
import { groupCpuTimes } from './cpu_time.ts';
import { encodeSignalInfo } from './signal_info.ts';
import type { SignalInfo } from './signal_state.ts';
import type { Task } from './task.ts';

const ET_CORE = 4;
const PT_NOTE = 4;
const NT_PRPSINFO = 3;
const NT_AUXV = 6;
const NT_SIGINFO = 0x53494749;
const NT_FILE = 0x46494c45;
const PRSTATUS_SIZE = 336;
const PRPSINFO_SIZE = 136;

/** A range of memory and how much of it the file has. */
export interface Segment {
  readonly start: number;
  readonly end: number;
  readonly prot: number;
  readonly fileBytes: number;
}

/** Headers and notes, padded to a page: what comes before the first segment's bytes. */
export function encodeHead(notes: readonly Uint8Array[], segments: readonly Segment[]): Uint8Array {
  const noteBytes = notes.reduce((n, note) => n + note.length, 0);
  const headers = ElfHeader.size + (segments.length + 1) * ProgramHeader.size;
  const dataStart = Math.ceil((headers + noteBytes) / PAGE_SIZE) * PAGE_SIZE;
  const out = new Uint8Array(dataStart);
  const view = new DataView(out.buffer);
  const e_ident = new Uint8Array(16);
  e_ident.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  const sizes = {
    e_ehsize: ElfHeader.size,
    e_phentsize: ProgramHeader.size,
    e_phnum: segments.length + 1,
    e_shentsize: 0,
    e_shnum: 0,
    e_shstrndx: 0,
  };
  ElfHeader.write(view, 0, {
    e_ident,
    e_type: ET_CORE,
    e_machine: EM_X86_64,
    e_version: 1,
    e_entry: 0,
    e_phoff: ElfHeader.size,
    e_shoff: 0,
    e_flags: 0,
    ...sizes,
  });
  let at = ElfHeader.size;
  const header = (
    p_type: number,
    p_flags: number,
    p_offset: number,
    p_vaddr: number,
    p_filesz: number,
    p_memsz: number,
    p_align: number,
  ): void => {
    ProgramHeader.write(view, at, { p_type, p_flags, p_offset, p_vaddr, p_paddr: 0, p_filesz, p_memsz, p_align });
    at += ProgramHeader.size;
  };
  header(PT_NOTE, 0, headers, 0, noteBytes, 0, 4);
  let offset = dataStart;
  for (const { start, end, prot, fileBytes } of segments) {
    // PROT_READ 1, WRITE 2, EXEC 4 are PF_R 4, PF_W 2, PF_X 1.
    header(PT_LOAD, ((prot & 1) << 2) | (prot & 2) | ((prot & 4) >> 2), offset, start, fileBytes, end - start, PAGE_SIZE);
    offset += fileBytes;
  }
  for (const note of notes) {
    out.set(note, at);
    at += note.length;
  }
  return out;
}

function note(name: string, type: number, content: Uint8Array): Uint8Array {
  const nameLength = name.length + 1;
  const contentAt = 12 + Math.ceil(nameLength / 4) * 4;
  const out = new Uint8Array(contentAt + Math.ceil(content.length / 4) * 4);
  const view = new DataView(out.buffer);
  view.setUint32(0, nameLength, true);
  view.setUint32(4, content.length, true);
  view.setUint32(8, type, true);
  out.set(bytesOf(name), 12);
  out.set(content, contentAt);
  return out;
}

/** The thread that died first, then the others whose registers are to be had. */
export function makeNotes(task: Task, info: SignalInfo, others: readonly Task[]): Uint8Array[] {
  return [
    note('CORE', NT_PRSTATUS, processStatus(task, info)),
    note('CORE', NT_PRPSINFO, processInfo(task)),
    note('CORE', NT_SIGINFO, encodeSignalInfo(info)),
    note('CORE', NT_AUXV, task.mm.auxv),
    note('CORE', NT_FILE, mappedFiles(task)),
    ...floatingPoint(task),
    ...others.flatMap((other) => [note('CORE', NT_PRSTATUS, processStatus(other, null)), ...floatingPoint(other)]),
  ];
}

function floatingPoint(task: Task): Uint8Array[] {
  const image = task.thread.xstate();
  return [note('CORE', NT_PRFPREG, image.subarray(0, FXSAVE_SIZE)), note('LINUX', NT_X86_XSTATE, image)];
}

/** struct elf_prstatus. */
function processStatus(task: Task, info: SignalInfo | null): Uint8Array {
  const out = new Uint8Array(PRSTATUS_SIZE);
  const view = new DataView(out.buffer);
  const ns = task.pidNamespace;
  const { group } = task;
  view.setInt32(0, info?.signal ?? 0, true);
  view.setInt32(4, info?.code ?? 0, true);
  view.setInt16(12, info?.signal ?? 0, true);
  view.setBigUint64(16, task.pending.set, true);
  view.setBigUint64(24, task.signalMask, true);
  for (const [i, id] of [task.idIn(ns), group.parent?.idIn(ns) ?? 0, group.group.idIn(ns), group.group.session.idIn(ns)].entries())
    view.setInt32(32 + 4 * i, id, true);
  const { user, system } = groupCpuTimes(group);
  for (const [i, time] of [user, system].entries()) {
    setLen64(view, 48 + 16 * i, Math.floor(time / 1e9));
    setLen64(view, 56 + 16 * i, Math.floor((time % 1e9) / 1e3));
  }
  out.set(new Uint8Array(task.thread.registers().u64.buffer, 0, USER_REGS_SIZE), 112);
  view.setInt32(328, 1, true);
  return out;
}

/** struct elf_prpsinfo. */
function processInfo(task: Task): Uint8Array {
  const out = new Uint8Array(PRPSINFO_SIZE);
  const view = new DataView(out.buffer);
  const ns = task.pidNamespace;
  const { group, creds, mm } = task;
  out[1] = 'R'.charCodeAt(0);
  out[3] = task.niceValue & 0xff;
  view.setUint32(16, creds.namespace.uids.shown(creds.uid), true);
  view.setUint32(20, creds.namespace.gids.shown(creds.gid), true);
  for (const [i, id] of [group.idIn(ns), group.parent?.idIn(ns) ?? 0, group.group.idIn(ns), group.group.session.idIn(ns)].entries())
    view.setInt32(24 + 4 * i, id, true);
  out.set(bytesOf(task.name).subarray(0, 15), 40);
  const { argStart, argEnd } = mm.layout;
  const args = new Uint8Array(Math.max(0, Math.min(79, argEnd - argStart)));
  const n = mm.space.readForced(argStart, args, 0, args.length);
  for (let i = 0; i < n; i++) out[56 + i] = args[i] || 0x20;
  return out;
}

/** count, page size; start, end, offset in pages of each; names. */
function mappedFiles(task: Task): Uint8Array {
  const rows = task.mm.vmas.all.filter((vma) => vma.file?.path != null);
  const names = rows.map((vma) => `${pathName(vma.file?.path as never, task.fs.root)}\0`).join('');
  const out = new Uint8Array(16 + 24 * rows.length + names.length);
  const view = new DataView(out.buffer);
  setLen64(view, 0, rows.length);
  setLen64(view, 8, PAGE_SIZE);
  for (const [i, { start, end, offset }] of rows.entries()) {
    setLen64(view, 16 + 24 * i, start);
    setLen64(view, 24 + 24 * i, end);
    setLen64(view, 32 + 24 * i, offset / PAGE_SIZE);
  }
  out.set(bytesOf(names), 16 + 24 * rows.length);
  return out;
}
