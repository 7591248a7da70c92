/** elf(5), 64-bit little-endian, and the auxiliary vector (getauxval(3)). */
import { bytes, len64, struct, u16, u32 } from './struct.ts';

export const ElfHeader = struct('Elf64_Ehdr', 64, {
  e_ident: bytes(16),
  e_type: u16,
  e_machine: u16,
  e_version: u32,
  e_entry: len64,
  e_phoff: len64,
  e_shoff: len64,
  e_flags: u32,
  e_ehsize: u16,
  e_phentsize: u16,
  e_phnum: u16,
  e_shentsize: u16,
  e_shnum: u16,
  e_shstrndx: u16,
});

export const ProgramHeader = struct('Elf64_Phdr', 56, {
  p_type: u32,
  p_flags: u32,
  p_offset: len64,
  p_vaddr: len64,
  p_paddr: len64,
  p_filesz: len64,
  p_memsz: len64,
  p_align: len64,
});

export const ET_EXEC = 2;
export const ET_DYN = 3;
export const EM_X86_64 = 62;
export const ELFCLASS64 = 2;
export const ELFDATA2LSB = 1;
export const PT_LOAD = 1;
export const PT_DYNAMIC = 2;
export const PT_INTERP = 3;
export const PT_PHDR = 6;
export const PT_GNU_STACK = 0x6474e551;
export const PF_X = 1;
export const PF_W = 2;
export const PF_R = 4;

// getauxval(3)
export const AT_NULL = 0;
export const AT_PHDR = 3;
export const AT_PHENT = 4;
export const AT_PHNUM = 5;
export const AT_PAGESZ = 6;
export const AT_BASE = 7;
export const AT_FLAGS = 8;
export const AT_ENTRY = 9;
export const AT_UID = 11;
export const AT_EUID = 12;
export const AT_GID = 13;
export const AT_EGID = 14;
export const AT_PLATFORM = 15;
export const AT_HWCAP = 16;
export const AT_CLKTCK = 17;
export const AT_SECURE = 23;
export const AT_RANDOM = 25;
export const AT_HWCAP2 = 26;
export const AT_EXECFN = 31;
export const AT_SYSINFO_EHDR = 33;
export const AT_MINSIGSTKSZ = 51;
