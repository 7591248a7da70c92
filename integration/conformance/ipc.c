/* pipes, poll, epoll, eventfd, timerfd, unix sockets, shared memory, semaphores, message queues, futexes */
#include "check.h"
#include <fcntl.h>
#include <linux/futex.h>
#include <mqueue.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

static void pipes(void)
{
	int fds[2], n;
	char text[70000];
	CHECK(pipe2(fds, O_NONBLOCK) == 0);
	FAILS(read(fds[0], text, 1), EAGAIN);
	CHECK(write(fds[1], "hello", 5) == 5 && ioctl(fds[0], FIONREAD, &n) == 0 && n == 5);
	CHECK(read(fds[0], text, 100) == 5);
	CHECK(write(fds[1], text, 70000) == 65536);
	FAILS(write(fds[1], text, 1), EAGAIN);
	CHECK(fcntl(fds[0], F_GETPIPE_SZ) == 65536 && fcntl(fds[0], F_SETPIPE_SZ, 131072) == 131072);
	CHECK(write(fds[1], text, 70000) == 65536);
	close(fds[1]);
	CHECK(read(fds[0], text, 70000) == 70000 && read(fds[0], text, 70000) == 61072 && read(fds[0], text, 1) == 0);
	CHECK(pipe(fds) == 0 && close(fds[0]) == 0 && signal(SIGPIPE, SIG_IGN) != SIG_ERR);
	FAILS(write(fds[1], "x", 1), EPIPE);
	pid_t pid = fork();
	if (pid == 0) {
		signal(SIGPIPE, SIG_DFL);
		CHECK(write(fds[1], "x", 1) == 1);
		_exit(0);
	}
	int status;
	CHECK(waitpid(pid, &status, 0) == pid && WTERMSIG(status) == SIGPIPE);
}

static void fifos(void)
{
	char name[64];
	snprintf(name, sizeof name, "/tmp/fifo-%d", getpid());
	CHECK(mkfifo(name, 0600) == 0);
	FAILS(open(name, O_WRONLY | O_NONBLOCK), ENXIO);
	pid_t pid = fork();
	if (pid == 0) {
		int fd = open(name, O_WRONLY);
		CHECK(fd >= 0 && write(fd, "through", 7) == 7);
		_exit(0);
	}
	int fd = open(name, O_RDONLY);
	char text[8];
	CHECK(fd >= 0 && read(fd, text, 8) == 7 && read(fd, text, 8) == 0);
	waitpid(pid, NULL, 0);
	unlink(name);
}

static void polls(void)
{
	int fds[2];
	CHECK(pipe(fds) == 0);
	struct pollfd p[3] = { { fds[0], POLLIN, 0 }, { fds[1], POLLOUT, 0 }, { -1, POLLIN, 0 } };
	CHECK(poll(p, 3, 1000) == 1 && p[1].revents == POLLOUT && p[0].revents == 0);
	CHECK(poll(p, 1, 10) == 0);
	p[2].fd = 999;
	CHECK(poll(p, 3, 0) == 2 && p[2].revents == POLLNVAL);
	CHECK(write(fds[1], "x", 1) == 1 && poll(p, 1, -1) == 1 && p[0].revents == POLLIN);
	close(fds[1]);
	CHECK(poll(p, 1, -1) == 1 && p[0].revents == (POLLIN | POLLHUP));
	fd_set set;
	FD_ZERO(&set);
	FD_SET(fds[0], &set);
	struct timeval zero = { 0, 0 };
	CHECK(select(fds[0] + 1, &set, NULL, NULL, &zero) == 1 && FD_ISSET(fds[0], &set));
}

static void epolls(void)
{
	int ep = epoll_create1(0), fds[2];
	struct epoll_event e = { .events = EPOLLIN | EPOLLET, .data.u64 = 0x123456789abcdefULL }, got[4];
	CHECK(ep >= 0 && pipe(fds) == 0 && epoll_ctl(ep, EPOLL_CTL_ADD, fds[0], &e) == 0);
	FAILS(epoll_ctl(ep, EPOLL_CTL_ADD, fds[0], &e), EEXIST);
	FAILS(epoll_ctl(ep, EPOLL_CTL_DEL, fds[1], &e), ENOENT);
	FAILS(epoll_ctl(ep, EPOLL_CTL_ADD, ep, &e), EINVAL);
	CHECK(epoll_wait(ep, got, 4, 0) == 0 && write(fds[1], "x", 1) == 1);
	CHECK(epoll_wait(ep, got, 4, -1) == 1 && got[0].data.u64 == 0x123456789abcdefULL && got[0].events == EPOLLIN);
	CHECK(epoll_wait(ep, got, 4, 0) == 0); /* edge: told once */
	CHECK(write(fds[1], "x", 1) == 1 && epoll_wait(ep, got, 4, 0) == 1);
	e.events = EPOLLIN | EPOLLONESHOT;
	CHECK(epoll_ctl(ep, EPOLL_CTL_MOD, fds[0], &e) == 0 && epoll_wait(ep, got, 4, 0) == 1 && epoll_wait(ep, got, 4, 0) == 0);
	e.events = EPOLLIN;
	CHECK(epoll_ctl(ep, EPOLL_CTL_MOD, fds[0], &e) == 0 && epoll_wait(ep, got, 4, 0) == 1 && epoll_wait(ep, got, 4, 0) == 1);
	int outer = epoll_create1(0);
	CHECK(epoll_ctl(outer, EPOLL_CTL_ADD, ep, &e) == 0 && epoll_wait(outer, got, 4, 0) == 1);
	FAILS(epoll_ctl(ep, EPOLL_CTL_ADD, outer, &e), ELOOP);
	close(fds[0]);
	CHECK(epoll_wait(ep, got, 4, 0) == 0);
	int file = open("/etc/passwd", O_RDONLY);
	FAILS(epoll_ctl(ep, EPOLL_CTL_ADD, file, &e), EPERM);
}

static void counters(void)
{
	int fd = eventfd(3, EFD_NONBLOCK);
	uint64_t value;
	CHECK(read(fd, &value, 8) == 8 && value == 3);
	FAILS(read(fd, &value, 8), EAGAIN);
	value = ~0ULL - 1;
	CHECK(write(fd, &value, 8) == 8);
	value = 1;
	FAILS(write(fd, &value, 8), EAGAIN);
	FAILS(read(fd, &value, 4), EINVAL);
	fd = eventfd(2, EFD_SEMAPHORE);
	CHECK(read(fd, &value, 8) == 8 && value == 1 && read(fd, &value, 8) == 8 && value == 1);
	int timer = timerfd_create(CLOCK_MONOTONIC, 0);
	struct itimerspec when = { { 0, 2000000 }, { 0, 2000000 } };
	CHECK(timerfd_settime(timer, 0, &when, NULL) == 0 && read(timer, &value, 8) == 8 && value >= 1);
	CHECK(timerfd_gettime(timer, &when) == 0 && when.it_interval.tv_nsec == 2000000);
}

static void unix_streams(void)
{
	int listener = socket(AF_UNIX, SOCK_STREAM, 0), fd;
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	snprintf(name.sun_path, sizeof name.sun_path, "/tmp/socket-%d", getpid());
	CHECK(bind(listener, (struct sockaddr *)&name, sizeof name) == 0);
	FAILS(bind(listener, (struct sockaddr *)&name, sizeof name), EADDRINUSE);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	FAILS(connect(fd, (struct sockaddr *)&name, sizeof name), ECONNREFUSED);
	CHECK(listen(listener, 5) == 0);
	pid_t pid = fork();
	if (pid == 0) {
		CHECK(connect(fd, (struct sockaddr *)&name, sizeof name) == 0 && write(fd, "ping", 4) == 4);
		char text[8];
		CHECK(read(fd, text, 8) == 4 && shutdown(fd, SHUT_WR) == 0 && read(fd, text, 8) == 0);
		_exit(0);
	}
	int peer = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	char text[8];
	struct ucred creds;
	socklen_t length = sizeof creds;
	CHECK(peer >= 0 && read(peer, text, 8) == 4 && getsockopt(peer, SOL_SOCKET, SO_PEERCRED, &creds, &length) == 0);
	CHECK(creds.pid == pid && creds.uid == getuid());
	CHECK(write(peer, "pong", 4) == 4 && read(peer, text, 8) == 0 && close(peer) == 0);
	int status;
	CHECK(waitpid(pid, &status, 0) == pid && status == 0 && unlink(name.sun_path) == 0);
	struct sockaddr_un abstract = { .sun_family = AF_UNIX, .sun_path = "\0abstract-name" };
	socklen_t size = offsetof(struct sockaddr_un, sun_path) + 14;
	listener = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	CHECK(bind(listener, (struct sockaddr *)&abstract, size) == 0 && listen(listener, 1) == 0);
	fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	CHECK(connect(fd, (struct sockaddr *)&abstract, size) == 0 && send(fd, "abc", 3, 0) == 3 && send(fd, "de", 2, 0) == 2);
	peer = accept(listener, NULL, NULL);
	CHECK(recv(peer, text, 8, MSG_PEEK) == 3 && recv(peer, text, 2, 0) == 2 && recv(peer, text, 8, 0) == 2);
	FAILS(recv(peer, text, 8, MSG_DONTWAIT), EAGAIN);
}

static void descriptors_travel(void)
{
	int pair[2], pipes[2];
	CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) == 0 && pipe(pipes) == 0);
	char control[CMSG_SPACE(sizeof(int))] = { 0 }, byte = 'x';
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control };
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &pipes[1], sizeof(int));
	CHECK(sendmsg(pair[0], &msg, 0) == 1 && close(pipes[1]) == 0);
	memset(control, 0, sizeof control);
	CHECK(recvmsg(pair[1], &msg, MSG_CMSG_CLOEXEC) == 1 && msg.msg_controllen == CMSG_LEN(sizeof(int)) + 4);
	int fd;
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof fd);
	CHECK(fcntl(fd, F_GETFD) == FD_CLOEXEC && write(fd, "y", 1) == 1 && read(pipes[0], &byte, 1) == 1 && byte == 'y');
}

static void system_v(void)
{
	int id = shmget(IPC_PRIVATE, 8192, IPC_CREAT | 0600);
	char *p = shmat(id, NULL, 0), *q = shmat(id, NULL, SHM_RDONLY);
	CHECK(id >= 0 && p != (void *)-1 && q != (void *)-1);
	strcpy(p, "shared");
	struct shmid_ds info;
	CHECK(strcmp(q, "shared") == 0 && shmctl(id, IPC_STAT, &info) == 0 && info.shm_nattch == 2 && info.shm_segsz == 8192);
	CHECK(shmctl(id, IPC_RMID, NULL) == 0 && shmdt(p) == 0 && strcmp(q, "shared") == 0 && shmdt(q) == 0);
	FAILS(shmat(id, NULL, 0), EINVAL);
	int sem = semget(IPC_PRIVATE, 2, IPC_CREAT | 0600);
	struct sembuf up = { 0, 1, 0 }, down = { 0, -1, 0 }, try = { 0, -1, IPC_NOWAIT };
	CHECK(sem >= 0);
	FAILS(semop(sem, &try, 1), EAGAIN);
	pid_t pid = fork();
	if (pid == 0) {
		usleep(10000);
		CHECK(semop(sem, &up, 1) == 0);
		_exit(0);
	}
	CHECK(semop(sem, &down, 1) == 0 && semctl(sem, 0, GETVAL) == 0);
	waitpid(pid, NULL, 0);
	CHECK(semctl(sem, 0, IPC_RMID) == 0);
	int queue = msgget(IPC_PRIVATE, IPC_CREAT | 0600);
	struct {
		long type;
		char text[8];
	} m = { 5, "five" }, got;
	CHECK(queue >= 0 && msgsnd(queue, &m, 5, 0) == 0);
	m.type = 6;
	CHECK(msgsnd(queue, &m, 5, 0) == 0 && msgrcv(queue, &got, 8, 6, 0) == 5 && got.type == 6 && msgrcv(queue, &got, 8, 0, 0) == 5 && got.type == 5);
	FAILS(msgrcv(queue, &got, 8, 0, IPC_NOWAIT), ENOMSG);
	CHECK(msgctl(queue, IPC_RMID, NULL) == 0);
}

static void posix_queues_and_semaphores(void)
{
	struct mq_attr attributes = { .mq_maxmsg = 4, .mq_msgsize = 32 };
	char text[32];
	unsigned priority;
	mqd_t q = mq_open("/test-queue", O_CREAT | O_RDWR | O_NONBLOCK, 0600, &attributes);
	CHECK(q >= 0 && mq_send(q, "low", 4, 1) == 0 && mq_send(q, "high", 5, 9) == 0);
	CHECK(mq_receive(q, text, 32, &priority) == 5 && priority == 9 && strcmp(text, "high") == 0);
	CHECK(mq_receive(q, text, 32, NULL) == 4);
	FAILS(mq_receive(q, text, 32, NULL), EAGAIN);
	CHECK(mq_unlink("/test-queue") == 0);
	sem_t *s = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(sem_init(s, 1, 0) == 0);
	pid_t pid = fork();
	if (pid == 0) {
		usleep(10000);
		sem_post(s);
		_exit(0);
	}
	CHECK(sem_wait(s) == 0);
	waitpid(pid, NULL, 0);
}

static void futexes(void)
{
	int word = 1;
	struct timespec t = { 0, 5000000 };
	FAILS(syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 2, NULL), EAGAIN);
	FAILS(syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 1, &t), ETIMEDOUT);
	CHECK(syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1) == 0);
	FAILS(syscall(SYS_futex, (char *)&word + 1, FUTEX_WAKE_PRIVATE, 1), EINVAL);
	FAILS(syscall(SYS_futex, 8, FUTEX_WAIT_PRIVATE, 1, NULL), EFAULT);
	pthread_mutex_t robust;
	pthread_mutexattr_t attributes;
	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&robust, &attributes);
	extern void *die_locked(void *);
	pthread_t thread;
	pthread_create(&thread, NULL, die_locked, &robust);
	pthread_join(thread, NULL);
	CHECK(pthread_mutex_lock(&robust) == EOWNERDEAD);
}
void *die_locked(void *mutex)
{
	pthread_mutex_lock(mutex);
	return NULL;
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static int turn;
static void *pong(void *unused)
{
	for (int i = 0; i < 500; i++) {
		pthread_mutex_lock(&lock);
		while (turn != 1)
			pthread_cond_wait(&cond, &lock);
		turn = 0;
		pthread_cond_broadcast(&cond);
		pthread_mutex_unlock(&lock);
	}
	return unused;
}
static void conditions(void)
{
	pthread_t thread;
	CHECK(pthread_create(&thread, NULL, pong, NULL) == 0);
	for (int i = 0; i < 500; i++) {
		pthread_mutex_lock(&lock);
		while (turn != 0)
			pthread_cond_wait(&cond, &lock);
		turn = 1;
		pthread_cond_broadcast(&cond);
		pthread_mutex_unlock(&lock);
	}
	pthread_join(thread, NULL);
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	t.tv_nsec += 5000000;
	t.tv_sec += t.tv_nsec / 1000000000;
	t.tv_nsec %= 1000000000;
	pthread_mutex_lock(&lock);
	CHECK(pthread_cond_timedwait(&cond, &lock, &t) == ETIMEDOUT);
}

static void splices(void)
{
	int a[2], b[2];
	char text[8];
	CHECK(pipe(a) == 0 && pipe(b) == 0 && write(a[1], "abcdef", 6) == 6);
	CHECK(tee(a[0], b[1], 3, 0) == 3 && read(b[0], text, 8) == 3 && memcmp(text, "abc", 3) == 0);
	CHECK(splice(a[0], NULL, b[1], NULL, 6, 0) == 6 && read(b[0], text, 8) == 6);
	int fd = memfd_create("m", MFD_ALLOW_SEALING);
	CHECK(fd >= 0 && write(fd, "memory", 6) == 6);
	loff_t at = 1;
	CHECK(splice(fd, &at, a[1], NULL, 3, 0) == 3 && read(a[0], text, 8) == 3 && memcmp(text, "emo", 3) == 0 && at == 4);
	CHECK(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK) == 0 && (fcntl(fd, F_GET_SEALS) & F_SEAL_WRITE));
	FAILS(write(fd, "x", 1), EPERM);
	FAILS(ftruncate(fd, 1), EPERM);
}

int main(void)
{
	PART(pipes);
	PART(fifos);
	PART(polls);
	PART(epolls);
	PART(counters);
	PART(unix_streams);
	PART(descriptors_travel);
	PART(system_v);
	PART(posix_queues_and_semaphores);
	PART(futexes);
	PART(conditions);
	PART(splices);
	return 0;
}
