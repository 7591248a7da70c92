/** The first stack of a program: strings, auxiliary vector, environment, arguments (System V ABI, x86-64, §3.4.1). */
import { AT_EXECFN, AT_NULL, AT_PLATFORM, AT_RANDOM } from '../../abi/elf.ts';
import { E2BIG, type Errno } from '../../abi/errno.ts';
import { setLen64 } from '../../abi/struct.ts';
import { type ByteString, bytesOf } from '../../lib/byte_string.ts';

/** Longest single argument (MAX_ARG_STRLEN). */
const MAX_ARG_STRLEN = 131_072;
const PLATFORM = 'x86_64';

export interface InitialStack {
  /** Bytes from `pointer` to the top. */
  readonly bytes: Uint8Array;
  readonly pointer: number;
  readonly argStart: number;
  readonly argEnd: number;
  readonly envStart: number;
  readonly envEnd: number;
  readonly auxv: Uint8Array;
}

export interface StackInput {
  /** First address above the stack; a multiple of 16. */
  readonly top: number;
  /** Bytes the strings and pointers may take (a quarter of RLIMIT_STACK). */
  readonly limit: number;
  readonly argv: readonly ByteString[];
  readonly env: readonly ByteString[];
  readonly execPath: ByteString;
  readonly random: Uint8Array;
  /** Pairs; AT_EXECFN, AT_RANDOM, AT_PLATFORM and AT_NULL are added. */
  readonly auxv: readonly (readonly [number, number])[];
}

export function buildStack(input: StackInput): InitialStack | Errno {
  const { argv, env, execPath, random, top } = input;
  let strings = execPath.length + 1 + PLATFORM.length + 1 + random.length;
  for (const list of [argv, env]) {
    for (const text of list) {
      if (text.length >= MAX_ARG_STRLEN) return E2BIG;
      strings += text.length + 1;
    }
  }
  const words = 1 + argv.length + 1 + env.length + 1 + (input.auxv.length + 4) * 2;
  const size = strings + words * 8 + 32;
  if (size > input.limit) return E2BIG;

  // From the top down: 8 zero bytes, the file name, environment, arguments, platform, random; then the words, 16-byte aligned.
  const area = new Uint8Array(Math.ceil((size + 8) / 16) * 16 + 16);
  const base = top - area.length;
  let at = area.length - 8;
  const put = (bytes: Uint8Array, nul: number): number => {
    at -= bytes.length + nul;
    area.set(bytes, at);
    return base + at;
  };
  const putAll = (texts: readonly ByteString[]): number[] => {
    const addresses = new Array<number>(texts.length);
    for (let i = texts.length - 1; i >= 0; i--) addresses[i] = put(bytesOf(texts[i] as string), 1);
    return addresses;
  };
  const execAddress = put(bytesOf(execPath), 1);
  const envAt = putAll(env);
  const envStart = envAt[0] ?? execAddress;
  const argAt = putAll(argv);
  const argStart = argAt[0] ?? envStart;
  const platformAddress = put(bytesOf(PLATFORM), 1);
  const randomAddress = put(random, 0);
  const auxv = [...input.auxv, [AT_RANDOM, randomAddress], [AT_EXECFN, execAddress], [AT_PLATFORM, platformAddress], [AT_NULL, 0]];

  const start = Math.floor((at - words * 8) / 16) * 16;
  const view = new DataView(area.buffer);
  let word = start;
  for (const value of [argv.length, ...argAt, 0, ...envAt, 0]) {
    setLen64(view, word, value);
    word += 8;
  }
  const auxStart = word;
  for (const value of auxv.flat()) {
    setLen64(view, word, value);
    word += 8;
  }
  return {
    bytes: area.subarray(start),
    pointer: base + start,
    argStart,
    argEnd: envStart,
    envStart,
    envEnd: execAddress,
    auxv: area.slice(auxStart, word),
  };
}
