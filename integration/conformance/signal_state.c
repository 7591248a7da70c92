/* what a signal frame carries, frames that are forged or have no room, handlers that nest */
#include "check.h"
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>

#define MAGIC1 0x46505853
static const unsigned PAGE = 4096;

static uint32_t *software_bytes(ucontext_t *uc) { return (uint32_t *)((char *)uc->uc_mcontext.fpregs + 464); }

/* A handler starts with the initial state, and what it does to its registers is gone afterwards. */
static volatile uint32_t handler_mxcsr;
static volatile uint16_t handler_control;
static void on_state(int signal)
{
	uint32_t mxcsr = 0x1fc0;
	uint16_t control = 0x27f;
	(void)signal;
	asm volatile("stmxcsr %0; fnstcw %1" : "=m"(*(uint32_t *)&handler_mxcsr), "=m"(*(uint16_t *)&handler_control));
	asm volatile("ldmxcsr %0; fldcw %1; pxor %%xmm3, %%xmm3; fldz" ::"m"(mxcsr), "m"(control) : "xmm3");
}
static void state_is_the_threads_own(void)
{
	uint32_t mxcsr = 0x9fc0, mxcsr_after;
	uint16_t control = 0x37b, control_after;
	uint64_t xmm3[2] = { 0x1122334455667788, 0x99aabbccddeeff00 }, after[2];
	long pid = getpid(), result;
	double x87;
	CHECK(signal(SIGUSR1, on_state) != SIG_ERR);
	asm volatile("ldmxcsr %6; fldcw %7; movdqu %8, %%xmm3; fldpi\n\tsyscall\n\tmovdqu %%xmm3, %1; stmxcsr %2; fnstcw %3; fstpl %4"
		     : "=a"(result), "=m"(after), "=m"(mxcsr_after), "=m"(control_after), "=m"(x87)
		     : "a"(SYS_tkill), "m"(mxcsr), "m"(control), "m"(xmm3), "D"(pid), "S"(SIGUSR1)
		     : "rcx", "r11", "xmm3", "memory");
	CHECK(result == 0 && after[0] == xmm3[0] && after[1] == xmm3[1]);
	CHECK(mxcsr_after == mxcsr && control_after == control && x87 > 3.14 && x87 < 3.15);
	CHECK(handler_mxcsr == 0x1f80 && handler_control == 0x37f);
}

/* rt_sigreturn loads what the handler has written into the frame. */
static void on_edit(int signal, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	(void)signal, (void)info;
	memset(uc->uc_mcontext.fpregs->_xmm[3].element, 0xab, 16);
	uc->uc_mcontext.gregs[REG_EFL] |= 0x3001; /* carry; of IOPL nothing comes through */
}
static void edited_state(void)
{
	struct sigaction action = { .sa_sigaction = on_edit, .sa_flags = SA_SIGINFO };
	uint64_t after[2], flags;
	long pid = getpid(), result;
	CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
	asm volatile("clc; pxor %%xmm3, %%xmm3; syscall; pushfq; popq %2; movdqu %%xmm3, %1"
		     : "=a"(result), "=m"(after), "=r"(flags)
		     : "a"(SYS_tkill), "D"(pid), "S"(SIGUSR1)
		     : "rcx", "r11", "xmm3", "memory", "cc");
	CHECK(result == 0 && after[0] == 0xababababababababu && after[1] == 0xababababababababu);
	CHECK((flags & 1) == 1 && (flags & 0x3000) == 0);
}

/* Frames that rt_sigreturn must refuse: SIGSEGV, and nobody else is hurt. */
static volatile int forgery;
enum { HEADER_RESERVED, HEADER_UNKNOWN, MXCSR_RESERVED, MISALIGNED, UNMAPPED, HIGH_RIP, FORGERIES };
static void on_forge(int signal, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	char *fp = (char *)uc->uc_mcontext.fpregs;
	(void)signal, (void)info;
	switch (forgery) {
	case HEADER_RESERVED:
		memset(fp + 528, 0xff, 48);
		break;
	case HEADER_UNKNOWN:
		*(uint64_t *)(fp + 512) = 1ull << 62;
		*(uint64_t *)&software_bytes(uc)[2] = ~0ull;
		break;
	case MXCSR_RESERVED:
		*(uint32_t *)(fp + 24) = 0xffffffff;
		break;
	case MISALIGNED:
		uc->uc_mcontext.fpregs = (void *)(fp + 1);
		break;
	case UNMAPPED:
		uc->uc_mcontext.fpregs = (void *)0x1000;
		break;
	case HIGH_RIP:
		uc->uc_mcontext.gregs[REG_RIP] = 0x4141414141414141;
		break;
	}
}
static void forged_frames(void)
{
	for (forgery = 0; forgery < FORGERIES; forgery++) {
		pid_t pid = fork();
		int status;
		if (pid == 0) {
			struct sigaction action = { .sa_sigaction = on_forge, .sa_flags = SA_SIGINFO };
			CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
			raise(SIGUSR1);
			_exit(0);
		}
		CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	}
}

/* Without the marks only the legacy part counts; without an image the state is the initial one. */
static void on_legacy(int signal, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	(void)signal, (void)info;
	if (forgery == 0)
		software_bytes(uc)[0] = 0;
	else
		uc->uc_mcontext.fpregs = NULL;
}
static void incomplete_frames(void)
{
	struct sigaction action = { .sa_sigaction = on_legacy, .sa_flags = SA_SIGINFO };
	CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
	for (forgery = 0; forgery < 2; forgery++) {
		uint64_t xmm3[2] = { 7, 8 }, after[2];
		long pid = getpid(), result;
		asm volatile("movdqu %2, %%xmm3; syscall; movdqu %%xmm3, %1"
			     : "=a"(result), "=m"(after)
			     : "m"(xmm3), "a"(SYS_tkill), "D"(pid), "S"(SIGUSR1)
			     : "rcx", "r11", "xmm3", "memory");
		CHECK(result == 0 && after[0] == (forgery == 0 ? 7 : 0) && after[1] == (forgery == 0 ? 8 : 0));
	}
}

/* A stack that is at its end, one that cannot be written, one that goes away: SIGSEGV, which a handler elsewhere survives. */
static sigjmp_buf out;
static volatile int overflows;
static void on_overflow(int signal)
{
	(void)signal;
	overflows++;
	siglongjmp(out, 1);
}
static void on_nothing(int signal) { (void)signal; }
static void no_room_for_the_frame(void)
{
	char *alternate = malloc(65536);
	stack_t stack = { .ss_sp = alternate, .ss_size = 65536 };
	struct sigaction segv = { .sa_handler = on_overflow, .sa_flags = SA_ONSTACK }, plain = { .sa_handler = on_nothing };
	CHECK(sigaltstack(&stack, NULL) == 0 && sigaction(SIGSEGV, &segv, NULL) == 0 && sigaction(SIGUSR1, &plain, NULL) == 0);
	char *bad = mmap(NULL, 16 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(mprotect(bad + 15 * PAGE, PAGE, PROT_READ | PROT_WRITE) == 0); /* the red zone fits, the frame does not */
	char *const tops[] = { bad + 15 * PAGE + 256, (char *)64, (char *)0x7fffffff0000, (char *)~0ul - 64 };
	long pid = getpid();
	for (int i = 0; i < 4; i++) {
		CHECK(overflows == i);
		if (sigsetjmp(out, 1) == 0) {
			asm volatile("mov %0, %%rsp; syscall; ud2" ::"r"(tops[i]), "a"(SYS_tkill), "D"(pid), "S"(SIGUSR1) : "rcx", "r11", "memory");
		}
	}
	CHECK(overflows == 4);
}
static void recursion_overflows(void)
{
	pid_t pid = fork();
	int status;
	if (pid == 0) {
		struct sigaction plain = { .sa_handler = on_nothing };
		CHECK(sigaction(SIGSEGV, &plain, NULL) == 0);
		asm volatile("mov $64, %%esp; push %%rax; ud2" ::: "memory"); /* its handler has no room either */
	}
	CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

/* Each handler is interrupted by the next: all frames are whole when they are taken down. */
static volatile int depth, deepest, broken;
static void on_nested(int signal)
{
	register volatile long mark = depth * 1000003L;
	volatile double x = depth + 0.5;
	if (depth < 200) {
		depth++;
		raise(signal);
		depth--;
	} else {
		deepest = depth;
	}
	if (mark != depth * 1000003L || x != depth + 0.5)
		broken++;
}
static void deep_nesting(void)
{
	struct sigaction action = { .sa_handler = on_nested, .sa_flags = SA_NODEFER };
	CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
	raise(SIGUSR1);
	CHECK(deepest == 200 && broken == 0 && depth == 0);
}

/* Several at once: all handlers run before the program goes on, the last frame first. */
static volatile int order[4], count;
static void on_order(int signal) { order[count++] = signal; }
static void on_raise(int signal)
{
	(void)signal;
	for (int s = SIGRTMIN; s < SIGRTMIN + 4; s++)
		raise(s);
	CHECK(count == 0);
}
static void several_at_once(void)
{
	struct sigaction action = { .sa_handler = on_order };
	sigset_t set, old;
	sigemptyset(&set);
	for (int s = SIGRTMIN; s < SIGRTMIN + 4; s++) {
		CHECK(sigaction(s, &action, NULL) == 0);
		sigaddset(&set, s);
	}
	CHECK(sigprocmask(SIG_BLOCK, &set, &old) == 0);
	for (int s = SIGRTMIN; s < SIGRTMIN + 4; s++)
		raise(s);
	CHECK(count == 0 && sigprocmask(SIG_SETMASK, &old, NULL) == 0 && count == 4);
	for (int i = 0; i < 4; i++)
		CHECK(order[i] == SIGRTMIN + 3 - i);
	/* blocked during a handler, taken as it returns */
	count = 0;
	action.sa_handler = on_raise;
	action.sa_mask = set;
	CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
	raise(SIGUSR1);
	CHECK(count == 4 && order[0] == SIGRTMIN + 3 && order[3] == SIGRTMIN);
}

/* SS_AUTODISARM: no alternate stack inside the handler, and there again behind it. */
static volatile int inside_flags;
static void on_disarmed(int signal)
{
	stack_t now;
	(void)signal;
	CHECK(sigaltstack(NULL, &now) == 0);
	inside_flags = now.ss_flags;
}
static void disarmed_inside(void)
{
	stack_t stack = { .ss_sp = malloc(65536), .ss_size = 65536, .ss_flags = 1u << 31 }, now;
	struct sigaction action = { .sa_handler = on_disarmed, .sa_flags = SA_ONSTACK };
	CHECK(sigaltstack(&stack, NULL) == 0 && sigaction(SIGUSR1, &action, NULL) == 0);
	for (int i = 0; i < 3; i++)
		raise(SIGUSR1);
	CHECK(inside_flags == SS_DISABLE && sigaltstack(NULL, &now) == 0);
	CHECK(now.ss_sp == stack.ss_sp && now.ss_size == 65536 && now.ss_flags == (int)(1u << 31));
}

int main(void)
{
	PART(state_is_the_threads_own);
	PART(edited_state);
	PART(forged_frames);
	PART(incomplete_frames);
	PART(no_room_for_the_frame);
	PART(recursion_overflows);
	PART(deep_nesting);
	PART(several_at_once);
	PART(disarmed_inside);
	return 0;
}
