/* getrlimit(2): every limit that is enforced; CPU time that adds up, and sleeping on it */
#include "check.h"
#include <fcntl.h>
#include <grp.h>
#include <mqueue.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/times.h>
#include <sys/wait.h>
#include <time.h>

static void limit(int resource, rlim_t value)
{
	struct rlimit both = { value, value };
	CHECK(setrlimit(resource, &both) == 0);
}
static void become(uid_t user)
{
	CHECK(setgroups(0, NULL) == 0 && setgid(user) == 0 && setuid(user) == 0);
}

static void processes(void)
{
	become(4321);
	limit(RLIMIT_NPROC, 3);
	pid_t a = fork();
	if (a == 0)
		pause();
	pid_t b = fork();
	if (b == 0)
		pause();
	CHECK(a > 0 && b > 0);
	FAILS(fork(), EAGAIN);
	kill(a, SIGKILL);
	CHECK(waitpid(a, NULL, 0) == a);
	pid_t c = fork();
	if (c == 0)
		_exit(0);
	CHECK(c > 0 && waitpid(c, NULL, 0) == c);
	kill(b, SIGKILL);
	CHECK(waitpid(b, NULL, 0) == b);
}

/* setuid(2) succeeds, execve(2) does not */
static void processes_of_the_new_user(void)
{
	pid_t hold[2];
	for (int i = 0; i < 2; i++) {
		hold[i] = fork();
		if (hold[i] == 0) {
			become(4322);
			pause();
		}
	}
	pid_t pid = fork();
	if (pid == 0) {
		limit(RLIMIT_NPROC, 1);
		/* until the other two are that user, too */
		for (;;) {
			pid_t probe = fork();
			if (probe == 0) {
				become(4322);
				execl("/bin/true", "true", NULL);
				_exit(errno == EAGAIN ? 7 : 8);
			}
			int status;
			CHECK(waitpid(probe, &status, 0) == probe);
			if (status == 7 << 8)
				_exit(7);
			CHECK(status == 0);
			usleep(1000);
		}
	}
	int status;
	CHECK(waitpid(pid, &status, 0) == pid && status == 7 << 8);
	for (int i = 0; i < 2; i++) {
		kill(hold[i], SIGKILL);
		CHECK(waitpid(hold[i], NULL, 0) == hold[i]);
	}
}

static void descriptors(void)
{
	limit(RLIMIT_NOFILE, 10);
	int fd, last = -1;
	while ((fd = open("/dev/null", O_RDONLY)) >= 0)
		last = fd;
	CHECK(errno == EMFILE && last == 9);
	FAILS(dup2(0, 10), EBADF);
	FAILS(fcntl(0, F_DUPFD, 10), EINVAL);
	FAILS(dup(0), EMFILE);
}

static volatile sig_atomic_t excess;
static void count(int signal)
{
	excess = signal;
}
static void file_size(void)
{
	char name[] = "/tmp/limitXXXXXX";
	int fd = mkstemp(name);
	CHECK(fd >= 0 && unlink(name) == 0);
	signal(SIGXFSZ, count);
	limit(RLIMIT_FSIZE, 100);
	char bytes[200] = { 0 };
	CHECK(write(fd, bytes, 200) == 100 && excess == 0);
	FAILS(write(fd, bytes, 1), EFBIG);
	CHECK(excess == SIGXFSZ);
	FAILS(ftruncate(fd, 101), EFBIG);
	CHECK(pwrite(fd, bytes, 50, 80) == 20);
}

static void memory(void)
{
	struct rlimit old;
	CHECK(getrlimit(RLIMIT_AS, &old) == 0);
	struct rlimit next = { 200 << 20, old.rlim_max };
	CHECK(setrlimit(RLIMIT_AS, &next) == 0);
	CHECK(mmap(NULL, 300 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED && errno == ENOMEM);
	CHECK(sbrk(300 << 20) == (void *)-1 && errno == ENOMEM);
	void *some = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(some != MAP_FAILED && mremap(some, 1 << 20, 300 << 20, MREMAP_MAYMOVE) == MAP_FAILED && errno == ENOMEM);
	CHECK(setrlimit(RLIMIT_AS, &old) == 0);
	next.rlim_cur = 64 << 20;
	CHECK(setrlimit(RLIMIT_DATA, &next) == 0);
	CHECK(mmap(NULL, 100 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED && errno == ENOMEM);
	CHECK(mmap(NULL, 100 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
}

static void locked_memory(void)
{
	become(4323);
	limit(RLIMIT_MEMLOCK, 8 * 4096);
	char *area = mmap(NULL, 64 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(area != MAP_FAILED && mlock(area, 8 * 4096) == 0);
	FAILS(mlock(area + 8 * 4096, 4096), ENOMEM);
	CHECK(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED, -1, 0) == MAP_FAILED && errno == EAGAIN);
	CHECK(munlock(area, 4096) == 0 && mlock(area + 8 * 4096, 4096) == 0);
	FAILS(mlockall(MCL_CURRENT), ENOMEM);
	limit(RLIMIT_MEMLOCK, 0);
	FAILS(mlock(area, 4096), EPERM);
}

static void signals_queued(void)
{
	become(4324);
	limit(RLIMIT_SIGPENDING, 5);
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	CHECK(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
	union sigval value = { .sival_int = 1 };
	for (int i = 0; i < 5; i++)
		CHECK(sigqueue(getpid(), SIGRTMIN, value) == 0);
	FAILS(sigqueue(getpid(), SIGRTMIN, value), EAGAIN);
	CHECK(kill(getpid(), SIGRTMIN) == 0); /* never fails for that */
}

static void queue_bytes(void)
{
	become(4325);
	limit(RLIMIT_MSGQUEUE, 10000);
	struct mq_attr small = { .mq_maxmsg = 5, .mq_msgsize = 1000 }, large = { .mq_maxmsg = 5, .mq_msgsize = 4000 };
	FAILS(mq_open("/limit-large", O_CREAT | O_RDWR, 0600, &large), EMFILE);
	mqd_t q = mq_open("/limit-small", O_CREAT | O_RDWR, 0600, &small);
	CHECK(q >= 0 && mq_unlink("/limit-small") == 0);
}

static void real_time_priority(void)
{
	struct sched_param one = { 1 };
	limit(RLIMIT_RTPRIO, 0);
	become(4326);
	FAILS(sched_setscheduler(0, SCHED_FIFO, &one), EPERM);
}

static void niceness(void)
{
	limit(RLIMIT_NICE, 0);
	become(4327);
	int own = getpriority(PRIO_PROCESS, 0); /* whoever runs the tests may be nice */
	CHECK(nice(2) == own + 2);
	FAILS(setpriority(PRIO_PROCESS, 0, own + 1), EACCES);
	CHECK(setpriority(PRIO_PROCESS, 0, own + 3) == 0 && getpriority(PRIO_PROCESS, 0) == own + 3);
}

static void burn(void)
{
	for (volatile long i = 0; i < 2000000; i++)
		;
}
static void cpu_time(void)
{
	struct rlimit next = { 1, 2 };
	int status;
	pid_t pid = fork();
	if (pid == 0) {
		CHECK(setrlimit(RLIMIT_CPU, &next) == 0);
		for (;;)
			burn();
	}
	CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU);
	struct rusage usage;
	CHECK(getrusage(RUSAGE_CHILDREN, &usage) == 0);
	long ms = (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000 + (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1000;
	CHECK(ms >= 500); /* the host counts in ticks */
	struct tms all;
	CHECK(times(&all) != -1);
	long ticks = (all.tms_cutime + all.tms_cstime) * 1000 / sysconf(_SC_CLK_TCK);
	CHECK(ticks >= ms - 50 && ticks <= ms + 50);
}

static long nanoseconds(clockid_t clock)
{
	struct timespec now;
	CHECK(clock_gettime(clock, &now) == 0);
	return now.tv_sec * 1000000000l + now.tv_nsec;
}
static volatile int done;
static void *work(void *unused)
{
	while (!done)
		burn();
	return unused;
}
static void times_add_up(void)
{
	for (int i = 0; i < 20; i++)
		burn();
	struct rusage usage;
	long before = nanoseconds(CLOCK_PROCESS_CPUTIME_ID);
	CHECK(getrusage(RUSAGE_SELF, &usage) == 0);
	long after = nanoseconds(CLOCK_PROCESS_CPUTIME_ID);
	long sum = (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000000l + (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000l;
	CHECK(sum >= before - 10000000 && sum <= after + 10000000);
	CHECK(nanoseconds(CLOCK_THREAD_CPUTIME_ID) <= nanoseconds(CLOCK_PROCESS_CPUTIME_ID));
}
static void sleep_on_cpu_clocks(void)
{
	struct timespec delay = { 0, 50000000 }, end;
	FAILS(clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &delay, NULL) == EINVAL ? (errno = EINVAL, -1) : 0, EINVAL);
	pthread_t thread;
	CHECK(pthread_create(&thread, NULL, work, NULL) == 0);
	long start = nanoseconds(CLOCK_PROCESS_CPUTIME_ID);
	CHECK(clock_nanosleep(CLOCK_PROCESS_CPUTIME_ID, 0, &delay, NULL) == 0);
	long now = nanoseconds(CLOCK_PROCESS_CPUTIME_ID);
	CHECK(now - start >= 50000000);
	now += 20000000;
	end = (struct timespec){ now / 1000000000, now % 1000000000 };
	CHECK(clock_nanosleep(CLOCK_PROCESS_CPUTIME_ID, TIMER_ABSTIME, &end, NULL) == 0);
	CHECK(nanoseconds(CLOCK_PROCESS_CPUTIME_ID) >= now);
	end = (struct timespec){ 0, 1 };
	CHECK(clock_nanosleep(CLOCK_PROCESS_CPUTIME_ID, TIMER_ABSTIME, &end, NULL) == 0); /* long past */
	done = 1;
	CHECK(pthread_join(thread, NULL) == 0);
}

int main(void)
{
	PART(processes);
	PART(processes_of_the_new_user);
	PART(descriptors);
	PART(file_size);
	PART(memory);
	PART(locked_memory);
	PART(signals_queued);
	PART(queue_bytes);
	PART(real_time_priority);
	PART(niceness);
	PART(cpu_time);
	PART(times_add_up);
	PART(sleep_on_cpu_clocks);
	return 0;
}
