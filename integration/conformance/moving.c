/* splice(2), tee(2), vmsplice(2) between everything; AIO; epoll(7) where it gets subtle; mq_notify(3), signalfd(2) */
#include "check.h"
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <mqueue.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif
#ifndef EPOLLEXCLUSIVE
#define EPOLLEXCLUSIVE (1u << 28)
#endif

static int file(const char *text)
{
	char name[] = "/tmp/movingXXXXXX";
	int fd = mkstemp(name);
	CHECK(fd >= 0 && unlink(name) == 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) && lseek(fd, 0, SEEK_SET) == 0);
	return fd;
}
static void expect(int fd, const char *text)
{
	char bytes[100] = { 0 };
	size_t length = strlen(text);
	CHECK(read(fd, bytes, sizeof bytes - 1) == (ssize_t)length && memcmp(bytes, text, length) == 0);
}

static void splice_matrix(void)
{
	int a[2], b[2], pair[2];
	CHECK(pipe(a) == 0 && pipe(b) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	int in = file("0123456789"), out = file("");
	off_t at = 3;
	CHECK(splice(in, &at, a[1], NULL, 4, 0) == 4 && at == 7 && lseek(in, 0, SEEK_CUR) == 0);
	expect(a[0], "3456");
	CHECK(splice(in, NULL, a[1], NULL, 2, 0) == 2 && lseek(in, 0, SEEK_CUR) == 2);
	CHECK(splice(a[0], NULL, b[1], NULL, 100, 0) == 2); /* pipe to pipe */
	expect(b[0], "01");
	CHECK(write(a[1], "to file", 7) == 7);
	at = 5;
	CHECK(splice(a[0], NULL, out, &at, 7, 0) == 7 && at == 12);
	char bytes[20];
	CHECK(pread(out, bytes, 20, 0) == 12 && memcmp(bytes, "\0\0\0\0\0to file", 12) == 0);
	CHECK(write(a[1], "socket", 6) == 6 && splice(a[0], NULL, pair[0], NULL, 6, SPLICE_F_MORE) == 6);
	expect(pair[1], "socket");
	CHECK(write(pair[1], "back", 4) == 4 && splice(pair[0], NULL, a[1], NULL, 100, SPLICE_F_MOVE) == 4);
	expect(a[0], "back");
	/* what cannot be */
	FAILS(splice(in, NULL, out, NULL, 1, 0), EINVAL);
	at = 0;
	FAILS(splice(a[0], &at, out, NULL, 1, 0), ESPIPE);
	FAILS(splice(in, NULL, a[1], &at, 1, 0), ESPIPE);
	FAILS(splice(a[0], NULL, a[1], NULL, 1, 0), EINVAL);
	FAILS(splice(-1, NULL, a[1], NULL, 1, 0), EBADF);
	FAILS(splice(a[0], NULL, out, NULL, 1, 0x80), EINVAL);
	FAILS(splice(a[1], NULL, out, NULL, 1, 0), EBADF);
	FAILS(splice(a[0], NULL, out, NULL, 1, SPLICE_F_NONBLOCK), EAGAIN);
	CHECK(splice(a[0], NULL, out, NULL, 0, 0) == 0);
	int append = open("/proc/self/fd/0", O_RDONLY);
	(void)append;
	CHECK(fcntl(out, F_SETFL, O_APPEND) == 0 && write(a[1], "x", 1) == 1);
	FAILS(splice(a[0], NULL, out, NULL, 1, 0), EINVAL);
	close(a[1]);
	char c;
	CHECK(read(a[0], &c, 1) == 1 && splice(a[0], NULL, b[1], NULL, 1, 0) == 0); /* end of file */
	close(b[0]);
	signal(SIGPIPE, SIG_IGN);
	CHECK(pipe(a) == 0 && write(a[1], "y", 1) == 1);
	FAILS(splice(a[0], NULL, b[1], NULL, 1, 0), EPIPE);
}

static void tee_and_vmsplice(void)
{
	int a[2], b[2];
	CHECK(pipe(a) == 0 && pipe(b) == 0 && write(a[1], "copied", 6) == 6);
	CHECK(tee(a[0], b[1], 4, 0) == 4);
	expect(b[0], "copi");
	expect(a[0], "copied"); /* nothing was taken */
	FAILS(tee(a[0], b[1], 1, SPLICE_F_NONBLOCK), EAGAIN);
	FAILS(tee(a[0], a[1], 1, 0), EINVAL);
	int regular = file("x");
	FAILS(tee(regular, b[1], 1, 0), EINVAL);
	char one[] = "gather", two[] = "ed", into[20] = { 0 };
	struct iovec parts[] = { { one, 6 }, { two, 2 } }, target = { into, 20 };
	CHECK(vmsplice(a[1], parts, 2, 0) == 8);
	CHECK(vmsplice(a[0], &target, 1, 0) == 8 && memcmp(into, "gathered", 8) == 0);
	FAILS(vmsplice(regular, parts, 1, 0), EBADF);
	FAILS(vmsplice(a[1], parts, 1, 0x100), EINVAL);
	CHECK(vmsplice(a[1], parts, 0, 0) == 0);
	CHECK(sendfile(b[1], regular, NULL, 10) == 1);
	expect(b[0], "x");
}

static void a_full_pipe(void)
{
	int a[2], b[2];
	CHECK(pipe2(a, O_NONBLOCK) == 0 && pipe(b) == 0);
	char page[4096] = { 1 };
	long total = 0;
	for (ssize_t n; (n = write(a[1], page, sizeof page)) > 0;)
		total += n;
	CHECK(errno == EAGAIN && total == 65536);
	int queued;
	CHECK(ioctl(a[0], FIONREAD, &queued) == 0 && queued == 65536);
	CHECK(write(b[1], "z", 1) == 1);
	FAILS(splice(b[0], NULL, a[1], NULL, 1, SPLICE_F_NONBLOCK), EAGAIN);
	CHECK(fcntl(a[1], F_SETPIPE_SZ, 131072) == 131072 && fcntl(a[0], F_GETPIPE_SZ) == 131072);
	CHECK(splice(b[0], NULL, a[1], NULL, 1, SPLICE_F_NONBLOCK) == 1);
	FAILS(fcntl(a[1], F_SETPIPE_SZ, 4096), EBUSY);
}

static int aio(long nr, aio_context_t context, long a, void *b, void *c, void *d)
{
	return syscall(nr, context, a, b, c, d);
}
static void asynchronous(void)
{
	aio_context_t context = 0;
	FAILS(syscall(SYS_io_setup, 0, &context), EINVAL);
	CHECK(syscall(SYS_io_setup, 8, &context) == 0 && context != 0);
	int fd = file("asynchronous"), event = eventfd(0, 0);
	char bytes[20] = { 0 };
	struct iocb read = { .aio_lio_opcode = IOCB_CMD_PREAD, .aio_fildes = fd, .aio_buf = (unsigned long)bytes, .aio_nbytes = 5,
			     .aio_offset = 1, .aio_data = 42, .aio_flags = IOCB_FLAG_RESFD, .aio_resfd = event };
	struct iocb bad = { .aio_lio_opcode = 77, .aio_fildes = fd };
	struct iocb closed = { .aio_lio_opcode = IOCB_CMD_PREAD, .aio_fildes = 999 };
	struct iocb *list[] = { &read, &bad };
	CHECK(syscall(SYS_io_submit, context, 2, list) == 1); /* the second one stops it */
	struct io_event done[4];
	CHECK(aio(SYS_io_getevents, context, 1, (void *)4, done, NULL) == 1);
	CHECK(done[0].data == 42 && done[0].res == 5 && done[0].obj == (unsigned long)&read && memcmp(bytes, "synch", 5) == 0);
	unsigned long counted;
	CHECK(pread(event, &counted, 8, 0) == -1 && errno == ESPIPE);
	CHECK(syscall(SYS_read, event, &counted, 8) == 8 && counted == 1);
	list[0] = &bad;
	FAILS(syscall(SYS_io_submit, context, 1, list), EINVAL);
	list[0] = &closed;
	FAILS(syscall(SYS_io_submit, context, 1, list), EBADF);
	FAILS(syscall(SYS_io_submit, context, -1L, list), EINVAL);
	struct timespec none = { 0, 0 };
	CHECK(aio(SYS_io_getevents, context, 1, (void *)4, done, &none) == 0);
	CHECK(syscall(SYS_io_destroy, context) == 0);
	FAILS(syscall(SYS_io_destroy, context), EINVAL);
}

static int add(int set, int fd, unsigned events)
{
	struct epoll_event event = { events, { .fd = fd } };
	return epoll_ctl(set, EPOLL_CTL_ADD, fd, &event);
}
static int ready(int set)
{
	struct epoll_event event;
	int n = epoll_wait(set, &event, 1, 0);
	return n == 1 ? event.data.fd : -1;
}
static void nested_sets(void)
{
	int inner = epoll_create1(0), outer = epoll_create1(0), fds[2];
	CHECK(pipe(fds) == 0 && add(inner, fds[0], EPOLLIN) == 0 && add(outer, inner, EPOLLIN) == 0);
	FAILS(add(inner, inner, EPOLLIN), EINVAL);
	FAILS(add(inner, outer, EPOLLIN), ELOOP);
	CHECK(ready(outer) == -1 && write(fds[1], "x", 1) == 1 && ready(outer) == inner && ready(inner) == fds[0]);
	struct pollfd polled = { outer, POLLIN, 0 };
	CHECK(poll(&polled, 1, 0) == 1 && polled.revents == POLLIN);
	char c;
	CHECK(read(fds[0], &c, 1) == 1 && ready(outer) == -1 && poll(&polled, 1, 0) == 0);
	int chain[7];
	for (int i = 0; i < 7; i++) {
		chain[i] = epoll_create1(0);
		int r = i == 0 ? 0 : add(chain[i], chain[i - 1], EPOLLIN);
		CHECK(i < 5 ? r == 0 : r == -1 ? errno == ELOOP : 1);
	}
}
static void edges_and_single_shots(void)
{
	int set = epoll_create1(0), fds[2];
	CHECK(pipe(fds) == 0 && add(set, fds[0], EPOLLIN | EPOLLET) == 0);
	CHECK(write(fds[1], "a", 1) == 1 && ready(set) == fds[0] && ready(set) == -1);
	CHECK(write(fds[1], "b", 1) == 1 && ready(set) == fds[0] && ready(set) == -1); /* every write is an edge */
	struct epoll_event event = { EPOLLIN | EPOLLONESHOT, { .fd = fds[0] } };
	CHECK(epoll_ctl(set, EPOLL_CTL_MOD, fds[0], &event) == 0 && ready(set) == fds[0] && ready(set) == -1);
	CHECK(write(fds[1], "c", 1) == 1 && ready(set) == -1);
	CHECK(epoll_ctl(set, EPOLL_CTL_MOD, fds[0], &event) == 0 && ready(set) == fds[0]);
	FAILS(add(set, fds[0], EPOLLIN), EEXIST);
	CHECK(epoll_ctl(set, EPOLL_CTL_DEL, fds[0], NULL) == 0);
	FAILS(epoll_ctl(set, EPOLL_CTL_DEL, fds[0], NULL), ENOENT);
	FAILS(epoll_ctl(set, EPOLL_CTL_MOD, fds[0], &event), ENOENT);
	FAILS(epoll_ctl(set, 9, fds[0], &event), EINVAL);
	int regular = file("x");
	FAILS(add(set, regular, EPOLLIN), EPERM);
	FAILS(epoll_wait(set, &event, 0, 0), EINVAL);
	FAILS(epoll_wait(fds[0], &event, 1, 0), EINVAL);
	/* a descriptor that is closed is gone, unless it was duplicated */
	CHECK(add(set, fds[0], EPOLLIN) == 0);
	int copy = dup(fds[0]);
	close(fds[0]);
	CHECK(ready(set) == fds[0]);
	close(copy);
	CHECK(ready(set) == -1);
}
static void exclusive_waits(void)
{
	int set = epoll_create1(0), other = epoll_create1(0), event = eventfd(0, EFD_NONBLOCK);
	CHECK(add(set, event, EPOLLIN | EPOLLEXCLUSIVE) == 0 && add(other, event, EPOLLIN | EPOLLEXCLUSIVE | EPOLLET) == 0);
	struct epoll_event change = { EPOLLIN, { .fd = event } };
	FAILS(epoll_ctl(set, EPOLL_CTL_MOD, event, &change), EINVAL);
	int third = epoll_create1(0);
	FAILS(add(third, event, EPOLLIN | EPOLLEXCLUSIVE | EPOLLONESHOT), EINVAL);
	FAILS(add(third, set, EPOLLIN | EPOLLEXCLUSIVE), EINVAL);
	CHECK(add(third, event, EPOLLIN | EPOLLWAKEUP) == 0);
	CHECK(eventfd_write(event, 1) == 0 && ready(third) == event && (ready(set) == event || ready(other) == event));
}

static void notified_queue(void)
{
	struct mq_attr attributes = { .mq_maxmsg = 3, .mq_msgsize = 10 };
	mqd_t q = mq_open("/moving", O_CREAT | O_EXCL | O_RDWR | O_NONBLOCK, 0600, &attributes);
	CHECK(q >= 0 && mq_unlink("/moving") == 0);
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 1);
	CHECK(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
	struct sigevent how = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 1, .sigev_value.sival_int = 7 };
	CHECK(mq_notify(q, &how) == 0);
	FAILS(mq_notify(q, &how), EBUSY);
	CHECK(mq_send(q, "one", 3, 0) == 0);
	siginfo_t info;
	CHECK(sigwaitinfo(&set, &info) == SIGRTMIN + 1 && info.si_code == SI_MESGQ && info.si_value.sival_int == 7 && info.si_pid == getpid());
	struct timespec none = { 0, 0 };
	CHECK(mq_send(q, "two", 3, 5) == 0);
	FAILS(sigtimedwait(&set, &info, &none), EAGAIN); /* once, and only into an empty queue */
	CHECK(mq_notify(q, &how) == 0 && mq_send(q, "three", 5, 1) == 0);
	FAILS(sigtimedwait(&set, &info, &none), EAGAIN);
	char bytes[10];
	unsigned priority;
	CHECK(mq_receive(q, bytes, 10, &priority) == 3 && priority == 5);
	CHECK(mq_notify(q, NULL) == 0);
	FAILS(mq_receive(q, bytes, 9, NULL), EMSGSIZE);
	struct pollfd polled = { q, POLLIN | POLLOUT, 0 };
	CHECK(poll(&polled, 1, 0) == 1 && polled.revents == (POLLIN | POLLOUT));
}

static void signals_as_files(void)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGRTMIN);
	CHECK(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
	int fd = signalfd(-1, &set, SFD_NONBLOCK);
	struct signalfd_siginfo info[3];
	FAILS(read(fd, info, sizeof info), EAGAIN);
	FAILS(read(fd, info, 10), EINVAL);
	union sigval value = { .sival_int = 3 };
	CHECK(sigqueue(getpid(), SIGRTMIN, value) == 0 && kill(getpid(), SIGUSR1) == 0);
	CHECK(read(fd, info, sizeof info) == 2 * sizeof *info);
	CHECK(info[0].ssi_signo == SIGUSR1 && info[1].ssi_signo == (unsigned)SIGRTMIN && info[1].ssi_int == 3);
	/* a child reads its own signals through the same descriptor */
	pid_t pid = fork();
	if (pid == 0) {
		CHECK(raise(SIGUSR1) == 0 && read(fd, info, sizeof *info) == sizeof *info && info[0].ssi_pid == (unsigned)getpid());
		_exit(0);
	}
	int status;
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	sigdelset(&set, SIGUSR1);
	CHECK(signalfd(fd, &set, 0) == fd && raise(SIGUSR1) == 0);
	FAILS(read(fd, info, sizeof info), EAGAIN);
	FAILS(signalfd(0, &set, 0), EINVAL);
}

static void peer_as_descriptor(void)
{
	int pair[2], fd;
	socklen_t length = sizeof fd;
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	CHECK(getsockopt(pair[0], SOL_SOCKET, SO_PEERPIDFD, &fd, &length) == 0 && length == sizeof fd);
	CHECK(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0) == 0 && (fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
	int type, protocol, domain, listening;
	CHECK(getsockopt(pair[0], SOL_SOCKET, SO_TYPE, &type, &length) == 0 && type == SOCK_STREAM);
	CHECK(getsockopt(pair[0], SOL_SOCKET, SO_DOMAIN, &domain, &length) == 0 && domain == AF_UNIX);
	CHECK(getsockopt(pair[0], SOL_SOCKET, SO_PROTOCOL, &protocol, &length) == 0 && protocol == 0);
	CHECK(getsockopt(pair[0], SOL_SOCKET, SO_ACCEPTCONN, &listening, &length) == 0 && listening == 0);
	FAILS(getsockopt(pair[0], SOL_SOCKET, 12345, &fd, &length), ENOPROTOOPT);
}

static void urgent_byte(void)
{
	int pair[2], mark;
	char bytes[10];
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	FAILS(recv(pair[1], bytes, 1, MSG_OOB), EINVAL);
	CHECK(send(pair[0], "abc", 3, MSG_OOB) == 3 && send(pair[0], "de", 2, 0) == 2);
	struct pollfd polled = { pair[1], POLLPRI | POLLIN, 0 };
	CHECK(poll(&polled, 1, 0) == 1 && polled.revents == (POLLPRI | POLLIN));
	CHECK(recv(pair[1], bytes, 10, 0) == 2 && memcmp(bytes, "ab", 2) == 0); /* up to the mark */
	CHECK(ioctl(pair[1], SIOCATMARK, &mark) == 0 && mark == 1);
	CHECK(recv(pair[1], bytes, 10, MSG_OOB) == 1 && bytes[0] == 'c');
	FAILS(recv(pair[1], bytes, 1, MSG_OOB), EINVAL);
	CHECK(recv(pair[1], bytes, 10, 0) == 2 && memcmp(bytes, "de", 2) == 0);
	CHECK(send(pair[0], "f", 1, MSG_OOB) == 1 && send(pair[0], "gh", 2, 0) == 2);
	CHECK(recv(pair[1], bytes, 10, 0) == 2 && memcmp(bytes, "gh", 2) == 0); /* nobody wanted it */
	int on = 1;
	CHECK(setsockopt(pair[1], SOL_SOCKET, SO_OOBINLINE, &on, sizeof on) == 0);
	CHECK(send(pair[0], "xy", 2, MSG_OOB) == 2);
	FAILS(recv(pair[1], bytes, 1, MSG_OOB), EINVAL);
	CHECK(recv(pair[1], bytes, 10, 0) == 1 && bytes[0] == 'x' && recv(pair[1], bytes, 10, 0) == 1 && bytes[0] == 'y');
	CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) == 0);
	FAILS(send(pair[0], "a", 1, MSG_OOB), EOPNOTSUPP);
}

int main(void)
{
	PART(splice_matrix);
	PART(tee_and_vmsplice);
	PART(a_full_pipe);
	PART(asynchronous);
	PART(nested_sets);
	PART(edges_and_single_shots);
	PART(exclusive_waits);
	PART(notified_queue);
	PART(signals_as_files);
	PART(peer_as_descriptor);
	PART(urgent_byte);
	return 0;
}
