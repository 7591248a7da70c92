/*
 * runsc-sockets: opens, in a pod's network namespace, the few sockets of the host that its sandbox may use, and nothing else. The sandbox,
 * at the other end of descriptor 0 (SOCK_SEQPACKET), may make no socket itself. A request is four bytes: kind, family (4 or 6), port in
 * network order; the answer is an errno (int32, 0 for none) with the descriptor beside it.
 *
 *   1  a TCP listener on the loopback, at the port: for those who dial localhost in the namespace
 *   2  a UDP socket to the container engine's name server, 127.0.0.11 port 53
 *   3  a TCP connection to it, which may still be under way
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PEER 0
#define BACKLOG 128
#define NAME_SERVER 0x7f00000b
#define NAME_PORT 53

struct request {
	uint8_t kind, family;
	uint16_t port;
};

#define ALLOW(nr) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

/* Nothing but what main() does. */
static int lock_in(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		ALLOW(SYS_recvfrom), ALLOW(SYS_sendmsg), ALLOW(SYS_socket), ALLOW(SYS_bind), ALLOW(SYS_listen), ALLOW(SYS_connect),
		ALLOW(SYS_setsockopt), ALLOW(SYS_close), ALLOW(SYS_exit_group), ALLOW(SYS_rt_sigreturn), ALLOW(SYS_restart_syscall),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};
	struct sock_fprog program = { sizeof(filter) / sizeof(*filter), filter };
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return -1;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0);
}

static int on_loopback(int fd, const struct request *q)
{
	int one = 1;
	struct sockaddr_in four = { .sin_family = AF_INET, .sin_port = q->port, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = q->port, .sin6_addr = IN6ADDR_LOOPBACK_INIT };

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (q->family == 6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	int r = q->family == 6 ? bind(fd, (struct sockaddr *)&six, sizeof(six)) : bind(fd, (struct sockaddr *)&four, sizeof(four));
	return r < 0 ? r : listen(fd, BACKLOG);
}

static int to_name_server(int fd)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(NAME_PORT), .sin_addr.s_addr = htonl(NAME_SERVER) };
	int r = connect(fd, (struct sockaddr *)&to, sizeof(to));
	return r < 0 && errno == EINPROGRESS ? 0 : r;
}

/* The descriptor, or -errno. */
static int open_socket(const struct request *q)
{
	if (q->kind < 1 || q->kind > 3 || (q->family != 4 && q->family != 6) || (q->kind != 1 && q->family != 4))
		return -EINVAL;
	int type = (q->kind == 2 ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK | SOCK_CLOEXEC;
	int fd = socket(q->family == 4 ? AF_INET : AF_INET6, type, 0);
	if (fd < 0)
		return -errno;
	if ((q->kind == 1 ? on_loopback(fd, q) : to_name_server(fd)) == 0)
		return fd;
	int error = errno;
	close(fd);
	return -error;
}

static void answer(int fd)
{
	int32_t error = fd < 0 ? -fd : 0;
	struct iovec data = { &error, sizeof(error) };
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1 };

	if (fd >= 0) {
		message.msg_control = &control;
		message.msg_controllen = sizeof(control);
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	}
	if (sendmsg(PEER, &message, MSG_NOSIGNAL) < 0)
		_exit(1);
	if (fd >= 0)
		close(fd);
}

int main(void)
{
	struct request q;

	if (lock_in() != 0)
		_exit(1);
	for (;;) {
		ssize_t n = recv(PEER, &q, sizeof(q), 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n != (ssize_t)sizeof(q))
			_exit(0); /* the sandbox is gone */
		answer(open_socket(&q));
	}
}
