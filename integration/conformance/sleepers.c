/* futex(2) with many sleepers of all kinds at once, among signals, stops, debuggers, execve and kill: no wake-up is lost */
#include "task_state.h"
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#define CROWD 120
#define LAPS 12

static long futex(uint32_t *word, int op, uint32_t value, const void *fourth, uint32_t *word2, uint32_t value3)
{
	return syscall(SYS_futex, word, op, value, fourth, word2, value3);
}
static uint32_t load(uint32_t *word)
{
	return __atomic_load_n(word, __ATOMIC_SEQ_CST);
}
static void store(uint32_t *word, uint32_t value)
{
	__atomic_store_n(word, value, __ATOMIC_SEQ_CST);
}

/* Each in a line of its own, so that they do not all share a bucket either. */
static struct {
	uint32_t word;
	char rest[60];
} seats[CROWD];
static pthread_t threads[CROWD];
static pid_t tids[CROWD];

static void start_all(void *(*run)(void *))
{
	pthread_attr_t small;
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 65536);
	for (intptr_t i = 0; i < CROWD; i++)
		CHECK(pthread_create(&threads[i], &small, run, (void *)i) == 0);
}
static void join_all(void)
{
	for (int i = 0; i < CROWD; i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
}
static void until_all_asleep(void)
{
	for (int i = 0; i < CROWD; i++) {
		while (__atomic_load_n(&tids[i], __ATOMIC_SEQ_CST) == 0)
			usleep(1000);
		until_asleep(getpid(), tids[i]);
	}
}
static void here(intptr_t i)
{
	__atomic_store_n(&tids[i], (pid_t)syscall(SYS_gettid), __ATOMIC_SEQ_CST);
}

static struct timespec soon(clockid_t clock, long ns)
{
	struct timespec t;
	clock_gettime(clock, &t);
	t.tv_nsec += ns;
	t.tv_sec += t.tv_nsec / 1000000000;
	t.tv_nsec %= 1000000000;
	return t;
}

/* A token goes round; signals go to whoever. */
static volatile int caught;
static void on_signal(int signal)
{
	(void)signal;
	caught++;
}
static void *pass_token(void *arg)
{
	intptr_t i = (intptr_t)arg;
	here(i);
	for (uint32_t lap = 1; lap <= LAPS; lap++) {
		while (load(&seats[i].word) < lap)
			futex(&seats[i].word, FUTEX_WAIT_PRIVATE, lap - 1, NULL, NULL, 0);
		uint32_t *next = &seats[(i + 1) % CROWD].word;
		store(next, i + 1 == CROWD ? lap + 1 : lap);
		futex(next, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
	}
	return NULL;
}
static void token_among_signals(void)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	sigaction(SIGUSR1, &action, NULL);
	action.sa_flags = 0;
	sigaction(SIGUSR2, &action, NULL);
	start_all(pass_token);
	until_all_asleep();
	store(&seats[0].word, 1);
	futex(&seats[0].word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
	for (int i = 0; load(&seats[CROWD - 1].word) < LAPS; i++) {
		syscall(SYS_tgkill, getpid(), tids[(unsigned)(i * 7919) % CROWD], i % 2 ? SIGUSR1 : SIGUSR2);
		usleep(200);
	}
	join_all();
	CHECK(caught > 0);
}

/* Sleepers of which some must be the kernel's own, on one word. */
static uint32_t word, other;
static void *wait_some_way(void *arg)
{
	intptr_t i = (intptr_t)arg;
	struct timespec long_time = { .tv_sec = 1000 }, later = soon(i % 2 ? CLOCK_REALTIME : CLOCK_MONOTONIC, 0);
	later.tv_sec += 1000;
	here(i);
	switch (i % 6) {
	case 0:
		return (void *)futex(&word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
	case 1:
		return (void *)futex(&word, FUTEX_WAIT_PRIVATE, 0, &long_time, NULL, 0);
	case 2:
		return (void *)futex(&word, FUTEX_WAIT_BITSET_PRIVATE, 0, &later, NULL, FUTEX_BITSET_MATCH_ANY);
	case 3:
		return (void *)futex(&word, FUTEX_WAIT_BITSET_PRIVATE | FUTEX_CLOCK_REALTIME, 0, &later, NULL, FUTEX_BITSET_MATCH_ANY);
	case 4:
		return (void *)futex(&word, FUTEX_WAIT_BITSET_PRIVATE, 0, NULL, NULL, 0xf0);
	default:
		return (void *)futex(&word, FUTEX_WAIT_BITSET_PRIVATE, 0, NULL, NULL, FUTEX_BITSET_MATCH_ANY);
	}
}
static void all_kinds_on_one_word(void)
{
	start_all(wait_some_way);
	until_all_asleep();
	CHECK(futex(&word, FUTEX_WAKE_BITSET_PRIVATE, 0, NULL, NULL, 0) == -1);
	CHECK(futex(&word, FUTEX_WAKE_PRIVATE, 20, NULL, NULL, 0) == 20);
	FAILS(futex(&word, FUTEX_CMP_REQUEUE_PRIVATE, 5, (void *)30, &other, 1), EAGAIN);
	CHECK(futex(&word, FUTEX_CMP_REQUEUE_PRIVATE, 5, (void *)30, &other, 0) == 35);
	CHECK(futex(&word, FUTEX_WAKE_OP_PRIVATE, 10, (void *)7, &other, FUTEX_OP(FUTEX_OP_ADD, 1, FUTEX_OP_CMP_EQ, 0)) == 17);
	CHECK(futex(&other, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0) == 23);
	CHECK(futex(&word, FUTEX_REQUEUE_PRIVATE, 0, (void *)INT_MAX, &other, 0) == CROWD - 65);
	CHECK(futex(&word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0) == 0);
	CHECK(futex(&other, FUTEX_WAKE_BITSET_PRIVATE, INT_MAX, NULL, NULL, FUTEX_BITSET_MATCH_ANY) == CROWD - 65);
	for (int i = 0; i < CROWD; i++) {
		void *result;
		CHECK(pthread_join(threads[i], &result) == 0 && result == NULL);
	}
}

/* Condition variables with and without short timeouts, signals between. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t not_empty = PTHREAD_COND_INITIALIZER;
static int stock, taken;
static void *take(void *arg)
{
	intptr_t i = (intptr_t)arg;
	for (int n = 0; n < 10; n++) {
		pthread_mutex_lock(&mutex);
		while (stock == 0) {
			struct timespec until = soon(CLOCK_REALTIME, 1000000);
			if (i % 3 == 0)
				pthread_cond_timedwait(&not_empty, &mutex, &until);
			else
				pthread_cond_wait(&not_empty, &mutex);
		}
		stock--;
		taken++;
		pthread_mutex_unlock(&mutex);
	}
	return NULL;
}
static void conditions(void)
{
	start_all(take);
	for (int n = 0; n < CROWD * 10; n += 5) {
		pthread_mutex_lock(&mutex);
		stock += 5;
		pthread_mutex_unlock(&mutex);
		if (n % 2)
			pthread_cond_broadcast(&not_empty);
		else
			for (int i = 0; i < 5; i++)
				pthread_cond_signal(&not_empty);
	}
	join_all();
	CHECK(taken == CROWD * 10 && stock == 0);
}

static void *sleep_here(void *arg)
{
	here((intptr_t)arg);
	while (load(&word) == 0)
		futex(&word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
	return NULL;
}
/* Many who sleep while another makes calls: wherever they are kept meanwhile, they are found. */
static void long_sleep(void)
{
	start_all(sleep_here);
	until_all_asleep();
	for (int i = 0; i < 12000; i++)
		syscall(SYS_getppid);
	until_all_asleep();
	store(&word, 1);
	CHECK(futex(&word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0) == CROWD);
	join_all();
}

/* What happens to processes whose threads sleep. */
static uint32_t *shared;
static const char *self;
/* A child whose threads sleep; it goes on when *shared says so. */
static pid_t sleeping_child(int executes)
{
	*shared = 0;
	pid_t pid = fork();
	if (pid != 0) {
		while (load(shared) == 0)
			futex(shared, FUTEX_WAIT, 0, NULL, NULL, 0);
		return pid;
	}
	start_all(sleep_here);
	until_all_asleep();
	store(&shared[1], tids[3]);
	store(shared, 1);
	futex(shared, FUTEX_WAKE, 1, NULL, NULL, 0);
	while (load(shared) == 1)
		futex(shared, FUTEX_WAIT, 1, NULL, NULL, 0);
	if (executes) {
		execl(self, self, "new", NULL);
		_exit(9);
	}
	store(&word, 1);
	CHECK(futex(&word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0) <= CROWD);
	join_all();
	_exit(7);
}
static int go_on(pid_t pid)
{
	int status;
	store(shared, 2);
	futex(shared, FUTEX_WAKE, 1, NULL, NULL, 0);
	CHECK(waitpid(pid, &status, 0) == pid);
	return status;
}
static void processes_that_sleep(void)
{
	int status;
	shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(WEXITSTATUS(go_on(sleeping_child(0))) == 7);

	pid_t pid = sleeping_child(0);
	kill(pid, SIGKILL);
	CHECK(waitpid(pid, &status, 0) == pid && WTERMSIG(status) == SIGKILL);

	pid = sleeping_child(0);
	for (int i = 0; i < 3; i++) {
		kill(pid, SIGSTOP);
		CHECK(waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status));
		kill(pid, SIGCONT);
		CHECK(waitpid(pid, &status, WCONTINUED) == pid && WIFCONTINUED(status));
	}
	CHECK(WEXITSTATUS(go_on(pid)) == 7);

	CHECK(go_on(sleeping_child(1)) == 0);

	/* a debugger comes and goes */
	pid = sleeping_child(0);
	pid_t tid = (pid_t)load(&shared[1]);
	for (int i = 0; i < 3; i++) {
		CHECK(ptrace(PTRACE_SEIZE, tid, NULL, NULL) == 0 && ptrace(PTRACE_INTERRUPT, tid, NULL, NULL) == 0);
		CHECK(waitpid(tid, &status, __WALL) == tid && WIFSTOPPED(status));
		CHECK(ptrace(PTRACE_DETACH, tid, NULL, NULL) == 0);
		until_asleep(pid, tid);
	}
	CHECK(WEXITSTATUS(go_on(pid)) == 7);
}

static void *waits_a_while(void *unused)
{
	static unsigned never = 1;
	const struct timespec while_ = { 0, 300000000 };
	(void)unused;
	errno = 0;
	CHECK(futex(&never, FUTEX_WAIT_PRIVATE, 1, &while_, NULL, 0) == -1 && errno == ETIMEDOUT);
	_exit(3);
}
/* A wait for a time that is stopped all the while ends when the time is over: it does not begin anew. */
static void stopped_while_it_waits(void)
{
	int status;
	pid_t pid = fork();
	if (pid == 0) {
		pthread_t thread;
		CHECK(pthread_create(&thread, NULL, waits_a_while, NULL) == 0);
		for (;;)
			pause();
	}
	do {
		const struct timespec moment = { 0, 5000000 };
		kill(pid, SIGSTOP);
		CHECK(waitpid(pid, &status, WUNTRACED) == pid);
		kill(pid, SIGCONT);
		nanosleep(&moment, NULL);
	} while (WIFSTOPPED(status));
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 3);
}

int main(int argc, char **argv)
{
	if (argc > 1)
		return 0;
	self = argv[0];
	PART(token_among_signals);
	PART(all_kinds_on_one_word);
	PART(conditions);
	PART(long_sleep);
	PART(processes_that_sleep);
	PART(stopped_while_it_waits);
	return 0;
}
