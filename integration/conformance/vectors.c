/*
 * Vector state: whatever the processor has of SSE, AVX and AVX-512 (32 registers of 64 bytes, 8 masks) survives system calls that stop the thread,
 * signal handlers that use all of it, moves between processors; a handler begins with the initial state, threads and forked children with
 * their creator's own.
 */
#include "check.h"

#include <cpuid.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>

struct state {
	uint8_t vectors[32][64];
	uint64_t masks[8];
} __attribute__((aligned(64)));

enum width { SSE, AVX, AVX512 };
static enum width width;

static enum width find_width(void)
{
	unsigned a, b, c, d, low, high;
	__cpuid(1, a, b, c, d);
	if (!(c & bit_OSXSAVE) || !(c & bit_AVX))
		return SSE;
	__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	if ((low & 6) != 6 || !__get_cpuid_count(7, 0, &a, &b, &c, &d))
		return SSE;
	return (low & 0xe6) == 0xe6 && (b & bit_AVX512F) && (b & bit_AVX512BW) ? AVX512 : AVX;
}

#define LOW_16(do) do(0) do(1) do(2) do(3) do(4) do(5) do(6) do(7) do(8) do(9) do(10) do(11) do(12) do(13) do(14) do(15)
#define HIGH_16(do) do(16) do(17) do(18) do(19) do(20) do(21) do(22) do(23) do(24) do(25) do(26) do(27) do(28) do(29) do(30) do(31)
#define MASKS(do) do(0) do(1) do(2) do(3) do(4) do(5) do(6) do(7)

#define LOAD_SSE(n) "movaps " #n "*64(%%rbx), %%xmm" #n "\n\t"
#define STORE_SSE(n) "movaps %%xmm" #n ", " #n "*64(%%rbx)\n\t"
#define LOAD_AVX(n) "vmovaps " #n "*64(%%rbx), %%ymm" #n "\n\t"
#define STORE_AVX(n) "vmovaps %%ymm" #n ", " #n "*64(%%rbx)\n\t"
#define LOAD_512(n) "vmovaps " #n "*64(%%rbx), %%zmm" #n "\n\t"
#define STORE_512(n) "vmovaps %%zmm" #n ", " #n "*64(%%rbx)\n\t"
#define LOAD_MASK(n) "kmovq 2048+" #n "*8(%%rbx), %%k" #n "\n\t"
#define STORE_MASK(n) "kmovq %%k" #n ", 2048+" #n "*8(%%rbx)\n\t"

/* What compiled code may have in use; the rest of the vectors it does not know. */
#define CLOBBERED "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15"

/*
 * Loads all registers, makes the call, stores them, in one piece: no compiler's code comes between. nr < 0: runs `-nr` times round a loop of
 * its own instead, so that a signal or a move meets it there.
 */
#define AROUND(load, store)                                                                                            \
	__asm__ volatile(load "mov %[nr], %%rax\n\t"                                                                  \
			      "test %%rax, %%rax\n\t"                                                                 \
			      "js 1f\n\t"                                                                             \
			      "syscall\n\t"                                                                           \
			      "jmp 2f\n\t"                                                                            \
			      "1: inc %%rax\n\t"                                                                      \
			      "jnz 1b\n\t"                                                                            \
			      "2:\n\t" store                                                                          \
			 : "=&a"(result), "+m"(*state)                                                                \
			 : [nr] "r"(nr), "b"(state), "D"(a), "S"(b), "d"(c)                                           \
			 : "rcx", "r11", CLOBBERED)

static long around(struct state *state, long nr, long a, long b, long c)
{
	long result;
	if (width == AVX512)
		AROUND(LOW_16(LOAD_512) HIGH_16(LOAD_512) MASKS(LOAD_MASK), LOW_16(STORE_512) HIGH_16(STORE_512) MASKS(STORE_MASK));
	else if (width == AVX)
		AROUND(LOW_16(LOAD_AVX), LOW_16(STORE_AVX));
	else
		AROUND(LOW_16(LOAD_SSE), LOW_16(STORE_SSE));
	return result;
}

static void fill(struct state *state, unsigned seed)
{
	uint8_t *bytes = (uint8_t *)state;
	for (size_t i = 0; i < sizeof *state; i++) {
		seed = seed * 1103515245 + 12345;
		bytes[i] = (uint8_t)(seed >> 16);
	}
}

/* Registers hold `seed`'s pattern before and after the call. */
static void survive(unsigned seed, long nr, long a, long b, long c)
{
	struct state state, expected;
	fill(&state, seed);
	expected = state;
	around(&state, nr, a, b, c);
	CHECK(memcmp(&state, &expected, sizeof state) == 0);
}

static volatile int handled;
static int initial;
static void clobbers(int signal)
{
	struct state state;
	(void)signal;
	memset(&state, 0, sizeof state);
	/* As the handler finds them: compiled code of ours has not used these. */
	struct state *found = &state;
	if (initial && width == AVX512) {
		__asm__ volatile(HIGH_16(STORE_512) MASKS(STORE_MASK) : : "b"(found) : "memory");
		for (size_t i = 16 * 64; i < sizeof state; i++)
			CHECK(((uint8_t *)found)[i] == 0);
	}
	handled++;
	survive(77u + (unsigned)handled, SYS_getppid, 0, 0, 0);
}

static void calls(void)
{
	char byte = 'x';
	int fds[2];
	struct timespec moment = { 0, 1000000 };
	CHECK(pipe(fds) == 0);
	for (unsigned i = 0; i < 200; i++) {
		survive(i, SYS_getppid, 0, 0, 0);
		survive(i + 1, SYS_write, fds[1], (long)&byte, 1);
		survive(i + 2, SYS_read, fds[0], (long)&byte, 1);
		survive(i + 3, SYS_getpid, 0, 0, 0);
	}
	survive(5, SYS_nanosleep, (long)&moment, 0, 0);
	survive(6, SYS_write, fds[1], 8, 1); /* EFAULT */
	survive(7, 9999, 0, 0, 0);
}

static void handlers(void)
{
	CHECK(signal(SIGUSR1, clobbers) != SIG_ERR);
	initial = 1;
	for (unsigned i = 0; i < 100; i++)
		survive(i, SYS_kill, getpid(), SIGUSR1, 0);
	CHECK(handled == 100);
}

/* Signals from outside, at any instruction. */
static void interruptions(void)
{
	CHECK(signal(SIGUSR1, clobbers) != SIG_ERR);
	pid_t target = getpid(), child = fork();
	if (child == 0) {
		struct timespec moment = { 0, 200000 };
		for (int i = 0; i < 60; i++) {
			kill(target, SIGUSR1);
			nanosleep(&moment, NULL);
		}
		_exit(0);
	}
	int status;
	unsigned seed = 0;
	while (waitpid(child, &status, WNOHANG) == 0)
		survive(++seed, -20000, 0, 0, 0);
	CHECK(status == 0 && handled > 0);
}

static void *thread(void *seed)
{
	for (unsigned i = 0; i < 100; i++) {
		survive((unsigned)(uintptr_t)seed + i, i % 3 == 0 ? SYS_sched_yield : SYS_getppid, 0, 0, 0);
		survive((unsigned)(uintptr_t)seed + i, -2000, 0, 0, 0);
	}
	return NULL;
}
static void threads(void)
{
	pthread_t all[4];
	for (uintptr_t i = 0; i < 4; i++)
		CHECK(pthread_create(&all[i], NULL, thread, (void *)(i * 1000)) == 0);
	for (int i = 0; i < 4; i++)
		CHECK(pthread_join(all[i], NULL) == 0);
}

/* Both sides of a fork go on with what there was. */
static void forks(void)
{
	for (unsigned i = 0; i < 10; i++) {
		struct state state, expected;
		int status;
		fill(&state, i);
		expected = state;
		long child = around(&state, SYS_fork, 0, 0, 0);
		CHECK(memcmp(&state, &expected, sizeof state) == 0);
		if (child == 0)
			_exit(0);
		CHECK(child > 0 && waitpid((pid_t)child, &status, 0) == child && status == 0);
	}
}

static void faults_handler(int signal, siginfo_t *info, void *context)
{
	(void)info;
	clobbers(signal);
	/* Over the two bytes of ud2. */
	((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP] += 2;
}
static void faults(void)
{
	struct sigaction action = { .sa_sigaction = faults_handler, .sa_flags = SA_SIGINFO };
	CHECK(sigaction(SIGILL, &action, NULL) == 0);
	for (unsigned i = 0; i < 20; i++) {
		struct state state, expected, *at = &state;
		fill(&state, i);
		expected = state;
		if (width == AVX512)
			__asm__ volatile(HIGH_16(LOAD_512) MASKS(LOAD_MASK) "ud2\n\t" HIGH_16(STORE_512) MASKS(STORE_MASK) : : "b"(at) : CLOBBERED);
		else if (width == AVX)
			__asm__ volatile(LOW_16(LOAD_AVX) "ud2\n\t" LOW_16(STORE_AVX) : : "b"(at) : CLOBBERED);
		else
			__asm__ volatile(LOW_16(LOAD_SSE) "ud2\n\t" LOW_16(STORE_SSE) : : "b"(at) : CLOBBERED);
		CHECK(memcmp(&state, &expected, sizeof state) == 0);
	}
	CHECK(handled == 20);
}

int main(void)
{
	width = find_width();
	PART(calls);
	PART(handlers);
	PART(interruptions);
	PART(threads);
	PART(forks);
	PART(faults);
	printf("ok width %d\n", (int)width);
	return 0;
}
