/* fork(2). */
#include "stub.h"

/*
 * A child process: a copy of this one with slots and socket of its own. The child must not touch the old slot: it may serve this
 * thread again by then. Returns the pid in the parent, 0 in the child.
 */
int64_t start_process(void)
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
		/* Not inherited. A Sentry's stubs end with its pid namespace; this is for one that has none of its own. */
		host(__NR_prctl, 1 /* PR_SET_PDEATHSIG */, 9 /* SIGKILL */, 0);
		host6(__NR_mremap, NEXT_SLOTS, SLOTS_LENGTH, SLOTS_LENGTH, 3 /* MAYMOVE FIXED */, SLOTS, 0);
		host(__NR_dup2, fds[1], SOCKET_FD, 0);
	} else {
		host(__NR_munmap, NEXT_SLOTS, SLOTS_LENGTH, 0);
	}
	host(__NR_close, fds[1], 0, 0);
	return r;
}
