/* ptrace(2): stops, registers, memory, events, attaching, what a tracer's end means */
#include "traced.h"
#include <pthread.h>
#include <signal.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>

static int ended(pid_t pid)
{
	int status;
	CHECK(waitpid(pid, &status, __WALL) == pid && !WIFSTOPPED(status));
	return status;
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

static void emulated(void)
{
	errno = 0;
	long r = syscall(SYS_chdir, 1, 2, 3);
	_exit(r == 77 && syscall(SYS_getppid) == getppid() ? 5 : 6);
}
static void emulation(void)
{
	pid_t pid = traced(emulated);
	struct user_regs_struct regs;
	do { /* every call is the tracer's to answer */
		CHECK(ptrace(PTRACE_SYSEMU, pid, NULL, NULL) == 0 && stopped(pid) == SIGTRAP);
		CHECK(ptrace(PTRACE_GETREGS, pid, NULL, &regs) == 0 && (long)regs.rax == -ENOSYS);
	} while (regs.orig_rax != SYS_chdir);
	regs.rax = 77;
	CHECK(ptrace(PTRACE_SETREGS, pid, NULL, &regs) == 0);
	CHECK(ptrace(PTRACE_CONT, pid, NULL, NULL) == 0 && ended(pid) == 5 << 8);
}

static void filtered(void)
{
	struct sock_filter rows[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE | 0x123),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { 4, rows };
	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
	int parent = syscall(SYS_getppid); /* let through */
	int replaced = syscall(SYS_getppid); /* made getpid */
	long skipped = syscall(SYS_getppid); /* taken away, 99 */
	_exit(parent == (int)syscall(SYS_getppid) && replaced == getpid() && skipped == 99 ? 4 : 5);
}
static void filters_ask_the_tracer(void)
{
	pid_t pid = traced(filtered);
	CHECK(ptrace(PTRACE_SETOPTIONS, pid, NULL, (void *)(PTRACE_O_TRACESECCOMP | PTRACE_O_TRACESYSGOOD)) == 0);
	struct user_regs_struct regs;
	unsigned long message;
	struct __ptrace_syscall_info info;
	for (int i = 0; i < 4; i++) {
		CHECK(ptrace(PTRACE_CONT, pid, NULL, NULL) == 0 && stopped(pid) == (SIGTRAP | PTRACE_EVENT_SECCOMP << 8));
		CHECK(ptrace(PTRACE_GETEVENTMSG, pid, NULL, &message) == 0 && message == 0x123);
		CHECK(ptrace(PTRACE_GET_SYSCALL_INFO, pid, (void *)sizeof info, &info) == 84);
		CHECK(info.op == PTRACE_SYSCALL_INFO_SECCOMP && info.seccomp.nr == SYS_getppid && info.seccomp.ret_data == 0x123);
		CHECK(ptrace(PTRACE_GETREGS, pid, NULL, &regs) == 0 && regs.orig_rax == SYS_getppid && (long)regs.rax == -ENOSYS);
		if (i == 1)
			regs.orig_rax = SYS_getpid;
		if (i == 2) {
			regs.orig_rax = -1;
			regs.rax = 99;
		}
		CHECK(ptrace(PTRACE_SETREGS, pid, NULL, &regs) == 0);
		if (i == 3) { /* the exit of the call that the filter asked about is told too */
			CHECK(ptrace(PTRACE_SYSCALL, pid, NULL, NULL) == 0 && stopped(pid) == (SIGTRAP | 0x80));
			CHECK(ptrace(PTRACE_GETREGS, pid, NULL, &regs) == 0 && (pid_t)regs.rax == getpid());
		}
	}
	CHECK(ptrace(PTRACE_CONT, pid, NULL, NULL) == 0 && ended(pid) == 4 << 8);
}

static void vforks(void)
{
	pid_t pid = vfork();
	if (pid == 0)
		_exit(0);
	_exit(waitpid(pid, NULL, 0) == pid ? 9 : 10);
}
static void vfork_is_told_before_and_after(void)
{
	pid_t pid = traced(vforks);
	unsigned long child, message;
	CHECK(ptrace(PTRACE_SETOPTIONS, pid, NULL, (void *)(PTRACE_O_TRACEVFORK | PTRACE_O_TRACEVFORKDONE)) == 0);
	CHECK(ptrace(PTRACE_CONT, pid, NULL, NULL) == 0);
	/* the event comes while the child has not run */
	CHECK(stopped(pid) == (SIGTRAP | PTRACE_EVENT_VFORK << 8));
	CHECK(ptrace(PTRACE_GETEVENTMSG, pid, NULL, &child) == 0);
	CHECK(stopped(child) == SIGSTOP);
	CHECK(ptrace(PTRACE_CONT, pid, NULL, NULL) == 0);
	CHECK(waitpid(pid, NULL, WNOHANG | __WALL) == 0); /* it waits for its child */
	CHECK(ptrace(PTRACE_CONT, child, NULL, NULL) == 0 && ended(child) == 0);
	CHECK(stopped(pid) == (SIGTRAP | PTRACE_EVENT_VFORK_DONE << 8));
	CHECK(ptrace(PTRACE_GETEVENTMSG, pid, NULL, &message) == 0 && message == child);
	CHECK(ptrace(PTRACE_CONT, pid, NULL, NULL) == 0);
	CHECK(stopped(pid) == SIGCHLD);
	CHECK(ptrace(PTRACE_CONT, pid, NULL, NULL) == 0 && ended(pid) == 9 << 8);
}

static void dies(void)
{
	kill(getpid(), SIGTERM);
}
static void the_end_by_a_signal_is_an_event(void)
{
	pid_t pid = traced(dies);
	unsigned long message;
	CHECK(ptrace(PTRACE_SETOPTIONS, pid, NULL, (void *)PTRACE_O_TRACEEXIT) == 0);
	CHECK(ptrace(PTRACE_CONT, pid, NULL, NULL) == 0 && stopped(pid) == SIGTERM);
	CHECK(ptrace(PTRACE_CONT, pid, NULL, (void *)SIGTERM) == 0);
	CHECK(stopped(pid) == (SIGTRAP | PTRACE_EVENT_EXIT << 8));
	CHECK(ptrace(PTRACE_GETEVENTMSG, pid, NULL, &message) == 0 && (message & 0x7f) == SIGTERM);
	CHECK(ptrace(PTRACE_CONT, pid, NULL, NULL) == 0 && (ended(pid) & 0x7f) == SIGTERM);
}

static void queues(void)
{
	sigset_t all;
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	union sigval value;
	for (int i = 0; i < 3; i++) {
		value.sival_int = 10 + i;
		sigqueue(getpid(), SIGRTMIN, value);
	}
	syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), SIGUSR1);
	syscall(SYS_getppid);
	_exit(0);
}
static void pending_signals_can_be_read(void)
{
	pid_t pid = traced(queues);
	struct user_regs_struct regs;
	do {
		CHECK(ptrace(PTRACE_SYSCALL, pid, NULL, NULL) == 0 && stopped(pid) == SIGTRAP);
		CHECK(ptrace(PTRACE_GETREGS, pid, NULL, &regs) == 0);
	} while (regs.orig_rax != SYS_getppid);
	siginfo_t info[4];
	struct __ptrace_peeksiginfo_args args = { 0, PTRACE_PEEKSIGINFO_SHARED, 4 };
	CHECK(ptrace(PTRACE_PEEKSIGINFO, pid, &args, info) == 3);
	CHECK(info[0].si_signo == SIGRTMIN && info[0].si_value.sival_int == 10 && info[2].si_value.sival_int == 12);
	args.off = 2;
	CHECK(ptrace(PTRACE_PEEKSIGINFO, pid, &args, info) == 1 && info[0].si_value.sival_int == 12);
	args = (struct __ptrace_peeksiginfo_args){ 0, 0, 4 };
	CHECK(ptrace(PTRACE_PEEKSIGINFO, pid, &args, info) == 1 && info[0].si_signo == SIGUSR1 && info[0].si_code == SI_TKILL);
	args.flags = 8;
	FAILS(ptrace(PTRACE_PEEKSIGINFO, pid, &args, info), EINVAL);
	CHECK(ptrace(PTRACE_KILL, pid, NULL, NULL) == 0);
	ended(pid);
}

static int pipe_ends[2];
static void reads(void)
{
	char byte;
	CHECK(read(pipe_ends[0], &byte, 1) == 1 && byte == 'x');
}
static void a_call_that_waits_stays_in_the_call(void)
{
	CHECK(pipe(pipe_ends) == 0);
	pid_t pid = traced(reads);
	CHECK(ptrace(PTRACE_SETOPTIONS, pid, NULL, (void *)PTRACE_O_TRACESYSGOOD) == 0);
	struct user_regs_struct regs;
	do {
		CHECK(ptrace(PTRACE_SYSCALL, pid, NULL, NULL) == 0 && stopped(pid) == (SIGTRAP | 0x80));
		CHECK(ptrace(PTRACE_GETREGS, pid, NULL, &regs) == 0);
	} while (regs.orig_rax != SYS_read || (int)regs.rdi != pipe_ends[0]);
	CHECK(ptrace(PTRACE_SYSCALL, pid, NULL, NULL) == 0);
	int status;
	for (int i = 0; i < 20; i++) {
		usleep(2000);
		CHECK(waitpid(pid, &status, __WALL | WNOHANG) == 0);
	}
	CHECK(write(pipe_ends[1], "x", 1) == 1 && stopped(pid) == (SIGTRAP | 0x80));
	CHECK(ptrace(PTRACE_GETREGS, pid, NULL, &regs) == 0 && regs.rax == 1);
	CHECK(ptrace(PTRACE_CONT, pid, NULL, NULL) == 0 && ended(pid) == 3 << 8);
	close(pipe_ends[0]);
	close(pipe_ends[1]);
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
	PART(emulation);
	PART(filters_ask_the_tracer);
	PART(vfork_is_told_before_and_after);
	PART(the_end_by_a_signal_is_an_event);
	PART(pending_signals_can_be_read);
	PART(a_call_that_waits_stays_in_the_call);
	return 0;
}
