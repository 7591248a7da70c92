import type { CodePolicy, ThreadContext } from '../platform.ts';
import { CallSites, type CodeMemory } from './call_sites.ts';
import { FAST_ENTRY } from './layout.ts';

const BASE = 0x10_0000;
const AREA = 0x5_0000;
const VIA = {} as ThreadContext;
const BEHIND_LOCK = BASE + 12;
const GETPPID = [0xb8, 110, 0, 0, 0, 0x0f, 0x05, 0xc3];

/** Code at BASE, room for trampolines at AREA. */
function setup(code: readonly number[], options: { threaded?: boolean; fixed?: boolean } = {}) {
  const bytes = new Uint8Array(0x20_0000);
  bytes.set(code, BASE);
  const writes: string[] = [];
  const memory: CodeMemory = {
    threaded: options.threaded ?? false,
    readCode: (address, into) => {
      into.set(bytes.subarray(address, address + into.length));
      return true;
    },
    writeCode: (address, from) => {
      bytes.set(from, address);
      if (address >= BASE) writes.push(`${address - BASE}:${Buffer.from(from).toString('hex').slice(0, 2)}+${from.length}`);
      return true;
    },
    hostCall: (_via, nr, a0) => void writes.push(`${nr}(${a0})`),
  };
  const policy: CodePolicy = { isFixedCode: () => options.fixed ?? true, reserveCode: () => AREA };
  return { bytes, writes, memory, policy, sites: new CallSites(memory, policy, null) };
}
const at = (bytes: Uint8Array, address: number, n: number): number[] => [...bytes.subarray(address, address + n)];

test('mov and syscall: a jump in place of the mov, which the trampoline makes up for', () => {
  const { bytes, sites } = setup([0xc3, ...GETPPID]);
  sites.consider(VIA, BASE + 1 + 7, 110);
  const view = new DataView(bytes.buffer);
  expect(bytes[BASE + 1]).toBe(0xe9);
  expect(BASE + 6 + view.getInt32(BASE + 2, true)).toBe(AREA);
  expect(at(bytes, BASE + 6, 3)).toEqual([0x0f, 0x05, 0xc3]);
  expect(at(bytes, AREA, 8)).toEqual([0xb8, 110, 0, 0, 0, 0x4c, 0x8d, 0x1d]);
  expect(AREA + 12 + view.getInt32(AREA + 8, true)).toBe(BASE + 8);
  expect(Number(view.getBigUint64(AREA + 18, true))).toBe(FAST_ENTRY);
});

test.each([
  ['another number than the one that was called', [0xc3, ...GETPPID], 111],
  ['another register', [0x41, ...GETPPID], 110],
  ['no syscall instruction', [0xc3, 0xb8, 110, 0, 0, 0, 0x90, 0x90], 110],
  ['another instruction', [0xc3, 0x48, 0x89, 0xf8, 0x31, 0xc0, 0x0f, 0x05], 110],
  ['a call that needs all state', [0xc3, 0xb8, 57, 0, 0, 0, 0x0f, 0x05], 57],
])('%s is left alone', (_name, code, nr) => {
  const { bytes, sites } = setup(code);
  sites.consider(VIA, BASE + 8, nr);
  expect(at(bytes, BASE, 8)).toEqual(code.slice(0, 8));
  expect(sites.retry(BASE + 2)).toBe(false);
});

test('code that somebody may write is left alone', () => {
  const { bytes, sites } = setup([0xc3, ...GETPPID], { fixed: false });
  sites.consider(VIA, BASE + 8, 110);
  expect(bytes[BASE + 1]).toBe(0xb8);
});

test('where other threads run: a breakpoint first, the rest behind barriers', () => {
  const { bytes, writes, sites } = setup([0xc3, ...GETPPID], { threaded: true });
  sites.consider(VIA, BASE + 8, 110);
  expect(writes.map((w) => w.replace(/:(?!cc|e9)../, ':'))).toEqual(['1:cc+1', '324(64)', '324(32)', '2:+4', '324(32)', '1:e9+1']);
  expect(sites.retry(BASE + 2)).toBe(true);
  expect(sites.retry(BASE + 3)).toBe(false);
  sites.end(); // a thread may have met a breakpoint of ours, and be heard of later
  expect(sites.retry(BASE + 2)).toBe(true);
  bytes[BASE + 1] = 0xcc; // the program's own
  expect(sites.retry(BASE + 2)).toBe(false);
});

test('a process that gets its second thread is registered for that beforehand, once', () => {
  const { writes, sites } = setup([0xc3, ...GETPPID], { threaded: true });
  sites.prepareThreads(VIA);
  sites.prepareThreads(VIA);
  sites.consider(VIA, BASE + 1 + 7, 110);
  expect(writes.filter((w) => w.startsWith('324'))).toEqual(['324(64)', '324(32)', '324(32)']);
});

test('an application in a trampoline is seen at its site', () => {
  const { sites } = setup([0xc3, ...GETPPID]);
  sites.consider(VIA, BASE + 8, 110);
  sites.end();
  expect([AREA, AREA + 5, AREA + 12, AREA + 32, BASE].map((rip) => sites.seenAt(rip))).toEqual([
    BASE + 1,
    BASE + 6,
    BASE + 6,
    AREA + 32,
    BASE,
  ]);
});

test('readers see the original, writers and debuggers get it back', () => {
  const { bytes, memory, policy, sites } = setup([0xc3, ...GETPPID]);
  sites.consider(VIA, BASE + 8, 110);
  const read = bytes.slice(BASE + 3, BASE + 9);
  sites.overlay(BASE + 3, read, 0, read.length);
  expect([...read]).toEqual([0, 0, 0, 0x0f, 0x05, 0xc3]);
  const child = new CallSites(memory, policy, sites);
  sites.restoreIn(BASE + 100, BASE + 200);
  expect(bytes[BASE + 1]).toBe(0xe9);
  child.end();
  expect(at(bytes, BASE + 1, 8)).toEqual(GETPPID);
  child.consider(VIA, BASE + 8, 110);
  expect(bytes[BASE + 1]).toBe(0xb8);
});

test('a lock’s call: both instructions before the syscall are moved, of which the first becomes the jump', () => {
  const code = [0xb8, 202, 0, 0, 0, 0x40, 0x80, 0xf6, 0x80, 0x0f, 0x05, 0xc3];
  const { bytes, sites } = setup([0xc3, ...code]);
  sites.consider(VIA, BEHIND_LOCK, 202);
  expect(at(bytes, BASE + 1, 1)).toEqual([0xe9]);
  expect(at(bytes, BASE + 6, 7)).toEqual(code.slice(5));
  expect(at(bytes, AREA, 12)).toEqual([...code.slice(0, 9), 0x4c, 0x8d, 0x1d]);
  expect([0, 5, 9, 16].map((rip) => sites.seenAt(AREA + rip) - BASE)).toEqual([1, 6, 10, 10]);
});

/** read(2) of the C library: xor %eax, %eax; syscall; cmp; ja; ret; a gap of ten bytes. */
const READ = [0x31, 0xc0, 0x0f, 0x05, 0x48, 0x3d, 0, 0xf0, 0xff, 0xff, 0x77, 0x5b, 0xc3];
const GAP = [0x66, 0x2e, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0];
/** The gap ends at a multiple of 16. */
const READ_AT = 9;
const reading = [...new Array<number>(READ_AT).fill(0x90), ...READ, ...GAP, 0x90, ...READ.slice(0, 4)];
const GAP_AT = READ_AT + READ.length;
const OTHER_AT = GAP_AT + GAP.length + 1;

test('xor and syscall: a short jump to a gap behind the function, and the jump there', () => {
  const { bytes, sites } = setup(reading);
  const view = new DataView(bytes.buffer);
  sites.consider(VIA, BASE + READ_AT + 4, 0);
  expect(at(bytes, BASE + READ_AT, 4)).toEqual([0xeb, GAP_AT - READ_AT - 2, 0x0f, 0x05]);
  expect(bytes[BASE + GAP_AT]).toBe(0xe9);
  expect(BASE + GAP_AT + 5 + view.getInt32(BASE + GAP_AT + 1, true)).toBe(AREA);
  expect(at(bytes, AREA, 5)).toEqual([0x31, 0xc0, 0x4c, 0x8d, 0x1d]);
  expect(AREA + 9 + view.getInt32(AREA + 5, true)).toBe(BASE + READ_AT + 4);
  expect([AREA, AREA + 2, AREA + 9, BASE + GAP_AT].map((rip) => sites.seenAt(rip) - BASE)).toEqual([
    READ_AT,
    READ_AT + 2,
    READ_AT + 2,
    READ_AT,
  ]);

  // The same gap has room for another one, and for no third.
  sites.consider(VIA, BASE + OTHER_AT + 4, 0);
  expect(at(bytes, BASE + OTHER_AT, 2)).toEqual([0xeb, 256 + GAP_AT + 5 - OTHER_AT - 2]);
  expect(bytes[BASE + GAP_AT + 5]).toBe(0xe9);
  const shown = bytes.slice(BASE, BASE + reading.length);
  sites.overlay(BASE, shown, 0, shown.length);
  expect([...shown]).toEqual(reading);

  // A thread may be about to run the jump in the gap when the site is put back.
  sites.end();
  expect(at(bytes, BASE + READ_AT, READ.length)).toEqual(READ);
  expect(bytes[BASE + GAP_AT]).toBe(0xe9);
  expect(sites.seenAt(BASE + GAP_AT)).toBe(BASE + READ_AT);
});

test.each([
  ['no function’s end before the gap', { 10: 0x74 }],
  ['a gap that is none', { 15: 1 }],
  ['a gap that does not end where a function may begin', { 22: 0x90 }],
  ['a prefix before the instruction', { [-1]: 0x45 }],
])('%s: read stays as it is', (_name, changes) => {
  const code = reading.slice(0, OTHER_AT);
  for (const [i, byte] of Object.entries(changes)) code[READ_AT + Number(i)] = byte;
  const { bytes, sites } = setup(code);
  sites.consider(VIA, BASE + READ_AT + 4, 0);
  expect(at(bytes, BASE, code.length)).toEqual(code);
});

test('what is written over a gap puts the site back that leads there', () => {
  const { bytes, sites } = setup(reading);
  sites.consider(VIA, BASE + READ_AT + 4, 0);
  sites.restoreIn(BASE + GAP_AT + 4, BASE + GAP_AT + 5);
  expect(at(bytes, BASE + READ_AT, READ.length)).toEqual(READ);
});

test('what is mapped over is forgotten', () => {
  const { bytes, sites } = setup([0xc3, ...GETPPID]);
  sites.consider(VIA, BASE + 8, 110);
  sites.forget(BASE, BASE + 4096);
  expect(sites.retry(BASE + 2)).toBe(false);
  bytes.set([1, 2, 3, 4, 5], BASE + 1);
  sites.end();
  expect(at(bytes, BASE + 1, 5)).toEqual([1, 2, 3, 4, 5]);
});

test('without its trampolines no site stays', () => {
  const { bytes, sites } = setup([0xc3, ...GETPPID]);
  sites.consider(VIA, BASE + 8, 110);
  sites.forget(AREA + 4096, AREA + 8192);
  expect(at(bytes, BASE + 1, 8)).toEqual(GETPPID);
});
