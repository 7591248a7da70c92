/*
 * Memory that system calls read and write: at the edges of what is mapped, read-only, taken away meanwhile, the same for both; nothing is
 * lost by a call that fails.
 */
#include "task_state.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

#define PAGE 4096L

/* A page, behind which nothing is. */
static char *edge(void)
{
	char *p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(p != MAP_FAILED && munmap(p + PAGE, PAGE) == 0);
	return p;
}
static char *at_end(char *page, size_t length) { return page + PAGE - length; }

static void paths(void)
{
	char *page = edge();
	struct stat st;
	char *path = strcpy(at_end(page, 2), "/");
	CHECK(stat(path, &st) == 0 && S_ISDIR(st.st_mode));
	CHECK(access(path, F_OK) == 0);
	int fd = open(path, O_RDONLY);
	CHECK(fd >= 0);
	close(fd);
	memset(page, 'x', PAGE);
	*at_end(page, 1) = '/'; /* no end */
	FAILS(stat(at_end(page, 1), &st), EFAULT);
	FAILS(open(at_end(page, 1), O_RDONLY), EFAULT);
	for (int length = 200; length <= 300; length++) {
		path = at_end(page, length + 1);
		memset(path, 'y', length);
		path[length] = 0;
		FAILS(stat(path, &st), length > 255 ? ENAMETOOLONG : ENOENT);
	}
	/* Across pages, both of which are there. */
	char *two = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(two, '/', 2 * PAGE);
	two[PAGE + 100] = 0;
	CHECK(stat(two + PAGE - 100, &st) == 0 && S_ISDIR(st.st_mode));
	FAILS(stat(two, &st), ENAMETOOLONG);
	FAILS(stat((char *)8, &st), EFAULT);
	FAILS(stat((char *)-8, &st), EFAULT);
	FAILS(stat((char *)0x800000000000, &st), EFAULT);
}

static void results(void)
{
	char *page = edge();
	struct stat st, *last = (struct stat *)at_end(page, sizeof st);
	CHECK(stat("/", &st) == 0 && stat("/", last) == 0 && last->st_ino == st.st_ino && last->st_mode == st.st_mode);
	FAILS(syscall(SYS_fstat, 0, (char *)last + 8), EFAULT);
	FAILS(syscall(SYS_newfstatat, AT_FDCWD, "/", (char *)last + 8, 0), EFAULT);
	CHECK(stat("/", last) == 0 && mprotect(page, PAGE, PROT_READ) == 0);
	FAILS(syscall(SYS_fstat, 0, last), EFAULT);
	FAILS(syscall(SYS_getcwd, page, 100), EFAULT);
	FAILS(pipe((int *)page), EFAULT);
	FAILS(getrlimit(RLIMIT_NOFILE, (struct rlimit *)page), EFAULT);
	CHECK(last->st_ino == st.st_ino);
}

/* What could not be delivered is still there. */
static void nothing_lost(void)
{
	char *page = edge(), text[8] = "";
	int fds[2], pair[2];
	CHECK(pipe(fds) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	CHECK(write(fds[1], "abc", 3) == 3 && write(pair[1], "def", 3) == 3);
	CHECK(mprotect(page, PAGE, PROT_READ) == 0);
	FAILS(read(fds[0], page, 3), EFAULT);
	FAILS(recv(pair[0], page, 3, 0), EFAULT);
	FAILS(read(fds[0], page + PAGE, 3), EFAULT);
	CHECK(read(fds[0], text, 8) == 3 && memcmp(text, "abc", 3) == 0);
	CHECK(recv(pair[0], text, 8, 0) == 3 && memcmp(text, "def", 3) == 0);
	FAILS(write(fds[1], page + PAGE, 3), EFAULT);
	FAILS(syscall(SYS_write, fds[1], 8, 3), EFAULT);
	int flags = fcntl(fds[0], F_GETFL);
	CHECK(fcntl(fds[0], F_SETFL, flags | O_NONBLOCK) == 0);
	FAILS(read(fds[0], text, 8), EAGAIN);
}

static int reader_fds[2];
static volatile pid_t reader_tid;
static char *reader_page;
static void *reader(void *unused)
{
	(void)unused;
	reader_tid = (pid_t)syscall(SYS_gettid);
	FAILS(read(reader_fds[0], reader_page, 16), EFAULT);
	char text[16];
	CHECK(read(reader_fds[0], text, 16) == 2 && memcmp(text, "hi", 2) == 0);
	return NULL;
}
static void unmapped_while_it_waits(void)
{
	pthread_t thread;
	reader_page = edge();
	CHECK(pipe(reader_fds) == 0);
	CHECK(pthread_create(&thread, NULL, reader, NULL) == 0);
	while (reader_tid == 0)
		sched_yield();
	until_asleep(getpid(), reader_tid);
	CHECK(munmap(reader_page, PAGE) == 0);
	CHECK(write(reader_fds[1], "hi", 2) == 2);
	CHECK(pthread_join(thread, NULL) == 0);
}

static void same_memory(void)
{
	sigset_t set;
	unsigned long raw = 1UL << (SIGUSR1 - 1);
	CHECK(syscall(SYS_rt_sigprocmask, SIG_SETMASK, &raw, NULL, 8) == 0);
	raw = 1UL << (SIGUSR2 - 1);
	CHECK(syscall(SYS_rt_sigprocmask, SIG_BLOCK, &raw, &raw, 8) == 0 && raw == 1UL << (SIGUSR1 - 1));
	CHECK(sigprocmask(SIG_SETMASK, NULL, &set) == 0 && sigismember(&set, SIGUSR1) && sigismember(&set, SIGUSR2));
	struct rlimit limit;
	CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur > 16);
	rlim_t before = limit.rlim_cur--;
	CHECK(syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, &limit, &limit) == 0 && limit.rlim_cur == before);
	CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur == before - 1);
	struct pollfd fds[2] = { { 0, 0, 7 }, { -1, POLLIN, 7 } };
	CHECK(poll(fds, 2, 0) >= 0 && fds[1].revents == 0);
}

static volatile int handled;
static void handler(int signal) { handled = signal; }

/* Done although the old value cannot be told. */
static void half_done(void)
{
	char *page = edge();
	CHECK(mprotect(page, PAGE, PROT_READ) == 0);
	unsigned long raw = 1UL << (SIGUSR1 - 1), now = 0;
	FAILS(syscall(SYS_rt_sigprocmask, SIG_BLOCK, &raw, page, 8), EFAULT);
	CHECK(syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &now, 8) == 0 && now == raw);
	FAILS(syscall(SYS_rt_sigprocmask, SIG_BLOCK, page + PAGE - 4, NULL, 8), EFAULT);
	FAILS(syscall(SYS_rt_sigaction, SIGUSR2, page + PAGE - 8, NULL, 8), EFAULT);
	FAILS(syscall(SYS_nanosleep, page + PAGE - 8, NULL), EFAULT);
	FAILS(syscall(SYS_writev, 1, page + PAGE - 8, 1), EFAULT);
}

/* A result and a signal that arrive together: both are there. */
static void with_a_signal(void)
{
	struct sigaction action = { .sa_handler = handler };
	int fds[2];
	char text[512], expected[512];
	CHECK(sigaction(SIGIO, &action, NULL) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
	CHECK(sigaction(SIGALRM, &action, NULL) == 0);
	for (int i = 0; i < 512; i++)
		expected[i] = (char)i;
	for (int length = 1; length <= 512; length *= 2) {
		CHECK(write(fds[0], expected, length) == length);
		memset(text, 0, sizeof text);
		CHECK(read(fds[1], text, sizeof text) == length && memcmp(text, expected, length) == 0);
	}
	pid_t child = fork();
	if (child == 0) {
		struct timespec moment = { 0, 2000000 };
		nanosleep(&moment, NULL);
		kill(getppid(), SIGALRM);
		_exit(7);
	}
	int status = 0;
	while (waitpid(child, &status, 0) < 0)
		CHECK(errno == EINTR);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7 && handled == SIGALRM);
}

/* Pieces of all lengths around what may be copied aside. */
static void lengths(void)
{
	static char from[8192], to[8192];
	int fds[2];
	CHECK(pipe(fds) == 0);
	for (int i = 0; i < 8192; i++)
		from[i] = (char)(i * 7);
	for (int length = 1; length < 6000; length += length < 40 || (length > 4080 && length < 4112) ? 1 : 61) {
		struct iovec parts[3] = { { from, length / 3 }, { from + length / 3, length / 3 }, { from + 2 * (length / 3), length - 2 * (length / 3) } };
		memset(to, 0, sizeof to);
		CHECK(write(fds[1], from, length) == length && read(fds[0], to, sizeof to) == length && memcmp(from, to, length) == 0);
		memset(to, 0, sizeof to);
		CHECK(writev(fds[1], parts, 3) == length);
		struct iovec back[2] = { { to, length / 2 }, { to + length / 2, length - length / 2 } };
		CHECK(readv(fds[0], back, 2) == length && memcmp(from, to, length) == 0 && to[length] == 0);
	}
}

/* Pages, and what begins in one page and ends in the next, which is there, read-only or missing. */
static void pages(void)
{
	char name[] = "/tmp/arguments-XXXXXX", from[PAGE];
	int fd = mkstemp(name);
	CHECK(fd >= 0 && unlink(name) == 0);
	for (int i = 0; i < PAGE; i++)
		from[i] = (char)(i * 11);
	char *two = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (int shift = 0; shift < PAGE; shift += 409) {
		memcpy(two + shift, from, PAGE);
		CHECK(pwrite(fd, two + shift, PAGE, 3 * shift) == PAGE);
		memset(two, 0, 2 * PAGE);
		CHECK(pread(fd, two + shift, PAGE, 3 * shift) == PAGE && memcmp(two + shift, from, PAGE) == 0);
		CHECK(two[shift + PAGE] == 0 && (shift == 0 || two[shift - 1] == 0));
	}
	CHECK(pwrite(fd, from, PAGE, 0) == PAGE && ftruncate(fd, PAGE) == 0);
	memset(two, 0, 2 * PAGE);
	CHECK(mprotect(two + PAGE, PAGE, PROT_READ) == 0);
	CHECK(pread(fd, two + 1000, PAGE, 0) == PAGE - 1000 && memcmp(two + 1000, from, PAGE - 1000) == 0 && two[PAGE] == 0);
	FAILS(pread(fd, two + PAGE, PAGE, 0), EFAULT);
	CHECK(munmap(two + PAGE, PAGE) == 0);
	CHECK(pread(fd, two + 2000, PAGE, 0) == PAGE - 2000 && memcmp(two + 2000, from, PAGE - 2000) == 0);
	CHECK(pwrite(fd, two + 2000, PAGE, 0) == PAGE - 2000);
	FAILS(pwrite(fd, two + PAGE, PAGE, 0), EFAULT);
	close(fd);
}

int main(void)
{
	PART(paths);
	PART(results);
	PART(nothing_lost);
	PART(unmapped_while_it_waits);
	PART(same_memory);
	PART(half_done);
	PART(with_a_signal);
	PART(lengths);
	PART(pages);
	return 0;
}
