/* credentials, capabilities, limits, prctl, scheduling, clocks, seccomp filters. Needs root on both sides. */
#include "check.h"
#include <grp.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/fsuid.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>

static void user_numbers(void)
{
	uid_t r, e, s;
	CHECK(setresuid(1, 2, 3) == 0 && getresuid(&r, &e, &s) == 0 && r == 1 && e == 2 && s == 3);
	CHECK(syscall(SYS_setreuid, -1, 3) == 0 && geteuid() == 3);
	CHECK(syscall(SYS_setuid, 1) == 0 && geteuid() == 1 && getuid() == 1);
	FAILS(syscall(SYS_setuid, 0), EPERM);
	FAILS(syscall(SYS_setgroups, 0, NULL), EPERM);
	CHECK(setfsuid(3) == 1 && setfsuid(-1) == 3 && setfsuid(99) == 3 && setfsuid(-1) == 3);
}

static void groups(void)
{
	gid_t list[3] = { 30, 10, 20 }, back[3];
	CHECK(setgroups(3, list) == 0 && getgroups(0, NULL) == 3 && getgroups(3, back) == 3);
	CHECK(back[0] == 10 && back[1] == 20 && back[2] == 30);
	FAILS(getgroups(2, back), EINVAL);
	CHECK(setresgid(5, 6, 7) == 0 && getgid() == 5 && getegid() == 6);
}

static struct __user_cap_data_struct data[2];
static uint64_t caps(int which)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	CHECK(syscall(SYS_capget, &header, data) == 0);
	return which == 0 ? data[0].effective | (uint64_t)data[1].effective << 32 : data[0].permitted | (uint64_t)data[1].permitted << 32;
}
static void capabilities(void)
{
	struct __user_cap_header_struct header = { .version = 1 };
	FAILS(syscall(SYS_capget, &header, data), EINVAL);
	CHECK(header.version == _LINUX_CAPABILITY_VERSION_3);
	uint64_t all = caps(1);
	CHECK(all != 0 && caps(0) == all);
	CHECK(prctl(PR_SET_KEEPCAPS, 1) == 0 && prctl(PR_GET_KEEPCAPS) == 1 && setresuid(1000, 1000, 1000) == 0);
	CHECK(caps(0) == 0 && caps(1) == all);
	data[0].effective = 1 << CAP_CHOWN;
	data[0].permitted = 1 << CAP_CHOWN | 1 << CAP_SETPCAP;
	data[0].inheritable = 1 << CAP_CHOWN;
	data[1].permitted = 0;
	header.pid = 0;
	CHECK(syscall(SYS_capset, &header, data) == 0 && caps(0) == 1 << CAP_CHOWN);
	data[0].permitted |= 1 << CAP_KILL;
	FAILS(syscall(SYS_capset, &header, data), EPERM);
	CHECK(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_CHOWN, 0, 0) == 0);
	CHECK(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_CHOWN, 0, 0) == 1);
	FAILS(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_SETPCAP, 0, 0), EPERM);
	FAILS(prctl(PR_CAPBSET_DROP, CAP_KILL), EPERM);
	CHECK(prctl(PR_CAPBSET_READ, CAP_CHOWN) == 1);
	FAILS(prctl(PR_CAPBSET_READ, 100), EINVAL);
}

static void process_settings(void)
{
	char name[16];
	CHECK(prctl(PR_SET_NAME, "a name that is too long") == 0 && prctl(PR_GET_NAME, name) == 0 && strcmp(name, "a name that is ") == 0);
	int value = -1;
	CHECK(prctl(PR_SET_PDEATHSIG, SIGUSR1) == 0 && prctl(PR_GET_PDEATHSIG, &value) == 0 && value == SIGUSR1);
	FAILS(prctl(PR_SET_PDEATHSIG, 100), EINVAL);
	CHECK(prctl(PR_GET_DUMPABLE) == 1 && prctl(PR_SET_DUMPABLE, 0) == 0 && prctl(PR_GET_DUMPABLE) == 0);
	FAILS(prctl(PR_SET_DUMPABLE, 2), EINVAL);
	CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0 && prctl(PR_GET_CHILD_SUBREAPER, &value) == 0 && value == 1);
	CHECK(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	      prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
	FAILS(prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0), EINVAL);
	CHECK(prctl(PR_SET_TIMERSLACK, 1000) == 0 && prctl(PR_GET_TIMERSLACK) == 1000);
	CHECK(prctl(PR_GET_SECUREBITS) == 0 && prctl(PR_SET_SECUREBITS, 3) == 0 && prctl(PR_GET_SECUREBITS) == 3);
	FAILS(prctl(PR_SET_SECUREBITS, 0), EPERM);
	FAILS(prctl(12345), EINVAL);
	CHECK(personality(0xffffffff) == 0);
}

static void limits(void)
{
	struct rlimit limit, old;
	CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur <= limit.rlim_max);
	limit.rlim_cur = 20;
	CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	int fd, last = -1;
	while ((fd = dup(1)) >= 0)
		last = fd;
	CHECK(errno == EMFILE && last == 19);
	limit.rlim_cur = limit.rlim_max + 1;
	FAILS(setrlimit(RLIMIT_NOFILE, &limit), EINVAL);
	limit.rlim_cur = limit.rlim_max = 0;
	CHECK(prlimit(0, RLIMIT_CORE, &limit, &old) == 0 && prlimit(0, RLIMIT_CORE, NULL, &old) == 0 && old.rlim_max == 0);
	FAILS(syscall(SYS_getrlimit, 16, &limit), EINVAL);
	CHECK(setresuid(1, 1, 1) == 0);
	limit.rlim_max = 5;
	FAILS(setrlimit(RLIMIT_CORE, &limit), EPERM);
}

static void cpu_time_limit(void)
{
	pid_t pid = fork();
	if (pid == 0) {
		struct rlimit limit = { 1, 2 };
		setrlimit(RLIMIT_CPU, &limit);
		for (;;)
			;
	}
	int status;
	struct rusage usage;
	CHECK(wait4(pid, &status, 0, &usage) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU);
	long used = (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000 + (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1000;
	CHECK(used >= 500 && used < 1900);
}

static void scheduling(void)
{
	struct sched_param param = { 0 };
	CHECK(sched_getscheduler(0) == SCHED_OTHER && sched_getparam(0, &param) == 0 && param.sched_priority == 0);
	CHECK(sched_get_priority_max(SCHED_FIFO) == 99 && sched_get_priority_min(SCHED_RR) == 1 && sched_get_priority_max(SCHED_OTHER) == 0);
	FAILS(sched_get_priority_max(99), EINVAL);
	CHECK(sched_setscheduler(0, SCHED_BATCH, &param) == 0 && sched_getscheduler(0) == SCHED_BATCH);
	param.sched_priority = 1;
	FAILS(sched_setscheduler(0, SCHED_OTHER, &param), EINVAL);
	cpu_set_t set, one;
	CHECK(sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) >= 1);
	CPU_ZERO(&one);
	FAILS(sched_setaffinity(0, sizeof one, &one), EINVAL);
	for (int i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, &set)) {
			CPU_SET(i, &one);
			break;
		}
	CHECK(sched_setaffinity(0, sizeof one, &one) == 0 && sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) == 1);
	CHECK(setpriority(PRIO_PROCESS, 0, 5) == 0 && getpriority(PRIO_PROCESS, 0) == 5);
	CHECK(setresuid(1, 1, 1) == 0);
	FAILS(setpriority(PRIO_PROCESS, 0, -5), EACCES);
	CHECK(sched_yield() == 0);
}

static void clocks(void)
{
	struct timespec a, b, resolution;
	int ids[] = { CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID, CLOCK_MONOTONIC_RAW,
		      CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC_COARSE, CLOCK_BOOTTIME, CLOCK_TAI };
	for (unsigned i = 0; i < sizeof ids / sizeof *ids; i++) {
		CHECK(syscall(SYS_clock_gettime, ids[i], &a) == 0 && syscall(SYS_clock_getres, ids[i], &resolution) == 0);
		CHECK(a.tv_nsec >= 0 && a.tv_nsec < 1000000000 && resolution.tv_sec == 0);
	}
	FAILS(syscall(SYS_clock_gettime, 77, &a), EINVAL);
	/* the system call and the vDSO read the same clock */
	clock_gettime(CLOCK_MONOTONIC, &a);
	syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &b);
	long apart = (b.tv_sec - a.tv_sec) * 1000000000 + b.tv_nsec - a.tv_nsec;
	CHECK(apart >= 0 && apart < 1000000000);
	struct timespec until = b;
	until.tv_nsec += 2000000;
	if (until.tv_nsec >= 1000000000)
		until.tv_sec++, until.tv_nsec -= 1000000000;
	CHECK(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == 0);
	clock_gettime(CLOCK_MONOTONIC, &b);
	CHECK(b.tv_sec > until.tv_sec || b.tv_nsec >= until.tv_nsec);
	until.tv_nsec = -1;
	CHECK(clock_nanosleep(CLOCK_MONOTONIC, 0, &until, NULL) == EINVAL);
	clock_t ticks = times(NULL);
	CHECK(ticks > 0 && sysconf(_SC_CLK_TCK) == 100);
	struct sysinfo info;
	CHECK(sysinfo(&info) == 0 && info.totalram > 0 && info.mem_unit > 0 && info.uptime > 0);
	struct utsname uts;
	CHECK(uname(&uts) == 0 && strcmp(uts.sysname, "Linux") == 0 && strcmp(uts.machine, "x86_64") == 0);
	unsigned char bytes[4096];
	CHECK(getrandom(bytes, sizeof bytes, 0) == sizeof bytes);
	FAILS(getrandom(bytes, 1, 77), EINVAL);
}

static void install(struct sock_filter *filter, unsigned short length)
{
	struct sock_fprog program = { .len = length, .filter = filter };
	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0);
}
static void deny(int call, unsigned verdict)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, verdict),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	install(filter, sizeof filter / sizeof *filter);
}
static volatile int trapped_call, trapped_data;
static void on_trap(int signal, siginfo_t *info, void *context)
{
	(void)signal, (void)context;
	trapped_call = info->si_syscall;
	trapped_data = info->si_errno;
}
static void filters(void)
{
	deny(SYS_getppid, SECCOMP_RET_ERRNO | 77);
	CHECK(syscall(SYS_getppid) == -1 && errno == 77 && getpid() > 0);
	struct sigaction action = { .sa_sigaction = on_trap, .sa_flags = SA_SIGINFO };
	sigaction(SIGSYS, &action, NULL);
	deny(SYS_getuid, SECCOMP_RET_TRAP | 9);
	syscall(SYS_getuid);
	CHECK(trapped_call == SYS_getuid && trapped_data == 9);
	CHECK(prctl(PR_GET_SECCOMP) == 2);
	pid_t pid = fork();
	if (pid == 0) {
		CHECK(syscall(SYS_getppid) == -1 && errno == 77);
		deny(SYS_getgid, SECCOMP_RET_KILL_PROCESS);
		syscall(SYS_getgid);
		_exit(0);
	}
	int status;
	CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
	pid = fork();
	if (pid == 0) {
		CHECK(prctl(PR_SET_SECCOMP, 1) == -1);
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

static void memory_of_others(void)
{
	int fds[2];
	CHECK(pipe(fds) == 0);
	static char secret[] = "left as it was";
	pid_t pid = fork();
	if (pid == 0) {
		strcpy(secret, "in the child..");
		CHECK(write(fds[1], "x", 1) == 1);
		for (;;) {
			asm volatile("" ::: "memory");
			if (strcmp(secret, "changed by it.") == 0)
				_exit(3);
		}
	}
	char c, copy[sizeof secret];
	CHECK(read(fds[0], &c, 1) == 1);
	struct iovec mine = { copy, sizeof copy }, theirs = { secret, sizeof secret };
	CHECK(process_vm_readv(pid, &mine, 1, &theirs, 1, 0) == sizeof copy && strcmp(copy, "in the child..") == 0);
	strcpy(copy, "changed by it.");
	CHECK(process_vm_writev(pid, &mine, 1, &theirs, 1, 0) == sizeof copy);
	int status;
	CHECK(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 3);
}

int main(void)
{
	PART(user_numbers);
	PART(groups);
	PART(capabilities);
	PART(process_settings);
	PART(limits);
	PART(cpu_time_limit);
	PART(scheduling);
	PART(clocks);
	PART(filters);
	PART(memory_of_others);
	return 0;
}
