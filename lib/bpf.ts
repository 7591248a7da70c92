/** Classic BPF: checking a program that somebody else wrote, and running it. */
import {
  BPF_A,
  BPF_ABS,
  BPF_ADD,
  BPF_ALU,
  BPF_AND,
  BPF_B,
  BPF_DIV,
  BPF_H,
  BPF_IMM,
  BPF_IND,
  BPF_JA,
  BPF_JEQ,
  BPF_JGE,
  BPF_JGT,
  BPF_JMP,
  BPF_JSET,
  BPF_LD,
  BPF_LDX,
  BPF_LEN,
  BPF_LSH,
  BPF_MAXINSNS,
  BPF_MEM,
  BPF_MEMWORDS,
  BPF_MISC,
  BPF_MOD,
  BPF_MSH,
  BPF_MUL,
  BPF_NEG,
  BPF_OR,
  BPF_RET,
  BPF_RSH,
  BPF_ST,
  BPF_STX,
  BPF_SUB,
  BPF_TAX,
  BPF_TXA,
  BPF_W,
  BPF_X,
  BPF_XOR,
  SockFilter,
} from '../abi/bpf.ts';

/** One instruction. */
export interface BpfInstruction {
  readonly code: number;
  readonly jt: number;
  readonly jf: number;
  readonly k: number;
}
export type BpfProgram = readonly BpfInstruction[];

/** From struct sock_filter, `count` of them. */
export function decodeBpf(bytes: Uint8Array, count: number): BpfProgram {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: count }, (_, i) => SockFilter.read(view, i * SockFilter.size));
}

const ALU_OPERATIONS = new Set([BPF_ADD, BPF_SUB, BPF_MUL, BPF_DIV, BPF_OR, BPF_AND, BPF_LSH, BPF_RSH, BPF_NEG, BPF_MOD, BPF_XOR]);
const JUMPS = new Set([BPF_JEQ, BPF_JGT, BPF_JGE, BPF_JSET]);

/** True if every path ends in a return: jumps go forward and stay inside, every opcode exists, no division by a constant 0. */
export function isValidBpf(program: BpfProgram): boolean {
  const { length } = program;
  if (length === 0 || length > BPF_MAXINSNS) return false;
  for (const [at, instruction] of program.entries()) if (!isValidInstruction(instruction, length - at - 1)) return false;
  return ((program[length - 1] as BpfInstruction).code & 7) === BPF_RET;
}

/** left: instructions that follow. */
function isValidInstruction({ code, jt, jf, k }: BpfInstruction, left: number): boolean {
  const operation = code & 0xf0;
  switch (code & 7) {
    case BPF_LD:
      return isLoad(code, k);
    case BPF_LDX:
      return code === (BPF_LDX | BPF_W | BPF_IMM) || code === (BPF_LDX | BPF_W | BPF_LEN) || code === (BPF_LDX | BPF_B | BPF_MSH)
        ? true
        : code === (BPF_LDX | BPF_W | BPF_MEM) && k < BPF_MEMWORDS;
    case BPF_ST:
    case BPF_STX:
      return code <= BPF_STX && k < BPF_MEMWORDS;
    case BPF_ALU: {
      if (code > 0xff || !ALU_OPERATIONS.has(operation)) return false;
      const constant = (code & BPF_X) === 0;
      if ((operation === BPF_DIV || operation === BPF_MOD) && constant && k === 0) return false;
      return !((operation === BPF_LSH || operation === BPF_RSH) && constant && k > 31);
    }
    case BPF_JMP:
      if (code === (BPF_JMP | BPF_JA)) return k < left;
      return code <= 0xff && JUMPS.has(operation) && jt < left && jf < left;
    case BPF_RET:
      return code === BPF_RET || code === (BPF_RET | BPF_A);
    default:
      return code === (BPF_MISC | BPF_TAX) || code === (BPF_MISC | BPF_TXA);
  }
}

function isLoad(code: number, k: number): boolean {
  switch (code & ~0x18 & 0xffff) {
    case BPF_LD | BPF_ABS:
    case BPF_LD | BPF_IND:
      return (code & 0x18) !== 0x18;
    case BPF_LD | BPF_IMM:
    case BPF_LD | BPF_LEN:
      return (code & 0x18) === BPF_W;
    case BPF_LD | BPF_MEM:
      return (code & 0x18) === BPF_W && k < BPF_MEMWORDS;
    default:
      return false;
  }
}

/** Where the program loads from. A load beyond the end, or -1, ends the program with 0. */
export interface BpfData {
  readonly length: number;
  /** `size` bytes (1, 2, 4) at `offset` as one unsigned number. */
  load(offset: number, size: number): number;
}

/** What a checked program returns for `data`. */
export function runBpf(program: BpfProgram, data: BpfData): number {
  const memory = new Uint32Array(BPF_MEMWORDS);
  let a = 0;
  let x = 0;
  for (let at = 0; ; at++) {
    const { code, jt, jf, k } = program[at] as BpfInstruction;
    switch (code & 7) {
      case BPF_LD: {
        const loaded = loadA(code, k, x, memory, data);
        if (loaded < 0) return 0;
        a = loaded;
        break;
      }
      case BPF_LDX: {
        const loaded = loadX(code, k, memory, data);
        if (loaded < 0) return 0;
        x = loaded;
        break;
      }
      case BPF_ST:
        memory[k] = a;
        break;
      case BPF_STX:
        memory[k] = x;
        break;
      case BPF_ALU: {
        const operand = (code & BPF_X) === 0 ? k : x;
        if (operand === 0 && ((code & 0xf0) === BPF_DIV || (code & 0xf0) === BPF_MOD)) return 0;
        a = calculate(code & 0xf0, a, operand);
        break;
      }
      case BPF_JMP:
        if ((code & 0xf0) === BPF_JA) at += k;
        else at += holds(code & 0xf0, a, (code & BPF_X) === 0 ? k : x) ? jt : jf;
        break;
      case BPF_RET:
        return code === (BPF_RET | BPF_A) ? a : k;
      default:
        if (code === (BPF_MISC | BPF_TAX)) x = a;
        else a = x;
    }
  }
}

function sizeOf(code: number): number {
  return (code & 0x18) === BPF_B ? 1 : (code & 0x18) === BPF_H ? 2 : 4;
}

/** -1: out of range. */
function loadA(code: number, k: number, x: number, memory: Uint32Array, data: BpfData): number {
  switch (code & 0xe0) {
    case BPF_IMM:
      return k;
    case BPF_LEN:
      return data.length;
    case BPF_MEM:
      return memory[k] as number;
    default: {
      const offset = (code & 0xe0) === BPF_IND ? (k + x) % 0x1_0000_0000 : k;
      return offset + sizeOf(code) > data.length ? -1 : data.load(offset, sizeOf(code));
    }
  }
}

function loadX(code: number, k: number, memory: Uint32Array, data: BpfData): number {
  switch (code & 0xe0) {
    case BPF_IMM:
      return k;
    case BPF_LEN:
      return data.length;
    case BPF_MEM:
      return memory[k] as number;
    default:
      // The length of an IPv4 header: four times the low half of its first byte.
      return k >= data.length ? -1 : (data.load(k, 1) & 0xf) << 2;
  }
}

function calculate(operation: number, a: number, operand: number): number {
  switch (operation) {
    case BPF_ADD:
      return (a + operand) >>> 0;
    case BPF_SUB:
      return (a - operand) >>> 0;
    case BPF_MUL:
      return Math.imul(a, operand) >>> 0;
    case BPF_DIV:
      return Math.floor(a / operand);
    case BPF_MOD:
      return a % operand;
    case BPF_OR:
      return (a | operand) >>> 0;
    case BPF_AND:
      return (a & operand) >>> 0;
    case BPF_XOR:
      return (a ^ operand) >>> 0;
    case BPF_LSH:
      return operand > 31 ? 0 : (a << operand) >>> 0;
    case BPF_RSH:
      return operand > 31 ? 0 : a >>> operand;
    default:
      return -a >>> 0;
  }
}

function holds(operation: number, a: number, operand: number): boolean {
  switch (operation) {
    case BPF_JEQ:
      return a === operand;
    case BPF_JGT:
      return a > operand;
    case BPF_JGE:
      return a >= operand;
    default:
      return (a & operand) !== 0;
  }
}
