/* readiness in detail: what poll and epoll say of pipes, fifos, eventfds, timers, signalfds, and in which order; compared with the host's */
#include "say.h"
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ipc.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>

static void say_epoll(int ep)
{
	struct epoll_event e[8];
	int n = epoll_wait(ep, e, 8, 0);
	printf("  epoll %d:", n);
	for (int i = 0; i < n; i++)
		printf(" %d/%#x", (int)e[i].data.u32, e[i].events);
	printf("\n");
}
static int watch(int ep, int op, int fd, unsigned events, int tag)
{
	struct epoll_event e = { .events = events, .data.u32 = tag };
	return epoll_ctl(ep, op, fd, &e);
}

static void pipe_states(void)
{
	int p[2], n;
	char text[70000];
	memset(text, 'x', sizeof text);
	SAY(pipe2(p, O_NONBLOCK));
	say_poll("reader", p[0]);
	say_poll("writer", p[1]);
	SAY(write(p[0], "x", 1));
	SAY(read(p[1], text, 1));
	SAY(write(p[1], text, 0));
	SAY(read(p[0], text, 0));
	SAY(write(p[1], text, 65535));
	SAY(write(p[1], text, 2));
	SAY(write(p[1], text, 1));
	say_poll("full", p[1]);
	SAY(read(p[0], text, 4096));
	say_poll("one page free", p[1]);
	SAY(ioctl(p[1], FIONREAD, &n));
	printf("  %d\n", n);
	SAY(fcntl(p[1], F_SETPIPE_SZ, 4096));
	SAY(fcntl(p[1], F_SETPIPE_SZ, 70000));
	SAY(fcntl(p[1], F_GETPIPE_SZ));
	SAY(fcntl(p[1], F_SETPIPE_SZ, 1 << 30));
	SAY(lseek(p[0], 0, SEEK_CUR));
	SAY(pread(p[0], text, 1, 0));
	SAY(ftruncate(p[1], 0));
	SAY(fsync(p[1]));
	SAY((long)mmap(NULL, 4096, PROT_READ, MAP_SHARED, p[0], 0));
	close(p[1]);
	say_poll("no writer", p[0]);
	while ((n = read(p[0], text, sizeof text)) > 0)
		;
	say_poll("drained", p[0]);
	SAY(pipe2(p, O_DIRECT | O_NONBLOCK));
	SAY(write(p[1], "abc", 3));
	SAY(write(p[1], "defgh", 5));
	SAY(read(p[0], text, 2));
	SAY(read(p[0], text, 100));
	SAY(write(p[1], text, 5000));
	SAY(read(p[0], text, 10000));
	SAY(read(p[0], text, 10000));
	close(p[0]);
	say_poll("no reader", p[1]);
	SAY(write(p[1], "x", 1));
	SAY(pipe2(p, 0x123));
	int *nowhere = (int *)(uintptr_t)strtoul("8", NULL, 0);
	SAY(pipe(nowhere));
	int again = open("/dev/null", O_RDONLY);
	say_poll("/dev/null", again);
	SAY(epoll_create1(5));
	SAY(epoll_create(0));
}

static void fifo_states(void)
{
	char name[] = "/tmp/conformance-fifo";
	unlink(name);
	CHECK(mkfifo(name, 0600) == 0);
	int r = open(name, O_RDONLY | O_NONBLOCK);
	say_poll("no writer yet", r);
	char c;
	SAY(read(r, &c, 1));
	int w = open(name, O_WRONLY | O_NONBLOCK);
	say_poll("writer", r);
	SAY(read(r, &c, 1));
	SAY(write(w, "ab", 2));
	close(w);
	say_poll("writer left", r);
	SAY(read(r, &c, 1));
	SAY(read(r, &c, 1));
	SAY(read(r, &c, 1));
	w = open(name, O_WRONLY | O_NONBLOCK);
	say_poll("another writer", r);
	close(r);
	say_poll("reader left", w);
	SAY(write(w, "x", 1));
	close(w);
	int both = open(name, O_RDWR);
	say_poll("both", both);
	SAY(write(both, "x", 1));
	SAY(read(both, &c, 1));
	unlink(name);
}

static void epoll_states(void)
{
	int ep = epoll_create1(0), a[2], b[2];
	char c[8];
	CHECK(pipe(a) == 0 && pipe(b) == 0);
	SAY(watch(ep, EPOLL_CTL_ADD, a[0], EPOLLIN | EPOLLET, 1));
	SAY(watch(ep, EPOLL_CTL_ADD, b[0], EPOLLIN, 2));
	SAY(watch(ep, EPOLL_CTL_ADD, b[1], EPOLLOUT | EPOLLET, 3));
	say_epoll(ep);
	say_epoll(ep);
	CHECK(write(a[1], "x", 1) == 1 && write(b[1], "y", 1) == 1);
	say_epoll(ep);
	say_epoll(ep);
	CHECK(write(a[1], "x", 1) == 1);
	say_epoll(ep);
	CHECK(read(a[0], c, 1) == 1);
	say_epoll(ep);
	SAY(watch(ep, EPOLL_CTL_MOD, a[0], EPOLLIN | EPOLLET, 4));
	say_epoll(ep);
	SAY(watch(ep, EPOLL_CTL_MOD, a[0], EPOLLIN | EPOLLONESHOT, 5));
	say_epoll(ep);
	say_epoll(ep);
	SAY(watch(ep, EPOLL_CTL_MOD, a[0], 0, 6));
	say_epoll(ep);
	close(a[1]);
	say_epoll(ep);
	SAY(watch(ep, EPOLL_CTL_DEL, b[0], 0, 0));
	say_epoll(ep);
	SAY(watch(ep, EPOLL_CTL_ADD, a[0], EPOLLIN, 1));
	SAY(watch(ep, EPOLL_CTL_MOD, b[0], EPOLLIN, 1));
	SAY(watch(ep, 77, a[0], EPOLLIN, 1));
	SAY(watch(ep, EPOLL_CTL_ADD, 999, EPOLLIN, 1));
	SAY(watch(999, EPOLL_CTL_ADD, a[0], EPOLLIN, 1));
	SAY(watch(a[0], EPOLL_CTL_ADD, b[0], EPOLLIN, 1));
	SAY(watch(ep, EPOLL_CTL_ADD, ep, EPOLLIN, 1));
	SAY(epoll_ctl(ep, EPOLL_CTL_ADD, b[0], NULL));
	SAY(epoll_wait(ep, (struct epoll_event *)c, 0, 0));
	SAY(syscall(SYS_epoll_wait, ep, NULL, 1, 0));
	SAY(watch(ep, EPOLL_CTL_ADD, b[0], EPOLLIN | EPOLLEXCLUSIVE, 7));
	SAY(watch(ep, EPOLL_CTL_MOD, b[0], EPOLLIN | EPOLLEXCLUSIVE, 7));
	SAY(watch(ep, EPOLL_CTL_MOD, b[0], EPOLLIN, 7));
	int chain[8];
	for (int i = 0; i < 8; i++)
		chain[i] = epoll_create1(0);
	for (int i = 1; i < 8; i++)
		SAY(watch(chain[i], EPOLL_CTL_ADD, chain[i - 1], EPOLLIN, i));
	SAY(watch(chain[0], EPOLL_CTL_ADD, chain[2], EPOLLIN, 0));
	SAY(watch(chain[0], EPOLL_CTL_ADD, b[0], EPOLLIN, 0));
	say_epoll(chain[3]);
	say_poll("chain", chain[3]);
	CHECK(read(b[0], c, 8) == 1);
	say_epoll(chain[3]);
	int dup_ = dup(b[0]);
	int e2 = epoll_create1(0);
	SAY(watch(e2, EPOLL_CTL_ADD, b[0], EPOLLIN, 8));
	SAY(watch(e2, EPOLL_CTL_ADD, dup_, EPOLLIN, 9));
	CHECK(write(b[1], "z", 1) == 1);
	printf("  both numbers: %d\n", epoll_wait(e2, (struct epoll_event[4]){ 0 }, 4, 0));
	close(b[0]);
	printf("  the file lives: %d\n", epoll_wait(e2, (struct epoll_event[4]){ 0 }, 4, 0));
	close(dup_);
	say_epoll(e2);
}

static void counter_states(void)
{
	uint64_t v = 0;
	int e = eventfd(0, EFD_NONBLOCK);
	say_poll("zero", e);
	SAY(read(e, &v, 8));
	v = 5;
	SAY(write(e, &v, 8));
	say_poll("five", e);
	SAY(read(e, &v, 7));
	v = ~0ULL;
	SAY(write(e, &v, 8));
	v = ~0ULL - 6;
	SAY(write(e, &v, 8));
	say_poll("full", e);
	SAY(syscall(SYS_read, e, &v, 100));
	printf("  %llx\n", (unsigned long long)v);
	SAY(eventfd(0, 0x40));
	SAY(lseek(e, 0, SEEK_SET));
	int t = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
	say_poll("timer", t);
	SAY(read(t, &v, 8));
	struct itimerspec when = { { 0, 0 }, { 0, 1 } };
	SAY(timerfd_settime(t, 0, &when, NULL));
	usleep(2000);
	say_poll("expired", t);
	SAY(read(t, &v, 7));
	SAY(read(t, &v, 8));
	SAY(read(t, &v, 8));
	when.it_value.tv_nsec = 1000000000;
	SAY(timerfd_settime(t, 0, &when, NULL));
	SAY(timerfd_settime(t, 8, &when, NULL));
	SAY(timerfd_create(99, 0));
	SAY(write(t, &v, 8));
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_BLOCK, &set, NULL);
	int s = signalfd(-1, &set, SFD_NONBLOCK);
	struct signalfd_siginfo info[3];
	say_poll("no signal", s);
	SAY(read(s, info, sizeof info));
	raise(SIGUSR1);
	kill(getpid(), SIGUSR1);
	union sigval value = { .sival_int = 42 };
	sigqueue(getpid(), SIGUSR2, value);
	say_poll("signals", s);
	SAY(read(s, info, 100));
	SAY(read(s, info, sizeof info));
	for (int i = 0; i < 2; i++)
		printf("  %u code %d me %d uid %d value %d\n", info[i].ssi_signo, info[i].ssi_code, info[i].ssi_pid == (unsigned)getpid(), info[i].ssi_uid == getuid(), info[i].ssi_int);
	SAY(read(s, info, sizeof info));
	SAY(signalfd(0, &set, 0));
}

static void *nudge(void *fd)
{
	usleep(20000);
	CHECK(write(*(int *)fd, "x", 1) == 1);
	return NULL;
}
static volatile int seen;
static void count_signal(int n)
{
	seen += n;
}
static void masks(void)
{
	int p[2];
	sigset_t block, none;
	CHECK(pipe(p) == 0);
	sigemptyset(&none);
	sigemptyset(&block);
	sigaddset(&block, SIGALRM);
	signal(SIGALRM, count_signal);
	sigprocmask(SIG_BLOCK, &block, NULL);
	raise(SIGALRM);
	struct pollfd f = { p[0], POLLIN, 0 };
	struct timespec t = { 5, 0 };
	SAY(ppoll(&f, 1, &t, &none));
	printf("  seen %d\n", seen);
	raise(SIGALRM);
	fd_set set;
	FD_ZERO(&set);
	FD_SET(p[0], &set);
	SAY(pselect(p[0] + 1, &set, NULL, NULL, &t, &none));
	printf("  seen %d\n", seen);
	int ep = epoll_create1(0);
	CHECK(watch(ep, EPOLL_CTL_ADD, p[0], EPOLLIN, 1) == 0);
	struct epoll_event e;
	raise(SIGALRM);
	SAY(epoll_pwait(ep, &e, 1, 5000, &none));
	printf("  seen %d\n", seen);
	sigset_t now;
	sigprocmask(SIG_SETMASK, NULL, &now);
	printf("  still blocked %d\n", sigismember(&now, SIGALRM));
	pthread_t thread;
	pthread_create(&thread, NULL, nudge, &p[1]);
	SAY(epoll_pwait(ep, &e, 1, 5000, &none));
	pthread_join(thread, NULL);
	raise(SIGALRM);
	SAY(ppoll(&f, 1, &t, &none)); /* ready: the signal stays for later */
	printf("  seen %d\n", seen);
	SAY(ppoll(&f, 1, &(struct timespec){ 0, 2000000000 }, NULL));
	SAY(syscall(SYS_ppoll, &f, 1, NULL, &none, 4));
	SAY(syscall(SYS_poll, &f, 1 << 20, 0));
	SAY(select(-1, NULL, NULL, NULL, NULL));
	struct timeval bad = { -1, 0 };
	SAY(select(0, NULL, NULL, NULL, &bad));
	close(p[0]);
	FD_SET(p[0], &set);
	struct timeval zero = { 0, 0 };
	SAY(select(p[0] + 1, &set, NULL, NULL, &zero));
}

static void semaphores(void)
{
	int id = semget(IPC_PRIVATE, 3, 0600);
	unsigned short values[3] = { 1, 2, 3 };
	SAY(semctl(id, 0, SETALL, values));
	struct sembuf both[2] = { { 0, -1, IPC_NOWAIT }, { 1, -3, IPC_NOWAIT } };
	SAY(semop(id, both, 2));
	SAY(semctl(id, 0, GETVAL));
	both[1].sem_op = -2;
	SAY(semop(id, both, 2));
	SAY(semctl(id, 1, GETVAL));
	pid_t pid = fork();
	if (pid == 0) {
		struct sembuf undo = { 2, -3, SEM_UNDO };
		CHECK(semop(id, &undo, 1) == 0);
		_exit(semctl(id, 2, GETVAL));
	}
	int status;
	waitpid(pid, &status, 0);
	printf("  in child %d after %d\n", WEXITSTATUS(status), semctl(id, 2, GETVAL));
	struct sembuf zero = { 2, 0, IPC_NOWAIT };
	SAY(semop(id, &zero, 1));
	struct timespec t = { 0, 5000000 };
	zero.sem_flg = 0;
	SAY(semtimedop(id, &zero, 1, &t));
	SAY(semop(id, &zero, 0));
	SAY(semop(id, &zero, 501));
	SAY(semctl(id, 0, SETVAL, 32768));
	SAY(semctl(id, 3, GETVAL));
	SAY(semctl(id, 0, 99));
	SAY(semctl(id, 0, IPC_RMID));
	SAY(semctl(id, 0, IPC_RMID));
	SAY(semget(12345, 1, 0));
	SAY(semget(IPC_PRIVATE, 0, 0600));
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGPIPE, SIG_IGN);
	PART(pipe_states);
	PART(fifo_states);
	PART(epoll_states);
	PART(counter_states);
	PART(masks);
	PART(semaphores);
	return 0;
}
