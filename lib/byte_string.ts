/**
 * A byte string: a JavaScript string in which every character is one byte (0..255, "latin1"). File names, arguments and
 * environment of the guest are byte strings, because Linux gives them no encoding; converting is exact both ways.
 */
export type ByteString = string;

/** It takes any view: no Buffer is made for it. */
const { latin1Slice } = Buffer.prototype as unknown as { latin1Slice(this: Uint8Array, start: number, end: number): string };

export function bytesOf(text: ByteString): Uint8Array {
  return Buffer.from(text, 'latin1');
}

/** `bytes[start..end)` as a byte string. */
export function byteString(bytes: Uint8Array, start = 0, end = bytes.length): ByteString {
  return latin1Slice.call(bytes, start, end);
}

/** A JavaScript string (from JSON, a command line) as the UTF-8 bytes the guest sees. */
export function fromUnicode(text: string): ByteString {
  return Buffer.from(text, 'utf8').toString('latin1');
}

/** The reverse of fromUnicode; bytes that are no UTF-8 become U+FFFD. */
export function toUnicode(text: ByteString): string {
  return Buffer.from(text, 'latin1').toString('utf8');
}
