/* ptrace(2): debug registers, that is hardware breakpoints and watchpoints; options that need power */
#include "traced.h"
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>

static volatile long watched __attribute__((aligned(8)));
static volatile int other;

static void ends(pid_t pid, int code)
{
	int status;
	CHECK(waitpid(pid, &status, __WALL) == pid && WIFEXITED(status) && WEXITSTATUS(status) == code);
}
static long set_debug(pid_t pid, int index, unsigned long value)
{
	return ptrace(PTRACE_POKEUSER, pid, (void *)(offsetof(struct user, u_debugreg) + 8 * (size_t)index), (void *)value);
}
static unsigned long get_debug(pid_t pid, int index)
{
	errno = 0;
	long value = ptrace(PTRACE_PEEKUSER, pid, (void *)(offsetof(struct user, u_debugreg) + 8 * (size_t)index), NULL);
	CHECK(errno == 0);
	return (unsigned long)value;
}
/* DR7: register `index` is on */
static unsigned long control(int index, unsigned kind, unsigned length)
{
	static const unsigned codes[] = { [1] = 0, [2] = 1, [4] = 3, [8] = 2 };
	return 1UL << (2 * index) | (unsigned long)(kind | codes[length] << 2) << (16 + 4 * index);
}
static unsigned long ip_of(pid_t pid)
{
	struct user_regs_struct regs;
	CHECK(ptrace(PTRACE_GETREGS, pid, NULL, &regs) == 0);
	return regs.rip;
}
static void hits(pid_t pid, int index)
{
	siginfo_t info;
	CHECK(ptrace(PTRACE_CONT, pid, NULL, NULL) == 0 && stopped(pid) == SIGTRAP);
	CHECK(ptrace(PTRACE_GETSIGINFO, pid, NULL, &info) == 0 && info.si_code == 4 /* TRAP_HWBKPT */);
	CHECK((get_debug(pid, 6) & 15) == 1UL << index);
}
static long value_of(pid_t pid, volatile void *address)
{
	errno = 0;
	long value = ptrace(PTRACE_PEEKDATA, pid, address, NULL);
	CHECK(errno == 0);
	return value;
}

__attribute__((noinline)) static void called(int n)
{
	__asm__ volatile("" : : "r"(n));
	other += n;
}
static void body(void)
{
	for (volatile int i = 0; i < 100; i++)
		;
	watched = 5;
	other = 1;
	getppid();
	watched = 6;
	called(3);
	called(4);
	_exit(other);
}

static void what_is_written(void)
{
	pid_t pid = traced(body);
	CHECK(set_debug(pid, 0, (unsigned long)&watched) == 0 && set_debug(pid, 7, control(0, 1, 8)) == 0);
	CHECK(get_debug(pid, 0) == (unsigned long)&watched);
	hits(pid, 0);
	CHECK(value_of(pid, &watched) == 5);
	hits(pid, 0);
	CHECK(value_of(pid, &watched) == 6);
	CHECK(set_debug(pid, 7, 0) == 0);
	CHECK(ptrace(PTRACE_CONT, pid, NULL, NULL) == 0);
	ends(pid, 8);
}
static void what_is_executed(void)
{
	pid_t pid = traced(body);
	CHECK(set_debug(pid, 2, (unsigned long)called) == 0 && set_debug(pid, 7, control(2, 0, 1)) == 0);
	hits(pid, 2);
	CHECK(ip_of(pid) == (unsigned long)called && value_of(pid, &watched) == 6);
	/* and a watchpoint at the same time */
	CHECK(set_debug(pid, 1, (unsigned long)&other) == 0 && set_debug(pid, 7, control(2, 0, 1) | control(1, 1, 4)) == 0);
	hits(pid, 1);
	CHECK((int)value_of(pid, &other) == 4);
	hits(pid, 2);
	hits(pid, 1);
	CHECK((int)value_of(pid, &other) == 8);
	CHECK(ptrace(PTRACE_CONT, pid, NULL, NULL) == 0);
	ends(pid, 8);
}
static void single_steps_go_on(void)
{
	pid_t pid = traced(body);
	CHECK(set_debug(pid, 0, (unsigned long)called) == 0 && set_debug(pid, 7, control(0, 0, 1)) == 0);
	hits(pid, 0);
	CHECK(ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) == 0 && stopped(pid) == SIGTRAP);
	CHECK(ip_of(pid) > (unsigned long)called && ip_of(pid) < (unsigned long)called + 16);
	CHECK((get_debug(pid, 6) & 1 << 14) != 0);
	/* another signal comes through */
	CHECK(ptrace(PTRACE_CONT, pid, NULL, (void *)SIGUSR1) == 0);
	int status;
	CHECK(waitpid(pid, &status, __WALL) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGUSR1);
}
static void what_is_refused(void)
{
	pid_t pid = traced(body);
	FAILS(set_debug(pid, 4, 1), EIO);
	FAILS(set_debug(pid, 5, 1), EIO);
	FAILS(set_debug(pid, 0, ~0UL), EINVAL);
	CHECK(set_debug(pid, 0, (unsigned long)&watched + 1) == 0);
	FAILS(set_debug(pid, 7, control(0, 1, 8)), EINVAL);
	CHECK(set_debug(pid, 0, (unsigned long)&watched) == 0);
	FAILS(set_debug(pid, 7, control(0, 2, 8)), EINVAL);
	/* a child has none of its own */
	CHECK(set_debug(pid, 7, control(0, 1, 8)) == 0);
	CHECK(ptrace(PTRACE_DETACH, pid, NULL, (void *)SIGKILL) == 0);
	int status;
	CHECK(waitpid(pid, &status, __WALL) == pid && WIFSIGNALED(status));
}

static void ask(void) { _exit(syscall(SYS_getppid) == -1 && errno == EPERM ? 1 : 2); }
static void options_that_need_power(void)
{
	pid_t pid = traced(ask);
	FAILS(ptrace(PTRACE_SETOPTIONS, pid, NULL, (void *)(1L << 22)), EINVAL);
	CHECK(ptrace(PTRACE_SETOPTIONS, pid, NULL, (void *)(1L << 20)) == 0);
	CHECK(setresuid(65534, 65534, 65534) == 0);
	FAILS(ptrace(PTRACE_SETOPTIONS, pid, NULL, (void *)(1L << 21 /* SUSPEND_SECCOMP */)), EPERM);
	CHECK(ptrace(PTRACE_CONT, pid, NULL, NULL) == 0);
	ends(pid, 2);
}

int main(void)
{
	PART(what_is_written);
	PART(what_is_executed);
	PART(single_steps_go_on);
	PART(what_is_refused);
	PART(options_that_need_power);
	return 0;
}
