/* For programs that set what is a file. */
#ifndef PUT_H
#define PUT_H

#include "check.h"
#include <fcntl.h>

/* Writes `text` in one write; -1 with the errno of whatever failed. */
static int put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);
	if (fd < 0)
		return -1;
	ssize_t n = write(fd, text, strlen(text));
	int saved = errno;
	close(fd);
	errno = saved;
	return n < 0 ? -1 : 0;
}

#endif
