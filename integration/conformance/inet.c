/* inet: TCP and UDP over the loopback. */
#include "check.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

static struct sockaddr_in loopback(int port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	return a;
}
static int listener(struct sockaddr_in *at)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK(fd >= 0);
	*at = loopback(0);
	CHECK(bind(fd, (void *)at, sizeof *at) == 0 && listen(fd, 8) == 0);
	socklen_t length = sizeof *at;
	CHECK(getsockname(fd, (void *)at, &length) == 0 && length == sizeof *at && at->sin_port != 0);
	return fd;
}
static int option(int fd, int level, int name)
{
	int value = -1;
	socklen_t length = sizeof value;
	CHECK(getsockopt(fd, level, name, &value, &length) == 0);
	return value;
}
static void pair(int *client, int *server)
{
	struct sockaddr_in at;
	int l = listener(&at);
	*client = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(connect(*client, (void *)&at, sizeof at) == 0);
	*server = accept(l, NULL, NULL);
	CHECK(*server >= 0 && close(l) == 0);
}

static void names(void)
{
	int c, s;
	pair(&c, &s);
	struct sockaddr_in a, b;
	socklen_t length = sizeof a;
	CHECK(getsockname(c, (void *)&a, &length) == 0 && getpeername(s, (void *)&b, &length) == 0);
	CHECK(memcmp(&a, &b, sizeof a) == 0);
	FAILS(connect(c, (void *)&b, sizeof b), EISCONN);
	int fresh = socket(AF_INET, SOCK_STREAM, 0);
	FAILS(getpeername(fresh, (void *)&a, &length), ENOTCONN);
	FAILS(accept(fresh, NULL, NULL), EINVAL);
	a.sin_addr.s_addr = htonl(0xc0000201); /* not ours */
	FAILS(bind(fresh, (void *)&a, sizeof a), EADDRNOTAVAIL);
	FAILS(socket(AF_INET, SOCK_STREAM, IPPROTO_UDP), EPROTONOSUPPORT);
}

static void bytes_and_ends(void)
{
	int c, s;
	char buffer[64];
	pair(&c, &s);
	CHECK(write(c, "hello", 5) == 5);
	CHECK(recv(s, buffer, 2, MSG_PEEK) == 2 && recv(s, buffer, sizeof buffer, 0) == 5 && memcmp(buffer, "hello", 5) == 0);
	FAILS(recv(s, buffer, 1, MSG_DONTWAIT), EAGAIN);
	CHECK(shutdown(c, SHUT_WR) == 0 && read(s, buffer, 1) == 0);
	struct pollfd p = {.fd = s, .events = POLLIN | POLLOUT | POLLRDHUP};
	CHECK(poll(&p, 1, 0) == 1 && p.revents == (POLLIN | POLLOUT | POLLRDHUP));
	CHECK(write(s, "bye", 3) == 3 && read(c, buffer, sizeof buffer) == 3);
	FAILS(send(c, "x", 1, MSG_NOSIGNAL), EPIPE);
	CHECK(close(s) == 0 && read(c, buffer, 1) == 0);
}

static void much(void)
{
	int c, s;
	enum { TOTAL = 8 << 20 };
	static unsigned char chunk[70001];
	pair(&c, &s);
	pid_t pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		close(s);
		for (long sent = 0; sent < TOTAL;) {
			long n = TOTAL - sent < (long)sizeof chunk ? TOTAL - sent : (long)sizeof chunk;
			for (long i = 0; i < n; i++) chunk[i] = (sent + i) * 7 + ((sent + i) >> 9);
			CHECK(write(c, chunk, n) == n);
			sent += n;
		}
		_exit(0);
	}
	close(c);
	long got = 0, n;
	while ((n = read(s, chunk, sizeof chunk)) > 0)
		for (long i = 0; i < n; i++, got++) CHECK(chunk[i] == (unsigned char)(got * 7 + (got >> 9)));
	int status;
	CHECK(n == 0 && got == TOTAL && waitpid(pid, &status, 0) == pid && status == 0);
}

static void refused_and_pending(void)
{
	struct sockaddr_in at;
	int l = listener(&at);
	int c = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	FAILS(connect(c, (void *)&at, sizeof at), EINPROGRESS);
	struct pollfd p = {.fd = c, .events = POLLOUT};
	CHECK(poll(&p, 1, 5000) == 1 && p.revents == POLLOUT && option(c, SOL_SOCKET, SO_ERROR) == 0);
	close(l);
	int again = socket(AF_INET, SOCK_STREAM, 0);
	FAILS(connect(again, (void *)&at, sizeof at), ECONNREFUSED);
	int late = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	FAILS(connect(late, (void *)&at, sizeof at), EINPROGRESS);
	p.fd = late;
	CHECK(poll(&p, 1, 5000) == 1 && (p.revents & POLLERR) && option(late, SOL_SOCKET, SO_ERROR) == ECONNREFUSED);
}

static void ports(void)
{
	struct sockaddr_in at;
	listener(&at);
	int other = socket(AF_INET, SOCK_STREAM, 0), one = 1;
	FAILS(bind(other, (void *)&at, sizeof at), EADDRINUSE);
	CHECK(setsockopt(other, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0);
	FAILS(bind(other, (void *)&at, sizeof at), EADDRINUSE);
}

static void options(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1, n = 30;
	CHECK(option(fd, SOL_SOCKET, SO_TYPE) == SOCK_STREAM && option(fd, SOL_SOCKET, SO_DOMAIN) == AF_INET);
	CHECK(option(fd, SOL_SOCKET, SO_PROTOCOL) == IPPROTO_TCP && option(fd, SOL_SOCKET, SO_ACCEPTCONN) == 0);
	CHECK(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) == 0 && option(fd, IPPROTO_TCP, TCP_NODELAY) == 1);
	CHECK(setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one) == 0 && option(fd, SOL_SOCKET, SO_KEEPALIVE) == 1);
	CHECK(setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &n, sizeof n) == 0 && option(fd, IPPROTO_TCP, TCP_KEEPIDLE) == 30);
	CHECK(option(fd, IPPROTO_IP, IP_TTL) == 64);
	int six = socket(AF_INET6, SOCK_STREAM, 0);
	CHECK(setsockopt(six, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one) == 0 && option(six, IPPROTO_IPV6, IPV6_V6ONLY) == 1);
	struct tcp_info info;
	socklen_t length = sizeof info;
	int c, s;
	pair(&c, &s);
	CHECK(getsockopt(c, IPPROTO_TCP, TCP_INFO, &info, &length) == 0 && info.tcpi_state == TCP_ESTABLISHED);
}

static void mapped(void)
{
	int l = socket(AF_INET6, SOCK_STREAM, 0);
	struct sockaddr_in6 six = {.sin6_family = AF_INET6};
	socklen_t length = sizeof six;
	int zero = 0;
	CHECK(setsockopt(l, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof zero) == 0);
	CHECK(bind(l, (void *)&six, sizeof six) == 0 && listen(l, 1) == 0 && getsockname(l, (void *)&six, &length) == 0);
	struct sockaddr_in at = loopback(ntohs(six.sin6_port));
	int c = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(connect(c, (void *)&at, sizeof at) == 0);
	int s = accept(l, (void *)&six, &length);
	CHECK(s >= 0 && length == sizeof six && IN6_IS_ADDR_V4MAPPED(&six.sin6_addr));
}

static void datagrams(void)
{
	int a = socket(AF_INET, SOCK_DGRAM, 0), b = socket(AF_INET, SOCK_DGRAM, 0);
	struct sockaddr_in at = loopback(0), from;
	socklen_t length = sizeof at;
	char buffer[8];
	CHECK(bind(a, (void *)&at, sizeof at) == 0 && getsockname(a, (void *)&at, &length) == 0);
	FAILS(send(b, "x", 1, 0), EDESTADDRREQ);
	CHECK(sendto(b, "0123456789", 10, 0, (void *)&at, sizeof at) == 10);
	CHECK(recvfrom(a, buffer, 4, MSG_TRUNC | MSG_PEEK, (void *)&from, &length) == 10);
	CHECK(recv(a, buffer, 4, 0) == 4 && memcmp(buffer, "0123", 4) == 0);
	FAILS(recv(a, buffer, 4, MSG_DONTWAIT), EAGAIN);
	CHECK(sendto(a, "", 0, 0, (void *)&from, sizeof from) == 0 && recv(b, buffer, 8, 0) == 0);
	static char large[65508];
	FAILS(sendto(b, large, sizeof large, 0, (void *)&at, sizeof at), EMSGSIZE);
	CHECK(connect(b, (void *)&at, sizeof at) == 0 && close(a) == 0 && send(b, "x", 1, 0) == 1);
	FAILS(recv(b, buffer, 1, 0), ECONNREFUSED);
}

int main(void)
{
	PART(names);
	PART(bytes_and_ends);
	PART(much);
	PART(refused_and_pending);
	PART(ports);
	PART(options);
	PART(mapped);
	PART(datagrams);
	return 0;
}
