/** A handful of x86-64 instructions as bytes, for tests that run code without a compiler. */
const le32 = (n: number): number[] => [n & 0xff, (n >> 8) & 0xff, (n >> 16) & 0xff, (n >> 24) & 0xff];
const le64 = (n: number): number[] => [...le32((n % 0x1_0000_0000) | 0), ...le32(Math.floor(n / 0x1_0000_0000))];

export const SYSCALL = [0x0f, 0x05];
export const INT80 = [0xcd, 0x80];
export const INT3 = [0xcc];
export const UD2 = [0x0f, 0x0b];
export const NOP = [0x90];
/** jmp to itself. */
export const LOOP_FOREVER = [0xeb, 0xfe];
export const mov = {
  eax: (n: number): number[] => [0xb8, ...le32(n)],
  edi: (n: number): number[] => [0xbf, ...le32(n)],
  esi: (n: number): number[] => [0xbe, ...le32(n)],
  edx: (n: number): number[] => [0xba, ...le32(n)],
  ecx: (n: number): number[] => [0xb9, ...le32(n)],
  ebx: (n: number): number[] => [0xbb, ...le32(n)],
  rax: (n: number): number[] => [0x48, 0xb8, ...le64(n)],
  rbx: (n: number): number[] => [0x48, 0xbb, ...le64(n)],
  r10: (n: number): number[] => [0x49, 0xba, ...le64(n)],
  r8: (n: number): number[] => [0x49, 0xb8, ...le64(n)],
  r9: (n: number): number[] => [0x49, 0xb9, ...le64(n)],
  rdiFromRax: [0x48, 0x89, 0xc7],
  /** rdi = *(u64 *)rbx */
  rdiFromAtRbx: [0x48, 0x8b, 0x3b],
  /** *(u64 *)rbx = rax */
  atRbxFromRax: [0x48, 0x89, 0x03],
};
/** xor ecx,ecx; div ecx */
export const DIVIDE_BY_ZERO = [0x31, 0xc9, 0xf7, 0xf1];
/** movq xmm3, rax */
export const XMM3_FROM_RAX = [0x66, 0x48, 0x0f, 0x6e, 0xd8];
/** movq rdi, xmm3 */
export const RDI_FROM_XMM3 = [0x66, 0x48, 0x0f, 0x7e, 0xdf];
/** call *rax */
export const CALL_RAX = [0xff, 0xd0];
/** dec rcx; jnz to it: spins ecx times. */
export const SPIN_ECX = [0x48, 0xff, 0xc9, 0x75, 0xfb];

/** The call `nr` with up to two small arguments. */
export function call(nr: number, rdi = 0, rsi = 0): number[] {
  return [...mov.eax(nr), ...mov.edi(rdi), ...mov.esi(rsi), ...SYSCALL];
}
export function code(...parts: readonly number[][]): Uint8Array {
  return Uint8Array.from(parts.flat());
}
