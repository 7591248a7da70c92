/*
 * Calls that a program makes as long as it can. The kernel has one thread: whatever the call, another process must go on meanwhile. That one
 * counts its calls; each part here ends, and those that take many turns of the kernel's loop have let it make some.
 */
#include "../conformance/check.h"
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>

#define MB (1ul << 20)
#define LONG (256 * MB)
#define WATCHED_CALLS 10

static volatile struct { long calls; int stop; } *watch;

static char *memory(size_t length)
{
	void *at = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	CHECK(at != MAP_FAILED);
	return at;
}
static int sparse(size_t size)
{
	int fd = memfd_create("sparse", 0);
	CHECK(fd >= 0 && ftruncate(fd, size) == 0);
	return fd;
}
static void descriptors(rlim_t count)
{
	struct rlimit limit = { count, count };
	CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
}

/* a call that must not keep the watcher from its own */
#define LETS_RUN(expression)                                                                                      \
	do {                                                                                                      \
		long before_ = watch->calls;                                                                      \
		CHECK(expression);                                                                                \
		long made_ = watch->calls - before_;                                                              \
		if (made_ < WATCHED_CALLS) {                                                                      \
			fprintf(stderr, "%s:%d: %ld calls elsewhere during %s\n", __FILE__, __LINE__, made_, #expression); \
			_exit(1);                                                                                 \
		}                                                                                                 \
	} while (0)

static void devices(void)
{
	int zero = open("/dev/zero", O_RDWR), random = open("/dev/urandom", O_RDONLY), null = open("/dev/null", O_WRONLY);
	char *at = memory(LONG);
	LETS_RUN(read(zero, at, LONG) == LONG);
	LETS_RUN(read(random, at, LONG / 4) == LONG / 4);
	LETS_RUN(sendfile(null, zero, NULL, LONG) == LONG);
}

static void files(void)
{
	char *at = memory(LONG);
	struct iovec parts[1024];
	for (int i = 0; i < 1024; i++)
		parts[i] = (struct iovec){ at, LONG / 1024 };
	int from = sparse(1ul << 40), to = sparse(0), own = open("/mnt", O_TMPFILE | O_RDWR, 0600);
	CHECK(own >= 0);
	off_t in = 0, out = 0;
	LETS_RUN(preadv(from, parts, 1024, 0) == LONG);
	LETS_RUN(write(to, at, LONG) == LONG);
	LETS_RUN(pwritev(own, parts, 1024, 0) == LONG);
	LETS_RUN(pread(own, at, LONG, 0) == LONG);
	LETS_RUN(copy_file_range(from, &in, own, &out, LONG, 0) == LONG);
	LETS_RUN(sendfile(to, from, &in, LONG) == LONG);
	struct stat st;
	CHECK(fstat(to, &st) == 0 && st.st_size == 2 * LONG && lseek(own, 0, SEEK_CUR) == 0);
}

static void reservations(void)
{
	int fd = sparse(0);
	struct stat st;
	LETS_RUN(fallocate(fd, 0, 0, LONG) == 0);
	CHECK(fstat(fd, &st) == 0 && st.st_size == LONG && st.st_blocks >= (long)(LONG / 512));
	CHECK(ftruncate(fd, 1ul << 50) == 0);
	CHECK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 1ul << 50) == 0);
	CHECK(fstat(fd, &st) == 0 && st.st_size == 1l << 50 && st.st_blocks == 0);
	FAILS(fallocate(fd, FALLOC_FL_KEEP_SIZE, 1ul << 40, 1ul << 44), ENOSPC); /* more than there is anywhere */
	CHECK(fallocate(fd, 0, 0, LONG) == 0 && ftruncate(fd, 5) == 0 && fstat(fd, &st) == 0 && st.st_size == 5 && st.st_blocks <= 8);
	int own = open("/mnt", O_TMPFILE | O_RDWR, 0600);
	LETS_RUN(own >= 0 && fallocate(own, 0, 0, LONG) == 0);
	CHECK(fstat(own, &st) == 0 && st.st_size == LONG && ftruncate(own, 0) == 0 && fstat(own, &st) == 0 && st.st_size == 0);
}

static void other_memory(void)
{
	char *at = memory(LONG), *from = memory(LONG);
	struct iovec mine = { at, LONG }, theirs = { from, LONG };
	LETS_RUN(process_vm_readv(getpid(), &mine, 1, &theirs, 1, 0) == LONG);
	int fd = open("/proc/self/mem", O_RDONLY);
	LETS_RUN(pread(fd, at, LONG, (off_t)from) == LONG);
}

static void messages(void)
{
	static struct mmsghdr all[1024];
	static struct iovec parts[1024];
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t length = sizeof to;
	int in = socket(AF_INET, SOCK_DGRAM, 0), out = socket(AF_INET, SOCK_DGRAM, 0);
	CHECK(bind(in, (void *)&to, sizeof to) == 0 && getsockname(in, (void *)&to, &length) == 0 && connect(out, (void *)&to, sizeof to) == 0);
	for (int i = 0; i < 1024; i++) {
		parts[i] = (struct iovec){ "a message's part that is repeated", 33 };
		all[i].msg_hdr = (struct msghdr){ .msg_iov = parts, .msg_iovlen = 1024 };
	}
	LETS_RUN(sendmmsg(out, all, 1024, 0) == 1024);
}

static void waiters(void)
{
	enum { COUNT = 50000 };
	static struct pollfd all[COUNT];
	descriptors(COUNT + 16);
	int event = eventfd(0, 0), ep = epoll_create(1);
	for (int i = 0; i < COUNT; i++)
		all[i] = (struct pollfd){ .fd = dup(event), .events = POLLIN };
	CHECK(all[COUNT - 1].fd > 0 && poll(all, COUNT, 20) == 0);
	/* each its own registration with the one object */
	for (int i = 0; i < 2000; i++)
		CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, all[i].fd, &(struct epoll_event){ .events = EPOLLIN }) == 0);
	CHECK(eventfd_write(event, 1) == 0 && poll(all, COUNT, -1) == COUNT);
	CHECK(close(ep) == 0 && close_range(3, ~0u, 0) == 0);
}

static void timers(void)
{
	enum { COUNT = 5000 };
	struct itimerspec often = { { 0, 1 }, { 0, 1 } };
	struct sigevent how = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN };
	timer_t timer;
	sigset_t set;
	CHECK(sigemptyset(&set) == 0 && sigaddset(&set, SIGRTMIN) == 0 && sigprocmask(SIG_BLOCK, &set, NULL) == 0);
	for (int i = 0; i < COUNT; i++)
		CHECK(timer_create(CLOCK_MONOTONIC, &how, &timer) == 0 && timer_settime(timer, 0, &often, NULL) == 0);
	for (long before = watch->calls; watch->calls < before + 100;)
		sched_yield();
	uint64_t expirations;
	int fd = timerfd_create(CLOCK_MONOTONIC, 0);
	CHECK(timerfd_settime(fd, 0, &often, NULL) == 0);
	CHECK(read(fd, &expirations, 8) == 8 && expirations > 0);
}

static void terminal(void)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY);
	CHECK(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
	int slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_NONBLOCK);
	struct termios mode;
	CHECK(slave >= 0 && tcgetattr(slave, &mode) == 0);
	mode.c_lflag &= ~ECHO;
	CHECK(tcsetattr(slave, TCSANOW, &mode) == 0);
	char *at = memory(MB);
	memset(at, 'a', MB);
	LETS_RUN(write(master, at, MB) == MB); /* a line that never ends */
}

static void mappings(void)
{
	enum { COUNT = 20000 };
	char *at = memory(COUNT * 4096ul), text[65536];
	for (int i = 0; i < COUNT; i += 2)
		CHECK(mprotect(at + i * 4096ul, 4096, PROT_READ) == 0);
	int fd = open("/proc/self/smaps", O_RDONLY);
	long lines = 0;
	for (ssize_t n; (n = read(fd, text, sizeof text)) > 0;)
		for (ssize_t i = 0; i < n; i++)
			lines += text[i] == '\n';
	CHECK(lines > COUNT * 20 && madvise(at, COUNT * 4096ul, MADV_DONTNEED) == 0);
	CHECK(mprotect(at, COUNT * 4096ul, PROT_READ) == 0 && munmap(at, COUNT * 4096ul) == 0);
}

int main(void)
{
	watch = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(watch != MAP_FAILED);
	pid_t watcher = fork();
	if (watcher == 0) {
		/* getppid(2): not one of those that a stub answers by itself */
		while (!watch->stop && syscall(SYS_getppid) > 0)
			watch->calls++;
		_exit(0);
	}
	PART(devices);
	PART(files);
	PART(reservations);
	PART(other_memory);
	PART(messages);
	PART(waiters);
	PART(timers);
	PART(terminal);
	PART(mappings);
	watch->stop = 1;
	int status;
	CHECK(waitpid(watcher, &status, 0) == watcher && status == 0);
	return 0;
}
