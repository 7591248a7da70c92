/* rawsockets: raw, ping and packet sockets, multicast, control messages and the error queue; on the loopback. */
#include "check.h"
#include <arpa/inet.h>
#include <linux/errqueue.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

static int set(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof value);
}
static struct sockaddr_in at4(const char *address, int port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
	inet_pton(AF_INET, address, &a.sin_addr);
	return a;
}
static int readable(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	return poll(&p, 1, 2000) == 1;
}
/* A network of our own, with lo up, so that the host's traffic does not disturb. */
static void alone(void)
{
	CHECK(unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0);
	struct ifreq r = {.ifr_name = "lo"};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	CHECK(ioctl(fd, SIOCGIFFLAGS, &r) == 0);
	r.ifr_flags |= IFF_UP;
	CHECK(ioctl(fd, SIOCSIFFLAGS, &r) == 0 && close(fd) == 0);
}
static unsigned short sum(const void *data, int length)
{
	const unsigned short *words = data;
	unsigned total = 0;
	for (int i = 0; i < length / 2; i++) total += words[i];
	total = (total & 0xffff) + (total >> 16);
	return ~(total + (total >> 16));
}

static void ping(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP);
	if (fd < 0) { /* the host's ping_group_range may say no */
		CHECK(errno == EACCES);
		return;
	}
	struct sockaddr_in to = at4("127.0.0.1", 0), from;
	socklen_t length = sizeof from;
	struct {
		struct icmphdr h;
		char text[8];
	} m = {.h = {.type = ICMP_ECHO, .un.echo = {.sequence = htons(7)}}, .text = "payload"};
	CHECK(sendto(fd, &m, sizeof m, 0, (void *)&to, sizeof to) == sizeof m);
	memset(&m, 0, sizeof m);
	CHECK(recvfrom(fd, &m, sizeof m, 0, (void *)&from, &length) == sizeof m);
	CHECK(m.h.type == ICMP_ECHOREPLY && m.h.un.echo.sequence == htons(7) && strcmp(m.text, "payload") == 0);
	CHECK(getsockname(fd, (void *)&from, &length) == 0 && from.sin_port == m.h.un.echo.id);
	m.h.type = ICMP_ECHOREPLY;
	FAILS(sendto(fd, &m, sizeof m, 0, (void *)&to, sizeof to), EINVAL);
}

static void raw_icmp(void)
{
	alone();
	int fd = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
	CHECK(fd >= 0);
	struct sockaddr_in to = at4("127.0.0.1", 0), from;
	socklen_t length = sizeof from;
	unsigned mask = ~(1u << ICMP_ECHOREPLY);
	CHECK(setsockopt(fd, SOL_RAW, 1, &mask, sizeof mask) == 0);
	struct icmphdr m = {.type = ICMP_ECHO, .un.echo = {.id = htons(0x1234), .sequence = htons(1)}};
	m.checksum = sum(&m, sizeof m);
	CHECK(sendto(fd, &m, sizeof m, 0, (void *)&to, sizeof to) == sizeof m);
	unsigned char b[256];
	CHECK(recvfrom(fd, b, sizeof b, 0, (void *)&from, &length) == 28 && length == sizeof from && from.sin_port == 0);
	struct iphdr *ip = (void *)b;
	struct icmphdr *reply = (void *)(b + 20);
	CHECK(ip->version == 4 && ip->ihl == 5 && ip->protocol == IPPROTO_ICMP && ntohs(ip->tot_len) == 28 && ip->saddr == htonl(INADDR_LOOPBACK));
	CHECK(reply->type == ICMP_ECHOREPLY && reply->un.echo.id == htons(0x1234));
	FAILS(recv(fd, b, sizeof b, MSG_DONTWAIT), EAGAIN);
	FAILS(socket(AF_INET, SOCK_RAW, 0), EPROTONOSUPPORT);
	FAILS(socket(AF_INET, SOCK_RAW, 300), EINVAL);
}

static void raw_header(void)
{
	alone();
	/* a UDP datagram with a header of our own, from an address that we choose */
	int fd = socket(AF_INET, SOCK_RAW, IPPROTO_RAW), u = socket(AF_INET, SOCK_DGRAM, 0);
	struct sockaddr_in to = at4("127.0.0.1", 5353), from;
	socklen_t length = sizeof from;
	CHECK(bind(u, (void *)&to, sizeof to) == 0);
	struct {
		struct iphdr ip;
		struct udphdr udp;
		char text[4];
	} __attribute__((packed)) p = {.ip = {.version = 4, .ihl = 5, .ttl = 9, .protocol = IPPROTO_UDP}};
	p.ip.saddr = inet_addr("127.0.0.9");
	p.ip.daddr = to.sin_addr.s_addr;
	p.udp = (struct udphdr){.source = htons(99), .dest = to.sin_port, .len = htons(12)};
	memcpy(p.text, "abcd", 4);
	CHECK(sendto(fd, &p, sizeof p, 0, (void *)&to, sizeof to) == sizeof p);
	char b[16];
	CHECK(recvfrom(u, b, sizeof b, 0, (void *)&from, &length) == 4 && memcmp(b, "abcd", 4) == 0);
	CHECK(from.sin_addr.s_addr == inet_addr("127.0.0.9") && from.sin_port == htons(99));
	FAILS(recv(fd, b, sizeof b, MSG_DONTWAIT), EAGAIN);
	int another = socket(AF_INET, SOCK_RAW, IPPROTO_UDP);
	CHECK(another >= 0 && sendto(u, "x", 1, 0, (void *)&to, sizeof to) == 1 && recv(another, b, sizeof b, MSG_TRUNC) == 29);
}

static void raw_six(void)
{
	alone();
	int fd = socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6), offset = -1;
	CHECK(fd >= 0);
	struct sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	struct icmp6_filter only;
	ICMP6_FILTER_SETBLOCKALL(&only);
	ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &only);
	CHECK(setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &only, sizeof only) == 0);
	CHECK(set(fd, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1) == 0 && set(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1) == 0);
	struct icmp6_hdr m = {.icmp6_type = ICMP6_ECHO_REQUEST, .icmp6_id = htons(5)};
	CHECK(sendto(fd, &m, sizeof m, 0, (void *)&to, sizeof to) == sizeof m);
	char control[128];
	struct iovec v = {&m, sizeof m};
	struct msghdr h = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
	CHECK(recvmsg(fd, &h, 0) == sizeof m && m.icmp6_type == ICMP6_ECHO_REPLY && m.icmp6_id == htons(5));
	int found = 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&h); c; c = CMSG_NXTHDR(&h, c)) {
		if (c->cmsg_type == IPV6_HOPLIMIT) found += *(int *)CMSG_DATA(c) == 64;
		if (c->cmsg_type == IPV6_PKTINFO) found += ((struct in6_pktinfo *)CMSG_DATA(c))->ipi6_ifindex == 1;
	}
	CHECK(found == 2);
	FAILS(setsockopt(fd, IPPROTO_IPV6, IPV6_CHECKSUM, &offset, sizeof offset), EINVAL);
	/* a checksum where we want it */
	int a = socket(AF_INET6, SOCK_RAW, 200);
	offset = 2;
	CHECK(setsockopt(a, IPPROTO_IPV6, IPV6_CHECKSUM, &offset, sizeof offset) == 0);
	unsigned char b[8] = "\1\2\0\0\5\6\7", got[8];
	CHECK(sendto(a, b, 8, 0, (void *)&to, sizeof to) == 8 && recv(a, got, 8, 0) == 8 && (got[2] | got[3]) != 0 && got[4] == 5);
}

static void no_privilege(void)
{
	if (setresuid(1, 1, 1) != 0) _exit(1);
	FAILS(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP), EPERM);
	FAILS(socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6), EPERM);
	FAILS(socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL)), EPERM);
}

static void packets(void)
{
	alone();
	int p = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL)), d = socket(AF_PACKET, SOCK_DGRAM, htons(ETH_P_IP));
	int u = socket(AF_INET, SOCK_DGRAM, 0), v = socket(AF_INET, SOCK_DGRAM, 0);
	CHECK(p >= 0 && d >= 0);
	struct sockaddr_ll ll = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = 1};
	CHECK(bind(p, (void *)&ll, sizeof ll) == 0);
	/* only UDP to port 7777 */
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 23), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_UDP, 0, 3),
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 36), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 7777, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 100), BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog program = {6, code};
	CHECK(setsockopt(p, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0);
	code[1].jf = 200;
	FAILS(setsockopt(p, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program), EINVAL);
	struct sockaddr_in to = at4("127.0.0.1", 7777), other = at4("127.0.0.1", 7778);
	CHECK(bind(v, (void *)&to, sizeof to) == 0);
	CHECK(sendto(u, "no", 2, 0, (void *)&other, sizeof other) == 2 && sendto(u, "yes", 3, 0, (void *)&to, sizeof to) == 3);
	unsigned char b[256];
	socklen_t length = sizeof ll;
	CHECK(recvfrom(p, b, sizeof b, 0, (void *)&ll, &length) == 14 + 28 + 3 && ll.sll_pkttype == PACKET_OUTGOING);
	CHECK(b[12] == 8 && b[13] == 0 && memcmp(b + 42, "yes", 3) == 0 && ll.sll_hatype == 772 && ll.sll_ifindex == 1);
	CHECK(recvfrom(p, b, sizeof b, 0, (void *)&ll, &length) == 45 && ll.sll_pkttype == PACKET_HOST);
	CHECK(recvfrom(d, b, sizeof b, 0, (void *)&ll, &length) == 30 && b[0] == 0x45 && ll.sll_protocol == htons(ETH_P_IP));
	struct tpacket_stats s;
	length = sizeof s;
	CHECK(getsockopt(p, SOL_PACKET, PACKET_STATISTICS, &s, &length) == 0 && s.tp_packets == 2 && s.tp_drops == 0);
	struct packet_mreq promisc = {.mr_ifindex = 1, .mr_type = PACKET_MR_PROMISC};
	CHECK(setsockopt(p, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &promisc, sizeof promisc) == 0);
	CHECK(setsockopt(p, SOL_PACKET, PACKET_DROP_MEMBERSHIP, &promisc, sizeof promisc) == 0);
	/* frames of our own */
	CHECK(recv(p, b, sizeof b, MSG_DONTWAIT) == -1 && recv(v, b, sizeof b, 0) == 3);
	CHECK(sendto(u, "frame", 5, 0, (void *)&to, sizeof to) == 5 && recv(p, b, sizeof b, 0) == 47 && recv(v, b + 100, 10, 0) == 5);
	ll = (struct sockaddr_ll){.sll_family = AF_PACKET, .sll_ifindex = 1, .sll_halen = 6, .sll_protocol = htons(ETH_P_IP)};
	CHECK(sendto(p, b, 47, 0, (void *)&ll, sizeof ll) == 47);
	FAILS(sendto(p, b, 13, 0, (void *)&ll, sizeof ll), EINVAL);
	ll.sll_ifindex = 99;
	FAILS(bind(p, (void *)&ll, sizeof ll), ENODEV);
}

static void ring(void)
{
	alone();
	int p = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_IP)), u = socket(AF_INET, SOCK_DGRAM, 0);
	CHECK(set(p, SOL_PACKET, PACKET_VERSION, TPACKET_V2) == 0);
	struct tpacket_req r = {.tp_block_size = 8192, .tp_block_nr = 2, .tp_frame_size = 2048, .tp_frame_nr = 8};
	CHECK(setsockopt(p, SOL_PACKET, PACKET_RX_RING, &r, sizeof r) == 0);
	r.tp_frame_nr = 7;
	char *map = mmap(NULL, 16384, PROT_READ | PROT_WRITE, MAP_SHARED, p, 0);
	CHECK(map != MAP_FAILED);
	struct sockaddr_in to = at4("127.0.0.1", 9);
	int kinds[12] = {0};
	for (int i = 0; i < 3; i++) {
		char text[4] = {'m', '0' + i};
		CHECK(sendto(u, text, 4, MSG_DONTWAIT, (void *)&to, sizeof to) == 4 || errno == ECONNREFUSED);
	}
	for (int i = 0, seen = 0; seen < 3 && i < 8; i++) {
		struct tpacket2_hdr *h = (void *)(map + (i % 8) * 2048);
		if (!(h->tp_status & TP_STATUS_USER)) CHECK(readable(p));
		CHECK(h->tp_status & TP_STATUS_USER);
		struct iphdr *ip = (void *)((char *)h + h->tp_net);
		CHECK(h->tp_mac + 14 == h->tp_net && ip->version == 4);
		if (ip->protocol == IPPROTO_UDP) CHECK(((char *)ip)[28] == 'm' && ((char *)ip)[29] == '0' + seen++);
		kinds[i % 12]++;
		h->tp_status = TP_STATUS_KERNEL;
	}
	CHECK(munmap(map, 16384) == 0);
}

static void multicast(void)
{
	alone();
	int r = socket(AF_INET, SOCK_DGRAM, 0), s = socket(AF_INET, SOCK_DGRAM, 0);
	struct sockaddr_in group = at4("239.1.2.3", 6000);
	struct ip_mreqn m = {.imr_multiaddr = group.sin_addr, .imr_ifindex = 1};
	char b[8];
	CHECK(set(r, SOL_SOCKET, SO_REUSEADDR, 1) == 0 && bind(r, (void *)&group, sizeof group) == 0);
	CHECK(set(r, IPPROTO_IP, IP_MULTICAST_ALL, 0) == 0);
	CHECK(setsockopt(s, IPPROTO_IP, IP_MULTICAST_IF, &m, sizeof m) == 0);
	CHECK(sendto(s, "before", 6, 0, (void *)&group, sizeof group) == 6);
	CHECK(setsockopt(r, IPPROTO_IP, IP_ADD_MEMBERSHIP, &m, sizeof m) == 0);
	FAILS(setsockopt(r, IPPROTO_IP, IP_ADD_MEMBERSHIP, &m, sizeof m), EADDRINUSE);
	CHECK(sendto(s, "after", 5, 0, (void *)&group, sizeof group) == 5 && recv(r, b, sizeof b, 0) == 5);
	CHECK(setsockopt(r, IPPROTO_IP, IP_DROP_MEMBERSHIP, &m, sizeof m) == 0);
	FAILS(setsockopt(r, IPPROTO_IP, IP_DROP_MEMBERSHIP, &m, sizeof m), EADDRNOTAVAIL);
	CHECK(sendto(s, "late", 4, 0, (void *)&group, sizeof group) == 4);
	FAILS(recv(r, b, sizeof b, MSG_DONTWAIT), EAGAIN);
	m.imr_multiaddr.s_addr = inet_addr("10.0.0.1");
	FAILS(setsockopt(r, IPPROTO_IP, IP_ADD_MEMBERSHIP, &m, sizeof m), EINVAL);
	m = (struct ip_mreqn){.imr_multiaddr = group.sin_addr, .imr_ifindex = 77};
	FAILS(setsockopt(r, IPPROTO_IP, IP_ADD_MEMBERSHIP, &m, sizeof m), ENODEV);
	/* from one source only */
	struct ip_mreq_source one = {.imr_multiaddr = group.sin_addr, .imr_interface.s_addr = htonl(INADDR_LOOPBACK), .imr_sourceaddr.s_addr = inet_addr("127.0.0.2")};
	CHECK(setsockopt(r, IPPROTO_IP, IP_ADD_SOURCE_MEMBERSHIP, &one, sizeof one) == 0);
	struct sockaddr_in first = at4("127.0.0.1", 0), second = at4("127.0.0.2", 0);
	int t = socket(AF_INET, SOCK_DGRAM, 0);
	m = (struct ip_mreqn){.imr_ifindex = 1};
	CHECK(setsockopt(t, IPPROTO_IP, IP_MULTICAST_IF, &m, sizeof m) == 0 && bind(t, (void *)&second, sizeof second) == 0);
	CHECK(bind(s, (void *)&first, sizeof first) == -1 || 1);
	CHECK(sendto(t, "two", 3, 0, (void *)&group, sizeof group) == 3 && recv(r, b, sizeof b, 0) == 3 && memcmp(b, "two", 3) == 0);
	/* IPv6 */
	int six = socket(AF_INET6, SOCK_DGRAM, 0);
	struct sockaddr_in6 g = {.sin6_family = AF_INET6, .sin6_port = htons(6001), .sin6_scope_id = 1};
	inet_pton(AF_INET6, "ff02::1234", &g.sin6_addr);
	struct ipv6_mreq m6 = {.ipv6mr_multiaddr = g.sin6_addr, .ipv6mr_interface = 1};
	CHECK(set(six, IPPROTO_IPV6, IPV6_MULTICAST_IF, 1) == 0 && setsockopt(six, IPPROTO_IPV6, IPV6_ADD_MEMBERSHIP, &m6, sizeof m6) == 0);
	FAILS(setsockopt(six, IPPROTO_IPV6, IPV6_ADD_MEMBERSHIP, &m6, sizeof m6), EADDRINUSE);
	CHECK(setsockopt(six, IPPROTO_IPV6, IPV6_DROP_MEMBERSHIP, &m6, sizeof m6) == 0);
}

static void controls(void)
{
	int r = socket(AF_INET, SOCK_DGRAM, 0), s = socket(AF_INET, SOCK_DGRAM, 0);
	struct sockaddr_in at = at4("127.0.0.1", 0), from;
	socklen_t length = sizeof at;
	CHECK(bind(r, (void *)&at, sizeof at) == 0 && getsockname(r, (void *)&at, &length) == 0);
	CHECK(set(r, IPPROTO_IP, IP_PKTINFO, 1) == 0 && set(r, IPPROTO_IP, IP_RECVTTL, 1) == 0 && set(r, IPPROTO_IP, IP_RECVTOS, 1) == 0);
	CHECK(set(r, SOL_SOCKET, SO_TIMESTAMPNS, 1) == 0 && set(r, IPPROTO_IP, IP_RECVORIGDSTADDR, 1) == 0);
	char space[128] = {0}, b[8];
	struct iovec v = {"hi", 2};
	struct msghdr h = {.msg_name = &at, .msg_namelen = sizeof at, .msg_iov = &v, .msg_iovlen = 1, .msg_control = space};
	struct cmsghdr *c = (void *)space;
	*c = (struct cmsghdr){CMSG_LEN(4), IPPROTO_IP, IP_TTL};
	*(int *)CMSG_DATA(c) = 33;
	c = (void *)(space + CMSG_SPACE(4));
	*c = (struct cmsghdr){CMSG_LEN(4), IPPROTO_IP, IP_TOS};
	*(int *)CMSG_DATA(c) = 0x28;
	h.msg_controllen = 2 * CMSG_SPACE(4);
	CHECK(sendmsg(s, &h, 0) == 2);
	char control[256];
	v = (struct iovec){b, sizeof b};
	h = (struct msghdr){.msg_name = &from, .msg_namelen = sizeof from, .msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
	CHECK(recvmsg(r, &h, 0) == 2);
	int seen = 0;
	for (c = CMSG_FIRSTHDR(&h); c; c = CMSG_NXTHDR(&h, c)) {
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS) seen |= 1;
		if (c->cmsg_level != IPPROTO_IP) continue;
		if (c->cmsg_type == IP_TTL && *(int *)CMSG_DATA(c) == 33) seen |= 2;
		if (c->cmsg_type == IP_TOS && *CMSG_DATA(c) == 0x28) seen |= 4;
		if (c->cmsg_type == IP_PKTINFO && ((struct in_pktinfo *)CMSG_DATA(c))->ipi_ifindex == 1) seen |= 8;
		if (c->cmsg_type == IP_ORIGDSTADDR && ((struct sockaddr_in *)CMSG_DATA(c))->sin_port == at.sin_port) seen |= 16;
	}
	CHECK(seen == 31);
	/* several at once */
	struct mmsghdr many[4] = {0};
	struct iovec parts[4];
	for (int i = 0; i < 4; i++) {
		parts[i] = (struct iovec){"0123" + i, 1};
		many[i].msg_hdr = (struct msghdr){.msg_name = &at, .msg_namelen = sizeof at, .msg_iov = &parts[i], .msg_iovlen = 1};
	}
	CHECK(sendmmsg(s, many, 4, 0) == 4);
	char got[4];
	for (int i = 0; i < 4; i++) {
		parts[i] = (struct iovec){got + i, 1};
		many[i].msg_hdr = (struct msghdr){.msg_iov = &parts[i], .msg_iovlen = 1};
	}
	CHECK(recvmmsg(r, many, 4, MSG_WAITFORONE, NULL) == 4 && memcmp(got, "0123", 4) == 0);
	/* one send, several datagrams */
	unsigned short piece = 3;
	CHECK(setsockopt(s, IPPROTO_UDP, 103, &(int){piece}, sizeof(int)) == 0);
	CHECK(sendto(s, "abcdefgh", 8, 0, (void *)&at, sizeof at) == 8);
	CHECK(recv(r, b, 8, 0) == 3 && recv(r, b, 8, 0) == 3 && recv(r, b, 8, 0) == 2 && memcmp(b, "gh", 2) == 0);
}

static void error_queue(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	struct sockaddr_in to = at4("127.0.0.1", 1), where;
	CHECK(set(fd, IPPROTO_IP, IP_RECVERR, 1) == 0);
	CHECK(sendto(fd, "lost", 4, 0, (void *)&to, sizeof to) == 4);
	struct pollfd p = {.fd = fd};
	CHECK(poll(&p, 1, 2000) == 1 && p.revents == POLLERR);
	char b[16], control[256];
	struct iovec v = {b, sizeof b};
	struct msghdr h = {.msg_name = &where, .msg_namelen = sizeof where, .msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
	CHECK(recvmsg(fd, &h, MSG_ERRQUEUE) == 4 && memcmp(b, "lost", 4) == 0 && (h.msg_flags & MSG_ERRQUEUE) && where.sin_port == htons(1));
	struct cmsghdr *c = CMSG_FIRSTHDR(&h);
	CHECK(c && c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR);
	struct sock_extended_err *e = (void *)CMSG_DATA(c);
	CHECK(e->ee_errno == ECONNREFUSED && e->ee_origin == SO_EE_ORIGIN_ICMP && e->ee_type == 3 && e->ee_code == 3);
	CHECK(((struct sockaddr_in *)SO_EE_OFFENDER(e))->sin_addr.s_addr == htonl(INADDR_LOOPBACK));
	FAILS(recvmsg(fd, &h, MSG_ERRQUEUE), EAGAIN);
	int error;
	socklen_t length = sizeof error;
	CHECK(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) == 0);
}

int main(void)
{
	PART(ping);
	PART(raw_icmp);
	PART(raw_header);
	PART(raw_six);
	PART(no_privilege);
	PART(packets);
	PART(ring);
	PART(multicast);
	PART(controls);
	PART(error_queue);
	return 0;
}
