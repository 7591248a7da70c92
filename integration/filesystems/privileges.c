/* What happens to set-id bits and file capabilities when a file changes, and what execve(2) makes of them. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#define CAPS "security.capability"
#define OWNER 1000
enum { ROOT, ROOT_WITHOUT_FSETID, USER, ACTORS };
static const char *const actors[] = { "root", "root without CAP_FSETID", "owner" };

static int set_caps(const char *path, uint32_t permitted, uint32_t inheritable, int effective)
{
	struct vfs_cap_data data = { VFS_CAP_REVISION_2 | (effective ? VFS_CAP_FLAGS_EFFECTIVE : 0), { { permitted, inheritable } } };
	return setxattr(path, CAPS, &data, sizeof data, 0);
}
static void become(int actor, uint32_t inheritable)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2];
	syscall(SYS_capget, &header, data);
	data[0].inheritable = inheritable;
	if (actor == ROOT_WITHOUT_FSETID)
		data[0].effective &= ~(1 << CAP_FSETID);
	if (syscall(SYS_capset, &header, data))
		_exit(3);
	if (actor == USER && (setgroups(0, NULL) || setresgid(OWNER, OWNER, OWNER) || setresuid(OWNER, OWNER, OWNER)))
		_exit(4);
}

static int by_write(void) { int fd = open("f", O_WRONLY); return fd < 0 ? -1 : write(fd, "x", 1); }
static int by_large_write(void) { static char bytes[300000]; int fd = open("f", O_WRONLY); return fd < 0 ? -1 : write(fd, bytes, sizeof bytes); }
static int by_nothing_written(void) { int fd = open("f", O_WRONLY); return fd < 0 ? -1 : write(fd, "x", 0); }
static int by_o_trunc(void) { return open("f", O_WRONLY | O_TRUNC) < 0; }
static int by_ftruncate(void) { int fd = open("f", O_WRONLY); return ftruncate(fd, 3); }
static int by_truncate(void) { return truncate("f", 3); }
static int by_fallocate(void) { int fd = open("f", O_WRONLY); return fallocate(fd, 0, 0, 10000); }
static int by_sendfile(void) { int in = open("source", O_RDONLY), fd = open("f", O_WRONLY); return sendfile(fd, in, NULL, 100); }
static int by_chown(void) { return chown("f", OWNER, OWNER); }
static int by_chmod(void) { return chmod("f", 06711); }
static int by_utime(void) { struct timespec t[2] = { { 1, 0 }, { 2, 0 } }; return utimensat(AT_FDCWD, "f", t, 0); }
static int by_rename(void) { return rename("f", "g") || rename("g", "f"); }
static int by_open(void) { int fd = open("f", O_RDWR); return fd < 0; }
static int by_setxattr(void) { return set_caps("f", 1 << CAP_CHOWN, 0, 0); }

static const struct { const char *name; int (*run)(void); } ways[] = {
	{ "write", by_write }, { "large write", by_large_write }, { "write of nothing", by_nothing_written }, { "O_TRUNC", by_o_trunc },
	{ "ftruncate", by_ftruncate }, { "truncate", by_truncate }, { "fallocate", by_fallocate }, { "sendfile", by_sendfile },
	{ "chown", by_chown }, { "chmod", by_chmod }, { "utimensat", by_utime }, { "rename", by_rename }, { "open", by_open }, { "setxattr", by_setxattr },
};

static void change(int way, int actor, int mode)
{
	struct stat s;
	unlink("f");
	close(open("f", O_CREAT | O_WRONLY, 0600));
	if (truncate("f", 10) || chown("f", OWNER, OWNER) || chmod("f", mode) || set_caps("f", 1 << CAP_NET_RAW, 0, 1))
		perror("set up");
	fflush(stdout);
	if (fork() == 0) {
		become(actor, 0);
		int r = ways[way].run();
		printf("%s by %s: %s", ways[way].name, actors[actor], r < 0 ? strerrorname_np(errno) : "done");
		fflush(stdout);
		_exit(0);
	}
	wait(NULL);
	stat("f", &s);
	struct vfs_cap_data data;
	ssize_t n = getxattr("f", CAPS, &data, sizeof data);
	printf(" %o -> %o, capabilities %s\n", mode, s.st_mode & 07777, n < 0 ? strerrorname_np(errno) : "kept");
}

static void show(void)
{
	static const char *const sets[] = { "CapInh", "CapPrm", "CapEff" };
	char line[200];
	FILE *status = fopen("/proc/self/status", "r");
	while (fgets(line, sizeof line, status))
		for (int i = 0; i < 3; i++)
			if (strncmp(line, sets[i], 6) == 0)
				printf(" %s %llx", sets[i], strtoull(line + 7, NULL, 16) & (1 << CAP_NET_RAW | 1 << CAP_CHOWN));
	printf(" uid %d euid %d egid %d\n", getuid(), geteuid(), getegid());
}
static void execute(const char *what, int mode, uint32_t permitted, uint32_t inheritable, int effective, uint32_t own)
{
	printf("exec %s:", what);
	if (chown("program", 1001, 1002) || chmod("program", mode) || (permitted | inheritable && set_caps("program", permitted, inheritable, effective)))
		perror("set up");
	fflush(stdout);
	if (fork() == 0) {
		become(USER, own);
		execl("./program", "program", NULL);
		_exit(printf(" %s\n", strerrorname_np(errno)) < 0);
	}
	wait(NULL);
}

int main(int argc, char **argv)
{
	if (argc < 2)
		return show(), 0;
	char command[300];
	umask(0);
	snprintf(command, sizeof command, "rm -rf %s/privileges && mkdir -m 755 %s/privileges && cp %s %s/privileges/program", argv[1], argv[1], argv[0], argv[1]);
	if (system(command) || chdir(argv[1]) || chdir("privileges"))
		return 2;
	close(open("source", O_CREAT | O_WRONLY, 0644));
	if (truncate("source", 100))
		return 2;
	for (unsigned way = 0; way < sizeof ways / sizeof *ways; way++)
		for (int actor = 0; actor < ACTORS; actor++)
			change(way, actor, 06755), change(way, actor, 06744);
	if (argc > 2)
		return 0; /* the mount does not let them count */
	execute("plain", 0755, 0, 0, 0, 0);
	execute("permitted", 0755, 1 << CAP_NET_RAW, 0, 0, 0);
	execute("permitted and effective", 0755, 1 << CAP_NET_RAW, 0, 1, 0);
	execute("inheritable, not held", 0755, 0, 1 << CAP_CHOWN, 1, 0);
	execute("inheritable, held", 0755, 1 << CAP_NET_RAW, 1 << CAP_CHOWN, 1, 1 << CAP_CHOWN);
	execute("set-id", 06755, 0, 0, 0, 0);
	execute("set-id with capabilities", 06755, 1 << CAP_NET_RAW, 0, 1, 0);
	if (chdir("/"))
		return 2;
	snprintf(command, sizeof command, "rm -rf %s/privileges", argv[1]);
	return system(command) != 0;
}
