/*
 * Two processes compute on one CPU until the first has had its time; the other is as weak as the argument says. Prints how many hundredths of
 * that time the other has had.   usage: share nice|idle|equal
 */
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const double ENOUGH = 0.5;

static double cpu_time(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static void compute(void)
{
	for (volatile int i = 0; i < 200000; i++)
		;
}

static void one_cpu(void)
{
	cpu_set_t all, one;
	CPU_ZERO(&one);
	sched_getaffinity(0, sizeof all, &all);
	for (int cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&one) == 0; cpu++)
		if (CPU_ISSET(cpu, &all))
			CPU_SET(cpu, &one);
	if (sched_setaffinity(0, sizeof one, &one) != 0)
		_exit(2);
}

static void weaken(const char *how)
{
	struct sched_param none = { 0 };
	if (strcmp(how, "nice") == 0 && nice(19) != 19)
		_exit(2);
	if (strcmp(how, "idle") == 0 && sched_setscheduler(0, SCHED_IDLE, &none) != 0)
		_exit(2);
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	volatile double *other = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	volatile int *ready = (volatile int *)(other + 1);
	one_cpu();
	pid_t weak = fork();
	if (weak == 0) {
		weaken(argv[1]);
		*ready = 1;
		for (;;) {
			compute();
			*other = cpu_time();
		}
	}
	while (!*ready)
		usleep(1000);
	double before = *other, start = cpu_time();
	while (cpu_time() - start < ENOUGH)
		compute();
	printf("%d\n", (int)((*other - before) / ENOUGH * 100));
	kill(weak, SIGKILL);
	return waitpid(weak, NULL, 0) == weak ? 0 : 1;
}
