/* For programs whose output is compared with the host's: what calls gave, line by line. */
#ifndef SAY_H
#define SAY_H

#include "check.h"
#include <poll.h>

/* result or errno of a call */
#define SAY(call) \
	do { \
		errno = 0; \
		long r_ = (call); \
		printf("%-60s %ld %s\n", #call, r_, r_ < 0 ? strerror(errno) : ""); \
	} while (0)

static void say_poll(const char *what, int fd)
{
	struct pollfd p = { fd, POLLIN | POLLOUT | POLLPRI | POLLRDHUP | POLLRDNORM | POLLWRNORM, 0 };
	int n = poll(&p, 1, 0);
	printf("  poll %s: %d %#x\n", what, n, p.revents);
}

#endif
