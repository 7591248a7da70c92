/* FUSE: a server of ours behind /dev/fuse, and what its clients see of files. */
#include "fuse_server.h"
#include <poll.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <sys/xattr.h>

static void device_alone(void)
{
	char buffer[16384];
	int fd = open("/dev/fuse", O_RDWR | O_NONBLOCK);
	CHECK(fd >= 0);
	FAILS(read(fd, buffer, sizeof buffer), EPERM);
	FAILS(write(fd, buffer, 16), EPERM);
	struct pollfd p = { fd, POLLIN, 0 };
	CHECK(poll(&p, 1, 0) == 1 && p.revents == POLLERR);
	struct stat st;
	CHECK(fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(10, 229));
	CHECK(mkdir("/tmp/tsvisor-fuse-none", 0700) == 0 || errno == EEXIST);
	FAILS(mount("x", "/tmp/tsvisor-fuse-none", "fuse", 0, ""), EINVAL);
	FAILS(mount("x", "/tmp/tsvisor-fuse-none", "fuse", 0, "fd=999,rootmode=40000,user_id=0,group_id=0"), EINVAL);
	FAILS(mount("x", "/tmp/tsvisor-fuse-none", "fuse", 0, "fd=0,rootmode=40000,user_id=0"), EINVAL);
	CHECK(rmdir("/tmp/tsvisor-fuse-none") == 0);
}

static void names(void)
{
	defaults();
	start_server(",default_permissions,allow_other");
	struct stat st;
	CHECK(stat(mountpoint, &st) == 0 && S_ISDIR(st.st_mode) && st.st_ino == 1);
	FAILS(stat(at("nothing"), &st), ENOENT);
	CHECK(mkdir(at("dir"), 0750) == 0);
	FAILS(mkdir(at("dir"), 0750), EEXIST);
	CHECK(stat(at("dir"), &st) == 0 && st.st_mode == (S_IFDIR | 0750));
	fill(at("dir/file"), "hello");
	CHECK(stat(at("dir/file"), &st) == 0 && st.st_mode == (S_IFREG | 0644) && st.st_size == 5);
	expect(at("dir/file"), "hello");
	FAILS(open(at("dir/file"), O_CREAT | O_EXCL | O_WRONLY, 0600), EEXIST);
	CHECK(symlink("dir/file", at("link")) == 0);
	expect(at("link"), "hello");
	char target[64];
	CHECK(readlink(at("link"), target, sizeof target) == 8 && memcmp(target, "dir/file", 8) == 0);
	CHECK(lstat(at("link"), &st) == 0 && S_ISLNK(st.st_mode));
	CHECK(mknod(at("fifo"), S_IFIFO | 0600, 0) == 0);
	CHECK(lstat(at("fifo"), &st) == 0 && S_ISFIFO(st.st_mode));
	CHECK(mknod(at("plain"), S_IFREG | 0600, 0) == 0);
	FAILS(link(at("plain"), at("other")), EPERM);
	FAILS(rmdir(at("dir")), ENOTEMPTY);
	CHECK(rename(at("dir/file"), at("moved")) == 0);
	FAILS(stat(at("dir/file"), &st), ENOENT);
	expect(at("moved"), "hello");
	fill(at("second"), "2");
	CHECK(renameat2(AT_FDCWD, at("moved"), AT_FDCWD, at("second"), RENAME_EXCHANGE) == 0);
	expect(at("moved"), "2");
	expect(at("second"), "hello");
	FAILS(renameat2(AT_FDCWD, at("moved"), AT_FDCWD, at("second"), RENAME_NOREPLACE), EEXIST);
	CHECK(rename(at("moved"), at("second")) == 0);
	expect(at("second"), "2");
	CHECK(unlink(at("second")) == 0 && unlink(at("link")) == 0 && unlink(at("fifo")) == 0 && unlink(at("plain")) == 0);
	FAILS(unlink(at("second")), ENOENT);
	CHECK(rmdir(at("dir")) == 0);
	/* Every part of the path is a question */
	CHECK(mkdir(at("a"), 0755) == 0 && mkdir(at("a/b"), 0755) == 0 && mkdir(at("a/b/c"), 0755) == 0);
	fill(at("a/b/c/d"), "deep");
	expect(at("a/b/c/../../b/c/d"), "deep");
	CHECK(chdir(at("a/b")) == 0);
	expect("c/d", "deep");
	char cwd[256];
	CHECK(getcwd(cwd, sizeof cwd) != NULL && strcmp(cwd, at("a/b")) == 0);
	FAILS(umount2(mountpoint, 0), EBUSY);
	CHECK(chdir("/") == 0);
	stop_server();
}

/* A process has ended when its files have been flushed, however it left them. */
static void ends(void)
{
	defaults();
	start_server(",default_permissions,allow_other");
	fill(at("f"), "content");
	shared->slow_flush = 100000;
	for (int i = 1; i <= 2; i++) {
		pid_t pid = fork();
		CHECK(pid >= 0);
		if (pid == 0) {
			int fd = open(at("f"), O_WRONLY);
			CHECK(fd >= 0 && write(fd, "x", 1) == 1);
			if (i == 2)
				abort();
			_exit(3);
		}
		int status;
		CHECK(waitpid(pid, &status, 0) == pid);
		CHECK(i == 1 ? status == 3 << 8 : WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
		CHECK(shared->flushed == (uint64_t)i);
	}
	stop_server();
}

static void attributes(void)
{
	defaults();
	start_server(",default_permissions,allow_other");
	struct stat st;
	fill(at("f"), "content");
	CHECK(chmod(at("f"), 0751) == 0 && stat(at("f"), &st) == 0 && (st.st_mode & 07777) == 0751);
	CHECK(chown(at("f"), 12, 34) == 0 && stat(at("f"), &st) == 0 && st.st_uid == 12 && st.st_gid == 34);
	CHECK(truncate(at("f"), 3) == 0);
	expect(at("f"), "con");
	int fd = open(at("f"), O_RDWR);
	CHECK(fd >= 0 && ftruncate(fd, 6) == 0 && fstat(fd, &st) == 0 && st.st_size == 6);
	char buffer[16];
	CHECK(pread(fd, buffer, 16, 0) == 6 && memcmp(buffer, "con\0\0\0", 6) == 0);
	CHECK(close(fd) == 0);
	struct timespec times[2] = { { 1000, 1 }, { 2000, 123456789 } };
	CHECK(utimensat(AT_FDCWD, at("f"), times, 0) == 0 && stat(at("f"), &st) == 0);
	CHECK(st.st_mtim.tv_sec == 2000 && st.st_mtim.tv_nsec == 123456789);
	CHECK(utimensat(AT_FDCWD, at("f"), NULL, 0) == 0);
	struct statfs fs;
	CHECK(statfs(at("f"), &fs) == 0 && fs.f_type == 0x65735546 && fs.f_blocks == 1000 && fs.f_bavail == 400 && fs.f_namelen == 99);
	CHECK(fs.f_bsize == 8192 && fs.f_frsize == 1024);
	/* xattrs */
	char value[64];
	CHECK(setxattr(at("f"), "user.color", "blue", 4, 0) == 0);
	CHECK(getxattr(at("f"), "user.color", value, sizeof value) == 4 && memcmp(value, "blue", 4) == 0);
	CHECK(getxattr(at("f"), "user.color", NULL, 0) == 4);
	FAILS(getxattr(at("f"), "user.color", value, 2), ERANGE);
	FAILS(getxattr(at("f"), "user.taste", value, sizeof value), ENODATA);
	CHECK(listxattr(at("f"), value, sizeof value) == 11 && strcmp(value, "user.color") == 0);
	CHECK(removexattr(at("f"), "user.color") == 0);
	FAILS(removexattr(at("f"), "user.color"), ENODATA);
	shared->missing[FUSE_GETXATTR] = 1;
	FAILS(getxattr(at("f"), "user.color", value, sizeof value), EOPNOTSUPP);
	/* asked once, and never again */
	uint64_t asked = shared->count[FUSE_GETXATTR];
	FAILS(getxattr(at("f"), "user.color", value, sizeof value), EOPNOTSUPP);
	CHECK(shared->count[FUSE_GETXATTR] == asked);
	stop_server();
}

static void timeouts(void)
{
	struct stat st;
	defaults();
	start_server(",default_permissions,allow_other");
	fill(at("f"), "x");
	CHECK(stat(at("f"), &st) == 0);
	uint64_t lookups = shared->count[FUSE_LOOKUP], getattrs = shared->count[FUSE_GETATTR];
	for (int i = 0; i < 10; i++)
		CHECK(stat(at("f"), &st) == 0);
	CHECK(shared->count[FUSE_LOOKUP] <= lookups + 1 && shared->count[FUSE_GETATTR] <= getattrs + 1);
	stop_server();
	/* Nothing may be believed */
	defaults();
	shared->entry_valid = shared->attr_valid = 0;
	start_server(",default_permissions,allow_other");
	fill(at("f"), "x");
	lookups = shared->count[FUSE_LOOKUP];
	for (int i = 0; i < 10; i++)
		CHECK(stat(at("f"), &st) == 0);
	CHECK(shared->count[FUSE_LOOKUP] == lookups + 10);
	CHECK(mkdir(at("d"), 0755) == 0 && mkdir(at("d/e"), 0755) == 0);
	fill(at("d/e/f"), "deep");
	expect(at("d/e/f"), "deep");
	CHECK(rename(at("d/e/f"), at("d/g")) == 0);
	expect(at("d/g"), "deep");
	CHECK(unlink(at("d/g")) == 0 && rmdir(at("d/e")) == 0 && rmdir(at("d")) == 0);
	stop_server();
}

static void contents(void)
{
	defaults();
	shared->init_flags = FUSE_ASYNC_READ | FUSE_MAX_PAGES;
	shared->max_pages = 64;
	start_server(",default_permissions,allow_other");
	size_t size = 3 << 20;
	char *out = malloc(size), *in = malloc(size);
	for (size_t i = 0; i < size; i++)
		out[i] = i * 2654435761u >> 13;
	int fd = open(at("big"), O_RDWR | O_CREAT, 0644);
	CHECK(fd >= 0);
	CHECK(write(fd, out, size) == (ssize_t)size);
	CHECK(shared->largest_write == 131072);
	CHECK(pread(fd, in, size, 0) == (ssize_t)size && memcmp(in, out, size) == 0);
	CHECK(lseek(fd, 0, SEEK_SET) == 0);
	for (size_t done = 0; done < size;) {
		ssize_t n = read(fd, in + done, 1000 + done % 5000);
		CHECK(n > 0);
		done += n;
	}
	CHECK(memcmp(in, out, size) == 0 && read(fd, in, 1) == 0);
	/* In the middle, over the end, far behind it */
	CHECK(pwrite(fd, "middle", 6, 5000) == 6 && pread(fd, in, 8, 4999) == 8 && memcmp(in + 1, "middle", 6) == 0 && in[0] == out[4999]);
	CHECK(pwrite(fd, "end", 3, size - 1) == 3 && lseek(fd, 0, SEEK_END) == (off_t)size + 2);
	CHECK(pwrite(fd, "far", 3, size + 100000) == 3 && pread(fd, in, 10, size + 50000) == 10 && memcmp(in, "\0\0\0\0\0\0\0\0\0\0", 10) == 0);
	CHECK(close(fd) == 0);
	/* O_APPEND */
	fd = open(at("log"), O_WRONLY | O_CREAT | O_APPEND, 0644);
	CHECK(write(fd, "one,", 4) == 4 && write(fd, "two,", 4) == 4);
	int other = open(at("log"), O_WRONLY | O_APPEND);
	CHECK(write(other, "three,", 6) == 6 && write(fd, "four", 4) == 4);
	CHECK(close(fd) == 0 && close(other) == 0);
	expect(at("log"), "one,two,three,four");
	/* O_TRUNC, with and without the server's help */
	fill(at("log"), "short");
	expect(at("log"), "short");
	/* unlinked while it is open */
	fd = open(at("log"), O_RDWR);
	CHECK(unlink(at("log")) == 0);
	struct stat st;
	CHECK(fstat(fd, &st) == 0 && st.st_nlink == 0);
	CHECK(pread(fd, in, 10, 0) == 5 && pwrite(fd, "S", 1, 0) == 1 && pread(fd, in, 10, 0) == 5 && in[0] == 'S');
	CHECK(fsync(fd) == 0 && fdatasync(fd) == 0);
	CHECK(close(fd) == 0);
	/* readv, writev, sendfile's like */
	fd = open(at("vectors"), O_RDWR | O_CREAT, 0644);
	struct iovec parts[3] = { { "ab", 2 }, { "cde", 3 }, { "f", 1 } };
	CHECK(writev(fd, parts, 3) == 6);
	int to = open(at("copy"), O_RDWR | O_CREAT, 0644);
	off_t from = 1, at_to = 0;
	CHECK(copy_file_range(fd, &from, to, &at_to, 4, 0) == 4 && shared->count[FUSE_COPY_FILE_RANGE] == 1);
	CHECK(pread(to, in, 10, 0) == 4 && memcmp(in, "bcde", 4) == 0);
	CHECK(fallocate(fd, 0, 0, 10000) == 0 && fstat(fd, &st) == 0 && st.st_size == 10000);
	FAILS(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096), EOPNOTSUPP);
	CHECK(lseek(fd, 5, SEEK_DATA) == 6 && lseek(fd, 5, SEEK_HOLE) == 10000);
	uint32_t value = 41;
	CHECK(ioctl(fd, _IOWR('T', 1, uint32_t), &value) == 7 && value == 42);
	CHECK(close(fd) == 0 && close(to) == 0);
	/* What the server says at the end */
	fd = open(at("refused"), O_RDWR | O_CREAT, 0644);
	FAILS(fsync(fd), EDQUOT);
	FAILS(close(fd), EDQUOT);
	FAILS(fcntl(fd, F_GETFD), EBADF);
	WAIT_FOR(shared->count[FUSE_RELEASE] == shared->count[FUSE_OPEN] + shared->count[FUSE_CREATE]);
	stop_server();
	free(in);
	free(out);
}

static void direct(void)
{
	defaults();
	shared->open_flags = FOPEN_DIRECT_IO;
	start_server(",default_permissions,allow_other");
	fill(at("f"), "direct");
	int fd = open(at("f"), O_RDWR);
	char buffer[100];
	uint64_t reads = shared->count[FUSE_READ];
	for (int i = 0; i < 5; i++)
		CHECK(pread(fd, buffer, 100, 0) == 6);
	CHECK(shared->count[FUSE_READ] == reads + 5);
	CHECK(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED && errno == ENODEV);
	CHECK(close(fd) == 0);
	shared->open_flags = FOPEN_KEEP_CACHE;
	fd = open(at("f"), O_RDONLY);
	CHECK(pread(fd, buffer, 100, 0) == 6);
	reads = shared->count[FUSE_READ];
	CHECK(close(fd) == 0);
	fd = open(at("f"), O_RDONLY);
	CHECK(pread(fd, buffer, 100, 0) == 6 && shared->count[FUSE_READ] == reads);
	CHECK(close(fd) == 0);
	stop_server();
}

static void spliced(void)
{
	defaults();
	shared->spliced = 1;
	start_server(",default_permissions,allow_other");
	char *out = malloc(200000), *in = malloc(200000);
	for (int i = 0; i < 200000; i++)
		out[i] = i * 40503u >> 7;
	int fd = open(at("f"), O_RDWR | O_CREAT, 0644);
	CHECK(fd >= 0 && write(fd, out, 100001) == 100001 && close(fd) == 0);
	fd = open(at("f"), O_RDONLY);
	CHECK(read(fd, in, 200000) == 100001 && memcmp(in, out, 100001) == 0 && close(fd) == 0);
	free(in);
	free(out);
	stop_server();
}

static void older_servers(void)
{
	defaults();
	shared->missing[FUSE_CREATE] = shared->missing[FUSE_FLUSH] = shared->missing[FUSE_ACCESS] = shared->missing[FUSE_FSYNC] = 1;
	shared->missing[FUSE_RENAME2] = shared->missing[FUSE_FALLOCATE] = shared->missing[FUSE_LSEEK] = 1;
	shared->missing[FUSE_COPY_FILE_RANGE] = shared->missing[FUSE_IOCTL] = 1;
	start_server("");
	int fd = open(at("f"), O_RDWR | O_CREAT | O_EXCL, 0640);
	CHECK(fd >= 0 && shared->count[FUSE_MKNOD] == 1 && shared->count[FUSE_OPEN] == 1);
	CHECK(write(fd, "abc", 3) == 3 && fsync(fd) == 0);
	FAILS(fallocate(fd, 0, 0, 100), EOPNOTSUPP);
	CHECK(lseek(fd, 1, SEEK_DATA) == 1 && lseek(fd, 1, SEEK_HOLE) == 3);
	uint32_t value = 1;
	FAILS(ioctl(fd, _IOWR('T', 1, uint32_t), &value), ENOTTY);
	CHECK(close(fd) == 0 && access(at("f"), R_OK) == 0);
	FAILS(renameat2(AT_FDCWD, at("f"), AT_FDCWD, at("g"), RENAME_EXCHANGE), ENOENT);
	expect(at("f"), "abc");
	CHECK(unlink(at("f")) == 0);
	stop_server();
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int list(const char *path, char ***names)
{
	int count = 0, room = 64;
	*names = malloc(room * sizeof **names);
	DIR *dir = opendir(path);
	CHECK(dir != NULL);
	for (struct dirent *d; (d = readdir(dir)) != NULL; count++) {
		if (count == room)
			*names = realloc(*names, (room *= 2) * sizeof **names);
		(*names)[count] = strdup(d->d_name);
	}
	CHECK(closedir(dir) == 0);
	qsort(*names, count, sizeof **names, by_name);
	return count;
}

static void listings(void)
{
	for (int round = 0; round < 3; round++) {
		char **names, name[32];
		defaults();
		if (round == 1)
			shared->init_flags = FUSE_DO_READDIRPLUS;
		if (round == 2)
			shared->big_offsets = 0x7000000000000000ull;
		start_server(",default_permissions,allow_other");
		for (int i = 0; i < 300; i++) {
			snprintf(name, sizeof name, "n%03d", i);
			CHECK(mknod(at(name), S_IFREG | 0600, 0) == 0);
		}
		shared->many = round == 1 ? 0 : 5000;
		int count = list(mountpoint, &names);
		CHECK(count == 300 + shared->many);
		CHECK(strcmp(names[count - 1], "n299") == 0 && strcmp(names[count - 300], "n000") == 0);
		if (round == 1) {
			uint64_t lookups = shared->count[FUSE_LOOKUP];
			struct stat st;
			for (int i = 0; i < 300; i++) {
				snprintf(name, sizeof name, "n%03d", i);
				CHECK(stat(at(name), &st) == 0);
			}
			CHECK(shared->count[FUSE_READDIRPLUS] > 0 && shared->count[FUSE_LOOKUP] <= lookups + 30);
		}
		DIR *dir = opendir(mountpoint);
		for (int i = 0; i < 10; i++)
			CHECK(readdir(dir) != NULL);
		long place = telldir(dir);
		char next[256];
		strcpy(next, readdir(dir)->d_name);
		for (int i = 0; i < 50; i++)
			CHECK(readdir(dir) != NULL);
		seekdir(dir, place);
		CHECK(strcmp(readdir(dir)->d_name, next) == 0);
		rewinddir(dir);
		CHECK(readdir(dir) != NULL);
		CHECK(fsync(dirfd(dir)) == 0);
		CHECK(closedir(dir) == 0);
		stop_server();
	}
}

static void mappings(void)
{
	defaults();
	start_server(",default_permissions,allow_other");
	size_t size = 300000;
	char *out = malloc(size);
	for (size_t i = 0; i < size; i++)
		out[i] = i * 40503u >> 7;
	int fd = open(at("mapped"), O_RDWR | O_CREAT, 0755);
	CHECK(write(fd, out, size) == (ssize_t)size);
	char *private = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	CHECK(private != MAP_FAILED && memcmp(private, out, size) == 0);
	private[10] = ~out[10];
	char c;
	CHECK(pread(fd, &c, 1, 10) == 1 && c == out[10]);
	char *seen = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	CHECK(seen != MAP_FAILED && memcmp(seen, out, size) == 0);
	CHECK(pwrite(fd, "written", 7, 100000) == 7 && memcmp(seen + 100000, "written", 7) == 0);
	CHECK(munmap(private, size) == 0);
	/* written through a mapping */
	char *shared_map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(shared_map != MAP_FAILED);
	memcpy(shared_map + 4090, "across pages", 12);
	char buffer[16];
	CHECK(pread(fd, buffer, 12, 4090) == 12 && memcmp(buffer, "across pages", 12) == 0);
	uint64_t writes = shared->count[FUSE_WRITE];
	CHECK(msync(shared_map, size, MS_SYNC) == 0);
	CHECK(shared->count[FUSE_WRITE] > writes);
	memcpy(shared_map + 50000, "at the end", 10);
	CHECK(munmap(shared_map, size) == 0 && munmap(seen, size) == 0 && close(fd) == 0);
	int direct = open(at("mapped"), O_RDONLY);
	CHECK(pread(direct, buffer, 12, 4090) == 12 && memcmp(buffer, "across pages", 12) == 0);
	CHECK(pread(direct, buffer, 10, 50000) == 10 && memcmp(buffer, "at the end", 10) == 0);
	CHECK(close(direct) == 0);
	free(out);
	stop_server();
}

static void programs(void)
{
	defaults();
	start_server(",default_permissions,allow_other");
	/* This program itself, from the server's memory */
	int from = open("/proc/self/exe", O_RDONLY), to = open(at("program"), O_WRONLY | O_CREAT, 0755);
	CHECK(from >= 0 && to >= 0);
	char buffer[65536];
	for (ssize_t n; (n = read(from, buffer, sizeof buffer)) > 0;)
		CHECK(write(to, buffer, n) == n);
	CHECK(close(to) == 0 && close(from) == 0);
	fill(at("script"), "#!/bin/sh\nexit 42\n");
	FAILS(execl(at("script"), "script", NULL), EACCES);
	CHECK(chmod(at("script"), 0755) == 0);
	int status;
	for (int i = 0; i < 2; i++) {
		pid_t pid = fork();
		if (pid == 0) {
			if (i == 0)
				execl(at("program"), "program", "--exit", NULL);
			else
				execl(at("script"), "script", NULL);
			_exit(99);
		}
		CHECK(waitpid(pid, &status, 0) == pid);
		CHECK(WIFEXITED(status) && WEXITSTATUS(status) == (i == 0 ? 17 : 42));
	}
	stop_server();
}

static void permissions(void)
{
	defaults();
	start_server("");
	fill(at("mine"), "m");
	CHECK(shared->last_uid == 0 && shared->last_pid == (unsigned)getpid());
	umask(027);
	CHECK(mkdir(at("masked"), 0777) == 0);
	struct stat st;
	CHECK(stat(at("masked"), &st) == 0 && (st.st_mode & 07777) == 0750);
	umask(022);
	/* Nobody else, without allow_other */
	pid_t pid = fork();
	if (pid == 0) {
		CHECK(setresgid(1234, 1234, 1234) == 0 && setresuid(1234, 1234, 1234) == 0);
		FAILS(open(at("mine"), O_RDONLY), EACCES);
		FAILS(mkdir(at("d"), 0700), EACCES);
		FAILS(access(at("mine"), R_OK), EACCES);
		_exit(0);
	}
	int status;
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	CHECK(access(at("mine"), R_OK) == 0 && shared->count[FUSE_ACCESS] >= 1);
	CHECK(mkdir(at("refused"), 0755) == 0);
	FAILS(access(at("refused"), R_OK), EACCES);
	FAILS(chdir(at("refused")), EACCES);
	stop_server();
	/* By modes */
	defaults();
	start_server(",default_permissions,allow_other");
	fill(at("mine"), "m");
	CHECK(chmod(at("mine"), 0600) == 0);
	fill(at("all"), "a");
	pid = fork();
	if (pid == 0) {
		CHECK(setresgid(1234, 1234, 1234) == 0 && setresuid(1234, 1234, 1234) == 0);
		FAILS(open(at("mine"), O_RDONLY), EACCES);
		expect(at("all"), "a");
		CHECK(shared->last_uid == 1234);
		FAILS(chmod(at("all"), 0777), EPERM);
		FAILS(unlink(at("all")), EACCES);
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	CHECK(shared->count[FUSE_ACCESS] == 0);
	stop_server();
}

static void locked(void)
{
	/* The server leaves locks to the kernel */
	defaults();
	start_server(",default_permissions,allow_other");
	fill(at("f"), "content");
	int a = open(at("f"), O_RDWR), b = open(at("f"), O_RDWR);
	CHECK(flock(a, LOCK_EX) == 0);
	FAILS(flock(b, LOCK_EX | LOCK_NB), EWOULDBLOCK);
	CHECK(flock(a, LOCK_UN) == 0 && flock(b, LOCK_EX | LOCK_NB) == 0);
	CHECK(close(a) == 0 && close(b) == 0 && shared->count[FUSE_SETLK] == 0);
	stop_server();
	/* It keeps them itself */
	defaults();
	shared->init_flags = FUSE_POSIX_LOCKS | FUSE_FLOCK_LOCKS;
	start_server(",default_permissions,allow_other");
	fill(at("f"), "content");
	a = open(at("f"), O_RDWR), b = open(at("f"), O_RDWR);
	CHECK(flock(a, LOCK_EX | LOCK_NB) == 0 && shared->lock_owner != 0);
	FAILS(flock(b, LOCK_EX | LOCK_NB), EWOULDBLOCK);
	CHECK(flock(a, LOCK_UN) == 0 && shared->lock_owner == 0);
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 5, .l_len = 10 };
	CHECK(fcntl(a, F_SETLK, &lock) == 0);
	pid_t pid = fork();
	if (pid == 0) {
		FAILS(fcntl(b, F_SETLK, &lock), EAGAIN);
		CHECK(fcntl(b, F_GETLK, &lock) == 0);
		_exit(lock.l_type == F_WRLCK && lock.l_start == 10 && lock.l_len == 10 ? 0 : 6);
	}
	int status;
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	lock.l_type = F_UNLCK;
	CHECK(fcntl(a, F_SETLK, &lock) == 0 && shared->lock_owner == 0);
	CHECK(close(a) == 0 && close(b) == 0);
	stop_server();
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "--exit") == 0)
		return 17;
	become_mounter();
	PART(device_alone);
	PART(names);
	PART(attributes);
	PART(timeouts);
	PART(contents);
	PART(direct);
	PART(spliced);
	PART(older_servers);
	PART(ends);
	PART(listings);
	PART(mappings);
	PART(programs);
	PART(permissions);
	PART(locked);
	return 0;
}
