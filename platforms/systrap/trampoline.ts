/** The machine code of trampolines (x86-64). */
import { FAST_ENTRY } from './layout.ts';

export const TRAMPOLINE_LENGTH = 32;
/** An area of trampolines: 2,048 of them. */
export const AREA_LENGTH = 65536;

/** At `at`: jmp rel32 to `to`, within ±2 GiB. */
export function jump(at: number, to: number): Uint8Array {
  const bytes = Uint8Array.of(0xe9, 0, 0, 0, 0);
  new DataView(bytes.buffer).setInt32(1, to - (at + bytes.length), true);
  return bytes;
}
/** At `at`: jmp rel8 to `to`, within 127 bytes. */
export function shortJump(at: number, to: number): Uint8Array {
  return Uint8Array.of(0xeb, to - (at + 2));
}

/** At `at`: the instructions that were at the site; lea `back`(%rip), %r11; jmp to the stub. */
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
