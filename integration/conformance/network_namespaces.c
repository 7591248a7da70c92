/* network_namespaces(7): what a new one begins with */
#include "put.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

static int flags_of(const char *name)
{
	struct ifreq request = { 0 };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	strcpy(request.ifr_name, name);
	CHECK(fd >= 0 && ioctl(fd, SIOCGIFFLAGS, &request) == 0 && close(fd) == 0);
	return request.ifr_flags;
}
static int set_up(const char *name, int up)
{
	struct ifreq request = { 0 };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	strcpy(request.ifr_name, name);
	CHECK(fd >= 0 && ioctl(fd, SIOCGIFFLAGS, &request) == 0);
	request.ifr_flags = up ? request.ifr_flags | IFF_UP : request.ifr_flags & ~IFF_UP;
	int r = ioctl(fd, SIOCSIFFLAGS, &request), saved = errno;
	close(fd);
	errno = saved;
	return r;
}
static int has_address(const char *name)
{
	struct ifreq request = { 0 };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	strcpy(request.ifr_name, name);
	int r = ioctl(fd, SIOCGIFADDR, &request);
	CHECK(r == 0 || errno == EADDRNOTAVAIL);
	close(fd);
	return r == 0;
}
static int send_to_self(void)
{
	struct sockaddr_in own = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(4711) };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	int r = connect(fd, (struct sockaddr *)&own, sizeof own), saved = errno;
	if (r == 0)
		CHECK(bind(fd, NULL, 0) != 0);
	close(fd);
	errno = saved;
	return r;
}
static int bind_to_self(int family)
{
	struct sockaddr_in four = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	int fd = socket(family, SOCK_DGRAM, 0);
	int r = family == AF_INET ? bind(fd, (struct sockaddr *)&four, sizeof four) : bind(fd, (struct sockaddr *)&six, sizeof six);
	int saved = errno;
	close(fd);
	errno = saved;
	return r;
}

/* as a program without libraries does it: RTM_NEWADDR; its error */
static int add_address(void)
{
	struct {
		struct nlmsghdr head;
		struct ifaddrmsg body;
		struct rtattr local;
		struct in_addr address;
		struct rtattr same;
		struct in_addr again;
	} request = {
		{ sizeof request, RTM_NEWADDR, NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, 1, 0 },
		{ AF_INET, 8, IFA_F_PERMANENT, RT_SCOPE_HOST, if_nametoindex("lo") },
		{ 8, IFA_LOCAL }, { htonl(INADDR_LOOPBACK) }, { 8, IFA_ADDRESS }, { htonl(INADDR_LOOPBACK) },
	};
	char answer[1024];
	int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
	CHECK(fd >= 0 && send(fd, &request, sizeof request, 0) == sizeof request);
	CHECK(recv(fd, answer, sizeof answer, 0) >= (ssize_t)sizeof(struct nlmsghdr) + 4 && close(fd) == 0);
	return ((struct nlmsgerr *)NLMSG_DATA((struct nlmsghdr *)answer))->error;
}

static void become_user(void)
{
	CHECK(setgid(1000) == 0 && setuid(1000) == 0 && prctl(PR_SET_DUMPABLE, 1) == 0);
	CHECK(unshare(CLONE_NEWUSER) == 0);
	CHECK(put("/proc/self/setgroups", "deny") == 0 && put("/proc/self/uid_map", "0 1000 1") == 0 && put("/proc/self/gid_map", "0 1000 1") == 0);
}

static void lo_begins_down(void)
{
	become_user();
	CHECK(unshare(CLONE_NEWNET) == 0);
	CHECK((flags_of("lo") & IFF_UP) == 0 && !has_address("lo"));
	FAILS(send_to_self(), ENETUNREACH);
	FAILS(bind_to_self(AF_INET6), EADDRNOTAVAIL);
	CHECK(set_up("lo", 1) == 0 && (flags_of("lo") & IFF_UP) != 0 && has_address("lo"));
	CHECK(send_to_self() == 0 && bind_to_self(AF_INET) == 0 && bind_to_self(AF_INET6) == 0);
	CHECK(add_address() == -EEXIST);
	CHECK(set_up("lo", 0) == 0);
	FAILS(bind_to_self(AF_INET6), EADDRNOTAVAIL);
	CHECK(set_up("lo", 1) == 0 && send_to_self() == 0 && bind_to_self(AF_INET6) == 0);
}
static void an_address_before_it_is_up(void)
{
	become_user();
	CHECK(unshare(CLONE_NEWNET) == 0);
	CHECK(add_address() == 0 && has_address("lo") && (flags_of("lo") & IFF_UP) == 0);
	CHECK(set_up("lo", 1) == 0 && send_to_self() == 0 && bind_to_self(AF_INET6) == 0);
}

int main(void)
{
	PART(lo_begins_down);
	PART(an_address_before_it_is_up);
	return 0;
}
