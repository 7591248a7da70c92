/** The Internet checksum (RFC 1071): ones' complement sums of 16-bit words. */
import type { IpAddress } from './address.ts';

/** Adds bytes[start..end) to `sum`, which is not folded. An odd last byte counts as the high half of a word. */
export function addWords(bytes: Uint8Array, start: number, end: number, sum: number): number {
  let total = sum;
  let at = start;
  // 65,536 words of 16 bits fit 32 bits; a number holds far more.
  for (const last = end - 1; at < last; at += 2) total += ((bytes[at] as number) << 8) | (bytes[at + 1] as number);
  if (at < end) total += (bytes[at] as number) << 8;
  return total;
}
/** 16 bits. */
export function fold(sum: number): number {
  let total = sum;
  while (total > 0xffff) total = (total % 0x1_0000) + Math.floor(total / 0x1_0000);
  return total;
}
export function checksum(bytes: Uint8Array, start: number, end: number, sum = 0): number {
  return ~fold(addWords(bytes, start, end, sum)) & 0xffff;
}

/** Sum of the pseudo header (RFC 9293 §3.1, RFC 8200 §8.1), not folded. */
export function pseudoSum(source: IpAddress, destination: IpAddress, protocol: number, length: number): number {
  let sum = protocol + (length >>> 16) + (length & 0xffff);
  for (let i = 0; i < source.length; i += 2) {
    sum += (source.charCodeAt(i) << 8) + source.charCodeAt(i + 1) + (destination.charCodeAt(i) << 8) + destination.charCodeAt(i + 1);
  }
  return sum;
}
