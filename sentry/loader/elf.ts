/** ELF images: what of a file goes where. Nothing is mapped here. Everything in the file is hostile. */
import {
  ELFCLASS64,
  ELFDATA2LSB,
  ElfHeader,
  EM_X86_64,
  ET_DYN,
  ET_EXEC,
  PF_R,
  PF_W,
  PF_X,
  ProgramHeader,
  PT_GNU_STACK,
  PT_INTERP,
  PT_LOAD,
  PT_PHDR,
} from '../../abi/elf.ts';
import { EINVAL, ENOEXEC, type Errno } from '../../abi/errno.ts';
import { PATH_MAX } from '../../abi/fcntl.ts';
import { PAGE_SIZE, PROT_EXEC, PROT_READ, PROT_WRITE, TASK_SIZE } from '../../abi/mman.ts';
import { type ByteString, byteString } from '../../lib/byte_string.ts';

/** Largest program header table (Linux: 64 KiB). */
const MAX_PHDR_BYTES = 65536;

export interface Segment {
  /** Address relative to the load bias, file offset, lengths in bytes. */
  readonly vaddr: number;
  readonly offset: number;
  readonly fileSize: number;
  readonly memorySize: number;
  readonly prot: number;
}

export interface ElfImage {
  /** ET_DYN: may be placed anywhere. */
  readonly relocatable: boolean;
  readonly entry: number;
  readonly segments: readonly Segment[];
  /** Page-aligned range that the segments span. */
  readonly low: number;
  readonly high: number;
  /** Largest p_align. */
  readonly align: number;
  readonly interpreter: ByteString | null;
  /** Program headers in memory (relative), and how many. */
  readonly phdrAddress: number;
  readonly phdrCount: number;
  readonly executableStack: boolean;
}

/** Reads `into.length` bytes at `offset`; fewer at the end of the file, or an errno. */
export type ReadAt = (into: Uint8Array, offset: number) => number;

/** `head`: the first bytes of the file. ENOEXEC for what is no x86-64 program, EINVAL for a broken interpreter. */
export function parseElf(head: Uint8Array, read: ReadAt): ElfImage | Errno {
  if (head.length < ElfHeader.size) return ENOEXEC;
  const header = ElfHeader.decode(head);
  const id = header.e_ident;
  if (id[0] !== 0x7f || id[1] !== 0x45 || id[2] !== 0x4c || id[3] !== 0x46) return ENOEXEC;
  if (id[4] !== ELFCLASS64 || id[5] !== ELFDATA2LSB || header.e_machine !== EM_X86_64) return ENOEXEC;
  if (header.e_type !== ET_EXEC && header.e_type !== ET_DYN) return ENOEXEC;
  const tableBytes = header.e_phnum * ProgramHeader.size;
  if (header.e_phentsize !== ProgramHeader.size || tableBytes === 0 || tableBytes > MAX_PHDR_BYTES) return ENOEXEC;
  if (!Number.isSafeInteger(header.e_phoff + tableBytes)) return ENOEXEC;
  const table = new Uint8Array(tableBytes);
  if (read(table, header.e_phoff) !== tableBytes) return ENOEXEC;
  const view = new DataView(table.buffer);
  const headers = Array.from({ length: header.e_phnum }, (_, i) => ProgramHeader.read(view, i * ProgramHeader.size));
  return layOut(header, headers, read);
}

type Header = ReturnType<typeof ElfHeader.decode>;
type Phdr = ReturnType<typeof ProgramHeader.read>;

function layOut(header: Header, headers: readonly Phdr[], read: ReadAt): ElfImage | Errno {
  const loads = headers.filter((p) => p.p_type === PT_LOAD && p.p_memsz > 0);
  const first = loads[0];
  if (first === undefined) return ENOEXEC;
  const segments: Segment[] = [];
  let align = PAGE_SIZE;
  let end = 0;
  for (const p of loads) {
    if (!isSane(p, end)) return ENOEXEC;
    end = p.p_vaddr + p.p_memsz;
    if (Number.isInteger(Math.log2(p.p_align)) && p.p_align <= 1 << 30) align = Math.max(align, p.p_align);
    segments.push({ vaddr: p.p_vaddr, offset: p.p_offset, fileSize: p.p_filesz, memorySize: p.p_memsz, prot: protection(p.p_flags) });
  }
  const interpreter = interpreterOf(headers, read);
  if (typeof interpreter === 'number') return interpreter;
  const stack = headers.find((p) => p.p_type === PT_GNU_STACK);
  return {
    relocatable: header.e_type === ET_DYN,
    entry: header.e_entry,
    segments,
    low: first.p_vaddr - (first.p_vaddr % PAGE_SIZE),
    high: Math.ceil(end / PAGE_SIZE) * PAGE_SIZE,
    align,
    interpreter,
    phdrAddress: phdrAddress(header, headers, segments),
    phdrCount: header.e_phnum,
    executableStack: stack !== undefined && (stack.p_flags & PF_X) !== 0,
  };
}

/** Ascending (pages of neighbours may touch), inside user space, congruent in file and memory. */
function isSane(p: Phdr, previousEnd: number): boolean {
  return (
    p.p_filesz <= p.p_memsz &&
    p.p_vaddr + p.p_memsz <= TASK_SIZE &&
    p.p_vaddr % PAGE_SIZE === p.p_offset % PAGE_SIZE &&
    p.p_vaddr >= previousEnd - (previousEnd % PAGE_SIZE) &&
    Number.isSafeInteger(p.p_offset + p.p_filesz)
  );
}

function protection(flags: number): number {
  return ((flags & PF_R) !== 0 ? PROT_READ : 0) | ((flags & PF_W) !== 0 ? PROT_WRITE : 0) | ((flags & PF_X) !== 0 ? PROT_EXEC : 0);
}

/** PT_PHDR says it; otherwise the segment that holds the table in the file. */
function phdrAddress(header: Header, headers: readonly Phdr[], segments: readonly Segment[]): number {
  const said = headers.find((p) => p.p_type === PT_PHDR);
  if (said !== undefined) return said.p_vaddr;
  const holder = segments.find((s) => header.e_phoff >= s.offset && header.e_phoff < s.offset + s.fileSize);
  return holder === undefined ? 0 : holder.vaddr + (header.e_phoff - holder.offset);
}

function interpreterOf(headers: readonly Phdr[], read: ReadAt): ByteString | null | Errno {
  const p = headers.find((h) => h.p_type === PT_INTERP);
  if (p === undefined) return null;
  if (p.p_filesz < 2 || p.p_filesz > PATH_MAX) return ENOEXEC;
  const bytes = new Uint8Array(p.p_filesz);
  if (read(bytes, p.p_offset) !== bytes.length) return EINVAL;
  const end = bytes.indexOf(0);
  return end < 0 ? ENOEXEC : byteString(bytes, 0, end);
}
