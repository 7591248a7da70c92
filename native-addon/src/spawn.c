/*
 * Starts a program in namespaces of its own.
 *
 * The child is made by clone(CLONE_VM) with a stack of its own, as posix_spawn does: no page table is copied. Until it has
 * replaced itself it shares this process's memory while other threads run, so it calls the kernel by inline assembly alone (the C
 * library's errno and locks belong to the parent) and writes nothing but its stack. The parent blocks every signal around the clone.
 *
 * The network namespace is joined by the calling thread before the clone, and left after it: the child starts inside a user namespace
 * of its own and would have no right to join.
 */
#include "addon.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHILD_STACK (64 << 10)
/* Descriptors are first copied to numbers from here on, so that no target overwrites a source. */
#define SAFE_FD 512
#define MAX_FDS 256
#define LAST_CAP 40

/* Which step failed; lib/spawn.ts names them in this order. */
enum step { STEP_NONE, STEP_NETNS, STEP_CLONE, STEP_MAPS, STEP_CGROUP, STEP_SYNC, STEP_PDEATHSIG, STEP_SESSION, STEP_TERMINAL, STEP_CHDIR,
	    STEP_FDS, STEP_CAPABILITIES, STEP_PRIVILEGES, STEP_EXEC };

/* Numeric options: Int32Array in this order. */
enum option { OPT_CLONE_FLAGS, OPT_NETNS_FD, OPT_NEW_SESSION, OPT_TERMINAL_FD, OPT_PDEATHSIG, OPT_NO_NEW_PRIVS, OPT_CAPS_LOW, OPT_CAPS_HIGH,
	      OPT_BLOCK_LOW, OPT_BLOCK_HIGH, OPT_JOIN_LATE, OPT_COUNT };

struct plan {
	const char *file, *cwd;
	char **argv, **envp;
	const int32_t *fds;
	size_t fd_count;
	const int32_t *options;
	int sync_read, sync_write, error_write;
};

static long raw(long nr, long a, long b, long c, long d, long e)
{
	long r;
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	__asm__ volatile("syscall" : "=a"(r) : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8) : "rcx", "r11", "memory");
	return r;
}

static void fail(const struct plan *p, enum step step, long error)
{
	int32_t report[2] = { step, (int32_t)-error };
	raw(SYS_write, p->error_write, (long)report, sizeof(report), 0, 0);
	for (;;)
		raw(SYS_exit_group, 127, 0, 0, 0, 0);
}

static void check(const struct plan *p, enum step step, long result)
{
	if (result < 0)
		fail(p, step, result);
}

static void place_fds(struct plan *p)
{
	int copies[MAX_FDS];

	for (size_t i = 0; i < p->fd_count; i++) {
		copies[i] = (int)raw(SYS_fcntl, p->fds[i], F_DUPFD_CLOEXEC, SAFE_FD, 0, 0);
		check(p, STEP_FDS, copies[i]);
	}
	p->error_write = (int)raw(SYS_fcntl, p->error_write, F_DUPFD_CLOEXEC, SAFE_FD, 0, 0);
	for (size_t i = 0; i < p->fd_count; i++)
		check(p, STEP_FDS, raw(SYS_dup3, copies[i], (long)i, 0, 0, 0));
	check(p, STEP_FDS, raw(SYS_close_range, (long)p->fd_count, ~0U, CLOSE_RANGE_CLOEXEC, 0, 0));
}

static void limit_capabilities(const struct plan *p)
{
	uint64_t keep = (uint32_t)p->options[OPT_CAPS_LOW] | (uint64_t)(uint32_t)p->options[OPT_CAPS_HIGH] << 32;

	for (long cap = 0; cap <= LAST_CAP; cap++) {
		if (keep >> cap & 1)
			continue;
		long r = raw(SYS_prctl, PR_CAPBSET_DROP, cap, 0, 0, 0);
		if (r != -EINVAL) /* a capability that this kernel does not know */
			check(p, STEP_CAPABILITIES, r);
	}
}

static int child(void *argument)
{
	struct plan *p = argument;
	const int32_t *o = p->options;
	char go;
	uint64_t blocked = (uint32_t)o[OPT_BLOCK_LOW] | (uint64_t)(uint32_t)o[OPT_BLOCK_HIGH] << 32;

	/* The parent writes the maps and the cgroups first; it dies or gives up by closing. Our own copy would keep the pipe open for ever. */
	raw(SYS_close, p->sync_write, 0, 0, 0, 0);
	if (raw(SYS_read, p->sync_read, (long)&go, 1, 0, 0) != 1)
		fail(p, STEP_SYNC, -EPIPE);
	if (o[OPT_PDEATHSIG] != 0)
		check(p, STEP_PDEATHSIG, raw(SYS_prctl, PR_SET_PDEATHSIG, o[OPT_PDEATHSIG], 0, 0, 0));
	if (o[OPT_NEW_SESSION])
		check(p, STEP_SESSION, raw(SYS_setsid, 0, 0, 0, 0, 0));
	if (o[OPT_TERMINAL_FD] >= 0)
		check(p, STEP_TERMINAL, raw(SYS_ioctl, o[OPT_TERMINAL_FD], TIOCSCTTY, 0, 0, 0));
	if (p->cwd != NULL)
		check(p, STEP_CHDIR, raw(SYS_chdir, (long)p->cwd, 0, 0, 0, 0));
	place_fds(p);
	limit_capabilities(p);
	if (o[OPT_NO_NEW_PRIVS])
		check(p, STEP_PRIVILEGES, raw(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	raw(SYS_rt_sigprocmask, SIG_SETMASK, (long)&blocked, 0, sizeof(blocked), 0);
	fail(p, STEP_EXEC, raw(SYS_execve, (long)p->file, (long)p->argv, (long)p->envp, 0, 0));
	return 0;
}

/* NUL-separated strings as the vector that execve takes; the strings stay in `data`. */
static char **vector(char *data, size_t length)
{
	size_t count = 0, n = 0;
	for (size_t i = 0; i < length; i++)
		count += data[i] == '\0';
	char **out = calloc(count + 1, sizeof(*out));
	for (size_t at = 0; out != NULL && n < count; n++) {
		out[n] = data + at;
		at += strlen(data + at) + 1;
	}
	return out;
}

static int write_file(int pid, const char *name, const char *text, size_t length)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int r = write(fd, text, length) < 0 ? -errno : 0;
	close(fd);
	return r;
}

static int join_cgroups(int pid, const int32_t *fds, size_t count)
{
	char text[16];
	int length = snprintf(text, sizeof(text), "%d", pid);
	for (size_t i = 0; i < count; i++)
		if (write(fds[i], text, (size_t)length) < 0)
			return -errno;
	return 0;
}

/* clone in the network namespace `netns` (-1: the caller's). Pid or -errno; *step says what failed. */
static int clone_in(struct plan *p, int netns, char *stack, int32_t *step)
{
	int own = -1, error = 0, pid = -1;
	sigset_t all, before;

	if (netns >= 0) {
		*step = STEP_NETNS;
		own = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
		if (own < 0)
			return -errno;
		if (setns(netns, CLONE_NEWNET) < 0) {
			error = -errno;
			close(own);
			return error;
		}
	}
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	*step = STEP_CLONE;
	pid = clone(child, stack + CHILD_STACK, p->options[OPT_CLONE_FLAGS] | CLONE_VM | SIGCHLD, p);
	error = -errno;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (own >= 0) {
		if (setns(own, CLONE_NEWNET) < 0)
			abort(); /* this thread would go on in a pod's network */
		close(own);
	}
	return pid < 0 ? error : pid;
}

struct request {
	struct plan plan;
	const char *uid_map, *gid_map;
	size_t uid_map_length, gid_map_length;
	const int32_t *cgroups;
	size_t cgroup_count;
};

static int prepare_child(const struct request *q, int pid, int32_t *step)
{
	int error = 0;
	*step = STEP_MAPS;
	if (q->uid_map != NULL)
		error = write_file(pid, "uid_map", q->uid_map, q->uid_map_length);
	if (error == 0 && q->gid_map != NULL)
		error = write_file(pid, "gid_map", q->gid_map, q->gid_map_length);
	return error;
}

/* Takes the host a grace period, 5 to 15 ms: OPT_JOIN_LATE lets the program load meanwhile. */
static int join(const struct request *q, int pid, int32_t *step)
{
	*step = STEP_CGROUP;
	return join_cgroups(pid, q->cgroups, q->cgroup_count);
}

/* Runs the child up to its execve. result: pid, step, errno. */
static void run(struct request *q, char *stack, int32_t result[3])
{
	int sync[2], report[2];
	int32_t from_child[2] = { 0, 0 };

	result[1] = STEP_CLONE;
	if (pipe2(sync, O_CLOEXEC) < 0) {
		result[2] = errno;
		return;
	}
	if (pipe2(report, O_CLOEXEC) < 0) {
		result[2] = errno;
		close(sync[0]);
		close(sync[1]);
		return;
	}
	q->plan.sync_read = sync[0];
	q->plan.sync_write = sync[1];
	q->plan.error_write = report[1];
	int pid = clone_in(&q->plan, q->plan.options[OPT_NETNS_FD], stack, &result[1]);
	/* The descriptor table is not shared, so these are the parent's alone. */
	close(sync[0]);
	close(report[1]);
	bool late = q->plan.options[OPT_JOIN_LATE] != 0;
	int error = pid < 0 ? pid : prepare_child(q, pid, &result[1]);
	if (error == 0 && !late)
		error = join(q, pid, &result[1]);
	if (error == 0) {
		ssize_t n;
		if (write(sync[1], "", 1) != 1)
			error = -errno;
		close(sync[1]);
		sync[1] = -1;
		do
			n = read(report[0], from_child, sizeof(from_child));
		while (n < 0 && errno == EINTR);
		if (n == (ssize_t)sizeof(from_child)) {
			result[1] = from_child[0];
			error = -from_child[1];
		}
		if (error == 0 && late)
			error = join(q, pid, &result[1]);
	}
	if (sync[1] >= 0)
		close(sync[1]); /* a child that waits gives up */
	close(report[0]);
	if (error != 0 && pid > 0) {
		kill(pid, SIGKILL); /* it may have executed its program */
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	result[0] = error == 0 ? pid : -1;
	result[2] = -error;
	if (error == 0)
		result[1] = STEP_NONE;
}

/*
 * spawn(result, file, argv, envp, fds, options, maps, cgroups, cwd): strings end with NUL; argv and envp are NUL-separated lists; fds[i]
 * becomes descriptor i and nothing else survives; maps = uid_map NUL gid_map NUL, or null; cwd may be null. result: Int32Array of pid
 * (-1: failed), failed step, errno.
 */
static napi_value spawn(napi_env env, napi_callback_info info)
{
	struct args a = get_args(env, info);
	struct request q = { 0 };
	size_t length, file_length, argv_length, envp_length, option_length, maps_length;
	int32_t *result = arg_bytes(&a, 0, &length);
	if (result == NULL || length < 12)
		return make_undefined(env);
	result[0] = -1;
	result[1] = STEP_CLONE;
	result[2] = EINVAL;
	q.plan.file = arg_bytes(&a, 1, &file_length);
	char *argv = arg_bytes(&a, 2, &argv_length), *envp = arg_bytes(&a, 3, &envp_length);
	q.plan.fds = arg_bytes(&a, 4, &q.plan.fd_count);
	q.plan.fd_count /= sizeof(int32_t);
	q.plan.options = arg_bytes(&a, 5, &option_length);
	const char *maps = arg_bytes(&a, 6, &maps_length);
	q.cgroups = arg_bytes(&a, 7, &q.cgroup_count);
	q.cgroup_count /= sizeof(int32_t);
	q.plan.cwd = arg_bytes(&a, 8, &length);
	if (file_length == 0 || q.plan.fd_count > MAX_FDS || option_length < OPT_COUNT * sizeof(int32_t))
		return make_undefined(env);
	if (maps != NULL) {
		q.uid_map = maps;
		q.uid_map_length = strnlen(maps, maps_length);
		if (q.uid_map_length + 1 >= maps_length)
			return make_undefined(env);
		q.gid_map = maps + q.uid_map_length + 1;
		q.gid_map_length = strnlen(q.gid_map, maps_length - q.uid_map_length - 1);
	}
	q.plan.argv = vector(argv, argv_length);
	q.plan.envp = vector(envp, envp_length);
	char *stack = mmap(NULL, CHILD_STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	if (stack != MAP_FAILED && q.plan.argv != NULL && q.plan.envp != NULL)
		run(&q, stack, result);
	else
		result[2] = ENOMEM;
	if (stack != MAP_FAILED)
		munmap(stack, CHILD_STACK);
	free(q.plan.argv);
	free(q.plan.envp);
	return make_undefined(env);
}

/*
 * setIdentity(uid, gid) -> 0 or -errno. Through the C library, which changes every thread of the process: all of them lose their
 * capabilities when they leave uid 0. The supplementary groups go as well.
 */
static napi_value set_identity(napi_env env, napi_callback_info info)
{
	struct args a = get_args(env, info);
	uid_t uid = (uid_t)arg_i64(&a, 0);
	gid_t gid = (gid_t)arg_i64(&a, 1);
	if (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
		return make_double(env, -errno);
	return make_double(env, 0);
}

void spawn_register(napi_env env, napi_value exports)
{
	export_function(env, exports, "spawn", spawn);
	export_function(env, exports, "setIdentity", set_identity);
}
