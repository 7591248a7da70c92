/* seccomp(2) and seccomp_unotify(2): a supervisor answers, lets go on, gives descriptors; threads follow */
#include "check.h"
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static int install(int nr, unsigned verdict, unsigned flags)
{
	struct sock_filter rows[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, verdict),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { 4, rows };
	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
}

static void actions(void)
{
	unsigned known[] = { SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_KILL_THREAD, SECCOMP_RET_TRAP, SECCOMP_RET_ERRNO,
			     SECCOMP_RET_USER_NOTIF, SECCOMP_RET_TRACE, SECCOMP_RET_LOG, SECCOMP_RET_ALLOW };
	for (unsigned i = 0; i < sizeof known / sizeof *known; i++)
		CHECK(syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &known[i]) == 0);
	unsigned none = 0x12340000;
	FAILS(syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &none), EOPNOTSUPP);
	struct seccomp_notif_sizes sizes;
	CHECK(syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes) == 0);
	CHECK(sizes.seccomp_notif == 80 && sizes.seccomp_notif_resp == 24 && sizes.seccomp_data == 64);
	CHECK(install(SYS_getppid, SECCOMP_RET_LOG, 0) == 0);
	CHECK(syscall(SYS_getppid) > 0);
	CHECK(install(SYS_getppid, SECCOMP_RET_TRACE, 0) == 0);
	FAILS(syscall(SYS_getppid), ENOSYS); /* nobody traces */
	CHECK(install(SYS_getppid, SECCOMP_RET_USER_NOTIF, 0) == 0);
	FAILS(syscall(SYS_getppid), ENOSYS); /* nobody listens */
	CHECK(install(SYS_getppid, SECCOMP_RET_ERRNO | 5, 0) == 0);
	FAILS(syscall(SYS_getppid), 5);
	FAILS(install(SYS_getppid, SECCOMP_RET_USER_NOTIF, SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_NEW_LISTENER), EINVAL);
	FAILS(install(SYS_getppid, SECCOMP_RET_USER_NOTIF, 0x8000), EINVAL);
}

static void killing(void)
{
	int status;
	unsigned verdicts[] = { SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_KILL_THREAD };
	for (int i = 0; i < 2; i++) {
		pid_t pid = fork();
		if (pid == 0) {
			struct sock_filter rows[] = { BPF_STMT(BPF_RET | BPF_K, verdicts[i]) };
			struct sock_fprog program = { 1, rows };
			prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
			syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program);
			syscall(SYS_getppid);
			_exit(0);
		}
		CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
	}
}

static void send_fd(int to, int fd)
{
	char c = 0, control[CMSG_SPACE(sizeof(int))];
	struct iovec data = { &c, 1 };
	struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control };
	struct cmsghdr *head = CMSG_FIRSTHDR(&message);
	*head = (struct cmsghdr){ .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int)) };
	memcpy(CMSG_DATA(head), &fd, sizeof fd);
	CHECK(sendmsg(to, &message, 0) == 1);
}
static int take_fd(int from)
{
	char c, control[CMSG_SPACE(sizeof(int))];
	int fd;
	struct iovec data = { &c, 1 };
	struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control };
	CHECK(recvmsg(from, &message, 0) == 1);
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
	return fd;
}

/* a child whose mkdir(2) asks; its listener in *listener */
static pid_t supervised(void (*body)(void), int *listener, unsigned flags)
{
	int pair[2];
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	pid_t pid = fork();
	if (pid == 0) {
		int fd = install(SYS_mkdir, SECCOMP_RET_USER_NOTIF, SECCOMP_FILTER_FLAG_NEW_LISTENER | flags);
		CHECK(fd >= 0 && (fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
		FAILS(install(SYS_rmdir, SECCOMP_RET_USER_NOTIF, SECCOMP_FILTER_FLAG_NEW_LISTENER), EBUSY);
		send_fd(pair[1], fd);
		close(fd);
		body();
		_exit(0);
	}
	close(pair[1]);
	*listener = take_fd(pair[0]);
	close(pair[0]);
	return pid;
}

static struct seccomp_notif receive(int listener)
{
	struct seccomp_notif request;
	memset(&request, 0, sizeof request);
	CHECK(ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &request) == 0);
	return request;
}
static int answer(int listener, uint64_t id, long value, int error, unsigned flags)
{
	struct seccomp_notif_resp response = { id, value, error, flags };
	return ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response);
}
static void expect_end(pid_t pid, int code)
{
	int status;
	CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == code);
}

static void asks(void)
{
	CHECK(syscall(SYS_mkdir, "one", 0755) == 1234);
	FAILS(syscall(SYS_mkdir, "two", 0755), EXDEV);
	rmdir("/tmp/asked");
	CHECK(mkdir("/tmp/asked", 0755) == 0); /* let go on */
	struct stat st;
	CHECK(stat("/tmp/asked", &st) == 0 && rmdir("/tmp/asked") == 0);
	_exit(7);
}
static void a_supervisor_answers(void)
{
	int listener;
	pid_t pid = supervised(asks, &listener, 0);
	struct seccomp_notif request;
	memset(&request, 1, sizeof request);
	FAILS(ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &request), EINVAL); /* not zero */
	struct pollfd ready = { listener, POLLIN | POLLOUT, 0 };
	CHECK(poll(&ready, 1, -1) == 1 && ready.revents == POLLIN);
	request = receive(listener);
	CHECK(request.pid == (unsigned)pid && request.flags == 0 && request.data.nr == SYS_mkdir && request.data.args[1] == 0755);
	CHECK(request.data.arch == 0xc000003e && request.data.instruction_pointer != 0);
	CHECK(poll(&ready, 1, 0) == 1 && ready.revents == POLLOUT);
	CHECK(ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &request.id) == 0);
	FAILS(answer(listener, request.id + 1, 0, 0, 0), ENOENT);
	FAILS(answer(listener, request.id, 0, 0, 8), EINVAL);
	FAILS(answer(listener, request.id, 1, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE), EINVAL);
	CHECK(answer(listener, request.id, 1234, 0, 0) == 0);
	/* once; in progress until the caller has noticed */
	CHECK(answer(listener, request.id, 1234, 0, 0) == -1 && (errno == ENOENT || errno == EINPROGRESS));
	while (ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &request.id) == 0)
		usleep(100);
	FAILS(ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &request.id), ENOENT);
	request = receive(listener);
	CHECK(answer(listener, request.id, 0, -EXDEV, 0) == 0);
	request = receive(listener);
	CHECK(answer(listener, request.id, 0, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE) == 0);
	expect_end(pid, 7);
	ready.revents = 0;
	CHECK(poll(&ready, 1, -1) == 1 && ready.revents == POLLHUP);
	FAILS(ioctl(listener, 0x1234), EINVAL);
}

static void wants_files(void)
{
	char c;
	int fd = syscall(SYS_mkdir, "fd", 0);
	CHECK(fd >= 0 && read(fd, &c, 1) == 1 && c == 'x');
	fd = syscall(SYS_mkdir, "fd", 0);
	CHECK(fd == 77 && read(fd, &c, 1) == 1 && c == 'y' && (fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
	_exit(3);
}
static void a_supervisor_gives_files(void)
{
	int listener, source[2];
	CHECK(pipe(source) == 0 && write(source[1], "xy", 2) == 2);
	pid_t pid = supervised(wants_files, &listener, 0);
	struct seccomp_notif request = receive(listener);
	struct seccomp_notif_addfd add = { .id = request.id, .srcfd = source[0] };
	add.newfd = 5;
	FAILS(ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add), EINVAL);
	add.newfd = 0;
	add.srcfd = 999;
	FAILS(ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add), EBADF);
	add.srcfd = source[0];
	int fd = ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add);
	CHECK(fd >= 0 && answer(listener, request.id, fd, 0, 0) == 0);
	request = receive(listener);
	add = (struct seccomp_notif_addfd){ request.id, SECCOMP_ADDFD_FLAG_SETFD | SECCOMP_ADDFD_FLAG_SEND, source[0], 77, O_CLOEXEC };
	CHECK(ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add) == 77);
	expect_end(pid, 3);
}

static void handler(int signal)
{
	(void)signal;
}
static void is_interrupted(void)
{
	struct sigaction action = { .sa_handler = handler };
	sigaction(SIGUSR1, &action, NULL);
	FAILS(syscall(SYS_mkdir, "x", 0), EINTR);
	_exit(4);
}
static void a_signal_ends_the_question(void)
{
	int listener;
	pid_t pid = supervised(is_interrupted, &listener, 0);
	struct seccomp_notif request = receive(listener);
	CHECK(kill(pid, SIGUSR1) == 0);
	expect_end(pid, 4);
	FAILS(answer(listener, request.id, 0, 0, 0), ENOENT);
}

static void is_left_alone(void)
{
	FAILS(syscall(SYS_mkdir, "x", 0), ENOSYS);
	FAILS(syscall(SYS_mkdir, "x", 0), ENOSYS);
	_exit(5);
}
static void without_its_supervisor(void)
{
	int listener;
	pid_t pid = supervised(is_left_alone, &listener, 0);
	receive(listener);
	close(listener);
	expect_end(pid, 5);
}

static int shared_value;
static void *follower(void *gate)
{
	char c;
	CHECK(read(*(int *)gate, &c, 1) == 1);
	errno = 0;
	shared_value = syscall(SYS_getppid) == -1 ? errno : 0;
	return NULL;
}
static void threads_follow(void)
{
	int gate[2];
	pthread_t thread;
	CHECK(pipe(gate) == 0 && pthread_create(&thread, NULL, follower, &gate[0]) == 0);
	CHECK(install(SYS_getppid, SECCOMP_RET_ERRNO | 44, SECCOMP_FILTER_FLAG_TSYNC) == 0);
	CHECK(write(gate[1], "", 1) == 1 && pthread_join(thread, NULL) == 0 && shared_value == 44);
}

int main(void)
{
	PART(actions);
	PART(killing);
	PART(a_supervisor_answers);
	PART(a_supervisor_gives_files);
	PART(a_signal_ends_the_question);
	PART(without_its_supervisor);
	PART(threads_follow);
	return 0;
}
