/* FUSE: what a connection goes through: servers that talk nonsense, are slow, die or tell news; clients that are interrupted; mounts of every kind. */
#include "fuse_server.h"
#include <setjmp.h>
#include <poll.h>
#include <sys/time.h>
#include <sys/xattr.h>

static void nonsense(void)
{
	defaults();
	start_server(",default_permissions,allow_other");
	struct stat st;
	for (int how = 1; how <= 4; how++) {
		shared->broken = how;
		FAILS(stat(at("broken"), &st), EIO);
	}
	shared->broken = 5;
	FAILS(stat(at("broken"), &st), ENOENT);
	fill(at("still"), "there");
	expect(at("still"), "there");
	stop_server();
}

static void on_alarm(int signal)
{
	(void)signal;
}

/* A child that does `run`; its pid. */
static pid_t child_doing(void (*run)(void))
{
	fflush(stdout);
	pid_t pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		run();
		_exit(3);
	}
	return pid;
}

static void read_it(void)
{
	char c;
	int fd = open(at("f"), O_RDONLY);
	_exit(fd >= 0 && read(fd, &c, 1) == 1 ? 0 : 4);
}

static void interruptions(void)
{
	defaults();
	start_server(",default_permissions,allow_other");
	fill(at("f"), "content");
	int status;
	/* A server that heeds INTERRUPT */
	shared->interruptible = 1;
	shared->stuck = FUSE_GETXATTR;
	struct sigaction action = { .sa_handler = on_alarm };
	sigaction(SIGALRM, &action, NULL);
	char value[8];
	struct itimerval soon = { { 0, 50000 }, { 0, 50000 } }, never = { { 0, 0 }, { 0, 0 } };
	setitimer(ITIMER_REAL, &soon, NULL);
	FAILS(getxattr(at("f"), "user.x", value, sizeof value), EINTR);
	setitimer(ITIMER_REAL, &never, NULL);
	CHECK(shared->count[FUSE_INTERRUPT] >= 1);
	shared->stuck = 0;
	/* Another one works while somebody waits */
	shared->stuck = FUSE_READ;
	pid_t pid = child_doing(read_it);
	WAIT_FOR(shared->count[FUSE_READ] >= 1);
	struct stat st;
	CHECK(stat(at("f"), &st) == 0 && mkdir(at("d"), 0755) == 0);
	CHECK(waitpid(pid, &status, WNOHANG) == 0);
	/* SIGKILL ends a wait whose server heeds it */
	CHECK(kill(pid, SIGKILL) == 0);
	CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	shared->stuck = 0;
	expect(at("f"), "content");
	stop_server();
}

static void death(void)
{
	int status;
	struct stat st;
	/* While somebody waits */
	defaults();
	start_server(",default_permissions,allow_other");
	fill(at("f"), "content");
	shared->stuck = FUSE_READ;
	int open_before = open(at("f"), O_RDONLY);
	CHECK(open_before >= 0);
	pid_t pid = child_doing(read_it);
	WAIT_FOR(shared->count[FUSE_READ] >= 1);
	CHECK(kill(server_pid, SIGKILL) == 0 && waitpid(server_pid, &status, 0) == server_pid);
	CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 4);
	FAILS(stat(at("other"), &st), ENOTCONN);
	FAILS(open(at("g"), O_CREAT | O_WRONLY, 0600), ENOTCONN);
	char c;
	FAILS(pread(open_before, &c, 1, 0), ENOTCONN);
	FAILS(umount2(mountpoint, 0), EBUSY);
	close(open_before);
	CHECK(umount2(mountpoint, 0) == 0 && rmdir(mountpoint) == 0);
	/* Forced while the server hangs */
	defaults();
	start_server(",default_permissions,allow_other");
	fill(at("f"), "content");
	shared->stuck = FUSE_READ;
	pid = child_doing(read_it);
	WAIT_FOR(shared->count[FUSE_READ] >= 1);
	CHECK(umount2(mountpoint, MNT_FORCE | MNT_DETACH) == 0);
	CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 4);
	CHECK(waitpid(server_pid, &status, 0) == server_pid && status == 0 && shared->ended == ENODEV);
	CHECK(rmdir(mountpoint) == 0);
	/* Lazily: who has something open goes on */
	defaults();
	start_server(",default_permissions,allow_other");
	fill(at("f"), "content");
	int fd = open(at("f"), O_RDONLY);
	CHECK(umount2(mountpoint, MNT_DETACH) == 0);
	char buffer[16];
	CHECK(read(fd, buffer, 16) == 7 && close(fd) == 0);
	CHECK(waitpid(server_pid, &status, 0) == server_pid && status == 0);
	CHECK(rmdir(mountpoint) == 0);
}

static void *churn(void *argument)
{
	long number = (long)argument;
	char name[64], path[256], other[256], buffer[64];
	for (int i = 0; i < 60; i++) {
		snprintf(name, sizeof name, "t%ld-%d", number, i % 7);
		snprintf(path, sizeof path, "%s/%s", mountpoint, name);
		snprintf(other, sizeof other, "%s/shared-%d", mountpoint, i % 3);
		int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0644);
		CHECK(fd >= 0);
		int length = snprintf(buffer, sizeof buffer, "%ld %d", number, i);
		CHECK(write(fd, buffer, length) == length);
		CHECK(close(fd) == 0);
		char back[64];
		fd = open(path, O_RDONLY);
		CHECK(fd >= 0 && read(fd, back, sizeof back) == length && memcmp(back, buffer, length) == 0 && close(fd) == 0);
		/* Everybody's: any of these may lose */
		if (i % 3 == 0)
			CHECK(mkdir(other, 0755) == 0 || errno == EEXIST);
		else if (i % 3 == 1)
			CHECK(rmdir(other) == 0 || errno == ENOENT);
		else {
			struct stat st;
			CHECK(stat(other, &st) == 0 || errno == ENOENT);
		}
		CHECK(unlink(path) == 0);
	}
	return NULL;
}

static void *append(void *argument)
{
	(void)argument;
	char path[256];
	snprintf(path, sizeof path, "%s/log", mountpoint);
	int fd = open(path, O_WRONLY | O_APPEND);
	CHECK(fd >= 0);
	for (int i = 0; i < 100; i++)
		CHECK(write(fd, "0123456789", 10) == 10);
	CHECK(close(fd) == 0);
	return NULL;
}

static void crowds(void)
{
	for (int round = 0; round < 2; round++) {
		defaults();
		shared->threads = 4;
		shared->clone = round;
		if (round == 1)
			shared->entry_valid = shared->attr_valid = 0;
		start_server(",default_permissions,allow_other");
		pthread_t threads[8];
		for (long i = 0; i < 8; i++)
			CHECK(pthread_create(&threads[i], NULL, churn, (void *)i) == 0);
		for (int i = 0; i < 8; i++)
			CHECK(pthread_join(threads[i], NULL) == 0);
		fill(at("log"), "");
		for (int i = 0; i < 4; i++)
			CHECK(pthread_create(&threads[i], NULL, append, NULL) == 0);
		for (int i = 0; i < 4; i++)
			CHECK(pthread_join(threads[i], NULL) == 0);
		struct stat st;
		CHECK(stat(at("log"), &st) == 0 && st.st_size == 4000);
		WAIT_FOR(shared->count[FUSE_RELEASE] == shared->count[FUSE_OPEN] + shared->count[FUSE_CREATE]);
		stop_server();
	}
}

static void forgetting(void)
{
	defaults();
	start_server(",default_permissions,allow_other");
	for (int i = 0; i < 20; i++) {
		char name[16];
		snprintf(name, sizeof name, "f%d", i);
		fill(at(name), "x");
		CHECK(unlink(at(name)) == 0);
	}
	WAIT_FOR(shared->forgotten >= 20);
	/* What is open is kept */
	fill(at("kept"), "kept");
	int fd = open(at("kept"), O_RDONLY);
	CHECK(unlink(at("kept")) == 0);
	fill(at("more"), "x");
	CHECK(unlink(at("more")) == 0);
	uint64_t before = shared->forgotten;
	WAIT_FOR(shared->forgotten > before || shared->forgotten >= 21);
	char buffer[8];
	CHECK(read(fd, buffer, 8) == 4 && close(fd) == 0);
	WAIT_FOR(shared->forgotten >= 22);
	stop_server();
}

static void notify(int code, const void *body, size_t length, const char *name)
{
	struct fuse_out_header head = { .len = sizeof head + length + (name == NULL ? 0 : strlen(name) + 1), .error = code, .unique = 0 };
	struct iovec parts[3] = { { &head, sizeof head }, { (void *)body, length }, { (void *)name, name == NULL ? 0 : strlen(name) + 1 } };
	CHECK(writev(device, parts, 3) == (ssize_t)head.len);
}

static void notifications(void)
{
	defaults();
	shared->entry_valid = shared->attr_valid = 1000;
	shared->open_flags = FOPEN_KEEP_CACHE;
	char text[128];
	start_server_keeping(",default_permissions,allow_other");
	fill(at("f"), "content");
	struct stat st;
	CHECK(stat(at("f"), &st) == 0);
	ino_t ino = st.st_ino;
	uint64_t lookups = shared->count[FUSE_LOOKUP], getattrs = shared->count[FUSE_GETATTR];
	CHECK(stat(at("f"), &st) == 0);
	getattrs = shared->count[FUSE_GETATTR];
	CHECK(stat(at("f"), &st) == 0 && shared->count[FUSE_GETATTR] == getattrs && shared->count[FUSE_LOOKUP] == lookups);
	expect(at("f"), "content");
	uint64_t reads = shared->count[FUSE_READ];
	expect(at("f"), "content");
	CHECK(shared->count[FUSE_READ] == reads);
	struct fuse_notify_inval_inode_out inode = { .ino = ino, .off = 0, .len = 0 };
	notify(FUSE_NOTIFY_INVAL_INODE, &inode, sizeof inode, NULL);
	expect(at("f"), "content");
	CHECK(shared->count[FUSE_READ] > reads);
	lookups = shared->count[FUSE_LOOKUP];
	struct fuse_notify_inval_entry_out entry = { .parent = 1, .namelen = 1 };
	notify(FUSE_NOTIFY_INVAL_ENTRY, &entry, sizeof entry, "f");
	CHECK(stat(at("f"), &st) == 0 && shared->count[FUSE_LOOKUP] == lookups + 1);
	/* What is kept comes back, up to the end of the file */
	expect(at("f"), "content");
	struct fuse_notify_retrieve_out back = { .notify_unique = ~0ull - 7, .nodeid = ino, .offset = 3, .size = 1000 };
	uint64_t replies = shared->count[FUSE_NOTIFY_REPLY];
	notify(FUSE_NOTIFY_RETRIEVE, &back, sizeof back, NULL);
	WAIT_FOR(shared->retrieved_offset == 3);
	CHECK(shared->count[FUSE_NOTIFY_REPLY] == replies + 1);
	CHECK(shared->retrieved_unique == ~0ull - 7 && shared->retrieved_size == 4 && memcmp(shared->retrieved, "tent", 4) == 0);
	back.offset = 5000;
	notify(FUSE_NOTIFY_RETRIEVE, &back, sizeof back, NULL);
	WAIT_FOR(shared->retrieved_offset == 5000);
	CHECK(shared->retrieved_size == 0);
	/* Nonsense */
	struct fuse_out_header bad = { .len = sizeof bad, .error = FUSE_NOTIFY_INVAL_INODE, .unique = 0 };
	FAILS(write(device, &bad, sizeof bad), EINVAL);
	bad.unique = 123456;
	bad.error = 0;
	FAILS(write(device, &bad, sizeof bad), ENOENT);
	bad.len = 1000;
	FAILS(write(device, &bad, sizeof bad), EINVAL);
	FAILS(write(device, &bad, 4), EINVAL);
	/* A buffer that requests might not fit in */
	FAILS(read(device, text, sizeof text), EINVAL);
	CHECK(close(device) == 0);
	stop_server();
}

static sigjmp_buf out_of_file;
static void on_bus(int signal)
{
	(void)signal;
	siglongjmp(out_of_file, 1);
}

/* The server makes a file shorter that is mapped privately: copies beyond its end go, those before it stay. */
static void cut_by_server(void)
{
	defaults();
	start_server_keeping(",default_permissions,allow_other");
	int fd = open(at("f"), O_CREAT | O_RDWR, 0644);
	struct stat st;
	CHECK(fd >= 0 && ftruncate(fd, 3 * 4096) == 0 && fstat(fd, &st) == 0);
	CHECK(signal(SIGBUS, on_bus) != SIG_ERR);
	volatile char *map = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	CHECK(map != MAP_FAILED);
	map[10] = 'a';
	map[4096 * 2 + 10] = 'b';
	shared->cut = 4097;
	struct fuse_notify_inval_inode_out inode = { .ino = st.st_ino, .off = -1 };
	notify(FUSE_NOTIFY_INVAL_INODE, &inode, sizeof inode, NULL);
	CHECK(fstat(fd, &st) == 0 && st.st_size == 4097);
	CHECK(map[10] == 'a');
	if (sigsetjmp(out_of_file, 1) == 0) {
		char gone = map[4096 * 2 + 10];
		fprintf(stderr, "still %c\n", gone);
		CHECK(0);
	}
	CHECK(ftruncate(fd, 3 * 4096) == 0 && map[4096 * 2 + 10] == 0 && map[10] == 'a');
	CHECK(munmap((void *)map, 3 * 4096) == 0 && close(fd) == 0 && close(device) == 0);
	stop_server();
}

static void polls(void)
{
	defaults();
	start_server_keeping(",default_permissions,allow_other");
	fill(at("f"), "content");
	int fd = open(at("f"), O_RDONLY);
	struct pollfd p = { fd, POLLIN, 0 };
	CHECK(poll(&p, 1, 0) == 0);
	shared->revents = POLLIN;
	CHECK(poll(&p, 1, 0) == 1 && p.revents == POLLIN);
	shared->revents = 0;
	pid_t pid = fork();
	if (pid == 0)
		_exit(poll(&p, 1, 10000) == 1 && p.revents == POLLIN ? 0 : 5);
	uint64_t asked = shared->count[FUSE_POLL];
	WAIT_FOR(shared->count[FUSE_POLL] > asked || shared->count[FUSE_POLL] >= 3);
	usleep(20000);
	shared->revents = POLLIN;
	struct fuse_notify_poll_wakeup_out wakeup = { .kh = shared->poll_handle };
	notify(FUSE_NOTIFY_POLL, &wakeup, sizeof wakeup, NULL);
	int status;
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	CHECK(close(fd) == 0 && close(device) == 0);
	stop_server();
	/* A server without it has files that are always ready */
	defaults();
	shared->missing[FUSE_POLL] = 1;
	start_server(",default_permissions,allow_other");
	fill(at("f"), "content");
	fd = open(at("f"), O_RDONLY);
	p = (struct pollfd){ fd, POLLIN | POLLOUT, 0 };
	CHECK(poll(&p, 1, 0) == 1 && p.revents == (POLLIN | POLLOUT) && close(fd) == 0);
	stop_server();
}

static void mounts(void)
{
	defaults();
	start_server(",default_permissions,allow_other");
	CHECK(mkdir(at("d"), 0755) == 0 && mkdir(at("d/on"), 0755) == 0);
	char line[512], path[256];
	FILE *table = fopen("/proc/self/mounts", "r");
	int found = 0;
	while (fgets(line, sizeof line, table) != NULL)
		if (strncmp(line, "test ", 5) == 0 && strstr(line, mountpoint) != NULL) {
			CHECK(strstr(line, " fuse.test ") != NULL);
			CHECK(strstr(line, "user_id=0,group_id=0,default_permissions,allow_other") != NULL);
			found++;
		}
	CHECK(found == 1);
	fclose(table);
	/* Over it, and of a part of it */
	CHECK(mount("over", at("d/on"), "tmpfs", 0, "") == 0);
	fill(at("d/on/t"), "tmpfs");
	expect(at("d/on/t"), "tmpfs");
	CHECK(umount2(at("d/on"), 0) == 0);
	fill(at("d/file"), "bound");
	CHECK(mkdir(at("bind"), 0755) == 0);
	CHECK(mount(at("d"), at("bind"), NULL, MS_BIND, NULL) == 0);
	expect(at("bind/file"), "bound");
	CHECK(umount2(at("bind"), 0) == 0);
	/* Names of open files */
	int fd = open(at("d/file"), O_RDONLY);
	char link[64];
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, path, sizeof path - 1);
	CHECK(n > 0);
	path[n] = 0;
	CHECK(strcmp(path, at("d/file")) == 0);
	int again = open(link, O_RDONLY);
	CHECK(again >= 0 && close(again) == 0 && close(fd) == 0);
	fd = open(at("d"), O_PATH);
	CHECK(openat(fd, "none", O_RDONLY) == -1 && errno == ENOENT);
	close(fd);
	stop_server();
}

#ifndef SYS_fsopen
#define SYS_move_mount 429
#define SYS_fsopen 430
#define SYS_fsconfig 431
#define SYS_fsmount 432
#endif

static void by_descriptors(void)
{
	defaults();
	CHECK(unshare(CLONE_NEWNS) == 0);
	CHECK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	strcpy(mountpoint, "/tmp/tsvisor-fuse-XXXXXX");
	CHECK(mkdtemp(mountpoint) != NULL);
	char number[16];
	snprintf(number, sizeof number, "%d", device);
	int fs = syscall(SYS_fsopen, "fuse", 0);
	CHECK(fs >= 0);
	CHECK(syscall(SYS_fsconfig, fs, 1, "source", "test", 0) == 0);
	CHECK(syscall(SYS_fsconfig, fs, 1, "fd", number, 0) == 0);
	CHECK(syscall(SYS_fsconfig, fs, 1, "rootmode", "40000", 0) == 0);
	CHECK(syscall(SYS_fsconfig, fs, 1, "user_id", "0", 0) == 0);
	CHECK(syscall(SYS_fsconfig, fs, 1, "group_id", "0", 0) == 0);
	CHECK(syscall(SYS_fsconfig, fs, 0, "allow_other", NULL, 0) == 0);
	CHECK(syscall(SYS_fsconfig, fs, 6, NULL, NULL, 0) == 0);
	int mounted = syscall(SYS_fsmount, fs, 0, 0);
	CHECK(mounted >= 0 && close(fs) == 0);
	CHECK(syscall(SYS_move_mount, mounted, "", AT_FDCWD, mountpoint, 4) == 0);
	CHECK(close(mounted) == 0);
	server_pid = fork();
	if (server_pid == 0)
		server_main();
	close(device);
	fill(at("f"), "new way");
	expect(at("f"), "new way");
	stop_server();
}

static void in_user_namespace(void)
{
	defaults();
	uid_t outer = getuid();
	CHECK(unshare(CLONE_NEWUSER) == 0);
	char map[32];
	snprintf(map, sizeof map, "0 %u 1", outer);
	int fd = open("/proc/self/uid_map", O_WRONLY);
	CHECK(fd >= 0 && write(fd, map, strlen(map)) == (ssize_t)strlen(map) && close(fd) == 0);
	fd = open("/proc/self/setgroups", O_WRONLY);
	CHECK(fd >= 0 && write(fd, "deny", 4) == 4 && close(fd) == 0);
	fd = open("/proc/self/gid_map", O_WRONLY);
	CHECK(fd >= 0 && write(fd, map, strlen(map)) == (ssize_t)strlen(map) && close(fd) == 0);
	start_server("");
	fill(at("f"), "mine");
	expect(at("f"), "mine");
	CHECK(shared->last_uid == 0);
	stop_server();
}

int main(void)
{
	become_mounter();
	PART(nonsense);
	PART(interruptions);
	PART(death);
	PART(crowds);
	PART(forgetting);
	PART(notifications);
	PART(cut_by_server);
	PART(polls);
	PART(mounts);
	PART(by_descriptors);
	PART(in_user_namespace);
	return 0;
}
