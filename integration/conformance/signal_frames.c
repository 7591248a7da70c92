/* the frame below a handler as Linux lays it out, group stop, SIGCONT, sigtimedwait, sigqueue, kill's rules */
#include "check.h"
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>

#define UC_FP_XSTATE 1
#define UC_SIGCONTEXT_SS 2
#define UC_STRICT_RESTORE_SS 4

struct frame {
	void *pretcode;
	ucontext_t uc;
};
/* glibc's ucontext_t is longer than the kernel's: offsets are the kernel's */
#define KERNEL_UC_SIZE 304

static volatile int seen;
static uintptr_t stack_top;

static void on_frame(int signal, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	struct frame *frame = (struct frame *)((char *)uc - sizeof(void *));
	CHECK(signal == SIGUSR1 && info->si_signo == SIGUSR1 && info->si_code == SI_TKILL);
	CHECK((char *)info == (char *)uc + KERNEL_UC_SIZE);
	CHECK(((uintptr_t)frame + 8) % 16 == 0);
	CHECK(uc->uc_flags == (UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS) && uc->uc_link == NULL);
	CHECK(uc->uc_stack.ss_size == 0);
	uintptr_t fp = (uintptr_t)uc->uc_mcontext.fpregs;
	CHECK(fp % 64 == 0 && fp >= (uintptr_t)info + sizeof(siginfo_t));
	/* struct _fpx_sw_bytes */
	uint32_t *sw = (uint32_t *)(fp + 464);
	CHECK(sw[0] == 0x46505853 && sw[1] == sw[4] + 4);
	uint64_t features = *(uint64_t *)&sw[2];
	uint64_t header = *(uint64_t *)(fp + 512);
	CHECK((features & 3) == 3 && (header & ~features) == 0 && (header & 3) == 3);
	CHECK(*(uint32_t *)(fp + sw[4]) == 0x46505845);
	/* nothing of the frame is in the red zone of the interrupted code */
	CHECK(fp + sw[4] + 4 <= (uintptr_t)uc->uc_mcontext.gregs[REG_RSP] - 128);
	CHECK((uc->uc_mcontext.gregs[REG_CSGSFS] & 0xffff) == 0x33 && (uint64_t)uc->uc_mcontext.gregs[REG_CSGSFS] >> 48 == 0x2b);
	CHECK(*(uint64_t *)&uc->uc_sigmask == (1ull << (SIGUSR2 - 1)));
	/* rt_sigreturn loads what is here */
	uc->uc_mcontext.gregs[REG_R12] = 0x1122334455667788;
	sigaddset(&uc->uc_sigmask, SIGHUP);
	stack_top = fp;
	seen++;
}

static void frame_layout(void)
{
	struct sigaction action = { .sa_sigaction = on_frame, .sa_flags = SA_SIGINFO };
	sigset_t set, now;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	CHECK(sigprocmask(SIG_SETMASK, &set, NULL) == 0 && sigaction(SIGUSR1, &action, NULL) == 0);
	long pid = getpid(), result;
	register long r12 asm("r12") = 5;
	asm volatile("syscall" : "=a"(result), "+r"(r12) : "a"(SYS_tkill), "D"(pid), "S"(SIGUSR1) : "rcx", "r11", "memory");
	CHECK(result == 0 && seen == 1 && r12 == 0x1122334455667788);
	sigprocmask(SIG_SETMASK, NULL, &now);
	CHECK(sigismember(&now, SIGHUP) && sigismember(&now, SIGUSR2) && !sigismember(&now, SIGUSR1));
}

/* flags in the handler: direction and trap are clear, and come back */
static volatile long handler_flags;
static void on_flags(int signal)
{
	(void)signal;
	asm volatile("pushfq; pop %0" : "=r"(*(long *)&handler_flags));
}
static void direction_flag(void)
{
	signal(SIGUSR1, on_flags);
	long pid = getpid(), result, flags;
	asm volatile("std; syscall; pushfq; pop %1; cld" : "=a"(result), "=r"(flags) : "a"(SYS_tkill), "D"(pid), "S"(SIGUSR1)
		     : "rcx", "r11", "memory");
	CHECK(result == 0 && (handler_flags & 0x400) == 0 && (flags & 0x400) != 0);
}

static void broken_frame_kills(void)
{
	pid_t pid = fork();
	if (pid == 0) {
		asm volatile("xor %%esp, %%esp; mov $15, %%eax; syscall" ::: "memory");
		_exit(1);
	}
	int status;
	CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

static void stack_overflow_on_the_alternate_stack(void)
{
	pid_t pid = fork();
	if (pid == 0) {
		static char small[4096];
		stack_t stack = { .ss_sp = small, .ss_size = sizeof small };
		struct sigaction action = { .sa_handler = on_flags, .sa_flags = SA_ONSTACK };
		CHECK(sigaltstack(&stack, NULL) == 0 && sigaction(SIGUSR1, &action, NULL) == 0);
		/* on the stack already, and no room left on it */
		asm volatile("mov %0, %%rsp; mov $39, %%eax; syscall; mov %%eax, %%edi; mov %1, %%esi; mov $200, %%eax; syscall; mov $231, %%eax; xor %%edi, "
			     "%%edi; syscall" ::"r"(small + 256),
			     "i"(SIGUSR1));
	}
	int status;
	CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

static void alternate_stack_rules(void)
{
	char *memory = malloc(65536);
	stack_t stack = { .ss_sp = memory, .ss_size = 100 }, old;
	FAILS(sigaltstack(&stack, NULL), ENOMEM);
	stack.ss_size = 65536;
	stack.ss_flags = 77;
	FAILS(sigaltstack(&stack, NULL), EINVAL);
	stack.ss_flags = 1u << 31; /* SS_AUTODISARM */
	CHECK(sigaltstack(&stack, NULL) == 0 && sigaltstack(NULL, &old) == 0);
	CHECK(old.ss_sp == memory && old.ss_size == 65536 && old.ss_flags == (int)(1u << 31));
	stack.ss_flags = SS_DISABLE;
	CHECK(sigaltstack(&stack, &old) == 0 && sigaltstack(NULL, &old) == 0 && old.ss_flags == SS_DISABLE);
}

static void stops_and_continues(void)
{
	pid_t pid = fork();
	if (pid == 0)
		for (;;)
			pause();
	int status;
	CHECK(kill(pid, SIGSTOP) == 0 && waitpid(pid, &status, WUNTRACED) == pid);
	CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
	CHECK(kill(pid, SIGUSR1) == 0 && waitpid(pid, &status, WNOHANG | WUNTRACED) == 0); /* waits for SIGCONT */
	CHECK(kill(pid, SIGCONT) == 0);
	CHECK(waitpid(pid, &status, WCONTINUED) == pid);
	if (WIFCONTINUED(status))
		CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGUSR1);
}

static void *spin(void *counter)
{
	for (;;)
		++*(volatile long *)counter;
	return NULL;
}
static void stop_holds_every_thread(void)
{
	long *counter = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid = fork();
	if (pid == 0) {
		setpgid(0, 0); /* a group with a parent outside: not orphaned, so that terminal stops count */
		pthread_t thread;
		pthread_create(&thread, NULL, spin, counter);
		for (;;)
			pause();
	}
	while (*(volatile long *)counter == 0)
		sched_yield();
	int status;
	CHECK(kill(pid, SIGTSTP) == 0 && waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status));
	long before = *(volatile long *)counter;
	usleep(20000);
	CHECK(*(volatile long *)counter == before);
	CHECK(kill(pid, SIGCONT) == 0 && waitpid(pid, &status, WCONTINUED) == pid && WIFCONTINUED(status));
	while (*(volatile long *)counter == before)
		sched_yield();
	CHECK(kill(pid, SIGSTOP) == 0 && waitpid(pid, &status, WUNTRACED) == pid);
	CHECK(kill(pid, SIGKILL) == 0 && waitpid(pid, &status, 0) == pid && WTERMSIG(status) == SIGKILL);
}

static volatile int stops, child_code;
static void on_child(int signal, siginfo_t *info, void *context)
{
	(void)signal, (void)context;
	stops++;
	child_code = info->si_code;
}
static void parent_hears_of_stops(void)
{
	struct sigaction action = { .sa_sigaction = on_child, .sa_flags = SA_SIGINFO | SA_RESTART };
	CHECK(sigaction(SIGCHLD, &action, NULL) == 0);
	pid_t pid = fork();
	if (pid == 0)
		for (;;)
			pause();
	int status;
	kill(pid, SIGSTOP);
	CHECK(waitpid(pid, &status, WUNTRACED) == pid && stops == 1 && child_code == CLD_STOPPED);
	action.sa_flags |= SA_NOCLDSTOP;
	CHECK(sigaction(SIGCHLD, &action, NULL) == 0);
	kill(pid, SIGCONT);
	CHECK(waitpid(pid, &status, WCONTINUED) == pid && stops == 1);
	kill(pid, SIGKILL);
	CHECK(waitpid(pid, &status, 0) == pid && stops == 2 && child_code == CLD_KILLED);
}

static void sigtimedwait_takes(void)
{
	sigset_t set;
	siginfo_t info;
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	struct timespec none = { 0 }, shortly = { .tv_nsec = 5000000 };
	FAILS(sigtimedwait(&set, &info, &none), EAGAIN);
	FAILS(sigtimedwait(&set, &info, &shortly), EAGAIN);
	union sigval value = { .sival_int = 42 };
	CHECK(sigqueue(getpid(), SIGRTMIN, value) == 0);
	CHECK(sigwaitinfo(&set, &info) == SIGRTMIN && info.si_code == SI_QUEUE && info.si_value.sival_int == 42 && info.si_pid == getpid());
	pid_t pid = fork();
	if (pid == 0) {
		usleep(5000);
		kill(getppid(), SIGUSR1);
		_exit(0);
	}
	CHECK(sigwaitinfo(&set, &info) == SIGUSR1 && info.si_pid == pid);
	waitpid(pid, NULL, 0);
}

/* A signal that the waiter does not take ends the wait all the same. */
static void kill_ends_sigwait(void)
{
	int ready[2], status;
	CHECK(pipe(ready) == 0);
	pid_t pid = fork();
	if (pid == 0) {
		sigset_t all;
		sigfillset(&all);
		sigprocmask(SIG_BLOCK, &all, NULL);
		CHECK(write(ready[1], "x", 1) == 1);
		for (;;)
			sigwaitinfo(&all, NULL);
	}
	char byte;
	CHECK(read(ready[0], &byte, 1) == 1);
	usleep(5000);
	kill(pid, SIGKILL);
	CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void sending_rules(void)
{
	FAILS(kill(getpid(), 65), EINVAL);
	FAILS(kill(999999, 0), ESRCH);
	FAILS(kill(-999999, 0), ESRCH);
	CHECK(kill(getpid(), 0) == 0);
	FAILS(syscall(SYS_tgkill, getpid(), -1, SIGUSR1), EINVAL);
	FAILS(syscall(SYS_tgkill, 999999, getpid(), SIGUSR1), ESRCH);
	siginfo_t info = { .si_code = SI_USER };
	FAILS(syscall(SYS_rt_sigqueueinfo, getppid(), SIGUSR1, &info), EPERM);
	struct sigaction action = { .sa_handler = SIG_IGN };
	FAILS(sigaction(SIGKILL, &action, NULL), EINVAL);
	FAILS(sigaction(65, &action, NULL), EINVAL);
	pid_t victim = fork();
	if (victim == 0)
		for (;;)
			pause();
	pid_t pid = fork();
	if (pid == 0) {
		CHECK(setresuid(1000, 1000, 1000) == 0);
		FAILS(kill(victim, SIGTERM), EPERM);
		FAILS(kill(victim, 0), EPERM);
		_exit(0);
	}
	int status;
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	CHECK(kill(victim, SIGKILL) == 0 && waitpid(victim, &status, 0) == victim && WTERMSIG(status) == SIGKILL);
}

static void whole_groups(void)
{
	pid_t first = fork();
	if (first == 0) {
		setpgid(0, 0);
		for (int i = 0; i < 2; i++)
			if (fork() == 0)
				for (;;)
					pause();
		while (wait(NULL) > 0)
			;
		_exit(0);
	}
	setpgid(first, first);
	usleep(20000);
	int status;
	CHECK(killpg(first, SIGTERM) == 0 && waitpid(first, &status, 0) == first && WTERMSIG(status) == SIGTERM);
}

static void *wait_for_it(void *arg)
{
	sigset_t set;
	int signal;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	CHECK(sigwait(&set, &signal) == 0);
	*(int *)arg = signal;
	return NULL;
}
static void process_signals_find_a_thread(void)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	int got = 0;
	pthread_t thread;
	pthread_create(&thread, NULL, wait_for_it, &got);
	usleep(5000);
	kill(getpid(), SIGUSR1);
	pthread_join(thread, NULL);
	CHECK(got == SIGUSR1);
}

int main(void)
{
	PART(frame_layout);
	PART(direction_flag);
	PART(broken_frame_kills);
	PART(stack_overflow_on_the_alternate_stack);
	PART(alternate_stack_rules);
	PART(stops_and_continues);
	PART(stop_holds_every_thread);
	PART(parent_hears_of_stops);
	PART(sigtimedwait_takes);
	PART(kill_ends_sigwait);
	PART(sending_rules);
	PART(whole_groups);
	PART(process_signals_find_a_thread);
	return 0;
}
