/* System calls that are made often enough to be made cheaper: nothing may change but their cost. */
#include "task_state.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>

#define OFTEN 400

static pid_t parent;

static void warm(void)
{
	for (int i = 0; i < OFTEN; i++)
		CHECK(getppid() == parent);
}

/* Callee-saved registers, arguments, flags and vector state across a call at a site that is frequent. */
static long getppid_checked(void)
{
	register long rax __asm__("rax");
	register long r8 __asm__("r8") = 0x8888, r9 __asm__("r9") = 0x9999, r10 __asm__("r10") = 0xaaaa;
	register long rdi __asm__("rdi") = 1, rsi __asm__("rsi") = 2, rdx __asm__("rdx") = 3;
	unsigned long before = 0x123456789abcdefUL, after = 0, flags = 0;
	__asm__ volatile("movq %[before], %%xmm7\n\t"
			 "movq %[before], -64(%%rsp)\n\t" /* the red zone */
			 "stc\n\t"
			 "mov $110, %%eax\n\t"
			 "syscall\n\t"
			 "movq -64(%%rsp), %[after]\n\t"
			 "pushfq\n\tpopq %[flags]\n\t"
			 "xor %[before], %[after]\n\t"
			 "movq %%xmm7, %%r11\n\t"
			 "xor %[before], %%r11\n\t"
			 "or %%r11, %[after]"
			 : "=r"(rax), "+r"(r8), "+r"(r9), "+r"(r10), "+r"(rdi), "+r"(rsi), "+r"(rdx), [after] "=&r"(after), [flags] "=&r"(flags)
			 : [before] "r"(before)
			 : "rcx", "r11", "memory", "xmm7", "cc");
	CHECK(r8 == 0x8888 && r9 == 0x9999 && r10 == 0xaaaa && rdi == 1 && rsi == 2 && rdx == 3 && after == 0 && (flags & 1) == 1);
	return rax;
}

static void registers(void)
{
	parent = getppid();
	for (int i = 0; i < OFTEN; i++)
		CHECK(getppid_checked() == parent);
	warm();
	unsigned long before = 0xfedcba987654321UL, after;
	__asm__ volatile("movq %0, %%xmm9" : : "r"(before) : "xmm9");
	CHECK(getppid() == parent);
	__asm__ volatile("movq %%xmm9, %0" : "=r"(after));
	CHECK(after == before);
}

static volatile int stop, handled, odd;

/* The instruction pointer that a handler sees lies in a file's code, never in something that the program did not map. */
static void on_alarm(int signal, siginfo_t *info, void *context)
{
	(void)signal, (void)info;
	unsigned long rip = (unsigned long)((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
	char line[256];
	int inside = 0;
	FILE *maps = fopen("/proc/self/maps", "r");
	while (maps != NULL && fgets(line, sizeof(line), maps) != NULL) {
		unsigned long start, end;
		if (sscanf(line, "%lx-%lx", &start, &end) == 2 && rip >= start && rip < end && (strchr(line, '/') != NULL || strstr(line, "[vdso]") != NULL))
			inside = 1;
	}
	if (maps != NULL)
		fclose(maps);
	odd += !inside;
	handled++;
}

static void signals_in_the_midst(void)
{
	parent = getppid();
	struct sigaction action = { .sa_sigaction = on_alarm, .sa_flags = SA_SIGINFO | SA_RESTART };
	CHECK(sigaction(SIGALRM, &action, NULL) == 0);
	struct itimerval every = { { 0, 1000 }, { 0, 1000 } };
	CHECK(setitimer(ITIMER_REAL, &every, NULL) == 0);
	while (handled < 60)
		warm();
	struct itimerval off = { 0 };
	CHECK(setitimer(ITIMER_REAL, &off, NULL) == 0);
	CHECK(odd == 0);
}

static volatile int counted;
static void count(int signal)
{
	(void)signal;
	counted++;
}

/* A signal comes at the end of the very call that sends it, and the call's result is right afterwards. */
static void signals_by_the_call(void)
{
	CHECK(signal(SIGUSR1, count) != SIG_ERR);
	pid_t self = getpid();
	for (int i = 0; i < OFTEN; i++)
		CHECK(kill(self, SIGUSR1) == 0 && counted == i + 1);
}

/* read(2) has less room at its site than others; and a lock's futex call has two instructions there. */
static int zeros, pipe_ends[2];
static void read_often(void)
{
	char bytes[4];
	for (int i = 0; i < OFTEN; i++) {
		memset(bytes, 'x', sizeof(bytes));
		CHECK(read(zeros, bytes, 3) == 3 && memcmp(bytes, "\0\0\0x", 4) == 0);
	}
}
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static long locked;
static void *read_in_thread(void *argument)
{
	(void)argument;
	while (!stop) {
		read_often();
		for (int i = 0; i < OFTEN; i++) {
			pthread_mutex_lock(&lock);
			locked++;
			pthread_mutex_unlock(&lock);
		}
	}
	return NULL;
}
static void *wait_and_write(void *argument)
{
	int before = counted;
	until_asleep(getpid(), getpid()); /* the first thread, in its read: it makes no other call that waits */
	CHECK(pthread_kill(*(pthread_t *)argument, SIGUSR1) == 0);
	while (counted == before)
		usleep(1000);
	CHECK(write(pipe_ends[1], "late", 4) == 4);
	return NULL;
}
static void reads(void)
{
	pthread_t thread[3], self = pthread_self();
	struct sigaction action = { .sa_sigaction = on_alarm, .sa_flags = SA_SIGINFO | SA_RESTART };
	struct itimerval every = { { 0, 1000 }, { 0, 1000 } }, off = { 0 };
	CHECK((zeros = open("/dev/zero", O_RDONLY)) >= 0 && pipe(pipe_ends) == 0);
	read_often(); /* alone, and among threads: two sites */
	for (int i = 0; i < 3; i++)
		CHECK(pthread_create(&thread[i], NULL, read_in_thread, NULL) == 0);
	CHECK(sigaction(SIGALRM, &action, NULL) == 0 && setitimer(ITIMER_REAL, &every, NULL) == 0);
	while (handled < 60)
		read_often();
	CHECK(setitimer(ITIMER_REAL, &off, NULL) == 0 && odd == 0);
	stop = 1;
	for (int i = 0; i < 3; i++)
		CHECK(pthread_join(thread[i], NULL) == 0);
	CHECK(locked % OFTEN == 0);
	/* Interrupted while it waits: once for good, once to be made again. */
	for (int flags = 0; flags <= SA_RESTART; flags += SA_RESTART) {
		char bytes[8] = "";
		action = (struct sigaction){ .sa_handler = count, .sa_flags = flags };
		CHECK(sigaction(SIGUSR1, &action, NULL) == 0 && pthread_create(&thread[0], NULL, wait_and_write, &self) == 0);
		if (flags == 0)
			FAILS(read(pipe_ends[0], bytes, sizeof(bytes)), EINTR);
		CHECK(read(pipe_ends[0], bytes, sizeof(bytes)) == 4 && memcmp(bytes, "late", 4) == 0);
		CHECK(pthread_join(thread[0], NULL) == 0);
	}
	CHECK(counted == 2);
}

static void *call_in_thread(void *argument)
{
	(void)argument;
	while (!stop)
		CHECK(getppid() == parent && getuid() == geteuid());
	return NULL;
}

/* Both CPUs run the site while it changes. */
static void threads(void)
{
	parent = getppid();
	pthread_t thread[3];
	for (int i = 0; i < 3; i++)
		CHECK(pthread_create(&thread[i], NULL, call_in_thread, NULL) == 0);
	for (int i = 0; i < 20; i++)
		warm();
	for (int i = 0; i < OFTEN; i++) {
		char byte;
		CHECK(getgid() == getegid() && pread(-1, &byte, 1, 0) == -1 && lseek(-1, 0, SEEK_SET) == -1);
	}
	stop = 1;
	for (int i = 0; i < 3; i++)
		CHECK(pthread_join(thread[i], NULL) == 0);
}

static void forks(void)
{
	parent = getppid();
	warm();
	pid_t self = getpid();
	for (int i = 0; i < 10; i++) {
		pid_t child = fork();
		CHECK(child >= 0);
		if (child == 0) {
			parent = self;
			warm();
			_exit(7);
		}
		int status;
		CHECK(waitpid(child, &status, 0) == child && status == 7 << 8);
		warm();
	}
}

static void own_code(void)
{
	parent = getppid();
	const unsigned char *code = (const unsigned char *)getppid;
	unsigned char first[16], then[16];
	int memory = open("/proc/self/mem", O_RDONLY);
	CHECK(memory >= 0 && pread(memory, first, 16, (off_t)code) == 16);
	warm();
	CHECK(pread(memory, then, 16, (off_t)code) == 16);
	CHECK(memcmp(first, then, 16) == 0);
	/* Writable, it is the original as well; and a program may change it. */
	unsigned char *page = (unsigned char *)((unsigned long)code & ~4095UL);
	CHECK(mprotect(page, 8192, PROT_READ | PROT_WRITE | PROT_EXEC) == 0);
	CHECK(memcmp(first, code, 16) == 0);
	warm();
	CHECK(mprotect(page, 8192, PROT_READ | PROT_EXEC) == 0);
	warm();
	CHECK(mprotect(page, 8192, PROT_READ) == 0 && mprotect(page, 8192, PROT_READ | PROT_EXEC) == 0);
	warm();
}

/* A file with code is mapped, used, and something else comes to its place. */
static void mapped_over(void)
{
	static const unsigned char function[] = { 0xb8, SYS_getppid, 0, 0, 0, 0x0f, 0x05, 0xc3 };
	static const unsigned char other[] = { 0xb8, 5, 0, 0, 0, 0x90, 0x90, 0xc3 };
	char name[] = "/tmp/call_sites_XXXXXX";
	unsigned char content[4096];
	int fd = mkstemp(name);
	CHECK(fd >= 0 && unlink(name) == 0);
	memset(content, 0x90, sizeof(content));
	memcpy(content + 64, function, sizeof(function));
	CHECK(write(fd, content, sizeof(content)) == sizeof(content));
	parent = getppid();
	unsigned char *p = NULL;
	for (int i = 0; i < 8; i++) {
		p = mmap(p, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | (p == NULL ? 0 : MAP_FIXED), fd, 0);
		CHECK(p != MAP_FAILED);
		long (*call)(void) = (long (*)(void))(p + 64);
		for (int k = 0; k < OFTEN; k++)
			CHECK(call() == parent);
		unsigned char *q = mmap(p, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
		CHECK(q == p && p[64] == 0);
		memcpy(p + 64, i % 2 ? other : function, sizeof(function));
		CHECK(call() == (i % 2 ? 5 : parent));
		if (i % 3 == 0)
			CHECK(munmap(p, 4096) == 0);
	}
	char byte;
	CHECK(pread(fd, &byte, 1, 64) == 1 && (unsigned char)byte == 0xb8);
}

static void gs_of_its_own(void)
{
	parent = getppid();
	warm();
	unsigned long there[64] = { 0 }, gs = 1;
	CHECK(syscall(SYS_arch_prctl, 0x1004 /* ARCH_GET_GS */, &gs) == 0 && gs == 0);
	CHECK(syscall(SYS_arch_prctl, 0x1001 /* ARCH_SET_GS */, there) == 0);
	warm();
	CHECK(syscall(SYS_arch_prctl, 0x1004, &gs) == 0 && gs == (unsigned long)there);
	__asm__ volatile("movq $77, %%gs:8" : : : "memory");
	CHECK(there[1] == 77);
	warm();
	for (int i = 0; i < 64; i++)
		CHECK(there[i] == (i == 1 ? 77UL : 0UL));
	CHECK(syscall(SYS_arch_prctl, 0x1001, 0) == 0);
	warm();
}

/* A debugger that comes when the site has long been in use. */
static void debugged(void)
{
	int pipes[2];
	CHECK(pipe(pipes) == 0);
	pid_t self = getpid();
	pid_t child = fork();
	CHECK(child >= 0);
	if (child == 0) {
		parent = self;
		warm();
		CHECK(write(pipes[1], "x", 1) == 1);
		for (;;)
			warm();
	}
	char byte;
	int status;
	struct user_regs_struct regs;
	CHECK(read(pipes[0], &byte, 1) == 1);
	CHECK(ptrace(PTRACE_ATTACH, child, 0, 0) == 0 && waitpid(child, &status, 0) == child && WIFSTOPPED(status));
	long word = ptrace(PTRACE_PEEKTEXT, child, getppid, 0);
	/* b8 6e 00 00 00 0f 05 c3, or what the C library has there: never a jump of somebody else's. */
	CHECK((word & 0xff) != 0xe9);
	CHECK(ptrace(PTRACE_POKETEXT, child, getppid, (word & ~0xffL) | 0xcc) == 0);
	CHECK(ptrace(PTRACE_CONT, child, 0, 0) == 0 && waitpid(child, &status, 0) == child);
	CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP);
	CHECK(ptrace(PTRACE_GETREGS, child, 0, &regs) == 0 && regs.rip == (unsigned long)getppid + 1);
	CHECK(ptrace(PTRACE_POKETEXT, child, getppid, word) == 0);
	regs.rip--;
	CHECK(ptrace(PTRACE_SETREGS, child, 0, &regs) == 0);
	for (int i = 0; i < 50; i++) {
		CHECK(ptrace(PTRACE_SINGLESTEP, child, 0, 0) == 0 && waitpid(child, &status, 0) == child);
		CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP);
	}
	CHECK(ptrace(PTRACE_DETACH, child, 0, 0) == 0);
	CHECK(kill(child, SIGKILL) == 0 && waitpid(child, &status, 0) == child && WIFSIGNALED(status));
}

int main(void)
{
	PART(registers);
	PART(signals_in_the_midst);
	PART(signals_by_the_call);
	PART(reads);
	PART(threads);
	PART(forks);
	PART(own_code);
	PART(mapped_over);
	PART(gs_of_its_own);
	PART(debugged);
	return 0;
}
