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
 * While the handlers of faults and of the kick run, all signals are blocked but those of memory faults: stub_copy survives these, any other
 * fault kills the process. In the handler of SIGSYS none is blocked, which lets it leave without a host call (leave.S).
 */
#include "frames.h"
#include "registers.h"
#include "stub.h"

#define TRAP_FLAG 0x100UL
#define RESUME_FLAG 0x10000UL

_Static_assert(offsetof(struct ucontext, mcontext.r8) == 40 && offsetof(struct ucontext, mcontext.rip) == 168 &&
		       offsetof(struct ucontext, mcontext.fpstate) == 224 && offsetof(struct slot, kick) == 0x4c,
	       "leave.S says so");

/* leave.S, fast.S, futex.c: code addresses. */
extern const char stub_leave[], stub_leave_flags[], stub_leave_jump[], stub_leave_end[], stub_kicked[];
extern const char stub_wait_look[], stub_wait_end[], stub_wait_kicked[];
extern const char stub_fast_leave[], stub_fast_jump[], stub_fast_leave_end[], stub_fast_kicked[], stub_upgraded[];

/* The application has stopped: the slot says where and why, the Sentry what becomes of it. */
static void exchange(struct slot *slot, struct ucontext *uc)
{
	slot->fpstate = uc->mcontext.fpstate;
	save_registers(slot->regs, &uc->mcontext);
	post(slot);
	serve(slot, uc);
}

/* The quick way out puts rip into rcx, where a system call leaves it; it holds for whatever else the Sentry has changed. */
static struct departure departure(struct slot *slot, const struct ucontext *uc)
{
	const struct sigcontext *c = &uc->mcontext;
	return (struct departure){ slot, uc->link != LINK_FIRST && c->rcx == c->rip && !(c->eflags & (TRAP_FLAG | RESUME_FLAG)) };
}

/* What the Sentry will want to know of this call, and would have to ask the host for. */
static void look_ahead(struct slot *slot, const struct ucontext *uc)
{
	switch (uc->mcontext.rax) {
	case __NR_exit:
		drop_rseq(slot);
		slot->cpu_time = clock_now(CLOCK_THREAD_CPUTIME_ID);
		break;
	case __NR_exit_group:
		forget_locks(slot);
		/* fall through */
	case __NR_execve:
		slot->cpu_time = clock_now(CLOCK_THREAD_CPUTIME_ID);
		break;
	}
}

/* Whether nobody needs to be asked. */
static int is_done_alone(struct slot *slot, struct ucontext *uc)
{
	struct sigcontext *c = &uc->mcontext;
	if (c->rax == __NR_futex) {
		struct futex_call call = { c->rdi, c->rsi, c->rdx, c->r10, c->r9 };
		int64_t r = futex_here(slot, &call, 1);
		if (r == FUTEX_NOT_HERE)
			return 0;
		c->rax = (uint64_t)r;
		return 1;
	}
	if (c->rax != __NR_rt_sigreturn) {
		const struct own_call call = { c->rax, { c->rdi, c->rsi, c->rdx, c->r10 }, c->rsp };
		uint64_t result;
		if (!answer_alone(slot, &call, 1, &result))
			return 0;
		c->rax = result;
		return 1;
	}
	peek_frame(&slot->peek, uc);
	return return_alone(slot, uc);
}

/* SIGSYS. */
__attribute__((used)) struct departure on_trap(struct siginfo *info, struct ucontext *uc)
{
	struct slot *slot = slot_of(thread_index(uc));
	if (uc->mcontext.rip == (uint64_t)stub_upgraded && slot->upgrading) {
		uint64_t upgrade = slot->upgrading;
		slot->upgrading = 0;
		slot->regs[CS] = uc->mcontext.cs;
		slot->regs[SS] = uc->mcontext.ss;
		load_general(&uc->mcontext, slot->regs);
		if (upgrade == UPGRADE_ANSWERED) {
			slot->fpstate = uc->mcontext.fpstate;
			serve(slot, uc);
			return departure(slot, uc);
		}
	}
	if (info->arch == AUDIT_ARCH_X86_64 && is_done_alone(slot, uc))
		return departure(slot, uc);
	slot->kick = 0;
	slot->kind = KIND_SYSCALL;
	slot->code = info->arch == AUDIT_ARCH_X86_64;
	look_ahead(slot, uc);
	slot->fpstate = uc->mcontext.fpstate;
	save_registers(slot->regs, &uc->mcontext);
	if (slot->code == 1) {
		gather(slot);
		if (uc->mcontext.rax == __NR_exit && ends_alone(slot))
			leave_asking(slot);
	}
	post(slot);
	serve(slot, uc);
	return departure(slot, uc);
}

/* A kick came while the thread was in here, after its system call: it stops once more before it goes on. */
__attribute__((used)) struct departure on_kicked(struct ucontext *uc)
{
	struct slot *slot = slot_of(thread_index(uc));
	slot->kick = 0;
	slot->kind = KIND_INTERRUPT;
	exchange(slot, uc);
	return departure(slot, uc);
}

/* Whether the kick met the stub, and not the application: then the stub looks after it. */
static int kicked_inside(struct slot *slot, struct sigcontext *c)
{
	if (c->rip < STUB_BASE || c->rip >= STUB_CODE_END)
		return 0;
	if (c->rip == (uint64_t)stub_leave_jump || c->rip == (uint64_t)stub_fast_jump) {
		c->rip = c->rcx;
		return 0;
	}
	if (c->rip >= (uint64_t)stub_leave && c->rip < (uint64_t)stub_leave_end) {
		if (c->rip == (uint64_t)stub_leave_flags)
			c->rsp += 8;
		c->rip = (uint64_t)stub_kicked;
	} else if (c->rip >= (uint64_t)stub_fast_leave && c->rip < (uint64_t)stub_fast_leave_end) {
		c->rip = (uint64_t)stub_fast_kicked;
	} else {
		slot->kick = 1;
		if (c->rip >= (uint64_t)stub_wait_look && c->rip < (uint64_t)stub_wait_end)
			c->rip = (uint64_t)stub_wait_kicked;
	}
	return 1;
}

/* A fault of the handler's own, on this very stack: true if it is one that stub_copy and stub_probe expect. Otherwise the process is at its end. */
static int survives(struct ucontext *uc)
{
	uint64_t sp = uc->mcontext.rsp;
	if (sp < STACKS || sp >= STACKS + MAX_THREADS * STACK_SIZE)
		return 0;
	if (uc->mcontext.rip != (uint64_t)stub_copy_here && uc->mcontext.rip != (uint64_t)stub_probe_here)
		__builtin_trap();
	uc->mcontext.rip = (uint64_t)stub_copy_failed;
	return 1;
}

static void on_signal(int signal, struct siginfo *info, struct ucontext *uc)
{
	struct slot *slot = slot_of(thread_index(uc));
	if (signal == KICK) {
		if (kicked_inside(slot, &uc->mcontext))
			return;
		slot->kind = KIND_INTERRUPT;
	} else if (info->code > 0) {
		if ((signal == SIG_SEGV || signal == SIG_BUS) && survives(uc))
			return;
		slot->kind = KIND_FAULT;
		slot->code = (uint32_t)info->code;
		slot->signal = (uint32_t)signal | (uint32_t)(uc->mcontext.err & 0xff) << 8 | (uint32_t)(uc->mcontext.trapno & 0xff) << 16;
		slot->address = info->address;
	} else {
		return; /* sent by somebody on the host: not the instruction's doing */
	}
	exchange(slot, uc);
}

#define SA_FLAGS (0x4 | 0x04000000 | 0x08000000 /* SIGINFO RESTORER ONSTACK */)
#define SA_NODEFER 0x40000000UL
#define ALL_SIGNALS (~0UL)
#define BIT(signal) (1UL << ((signal)-1))

void install_handlers(void)
{
	static const unsigned char handled[] = { SIG_SEGV, SIG_BUS, SIG_FPE, SIG_ILL, SIG_TRAP, KICK };
	struct altstack stack = { STACKS, 0, 0, STACK_SIZE };
	struct sigaction trap = { stub_trap, SA_FLAGS | SA_NODEFER, stub_restorer, 0 };
	struct sigaction action = { on_signal, SA_FLAGS, stub_restorer, ALL_SIGNALS & ~BIT(SIG_SEGV) & ~BIT(SIG_BUS) };
	uint64_t mask = ALL_SIGNALS & ~BIT(SIG_SYS);
	if (host(__NR_sigaltstack, &stack, 0, 0) < 0 || host6(__NR_rt_sigaction, SIG_SYS, (uint64_t)&trap, 0, 8, 0, 0) < 0)
		die(3);
	for (unsigned i = 0; i < sizeof(handled); i++) {
		int fault = handled[i] == SIG_SEGV || handled[i] == SIG_BUS;
		action.flags = SA_FLAGS | (fault ? SA_NODEFER : 0);
		if (host6(__NR_rt_sigaction, handled[i], (uint64_t)&action, 0, 8, 0, 0) < 0)
			die(4);
		mask &= ~BIT(handled[i]);
	}
	if (host6(__NR_rt_sigprocmask, 2 /* SIG_SETMASK */, (uint64_t)&mask, 0, 8, 0, 0) < 0)
		die(5);
}
