/* time_namespaces(7): offsets of the monotonic and the boot clock */
#include "put.h"
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif
enum { DAY = 86400 };

/* past the vDSO */
static long seconds(clockid_t clock)
{
	struct timespec now;
	CHECK(syscall(SYS_clock_gettime, clock, &now) == 0);
	return now.tv_sec;
}
static ino_t number(const char *path)
{
	struct stat st;
	CHECK(stat(path, &st) == 0);
	return st.st_ino;
}
static void into_a_user_namespace(void)
{
	CHECK(unshare(CLONE_NEWUSER) == 0);
	CHECK(put("/proc/self/setgroups", "deny") == 0 && put("/proc/self/uid_map", "0 0 1") == 0 && put("/proc/self/gid_map", "0 0 1") == 0);
}

static void children_are_shifted(char *self)
{
	long monotonic = seconds(CLOCK_MONOTONIC), boot = seconds(CLOCK_BOOTTIME);
	FAILS(put("/proc/self/timens_offsets", "monotonic 1 0"), EPERM); /* the first one is not its own */
	ino_t first = number("/proc/self/ns/time");
	CHECK(number("/proc/self/ns/time_for_children") == first);
	CHECK(unshare(CLONE_NEWTIME) == 0);
	CHECK(number("/proc/self/ns/time") == first && number("/proc/self/ns/time_for_children") != first);
	FAILS(put("/proc/self/timens_offsets", "monotonic x 0"), EINVAL);
	FAILS(put("/proc/self/timens_offsets", "realtime 1 0"), EINVAL);
	FAILS(put("/proc/self/timens_offsets", "monotonic -99999999 0"), ERANGE);
	CHECK(put("/proc/self/timens_offsets", "monotonic 86400 0\nboottime 172800 0\n") == 0);
	CHECK(seconds(CLOCK_MONOTONIC) - monotonic < 100); /* not for itself */
	pid_t pid = fork();
	if (pid == 0) {
		CHECK(number("/proc/self/ns/time") != first);
		CHECK(seconds(CLOCK_MONOTONIC) - monotonic >= DAY && seconds(CLOCK_MONOTONIC) - monotonic < DAY + 100);
		CHECK(seconds(CLOCK_BOOTTIME) - boot >= 2 * DAY && seconds(CLOCK_BOOTTIME) - boot < 2 * DAY + 100);
		/* absolute times are those of its own clock */
		struct timespec past = { monotonic + DAY / 2, 0 };
		CHECK(syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, &past, NULL) == 0);
		int fd = timerfd_create(CLOCK_MONOTONIC, 0);
		struct itimerspec soon = { { 0, 0 }, past };
		CHECK(timerfd_settime(fd, TFD_TIMER_ABSTIME, &soon, NULL) == 0);
		struct pollfd ready = { fd, POLLIN, 0 };
		CHECK(poll(&ready, 1, 5000) == 1);
		struct sysinfo info;
		CHECK(sysinfo(&info) == 0 && info.uptime >= boot + 2 * DAY - 100);
		FAILS(put("/proc/self/timens_offsets", "monotonic 1 0"), EACCES); /* somebody is in it */
		char text[32];
		snprintf(text, sizeof text, "%ld", monotonic);
		execl(self, self, text, NULL);
		_exit(1);
	}
	int status;
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

static char *self;
static void shifted(void)
{
	into_a_user_namespace();
	children_are_shifted(self);
}
static void needs_power(void)
{
	CHECK(setgid(1000) == 0 && setuid(1000) == 0);
	FAILS(unshare(CLONE_NEWTIME), EPERM);
}

int main(int argc, char **argv)
{
	if (argc > 1) { /* a program that was started there: the C library's clocks, too */
		struct timespec now;
		CHECK(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
		long since = now.tv_sec - atol(argv[1]);
		return since >= DAY && since < DAY + 100 ? 0 : 2;
	}
	self = argv[0];
	PART(shifted);
	PART(needs_power);
	return 0;
}
