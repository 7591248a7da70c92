/*
 * relay A B SEED LOSS DUPLICATE REORDER DELAY JITTER: passes Ethernet frames between interfaces A and B, both ways, and spoils them on the way.
 * LOSS, DUPLICATE, REORDER: of 10,000 frames. DELAY, JITTER: microseconds; JITTER is how much later at most, and frames may overtake each other.
 * A frame that REORDER hits does not wait at all. The same seed and the same frames give the same fate.
 *
 * relay plain INTERFACE…: from now on these send whole frames of their MTU with finished checksums, as a wire would carry them.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { FRAME_MAX = 9216, WAITING_MAX = 8192 };

struct fate {
	unsigned loss, duplicate, reorder;
	unsigned delay, jitter;
};
struct frame {
	uint64_t due; /* ns */
	uint64_t serial;
	int to;
	unsigned length;
	unsigned char bytes[];
};

static struct frame *heap[WAITING_MAX];
static unsigned waiting;

static void fail(const char *what)
{
	perror(what);
	exit(1);
}
static uint64_t now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}
/* xorshift64 */
static uint32_t draw(uint64_t *state, uint32_t below)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return below == 0 ? 0 : (*state >> 20) % below;
}

static int before(const struct frame *a, const struct frame *b)
{
	return a->due != b->due ? a->due < b->due : a->serial < b->serial;
}
static void push(struct frame *f)
{
	unsigned i = waiting++;
	for (; i > 0 && before(f, heap[(i - 1) / 2]); i = (i - 1) / 2)
		heap[i] = heap[(i - 1) / 2];
	heap[i] = f;
}
static struct frame *pop(void)
{
	struct frame *top = heap[0], *last = heap[--waiting];
	unsigned i = 0;
	for (;;) {
		unsigned child = 2 * i + 1;
		if (child >= waiting)
			break;
		if (child + 1 < waiting && before(heap[child + 1], heap[child]))
			child++;
		if (!before(heap[child], last))
			break;
		heap[i] = heap[child];
		i = child;
	}
	heap[i] = last;
	return top;
}

static int open_interface(const char *name)
{
	int fd = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
	struct sockaddr_ll at = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = if_nametoindex(name) };
	struct packet_mreq all = { .mr_ifindex = at.sll_ifindex, .mr_type = PACKET_MR_PROMISC };
	int room = 8 << 20;
	if (fd < 0 || at.sll_ifindex == 0 || bind(fd, (struct sockaddr *)&at, sizeof at) < 0)
		fail(name);
	if (setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &all, sizeof all) < 0)
		fail("PACKET_ADD_MEMBERSHIP");
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
	return fd;
}

static void take(int from, int to, const struct fate *fate, uint64_t *random)
{
	static uint64_t serial;
	static unsigned char bytes[FRAME_MAX];
	struct sockaddr_ll sender;
	socklen_t size = sizeof sender;
	ssize_t n = recvfrom(from, bytes, sizeof bytes, MSG_DONTWAIT | MSG_TRUNC, (struct sockaddr *)&sender, &size);
	if (n < 0 || sender.sll_pkttype == PACKET_OUTGOING)
		return;
	if (n > FRAME_MAX) {
		fprintf(stderr, "relay: a frame of %zd bytes: the interface is not plain\n", n);
		exit(1);
	}
	int lost = draw(random, 10000) < fate->loss;
	int copies = draw(random, 10000) < fate->duplicate ? 2 : 1;
	int at_once = draw(random, 10000) < fate->reorder;
	for (int i = 0; i < copies && !lost && waiting < WAITING_MAX; i++) {
		struct frame *f = malloc(sizeof *f + n);
		if (f == NULL)
			fail("malloc");
		uint64_t late = fate->delay + draw(random, fate->jitter);
		f->due = now() + (at_once ? 0 : late * 1000);
		f->serial = serial++;
		f->to = to;
		f->length = n;
		memcpy(f->bytes, bytes, n);
		push(f);
	}
}
static void run(int a, int b, const struct fate *fate, uint64_t seed)
{
	/* Each way has numbers of its own. */
	uint64_t random[2] = { seed * 2 + 1, ~seed };
	struct pollfd fds[2] = { { .fd = a, .events = POLLIN }, { .fd = b, .events = POLLIN } };
	for (;;) {
		struct timespec wait, *limit = NULL;
		while (waiting > 0 && heap[0]->due <= now()) {
			struct frame *f = pop();
			send(f->to, f->bytes, f->length, 0);
			free(f);
		}
		if (waiting > 0) {
			int64_t left = heap[0]->due - now();
			left = left < 0 ? 0 : left;
			wait = (struct timespec){ left / 1000000000, left % 1000000000 };
			limit = &wait;
		}
		if (ppoll(fds, 2, limit, NULL) < 0 && errno != EINTR)
			fail("ppoll");
		if (fds[0].revents)
			take(a, b, fate, &random[0]);
		if (fds[1].revents)
			take(b, a, fate, &random[1]);
	}
}

static void make_plain(const char *name)
{
	static const uint32_t commands[] = { ETHTOOL_STSO, ETHTOOL_SGSO, ETHTOOL_SGRO, ETHTOOL_STXCSUM };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	for (unsigned i = 0; i < sizeof commands / sizeof *commands; i++) {
		struct ethtool_value value = { .cmd = commands[i], .data = 0 };
		struct ifreq request = { .ifr_data = (char *)&value };
		strncpy(request.ifr_name, name, IFNAMSIZ - 1);
		if (ioctl(fd, SIOCETHTOOL, &request) < 0)
			fail(name);
	}
	close(fd);
}

int main(int argc, char **argv)
{
	if (argc > 2 && strcmp(argv[1], "plain") == 0) {
		for (int i = 2; i < argc; i++)
			make_plain(argv[i]);
		return 0;
	}
	if (argc != 9) {
		fprintf(stderr, "usage: relay A B SEED LOSS DUPLICATE REORDER DELAY JITTER\n");
		return 2;
	}
	unsigned n[6];
	for (int i = 0; i < 6; i++)
		n[i] = strtoul(argv[3 + i], NULL, 10);
	struct fate fate = { .loss = n[1], .duplicate = n[2], .reorder = n[3], .delay = n[4], .jitter = n[5] };
	int a = open_interface(argv[1]), b = open_interface(argv[2]);
	puts("ready");
	fflush(stdout);
	run(a, b, &fate, n[0]);
}
