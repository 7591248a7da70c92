/* what threads use below their locks: FUTEX_WAKE_OP, requeueing to PI locks, membarrier(2) */
#include "check.h"
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

static uint32_t words[3];

static long futex(uint32_t *word, int op, uint32_t value, const void *fourth, uint32_t *word2, uint32_t value3)
{
	return syscall(SYS_futex, word, op, value, fourth, word2, value3);
}
static long membarrier(int command, int flags)
{
	return syscall(SYS_membarrier, command, flags);
}

static void wake_op_operations(void)
{
	uint32_t *a = &words[0], *b = &words[1];
	struct {
		int op, argument;
		uint32_t before, after;
	} table[] = {
		{ FUTEX_OP_SET, 5, 1, 5 },	   { FUTEX_OP_ADD, 3, 4, 7 },
		{ FUTEX_OP_ADD, -1 & 0xfff, 4, 3 }, { FUTEX_OP_OR, 6, 1, 7 },
		{ FUTEX_OP_ANDN, 3, 7, 4 },	   { FUTEX_OP_XOR, 5, 6, 3 },
		{ FUTEX_OP_OR | FUTEX_OP_OPARG_SHIFT, 31, 1, 0x80000001 },
	};
	for (unsigned i = 0; i < sizeof table / sizeof *table; i++) {
		*b = table[i].before;
		uint32_t op = ((uint32_t)table[i].op << 28) | (FUTEX_OP_CMP_EQ << 24) | ((uint32_t)table[i].argument << 12);
		CHECK(futex(a, FUTEX_WAKE_OP_PRIVATE, 1, (void *)1, b, op) == 0);
		CHECK(*b == table[i].after);
	}
	FAILS(futex(a, FUTEX_WAKE_OP_PRIVATE, 1, (void *)1, b, 15u << 28), ENOSYS);
	FAILS(futex(a, FUTEX_WAKE_OP_PRIVATE, 1, (void *)1, (uint32_t *)16, 0), EFAULT);
}

static void *wait_on(void *word)
{
	return (void *)futex(word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
}
static void wake_op_wakes_both(void)
{
	pthread_t first, second;
	CHECK(pthread_create(&first, NULL, wait_on, &words[0]) == 0 && pthread_create(&second, NULL, wait_on, &words[1]) == 0);
	long woken = 0;
	/* the second word stays 0: or with 0; its old value is 0, so its waiter is woken too */
	while (woken < 2) {
		long r = futex(&words[0], FUTEX_WAKE_OP_PRIVATE, 1, (void *)1, &words[1], FUTEX_OP(FUTEX_OP_OR, 0, FUTEX_OP_CMP_EQ, 0));
		CHECK(r >= 0);
		woken += r;
	}
	CHECK(pthread_join(first, NULL) == 0 && pthread_join(second, NULL) == 0);
	CHECK(futex(&words[0], FUTEX_WAKE_OP_PRIVATE, 1, (void *)1, &words[1], FUTEX_OP(FUTEX_OP_ADD, 1, FUTEX_OP_CMP_GT, 0)) == 0 && words[1] == 1);
}

enum { ROUNDS = 20000 };
static void *add_by_instruction(void *unused)
{
	for (int i = 0; i < ROUNDS; i++)
		__atomic_fetch_add(&words[1], 1, __ATOMIC_SEQ_CST);
	return unused;
}
static void wake_op_is_atomic(void)
{
	pthread_t thread;
	words[1] = 0;
	CHECK(pthread_create(&thread, NULL, add_by_instruction, NULL) == 0);
	int calls = 0;
	while (calls < 500) {
		CHECK(futex(&words[0], FUTEX_WAKE_OP_PRIVATE, 1, (void *)1, &words[1], FUTEX_OP(FUTEX_OP_ADD, 1, FUTEX_OP_CMP_EQ, 0)) >= 0);
		calls++;
	}
	CHECK(pthread_join(thread, NULL) == 0);
	CHECK(words[1] == ROUNDS + 500);
}

static uint32_t condition, lock;
static volatile int owners;
static void *wait_requeue(void *unused)
{
	pid_t tid = syscall(SYS_gettid);
	CHECK(futex(&condition, FUTEX_WAIT_REQUEUE_PI_PRIVATE, 0, NULL, &lock, 0) == 0);
	CHECK((lock & FUTEX_TID_MASK) == (uint32_t)tid); /* it comes back with the lock */
	owners++;
	CHECK(futex(&lock, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0) == 0);
	return unused;
}
static void requeue_to_a_lock(void)
{
	pthread_t threads[3];
	struct timespec past = { 1, 0 };
	FAILS(futex(&condition, FUTEX_WAIT_REQUEUE_PI_PRIVATE, 1, NULL, &lock, 0), EAGAIN);
	FAILS(futex(&condition, FUTEX_WAIT_REQUEUE_PI_PRIVATE, 0, NULL, &condition, 0), EINVAL);
	FAILS(futex(&condition, FUTEX_WAIT_REQUEUE_PI_PRIVATE, 0, &past, &lock, 0), ETIMEDOUT);
	FAILS(futex(&condition, FUTEX_CMP_REQUEUE_PI_PRIVATE, 2, (void *)1, &lock, 0), EINVAL);
	FAILS(futex(&condition, FUTEX_CMP_REQUEUE_PI_PRIVATE, 1, (void *)1, &lock, 9), EAGAIN);
	CHECK(futex(&lock, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0) == 0);
	for (int i = 0; i < 3; i++)
		CHECK(pthread_create(&threads[i], NULL, wait_requeue, NULL) == 0);
	long moved = 0;
	while (moved < 3) {
		long r = futex(&condition, FUTEX_CMP_REQUEUE_PI_PRIVATE, 1, (void *)10, &lock, 0);
		CHECK(r >= 0);
		moved += r;
	}
	CHECK(owners == 0 && (lock & FUTEX_WAITERS) != 0);
	CHECK(futex(&lock, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0) == 0);
	for (int i = 0; i < 3; i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
	CHECK(owners == 3 && lock == 0);
	/* a free lock goes to the first at once */
	CHECK(pthread_create(&threads[0], NULL, wait_requeue, NULL) == 0);
	long r;
	while ((r = futex(&condition, FUTEX_CMP_REQUEUE_PI_PRIVATE, 1, (void *)0, &lock, 0)) == 0)
		;
	CHECK(r == 1 && pthread_join(threads[0], NULL) == 0 && owners == 4 && lock == 0);
}

static volatile int stop;
static void *spin(void *unused)
{
	while (!stop)
		;
	return unused;
}
static void barriers(void)
{
	enum { PRIVATE = MEMBARRIER_CMD_PRIVATE_EXPEDITED, REGISTER = MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED };
	long offered = membarrier(MEMBARRIER_CMD_QUERY, 0);
	CHECK(offered > 0 && (offered & PRIVATE) != 0 && (offered & REGISTER) != 0);
	FAILS(membarrier(MEMBARRIER_CMD_QUERY, 1), EINVAL);
	FAILS(membarrier(1 << 20, 0), EINVAL);
	FAILS(membarrier(PRIVATE, 0), EPERM);
	CHECK(membarrier(REGISTER, 0) == 0 && membarrier(PRIVATE, 0) == 0);
	CHECK(membarrier(512 /* GET_REGISTRATIONS */, 0) == REGISTER);
	pthread_t thread;
	CHECK(pthread_create(&thread, NULL, spin, NULL) == 0);
	for (int i = 0; i < 100; i++)
		CHECK(membarrier(PRIVATE, 0) == 0);
	stop = 1;
	CHECK(pthread_join(thread, NULL) == 0);
	pid_t pid = fork();
	if (pid == 0)
		_exit(membarrier(PRIVATE, 0) == 0 ? 0 : 1); /* a child is registered as its parent is */
	int status;
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	CHECK(membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE, 0) == 0);
	CHECK(membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE, 0) == 0);
}

int main(int argc, char **argv)
{
	if (argc > 1) { /* another program begins without registrations */
		CHECK(membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0) == -1 && errno == EPERM);
		return 0;
	}
	PART(wake_op_operations);
	PART(wake_op_wakes_both);
	PART(wake_op_is_atomic);
	PART(requeue_to_a_lock);
	PART(barriers);
	CHECK(membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0) == 0);
	fflush(stdout);
	execl("/proc/self/exe", argv[0], "again", NULL);
	return 1;
}
