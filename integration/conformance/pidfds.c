/* pidfd_open(2) and its relatives, clone3(2) beyond clone(2) */
#include "check.h"
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

static int pidfd_open(pid_t pid, unsigned flags)
{
	return syscall(SYS_pidfd_open, pid, flags);
}
static int pidfd_send(int fd, int signal, siginfo_t *info, unsigned flags)
{
	return syscall(SYS_pidfd_send_signal, fd, signal, info, flags);
}
static pid_t sleeper(void)
{
	pid_t pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		pause();
		_exit(0);
	}
	return pid;
}

static void polls_at_exit(void)
{
	pid_t pid = sleeper();
	int fd = pidfd_open(pid, 0);
	CHECK(fd >= 0 && (fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
	struct pollfd ready = { fd, POLLIN, 0 };
	CHECK(poll(&ready, 1, 0) == 0);
	int set = epoll_create1(0);
	struct epoll_event event = { EPOLLIN, { .fd = fd } };
	CHECK(set >= 0 && epoll_ctl(set, EPOLL_CTL_ADD, fd, &event) == 0);
	CHECK(pidfd_send(fd, SIGKILL, NULL, 0) == 0);
	CHECK(epoll_wait(set, &event, 1, -1) == 1 && event.data.fd == fd);
	CHECK(poll(&ready, 1, -1) == 1 && (ready.revents & POLLIN) != 0);
	siginfo_t info;
	CHECK(waitid(P_PIDFD, fd, &info, WEXITED) == 0 && info.si_pid == pid && info.si_status == SIGKILL);
	FAILS(waitid(P_PIDFD, fd, &info, WEXITED), ECHILD);
	FAILS(pidfd_send(fd, 0, NULL, 0), ESRCH);
	FAILS(waitid(P_PIDFD, 0, &info, WEXITED), EBADF);
	FAILS(pidfd_open(0, 0), EINVAL);
	FAILS(pidfd_open(pid, 0x1000000), EINVAL);
	FAILS(pidfd_open(pid, 0), ESRCH);
}

static void does_not_wait(void)
{
	pid_t pid = sleeper();
	int fd = pidfd_open(pid, O_NONBLOCK);
	siginfo_t info;
	CHECK(fd >= 0);
	FAILS(waitid(P_PIDFD, fd, &info, WEXITED), EAGAIN);
	CHECK(kill(pid, SIGTERM) == 0);
	struct pollfd ready = { fd, POLLIN, 0 };
	CHECK(poll(&ready, 1, -1) == 1);
	CHECK(waitid(P_PIDFD, fd, &info, WEXITED) == 0 && info.si_status == SIGTERM);
}

static void takes_descriptors(void)
{
	int pair[2];
	CHECK(pipe(pair) == 0);
	pid_t pid = fork();
	if (pid == 0) {
		CHECK(dup2(pair[1], 50) == 50);
		close(pair[1]);
		CHECK(write(50, "a", 1) == 1);
		pause();
	}
	char c;
	CHECK(read(pair[0], &c, 1) == 1);
	int fd = pidfd_open(pid, 0);
	int got = syscall(SYS_pidfd_getfd, fd, 50, 0);
	CHECK(got >= 0 && (fcntl(got, F_GETFD) & FD_CLOEXEC) != 0);
	CHECK(write(got, "b", 1) == 1 && read(pair[0], &c, 1) == 1 && c == 'b');
	FAILS(syscall(SYS_pidfd_getfd, fd, 99, 0), EBADF);
	FAILS(syscall(SYS_pidfd_getfd, fd, 50, 1), EINVAL);
	FAILS(syscall(SYS_pidfd_getfd, pair[0], 50, 0), EBADF);
	CHECK(kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid);
	FAILS(syscall(SYS_pidfd_getfd, fd, 50, 0), ESRCH);
}

static void signals_with_siginfo(void)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	CHECK(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
	int fd = pidfd_open(getpid(), 0);
	siginfo_t info = { .si_signo = SIGUSR1, .si_code = SI_QUEUE };
	info.si_value.sival_int = 99;
	FAILS(pidfd_send(fd, SIGUSR2, &info, 0), EINVAL);
	CHECK(pidfd_send(fd, SIGUSR1, &info, 0) == 0);
	siginfo_t got;
	CHECK(sigwaitinfo(&set, &got) == SIGUSR1 && got.si_value.sival_int == 99);
	FAILS(pidfd_send(fd, SIGUSR1, NULL, 0x80), EINVAL);
	FAILS(pidfd_send(fd, 100, NULL, 0), EINVAL);
	FAILS(pidfd_send(0, SIGUSR1, NULL, 0), EBADF);
}

static long clone3(struct clone_args *args, size_t size)
{
	return syscall(SYS_clone3, args, size);
}
static void clone3_gives_a_descriptor(void)
{
	int fd = -1;
	struct clone_args args = { .flags = CLONE_PIDFD, .pidfd = (unsigned long)&fd, .exit_signal = SIGCHLD };
	pid_t pid = clone3(&args, sizeof args);
	CHECK(pid >= 0);
	if (pid == 0)
		_exit(4);
	siginfo_t info;
	CHECK(fd >= 0 && waitid(P_PIDFD, fd, &info, WEXITED) == 0 && info.si_pid == pid && info.si_status == 4);
	struct clone_args huge = { .flags = 1ull << 40, .exit_signal = SIGCHLD };
	FAILS(clone3(&huge, sizeof huge), EINVAL);
	FAILS(clone3(&args, 8), EINVAL);
	args = (struct clone_args){ .exit_signal = SIGCHLD, .stack = 4096 };
	FAILS(clone3(&args, sizeof args), EINVAL);
}

/* a number of one's choice: in a user namespace of one's own, where the power to choose is */
static void clone3_chooses_numbers(void)
{
	pid_t wanted[2] = { 1, 0 };
	struct clone_args args = { .flags = CLONE_NEWUSER | CLONE_NEWPID, .exit_signal = SIGCHLD };
	pid_t pid = clone3(&args, sizeof args);
	CHECK(pid >= 0);
	if (pid == 0) {
		CHECK(getpid() == 1);
		args = (struct clone_args){ .exit_signal = SIGCHLD, .set_tid = (unsigned long)wanted, .set_tid_size = 1 };
		wanted[0] = 321;
		pid_t child = clone3(&args, sizeof args);
		if (child == 0) {
			CHECK(getpid() == 321);
			pause();
		}
		CHECK(child == 321);
		FAILS(clone3(&args, sizeof args), EEXIST);
		wanted[0] = 0;
		FAILS(clone3(&args, sizeof args), EINVAL);
		args.set_tid_size = 0;
		FAILS(clone3(&args, sizeof args), EINVAL);
		args.set_tid_size = 5;
		FAILS(clone3(&args, sizeof args), EINVAL); /* more than there are namespaces */
		wanted[0] = wanted[1] = 400;
		args.set_tid_size = 2;
		FAILS(clone3(&args, sizeof args), EPERM); /* outside it has no power */
		_exit(0); /* takes the other one along */
	}
	int status;
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

/* advice and release: what they refuse, and what they give */
static void memory_of_another(void)
{
	pid_t pid = sleeper();
	int fd = pidfd_open(pid, 0);
	char *area = mmap(NULL, 8192, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct iovec own = { area, 8192 };
	CHECK(area != MAP_FAILED && syscall(SYS_process_madvise, pidfd_open(getpid(), 0), &own, 1, MADV_COLD, 0) == 8192);
	FAILS(syscall(SYS_process_madvise, fd, &own, 1, MADV_COLD, 1), EINVAL);
	FAILS(syscall(SYS_process_madvise, fd, &own, 1, MADV_HUGEPAGE, 0), EINVAL);
	FAILS(syscall(SYS_process_madvise, 0, &own, 1, MADV_COLD, 0), EBADF);
	FAILS(syscall(SYS_process_mrelease, fd, 0), EINVAL); /* it lives */
	FAILS(syscall(SYS_process_mrelease, fd, 1), EINVAL);
	CHECK(kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid);
	FAILS(syscall(SYS_process_mrelease, fd, 0), ESRCH);
}

int main(void)
{
	PART(polls_at_exit);
	PART(does_not_wait);
	PART(takes_descriptors);
	PART(signals_with_siginfo);
	PART(clone3_gives_a_descriptor);
	PART(clone3_chooses_numbers);
	PART(memory_of_another);
	return 0;
}
