/*
 * Micro-benchmarks: each row runs for about its budget of time and prints "row <name> <microseconds per operation>".
 * usage: micro DIRECTORY [row ...]      DIRECTORY is where files are made.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const double BUDGET = 150000; /* microseconds a row */
static const char *dir;
static char path[4096], buffer[65536];

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

static void die(const char *what)
{
	fprintf(stderr, "micro: %s: %s\n", what, strerror(errno));
	exit(1);
}

static const char *file(const char *name)
{
	snprintf(path, sizeof path, "%s/%s", dir, name);
	return path;
}

/* Calls `step` until the budget is used; batches grow so that the clock is read seldom. */
static double measure(void (*step)(void))
{
	long done = 0, batch = 1;
	step();
	double start = now(), end;
	do {
		for (long i = 0; i < batch; i++)
			step();
		done += batch;
		end = now();
		if (end - start < BUDGET / 10)
			batch *= 2;
	} while (end - start < BUDGET);
	return (end - start) / done;
}

static int fd, fds[2], back[2];
static volatile int sink;

static void getppid_step(void) { sink = syscall(SYS_getppid); } /* getpid the thread may answer itself */
static void clock_step(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
}
static void read1_step(void)
{
	if (pread(fd, buffer, 1, 0) != 1)
		die("read");
}
static void null_step(void)
{
	if (write(fd, buffer, 4096) != 4096)
		die("write");
}
static void stat_step(void)
{
	struct stat s;
	if (stat(path, &s) != 0)
		die("stat");
}
static void open_step(void)
{
	int f = open(path, O_RDONLY);
	if (f < 0)
		die("open");
	close(f);
}
static void pread4_step(void)
{
	if (pread(fd, buffer, 4096, 4096) != 4096)
		die("pread");
}
static void pread64_step(void)
{
	if (pread(fd, buffer, 65536, 0) != 65536)
		die("pread");
}
static void pwrite_step(void)
{
	if (pwrite(fd, buffer, 4096, 8192) != 4096)
		die("pwrite");
}
static void create_step(void)
{
	int f = open(path, O_CREAT | O_EXCL | O_WRONLY, 0600);
	if (f < 0)
		die("create");
	close(f);
	if (unlink(path) != 0)
		die("unlink");
}
static void readdir_step(void)
{
	DIR *d = opendir(path);
	int n = 0;
	if (!d)
		die("opendir");
	while (readdir(d))
		n++;
	closedir(d);
	if (n != 1002)
		die("readdir");
}
static void pingpong_step(void)
{
	char c = 1;
	if (write(fds[1], &c, 1) != 1 || read(back[0], &c, 1) != 1)
		die("pipe");
}
static void socket_step(void)
{
	if (write(fds[0], buffer, 4096) != 4096 || read(fds[1], buffer, 4096) != 4096)
		die("socket");
}
static void epoll_step(void)
{
	struct epoll_event e[16];
	char c = 1;
	if (write(fds[1], &c, 1) != 1 || epoll_wait(fd, e, 16, -1) != 1 || read(e[0].data.fd, &c, 1) != 1)
		die("epoll");
}
static char *area;
static size_t fault_at;
#define FAULT_AREA (256UL << 20)
static void fault_step(void)
{
	if (fault_at == FAULT_AREA) {
		if (madvise(area, FAULT_AREA, MADV_DONTNEED) != 0)
			die("madvise");
		fault_at = 0;
	}
	area[fault_at] = 1;
	fault_at += 4096;
}
/* Page by page through fresh memory of 1 MiB: what a kernel may map around a fault. */
#define PIECE (1UL << 20)
static void piece_step(void)
{
	if (fault_at == PIECE) {
		munmap(area, PIECE);
		fault_at = 0;
	}
	if (fault_at == 0)
		area = mmap(NULL, PIECE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (area == MAP_FAILED)
		die("mmap");
	area[fault_at] = 1;
	fault_at += 4096;
}
/* One page of each 2 MiB: nothing to map around. */
static void sparse_step(void)
{
	if (fault_at >= FAULT_AREA) {
		if (madvise(area, FAULT_AREA, MADV_DONTNEED) != 0)
			die("madvise");
		fault_at = 0;
	}
	area[fault_at] = 1;
	fault_at += (2UL << 20) + 4096;
}
static void mmap_step(void)
{
	char *p = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		die("mmap");
	p[0] = 1;
	munmap(p, 65536);
}
static void reap(pid_t pid)
{
	int status;
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
		die("child");
}
static void fork_step(void)
{
	pid_t pid = fork();
	if (pid == 0)
		_exit(0);
	reap(pid);
}
static const char *self;
static void exec_step(void)
{
	pid_t pid = vfork();
	if (pid == 0) {
		execl(self, self, "--exit", NULL);
		_exit(1);
	}
	reap(pid);
}
static void *nothing(void *p) { return p; }
static void thread_step(void)
{
	pthread_t t;
	if (pthread_create(&t, NULL, nothing, NULL) != 0)
		die("pthread_create");
	pthread_join(t, NULL);
}
static int *word;
static void futex_wait(int value)
{
	while (__atomic_load_n(word, __ATOMIC_SEQ_CST) != value)
		syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, 1 - value, NULL, NULL, 0);
}
static void futex_post(int value)
{
	__atomic_store_n(word, value, __ATOMIC_SEQ_CST);
	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}
static volatile int stop;
static void *futex_peer(void *unused)
{
	(void)unused;
	for (;;) {
		futex_wait(1);
		if (stop)
			return NULL;
		futex_post(0);
	}
}
static void futex_step(void)
{
	futex_post(1);
	futex_wait(0);
}
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static void *contender(void *unused)
{
	(void)unused;
	while (!stop) {
		pthread_mutex_lock(&mutex);
		sink++;
		pthread_mutex_unlock(&mutex);
	}
	return NULL;
}
static void mutex_step(void)
{
	pthread_mutex_lock(&mutex);
	sink++;
	pthread_mutex_unlock(&mutex);
}
/* So many processes that wait: what one that calls pays for them. */
static pid_t sleepers[200];
static void start_sleepers(void)
{
	for (size_t i = 0; i < sizeof sleepers / sizeof sleepers[0]; i++) {
		sleepers[i] = fork();
		if (sleepers[i] == 0)
			for (;;)
				pause();
		if (sleepers[i] < 0)
			die("fork");
	}
}
static void end_sleepers(void)
{
	for (size_t i = 0; i < sizeof sleepers / sizeof sleepers[0]; i++)
		if (sleepers[i] > 0) {
			kill(sleepers[i], SIGKILL);
			waitpid(sleepers[i], NULL, 0);
		}
}
static void on_signal(int s) { sink = s; }
static void signal_step(void) { raise(SIGUSR1); }

static void make_file(const char *name, size_t size)
{
	fd = open(file(name), O_CREAT | O_RDWR | O_TRUNC, 0600);
	if (fd < 0 || ftruncate(fd, size) != 0 || pwrite(fd, buffer, sizeof buffer, 0) != sizeof buffer)
		die(name);
}
static void echo_child(void)
{
	if (pipe(fds) != 0 || pipe(back) != 0)
		die("pipe");
	pid_t pid = fork();
	if (pid == 0) {
		char c;
		close(fds[1]);
		while (read(fds[0], &c, 1) == 1)
			if (write(back[1], &c, 1) != 1)
				break;
		_exit(0);
	}
}

static double run(const char *name)
{
#define ROW(row, step) if (strcmp(name, row) == 0) return measure(step)
	ROW("getppid", getppid_step);
	if (strcmp(name, "getppid-200-procs") == 0)
		start_sleepers();
	ROW("getppid-200-procs", getppid_step);
	ROW("clock_gettime", clock_step);
	if (strcmp(name, "write-null-4k") == 0 && (fd = open("/dev/null", O_WRONLY)) < 0)
		die("/dev/null");
	ROW("write-null-4k", null_step);
	if (strcmp(name, "fork-64m") == 0) {
		area = mmap(NULL, 64 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		for (long i = 0; i < 64 << 20; i += 4096)
			area[i] = 1;
	}
	ROW("fork-64m", fork_step);
	ROW("fork-exec", exec_step);
	ROW("thread", thread_step);
	ROW("mmap-touch-munmap", mmap_step);
	if (strcmp(name, "page-fault") == 0 || strcmp(name, "page-fault-sparse") == 0) {
		area = mmap(NULL, FAULT_AREA, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		madvise(area, FAULT_AREA, MADV_NOHUGEPAGE);
	}
	ROW("page-fault", fault_step);
	ROW("page-fault-sparse", sparse_step);
	ROW("page-fault-1m", piece_step);
	if (strcmp(name, "signal") == 0)
		signal(SIGUSR1, on_signal);
	ROW("signal", signal_step);
	if (strncmp(name, "pread", 5) == 0 || strcmp(name, "read-1") == 0 || strcmp(name, "pwrite-4k") == 0 || strcmp(name, "stat") == 0 || strcmp(name, "open-close") == 0)
		make_file("data", 1 << 20);
	ROW("read-1", read1_step);
	ROW("stat", stat_step);
	ROW("open-close", open_step);
	ROW("pread-4k", pread4_step);
	ROW("pread-64k", pread64_step);
	ROW("pwrite-4k", pwrite_step);
	if (strcmp(name, "create-unlink") == 0)
		file("created");
	ROW("create-unlink", create_step);
	if (strcmp(name, "readdir-1000") == 0) {
		char sub[8192];
		mkdir(file("entries"), 0700);
		for (int i = 0; i < 1000; i++) {
			snprintf(sub, sizeof sub, "%s/entry-%d", path, i);
			close(open(sub, O_CREAT | O_WRONLY, 0600));
		}
	}
	ROW("readdir-1000", readdir_step);
	if (strcmp(name, "pipe-pingpong") == 0)
		echo_child();
	ROW("pipe-pingpong", pingpong_step);
	if (strcmp(name, "unix-4k") == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0)
		die("socketpair");
	ROW("unix-4k", socket_step);
	if (strcmp(name, "epoll-1000") == 0) {
		fd = epoll_create1(0);
		for (int i = 0; i < 1000; i++) {
			if (pipe(fds) != 0)
				break; /* RLIMIT_NOFILE: as many as there may be */
			struct epoll_event e = { .events = EPOLLIN, .data.fd = fds[0] };
			if (epoll_ctl(fd, EPOLL_CTL_ADD, fds[0], &e) != 0)
				die("epoll_ctl");
		}
	}
	ROW("epoll-1000", epoll_step);
	pthread_t peer;
	if (strcmp(name, "futex-pingpong") == 0) {
		word = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		pthread_create(&peer, NULL, futex_peer, NULL);
	}
	ROW("futex-pingpong", futex_step);
	if (strcmp(name, "mutex-2") == 0)
		pthread_create(&peer, NULL, contender, NULL);
	ROW("mutex-2", mutex_step);
	fprintf(stderr, "micro: no row %s\n", name);
	exit(2);
}

static const char *const ALL[] = { "getppid", "getppid-200-procs", "clock_gettime", "read-1", "write-null-4k", "stat", "open-close", "pread-4k", "pread-64k", "pwrite-4k", "create-unlink",
	"readdir-1000", "pipe-pingpong", "unix-4k", "epoll-1000", "page-fault", "page-fault-1m", "page-fault-sparse", "mmap-touch-munmap", "fork-64m", "fork-exec", "thread", "futex-pingpong", "mutex-2",
	"signal" };

int main(int argc, char **argv)
{
	self = argv[0];
	if (argc > 1 && strcmp(argv[1], "--exit") == 0)
		return 0;
	if (argc < 2) {
		fprintf(stderr, "usage: micro DIRECTORY [row ...]\n");
		return 2;
	}
	dir = argv[1];
	int count = argc > 2 ? argc - 2 : (int)(sizeof ALL / sizeof ALL[0]);
	for (int i = 0; i < count; i++) {
		const char *name = argc > 2 ? argv[2 + i] : ALL[i];
		/* A process a row: what it leaves behind ends with it. */
		fflush(stdout);
		pid_t pid = fork();
		if (pid == 0) {
			double us = run(name);
			end_sleepers();
			printf("row %s %.4f\n", name, us);
			fflush(stdout);
			_exit(0);
		}
		int status;
		if (waitpid(pid, &status, 0) != pid || status != 0)
			printf("row %s failed 0x%x\n", name, status);
	}
	return 0;
}
