/* tun(4): packets and frames between the stack and the program at the other end; each part in a network of its own */
#include "tunnel_guest.h"

static void echo_answered_by_the_stack(void)
{
	unsigned char packet[2048], head[4];
	alone();
	int fd = tunnel("tun0", IFF_TUN | IFF_NO_PI);
	int length = echo_request(packet, 7, 56);
	struct pollfd one = { fd, POLLIN | POLLOUT, 0 };
	CHECK(poll(&one, 1, 0) == 0);
	FAILS(write(fd, packet, length), EIO);
	give_address("tun0", HERE);
	set_up("tun0", 1);
	wait_for(fd, POLLOUT);
	FAILS(write(fd, packet, 0), EINVAL);
	FAILS(write(fd, "\x12\x34", 2), EINVAL);
	CHECK(write(fd, packet, length) == length);
	CHECK(next_ipv4(fd, packet, sizeof packet, 0) == length);
	CHECK(packet[20] == ICMP_ECHOREPLY && packet[27] == 7 && memcmp(packet + 16, "\x0a\x09\0\x02", 4) == 0);
	CHECK(sum(packet, 20, 0) == 0 && sum(packet + 20, length - 20, 0) == 0);
	/* in pieces, and into pieces */
	struct iovec pieces[3] = { { packet, 10 }, { packet + 10, 0 }, { packet + 10, length - 10 } };
	echo_request(packet, 8, 56);
	CHECK(writev(fd, pieces, 3) == length);
	drain(fd);
	CHECK(pwrite(fd, packet, length, 99) == length && close(fd) == 0);
	fd = tunnel("tun0", IFF_TUN);
	set_up("tun0", 1);
	give_address("tun0", HERE);
	drain(fd);
	pieces[0] = (struct iovec){ "\0\0\x08\0", 4 };
	pieces[1] = (struct iovec){ packet, length };
	FAILS(write(fd, "\0\0\x08", 3), EINVAL);
	CHECK(writev(fd, pieces, 2) == 4 + length);
	CHECK(next_ipv4(fd, packet, sizeof packet, 4) == 4 + length && memcmp(packet, "\0\0\x08\0", 4) == 0 && packet[24] == ICMP_ECHOREPLY);
	echo_request(packet, 9, 56);
	CHECK(writev(fd, pieces, 2) == 4 + length);
	wait_for(fd, POLLIN);
	CHECK(read(fd, packet, 34) == 34 && memcmp(packet, "\x01\0\x08\0", 4) == 0);
	echo_request(packet, 10, 56);
	CHECK(writev(fd, pieces, 2) == 4 + length);
	wait_for(fd, POLLIN);
	FAILS(read(fd, head, 3), EINVAL);
	CHECK(read(fd, head, 0) == 0 && drain(fd) == 0);
	/* what does not belong there is taken and comes to nothing */
	CHECK(write(fd, "\0\0\x88\x47some label", 14) == 14 && drain(fd) == 0);
}

static void *answer(void *argument)
{
	unsigned char packet[2048];
	int fd = *(int *)argument;
	for (int n = 0; n < 5;) {
		int length = next_ipv4(fd, packet, sizeof packet, 0);
		struct iphdr *ip = (struct iphdr *)packet;
		if (ip->protocol != IPPROTO_ICMP || packet[20] != ICMP_ECHO)
			continue;
		unsigned from = ip->saddr;
		ip->saddr = ip->daddr;
		ip->daddr = from;
		packet[20] = ICMP_ECHOREPLY;
		packet[22] = packet[23] = 0;
		((struct icmphdr *)(packet + 20))->checksum = sum(packet + 20, length - 20, 0);
		CHECK(write(fd, packet, length) == length);
		n++;
	}
	return NULL;
}

static void echo_answered_by_the_program(void)
{
	pthread_t thread;
	unsigned char message[64], got[256];
	alone();
	int fd = tunnel("tun0", IFF_TUN | IFF_NO_PI);
	give_address("tun0", HERE);
	set_up("tun0", 1);
	CHECK(pthread_create(&thread, NULL, answer, &fd) == 0);
	int raw = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = inet_addr(THERE) };
	for (int i = 0; i < 5; i++) {
		struct icmphdr *icmp = (struct icmphdr *)message;
		memset(message, i, sizeof message);
		*icmp = (struct icmphdr){ .type = ICMP_ECHO, .un.echo.sequence = htons(i) };
		icmp->checksum = sum(message, sizeof message, 0);
		CHECK(sendto(raw, message, sizeof message, 0, (struct sockaddr *)&to, sizeof to) == sizeof message);
		wait_for(raw, POLLIN);
		CHECK(recv(raw, got, sizeof got, 0) == 20 + sizeof message && got[20] == ICMP_ECHOREPLY && got[27] == i);
		CHECK(memcmp(got + 28, message + 8, sizeof message - 8) == 0);
	}
	CHECK(pthread_join(thread, NULL) == 0);
	CHECK(counter("tun0", "rx_packets") == 5 && counter("tun0", "tx_packets") >= 5);
}

static void a_full_queue_loses(void)
{
	alone();
	int fd = tunnel("tun0", IFF_TUN | IFF_NO_PI), port = 0;
	give_address("tun0", HERE);
	set_up("tun0", 1);
	while (port < 700)
		CHECK(udp_to(THERE, ++port, "x", 1) == 1);
	int left = drain(fd);
	CHECK(left >= 500 && left < 600 && counter("tun0", "tx_packets") == left && counter("tun0", "tx_dropped") > 0);
	CHECK(udp_to(THERE, 9, "x", 1) == 1 && drain(fd) >= 1);
}

/* the frame that the program answers as the station 02:00:00:00:00:02 */
static int is_arp_for(const unsigned char *frame, int length, const char *address)
{
	unsigned wanted = inet_addr(address);
	return length >= 42 && memcmp(frame + 12, "\x08\x06", 2) == 0 && frame[21] == 1 && memcmp(frame + 38, &wanted, 4) == 0;
}

static void frames_with_arp(void)
{
	unsigned char frame[2048], reply[42];
	alone();
	int fd = tunnel("tap0", IFF_TAP | IFF_NO_PI);
	give_address("tap0", HERE);
	set_up("tap0", 1);
	CHECK(udp_to(THERE, 4000, "hello", 5) == 5);
	int n;
	do {
		wait_for(fd, POLLIN);
		n = read(fd, frame, sizeof frame);
		CHECK(n > 0);
	} while (!is_arp_for(frame, n, THERE));
	CHECK(memcmp(frame, "\xff\xff\xff\xff\xff\xff", 6) == 0);
	memcpy(reply, frame + 6, 6);
	memcpy(reply + 6, "\2\0\0\0\0\2\x08\x06\0\1\x08\0\6\4\0\2\2\0\0\0\0\2", 22);
	memcpy(reply + 28, frame + 38, 4);
	memcpy(reply + 32, frame + 22, 10);
	FAILS(write(fd, reply, 13), EINVAL);
	CHECK(write(fd, reply, 42) == 42);
	do {
		wait_for(fd, POLLIN);
		n = read(fd, frame, sizeof frame);
	} while (memcmp(frame + 12, "\x08\0", 2) != 0 || frame[23] != IPPROTO_UDP);
	CHECK(n == 47 && memcmp(frame, "\2\0\0\0\0\2", 6) == 0 && memcmp(frame + 42, "hello", 5) == 0);
	CHECK(sum(frame + 14, 20, 0) == 0);
	/* and the stack answers us */
	memcpy(frame + 6, "\2\0\0\0\0\2", 6);
	struct ifreq request;
	CHECK(ioctl(fd, SIOCGIFHWADDR, &request) == 0);
	memcpy(frame, request.ifr_hwaddr.sa_data, 6);
	n = 14 + echo_request(frame + 14, 3, 20);
	CHECK(write(fd, frame, n) == n);
	do {
		wait_for(fd, POLLIN);
		CHECK(read(fd, frame, sizeof frame) > 0);
	} while (memcmp(frame + 12, "\x08\0", 2) != 0 || frame[23] != IPPROTO_ICMP);
	CHECK(frame[34] == ICMP_ECHOREPLY);
}

static void link_local_addresses(void)
{
	static const unsigned char wanted[16] = { 0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 0xff, 0xfe, 3, 4, 5 };
	unsigned char frame[2048];
	struct ifreq request = { 0 };
	alone();
	int fd = tunnel("tap0", IFF_TAP | IFF_NO_PI);
	request.ifr_hwaddr.sa_family = ARPHRD_ETHER;
	memcpy(request.ifr_hwaddr.sa_data, "\2\1\2\3\4\5", 6);
	CHECK(ioctl(fd, SIOCSIFHWADDR, &request) == 0);
	set_up("tap0", 1);
	for (;;) { /* it asks whether anybody else has the address */
		wait_for(fd, POLLIN);
		CHECK(read(fd, frame, sizeof frame) > 0);
		if (memcmp(frame + 12, "\x86\xdd", 2) == 0 && frame[20] == IPPROTO_ICMPV6 && frame[54] == ND_NEIGHBOR_SOLICIT)
			break;
	}
	CHECK(memcmp(frame + 62, wanted, 16) == 0 && memcmp(frame, "\x33\x33\xff\x03\x04\x05", 6) == 0);
	int six = socket(AF_INET6, SOCK_DGRAM, 0), r;
	struct sockaddr_in6 own = { .sin6_family = AF_INET6, .sin6_scope_id = if_nametoindex("tap0") };
	memcpy(&own.sin6_addr, wanted, 16);
	while ((r = bind(six, (struct sockaddr *)&own, sizeof own)) != 0 && errno == EADDRNOTAVAIL)
		poll(NULL, 0, 50);
	CHECK(r == 0);
}

static void two_queues(void)
{
	unsigned char packet[2048];
	struct ifreq request;
	alone();
	int a = tunnel("tun0", IFF_TUN | IFF_NO_PI | IFF_MULTI_QUEUE), b = tunnel("tun0", IFF_TUN | IFF_NO_PI | IFF_MULTI_QUEUE), c = device();
	FAILS(take(c, "tun0", IFF_TUN), EINVAL);
	give_address("tun0", HERE);
	set_up("tun0", 1);
	/* once a flow has been seen on a queue, answers come there */
	for (int i = 0; i < 4; i++) {
		struct pollfd both[2] = { { a, POLLIN, 0 }, { b, POLLIN, 0 } };
		int asked = i % 2 ? b : a, length = echo_request(packet, 2 * i, 20);
		drain(a);
		drain(b);
		CHECK(write(asked, packet, length) == length && poll(both, 2, 10000) > 0);
		drain(a);
		drain(b);
		length = echo_request(packet, 2 * i + 1, 20);
		CHECK(write(asked, packet, length) == length);
		CHECK(next_ipv4(asked, packet, sizeof packet, 0) == length && packet[20] == ICMP_ECHOREPLY);
	}
	drain(a);
	drain(b);
	request = named("", IFF_DETACH_QUEUE);
	CHECK(ioctl(b, TUNSETQUEUE, &request) == 0);
	FAILS(ioctl(b, TUNSETQUEUE, &request), EINVAL);
	CHECK(ioctl(b, TUNGETIFF, &request) == 0 && (request.ifr_flags & IFF_DETACH_QUEUE) != 0);
	for (int i = 0; i < 20; i++)
		CHECK(udp_to(THERE, 1000 + i, "x", 1) == 1);
	CHECK(drain(b) == 0 && drain(a) >= 20);
	request = named("", IFF_ATTACH_QUEUE);
	CHECK(ioctl(b, TUNSETQUEUE, &request) == 0);
	FAILS(ioctl(b, TUNSETQUEUE, &request), EINVAL);
	CHECK(ioctl(b, TUNGETIFF, &request) == 0 && (request.ifr_flags & IFF_DETACH_QUEUE) == 0);
	CHECK(close(a) == 0 && if_nametoindex("tun0") != 0);
	CHECK(udp_to(THERE, 9, "x", 1) == 1);
	next_ipv4(b, packet, sizeof packet, 0);
	CHECK(close(b) == 0 && if_nametoindex("tun0") == 0);
	a = tunnel("tun0", IFF_TUN | IFF_NO_PI);
	request = named("", IFF_DETACH_QUEUE);
	FAILS(ioctl(a, TUNSETQUEUE, &request), EINVAL);
}

static void checksums_left_open(void)
{
	unsigned char packet[2048];
	struct virtio_net_hdr *head = (struct virtio_net_hdr *)packet;
	alone();
	int fd = tunnel("tun0", IFF_TUN | IFF_NO_PI | IFF_VNET_HDR);
	give_address("tun0", HERE);
	set_up("tun0", 1);
	drain(fd);
	CHECK(ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM) == 0);
	CHECK(udp_to(THERE, 9, "data", 4) == 4);
	CHECK(next_ipv4(fd, packet, sizeof packet, 10) == 42);
	CHECK(head->flags == VIRTIO_NET_HDR_F_NEEDS_CSUM && head->gso_type == 0 && head->csum_start == 20 && head->csum_offset == 6);
	CHECK(ioctl(fd, TUNSETOFFLOAD, 0) == 0);
	CHECK(udp_to(THERE, 9, "data", 4) == 4);
	CHECK(next_ipv4(fd, packet, sizeof packet, 10) == 42 && head->flags == 0);
	int length = echo_request(packet + 10, 1, 8);
	memset(packet, 0, 10);
	FAILS(write(fd, packet, 9), EINVAL);
	CHECK(write(fd, packet, 10 + length) == 10 + length);
	CHECK(next_ipv4(fd, packet, sizeof packet, 10) == 10 + length);
	/* a datagram whose checksum is for the other side to fill in */
	int receiver = control();
	struct sockaddr_in own = { .sin_family = AF_INET, .sin_port = htons(5000), .sin_addr.s_addr = inet_addr(HERE) };
	CHECK(bind(receiver, (struct sockaddr *)&own, sizeof own) == 0);
	memset(packet, 0, 10);
	echo_request(packet + 10, 1, 4);
	struct iphdr *ip = (struct iphdr *)(packet + 10);
	ip->protocol = IPPROTO_UDP;
	ip->check = 0;
	ip->check = sum(ip, 20, 0);
	struct udphdr *udp = (struct udphdr *)(packet + 30);
	*udp = (struct udphdr){ .uh_sport = htons(5001), .uh_dport = htons(5000), .uh_ulen = htons(12) };
	udp->uh_sum = ~sum(packet + 22, 8, IPPROTO_UDP + 12);
	*head = (struct virtio_net_hdr){ .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 20, .csum_offset = 6 };
	CHECK(write(fd, packet, 42) == 42);
	wait_for(receiver, POLLIN);
	CHECK(recv(receiver, packet, sizeof packet, 0) == 4);
	*head = (struct virtio_net_hdr){ .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 60, .csum_offset = 6 };
	FAILS(write(fd, packet, 42), EINVAL);
}

/* a TCP segment from port 80 of THERE, its checksum left open; its length with the header */
static int segment(unsigned char *into, int port, unsigned sequence, unsigned acknowledged, int flags, int data, int size)
{
	struct iphdr *ip = (struct iphdr *)(into + 10);
	struct tcphdr *tcp = (struct tcphdr *)(into + 30);
	memset(into, 0, 50 + data);
	*(struct virtio_net_hdr *)into = (struct virtio_net_hdr){
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .gso_type = size ? VIRTIO_NET_HDR_GSO_TCPV4 : 0,
		.gso_size = size, .hdr_len = 40, .csum_start = 20, .csum_offset = 16,
	};
	*ip = (struct iphdr){ .version = 4, .ihl = 5, .tot_len = htons(40 + data), .ttl = 64, .protocol = IPPROTO_TCP };
	ip->saddr = inet_addr(THERE);
	ip->daddr = inet_addr(HERE);
	ip->check = sum(ip, 20, 0);
	tcp->th_sport = htons(80);
	tcp->th_dport = htons(port);
	tcp->th_seq = htonl(sequence);
	tcp->th_ack = htonl(acknowledged);
	tcp->th_off = 5;
	tcp->th_flags = flags;
	tcp->th_win = htons(60000);
	tcp->th_sum = ~sum(into + 22, 8, IPPROTO_TCP + 20 + data);
	return 50 + data;
}

static void segments_in_one_piece(void)
{
	static unsigned char packet[70000], data[8000], got[8000];
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(80), .sin_addr.s_addr = inet_addr(THERE) }, own;
	struct tcphdr *tcp = (struct tcphdr *)(packet + 30);
	socklen_t length = sizeof own;
	alone();
	int fd = tunnel("tun0", IFF_TUN | IFF_NO_PI | IFF_VNET_HDR);
	CHECK(ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6) == 0);
	give_address("tun0", HERE);
	set_up("tun0", 1);
	int stream = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	FAILS(connect(stream, (struct sockaddr *)&to, sizeof to), EINPROGRESS);
	CHECK(getsockname(stream, (struct sockaddr *)&own, &length) == 0);
	next_ipv4(fd, packet, sizeof packet, 10);
	CHECK(packet[19] == IPPROTO_TCP && tcp->th_flags == TH_SYN);
	unsigned theirs = ntohl(tcp->th_seq) + 1, ours = 1000;
	int port = ntohs(own.sin_port), n = segment(packet, port, ours++, theirs, TH_SYN | TH_ACK, 0, 0);
	CHECK(write(fd, packet, n) == n);
	wait_for(stream, POLLOUT);
	/* what it sends: 536 bytes a segment, as we did not say more */
	CHECK(send(stream, data, 4000, 0) == 4000);
	int seen = 0, merged = 0;
	while (seen < 4000) {
		n = next_ipv4(fd, packet, sizeof packet, 10);
		struct virtio_net_hdr head = *(struct virtio_net_hdr *)packet;
		int payload = n - 30 - tcp->th_off * 4;
		if (packet[19] != IPPROTO_TCP || payload <= 0)
			continue;
		CHECK(head.flags == VIRTIO_NET_HDR_F_NEEDS_CSUM && (payload > 536) == (head.gso_type == VIRTIO_NET_HDR_GSO_TCPV4));
		CHECK(payload <= 536 || head.gso_size == 536);
		merged += payload > 536;
		seen = ntohl(tcp->th_seq) - theirs + payload;
		n = segment(packet, port, ours, theirs + seen, TH_ACK, 0, 0);
		CHECK(write(fd, packet, n) == n);
	}
	CHECK(merged > 0);
	/* what it gets */
	n = segment(packet, port, ours, theirs + 4000, TH_ACK | TH_PUSH, 8000, 1000);
	for (int i = 0; i < 8000; i++)
		data[i] = packet[50 + i] = i * 7;
	CHECK(write(fd, packet, n) == n);
	for (int have = 0; have < 8000; have += n) {
		wait_for(stream, POLLIN);
		CHECK((n = recv(stream, got + have, 8000 - have, 0)) > 0);
	}
	CHECK(memcmp(got, data, 8000) == 0);
	n = segment(packet, port, ours + 8000, theirs + 4000, TH_ACK, 10, 0);
	((struct virtio_net_hdr *)packet)->gso_type = 77;
	FAILS(write(fd, packet, n), EINVAL);
}

/* also with packets that cannot be had as the program has set things */
static void empty(int fd)
{
	unsigned char packet[2048];
	int flags = fcntl(fd, F_GETFL);
	CHECK(fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0);
	while (read(fd, packet, sizeof packet) >= 0 || errno == EINVAL)
		;
	CHECK(errno == EAGAIN && fcntl(fd, F_SETFL, flags) == 0);
}

/* whatever a program writes and asks, the stack behind lives on */
static void noise(void)
{
	static const unsigned long requests[] = { TUNSETOFFLOAD, TUNSETVNETHDRSZ, TUNSETSNDBUF, TUNSETLINK, TUNSETTXFILTER, TUNSETCARRIER, TUNATTACHFILTER,
		TUNDETACHFILTER, TUNSETQUEUE, TUNSETIFF, TUNGETIFF, TUNSETOWNER, TUNSETPERSIST, SIOCSIFHWADDR, TUNSETVNETLE };
	static unsigned char packet[70100];
	unsigned seed = 4711;
	alone();
	int tun = tunnel("tun0", IFF_TUN | IFF_NO_PI | IFF_VNET_HDR), tap = tunnel("tap0", IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_MULTI_QUEUE);
	int forward = open("/proc/sys/net/ipv4/ip_forward", O_WRONLY);
	CHECK(forward < 0 || write(forward, "1", 1) == 1);
	give_address("tun0", HERE);
	give_address("tap0", "10.8.0.1");
	set_up("tun0", 1);
	set_up("tap0", 1);
	for (int round = 0; round < 4000; round++) {
		int fd = rand_r(&seed) % 2 ? tun : tap, length = rand_r(&seed) % (round % 50 ? 200 : 70000);
		int head = 10 + (fd == tap ? 14 : 0);
		for (int i = 0; i < length && i < 120; i++)
			packet[i] = rand_r(&seed) % 3 ? packet[i] : rand_r(&seed);
		if (rand_r(&seed) % 4) {
			int n = echo_request(packet + head, round, length > 28 ? length - 28 : 0);
			packet[head + rand_r(&seed) % 28] = rand_r(&seed);
			length = head + n;
			memset(packet, 0, 10);
			packet[rand_r(&seed) % 10] = rand_r(&seed) % 8;
			if (fd == tap)
				memcpy(packet + 22, "\x08\0", 2);
		}
		ssize_t n = write(fd, packet, length);
		CHECK(n == length || n == -1);
		if (round % 8 == 0)
			empty(fd);
		if (round % 5 == 0 && (fd == tap || round % 3))
			ioctl(tap, requests[rand_r(&seed) % (sizeof requests / sizeof *requests)], rand_r(&seed) % 2 ? (unsigned long)packet : rand_r(&seed) % 16);
	}
	CHECK(close(tap) == 0);
	empty(tun);
	memset(packet, 0, 10);
	int length = 10 + echo_request(packet + 10, 1, 8);
	CHECK(write(tun, packet, length) == length);
	do
		CHECK(next_ipv4(tun, packet, sizeof packet, 10) > 0);
	while (packet[19] != IPPROTO_ICMP || packet[30] != ICMP_ECHOREPLY);
}

int main(void)
{
	PART(echo_answered_by_the_stack);
	PART(echo_answered_by_the_program);
	PART(a_full_queue_loses);
	PART(frames_with_arp);
	PART(link_local_addresses);
	PART(two_queues);
	PART(checksums_left_open);
	PART(segments_in_one_piece);
	PART(noise);
	return 0;
}
