/** Compiles the list of host calls into a seccomp program (seccomp(2); classic BPF). */
import { STUB_BASE } from '../stub_layout.ts';
import type { HostCallRule } from './host_calls.ts';
import { STUB_CODE_END } from './layout.ts';

// struct seccomp_data
const NR = 0;
const ARCH = 4;
const IP_LOW = 8;
const IP_HIGH = 12;
const ARGS = 16;

const LOAD = 0x20; // BPF_LD | BPF_W | BPF_ABS
const AND = 0x54; // BPF_ALU | BPF_AND | BPF_K
const JEQ = 0x15;
const JGE = 0x35;
const RETURN = 0x06;
const ALLOW = 0x7fff0000;
const TRAP = 0x00030000;
const AUDIT_ARCH_X86_64 = 0xc000003e;

interface Instruction {
  readonly code: number;
  readonly jt: number;
  readonly jf: number;
  readonly k: number;
}
const op = (code: number, k: number, jt = 0, jf = 0): Instruction => ({ code, jt, jf, k });

/** struct sock_filter[], 8 bytes each. Whatever is not allowed raises SIGSYS. */
export function compileFilter(rules: readonly HostCallRule[]): Uint8Array {
  const program = [
    op(LOAD, ARCH),
    op(JEQ, AUDIT_ARCH_X86_64, 1, 0),
    op(RETURN, TRAP),
    op(LOAD, IP_HIGH),
    op(JEQ, Math.floor(STUB_BASE / 0x1_0000_0000), 1, 0),
    op(RETURN, TRAP),
    op(LOAD, IP_LOW),
    ...(STUB_BASE % 0x1_0000_0000 === 0 ? [] : [op(JGE, STUB_BASE % 0x1_0000_0000, 1, 0), op(RETURN, TRAP)]),
    op(JGE, STUB_CODE_END % 0x1_0000_0000, 0, 1),
    op(RETURN, TRAP),
    ...rules.flatMap(compileRule),
    op(RETURN, TRAP),
  ];
  const bytes = new Uint8Array(program.length * 8);
  const view = new DataView(bytes.buffer);
  for (const [i, { code, jt, jf, k }] of program.entries()) {
    view.setUint16(i * 8, code, true);
    view.setUint8(i * 8 + 2, jt);
    view.setUint8(i * 8 + 3, jf);
    view.setUint32(i * 8 + 4, k, true);
  }
  return bytes;
}

/** Falls through to what follows if the rule does not match. */
function compileRule(rule: HostCallRule): Instruction[] {
  const body: Instruction[] = [];
  // Built from the end, so that each mismatch knows how far it jumps: past ALLOW.
  body.unshift(op(RETURN, ALLOW));
  for (const { arg, mask, values } of [...rule.when].reverse()) {
    const miss = body.length;
    const tests = values.map((value, i) => op(JEQ, value, values.length - 1 - i, i === values.length - 1 ? miss : 0));
    const masked = mask === undefined ? [] : [op(AND, mask >>> 0)];
    const low = [op(LOAD, ARGS + arg * 8), ...masked, ...tests];
    body.unshift(op(LOAD, ARGS + arg * 8 + 4), op(JEQ, 0, 0, miss + low.length), ...low);
  }
  return [op(LOAD, NR), op(JEQ, rule.nr, 0, body.length), ...body];
}
