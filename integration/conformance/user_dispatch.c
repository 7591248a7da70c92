/* prctl(2) PR_SET_SYSCALL_USER_DISPATCH: a program makes the system calls of others' code itself */
#include "check.h"
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/ucontext.h>
#include <sys/wait.h>

#ifndef PR_SET_SYSCALL_USER_DISPATCH
#define PR_SET_SYSCALL_USER_DISPATCH 59
#endif
enum { OFF, ON };
static volatile char selector;
static volatile int caught, number;
static volatile void *address;

/* a call from a place of its own */
extern char call_site[], call_end[];
__attribute__((naked, noinline)) static long call(long nr)
{
	(void)nr;
	__asm__("mov %rdi, %rax\n\txor %edi, %edi\n\t.globl call_site, call_end\ncall_site:\n\tsyscall\ncall_end:\n\tret");
}
static int dispatch(unsigned long mode, const void *start, unsigned long length, volatile void *byte)
{
	return prctl(PR_SET_SYSCALL_USER_DISPATCH, mode, start, length, byte);
}

static void on_sys(int signal, siginfo_t *info, void *context)
{
	greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;
	selector = 0; /* the handler's own calls are made */
	caught += signal == SIGSYS && info->si_code == 2 /* SYS_USER_DISPATCH */ && info->si_errno == 0;
	number = info->si_syscall;
	address = info->si_call_addr;
	regs[REG_RAX] = regs[REG_RAX] == info->si_syscall ? 4242 : -1;
}
static void handle(void)
{
	struct sigaction action = { .sa_sigaction = on_sys, .sa_flags = SA_SIGINFO };
	CHECK(sigaction(SIGSYS, &action, NULL) == 0);
}

static void calls_are_dispatched(void)
{
	handle();
	CHECK(dispatch(ON, NULL, 0, &selector) == 0);
	CHECK(call(SYS_getpid) == getpid() && caught == 0); /* the byte allows */
	for (int i = 1; i <= 50; i++) {
		selector = 1;
		long r = call(SYS_getpid); /* also one that a thread may answer itself */
		CHECK(selector == 0 && r == 4242 && caught == i && number == SYS_getpid && address == call_end);
	}
	selector = 1;
	CHECK(call(100000) == 4242 && number == 100000); /* whatever its number is */
	CHECK(dispatch(OFF, NULL, 0, NULL) == 0);
	selector = 1;
	CHECK(call(SYS_getppid) == getppid());
}
static void a_range_is_left_out(void)
{
	handle();
	CHECK(dispatch(ON, call_site, 3, &selector) == 0);
	selector = 1;
	long r = call(SYS_getpid);
	selector = 0;
	CHECK(r == getpid() && caught == 0);
}

static volatile int ready, go, done;
static void *in_thread(void *unused)
{
	ready = 1;
	while (!go)
		;
	CHECK(call(SYS_gettid) != 4242 && caught == 0); /* each thread has its own */
	done = 1;
	return unused;
}
static void who_inherits(void)
{
	pthread_t thread;
	int status;
	handle();
	CHECK(dispatch(ON, NULL, 0, &selector) == 0);
	CHECK(pthread_create(&thread, NULL, in_thread, NULL) == 0);
	while (!ready)
		;
	selector = 1; /* no calls of this thread's own until it says otherwise */
	go = 1;
	while (!done)
		;
	selector = 0;
	CHECK(pthread_join(thread, NULL) == 0);
	pid_t pid = fork();
	if (pid == 0) {
		selector = 1;
		_exit(call(SYS_getpid) == 4242);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}
static void what_is_refused(void)
{
	FAILS(dispatch(7, NULL, 0, NULL), EINVAL);
	FAILS(dispatch(OFF, NULL, 1, NULL), EINVAL);
	FAILS(dispatch(OFF, NULL, 0, &selector), EINVAL);
	FAILS(dispatch(ON, (void *)4096, 0, &selector), EINVAL);
	FAILS(dispatch(ON, (void *)4096, -1, &selector), EINVAL);
	FAILS(dispatch(ON, NULL, 0, (void *)~0UL), EFAULT);
	int status;
	pid_t pid = fork();
	if (pid == 0) { /* a byte that says neither */
		CHECK(dispatch(ON, NULL, 0, &selector) == 0);
		selector = 9;
		call(SYS_getpid);
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
}

int main(void)
{
	PART(calls_are_dispatched);
	PART(a_range_is_left_out);
	PART(who_inherits);
	PART(what_is_refused);
	return 0;
}
