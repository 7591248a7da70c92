/* The stub's beginning: the seed process, of which every other is a fork. */
#include "stub.h"

void die(int status)
{
	for (;;)
		host(__NR_exit_group, status, 0, 0);
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
	".globl _start\n"
	"_start:\n"
	"	xor %ebp, %ebp\n"
	"	and $-16, %rsp\n"
	"	call stub_main\n");
