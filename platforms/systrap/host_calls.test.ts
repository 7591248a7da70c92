import { compileFilterFor } from '../../lib/host_call_filter.ts';
import { STUB_BASE } from '../stub_layout.ts';
import { HOST_CALLS } from './host_calls.ts';
import { STUB_CODE, STUB_CODE_END } from './layout.ts';

const ALLOW = 0x7fff0000;
const TRAP = 0x00030000;
const X86_64 = 0xc000003e;
const program = compileFilterFor(STUB_CODE, HOST_CALLS, TRAP);

/** What the kernel's interpreter of classic BPF would return. */
function run(nr: number, args: readonly bigint[], ip = STUB_BASE + 0x100, arch = X86_64): number {
  const data = new DataView(new ArrayBuffer(64));
  data.setUint32(0, nr, true);
  data.setUint32(4, arch, true);
  data.setBigUint64(8, BigInt(ip), true);
  for (const [i, a] of args.entries()) data.setBigUint64(16 + i * 8, BigInt.asUintN(64, a), true);
  const view = new DataView(program.buffer);
  let a = 0;
  for (let pc = 0; pc * 8 < program.length; pc++) {
    const code = view.getUint16(pc * 8, true);
    const k = view.getUint32(pc * 8 + 4, true);
    const jump = (taken: boolean): number => view.getUint8(pc * 8 + (taken ? 2 : 3));
    if (code === 0x20) a = data.getUint32(k, true);
    else if (code === 0x54) a = (a & k) >>> 0;
    else if (code === 0x15) pc += jump(a === k);
    else if (code === 0x35) pc += jump(a >= k);
    else if (code === 0x06) return k;
    else throw new Error(`unknown instruction ${code}`);
  }
  throw new Error('fell off the end');
}

test('nothing is allowed outside the stub', () => {
  for (let nr = 0; nr < 500; nr++) {
    for (const ip of [0x40_0000, STUB_BASE - 1, STUB_CODE_END, STUB_BASE + 0x1_0000_0000]) expect(run(nr, [1n, 0n, 8n], ip)).toBe(TRAP);
    expect(run(nr, [], STUB_BASE + 0x100, 0x40000003)).toBe(TRAP);
    expect(run(nr + 0x4000_0000, [])).toBe(TRAP);
  }
});
test('what is listed is allowed, and nothing else', () => {
  const listed = new Set(HOST_CALLS.map((c) => c.nr));
  for (let nr = 0; nr < 500; nr++) {
    if (!listed.has(nr)) expect(run(nr, [0n, 0n, 0n])).toBe(TRAP);
  }
  expect(run(15, [])).toBe(ALLOW);
  expect(run(202, [5n, 0n, 1n])).toBe(ALLOW);
  expect(run(202, [5n, 1n])).toBe(ALLOW);
  expect(run(202, [5n, 5n])).toBe(ALLOW);
  expect(run(11, [123n, 456n])).toBe(ALLOW);
});
test('constraints hold', () => {
  expect(run(202, [0n, 6n])).toBe(TRAP); // FUTEX_LOCK_PI
  expect(run(202, [0n, 0x1_0000_0006n])).toBe(TRAP); // an int: the kernel looks at the low half as well
  // Of private ones: wait, wake, wait for a bitset by either clock, requeue; never one with an owner, and no wait by a clock alone.
  for (const op of [128n, 129n, 131n, 132n, 137n, 393n]) expect(run(202, [0n, op])).toBe(ALLOW);
  for (const op of [3n, 4n, 9n, 10n, 130n, 133n, 134n, 135n, 136n, 138n, 139n, 140n, 141n, 256n, 265n, 384n, 395n])
    expect(run(202, [0n, op])).toBe(TRAP);
  expect(run(1, [1n, 0n, 8n])).toBe(ALLOW);
  expect(run(1, [0n, 0n, 8n])).toBe(TRAP);
  expect(run(1, [1n, 0n, 9n])).toBe(TRAP);
  expect(run(9, [0n, 4096n, 3n, 0x32n, -1n])).toBe(ALLOW);
  expect(run(9, [0n, 4096n, 3n, 0x4032n, -1n])).toBe(ALLOW);
  expect(run(9, [0n, 4096n, 3n, 0x31n, -1n])).toBe(TRAP); // shared, anonymous
  expect(run(9, [0n, 4096n, 3n, 0x40022n, -1n])).toBe(TRAP); // huge pages
  expect(run(9, [0n, 4096n, 3n, 0x11n, 2n])).toBe(ALLOW);
  expect(run(9, [0n, 4096n, 3n, 0x8012n, 2n])).toBe(TRAP); // MAP_POPULATE
  expect(run(56, [0x1250f00n])).toBe(ALLOW);
  expect(run(56, [0x8011n])).toBe(ALLOW);
  for (const clock of [1n, 3n]) expect(run(228, [clock])).toBe(ALLOW);
  for (const clock of [0n, 2n, 4n, 7n, 0xffff_fffen]) expect(run(228, [clock])).toBe(TRAP);
  for (const flags of [0x11n, 0x10008011n, 0x1_0000_8011n, 0x50f01n]) expect(run(56, [flags])).toBe(TRAP);
  expect(run(28, [0n, 0n, 4n])).toBe(ALLOW);
  expect(run(28, [0n, 0n, 100n])).toBe(TRAP);
  expect(run(33, [5n, 0n])).toBe(ALLOW);
  expect(run(33, [0n, 1n])).toBe(TRAP);
  expect(run(157, [1n, 9n])).toBe(ALLOW);
  for (const [option, value] of [
    [1n, 0n],
    [1n, 15n],
    [4n, 9n],
    [38n, 1n],
    [22n, 9n],
  ] as const)
    expect(run(157, [option, value])).toBe(TRAP);
  expect(run(47, [0n])).toBe(ALLOW);
  expect(run(47, [2n])).toBe(TRAP);
  for (const options of [0n, 1n]) expect(run(334, [4096n, 32n, options, 5n])).toBe(ALLOW);
  expect(run(334, [4096n, 32n, 2n, 5n])).toBe(TRAP);
  expect(run(334, [4096n, 64n, 0n, 5n])).toBe(TRAP);
});
