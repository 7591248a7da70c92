/*
 * stress DIRECTORY SEED COUNT: random operations of every kind on a small tree, from a seed, each one's answer hashed into the output, and at the
 * end the whole tree with attributes and content. Two Linux filesystems print the same.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <unistd.h>

static uint64_t state;
static unsigned rnd(unsigned limit)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (unsigned)((state >> 11) % limit);
}
static uint64_t hash = 1469598103934665603UL;
static void mix(const void *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		hash = (hash ^ ((const unsigned char *)p)[i]) * 1099511628211UL;
}
static void mixn(long n) { mix(&n, sizeof n); }

#define FILES 8
static int fds[FILES];
static char buffer[200000];
static const char *const NAMES[] = { "a", "b", "c", "d", "e", "longer name with spaces" };
static const char *name(void)
{
	static char paths[4][200];
	static int which;
	char *p = paths[which++ % 4];
	int depth = rnd(3);
	*p = 0;
	for (int i = 0; i <= depth; i++) {
		if (i)
			strcat(p, "/");
		strcat(p, NAMES[rnd(6)]);
	}
	return p;
}
static void fill(size_t n)
{
	unsigned v = rnd(256);
	for (size_t i = 0; i < n; i++)
		buffer[i] = (char)(v + i * 7);
}
static off_t place(void) { return rnd(4) ? rnd(20000) : rnd(300000); }

static long step(const char **what)
{
	int slot = rnd(FILES), fd = fds[slot];
	struct stat s;
	long r;
	size_t n;
	switch (rnd(36)) {
	case 0: case 1: case 2:
		*what = "open";
		if (fd >= 0)
			close(fd);
		r = fds[slot] = open(name(), (rnd(3) ? O_RDWR : rnd(2) ? O_RDONLY : O_WRONLY) | (rnd(3) ? O_CREAT : 0) | (rnd(5) ? 0 : O_TRUNC) | (rnd(9) ? 0 : O_APPEND) | (rnd(9) ? 0 : O_EXCL) | O_NONBLOCK, 0600 + rnd(64));
		return r < 0 ? r : 0;
	case 3:
		*what = "close";
		fds[slot] = -1;
		return close(fd);
	case 4: case 5: case 6:
		*what = "pwrite";
		fill(n = rnd(5) ? rnd(3000) : rnd(90000));
		return pwrite(fd, buffer, n, place());
	case 7: case 8:
		*what = "write";
		fill(n = rnd(3000));
		return write(fd, buffer, n);
	case 9: case 10: case 11:
		*what = "pread";
		memset(buffer, 0, 100000);
		r = pread(fd, buffer, rnd(100000), place());
		if (r > 0)
			mix(buffer, (size_t)r);
		return r;
	case 12:
		*what = "read";
		r = read(fd, buffer, rnd(9000));
		if (r > 0)
			mix(buffer, (size_t)r);
		return r;
	case 13:
		*what = "ftruncate";
		return ftruncate(fd, place());
	case 14:
		*what = "truncate";
		return truncate(name(), place());
	case 15:
		*what = "fallocate";
		return fallocate(fd, rnd(2) ? 0 : FALLOC_FL_KEEP_SIZE | (rnd(2) ? FALLOC_FL_PUNCH_HOLE : 0), place(), 1 + rnd(40000));
	case 16: case 17:
		*what = "mkdir";
		return mkdir(name(), 0700 + rnd(64));
	case 18:
		*what = "rmdir";
		return rmdir(name());
	case 19: case 20:
		*what = "unlink";
		return unlink(name());
	case 21: case 22: case 23:
		*what = "rename";
		return renameat2(AT_FDCWD, name(), AT_FDCWD, name(), rnd(4) ? 0 : rnd(2) ? RENAME_EXCHANGE : RENAME_NOREPLACE);
	case 24:
		*what = "link";
		return link(name(), name());
	case 25:
		*what = "symlink";
		return symlink(name(), name());
	case 26:
		*what = "mkfifo";
		return mkfifo(name(), 0600);
	case 27:
		*what = "chmod";
		return chmod(name(), 0400 + rnd(256));
	case 28:
		*what = "lchown";
		return lchown(name(), rnd(2000), rnd(2000));
	case 29:
		*what = "lstat";
		r = lstat(name(), &s);
		if (r == 0) {
			mixn(s.st_mode);
			mixn(S_ISDIR(s.st_mode) ? 0 : (long)s.st_nlink);
			mixn(S_ISREG(s.st_mode) || S_ISLNK(s.st_mode) ? s.st_size : 0);
		}
		return r;
	case 30:
		*what = "fstat";
		r = fstat(fd, &s);
		if (r == 0 && S_ISREG(s.st_mode)) {
			mixn(s.st_size);
			mixn((long)s.st_nlink);
		}
		return r;
	case 31:
		*what = "lseek";
		return lseek(fd, rnd(50000), rnd(2) ? SEEK_SET : SEEK_END) < 0 ? -1 : 0;
	case 32: {
		*what = "setxattr";
		const char *path = name();
		char key[20];
		snprintf(key, sizeof key, "user.k%u", rnd(4));
		fill(n = rnd(60));
		if (rnd(3) == 0)
			return lremovexattr(path, key);
		if (rnd(2) == 0) {
			r = lgetxattr(path, key, buffer, 100);
			if (r > 0)
				mix(buffer, (size_t)r);
			return r;
		}
		return lsetxattr(path, key, buffer, n, rnd(3));
	}
	case 33: {
		*what = "mmap";
		if (fstat(fd, &s) != 0 || !S_ISREG(s.st_mode) || s.st_size == 0)
			return 0;
		int shared = rnd(2);
		size_t length = (size_t)s.st_size;
		char *p = mmap(NULL, length, PROT_READ | PROT_WRITE, shared ? MAP_SHARED : MAP_PRIVATE, fd, 0);
		if (p == MAP_FAILED)
			return -1;
		mix(p, length);
		unsigned at = rnd((unsigned)length);
		p[at] = (char)rnd(256);
		p[length - 1] = 'z';
		return munmap(p, length);
	}
	case 34: {
		*what = "copy";
		int other = fds[rnd(FILES)];
		off_t from = place(), to = place();
		if (fd == other)
			return 0;
		return copy_file_range(fd, &from, other, &to, rnd(60000), 0);
	}
	default:
		*what = "writev";
		fill(5000);
		struct iovec v[3] = { { buffer, rnd(100) }, { buffer + 200, rnd(4000) }, { buffer + 9, rnd(3) } };
		return pwritev(fd, v, 3, place());
	}
}

static void tree(const char *path)
{
	struct dirent **list;
	int n = scandir(path, &list, NULL, alphasort);
	for (int i = 0; i < n; i++) {
		char child[4096];
		struct stat s;
		const char *e = list[i]->d_name;
		snprintf(child, sizeof child, "%s/%s", path, e);
		if (strcmp(e, ".") && strcmp(e, "..") && lstat(child, &s) == 0) {
			uint64_t before = hash;
			hash = 1;
			if (S_ISREG(s.st_mode)) {
				int fd = open(child, O_RDONLY);
				ssize_t r;
				while ((r = read(fd, buffer, sizeof buffer)) > 0)
					mix(buffer, (size_t)r);
				close(fd);
			} else if (S_ISLNK(s.st_mode)) {
				ssize_t r = readlink(child, buffer, 4096);
				mix(buffer, r > 0 ? (size_t)r : 0);
			}
			printf("%s %o %u:%u %ld %ld %lx\n", child, s.st_mode, s.st_uid, s.st_gid, S_ISDIR(s.st_mode) ? 0L : (long)s.st_nlink,
				S_ISREG(s.st_mode) ? (long)s.st_size : 0L, hash);
			hash = before;
			if (S_ISDIR(s.st_mode))
				tree(child);
		}
		free(list[i]);
	}
}

int main(int argc, char **argv)
{
	if (argc < 4)
		return 2;
	char work[4096];
	snprintf(work, sizeof work, "%s/stress-%s", argv[1], argv[2]);
	if (mkdir(work, 0755) != 0 || chdir(work) != 0)
		return 2;
	umask(0);
	signal(SIGPIPE, SIG_IGN);
	state = strtoul(argv[2], NULL, 10) * 2654435761UL + 88172645463325252UL;
	for (int i = 0; i < FILES; i++)
		fds[i] = -1;
	long count = atol(argv[3]);
	for (long i = 0; i < count; i++) {
		const char *what = "";
		errno = 0;
		long r = step(&what);
		mixn(r);
		if (r < 0)
			mixn(errno);
		if (count <= 2000 || i % 50 == 49)
			printf("%ld %s %ld %s %lx\n", i, what, r, r < 0 ? strerrorname_np(errno) : "-", hash);
	}
	for (int i = 0; i < FILES; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	tree(".");
	return 0;
}
