/** Socket filters in classic BPF (SO_ATTACH_FILTER, linux/filter.h): checked once, then run over a packet. */

export interface FilterInstruction {
  readonly code: number;
  readonly jt: number;
  readonly jf: number;
  readonly k: number;
}
/** BPF_MAXINSNS. */
export const MAX_INSTRUCTIONS = 4096;
const SCRATCH = 16;
const LD = 0;
const LDX = 1;
const ST = 2;
const STX = 3;
const ALU = 4;
const JMP = 5;
const RET = 6;
const MISC = 7;
/** Loads from here on are about the packet, not of it (SKF_AD_OFF). */
const ANCILLARY = 0xffff_f000;
/** Of the network and the link header (SKF_NET_OFF, SKF_LL_OFF). */
const NETWORK = 0xfff0_0000;
const LINK = 0xffe0_0000;
const LONGEST = 0xffff_ffff;

/** What a filter may ask of a packet: bytes[start..end) from where the socket's view begins. */
export interface FilteredPacket {
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
  /** Where link and network headers begin. */
  readonly link: number;
  readonly network: number;
  /** ETH_P_*, index of the interface, PACKET_*. */
  readonly protocol: number;
  readonly device: number;
  readonly kind: number;
}

/** Jumps stay inside and go forward, scratch memory exists, nothing is divided by a constant zero, and every way ends. */
export function validFilter(program: readonly FilterInstruction[]): boolean {
  const { length } = program;
  if (length === 0 || length > MAX_INSTRUCTIONS) return false;
  for (let pc = 0; pc < length; pc++) {
    const { code, jt, jf, k } = program[pc] as FilterInstruction;
    if (!KNOWN.has(code)) return false;
    const kind = code & 7;
    if (kind === JMP) {
      if ((code & 0xf0) === 0 ? k >= length - pc - 1 : pc + 1 + Math.max(jt, jf) >= length) return false;
    } else if (kind === ST || kind === STX || ((kind === LD || kind === LDX) && (code & 0xe0) === 0x60)) {
      if (k >= SCRATCH) return false;
    } else if (kind === ALU && (code & 8) === 0) {
      const operation = code & 0xf0;
      if ((operation === 0x30 || operation === 0x90) && k === 0) return false;
      if ((operation === 0x60 || operation === 0x70) && k > 31) return false;
    }
  }
  return ((program[length - 1] as FilterInstruction).code & 7) === RET;
}
const KNOWN: ReadonlySet<number> = new Set([
  ...[0x00, 0x20, 0x28, 0x30, 0x40, 0x48, 0x50, 0x60, 0x80], // LD
  ...[0x01, 0x61, 0x81, 0xb1], // LDX
  ...[0x02, 0x03], // ST, STX
  ...[0x04, 0x14, 0x24, 0x34, 0x44, 0x54, 0x64, 0x74, 0x84, 0x94, 0xa4], // ALU with k
  ...[0x0c, 0x1c, 0x2c, 0x3c, 0x4c, 0x5c, 0x6c, 0x7c, 0x9c, 0xac], // ALU with X
  ...[0x05, 0x15, 0x25, 0x35, 0x45, 0x1d, 0x2d, 0x3d, 0x4d], // JMP
  ...[0x06, 0x16], // RET
  ...[0x07, 0x87], // MISC
]);

/** Bytes of the packet that are kept; 0: none, it is dropped. The program was found valid. */
export function runFilter(program: readonly FilterInstruction[], packet: FilteredPacket): number {
  const memory = new Uint32Array(SCRATCH);
  let a = 0;
  let x = 0;
  for (let pc = 0; pc < program.length; pc++) {
    const { code, jt, jf, k } = program[pc] as FilterInstruction;
    switch (code & 7) {
      case LD: {
        const value = load(packet, code, k, x, memory);
        if (value < 0) return 0;
        a = value;
        break;
      }
      case LDX:
        if (code === 0x01) x = k;
        else if (code === 0x61) x = memory[k] as number;
        else if (code === 0x81) x = packet.end - packet.start;
        else {
          const value = fetch(packet, k, 1);
          if (value < 0) return 0;
          x = (value & 0xf) * 4;
        }
        break;
      case ST:
        memory[k] = a;
        break;
      case STX:
        memory[k] = x;
        break;
      case ALU: {
        const operand = (code & 8) !== 0 ? x : k;
        if (operand === 0 && ((code & 0xf0) === 0x30 || (code & 0xf0) === 0x90)) return 0;
        a = calculate(code & 0xf0, a, operand);
        break;
      }
      case JMP:
        if ((code & 0xf0) === 0) pc += k;
        else pc += holds(code & 0xf0, a, (code & 8) !== 0 ? x : k) ? jt : jf;
        break;
      case RET:
        return code === 0x16 ? a : k;
      case MISC:
        if (code === 0x07) x = a;
        else a = x;
    }
  }
  return 0;
}
function load(packet: FilteredPacket, code: number, k: number, x: number, memory: Uint32Array): number {
  const width = (code & 0x18) === 0 ? 4 : (code & 0x18) === 8 ? 2 : 1;
  switch (code & 0xe0) {
    case 0x00:
      return k;
    case 0x20:
      return k >= ANCILLARY ? about(packet, k - ANCILLARY) : fetch(packet, k, width);
    case 0x40:
      return fetch(packet, (k + x) % (LONGEST + 1), width);
    case 0x60:
      return memory[k] as number;
    default:
      return packet.end - packet.start;
  }
}
/** -1: not there. */
function fetch(packet: FilteredPacket, offset: number, width: number): number {
  const { bytes, end } = packet;
  let at = packet.start + offset;
  if (offset >= NETWORK) at = packet.network + offset - NETWORK;
  else if (offset >= LINK) at = packet.link + offset - LINK;
  if (at < 0 || at + width > end) return -1;
  let value = 0;
  for (let i = 0; i < width; i++) value = value * 256 + (bytes[at + i] as number);
  return value;
}
/** SKF_AD_*. What there is nothing to say about is 0. */
function about(packet: FilteredPacket, what: number): number {
  if (what === 0) return packet.protocol;
  if (what === 4) return packet.kind;
  return what === 8 ? packet.device : 0;
}
function calculate(operation: number, a: number, b: number): number {
  switch (operation) {
    case 0x00:
      return (a + b) >>> 0;
    case 0x10:
      return (a - b) >>> 0;
    case 0x20:
      return Math.imul(a, b) >>> 0;
    case 0x30:
      return Math.floor(a / b);
    case 0x40:
      return (a | b) >>> 0;
    case 0x50:
      return (a & b) >>> 0;
    case 0x60:
      return b > 31 ? 0 : (a << b) >>> 0;
    case 0x70:
      return b > 31 ? 0 : a >>> b;
    case 0x80:
      return -a >>> 0;
    case 0x90:
      return a % b;
    default:
      return (a ^ b) >>> 0;
  }
}
function holds(operation: number, a: number, b: number): boolean {
  if (operation === 0x10) return a === b;
  if (operation === 0x20) return a > b;
  return operation === 0x30 ? a >= b : (a & b) !== 0;
}
