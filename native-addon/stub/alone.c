/*
 * Calls that a thread answers itself, as long as the Sentry lets it: getpid and gettid; its signal mask, and the return from a handler, which
 * changes nothing else; addresses that matter when it ends. The Sentry sees to it that it has not let the thread where somebody looks at every
 * call (strace, ptrace, the application's own filters), nor the mask where a signal waits.
 */
#include "frames.h"
#include "stub.h"

/* Of calls that come by a signal the Sentry is told one in so many all the same: it may rewrite the call site. */
#define TOLD_ONCE_IN 64

#define ROBUST_LIST_HEAD_SIZE 24
#define SIGSET_SIZE 8
#define SIGKILL_SIGSTOP (1UL << 8 | 1UL << 18)
enum { SIG_BLOCK = 0, SIG_UNBLOCK = 1, SIG_SETMASK = 2 };

/* 0: it is not the thread's, or has been recalled meanwhile. */
static int set_mask(struct alone *alone, uint64_t before, uint64_t mask)
{
	mask = (mask & ~SIGKILL_SIGSTOP) | MASK_LENT;
	return __atomic_compare_exchange_n(&alone->mask, &before, mask, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

/* rt_sigprocmask(how, set, old set, size) */
static int change_mask(struct alone *alone, const struct own_call *call)
{
	uint64_t before = __atomic_load_n(&alone->mask, __ATOMIC_SEQ_CST), old = before & ~MASK_LENT, set;
	if (!(before & MASK_LENT) || call->args[3] != SIGSET_SIZE || call->args[1] >= STUB_BASE || call->args[2] >= STUB_BASE)
		return 0;
	/* The set first: both may be one. What has been written when the mask turns out to be recalled is written again. */
	if (call->args[1] != 0 && ((uint32_t)call->args[0] > SIG_SETMASK || stub_copy(&set, (void *)call->args[1], sizeof(set)) != 0))
		return 0;
	if (call->args[2] != 0 && stub_copy((void *)call->args[2], &old, sizeof(old)) != 0)
		return 0;
	if (call->args[1] == 0)
		return 1;
	switch ((uint32_t)call->args[0]) {
	case SIG_BLOCK:
		return set_mask(alone, before, old | set);
	case SIG_UNBLOCK:
		return set_mask(alone, before, old & ~set);
	}
	return set_mask(alone, before, set);
}

/* rseq(area, size, flags, signature): its first registration. Whatever the host refuses the Sentry answers. */
static int register_rseq(struct slot *slot, const struct own_call *call)
{
	static const uint64_t no_sequence = 0;
	uint64_t area = call->args[0];
	/* Another size the filter would not let through. */
	if (slot->rseq != 0 || area >= STUB_BASE || (uint32_t)call->args[1] != RSEQ_SIZE || (uint32_t)call->args[2] != 0)
		return 0;
	if (stub_copy((void *)(area + RSEQ_CS_AT), &no_sequence, sizeof(no_sequence)) != 0 || host6(__NR_rseq, area, RSEQ_SIZE, 0, (uint32_t)call->args[3], 0, 0) != 0)
		return 0;
	slot->rseq_signature = (uint32_t)call->args[3];
	slot->rseq = area;
	return 1;
}

#define MADV_DONTNEED 4
#define NEAR_STACK 0x10000UL

/*
 * madvise(address, length, MADV_DONTNEED) of what lies right below the stack pointer: a thread library gives back the stack of a thread that
 * ends. Elsewhere there may be mappings of the Sentry's (call_sites.ts), which has to know.
 */
static int give_back_stack(const struct own_call *call)
{
	uint64_t end = call->args[0] + call->args[1];
	if ((uint32_t)call->args[2] != MADV_DONTNEED || end <= call->args[0] || end > call->sp || call->sp - end > NEAR_STACK || call->sp >= STUB_BASE)
		return 0;
	return host(__NR_madvise, call->args[0], call->args[1], MADV_DONTNEED) == 0;
}

static int answer(struct slot *slot, const struct own_call *call, uint64_t *result)
{
	struct alone *alone = &slot->alone;
	*result = 0;
	switch (call->nr) {
	case __NR_getpid:
		*result = alone->pid;
		return alone->known != 0;
	case __NR_gettid:
		*result = alone->tid;
		return alone->known != 0;
	case __NR_rt_sigprocmask:
		return change_mask(alone, call);
	case __NR_rseq:
		return alone->keeps && register_rseq(slot, call);
	case __NR_madvise:
		return alone->keeps && give_back_stack(call);
	case __NR_set_robust_list:
		if (!alone->keeps || call->args[1] != ROBUST_LIST_HEAD_SIZE)
			return 0;
		alone->robust_list = call->args[0];
		return 1;
	case __NR_set_tid_address:
		if (!alone->keeps || !alone->known)
			return 0;
		alone->clear_tid = call->args[0];
		*result = alone->tid;
		return 1;
	}
	return 0;
}

struct robust_list_head {
	uint64_t next, futex_offset, pending;
};

/* The Sentry need not look at the list. What cannot be read has no locks in it either, but that is for the Sentry to say. */
static int holds_no_lock(uint64_t list)
{
	struct robust_list_head head;
	return list == 0 || (list < STUB_BASE && stub_copy(&head, (void *)list, sizeof(head)) == 0 && head.next == list && head.pending == 0);
}

void forget_locks(struct slot *slot)
{
	struct alone *alone = &slot->alone;
	if ((alone->keeps & KEEPS_ADDRESSES) && holds_no_lock(alone->robust_list))
		alone->robust_list = 0;
}

/* The joiner may free the thread's memory as soon as the word at clear_tid is 0: it comes last. */
int ends_alone(struct slot *slot)
{
	static const uint32_t none = 0;
	struct alone *alone = &slot->alone;
	if (!(alone->keeps & KEEPS_END) || !holds_no_lock(alone->robust_list))
		return 0;
	alone->robust_list = 0;
	if (alone->clear_tid != 0 && (alone->clear_tid >= STUB_BASE || stub_copy((void *)alone->clear_tid, &none, sizeof(none)) != 0))
		return 0;
	alone->cleared = 1;
	return 1;
}

static int is_own(uint64_t nr)
{
	switch (nr) {
	case __NR_rt_sigprocmask:
	case __NR_getpid:
	case __NR_gettid:
	case __NR_madvise:
	case __NR_rseq:
	case __NR_set_robust_list:
	case __NR_set_tid_address:
		return 1;
	}
	return 0;
}

int answer_alone(struct slot *slot, const struct own_call *call, int by_signal, uint64_t *result)
{
	if (!is_own(call->nr) || (by_signal && ++slot->alone.answered % TOLD_ONCE_IN == 0))
		return 0;
	return answer(slot, call, result);
}

static inline int is_same(const struct altstack *a, const struct altstack *b)
{
	return a->sp == b->sp && a->size == b->size && a->flags == b->flags;
}

/*
 * Peek has been filled. The mask is in its place before the Sentry can see that the thread has returned. A frame that another alternate stack
 * is to come back with is the Sentry's, and so is one that turns out to be broken: then it finds the mask changed, and the thread still here.
 */
int return_alone(struct slot *slot, struct ucontext *uc)
{
	struct alone *alone = &slot->alone;
	const struct frame_peek *peek = &slot->peek;
	uint64_t before = __atomic_load_n(&alone->mask, __ATOMIC_SEQ_CST);
	if (!peek->valid || !(before & MASK_LENT) || !is_same(&peek->stack, &alone->stack))
		return 0;
	return set_mask(alone, before, peek->mask) && pop_frame(uc);
}
