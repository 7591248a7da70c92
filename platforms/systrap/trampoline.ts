/** The machine code of trampolines (x86-64). */
import { FAST_ENTRY } from './layout.ts';

export const TRAMPOLINE_LENGTH = 32;
/** An area of trampolines: 2,048 of them. */
export const AREA_LENGTH = 65536;

/** jmp rel32 from `at` to `to`, within ±2 GiB. */
export function writeJump(bytes: Uint8Array, at: number, to: number): void {
  bytes[0] = 0xe9;
  new DataView(bytes.buffer, bytes.byteOffset).setInt32(1, to - (at + 5), true);
}

/** At `at`: the instruction that was at the site; lea `back`(%rip), %r11; jmp to the stub. */
export function trampoline(at: number, original: Uint8Array, back: number): Uint8Array {
  const bytes = new Uint8Array(TRAMPOLINE_LENGTH).fill(0xcc);
  const view = new DataView(bytes.buffer);
  bytes.set(original);
  let i = original.length;
  bytes.set([0x4c, 0x8d, 0x1d], i);
  view.setInt32(i + 3, back - (at + i + 7), true);
  i += 7;
  bytes.set([0xff, 0x25, 0, 0, 0, 0], i); // jmp *0(%rip)
  view.setBigUint64(i + 6, BigInt(FAST_ENTRY), true);
  return bytes;
}
