/**
 * What a process of ours may ask of the host's kernel: a list of calls with a reason each, compiled into a seccomp filter (seccomp(2))
 * that holds for all its threads. Any other call ends the process, unless its owner says otherwise.
 */
import { BPF_ABS, BPF_ALU, BPF_AND, BPF_JEQ, BPF_JGE, BPF_JMP, BPF_K, BPF_LD, BPF_RET, BPF_W } from '../abi/bpf.ts';
import {
  AUDIT_ARCH_X86_64,
  SECCOMP_DATA_ARCH,
  SECCOMP_DATA_ARGS,
  SECCOMP_DATA_IP,
  SECCOMP_DATA_NR,
  SECCOMP_FILTER_FLAG_TSYNC,
  SECCOMP_RET_ALLOW,
  SECCOMP_RET_KILL_PROCESS,
  SECCOMP_SET_MODE_FILTER,
} from '../abi/seccomp.ts';
import type { Host } from './host.ts';

const SECCOMP = 317;
/** Numbers of the x32 ABI have this bit: its calls are the same ones under other numbers. */
const X32_BIT = 0x4000_0000;

/** The low 32 bits of argument `arg`, masked, must be one of `values`. For int and flag arguments: the kernel ignores the rest. */
export interface ArgumentRule {
  readonly arg: number;
  readonly mask?: number;
  readonly values: readonly number[];
  /** The high half must be zero: for arguments of 64 bits. */
  readonly wide?: boolean;
}

/** The instruction that makes a call must lie in [start, end), within one 4 GiB. */
export interface CodeRange {
  readonly start: number;
  readonly end: number;
}

export interface HostCall {
  readonly name: string;
  readonly nr: number;
  /** All must hold; absent: any arguments. */
  readonly when?: readonly ArgumentRule[];
  readonly reason: string;
}

interface Instruction {
  readonly code: number;
  readonly jt: number;
  readonly jf: number;
  readonly k: number;
}
const op = (code: number, k: number, jt = 0, jf = 0): Instruction => ({ code, jt, jf, k: k >>> 0 });
const LOAD = BPF_LD | BPF_W | BPF_ABS;
const EQUAL = BPF_JMP | BPF_JEQ | BPF_K;
const AT_LEAST = BPF_JMP | BPF_JGE | BPF_K;
const RETURN = BPF_RET | BPF_K;

/** struct sock_filter[]. Rows are tried in order: the frequent ones first. otherwise: what becomes of other calls (SECCOMP_RET_*). */
export function compileFilter(calls: readonly HostCall[], otherwise = SECCOMP_RET_KILL_PROCESS): Uint8Array {
  return assemble([
    op(LOAD, SECCOMP_DATA_ARCH),
    op(EQUAL, AUDIT_ARCH_X86_64, 1, 0),
    op(RETURN, SECCOMP_RET_KILL_PROCESS),
    op(LOAD, SECCOMP_DATA_NR),
    op(AT_LEAST, X32_BIT, 0, 1),
    op(RETURN, SECCOMP_RET_KILL_PROCESS),
    ...calls.flatMap(compileCall),
    op(RETURN, otherwise),
  ]);
}

/** As compileFilter, for code of ours in a process that is not: whatever comes from elsewhere, or by another ABI, is `otherwise` as well. */
export function compileFilterFor(code: CodeRange, calls: readonly HostCall[], otherwise: number): Uint8Array {
  return assemble([
    op(LOAD, SECCOMP_DATA_ARCH),
    op(EQUAL, AUDIT_ARCH_X86_64, 1, 0),
    op(RETURN, otherwise),
    op(LOAD, SECCOMP_DATA_IP + 4),
    op(EQUAL, Math.floor(code.start / 0x1_0000_0000), 1, 0),
    op(RETURN, otherwise),
    op(LOAD, SECCOMP_DATA_IP),
    op(AT_LEAST, code.start % 0x1_0000_0000, 1, 0),
    op(RETURN, otherwise),
    op(AT_LEAST, code.end % 0x1_0000_0000, 0, 1),
    op(RETURN, otherwise),
    op(LOAD, SECCOMP_DATA_NR),
    ...calls.flatMap(compileCall), // numbers of x32 are in no row
    op(RETURN, otherwise),
  ]);
}

function assemble(program: readonly Instruction[]): Uint8Array {
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

/** The accumulator holds the number before and, where the call does not match, afterwards. */
function compileCall({ nr, when = [] }: HostCall): Instruction[] {
  if (when.length === 0) return [op(EQUAL, nr, 0, 1), op(RETURN, SECCOMP_RET_ALLOW)];
  // Built from the end: a mismatch jumps to the reload of the number behind the last test.
  const body: Instruction[] = [op(RETURN, SECCOMP_RET_ALLOW)];
  for (const { arg, mask, values, wide } of [...when].reverse()) {
    const miss = body.length;
    const tests = values.map((value, i) => op(EQUAL, value, values.length - 1 - i, i === values.length - 1 ? miss : 0));
    body.unshift(op(LOAD, SECCOMP_DATA_ARGS + arg * 8), ...(mask === undefined ? [] : [op(BPF_ALU | BPF_AND | BPF_K, mask)]), ...tests);
    if (wide) body.unshift(op(LOAD, SECCOMP_DATA_ARGS + arg * 8 + 4), op(EQUAL, 0, 0, body.length));
  }
  return [op(EQUAL, nr, 0, body.length + 1), ...body, op(LOAD, SECCOMP_DATA_NR)];
}

/** Applies to every thread, for ever. The process has no_new_privs. 0, an errno, or the id of a thread that could not be brought along. */
export function installFilter(host: Host, calls: readonly HostCall[], otherwise = SECCOMP_RET_KILL_PROCESS): number {
  const program = compileFilter(calls, otherwise);
  const description = new BigUint64Array([BigInt(program.length / 8), BigInt(host.addressOf(program))]); // struct sock_fprog
  return host.syscall(SECCOMP, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, description);
}
