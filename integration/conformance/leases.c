/* leases (fcntl(2), F_SETLEASE): who may have one, who breaks it, what the holder hears */
#include "check.h"
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

static char path[] = "/tmp/lease.XXXXXX";

static int lease(int fd, int type) { return fcntl(fd, F_SETLEASE, type); }
static int open_with(int flags)
{
	int fd = open(path, flags);
	CHECK(fd >= 0);
	return fd;
}

static void who_may_have_one(void)
{
	int fd = open_with(O_RDONLY), writer = open_with(O_RDWR);
	CHECK(fcntl(fd, F_GETLEASE) == F_UNLCK);
	FAILS(lease(fd, F_UNLCK), EAGAIN);
	FAILS(lease(fd, 77), EINVAL);
	FAILS(lease(fd, F_RDLCK), EAGAIN); /* somebody writes */
	FAILS(lease(writer, F_WRLCK), EAGAIN); /* somebody else has it open */
	CHECK(close(fd) == 0 && lease(writer, F_WRLCK) == 0 && fcntl(writer, F_GETLEASE) == F_WRLCK);
	FAILS(lease(writer, F_RDLCK), EAGAIN); /* it is open for writing, by itself */
	CHECK(lease(writer, F_UNLCK) == 0 && fcntl(writer, F_GETLEASE) == F_UNLCK && close(writer) == 0);
	fd = open_with(O_RDONLY);
	int second = open_with(O_RDONLY);
	CHECK(lease(fd, F_RDLCK) == 0 && lease(second, F_RDLCK) == 0); /* readers share */
	FAILS(lease(fd, F_WRLCK), EAGAIN);
	int same = dup(fd);
	CHECK(fcntl(same, F_GETLEASE) == F_RDLCK); /* the open file has it, not the descriptor */
	CHECK(close(fd) == 0 && fcntl(same, F_GETLEASE) == F_RDLCK && close(same) == 0);
	CHECK(lease(second, F_WRLCK) == 0 && lease(second, F_RDLCK) == 0);
	int pipes[2], directory = open("/tmp", O_RDONLY);
	CHECK(pipe(pipes) == 0);
	FAILS(lease(pipes[0], F_RDLCK), EINVAL);
	FAILS(lease(directory, F_RDLCK), EINVAL);
	CHECK(setgroups(0, NULL) == 0 && setgid(1000) == 0 && setuid(1000) == 0);
	FAILS(lease(second, F_WRLCK), EACCES);
}

static sigset_t signals;
static void expect_signals(void)
{
	sigemptyset(&signals);
	sigaddset(&signals, SIGIO);
	sigaddset(&signals, SIGRTMIN);
	CHECK(sigprocmask(SIG_BLOCK, &signals, NULL) == 0);
}
static void told(int signal, int fd)
{
	siginfo_t info;
	CHECK(sigwaitinfo(&signals, &info) == signal);
	CHECK(signal == SIGIO || (info.si_code == POLL_MSG && info.si_fd == fd));
}
static int none_pending(void)
{
	struct timespec now = { 0, 0 };
	return sigtimedwait(&signals, NULL, &now) == -1 && errno == EAGAIN;
}

/* a child that opens; its exit status is 0 if that worked */
static pid_t opener(int flags)
{
	pid_t pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		close_range(3, 100, 0); /* the open file with the lease is the parent's alone */
		_exit(flags < 0 ? truncate(path, 3) != 0 : open(path, flags) < 0);
	}
	return pid;
}
static void opened(pid_t pid)
{
	int status;
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}
static int still_waits(pid_t pid)
{
	return waitpid(pid, NULL, WNOHANG) == 0;
}

static void a_reader_is_told_of_writers(void)
{
	expect_signals();
	int fd = open_with(O_RDONLY);
	CHECK(lease(fd, F_RDLCK) == 0);
	CHECK(close(open_with(O_RDONLY)) == 0 && none_pending()); /* readers do not disturb */
	FAILS(open(path, O_WRONLY | O_NONBLOCK), EWOULDBLOCK);
	told(SIGIO, fd);
	CHECK(fcntl(fd, F_GETLEASE) == F_UNLCK); /* what it has to become */
	FAILS(open(path, O_WRONLY | O_NONBLOCK), EWOULDBLOCK);
	CHECK(none_pending()); /* told once */
	CHECK(lease(fd, F_UNLCK) == 0 && close(open_with(O_WRONLY | O_NONBLOCK)) == 0);

	CHECK(fcntl(fd, F_SETSIG, SIGRTMIN) == 0 && lease(fd, F_RDLCK) == 0);
	pid_t pid = opener(O_RDWR);
	told(SIGRTMIN, fd);
	CHECK(still_waits(pid) && lease(fd, F_UNLCK) == 0);
	opened(pid);

	CHECK(fcntl(fd, F_SETSIG, SIGRTMIN) == 0 && lease(fd, F_RDLCK) == 0); /* the end of a lease forgets the signal */
	pid = opener(-1); /* truncate(2) writes */
	told(SIGRTMIN, fd);
	CHECK(still_waits(pid) && close(fd) == 0); /* closing gives way as well */
	opened(pid);
	struct stat st;
	CHECK(stat(path, &st) == 0 && st.st_size == 3);
}

static void a_writer_is_told_of_readers(void)
{
	expect_signals();
	int fd = open_with(O_RDWR);
	CHECK(fcntl(fd, F_SETSIG, SIGRTMIN) == 0 && lease(fd, F_WRLCK) == 0);
	CHECK(close(open(path, O_PATH)) == 0 && chmod(path, 0666) == 0 && none_pending());
	pid_t pid = opener(O_RDONLY);
	told(SIGRTMIN, fd);
	CHECK(fcntl(fd, F_GETLEASE) == F_RDLCK && still_waits(pid));
	pid_t second = opener(O_RDONLY);
	CHECK(lease(fd, F_UNLCK) == 0);
	opened(pid);
	opened(second);
	CHECK(none_pending());
	CHECK(fcntl(fd, F_SETSIG, SIGRTMIN) == 0 && lease(fd, F_WRLCK) == 0);
	pid = opener(O_WRONLY);
	told(SIGRTMIN, fd);
	CHECK(fcntl(fd, F_GETLEASE) == F_UNLCK && lease(fd, F_UNLCK) == 0);
	opened(pid);
}

static void on_alarm(int signal) { (void)signal; }
static void waiting_can_be_interrupted(void)
{
	expect_signals();
	int fd = open_with(O_RDONLY), status;
	CHECK(lease(fd, F_RDLCK) == 0);
	pid_t pid = fork();
	if (pid == 0) {
		struct sigaction action = { .sa_handler = on_alarm };
		CHECK(sigaction(SIGALRM, &action, NULL) == 0);
		ualarm(50000, 0);
		FAILS(open(path, O_WRONLY), EINTR);
		_exit(0);
	}
	told(SIGIO, fd);
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	CHECK(fcntl(fd, F_GETLEASE) == F_UNLCK);
}

int main(void)
{
	CHECK(close(mkstemp(path)) == 0);
	PART(who_may_have_one);
	PART(a_reader_is_told_of_writers);
	PART(a_writer_is_told_of_readers);
	PART(waiting_can_be_interrupted);
	return unlink(path);
}
