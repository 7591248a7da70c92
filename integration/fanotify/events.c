/* fanotify(7): events of a file, a directory's files, a mount and a filesystem, with descriptors; what is ignored; who may */
#include "../conformance/check.h"
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sys/fanotify.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

static char directory[] = "/tmp/fanotify.XXXXXX";
static int group;

static void begin(void)
{
	group = fanotify_init(FAN_CLASS_NOTIF | FAN_NONBLOCK | FAN_CLOEXEC, O_RDONLY | O_LARGEFILE);
	CHECK(group >= 0 && fcntl(group, F_GETFD) == FD_CLOEXEC);
}
static const char *path_of(const char *name)
{
	static char path[96];
	snprintf(path, sizeof path, "%s/%s", directory, name);
	return path;
}
/* in a process of its own, so that each event has its pid */
static pid_t touch(const char *name, int flags, const char *text)
{
	pid_t pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		char buffer[16];
		int fd = open(path_of(name), flags, 0600);
		CHECK(fd >= 0 && (text == NULL || write(fd, text, strlen(text)) == (ssize_t)strlen(text)));
		CHECK(text != NULL || (flags & O_ACCMODE) != O_RDONLY || (flags & O_DIRECTORY) || read(fd, buffer, sizeof buffer) >= 0);
		close(fd);
		_exit(0);
	}
	int status;
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	return pid;
}
/* All that was told since: of one object by one process, in whatever pieces. */
static void expect(const char *name, unsigned mask, pid_t pid)
{
	struct fanotify_event_metadata event;
	struct stat wanted, seen;
	unsigned sum = 0;
	CHECK(stat(path_of(name), &wanted) == 0);
	while (read(group, &event, sizeof event) == sizeof event) {
		CHECK(event.vers == FANOTIFY_METADATA_VERSION && event.metadata_len == FAN_EVENT_METADATA_LEN && event.event_len == sizeof event);
		CHECK(event.fd >= 0 && fstat(event.fd, &seen) == 0 && seen.st_ino == wanted.st_ino && event.pid == pid);
		char c;
		if (S_ISREG(seen.st_mode))
			CHECK(read(event.fd, &c, 1) >= 0); /* which is told to nobody */
		CHECK((fcntl(event.fd, F_GETFL) & O_ACCMODE) == O_RDONLY && close(event.fd) == 0);
		sum |= event.mask;
	}
	CHECK(errno == EAGAIN);
	if (sum != mask)
		fprintf(stderr, "%s: %x, not %x\n", name, sum, mask);
	CHECK(sum == mask);
}
static void nothing(void)
{
	char event[64];
	FAILS(read(group, event, sizeof event), EAGAIN);
}
static int mark(unsigned flags, unsigned long mask, const char *name)
{
	return fanotify_mark(group, flags, mask, AT_FDCWD, path_of(name));
}

static void one_file(void)
{
	begin();
	CHECK(mark(FAN_MARK_ADD, FAN_OPEN | FAN_MODIFY | FAN_CLOSE, "one") == 0);
	struct pollfd ready = { group, POLLIN, 0 };
	CHECK(poll(&ready, 1, 0) == 0);
	pid_t pid = touch("one", O_WRONLY, "x");
	CHECK(poll(&ready, 1, 0) == 1);
	expect("one", FAN_OPEN | FAN_MODIFY | FAN_CLOSE_WRITE, pid);
	pid = touch("one", O_RDONLY, NULL);
	expect("one", FAN_OPEN | FAN_CLOSE_NOWRITE, pid);
	touch("two", O_RDONLY, NULL);
	nothing();
	CHECK(mark(FAN_MARK_REMOVE, FAN_OPEN, "one") == 0);
	pid = touch("one", O_RDONLY, NULL);
	expect("one", FAN_CLOSE_NOWRITE, pid);
	CHECK(mark(FAN_MARK_FLUSH, 0, "one") == 0);
	touch("one", O_RDONLY, NULL);
	nothing();
	FAILS(mark(FAN_MARK_REMOVE, FAN_OPEN, "one"), ENOENT);
}
static void files_of_a_directory(void)
{
	begin();
	CHECK(mark(FAN_MARK_ADD | FAN_MARK_ONLYDIR, FAN_OPEN | FAN_EVENT_ON_CHILD, "") == 0);
	pid_t pid = touch("two", O_RDONLY, NULL);
	expect("two", FAN_OPEN, pid);
	touch("", O_RDONLY | O_DIRECTORY, NULL);
	nothing(); /* directories have to be asked for */
	CHECK(mark(FAN_MARK_ADD, FAN_ONDIR, "") == 0);
	pid = touch("", O_RDONLY | O_DIRECTORY, NULL);
	expect("", FAN_OPEN, pid);
}
static void a_mount_and_a_filesystem(void)
{
	begin();
	CHECK(mark(FAN_MARK_ADD | FAN_MARK_MOUNT, FAN_MODIFY | FAN_CLOSE_WRITE, "sub") == 0);
	pid_t pid = touch("sub/new", O_WRONLY | O_CREAT, "text");
	expect("sub/new", FAN_MODIFY | FAN_CLOSE_WRITE, pid);
	touch("one", O_WRONLY, "x"); /* another mount */
	nothing();
	CHECK(mark(FAN_MARK_ADD | FAN_MARK_IGNORED_MASK | FAN_MARK_IGNORED_SURV_MODIFY, FAN_CLOSE_WRITE, "sub/new") == 0);
	pid = touch("sub/new", O_WRONLY, "text");
	expect("sub/new", FAN_MODIFY, pid);
	CHECK(mark(FAN_MARK_FLUSH | FAN_MARK_MOUNT, 0, "sub") == 0);
	CHECK(mark(FAN_MARK_ADD | FAN_MARK_FILESYSTEM, FAN_ACCESS, "sub") == 0);
	pid = touch("sub/new", O_RDONLY, NULL);
	expect("sub/new", FAN_ACCESS, pid);
	CHECK(close(group) == 0);
}
static void what_is_refused(void)
{
	begin();
	FAILS(fanotify_init(FAN_CLASS_NOTIF | 0x8000000, O_RDONLY), EINVAL);
	FAILS(fanotify_init(FAN_CLASS_NOTIF, O_CREAT), EINVAL);
	FAILS(mark(FAN_MARK_ADD, 0, "one"), EINVAL);
	FAILS(mark(FAN_MARK_ADD | FAN_MARK_REMOVE, FAN_OPEN, "one"), EINVAL);
	FAILS(mark(FAN_MARK_ADD, FAN_OPEN_PERM, "one"), EINVAL);
	FAILS(mark(FAN_MARK_ADD, FAN_CREATE, "one"), EINVAL);
	FAILS(mark(FAN_MARK_ADD | FAN_MARK_ONLYDIR, FAN_OPEN, "one"), ENOTDIR);
	FAILS(mark(FAN_MARK_ADD, FAN_OPEN, "absent"), ENOENT);
	FAILS(fanotify_mark(0, FAN_MARK_ADD, FAN_OPEN, AT_FDCWD, "/"), EINVAL);
	FAILS(fanotify_mark(999, FAN_MARK_ADD, FAN_OPEN, AT_FDCWD, "/"), EBADF);
	char small[8];
	touch("one", O_RDONLY, NULL);
	CHECK(mark(FAN_MARK_ADD, FAN_OPEN, "one") == 0);
	touch("one", O_RDONLY, NULL);
	FAILS(read(group, small, sizeof small), EINVAL);
	CHECK(setgroups(0, NULL) == 0 && setgid(1000) == 0 && setuid(1000) == 0);
	FAILS(fanotify_init(FAN_CLASS_NOTIF, O_RDONLY), EPERM);
}

int main(void)
{
	CHECK(mkdtemp(directory) != NULL);
	CHECK(mkdir(path_of("sub"), 0755) == 0 && mount("none", path_of("sub"), "tmpfs", 0, NULL) == 0);
	for (const char *const *name = (const char *const[]){ "one", "two", NULL }; *name; name++)
		CHECK(close(open(path_of(*name), O_RDWR | O_CREAT, 0600)) == 0);
	PART(one_file);
	PART(files_of_a_directory);
	PART(a_mount_and_a_filesystem);
	PART(what_is_refused);
	CHECK(umount2(path_of("sub"), MNT_DETACH) == 0 && rmdir(path_of("sub")) == 0);
	CHECK(unlink(path_of("one")) == 0 && unlink(path_of("two")) == 0 && rmdir(directory) == 0);
	return 0;
}
