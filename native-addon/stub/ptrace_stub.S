/*
 * The ptrace platform's whole presence in an application's address space: one page, at a fixed high address. Its first
 * instruction executes a call that the Sentry has put into the registers, the next one gives control back (SIGTRAP).
 * The application may jump here: its calls are trapped like any other of its own.
 */
	.text
	.globl _start
inject:
	syscall
	int3
	/* Where the seed waits until the Sentry has attached. */
_start:
	mov $34, %eax		/* pause(2) */
	syscall
	jmp _start
