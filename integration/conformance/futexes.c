/* futex(2): words, timeouts, requeue, shared memory, robust and priority-inheritance mutexes, condition variables under load */
#include "task_state.h"
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

static long futex(uint32_t *word, int op, uint32_t value, const void *fourth, uint32_t *word2, uint32_t value3)
{
	return syscall(SYS_futex, word, op, value, fourth, word2, value3);
}

static void simple_answers(void)
{
	uint32_t word = 7;
	struct timespec shortly = { .tv_nsec = 3000000 }, wrong = { .tv_nsec = 2000000000 };
	FAILS(futex(&word, FUTEX_WAIT, 8, NULL, NULL, 0), EAGAIN);
	FAILS(futex(&word, FUTEX_WAIT, 7, &shortly, NULL, 0), ETIMEDOUT);
	FAILS(futex(&word, FUTEX_WAIT, 7, &wrong, NULL, 0), EINVAL);
	FAILS(futex((uint32_t *)((char *)&word + 1), FUTEX_WAIT, 7, NULL, NULL, 0), EINVAL);
	FAILS(futex((uint32_t *)16, FUTEX_WAIT, 7, NULL, NULL, 0), EFAULT);
	FAILS(futex(&word, FUTEX_WAIT_BITSET, 7, NULL, NULL, 0), EINVAL);
	FAILS(futex(&word, 99, 7, NULL, NULL, 0), ENOSYS);
	CHECK(futex(&word, FUTEX_WAKE, 1, NULL, NULL, 0) == 0);
	struct timespec past;
	clock_gettime(CLOCK_MONOTONIC, &past);
	past.tv_sec--;
	FAILS(futex(&word, FUTEX_WAIT_BITSET, 7, &past, NULL, ~0u), ETIMEDOUT);
	clock_gettime(CLOCK_REALTIME, &past);
	FAILS(futex(&word, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 7, &past, NULL, ~0u), ETIMEDOUT);
}

static uint32_t words[2];
static void *sleeper(void *tid)
{
	__atomic_store_n((pid_t *)tid, (pid_t)syscall(SYS_gettid), __ATOMIC_SEQ_CST);
	CHECK(futex(&words[0], FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0) == 0);
	return NULL;
}
static void requeue_and_wake(void)
{
	pthread_t threads[4];
	pid_t tids[4] = { 0 };
	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, sleeper, &tids[i]);
	for (int i = 0; i < 4; i++) {
		while (__atomic_load_n(&tids[i], __ATOMIC_SEQ_CST) == 0)
			sched_yield();
		until_asleep(getpid(), tids[i]);
	}
	FAILS(futex(&words[0], FUTEX_CMP_REQUEUE_PRIVATE, 1, (void *)9, &words[1], 5), EAGAIN);
	CHECK(futex(&words[0], FUTEX_CMP_REQUEUE_PRIVATE, 1, (void *)2, &words[1], 0) == 3);
	CHECK(futex(&words[0], FUTEX_WAKE_PRIVATE, 9, NULL, NULL, 0) == 1);
	CHECK(futex(&words[1], FUTEX_WAKE_PRIVATE, 9, NULL, NULL, 0) == 2);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	words[1] = 3;
	CHECK(futex(&words[0], FUTEX_WAKE_OP_PRIVATE, 1, (void *)1, &words[1], FUTEX_OP(FUTEX_OP_ADD, 4, FUTEX_OP_CMP_EQ, 3)) == 0 && words[1] == 7);
}

static void shared_between_processes(void)
{
	uint32_t *word = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid = fork();
	if (pid == 0) {
		while (*(volatile uint32_t *)word == 0)
			futex(word, FUTEX_WAIT, 0, NULL, NULL, 0);
		_exit(*word);
	}
	until_asleep(pid, pid);
	*word = 5;
	futex(word, FUTEX_WAKE, 1, NULL, NULL, 0);
	int status;
	CHECK(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 5);
	/* a private futex at the same address of another process is another one */
	uint32_t *mine = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pid = fork();
	if (pid == 0) {
		struct timespec while_ = { .tv_nsec = 50000000 };
		FAILS(futex(mine, FUTEX_WAIT, 0, &while_, NULL, 0), ETIMEDOUT);
		_exit(0);
	}
	until_asleep(pid, pid);
	CHECK(futex(mine, FUTEX_WAKE, 1, NULL, NULL, 0) == 0);
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static int turn;
static long total;
static void *take_turns(void *arg)
{
	for (int i = 0; i < 300; i++) {
		pthread_mutex_lock(&mutex);
		while (turn % 3 != (int)(intptr_t)arg)
			pthread_cond_wait(&cond, &mutex);
		turn++;
		total++;
		pthread_cond_broadcast(&cond);
		pthread_mutex_unlock(&mutex);
	}
	return NULL;
}
static void condition_variables(void)
{
	pthread_t threads[3];
	for (intptr_t i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, take_turns, (void *)i);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	CHECK(total == 900);
	struct timespec until;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += 3000000;
	if (until.tv_nsec >= 1000000000)
		until.tv_sec++, until.tv_nsec -= 1000000000;
	pthread_mutex_lock(&mutex);
	CHECK(pthread_cond_timedwait(&cond, &mutex, &until) == ETIMEDOUT);
}

static pthread_mutex_t contended;
static void *increment(void *counter)
{
	for (int i = 0; i < 2000; i++) {
		pthread_mutex_lock(&contended);
		++*(long *)counter;
		if (i % 50 == 0)
			sched_yield();
		pthread_mutex_unlock(&contended);
	}
	return NULL;
}
static void mutexes_under_load(void)
{
	pthread_mutexattr_t attributes;
	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT);
	for (int pi = 0; pi < 2; pi++) {
		long counter = 0;
		CHECK(pthread_mutex_init(&contended, pi ? &attributes : NULL) == 0);
		pthread_t threads[4];
		for (int i = 0; i < 4; i++)
			pthread_create(&threads[i], NULL, increment, &counter);
		for (int i = 0; i < 4; i++)
			pthread_join(threads[i], NULL);
		CHECK(counter == 8000);
	}
}

static void *die_with(void *lock)
{
	pthread_mutex_lock(lock);
	return NULL;
}
static void robust_mutexes(void)
{
	pthread_mutexattr_t attributes;
	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
	pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
	pthread_mutex_t *lock = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pthread_mutex_init(lock, &attributes);
	pthread_t thread;
	pthread_create(&thread, NULL, die_with, lock);
	pthread_join(thread, NULL);
	CHECK(pthread_mutex_lock(lock) == EOWNERDEAD && pthread_mutex_consistent(lock) == 0 && pthread_mutex_unlock(lock) == 0);
	int owned[2];
	CHECK(pipe(owned) == 0);
	pid_t pid = fork();
	if (pid == 0) {
		pthread_mutex_lock(lock);
		CHECK(write(owned[1], "", 1) == 1);
		until_asleep(getppid(), getppid());
		kill(getpid(), SIGKILL);
	}
	char byte;
	CHECK(read(owned[0], &byte, 1) == 1);
	CHECK(pthread_mutex_lock(lock) == EOWNERDEAD); /* slept for it while its owner died */
	waitpid(pid, NULL, 0);
}

static void named_in_shared_memory(void)
{
	sem_t *sem = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(sem_init(sem, 1, 0) == 0);
	pid_t pid = fork();
	if (pid == 0) {
		for (int i = 0; i < 100; i++)
			sem_post(sem);
		_exit(0);
	}
	for (int i = 0; i < 100; i++)
		CHECK(sem_wait(sem) == 0);
	waitpid(pid, NULL, 0);
	FAILS(sem_trywait(sem), EAGAIN);
}

static void nothing(int signal)
{
	(void)signal;
}
static void interrupted_waits(void)
{
	uint32_t word = 0;
	struct sigaction action = { .sa_handler = nothing };
	sigaction(SIGALRM, &action, NULL);
	struct itimerval again = { { .tv_usec = 5000 }, { .tv_usec = 5000 } }, timer = { .it_value = { .tv_usec = 5000 } };
	setitimer(ITIMER_REAL, &again, NULL); /* the first may come before the call */
	FAILS(futex(&word, FUTEX_WAIT, 0, NULL, NULL, 0), EINTR);
	action.sa_flags = SA_RESTART;
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
	struct timespec until;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += 30000000;
	if (until.tv_nsec >= 1000000000)
		until.tv_sec++, until.tv_nsec -= 1000000000;
	long r = futex(&word, FUTEX_WAIT_BITSET, 0, &until, NULL, ~0u);
	CHECK(r == -1 && (errno == ETIMEDOUT || errno == EINTR));
}

int main(void)
{
	PART(simple_answers);
	PART(requeue_and_wake);
	PART(shared_between_processes);
	PART(condition_variables);
	PART(mutexes_under_load);
	PART(robust_mutexes);
	PART(named_in_shared_memory);
	PART(interrupted_waits);
	return 0;
}
