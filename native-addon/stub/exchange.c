/* The exchange through a slot: a request, the Sentry's commands, its answer. */
#include "frames.h"
#include "registers.h"
#include "stub.h"

/* Sleeps until the Sentry has changed the state. A spurious look costs nothing but itself. */
uint32_t wait_reply(struct slot *slot)
{
	int spin = slot->spin > 0;
	uint64_t start = spin ? __builtin_ia32_rdtsc() : 0;
	for (;;) {
		uint32_t state = __atomic_load_n(&slot->state, __ATOMIC_ACQUIRE);
		if (state == STATE_REPLY || state == STATE_COMMAND)
			return state;
		if (spin) {
			__builtin_ia32_pause();
			/* The Sentry makes it 0 where the call waits and others want the CPU. */
			spin = __builtin_ia32_rdtsc() - start <= *(volatile uint32_t *)&slot->spin;
			continue;
		}
		if (state == STATE_POSTED) {
			uint32_t expected = STATE_POSTED;
			if (!__atomic_compare_exchange_n(&slot->state, &expected, STATE_SLEEPING, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
				continue;
		}
		host6(__NR_futex, (uint64_t)&slot->state, 0 /* FUTEX_WAIT */, STATE_SLEEPING, 0, 0, 0);
	}
}

void post(struct slot *slot)
{
	__atomic_exchange_n(&slot->state, STATE_POSTED, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&((struct global *)GLOBAL_PAGE)->sentry_sleeps, __ATOMIC_SEQ_CST) != 0) {
		const uint64_t one = 1;
		host(__NR_write, DOORBELL_FD, &one, sizeof(one));
	}
}

void post_started(struct slot *slot)
{
	__atomic_exchange_n(&slot->state, STATE_POSTED, __ATOMIC_SEQ_CST);
	host6(__NR_futex, (uint64_t)&slot->state, 1 /* FUTEX_WAKE */, 1, 0, 0, 0);
}

/* What a reply says of the thread's state. 0: a frame cannot be built or taken down. */
static int apply(struct slot *slot, uint32_t flags, struct ucontext *uc)
{
	int written = !(flags & REPLY_WRITE) || scatter(slot);
	if (flags & REPLY_REGISTERS)
		load_registers(&uc->mcontext, slot);
	if (flags & REPLY_RESULT)
		uc->mcontext.rax = written ? slot->result : (uint64_t)-EFAULT;
	if ((flags & REPLY_UNWIND) && !pop_frame(uc))
		return 0;
	return !(flags & REPLY_FRAME) || push_frame(&slot->frame, uc);
}

static int64_t apply_now(struct slot *slot, uint32_t flags, struct ucontext *uc)
{
	int ok = apply(slot, flags, uc);
	save_registers(slot->regs, &uc->mcontext);
	return ok ? 0 : -EFAULT;
}

static int64_t carry_out(struct slot *slot, struct command *c, uint32_t op, int *held, struct ucontext *uc)
{
	switch (op) {
	case OP_HOST:
		return host6(c->nr, c->args[0], c->args[1], c->args[2], c->args[3], c->args[4], c->args[5]);
	case OP_MAP_FILE:
		return map_file(c, held);
	case OP_THREAD:
		return start_thread(c, uc);
	case OP_FORK:
		return start_process();
	case OP_ADVISE: /* fails where another thread has unmapped the range meanwhile: nothing is left to advise */
		host(__NR_madvise, c->args[0], c->args[1], c->args[2]);
		return 0;
	case OP_STATE:
		return apply_now(slot, (uint32_t)c->args[0], uc);
	case OP_FRAME:
		slot->fpstate = uc->mcontext.fpstate;
		return 0;
	}
	return -38;
}

#define RSEQ_FLAG_UNREGISTER 1

void drop_rseq(struct slot *slot)
{
	if (slot->rseq == 0)
		return;
	host6(__NR_rseq, slot->rseq, RSEQ_SIZE, RSEQ_FLAG_UNREGISTER, slot->rseq_signature, 0, 0);
	slot->rseq = 0;
}

void leave(struct slot *slot)
{
	drop_rseq(slot);
	/* After this store neither slot nor stack is ours: no C code may follow. */
	__asm__ volatile("movl %1, %0\n\tmovl %2, %%eax\n\txorl %%edi, %%edi\n\tsyscall\n\tud2"
			 : "=m"(slot->state)
			 : "i"(STATE_GONE), "i"(__NR_exit)
			 : "rax", "rdi", "memory");
	__builtin_unreachable();
}

/* As leave, without an answer: the thread's exit is asked for, and it is gone. */
void leave_asking(struct slot *slot)
{
	static const uint64_t one = 1;
	uint32_t state = STATE_LEFT;
	__asm__ volatile("xchgl %0, %1\n\t"
			 "cmpl $0, %2\n\t"
			 "je 1f\n\t"
			 "movl %3, %%eax\n\t"
			 "movl %4, %%edi\n\t"
			 "movl $8, %%edx\n\t"
			 "syscall\n"
			 "1:\tmovl %5, %%eax\n\t"
			 "xorl %%edi, %%edi\n\t"
			 "syscall\n\tud2"
			 : "+r"(state), "+m"(slot->state)
			 : "m"(((struct global *)GLOBAL_PAGE)->sentry_sleeps), "i"(__NR_write), "i"(DOORBELL_FD), "i"(__NR_exit), "S"(&one)
			 : "rax", "rcx", "rdx", "rdi", "r11", "memory");
	__builtin_unreachable();
}

/* The host has refused the thread that the answer was about: the Sentry answers anew. */
static uint32_t tell_not_started(struct slot *slot, int64_t error)
{
	slot->kind = KIND_NOT_STARTED;
	slot->code = (uint32_t)-error;
	post(slot);
	return STATE_POSTED;
}

uint32_t carry_out_all(struct slot *slot, uint32_t state, struct ucontext *uc)
{
	uint32_t count = slot->command_count;
	int held = -1;
	int64_t not_started = 0;
	for (uint32_t i = 0; i < count && i < MAX_COMMANDS; i++) {
		struct command *c = &slot->commands[i];
		uint32_t op = c->op; /* a child does not find it there any more: its slot is a fresh one */
		int64_t r = carry_out(slot, c, op, &held, uc);
		if (r == 0 && op == OP_FORK)
			return STATE_RUN; /* the child: the Sentry has prepared its slot, and waits for nothing */
		c->result = r;
		if (state != STATE_REPLY || (uint64_t)r <= (uint64_t)-4096)
			continue;
		if (op != OP_THREAD)
			__builtin_trap(); /* a deferred operation failed: the Sentry has promised that it would not */
		not_started = r;
	}
	return not_started == 0 ? state : tell_not_started(slot, not_started);
}

/* Carries out commands until the Sentry's answer has come. */
static void serve_commands(struct slot *slot, struct ucontext *uc)
{
	for (;;) {
		uint32_t state = carry_out_all(slot, wait_reply(slot), uc);
		if (state == STATE_REPLY)
			return;
		if (state == STATE_COMMAND)
			post_started(slot);
	}
}

void serve(struct slot *slot, struct ucontext *uc)
{
	for (;;) {
		serve_commands(slot, uc);
		uint32_t flags = slot->flags;
		if (flags & REPLY_EXIT)
			leave(slot);
		if (apply(slot, flags, uc))
			return;
		slot->kind = KIND_BROKEN_FRAME;
		save_registers(slot->regs, &uc->mcontext);
		post(slot);
	}
}
