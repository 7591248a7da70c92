import { AUDIT_ARCH_X86_64, SECCOMP_RET_ALLOW, SECCOMP_RET_KILL_PROCESS } from '../abi/seccomp.ts';
import { compileFilter, type HostCall } from './host_call_filter.ts';

/** Runs the few instructions that filters are made of. */
function run(program: Uint8Array, nr: number, args: readonly number[], arch = AUDIT_ARCH_X86_64): number {
  const view = new DataView(program.buffer);
  const data = new DataView(new ArrayBuffer(64));
  data.setUint32(0, nr, true);
  data.setUint32(4, arch, true);
  for (const [i, value] of args.entries()) data.setInt32(16 + i * 8, value, true);
  let a = 0;
  for (let pc = 0; ; pc++) {
    const k = view.getUint32(pc * 8 + 4, true);
    const jump = (taken: boolean): number => view.getUint8(pc * 8 + (taken ? 2 : 3));
    const code = view.getUint16(pc * 8, true);
    if (code === 0x20) a = data.getUint32(k, true);
    else if (code === 0x54) a = (a & k) >>> 0;
    else if (code === 0x15) pc += jump(a === k);
    else if (code === 0x35) pc += jump(a >= k);
    else if (code === 0x06) return k;
    else throw new Error(`code ${code}`);
  }
}

const CALLS: readonly HostCall[] = [
  { name: 'read', nr: 0, reason: '' },
  {
    name: 'mmap',
    nr: 9,
    when: [
      { arg: 2, mask: 4, values: [0] },
      { arg: 3, values: [0x22, 0x4022] },
    ],
    reason: '',
  },
  { name: 'openat', nr: 257, when: [{ arg: 0, values: [-100] }], reason: '' },
  { name: 'mmap', nr: 9, when: [{ arg: 3, values: [1] }], reason: '' },
  { name: 'close', nr: 3, reason: '' },
];

test('what is listed is allowed, the rest is not', () => {
  const program = compileFilter(CALLS);
  const allowed = (nr: number, ...args: number[]): boolean => {
    const r = run(program, nr, args);
    expect([SECCOMP_RET_ALLOW, SECCOMP_RET_KILL_PROCESS]).toContain(r);
    return r === SECCOMP_RET_ALLOW;
  };
  expect(allowed(0)).toBe(true);
  expect(allowed(3)).toBe(true);
  expect(allowed(1)).toBe(false);
  expect(allowed(9, 0, 4096, 3, 0x22)).toBe(true);
  expect(allowed(9, 0, 4096, 3, 0x4022)).toBe(true);
  expect(allowed(9, 0, 4096, 7, 0x22)).toBe(false);
  expect(allowed(9, 0, 4096, 3, 0x23)).toBe(false);
  expect(allowed(9, 0, 4096, 7, 1)).toBe(true); // the second row for the same call
  expect(allowed(257, -100)).toBe(true);
  expect(allowed(257, 5)).toBe(false);
});

test('other architectures and the x32 numbers are refused', () => {
  const program = compileFilter(CALLS);
  expect(run(program, 0, [], 0x4000_0003)).toBe(SECCOMP_RET_KILL_PROCESS);
  expect(run(program, 0x4000_0000, [])).toBe(SECCOMP_RET_KILL_PROCESS);
});
