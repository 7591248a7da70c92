/* /proc: what a process can learn of itself and others, and what it may not */
#include "check.h"
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static char text[1 << 18];

/* the whole file, in small reads */
static size_t slurp(const char *path)
{
	int fd = open(path, O_RDONLY);
	CHECK(fd >= 0);
	size_t have = 0;
	for (;;) {
		ssize_t n = read(fd, text + have, have + 700 < sizeof text ? 700 : sizeof text - 1 - have);
		CHECK(n >= 0);
		if (n == 0)
			break;
		have += n;
	}
	close(fd);
	text[have] = 0;
	return have;
}

static long field(const char *name)
{
	char *at = strstr(text, name);
	CHECK(at != NULL);
	return strtol(at + strlen(name), NULL, 10);
}

static void spit(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY);
	CHECK(fd >= 0);
	CHECK(write(fd, value, strlen(value)) == (ssize_t)strlen(value));
	close(fd);
}

static void status_of_self(void)
{
	slurp("/proc/self/status");
	CHECK(field("Tgid:") == getpid() && field("Pid:") == getpid() && field("PPid:") == getppid());
	CHECK(field("Threads:") == 1 && field("\nUid:") == (long)getuid() && field("VmSize:") > 100 && field("VmRSS:") > 10);
	signal(SIGUSR1, SIG_IGN);
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_BLOCK, &set, NULL);
	raise(SIGUSR2);
	slurp("/proc/self/status");
	CHECK(strstr(text, "SigBlk:\t0000000000000800") && strstr(text, "SigPnd:\t0000000000000800"));
	CHECK(strtoull(strstr(text, "SigIgn:\t") + 8, NULL, 16) & (1 << (SIGUSR1 - 1)));
	umask(027);
	slurp("/proc/self/status");
	CHECK(strstr(text, "Umask:\t0027\n"));
}

static void stat_of_self(void)
{
	char state;
	int pid, ppid, pgrp, session;
	CHECK(prctl(PR_SET_NAME, "a b) c") == 0);
	slurp("/proc/self/stat");
	char *end = strrchr(text, ')');
	CHECK(end != NULL && sscanf(text, "%d (a b) c)", &pid) == 1 && pid == getpid());
	CHECK(sscanf(end, ") %c %d %d %d", &state, &ppid, &pgrp, &session) == 4);
	CHECK(state == 'R' && ppid == getppid() && pgrp == getpgrp() && session == getsid(0));
	int fields = 2;
	for (char *p = end; *p; p++)
		fields += *p == ' ';
	CHECK(fields == 52);
	slurp("/proc/self/comm");
	CHECK(strcmp(text, "a b) c\n") == 0);
	spit("/proc/self/comm", "renamed-and-far-too-long");
	slurp("/proc/thread-self/comm");
	CHECK(strcmp(text, "renamed-and-far\n") == 0);
}

static void links(void)
{
	char target[4096], again[4096];
	ssize_t n = readlink("/proc/self", target, sizeof target);
	target[n] = 0;
	CHECK(atoi(target) == getpid());
	n = readlink("/proc/self/exe", target, sizeof target - 1);
	CHECK(n > 0 && target[0] == '/');
	target[n] = 0;
	struct stat a, b;
	CHECK(stat("/proc/self/exe", &a) == 0 && stat(target, &b) == 0 && a.st_ino == b.st_ino);
	CHECK(chdir("/tmp") == 0 && (n = readlink("/proc/self/cwd", target, sizeof target)) == 4 && memcmp(target, "/tmp", 4) == 0);
	CHECK((n = readlink("/proc/self/root", target, sizeof target)) == 1 && target[0] == '/');
	CHECK(readlink("/proc/self/ns/mnt", again, sizeof again) > 5 && memcmp(again, "mnt:[", 5) == 0);
	FAILS(readlink("/proc/self/fd/77", target, sizeof target), ENOENT);
	FAILS(open("/proc/self/nothing", O_RDONLY), ENOENT);
	FAILS(open("/proc/999999999", O_RDONLY), ENOENT);
	FAILS(mkdir("/proc/new", 0755), ENOENT);
	FAILS(unlink("/proc/version"), EPERM);
}

static void descriptors(void)
{
	char path[64], target[256];
	char name[] = "/tmp/conformance-XXXXXX";
	int fd = mkstemp(name);
	CHECK(fd >= 0 && write(fd, "0123456789", 10) == 10 && lseek(fd, 4, SEEK_SET) == 4);
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	ssize_t n = readlink(path, target, sizeof target);
	CHECK(n == (ssize_t)strlen(name) && memcmp(target, name, n) == 0);
	struct stat st;
	CHECK(lstat(path, &st) == 0 && S_ISLNK(st.st_mode) && (st.st_mode & 0777) == 0700);
	char c;
	int again = open(path, O_RDONLY);
	CHECK(again >= 0 && read(again, &c, 1) == 1 && c == '0'); /* a description of its own */
	CHECK(unlink(name) == 0);
	n = readlink(path, target, sizeof target);
	CHECK(n == (ssize_t)strlen(name) + 10 && memcmp(target + n - 10, " (deleted)", 10) == 0);
	CHECK((again = open(path, O_RDWR)) >= 0 && read(again, &c, 1) == 1 && c == '0');
	snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
	slurp(path);
	CHECK(field("pos:") == 4 && strtol(strstr(text, "flags:\t") + 7, NULL, 8) == (O_RDWR | 0100000));
	int pipes[2];
	CHECK(pipe(pipes) == 0);
	snprintf(path, sizeof path, "/proc/self/fd/%d", pipes[0]);
	n = readlink(path, target, sizeof target);
	CHECK(n > 6 && memcmp(target, "pipe:[", 6) == 0);
	CHECK(write(pipes[1], "x", 1) == 1 && (again = open(path, O_RDONLY)) >= 0 && read(again, &c, 1) == 1 && c == 'x');
	DIR *d = opendir("/proc/self/fd");
	int count = 0;
	for (struct dirent *e; (e = readdir(d)) != NULL;)
		count += e->d_name[0] != '.';
	CHECK(count >= 7);
	closedir(d);
}

static void maps_and_memory(void)
{
	char *page = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(page != MAP_FAILED && mprotect(page + 4096, 4096, PROT_NONE) == 0);
	strcpy(page, "hello");
	slurp("/proc/self/maps");
	char line[64];
	snprintf(line, sizeof line, "%lx-%lx ---p 00000000 00:00 0 ", (long)(page + 4096), (long)(page + 8192));
	CHECK(strstr(text, line) && strstr(text, "[stack]") && strstr(text, "[heap]") && strstr(text, "[vdso]"));
	int fd = open("/proc/self/mem", O_RDWR);
	char buffer[8];
	CHECK(fd >= 0 && pread(fd, buffer, 6, (off_t)page) == 6 && strcmp(buffer, "hello") == 0);
	CHECK(pwrite(fd, "J", 1, (off_t)page) == 1 && page[0] == 'J');
	FAILS(pread(fd, buffer, 1, 0), EIO);
	CHECK(slurp("/proc/self/smaps") > 1000 && strstr(text, "VmFlags: rd"));
	CHECK(slurp("/proc/self/auxv") % 16 == 0);
	CHECK(slurp("/proc/self/statm") > 10 && atoi(text) > 10);
}

static pthread_barrier_t barrier;
static long thread_id;
static void *thread(void *unused)
{
	(void)unused;
	thread_id = syscall(SYS_gettid);
	pthread_setname_np(pthread_self(), "worker");
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	return NULL;
}
static void threads(void)
{
	pthread_t t;
	char path[64];
	pthread_barrier_init(&barrier, NULL, 2);
	CHECK(pthread_create(&t, NULL, thread, NULL) == 0);
	pthread_barrier_wait(&barrier);
	slurp("/proc/self/status");
	CHECK(field("Threads:") == 2);
	snprintf(path, sizeof path, "/proc/self/task/%ld/comm", thread_id);
	slurp(path);
	CHECK(strcmp(text, "worker\n") == 0);
	snprintf(path, sizeof path, "/proc/%ld/status", thread_id); /* not listed, and yet there */
	slurp(path);
	CHECK(field("Tgid:") == getpid() && field("\nPid:") == thread_id);
	struct stat st;
	CHECK(stat("/proc/self/task", &st) == 0 && st.st_nlink == 4);
	pthread_barrier_wait(&barrier);
	CHECK(pthread_join(t, NULL) == 0);
	for (int i = 0; i < 1000 && stat("/proc/self/task", &st) == 0 && st.st_nlink != 3; i++)
		usleep(1000);
	CHECK(st.st_nlink == 3);
}

static void zombies(void)
{
	char path[64], target[64];
	pid_t pid = fork();
	if (pid == 0)
		_exit(3);
	siginfo_t info;
	CHECK(waitid(P_PID, pid, &info, WEXITED | WNOWAIT) == 0);
	snprintf(path, sizeof path, "/proc/%d/status", pid);
	slurp(path);
	CHECK(strstr(text, "State:\tZ (zombie)\n") && !strstr(text, "VmSize"));
	snprintf(path, sizeof path, "/proc/%d/cmdline", pid);
	CHECK(slurp(path) == 0);
	snprintf(path, sizeof path, "/proc/%d/maps", pid);
	CHECK(slurp(path) == 0);
	snprintf(path, sizeof path, "/proc/%d/exe", pid);
	FAILS(readlink(path, target, sizeof target), ENOENT);
	snprintf(path, sizeof path, "/proc/%d", pid);
	int dir = open(path, O_RDONLY | O_DIRECTORY);
	CHECK(dir >= 0 && waitpid(pid, NULL, 0) == pid);
	FAILS(open(path, O_RDONLY), ENOENT);
	FAILS(openat(dir, "status", O_RDONLY), ESRCH);
}

static void others(void)
{
	if (getuid() != 0)
		return;
	char path[64], target[64];
	pid_t pid = getpid();
	pid_t child = fork();
	if (child == 0) {
		CHECK(setgid(12345) == 0 && setuid(12345) == 0);
		snprintf(path, sizeof path, "/proc/%d/environ", pid);
		FAILS(open(path, O_RDONLY), EACCES);
		snprintf(path, sizeof path, "/proc/%d/mem", pid);
		FAILS(open(path, O_RDONLY), EACCES);
		snprintf(path, sizeof path, "/proc/%d/exe", pid);
		FAILS(readlink(path, target, sizeof target), EACCES);
		snprintf(path, sizeof path, "/proc/%d/fd", pid);
		FAILS(open(path, O_RDONLY | O_DIRECTORY), EACCES);
		snprintf(path, sizeof path, "/proc/%d/stat", pid);
		CHECK(slurp(path) > 50);
		FAILS(open("/proc/sys/kernel/hostname", O_WRONLY), EACCES);
		FAILS(open("/proc/self/oom_score_adj", O_WRONLY), EACCES); /* root's: not dumpable since setuid */
		_exit(0);
	}
	int status;
	CHECK(waitpid(child, &status, 0) == child && status == 0);
}

static void limits_and_knobs(void)
{
	struct rlimit limit = { 123, 456 };
	CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	slurp("/proc/self/limits");
	CHECK(strstr(text, "Max open files            123                  456                  files     \n"));
	slurp("/proc/sys/kernel/ostype");
	CHECK(strcmp(text, "Linux\n") == 0);
	char first[64];
	slurp("/proc/sys/kernel/random/uuid");
	memcpy(first, text, 38);
	CHECK(strlen(text) == 37);
	slurp("/proc/sys/kernel/random/uuid");
	CHECK(memcmp(first, text, 37) != 0);
	slurp("/proc/meminfo");
	CHECK(field("MemTotal:") > 1000);
	slurp("/proc/stat");
	CHECK(strncmp(text, "cpu  ", 5) == 0 && strstr(text, "\nbtime "));
	slurp("/proc/cpuinfo");
	int cpus = 0;
	for (char *p = text; (p = strstr(p, "processor\t:")) != NULL; p++)
		cpus++;
	CHECK(cpus == sysconf(_SC_NPROCESSORS_ONLN));
	if (getuid() == 0) {
		int out = open("/proc/self/status", O_WRONLY);
		FAILS(write(out, "x", 1), EINVAL);
		out = open("/proc/version", O_WRONLY);
		FAILS(write(out, "x", 1), EIO);
	}
	int fd = open("/proc/uptime", O_RDONLY);
	char a[32], b[32];
	CHECK(pread(fd, a, sizeof a, 0) > 8 && pread(fd, b, 4, 0) == 4 && memcmp(a, b, 3) == 0);
}

int main(void)
{
	PART(status_of_self);
	PART(stat_of_self);
	PART(links);
	PART(descriptors);
	PART(maps_and_memory);
	PART(threads);
	PART(zombies);
	PART(others);
	PART(limits_and_knobs);
	return 0;
}
