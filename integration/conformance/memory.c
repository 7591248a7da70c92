/* mmap, munmap, mprotect, mremap, madvise, brk, msync, mincore */
#include "check.h"
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define PAGE 4096L

static sigjmp_buf escape;
static volatile int caught_signal, caught_code;
static void *volatile caught_address;

static void on_fault(int signal, siginfo_t *info, void *context)
{
	(void)context;
	caught_signal = signal;
	caught_code = info->si_code;
	caught_address = info->si_addr;
	siglongjmp(escape, 1);
}

static void catch_faults(void)
{
	struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };
	CHECK(sigaction(SIGSEGV, &action, NULL) == 0 && sigaction(SIGBUS, &action, NULL) == 0);
}

/* The signal that touching the byte raises, 0 for none. */
static int touch(volatile char *address, int write)
{
	caught_signal = 0;
	if (sigsetjmp(escape, 1) == 0) {
		if (write)
			*address = 1;
		else
			(void)*address;
	}
	return caught_signal;
}

static char *map(long pages, int prot, int flags)
{
	char *p = mmap(NULL, pages * PAGE, prot, flags, -1, 0);
	CHECK(p != MAP_FAILED);
	return p;
}

static void anonymous_is_zero_and_protected(void)
{
	catch_faults();
	char *p = map(4, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
	for (long i = 0; i < 4 * PAGE; i++)
		CHECK(p[i] == 0);
	memset(p, 1, 4 * PAGE);
	CHECK(mprotect(p + PAGE, PAGE, PROT_READ) == 0);
	CHECK(touch(p + PAGE, 0) == 0);
	CHECK(touch(p + PAGE + 5, 1) == SIGSEGV && caught_code == SEGV_ACCERR && caught_address == p + PAGE + 5);
	CHECK(munmap(p + 2 * PAGE, PAGE) == 0);
	CHECK(touch(p + 2 * PAGE, 0) == SIGSEGV && caught_code == SEGV_MAPERR);
	CHECK(touch(p + 3 * PAGE, 1) == 0 && p[0] == 1);
	FAILS(mprotect(p, 4 * PAGE, PROT_READ), ENOMEM);
	CHECK(munmap(p, 4 * PAGE) == 0 && munmap(p, 4 * PAGE) == 0);
}

static void bad_arguments(void)
{
	char *p = map(1, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS);
	FAILS(mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), EINVAL);
	FAILS(mmap(NULL, PAGE, PROT_READ, MAP_ANONYMOUS, -1, 0), EINVAL);
	FAILS(mmap(p + 1, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0), EINVAL);
	FAILS(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, -1, 0), EBADF);
	FAILS(mmap(p, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0), EEXIST);
	FAILS(munmap(p + 1, PAGE), EINVAL);
	FAILS(mprotect(p + 1, PAGE, PROT_READ), EINVAL);
	FAILS(mremap(p + 1, PAGE, 2 * PAGE, MREMAP_MAYMOVE), EINVAL);
	FAILS(madvise(p, PAGE, 12345), EINVAL);
	FAILS(mmap(NULL, 1L << 50, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), ENOMEM);
}

static int temporary(long size)
{
	char name[] = "/tmp/memory-test-XXXXXX";
	int fd = mkstemp(name);
	CHECK(fd >= 0 && unlink(name) == 0 && ftruncate(fd, size) == 0);
	return fd;
}

static void shared_file_is_coherent(void)
{
	catch_faults();
	int fd = temporary(2 * PAGE);
	char *p = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	char *q = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, PAGE);
	CHECK(p != MAP_FAILED && q != MAP_FAILED);
	memcpy(p + PAGE, "written", 8);
	char text[8];
	CHECK(pread(fd, text, 8, PAGE) == 8 && strcmp(text, "written") == 0 && strcmp(q, "written") == 0);
	CHECK(pwrite(fd, "again", 6, PAGE) == 6 && strcmp(p + PAGE, "again") == 0);
	CHECK(touch(p + 2 * PAGE, 0) == SIGBUS && caught_code == BUS_ADRERR);
	CHECK(ftruncate(fd, 3 * PAGE) == 0 && touch(p + 2 * PAGE, 1) == 0);
	CHECK(msync(p, 3 * PAGE, MS_SYNC) == 0);
	pid_t pid = fork();
	if (pid == 0) {
		strcpy(p, "child");
		_exit(0);
	}
	int status;
	CHECK(waitpid(pid, &status, 0) == pid && strcmp(p, "child") == 0);
	CHECK(close(fd) == 0 && strcmp(p, "child") == 0);
}

static void private_file_stays_private(void)
{
	int fd = temporary(PAGE);
	CHECK(pwrite(fd, "file", 5, 0) == 5);
	char *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	CHECK(p != MAP_FAILED && strcmp(p, "file") == 0);
	strcpy(p, "mine");
	char text[5];
	CHECK(pread(fd, text, 5, 0) == 5 && strcmp(text, "file") == 0);
}

static void read_only_files_stay_so(void)
{
	char name[] = "/tmp/memory-test-XXXXXX";
	int fd = mkstemp(name);
	CHECK(fd >= 0 && ftruncate(fd, PAGE) == 0);
	int read_only = open(name, O_RDONLY);
	CHECK(read_only >= 0 && unlink(name) == 0);
	FAILS(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, read_only, 0), EACCES);
	char *p = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, read_only, 0);
	CHECK(p != MAP_FAILED);
	FAILS(mprotect(p, PAGE, PROT_READ | PROT_WRITE), EACCES);
}

static void mremap_grows_moves_shrinks(void)
{
	catch_faults();
	char *p = map(2, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
	strcpy(p, "first");
	strcpy(p + PAGE, "second");
	char *barrier = mmap(p + 2 * PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(barrier != MAP_FAILED);
	if (barrier == p + 2 * PAGE)
		FAILS(mremap(p, 2 * PAGE, 8 * PAGE, 0), ENOMEM);
	char *q = mremap(p, 2 * PAGE, 8 * PAGE, MREMAP_MAYMOVE);
	CHECK(q != MAP_FAILED && strcmp(q, "first") == 0 && strcmp(q + PAGE, "second") == 0 && q[7 * PAGE] == 0);
	if (q != p)
		CHECK(touch(p, 0) == SIGSEGV);
	CHECK(mremap(q, 8 * PAGE, PAGE, 0) == q && touch(q + PAGE, 0) == SIGSEGV && strcmp(q, "first") == 0);
	char *target = map(4, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS);
	CHECK(mremap(q, PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, target) == target);
	CHECK(strcmp(target, "first") == 0 && touch(q, 0) == SIGSEGV);
	FAILS(mremap(q, PAGE, 2 * PAGE, MREMAP_MAYMOVE), EFAULT);
}

static void madvise_dontneed_zeroes(void)
{
	char *p = map(2, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
	memset(p, 5, 2 * PAGE);
	CHECK(madvise(p, PAGE, MADV_DONTNEED) == 0 && p[0] == 0 && p[PAGE] == 5);
	unsigned char resident[2];
	CHECK(mincore(p, 2 * PAGE, resident) == 0);
	CHECK(munmap(p, 2 * PAGE) == 0);
	FAILS(madvise(p, PAGE, MADV_DONTNEED), ENOMEM);
	FAILS(mincore(p, PAGE, resident), ENOMEM);
}

static void heap_grows_and_shrinks(void)
{
	catch_faults();
	char *start = sbrk(0);
	CHECK(sbrk(10 * PAGE) == start);
	memset(start, 3, 10 * PAGE);
	CHECK(brk(start + PAGE) == 0 && sbrk(0) == start + PAGE);
	CHECK(touch(start + 5 * PAGE, 0) == SIGSEGV);
	CHECK(brk(start + 10 * PAGE) == 0 && start[5 * PAGE] == 0);
}

static void address_space_limit(void)
{
	struct rlimit limit = { 1L << 30, 1L << 30 };
	CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
	FAILS(mmap(NULL, 2L << 30, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), ENOMEM);
	CHECK(mmap(NULL, 1L << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
}

static void code_can_be_generated(void)
{
	unsigned char *p = (unsigned char *)map(1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
	static const unsigned char code[] = { 0xb8, 0x2a, 0, 0, 0, 0xc3 }; /* mov $42, %eax; ret */
	memcpy(p, code, sizeof code);
	CHECK(mprotect(p, PAGE, PROT_READ | PROT_EXEC) == 0);
	CHECK(((int (*)(void))p)() == 42);
}

static void deep_stack(void)
{
	volatile char frame[4 << 20];
	frame[0] = 1;
	frame[sizeof frame - 1] = 1;
	CHECK(frame[0] == 1);
}

static void a_cut_file_takes_private_copies_along(void)
{
	int fd = temporary(2 * PAGE);
	char *p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	CHECK(p != MAP_FAILED);
	memset(p, 'm', 2 * PAGE);
	CHECK(ftruncate(fd, PAGE) == 0 && ftruncate(fd, 2 * PAGE) == 0);
	CHECK(p[0] == 'm' && p[PAGE - 1] == 'm' && p[PAGE] == 0 && p[2 * PAGE - 1] == 0);
	munmap(p, 2 * PAGE);
	close(fd);
}

static void many_mappings(void)
{
	char *pages[1000];
	for (int i = 0; i < 1000; i++) {
		pages[i] = map(1, i & 1 ? PROT_READ : PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
		if (!(i & 1))
			pages[i][0] = (char)i;
	}
	for (int i = 0; i < 1000; i += 2)
		CHECK(pages[i][0] == (char)i && munmap(pages[i], PAGE) == 0);
}

int main(void)
{
	PART(anonymous_is_zero_and_protected);
	PART(bad_arguments);
	PART(shared_file_is_coherent);
	PART(private_file_stays_private);
	PART(read_only_files_stay_so);
	PART(mremap_grows_moves_shrinks);
	PART(madvise_dontneed_zeroes);
	PART(heap_grows_and_shrinks);
	PART(address_space_limit);
	PART(code_can_be_generated);
	PART(deep_stack);
	PART(a_cut_file_takes_private_copies_along);
	PART(many_mappings);
	return 0;
}
