/*
 * A filesystem of the host that fails: a FUSE server whose every operation can be made to answer an errno.
 *   host_errors serve DIRECTORY COMMAND...	mounts it there, in a mount namespace of its own, and runs the command
 *   host_errors try DIRECTORY			prints what each call on a failing filesystem answers
 */
#include "../conformance/fuse_server.h"
#include <setjmp.h>
#include <sys/sendfile.h>
#include <sys/statfs.h>
#include <sys/xattr.h>

static const char *directory;
static int failures;

static const char *in(const char *name)
{
	static char paths[4][512];
	static int next;
	char *path = paths[next++ % 4];
	snprintf(path, 512, "%s/%s", directory, name);
	return path;
}

static void fail(int opcode, int failure)
{
	char name[64];
	struct stat st;
	snprintf(name, sizeof name, "fail:%d:%d", opcode, failure);
	CHECK(stat(in(name), &st) == -1 && errno == ENOENT);
}

static sigjmp_buf back;
static void on_bus(int signal)
{
	(void)signal;
	siglongjmp(back, 1);
}

static void report(const char *what, long result)
{
	printf("  %s: %s\n", what, result < 0 ? strerrorname_np(errno) : "ok");
}
/* with the operation failing, and what it does afterwards */
#define TRY(opcode, expression)                          \
	do {                                             \
		fail(opcode, failures);                  \
		long result_ = (long)(expression);       \
		int saved_ = errno;                      \
		fail(opcode, 0);                         \
		errno = saved_;                          \
		report(#expression, result_);            \
	} while (0)

static int made(const char *name)
{
	int fd = open(in(name), O_CREAT | O_RDWR | O_TRUNC, 0644);
	CHECK(fd >= 0);
	return fd;
}
static int opened(const char *name, int flags)
{
	int fd = open(in(name), flags, 0644);
	return fd < 0 ? fd : close(fd);
}
static int listed(void)
{
	DIR *d = opendir(directory);
	if (d == NULL)
		return -1;
	errno = 0;
	while (readdir(d) != NULL)
		;
	int saved = errno;
	closedir(d);
	errno = saved;
	return saved == 0 ? 0 : -1;
}

static void names(void)
{
	struct statfs fs;
	close(made("there"));
	CHECK(mkdir(in("folder"), 0755) == 0);
	TRY(FUSE_CREATE, opened("new", O_CREAT | O_EXCL | O_RDWR));
	TRY(FUSE_MKDIR, mkdir(in("new"), 0755));
	TRY(FUSE_MKNOD, mkfifo(in("new"), 0644));
	TRY(FUSE_SYMLINK, symlink("there", in("new")));
	TRY(FUSE_LINK, link(in("there"), in("new")));
	TRY(FUSE_RENAME2, syscall(SYS_renameat2, AT_FDCWD, in("there"), AT_FDCWD, in("new"), 1));
	TRY(FUSE_RENAME, rename(in("there"), in("folder/there")));
	TRY(FUSE_UNLINK, unlink(in("there")));
	TRY(FUSE_RMDIR, rmdir(in("folder")));
	TRY(FUSE_SETATTR, chmod(in("there"), 0600));
	TRY(FUSE_SETATTR, truncate(in("there"), 10));
	TRY(FUSE_SETATTR, chown(in("there"), 1, 1));
	TRY(FUSE_SETATTR, utimensat(AT_FDCWD, in("there"), NULL, 0));
	TRY(FUSE_SETXATTR, setxattr(in("there"), "user.a", "1", 1, 0));
	TRY(FUSE_OPEN, opened("there", O_RDONLY));
	TRY(FUSE_OPEN, opened("there", O_RDWR));
	TRY(FUSE_STATFS, statfs(directory, &fs));
	TRY(FUSE_READDIR, listed());
	CHECK(access(in("new"), F_OK) == -1 && errno == ENOENT);
	CHECK(unlink(in("there")) == 0 && rmdir(in("folder")) == 0);
}

static char bytes[10000];

static long copied(int from, int to)
{
	off_t begin = 0;
	return sendfile(to, from, &begin, 100);
}
static long vectors(int fd)
{
	struct iovec parts[2] = {{bytes, 100}, {bytes + 100, 100}};
	return pwritev(fd, parts, 2, 0);
}
static int touched(volatile char *page)
{
	if (sigsetjmp(back, 1) != 0) {
		errno = EFAULT;
		return -1;
	}
	return *page == 0 ? 0 : 1;
}

static void content(void)
{
	int fd = made("content"), source = made("source");
	CHECK(write(source, bytes, sizeof bytes) == sizeof bytes);
	TRY(FUSE_WRITE, write(fd, bytes, 100));
	TRY(FUSE_WRITE, write(fd, bytes, sizeof bytes));
	TRY(FUSE_WRITE, pwrite(fd, bytes, 10, 50000));
	TRY(FUSE_WRITE, vectors(fd));
	TRY(FUSE_WRITE, copied(source, fd));
	CHECK(fcntl(fd, F_SETFL, O_APPEND) == 0);
	TRY(FUSE_WRITE, write(fd, bytes, 100));
	CHECK(write(fd, bytes, 100) == 100);
	TRY(FUSE_SETATTR, ftruncate(fd, 5000));
	TRY(FUSE_FALLOCATE, fallocate(fd, 0, 0, 9000));
	TRY(FUSE_FSYNC, fsync(fd));
	TRY(FUSE_FSYNC, fdatasync(fd));
	TRY(FUSE_FLUSH, close(dup(fd)));
	TRY(FUSE_FLUSH, close(fd));
	TRY(FUSE_FLUSH, close(fd));
	fd = open(in("source"), O_RDWR);
	CHECK(fd >= 0 && ftruncate(fd, 200000) == 0);
	/* a file that nobody has read yet */
	TRY(FUSE_READ, pread(fd, bytes, 100, 150000));
	char *page = mmap(NULL, 200000, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(page != MAP_FAILED);
	TRY(FUSE_READ, touched(page + 100000));
	report("afterwards", touched(page + 100000));
	page[100000] = 1;
	TRY(FUSE_WRITE, msync(page, 200000, MS_SYNC));
	CHECK(munmap(page, 200000) == 0);
	close(fd);
	close(source);
	CHECK(unlink(in("content")) == 0 && unlink(in("source")) == 0);
}

int main(int argc, char **argv)
{
	CHECK(argc > 2);
	setvbuf(stdout, NULL, _IOLBF, 0);
	directory = argv[2];
	if (strcmp(argv[1], "serve") == 0) {
		defaults();
		shared->entry_valid = shared->attr_valid = 0;
		start_server(",allow_other");
		CHECK(mount(mountpoint, directory, NULL, MS_BIND, NULL) == 0);
		pid_t pid = fork();
		CHECK(pid >= 0);
		if (pid == 0) {
			execvp(argv[3], argv + 3);
			_exit(127);
		}
		int status;
		CHECK(waitpid(pid, &status, 0) == pid);
		CHECK(umount2(directory, MNT_DETACH) == 0);
		stop_server();
		return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
	}
	static const int errors[] = {EDQUOT, ENOSPC, EIO, EROFS, ESTALE};
	struct sigaction action = {.sa_handler = on_bus};
	CHECK(sigaction(SIGBUS, &action, NULL) == 0);
	for (unsigned i = 0; i < sizeof errors / sizeof *errors; i++) {
		failures = errors[i];
		printf("%s\n", strerrorname_np(failures));
		names();
		content();
	}
	return 0;
}
