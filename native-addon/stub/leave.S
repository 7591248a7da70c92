/*
 * Into the handler of SIGSYS, and back to the application. rt_sigreturn(2) is the general way back; after a system
 * call, loading the state here is cheaper: rcx holds the application's instruction pointer then.
 *
 * No signal is blocked here, and the Sentry's kick must not get lost between the last look at slot->kick and the application. So the
 * kick's handler (trap.c) knows these labels: between stub_leave and stub_leave_end it makes the thread go on at stub_kicked.
 *
 * The stack pointer is the signal frame's ucontext, as rt_sigreturn wants it. Offsets of struct ucontext: asserted in trap.c.
 */
#define KICK_OF_SLOT 0x4c
#define UC_R8 40
#define UC_R9 48
#define UC_R10 56
#define UC_R11 64
#define UC_R12 72
#define UC_R13 80
#define UC_R14 88
#define UC_R15 96
#define UC_RDI 104
#define UC_RSI 112
#define UC_RBP 120
#define UC_RBX 128
#define UC_RDX 136
#define UC_RAX 144
#define UC_RSP 160
#define UC_RIP 168
#define UC_EFLAGS 176
#define UC_FPSTATE 224

	.text
	.globl stub_trap, stub_leave, stub_leave_flags, stub_leave_jump, stub_leave_end, stub_kicked, stub_restorer
	.hidden stub_trap, stub_leave, stub_leave_flags, stub_leave_jump, stub_leave_end, stub_kicked, stub_restorer

/* (signal, siginfo, ucontext); the frame's return address, which nothing needs, gives its place to that of on_trap. */
stub_trap:
	mov %rsi, %rdi
	mov %rdx, %rsi
	add $8, %rsp
	call on_trap

/* rax: the slot. edx: whether rcx holds the instruction pointer, and nothing speaks against loading the state here. */
stub_leave:
	cmpl $0, KICK_OF_SLOT(%rax)
	jne stub_kicked
	test %edx, %edx
	jz 1f
	mov UC_FPSTATE(%rsp), %rcx
	mov $-1, %eax
	mov $-1, %edx
	xrstor64 (%rcx)
	pushq UC_EFLAGS(%rsp)
stub_leave_flags: /* the one instruction at which the stack pointer is 8 less */
	popfq
	mov UC_R8(%rsp), %r8
	mov UC_R9(%rsp), %r9
	mov UC_R10(%rsp), %r10
	mov UC_R11(%rsp), %r11
	mov UC_R12(%rsp), %r12
	mov UC_R13(%rsp), %r13
	mov UC_R14(%rsp), %r14
	mov UC_R15(%rsp), %r15
	mov UC_RDI(%rsp), %rdi
	mov UC_RSI(%rsp), %rsi
	mov UC_RBP(%rsp), %rbp
	mov UC_RBX(%rsp), %rbx
	mov UC_RDX(%rsp), %rdx
	mov UC_RAX(%rsp), %rax
	mov UC_RIP(%rsp), %rcx
	mov UC_RSP(%rsp), %rsp
stub_leave_jump: /* all is the application's but the instruction pointer */
	jmp *%rcx
1:	mov $15, %eax
	syscall
stub_leave_end:
	ud2

stub_kicked:
	mov %rsp, %rdi
	call on_kicked
	jmp stub_leave

/* The way back of the handlers that block all signals. */
stub_restorer:
	mov $15, %eax
	syscall
	ud2

	.section .note.GNU-stack,"",@progbits
