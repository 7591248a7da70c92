/* Descriptors that the Sentry sends on the process's socket, and the mapping of a file by one. */
#include "stub.h"

int64_t receive(int *fds, void *payload, uint64_t length, uint64_t flags)
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

int64_t map_file(const struct command *c, int *held)
{
	int fds[4] = { *held };
	char byte;
	if ((c->args[4] & MAP_FD_HELD) == 0) {
		int64_t n = receive(fds, &byte, 1, MSG_DONTWAIT);
		if (n < 0)
			return n;
	}
	int64_t r = host6(__NR_mmap, c->args[0], c->args[1], c->args[2], c->args[3], (uint64_t)fds[0], c->args[5]);
	if (c->args[4] & MAP_FD_KEEP)
		*held = fds[0];
	else
		host(__NR_close, fds[0], 0, 0);
	return r;
}
