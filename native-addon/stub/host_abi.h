/* What the stub needs of the host's ABI: signal frames, messages, numbers. The stub has no C library. */
#ifndef TSVISOR_STUB_HOST_ABI_H
#define TSVISOR_STUB_HOST_ABI_H

#include <asm/unistd.h>
#include <stddef.h>
#include <stdint.h>

#include "systrap_stub.h"

#define MSG_DONTWAIT 0x40
#define EFAULT 14

/* signal(7), sigaction(2), x86-64 */
#define SIG_ILL 4
#define SIG_TRAP 5
#define SIG_BUS 7
#define SIG_FPE 8
#define SIG_USR1 10
#define SIG_SEGV 11
#define SIG_SYS 31
#define KICK SIG_USR1
#define AUDIT_ARCH_X86_64 0xc000003eU

struct siginfo {
	int signo, error, code, pad;
	uint64_t address; /* SIGSYS: of the instruction */
	int syscall;
	uint32_t arch;
};
struct sigcontext {
	uint64_t r8, r9, r10, r11, r12, r13, r14, r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, eflags;
	uint16_t cs, gs, fs, ss;
	uint64_t err, trapno, oldmask, cr2, fpstate, reserved[8];
};
struct ucontext {
	uint64_t flags, link;
	struct altstack stack;
	struct sigcontext mcontext;
	uint64_t sigmask;
};
struct sigaction {
	void (*handler)(int, struct siginfo *, struct ucontext *);
	uint64_t flags;
	void (*restorer)(void);
	uint64_t mask;
};
struct iovec {
	void *base;
	uint64_t length;
};
struct msghdr {
	void *name;
	uint32_t namelen, pad;
	struct iovec *iov;
	uint64_t iovlen;
	void *control;
	uint64_t controllen;
	int flags, pad2;
};
struct cmsghdr {
	uint64_t length;
	int level, type;
	int fds[4];
};
struct sock_fprog {
	uint16_t length;
	void *filter;
};

static inline int64_t host6(uint64_t nr, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
	int64_t r;
	register uint64_t r10 __asm__("r10") = d;
	register uint64_t r8 __asm__("r8") = e;
	register uint64_t r9 __asm__("r9") = f;
	__asm__ volatile("syscall" : "=a"(r) : "0"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9) : "rcx", "r11", "memory");
	return r;
}
#define host(nr, a, b, c) host6(nr, (uint64_t)(a), (uint64_t)(b), (uint64_t)(c), 0, 0, 0)

#define CLOCK_MONOTONIC 1
#define CLOCK_THREAD_CPUTIME_ID 3
/* ns */
static inline uint64_t clock_now(int clock)
{
	uint64_t time[2] = { 0, 0 };
	host(__NR_clock_gettime, clock, time, 0);
	return time[0] * 1000000000UL + time[1];
}

#endif
