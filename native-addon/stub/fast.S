/*
 * System calls without a signal. A call site that the Sentry has rewritten (platforms/systrap/call_sites.ts) jumps to a trampoline, and that
 * to stub_fast, with the number in eax and the address behind the site's syscall instruction in r11. The stack is still the
 * application's, whose red zone must not be touched, and so are the flags; free are rcx and r11 alone.
 *
 * gs base is the thread's slot, unless the application uses gs itself: then the call goes by the syscall instruction after all.
 *
 * The kick's handler knows stub_fast_leave to stub_fast_leave_end as it knows the labels of leave.S.
 */
#define SLOTS_SHIFTED 0x3ff801         /* SLOTS >> 25; the slots take 1 << 25 bytes */
#define STACK_TOP -0x17fcfffff8000     /* + 4 * slot: the end of the thread's stack block */
#define UPGRADE_CALL 0x7ffd            /* in no filter's list */

#define KICK 0x4c
#define R15 0x60
#define R14 0x68
#define R13 0x70
#define R12 0x78
#define RBP 0x80
#define RBX 0x88
#define R11 0x90
#define R10 0x98
#define R9 0xa0
#define R8 0xa8
#define RAX 0xb0
#define RCX 0xb8
#define RDX 0xc0
#define RSI 0xc8
#define RDI 0xd0
#define RIP 0xe0
#define EFLAGS 0xf0
#define RSP 0xf8

	.globl stub_fast, stub_fast_leave, stub_fast_jump, stub_fast_leave_end, stub_fast_kicked, stub_upgrade, stub_upgraded
	.hidden stub_fast, stub_fast_leave, stub_fast_jump, stub_fast_leave_end, stub_fast_kicked, stub_upgrade, stub_upgraded

	.section .text.first, "ax", @progbits /* at STUB_BASE: trampolines know it */
stub_fast:
	rdgsbase %rcx
	/* None of these changes a flag. */
	rorx $25, %rcx, %rcx
	lea -SLOTS_SHIFTED(%rcx), %ecx
	jrcxz 1f
	lea -2(%r11), %rcx
	jmp *%rcx
1:	rdgsbase %rcx
	mov %rsp, RSP(%rcx)
	movabs $STACK_TOP, %rsp
	lea (%rsp, %rcx, 4), %rsp
	pushfq
	popq EFLAGS(%rcx)
	cld
	mov %rax, RAX(%rcx)
	mov %rdi, RDI(%rcx)
	mov %rsi, RSI(%rcx)
	mov %rdx, RDX(%rcx)
	mov %r10, R10(%rcx)
	mov %r8, R8(%rcx)
	mov %r9, R9(%rcx)
	mov %r11, RIP(%rcx)
	mov %r11, RCX(%rcx)
	mov EFLAGS(%rcx), %r11
	mov %r11, R11(%rcx)
	mov %rbx, RBX(%rcx)
	mov %rbp, RBP(%rcx)
	mov %r12, R12(%rcx)
	mov %r13, R13(%rcx)
	mov %r14, R14(%rcx)
	mov %r15, R15(%rcx)
	mov %rcx, %rdi
	call on_fast

/* rax: the result. What C code keeps is as it was. */
stub_fast_leave:
	rdgsbase %rcx
	cmpl $0, KICK(%rcx)
	jne stub_fast_kicked
	mov RDI(%rcx), %rdi
	mov RSI(%rcx), %rsi
	mov RDX(%rcx), %rdx
	mov R10(%rcx), %r10
	mov R8(%rcx), %r8
	mov R9(%rcx), %r9
	mov EFLAGS(%rcx), %r11
	push %r11
	popfq
	mov RSP(%rcx), %rsp
	mov RIP(%rcx), %rcx
stub_fast_jump: /* all is the application's but the instruction pointer */
	jmp *%rcx
stub_fast_leave_end:

stub_fast_kicked:
	rdgsbase %rdi
	movabs $STACK_TOP, %rsp
	lea (%rsp, %rdi, 4), %rsp
	mov %rax, RAX(%rdi)
	call on_fast_kicked
	jmp stub_fast_leave

/* stub_upgrade(slot): raises SIGSYS, so that there is a signal frame with all of the thread's state. Does not return. */
stub_upgrade:
	movabs $STACK_TOP, %rsp
	lea (%rsp, %rdi, 4), %rsp
	mov $UPGRADE_CALL, %eax
	syscall
stub_upgraded:
	ud2

	.section .note.GNU-stack,"",@progbits
