/*
 * What the stub and the Sentry share: addresses in the application's process, and the layout of a thread's slot.
 * platforms/systrap/layout.ts and platforms/stub_layout.ts say the same; a test compares offsets by running code.
 */
#ifndef TSVISOR_SYSTRAP_STUB_H
#define TSVISOR_SYSTRAP_STUB_H

#include <stdint.h>

#define STUB_BASE 0x7ff000000000UL
#define STUB_CODE_END (STUB_BASE + 0x10000UL)
/* One page of the whole sandbox, read-only here. */
#define GLOBAL_PAGE (STUB_BASE + 0x200000UL)
/* The process's slots, two pages a thread, the second seldom touched; and where a fork prepares its child's. */
#define SLOTS (STUB_BASE + 0x2000000UL)
#define NEXT_SLOTS (STUB_BASE + 0x4000000UL)
#define MAX_THREADS 4096UL
/* The last slots are no thread's: struct futex_counts, and below it the room (piece.offset). */
#define FUTEX_COUNTS (SLOTS + (MAX_THREADS - 1) * SLOT_SIZE)
#define SLOT_SIZE 8192UL
#define ROOM_SIZE (128 * SLOT_SIZE)
#define ROOM (FUTEX_COUNTS - ROOM_SIZE)
#define SLOTS_LENGTH (MAX_THREADS * SLOT_SIZE)
/* Signal stacks, one block a thread; the block's number is the thread's. */
#define STACKS (STUB_BASE + 0x8000000UL)
#define STACK_SIZE 0x8000UL

/* Descriptors: the process's socket, the sandbox's doorbell; a received one comes next. */
#define SOCKET_FD 0
#define DOORBELL_FD 1

enum slot_state {
	STATE_RUN = 0,
	STATE_POSTED = 1,   /* a request waits, the stub looks at the state from time to time */
	STATE_SLEEPING = 2, /* the same, the stub sleeps on the state */
	STATE_REPLY = 3,    /* carry out the commands and go on */
	STATE_COMMAND = 4,  /* carry out the commands and post again */
	STATE_GONE = 5,     /* the thread will not touch slot or stack again */
	STATE_LEFT = 6,     /* the same, and a request waits: its exit */
};

enum request_kind { KIND_SYSCALL = 1, KIND_FAULT = 2, KIND_INTERRUPT = 3, KIND_STARTED = 4, KIND_BROKEN_FRAME = 5, KIND_NOT_STARTED = 6 };

enum command_op {
	OP_HOST = 0,
	OP_MAP_FILE = 1,
	OP_THREAD = 2,
	OP_FORK = 3,
	OP_STATE = 4, /* the part of a reply that args[0], REPLY_*, names; now */
	OP_ADVISE = 5,
	OP_FRAME = 6, /* there is a signal frame; fpstate says where */
};

/* In the order in which they happen: REPLY_WRITE, registers, result, REPLY_UNWIND, REPLY_FRAME. */
enum reply_flags { REPLY_RESULT = 1, REPLY_REGISTERS = 2, REPLY_EXIT = 4, REPLY_UNWIND = 8, REPLY_FRAME = 16, REPLY_WRITE = 32 };

/* OP_MAP_FILE, args[4]: with the descriptor that the command before has left open; leave it open for the next. */
#define MAP_FD_HELD 1
#define MAP_FD_KEEP 2

struct command {
	uint32_t op, nr;
	uint64_t args[6];
	int64_t result;
};

#define MAX_COMMANDS 28

/*
 * Memory that a system call names, as far as it is small (arguments.c). What the call reads was copied to `data`, one piece behind the
 * other, each from a multiple of 8 on; then there is room for what it writes, which the stub puts into its place when it goes on.
 */
#define DATA_SIZE 5576U
#define PIECES 2
struct piece {
	uint64_t address;
	uint32_t length; /* 0: none */
	uint32_t offset; /* in `data`, of what is to be written; IN_ROOM: in the room, where what is large lies */
};
#define IN_ROOM 0x80000000U
struct call_memory {
	struct piece in[PIECES];
	struct piece out[PIECES];     /* can be written */
	struct piece written[PIECES]; /* by the Sentry: REPLY_WRITE */
	uint32_t gathered;            /* 1: `in` and `out` are of this call */
	uint32_t own_room;            /* by the Sentry; 1: the room is this thread's alone, which may put there what a call reads */
};

/* stack_t */
struct altstack {
	uint64_t sp;
	uint32_t flags, pad;
	uint64_t size;
};
/* REPLY_FRAME: the frame to be built. */
struct frame_order {
	uint64_t handler, restorer, mask;
	struct altstack stack;
	uint32_t signal, on_stack; /* on_stack: SA_ONSTACK */
	uint64_t err, trapno, cr2;
	uint64_t info[16];
};
/* At rt_sigreturn: the frame that the application returns through. */
struct frame_peek {
	uint64_t mask, sp;
	struct altstack stack;
	uint32_t valid, pad;
};

/* Which futex calls the stub may answer itself: none, those without an absolute time, all that it knows. */
enum futex_grant { FUTEXES_ASKED = 0, FUTEXES_UNTIMED = 1, FUTEXES_TIMED = 2 };

/*
 * What the thread may answer itself (alone.c), and what it keeps itself. Its signal mask is in one word with the right to change it: no mask has
 * SIGKILL in it.
 */
#define MASK_LENT (1UL << 8)
enum keeps {
	KEEPS_ADDRESSES = 1, /* robust_list, clear_tid and rseq are its to set, what is left of its stack its to give back */
	KEEPS_END = 2,       /* it ends without being told to */
};
struct alone {
	uint32_t known; /* 1: pid and tid are what getpid and gettid give */
	uint32_t pid, tid;
	uint32_t answered; /* the stub's own */
	uint32_t keeps;    /* enum keeps */
	uint32_t cleared;  /* the stub's: it has cleared the word at clear_tid, and ends */
	_Atomic uint64_t mask; /* 0: not lent */
	struct altstack stack; /* what a handler must come back with where the mask is all that its return changes */
	uint64_t robust_list;
	uint64_t clear_tid;
};

enum upgrade { UPGRADE_ANSWERED = 1, UPGRADE_UNASKED = 2 };

/* In the order of struct user_regs_struct. */
enum { R15, R14, R13, R12, RBP, RBX, R11, R10, R9, R8, RAX, RCX, RDX, RSI, RDI, ORIG_RAX, RIP, CS, EFLAGS, RSP, SS, FS_BASE, GS_BASE, DS, ES, FS, GS };

struct slot {
	_Atomic uint32_t state;
	uint32_t host_tid; /* the host's: the thread's number from before its first instruction until after its last; 0: it does not run */
	uint64_t waits_since; /* the stub's: when the futex call that is asked for began to wait for a relative time, CLOCK_MONOTONIC ns; 0: it did not */
	uint32_t pad0[12];
	/* Written by the stub. */
	uint32_t kind;   /* 0x40 */
	uint32_t code;   /* KIND_SYSCALL: 1 if by the 64-bit instruction; KIND_FAULT: si_code; KIND_NOT_STARTED: errno */
	uint32_t signal; /* 0x48 */
	uint32_t kick;   /* 0x4c: the stub's own: it is to stop once more before it goes on */
	uint64_t address;     /* 0x50: si_addr */
	uint64_t fpstate;     /* 0x58: where the extended state lies; 0: in the processor (fast.S) */
	uint64_t regs[27];    /* 0x60 */
	uint64_t upgrading; /* the stub's own, enum upgrade: a call that came the fast way is about to get its signal frame */
	/* Written by the Sentry. */
	uint32_t flags;         /* 0x140 */
	uint32_t command_count; /* 0x144 */
	uint64_t result;        /* 0x148 */
	uint32_t spin;          /* 0x150: cycles (TSC) to look at the state before sleeping */
	uint32_t futexes;       /* 0x154: enum futex_grant */
	/* Written by the stub: it sleeps on a futex; how often it has. */
	uint32_t asleep;        /* 0x158 */
	uint32_t sleeps;        /* 0x15c */
	uint32_t nonce[4]; /* 0x160 */
	uint64_t rseq;      /* 0x170: the thread's area, registered with the host; 0: none. The stub sets it where it `keeps`. */
	uint32_t rseq_signature;
	uint32_t futex_traps; /* the stub's own: futex calls that came by a signal */
	struct command commands[MAX_COMMANDS]; /* 0x180 */
	struct frame_order frame;              /* 0x880 */
	struct frame_peek peek;                /* 0x950 */
	uint64_t cpu_time;                     /* 0x980: of the thread, ns, at a call that may be its last */
	struct call_memory memory;             /* 0x988 */
	struct alone alone;                    /* 0x9f0 */
	uint8_t data[DATA_SIZE];               /* 0xa38 */
};

_Static_assert(__builtin_offsetof(struct slot, frame) == 0x880 && __builtin_offsetof(struct slot, peek) == 0x950 && __builtin_offsetof(struct slot, cpu_time) == 0x980, "platforms/systrap/layout.ts");
_Static_assert(__builtin_offsetof(struct slot, rseq) == 0x170, "platforms/systrap/layout.ts");
_Static_assert(__builtin_offsetof(struct slot, data) == 0xa38 && __builtin_offsetof(struct slot, memory) == 0x988 && sizeof(struct call_memory) == 104 && __builtin_offsetof(struct slot, alone) == 0x9f0 && sizeof(struct alone) == 72 && __builtin_offsetof(struct alone, mask) == 24, "platforms/systrap/layout.ts");
_Static_assert(sizeof(struct slot) == SLOT_SIZE, "full");

_Static_assert(__builtin_offsetof(struct slot, futexes) == 0x154 && __builtin_offsetof(struct slot, commands) == 0x180, "platforms/systrap/layout.ts");

/* Who waits for the private futexes of a space, by bucket of words: sleepers in the host, waiters on the Sentry's lists. */
#define FUTEX_BUCKETS 512
struct futex_counts {
	uint32_t listed[FUTEX_BUCKETS];
	uint32_t sleepers[FUTEX_BUCKETS];
};

struct global {
	_Atomic uint32_t sentry_sleeps;
};

#endif
