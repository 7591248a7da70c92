/*
 * Signal masks that threads change all the time while signals come: none is lost, none arrives where it is blocked; and what a thread leaves
 * behind at its end (robust locks, its number) after it has said so once at its start.
 */
#define _GNU_SOURCE
#include "check.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define THREADS 4
#define ROUNDS 400

static sigset_t real_time;
static __thread volatile int blocked;
static atomic_int received, wrong, over;

static void on_signal(int signal)
{
	(void)signal;
	received++;
	if (blocked)
		wrong++;
}

static void *changes_its_mask(void *unused)
{
	(void)unused;
	while (!over) {
		CHECK(pthread_sigmask(SIG_BLOCK, &real_time, NULL) == 0);
		blocked = 1;
		for (volatile int i = 0; i < 200; i++)
			;
		blocked = 0;
		CHECK(pthread_sigmask(SIG_UNBLOCK, &real_time, NULL) == 0);
	}
	return NULL;
}

/* Real-time signals are queued: as many arrive as were sent. */
static void every_signal_arrives(int to_process)
{
	pthread_t threads[THREADS];
	received = wrong = over = 0;
	CHECK(pthread_sigmask(SIG_BLOCK, &real_time, NULL) == 0); /* none is for us */
	for (int i = 0; i < THREADS; i++)
		CHECK(pthread_create(&threads[i], NULL, changes_its_mask, NULL) == 0);
	for (int i = 0; i < ROUNDS; i++) {
		union sigval value = { .sival_int = i };
		if (to_process)
			CHECK(sigqueue(getpid(), SIGRTMIN, value) == 0);
		else
			CHECK(pthread_sigqueue(threads[i % THREADS], SIGRTMIN, value) == 0);
		if (i % 8 == 0)
			sched_yield();
	}
	while (received < ROUNDS)
		sched_yield();
	over = 1;
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	CHECK(received == ROUNDS && wrong == 0);
	CHECK(pthread_sigmask(SIG_UNBLOCK, &real_time, NULL) == 0 && received == ROUNDS);
}

/* What is pending when the mask opens has been handled when the call returns. */
static void *opens(void *unused)
{
	(void)unused;
	for (int i = 0; i < 100; i++) {
		int before = received;
		CHECK(pthread_sigmask(SIG_BLOCK, &real_time, NULL) == 0);
		pthread_kill(pthread_self(), SIGRTMIN);
		CHECK(received == before);
		CHECK(pthread_sigmask(SIG_UNBLOCK, &real_time, NULL) == 0);
		CHECK(received == before + 1);
	}
	return NULL;
}

static unsigned long mask_of(void)
{
	unsigned long mask = 0;
	CHECK(syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &mask, 8) == 0);
	return mask;
}
static void *same_mask(void *expected)
{
	return (void *)(long)(mask_of() == (unsigned long)expected);
}
/* Threads, processes and programs begin with the mask of who made them; set and old set may be the same memory. */
static void inherited(void)
{
	unsigned long both = ~0UL, before = mask_of();
	CHECK(syscall(SYS_rt_sigprocmask, SIG_SETMASK, &both, &both, 8) == 0 && both == before);
	unsigned long all = mask_of();
	CHECK((all & (1UL << (SIGKILL - 1) | 1UL << (SIGSTOP - 1))) == 0 && all > 1UL << 62);
	unsigned long some = 1UL << (SIGUSR1 - 1) | 1UL << 40;
	CHECK(syscall(SYS_rt_sigprocmask, SIG_SETMASK, &some, NULL, 8) == 0);
	pthread_t thread;
	void *same;
	CHECK(pthread_create(&thread, NULL, same_mask, (void *)some) == 0 && pthread_join(thread, &same) == 0 && same != NULL);
	pid_t child = fork();
	if (child == 0) {
		if (mask_of() != some)
			_exit(1);
		execl("/bin/sh", "sh", "-c", "grep SigBlk /proc/$$/status | grep -q 0000010000000200", NULL);
		_exit(2);
	}
	int status;
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	CHECK(syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, 8) == 0);
	errno = 0;
	CHECK(syscall(SYS_rt_sigprocmask, 7, &some, NULL, 8) == -1 && errno == EINVAL);
	CHECK(syscall(SYS_rt_sigprocmask, 7, NULL, &some, 8) == 0 && some == before);
	CHECK(syscall(SYS_rt_sigprocmask, SIG_BLOCK, (void *)8, NULL, 8) == -1 && errno == EFAULT);
	CHECK(syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, NULL, 4) == -1 && errno == EINVAL);
}

static pthread_mutex_t robust;
static void *dies_with_lock(void *unused)
{
	(void)unused;
	pthread_mutex_lock(&robust);
	return NULL;
}
static void robust_locks(void)
{
	pthread_mutexattr_t attributes;
	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&robust, &attributes);
	for (int i = 0; i < 20; i++) {
		pthread_t thread;
		CHECK(pthread_create(&thread, NULL, dies_with_lock, NULL) == 0 && pthread_join(thread, NULL) == 0);
		CHECK(pthread_mutex_lock(&robust) == EOWNERDEAD && pthread_mutex_consistent(&robust) == 0 && pthread_mutex_unlock(&robust) == 0);
	}
	struct robust_list_head *head, *mine;
	size_t length;
	CHECK(syscall(SYS_get_robust_list, 0, &head, &length) == 0 && length == sizeof(*head) && head != NULL);
	static struct robust_list_head other = { .list = { &other.list } };
	CHECK(syscall(SYS_set_robust_list, &other, sizeof(other)) == 0);
	CHECK(syscall(SYS_get_robust_list, 0, &mine, &length) == 0 && mine == &other);
	CHECK(syscall(SYS_set_robust_list, &other, 23) == -1 && errno == EINVAL);
	CHECK(syscall(SYS_set_robust_list, head, sizeof(other)) == 0);
}

int main(void)
{
	sigemptyset(&real_time);
	sigaddset(&real_time, SIGRTMIN);
	struct sigaction action = { .sa_handler = on_signal };
	CHECK(sigaction(SIGRTMIN, &action, NULL) == 0);
	every_signal_arrives(0);
	every_signal_arrives(1);
	received = 0;
	pthread_t thread;
	CHECK(pthread_create(&thread, NULL, opens, NULL) == 0 && pthread_join(thread, NULL) == 0);
	opens(NULL);
	inherited();
	robust_locks();
	printf("ok\n");
	return 0;
}
