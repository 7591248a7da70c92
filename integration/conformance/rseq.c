/* rseq(2): per-CPU counters without atomic instructions, under preemption, signals and migration; what the call refuses; who inherits */
#include "check.h"
#include <linux/membarrier.h>
#include <linux/rseq.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/rseq.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>

enum { THREADS = 6, ROUNDS = 20000, MAX_CPUS = 1024 };

static struct rseq *area(void)
{
	return (struct rseq *)((char *)__builtin_thread_pointer() + __rseq_offset);
}
static long register_area(void *at, unsigned length, int flags, unsigned signature)
{
	return syscall(SYS_rseq, at, length, flags, signature);
}

/* What stands before and behind the instructions of a sequence, which begins at 1 and ends at 2; it uses rax. */
#define BEGIN_SEQUENCE \
	".pushsection .data.sequences, \"aw\"\n" \
	".balign 32\n" \
	"3:	.long 0, 0\n" \
	"	.quad 1f, 2f - 1f, 4f\n" \
	".popsection\n" \
	"	leaq 3b(%%rip), %%rax\n" \
	"	movq %%rax, 8(%[own])\n"
#define ABORT_HANDLER \
	".pushsection .text.aborts, \"ax\"\n" \
	"	.byte 0x0f, 0xb9, 0x3d\n" \
	"	.long %c[signature]\n" \
	"4:	jmp %l[disturbed]\n" \
	".popsection\n"

/*
 * *counter += 1 with a long way between load and store; 0 if the thread was disturbed or is not on `cpu`. No other thread of that CPU can
 * have come in between.
 */
static int add_slowly(struct rseq *own, int cpu, volatile long *counter)
{
	__asm__ __volatile__ goto(
		BEGIN_SEQUENCE
		"1:	cmpl %[cpu], 4(%[own])\n"
		"	jne %l[disturbed]\n"
		"	movq (%[counter]), %%rax\n"
		"	movl $2000, %%ecx\n"
		"5:	decl %%ecx\n"
		"	jnz 5b\n"
		"	incq %%rax\n"
		"	movq %%rax, (%[counter])\n"
		"2:\n"
		ABORT_HANDLER
		:
		: [own] "r"(own), [cpu] "r"(cpu), [counter] "r"(counter), [signature] "i"(RSEQ_SIG)
		: "rax", "rcx", "cc", "memory"
		: disturbed);
	return 1;
disturbed:
	return 0;
}

static volatile long counters[MAX_CPUS][8];
static volatile long handled, aborted;

static void on_signal(int signal)
{
	(void)signal;
	__atomic_fetch_add(&handled, 1, __ATOMIC_RELAXED);
}

static void *count(void *unused)
{
	struct rseq *own = area();
	for (int done = 0; done < ROUNDS;) {
		int cpu = (int)__atomic_load_n(&own->cpu_id, __ATOMIC_RELAXED);
		CHECK(cpu >= 0 && cpu < MAX_CPUS);
		if (add_slowly(own, cpu, counters[cpu]))
			done++;
		else
			__atomic_fetch_add(&aborted, 1, __ATOMIC_RELAXED);
		if (done % 1000 == 500)
			sched_yield();
	}
	return unused;
}
static long sum(void)
{
	long all = 0;
	for (int i = 0; i < MAX_CPUS; i++)
		all += counters[i][0];
	return all;
}

static void counters_under_preemption_and_signals(void)
{
	pthread_t threads[THREADS];
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
	for (int i = 0; i < THREADS; i++)
		CHECK(pthread_create(&threads[i], NULL, count, NULL) == 0);
	for (int i = 0; sum() < THREADS * ROUNDS * 9L / 10; i++) {
		CHECK(pthread_kill(threads[i % THREADS], SIGUSR1) == 0 || errno == 0);
		usleep(200);
	}
	for (int i = 0; i < THREADS; i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
	CHECK(sum() == THREADS * ROUNDS && handled > 0);
}

/* The sequence is never left by its end: only a signal gets the thread out, at the abort handler, after the signal's own. */
static int wait_in_sequence(struct rseq *own)
{
	__asm__ __volatile__ goto(
		BEGIN_SEQUENCE
		"1:	cmpl $0, handled(%%rip)\n"
		"	je 1b\n"
		"	nop\n"
		"2:\n"
		ABORT_HANDLER
		:
		: [own] "r"(own), [signature] "i"(RSEQ_SIG)
		: "rax", "cc", "memory"
		: disturbed);
	return 1;
disturbed:
	return 0;
}
static void a_signal_ends_a_sequence(void)
{
	struct sigaction action = { .sa_handler = on_signal };
	struct itimerval soon = { .it_value = { 0, 20000 } };
	CHECK(sigaction(SIGALRM, &action, NULL) == 0 && setitimer(ITIMER_REAL, &soon, NULL) == 0);
	while (handled == 0) /* preemption ends it too */
		CHECK(wait_in_sequence(area()) == 0 || handled != 0);
	CHECK(handled == 1 && area()->rseq_cs == 0);
}

static void what_is_refused(void)
{
	struct rseq *own = area();
	struct rseq other __attribute__((aligned(32)));
	CHECK(__rseq_size > 0);
	FAILS(register_area(own, 32, 0, RSEQ_SIG), EBUSY);
	FAILS(register_area(own, 32, 0, RSEQ_SIG + 1), EPERM);
	FAILS(register_area(&other, 32, 0, RSEQ_SIG), EINVAL);
	FAILS(register_area(own, 32, 2, RSEQ_SIG), EINVAL);
	FAILS(register_area(own, 32, 3, RSEQ_SIG), EINVAL);
	FAILS(register_area(own, 32, RSEQ_FLAG_UNREGISTER, RSEQ_SIG + 1), EPERM);
	FAILS(register_area(&other, 32, RSEQ_FLAG_UNREGISTER, RSEQ_SIG), EINVAL);
	CHECK(register_area(own, 32, RSEQ_FLAG_UNREGISTER, RSEQ_SIG) == 0);
	CHECK((int)own->cpu_id == RSEQ_CPU_ID_UNINITIALIZED);
	FAILS(register_area(own, 32, RSEQ_FLAG_UNREGISTER, RSEQ_SIG), EINVAL);
	FAILS(register_area((char *)&other + 8, 32, 0, RSEQ_SIG), EINVAL);
	FAILS(register_area(&other, 16, 0, RSEQ_SIG), EINVAL);
	FAILS(register_area((void *)32, 32, 0, RSEQ_SIG), EFAULT);
	memset(&other, 0, sizeof other);
	other.cpu_id = RSEQ_CPU_ID_UNINITIALIZED;
	CHECK(register_area(&other, 32, 0, RSEQ_SIG) == 0);
	CHECK((int)other.cpu_id >= 0 && other.cpu_id_start == other.cpu_id);
	CHECK(register_area(&other, 32, RSEQ_FLAG_UNREGISTER, RSEQ_SIG) == 0);
}

static void *own_area(void *unused)
{
	CHECK((int)area()->cpu_id >= 0);
	FAILS(register_area(area(), 32, 0, RSEQ_SIG), EBUSY);
	return unused;
}
static void who_inherits(void)
{
	pthread_t thread;
	pid_t pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		CHECK((int)area()->cpu_id >= 0 && register_area(area(), 32, 0, RSEQ_SIG) == -1 && errno == EBUSY);
		_exit(register_area(area(), 32, RSEQ_FLAG_UNREGISTER, RSEQ_SIG) == 0 ? 0 : 1);
	}
	int status;
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	CHECK(pthread_create(&thread, NULL, own_area, NULL) == 0 && pthread_join(thread, NULL) == 0);
	volatile pid_t child = vfork();
	if (child == 0) /* shares the memory: the area is the parent's alone */
		_exit(register_area(area(), 32, RSEQ_FLAG_UNREGISTER, RSEQ_SIG) == -1 && errno == EINVAL ? 0 : 1);
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	own_area(NULL);
}

/* Stacks that are freed while the next thread starts: the areas lie in them. */
static void many_short_threads(void)
{
	pthread_attr_t detached;
	CHECK(pthread_attr_init(&detached) == 0 && pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED) == 0);
	for (int i = 0; i < 300; i++) {
		pthread_t thread;
		int r = pthread_create(&thread, i % 2 ? &detached : NULL, own_area, NULL);
		CHECK(r == 0);
		CHECK(i % 2 || pthread_join(thread, NULL) == 0);
	}
}

static void pinned_to_a_cpu(void)
{
	cpu_set_t all, one;
	CHECK(sched_getaffinity(0, sizeof all, &all) == 0);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &all))
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		CHECK(sched_setaffinity(0, sizeof one, &one) == 0);
		CHECK((int)area()->cpu_id == cpu);
	}
}

static void fences(void)
{
	enum { FENCE = MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ, REGISTER = MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ };
	CHECK((syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0) & (FENCE | REGISTER)) == (FENCE | REGISTER));
	FAILS(syscall(SYS_membarrier, FENCE, 0, 0), EPERM);
	CHECK(syscall(SYS_membarrier, REGISTER, 0, 0) == 0);
	CHECK(syscall(SYS_membarrier, FENCE, 0, 0) == 0);
	CHECK(syscall(SYS_membarrier, FENCE, MEMBARRIER_CMD_FLAG_CPU, 0) == 0);
	FAILS(syscall(SYS_membarrier, REGISTER, MEMBARRIER_CMD_FLAG_CPU, 0), EINVAL);
}

int main(void)
{
	PART(counters_under_preemption_and_signals);
	PART(a_signal_ends_a_sequence);
	PART(what_is_refused);
	PART(who_inherits);
	PART(many_short_threads);
	PART(pinned_to_a_cpu);
	PART(fences);
	return 0;
}
