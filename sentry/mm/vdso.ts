/**
 * The vDSO without its clocks. It reads the host's; a process whose clocks are others (time_namespaces(7)), but that found the vDSO when
 * it was another, has its functions replaced by the system calls that they stand for.
 */
import { ElfHeader, ProgramHeader, PT_DYNAMIC, PT_LOAD } from '../../abi/elf.ts';
import { getLen64 } from '../../abi/struct.ts';
import { byteString } from '../../lib/byte_string.ts';
import type { AddressSpace } from '../../platforms/platform.ts';

/** Number of the call that each function makes where it cannot answer by itself. */
const CALLS: Readonly<Record<string, number>> = {
  __vdso_clock_gettime: 228,
  __vdso_clock_getres: 229,
  __vdso_gettimeofday: 96,
  __vdso_time: 201,
};
/** What is looked at. */
const MAX_IMAGE = 16384;
const MAX_SYMBOLS = 64;
const MAX_NAME = 32;
// Elf64_Dyn, Elf64_Sym
const DYNAMIC_ENTRY = 16;
const DT_NULL = 0;
const DT_STRTAB = 5;
const DT_SYMTAB = 6;
const SYMBOL = 24;
const SYMBOL_VALUE = 8;

/** Code to be written over the image, by offset. Empty for what is no vDSO. */
export function withoutClocks(image: Uint8Array): { readonly offset: number; readonly code: Uint8Array }[] {
  const view = new DataView(image.buffer, image.byteOffset, image.byteLength);
  const symbols = symbolTable(view);
  const patches: { offset: number; code: Uint8Array }[] = [];
  for (let i = 0; i < symbols.count; i++) {
    const at = symbols.offset + i * SYMBOL;
    const call = CALLS[nameAt(image, symbols.names + view.getUint32(at, true))];
    const offset = getLen64(view, at + SYMBOL_VALUE) - symbols.base;
    if (call === undefined || offset <= 0) continue;
    const code = callAndReturn(call);
    if (offset + code.length <= image.length) patches.push({ offset, code });
  }
  return patches;
}

/** mov $nr, %eax; syscall; ret */
function callAndReturn(nr: number): Uint8Array {
  return Uint8Array.of(0xb8, nr & 0xff, nr >> 8, 0, 0, 0x0f, 0x05, 0xc3);
}

function symbolTable(view: DataView): { offset: number; names: number; count: number; base: number } {
  const none = { offset: 0, names: 0, count: 0, base: 0 };
  if (view.byteLength < ElfHeader.size) return none;
  const header = ElfHeader.read(view, 0);
  let base = 0;
  let dynamic = 0;
  for (let i = 0; i < header.e_phnum && header.e_phoff + (i + 1) * ProgramHeader.size <= view.byteLength; i++) {
    const program = ProgramHeader.read(view, header.e_phoff + i * ProgramHeader.size);
    if (program.p_type === PT_LOAD) base = program.p_vaddr - program.p_offset;
    if (program.p_type === PT_DYNAMIC) dynamic = program.p_offset;
  }
  let [offset, names] = [0, 0];
  for (let at = dynamic; at > 0 && at + DYNAMIC_ENTRY <= view.byteLength; at += DYNAMIC_ENTRY) {
    const tag = getLen64(view, at);
    if (tag === DT_NULL) break;
    if (tag === DT_SYMTAB) offset = getLen64(view, at + 8) - base;
    if (tag === DT_STRTAB) names = getLen64(view, at + 8) - base;
  }
  // Nothing tells the number of symbols; the names follow them.
  const count = Math.min(MAX_SYMBOLS, Math.floor((names - offset) / SYMBOL));
  return offset > 0 && names <= view.byteLength && count > 0 ? { offset, names, count, base } : none;
}

function nameAt(image: Uint8Array, at: number): string {
  const end = image.indexOf(0, at);
  return end < 0 || end - at > MAX_NAME ? '' : byteString(image, at, end);
}

/** The space's vDSO asks the kernel from now on, and so does that of its forks. */
export function divertClocks(space: AddressSpace): void {
  if (space.vdsoBase === 0 || space.writeVdso === undefined) return;
  const image = new Uint8Array(MAX_IMAGE);
  const length = space.read(space.vdsoBase, image, 0, image.length);
  if (length <= 0) return;
  for (const { offset, code } of withoutClocks(image.subarray(0, length))) space.writeVdso(offset, code);
}
