/* page faults: what handlers learn, files that end early, stacks that grow, forms of mmap(2) and mremap(2) */
#include "check.h"
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif
#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif
enum { PAGE = 4096 };

static sigjmp_buf back;
static siginfo_t seen;
static volatile unsigned long error_code, trap_number, fault_address;

static void on_fault(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	seen = *info;
	error_code = ((ucontext_t *)context)->uc_mcontext.gregs[REG_ERR];
	trap_number = ((ucontext_t *)context)->uc_mcontext.gregs[REG_TRAPNO];
	fault_address = ((ucontext_t *)context)->uc_mcontext.gregs[REG_CR2];
	siglongjmp(back, 1);
}
static void catch_faults(void)
{
	struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER };
	CHECK(sigaction(SIGSEGV, &action, NULL) == 0 && sigaction(SIGBUS, &action, NULL) == 0);
}
#define FAULTS(access, signal, code, where, wants)                                                                \
	do {                                                                                                      \
		if (sigsetjmp(back, 1) == 0) {                                                                    \
			access;                                                                                   \
			CHECK(!"no fault: " #access);                                                             \
		}                                                                                                 \
		CHECK(seen.si_signo == (signal) && seen.si_code == (code) && seen.si_addr == (void *)(where));    \
		CHECK(fault_address == (unsigned long)(where) && trap_number == 14 && (error_code & (wants)) == (wants)); \
	} while (0)

static void *pages(int count, int prot)
{
	void *area = mmap(NULL, count * PAGE, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(area != MAP_FAILED);
	return area;
}

static void handlers_learn_what_was_tried(void)
{
	catch_faults();
	volatile char *area = pages(3, PROT_READ);
	FAULTS(area[5] = 1, SIGSEGV, SEGV_ACCERR, area + 5, 6); /* user, write */
	CHECK(munmap((void *)(area + PAGE), PAGE) == 0);
	FAULTS((void)area[PAGE + 7], SIGSEGV, SEGV_MAPERR, area + PAGE + 7, 4); /* user, read */
	/* whether it was a write to where nothing is cannot be learnt by a tracer, so not on every platform */
	FAULTS(area[PAGE + 7] = 1, SIGSEGV, SEGV_MAPERR, area + PAGE + 7, 4);
	CHECK(mprotect((void *)area, PAGE, PROT_NONE) == 0);
	FAULTS((void)area[0], SIGSEGV, SEGV_ACCERR, area, 4);
	FAULTS(((void (*)(void))(area + 2 * PAGE))(), SIGSEGV, SEGV_ACCERR, area + 2 * PAGE, 4); /* fetch */
}

static int file(size_t size)
{
	char name[] = "/tmp/faultsXXXXXX";
	int fd = mkstemp(name);
	CHECK(fd >= 0 && unlink(name) == 0 && ftruncate(fd, size) == 0);
	return fd;
}

static void files_end(void)
{
	catch_faults();
	int fd = file(PAGE + 100);
	volatile char *shared = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	volatile char *private = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	CHECK(shared != MAP_FAILED && private != MAP_FAILED);
	shared[PAGE + 200] = 1; /* the rest of the last page is there */
	FAULTS((void)shared[2 * PAGE], SIGBUS, BUS_ADRERR, shared + 2 * PAGE, 4);
	FAULTS(shared[2 * PAGE + 9] = 1, SIGBUS, BUS_ADRERR, shared + 2 * PAGE + 9, 4);
	FAULTS(private[2 * PAGE] = 1, SIGBUS, BUS_ADRERR, private + 2 * PAGE, 4);
	CHECK(ftruncate(fd, 3 * PAGE) == 0);
	shared[2 * PAGE] = 7;
	CHECK(private[2 * PAGE] == 7);
	CHECK(ftruncate(fd, 10) == 0);
	FAULTS((void)shared[PAGE], SIGBUS, BUS_ADRERR, shared + PAGE, 4);
	/* and the kernel's own accesses say EFAULT */
	FAILS(write(fd, (void *)(shared + PAGE), 1), EFAULT);
	CHECK(ftruncate(fd, PAGE) == 0 && shared[50] == 0);
}

static void remapping(void)
{
	char *area = pages(4, PROT_READ | PROT_WRITE);
	memset(area, 1, 4 * PAGE);
	FAILS(mremap(area + 1, PAGE, PAGE, 0), EINVAL);
	FAILS(mremap(area, PAGE, 0, 0), EINVAL);
	FAILS(mremap(area, PAGE, PAGE, MREMAP_FIXED, area), EINVAL);
	FAILS(mremap(area, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, area), EINVAL);
	FAILS(mremap(area, PAGE, PAGE, 0x80), EINVAL);
	FAILS(mremap(area, 4 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP), EINVAL);
	FAILS(mremap((void *)0x10000, PAGE, PAGE, MREMAP_MAYMOVE), EFAULT);
	CHECK(mremap(area, 4 * PAGE, 2 * PAGE, 0) == area); /* shrinks in place */
	char *beside = mmap(area + 2 * PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	CHECK(beside == area + 2 * PAGE);
	FAILS(mremap(area, 2 * PAGE, 3 * PAGE, 0), ENOMEM); /* no room */
	char *moved = mremap(area, 2 * PAGE, 3 * PAGE, MREMAP_MAYMOVE);
	CHECK(moved != MAP_FAILED && moved != area && moved[0] == 1 && moved[2 * PAGE] == 0);
	/* the source stays, empty */
	moved[0] = 9;
	char *copy = mremap(moved, 3 * PAGE, 3 * PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);
	CHECK(copy != MAP_FAILED && copy != moved && copy[0] == 9 && moved[0] == 0);
	moved[0] = 5;
	CHECK(copy[0] == 9);
	/* the same for files */
	int fd = file(2 * PAGE);
	char *mapped = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(mapped != MAP_FAILED);
	mapped[0] = 3;
	copy = mremap(mapped, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);
	CHECK(copy != MAP_FAILED && copy[0] == 3 && mapped[0] == 3);
	mapped[1] = 4;
	CHECK(copy[1] == 4);
	/* an old size of 0: another mapping of what is shared */
	char *twin = mremap(mapped, 0, PAGE, MREMAP_MAYMOVE);
	CHECK(twin != MAP_FAILED && twin[1] == 4);
	twin[2] = 6;
	CHECK(mapped[2] == 6);
	FAILS(mremap(moved, 0, PAGE, MREMAP_MAYMOVE), EINVAL);
	/* to a place of choice, over what is there */
	char *place = pages(2, PROT_NONE);
	CHECK(mremap(twin, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, place) == place && place[2] == 6);
}

static void fixed_places(void)
{
	char *area = pages(4, PROT_READ);
	CHECK(mmap(area, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == MAP_FAILED && errno == EEXIST);
	CHECK(mmap(area + 1, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED && errno == EINVAL);
	CHECK(munmap(area + PAGE, PAGE) == 0);
	CHECK(mmap(area + PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == area + PAGE);
	CHECK(mmap(area, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED && errno == EINVAL);
	CHECK(mmap(area, PAGE, PROT_READ, MAP_ANONYMOUS, -1, 0) == MAP_FAILED && errno == EINVAL);
	CHECK(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, -1, 0) == MAP_FAILED && errno == EBADF);
	CHECK(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
	void *low = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	CHECK(low != MAP_FAILED && (unsigned long)low < 0x80000000ul);
}

static char *deep(int levels)
{
	volatile char frame[PAGE];
	frame[0] = levels;
	return levels == 0 ? (char *)frame : deep(levels - 1) + (frame[0] - levels);
}
static void stacks(void)
{
	char here;
	/* a few megabytes down */
	CHECK(&here - deep(1000) >= 1000 * PAGE);
	/* MAP_GROWSDOWN: the pages below come by themselves, but not into another mapping */
	char *area = mmap(NULL, 512 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(area != MAP_FAILED && munmap(area, 512 * PAGE) == 0);
	char *stack = mmap(area + 510 * PAGE, PAGE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_STACK | MAP_FIXED_NOREPLACE, -1, 0);
	CHECK(stack == area + 510 * PAGE);
	stack[0] = 1;
	for (int i = 1; i <= 20; i++)
		((volatile char *)stack)[-i * PAGE] = i;
	CHECK(stack[-20 * PAGE] == 20 && stack[-10 * PAGE] == 10);
}
static void a_stack_has_an_end(void)
{
	struct rlimit limit = { 1 << 20, 1 << 20 };
	pid_t pid = fork();
	if (pid == 0) {
		CHECK(setrlimit(RLIMIT_STACK, &limit) == 0);
		execl("/proc/self/exe", "faults", "overflow", NULL);
		_exit(1);
	}
	int status;
	CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

static void residence_and_advice(void)
{
	char *area = pages(4, PROT_READ | PROT_WRITE);
	unsigned char vector[4] = { 9, 9, 9, 9 };
	memset(area, 1, 4 * PAGE);
	CHECK(mincore(area, 4 * PAGE, vector) == 0 && (vector[0] & 1) == 1 && (vector[3] & 1) == 1);
	FAILS(mincore(area + 1, PAGE, vector), EINVAL);
	CHECK(munmap(area + 2 * PAGE, PAGE) == 0);
	FAILS(mincore(area, 4 * PAGE, vector), ENOMEM);
	FAILS(mincore(area, PAGE, (void *)16), EFAULT);
	CHECK(madvise(area, 2 * PAGE, MADV_DONTNEED) == 0 && area[0] == 0);
	FAILS(madvise(area, 4 * PAGE, MADV_DONTNEED), ENOMEM);
	FAILS(madvise(area + 1, PAGE, MADV_NORMAL), EINVAL);
	FAILS(madvise(area, PAGE, 12345), EINVAL);
	CHECK(madvise(area, PAGE, MADV_HUGEPAGE) == 0 || errno == EINVAL);
	CHECK(madvise(area, 0, MADV_DONTNEED) == 0);
	area[0] = 1;
	CHECK(madvise(area, PAGE, MADV_WIPEONFORK) == 0);
	pid_t pid = fork();
	if (pid == 0)
		_exit(area[0] == 0 ? 0 : 1);
	int status;
	CHECK(waitpid(pid, &status, 0) == pid && status == 0 && area[0] == 1);
	FAILS(msync(area + 1, PAGE, MS_SYNC), EINVAL);
	FAILS(msync(area, PAGE, MS_SYNC | MS_ASYNC), EINVAL);
	FAILS(msync(area, 4 * PAGE, MS_SYNC), ENOMEM);
	CHECK(mlock(area, PAGE) == 0);
	FAILS(msync(area, PAGE, MS_INVALIDATE), EBUSY);
	FAILS(madvise(area, PAGE, MADV_DONTNEED), EINVAL);
	CHECK(munlock(area, PAGE) == 0);
}

static void seals(void)
{
	int fd = memfd_create("seals", MFD_ALLOW_SEALING);
	CHECK(fd >= 0 && ftruncate(fd, PAGE) == 0 && fcntl(fd, F_GET_SEALS) == 0);
	char *area = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(area != MAP_FAILED);
	FAILS(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), EBUSY); /* somebody may write */
	CHECK(munmap(area, PAGE) == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_WRITE) == 0);
	FAILS(write(fd, "x", 1), EPERM);
	FAILS(ftruncate(fd, 2 * PAGE), EPERM);
	CHECK(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED && errno == EPERM);
	area = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0);
	CHECK(area != MAP_FAILED && mprotect(area, PAGE, PROT_READ | PROT_WRITE) == 0);
	area[0] = 1; /* its own copy */
	CHECK(fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL) == 0);
	FAILS(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), EPERM);
	CHECK(fcntl(fd, F_GET_SEALS) == (F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL));
	int plain = memfd_create("plain", 0);
	FAILS(fcntl(plain, F_ADD_SEALS, F_SEAL_WRITE), EPERM);
}

static void files_about_processes(void)
{
	char text[4096];
	const char *names[] = { "io", "pagemap", "smaps", "smaps_rollup", "statm", "timers", "limits", "maps", "numa_maps", "wchan", "clear_refs" };
	for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
		char path[64];
		snprintf(path, sizeof path, "/proc/self/%s", names[i]);
		CHECK(access(path, F_OK) == 0);
		int fd = open(path, strcmp(names[i], "clear_refs") == 0 ? O_WRONLY : O_RDONLY);
		CHECK(fd >= 0);
		close(fd);
	}
	int fd = open("/proc/self/io", O_RDONLY);
	ssize_t n = read(fd, text, sizeof text - 1);
	CHECK(n > 0);
	text[n] = 0;
	long before, after, calls;
	CHECK(sscanf(strstr(text, "wchar:"), "wchar: %ld", &before) == 1 && sscanf(strstr(text, "syscw:"), "syscw: %ld", &calls) == 1);
	int null = open("/dev/null", O_WRONLY);
	for (int i = 0; i < 10; i++)
		CHECK(write(null, text, 1000) == 1000);
	CHECK(lseek(fd, 0, SEEK_SET) == 0);
	n = read(fd, text, sizeof text - 1);
	text[n] = 0;
	CHECK(sscanf(strstr(text, "wchar:"), "wchar: %ld", &after) == 1 && after - before == 10000);
	CHECK(sscanf(strstr(text, "syscw:"), "syscw: %ld", &after) == 1 && after - calls == 10);
	/* pagemap: bit 63 says that a page is there */
	fd = open("/proc/self/pagemap", O_RDONLY);
	char *area = pages(2, PROT_READ | PROT_WRITE);
	area[0] = 1;
	uint64_t entry[2];
	CHECK(pread(fd, entry, 16, (off_t)((unsigned long)area / PAGE * 8)) == 16);
	CHECK(entry[0] >> 63 == 1);
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "overflow") == 0)
		return deep(100000) == NULL;
	PART(handlers_learn_what_was_tried);
	PART(files_end);
	PART(remapping);
	PART(fixed_places);
	PART(stacks);
	PART(a_stack_has_an_end);
	PART(residence_and_advice);
	PART(seals);
	PART(files_about_processes);
	return 0;
}
