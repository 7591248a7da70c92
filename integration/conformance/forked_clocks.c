/* time_namespaces(7): a child that starts no program, and the clocks that it reads without a system call */
#include "check.h"
#include <fcntl.h>
#include <sched.h>
#include <sys/wait.h>
#include <time.h>

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif
enum { DAY = 86400 };

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);
	CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) && close(fd) == 0);
}
static long seconds(clockid_t clock)
{
	struct timespec now;
	CHECK(clock_gettime(clock, &now) == 0);
	return now.tv_sec;
}

static long monotonic, boot, wall;
static void check_clocks(void)
{
	struct timespec resolution;
	for (int i = 0; i < 3; i++) {
		CHECK(seconds(CLOCK_MONOTONIC) - monotonic >= DAY && seconds(CLOCK_MONOTONIC) - monotonic < DAY + 100);
		CHECK(seconds(CLOCK_MONOTONIC_COARSE) - monotonic >= DAY - 1 && seconds(CLOCK_MONOTONIC_COARSE) - monotonic < DAY + 100);
		CHECK(seconds(CLOCK_BOOTTIME) - boot >= 2 * DAY && seconds(CLOCK_BOOTTIME) - boot < 2 * DAY + 100);
		CHECK(seconds(CLOCK_REALTIME) - wall >= 0 && seconds(CLOCK_REALTIME) - wall < 100);
		CHECK(time(NULL) - wall >= 0 && time(NULL) - wall < 100);
	}
	CHECK(clock_getres(CLOCK_MONOTONIC, &resolution) == 0);
}
static void read_before(void)
{
	monotonic = seconds(CLOCK_MONOTONIC);
	boot = seconds(CLOCK_BOOTTIME);
	wall = seconds(CLOCK_REALTIME);
}
static void make_namespace(void)
{
	CHECK(unshare(CLONE_NEWUSER) == 0);
	put("/proc/self/setgroups", "deny");
	put("/proc/self/uid_map", "0 0 1");
	put("/proc/self/gid_map", "0 0 1");
	CHECK(unshare(CLONE_NEWTIME) == 0);
	put("/proc/self/timens_offsets", "monotonic 86400 0\nboottime 172800 0\n");
}

static void children_and_theirs(void)
{
	int status;
	read_before();
	make_namespace();
	pid_t pid = fork();
	if (pid == 0) {
		check_clocks();
		pid = fork();
		if (pid == 0) {
			check_clocks();
			_exit(0);
		}
		CHECK(waitpid(pid, &status, 0) == pid);
		_exit(status);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	CHECK(seconds(CLOCK_MONOTONIC) - monotonic < 100); /* not for itself */
}
static void who_joins(void)
{
	read_before();
	make_namespace();
	int fd = open("/proc/self/ns/time_for_children", O_RDONLY);
	CHECK(fd >= 0 && setns(fd, CLONE_NEWTIME) == 0);
	check_clocks();
}

int main(void)
{
	PART(children_and_theirs);
	PART(who_joins);
	return 0;
}
