/* sched_setaffinity(2): a thread runs where it is told to, tells so, and hands it on to threads, children and programs */
#include "check.h"
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static cpu_set_t all;

static int only_cpu(int cpu)
{
	cpu_set_t one;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	return sched_setaffinity(0, sizeof one, &one);
}
static void runs_on(int cpu)
{
	unsigned seen = ~0u;
	char line[256], wanted[64];
	int found = 0;
	cpu_set_t now;
	CHECK(sched_getcpu() == cpu);
	CHECK(syscall(SYS_getcpu, &seen, NULL, NULL) == 0 && (int)seen == cpu);
	CHECK(sched_getaffinity(0, sizeof now, &now) == 0 && CPU_COUNT(&now) == 1 && CPU_ISSET(cpu, &now));
	snprintf(wanted, sizeof wanted, "Cpus_allowed_list:\t%d\n", cpu);
	FILE *status = fopen("/proc/thread-self/status", "r");
	CHECK(status != NULL);
	while (fgets(line, sizeof line, status))
		found |= strcmp(line, wanted) == 0;
	fclose(status);
	CHECK(found);
}
static void *thread_runs_on(void *cpu)
{
	runs_on((int)(long)cpu);
	return NULL;
}

static void one_after_the_other(void)
{
	pthread_t thread;
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &all))
			continue;
		CHECK(only_cpu(cpu) == 0);
		for (int i = 0; i < 20; i++)
			runs_on(cpu);
		CHECK(pthread_create(&thread, NULL, thread_runs_on, (void *)(long)cpu) == 0 && pthread_join(thread, NULL) == 0);
		pid_t pid = fork();
		if (pid == 0) {
			runs_on(cpu);
			/* a program that is started keeps it too */
			execl("/bin/sh", "sh", "-c", "test \"$(nproc)\" = 1", NULL);
			_exit(127);
		}
		int status;
		CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	}
	CHECK(sched_setaffinity(0, sizeof all, &all) == 0);
}

static void what_is_refused(void)
{
	cpu_set_t none;
	CPU_ZERO(&none);
	FAILS(sched_setaffinity(0, sizeof none, &none), EINVAL);
	FAILS(sched_setaffinity(0x7ffffff, sizeof all, &all), ESRCH);
	FAILS(syscall(SYS_sched_getaffinity, 0, 1, &none), EINVAL);
}

int main(void)
{
	CHECK(sched_getaffinity(0, sizeof all, &all) == 0);
	PART(one_after_the_other);
	PART(what_is_refused);
	return 0;
}
