/* How the stub's parts call each other. */
#ifndef TSVISOR_STUB_H
#define TSVISOR_STUB_H

#include "host_abi.h"
#include "systrap_stub.h"

static inline uint64_t thread_index(const void *on_stack)
{
	return ((uint64_t)on_stack - STACKS) / STACK_SIZE;
}
static inline struct slot *slot_of(uint64_t index)
{
	return (struct slot *)(SLOTS + (index % MAX_THREADS) * SLOT_SIZE);
}

/* Reached without a table of addresses. */
#pragma GCC visibility push(hidden)

/* How a thread leaves for the application: quickly where rcx is free to change. */
struct departure {
	struct slot *slot;
	uint64_t quickly;
};

/* trap.c */
void install_handlers(void);

/* leave.S */
void stub_trap(int signal, struct siginfo *info, struct ucontext *uc);
void stub_restorer(void);

/* exchange.c */
/* Tells the Sentry of the slot's request; serve waits for its answer, carries out its commands until it lets the thread go on. */
void post(struct slot *slot);
/* As post, for a thread that the Sentry waits for and nothing else. */
void post_started(struct slot *slot);
uint32_t wait_reply(struct slot *slot);
/* Carries out what came with `state`; the state as it is in this process: in a forked child there is no reply yet. */
uint32_t carry_out_all(struct slot *slot, uint32_t state, struct ucontext *uc);
#define RSEQ_SIZE 32
#define RSEQ_CS_AT 8 /* struct rseq: rseq_cs */
/* The host is to write to the thread's rseq area no more: who frees that memory learns of the thread's end before the host does. */
void drop_rseq(struct slot *slot);
/* The thread ends. */
__attribute__((noreturn)) void leave(struct slot *slot);
/* Posts the thread's exit, which is in the slot, and ends it. */
__attribute__((noreturn)) void leave_asking(struct slot *slot);
void serve(struct slot *slot, struct ucontext *uc);

/* arguments.c */
/* Copies what the call in regs reads, and looks whether what it writes can be written. */
void gather(struct slot *slot);
/* Puts into its place what the Sentry has written. 0: not all of it could be. */
int scatter(const struct slot *slot);

/* futex.c */
struct futex_call {
	uint64_t word, operation, value, timeout, bitset;
};
#define FUTEX_NOT_HERE INT64_MIN
/* The call's result, or FUTEX_NOT_HERE: the Sentry is to be asked. */
int64_t futex_here(struct slot *slot, const struct futex_call *call, int by_signal);

/* alone.c: whether the call has been answered; whether the thread has returned from its handler. */
struct own_call {
	uint64_t nr, args[4], sp;
};
int answer_alone(struct slot *slot, const struct own_call *call, int by_signal, uint64_t *result);
int return_alone(struct slot *slot, struct ucontext *uc);
/* exit_group(2): the Sentry need not look for locks where there are none. */
void forget_locks(struct slot *slot);
/* exit(2): whether the thread may go before the Sentry has heard of it. From here on it touches no memory of the application's. */
int ends_alone(struct slot *slot);

/* descriptors.c */
/* Receives up to four descriptors; how many bytes the message had, or an errno. */
int64_t receive(int *fds, void *payload, uint64_t length, uint64_t flags);
/* `held`: the descriptor that the command before has left open (MAP_FD_KEEP). */
int64_t map_file(const struct command *c, int *held);

/*
 * uc_link, which the host leaves 0: of the frame that a new thread begins with. It has no signal stack until rt_sigreturn gives it the frame's,
 * so it must leave that way.
 */
#define LINK_FIRST 1

/* thread.c, process.c */
int64_t start_thread(const struct command *c, struct ucontext *uc);
int64_t start_process(void);

/* seed.c */
__attribute__((noreturn)) void die(int status);

#pragma GCC visibility pop

#endif
