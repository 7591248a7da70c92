/* The letter that proc shows for a thread's state: to wait until it sleeps, and not for some time. */
#ifndef TASK_STATE_H
#define TASK_STATE_H

#include "check.h"
#include <fcntl.h>

static inline char task_state(pid_t pid, pid_t tid)
{
	char path[64], text[512];
	snprintf(path, sizeof path, "/proc/%d/task/%d/stat", pid, tid);
	int fd = open(path, O_RDONLY);
	CHECK(fd >= 0);
	ssize_t n = read(fd, text, sizeof text - 1);
	close(fd);
	CHECK(n > 0);
	text[n] = 0;
	char *name_end = strrchr(text, ')');
	CHECK(name_end != NULL);
	return name_end[2];
}
static inline void until_asleep(pid_t pid, pid_t tid)
{
	while (task_state(pid, tid) != 'S')
		usleep(1000);
}

#endif
