/* nice values and policies: who is told what, who inherits, who may change them */
#include "check.h"
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

static void *nice_thread(void *unused)
{
	errno = 0;
	CHECK(getpriority(PRIO_PROCESS, 0) == 7 && errno == 0);
	CHECK(setpriority(PRIO_PROCESS, 0, 9) == 0);
	return unused;
}
static void nice_values(void)
{
	pthread_t thread;
	int status;
	CHECK(setpriority(PRIO_PROCESS, 0, 7) == 0);
	CHECK(pthread_create(&thread, NULL, nice_thread, NULL) == 0 && pthread_join(thread, NULL) == 0);
	CHECK(getpriority(PRIO_PROCESS, 0) == 7); /* each thread has its own */
	CHECK(setpriority(PRIO_PROCESS, 0, 100) == 0 && getpriority(PRIO_PROCESS, 0) == 19);
	pid_t pid = fork();
	if (pid == 0) {
		CHECK(getpriority(PRIO_PROCESS, 0) == 19);
		/* who works with less strength still gets all of it done */
		void *memory = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		CHECK(memory != MAP_FAILED && memset(memory, 1, 1 << 20) == memory && munmap(memory, 1 << 20) == 0);
		CHECK(setresgid(65534, 65534, 65534) == 0 && setresuid(65534, 65534, 65534) == 0);
		FAILS(setpriority(PRIO_PROCESS, 0, 5), EACCES);
		FAILS(setpriority(PRIO_PROCESS, getppid(), 5), EPERM);
		CHECK(setpriority(PRIO_PROCESS, 0, 19) == 0);
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	struct rlimit up_to_five = { 15, 15 };
	if (setrlimit(RLIMIT_NICE, &up_to_five) != 0)
		return; /* a root without CAP_SYS_RESOURCE */
	CHECK(setresgid(65534, 65534, 65534) == 0 && setresuid(65534, 65534, 65534) == 0);
	CHECK(setpriority(PRIO_PROCESS, 0, 5) == 0);
	FAILS(setpriority(PRIO_PROCESS, 0, 4), EACCES);
}

static void policies(void)
{
	struct sched_param parameters = { .sched_priority = 0 };
	int status;
	CHECK(sched_getscheduler(0) == SCHED_OTHER);
	CHECK(sched_setscheduler(0, SCHED_BATCH, &parameters) == 0 && sched_getscheduler(0) == SCHED_BATCH);
	FAILS(sched_setscheduler(0, SCHED_RR, &parameters), EINVAL);
	FAILS(sched_setscheduler(0, 17, &parameters), EINVAL);
	pid_t pid = fork();
	if (pid == 0) {
		CHECK(sched_getscheduler(0) == SCHED_BATCH);
		CHECK(setresgid(65534, 65534, 65534) == 0 && setresuid(65534, 65534, 65534) == 0);
		parameters.sched_priority = 1;
		FAILS(sched_setscheduler(0, SCHED_FIFO, &parameters), EPERM);
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	CHECK(sched_setscheduler(0, SCHED_OTHER | SCHED_RESET_ON_FORK, &parameters) == 0);
	CHECK(sched_getscheduler(0) == (SCHED_OTHER | SCHED_RESET_ON_FORK));
	pid = fork();
	if (pid == 0)
		_exit(sched_getscheduler(0));
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

int main(void)
{
	PART(nice_values);
	PART(policies);
	return 0;
}
