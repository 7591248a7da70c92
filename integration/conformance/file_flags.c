/* Flags and commands of files that change little: RWF_* on reads, lifetime hints, LOCK_MAND, FICLONE, seals of named files, RESOLVE_NO_XDEV on links */
#include "check.h"
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <sched.h>
#include <stdint.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#ifndef STATX_MNT_ID_UNIQUE
#define STATX_MNT_ID_UNIQUE 0x4000
#endif

static int file(void)
{
	int fd = open("file", O_CREAT | O_RDWR | O_TRUNC, 0600);
	CHECK(fd >= 0 && write(fd, "content", 7) == 7);
	return fd;
}

static void read_flags(void)
{
	char bytes[7];
	struct iovec part = {bytes, sizeof bytes};
	int fd = file();
	CHECK(preadv2(fd, &part, 1, 0, RWF_DSYNC) == 7);
	CHECK(preadv2(fd, &part, 1, 0, RWF_SYNC) == 7);
	CHECK(preadv2(fd, &part, 1, 0, RWF_APPEND | RWF_HIPRI) == 7);
	FAILS(preadv2(fd, &part, 1, 0, 0x40000000), EOPNOTSUPP);
}

static void lifetime_hints(void)
{
	uint64_t hint = 9;
	int fd = file();
	CHECK(fcntl(fd, F_GET_RW_HINT, &hint) == 0 && hint == 0);
	for (hint = 0; hint <= 5; hint++)
		CHECK(fcntl(fd, F_SET_RW_HINT, &hint) == 0);
	FAILS(fcntl(fd, F_SET_RW_HINT, &hint), EINVAL);
	FAILS(fcntl(fd, F_SET_RW_HINT, NULL), EFAULT);
	int other = open("file", O_RDONLY);
	CHECK(fcntl(other, F_GET_RW_HINT, &hint) == 0 && hint == 5);
}

static void commands(void)
{
	int fd = file();
	CHECK(flock(fd, LOCK_MAND | LOCK_READ) == 0);
	FAILS(flock(fd, LOCK_SH | LOCK_EX), EINVAL);
	FAILS(setxattr("file", "user.", "1", 1, 0), EINVAL);
	FAILS(getxattr("file", "user.", NULL, 0), EINVAL);
	FAILS(removexattr("file", "user."), EINVAL);
	struct statx wide;
	CHECK(statx(AT_FDCWD, "file", 0, STATX_BASIC_STATS | STATX_MNT_ID_UNIQUE, &wide) == 0);
	CHECK((wide.stx_mask & (0x1000 | STATX_MNT_ID_UNIQUE)) == STATX_MNT_ID_UNIQUE);
	CHECK(statx(AT_FDCWD, "file", 0, STATX_BASIC_STATS | 0x1000, &wide) == 0);
	CHECK((wide.stx_mask & (0x1000 | STATX_MNT_ID_UNIQUE)) == 0x1000);
}

static int opens(const char *path, uint64_t resolve)
{
	struct open_how how = {.flags = O_RDONLY, .resolve = resolve};
	int fd = syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof how);
	if (fd >= 0)
		close(fd);
	return fd < 0 ? -1 : 0;
}

static void absolute_links(void)
{
	CHECK(symlink("/", "root") == 0 && symlink("file", "near") == 0);
	close(file());
	FAILS(opens("root", RESOLVE_NO_XDEV), EXDEV);
	CHECK(opens("near", RESOLVE_NO_XDEV) == 0);
	CHECK(opens("/", RESOLVE_NO_XDEV) == 0);
	CHECK(opens("root", 0) == 0);
}

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);
	CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) && close(fd) == 0);
}

static void seals(void)
{
	CHECK(unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0);
	put("/proc/self/setgroups", "deny");
	put("/proc/self/uid_map", "0 0 1");
	put("/proc/self/gid_map", "0 0 1");
	CHECK(mount("tmpfs", ".", "tmpfs", 0, "mode=700") == 0);
	char path[256];
	CHECK(getcwd(path, sizeof path) != NULL && chdir(path) == 0);
	int fd = file();
	CHECK(fcntl(fd, F_GET_SEALS) == F_SEAL_SEAL);
	FAILS(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), EPERM);
	FAILS(ioctl(fd, FICLONE, fd), EOPNOTSUPP);
}

int main(void)
{
	char folder[] = "/tmp/flags.XXXXXX", command[64];
	CHECK(mkdtemp(folder) != NULL && chdir(folder) == 0);
	PART(read_flags);
	PART(lifetime_hints);
	PART(commands);
	PART(absolute_links);
	PART(seals);
	snprintf(command, sizeof command, "rm -r %s", folder);
	CHECK(system(command) == 0);
	return 0;
}
