/* reads and writes of many sizes, with memory of many kinds, by threads and processes at once */
#include "check.h"
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <sys/wait.h>

#define PAGE 4096
#define LENGTH (3 << 20)

static char path[] = "/tmp/large-reads-XXXXXX";
static unsigned char still[LENGTH];
static unsigned char data_segment[1 << 20] = { 1 };

static unsigned char at(long offset)
{
	return (unsigned char)(offset * 7 + offset / PAGE);
}
static int filled(void)
{
	int fd = mkstemp(path);
	CHECK(fd >= 0 && unlink(path) == 0);
	memcpy(path + sizeof(path) - 7, "XXXXXX", 6);
	for (long i = 0; i < LENGTH; i++)
		still[i] = at(i);
	CHECK(write(fd, still, LENGTH) == LENGTH);
	memset(still, 0, LENGTH);
	return fd;
}
/* Whether exactly [0, length) is the file's from `offset` on; what is around it is 0. */
static void right(const unsigned char *p, long length, long offset)
{
	for (long i = 0; i < length; i++)
		if (p[i] != at(offset + i)) {
			fprintf(stderr, "byte %ld of %ld from %ld\n", i, length, offset);
			_exit(1);
		}
	CHECK(p[-1] == 0 && p[length] == 0);
}
static void read_all_ways(int fd, unsigned char *p, long room)
{
	static const long sizes[] = { 1, 511, 513, 1024, 1025, 4095, 4096, 10240, 65536, 131071, 262144, 1 << 20, (1 << 20) + 5000, 2 << 20 };
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		long size = sizes[i], offset = 12345 * i;
		if (size > room - 2)
			break;
		memset(p, 0, room);
		CHECK(pread(fd, p + 1, size, offset) == size);
		right(p + 1, size, offset);
		memset(p, 0, room);
		CHECK(lseek(fd, offset, SEEK_SET) == offset);
		struct iovec parts[3] = { { p + 1, size / 3 }, { p + 1 + size / 3, size / 3 }, { p + 1 + size / 3 * 2, size - size / 3 * 2 } };
		CHECK(readv(fd, parts, 3) == size && lseek(fd, 0, SEEK_CUR) == offset + size);
		right(p + 1, size, offset);
	}
	memset(p, 0, room);
	CHECK(pread(fd, p + 1, room - 2, LENGTH - 777) == 777);
	right(p + 1, 777, LENGTH - 777);
}

static void kinds_of_memory(void)
{
	int fd = filled();
	unsigned char *heap = malloc(LENGTH), on_stack[70000];
	read_all_ways(fd, heap, LENGTH);
	read_all_ways(fd, still, LENGTH);
	read_all_ways(fd, data_segment, sizeof(data_segment));
	read_all_ways(fd, on_stack, sizeof(on_stack));
	unsigned char *shared = mmap(NULL, LENGTH, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	read_all_ways(fd, shared, LENGTH);
	/* ranges that were mapped one by one */
	unsigned char *pieces = mmap(NULL, 1 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (long i = 0; i < 1 << 20; i += 8 * PAGE)
		CHECK(mprotect(pieces + i, 8 * PAGE, PROT_READ | PROT_WRITE | (i & (8 * PAGE) ? PROT_EXEC : 0)) == 0);
	read_all_ways(fd, pieces, 1 << 20);
	free(heap);
	close(fd);
}

static void where_memory_ends(void)
{
	int fd = filled();
	unsigned char *p = mmap(NULL, 64 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(mprotect(p + 32 * PAGE, PAGE, PROT_READ) == 0 && munmap(p + 48 * PAGE, PAGE) == 0);
	for (int round = 0; round < 8; round++) {
		printf("%zd ", pread(fd, p, 40 * PAGE, 0));
		printf("%zd ", pread(fd, p + 33 * PAGE, 20 * PAGE, 0));
		FAILS(pread(fd, p + 32 * PAGE, 2 * PAGE, 0), EFAULT);
		FAILS(pread(fd, p + 48 * PAGE, 2 * PAGE, 0), EFAULT);
		CHECK(lseek(fd, 0, SEEK_SET) == 0);
		printf("%zd ", read(fd, p + 30 * PAGE, 8 * PAGE));
		printf("%ld\n", (long)lseek(fd, 0, SEEK_CUR));
		fflush(stdout);
	}
	/* a private mapping of a file that is shorter */
	int small = filled();
	CHECK(ftruncate(small, 3 * PAGE) == 0);
	unsigned char *map = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, small, 0);
	printf("%zd\n", pread(fd, map, 16 * PAGE, 0));
	fflush(stdout);
	FAILS(pread(fd, map + 4 * PAGE, 8 * PAGE, 0), EFAULT);
	close(small);
	close(fd);
}

static void *reader(void *argument)
{
	int fd = (int)(intptr_t)argument;
	unsigned char *own = calloc(1, 300002);
	for (int i = 0; i < 60; i++) {
		long size = 2000 + 4999 * i;
		memset(own, 0, 300002);
		CHECK(pread(fd, own + 1, size, 1000 * i) == size);
		right(own + 1, size, 1000 * i);
	}
	free(own);
	return NULL;
}
static void *changer(void *argument)
{
	unsigned char *volatile *place = argument;
	for (int i = 0; i < 300; i++) {
		munmap(*place, 64 * PAGE);
		CHECK(mmap(*place, 64 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == *place);
	}
	return NULL;
}

static void threads_and_processes(void)
{
	int fd = filled();
	pthread_t threads[4];
	for (int i = 0; i < 4; i++)
		CHECK(pthread_create(&threads[i], NULL, reader, (void *)(intptr_t)fd) == 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	pid_t children[3];
	for (int i = 0; i < 3; i++) {
		children[i] = fork();
		if (children[i] == 0) {
			reader((void *)(intptr_t)fd);
			pid_t grandchild = fork();
			reader((void *)(intptr_t)fd);
			if (grandchild == 0)
				_exit(0);
			int status;
			CHECK(waitpid(grandchild, &status, 0) == grandchild && status == 0);
			_exit(0);
		}
	}
	reader((void *)(intptr_t)fd);
	for (int i = 0; i < 3; i++) {
		int status;
		CHECK(waitpid(children[i], &status, 0) == children[i] && status == 0);
	}
	/* the memory may go and come back meanwhile */
	unsigned char *place = mmap(NULL, 64 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pthread_t other;
	CHECK(pthread_create(&other, NULL, changer, &place) == 0);
	for (int i = 0; i < 300; i++) {
		ssize_t n = pread(fd, place, 64 * PAGE, 0);
		CHECK((n >= 0 && n <= 64 * PAGE) || (n == -1 && errno == EFAULT));
	}
	pthread_join(other, NULL);
	close(fd);
}

static void writes(void)
{
	static const long sizes[] = { 5000, 4097, 10240, 65536, 131071, 1 << 20, (1 << 20) + 1, 700001 };
	int fd = filled();
	unsigned char *p = malloc(LENGTH), *back = malloc(LENGTH);
	for (int round = 0; round < 24; round++) {
		long size = sizes[round % 8], offset = 1111 * round;
		for (long i = 0; i < size; i++)
			p[i] = (unsigned char)(i * 3 + round);
		CHECK(pwrite(fd, p, size, offset) == size);
		memset(back, 0, size);
		CHECK(pread(fd, back, size, offset) == size && memcmp(p, back, size) == 0);
	}
	/* where the memory ends */
	unsigned char *map = mmap(NULL, 64 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(mprotect(map + 32 * PAGE, PAGE, PROT_NONE) == 0);
	memset(map, 'x', 32 * PAGE);
	for (int round = 0; round < 6; round++) {
		printf("%zd ", pwrite(fd, map + 16 * PAGE, 32 * PAGE, 0));
		FAILS(pwrite(fd, map + 32 * PAGE, 2 * PAGE, 0), EFAULT);
		CHECK(pread(fd, back, 17 * PAGE, 0) == 17 * PAGE && memcmp(back, map, 16 * PAGE) == 0);
	}
	printf("\n");
	/* a limit cuts the write, whatever has been copied by then */
	struct rlimit limit = { 100000, RLIM_INFINITY };
	CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0 && ftruncate(fd, 0) == 0);
	printf("%zd\n", pwrite(fd, p, 300000, 1000));
	fflush(stdout);
	close(fd);
}

static void through_pipes(void)
{
	int fds[2];
	CHECK(pipe(fds) == 0);
	pid_t child = fork();
	if (child == 0) {
		unsigned char *all = malloc(LENGTH);
		for (long i = 0; i < LENGTH; i++)
			all[i] = at(i);
		for (long done = 0, size = 1; done < LENGTH; size = size * 3 % 100003 + 1) {
			ssize_t n = write(fds[1], all + done, done + size > LENGTH ? LENGTH - done : size);
			CHECK(n > 0);
			done += n;
		}
		_exit(0);
	}
	close(fds[1]);
	unsigned char *got = calloc(1, LENGTH + 2);
	for (long done = 0, size = 5000; done < LENGTH; size = size * 7 % 90001 + 1) {
		ssize_t n = read(fds[0], got + 1 + done, done + size > LENGTH ? LENGTH - done : size);
		CHECK(n > 0);
		done += n;
	}
	right(got + 1, LENGTH, 0);
	int status;
	CHECK(waitpid(child, &status, 0) == child && status == 0);
}

int main(void)
{
	PART(kinds_of_memory);
	PART(where_memory_ends);
	PART(threads_and_processes);
	PART(writes);
	PART(through_pipes);
	return 0;
}
