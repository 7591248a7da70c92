/**
 * Makes an address space that holds a program: executable, interpreter, vDSO, stack, heap. The caller's own space is not touched, so
 * every failure leaves it as it was.
 */
import {
  AT_BASE,
  AT_CLKTCK,
  AT_EGID,
  AT_ENTRY,
  AT_EUID,
  AT_FLAGS,
  AT_GID,
  AT_HWCAP,
  AT_HWCAP2,
  AT_MINSIGSTKSZ,
  AT_PAGESZ,
  AT_PHDR,
  AT_PHENT,
  AT_PHNUM,
  AT_SECURE,
  AT_SYSINFO_EHDR,
  AT_UID,
  ProgramHeader,
} from '../../abi/elf.ts';
import { EACCES, ELIBBAD, ELOOP, ENOEXEC, ENOMEM, type Errno, isErrno } from '../../abi/errno.ts';
import { AT_FDCWD } from '../../abi/fcntl.ts';
import { PAGE_SIZE, PROT_EXEC, PROT_READ, PROT_WRITE } from '../../abi/mman.ts';
import type { ByteString } from '../../lib/byte_string.ts';
import type { SpaceSource, ThreadContext } from '../../platforms/platform.ts';
import { releasing } from '../kernel/call_log.ts';
import type { Credentials } from '../kernel/credentials.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { type ResourceLimits, RLIMIT_STACK } from '../kernel/rlimits.ts';
import { MemoryMap, pageDown, pageUp } from '../mm/memory_map.ts';
import type { FileDescription, HostMapping } from '../vfs/file.ts';
import { type ElfImage, parseElf, type ReadAt, type Segment } from './elf.ts';
import { MAX_SCRIPT_DEPTH, parseScript } from './script.ts';
import { buildStack } from './stack.ts';

const PROT_ALL = PROT_READ | PROT_WRITE | PROT_EXEC;
const HEAD_BYTES = 4096;
/** Size of a stack whose limit is "unlimited"; bounds of the others; the least room between it and mmap's area. */
const DEFAULT_STACK = 8 << 20;
const MIN_STACK = 128 << 10;
const MAX_STACK = 1 << 30;
const STACK_GUARD = 1 << 20;
/** Most that arguments and environment may take, whatever the stack's limit. */
const MAX_STRINGS = 6 << 20;
/** Where position-independent programs start, before randomisation (two thirds of the address space, as Linux's). */
const PIE_BASE = 0x5555_5555_4000;
/** Pages of randomisation: 28 bits for mappings, 22 for the stack's top, 13 for the heap's start. */
const MMAP_RANDOM_PAGES = 2 ** 28;
const STACK_RANDOM_PAGES = 2 ** 22;
const HEAP_RANDOM_PAGES = 2 ** 13;
/** AT_HWCAP: CPUID leaf 1 edx of x86-64 machines. AT_HWCAP2: FSGSBASE. AT_MINSIGSTKSZ: a signal frame with AVX-512 state. */
const HWCAP = 0x178b_fbff;
const HWCAP2 = 2;
const SIGNAL_FRAME = 3632;
const VDSO_BYTES = 2 * PAGE_SIZE;

/** Opens `path` for execution (execute permission, no noexec mount); EACCES, ENOENT … as execve(2). */
export type OpenExecutable = (dirfd: number, path: ByteString) => FileDescription | Errno;

export interface LoadRequest {
  readonly kernel: Kernel;
  /** Where the program's address space comes from. */
  readonly spaces: Pick<SpaceSource, 'newAddressSpace'>;
  /** Open executable; the caller keeps its reference. */
  readonly file: FileDescription;
  /** As the program was named: AT_EXECFN, and the argument of a script's interpreter. */
  readonly path: ByteString;
  readonly argv: readonly ByteString[];
  readonly env: readonly ByteString[];
  readonly creds: Credentials;
  /** The clocks of the host's vDSO are the program's. */
  readonly vdso: boolean;
  /** Credentials changed by setuid, setgid or file capabilities. */
  readonly secure: boolean;
  readonly limits: ResourceLimits;
  readonly open: OpenExecutable;
}

export interface LoadedProgram {
  readonly thread: ThreadContext;
  readonly mm: MemoryMap;
  readonly entry: number;
  readonly stackPointer: number;
}

/** An open image; `file` is counted. */
interface OpenImage {
  readonly image: ElfImage;
  readonly file: FileDescription;
}

export function loadProgram(request: LoadRequest): LoadedProgram | Errno {
  const program = resolveScripts(request);
  if (isErrno(program)) return program;
  const wanted = program.image.interpreter;
  const interpreter = wanted === null ? null : releasing(program.file, () => openInterpreter(request, wanted));
  const thread = isErrno(interpreter) ? interpreter : request.spaces.newAddressSpace();
  const loaded = isErrno(thread) ? thread : new ProgramLoader(request, thread).load(program, interpreter as OpenImage | null, program.argv);
  program.file.release();
  if (interpreter !== null && !isErrno(interpreter)) interpreter.file.release();
  if (isErrno(loaded) && !isErrno(thread)) thread.space.release();
  return loaded;
}

/** Follows "#!" lines to a binary. The result's file is the caller's to release. */
function resolveScripts(request: LoadRequest): (OpenImage & { readonly argv: readonly ByteString[] }) | Errno {
  let file = request.file.hold();
  let { argv, path } = request;
  for (let depth = 0; ; depth++) {
    const opened = openScriptOrImage(request.kernel, file);
    if (isErrno(opened)) {
      file.release();
      return opened;
    }
    if ('image' in opened) return { image: opened.image, file, argv };
    const next = depth >= MAX_SCRIPT_DEPTH ? ELOOP : releasing(file, () => request.open(AT_FDCWD, opened.interpreter));
    file.release();
    if (isErrno(next)) return next;
    argv = [opened.interpreter, ...(opened.argument === null ? [] : [opened.argument]), path, ...argv.slice(1)];
    path = opened.interpreter;
    file = next;
  }
}

function openScriptOrImage(
  kernel: Kernel,
  file: FileDescription,
): { readonly image: ElfImage } | Exclude<ReturnType<typeof parseScript>, null> {
  const read = reader(kernel, file);
  if (isErrno(read)) return read;
  const head = new Uint8Array(HEAD_BYTES);
  const n = read(head, 0);
  if (n < 0) return n as Errno;
  const script = parseScript(head.subarray(0, n));
  if (script !== null) return script;
  const image = parseElf(head.subarray(0, n), read);
  return isErrno(image) ? image : { image };
}

function openInterpreter(request: LoadRequest, path: ByteString): OpenImage | Errno {
  const file = request.open(AT_FDCWD, path);
  if (isErrno(file)) return file;
  const opened = openScriptOrImage(request.kernel, file);
  if (!isErrno(opened) && 'image' in opened) return { image: opened.image, file };
  file.release();
  return isErrno(opened) && opened !== ENOEXEC ? opened : ELIBBAD;
}

/** Reads through the host file that a mapping would use. What cannot be mapped cannot be executed: EACCES. */
function reader(kernel: Kernel, file: FileDescription): ReadAt | Errno {
  const mapping = file.impl.mapping(file, false, PROT_READ | PROT_EXEC);
  if (isErrno(mapping) || mapping.hostFd < 0) return EACCES;
  return (into, offset) => kernel.host.pread(mapping.hostFd, into, 0, into.length, mapping.offset + offset);
}

/** One address space being filled. */
class ProgramLoader {
  private readonly request: LoadRequest;
  private readonly thread: ThreadContext;
  private readonly mm: MemoryMap;
  private readonly stackTop: number;
  private readonly stackSize: number;
  /** What follows a segment's bytes in their last page: to be zero. Each shorter than a page. */
  private readonly tails: { readonly address: number; readonly length: number }[] = [];

  constructor(request: LoadRequest, thread: ThreadContext) {
    const { kernel, limits } = request;
    this.request = request;
    this.thread = thread;
    const soft = limits.soft(RLIMIT_STACK);
    this.stackSize = pageUp(Math.min(Math.max(soft === Number.POSITIVE_INFINITY ? DEFAULT_STACK : soft, MIN_STACK), MAX_STACK));
    this.stackTop = pageDown(kernel.platform.maxAddress) - kernel.randomBelow(STACK_RANDOM_PAGES) * PAGE_SIZE;
    const base = this.stackTop - this.stackSize - STACK_GUARD - kernel.randomBelow(MMAP_RANDOM_PAGES) * PAGE_SIZE;
    this.mm = new MemoryMap(kernel, thread.space, pageDown(base));
  }

  load(program: OpenImage, interpreter: OpenImage | null, argv: readonly ByteString[]): LoadedProgram | Errno {
    const { mm } = this;
    const bias = this.placeImage(program, interpreter === null ? null : PIE_BASE);
    if (isErrno(bias)) return this.fail(bias);
    const base = interpreter === null ? 0 : this.placeImage(interpreter, null);
    if (isErrno(base)) return this.fail(base);
    this.describe(program.image, bias);
    this.showVdso();
    const pointer = this.placeStack(argv, program.image.executableStack, this.auxv(program.image, bias, base));
    if (isErrno(pointer)) return this.fail(pointer);
    const cleared = this.clearTails();
    if (cleared !== 0) return this.fail(cleared);
    mm.setExecutable(program.file);
    const entry = interpreter === null ? program.image.entry + bias : interpreter.image.entry + base;
    return { thread: this.thread, mm, entry, stackPointer: pointer };
  }

  /** The host space is released by the caller; here only what the map holds. */
  private fail(errno: Errno): Errno {
    this.mm.vmas.clear();
    return errno;
  }

  /** Maps the segments; the load bias. pieBase: where a position-independent program goes; null: among the mappings. */
  private placeImage({ image, file }: OpenImage, pieBase: number | null): number {
    let bias = 0;
    if (image.relocatable) {
      const random = pieBase === null ? 0 : pieBase + this.request.kernel.randomBelow(MMAP_RANDOM_PAGES) * PAGE_SIZE;
      const at = pieBase === null ? this.mm.choose(0, image.high - image.low + image.align - PAGE_SIZE, 0) : random;
      if (isErrno(at)) return at;
      bias = Math.ceil(at / image.align) * image.align - image.low;
    } else if (image.low < 65536 || image.high > this.stackTop - this.stackSize - STACK_GUARD) {
      return ENOMEM;
    }
    for (const segment of image.segments) {
      const r = this.placeSegment(segment, bias, file);
      if (isErrno(r)) return r;
    }
    return bias;
  }

  private placeSegment(segment: Segment, bias: number, file: FileDescription): 0 | Errno {
    const start = pageDown(segment.vaddr + bias);
    const fileEnd = segment.vaddr + bias + segment.fileSize;
    const end = pageUp(segment.vaddr + bias + segment.memorySize);
    const mappedEnd = segment.fileSize === 0 ? start : pageUp(fileEnd);
    if (this.tails.some((tail) => start < pageUp(tail.address + tail.length))) {
      const cleared = this.clearTails(); // this segment replaces the page
      if (cleared !== 0) return cleared;
    }
    if (mappedEnd > start) {
      const mapping = file.impl.mapping(file, false, segment.prot);
      if (isErrno(mapping)) return mapping;
      const r = this.place(start, mappedEnd, segment.prot, file, mapping, segment.offset - (segment.vaddr % PAGE_SIZE));
      if (isErrno(r)) return r;
    }
    if (end > mappedEnd) {
      const r = this.place(mappedEnd, end, segment.prot, null, null, 0);
      if (isErrno(r)) return r;
    }
    // What follows the file's bytes in the last page is .bss: zero.
    const tail = segment.memorySize > segment.fileSize && segment.fileSize > 0 ? pageUp(fileEnd) - fileEnd : 0;
    if (tail > 0 && (segment.prot & PROT_WRITE) !== 0) this.tails.push({ address: fileEnd, length: tail });
    return 0;
  }
  /** After all mappings, so that they happen at once. */
  private clearTails(): 0 | Errno {
    for (const { address, length } of this.tails.splice(0)) {
      if (this.thread.space.write(address, new Uint8Array(length), 0, length) !== length) return ENOEXEC;
    }
    return 0;
  }

  private place(
    start: number,
    end: number,
    prot: number,
    file: FileDescription | null,
    mapping: HostMapping | null,
    offset: number,
    label = '',
  ): 0 | Errno {
    const vma = { start, end, prot, maxProt: PROT_ALL, shared: false, advice: 0, file: file?.hold() ?? null, offset, label };
    const r = this.mm.place(this.thread, vma, mapping, true);
    if (isErrno(r)) vma.file?.release();
    return r;
  }

  /** Addresses for /proc and brk. */
  private describe(image: ElfImage, bias: number): void {
    const { layout } = this.mm;
    for (const s of image.segments) {
      const start = s.vaddr + bias;
      if ((s.prot & PROT_EXEC) !== 0) Object.assign(layout, { startCode: start, endCode: start + s.fileSize });
      else if ((s.prot & PROT_WRITE) !== 0) Object.assign(layout, { startData: start, endData: start + s.fileSize });
    }
    layout.startBrk = pageUp(image.high + bias) + this.request.kernel.randomBelow(HEAP_RANDOM_PAGES) * PAGE_SIZE;
    this.mm.brk = layout.startBrk;
  }

  /** The vDSO is there already, outside the application's range: only maps has to show it. */
  private showVdso(): void {
    const start = this.thread.space.vdsoBase;
    if (start === 0) return;
    const prot = PROT_READ | PROT_EXEC;
    this.mm.vmas.add({
      start,
      end: start + VDSO_BYTES,
      prot,
      maxProt: prot,
      shared: false,
      advice: 0,
      file: null,
      offset: 0,
      label: '[vdso]',
    });
  }

  private auxv(image: ElfImage, bias: number, interpreterBase: number): (readonly [number, number])[] {
    const { creds } = this.request;
    const vdso = this.request.vdso ? this.thread.space.vdsoBase : 0;
    return [
      ...(vdso === 0 ? [] : [[AT_SYSINFO_EHDR, vdso] as const]),
      [AT_MINSIGSTKSZ, SIGNAL_FRAME],
      [AT_HWCAP, HWCAP],
      [AT_PAGESZ, PAGE_SIZE],
      [AT_CLKTCK, 100],
      [AT_PHDR, image.phdrAddress + bias],
      [AT_PHENT, ProgramHeader.size],
      [AT_PHNUM, image.phdrCount],
      [AT_BASE, interpreterBase],
      [AT_FLAGS, 0],
      [AT_ENTRY, image.entry + bias],
      [AT_UID, creds.namespace.uids.shown(creds.uid)],
      [AT_EUID, creds.namespace.uids.shown(creds.euid)],
      [AT_GID, creds.namespace.gids.shown(creds.gid)],
      [AT_EGID, creds.namespace.gids.shown(creds.egid)],
      [AT_SECURE, this.request.secure ? 1 : 0],
      [AT_HWCAP2, HWCAP2],
    ];
  }

  /** Maps the whole stack (the host gives pages as they are touched) and writes what main() finds on it; the stack pointer. */
  private placeStack(argv: readonly ByteString[], executable: boolean, auxv: readonly (readonly [number, number])[]): number {
    const { request, mm, stackTop, stackSize } = this;
    const random = new Uint8Array(16);
    request.kernel.host.getrandom(random);
    const limit = Math.min(Math.max(Math.floor(stackSize / 4), MIN_STACK), MAX_STRINGS);
    const built = buildStack({ top: stackTop, limit, argv, env: request.env, execPath: request.path, random, auxv });
    if (isErrno(built)) return built;
    const prot = PROT_READ | PROT_WRITE | (executable ? PROT_EXEC : 0);
    const r = this.place(stackTop - stackSize, stackTop, prot, null, null, 0, '[stack]');
    if (isErrno(r)) return r;
    if (this.thread.space.write(built.pointer, built.bytes, 0, built.bytes.length) !== built.bytes.length) return ENOMEM;
    mm.auxv = new Uint8Array(built.auxv);
    const { argStart, argEnd, envStart, envEnd } = built;
    Object.assign(mm.layout, { startStack: built.pointer, argStart, argEnd, envStart, envEnd });
    return built.pointer;
  }
}
