/* tcp: what tcp(7) and socket(7) say beside moving bytes. */
#include "check.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <linux/errqueue.h>
#include <linux/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

static int set(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof value);
}
static int get(int fd, int level, int name)
{
	int value = -1;
	socklen_t length = sizeof value;
	CHECK(getsockopt(fd, level, name, &value, &length) == 0);
	return value;
}
static int listener(struct sockaddr_in *at, int reuse)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	socklen_t length = sizeof *at;
	if (reuse) CHECK(set(fd, SOL_SOCKET, SO_REUSEPORT, 1) == 0);
	CHECK(bind(fd, (void *)at, sizeof *at) == 0 && listen(fd, 64) == 0 && getsockname(fd, (void *)at, &length) == 0);
	return fd;
}
static struct sockaddr_in local(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	return at;
}
static void pair(int *client, int *server)
{
	struct sockaddr_in at = local();
	int l = listener(&at, 0);
	*client = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(connect(*client, (void *)&at, sizeof at) == 0);
	*server = accept(l, NULL, NULL);
	CHECK(*server >= 0 && close(l) == 0);
}
static int ready(int fd, int events)
{
	struct pollfd p = {.fd = fd, .events = events};
	return poll(&p, 1, 2000) == 1 ? p.revents : 0;
}
static int at_mark(int fd)
{
	int mark = -1;
	CHECK(ioctl(fd, SIOCATMARK, &mark) == 0);
	return mark;
}

static volatile sig_atomic_t urged;
static void on_urgent(int signal)
{
	urged = signal;
}

static void urgent(void)
{
	int c, s;
	char b[16];
	pair(&c, &s);
	signal(SIGURG, on_urgent);
	CHECK(fcntl(s, F_SETOWN, getpid()) == 0);
	FAILS(recv(s, b, 1, MSG_OOB), EINVAL);
	CHECK(send(c, "abc", 3, 0) == 3 && send(c, "XY", 2, MSG_OOB) == 2 && send(c, "def", 3, 0) == 3);
	CHECK(ready(s, POLLPRI) == POLLPRI && urged == SIGURG);
	CHECK(at_mark(s) == 0 && recv(s, b, sizeof b, 0) == 4 && memcmp(b, "abcX", 4) == 0);
	CHECK(at_mark(s) == 1);
	CHECK(recv(s, b, 1, MSG_OOB | MSG_PEEK) == 1 && recv(s, b, 1, MSG_OOB) == 1 && *b == 'Y');
	FAILS(recv(s, b, 1, MSG_OOB), EINVAL);
	CHECK(recv(s, b, sizeof b, 0) == 3 && memcmp(b, "def", 3) == 0 && at_mark(s) == 0);
	CHECK(set(s, SOL_SOCKET, SO_OOBINLINE, 1) == 0);
	CHECK(send(c, "1", 1, MSG_OOB) == 1 && send(c, "2", 1, 0) == 1 && ready(s, POLLIN | POLLPRI) & POLLIN);
	FAILS(recv(s, b, 1, MSG_OOB), EINVAL);
	CHECK(at_mark(s) == 1 && recv(s, b, sizeof b, 0) >= 1 && *b == '1');
	struct epoll_event e = {.events = EPOLLPRI};
	int ep = epoll_create1(0);
	pair(&c, &s);
	CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, s, &e) == 0 && epoll_wait(ep, &e, 1, 0) == 0);
	CHECK(send(c, "!", 1, MSG_OOB) == 1 && epoll_wait(ep, &e, 1, 2000) == 1 && e.events == EPOLLPRI);
}

static void tcp_options(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	char name[16];
	socklen_t length = sizeof name;
	CHECK(setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", 4) == 0);
	CHECK(getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &length) == 0 && strcmp(name, "reno") == 0);
	FAILS(setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "nosuch", 6), ENOENT);
	CHECK(set(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, 5) == 0 && get(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT) == 7);
	CHECK(set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 1234) == 0 && get(fd, IPPROTO_TCP, TCP_USER_TIMEOUT) == 1234);
	CHECK(set(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, 16384) == 0 && get(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT) == 16384);
	CHECK(set(fd, IPPROTO_TCP, TCP_SYNCNT, 3) == 0 && get(fd, IPPROTO_TCP, TCP_SYNCNT) == 3);
	CHECK(set(fd, IPPROTO_TCP, TCP_LINGER2, 7) == 0 && get(fd, IPPROTO_TCP, TCP_LINGER2) == 7);
	CHECK(set(fd, IPPROTO_TCP, TCP_FASTOPEN, 16) == 0);
	FAILS(set(fd, IPPROTO_TCP, TCP_KEEPIDLE, 0), EINVAL);
	FAILS(set(fd, IPPROTO_TCP, TCP_KEEPCNT, 1000), EINVAL);
	FAILS(set(fd, IPPROTO_TCP, TCP_MAXSEG, 10), EINVAL);
	FAILS(set(fd, IPPROTO_TCP, 9999, 1), ENOPROTOOPT);
	FAILS(setsockopt(fd, IPPROTO_TCP, TCP_ULP, "none", 4), ENOENT);
	int c, s;
	pair(&c, &s);
	CHECK(get(c, IPPROTO_TCP, TCP_QUICKACK) == 1 && set(c, IPPROTO_TCP, TCP_QUICKACK, 0) == 0 && get(c, IPPROTO_TCP, TCP_QUICKACK) == 0);
}

static void info(void)
{
	int c, s;
	char b[1000] = {0};
	pair(&c, &s);
	for (int i = 0; i < 10; i++) CHECK(write(c, b, sizeof b) == sizeof b && recv(s, b, sizeof b, MSG_WAITALL) == sizeof b);
	CHECK(write(s, b, 1) == 1 && read(c, b, 1) == 1);
	struct tcp_info i;
	socklen_t length = sizeof i;
	CHECK(getsockopt(s, IPPROTO_TCP, TCP_INFO, &i, &length) == 0);
	CHECK(i.tcpi_bytes_received == 10000 && i.tcpi_rtt > 0 && i.tcpi_pmtu >= 16384 && i.tcpi_total_retrans == 0);
	CHECK((i.tcpi_options & 7) == 7 && i.tcpi_snd_cwnd >= 10 && i.tcpi_data_segs_in == 10);
	length = sizeof i;
	CHECK(getsockopt(c, IPPROTO_TCP, TCP_INFO, &i, &length) == 0 && i.tcpi_bytes_acked >= 10000 && i.tcpi_data_segs_out == 10);
}

static void waiting(void)
{
	int c, s;
	pair(&c, &s);
	CHECK(set(s, SOL_SOCKET, SO_RCVLOWAT, 10) == 0);
	CHECK(write(c, "12345", 5) == 5);
	struct pollfd p = {.fd = s, .events = POLLIN};
	CHECK(poll(&p, 1, 50) == 0 && write(c, "67890", 5) == 5 && poll(&p, 1, 2000) == 1);
	/* MSG_MORE and TCP_CORK hold back what does not fill a segment */
	char b[64];
	pair(&c, &s);
	CHECK(send(c, "he", 2, MSG_MORE) == 2);
	FAILS(recv(s, b, sizeof b, MSG_DONTWAIT), EAGAIN);
	CHECK(send(c, "llo", 3, 0) == 3 && recv(s, b, sizeof b, 0) == 5);
	CHECK(set(c, IPPROTO_TCP, TCP_CORK, 1) == 0 && write(c, "x", 1) == 1);
	FAILS(recv(s, b, sizeof b, MSG_DONTWAIT), EAGAIN);
	CHECK(set(c, IPPROTO_TCP, TCP_CORK, 0) == 0 && recv(s, b, sizeof b, 0) == 1);
	CHECK(write(c, "abc", 3) == 3 && recv(s, b, sizeof b, MSG_WAITALL | MSG_DONTWAIT) == 3);
	CHECK(write(c, "abcdef", 6) == 6 && recv(s, NULL, 2, MSG_TRUNC) == 2 && recv(s, b, sizeof b, 0) == 4 && *b == 'c');
}

static void lingering(void)
{
	int c, s;
	struct linger l = {.l_onoff = 1, .l_linger = 0};
	char b;
	pair(&c, &s);
	CHECK(setsockopt(c, SOL_SOCKET, SO_LINGER, &l, sizeof l) == 0 && close(c) == 0);
	FAILS(read(s, &b, 1), ECONNRESET);
	CHECK(read(s, &b, 1) == 0);
	/* a peer that does not read: close(2) waits for as long as it was told */
	pair(&c, &s);
	l.l_linger = 1;
	CHECK(setsockopt(c, SOL_SOCKET, SO_LINGER, &l, sizeof l) == 0 && fcntl(c, F_SETFL, O_NONBLOCK) == 0);
	static char much[1 << 16];
	while (write(c, much, sizeof much) > 0) {}
	CHECK(fcntl(c, F_SETFL, 0) == 0);
	struct timespec before, after;
	clock_gettime(CLOCK_MONOTONIC, &before);
	CHECK(close(c) == 0);
	clock_gettime(CLOCK_MONOTONIC, &after);
	CHECK((after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000 >= 900);
}

static void balanced(void)
{
	struct sockaddr_in at = local();
	int l[4], counts[4] = {0};
	for (int i = 0; i < 4; i++) l[i] = listener(&at, 1);
	for (int i = 0; i < 64; i++) CHECK(connect(socket(AF_INET, SOCK_STREAM, 0), (void *)&at, sizeof at) == 0);
	for (int i = 0; i < 4; i++) {
		CHECK(fcntl(l[i], F_SETFL, O_NONBLOCK) == 0);
		while (accept(l[i], NULL, NULL) >= 0) counts[i]++;
	}
	int total = 0;
	for (int i = 0; i < 4; i++) {
		CHECK(counts[i] > 2);
		total += counts[i];
	}
	CHECK(total == 64);
}

static void deferred(void)
{
	struct sockaddr_in at = local();
	int l = listener(&at, 0), c = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(set(l, IPPROTO_TCP, TCP_DEFER_ACCEPT, 20) == 0 && fcntl(l, F_SETFL, O_NONBLOCK) == 0);
	CHECK(connect(c, (void *)&at, sizeof at) == 0);
	FAILS(accept(l, NULL, NULL), EAGAIN);
	CHECK(write(c, "x", 1) == 1 && ready(l, POLLIN) == POLLIN && accept(l, NULL, NULL) >= 0);
}

static void fast_open(void)
{
	struct sockaddr_in at = local();
	char b[8];
	int l = listener(&at, 0), c = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(sendto(c, "first", 5, MSG_FASTOPEN, (void *)&at, sizeof at) == 5);
	int s = accept(l, NULL, NULL);
	CHECK(s >= 0 && recv(s, b, sizeof b, 0) == 5 && memcmp(b, "first", 5) == 0);
	FAILS(sendto(c, "x", 1, MSG_FASTOPEN, (void *)&at, sizeof at), EISCONN);
}

static void zero_copy(void)
{
	int c, s;
	char b[100], control[128];
	pair(&c, &s);
	FAILS(recvmsg(c, &(struct msghdr){0}, MSG_ERRQUEUE), EAGAIN);
	CHECK(set(c, SOL_SOCKET, SO_ZEROCOPY, 1) == 0 && send(c, b, sizeof b, MSG_ZEROCOPY) == sizeof b);
	CHECK(send(c, b, sizeof b, MSG_ZEROCOPY) == sizeof b && recv(s, b, sizeof b, MSG_WAITALL) == sizeof b);
	CHECK(recv(s, b, sizeof b, MSG_WAITALL) == sizeof b && ready(c, 0) & POLLERR);
	unsigned low = 0, next = 0;
	while (next < 2) {
		struct msghdr h = {.msg_control = control, .msg_controllen = sizeof control};
		if (recvmsg(c, &h, MSG_ERRQUEUE) < 0) {
			CHECK(errno == EAGAIN && ready(c, 0) & POLLERR);
			continue;
		}
		struct cmsghdr *m = CMSG_FIRSTHDR(&h);
		struct sock_extended_err *e = (void *)CMSG_DATA(m);
		CHECK(m->cmsg_level == IPPROTO_IP && m->cmsg_type == IP_RECVERR && e->ee_errno == 0 && e->ee_origin == SO_EE_ORIGIN_ZEROCOPY);
		CHECK(e->ee_info == next && e->ee_data >= e->ee_info);
		low = e->ee_info;
		next = e->ee_data + 1;
	}
	CHECK(next == 2 && low <= 1);
}

static void self(void)
{
	/* a socket that connects to itself: both sides open at once */
	struct sockaddr_in at = local();
	socklen_t length = sizeof at;
	char b[4];
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(bind(fd, (void *)&at, sizeof at) == 0 && getsockname(fd, (void *)&at, &length) == 0);
	CHECK(connect(fd, (void *)&at, sizeof at) == 0 && write(fd, "me", 2) == 2 && read(fd, b, 4) == 2);
	CHECK(shutdown(fd, SHUT_WR) == 0 && read(fd, b, 4) == 0 && close(fd) == 0);
}

int main(void)
{
	PART(urgent);
	PART(tcp_options);
	PART(info);
	PART(waiting);
	PART(lingering);
	PART(balanced);
	PART(deferred);
	PART(fast_open);
	PART(zero_copy);
	PART(self);
	return 0;
}
