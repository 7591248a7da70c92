/* fork, vfork, clone, exec, wait, exit */
#include "check.h"
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static char *self;

static void fork_copies_memory(void)
{
	int *private = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(private != MAP_FAILED && shared != MAP_FAILED);
	*private = *shared = 1;
	pid_t pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		*private = *shared = 2;
		_exit(7);
	}
	int status;
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7);
	CHECK(*private == 1 && *shared == 2);
}

static void wait_statuses(void)
{
	int status;
	pid_t pid = fork();
	if (pid == 0) {
		raise(SIGKILL);
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	FAILS(waitpid(pid, &status, 0), ECHILD);
	FAILS(waitpid(-1, &status, WNOHANG), ECHILD);
	int hold[2];
	CHECK(pipe(hold) == 0);
	pid = fork();
	if (pid == 0) {
		char c;
		close(hold[1]);
		raise(SIGSTOP);
		CHECK(read(hold[0], &c, 1) == 0); /* an exit now would hide the continuation */
		_exit(3);
	}
	CHECK(waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
	CHECK(waitpid(pid, &status, WNOHANG | WUNTRACED) == 0);
	CHECK(kill(pid, SIGCONT) == 0);
	CHECK(waitpid(pid, &status, WCONTINUED) == pid && WIFCONTINUED(status));
	close(hold[1]);
	CHECK(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 3);
}

static void waitid_leaves_and_takes(void)
{
	pid_t pid = fork();
	if (pid == 0)
		_exit(42);
	siginfo_t info;
	CHECK(waitid(P_PID, pid, &info, WEXITED | WNOWAIT) == 0);
	CHECK(info.si_pid == pid && info.si_code == CLD_EXITED && info.si_status == 42 && info.si_signo == SIGCHLD);
	CHECK(waitid(P_ALL, 0, &info, WEXITED) == 0 && info.si_pid == pid);
	FAILS(waitid(P_ALL, 0, &info, WEXITED), ECHILD);
	FAILS(waitid(P_ALL, 0, &info, 0), EINVAL);
}

static void ignored_sigchld_reaps(void)
{
	signal(SIGCHLD, SIG_IGN);
	for (int i = 0; i < 10; i++) {
		pid_t pid = fork();
		if (pid == 0)
			_exit(0);
		CHECK(pid > 0);
	}
	int status;
	FAILS(waitpid(-1, &status, 0), ECHILD);
}

static void orphans_go_to_the_subreaper(void)
{
	CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
	int pipes[2];
	CHECK(pipe(pipes) == 0);
	pid_t child = fork();
	if (child == 0) {
		pid_t grandchild = fork();
		if (grandchild == 0) {
			char c;
			close(pipes[1]);
			CHECK(read(pipes[0], &c, 1) == 0); /* until the parent is gone and the reaper closes its end */
			_exit(5);
		}
		_exit(0);
	}
	int status;
	CHECK(waitpid(child, &status, 0) == child);
	close(pipes[1]);
	pid_t orphan = waitpid(-1, &status, 0);
	CHECK(orphan > 0 && orphan != child && WEXITSTATUS(status) == 5);
}

static volatile int vfork_word;

static void vfork_shares_memory(void)
{
	pid_t pid = vfork();
	if (pid == 0) {
		vfork_word = 9;
		_exit(1);
	}
	CHECK(pid > 0 && vfork_word == 9);
	int status;
	CHECK(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 1);
}

static void exec_passes_arguments(void)
{
	pid_t pid = vfork();
	if (pid == 0) {
		char *argv[] = { self, "--child", "a b", "", NULL };
		char *envp[] = { "ONE=1", NULL };
		execve(self, argv, envp);
		_exit(99);
	}
	int status;
	CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 17);
	FAILS(execl("/nonexistent/program", "x", NULL), ENOENT);
	FAILS(execl("/", "x", NULL), EACCES);
	FAILS(execl("/etc/passwd", "x", NULL), EACCES);
}

static void *exec_from_thread(void *unused)
{
	(void)unused;
	char *argv[] = { self, "--pid", NULL };
	char *envp[] = { NULL };
	execve(self, argv, envp);
	_exit(98);
}

static void exec_in_a_thread_keeps_the_pid(void)
{
	pid_t pid = fork();
	if (pid == 0) {
		pthread_t thread;
		char text[16];
		snprintf(text, sizeof text, "%d", getpid());
		setenv("EXPECT", text, 1);
		CHECK(pthread_create(&thread, NULL, exec_from_thread, NULL) == 0);
		for (;;)
			pause();
	}
	int status;
	CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == (pid & 0x7f));
}

static void *count(void *word)
{
	for (int i = 0; i < 1000; i++)
		__atomic_add_fetch((int *)word, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

static void threads_join(void)
{
	pthread_t threads[16];
	int word = 0;
	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < 16; i++)
			CHECK(pthread_create(&threads[i], NULL, count, &word) == 0);
		for (int i = 0; i < 16; i++)
			CHECK(pthread_join(threads[i], NULL) == 0);
	}
	CHECK(word == 20 * 16 * 1000);
}

__attribute__((noreturn)) static void *sleeper(void *unused)
{
	(void)unused;
	for (;;)
		pause();
}

static void exit_group_ends_threads(void)
{
	pid_t pid = fork();
	if (pid == 0) {
		pthread_t thread;
		for (int i = 0; i < 8; i++)
			CHECK(pthread_create(&thread, NULL, sleeper, NULL) == 0);
		exit(4);
	}
	int status;
	CHECK(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 4);
}

static void clone_refuses_nonsense(void)
{
	FAILS(syscall(SYS_clone, CLONE_THREAD, 0, 0, 0, 0), EINVAL);
	FAILS(syscall(SYS_clone, CLONE_SIGHAND, 0, 0, 0, 0), EINVAL);
	FAILS(syscall(SYS_clone3, NULL, 8), EINVAL);
	FAILS(syscall(SYS_clone3, NULL, 64), EFAULT);
}

static void clone_with_an_exit_signal_that_is_none(void)
{
	pid_t pid = syscall(SYS_clone, 255, 0, 0, 0, 0);
	if (pid == 0)
		_exit(3);
	int status;
	CHECK(waitpid(pid, &status, __WALL) == pid && WEXITSTATUS(status) == 3);
}

/* What an orphan was to send to its parent does not kill the one that adopts it. */
static void an_orphan_tells_its_reaper_with_SIGCHLD(void)
{
	CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
	pid_t parent = fork();
	if (parent == 0) {
		if (syscall(SYS_clone, SIGUSR1, 0, 0, 0, 0) == 0)
			usleep(20000);
		_exit(5);
	}
	int status;
	for (int i = 0; i < 2; i++)
		CHECK(waitpid(-1, &status, __WALL) > 0 && WEXITSTATUS(status) == 5);
	CHECK(prctl(PR_SET_CHILD_SUBREAPER, 0) == 0);
}

static void many_children(void)
{
	for (int i = 0; i < 200; i++) {
		pid_t pid = fork();
		CHECK(pid >= 0);
		if (pid == 0)
			_exit(i & 0x7f);
		int status;
		CHECK(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == (i & 0x7f));
	}
}

static void times_add_up(void)
{
	struct rusage usage;
	pid_t pid = fork();
	if (pid == 0) {
		for (volatile long i = 0; i < 30000000; i++)
			;
		_exit(0);
	}
	int status;
	CHECK(wait4(pid, &status, 0, &usage) == pid);
	/* Both together: which of them a short run counts as, the host's ticks decide. */
	long used = (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 + usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
	CHECK(used > 5000);
}

int main(int argc, char **argv, char **envp)
{
	self = argv[0];
	if (argc > 1 && strcmp(argv[1], "--child") == 0) {
		CHECK(argc == 4 && strcmp(argv[2], "a b") == 0 && argv[3][0] == 0 && argv[4] == NULL);
		CHECK(envp[0] && strcmp(envp[0], "ONE=1") == 0 && envp[1] == NULL);
		return 17;
	}
	if (argc > 1 && strcmp(argv[1], "--pid") == 0)
		return getpid() & 0x7f;
	PART(fork_copies_memory);
	PART(wait_statuses);
	PART(waitid_leaves_and_takes);
	PART(ignored_sigchld_reaps);
	PART(orphans_go_to_the_subreaper);
	PART(vfork_shares_memory);
	PART(exec_passes_arguments);
	PART(exec_in_a_thread_keeps_the_pid);
	PART(threads_join);
	PART(exit_group_ends_threads);
	PART(clone_refuses_nonsense);
	PART(clone_with_an_exit_signal_that_is_none);
	PART(an_orphan_tells_its_reaper_with_SIGCHLD);
	PART(many_children);
	PART(times_add_up);
	return 0;
}
