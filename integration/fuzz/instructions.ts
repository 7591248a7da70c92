/**
 * Random instruction bytes in ring 3, from a seed. Whatever they do ends as a signal, a system call or a kick: never in a lost vCPU, never
 * in memory that is not theirs, and the next thread runs as if nothing had been.
 */
import { PROT_EXEC, PROT_READ, PROT_WRITE } from '../../abi/mman.ts';
import { SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGTRAP } from '../../abi/signal.ts';
import { host } from '../../lib/host.ts';
import { type Platform, REG, type ThreadContext, type ThreadEvents } from '../../platforms/platform.ts';

const CODE = 0x40_0000;
const DATA = 0x50_0000;
const STACK = 0x60_0000;
const WITNESS = 0x70_0000;
const PAGE = 4096;
const PATTERN = 0x5a;
/** ns that a case may run before it is kicked; that a kick and a well-behaved program may take. */
const CASE_NS = 3e6;
const KICK_NS = 20e9;
/** Cases between looks at the witness and a well-behaved program. */
const LOOK_EVERY = 64;
const OWN_SIGNALS = new Set([SIGILL, SIGTRAP, SIGFPE, SIGBUS, SIGSEGV]);
/** Beginnings that are more interesting than chance: ports, gates, far transfers, system instructions, flags, segments, strings, state. */
const BEGINNINGS: readonly (readonly number[])[] = [
  [0x0f, 0x00],
  [0x0f, 0x01],
  [0x0f, 0x05],
  [0x0f, 0x07],
  [0x0f, 0x09],
  [0x0f, 0x20],
  [0x0f, 0x22],
  [0x0f, 0x23],
  [0x0f, 0x30],
  [0x0f, 0x32],
  [0x0f, 0x34],
  [0x0f, 0x35],
  [0x0f, 0x78],
  [0x0f, 0xae],
  [0x0f, 0xc7],
  [0x0f, 0x0d],
  [0x0f, 0x1e],
  [0x48, 0x0f, 0xae],
  [0xf3, 0x0f, 0xae],
  [0xf3, 0x48, 0x0f, 0xae],
  [0x66, 0x0f, 0xae],
  [0xc4],
  [0xc5],
  [0x62],
  [0x8f],
  [0xcd],
  [0xcc],
  [0xf1],
  [0xca],
  [0xcb],
  [0xcf],
  [0x48, 0xcf],
  [0xff, 0x2d],
  [0xff, 0x1d],
  [0xff, 0x6c, 0x24],
  [0xff, 0x5c, 0x24],
  [0xe4],
  [0xe5],
  [0xe6],
  [0xe7],
  [0xec],
  [0xed],
  [0xee],
  [0xef],
  [0x6c],
  [0x6d],
  [0x6e],
  [0x6f],
  [0xf3, 0x6c],
  [0xf3, 0x6e],
  [0x66, 0x6d],
  [0xf4],
  [0xfa],
  [0xfb],
  [0x9d],
  [0x66, 0x9d],
  [0x8e],
  [0x8c],
  [0xf3, 0xa4],
  [0xf2, 0xaf],
  [0xf3, 0xab],
  [0xd9],
  [0xdb],
  [0xdd],
  [0xdf],
  [0x9b],
  [0xf0],
  [0x67],
  [0x2e],
  [0x36],
  [0x64],
  [0x65],
  [0xc8],
  [0x0f, 0xb2],
  [0x0f, 0xb4],
  [0x0f, 0x02],
  [0x0f, 0x03],
  [0x48, 0xcb],
];

class Random {
  private state: number;
  constructor(seed: number) {
    this.state = (seed ^ 0x9e37_79b9) | 1;
  }
  /** Below `limit`, at most 2^32. */
  below(limit: number): number {
    let x = this.state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.state = x;
    return (x >>> 0) % limit;
  }
}

export interface InstructionFuzz {
  readonly platform: Platform;
  readonly seed: number;
  readonly seconds: number;
  readonly cases: number;
  /** Bytes that no case holds: what an emulated processor gets wrong by itself. */
  readonly without?: readonly number[];
  /** Told now and then how many cases have run. */
  readonly progress?: (done: number) => void;
}
export interface InstructionFindings {
  readonly findings: readonly string[];
  readonly cases: number;
  /** How often each thing ended a case. */
  readonly ends: ReadonlyMap<string, number>;
}

export function fuzzInstructions({ platform, seed, seconds, cases, without = [], progress }: InstructionFuzz): InstructionFindings {
  const random = new Random(seed);
  const findings: string[] = [];
  const ends = new Map<string, number>();
  let end: { readonly thread: ThreadContext; readonly what: string } | null = null;
  const events: ThreadEvents = {
    syscall: (thread) => {
      end = { thread, what: 'call' };
    },
    fault: (thread, signal) => {
      end = { thread, what: OWN_SIGNALS.has(signal) ? `signal ${signal}` : `foreign signal ${signal}` };
    },
    interrupted: (thread) => {
      end = { thread, what: 'kick' };
    },
    exited: (thread, cause) => {
      end = { thread, what: `lost: ${cause}` };
    },
  };
  const witness = space(platform);
  const marks = new Uint8Array(PAGE).fill(PATTERN);
  witness.space.mapAnonymous(witness, WITNESS, PAGE, PROT_READ | PROT_WRITE);
  witness.space.write(WITNESS, marks, 0, PAGE);

  /** What ended it; '' if nothing did. */
  function run(thread: ThreadContext, patience = CASE_NS): string {
    end = null;
    thread.resume();
    waitUntil(host.monotonicNow() + patience);
    if (end === null) {
      thread.interrupt();
      waitUntil(host.monotonicNow() + KICK_NS);
    }
    return (end as { what: string } | null)?.what ?? '';
  }
  function waitUntil(deadline: number): void {
    while (end === null && host.monotonicNow() < deadline) platform.wait(events, deadline);
  }
  function behaves(): boolean {
    // mov eax, 77; syscall
    prepare(witness, new Uint8Array([0xb8, 77, 0, 0, 0, 0x0f, 5]), null);
    const held = new Uint8Array(PAGE);
    const sees = run(witness, KICK_NS) === 'call' && witness.sysno === 77;
    return sees && witness.space.read(WITNESS, held, 0, PAGE) === PAGE && held.every((b) => b === PATTERN);
  }

  const deadline = host.monotonicNow() + seconds * 1e9;
  let thread = space(platform);
  let done = 0;
  for (; done < cases && host.monotonicNow() < deadline && findings.length < 10; done++) {
    const bytes = randomCode(random).filter((byte) => !without.includes(byte));
    prepare(thread, bytes, random);
    const what = run(thread);
    ends.set(what, (ends.get(what) ?? 0) + 1);
    const bad = what === '' || what.startsWith('lost') || what.startsWith('foreign');
    if (bad) findings.push(`${what === '' ? 'cannot be stopped' : what}: ${Buffer.from(bytes).toString('hex')}`);
    if (bad || done % LOOK_EVERY === 0) {
      thread.space.release();
      thread = space(platform);
      progress?.(done);
      if (!behaves()) findings.push(`the witness suffers after ${Buffer.from(bytes).toString('hex')}`);
    }
  }
  thread.space.release();
  witness.space.release();
  return { findings, cases: done, ends };
}

function space(platform: Platform): ThreadContext {
  const thread = platform.newAddressSpace();
  if (typeof thread === 'number') throw new Error(`newAddressSpace: ${thread}`);
  thread.space.mapAnonymous(thread, CODE, 2 * PAGE, PROT_READ | PROT_WRITE | PROT_EXEC);
  thread.space.mapAnonymous(thread, DATA, 2 * PAGE, PROT_READ | PROT_WRITE);
  thread.space.mapAnonymous(thread, STACK - 2 * PAGE, 4 * PAGE, PROT_READ | PROT_WRITE);
  return thread;
}

/** One to six pieces, each random after an interesting beginning or from its first byte on. */
function randomCode(random: Random): Uint8Array {
  const bytes: number[] = [];
  for (let pieces = 1 + random.below(6); pieces > 0; pieces--) {
    if (random.below(4) !== 0) bytes.push(...(BEGINNINGS[random.below(BEGINNINGS.length)] as readonly number[]));
    for (let n = random.below(8); n > 0; n--) bytes.push(random.below(256));
  }
  return Uint8Array.from(bytes.slice(0, 60));
}

function prepare(thread: ThreadContext, bytes: Uint8Array, random: Random | null): void {
  const page = new Uint8Array(64).fill(0x90);
  page.set(bytes);
  thread.space.writeForced(CODE, page, 0, page.length);
  thread.setXstate(null);
  const registers = thread.registers();
  registers.u64.fill(0n);
  if (random !== null) {
    const places = [DATA, STACK, CODE, 0, 0x11, 0x7ff0_0000_0000, 2 ** 47 - 8, random.below(2 ** 32)];
    for (let i = 0; i < 15; i++) registers.set(i, places[random.below(places.length)] as number);
  }
  registers.set(REG.rip, CODE);
  registers.set(REG.rsp, STACK);
  registers.set(REG.eflags, 0x202);
  registers.u64[REG.fs_base] = 0n;
  registers.u64[REG.gs_base] = 0n;
  thread.setRegisters();
}
