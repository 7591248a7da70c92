/*
 * Calls that a thread answers itself, as long as the Sentry lets it: getpid and gettid, and the return from a signal handler. The Sentry sees to
 * it that it has not let the thread where somebody looks at every call (strace, ptrace, the application's own filters), and when a signal waits.
 */
#include "frames.h"
#include "stub.h"

/* Once in so many calls the Sentry is asked all the same: it may rewrite the call site. */
#define ASKED_ONCE_IN 64

int answer_alone(struct slot *slot, uint64_t nr, uint64_t *result)
{
	struct alone *alone = &slot->alone;
	if ((nr != __NR_getpid && nr != __NR_gettid) || alone->known == 0 || ++alone->answered % ASKED_ONCE_IN == 0)
		return 0;
	*result = nr == __NR_getpid ? alone->pid : alone->tid;
	return 1;
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
	uint32_t state = RETURN_LENT;
	if (!peek->valid || !is_same(&peek->stack, &slot->frame.stack))
		return 0;
	alone->mask = peek->mask;
	return __atomic_compare_exchange_n(&alone->handler_return, &state, RETURN_DONE, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST) && pop_frame(uc);
}
