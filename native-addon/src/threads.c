/*
 * Giving up rights in every thread. Capabilities and no_new_privs belong to threads, and a Node process has several before
 * its first line of JavaScript runs; the C library spreads set*id calls over them, but not these two.
 */
#include "addon.h"

#include <errno.h>
#include <linux/capability.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define THREAD_TIMEOUT_S 2
/*
 * The C library's own signal for set*id in every thread. Node's helper threads block all others; this one the library never lets them
 * block. It is borrowed, by raw calls because the library hides it, and given back at once: nothing here calls set*id meanwhile.
 */
#define BORROWED_SIGNAL 33

/* struct sigaction as the kernel has it on x86-64. */
struct kernel_sigaction {
	void (*handler)(int);
	unsigned long flags;
	void (*restorer)(void);
	uint64_t mask;
};
#define KERNEL_SA_RESTORER 0x04000000UL

/* rt_sigreturn: handlers that the library has not installed return through this. */
__asm__(".text\n.local threads_restorer\nthreads_restorer:\n\tmov $15, %eax\n\tsyscall\n");
extern void threads_restorer(void) __attribute__((visibility("hidden")));

/* Set by the calling thread before the first signal is sent, read by handlers; the calls are not reentrant. */
static struct __user_cap_data_struct wanted[2];
static sem_t done;
static volatile int failure;

/* Async-signal-safe: three system calls and sem_post. */
static int give_up(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return errno;
	return syscall(SYS_capset, &header, wanted) == 0 ? 0 : errno;
}

static void on_signal(int signal)
{
	int saved = errno, r = give_up();
	(void)signal;
	if (r != 0)
		failure = r;
	sem_post(&done);
	errno = saved;
}

/* Signals the threads and waits until each has answered. 0 or -errno; a thread that has ended is none to wait for. */
static int broadcast(const int32_t *tids, size_t count, int signal)
{
	size_t sent = 0;
	struct timespec until;

	for (size_t i = 0; i < count; i++) {
		if (tids[i] != (int32_t)syscall(SYS_gettid) && syscall(SYS_tgkill, getpid(), tids[i], signal) == 0)
			sent++;
	}
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += THREAD_TIMEOUT_S;
	while (sent > 0) {
		if (sem_timedwait(&done, &until) == 0)
			sent--;
		else if (errno != EINTR)
			return -errno;
	}
	return 0;
}

/*
 * restrictThreads(tids, low, high) -> 0 or -errno. The caller's thread and those of the list keep the capabilities of the
 * mask alone, none inheritable, and get no_new_privs. The caller knows the list from /proc and checks the outcome there: a
 * thread that was started meanwhile may have been missed.
 */
static napi_value restrict_threads(napi_env env, napi_callback_info info)
{
	struct args a = get_args(env, info);
	size_t length;
	const int32_t *tids = arg_bytes(&a, 0, &length);
	for (int i = 0; i < 2; i++) {
		uint32_t mask = (uint32_t)arg_i64(&a, 1 + i);
		wanted[i] = (struct __user_cap_data_struct){ .effective = mask, .permitted = mask, .inheritable = 0 };
	}
	struct kernel_sigaction action = {
		.handler = on_signal, .flags = SA_RESTART | KERNEL_SA_RESTORER, .restorer = threads_restorer, .mask = ~0ULL,
	}, old;
	failure = 0;
	sem_init(&done, 0, 0);
	if (syscall(SYS_rt_sigaction, BORROWED_SIGNAL, &action, &old, sizeof(action.mask)) != 0)
		return make_double(env, -errno);
	int r = broadcast(tids, length / sizeof(*tids), BORROWED_SIGNAL);
	/* After a timeout a signal may still be on its way, and its default action ends the process: the caller gives up anyway. */
	syscall(SYS_rt_sigaction, BORROWED_SIGNAL, &old, NULL, sizeof(old.mask));
	if (r == 0)
		r = -failure;
	return make_double(env, r != 0 ? r : -give_up());
}

void threads_register(napi_env env, napi_value exports)
{
	export_function(env, exports, "restrictThreads", restrict_threads);
}
