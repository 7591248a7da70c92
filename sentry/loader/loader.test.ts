import { readFileSync } from 'node:fs';
import { E2BIG, ENOEXEC } from '../../abi/errno.ts';
import { byteString } from '../../lib/byte_string.ts';
import { parseElf } from './elf.ts';
import { parseScript } from './script.ts';
import { buildStack } from './stack.ts';

const script = (text: string) => parseScript(new TextEncoder().encode(text));

test('#! lines: interpreter and at most one argument', () => {
  expect(script('#!/bin/sh\necho')).toEqual({ interpreter: '/bin/sh', argument: null });
  expect(script('#! /usr/bin/env  python3 -u \n')).toEqual({ interpreter: '/usr/bin/env', argument: 'python3 -u' });
  expect(script('echo')).toBeNull();
  expect(script('#!   \n')).toBe(ENOEXEC);
  expect(script(`#!/${'x'.repeat(300)}\n`)).toBe(ENOEXEC);
});

function parse(bytes: Uint8Array) {
  return parseElf(bytes.subarray(0, 4096), (into, offset) => {
    const part = bytes.subarray(offset, offset + into.length);
    into.set(part);
    return part.length;
  });
}

test('the running node is a program with sane segments', () => {
  const image = parse(readFileSync(process.execPath));
  if (typeof image === 'number') throw new Error(`errno ${image}`);
  expect(image.segments.length).toBeGreaterThan(1);
  expect(image.interpreter).toMatch(/ld-linux/);
  expect(image.phdrCount).toBeGreaterThan(3);
});

test('what is cut or changed is refused', () => {
  const good = new Uint8Array(readFileSync('/bin/true'));
  expect(parse(good.subarray(0, 63))).toBe(ENOEXEC);
  for (const [at, value] of [
    [0, 0],
    [4, 1],
    [18, 3],
    [16, 9],
    [54, 1],
    [56, 0],
  ] as const) {
    const bad = good.slice();
    bad[at] = value;
    if (at === 56) bad[57] = 0;
    expect(parse(bad)).toBe(ENOEXEC);
  }
});

test('random headers never throw', () => {
  const good = new Uint8Array(readFileSync('/bin/true')).slice(0, 8192);
  let seed = 7;
  const random = (n: number) => (seed = (seed * 1103515245 + 12345) % 2147483648) % n;
  for (let i = 0; i < 3000; i++) {
    const bad = good.slice();
    for (let k = 0; k < 4; k++) bad[random(900)] = random(256);
    expect(() => parse(bad)).not.toThrow();
  }
});

test('the stack holds argc, argv, envp, auxv in order', () => {
  const built = buildStack({
    top: 0x7000_0000_0000,
    limit: 1 << 20,
    argv: ['a', 'bc'],
    env: ['X=1'],
    execPath: '/bin/a',
    random: new Uint8Array(16).fill(7),
    auxv: [[6, 4096]],
  });
  if (typeof built === 'number') throw new Error(`errno ${built}`);
  expect(built.pointer % 16).toBe(0);
  const view = new DataView(built.bytes.buffer, built.bytes.byteOffset, built.bytes.byteLength);
  const word = (i: number) => Number(view.getBigUint64(i * 8, true));
  const text = (address: number) => {
    const at = address - built.pointer;
    return byteString(built.bytes, at, built.bytes.indexOf(0, at));
  };
  expect(word(0)).toBe(2);
  expect([text(word(1)), text(word(2)), word(3), text(word(4)), word(5), word(6), word(7)]).toEqual(['a', 'bc', 0, 'X=1', 0, 6, 4096]);
  expect(byteString(built.bytes, built.argStart - built.pointer, built.argEnd - built.pointer)).toBe('a\0bc\0');
});

test('too many arguments give E2BIG', () => {
  const input = { top: 0x7000_0000_0000, limit: 4096, env: [], execPath: 'x', random: new Uint8Array(16), auxv: [] };
  expect(buildStack({ ...input, argv: ['y'.repeat(5000)] })).toBe(E2BIG);
  expect(buildStack({ ...input, limit: 1 << 30, argv: ['y'.repeat(131_072)] })).toBe(E2BIG);
});
