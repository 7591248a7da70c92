/* open, read, write, links, rename, directories, metadata, locks: on /tmp */
#include "check.h"
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

static char top[] = "/tmp/files-test-XXXXXX";
static char base[64];

/* a fresh directory for one part, below the one that is removed at the end */
static void enter(void)
{
	snprintf(base, sizeof base, "%s/XXXXXX", top);
	CHECK(mkdtemp(base) && chmod(base, 0755) == 0 && chdir(base) == 0);
}

static void put(const char *name, const char *text)
{
	int fd = open(name, O_CREAT | O_TRUNC | O_WRONLY, 0644);
	CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) && close(fd) == 0);
}

static const char *get(const char *name)
{
	static char text[256];
	int fd = open(name, O_RDONLY);
	CHECK(fd >= 0);
	ssize_t n = read(fd, text, sizeof text - 1);
	CHECK(n >= 0 && close(fd) == 0);
	text[n] = 0;
	return text;
}

static void open_flags(void)
{
	enter();
	FAILS(open("none", O_RDONLY), ENOENT);
	put("a", "hello");
	FAILS(open("a", O_CREAT | O_EXCL | O_RDWR, 0600), EEXIST);
	FAILS(open("a", O_RDONLY | O_DIRECTORY), ENOTDIR);
	FAILS(open(".", O_WRONLY), EISDIR);
	FAILS(open("a/b", O_RDONLY), ENOTDIR);
	CHECK(symlink("a", "link") == 0);
	FAILS(open("link", O_RDONLY | O_NOFOLLOW), ELOOP);
	int fd = open("link", O_RDWR | O_APPEND);
	CHECK(fd >= 0 && write(fd, " world", 6) == 6 && lseek(fd, 0, SEEK_CUR) == 11);
	CHECK(strcmp(get("a"), "hello world") == 0);
	fd = open("a", O_RDWR | O_TRUNC);
	struct stat s;
	CHECK(fd >= 0 && fstat(fd, &s) == 0 && s.st_size == 0);
	char c;
	int write_only = open("a", O_WRONLY);
	FAILS(read(write_only, &c, 1), EBADF);
	int path = open("a", O_PATH);
	CHECK(path >= 0);
	FAILS(read(path, &c, 1), EBADF);
	umask(027);
	fd = open("masked", O_CREAT | O_WRONLY, 0666);
	CHECK(fstat(fd, &s) == 0 && (s.st_mode & 07777) == 0640);
}

static void positions_and_vectors(void)
{
	enter();
	char *unmapped = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = open("f", O_CREAT | O_RDWR, 0600);
	struct iovec out[3] = { { "one", 3 }, { "", 0 }, { "two", 3 } };
	CHECK(writev(fd, out, 3) == 6 && lseek(fd, 0, SEEK_END) == 6 && lseek(fd, 1, SEEK_SET) == 1);
	char a[2], b[10];
	struct iovec in[2] = { { a, 2 }, { b, 10 } };
	CHECK(readv(fd, in, 2) == 5 && memcmp(a, "ne", 2) == 0 && memcmp(b, "two", 3) == 0);
	CHECK(pwrite(fd, "X", 1, 10) == 1 && pread(fd, b, 10, 5) == 6 && memcmp(b, "o\0\0\0\0X", 6) == 0);
	CHECK(read(fd, b, 10) == 5);
	FAILS(lseek(fd, -1, SEEK_SET), EINVAL);
	FAILS(pread(fd, b, 1, -1), EINVAL);
	FAILS(pread(fd, unmapped, 1, 0), EFAULT);
	FAILS(pwrite(fd, unmapped, 1, 0), EFAULT);
	int copy = dup(fd);
	CHECK(lseek(copy, 2, SEEK_SET) == 2 && lseek(fd, 0, SEEK_CUR) == 2);
	CHECK(ftruncate(fd, 3) == 0 && lseek(fd, 0, SEEK_END) == 3);
	CHECK(ftruncate(fd, 100000) == 0 && pread(fd, b, 1, 99999) == 1 && b[0] == 0);
	int pipes[2];
	CHECK(pipe(pipes) == 0);
	FAILS(lseek(pipes[0], 0, SEEK_SET), ESPIPE);
	FAILS(pread(pipes[0], b, 1, 0), ESPIPE);
}

static void links_and_renames(void)
{
	enter();
	put("a", "A");
	put("b", "B");
	struct stat s, t;
	CHECK(link("a", "c") == 0 && stat("a", &s) == 0 && stat("c", &t) == 0 && s.st_ino == t.st_ino && s.st_nlink == 2);
	FAILS(link("a", "b"), EEXIST);
	CHECK(rename("a", "b") == 0 && strcmp(get("b"), "A") == 0);
	FAILS(stat("a", &s), ENOENT);
	CHECK(rename("b", "c") == 0 && stat("b", &s) == 0); /* two names of one file: nothing happens */
	CHECK(mkdir("d", 0755) == 0 && mkdir("d/e", 0755) == 0);
	FAILS(rename("d", "d/e/f"), EINVAL);
	FAILS(rename("b", "d"), EISDIR);
	FAILS(rename("d", "b"), ENOTDIR);
	FAILS(rmdir("d"), ENOTEMPTY);
	FAILS(unlink("d"), EISDIR);
	FAILS(rmdir("b"), ENOTDIR);
	CHECK(rename("d/e", "e") == 0 && rmdir("d") == 0 && rmdir("e") == 0);
	CHECK(syscall(SYS_renameat2, AT_FDCWD, "b", AT_FDCWD, "x", 1) == 0);
	put("y", "Y");
	FAILS(syscall(SYS_renameat2, AT_FDCWD, "x", AT_FDCWD, "y", 1), EEXIST);
	CHECK(syscall(SYS_renameat2, AT_FDCWD, "x", AT_FDCWD, "y", 2) == 0 && strcmp(get("y"), "A") == 0 && strcmp(get("x"), "Y") == 0);
	int fd = open("y", O_RDONLY);
	char c;
	CHECK(unlink("y") == 0 && unlink("c") == 0 && read(fd, &c, 1) == 1 && c == 'A' && fstat(fd, &s) == 0 && s.st_nlink == 0);
}

static void symlinks(void)
{
	enter();
	char text[64];
	CHECK(symlink("loop", "loop") == 0);
	FAILS(open("loop", O_RDONLY), ELOOP);
	CHECK(mkdir("d", 0755) == 0 && symlink("../target", "d/up") == 0);
	put("target", "T");
	CHECK(strcmp(get("d/up"), "T") == 0 && readlink("d/up", text, sizeof text) == 9);
	CHECK(readlink("d/up", text, 3) == 3 && memcmp(text, "../", 3) == 0);
	FAILS(readlink("target", text, sizeof text), EINVAL);
	struct stat s;
	CHECK(lstat("d/up", &s) == 0 && S_ISLNK(s.st_mode) && s.st_size == 9);
	CHECK(symlink("created-through", "dangling") == 0);
	put("dangling", "through");
	CHECK(strcmp(get("created-through"), "through") == 0);
	FAILS(open("dangling/", O_RDONLY), ENOTDIR);
	char longer[300];
	memset(longer, 'n', sizeof longer);
	longer[256] = 0;
	FAILS(open(longer, O_CREAT, 0600), ENAMETOOLONG);
	FAILS(symlink("", "empty"), ENOENT);
	FAILS(mkdir("d/", 0755), EEXIST);
	CHECK(mkdir("slash/", 0755) == 0);
}

static void directories(void)
{
	enter();
	for (int i = 0; i < 300; i++) {
		char name[16];
		snprintf(name, sizeof name, "n%d", i);
		put(name, "");
	}
	DIR *d = opendir(".");
	int seen = 0, special = 0;
	struct dirent *e;
	while ((e = readdir(d))) {
		if (e->d_name[0] == '.')
			special++;
		else
			seen++;
		if (e->d_name[0] == 'n') {
			CHECK(e->d_type == DT_REG || e->d_type == DT_UNKNOWN);
			CHECK(unlink(e->d_name) == 0); /* entries go while they are listed */
		}
	}
	CHECK(seen == 300 && special == 2);
	rewinddir(d);
	seen = 0;
	while (readdir(d))
		seen++;
	CHECK(seen == 2);
	char cwd[256];
	CHECK(getcwd(cwd, sizeof cwd) && strcmp(cwd, base) == 0);
	CHECK(mkdir("sub", 0755) == 0 && chdir("sub") == 0 && rmdir("../sub") == 0);
	FAILS(syscall(SYS_getcwd, cwd, sizeof cwd), ENOENT);
	FAILS(open("new", O_CREAT, 0600), ENOENT);
}

static void metadata(void)
{
	enter();
	put("f", "x");
	struct stat s;
	CHECK(chmod("f", 04751) == 0 && stat("f", &s) == 0 && (s.st_mode & 07777) == 04751);
	CHECK(chown("f", 12, 34) == 0 && stat("f", &s) == 0 && s.st_uid == 12 && s.st_gid == 34 && (s.st_mode & 04000) == 0);
	struct timespec times[2] = { { 1000, 5 }, { 2000, 7 } };
	CHECK(utimensat(AT_FDCWD, "f", times, 0) == 0 && stat("f", &s) == 0);
	CHECK(s.st_atim.tv_sec == 1000 && s.st_mtim.tv_sec == 2000 && s.st_mtim.tv_nsec == 7);
	times[0].tv_nsec = UTIME_OMIT;
	times[1].tv_nsec = UTIME_NOW;
	CHECK(utimensat(AT_FDCWD, "f", times, 0) == 0 && stat("f", &s) == 0 && s.st_atim.tv_sec == 1000 && s.st_mtim.tv_sec > 100000);
	CHECK(access("f", R_OK | W_OK | X_OK) == 0);
	CHECK(mkfifo("fifo", 0600) == 0 && stat("fifo", &s) == 0 && S_ISFIFO(s.st_mode));
	CHECK(truncate("f", 10) == 0 && stat("f", &s) == 0 && s.st_size == 10);
	FAILS(truncate("f", -1), EINVAL);
	FAILS(truncate(".", 0), EISDIR);
	struct statvfs v;
	CHECK(statvfs(".", &v) == 0 && v.f_namemax == 255);
	pid_t pid = fork();
	if (pid == 0) {
		CHECK(chmod("f", 0600) == 0 && setresgid(99, 99, 99) == 0 && setresuid(99, 99, 99) == 0);
		FAILS(open("f", O_RDONLY), EACCES);
		FAILS(chmod("f", 0777), EPERM);
		FAILS(chown("f", 99, 99), EPERM);
		FAILS(unlink("f"), EACCES);
		_exit(0);
	}
	int status;
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

static void descriptors(void)
{
	enter();
	int fd = open("f", O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	CHECK(fcntl(fd, F_GETFD) == FD_CLOEXEC && fcntl(fd, F_SETFD, 0) == 0 && fcntl(fd, F_GETFD) == 0);
	CHECK((fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDWR && fcntl(fd, F_SETFL, O_APPEND | O_NONBLOCK) == 0);
	CHECK((fcntl(fd, F_GETFL) & (O_APPEND | O_NONBLOCK)) == (O_APPEND | O_NONBLOCK));
	CHECK(fcntl(fd, F_DUPFD, 100) == 100 && fcntl(fd, F_DUPFD_CLOEXEC, 100) == 101 && dup2(fd, 50) == 50 && dup2(50, 50) == 50);
	FAILS(dup2(77, 78), EBADF);
	FAILS(dup3(fd, fd, 0), EINVAL);
	CHECK(syscall(SYS_close_range, 50, 101, 0) == 0);
	FAILS(close(100), EBADF);
	struct rlimit limit = { 10, 10 };
	CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	int last = 0;
	while ((fd = dup(0)) >= 0)
		last = fd;
	CHECK(errno == EMFILE && last == 9);
}

static void locks(void)
{
	enter();
	int fd = open("f", O_CREAT | O_RDWR, 0600);
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 10, .l_len = 10 };
	CHECK(fcntl(fd, F_SETLK, &lock) == 0 && flock(fd, LOCK_EX) == 0);
	pid_t pid = fork();
	if (pid == 0) {
		struct flock other = { .l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 15, .l_len = 1 };
		FAILS(fcntl(fd, F_SETLK, &other), EAGAIN);
		CHECK(fcntl(fd, F_GETLK, &other) == 0 && other.l_type == F_WRLCK && other.l_pid == getppid() && other.l_start == 10);
		other.l_start = 30;
		other.l_type = F_WRLCK;
		CHECK(fcntl(fd, F_SETLK, &other) == 0);
		int again = open("f", O_RDWR);
		FAILS(flock(again, LOCK_EX | LOCK_NB), EAGAIN);
		other.l_start = 15;
		CHECK(fcntl(fd, F_SETLKW, &other) == 0); /* the parent unlocks */
		_exit(0);
	}
	usleep(20000);
	lock.l_type = F_UNLCK;
	CHECK(fcntl(fd, F_SETLK, &lock) == 0);
	int status;
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

static void size_limit(void)
{
	enter();
	struct rlimit limit = { 100, 100 };
	int fd = open("f", O_CREAT | O_RDWR, 0600);
	CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0 && signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
	char block[200] = { 0 };
	CHECK(write(fd, block, 200) == 100);
	FAILS(write(fd, block, 1), EFBIG);
}

static void large_file_through_memory(void)
{
	enter();
	int fd = open("big", O_CREAT | O_RDWR, 0600);
	char block[65536];
	for (int i = 0; i < 64; i++) {
		memset(block, i, sizeof block);
		CHECK(write(fd, block, sizeof block) == sizeof block);
	}
	unsigned char *p = mmap(NULL, 64 * sizeof block, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(p != MAP_FAILED);
	for (int i = 0; i < 64; i++)
		CHECK(p[i * sizeof block] == i);
	p[5] = 200;
	CHECK(pread(fd, block, 10, 0) == 10 && (unsigned char)block[5] == 200);
}

int main(void)
{
	char command[64];
	umask(022);
	CHECK(mkdtemp(top) && chmod(top, 0755) == 0);
	PART(open_flags);
	PART(positions_and_vectors);
	PART(links_and_renames);
	PART(symlinks);
	PART(directories);
	PART(metadata);
	PART(descriptors);
	PART(locks);
	PART(size_limit);
	PART(large_file_through_memory);
	snprintf(command, sizeof command, "rm -rf %s", top);
	CHECK(system(command) == 0);
	return 0;
}
