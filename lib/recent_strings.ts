/**
 * Byte strings that were made lately. Programs name the same files again and again: who finds the string here makes none, and what has
 * hashed it once has it hashed. Only a cache: what is looked up is compared byte by byte.
 */
import { type ByteString, byteString } from './byte_string.ts';

const ENTRIES = 256;
/** Longer ones are made anew each time: they must not fill the memory. */
const LONGEST = 255;

export class RecentStrings {
  private readonly entries: ByteString[] = new Array<ByteString>(ENTRIES).fill('');

  /** `bytes[start..end)`. */
  of(bytes: Uint8Array, start: number, end: number): ByteString {
    const length = end - start;
    if (length === 0 || length > LONGEST) return byteString(bytes, start, end);
    const at = place(length, bytes[end - 1] as number, bytes[start + (length >> 1)] as number);
    const known = this.entries[at] as ByteString;
    if (known.length === length) {
      let i = 0;
      while (i < length && known.charCodeAt(i) === bytes[start + i]) i++;
      if (i === length) return known;
    }
    return (this.entries[at] = byteString(bytes, start, end));
  }

  /** `text.slice(start, end)`. */
  part(text: ByteString, start: number, end: number): ByteString {
    const length = end - start;
    if (length === 0 || length > LONGEST) return text.slice(start, end);
    const at = place(length, text.charCodeAt(end - 1), text.charCodeAt(start + (length >> 1)));
    const known = this.entries[at] as ByteString;
    if (known.length === length) {
      let i = 0;
      while (i < length && known.charCodeAt(i) === text.charCodeAt(start + i)) i++;
      if (i === length) return known;
    }
    return (this.entries[at] = text.slice(start, end));
  }
}

function place(length: number, last: number, middle: number): number {
  return (length * 31 + last * 7 + middle * 3) % ENTRIES;
}
