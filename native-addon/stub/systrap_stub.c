/*
 * The systrap platform's part in an application's process. Every system call of the application raises SIGSYS (the seccomp filter
 * allows host calls from this code alone); the handler posts it into the thread's slot, waits, carries out what the Sentry orders,
 * and returns to the application. Faults and the Sentry's kick signal take the same way.
 *
 * The application shares this address space: it can read all of this, jump anywhere in it, and write slots and stacks. So nothing
 * here protects anything. What protects the host is the filter (platforms/systrap/host_calls.ts); what protects the Sentry is that it
 * believes no slot.
 *
 * Interface rules: no writable data, no floating point (the application's state is in the signal frame only), no thread-local storage.
 * All signals are blocked while a handler runs; a fault in here therefore kills the process.
 */
#include "systrap_stub.h"

#include <asm/unistd.h>
#include <stddef.h>

#define NOINLINE __attribute__((noinline))

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
struct altstack {
	uint64_t sp;
	int flags, pad;
	uint64_t size;
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

/* At the end of this file, in assembly. Hidden: reached without a table of addresses. */
__attribute__((visibility("hidden"))) void stub_restorer(void);
__attribute__((visibility("hidden"))) int64_t stub_clone_thread(uint64_t flags, uint64_t stack, struct ucontext *uc);

static inline uint64_t thread_index(const void *on_stack)
{
	return ((uint64_t)on_stack - STACKS) / STACK_SIZE;
}
static inline struct slot *slot_of(uint64_t index)
{
	return (struct slot *)(SLOTS + (index % MAX_THREADS) * SLOT_SIZE);
}

static inline uint64_t read_fs(void)
{
	uint64_t v;
	__asm__ volatile("rdfsbase %0" : "=r"(v));
	return v;
}
static inline uint64_t read_gs(void)
{
	uint64_t v;
	__asm__ volatile("rdgsbase %0" : "=r"(v));
	return v;
}

static void save_registers(uint64_t *to, const struct sigcontext *c)
{
	to[R15] = c->r15, to[R14] = c->r14, to[R13] = c->r13, to[R12] = c->r12, to[RBP] = c->rbp, to[RBX] = c->rbx;
	to[R11] = c->r11, to[R10] = c->r10, to[R9] = c->r9, to[R8] = c->r8, to[RAX] = c->rax, to[RCX] = c->rcx;
	to[RDX] = c->rdx, to[RSI] = c->rsi, to[RDI] = c->rdi, to[RIP] = c->rip, to[RSP] = c->rsp, to[EFLAGS] = c->eflags;
	to[CS] = c->cs, to[SS] = c->ss;
	to[FS_BASE] = read_fs();
	to[GS_BASE] = read_gs();
}
static void load_registers(struct sigcontext *c, const uint64_t *from)
{
	c->r15 = from[R15], c->r14 = from[R14], c->r13 = from[R13], c->r12 = from[R12], c->rbp = from[RBP], c->rbx = from[RBX];
	c->r11 = from[R11], c->r10 = from[R10], c->r9 = from[R9], c->r8 = from[R8], c->rax = from[RAX], c->rcx = from[RCX];
	c->rdx = from[RDX], c->rsi = from[RSI], c->rdi = from[RDI], c->rip = from[RIP], c->rsp = from[RSP], c->eflags = from[EFLAGS];
	c->cs = (uint16_t)from[CS], c->ss = (uint16_t)from[SS];
	__asm__ volatile("wrfsbase %0" : : "r"(from[FS_BASE]));
	__asm__ volatile("wrgsbase %0" : : "r"(from[GS_BASE]));
}

/* Sleeps until the Sentry has changed the state. A spurious look costs nothing but itself. */
static uint32_t wait_reply(struct slot *slot)
{
	uint32_t spin = slot->spin;
	uint64_t start = spin > 0 ? __builtin_ia32_rdtsc() : 0;
	for (;;) {
		uint32_t state = __atomic_load_n(&slot->state, __ATOMIC_ACQUIRE);
		if (state == STATE_REPLY || state == STATE_COMMAND)
			return state;
		if (spin > 0) {
			__builtin_ia32_pause();
			if (__builtin_ia32_rdtsc() - start > spin)
				spin = 0;
			continue;
		}
		if (state == STATE_POSTED) {
			uint32_t expected = STATE_POSTED;
			if (!__atomic_compare_exchange_n(&slot->state, &expected, STATE_SLEEPING, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
				continue;
		}
		host6(__NR_futex, (uint64_t)&slot->state, 0 /* FUTEX_WAIT */, STATE_SLEEPING, 0, 0, 0);
	}
}

static void post(struct slot *slot)
{
	__atomic_exchange_n(&slot->state, STATE_POSTED, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&((struct global *)GLOBAL_PAGE)->sentry_sleeps, __ATOMIC_SEQ_CST) != 0) {
		const uint64_t one = 1;
		host(__NR_write, DOORBELL_FD, &one, sizeof(one));
	}
}

/* Receives up to four descriptors; how many bytes the message had, or an errno. */
static NOINLINE int64_t receive(int *fds, void *payload, uint64_t length, uint64_t flags)
{
	struct cmsghdr control;
	struct iovec iov = { payload, length };
	struct msghdr msg = { .iov = &iov, .iovlen = 1, .control = &control, .controllen = sizeof(control) };
	control.fds[0] = control.fds[1] = control.fds[2] = control.fds[3] = -1;
	int64_t n = host(__NR_recvmsg, SOCKET_FD, &msg, flags);
	if (n >= 0 && msg.controllen < 20)
		n = -9; /* EBADF: no descriptor came */
	for (int i = 0; i < 4; i++)
		fds[i] = control.fds[i];
	return n;
}

#define MSG_DONTWAIT 0x40

static int64_t map_file(const struct command *c)
{
	int fds[4];
	char byte;
	int64_t n = receive(fds, &byte, 1, MSG_DONTWAIT);
	if (n < 0)
		return n;
	int64_t r = host6(__NR_mmap, c->args[0], c->args[1], c->args[2], c->args[3], (uint64_t)fds[0], c->args[5]);
	host(__NR_close, fds[0], 0, 0);
	return r;
}

/*
 * A thread with number args[0]: it starts with a copy of our signal frame at the same place of its own block, from which it will
 * return to the application like any other.
 */
static int64_t start_thread(const struct command *c, struct ucontext *uc)
{
	uint64_t block = (uint64_t)uc & ~(STACK_SIZE - 1);
	uint64_t delta = STACKS + (c->args[0] % MAX_THREADS) * STACK_SIZE - block;
	uint64_t *end = (uint64_t *)(block + STACK_SIZE);
	for (uint64_t *p = (uint64_t *)uc; p < end; p++)
		p[delta / 8] = *p;
	struct ucontext *theirs = (struct ucontext *)((uint64_t)uc + delta);
	theirs->stack.sp = block + delta;
	theirs->mcontext.fpstate += delta;
	/* Below the frame; the word at the frame's bottom is the return address that rt_sigreturn's caller leaves out. */
	uint64_t stack = ((uint64_t)theirs - 256) & ~15UL;
	return stub_clone_thread(0x50f00 /* VM FS FILES SIGHAND THREAD SYSVSEM */, stack, theirs);
}

/*
 * A child process: a copy of this one with slots and socket of its own. The child must not touch the old slot: it may serve this
 * thread again by then. Returns the pid in the parent, 0 in the child.
 */
static int64_t start_process(void)
{
	int fds[4];
	char byte;
	int64_t r = receive(fds, &byte, 1, MSG_DONTWAIT);
	if (r < 0)
		return r;
	r = host6(__NR_mmap, NEXT_SLOTS, SLOTS_LENGTH, 3, 0x11 /* SHARED FIXED */, (uint64_t)fds[0], 0);
	host(__NR_close, fds[0], 0, 0);
	if (r > 0)
		r = host6(__NR_clone, 0x8011 /* CLONE_PARENT, SIGCHLD */, 0, 0, 0, 0, 0);
	if (r == 0) {
		host6(__NR_mremap, NEXT_SLOTS, SLOTS_LENGTH, SLOTS_LENGTH, 3 /* MAYMOVE FIXED */, SLOTS, 0);
		host(__NR_dup2, fds[1], SOCKET_FD, 0);
	} else {
		host(__NR_munmap, NEXT_SLOTS, SLOTS_LENGTH, 0);
	}
	host(__NR_close, fds[1], 0, 0);
	return r;
}

static int64_t carry_out(struct command *c, uint32_t op, struct ucontext *uc)
{
	switch (op) {
	case OP_HOST:
		return host6(c->nr, c->args[0], c->args[1], c->args[2], c->args[3], c->args[4], c->args[5]);
	case OP_MAP_FILE:
		return map_file(c);
	case OP_THREAD:
		return start_thread(c, uc);
	case OP_FORK:
		return start_process();
	}
	return -38;
}

static __attribute__((noreturn)) void leave(struct slot *slot)
{
	/* After this store neither slot nor stack is ours: no C code may follow. */
	__asm__ volatile("movl %1, %0\n\tmovl %2, %%eax\n\txorl %%edi, %%edi\n\tsyscall\n\tud2"
			 : "=m"(slot->state)
			 : "i"(STATE_GONE), "i"(__NR_exit)
			 : "rax", "rdi", "memory");
	__builtin_unreachable();
}

/* Serves the thread's slot until the Sentry lets it go on. */
static NOINLINE void serve(struct slot *slot, struct ucontext *uc)
{
	for (;;) {
		uint32_t state = wait_reply(slot);
		uint32_t count = slot->command_count;
		for (uint32_t i = 0; i < count && i < MAX_COMMANDS; i++) {
			struct command *c = &slot->commands[i];
			uint32_t op = c->op; /* a child does not find it there any more: its slot is a fresh one */
			int64_t r = carry_out(c, op, uc);
			if (r == 0 && op == OP_FORK) {
				save_registers(slot->regs, &uc->mcontext);
				slot->fpstate = uc->mcontext.fpstate;
				slot->kind = KIND_STARTED;
				state = STATE_COMMAND;
				break;
			}
			c->result = r;
			if (state == STATE_REPLY && (uint64_t)r > (uint64_t)-4096)
				__builtin_trap(); /* a deferred operation failed: the Sentry has promised that it would not */
		}
		if (state == STATE_REPLY)
			break;
		__atomic_exchange_n(&slot->state, STATE_POSTED, __ATOMIC_SEQ_CST);
		host6(__NR_futex, (uint64_t)&slot->state, 1 /* FUTEX_WAKE */, 1, 0, 0, 0);
	}
	uint32_t flags = slot->flags;
	if (flags & REPLY_EXIT)
		leave(slot);
	if (flags & REPLY_REGISTERS)
		load_registers(&uc->mcontext, slot->regs);
	if (flags & REPLY_RESULT)
		uc->mcontext.rax = slot->result;
}

static void on_signal(int signal, struct siginfo *info, struct ucontext *uc)
{
	struct slot *slot = slot_of(thread_index(uc));
	if (signal == SIG_SYS) {
		slot->kind = KIND_SYSCALL;
		slot->code = info->arch == AUDIT_ARCH_X86_64;
	} else if (signal == KICK) {
		slot->kind = KIND_INTERRUPT;
	} else if (info->code > 0) {
		slot->kind = KIND_FAULT;
		slot->code = (uint32_t)info->code;
		slot->signal = (uint32_t)signal;
		slot->address = info->address;
	} else {
		return; /* sent by somebody on the host: not the instruction's doing */
	}
	slot->fpstate = uc->mcontext.fpstate;
	save_registers(slot->regs, &uc->mcontext);
	post(slot);
	serve(slot, uc);
}

/* First code of a new thread, on its own block; returns through the frame there. */
__attribute__((used)) void stub_thread_main(struct ucontext *uc)
{
	struct slot *slot = slot_of(thread_index(uc));
	slot->kind = KIND_STARTED;
	slot->fpstate = uc->mcontext.fpstate;
	save_registers(slot->regs, &uc->mcontext);
	__atomic_exchange_n(&slot->state, STATE_POSTED, __ATOMIC_SEQ_CST);
	host6(__NR_futex, (uint64_t)&slot->state, 1 /* FUTEX_WAKE */, 1, 0, 0, 0);
	serve(slot, uc);
}

static __attribute__((noreturn)) void die(int status)
{
	for (;;)
		host(__NR_exit_group, status, 0, 0);
}

#define ALL_SIGNALS (~0UL)
#define BIT(signal) (1UL << ((signal)-1))

static void install_handlers(void)
{
	static const unsigned char handled[] = { SIG_SYS, SIG_SEGV, SIG_BUS, SIG_FPE, SIG_ILL, SIG_TRAP, KICK };
	struct altstack stack = { STACKS, 0, 0, STACK_SIZE };
	struct sigaction action = { on_signal, 0x4 | 0x04000000 | 0x08000000 /* SIGINFO RESTORER ONSTACK */, stub_restorer, ALL_SIGNALS };
	uint64_t mask = ALL_SIGNALS;
	if (host(__NR_sigaltstack, &stack, 0, 0) < 0)
		die(3);
	for (unsigned i = 0; i < sizeof(handled); i++) {
		if (host6(__NR_rt_sigaction, handled[i], (uint64_t)&action, 0, 8, 0, 0) < 0)
			die(4);
		mask &= ~BIT(handled[i]);
	}
	if (host6(__NR_rt_sigprocmask, 2 /* SIG_SETMASK */, (uint64_t)&mask, 0, 8, 0, 0) < 0)
		die(5);
}

/*
 * The seed. The Sentry's first message brings the doorbell, the slots' memfd, the sandbox's page (as descriptors 1, 2, 3) and the
 * filter's program. From the last call on everything is the Sentry's.
 */
__attribute__((used, noreturn)) void stub_main(void)
{
	char program[4096];
	int fds[4];
	int64_t n = receive(fds, program, sizeof(program), 0);
	if (n <= 0 || fds[0] != DOORBELL_FD)
		die(1);
	if (host6(__NR_mmap, SLOTS, SLOTS_LENGTH, 3, 0x11 /* SHARED FIXED */, (uint64_t)fds[1], 0) != (int64_t)SLOTS ||
	    host6(__NR_mmap, GLOBAL_PAGE, 4096, 1, 0x11, (uint64_t)fds[2], 0) != (int64_t)GLOBAL_PAGE ||
	    host6(__NR_mmap, STACKS, MAX_THREADS * STACK_SIZE, 3, 0x4032 /* PRIVATE FIXED ANONYMOUS NORESERVE */, (uint64_t)-1, 0) != (int64_t)STACKS)
		die(2);
	host(__NR_close, fds[1], 0, 0);
	host(__NR_close, fds[2], 0, 0);
	install_handlers();
	struct sock_fprog filter = { (uint16_t)(n / 8), program };
	if (host(__NR_seccomp, 1 /* SECCOMP_SET_MODE_FILTER */, 0, &filter) < 0)
		die(6);
	for (;;) /* not in the filter's list: raises SIGSYS, and the seed is stopped */
		host(0x7fff, 0, 0, 0);
}

__asm__(".text\n"
	".globl stub_restorer\n"
	"stub_restorer:\n"
	"	mov $15, %eax\n" /* rt_sigreturn(2) */
	"	syscall\n"
	"	ud2\n"
	/* stub_clone_thread(flags, stack, uc): the child has nothing but its registers. */
	".globl stub_clone_thread\n"
	"stub_clone_thread:\n"
	"	mov $56, %eax\n"
	"	syscall\n"
	"	test %rax, %rax\n"
	"	jz 1f\n"
	"	ret\n"
	"1:	mov %rdx, %rdi\n"
	"	mov %rdx, %rbx\n"
	"	call stub_thread_main\n"
	"	mov %rbx, %rsp\n" /* uc: what the stack pointer is when a handler has returned to its restorer */
	"	jmp stub_restorer\n"
	".globl _start\n"
	"_start:\n"
	"	xor %ebp, %ebp\n"
	"	and $-16, %rsp\n"
	"	call stub_main\n");
