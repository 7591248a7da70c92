/* tun(4): the device, its requests, who may, and the life of its interfaces; each part in a network of its own */
#include "tunnel_guest.h"

static void before_there_is_an_interface(void)
{
	char bytes[64] = { 0 };
	unsigned features = 0;
	struct stat status;
	alone();
	CHECK(stat("/dev/net/tun", &status) == 0 && S_ISCHR(status.st_mode) && status.st_rdev == makedev(10, 200));
	int fd = device();
	FAILS(read(fd, bytes, sizeof bytes), EBADFD);
	FAILS(write(fd, bytes, sizeof bytes), EBADFD);
	FAILS(ioctl(fd, TUNGETIFF, bytes), EBADFD);
	FAILS(ioctl(fd, TUNSETPERSIST, 1), EBADFD);
	FAILS(ioctl(fd, 0x5401, bytes), EBADFD);
	FAILS(ioctl(fd, TUNSETIFF, NULL), EFAULT);
	FAILS(lseek(fd, 0, SEEK_SET), ESPIPE);
	struct pollfd one = { fd, POLLIN | POLLOUT, 0 };
	CHECK(poll(&one, 1, 0) == 1 && one.revents == POLLERR);
	CHECK(ioctl(fd, TUNGETFEATURES, &features) == 0);
	CHECK((features & (IFF_TUN | IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_MULTI_QUEUE)) == (IFF_TUN | IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_MULTI_QUEUE));
	CHECK(close(fd) == 0);
}

static void names_and_flags(void)
{
	struct ifreq request;
	alone();
	int a = device(), b = device(), c = device();
	FAILS(take(a, "", 0), EINVAL);
	FAILS(take(a, "a b", IFF_TUN), EINVAL);
	FAILS(take(a, "x%s", IFF_TUN), EINVAL);
	FAILS(take(a, "%d%d", IFF_TUN), EINVAL);
	FAILS(take(a, "lo", IFF_TUN), EINVAL);
	FAILS(take(a, "lo", IFF_TUN | IFF_TUN_EXCL), EBUSY);
	request = named("", IFF_TUN);
	CHECK(ioctl(a, TUNSETIFF, &request) == 0 && strcmp(request.ifr_name, "tun0") == 0);
	FAILS(take(a, "tun0", IFF_TUN), EEXIST);
	request = named("vpn%d", IFF_TAP | IFF_NO_PI);
	CHECK(ioctl(b, TUNSETIFF, &request) == 0 && strcmp(request.ifr_name, "vpn0") == 0);
	FAILS(take(c, "tun0", IFF_TUN), EBUSY);
	FAILS(take(c, "tun0", IFF_TAP), EINVAL);
	FAILS(take(c, "tun0", IFF_TUN | IFF_MULTI_QUEUE), EINVAL);
	FAILS(take(c, "tun0", IFF_TUN | IFF_TUN_EXCL), EBUSY);
	int index = 77;
	CHECK(ioctl(c, TUNSETIFINDEX, &index) == 0);
	CHECK(take(c, "far%d", IFF_TUN | IFF_NO_PI) == 0 && if_nametoindex("far0") == 77);
	FAILS(ioctl(c, TUNSETIFINDEX, &index), EPERM);
	CHECK(ioctl(b, TUNGETIFF, &request) == 0 && strcmp(request.ifr_name, "vpn0") == 0 && request.ifr_flags == (IFF_TAP | IFF_NO_PI));
	CHECK(strcmp(says("tun0", "tun_flags"), "0x1") == 0 && strcmp(says("vpn0", "tun_flags"), "0x1002") == 0);
	CHECK(strcmp(says("tun0", "owner"), "-1") == 0 && strcmp(says("tun0", "group"), "-1") == 0);
	CHECK(strcmp(says("tun0", "type"), "65534") == 0 && strcmp(says("vpn0", "type"), "1") == 0);
	CHECK(strcmp(says("tun0", "addr_len"), "0") == 0 && strcmp(says("tun0", "tx_queue_len"), "500") == 0);
	CHECK(strcmp(says("vpn0", "tx_queue_len"), "1000") == 0 && strcmp(says("tun0", "mtu"), "1500") == 0);
	CHECK(flags_of("tun0") == (IFF_POINTOPOINT | IFF_NOARP | IFF_MULTICAST));
	CHECK(flags_of("vpn0") == (IFF_BROADCAST | IFF_MULTICAST));
	set_up("tun0", 1);
	CHECK(flags_of("tun0") == (IFF_POINTOPOINT | IFF_NOARP | IFF_MULTICAST | IFF_UP | IFF_RUNNING));
	CHECK(strcmp(says("tun0", "operstate"), "unknown") == 0 && strcmp(says("tun0", "carrier"), "1") == 0);
	char path[64], line[128] = "", *found = NULL;
	snprintf(path, sizeof path, "/proc/self/fdinfo/%d", b);
	FILE *info = fopen(path, "r");
	while (found == NULL && fgets(line, sizeof line, info))
		found = strstr(line, "iff:\tvpn0");
	CHECK(found != NULL && fclose(info) == 0);
	CHECK(close(a) == 0 && if_nametoindex("tun0") == 0);
	CHECK(close(b) == 0 && if_nametoindex("vpn0") == 0);
}

static void settings(void)
{
	int value = 0;
	struct ifreq request;
	alone();
	int tap = tunnel("tap0", IFF_TAP | IFF_NO_PI | IFF_VNET_HDR), tun = tunnel("tun0", IFF_TUN);
	CHECK(ioctl(tap, TUNGETVNETHDRSZ, &value) == 0 && value == 10);
	value = 12;
	CHECK(ioctl(tap, TUNSETVNETHDRSZ, &value) == 0 && ioctl(tap, TUNGETVNETHDRSZ, &value) == 0 && value == 12);
	value = 9;
	FAILS(ioctl(tap, TUNSETVNETHDRSZ, &value), EINVAL);
	CHECK(ioctl(tap, TUNGETSNDBUF, &value) == 0 && value == 0x7fffffff);
	value = 100000;
	CHECK(ioctl(tap, TUNSETSNDBUF, &value) == 0 && ioctl(tap, TUNGETSNDBUF, &value) == 0 && value == 100000);
	value = 0;
	FAILS(ioctl(tap, TUNSETSNDBUF, &value), EINVAL);
	CHECK(ioctl(tap, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6) == 0);
	CHECK(ioctl(tap, TUNSETOFFLOAD, 0) == 0);
	FAILS(ioctl(tap, TUNSETOFFLOAD, TUN_F_TSO4), EINVAL);
	FAILS(ioctl(tap, TUNSETOFFLOAD, 0x8000), EINVAL);
	CHECK(ioctl(tap, SIOCGIFHWADDR, &request) == 0 && request.ifr_hwaddr.sa_family == ARPHRD_ETHER);
	memcpy(request.ifr_hwaddr.sa_data, "\2\1\2\3\4\5", 6);
	CHECK(ioctl(tap, SIOCSIFHWADDR, &request) == 0 && strcmp(says("tap0", "address"), "02:01:02:03:04:05") == 0);
	request.ifr_hwaddr.sa_data[0] = 1;
	FAILS(ioctl(tap, SIOCSIFHWADDR, &request), EADDRNOTAVAIL);
	request.ifr_hwaddr.sa_family = 6;
	FAILS(ioctl(tap, SIOCSIFHWADDR, &request), EINVAL);
	CHECK(ioctl(tun, SIOCGIFHWADDR, &request) == 0 && request.ifr_hwaddr.sa_family == ARPHRD_NONE);
	FAILS(ioctl(tun, SIOCSIFHWADDR, &request), EOPNOTSUPP);
	CHECK(ioctl(tun, TUNSETLINK, ARPHRD_PPP) == 0 && strcmp(says("tun0", "type"), "512") == 0);
	CHECK(ioctl(tun, TUNSETLINK, ARPHRD_NONE) == 0);
	set_up("tun0", 1);
	FAILS(ioctl(tun, TUNSETLINK, ARPHRD_PPP), EBUSY);
	FAILS(ioctl(tun, TUNSETTXFILTER, &value), EINVAL);
	FAILS(ioctl(tun, TUNDETACHFILTER, NULL), EINVAL);
	FAILS(ioctl(tun, 0x5401, &value), EINVAL);
	value = 0;
	CHECK(ioctl(tun, TUNSETCARRIER, &value) == 0 && strcmp(says("tun0", "carrier"), "0") == 0);
	value = 1;
	CHECK(ioctl(tun, TUNSETCARRIER, &value) == 0 && strcmp(says("tun0", "carrier"), "1") == 0);
	CHECK(ioctl(tun, TUNSETOWNER, 1000) == 0 && strcmp(says("tun0", "owner"), "1000") == 0);
	CHECK(ioctl(tun, TUNSETGROUP, 2000) == 0 && strcmp(says("tun0", "group"), "2000") == 0);
	FAILS(ioctl(tun, TUNSETOWNER, -1), EINVAL);
	int fd = control();
	request = named("tun0", 0);
	request.ifr_mtu = 1400;
	CHECK(ioctl(fd, SIOCSIFMTU, &request) == 0 && strcmp(says("tun0", "mtu"), "1400") == 0);
	request.ifr_mtu = 67;
	FAILS(ioctl(fd, SIOCSIFMTU, &request), EINVAL);
}

/* Linux looks at carriers once a second */
static void wait_for_state(const char *name, const char *state)
{
	for (int i = 0; i < 500 && strcmp(says(name, "operstate"), state) != 0; i++)
		poll(NULL, 0, 10);
	CHECK(strcmp(says(name, "operstate"), state) == 0);
}

static void persistent_ones(void)
{
	struct ifreq request;
	alone();
	int fd = tunnel("keep0", IFF_TUN | IFF_NO_PI);
	CHECK(ioctl(fd, TUNSETPERSIST, 1) == 0 && strcmp(says("keep0", "tun_flags"), "0x1801") == 0);
	CHECK(close(fd) == 0 && if_nametoindex("keep0") != 0);
	give_address("keep0", HERE);
	set_up("keep0", 1);
	wait_for_state("keep0", "down");
	CHECK((flags_of("keep0") & (IFF_UP | IFF_RUNNING)) == IFF_UP && strcmp(says("keep0", "carrier"), "0") == 0);
	CHECK(udp_to(THERE, 9, "x", 1) == 1);
	fd = device();
	FAILS(take(fd, "keep0", IFF_TAP), EINVAL);
	CHECK(take(fd, "keep0", IFF_TUN) == 0 && strcmp(says("keep0", "tun_flags"), "0x801") == 0);
	wait_for_state("keep0", "up");
	CHECK((flags_of("keep0") & IFF_RUNNING) != 0);
	CHECK(ioctl(fd, TUNGETIFF, &request) == 0 && (request.ifr_flags & IFF_PERSIST) != 0);
	CHECK(ioctl(fd, TUNSETPERSIST, 0) == 0 && close(fd) == 0 && if_nametoindex("keep0") == 0);
}

static void who_may(void)
{
	alone();
	int fd = tunnel("mine0", IFF_TUN), tap = tunnel("any0", IFF_TAP);
	CHECK(ioctl(fd, TUNSETPERSIST, 1) == 0 && ioctl(fd, TUNSETOWNER, 1000) == 0 && ioctl(fd, TUNSETGROUP, 1000) == 0 && close(fd) == 0);
	CHECK(ioctl(tap, TUNSETPERSIST, 1) == 0 && close(tap) == 0);
	for (int i = 0; i < 3; i++) {
		pid_t pid = fork();
		if (pid == 0) {
			fd = device();
			CHECK(setgid(i == 1 ? 7 : 1000) == 0 && setuid(i == 2 ? 7 : 1000) == 0);
			FAILS(take(fd, "new0", IFF_TUN), EPERM);
			if (i == 0)
				CHECK(take(fd, "mine0", IFF_TUN) == 0);
			else
				FAILS(take(fd, "mine0", IFF_TUN), EPERM);
			_exit(0);
		}
		int status;
		CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	}
	CHECK(if_nametoindex("mine0") != 0);
	fd = tunnel("mine0", IFF_TUN);
}

static void roots_of_their_own(void)
{
	unsigned char packet[256];
	int outside = device();
	alone();
	FAILS(take(outside, "tun0", IFF_TUN), EPERM); /* it belongs to the network that it was opened in */
	int fd = tunnel("tun0", IFF_TUN | IFF_NO_PI);
	CHECK(ioctl(fd, TUNSETOWNER, 0) == 0);
	FAILS(ioctl(fd, TUNSETOWNER, 70000), EINVAL);
	give_address("tun0", HERE);
	set_up("tun0", 1);
	int length = echo_request(packet, 1, 8);
	CHECK(write(fd, packet, length) == length && next_ipv4(fd, packet, sizeof packet, 0) == length);
}

static void waiting(void)
{
	unsigned char packet[2048];
	struct epoll_event event = { .events = EPOLLIN | EPOLLET }, got;
	alone();
	int fd = tunnel("tun0", IFF_TUN | IFF_NO_PI), set = epoll_create1(0);
	give_address("tun0", HERE);
	set_up("tun0", 1);
	poll(NULL, 0, 20);
	drain(fd);
	CHECK(epoll_ctl(set, EPOLL_CTL_ADD, fd, &event) == 0);
	while (epoll_wait(set, &got, 1, 0) == 1)
		drain(fd);
	CHECK(udp_to(THERE, 9, "x", 1) == 1);
	CHECK(epoll_wait(set, &got, 1, 10000) == 1 && got.events == EPOLLIN);
	next_ipv4(fd, packet, sizeof packet, 0);
	pid_t pid = fork();
	if (pid == 0) { /* a reader that has to wait */
		next_ipv4(fd, packet, sizeof packet, 0);
		_exit(packet[28] == 'y' ? 0 : 1);
	}
	poll(NULL, 0, 50);
	CHECK(udp_to(THERE, 9, "y", 1) == 1);
	int status;
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

static void move_to(const char *name, pid_t process)
{
	struct {
		struct nlmsghdr head;
		struct ifinfomsg body;
		struct rtattr attribute;
		unsigned value;
	} request = {
		{ sizeof request, RTM_NEWLINK, NLM_F_REQUEST | NLM_F_ACK, 1, 0 },
		{ .ifi_index = if_nametoindex(name) },
		{ 8, IFLA_NET_NS_PID },
		process,
	};
	char answer[1024];
	int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
	CHECK(fd >= 0 && send(fd, &request, sizeof request, 0) == sizeof request && recv(fd, answer, sizeof answer, 0) > 0);
	CHECK(((struct nlmsgerr *)NLMSG_DATA((struct nlmsghdr *)answer))->error == 0 && close(fd) == 0);
}

/* an interface works in another network, and ends with it */
static void in_another_network(void)
{
	unsigned char packet[256];
	int ready[2], go[2], length = echo_request(packet, 1, 8);
	alone();
	int fd = tunnel("tun0", IFF_TUN | IFF_NO_PI);
	CHECK(pipe(ready) == 0 && pipe(go) == 0);
	pid_t pid = fork();
	if (pid == 0) {
		close(fd); /* it would keep the network of the others */
		CHECK(unshare(CLONE_NEWNET) == 0 && write(ready[1], "x", 1) == 1 && read(go[0], packet, 1) == 1);
		give_address("tun0", HERE);
		set_up("tun0", 1);
		CHECK(write(ready[1], "x", 1) == 1);
		CHECK(read(go[0], packet, 1) == 1);
		_exit(0);
	}
	CHECK(read(ready[0], packet + length, 1) == 1);
	move_to("tun0", pid);
	CHECK(if_nametoindex("tun0") == 0 && write(go[1], "x", 1) == 1 && read(ready[0], packet + length, 1) == 1);
	CHECK(write(fd, packet, length) == length && next_ipv4(fd, packet, sizeof packet, 0) == length && packet[20] == ICMP_ECHOREPLY);
	CHECK(fcntl(fd, F_SETFL, O_NONBLOCK) == 0 && write(go[1], "x", 1) == 1);
	int status;
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	struct pollfd one = { fd, POLLIN, 0 };
	for (int i = 0; i < 1000 && !(poll(&one, 1, 10) == 1 && one.revents == POLLERR); i++)
		while (read(fd, packet, sizeof packet) > 0)
			;
	FAILS(read(fd, packet, sizeof packet), EBADFD);
	CHECK(take(fd, "tun0", IFF_TUN) == 0);
}

int main(void)
{
	PART(before_there_is_an_interface);
	PART(names_and_flags);
	PART(settings);
	PART(persistent_ones);
	PART(who_may);
	PART(roots_of_their_own);
	PART(waiting);
	PART(in_another_network);
	return 0;
}
