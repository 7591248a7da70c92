/**
 * Binary structs, declared once. `struct(name, size, fields)` checks size and alignment when the module loads and gives
 * `read` and `write`. Little-endian unless a field says `be`. Fields named `__*` are padding or unused: read skips them,
 * write zeroes them.
 */

interface Field<T> {
  readonly size: number;
  readonly align: number;
  get(view: DataView, offset: number): T;
  set(view: DataView, offset: number, value: T): void;
}

function scalar<T>(size: number, get: Field<T>['get'], set: Field<T>['set'], align = size): Field<T> {
  return { size, align, get, set };
}

export const u8 = scalar<number>(
  1,
  (v, o) => v.getUint8(o),
  (v, o, x) => v.setUint8(o, x),
);
export const i8 = scalar<number>(
  1,
  (v, o) => v.getInt8(o),
  (v, o, x) => v.setInt8(o, x),
);
export const u16 = scalar<number>(
  2,
  (v, o) => v.getUint16(o, true),
  (v, o, x) => v.setUint16(o, x, true),
);
export const i16 = scalar<number>(
  2,
  (v, o) => v.getInt16(o, true),
  (v, o, x) => v.setInt16(o, x, true),
);
export const u32 = scalar<number>(
  4,
  (v, o) => v.getUint32(o, true),
  (v, o, x) => v.setUint32(o, x, true),
);
export const i32 = scalar<number>(
  4,
  (v, o) => v.getInt32(o, true),
  (v, o, x) => v.setInt32(o, x, true),
);
/** Bit-exact 64 bits. */
export const u64 = scalar<bigint>(
  8,
  (v, o) => v.getBigUint64(o, true),
  (v, o, x) => v.setBigUint64(o, x, true),
);
export const i64 = scalar<bigint>(
  8,
  (v, o) => v.getBigInt64(o, true),
  (v, o, x) => v.setBigInt64(o, x, true),
);
/** Unsigned 64 bits as a number: addresses, lengths, counts. Exact below 2^53. */
export const len64 = scalar<number>(8, getLen64, setLen64);
/** Signed 64 bits as a number: offsets, seconds. Exact within ±2^53. */
export const off64 = scalar<number>(8, (v, o) => v.getInt32(o + 4, true) * 0x1_0000_0000 + v.getUint32(o, true), setLen64);
// Network byte order; unaligned, as headers are.
export const be16 = scalar<number>(
  2,
  (v, o) => v.getUint16(o),
  (v, o, x) => v.setUint16(o, x),
  1,
);
export const be32 = scalar<number>(
  4,
  (v, o) => v.getUint32(o),
  (v, o, x) => v.setUint32(o, x),
  1,
);

export function getLen64(view: DataView, offset: number): number {
  return view.getUint32(offset + 4, true) * 0x1_0000_0000 + view.getUint32(offset, true);
}

/** Works for negative numbers as well: two's complement. setUint32 itself takes the value modulo 2^32. */
export function setLen64(view: DataView, offset: number, value: number): void {
  view.setUint32(offset, value, true);
  view.setUint32(offset + 4, value >= 0 && value < 0x1_0000_0000 ? 0 : Math.floor(value / 0x1_0000_0000), true);
}

/** `n` bytes that nobody reads. */
export function pad(n: number, align = 1): Field<undefined> {
  return {
    size: n,
    align,
    get: () => undefined,
    set: (view, offset) => new Uint8Array(view.buffer, view.byteOffset + offset, n).fill(0),
  };
}

/** A fixed run of bytes; read gives a copy, write pads with zeros or throws if `value` is longer. */
export function bytes(n: number): Field<Uint8Array> {
  return {
    size: n,
    align: 1,
    get: (view, offset) => new Uint8Array(view.buffer, view.byteOffset + offset, n).slice(),
    set: (view, offset, value) => {
      const target = new Uint8Array(view.buffer, view.byteOffset + offset, n);
      target.fill(0);
      target.set(value);
    },
  };
}

/** `count` elements of one kind. */
export function array<T>(element: Field<T>, count: number): Field<T[]> {
  return {
    size: element.size * count,
    align: element.align,
    get: (view, offset) => Array.from({ length: count }, (_, i) => element.get(view, offset + i * element.size)),
    set: (view, offset, value) => {
      for (let i = 0; i < count; i++) element.set(view, offset + i * element.size, value[i] as T);
    },
  };
}

// biome-ignore lint/suspicious/noExplicitAny: a shape mixes fields of every kind; ValueOf recovers each one's type.
type Shape = Readonly<Record<string, Field<any>>>;
type ValueOf<F> = F extends { get(view: DataView, offset: number): infer T } ? T : never;
type Named<S> = Exclude<keyof S, `__${string}`>;
/** The object that a struct reads and writes. */
export type Infer<D> = D extends Struct<infer S> ? { [K in Named<S>]: ValueOf<S[K]> } : never;

export interface Struct<S> extends Field<{ [K in Named<S>]: ValueOf<S[K]> }> {
  readonly name: string;
  /** Offset in bytes of each field. */
  readonly offsets: Readonly<Record<keyof S & string, number>>;
  read(view: DataView, offset?: number): { [K in Named<S>]: ValueOf<S[K]> };
  write(view: DataView, offset: number, value: { [K in Named<S>]: ValueOf<S[K]> }): void;
  /** A fresh buffer that holds `value`. */
  encode(value: { [K in Named<S>]: ValueOf<S[K]> }): Uint8Array;
  /** From the first `size` bytes of `bytes`; the caller has checked the length. */
  decode(bytes: Uint8Array): { [K in Named<S>]: ValueOf<S[K]> };
}

/** @throws Error at load if the fields do not add up to `size`, or one is not aligned (a mistake in the declaration). */
export function struct<const S extends Shape>(name: string, size: number, shape: S): Struct<S> {
  type Value = { [K in Named<S>]: ValueOf<S[K]> };
  const offsets: Record<string, number> = {};
  const named: { key: string; offset: number; field: Field<unknown> }[] = [];
  const unused: { offset: number; field: Field<unknown> }[] = [];
  let end = 0;
  let align = 1;
  for (const [key, value] of Object.entries(shape)) {
    const field = value as unknown as Field<unknown>;
    if (end % field.align !== 0) throw new Error(`struct ${name}: ${key} at ${end} is not aligned to ${field.align}`);
    offsets[key] = end;
    if (key.startsWith('__')) unused.push({ offset: end, field });
    else named.push({ key, offset: end, field });
    end += field.size;
    align = Math.max(align, field.align);
  }
  if (end !== size) throw new Error(`struct ${name}: fields add up to ${end} bytes, not ${size}`);
  const read = (view: DataView, offset = 0): Value => {
    const out: Record<string, unknown> = {};
    for (const f of named) out[f.key] = f.field.get(view, offset + f.offset);
    return out as Value;
  };
  const write = (view: DataView, offset: number, value: Value): void => {
    for (const f of named) f.field.set(view, offset + f.offset, (value as Record<string, unknown>)[f.key]);
    for (const f of unused) for (let i = 0; i < f.field.size; i++) view.setUint8(offset + f.offset + i, 0);
  };
  return {
    name,
    size,
    align,
    offsets: offsets as Struct<S>['offsets'],
    get: read,
    set: write,
    read,
    write,
    encode: (value) => {
      const out = new Uint8Array(size);
      write(new DataView(out.buffer), 0, value);
      return out;
    },
    decode: (data) => read(new DataView(data.buffer, data.byteOffset, data.byteLength)),
  };
}
