/* What programs about tun(4) share: interfaces and what proc and sys say of them, packets in and out. */
#ifndef TUNNEL_GUEST_H
#define TUNNEL_GUEST_H

#include "check.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <net/ethernet.h>
#include <netinet/if_ether.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/wait.h>

#define HERE "10.9.0.1"
#define THERE "10.9.0.2"

static inline int control(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	CHECK(fd >= 0);
	return fd;
}
static inline void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);
	CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) && close(fd) == 0);
}
/* a network of which root here has all power, with the /sys that shows it; users are those of outside */
static inline void alone(void)
{
	char path[64];
	int ready[2], status;
	pid_t self = getpid();
	CHECK(pipe(ready) == 0);
	pid_t helper = fork();
	if (helper == 0) {
		CHECK(close(ready[1]) == 0 && read(ready[0], path, 1) == 0);
		snprintf(path, sizeof path, "/proc/%d/uid_map", self);
		put(path, "0 0 65000");
		snprintf(path, sizeof path, "/proc/%d/gid_map", self);
		put(path, "0 0 65000");
		_exit(0);
	}
	CHECK(unshare(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWNS) == 0 && close(ready[0]) == 0 && close(ready[1]) == 0);
	CHECK(waitpid(helper, &status, 0) == helper && status == 0);
	CHECK(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	/* in the sandbox it shows the reader's network in any case */
	CHECK(mount("sysfs", "/sys", "sysfs", 0, NULL) == 0 || errno == EPERM);
}
static inline int device(void)
{
	int fd = open("/dev/net/tun", O_RDWR);
	CHECK(fd >= 0);
	return fd;
}
static inline struct ifreq named(const char *name, int flags)
{
	struct ifreq request = { .ifr_flags = flags };
	strcpy(request.ifr_name, name);
	return request;
}
static inline int take(int fd, const char *name, int flags)
{
	struct ifreq request = named(name, flags);
	return ioctl(fd, TUNSETIFF, &request);
}
static inline int tunnel(const char *name, int flags)
{
	int fd = device();
	CHECK(take(fd, name, flags) == 0);
	return fd;
}
static inline int flags_of(const char *name)
{
	int fd = control();
	struct ifreq request = named(name, 0);
	int r = ioctl(fd, SIOCGIFFLAGS, &request);
	close(fd);
	return r < 0 ? -1 : request.ifr_flags & 0xffff;
}
static inline void set_up(const char *name, int up)
{
	int fd = control();
	struct ifreq request = named(name, 0);
	CHECK(ioctl(fd, SIOCGIFFLAGS, &request) == 0);
	request.ifr_flags = up ? request.ifr_flags | IFF_UP : request.ifr_flags & ~IFF_UP;
	CHECK(ioctl(fd, SIOCSIFFLAGS, &request) == 0 && close(fd) == 0);
}
static inline void give_address(const char *name, const char *address)
{
	int fd = control();
	struct ifreq request = named(name, 0);
	struct sockaddr_in *in = (struct sockaddr_in *)&request.ifr_addr;
	in->sin_family = AF_INET;
	in->sin_addr.s_addr = inet_addr(address);
	CHECK(ioctl(fd, SIOCSIFADDR, &request) == 0);
	in->sin_addr.s_addr = inet_addr("255.255.255.0");
	CHECK(ioctl(fd, SIOCSIFNETMASK, &request) == 0 && close(fd) == 0);
}
/* what a file of /sys/class/net/NAME says */
static inline const char *says(const char *name, const char *file)
{
	static char text[64];
	char path[128];
	snprintf(path, sizeof path, "/sys/class/net/%s/%s", name, file);
	int fd = open(path, O_RDONLY);
	if (fd < 0)
		return "nothing";
	ssize_t n = read(fd, text, sizeof text - 1);
	close(fd);
	text[n < 0 ? 0 : n] = 0;
	text[strcspn(text, "\n")] = 0;
	return text;
}
static inline long counter(const char *name, const char *which)
{
	char line[512], *found;
	FILE *file = fopen("/proc/self/net/dev", "r");
	long values[16];
	CHECK(file != NULL);
	while (fgets(line, sizeof line, file))
		if ((found = strstr(line, name)) != NULL && found[strlen(name)] == ':') {
			char *at = found + strlen(name) + 1;
			for (int i = 0; i < 16; i++)
				values[i] = strtol(at, &at, 10);
			fclose(file);
			return values[strcmp(which, "rx_packets") == 0 ? 1 : strcmp(which, "rx_dropped") == 0 ? 3 : strcmp(which, "tx_packets") == 0 ? 9 : 11];
		}
	CHECK(!"no such interface");
	return 0;
}
static inline unsigned short sum(const void *data, int length, unsigned start)
{
	const unsigned char *bytes = data;
	unsigned total = start;
	for (int i = 0; i + 1 < length; i += 2)
		total += bytes[i] << 8 | bytes[i + 1];
	if (length & 1)
		total += bytes[length - 1] << 8;
	while (total >> 16)
		total = (total & 0xffff) + (total >> 16);
	return htons(~total & 0xffff);
}
/* an echo request from THERE to HERE; its length */
static inline int echo_request(unsigned char *into, int sequence, int data)
{
	struct iphdr *ip = (struct iphdr *)into;
	struct icmphdr *icmp = (struct icmphdr *)(into + 20);
	int length = 28 + data;
	memset(into, 0, length);
	*ip = (struct iphdr){ .version = 4, .ihl = 5, .tot_len = htons(length), .ttl = 64, .protocol = IPPROTO_ICMP };
	ip->saddr = inet_addr(THERE);
	ip->daddr = inet_addr(HERE);
	ip->check = sum(ip, 20, 0);
	icmp->type = ICMP_ECHO;
	icmp->un.echo.sequence = htons(sequence);
	icmp->checksum = sum(icmp, 8 + data, 0);
	return length;
}
static inline void wait_for(int fd, int events)
{
	struct pollfd one = { fd, events, 0 };
	CHECK(poll(&one, 1, 10000) == 1);
}
/* the next packet that is not the stack's own talk about IPv6 and groups; before it `head` bytes */
static inline int next_ipv4(int fd, unsigned char *into, int room, int head)
{
	for (;;) {
		wait_for(fd, POLLIN);
		int n = read(fd, into, room);
		CHECK(n > 0);
		if (into[head] >> 4 == 4 && into[head + 9] != IPPROTO_IGMP)
			return n;
	}
}
static inline int drain(int fd)
{
	unsigned char packet[2048];
	int packets = 0, flags = fcntl(fd, F_GETFL);
	CHECK(fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0);
	while (read(fd, packet, sizeof packet) > 0)
		packets++;
	CHECK(errno == EAGAIN && fcntl(fd, F_SETFL, flags) == 0);
	return packets;
}
static inline int udp_to(const char *address, int port, const void *data, int length)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = inet_addr(address) };
	int fd = control();
	int n = sendto(fd, data, length, 0, (struct sockaddr *)&to, sizeof to), saved = errno;
	close(fd);
	errno = saved;
	return n;
}

#endif
