/* user_namespaces(7): maps, capabilities, what they reach, nsfs */
#include "put.h"
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

static const char *get(const char *path)
{
	static char text[4096];
	int fd = open(path, O_RDONLY);
	CHECK(fd >= 0);
	ssize_t n = read(fd, text, sizeof text - 1);
	CHECK(n >= 0);
	text[n] = 0;
	close(fd);
	return text;
}

static unsigned long long effective(void)
{
	struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2];
	CHECK(syscall(SYS_capget, &head, data) == 0);
	return data[0].effective | (unsigned long long)data[1].effective << 32;
}

/* as user 1000, group 1000 without any other */
static void become_user(void)
{
	CHECK(setgroups(0, NULL) == 0 && setgid(1000) == 0 && setuid(1000) == 0);
	CHECK(prctl(PR_SET_DUMPABLE, 1) == 0); /* its files in /proc are its own again */
	CHECK(effective() == 0);
}

/* unshare -Ur */
static void map_own(void)
{
	CHECK(unshare(CLONE_NEWUSER) == 0);
	CHECK(put("/proc/self/setgroups", "deny") == 0);
	CHECK(put("/proc/self/uid_map", "0 1000 1") == 0);
	CHECK(put("/proc/self/gid_map", "0 1000 1") == 0);
}

/* a namespace with users 0 to 1999, made by somebody with power, as newuidmap does */
static void enter_with_range(int more)
{
	int ready[2], status;
	char c, path[64];
	CHECK(pipe(ready) == 0);
	pid_t pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		CHECK(read(ready[0], &c, 1) == 1);
		snprintf(path, sizeof path, "/proc/%d/uid_map", getppid());
		CHECK(put(path, "0 0 2000") == 0);
		snprintf(path, sizeof path, "/proc/%d/gid_map", getppid());
		CHECK(put(path, "0 0 2000") == 0);
		_exit(0);
	}
	CHECK(unshare(CLONE_NEWUSER | more) == 0);
	CHECK(write(ready[1], "", 1) == 1);
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	CHECK(getuid() == 0 && setgroups(0, NULL) == 0);
}

/* the same user outside of the namespace is out of reach */
static void outside_cannot_be_looked_into(void)
{
	int life[2];
	char c, path[64];
	become_user();
	CHECK(pipe(life) == 0);
	pid_t outside = fork();
	if (outside == 0) {
		close(life[1]);
		CHECK(read(life[0], &c, 1) == 0);
		_exit(0);
	}
	map_own();
	FAILS(ptrace(PTRACE_ATTACH, outside, NULL, NULL), EPERM);
	struct iovec here = { &c, 1 }, there = { &c, 1 };
	FAILS(process_vm_readv(outside, &here, 1, &there, 1, 0), EPERM);
	snprintf(path, sizeof path, "/proc/%d/mem", outside);
	FAILS(open(path, O_RDWR), EACCES);
	int fd = syscall(SYS_pidfd_open, outside, 0);
	FAILS(syscall(SYS_pidfd_getfd, fd, 0, 0), EPERM);
	/* who makes a namespace reaches into it */
	pid_t inside = fork();
	if (inside == 0) {
		close(life[1]);
		CHECK(unshare(CLONE_NEWUSER) == 0);
		CHECK(read(life[0], &c, 1) == 0);
		_exit(0);
	}
	CHECK(process_vm_readv(inside, &here, 1, &there, 1, 0) == 1);
}

static void unmapped_is_nobody(void)
{
	become_user();
	CHECK(unshare(CLONE_NEWUSER) == 0);
	CHECK(getuid() == 65534 && geteuid() == 65534 && getgid() == 65534);
	CHECK(effective() == (1ull << 41) - 1);
	CHECK(strcmp(get("/proc/self/uid_map"), "") == 0);
	FAILS(setuid(0), EINVAL);
	FAILS(setuid(1000), EINVAL);
	FAILS(setgroups(0, NULL), EPERM);
	struct stat st;
	CHECK(stat("/proc/self", &st) == 0 && st.st_uid == 65534);
	/* who has no name cannot make another */
	FAILS(unshare(CLONE_NEWUSER), EPERM);
}

static void maps(void)
{
	become_user();
	CHECK(unshare(CLONE_NEWUSER) == 0);
	FAILS(put("/proc/self/gid_map", "0 1000 1"), EPERM); /* not before setgroups is denied */
	FAILS(put("/proc/self/uid_map", "0 0 1"), EPERM);
	FAILS(put("/proc/self/uid_map", "0 1000 2"), EPERM);
	FAILS(put("/proc/self/uid_map", "0 1000"), EINVAL);
	FAILS(put("/proc/self/uid_map", "0 1000 0"), EINVAL);
	FAILS(put("/proc/self/uid_map", "0 1000 1\n0 1001 1"), EINVAL);
	FAILS(put("/proc/self/setgroups", "maybe"), EINVAL);
	CHECK(strcmp(get("/proc/self/setgroups"), "allow\n") == 0);
	CHECK(put("/proc/self/setgroups", "deny") == 0);
	CHECK(strcmp(get("/proc/self/setgroups"), "deny\n") == 0);
	FAILS(put("/proc/self/setgroups", "allow"), EPERM);
	CHECK(put("/proc/self/uid_map", "0 1000 1\n") == 0);
	FAILS(put("/proc/self/uid_map", "0 1000 1\n"), EPERM); /* once */
	CHECK(put("/proc/self/gid_map", "5 1000 1") == 0);
	CHECK(strcmp(get("/proc/self/uid_map"), "         0       1000          1\n") == 0);
	CHECK(getuid() == 0 && getgid() == 5);
	FAILS(setgroups(0, NULL), EPERM);
	FAILS(setuid(1), EINVAL);
	CHECK(setuid(0) == 0);
}

static void capabilities_end_at_the_namespace(void)
{
	int fd = open("/tmp/owned-by-root", O_CREAT | O_WRONLY, 0600);
	CHECK(fd >= 0);
	close(fd);
	int life[2];
	CHECK(pipe(life) == 0);
	pid_t outside = fork();
	if (outside == 0) { /* it ends with its parent, who may not signal it */
		char c;
		close(life[1]);
		CHECK(read(life[0], &c, 1) == 0);
		_exit(0);
	}
	become_user();
	map_own();
	CHECK(getuid() == 0);
	FAILS(open("/tmp/owned-by-root", O_RDONLY), EACCES);
	FAILS(kill(outside, SIGTERM), EPERM);
	FAILS(sethostname("x", 1), EPERM);
	FAILS(mount("none", "/tmp", "tmpfs", 0, NULL), EPERM);
	FAILS(chown("/tmp/owned-by-root", 0, 0), EPERM);
	struct stat st;
	CHECK(stat("/tmp/owned-by-root", &st) == 0 && st.st_uid == 65534);
	fd = open("/tmp/owned-by-me", O_CREAT | O_RDWR | O_TRUNC, 0600);
	CHECK(fd >= 0 && fstat(fd, &st) == 0 && st.st_uid == 0 && st.st_gid == 0);
	CHECK(fchown(fd, 0, 0) == 0);
	FAILS(fchown(fd, 1, 1), EINVAL);
	FAILS(mknod("/tmp/device", S_IFCHR | 0600, 0x101), EPERM);
	/* ... but within its own namespaces they hold */
	CHECK(unshare(CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNS) == 0);
	CHECK(sethostname("x", 1) == 0);
	CHECK(mount("none", "/tmp", "tmpfs", 0, "size=64k") == 0);
	CHECK(stat("/tmp", &st) == 0 && st.st_uid == 0);
	CHECK(chroot("/tmp") == 0);
	FAILS(unshare(CLONE_NEWUSER), EPERM); /* not from inside chroot */
	exit(0);
}

static void clear_up(void)
{
	unlink("/tmp/owned-by-root");
	unlink("/tmp/owned-by-me");
}

static void mounts_of_others_are_locked(void)
{
	enter_with_range(CLONE_NEWNS);
	CHECK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	CHECK(mount("none", "/mnt", "tmpfs", MS_NOSUID | MS_NODEV, NULL) == 0);
	CHECK(mkdir("/mnt/sub", 0755) == 0 && mount("none", "/mnt/sub", "tmpfs", 0, NULL) == 0);
	CHECK(chmod("/mnt", 0777) == 0);
	become_user();
	CHECK(unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0);
	FAILS(umount("/mnt/sub"), EINVAL);
	FAILS(umount("/mnt"), EINVAL);
	FAILS(mount(NULL, "/mnt", NULL, MS_REMOUNT | MS_BIND, NULL), EPERM);
	CHECK(mount(NULL, "/mnt", NULL, MS_REMOUNT | MS_BIND | MS_NOSUID | MS_NODEV | MS_RDONLY, NULL) == 0);
	FAILS(mount("/mnt", "/tmp", NULL, MS_BIND, NULL), EINVAL);
	CHECK(mount("/mnt", "/tmp", NULL, MS_BIND | MS_REC, NULL) == 0);
	CHECK(umount2("/tmp", MNT_DETACH) == 0);
	CHECK(mount("none", "/tmp", "tmpfs", 0, NULL) == 0);
	CHECK(umount("/tmp") == 0);
}

static int in_child(void *arg)
{
	int *gate = arg;
	char c;
	close(gate[1]);
	CHECK(read(gate[0], &c, 1) == 0);
	CHECK(getuid() == 0 && getgid() == 0 && getpid() == 1);
	CHECK(setgid(7) == 0 && setuid(7) == 0);
	CHECK(getuid() == 7 && effective() == 0);
	return 0;
}

/* newuidmap: the parent has power and writes ranges */
static void parent_writes_ranges(void)
{
	static char stack[65536];
	int gate[2], status;
	CHECK(pipe(gate) == 0);
	pid_t pid = clone(in_child, stack + sizeof stack, CLONE_NEWUSER | CLONE_NEWPID | SIGCHLD, gate);
	CHECK(pid > 0);
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/uid_map", pid);
	CHECK(put(path, "1 100000 1000\n0 0 1\n") == 0);
	CHECK(strcmp(get(path), "         1     100000       1000\n         0          0          1\n") == 0);
	snprintf(path, sizeof path, "/proc/%d/gid_map", pid);
	CHECK(put(path, "0 0 100\n") == 0);
	struct stat st;
	snprintf(path, sizeof path, "/proc/%d/status", pid);
	CHECK(stat(path, &st) == 0);
	close(gate[1]);
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(status == 0);
}

static void links_and_ioctls(void)
{
	struct stat before, after;
	CHECK(stat("/proc/self/ns/user", &before) == 0);
	int old = open("/proc/self/ns/user", O_RDONLY);
	int uts = open("/proc/self/ns/uts", O_RDONLY);
	CHECK(old >= 0 && uts >= 0);
	FAILS(setns(old, CLONE_NEWUSER), EINVAL); /* it is in it */
	int owner = ioctl(uts, NS_GET_USERNS);
	CHECK(owner >= 0 && fstat(owner, &after) == 0 && after.st_ino == before.st_ino);
	become_user();
	map_own();
	CHECK(stat("/proc/self/ns/user", &after) == 0 && after.st_ino != before.st_ino);
	int own = open("/proc/self/ns/user", O_RDONLY);
	CHECK(ioctl(own, NS_GET_NSTYPE) == CLONE_NEWUSER);
	uid_t uid = 7;
	CHECK(ioctl(own, NS_GET_OWNER_UID, &uid) == 0 && uid == 0);
	FAILS(ioctl(own, NS_GET_PARENT), EPERM);
	FAILS(ioctl(own, NS_GET_USERNS), EPERM);
	FAILS(setns(old, CLONE_NEWUSER), EPERM);
	FAILS(setns(uts, CLONE_NEWUTS), EPERM);
	pid_t pid = fork();
	if (pid == 0) {
		CHECK(unshare(CLONE_NEWUSER) == 0);
		int inner = open("/proc/self/ns/user", O_RDONLY);
		FAILS(ioctl(inner, NS_GET_PARENT), EPERM);
		FAILS(setns(own, CLONE_NEWUSER), EPERM);
		_exit(0);
	}
	int status;
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

static void threads_stay_together(void)
{
	CHECK(unshare(CLONE_FS) == 0);
	static char stack[65536];
	pid_t pid = fork();
	if (pid == 0) {
		/* a process of two threads cannot leave */
		int tid = clone((int (*)(void *))pause, stack + sizeof stack,
				CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM, NULL);
		CHECK(tid > 0);
		FAILS(unshare(CLONE_NEWUSER), EINVAL);
		FAILS(syscall(SYS_clone, CLONE_NEWUSER | CLONE_FS | SIGCHLD, 0, 0, 0, 0), EINVAL);
		_exit(0);
	}
	int status;
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

static void credentials_are_translated(void)
{
	int pair[2];
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0); /* by user 0 */
	become_user();
	map_own();
	struct ucred peer;
	socklen_t length = sizeof peer;
	CHECK(getsockopt(pair[0], SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0);
	CHECK(peer.uid == 65534 && peer.gid == 65534);
	int mine[2];
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, mine) == 0);
	CHECK(getsockopt(mine[0], SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 && peer.uid == 0 && peer.gid == 0);
	pid_t pid = fork();
	if (pid == 0)
		_exit(0);
	siginfo_t info;
	CHECK(waitid(P_PID, pid, &info, WEXITED) == 0 && info.si_uid == 0);
	CHECK(strstr(get("/proc/self/status"), "\nUid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\n") != NULL);
}

static void depth_is_limited(void)
{
	int depth = 0;
	for (; depth < 40; depth++) {
		if (unshare(CLONE_NEWUSER) != 0)
			break;
		CHECK(put("/proc/self/uid_map", "0 0 1") == 0);
		CHECK(put("/proc/self/setgroups", "deny") == 0);
		CHECK(put("/proc/self/gid_map", "0 0 1") == 0);
	}
	CHECK(errno == ENOSPC || errno == EUSERS);
	CHECK(depth >= 30 && depth <= 33);
}

int main(void)
{
	PART(unmapped_is_nobody);
	PART(maps);
	PART(capabilities_end_at_the_namespace);
	PART(clear_up);
	PART(mounts_of_others_are_locked);
	PART(parent_writes_ranges);
	PART(links_and_ioctls);
	PART(outside_cannot_be_looked_into);
	PART(threads_stay_together);
	PART(credentials_are_translated);
	PART(depth_is_limited);
	return 0;
}
