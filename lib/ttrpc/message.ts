/**
 * Protobuf messages, declared once as a table of fields: `message({ id: [1, string], … })` gives encode and decode. For protocols of
 * this project's own whose programs must start fast; the table stands beside its .proto file and a test compares them.
 */
import { text, type WireField, WireWriter, wireFields } from './wire.ts';

interface Kind<T> {
  readonly proto: string;
  readonly repeated: boolean;
  initial(): T;
  write(out: WireWriter, field: number, value: T): void;
  /** The value after one more occurrence of the field. */
  read(wire: WireField, before: T): T;
}

export const string: Kind<string> = {
  proto: 'string',
  repeated: false,
  initial: () => '',
  write: (out, field, value) => void out.string(field, value),
  read: (wire) => text(wire.bytes),
};
const NO_BYTES = new Uint8Array(0);
export const bytes: Kind<Uint8Array> = {
  proto: 'bytes',
  repeated: false,
  initial: () => NO_BYTES,
  write: (out, field, value) => void out.bytes(field, value),
  read: (wire) => wire.bytes,
};
/** uint32 and uint64 alike: exact to 2^53. */
export const uint: Kind<number> = {
  proto: 'uint64',
  repeated: false,
  initial: () => 0,
  write: (out, field, value) => void out.uint(field, value),
  read: (wire) => wire.value,
};
export const bool: Kind<boolean> = {
  proto: 'bool',
  repeated: false,
  initial: () => false,
  write: (out, field, value) => void out.uint(field, value ? 1 : 0),
  read: (wire) => wire.value !== 0,
};

/** Most elements that one repeated field may have. */
const MAX_REPEATED = 65536;

export function repeated<T>(kind: Kind<T>): Kind<T[]> {
  return {
    proto: kind.proto,
    repeated: true,
    initial: () => [],
    write: (out, field, values) => {
      for (const value of values) {
        if (kind.proto === 'string') out.message(field, Buffer.from(value as string, 'utf8'));
        else kind.write(out, field, value);
      }
    },
    read: (wire, before) => {
      if (before.length < MAX_REPEATED) before.push(kind.read(wire, kind.initial()));
      return before;
    },
  };
}

// biome-ignore lint/suspicious/noExplicitAny: a Kind is invariant in its type, and every one may stand here
type Shape = Readonly<Record<string, readonly [number, Kind<any>]>>;
type ValueOf<F> = F extends readonly [number, Kind<infer T>] ? T : never;
export type Infer<M> = M extends Message<infer S> ? { [K in keyof S]: ValueOf<S[K]> } : never;

export interface Message<S> extends Kind<{ [K in keyof S]: ValueOf<S[K]> }> {
  /** Field name → number and kind, as in the .proto file. */
  readonly fields: S;
  /** Fields that are left out have their zero value. */
  encode(value: Partial<{ [K in keyof S]: ValueOf<S[K]> }>): Uint8Array;
  /** @throws WireError. bytes fields are views of the input. */
  decode(message: Uint8Array): { [K in keyof S]: ValueOf<S[K]> };
}

export function message<const S extends Shape>(name: string, fields: S): Message<S> {
  type Value = { [K in keyof S]: ValueOf<S[K]> };
  const rows = Object.entries(fields).map(([key, [number, kind]]) => ({ key, number, kind: kind as unknown as Kind<unknown> }));
  const byNumber = new Map(rows.map((row) => [row.number, row]));
  const encode = (value: Partial<Value>): Uint8Array => {
    const out = new WireWriter();
    for (const { key, number, kind } of rows) {
      const v = (value as Record<string, unknown>)[key];
      if (v !== undefined) kind.write(out, number, v);
    }
    return out.finish();
  };
  const decode = (encoded: Uint8Array): Value => {
    const out: Record<string, unknown> = {};
    for (const { key, kind } of rows) out[key] = kind.initial();
    for (const wire of wireFields(encoded)) {
      const row = byNumber.get(wire.field);
      if (row !== undefined) out[row.key] = row.kind.read(wire, out[row.key]);
    }
    return out as Value;
  };
  return {
    proto: name,
    repeated: false,
    fields,
    encode,
    decode,
    initial: () => decode(NO_BYTES),
    write: (out, field, value) => void out.message(field, encode(value)),
    read: (wire) => decode(wire.bytes),
  };
}
