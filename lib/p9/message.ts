/**
 * Messages, declared once: `message(name, type, fields)` gives `write` and `read` for both ends. A message that is too short, too long, or
 * holds anything beyond its caps reads as null.
 */
import type { ByteString } from '../byte_string.ts';
import { P9_MAX_MSIZE, P9_MAX_NAME, P9_MAX_STRING } from './constants.ts';
import type { Reader, Writer } from './cursor.ts';

export interface Field<T> {
  read(r: Reader): T;
  write(w: Writer, value: T): void;
}

export const u8: Field<number> = { read: (r) => r.u8(), write: (w, v) => w.u8(v) };
export const u16: Field<number> = { read: (r) => r.u16(), write: (w, v) => w.u16(v) };
export const u32: Field<number> = { read: (r) => r.u32(), write: (w, v) => w.u32(v) };
/** 64 bits as a number: exact below 2^53, which sizes, times and folded inode numbers are. */
export const u64: Field<number> = { read: (r) => r.u64(), write: (w, v) => w.u64(v) };
/** Seconds: before 1970 they are negative. */
export const i64: Field<number> = { read: (r) => r.i64(), write: (w, v) => w.u64(v) };
/** One name of a directory. */
export const name: Field<ByteString> = { read: (r) => r.string(P9_MAX_NAME), write: (w, v) => w.string(v) };
export const text: Field<ByteString> = { read: (r) => r.string(P9_MAX_STRING), write: (w, v) => w.string(v) };
/** 32-bit length and bytes; what `read` gives is a view of the message. */
export const data: Field<Uint8Array> = { read: (r) => r.data(P9_MAX_MSIZE), write: (w, v) => w.data(v) };

/** 16-bit count and as many elements; more than `max` is bad. */
export function list<T>(element: Field<T>, max: number): Field<readonly T[]> {
  return {
    read: (r) => {
      const count = r.u16();
      if (count > max) r.bad = true;
      const out: T[] = [];
      for (let i = 0; i < count && !r.bad; i++) out.push(element.read(r));
      return out;
    },
    write: (w, v) => {
      w.u16(v.length);
      for (const x of v) element.write(w, x);
    },
  };
}

/** Exactly `length` bytes as they are. */
export function raw(length: number): Field<Uint8Array> {
  return { read: (r) => r.raw(length), write: (w, v) => w.raw(v) };
}

/** What a file is: `path` is its identity (a folded inode number), `version` changes with its content. */
export interface Qid {
  readonly type: number;
  readonly version: number;
  readonly path: number;
}
export const qid: Field<Qid> = {
  read: (r) => ({ type: r.u8(), version: r.u32(), path: r.u64() }),
  write: (w, v) => {
    w.u8(v.type);
    w.u32(v.version);
    w.u64(v.path);
  },
};

type Values<F> = { readonly [K in keyof F]: F[K] extends { read(r: Reader): infer T } ? T : never };
/** The object that a message carries. */
export type Body<M> = M extends Message<infer F> ? Values<F> : never;

export interface Message<F> {
  readonly name: string;
  readonly type: number;
  write(w: Writer, body: Values<F>): void;
  /** The whole rest of the reader; null if it is not this message. */
  read(r: Reader): Values<F> | null;
}

export function message<const F>(name: string, type: number, fields: F): Message<F> {
  const list = Object.entries(fields as unknown as Record<string, Field<unknown>>);
  return {
    name,
    type,
    write: (w, body) => {
      for (const [key, field] of list) field.write(w, (body as Record<string, unknown>)[key]);
    },
    read: (r) => {
      const out: Record<string, unknown> = {};
      for (const [key, field] of list) out[key] = field.read(r);
      return r.complete ? (out as Values<F>) : null;
    },
  };
}
