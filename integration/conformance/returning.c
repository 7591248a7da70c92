/*
 * Returns from signal handlers and what comes after: masks, stacks, signals that wait or arrive at any moment; and the numbers of processes
 * and threads, asked for often, across everything that changes them or forbids asking.
 */
#include "check.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <ucontext.h>

static volatile int first, second, order;
static volatile int edit;

static unsigned long raw_mask(void)
{
	unsigned long mask;
	CHECK(syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &mask, 8) == 0);
	return mask;
}
#define BIT(signal) (1UL << ((signal) - 1))

static void on_first(int signal, siginfo_t *info, void *context)
{
	(void)signal, (void)info;
	first++;
	if (edit)
		sigaddset(&((ucontext_t *)context)->uc_sigmask, edit);
}
static void on_second(int signal)
{
	(void)signal;
	second++;
	order = first;
}
static void handle(int signal, void (*handler)(int, siginfo_t *, void *), int flags)
{
	struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags };
	CHECK(sigaction(signal, &action, NULL) == 0);
}
static void handle_simply(int signal, void (*handler)(int))
{
	struct sigaction action = { .sa_handler = handler };
	CHECK(sigaction(signal, &action, NULL) == 0);
}

/* The mask is what it was, and what a handler has made of it. */
static void masks(void)
{
	handle(SIGUSR1, on_first, 0);
	handle_simply(SIGUSR2, on_second);
	for (int i = 0; i < 300; i++)
		raise(SIGUSR1);
	CHECK(first == 300 && raw_mask() == 0);
	edit = SIGUSR2;
	raise(SIGUSR1);
	CHECK(raw_mask() == BIT(SIGUSR2));
	raise(SIGUSR2);
	CHECK(second == 0);
	edit = 0;
	pid_t child = fork();
	if (child == 0)
		_exit(raw_mask() == BIT(SIGUSR2) ? 0 : 1);
	int status;
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	sigset_t none;
	sigemptyset(&none);
	CHECK(sigprocmask(SIG_SETMASK, &none, NULL) == 0 && second == 1);
}

static void raises_second(int signal, siginfo_t *info, void *context)
{
	(void)signal, (void)info, (void)context;
	first++;
	raise(SIGUSR2); /* blocked here */
	CHECK(second == 0);
}
/* What came while the handler ran is taken at its return. */
static void waits_for_the_return(void)
{
	struct sigaction action = { .sa_sigaction = raises_second, .sa_flags = SA_SIGINFO };
	sigaddset(&action.sa_mask, SIGUSR2);
	CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
	handle_simply(SIGUSR2, on_second);
	raise(SIGUSR1);
	CHECK(first == 1 && second == 1 && order == 1 && raw_mask() == 0);
}

static void nests(int signal, siginfo_t *info, void *context)
{
	(void)signal, (void)info, (void)context;
	if (++first < 20)
		raise(SIGUSR1);
	order++;
}
static void nested(void)
{
	handle(SIGUSR1, nests, SA_NODEFER);
	for (int i = 0; i < 10; i++) {
		first = order = 0;
		raise(SIGUSR1);
		CHECK(first == 20 && order == 20 && raw_mask() == 0);
	}
}

static sigjmp_buf away;
static void jumps(int signal) { siglongjmp(away, signal); }
static void jumped_out(void)
{
	handle_simply(SIGUSR1, jumps);
	for (volatile int i = 0; i < 100; i++) {
		if (sigsetjmp(away, 1) == 0)
			raise(SIGUSR1);
		CHECK(raw_mask() == 0);
	}
	handle(SIGUSR1, on_first, 0);
	raise(SIGUSR1);
	CHECK(first == 1);
}

static char stack_a[65536], stack_b[65536];
static void changes_stack(int signal, siginfo_t *info, void *context)
{
	(void)signal, (void)info;
	((ucontext_t *)context)->uc_stack = (stack_t){ .ss_sp = stack_b, .ss_size = sizeof stack_b };
}
static void sets_stack(int signal, siginfo_t *info, void *context)
{
	(void)signal, (void)info, (void)context;
	stack_t other = { .ss_sp = stack_b, .ss_size = sizeof stack_b };
	CHECK(sigaltstack(&other, NULL) == 0);
}
static void alternate_stacks(void)
{
	stack_t stack = { .ss_sp = stack_a, .ss_size = sizeof stack_a }, now;
	CHECK(sigaltstack(&stack, NULL) == 0);
	handle(SIGUSR1, changes_stack, 0);
	raise(SIGUSR1);
	CHECK(sigaltstack(NULL, &now) == 0 && now.ss_sp == stack_b);
	CHECK(sigaltstack(&stack, NULL) == 0);
	handle(SIGUSR1, sets_stack, 0);
	raise(SIGUSR1); /* the return brings back what the frame says */
	CHECK(sigaltstack(NULL, &now) == 0 && now.ss_sp == stack_a);
	handle(SIGUSR1, on_first, SA_ONSTACK);
	raise(SIGUSR1);
	CHECK(first == 1 && sigaltstack(NULL, &now) == 0 && now.ss_sp == stack_a && now.ss_flags == 0);
}

/* Real-time signals are queued: none may be lost between handlers that return all the time. */
static volatile int counted;
static void counts(int signal)
{
	(void)signal;
	counted++;
}
#define SENT 2000
static void storm(void)
{
	handle_simply(SIGRTMIN, counts);
	handle(SIGUSR1, on_first, 0);
	pid_t target = getpid(), child = fork();
	if (child == 0) {
		for (int i = 0; i < SENT; i++)
			while (kill(target, SIGRTMIN) != 0)
				sched_yield(); /* the queue is full */
		_exit(0);
	}
	int status, raised = 0;
	while (waitpid(child, &status, WNOHANG) == 0) {
		raise(SIGUSR1);
		raised++;
	}
	CHECK(status == 0 && first == raised && counted == SENT && raw_mask() == 0);
}
static volatile int stop_storm;
static void *raises(void *unused)
{
	(void)unused;
	while (!stop_storm)
		pthread_kill(pthread_self(), SIGUSR1);
	return NULL;
}
static void storm_of_threads(void)
{
	pthread_t threads[3];
	handle_simply(SIGRTMIN, counts);
	handle_simply(SIGUSR1, on_second);
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	for (int i = 0; i < 3; i++)
		CHECK(pthread_create(&threads[i], NULL, raises, NULL) == 0);
	CHECK(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
	for (int i = 0; i < SENT / 4; i++) {
		int before = counted;
		CHECK(kill(getpid(), SIGRTMIN) == 0);
		while (counted == before)
			sched_yield();
	}
	stop_storm = 1;
	for (int i = 0; i < 3; i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
	CHECK(counted == SENT / 4);
}

static void status_file(void)
{
	char text[4096], *line;
	handle(SIGUSR1, on_first, 0);
	raise(SIGUSR1);
	int fd = open("/proc/self/status", O_RDONLY);
	CHECK(fd >= 0);
	text[read(fd, text, sizeof text - 1)] = 0;
	CHECK((line = strstr(text, "SigBlk:\t")) != NULL && strtoul(line + 8, NULL, 16) == 0);
}

/* Numbers. */

static pid_t ask(pid_t expected_tid)
{
	pid_t pid = 0;
	for (int i = 0; i < 200; i++) {
		pid = (pid_t)syscall(SYS_getpid);
		CHECK((pid_t)syscall(SYS_gettid) == expected_tid);
	}
	return pid;
}
static pid_t process;
static void *asks(void *unused)
{
	(void)unused;
	pid_t mine = (pid_t)syscall(SYS_gettid);
	CHECK(mine != process && ask(mine) == process);
	return NULL;
}
static void numbers(void)
{
	int status;
	process = getpid();
	CHECK(ask(process) == process);
	for (int i = 0; i < 3; i++) {
		pthread_t thread;
		CHECK(pthread_create(&thread, NULL, asks, NULL) == 0 && pthread_join(thread, NULL) == 0);
	}
	pid_t child = fork();
	if (child == 0) {
		pid_t mine = (pid_t)syscall(SYS_gettid);
		CHECK(mine != process && ask(mine) == mine);
		_exit(0);
	}
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	child = vfork();
	if (child == 0) {
		pid_t mine = (pid_t)syscall(SYS_getpid);
		_exit(mine != process && (pid_t)syscall(SYS_getpid) == mine && (pid_t)syscall(SYS_gettid) == mine ? 0 : 1);
	}
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	CHECK(ask(process) == process);
}

static void refuse_getpid(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getpid, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EOVERFLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog filter = { sizeof code / sizeof code[0], code };
	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	CHECK(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &filter) == 0);
}
static volatile int asking, filtered;
static void *refused(void *unused)
{
	(void)unused;
	ask((pid_t)syscall(SYS_gettid));
	asking = 1;
	while (!filtered)
		syscall(SYS_getpid);
	for (int i = 0; i < 200; i++)
		FAILS(syscall(SYS_getpid), EOVERFLOW);
	return NULL;
}
static void filters(void)
{
	pthread_t thread;
	ask(getpid());
	CHECK(pthread_create(&thread, NULL, refused, NULL) == 0);
	while (!asking)
		sched_yield();
	refuse_getpid();
	filtered = 1;
	for (int i = 0; i < 200; i++)
		FAILS(syscall(SYS_getpid), EOVERFLOW);
	CHECK(pthread_join(thread, NULL) == 0);
}

/* A tracer sees each call of one who has asked often before. */
static void traced(void)
{
	int ready[2], status;
	char c;
	CHECK(pipe(ready) == 0);
	pid_t child = fork();
	if (child == 0) {
		handle(SIGUSR1, on_first, 0);
		raise(SIGUSR1);
		ask(getpid());
		CHECK(write(ready[1], "x", 1) == 1);
		for (;;)
			syscall(SYS_getpid);
	}
	CHECK(read(ready[0], &c, 1) == 1);
	CHECK(ptrace(PTRACE_ATTACH, child, 0, 0) == 0 && waitpid(child, &status, 0) == child && WIFSTOPPED(status));
	int entries = 0;
	for (int i = 0; i < 400; i++) {
		struct user_regs_struct regs;
		CHECK(ptrace(PTRACE_SYSCALL, child, 0, 0) == 0 && waitpid(child, &status, 0) == child && WIFSTOPPED(status));
		CHECK(ptrace(PTRACE_GETREGS, child, 0, &regs) == 0 && regs.orig_rax == SYS_getpid);
		entries += (long)regs.rax == -ENOSYS;
	}
	CHECK(entries == 200);
	CHECK(kill(child, SIGKILL) == 0 && waitpid(child, &status, 0) == child && WIFSIGNALED(status));
}

int main(int argc, char **argv)
{
	if (argc > 1) {
		printf("ok mask %lx after exec\n", raw_mask());
		return 0;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	PART(masks);
	PART(waits_for_the_return);
	PART(nested);
	PART(jumped_out);
	PART(alternate_stacks);
	PART(storm);
	PART(storm_of_threads);
	PART(status_file);
	PART(numbers);
	PART(filters);
	PART(traced);
	/* Through a program: the mask that the handler's return has left. */
	handle(SIGUSR1, on_first, 0);
	edit = SIGUSR2;
	raise(SIGUSR1);
	execl("/proc/self/exe", argv[0], "exec", NULL);
	return 1;
}
