/* unix sockets in detail: what every call and poll answers in each state, printed and compared with the host's */
#include "say.h"
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <linux/sockios.h>

static const int types[] = { SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET };
static const char *const names[] = { "stream", "dgram", "seqpacket" };

static void pairs(void)
{
	for (int t = 0; t < 3; t++) {
		int s[2], n = -1;
		char text[64];
		printf("%s\n", names[t]);
		SAY(socketpair(AF_UNIX, types[t] | SOCK_NONBLOCK, 0, s));
		say_poll("fresh", s[0]);
		SAY(recv(s[0], text, 64, 0));
		SAY(send(s[0], "hello", 5, 0));
		SAY(send(s[0], "", 0, 0));
		SAY(send(s[0], "world!", 6, 0));
		SAY(ioctl(s[1], FIONREAD, &n));
		printf("  FIONREAD %d\n", n);
		say_poll("data", s[1]);
		SAY(recv(s[1], text, 3, MSG_PEEK));
		SAY(recv(s[1], text, 3, MSG_PEEK | MSG_TRUNC));
		SAY(recv(s[1], text, 3, MSG_TRUNC));
		SAY(recv(s[1], text, 64, 0));
		SAY(recv(s[1], text, 64, 0));
		SAY(recv(s[1], text, 64, 0));
		SAY(recv(s[1], text, 64, MSG_OOB));
		SAY(send(s[1], "x", 1, MSG_EOR));
		SAY(shutdown(s[0], SHUT_WR));
		say_poll("shut WR", s[0]);
		say_poll("peer shut WR", s[1]);
		SAY(send(s[0], "x", 1, MSG_NOSIGNAL));
		SAY(recv(s[1], text, 64, 0));
		SAY(recv(s[0], text, 64, 0));
		SAY(shutdown(s[0], SHUT_RD));
		say_poll("shut both", s[0]);
		say_poll("peer shut both", s[1]);
		SAY(send(s[1], "x", 1, MSG_NOSIGNAL));
		SAY(recv(s[0], text, 64, 0));
		SAY(shutdown(s[0], 7));
		close(s[1]);
		say_poll("peer closed", s[0]);
		SAY(recv(s[0], text, 64, 0));
		SAY(send(s[0], "x", 1, MSG_NOSIGNAL));
		close(s[0]);
		SAY(socketpair(AF_UNIX, types[t] | SOCK_NONBLOCK, 0, s));
		SAY(send(s[0], "unread", 6, 0));
		close(s[1]);
		say_poll("reset", s[0]);
		SAY(recv(s[0], text, 64, 0));
		SAY(recv(s[0], text, 64, 0));
		SAY(send(s[0], "x", 1, MSG_NOSIGNAL));
		say_poll("after", s[0]);
		close(s[0]);
	}
}

static socklen_t name_of(struct sockaddr_un *a, const char *text)
{
	memset(a, 0, sizeof *a);
	a->sun_family = AF_UNIX;
	size_t n = text[0] == '@' ? strlen(text) : strlen(text) + 1;
	memcpy(a->sun_path, text, n);
	if (text[0] == '@')
		a->sun_path[0] = 0;
	return offsetof(struct sockaddr_un, sun_path) + n;
}

static void say_name(const char *what, int fd, int (*call)(int, struct sockaddr *, socklen_t *))
{
	struct sockaddr_un a;
	socklen_t n = sizeof a;
	memset(&a, 0x55, sizeof a);
	int r = call(fd, (struct sockaddr *)&a, &n);
	printf("  %s: %d %s", what, r, r < 0 ? strerror(errno) : "");
	if (r == 0 && n > 2)
		printf("%u %c%.*s", n, a.sun_path[0] ? a.sun_path[0] : '@', (int)n - 3, a.sun_path + 1);
	else if (r == 0)
		printf("%u unnamed", n);
	printf("\n");
}

static void states(void)
{
	for (int t = 0; t < 3; t++) {
		struct sockaddr_un a, b;
		char text[64];
		printf("%s\n", names[t]);
		int s = socket(AF_UNIX, types[t] | SOCK_NONBLOCK, 0), c = socket(AF_UNIX, types[t] | SOCK_NONBLOCK, 0);
		socklen_t n = name_of(&a, "@conformance-sockets"), m = name_of(&b, "/tmp/conformance-sockets");
		unlink(b.sun_path);
		say_poll("fresh", s);
		say_name("name", s, getsockname);
		say_name("peer", s, getpeername);
		SAY(listen(s, 2));
		SAY(accept(s, NULL, NULL));
		SAY(recv(s, text, 64, 0));
		SAY(send(s, "x", 1, MSG_NOSIGNAL));
		SAY(sendto(s, "x", 1, MSG_NOSIGNAL, (void *)&a, n));
		SAY(connect(c, (void *)&a, n));
		SAY(connect(c, (void *)&b, m));
		SAY(bind(s, (void *)&a, 1));
		SAY(bind(s, (void *)&a, 200));
		SAY(bind(s, (void *)&a, n));
		SAY(bind(s, (void *)&a, n));
		SAY(bind(c, (void *)&a, n));
		SAY(bind(c, (void *)&b, m));
		say_name("bound", s, getsockname);
		say_name("bound", c, getsockname);
		SAY(connect(c, (void *)&a, n));
		SAY(listen(s, 1));
		say_poll("listening", s);
		SAY(connect(c, (void *)&a, n));
		SAY(connect(c, (void *)&a, n));
		say_poll("connected", c);
		say_poll("pending", s);
		say_name("peer", c, getpeername);
		SAY(send(c, "early", 5, MSG_NOSIGNAL));
		SAY(listen(c, 1));
		int d = accept4(s, NULL, NULL, SOCK_NONBLOCK);
		printf("  accept %d\n", d >= 0);
		if (d >= 0) {
			say_name("accepted", d, getsockname);
			say_name("its peer", d, getpeername);
			SAY(recv(d, text, 64, 0));
			SAY(sendto(d, "x", 1, MSG_NOSIGNAL, (void *)&b, m));
			SAY(recv(c, text, 64, 0));
			int value = -1;
			socklen_t size = sizeof value;
			SAY(getsockopt(s, SOL_SOCKET, SO_ACCEPTCONN, &value, &size));
			printf("  SO_ACCEPTCONN %d\n", value);
			close(d);
		}
		SAY(shutdown(s, SHUT_RDWR));
		say_poll("shut", s);
		SAY(accept(s, NULL, NULL));
		close(s);
		SAY(send(c, "late", 4, MSG_NOSIGNAL));
		SAY(recv(c, text, 64, 0));
		SAY(recv(c, text, 64, 0));
		close(c);
		unlink(b.sun_path);
	}
}

static void options(void)
{
	static const struct { int option; const char *name; } list[] = {
		{ SO_TYPE, "TYPE" }, { SO_DOMAIN, "DOMAIN" }, { SO_PROTOCOL, "PROTOCOL" }, { SO_ERROR, "ERROR" }, { SO_REUSEADDR, "REUSEADDR" },
		{ SO_KEEPALIVE, "KEEPALIVE" }, { SO_BROADCAST, "BROADCAST" }, { SO_PASSCRED, "PASSCRED" }, { SO_RCVLOWAT, "RCVLOWAT" },
		{ SO_SNDLOWAT, "SNDLOWAT" }, { SO_ACCEPTCONN, "ACCEPTCONN" }, { SO_PRIORITY, "PRIORITY" }, { SO_TIMESTAMP, "TIMESTAMP" },
	};
	int s = socket(AF_UNIX, SOCK_STREAM, 0);
	for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
		int value[4] = { -1, -1, -1, -1 };
		socklen_t size = sizeof value;
		int r = getsockopt(s, SOL_SOCKET, list[i].option, value, &size);
		printf("%s %d %d %u\n", list[i].name, r, value[0], size);
	}
	int one = 1, many = 10000, value;
	socklen_t size = sizeof value;
	SAY(setsockopt(s, SOL_SOCKET, SO_SNDBUF, &many, sizeof many));
	SAY(getsockopt(s, SOL_SOCKET, SO_SNDBUF, &value, &size));
	printf("SNDBUF %d\n", value);
	SAY(setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, 2));
	SAY(setsockopt(s, SOL_SOCKET, 9999, &one, sizeof one));
	SAY(setsockopt(s, 6, 1, &one, sizeof one));
	SAY(getsockopt(s, 6, 1, &value, &size));
	struct timeval t = { 0, 240000 }, got;
	size = sizeof got;
	SAY(setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t));
	SAY(getsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &got, &size));
	printf("RCVTIMEO %ld %ld\n", (long)got.tv_sec, (long)got.tv_usec);
	struct linger l = { 1, 5 };
	SAY(setsockopt(s, SOL_SOCKET, SO_LINGER, &l, sizeof l));
	struct ucred u = { 1, 2, 3 };
	size = sizeof u;
	SAY(getsockopt(s, SOL_SOCKET, SO_PEERCRED, &u, &size));
	printf("PEERCRED %d %d %d\n", u.pid, (int)u.uid, (int)u.gid);
	SAY(socket(AF_UNIX, 99, 0));
	SAY(socket(AF_UNIX, SOCK_STREAM, 5));
	SAY(socket(77, SOCK_STREAM, 0));
	SAY(fcntl(s, F_GETFL));
	SAY(lseek(s, 0, SEEK_SET));
	struct stat st;
	SAY(fstat(s, &st));
	printf("mode %o\n", st.st_mode);
}

static void control_data(void)
{
	int s[2], p[2];
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0 && pipe(p) == 0);
	union {
		char bytes[CMSG_SPACE(4 * sizeof(int))];
		struct cmsghdr align;
	} control;
	char data[8] = "abcdefg";
	struct iovec iov = { data, 4 };
	for (int room = 0; room <= 40; room += 4) {
		memset(&control, 0, sizeof control);
		struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = CMSG_SPACE(3 * sizeof(int)) };
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(3 * sizeof(int));
		int fds[3] = { p[0], p[1], p[0] };
		memcpy(CMSG_DATA(&control.align), fds, sizeof fds);
		iov.iov_len = 4;
		CHECK(sendmsg(s[0], &m, 0) == 4);
		memset(&control, 0, sizeof control);
		m.msg_control = room ? (void *)&control : NULL;
		m.msg_controllen = room;
		iov.iov_len = 8;
		int n = recvmsg(s[1], &m, 0);
		printf("room %d: %d flags %#x used %zu cmsg_len %zu\n", room, n, m.msg_flags, m.msg_controllen, room >= 16 ? (size_t)control.align.cmsg_len : 0);
		for (int i = 0; room >= 16 && i < ((int)control.align.cmsg_len - 16) / 4; i++)
			CHECK(close(((int *)CMSG_DATA(&control.align))[i]) == 0);
	}
	/* stretches with and without descriptors are not merged */
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	iov.iov_len = 2;
	for (int i = 0; i < 4; i++) {
		m.msg_control = i == 2 ? &control : NULL;
		m.msg_controllen = i == 2 ? CMSG_SPACE(sizeof(int)) : 0;
		control.align.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.align), &p[0], sizeof(int));
		CHECK(sendmsg(s[0], &m, 0) == 2);
	}
	iov.iov_len = 8;
	for (int i = 0; i < 2; i++) {
		m.msg_control = &control;
		m.msg_controllen = sizeof control;
		printf("stretch %zd", recvmsg(s[1], &m, MSG_DONTWAIT));
		printf(" used %zu\n", m.msg_controllen);
	}
}

static void limits(void)
{
	int s[2], status;
	char *big = calloc(1, 1 << 20);
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
	pid_t pid = fork();
	if (pid == 0) {
		long total = 0, n;
		close(s[0]);
		while ((n = read(s[1], big, 5000)) > 0)
			total += n;
		_exit(total == 3 << 20 ? 0 : 1);
	}
	close(s[1]);
	for (int i = 0; i < 3; i++)
		CHECK(write(s[0], big, 1 << 20) == 1 << 20);
	close(s[0]);
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	CHECK(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, s) == 0);
	FAILS(send(s[0], big, 1 << 20, 0), EMSGSIZE);
	while (send(s[0], big, 1000, 0) == 1000)
		;
	printf("full: %s\n", strerror(errno));
	say_poll("full", s[0]);
	while (recv(s[1], big, 1000, 0) == 1000)
		;
	say_poll("drained", s[0]);
	struct timeval t = { 0, 20000 };
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0 && setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t) == 0);
	FAILS(recv(s[0], big, 1, 0), EAGAIN);
	free(big);
}

static void interrupted(int n)
{
	(void)n;
}
static void signals(void)
{
	int s[2];
	char text[8];
	for (int restart = 0; restart < 2; restart++) {
		struct sigaction act = { .sa_handler = interrupted, .sa_flags = restart ? SA_RESTART : 0 };
		CHECK(sigaction(SIGALRM, &act, NULL) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
		pid_t pid = fork();
		if (pid == 0) {
			usleep(60000);
			CHECK(write(s[1], "x", 1) == 1);
			_exit(0);
		}
		struct itimerval when = { .it_value = { 0, 20000 } };
		setitimer(ITIMER_REAL, &when, NULL);
		SAY(read(s[0], text, 8));
		struct pollfd p = { s[0], POLLPRI, 0 };
		setitimer(ITIMER_REAL, &when, NULL);
		SAY(poll(&p, 1, 100));
		int ep = epoll_create1(0);
		struct epoll_event e;
		setitimer(ITIMER_REAL, &when, NULL);
		SAY(epoll_wait(ep, &e, 1, 100));
		fd_set set;
		FD_ZERO(&set);
		setitimer(ITIMER_REAL, &when, NULL);
		struct timeval t = { 0, 100000 };
		SAY(select(0, &set, NULL, NULL, &t));
		struct timeval limit = { 5, 0 };
		setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
		while (recv(s[0], text, 8, MSG_DONTWAIT) > 0)
			;
		setitimer(ITIMER_REAL, &when, NULL);
		if (!restart) {
			waitpid(pid, NULL, 0);
			while (recv(s[0], text, 8, MSG_DONTWAIT) > 0)
				;
			SAY(recv(s[0], text, 8, 0));
		} else {
			waitpid(pid, NULL, 0);
		}
		close(s[0]);
		close(s[1]);
	}
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGPIPE, SIG_IGN);
	PART(pairs);
	PART(states);
	PART(options);
	PART(control_data);
	PART(limits);
	PART(signals);
	return 0;
}
