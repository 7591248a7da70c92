/*
 * The ptrace platform's hot calls: collect the threads that stopped, resume one, run one system call in a stopped thread.
 * All must be made by the thread that attached. Everything else of ptrace goes through the raw system call.
 */
#include "addon.h"

#include <errno.h>
#include <linux/audit.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ptrace.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* The layout of struct ptrace_syscall_info (ptrace(2)) as far as a stop at entry fills it; the libc's name for it varies. */
struct syscall_info {
	uint8_t op, pad[3];
	uint32_t arch;
	uint64_t instruction_pointer, stack_pointer;
	uint64_t nr, args[6];
};
#define GET_SYSCALL_INFO 0x420e
#define OP_ENTRY 1
#define SYSCALL_STOP (SIGTRAP | 0x80)

/* One stop as JavaScript sees it, 32-bit words; platforms/ptrace/stops.ts has the same offsets. */
struct stop {
	int32_t pid;
	int32_t status; /* as waitpid gave it */
	int32_t code;   /* signal stops: si_code; system-call stops: 1 if made by the 64-bit instruction */
	int32_t pad;
	uint64_t nr;      /* signal stops: si_addr */
	uint64_t args[6];
};

static long tracee(long request, pid_t pid, uintptr_t addr, uintptr_t data)
{
	long r = syscall(SYS_ptrace, request, pid, addr, data);
	return r < 0 ? -errno : r;
}

static void describe(struct stop *stop)
{
	int status = stop->status;
	if (!WIFSTOPPED(status))
		return;
	if (WSTOPSIG(status) == SYSCALL_STOP) {
		struct syscall_info info = { 0 };
		tracee(GET_SYSCALL_INFO, stop->pid, sizeof(info), (uintptr_t)&info);
		stop->code = info.op == OP_ENTRY && info.arch == AUDIT_ARCH_X86_64;
		stop->nr = info.nr;
		memcpy(stop->args, info.args, sizeof(info.args));
	} else if (status >> 16 == 0) {
		siginfo_t info = { 0 };
		tracee(PTRACE_GETSIGINFO, stop->pid, 0, (uintptr_t)&info);
		stop->code = info.si_code;
		stop->nr = (uint64_t)(uintptr_t)info.si_addr;
	}
}

static int collect(struct stop *stops, int max)
{
	int n = 0;
	while (n < max) {
		int status;
		pid_t pid = waitpid(-1, &status, WNOHANG | __WALL);
		if (pid <= 0)
			break; /* none stopped, or ECHILD: there is nobody */
		stops[n] = (struct stop){ .pid = pid, .status = status };
		describe(&stops[n++]);
	}
	return n;
}

/*
 * ptraceWait(childFd, pollFd, timeoutNs, stops) -> how many records of `stops` were filled (| 1 << 16 if pollFd is readable). Sleeps
 * only if no thread has stopped: until childFd (signalfd of SIGCHLD, or what the signal handler writes) or pollFd is readable, or
 * timeoutNs (negative: no limit) have passed.
 */
static napi_value ptrace_wait(napi_env env, napi_callback_info info)
{
	struct args a = get_args(env, info);
	size_t length;
	int64_t timeout = arg_i64(&a, 2);
	struct stop *stops = arg_bytes(&a, 3, &length);
	int max = (int)(length / sizeof(*stops));
	struct pollfd fds[2] = { { .fd = (int)arg_i64(&a, 0), .events = POLLIN }, { .fd = (int)arg_i64(&a, 1), .events = POLLIN } };
	struct timespec ts = { timeout / 1000000000, timeout % 1000000000 };

	int n = collect(stops, max);
	if (n == 0 && ppoll(fds, 2, timeout < 0 ? NULL : &ts, NULL) > 0) {
		if (fds[0].revents != 0) {
			struct signalfd_siginfo drained;
			/* Both kinds of descriptor are non-blocking and fit; drained before the children are asked, so none is missed. */
			if (read(fds[0].fd, &drained, sizeof(drained)) < 0 && errno != EAGAIN)
				return make_double(env, -errno);
			n = collect(stops, max);
		}
		if (fds[1].revents != 0)
			n |= 1 << 16;
	}
	return make_double(env, n);
}

/*
 * ptraceResume(pid, request, setResult, result) -> 0 or -errno. setResult: rax = result first. request is PTRACE_SYSEMU or
 * PTRACE_SYSEMU_SINGLESTEP; a signal the thread stopped for is dropped.
 */
static napi_value ptrace_resume(napi_env env, napi_callback_info info)
{
	struct args a = get_args(env, info);
	pid_t pid = (pid_t)arg_i64(&a, 0);
	long r = 0;
	if (arg_i64(&a, 2) != 0)
		r = tracee(PTRACE_POKEUSER, pid, offsetof(struct user_regs_struct, rax), (uintptr_t)arg_i64(&a, 3));
	if (r == 0)
		r = tracee(arg_i64(&a, 1), pid, 0, 0);
	return make_double(env, (double)r);
}

/* Continues a thread to the int3 behind the injected call. 0, -ESRCH if the thread is gone, -EFAULT if it cannot get there. */
static long run_to_trap(pid_t pid, uint64_t trap)
{
	for (;;) {
		int status;
		long r = tracee(PTRACE_CONT, pid, 0, 0);
		if (r < 0 && r != -ESRCH)
			return r;
		/* After ESRCH (SIGKILL has hit it) the wait gives its end. */
		while (waitpid(pid, &status, __WALL) < 0)
			if (errno != EINTR)
				return -ESRCH;
		if (!WIFSTOPPED(status))
			return -ESRCH;
		if (status >> 16 != 0)
			continue; /* a stop that was asked for earlier, or a host job-control stop: on */
		int signal = WSTOPSIG(status);
		if (signal == SIGTRAP) {
			struct user_regs_struct regs;
			if (tracee(PTRACE_GETREGS, pid, 0, (uintptr_t)&regs) == 0 && regs.rip == trap)
				return 0;
		} else if (signal == SIGSEGV || signal == SIGBUS || signal == SIGILL) {
			return -EFAULT;
		}
	}
}

/*
 * Runs one call in a stopped thread through the `syscall; int3` at `gate`; `saved` gets the registers, which are not restored
 * yet. Returns 0 with the call's result in *result, or the negative errno of ptrace.
 */
static long inject(pid_t pid, uint64_t gate, uint64_t nr, const uint64_t v[6], struct user_regs_struct *saved, int64_t *result)
{
	long r = tracee(PTRACE_GETREGS, pid, 0, (uintptr_t)saved);
	if (r < 0)
		return r;
	struct user_regs_struct regs = *saved;
	saved->orig_rax = (uint64_t)-1; /* the host must not see an interrupted call of its own in what comes back */
	regs.orig_rax = (uint64_t)-1;
	regs.rip = gate;
	regs.rax = nr;
	regs.rdi = v[0], regs.rsi = v[1], regs.rdx = v[2], regs.r10 = v[3], regs.r8 = v[4], regs.r9 = v[5];
	regs.eflags = 0x202;
	regs.cs = 0x33;
	regs.ss = 0x2b;
	r = tracee(PTRACE_SETREGS, pid, 0, (uintptr_t)&regs);
	if (r == 0)
		r = run_to_trap(pid, gate + 3);
	if (r == 0)
		r = tracee(PTRACE_GETREGS, pid, 0, (uintptr_t)&regs);
	*result = (int64_t)regs.rax;
	return r;
}

/* Outside the errno range, so that it is no result of the call: the thread itself is lost. platforms/ptrace/injection.ts. */
#define THREAD_LOST (-100000.0)

/* ptraceInject(pid, gate, nr, a0..a5) -> result of the call, registers as before; or THREAD_LOST. */
static napi_value ptrace_inject(napi_env env, napi_callback_info info)
{
	struct args a = get_args(env, info);
	struct user_regs_struct saved;
	pid_t pid = (pid_t)arg_i64(&a, 0);
	uint64_t v[6];
	int64_t result = 0;
	for (int i = 0; i < 6; i++)
		v[i] = (uint64_t)arg_i64(&a, 3 + i);
	if (inject(pid, arg_i64(&a, 1), arg_i64(&a, 2), v, &saved, &result) < 0 || tracee(PTRACE_SETREGS, pid, 0, (uintptr_t)&saved) < 0)
		return make_double(env, THREAD_LOST);
	return make_double(env, (double)result);
}

/*
 * ptraceClone(pid, gate, flags) -> tid of a copy made with clone(2), attached, stopped, with the registers `pid` has; an errno; or
 * THREAD_LOST. CLONE_PTRACE attaches it to us as part of the call.
 */
static napi_value ptrace_clone(napi_env env, napi_callback_info info)
{
	struct args a = get_args(env, info);
	struct user_regs_struct saved;
	pid_t pid = (pid_t)arg_i64(&a, 0);
	const uint64_t v[6] = { (uint64_t)arg_i64(&a, 2) | CLONE_PTRACE };
	int64_t tid = 0;
	int status;
	if (inject(pid, arg_i64(&a, 1), SYS_clone, v, &saved, &tid) < 0 || tracee(PTRACE_SETREGS, pid, 0, (uintptr_t)&saved) < 0)
		return make_double(env, THREAD_LOST);
	if (tid < 0)
		return make_double(env, (double)tid);
	while (waitpid((pid_t)tid, &status, __WALL) < 0)
		if (errno != EINTR)
			return make_double(env, -EAGAIN);
	if (!WIFSTOPPED(status))
		return make_double(env, -EAGAIN);
	if (tracee(PTRACE_SETREGS, (pid_t)tid, 0, (uintptr_t)&saved) < 0)
		return make_double(env, -EAGAIN); /* being killed: its end is reported, and ignored, later */
	return make_double(env, (double)tid);
}

/* Written by the handler below, so in a variable of the process; there is one SIGCHLD per process as well. */
static int child_event_fd = -1;
static struct sigaction child_previous;

static void on_sigchld(int signal, siginfo_t *info, void *context)
{
	int keep = errno;
	uint64_t one = 1;
	if (write(child_event_fd, &one, sizeof(one)) < 0)
		errno = keep; /* full: it is readable, which is all that counts */
	if (child_previous.sa_flags & SA_SIGINFO)
		child_previous.sa_sigaction(signal, info, context);
	else if (child_previous.sa_handler != SIG_DFL && child_previous.sa_handler != SIG_IGN)
		child_previous.sa_handler(signal);
	errno = keep;
}

/*
 * childEventFd() -> a non-blocking descriptor that becomes readable when a child stops or ends, or -errno. A signalfd if this thread
 * blocks SIGCHLD (then the process was started so and all its threads do). Otherwise some thread would take the signal away from
 * a signalfd, so a handler passes it on to an eventfd.
 */
static napi_value ptrace_child_event_fd(napi_env env, napi_callback_info info)
{
	(void)info;
	sigset_t mask;
	pthread_sigmask(SIG_BLOCK, NULL, &mask);
	if (sigismember(&mask, SIGCHLD)) {
		sigemptyset(&mask);
		sigaddset(&mask, SIGCHLD);
		int fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
		return make_double(env, fd < 0 ? -errno : fd);
	}
	if (child_event_fd < 0) {
		int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (fd < 0)
			return make_double(env, -errno);
		child_event_fd = fd;
		struct sigaction action = { .sa_sigaction = on_sigchld, .sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK };
		sigaction(SIGCHLD, &action, &child_previous);
	}
	return make_double(env, child_event_fd);
}

void ptrace_register(napi_env env, napi_value exports)
{
	export_function(env, exports, "ptraceWait", ptrace_wait);
	export_function(env, exports, "ptraceResume", ptrace_resume);
	export_function(env, exports, "ptraceInject", ptrace_inject);
	export_function(env, exports, "ptraceClone", ptrace_clone);
	export_function(env, exports, "childEventFd", ptrace_child_event_fd);
}
