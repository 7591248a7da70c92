/* many of everything: pipes, processes that signal each other, threads up to the limit */
#include "check.h"
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

enum { PIPES = 10000, PROCESSES = 1000 };

static void ten_thousand_pipes(void)
{
	struct rlimit limit;
	CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	/* as many as the host of the test allows */
	int pipes = limit.rlim_max < 2 * PIPES + 20 ? (int)(limit.rlim_max - 20) / 2 : PIPES;
	limit.rlim_cur = limit.rlim_max;
	CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	static int fds[PIPES][2];
	for (int i = 0; i < pipes; i++)
		CHECK(pipe(fds[i]) == 0);
	for (int i = 0; i < pipes; i++)
		CHECK(write(fds[i][1], &i, sizeof i) == sizeof i);
	pid_t pid = fork(); /* and a child that has them all */
	if (pid == 0) {
		int value;
		CHECK(read(fds[pipes - 1][0], &value, sizeof value) == sizeof value);
		_exit(value == pipes - 1 ? 0 : 1);
	}
	int status;
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	for (int i = 0; i < pipes - 1; i++) {
		int value;
		CHECK(read(fds[i][0], &value, sizeof value) == sizeof value && value == i);
		close(fds[i][0]);
		close(fds[i][1]);
	}
}

/* every process signals the next one, the first begins; each passes on what it gets */
static void a_thousand_processes(void)
{
	pid_t *members = mmap(NULL, PROCESSES * sizeof(pid_t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	sigset_t set, turn, other;
	sigemptyset(&set);
	sigemptyset(&turn);
	sigemptyset(&other);
	sigaddset(&turn, SIGUSR1);
	sigaddset(&other, SIGUSR2);
	sigorset(&set, &turn, &other);
	CHECK(members != MAP_FAILED && sigprocmask(SIG_BLOCK, &set, NULL) == 0);
	for (int i = 0; i < PROCESSES; i++) {
		pid_t pid = fork();
		CHECK(pid >= 0);
		if (pid > 0)
			members[i] = pid;
		else {
			siginfo_t info;
			CHECK(sigwaitinfo(&turn, &info) == SIGUSR1);
			CHECK(kill(i + 1 < PROCESSES ? members[i + 1] : getppid(), SIGUSR1) == 0);
			for (int k = 1; k <= 8; k++) /* and a few of the others, who do not take them yet */
				kill(members[(i * 31 + k * 127) % PROCESSES], SIGUSR2);
			CHECK(sigwaitinfo(&other, &info) == SIGUSR2);
			_exit(0);
		}
	}
	CHECK(kill(members[0], SIGUSR1) == 0);
	siginfo_t info;
	CHECK(sigwaitinfo(&turn, &info) == SIGUSR1);
	for (int i = 0; i < PROCESSES; i++) /* those who have got none from the others */
		CHECK(kill(members[i], SIGUSR2) == 0);
	for (int i = 0; i < PROCESSES; i++) {
		int status;
		CHECK(waitpid(members[i], &status, 0) == members[i] && status == 0);
	}
}

static void *wait_for_ever(void *unused)
{
	pause();
	return unused;
}
static void threads_up_to_the_limit(void)
{
	struct rlimit limit = { 200, 200 };
	CHECK(setgroups(0, NULL) == 0 && setgid(4400) == 0 && setuid(4400) == 0 && setrlimit(RLIMIT_NPROC, &limit) == 0);
	pthread_attr_t small;
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 65536);
	pthread_t thread;
	int threads = 1, r;
	while ((r = pthread_create(&thread, &small, wait_for_ever, NULL)) == 0)
		threads++;
	CHECK(r == EAGAIN && threads == 200);
	FAILS(fork(), EAGAIN);
}

int main(void)
{
	PART(ten_thousand_pipes);
	PART(a_thousand_processes);
	PART(threads_up_to_the_limit);
	return 0;
}
