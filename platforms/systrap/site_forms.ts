/**
 * Call sites that are known, by the bytes before the syscall instruction; and room for a jump near one that has too few of them. Whatever
 * is not surely what it looks like is left alone: from bytes alone nobody can tell where an instruction begins.
 */

/** Bytes before the syscall instruction that are looked at, and of itself. */
export const BEFORE = 15;
export const SYSCALL_LENGTH = 2;
/** A jump to anywhere within ±2 GiB, and one within ±127 bytes. */
export const JUMP_LENGTH = 5;
export const SHORT_JUMP_LENGTH = 2;

const MOV_EAX = 0xb8;
/** mov %r9, %r8; mov 8(%rsp), %r9: how syscall(3) of the GNU C library takes its last arguments. */
const SYSCALL_FUNCTION = [0x4d, 0x89, 0xc2, 0x4d, 0x89, 0xc8, 0x4c, 0x8b, 0x4c, 0x24, 0x08];
/** xor $imm8, %sil: how the C library's locks make a futex operation private. */
const XOR_SIL = [0x40, 0x80, 0xf6];
const XOR_SIL_LENGTH = 4;
/** xor %eax, %eax: read(2). */
const XOR_EAX = [0x31, 0xc0];
const REACH = 127;
const ALIGNMENT = 16;
/** syscall; cmp $-4096, %rax; ja …; ret: the end of a function that makes a call. Behind it nothing is run until the next one begins. */
const TAIL = [0x0f, 0x05, 0x48, 0x3d, 0x00, 0xf0, 0xff, 0xff, 0x77, -1, 0xc3];

function has(bytes: Uint8Array, at: number, what: readonly number[]): boolean {
  return at >= 0 && what.every((byte, i) => byte < 0 || bytes[at + i] === byte);
}
/** A byte that would make another instruction of the one behind it. */
function isPrefix(byte: number): boolean {
  return (byte >= 0x40 && byte <= 0x4f) || [0x0f, 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3].includes(byte);
}
/** mov $nr, %eax; not with a prefix: then it would be another register's. */
function isMovEax(bytes: Uint8Array, at: number, nr: number): boolean {
  const before = bytes[at - 1] as number;
  if (bytes[at] !== MOV_EAX || (before >= 0x40 && before <= 0x4f)) return false;
  return new DataView(bytes.buffer, bytes.byteOffset).getInt32(at + 1, true) === nr;
}

/** How many bytes before the syscall instruction, at `bytes[BEFORE]`, mean the same elsewhere; the call just made was `nr`. 0: none. */
export function movableBytes(bytes: Uint8Array, nr: number): number {
  const end = BEFORE;
  if (bytes[end] !== 0x0f || bytes[end + 1] !== 0x05) return 0;
  if (has(bytes, end - SYSCALL_FUNCTION.length, SYSCALL_FUNCTION)) return JUMP_LENGTH;
  if (isMovEax(bytes, end - JUMP_LENGTH, nr)) return JUMP_LENGTH;
  const both = JUMP_LENGTH + XOR_SIL_LENGTH;
  if (has(bytes, end - XOR_SIL_LENGTH, XOR_SIL) && isMovEax(bytes, end - both, nr)) return both;
  const short = XOR_EAX.length;
  return nr === 0 && has(bytes, end - short, XOR_EAX) && !isPrefix(bytes[end - short - 1] as number) ? short : 0;
}

/** Of the instruction there that does nothing, as assemblers fill gaps; 0: it is none. */
function nopLength(bytes: Uint8Array, at: number): number {
  let i = at;
  while (bytes[i] === 0x66 || bytes[i] === 0x2e) i++;
  if (bytes[i] === 0x90) return i + 1 - at;
  if (bytes[i] !== 0x0f || bytes[i + 1] !== 0x1f) return 0;
  const length = { 0: 3, 64: 4, 68: 5, 128: 7, 132: 8 }[bytes[i + 2] as number] ?? 0;
  for (let k = 3; k < length; k++) if (bytes[i + k] !== 0) return 0;
  return length === 0 ? 0 : i + length - at;
}

/** Places in a page of code for jumps, which a short jump at `site` in it reaches and nobody else comes by. Offsets in the page. */
export function gapsNear(page: Uint8Array, site: number): number[] {
  const places: number[] = [];
  const from = site + SHORT_JUMP_LENGTH;
  for (let tail = Math.max(0, from - REACH - TAIL.length); tail + TAIL.length <= Math.min(page.length, from + REACH); tail++) {
    if (!has(page, tail, TAIL)) continue;
    const gap = tail + TAIL.length;
    let end = gap;
    for (let n = nopLength(page, end); n > 0 && end % ALIGNMENT !== 0; n = nopLength(page, end)) end += n;
    if (end % ALIGNMENT !== 0 || end > page.length) continue;
    for (let at = gap; at + JUMP_LENGTH <= end; at += JUMP_LENGTH) if (Math.abs(at - from) <= REACH) places.push(at);
  }
  return places;
}
