/* Starts a platform's stub program: the host process in which applications' instructions run. */
#include "addon.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * Runs in the child of a vfork: the parent's memory is shared and must not be changed, so no libc call that keeps state. All
 * signals are blocked (no handler of the parent's may run here) and stay so across exec; the tracer opens the mask.
 */
static void exec_stub(int program, int socket_fd, int *error)
{
	static const struct rlimit no_core = { 0, 0 };
	char *argv[] = { "stub", NULL }, *envp[] = { NULL };

	syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	syscall(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	syscall(SYS_prlimit64, 0, RLIMIT_CORE, &no_core, NULL);
	/* Descriptor 0 is the socket, the rest closes at exec: the stub inherits nothing else. */
	if (syscall(SYS_dup2, socket_fd, 0) == 0 && syscall(SYS_close_range, 1, ~0U, CLOSE_RANGE_CLOEXEC) == 0)
		syscall(SYS_execveat, program, "", argv, envp, AT_EMPTY_PATH);
	*error = errno;
	syscall(SYS_exit_group, 127);
}

/* spawnStub(programFd, socketFd) -> pid of a child that runs the program, or -errno. programFd must be above 2. */
static napi_value stub_spawn(napi_env env, napi_callback_info info)
{
	struct args a = get_args(env, info);
	int program = (int)arg_i64(&a, 0), socket_fd = (int)arg_i64(&a, 1);
	volatile int error = 0;
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pid_t pid = vfork();
	if (pid == 0)
		exec_stub(program, socket_fd, (int *)&error);
	int failed = pid < 0 ? errno : error;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (pid > 0 && failed != 0)
		waitpid(pid, NULL, 0);
	return make_double(env, failed != 0 ? -failed : pid);
}

void stub_register(napi_env env, napi_value exports)
{
	export_function(env, exports, "spawnStub", stub_spawn);
}
