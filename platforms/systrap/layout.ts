/** What the stub and the Sentry share: native-addon/stub/systrap_stub.h says the same for C. */
import { STUB_BASE } from '../stub_layout.ts';

/** The stub's code ends here: the filter lets calls through from [STUB_BASE, STUB_CODE_END) alone. */
export const STUB_CODE_END = STUB_BASE + 0x1_0000;
export const STUB_CODE = { start: STUB_BASE, end: STUB_CODE_END };
/** Where a rewritten call enters the stub (fast.S). */
export const FAST_ENTRY = STUB_BASE;
/** Everything of the stub's lies below. */
export const STUB_END = STUB_BASE + 0x1000_0000;
export const SLOTS = STUB_BASE + 0x200_0000;
/** Where a fork prepares its child's slots. */
export const NEXT_SLOTS = STUB_BASE + 0x400_0000;
export const SLOT_SIZE = 8192;
export const SLOT_WORDS = SLOT_SIZE / 4;
export const MAX_THREADS = 4096;
/** The last slot of a process's memfd is no thread's: struct futex_counts. */
export const COUNTS_PAGE = MAX_THREADS - 1;
/** Slots below it are no threads' either: room for large results of calls. */
export const ROOM_SLOTS = 128;
export const ROOM_SIZE = ROOM_SLOTS * SLOT_SIZE;
export const FIRST_ROOM_SLOT = COUNTS_PAGE - ROOM_SLOTS;
export const FUTEX_BUCKETS = 512;
/** Of a thread's signal stack. */
export const STACK_SIZE = 0x8000;
/** The application's thread number `index` has this much of a process's memfd. */
export const SLOTS_LENGTH = MAX_THREADS * SLOT_SIZE;

// enum slot_state
export const STATE_RUN = 0;
export const STATE_POSTED = 1;
export const STATE_SLEEPING = 2;
export const STATE_REPLY = 3;
export const STATE_COMMAND = 4;
export const STATE_GONE = 5;
export const STATE_LEFT = 6;

// enum request_kind
export const KIND_SYSCALL = 1;
export const KIND_FAULT = 2;
export const KIND_INTERRUPT = 3;
export const KIND_BROKEN_FRAME = 5;
export const KIND_NOT_STARTED = 6;

// enum command_op
export const OP_HOST = 0;
export const OP_MAP_FILE = 1;
export const OP_THREAD = 2;
export const OP_FORK = 3;
export const OP_STATE = 4;
export const OP_ADVISE = 5;
export const OP_FRAME = 6;

// enum futex_grant
export const FUTEXES_ASKED = 0;
export const FUTEXES_UNTIMED = 1;
export const FUTEXES_TIMED = 2;

// enum reply_flags
export const REPLY_RESULT = 1;
export const REPLY_REGISTERS = 2;
export const REPLY_EXIT = 4;
export const REPLY_UNWIND = 8;
export const REPLY_FRAME = 16;
export const REPLY_WRITE = 32;

// Offsets in a slot, in 32-bit words.
export const W_STATE = 0;
/** While it runs; else 0. */
export const W_HOST_TID = 1;
export const W_WAITS_SINCE = 2;
export const W_KIND = 0x40 / 4;
export const W_CODE = 0x44 / 4;
export const W_SIGNAL = 0x48 / 4;
export const W_KICK = 0x4c / 4;
export const W_ADDRESS = 0x50 / 4;
export const W_FPSTATE = 0x58 / 4;
export const W_REGS = 0x60 / 4;
export const W_FLAGS = 0x140 / 4;
export const W_COMMAND_COUNT = 0x144 / 4;
export const W_RESULT = 0x148 / 4;
export const W_SPIN = 0x150 / 4;
export const W_FUTEXES = 0x154 / 4;
export const W_ASLEEP = 0x158 / 4;
export const W_SLEEPS = 0x15c / 4;
/** Random words that prove that a process sees this slot (fork). Unused by the stub. */
export const W_NONCE = 0x160 / 4;
export const NONCE_WORDS = 4;
/** The thread's rseq area, as registered with the host, and its signature; 0: none, or the stub has unregistered it. */
export const W_RSEQ = 0x170 / 4;
export const W_RSEQ_SIGNATURE = 0x178 / 4;
export const W_COMMANDS = 0x180 / 4;
export const COMMAND_WORDS = 16;
export const MAX_COMMANDS = 28;
/** Inside a command. */
export const C_NR = 1;
export const C_ARGS = 2;
export const C_RESULT = 14;

/** struct frame_order, struct frame_peek; offsets inside in words. */
export const W_FRAME = 0x880 / 4;
export const F_HANDLER = 0;
export const F_RESTORER = 2;
export const F_MASK = 4;
export const F_STACK = 6;
export const F_STACK_FLAGS = 8;
export const F_STACK_SIZE = 10;
export const F_SIGNAL = 12;
export const F_ON_STACK = 13;
export const F_ERR = 14;
export const F_TRAPNO = 16;
export const F_CR2 = 18;
export const F_INFO = 20;
export const W_PEEK = 0x950 / 4;
export const P_MASK = 0;
export const P_SP = 2;
export const P_STACK = 4;
export const P_STACK_FLAGS = 6;
export const P_STACK_SIZE = 8;
export const P_VALID = 10;
export const W_CPU_TIME = 0x980 / 4;
/** struct call_memory: of each piece its words. */
export const W_DATA = 0xa38 / 4;
export const DATA_SIZE = 5576;
export const W_MEMORY = 0x988 / 4;
export const PIECE_WORDS = 4;
export const M_LENGTH = 2;
export const M_OFFSET = 3;
/** M_OFFSET of what lies in the room. */
export const IN_ROOM = 0x8000_0000 | 0;
/** Of pieces: two to read, then two to write; the two that the Sentry has written; whether the first four are of this call. */
export const PIECES_GATHERED = 4;
export const W_WRITTEN = W_MEMORY + PIECES_GATHERED * PIECE_WORDS;
export const W_GATHERED = W_MEMORY + 6 * PIECE_WORDS;
/** By the Sentry: the room is this thread's alone. */
export const W_OWN_ROOM = W_GATHERED + 1;
/** struct alone. */
export const W_ALONE = 0x9f0 / 4;
export const ALONE_WORDS = 18;
export const W_KNOWN = W_ALONE;
export const W_KNOWN_PID = W_ALONE + 1;
export const W_KNOWN_TID = W_ALONE + 2;
export const W_KEEPS = W_ALONE + 4;
export const W_CLEARED = W_ALONE + 5;
export const W_MASK = W_ALONE + 6;
export const W_MASK_STACK = W_ALONE + 8;
export const W_ROBUST_LIST = W_ALONE + 14;
export const W_CLEAR_TID = W_ALONE + 16;
// enum keeps
export const KEEPS_ADDRESSES = 1;
export const KEEPS_END = 2;
/** In the word of the mask: SIGKILL, which no mask has. */
export const MASK_LENT = 1n << 8n;
/** OP_MAP_FILE, argument 4. */
export const MAP_FD_HELD = 1;
export const MAP_FD_KEEP = 2;

/** A non-negative number, or one within ±2^53 in two's complement, as 64 bits at word w. */
export function setWords(words: Int32Array, w: number, value: number): void {
  words[w] = value;
  words[w + 1] = Math.floor(value / 0x1_0000_0000);
}
/** The 64 bits at word w, exact below 2^53: an address. */
export function getWords(words: Int32Array, w: number): number {
  return ((words[w + 1] as number) >>> 0) * 0x1_0000_0000 + ((words[w] as number) >>> 0);
}
