/* ptrace(2): stops, registers, memory, events, attaching, what a tracer's end means */
#include "check.h"
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>

static int stopped(pid_t pid)
{
	int status;
	CHECK(waitpid(pid, &status, __WALL) == pid && WIFSTOPPED(status));
	return status >> 8;
}
static int ended(pid_t pid)
{
	int status;
	CHECK(waitpid(pid, &status, __WALL) == pid && !WIFSTOPPED(status));
	return status;
}
static pid_t traced(void (*body)(void))
{
	pid_t pid = fork();
	if (pid == 0) {
		CHECK(ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0);
		raise(SIGSTOP);
		body();
		_exit(3);
	}
	CHECK(stopped(pid) == SIGSTOP);
	return pid;
}

static void calls(void)
{
	syscall(SYS_getppid, 1, 2, 3, 4, 5, 6);
}
static void system_calls_stop_twice(void)
{
	pid_t pid = traced(calls);
	CHECK(ptrace(PTRACE_SETOPTIONS, pid, NULL, (void *)PTRACE_O_TRACESYSGOOD) == 0);
	struct user_regs_struct regs;
	do {
		CHECK(ptrace(PTRACE_SYSCALL, pid, NULL, NULL) == 0 && stopped(pid) == (SIGTRAP | 0x80));
		CHECK(ptrace(PTRACE_GETREGS, pid, NULL, &regs) == 0);
	} while (regs.orig_rax != SYS_getppid);
	CHECK((long)regs.rax == -ENOSYS && regs.rdi == 1 && regs.rsi == 2 && regs.rdx == 3 && regs.r10 == 4 && regs.r8 == 5 && regs.r9 == 6);
	regs.orig_rax = SYS_getpid; /* another call instead */
	CHECK(ptrace(PTRACE_SETREGS, pid, NULL, &regs) == 0);
	CHECK(ptrace(PTRACE_SYSCALL, pid, NULL, NULL) == 0 && stopped(pid) == (SIGTRAP | 0x80));
	CHECK(ptrace(PTRACE_GETREGS, pid, NULL, &regs) == 0 && (pid_t)regs.rax == pid);
	struct iovec set = { &regs, sizeof regs };
	CHECK(ptrace(PTRACE_GETREGSET, pid, (void *)1, &set) == 0 && set.iov_len == sizeof regs);
	CHECK(ptrace(PTRACE_CONT, pid, NULL, NULL) == 0 && ended(pid) == 3 << 8);
}

static volatile long variable = 0x1111;
static void look(void)
{
	_exit(variable == 0x2222 ? 7 : 8);
}
static void memory(void)
{
	pid_t pid = traced(look);
	errno = 0;
	CHECK(ptrace(PTRACE_PEEKDATA, pid, &variable, NULL) == 0x1111 && errno == 0);
	CHECK(ptrace(PTRACE_POKEDATA, pid, &variable, (void *)0x2222) == 0);
	FAILS(ptrace(PTRACE_PEEKDATA, pid, (void *)16, NULL), EIO);
	long word = ptrace(PTRACE_PEEKTEXT, pid, look, NULL);
	CHECK(ptrace(PTRACE_POKETEXT, pid, look, (void *)word) == 0); /* read-only text */
	CHECK(ptrace(PTRACE_CONT, pid, NULL, NULL) == 0 && ended(pid) == 7 << 8);
	CHECK(variable == 0x1111);
}

static void usr(int signal)
{
	_exit(signal);
}
static void signals_in(void)
{
	signal(SIGUSR2, usr);
	raise(SIGUSR1);
}
static void signals_are_the_tracers(void)
{
	pid_t pid = traced(signals_in);
	siginfo_t info;
	CHECK(ptrace(PTRACE_CONT, pid, NULL, NULL) == 0 && stopped(pid) == SIGUSR1);
	CHECK(ptrace(PTRACE_GETSIGINFO, pid, NULL, &info) == 0 && info.si_signo == SIGUSR1 && info.si_code == SI_TKILL && info.si_pid == pid);
	CHECK(ptrace(PTRACE_CONT, pid, NULL, (void *)SIGUSR2) == 0 && ended(pid) == SIGUSR2 << 8); /* another one instead */
	pid = traced(signals_in);
	CHECK(ptrace(PTRACE_CONT, pid, NULL, NULL) == 0 && stopped(pid) == SIGUSR1);
	CHECK(ptrace(PTRACE_CONT, pid, NULL, NULL) == 0 && ended(pid) == 3 << 8); /* none */
	pid = traced(signals_in);
	CHECK(ptrace(PTRACE_CONT, pid, NULL, NULL) == 0 && stopped(pid) == SIGUSR1);
	CHECK(ptrace(PTRACE_CONT, pid, NULL, (void *)SIGUSR1) == 0 && ended(pid) == SIGUSR1);
	pid = traced(signals_in);
	CHECK(kill(pid, SIGKILL) == 0 && ended(pid) == SIGKILL);
}

static void steps(void)
{
	asm volatile("nop; nop; nop; nop" ::: "memory");
}
static void single_steps(void)
{
	pid_t pid = traced(steps);
	unsigned long long last = 0;
	struct user_regs_struct regs;
	for (int i = 0; i < 20; i++) {
		CHECK(ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) == 0 && stopped(pid) == SIGTRAP);
		CHECK(ptrace(PTRACE_GETREGS, pid, NULL, &regs) == 0 && regs.rip != last);
		last = regs.rip;
	}
	CHECK(ptrace(PTRACE_CONT, pid, NULL, NULL) == 0 && ended(pid) == 3 << 8);
}

static void forks(void)
{
	pid_t pid = fork();
	if (pid == 0)
		_exit(5);
	CHECK(ended(pid) == 5 << 8);
	char *argv[] = { "true", NULL };
	execv("/bin/true", argv);
}
static void events(void)
{
	pid_t pid = traced(forks);
	CHECK(ptrace(PTRACE_SETOPTIONS, pid, NULL, (void *)(PTRACE_O_TRACEFORK | PTRACE_O_TRACEEXEC | PTRACE_O_TRACEEXIT | PTRACE_O_TRACECLONE)) == 0);
	CHECK(ptrace(PTRACE_CONT, pid, NULL, NULL) == 0 && stopped(pid) == (SIGTRAP | PTRACE_EVENT_FORK << 8));
	unsigned long child;
	CHECK(ptrace(PTRACE_GETEVENTMSG, pid, NULL, &child) == 0 && stopped(child) == SIGSTOP);
	CHECK(ptrace(PTRACE_CONT, child, NULL, NULL) == 0 && stopped(child) == (SIGTRAP | PTRACE_EVENT_EXIT << 8));
	unsigned long status;
	CHECK(ptrace(PTRACE_GETEVENTMSG, child, NULL, &status) == 0 && status == 5 << 8);
	CHECK(ptrace(PTRACE_CONT, child, NULL, NULL) == 0 && ended(child) == 5 << 8);
	CHECK(ptrace(PTRACE_CONT, pid, NULL, NULL) == 0);
	int stop = stopped(pid);
	if (stop == SIGCHLD) {
		CHECK(ptrace(PTRACE_CONT, pid, NULL, NULL) == 0);
		stop = stopped(pid);
	}
	CHECK(stop == (SIGTRAP | PTRACE_EVENT_EXEC << 8));
	CHECK(ptrace(PTRACE_DETACH, pid, NULL, NULL) == 0 && ended(pid) == 0);
}

static void attach_and_detach(void)
{
	pid_t pid = fork();
	if (pid == 0)
		for (;;)
			pause();
	CHECK(ptrace(PTRACE_ATTACH, pid, NULL, NULL) == 0 && stopped(pid) == SIGSTOP);
	FAILS(ptrace(PTRACE_ATTACH, pid, NULL, NULL), EPERM);
	CHECK(ptrace(PTRACE_DETACH, pid, NULL, NULL) == 0);
	FAILS(ptrace(PTRACE_CONT, pid, NULL, NULL), ESRCH);
	CHECK(ptrace(PTRACE_SEIZE, pid, NULL, NULL) == 0);
	FAILS(ptrace(PTRACE_GETREGS, pid, NULL, NULL), ESRCH); /* runs */
	CHECK(ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) == 0 && stopped(pid) == (SIGTRAP | PTRACE_EVENT_STOP << 8));
	CHECK(ptrace(PTRACE_DETACH, pid, NULL, (void *)SIGUSR1) == 0); /* an event takes no signal */
	CHECK(kill(pid, SIGTERM) == 0 && ended(pid) == SIGTERM);
	FAILS(ptrace(PTRACE_ATTACH, getpid(), NULL, NULL), EPERM);
	FAILS(ptrace(PTRACE_ATTACH, 999999, NULL, NULL), ESRCH);
}

static void the_tracer_ends(void)
{
	pid_t victim = fork();
	if (victim == 0)
		for (;;)
			pause();
	for (int kill_too = 0; kill_too < 2; kill_too++) {
		pid_t tracer = fork();
		if (tracer == 0) {
			CHECK(ptrace(PTRACE_SEIZE, victim, NULL, (void *)(kill_too ? PTRACE_O_EXITKILL : 0L)) == 0);
			CHECK(ptrace(PTRACE_INTERRUPT, victim, NULL, NULL) == 0 && stopped(victim) == (SIGTRAP | PTRACE_EVENT_STOP << 8));
			_exit(0);
		}
		CHECK(ended(tracer) == 0);
		if (!kill_too)
			CHECK(waitpid(victim, NULL, WNOHANG) == 0 && kill(victim, 0) == 0);
	}
	CHECK(ended(victim) == SIGKILL);
}

int main(void)
{
	PART(system_calls_stop_twice);
	PART(memory);
	PART(signals_are_the_tracers);
	PART(single_steps);
	PART(events);
	PART(attach_and_detach);
	PART(the_tracer_ends);
	return 0;
}
