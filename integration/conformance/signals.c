/* handlers, masks, queues, alternate stacks, restarts, timers, faults, state kept across handlers */
#include "check.h"
#include <immintrin.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>

static volatile int count, last, last_code, last_value;
static volatile pid_t last_pid;

static void on_info(int signal, siginfo_t *info, void *context)
{
	(void)context;
	count++;
	last = signal;
	last_code = info->si_code;
	last_pid = info->si_pid;
	last_value = info->si_value.sival_int;
}

static void catch(int signal, int flags)
{
	struct sigaction action = { .sa_sigaction = on_info, .sa_flags = SA_SIGINFO | flags };
	CHECK(sigaction(signal, &action, NULL) == 0);
}

static void block(int how, int signal)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, signal);
	CHECK(sigprocmask(how, &set, NULL) == 0);
}

static void handler_runs_with_info(void)
{
	catch(SIGUSR1, 0);
	CHECK(kill(getpid(), SIGUSR1) == 0 && count == 1 && last == SIGUSR1 && last_code == SI_USER && last_pid == getpid());
	CHECK(raise(SIGUSR1) == 0 && count == 2 && last_code == SI_TKILL);
}

static void masks_hold_back(void)
{
	catch(SIGUSR1, 0);
	block(SIG_BLOCK, SIGUSR1);
	kill(getpid(), SIGUSR1);
	kill(getpid(), SIGUSR1);
	sigset_t pending;
	CHECK(count == 0 && sigpending(&pending) == 0 && sigismember(&pending, SIGUSR1));
	block(SIG_UNBLOCK, SIGUSR1);
	CHECK(count == 1);
}

static int order[8], order_count;
static void on_order(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)context;
	order[order_count++] = info->si_value.sival_int;
}

static void realtime_signals_queue_in_order(void)
{
	struct sigaction action = { .sa_sigaction = on_order, .sa_flags = SA_SIGINFO };
	CHECK(sigaction(SIGRTMIN + 1, &action, NULL) == 0 && sigaction(SIGRTMIN, &action, NULL) == 0);
	sigset_t set, old;
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	sigaddset(&set, SIGRTMIN + 1);
	CHECK(sigprocmask(SIG_BLOCK, &set, &old) == 0);
	for (int i = 0; i < 3; i++) {
		union sigval value = { .sival_int = i };
		CHECK(sigqueue(getpid(), SIGRTMIN + 1, value) == 0);
	}
	siginfo_t info;
	struct timespec zero = { 0, 0 };
	CHECK(sigtimedwait(&set, &info, &zero) == SIGRTMIN + 1 && info.si_value.sival_int == 0 && info.si_code == SI_QUEUE);
	CHECK(sigprocmask(SIG_SETMASK, &old, NULL) == 0);
	CHECK(order_count == 2 && order[0] == 1 && order[1] == 2);
	FAILS(sigtimedwait(&set, &info, &zero), EAGAIN);
}

static char alternate[65536];
static volatile int on_alternate;
static void on_stack(int signal)
{
	char here;
	(void)signal;
	on_alternate = &here >= alternate && &here < alternate + sizeof alternate;
	stack_t now;
	CHECK(sigaltstack(NULL, &now) == 0 && (now.ss_flags & SS_ONSTACK));
	stack_t other = { .ss_sp = alternate, .ss_size = sizeof alternate };
	FAILS(sigaltstack(&other, NULL), EPERM);
}

static void alternate_stack(void)
{
	stack_t stack = { .ss_sp = alternate, .ss_size = sizeof alternate };
	CHECK(sigaltstack(&stack, NULL) == 0);
	struct sigaction action = { .sa_handler = on_stack, .sa_flags = SA_ONSTACK };
	CHECK(sigaction(SIGUSR2, &action, NULL) == 0);
	raise(SIGUSR2);
	CHECK(on_alternate);
	stack_t now;
	CHECK(sigaltstack(NULL, &now) == 0 && now.ss_flags == 0 && now.ss_sp == alternate);
	stack_t small = { .ss_sp = alternate, .ss_size = 100 };
	FAILS(sigaltstack(&small, NULL), ENOMEM);
}

static void *kick(void *thread)
{
	struct timespec t = { 0, 20000000 };
	nanosleep(&t, NULL);
	pthread_kill(*(pthread_t *)thread, SIGUSR1);
	return NULL;
}

static void reads_restart_or_not(void)
{
	int fds[2];
	pthread_t self = pthread_self(), helper;
	char c;
	CHECK(pipe(fds) == 0);
	catch(SIGUSR1, 0);
	CHECK(pthread_create(&helper, NULL, kick, &self) == 0);
	FAILS(read(fds[0], &c, 1), EINTR);
	pthread_join(helper, NULL);
	CHECK(count == 1);
	catch(SIGUSR1, SA_RESTART);
	pid_t pid = fork();
	if (pid == 0) {
		struct timespec t = { 0, 60000000 };
		nanosleep(&t, NULL);
		CHECK(write(fds[1], "x", 1) == 1);
		_exit(0);
	}
	CHECK(pthread_create(&helper, NULL, kick, &self) == 0);
	CHECK(read(fds[0], &c, 1) == 1 && count == 2);
	pthread_join(helper, NULL);
	waitpid(pid, NULL, 0);
}

static void sleep_tells_what_is_left(void)
{
	pthread_t self = pthread_self(), helper;
	catch(SIGUSR1, SA_RESTART);
	CHECK(pthread_create(&helper, NULL, kick, &self) == 0);
	struct timespec want = { 5, 0 }, left = { 0, 0 };
	FAILS(nanosleep(&want, &left), EINTR);
	CHECK(left.tv_sec == 4 && left.tv_nsec > 0);
	pthread_join(helper, NULL);
}

static sigjmp_buf escape;
static volatile greg_t fault_rip, fault_trap;
static void on_fault(int signal, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	last = signal;
	last_code = info->si_code;
	fault_trap = uc->uc_mcontext.gregs[REG_TRAPNO];
	fault_rip = uc->uc_mcontext.gregs[REG_RIP];
	siglongjmp(escape, 1);
}

static void faults(void)
{
	struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER };
	int signals[] = { SIGSEGV, SIGFPE, SIGILL, SIGTRAP, SIGBUS };
	for (unsigned i = 0; i < sizeof signals / sizeof signals[0]; i++)
		CHECK(sigaction(signals[i], &action, NULL) == 0);
	volatile int zero = 0;
	if (sigsetjmp(escape, 1) == 0)
		zero = getpid() / zero;
	CHECK(last == SIGFPE && last_code == FPE_INTDIV);
	if (sigsetjmp(escape, 1) == 0)
		__asm__ volatile("ud2");
	CHECK(last == SIGILL && last_code == ILL_ILLOPN);
	if (sigsetjmp(escape, 1) == 0)
		__asm__ volatile("int3");
	CHECK(last == SIGTRAP && last_code == SI_KERNEL);
	if (sigsetjmp(escape, 1) == 0)
		__asm__ volatile("hlt");
	CHECK(last == SIGSEGV && last_code == SI_KERNEL);
	if (sigsetjmp(escape, 1) == 0)
		*(volatile int *)8 = 1;
	CHECK(last == SIGSEGV && last_code == SEGV_MAPERR);
	if (sigsetjmp(escape, 1) == 0)
		*(volatile long *)0x8000000000000000 = 1;
	CHECK(last == SIGSEGV && last_code == SI_KERNEL);
}

static void blocked_fault_kills(void)
{
	pid_t pid = fork();
	if (pid == 0) {
		block(SIG_BLOCK, SIGSEGV);
		*(volatile int *)8 = 1;
		_exit(0);
	}
	int status;
	CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

static void on_clobber(int signal)
{
	(void)signal;
	__asm__ volatile("vxorps %%ymm3,%%ymm3,%%ymm3; fldz; fldz; fldz" ::: "xmm3");
	count++;
}

__attribute__((target("avx"))) static void vector_state_survives(void)
{
	struct sigaction action = { .sa_handler = on_clobber };
	CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
	float in[8] = { 1, 2, 3, 4, 5, 6, 7, 8 }, out[8];
	long pid = getpid();
	long tid = syscall(SYS_gettid);
	long result;
	__asm__ volatile("vmovups %1, %%ymm3\n\tsyscall\n\tvmovups %%ymm3, %2"
			 : "=a"(result), "+m"(in), "=m"(out)
			 : "0"(SYS_tgkill), "D"(pid), "S"(tid), "d"(SIGUSR1)
			 : "rcx", "r11", "memory", "xmm3");
	CHECK(result == 0 && count == 1 && memcmp(in, out, sizeof in) == 0);
}

static volatile int depth;
static void on_nested(int signal)
{
	if (++depth < 50)
		raise(signal);
}

static void handlers_nest(void)
{
	struct sigaction action = { .sa_handler = on_nested, .sa_flags = SA_NODEFER };
	CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
	raise(SIGUSR1);
	CHECK(depth == 50);
}

static void reset_and_ignore(void)
{
	struct sigaction action = { .sa_sigaction = on_info, .sa_flags = SA_SIGINFO | SA_RESETHAND }, now;
	CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
	raise(SIGUSR1);
	CHECK(count == 1 && sigaction(SIGUSR1, NULL, &now) == 0 && now.sa_handler == SIG_DFL);
	signal(SIGTERM, SIG_IGN);
	CHECK(kill(getpid(), SIGTERM) == 0);
	FAILS(sigaction(SIGKILL, &action, NULL), EINVAL);
	FAILS(sigaction(65, &action, NULL), EINVAL);
	FAILS(kill(getpid(), 65), EINVAL);
	FAILS(kill(0x3fffffff, 0), ESRCH);
	CHECK(kill(getpid(), 0) == 0);
}

static void interval_timer(void)
{
	catch(SIGALRM, 0);
	struct itimerval value = { { 0, 5000 }, { 0, 5000 } };
	CHECK(setitimer(ITIMER_REAL, &value, NULL) == 0);
	while (count < 5)
		pause();
	memset(&value, 0, sizeof value);
	CHECK(setitimer(ITIMER_REAL, &value, NULL) == 0 && last == SIGALRM);
}

static void posix_timer(void)
{
	catch(SIGRTMIN + 2, 0);
	timer_t timer;
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 2, .sigev_value.sival_int = 77 };
	CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
	struct itimerspec value = { { 0, 0 }, { 0, 3000000 } };
	CHECK(timer_settime(timer, 0, &value, NULL) == 0);
	while (count < 1)
		pause();
	CHECK(last_code == SI_TIMER && last_value == 77 && timer_delete(timer) == 0);
	FAILS(timer_delete(timer), EINVAL);
}

static void signalfd_reads(void)
{
	block(SIG_BLOCK, SIGUSR1);
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	int fd = signalfd(-1, &set, SFD_NONBLOCK);
	struct signalfd_siginfo info;
	CHECK(fd >= 0);
	FAILS(read(fd, &info, sizeof info), EAGAIN);
	kill(getpid(), SIGUSR1);
	CHECK(read(fd, &info, sizeof info) == sizeof info && info.ssi_signo == SIGUSR1 && info.ssi_pid == (unsigned)getpid());
}

static void sigsuspend_swaps_the_mask(void)
{
	catch(SIGUSR1, 0);
	block(SIG_BLOCK, SIGUSR1);
	kill(getpid(), SIGUSR1);
	sigset_t none, now;
	sigemptyset(&none);
	FAILS(sigsuspend(&none), EINTR);
	CHECK(count == 1 && sigprocmask(SIG_BLOCK, NULL, &now) == 0 && sigismember(&now, SIGUSR1));
}

static void runaway_loop_is_interrupted(void)
{
	pid_t pid = fork();
	if (pid == 0)
		for (;;)
			;
	struct timespec t = { 0, 30000000 };
	nanosleep(&t, NULL);
	CHECK(kill(pid, SIGTERM) == 0);
	int status;
	CHECK(waitpid(pid, &status, 0) == pid && WTERMSIG(status) == SIGTERM);
}

static void parent_death_signal(void)
{
	int fds[2];
	CHECK(pipe(fds) == 0);
	pid_t pid = fork();
	if (pid == 0) {
		pid_t child = fork();
		if (child == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			CHECK(write(fds[1], "r", 1) == 1);
			for (;;)
				pause();
		}
		char c;
		CHECK(read(fds[0], &c, 1) == 1);
		_exit(0);
	}
	int status;
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	close(fds[1]);
	char c;
	CHECK(read(fds[0], &c, 1) == 0); /* end of file once the grandchild is gone */
}

int main(void)
{
	PART(handler_runs_with_info);
	PART(masks_hold_back);
	PART(realtime_signals_queue_in_order);
	PART(alternate_stack);
	PART(reads_restart_or_not);
	PART(sleep_tells_what_is_left);
	PART(faults);
	PART(blocked_fault_kills);
	PART(vector_state_survives);
	PART(handlers_nest);
	PART(reset_and_ignore);
	PART(interval_timer);
	PART(posix_timer);
	PART(signalfd_reads);
	PART(sigsuspend_swaps_the_mask);
	PART(runaway_loop_is_interrupted);
	PART(parent_death_signal);
	return 0;
}
