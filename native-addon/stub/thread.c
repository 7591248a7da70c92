/* New threads of the process. */
#include "registers.h"
#include "stub.h"

__attribute__((visibility("hidden"))) int64_t stub_clone_thread(uint64_t flags, uint64_t stack, struct ucontext *uc, uint32_t *tid);

/*
 * A thread with number args[0]: it starts with a copy of our signal frame at the same place of its own block, from which it will
 * return to the application like any other.
 */
int64_t start_thread(const struct command *c, struct ucontext *uc)
{
	uint64_t block = (uint64_t)uc & ~(STACK_SIZE - 1);
	uint64_t delta = STACKS + (c->args[0] % MAX_THREADS) * STACK_SIZE - block;
	uint64_t *end = (uint64_t *)(block + STACK_SIZE);
	for (uint64_t *p = (uint64_t *)uc; p < end; p++)
		p[delta / 8] = *p;
	struct ucontext *theirs = (struct ucontext *)((uint64_t)uc + delta);
	theirs->stack.sp = block + delta;
	theirs->link = LINK_FIRST;
	theirs->mcontext.fpstate += delta;
	/* Below the frame; the word at the frame's bottom is the return address that rt_sigreturn's caller leaves out. */
	uint64_t stack = ((uint64_t)theirs - 256) & ~15UL;
	/* VM FS FILES SIGHAND THREAD SYSVSEM CHILD_SETTID CHILD_CLEARTID */
	return stub_clone_thread(0x1250f00, stack, theirs, &slot_of(c->args[0])->host_tid);
}

/* First code of a new thread, on its own block; returns through the frame there. The Sentry has prepared its slot. */
__attribute__((used)) struct departure stub_thread_main(struct ucontext *uc)
{
	struct slot *slot = slot_of(thread_index(uc));
	if (is_slot(read_gs()))
		write_gs((uint64_t)slot); /* not our creator's */
	serve(slot, uc);
	return (struct departure){ slot, 0 };
}

__asm__(".text\n"
	/* stub_clone_thread(flags, stack, uc, tid): the child has nothing but its registers. */
	".globl stub_clone_thread\n"
	"stub_clone_thread:\n"
	"	mov %rcx, %r10\n"
	"	mov $56, %eax\n"
	"	syscall\n"
	"	test %rax, %rax\n"
	"	jz 1f\n"
	"	ret\n"
	"1:	mov %rdx, %rdi\n"
	"	mov %rdx, %rbx\n"
	"	call stub_thread_main\n"
	"	mov %rbx, %rsp\n" /* uc: as in a handler */
	"	jmp stub_leave\n");
