/*
 * runsc-pause: the first process of a pod that has none of its own. It waits, and reaps what processes of the pod leave behind. No C library:
 * it is the only file of its root.
 */
#define SIGINT 2
#define SIGTERM 15
#define SIGCHLD 17
#define WNOHANG 1
#define NR_rt_sigprocmask 14
#define NR_wait4 61
#define NR_rt_sigtimedwait 128
#define NR_exit_group 231
#define BIT(signal) (1ul << ((signal) - 1))

static long call(long nr, long a, long b, long c, long d)
{
	long result;
	register long r10 __asm__("r10") = d;
	__asm__ volatile("syscall" : "=a"(result) : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10) : "rcx", "r11", "memory");
	return result;
}

__attribute__((noreturn)) void _start(void)
{
	const unsigned long signals = BIT(SIGINT) | BIT(SIGTERM) | BIT(SIGCHLD);

	call(NR_rt_sigprocmask, 0, (long)&signals, 0, sizeof(signals));
	for (;;) {
		long signal = call(NR_rt_sigtimedwait, (long)&signals, 0, 0, sizeof(signals));
		if (signal == SIGINT || signal == SIGTERM)
			call(NR_exit_group, 0, 0, 0, 0);
		while (call(NR_wait4, -1, 0, WNOHANG, 0) > 0)
			;
	}
}
