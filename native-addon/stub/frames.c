/*
 * Signal frames on the application's stack, built and taken down on the Sentry's order, as Linux lays them out: struct rt_sigframe, above
 * it at a 64-byte boundary the extended state with its marks. The application's memory may be missing or change meanwhile: it is
 * touched by stub_copy alone, which survives that, and everything read is checked in our copy.
 */
#include "frames.h"
#include "registers.h"
#include "stub.h"

/* Below the stack pointer leaf functions keep data without saying so (System V ABI). */
#define RED_ZONE 128
#define SS_AUTODISARM (1u << 31)
/* UC_FP_XSTATE, UC_SIGCONTEXT_SS, UC_STRICT_RESTORE_SS */
#define UC_FLAGS 7
#define USER_CS 0x33
#define USER_SS 0x2b
#define EFLAGS_CLEARED 0x10500UL   /* RF, DF, TF: clear in a handler */
#define EFLAGS_RESTORED 0x50dd5UL  /* AC, OF, DF, TF, SF, ZF, AF, PF, CF, RF: a frame may set them */

#define FP_XSTATE_MAGIC1 0x46505853U
#define FP_XSTATE_MAGIC2 0x46505845U
#define XFEATURE_FPSSE 3UL
#define SW_BYTES 464
#define LEGACY_SIZE 512
#define HEADER_SIZE 64
#define FCW_INITIAL 0x37f
#define MXCSR_AT 24
#define MXCSR_INITIAL 0x1f80
#define MXCSR_VALID 0xffffU

struct fpx_sw_bytes {
	uint32_t magic1, extended_size;
	uint64_t xfeatures;
	uint32_t xstate_size, pad[7];
};
struct xsave_header {
	uint64_t xstate_bv, xcomp_bv, reserved[6];
};
struct rt_sigframe {
	uint64_t pretcode;
	struct ucontext uc;
	uint64_t info[16];
};
_Static_assert(sizeof(struct ucontext) == 304 && sizeof(struct rt_sigframe) == 440, "struct rt_sigframe, x86-64");

static inline struct fpx_sw_bytes *sw_of(uint64_t fp)
{
	return (struct fpx_sw_bytes *)(fp + SW_BYTES);
}
static inline struct xsave_header *header_of(uint64_t fp)
{
	return (struct xsave_header *)(fp + LEGACY_SIZE);
}

/* Length of the extended state in our own signal frame; 0 if the host has none, or somebody has written there. */
static uint64_t xstate_size(const struct ucontext *uc)
{
	uint64_t fp = uc->mcontext.fpstate, block = (uint64_t)uc & ~(STACK_SIZE - 1);
	if (fp < (uint64_t)uc || fp > block + STACK_SIZE - LEGACY_SIZE - HEADER_SIZE || sw_of(fp)->magic1 != FP_XSTATE_MAGIC1)
		return 0;
	uint64_t size = sw_of(fp)->xstate_size;
	return size < LEGACY_SIZE + HEADER_SIZE || fp + size + 4 > block + STACK_SIZE ? 0 : size;
}

/* The state that a program starts with. The software bytes stay: the host wants them back. */
static void clear_xstate(uint64_t fp)
{
	for (uint64_t *p = (uint64_t *)fp; p < (uint64_t *)(fp + SW_BYTES); p++)
		*p = 0;
	*(uint16_t *)fp = FCW_INITIAL;
	*(uint32_t *)(fp + MXCSR_AT) = MXCSR_INITIAL;
	*header_of(fp) = (struct xsave_header){ .xstate_bv = XFEATURE_FPSSE };
}

static inline int is_within(const struct altstack *s, uint64_t sp)
{
	return sp > s->sp && sp - s->sp <= s->size;
}

int push_frame(const struct frame_order *order, struct ucontext *uc)
{
	const struct altstack stack = order->stack;
	uint64_t size = xstate_size(uc), fp = uc->mcontext.fpstate, sp = uc->mcontext.rsp;
	int nested = (stack.flags & SS_AUTODISARM) == 0 && is_within(&stack, sp);
	int entering = order->on_stack && stack.size != 0 && !nested;
	uint64_t top = entering ? stack.sp + stack.size : sp - RED_ZONE;
	uint64_t image = (top - size - 4) & ~63UL;
	uint64_t at = ((image - sizeof(struct rt_sigframe)) & ~15UL) - 8;
	if (size == 0 || top > STUB_BASE || at >= top || ((entering || nested) && !is_within(&stack, at)))
		return 0;

	struct rt_sigframe frame = { .pretcode = order->restorer, .uc = { .flags = UC_FLAGS, .stack = stack, .mcontext = uc->mcontext } };
	struct sigcontext *mc = &frame.uc.mcontext;
	frame.uc.sigmask = mc->oldmask = order->mask;
	mc->gs = mc->fs = 0;
	mc->err = order->err, mc->trapno = order->trapno, mc->cr2 = order->cr2;
	mc->fpstate = image;
	for (int i = 0; i < 8; i++)
		mc->reserved[i] = 0;
	for (int i = 0; i < 16; i++)
		frame.info[i] = order->info[i];
	header_of(fp)->xstate_bv |= XFEATURE_FPSSE;
	if (stub_copy((void *)at, &frame, sizeof(frame)) != 0 || stub_copy((void *)image, (void *)fp, size + 4) != 0)
		return 0;

	clear_xstate(fp);
	mc = &uc->mcontext;
	mc->rdi = order->signal, mc->rsi = at + offsetof(struct rt_sigframe, info), mc->rdx = at + offsetof(struct rt_sigframe, uc);
	mc->rax = 0, mc->rsp = at;
	mc->rip = mc->rcx = order->handler; /* rcx means nothing to a handler: the quick way out wants it so */
	mc->cs = USER_CS, mc->ss = USER_SS;
	mc->eflags &= ~EFLAGS_CLEARED;
	return 1;
}

void peek_frame(struct frame_peek *peek, const struct ucontext *uc)
{
	struct ucontext theirs;
	uint64_t at = uc->mcontext.rsp;
	peek->valid = at < STUB_BASE && stub_copy(&theirs, (void *)at, sizeof(theirs)) == 0;
	if (!peek->valid)
		return;
	peek->mask = theirs.sigmask;
	peek->stack = theirs.stack;
	peek->sp = theirs.mcontext.rsp;
}

/* What is behind the marks is an image of at most `size` bytes. */
static int is_extended(const struct fpx_sw_bytes *sw, uint64_t from, uint64_t size)
{
	uint32_t mark;
	if (sw->magic1 != FP_XSTATE_MAGIC1 || sw->xstate_size < LEGACY_SIZE + HEADER_SIZE || sw->xstate_size > size)
		return 0;
	if (sw->extended_size < sw->xstate_size + 4UL)
		return 0;
	return stub_copy(&mark, (void *)(from + sw->xstate_size), sizeof(mark)) == 0 && mark == FP_XSTATE_MAGIC2;
}

/* Into our own frame, of which the host loads it: it must not be an image that the host refuses. */
static int restore_xstate(uint64_t fp, uint64_t size, uint64_t from)
{
	struct fpx_sw_bytes sw;
	struct xsave_header header = { .xstate_bv = XFEATURE_FPSSE };
	uint32_t mxcsr;
	if (from % 64 != 0 || from >= STUB_BASE || stub_copy(&sw, (void *)(from + SW_BYTES), sizeof(sw)) != 0)
		return 0;
	if (is_extended(&sw, from, size)) {
		uint64_t rest = sw.xstate_size - LEGACY_SIZE;
		if (stub_copy((void *)(fp + LEGACY_SIZE), (void *)(from + LEGACY_SIZE), rest) != 0)
			return 0;
		header = *header_of(fp);
		header.xstate_bv &= sw.xfeatures;
	}
	if (stub_copy((void *)fp, (void *)from, SW_BYTES) != 0)
		return 0;
	*header_of(fp) = header;
	mxcsr = *(uint32_t *)(fp + MXCSR_AT);
	for (int i = 0; i < 6; i++)
		header.xcomp_bv |= header.reserved[i];
	return (header.xstate_bv & ~sw_of(fp)->xfeatures) == 0 && header.xcomp_bv == 0 && mxcsr <= MXCSR_VALID;
}

int pop_frame(struct ucontext *uc)
{
	struct ucontext theirs;
	struct sigcontext *to = &uc->mcontext, *mc = &theirs.mcontext;
	uint64_t size = xstate_size(uc), fp = to->fpstate, at = to->rsp;
	if (size == 0 || at >= STUB_BASE || stub_copy(&theirs, (void *)at, sizeof(theirs)) != 0)
		return 0;
	/* Only 64-bit code runs here; other selectors would fault on the way out, and so would a number that is no address. */
	if ((mc->cs | 3) != USER_CS || (uint64_t)((int64_t)(mc->rip << 16) >> 16) != mc->rip)
		return 0;
	if (mc->fpstate == 0) {
		clear_xstate(fp);
	} else if (!restore_xstate(fp, size, mc->fpstate)) {
		clear_xstate(fp);
		return 0;
	}
	mc->eflags = (to->eflags & ~EFLAGS_RESTORED) | (mc->eflags & EFLAGS_RESTORED);
	mc->cs = USER_CS, mc->ss = USER_SS;
	mc->gs = to->gs, mc->fs = to->fs;
	mc->oldmask = to->oldmask;
	mc->fpstate = fp;
	*to = *mc;
	return 1;
}

__asm__(".text\n"
	/* stub_copy(to, from, length), stub_probe(at): the handler of faults continues at stub_copy_failed what faults here. */
	".globl stub_copy\n"
	"stub_copy:\n"
	"	mov %rdx, %rcx\n"
	".globl stub_copy_here\n"
	"stub_copy_here:\n"
	"	rep movsb\n"
	"	xor %eax, %eax\n"
	"	ret\n"
	".globl stub_probe\n"
	"stub_probe:\n"
	".globl stub_probe_here\n"
	"stub_probe_here:\n"
	"	lock orb $0, (%rdi)\n"
	"	xor %eax, %eax\n"
	"	ret\n"
	".globl stub_copy_failed\n"
	"stub_copy_failed:\n"
	"	mov $1, %eax\n"
	"	ret\n");
