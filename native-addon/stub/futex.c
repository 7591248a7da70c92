/*
 * futex(2) without the Sentry: FUTEX_WAIT and FUTEX_WAKE on private words are host calls on the same words, since the threads of an address
 * space are threads of one host process. What else futexes can do, and any wait that a kick ends, goes to the Sentry as ever; so some
 * waiters of a word may sleep in the host and others be on the Sentry's list, and whoever wakes must find both.
 *
 * For that each space has a page of counts by bucket of words: sleepers in the host (ours to keep) and waiters on the Sentry's lists (the
 * Sentry's). Who waits counts itself first and reads the word after; who wakes has changed the word before and reads the other
 * side's count after. So one of the two sees the other, and no wake-up is lost.
 *
 * The application can write that page. It then loses its own wake-ups.
 */
#include "stub.h"

#define EINTR 4
#define EFAULT 14

#define FUTEX_WAIT_PRIVATE 128
#define FUTEX_WAKE_PRIVATE 129
#define FUTEX_WAIT_BITSET_PRIVATE 137
#define FUTEX_CLOCK_REALTIME 256
#define FUTEX_BITSET_MATCH_ANY 0xffffffffU

/* Calls that came by a signal: of a thread's first ones one in so many is told to the Sentry, which may rewrite its call site; then fewer. */
#define TOLD_MASK 15
#define FIRST_TRAPS 256
#define TOLD_LATER_MASK 1023

/*
 * stub_wait(word, operation, value, timeout, slot, bitset): the host's futex call, unless slot->kick is set. The kick's handler
 * (trap.c) knows stub_wait_look to stub_wait_end: a thread that it meets there does not go to sleep. The slot is where the host
 * expects a second word, which these operations do not have.
 */
__attribute__((visibility("hidden"))) int64_t stub_wait(uint64_t word, uint64_t operation, uint64_t value, uint64_t timeout, struct slot *slot, uint64_t bitset);

_Static_assert(offsetof(struct slot, kick) == 0x4c && __NR_futex == 202, "stub_wait says so");

__asm__(".text\n"
	".globl stub_wait, stub_wait_look, stub_wait_end, stub_wait_kicked\n"
	".hidden stub_wait_look, stub_wait_end, stub_wait_kicked\n"
	"stub_wait:\n"
	"	mov %rcx, %r10\n"
	"	mov $202, %eax\n"
	"stub_wait_look:\n"
	"	cmpl $0, 0x4c(%r8)\n"
	"	jne stub_wait_kicked\n"
	"	syscall\n"
	"stub_wait_end:\n"
	"	ret\n"
	"stub_wait_kicked:\n"
	"	mov $-4, %rax\n" /* EINTR */
	"	ret\n");

static uint32_t bucket_of(uint64_t word)
{
	return ((uint32_t)(word >> 2) ^ (uint32_t)(word >> 12)) % FUTEX_BUCKETS;
}

static int64_t wait_here(struct slot *slot, const struct futex_call *call)
{
	uint32_t *sleepers = &((struct futex_counts *)FUTEX_COUNTS)->sleepers[bucket_of(call->word)];
	__atomic_add_fetch(sleepers, 1, __ATOMIC_SEQ_CST);
	slot->asleep = 1;
	int64_t r = stub_wait(call->word, call->operation, call->value, call->timeout, slot, FUTEX_BITSET_MATCH_ANY);
	slot->asleep = 0;
	slot->sleeps++;
	__atomic_sub_fetch(sleepers, 1, __ATOMIC_SEQ_CST);
	return r == -EINTR || r == -EFAULT ? FUTEX_NOT_HERE : r;
}

static int64_t wake_here(const struct futex_call *call)
{
	/* The application's change of the word comes before the look at the count. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (__atomic_load_n(&((struct futex_counts *)FUTEX_COUNTS)->listed[bucket_of(call->word)], __ATOMIC_SEQ_CST) != 0)
		return FUTEX_NOT_HERE;
	int64_t r = host(__NR_futex, call->word, FUTEX_WAKE_PRIVATE, call->value);
	return r == -EFAULT ? FUTEX_NOT_HERE : r;
}

/* The timeout is relative: if the Sentry is asked after a kick, it has to know how much of it is left. */
static int64_t wait_for_here(struct slot *slot, const struct futex_call *call)
{
	slot->waits_since = clock_now(CLOCK_MONOTONIC);
	int64_t r = wait_here(slot, call);
	if (r != FUTEX_NOT_HERE)
		slot->waits_since = 0;
	return r;
}

int64_t futex_here(struct slot *slot, const struct futex_call *call, int by_signal)
{
	slot->waits_since = 0;
	uint32_t granted = slot->futexes, operation = (uint32_t)call->operation;
	if (granted == FUTEXES_ASKED || call->word >= STUB_BASE)
		return FUTEX_NOT_HERE;
	if (by_signal) {
		uint32_t traps = ++slot->futex_traps;
		if ((traps & (traps <= FIRST_TRAPS ? TOLD_MASK : TOLD_LATER_MASK)) == 0)
			return FUTEX_NOT_HERE;
	}
	switch (operation) {
	case FUTEX_WAKE_PRIVATE:
		return wake_here(call);
	case FUTEX_WAIT_PRIVATE:
		if (call->timeout >= STUB_BASE)
			return FUTEX_NOT_HERE;
		return call->timeout == 0 ? wait_here(slot, call) : wait_for_here(slot, call);
	case FUTEX_WAIT_BITSET_PRIVATE:
	case FUTEX_WAIT_BITSET_PRIVATE | FUTEX_CLOCK_REALTIME:
		if ((uint32_t)call->bitset != FUTEX_BITSET_MATCH_ANY || call->timeout >= STUB_BASE)
			return FUTEX_NOT_HERE;
		return call->timeout == 0 || granted == FUTEXES_TIMED ? wait_here(slot, call) : FUTEX_NOT_HERE;
	}
	return FUTEX_NOT_HERE;
}
