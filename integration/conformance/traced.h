/* For programs that trace their children (ptrace(2)). */
#ifndef TRACED_H
#define TRACED_H

#include "check.h"
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

/* Waits for the stop of `pid`: its signal, and the event above it. */
static int stopped(pid_t pid)
{
	int status;
	CHECK(waitpid(pid, &status, __WALL) == pid && WIFSTOPPED(status));
	return status >> 8;
}
/* A child that stops before `body`, and exits with 3 behind it. */
static pid_t traced(void (*body)(void))
{
	pid_t pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		CHECK(ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0);
		raise(SIGSTOP);
		body();
		_exit(3);
	}
	CHECK(stopped(pid) == SIGSTOP);
	return pid;
}

#endif
