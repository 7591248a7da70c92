/**
 * The protobuf wire format, as far as the envelopes need it (varints and length-delimited fields): small enough for every
 * program's start path. Messages with more to them use the generated modules in proto/.
 */

const VARINT = 0;
const FIXED64 = 1;
const LENGTH_DELIMITED = 2;
const FIXED32 = 5;

export class WireError extends Error {}

/** Appends fields to one message. Zero, empty and undefined values are left out, as proto3 does. */
export class WireWriter {
  #parts: Uint8Array[] = [];
  #length = 0;

  #push(part: Uint8Array): void {
    this.#parts.push(part);
    this.#length += part.length;
  }

  #varint(value: number): void {
    const out: number[] = [];
    let rest = value;
    while (rest >= 0x80) {
      out.push((rest % 0x80) | 0x80);
      rest = Math.floor(rest / 0x80);
    }
    out.push(rest);
    this.#push(Uint8Array.from(out));
  }

  /** A uint32, uint64, enum or bool field; 0 <= value <= 2^53. */
  uint(field: number, value: number | undefined): this {
    if (value === undefined || value === 0) return this;
    this.#varint(field * 8 + VARINT);
    this.#varint(value);
    return this;
  }

  bytes(field: number, value: Uint8Array | undefined): this {
    if (value === undefined || value.length === 0) return this;
    return this.message(field, value);
  }

  string(field: number, value: string | undefined): this {
    return value === undefined ? this : this.bytes(field, Buffer.from(value, 'utf8'));
  }

  /** A sub-message: written even if it is empty, because its presence says something. */
  message(field: number, value: Uint8Array): this {
    this.#varint(field * 8 + LENGTH_DELIMITED);
    this.#varint(value.length);
    this.#push(value);
    return this;
  }

  finish(): Uint8Array {
    const out = new Uint8Array(this.#length);
    let at = 0;
    for (const part of this.#parts) {
      out.set(part, at);
      at += part.length;
    }
    return out;
  }
}

/** One field of a message: `value` for varints (exact to 2^53), `bytes` (a view of the input) for the rest. */
export interface WireField {
  readonly field: number;
  readonly value: number;
  readonly bytes: Uint8Array;
}

const NO_BYTES = new Uint8Array(0);

/** The fields of one message, in order. Throws WireError at the first malformed one. */
export function* wireFields(message: Uint8Array): Generator<WireField> {
  let at = 0;
  const varint = (): number => {
    let value = 0;
    let scale = 1;
    for (let i = 0; i < 10; i++) {
      if (at >= message.length) throw new WireError('varint ends early');
      const byte = message[at++] as number;
      if (i < 8) value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 0x80;
    }
    throw new WireError('varint is longer than 10 bytes');
  };
  const take = (length: number): Uint8Array => {
    if (length > message.length - at) throw new WireError('field ends early');
    at += length;
    return message.subarray(at - length, at);
  };
  while (at < message.length) {
    const key = varint();
    const field = Math.floor(key / 8);
    if (field === 0 || field > 0x1fffffff) throw new WireError(`field number ${field}`);
    switch (key % 8) {
      case VARINT:
        yield { field, value: varint(), bytes: NO_BYTES };
        break;
      case LENGTH_DELIMITED:
        yield { field, value: 0, bytes: take(varint()) };
        break;
      case FIXED64:
        yield { field, value: 0, bytes: take(8) };
        break;
      case FIXED32:
        yield { field, value: 0, bytes: take(4) };
        break;
      default:
        throw new WireError(`wire type ${key % 8}`);
    }
  }
}

export function text(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
}
