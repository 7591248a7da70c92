/*
 * mount_setattr(2) MOUNT_ATTR_IDMAP: who may map what, and what owners, permissions, lists and capabilities are through such a mount.
 * Every answer is printed: the host's Linux and the sandbox must print the same. With an argument: a directory of a filesystem to
 * do it in, else a tmpfs.
 */
#include "../conformance/check.h"
#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/mount.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#ifndef MOUNT_ATTR_IDMAP
#define MOUNT_ATTR_IDMAP 0x00100000
#endif
#ifndef SYS_mount_setattr
#define SYS_mount_setattr 442
#endif

struct attr {
	uint64_t set, clear, propagation, userns;
};
static char top[256], plain[300], seen[300];

static const char *outcome(long result)
{
	static char text[32];
	if (result >= 0)
		return "ok";
	snprintf(text, sizeof text, "%s", strerrorname_np(errno));
	return text;
}
#define SHOW(expression) printf("%s: %s\n", #expression, outcome((long)(expression)))

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);
	CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) && close(fd) == 0);
}

/* a user namespace with these maps; NULL: without any */
static int namespace_of(const char *uids, const char *gids)
{
	int ready[2];
	char path[64], byte;
	CHECK(pipe(ready) == 0);
	pid_t pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		CHECK(unshare(CLONE_NEWUSER) == 0 && write(ready[1], "x", 1) == 1);
		for (;;)
			pause();
	}
	CHECK(read(ready[0], &byte, 1) == 1 && close(ready[0]) == 0 && close(ready[1]) == 0);
	if (uids != NULL) {
		snprintf(path, sizeof path, "/proc/%d/uid_map", pid);
		put(path, uids);
		snprintf(path, sizeof path, "/proc/%d/gid_map", pid);
		put(path, gids);
	}
	snprintf(path, sizeof path, "/proc/%d/ns/user", pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	CHECK(fd >= 0 && kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid);
	return fd;
}

static int clone_of(const char *path, int flags)
{
	return syscall(SYS_open_tree, AT_FDCWD, path, flags | OPEN_TREE_CLONE | O_CLOEXEC);
}
static int map_tree(int tree, int flags, int userns)
{
	struct attr attr = {.set = MOUNT_ATTR_IDMAP, .userns = userns};
	return syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH | flags, &attr, sizeof attr);
}
static int place_tree(int tree, const char *path)
{
	return syscall(SYS_move_mount, tree, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH);
}

static const char *at(const char *directory, const char *name)
{
	static char paths[4][600];
	static int next;
	char *path = paths[next++ % 4];
	snprintf(path, sizeof paths[0], "%s/%s", directory, name);
	return path;
}
static const char *in(const char *name) { return at(plain, name); }
static const char *on(const char *name) { return at(seen, name); }

/* owner and mode on both sides */
static void owner(const char *name)
{
	struct stat below, above;
	struct statx wide;
	if (lstat(in(name), &below) != 0) {
		printf("  %s: %s\n", name, outcome(-1));
		return;
	}
	CHECK(lstat(on(name), &above) == 0);
	CHECK(statx(AT_FDCWD, on(name), AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &wide) == 0);
	CHECK(wide.stx_uid == above.st_uid && wide.stx_gid == above.st_gid);
	printf("  %s: %u:%u seen as %u:%u, %o\n", name, below.st_uid, below.st_gid, above.st_uid, above.st_gid, above.st_mode);
}
static int file(const char *path, mode_t mode)
{
	int fd = open(path, O_CREAT | O_EXCL | O_RDWR, mode);
	if (fd >= 0)
		CHECK(fchmod(fd, mode) == 0 && close(fd) == 0);
	return fd;
}
static void file_of(const char *name, uid_t uid, gid_t gid, mode_t mode)
{
	CHECK(file(in(name), mode) >= 0 && chown(in(name), uid, gid) == 0 && chmod(in(name), mode) == 0);
}
static int opens(const char *path, int flags)
{
	int fd = open(path, flags);
	if (fd >= 0)
		close(fd);
	return fd;
}

static void become(uid_t uid, gid_t gid)
{
	gid_t groups[] = {10600};
	CHECK(setgroups(1, groups) == 0 && setresgid(gid, gid, gid) == 0 && setresuid(uid, uid, uid) == 0);
}
#define AS(uid, gid, block)                                                                                       \
	do {                                                                                                      \
		fflush(stdout);                                                                                   \
		pid_t pid_ = fork();                                                                              \
		CHECK(pid_ >= 0);                                                                                 \
		if (pid_ == 0) {                                                                                  \
			become(uid, gid);                                                                         \
			printf("as %d:%d\n", uid, gid);                                                           \
			block fflush(stdout);                                                                     \
			_exit(0);                                                                                 \
		}                                                                                                 \
		int status_;                                                                                      \
		CHECK(waitpid(pid_, &status_, 0) == pid_ && status_ == 0);                                        \
	} while (0)

#define MAP "0 10000 1000\n"

static void who_may_map(void)
{
	int map = namespace_of(MAP, MAP), empty = namespace_of(NULL, NULL);
	int tree = clone_of(plain, 0);
	CHECK(map >= 0 && empty >= 0 && tree >= 0);
	int net = open("/proc/self/ns/net", O_RDONLY), text = open("/proc/self/maps", O_RDONLY);
	SHOW(map_tree(tree, 0, -1));
	SHOW(map_tree(tree, 0, 999));
	SHOW(map_tree(tree, 0, text));
	SHOW(map_tree(tree, 0, net));
	SHOW(map_tree(tree, 0, empty));
	struct attr clear = {.clear = MOUNT_ATTR_IDMAP, .userns = map};
	SHOW(syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &clear, sizeof clear));
	struct attr both = {.set = MOUNT_ATTR_IDMAP | MOUNT_ATTR_NOEXEC, .userns = map};
	int writer = openat(tree, "busy", O_CREAT | O_WRONLY, 0600);
	CHECK(writer >= 0);
	SHOW(map_tree(tree, 0, map));
	close(writer);
	SHOW(syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &both, sizeof both));
	SHOW(map_tree(tree, 0, map));
	struct attr quiet = {.set = MOUNT_ATTR_RDONLY};
	SHOW(syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &quiet, sizeof quiet));
	close(tree);
	SHOW(unlink(in("busy")));
	struct attr placed = {.set = MOUNT_ATTR_IDMAP, .userns = map};
	SHOW(syscall(SYS_mount_setattr, AT_FDCWD, top, 0, &placed, sizeof placed));
	int proc = clone_of("/proc", 0), devices = clone_of("/dev/pts", 0);
	SHOW(map_tree(proc, 0, map));
	SHOW(map_tree(devices, 0, map));
	int again = clone_of(plain, 0);
	AS(10500, 10500, {
		SHOW(map_tree(again, 0, map));
		CHECK(unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0);
		SHOW(map_tree(again, 0, map));
	});
}

static void makers(void)
{
	AS(10500, 10501, {
		SHOW(file(on("made"), 0640));
		SHOW(mkdir(on("folder"), 0755));
		SHOW(symlink("made", on("link")));
		SHOW(mkfifo(on("fifo"), 0644));
		SHOW(link(on("made"), on("other")));
		SHOW(rename(on("other"), on("moved")));
		int nameless = open(seen, O_TMPFILE | O_RDWR, 0600);
		SHOW(nameless);
		struct stat st;
		CHECK(nameless < 0 || (fstat(nameless, &st) == 0 && st.st_uid == 10500));
		SHOW(chown(on("made"), 10500, 10600));
		SHOW(chown(on("made"), 10501, -1));
		SHOW(chown(on("made"), -1, 10700));
		SHOW(chmod(on("made"), 02750));
		SHOW(truncate(on("made"), 100));
		SHOW(utimensat(AT_FDCWD, on("made"), NULL, 0));
	});
	const char *names[] = {"made", "folder", "link", "fifo", "moved"};
	for (int i = 0; i < 5; i++)
		owner(names[i]);
	SHOW(file(on("roots"), 0600));
	SHOW(mkdir(on("roots"), 0700));
	SHOW(symlink("x", on("roots")));
	SHOW(mknod(on("roots"), S_IFIFO | 0600, 0));
	SHOW(link(on("made"), on("roots")));
	SHOW(opens(on("made"), O_RDWR));
	SHOW(rename(on("made"), on("roots")));
	SHOW(chown(on("made"), 10003, 10004));
	owner("made");
	SHOW(chown(on("made"), 3, -1));
	SHOW(chown(on("made"), -1, 70000));
	SHOW(chown(on("made"), 0, 0));
	SHOW(chmod(on("made"), 0600));
	SHOW(unlink(on("moved")));
	AS(500, 500, {
		SHOW(file(on("strangers"), 0600));
		SHOW(opens(on("made"), O_RDONLY));
	});
	CHECK(mkdir(in("group"), 0) == 0 && chown(in("group"), 500, 600) == 0 && chmod(in("group"), 02775) == 0);
	AS(10700, 10701, {
		SHOW(file(on("group/inherits"), 0644));
		SHOW(mkdir(on("group/below"), 0755));
	});
	owner("group/inherits");
	owner("group/below");
}

static void permissions(void)
{
	file_of("private", 500, 500, 0600);
	file_of("grouped", 1, 600, 0640);
	file_of("foreign", 2000, 2000, 0666);
	file_of("halfway", 500, 2000, 0666);
	CHECK(mkdir(in("sticky"), 0) == 0 && chmod(in("sticky"), 01777) == 0);
	file_of("sticky/mine", 500, 500, 0666);
	file_of("sticky/foreign", 2000, 2000, 0666);
	owner("private");
	owner("foreign");
	owner("halfway");
	AS(500, 500, {
		SHOW(opens(on("private"), O_RDONLY));
		SHOW(access(on("private"), R_OK));
	});
	AS(10500, 10500, {
		SHOW(opens(on("private"), O_RDWR));
		SHOW(access(on("private"), R_OK | W_OK));
		SHOW(opens(on("private"), O_RDONLY | O_NOATIME));
		SHOW(opens(on("grouped"), O_RDONLY));
		SHOW(opens(on("grouped"), O_RDWR));
		SHOW(opens(on("foreign"), O_RDONLY));
		SHOW(opens(on("foreign"), O_RDWR));
		SHOW(opens(on("foreign"), O_RDONLY | O_NOATIME));
		SHOW(unlink(on("sticky/foreign")));
		SHOW(rename(on("sticky/mine"), on("sticky/yours")));
	});
	AS(10501, 10501, {
		SHOW(unlink(on("sticky/yours")));
		SHOW(link(on("private"), on("sticky/stolen")));
	});
	const char *names[] = {"foreign", "halfway"};
	for (int i = 0; i < 2; i++) {
		const char *name = names[i];
		printf("%s:\n", name);
		SHOW(opens(on(name), O_RDONLY));
		SHOW(opens(on(name), O_RDWR));
		SHOW(access(on(name), W_OK));
		SHOW(chmod(on(name), 0600));
		SHOW(truncate(on(name), 0));
		SHOW(utimensat(AT_FDCWD, on(name), NULL, 0));
		struct timespec times[2] = {{1, 2}, {3, 4}};
		SHOW(utimensat(AT_FDCWD, on(name), times, 0));
		SHOW(link(on(name), on("another")));
		SHOW(rename(on(name), on("another")));
		SHOW(unlink(on(name)));
		SHOW(setxattr(on(name), "user.x", "1", 1, 0));
		SHOW(chown(on(name), 10001, -1));
		SHOW(chown(on(name), -1, 10001));
		SHOW(chown(on(name), 10001, 10001));
		owner(name);
	}
	SHOW(unlink(on("foreign")));
	CHECK(mkdir(in("theirs"), 0777) == 0 && chown(in("theirs"), 2000, 2000) == 0 && chmod(in("theirs"), 0777) == 0);
	AS(10500, 10500, {
		SHOW(file(on("theirs/new"), 0600));
		SHOW(opens(on("theirs"), O_RDONLY | O_DIRECTORY));
	});
}

static void show_bytes(const char *what, const char *path, const char *name)
{
	unsigned char value[256];
	ssize_t n = getxattr(path, name, value, sizeof value);
	printf("  %s: ", what);
	if (n < 0)
		printf("%s", outcome(-1));
	for (ssize_t i = 0; i < n; i++)
		printf("%02x", value[i]);
	printf("\n");
}

struct acl {
	uint32_t version;
	struct {
		uint16_t tag, perm;
		uint32_t id;
	} e[6];
};
static int set_acl(const char *path, const char *name, uint32_t user, uint32_t group)
{
	struct acl acl = {2, {{1, 6, -1}, {2, 4, user}, {4, 0, -1}, {8, 6, group}, {16, 7, -1}, {32, 0, -1}}};
	return setxattr(path, name, &acl, sizeof acl, 0);
}

static void lists(void)
{
	file_of("listed", 1, 1, 0600);
	CHECK(mkdir(in("parent"), 0700) == 0);
	SHOW(set_acl(on("listed"), "system.posix_acl_access", 10500, 10600));
	show_bytes("below", in("listed"), "system.posix_acl_access");
	show_bytes("above", on("listed"), "system.posix_acl_access");
	SHOW(set_acl(on("listed"), "system.posix_acl_access", 500, 10600));
	SHOW(set_acl(on("listed"), "system.posix_acl_access", 10500, 600));
	SHOW(set_acl(on("parent"), "system.posix_acl_default", 10500, 10600));
	show_bytes("below", in("parent"), "system.posix_acl_default");
	AS(10500, 10500, {
		SHOW(opens(on("listed"), O_RDONLY));
		SHOW(opens(on("listed"), O_WRONLY));
	});
	AS(10007, 10007, { SHOW(opens(on("listed"), O_RDWR)); }); /* a member of 10600 */
	AS(500, 500, { SHOW(opens(on("listed"), O_RDONLY)); });
	CHECK(set_acl(in("listed"), "system.posix_acl_access", 500, 2000) == 0);
	show_bytes("above", on("listed"), "system.posix_acl_access");
	SHOW(removexattr(on("listed"), "system.posix_acl_access"));
}

static void privileges(const char *program)
{
	char command[700];
	struct {
		uint32_t magic, data[4], root;
	} caps = {VFS_CAP_REVISION_2, {1 << CAP_NET_RAW, 0, 0, 0}, 10000};
	snprintf(command, sizeof command, "cp %s %s && chmod 755 %s", program, in("program"), in("program"));
	CHECK(system(command) == 0 && chown(in("program"), 700, 701) == 0);
	const char *path = on("program");
	SHOW(setxattr(path, "security.capability", &caps, 20, 0));
	caps.magic = VFS_CAP_REVISION_3;
	SHOW(setxattr(path, "security.capability", &caps, 24, 0));
	show_bytes("below", in("program"), "security.capability");
	show_bytes("above", path, "security.capability");
	caps.root = 3;
	SHOW(setxattr(path, "security.capability", &caps, 24, 0));
	caps.magic = VFS_CAP_REVISION_2;
	SHOW(setxattr(in("program"), "security.capability", &caps, 20, 0));
	show_bytes("below", in("program"), "security.capability");
	show_bytes("above", path, "security.capability");
	fflush(stdout);
	AS(10500, 10500, { execl(in("program"), "program", "show", NULL); });
	AS(10500, 10500, { execl(on("program"), "program", "show", NULL); });
	SHOW(chown(on("program"), 10700, 10701));
	show_bytes("after chown", in("program"), "security.capability");
	SHOW(chmod(on("program"), 06755));
	AS(10500, 10500, { execl(on("program"), "program", "show", NULL); });
	CHECK(chown(in("program"), 2000, 701) == 0 && chmod(in("program"), 06755) == 0);
	AS(10500, 10500, { execl(on("program"), "program", "show", NULL); });
	CHECK(chown(in("program"), 700, 701) == 0 && chmod(in("program"), 06777) == 0);
	AS(10500, 10500, {
		int fd = open(on("program"), O_WRONLY | O_APPEND);
		CHECK(fd >= 0 && write(fd, "x", 1) == 1);
	});
	owner("program");
}

static void show_credentials(void)
{
	uid_t r, e, s;
	gid_t rg, eg, sg;
	struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2];
	getresuid(&r, &e, &s);
	getresgid(&rg, &eg, &sg);
	CHECK(syscall(SYS_capget, &head, data) == 0);
	printf("  %u %u %u, %u %u %u, permitted %x\n", r, e, s, rg, eg, sg, data[0].permitted);
}

/* what mountinfo says of the mount there */
static void options_of(const char *path)
{
	char line[1024], point[512], options[128];
	FILE *info = fopen("/proc/self/mountinfo", "r");
	CHECK(info != NULL);
	while (fgets(line, sizeof line, info) != NULL)
		if (sscanf(line, "%*s %*s %*s %*s %511s %127s", point, options) == 2 && strcmp(point, path) == 0)
			printf("  mountinfo: %s\n", strstr(options, "idmapped") == NULL ? "not mapped" : strstr(options, ",idmapped"));
	fclose(info);
}

static void mounts(void)
{
	struct stat st;
	char copy[300];
	snprintf(copy, sizeof copy, "%s/copy", top);
	CHECK(mkdir(copy, 0755) == 0);
	options_of(seen);
	SHOW(mount(seen, copy, NULL, MS_BIND, NULL));
	options_of(copy);
	CHECK(stat(at(copy, "private"), &st) == 0);
	printf("  %u\n", st.st_uid);
	SHOW(rename(on("private"), at(copy, "private")));
	SHOW(mount(NULL, copy, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL));
	options_of(copy);
	CHECK(unshare(CLONE_NEWNS) == 0);
	CHECK(stat(at(copy, "private"), &st) == 0);
	printf("  %u\n", st.st_uid);
	/* a map that swaps, one that has holes, and users apart from groups */
	int swap = namespace_of("0 500 1\n500 0 1\n", "0 100000 70000\n"), tree = clone_of(plain, 0);
	SHOW(map_tree(tree, 0, swap));
	SHOW(place_tree(tree, copy));
	owner("private");
	CHECK(stat(at(copy, "private"), &st) == 0);
	printf("  %u:%u\n", st.st_uid, st.st_gid);
	CHECK(stat(at(copy, "grouped"), &st) == 0);
	printf("  %u:%u\n", st.st_uid, st.st_gid);
	/* in a user namespace, which names what the map gives */
	fflush(stdout);
	pid_t pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		CHECK(setns(namespace_of("0 10000 1000\n", "0 10000 1000\n"), CLONE_NEWUSER) == 0);
		CHECK(setresgid(0, 0, 0) == 0 && setresuid(0, 0, 0) == 0);
		CHECK(stat(on("private"), &st) == 0);
		printf("  inside: %u:%u\n", st.st_uid, st.st_gid);
		SHOW(file(on("inside"), 0600));
		SHOW(chown(on("inside"), 5, 6));
		SHOW(chown(on("private"), 0, 0));
		SHOW(chown(on("inside"), 2000, 0));
		SHOW(set_acl(on("inside"), "system.posix_acl_access", 7, 8));
		show_bytes("inside", on("inside"), "system.posix_acl_access");
		SHOW(opens(in("grouped"), O_RDONLY));
		SHOW(opens(on("grouped"), O_RDONLY));
		fflush(stdout);
		_exit(0);
	}
	int status;
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	owner("inside");
	owner("private");
	show_bytes("below", in("inside"), "system.posix_acl_access");
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "show") == 0) {
		show_credentials();
		return 0;
	}
	char program[512];
	ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
	CHECK(n > 0);
	program[n] = 0;
	umask(022);
	CHECK(unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	if (argc > 1) {
		CHECK(mount(argv[1], argv[1], NULL, MS_BIND, NULL) == 0);
		snprintf(top, sizeof top, "%s", argv[1]);
	} else {
		strcpy(top, "/tmp/idmapped.XXXXXX");
		CHECK(mkdtemp(top) != NULL && mount("tmpfs", top, "tmpfs", 0, "mode=755") == 0);
	}
	snprintf(plain, sizeof plain, "%s/plain", top);
	snprintf(seen, sizeof seen, "%s/seen", top);
	CHECK(mkdir(plain, 0755) == 0 && mkdir(seen, 0755) == 0 && chown(plain, 500, 500) == 0 && chmod(plain, 0777) == 0);
	PART(who_may_map);
	int tree = clone_of(plain, 0);
	CHECK(map_tree(tree, 0, namespace_of(MAP, MAP)) == 0 && place_tree(tree, seen) == 0 && close(tree) == 0);
	PART(makers);
	PART(permissions);
	PART(lists);
	fflush(stdout);
	privileges(program);
	PART(mounts);
	if (argc == 1)
		CHECK(umount2(top, MNT_DETACH) == 0 && rmdir(top) == 0);
	return 0;
}
