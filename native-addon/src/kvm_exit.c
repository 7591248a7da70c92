/*
 * Why the guest was left: a system call, an exception of the application's instruction, a kick, or something that must not be. A system
 * call is believed only at the entry's own address; whatever else writes a port is the application's, and forbidden.
 */
#include "kvm_run.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>

/* sigaction(2) si_code SI_KERNEL */
#define KERNEL 0x80

#define TRAP_FLAG 0x100ULL
#define RESUME_FLAG 0x10000ULL
/* Tries of one instruction whose page the host does not give, or whose fault has no reason: another thread's flush may be under way. */
#define PATIENCE 64
/* Runs that finish what the emulator has begun of an instruction that is not to be. */
#define COMPLETIONS 16
#define INT_80 0x80
/* Error code of #GP: it is about a gate. */
#define GATE 2
#define INVALID_OPCODE 6
#define GENERAL_PROTECTION 13
#define PAGE_FAULT 14
/* Error code of #PF. */
#define USER_ACCESS 4

/* What the processor pushed, lowest address first; the error code, where there is one, lies before it. */
struct frame {
	uint64_t rip, cs, rflags, rsp, ss;
};

enum outcome exit_signal(struct slot *slot, uint32_t signal, uint32_t code, uint64_t address)
{
	slot->kind = KIND_FAULT;
	slot->signal = signal;
	slot->code = code;
	slot->address = address;
	return OUTCOME_STOPPED;
}

enum outcome exit_lost(struct slot *slot, enum loss loss)
{
	slot->kind = KIND_LOST;
	slot->number = (int32_t)loss;
	return OUTCOME_STOPPED;
}

/* What the log tells of it: a vector or an exit reason, and where. */
static enum outcome lost_at(struct vcpu *v, struct slot *slot, enum loss loss)
{
	v->broken = true;
	slot->code = v->run->exit_reason;
	slot->address = v->run->s.regs.regs.rip;
	return exit_lost(slot, loss);
}

/* The application's registers into the slot; rip, rsp and flags are elsewhere if it was left through ring 0. */
static void save(struct vcpu *v, struct thread *t, struct slot *slot, uint64_t rip, uint64_t rsp, uint64_t flags)
{
	const struct kvm_regs *g = &v->run->s.regs.regs;
	const struct kvm_sregs *s = &v->run->s.regs.sregs;
	uint64_t *r = slot->registers;
	r[R15] = g->r15, r[R14] = g->r14, r[R13] = g->r13, r[R12] = g->r12, r[RBP] = g->rbp, r[RBX] = g->rbx;
	r[R11] = g->r11, r[R10] = g->r10, r[R9] = g->r9, r[R8] = g->r8, r[RAX] = g->rax, r[RCX] = g->rcx;
	r[RDX] = g->rdx, r[RSI] = g->rsi, r[RDI] = g->rdi, r[ORIG_RAX] = g->rax;
	r[RIP] = rip, r[RSP] = rsp, r[CS] = 0x33, r[SS] = 0x2b;
	r[FS_BASE] = s->fs.base, r[GS_BASE] = s->gs.base;
	r[EFLAGS] = t->step && !t->own_trap_flag ? flags & ~TRAP_FLAG : flags;
}

static void save_running(struct vcpu *v, struct thread *t, struct slot *slot)
{
	const struct kvm_regs *g = &v->run->s.regs.regs;
	save(v, t, slot, g->rip, g->rsp, g->rflags);
}

static enum outcome call(struct vcpu *v, struct thread *t, struct slot *slot, int32_t number)
{
	const struct kvm_regs *g = &v->run->s.regs.regs;
	save(v, t, slot, g->rcx, g->rsp, g->r11);
	slot->kind = KIND_CALL;
	slot->number = number;
	return OUTCOME_STOPPED;
}

/* int 0x80 and the like: no call of ours, but one that the Sentry answers. rip is at the instruction, two bytes long. */
static enum outcome old_call(struct slot *slot)
{
	slot->registers[RIP] += 2;
	slot->kind = KIND_CALL;
	slot->number = -1;
	return OUTCOME_STOPPED;
}

static size_t read_code(struct vcpu *v, uint64_t va, uint8_t *into, size_t count)
{
	pthread_mutex_lock(&vm.lock);
	int64_t n = space_copy(v->space, va, (char *)into, count, false, false);
	pthread_mutex_unlock(&vm.lock);
	return n < 0 ? 0 : (size_t)n;
}

/* The same instruction at the same page, over and over: `what` tells its repetitions apart. */
static bool is_stuck(struct vcpu *v, uint64_t rip, uint64_t what)
{
	if (rip != v->fault_rip || what != v->fault_what)
		v->faults = 0;
	v->fault_rip = rip;
	v->fault_what = what;
	return ++v->faults > PATIENCE;
}

static enum outcome page_fault(struct vcpu *v, struct slot *slot, uint64_t address, uint64_t error)
{
	int access = (error & 2) != 0 ? ACCESS_WRITE : (error & 16) != 0 ? ACCESS_EXEC : ACCESS_READ;
	if (address >= vm.vdso_place)
		return exit_signal(slot, SIGSEGV, address - vm.vdso_place < vm.vdso_length ? SEGV_ACCERR : SEGV_MAPERR, address);
	pthread_mutex_lock(&vm.lock);
	enum fault f = space_fault(v->space, address, access, true, false);
	if (f == FAULT_NONE && is_stuck(v, slot->registers[RIP], address)) {
		/* The tables allow it, and the processor does not see that. */
		if (v->faults > 2 * PATIENCE || window_zap() != 0)
			f = FAULT_MEMORY;
	}
	pthread_mutex_unlock(&vm.lock);
	switch (f) {
	case FAULT_NONE: return OUTCOME_AGAIN;
	case FAULT_UNMAPPED: return exit_signal(slot, SIGSEGV, SEGV_MAPERR, address);
	case FAULT_FORBIDDEN: return exit_signal(slot, SIGSEGV, SEGV_ACCERR, address);
	case FAULT_BUS: return exit_signal(slot, SIGBUS, BUS_ADRERR, address);
	case FAULT_SHORT: slot->kind = KIND_SHORT; return OUTCOME_STOPPED;
	default: return exit_lost(slot, v->faults > PATIENCE ? LOSS_LOOP : LOSS_MEMORY);
	}
}

/* si_code of an unmasked floating-point exception: the first of those in the status that are not masked. */
static uint32_t float_code(uint32_t raised)
{
	static const uint32_t codes[6] = { 7, 5, 3, 4, 5, 6 }; /* INV, (denormal) UND, DIV, OVF, UND, RES */
	static const uint8_t order[6] = { 0, 2, 3, 1, 4, 5 };
	for (int i = 0; i < 6; i++)
		if ((raised >> order[i] & 1) != 0)
			return codes[order[i]];
	return 0;
}

static enum outcome float_fault(struct vcpu *v, struct slot *slot, bool sse)
{
	struct kvm_xsave x;
	uint16_t control[2]; /* fcw, fsw (Intel SDM vol. 1, 10.5.1) */
	uint32_t mxcsr;
	if (ioctl(v->fd, KVM_GET_XSAVE, &x) != 0)
		return exit_lost(slot, LOSS_IOCTL);
	memcpy(control, x.region, sizeof(control));
	memcpy(&mxcsr, (const char *)x.region + 24, sizeof(mxcsr));
	uint32_t raised = sse ? mxcsr & ~(mxcsr >> 7) : control[1] & ~(uint32_t)control[0];
	return exit_signal(slot, SIGFPE, float_code(raised & 0x3f), slot->registers[RIP]);
}

/* The instruction at va is `int` with this number; -1: with any. */
static bool is_int(struct vcpu *v, uint64_t va, int number)
{
	uint8_t code[2] = { 0 };
	return read_code(v, va, code, 2) == 2 && code[0] == 0xcd && (number < 0 || code[1] == number);
}

/* #GP about a gate: `int n`, which some hosts report behind the instruction. */
static enum outcome gate_fault(struct vcpu *v, struct slot *slot)
{
	uint64_t *rip = &slot->registers[RIP];
	if (!is_int(v, *rip, -1) && is_int(v, *rip - 2, -1))
		*rip -= 2;
	return is_int(v, *rip, INT_80) ? old_call(slot) : exit_signal(slot, SIGSEGV, KERNEL, 0);
}

/* #UD: without hardware below, `int n` arrives as one. */
static enum outcome undefined(struct vcpu *v, struct slot *slot)
{
	if (is_int(v, slot->registers[RIP], -1))
		return gate_fault(v, slot);
	return exit_signal(slot, SIGILL, ILL_ILLOPN, slot->registers[RIP]);
}

/* #DB: a step, or int1, which the processor reports behind itself and some hypervisors before. */
static enum outcome debug_trap(struct vcpu *v, struct thread *t, struct slot *slot)
{
	uint8_t at = 0, before = 0;
	uint64_t rip = slot->registers[RIP];
	bool stepped = t->step || (slot->registers[EFLAGS] & TRAP_FLAG) != 0;
	read_code(v, rip, &at, 1);
	read_code(v, rip - 1, &before, 1);
	bool int1 = at == 0xf1 || before == 0xf1;
	return exit_signal(slot, SIGTRAP, !stepped && int1 ? TRAP_BRKPT : TRAP_TRACE, rip);
}

static bool has_error_code(unsigned vector)
{
	return vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || vector == 29 || vector == 30;
}

static enum outcome exception(struct vcpu *v, struct thread *t, struct slot *slot, unsigned vector)
{
	const char *top = window_host(v->state.stack_gpa) + PAGE_SIZE;
	const struct frame *f = (const struct frame *)(top - sizeof(*f));
	uint64_t error = has_error_code(vector) ? *(const uint64_t *)(top - sizeof(*f) - 8) : 0;
	if ((f->cs & 3) != 3) {
		/* A trap that the application's own flag or breakpoint left for the first instruction of the call's entry. */
		if (vector == 1 && f->rip == guest.lstar && vm.entry == ENTRY_HARDWARE)
			return call(v, t, slot, (int32_t)v->run->s.regs.regs.rax);
		slot->code = vector;
		slot->address = f->rip;
		return exit_lost(slot, LOSS_RING0);
	}
	if (vector == 14 && f->rip == guest.lstar && vm.entry == ENTRY_FAULT)
		return call(v, t, slot, (int32_t)v->run->s.regs.regs.rax);
	save(v, t, slot, f->rip, f->rsp, f->rflags);
	slot->vector = vector;
	slot->number = (int32_t)error;
	switch (vector) {
	case 0: return exit_signal(slot, SIGFPE, FPE_INTDIV, f->rip);
	case 1: return debug_trap(v, t, slot);
	case 3: return exit_signal(slot, SIGTRAP, KERNEL, 0);
	case 6: return undefined(v, slot);
	case 11:
	case 12: return exit_signal(slot, SIGBUS, KERNEL, 0);
	case 13: return (error & GATE) != 0 ? gate_fault(v, slot) : exit_signal(slot, SIGSEGV, KERNEL, 0);
	case 14: return page_fault(v, slot, v->run->s.regs.sregs.cr2, error);
	case 16: return float_fault(v, slot, false);
	case 17: return exit_signal(slot, SIGBUS, BUS_ADRALN, 0);
	case 19: return float_fault(v, slot, true);
	default: return exit_signal(slot, SIGSEGV, KERNEL, 0); /* #OF, #BR, #TS, and gates that only `int n` reaches */
	}
}

/* The address of the instruction that wrote a port, which rip is behind: out imm8; out %dx; outs. Others are still at rip. */
static uint64_t port_instruction(struct vcpu *v, uint64_t rip)
{
	uint8_t last = 0, before = 0;
	if (v->run->io.direction != KVM_EXIT_IO_OUT || read_code(v, rip - 1, &last, 1) != 1)
		return rip;
	uint64_t start = rip - 1;
	if ((last & 0xfe) != 0xee && (last & 0xfe) != 0x6e) {
		if (last != v->run->io.port || read_code(v, rip - 2, &before, 1) != 1 || (before & 0xfe) != 0xe6)
			return rip;
		start = rip - 2;
	}
	bool prefixed = v->run->io.size == 2 && read_code(v, start - 1, &before, 1) == 1 && before == 0x66;
	return start - prefixed;
}

/* The application's own access to a port. What the emulator has begun is finished first: it would hit later registers. */
static enum outcome port_access(struct vcpu *v, struct thread *t, struct slot *slot)
{
	struct kvm_run *run = v->run;
	save_running(v, t, slot);
	slot->vector = GENERAL_PROTECTION;
	slot->number = 0;
	slot->registers[RIP] = port_instruction(v, slot->registers[RIP]);
	for (int i = 0; i < COMPLETIONS && run->exit_reason == KVM_EXIT_IO; i++) {
		if (run->io.direction == KVM_EXIT_IO_IN)
			memset((char *)run + run->io.data_offset, 0, (size_t)run->io.size * run->io.count);
		/* A repetition ends when it has got what it asked for. */
		run->s.regs.regs.rcx = run->io.count;
		run->kvm_dirty_regs = KVM_SYNC_X86_REGS;
		__atomic_store_n(&run->immediate_exit, 1, __ATOMIC_SEQ_CST);
		if (ioctl(v->fd, KVM_RUN, 0) < 0 && errno == EINTR)
			return exit_signal(slot, SIGSEGV, KERNEL, 0);
	}
	v->broken = true;
	return exit_signal(slot, SIGSEGV, KERNEL, 0);
}

static enum outcome port_exit(struct vcpu *v, struct thread *t, struct slot *slot)
{
	const struct kvm_run *run = v->run;
	uint64_t rip = run->s.regs.regs.rip;
	bool ring0 = (run->s.regs.sregs.cs.selector & 3) == 0;
	bool byte_out = run->io.direction == KVM_EXIT_IO_OUT && run->io.size == 1 && run->io.count == 1;
	if (byte_out && run->io.port == PORT_CALL && ring0 == (vm.entry == ENTRY_HARDWARE) && (rip == guest.lstar || rip == guest.lstar + 2))
		return call(v, t, slot, (int32_t)run->s.regs.regs.rax);
	uint64_t stub = rip - guest_stubs();
	if (byte_out && run->io.port == PORT_EXCEPTION && ring0 && stub < 256 * STUB_SIZE)
		return exception(v, t, slot, (unsigned)(stub / STUB_SIZE));
	return ring0 ? exit_lost(slot, LOSS_RING0) : port_access(v, t, slot);
}

/* KVM_RUN was left by a signal. In ring 0, or with an exception on its way, the application's state is not whole yet. */
static enum outcome interrupted(struct vcpu *v, struct thread *t, struct slot *slot)
{
	const struct kvm_sync_regs *s = &v->run->s.regs;
	if ((s->sregs.cs.selector & 3) == 0 || s->regs.rip - guest.lstar < PAGE_SIZE || vcpu_has_event(v))
		return OUTCOME_CONTINUE;
	save_running(v, t, slot);
	return OUTCOME_AGAIN;
}

/* The host cannot give a page of a file: behind its end, or while another thread's flush is under way. */
static enum outcome host_fault(struct vcpu *v, struct thread *t, struct slot *slot)
{
	if ((v->run->s.regs.sregs.cs.selector & 3) == 0)
		return exit_lost(slot, LOSS_RING0);
	save_running(v, t, slot);
	pthread_mutex_lock(&vm.lock);
	drop_beyond_end(v->space);
	pthread_mutex_unlock(&vm.lock);
	const uint64_t *r = slot->registers;
	if (!is_stuck(v, r[RIP], r[RCX] ^ r[RSI] << 1 ^ r[RDI] << 2))
		return OUTCOME_AGAIN;
	slot->vector = PAGE_FAULT;
	slot->number = USER_ACCESS;
	return exit_signal(slot, SIGBUS, BUS_ADRERR, 0);
}

enum outcome exit_handle(struct vcpu *v, struct thread *t, struct slot *slot, int result)
{
	if (result == -EINTR || result == -EAGAIN)
		return interrupted(v, t, slot);
	if (result == -EFAULT)
		return host_fault(v, t, slot);
	if (result != 0)
		return lost_at(v, slot, LOSS_IOCTL);
	switch (v->run->exit_reason) {
	case KVM_EXIT_IO: return port_exit(v, t, slot);
	case KVM_EXIT_INTERNAL_ERROR:
		/* An instruction of the application's that the host would have had to emulate, and cannot. */
		if (v->run->internal.suberror == KVM_INTERNAL_ERROR_EMULATION && (v->run->s.regs.sregs.cs.selector & 3) == 3) {
			save_running(v, t, slot);
			slot->vector = INVALID_OPCODE;
			slot->number = 0;
			return exit_signal(slot, SIGILL, ILL_ILLOPN, slot->registers[RIP]);
		}
		return lost_at(v, slot, LOSS_INTERNAL);
	case KVM_EXIT_FAIL_ENTRY: return lost_at(v, slot, LOSS_ENTRY);
	case KVM_EXIT_SHUTDOWN: return lost_at(v, slot, LOSS_SHUTDOWN);
	default: return lost_at(v, slot, LOSS_EXIT);
	}
}
