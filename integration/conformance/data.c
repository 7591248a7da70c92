/* Random reads, writes, sizes and transfers on a few files: every answer, and what the files hold in the end. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define FILES 3
#define LARGEST 200000

static unsigned long long state;
static unsigned next(unsigned limit)
{
	state = state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (unsigned)(state >> 33) % limit;
}

static unsigned char buffer[LARGEST];

static unsigned hash(const unsigned char *p, long n)
{
	unsigned h = 2166136261u;
	for (long i = 0; i < n; i++)
		h = (h ^ p[i]) * 16777619u;
	return h;
}

/* Small and large, at the edges of pages and beyond the size that memory alone holds. */
static long some(void)
{
	static const long edges[] = { 0, 1, 4095, 4096, 4097, 65535, 65536, 65537 };
	return next(3) ? edges[next(8)] : next(next(2) ? 300 : 150000);
}

static void fill(long n)
{
	unsigned char c = next(256);
	for (long i = 0; i < n; i++)
		buffer[i] = c + i * 7;
}

static void tell(const char *what, long a, long b, long r)
{
	printf("%s %ld %ld = %ld %s\n", what, a, b, r, r < 0 ? strerrorname_np(errno) : "");
}

static void through_mapping(int fd)
{
	struct stat s;
	if (fstat(fd, &s) != 0 || s.st_size == 0)
		return;
	unsigned char *p = mmap(NULL, s.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED) {
		tell("mmap", s.st_size, 0, -1);
		return;
	}
	long at = next(s.st_size), n = next(s.st_size - at) + 1;
	memset(p + at, next(256), n > 5000 ? 5000 : n);
	printf("mmap %ld = %08x\n", (long)s.st_size, hash(p, s.st_size));
	munmap(p, s.st_size);
}

static void step(const int *fds)
{
	int a = fds[next(FILES)], b = fds[next(FILES)];
	long at = some(), n = some();
	off_t from = some(), to = some();
	int pipes[2];
	long r;
	unsigned what = next(16);
	if (a == b && (what == 11 || what == 14)) /* onto itself: depends on how much moves at once */
		return;
	switch (what) {
	case 0: case 1: case 2:
		fill(n);
		tell("pwrite", at, n, pwrite(a, buffer, n, at));
		break;
	case 3:
		fill(n);
		tell("write", 0, n, write(a, buffer, n));
		break;
	case 4: case 5:
		r = pread(a, buffer, n, at);
		printf("pread %ld %ld = %ld %08x\n", at, n, r, hash(buffer, r));
		break;
	case 6:
		r = read(a, buffer, n);
		printf("read %ld = %ld %08x\n", n, r, hash(buffer, r));
		break;
	case 7:
		tell("ftruncate", at, 0, ftruncate(a, at));
		break;
	case 8:
		tell("lseek", at, 0, lseek(a, at, next(3) ? SEEK_SET : SEEK_END));
		break;
	case 9:
		through_mapping(a);
		break;
	case 10:
		r = copy_file_range(a, &from, b, &to, n, 0);
		printf("copy %ld %ld %ld\n", r, (long)from, (long)to);
		break;
	case 11:
		r = sendfile(b, a, &from, n);
		printf("sendfile %ld %ld\n", r, (long)from);
		break;
	case 12:
		tell("allocate", at, n, fallocate(a, FALLOC_FL_KEEP_SIZE, at, n));
		tell("extend", at, n, fallocate(a, 0, at, n));
		break;
	case 13:
		tell("punch", at, n, fallocate(a, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, at, n));
		break;
	case 14:
		if (pipe(pipes) != 0)
			abort();
		r = splice(a, &from, pipes[1], NULL, n > 4096 ? 4096 : n, 0);
		printf("splice in %ld %ld\n", r, (long)from);
		if (r > 0)
			printf("splice out %ld %ld\n", (long)splice(pipes[0], NULL, b, &to, r, 0), (long)to);
		close(pipes[0]);
		close(pipes[1]);
		break;
	case 15: {
		fill(n);
		struct iovec parts[3] = { { buffer, n / 3 }, { buffer + n / 3, 0 }, { buffer + n / 3, n - n / 3 } };
		tell("pwritev", at, n, pwritev(a, parts, 3, at));
		break;
	}
	}
}

static void run(unsigned long long seed)
{
	state = seed;
	char base[] = "/tmp/data-test-XXXXXX";
	if (!mkdtemp(base) || chdir(base) != 0)
		abort();
	int fds[FILES];
	for (int i = 0; i < FILES; i++) {
		char name[2] = { 'a' + i, 0 };
		fds[i] = open(name, O_RDWR | O_CREAT | (i == 2 ? O_APPEND : 0), 0600);
	}
	printf("== seed %llu\n", seed);
	for (int i = 0; i < 150; i++)
		step(fds);
	for (int i = 0; i < FILES; i++) {
		char name[2] = { 'a' + i, 0 };
		long size = lseek(fds[i], 0, SEEK_END);
		unsigned h = 0;
		for (long at = 0, r; (r = pread(fds[i], buffer, sizeof buffer, at)) > 0; at += r)
			h = h * 31 + hash(buffer, r);
		printf("%s: %ld %08x\n", name, size, h);
		close(fds[i]);
		unlink(name);
	}
	if (rmdir(base) != 0)
		abort();
}

int main(int argc, char **argv)
{
	int seeds = argc > 1 ? atoi(argv[1]) : 10;
	for (int i = 1; i <= seeds; i++)
		run(i);
	return 0;
}
