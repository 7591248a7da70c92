/*
 * calls DIRECTORY STEP OFFSET [nodev]: every call that makes, names, changes or removes files, on every kind of object and path, as root and as
 * others; prints what each answers and what it left behind. The output must be the same on every filesystem that is Linux's. Of all cases
 * it runs every STEP-th, from OFFSET on; nothing above DIRECTORY is touched.
 * nodev: no device nodes are to be had here.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define USER 1000
#define OTHER 1001
static int nodev;
static char longname[300], longpath[5000], deep[4200];

static void must(int r, const char *what)
{
	if (r < 0) {
		printf("fixture: %s: %s\n", what, strerrorname_np(errno));
		exit(1);
	}
}
static void mkfile(const char *name, mode_t mode, uid_t uid)
{
	int fd = open(name, O_CREAT | O_EXCL | O_WRONLY, 0600);
	must(fd, name);
	must(write(fd, "0123456789", 10), name);
	close(fd);
	must(chown(name, uid, uid), name);
	must(chmod(name, mode), name);
}
static void mkfolder(const char *name, mode_t mode, uid_t uid)
{
	must(mkdir(name, 0700), name);
	must(chown(name, uid, uid), name);
	must(chmod(name, mode), name);
}
static void fixture(void)
{
	mkfile("file", 0644, 0);
	mkfile("ufile", 0644, USER);
	mkfile("secret", 0600, 0);
	mkfile("suid", 06755, USER);
	mkfile("world", 0666, 0);
	mkfolder("dir", 0755, 0);
	mkfolder("udir", 0755, USER);
	mkfolder("uro", 0555, USER);
	mkfolder("open", 0777, 0);
	mkfolder("full", 0755, 0);
	mkfile("full/x", 0644, 0);
	mkfolder("ufull", 0755, USER);
	mkfile("ufull/x", 0644, 0);
	mkfolder("ufull/d", 0755, 0);
	mkfolder("sticky", 01777, 0);
	mkfile("sticky/other", 0666, OTHER);
	mkfile("sticky/own", 0666, USER);
	mkfolder("sticky/od", 0777, OTHER);
	mkfolder("sgid", 02777, 0);
	must(chown("sgid", 0, OTHER), "sgid");
	must(chmod("sgid", 02777), "sgid");
	mkfolder("nox", 0644, 0);
	mkfile("nox/x", 0644, 0);
	must(symlink("file", "lnk"), "lnk");
	must(symlink("udir", "lnkd"), "lnkd");
	must(symlink("udir/", "lnks"), "lnks");
	must(symlink("missing", "dang"), "dang");
	must(symlink("udir/made", "dangin"), "dangin");
	must(symlink("loop2", "loop1"), "loop1");
	must(symlink("loop1", "loop2"), "loop2");
	must(mkfifo("fifo", 0666), "fifo");
	must(mknod("sock", S_IFSOCK | 0666, 0), "sock");
	if (!nodev)
		must(mknod("null", S_IFCHR | 0666, makedev(1, 3)), "null");
	must(link("ufile", "hard"), "hard");
	char name[16];
	for (int i = 0; i < 41; i++) {
		snprintf(name, sizeof name, "chain%d", i);
		char target[16];
		snprintf(target, sizeof target, i ? "chain%d" : "ufile", i - 1);
		must(symlink(target, name), name);
	}
	must(chown(".", 0, 0), ".");
	must(chmod(".", 0755), ".");
	must(chown("..", 0, 0), "..");
	must(chmod("..", 0755), "..");
}
static void wipe(const char *name)
{
	DIR *d = opendir(name);
	struct dirent *e;
	struct stat s;
	char path[PATH_MAX];
	if (!d)
		return;
	while ((e = readdir(d))) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		snprintf(path, sizeof path, "%s/%s", name, e->d_name);
		if (lstat(path, &s) == 0 && S_ISDIR(s.st_mode)) {
			wipe(path);
			rmdir(path);
		} else
			unlink(path);
	}
	closedir(d);
}

static const char *const PATHS[] = { "file", "ufile", "secret", "suid", "world", "dir", "udir", "uro", "open", "full", "ufull", "ufull/x", "ufull/d", "full/x",
	"sticky/other", "sticky/own", "sticky/od", "sgid/new", "nox/x", "nox/new", "lnk", "lnkd", "lnkd/", "lnks", "dang", "dang/", "dangin", "loop1", "loop1/x", "fifo",
	"sock", "null", "hard", "chain39", "chain40", "missing", "missing/", "missing/x", "udir/new", "udir/new/", "uro/new", "open/new", "file/", "file/x", "ufile/.", "fifo/x",
	".", "..", "dir/.", "udir/..", "udir//new", "./udir/./new", "udir/../open/new", "", (char *)8, longname, longpath, deep };
#define COUNT(a) ((int)(sizeof(a) / sizeof(a)[0]))
static const char *show(const char *p)
{
	return p == (char *)8 ? "(bad)" : p == longname ? "(long name)" : p == longpath ? "(long path)" : p == deep ? "(deep)" : *p ? p : "(empty)";
}

struct call {
	const char *name;
	int (*run)(const char *path);
};
#define CALL(id, expr) static int run_##id(const char *p) { return expr; }
static int opened(int fd)
{
	if (fd >= 0) {
		/* What may be done with it, and where it is. */
		char c;
		int e, r = pread(fd, &c, 1, 0);
		printf(" read=%s", r < 0 ? strerrorname_np(errno) : r ? "1" : "0");
		r = write(fd, "", 0);
		printf(" write=%s", r < 0 ? strerrorname_np(errno) : "0");
		r = ftruncate(fd, 4);
		e = errno;
		printf(" ftruncate=%s", r < 0 ? strerrorname_np(e) : "0");
		r = fchmod(fd, 0751);
		printf(" fchmod=%s", r < 0 ? strerrorname_np(errno) : "0");
		close(fd);
		return 0;
	}
	return fd;
}
static const struct timespec THEN[2] = { { 1000000, 5 }, { 2000000, 6 } };
static const struct timespec NOW[2] = { { 0, UTIME_NOW }, { 0, UTIME_NOW } };
static const struct timespec OMIT[2] = { { 0, UTIME_OMIT }, { 0, UTIME_OMIT } };
static const struct timespec WRONG[2] = { { 0, 1000000000 }, { 0, 0 } };
CALL(chmod, chmod(p, 07654))
CALL(chmod_sgid, chmod(p, 02755))
CALL(lchmod, fchmodat(AT_FDCWD, p, 0711, AT_SYMLINK_NOFOLLOW))
CALL(chown_same, chown(p, -1, -1))
CALL(chown_user, chown(p, USER, USER))
CALL(chown_group, chown(p, -1, 2000))
CALL(chown_foreign, chown(p, -1, OTHER))
CALL(lchown, lchown(p, USER, 2000))
CALL(mkdir, mkdir(p, 07777))
CALL(mkfifo, mkfifo(p, 0666))
CALL(mknod_reg, mknod(p, S_IFREG | 04755, 0))
CALL(mknod_none, mknod(p, 0640, 0))
CALL(mknod_dir, mknod(p, S_IFDIR | 0755, 0))
CALL(mknod_sock, mknod(p, S_IFSOCK | 0755, 0))
CALL(rmdir, rmdir(p))
CALL(unlink, unlink(p))
CALL(remove_as_dir, unlinkat(AT_FDCWD, p, AT_REMOVEDIR))
CALL(symlink, symlink("anywhere", p))
CALL(truncate, truncate(p, 5))
CALL(truncate_minus, truncate(p, -1))
CALL(truncate_grow, truncate(p, 12345))
CALL(utimens_then, utimensat(AT_FDCWD, p, THEN, 0))
CALL(utimens_now, utimensat(AT_FDCWD, p, NOW, 0))
CALL(utimens_null, utimensat(AT_FDCWD, p, NULL, 0))
CALL(utimens_omit, utimensat(AT_FDCWD, p, OMIT, 0))
CALL(utimens_wrong, utimensat(AT_FDCWD, p, WRONG, 0))
CALL(utimens_link, utimensat(AT_FDCWD, p, THEN, AT_SYMLINK_NOFOLLOW))
CALL(access_r, access(p, R_OK))
CALL(access_w, access(p, W_OK))
CALL(access_x, access(p, X_OK))
CALL(open_r, opened(open(p, O_RDONLY | O_NONBLOCK)))
CALL(open_w, opened(open(p, O_WRONLY | O_NONBLOCK)))
CALL(open_rw, opened(open(p, O_RDWR | O_NONBLOCK)))
CALL(open_trunc, opened(open(p, O_WRONLY | O_TRUNC | O_NONBLOCK)))
CALL(open_trunc_r, open(p, O_RDONLY | O_TRUNC | O_NONBLOCK) < 0 ? -1 : 0)
CALL(open_creat, opened(open(p, O_CREAT | O_RDWR | O_NONBLOCK, 0624)))
CALL(open_excl, opened(open(p, O_CREAT | O_EXCL | O_RDWR, 06777)))
CALL(open_nofollow, opened(open(p, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)))
CALL(open_creat_nofollow, opened(open(p, O_CREAT | O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0600)))
CALL(open_dir, opened(open(p, O_RDONLY | O_DIRECTORY)))
CALL(open_dir_w, opened(open(p, O_RDWR | O_DIRECTORY)))
CALL(open_path, opened(open(p, O_PATH)))
CALL(open_path_nofollow, opened(open(p, O_PATH | O_NOFOLLOW)))
CALL(open_noatime, opened(open(p, O_RDONLY | O_NOATIME | O_NONBLOCK)))
CALL(open_tmpfile, opened(open(p, O_TMPFILE | O_RDWR, 0640)))
CALL(open_tmpfile_r, opened(open(p, O_TMPFILE | O_RDONLY, 0640)))
CALL(open_none, opened(open(p, 3)))
CALL(chdir, chdir(p))
static int run_readlink(const char *p)
{
	char b[100];
	int n = readlink(p, b, sizeof b);
	if (n > 0)
		printf(" %.*s", n, b);
	return n;
}
static int run_stat(const char *p)
{
	struct stat s;
	int r = stat(p, &s);
	if (r == 0)
		printf(" %o %ld", s.st_mode, S_ISDIR(s.st_mode) || S_ISLNK(s.st_mode) ? 0L : (long)s.st_size);
	return r;
}
#define ROW(id) { #id, run_##id }
static const struct call ONE[] = { ROW(chmod), ROW(chmod_sgid), ROW(lchmod), ROW(chown_same), ROW(chown_user), ROW(chown_group), ROW(chown_foreign), ROW(lchown), ROW(mkdir),
	ROW(mkfifo), ROW(mknod_reg), ROW(mknod_none), ROW(mknod_dir), ROW(mknod_sock), ROW(rmdir), ROW(unlink), ROW(remove_as_dir), ROW(symlink), ROW(truncate), ROW(truncate_minus),
	ROW(truncate_grow), ROW(utimens_then), ROW(utimens_now), ROW(utimens_null), ROW(utimens_omit), ROW(utimens_wrong), ROW(utimens_link), ROW(access_r),
	ROW(access_w), ROW(access_x), ROW(open_r), ROW(open_w), ROW(open_rw), ROW(open_trunc), ROW(open_trunc_r), ROW(open_creat), ROW(open_excl), ROW(open_nofollow),
	ROW(open_creat_nofollow), ROW(open_dir), ROW(open_dir_w), ROW(open_path), ROW(open_path_nofollow), ROW(open_noatime), ROW(open_tmpfile), ROW(open_tmpfile_r), ROW(open_none),
	ROW(chdir), ROW(readlink), ROW(stat) };

static const char *const PAIRS[] = { "file", "ufile", "hard", "udir", "udir/new", "ufull", "ufull/d", "ufull/x", "full", "full/x", "sticky/other", "sticky/own", "sticky/od", "uro/new",
	"nox/new", "lnk", "lnkd", "lnkd/", "dang", "loop1", "fifo", "missing", "open/new", "open/new/", "open", "file/x", "open/..", "open/.", ".", "", (char *)8, longname, "udir/sub/x" };
struct pair {
	const char *name;
	int (*run)(const char *from, const char *to);
};
#define PAIR(id, expr) static int run2_##id(const char *a, const char *b) { return expr; }
PAIR(link, link(a, b))
PAIR(link_follow, linkat(AT_FDCWD, a, AT_FDCWD, b, AT_SYMLINK_FOLLOW))
PAIR(rename, rename(a, b))
PAIR(rename_noreplace, renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_NOREPLACE))
PAIR(rename_exchange, renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE))
#define ROW2(id) { #id, run2_##id }
static const struct pair TWO[] = { ROW2(link), ROW2(link_follow), ROW2(rename), ROW2(rename_noreplace), ROW2(rename_exchange) };

/* Effective ids only, and with them the capabilities: root comes back. */
static void become(uid_t uid)
{
	gid_t groups[] = { 2000 };
	if (uid == 0)
		must(seteuid(0), "seteuid");
	must(setgroups(uid ? 1 : 0, groups), "setgroups");
	must(setegid(uid), "setegid");
	must(seteuid(uid), "seteuid");
}
/* What is there afterwards, as far as a call may have changed it. */
static unsigned long digest(const char *name)
{
	unsigned long h = 5381;
	DIR *d = opendir(name);
	struct dirent **list;
	if (d)
		closedir(d);
	int n = scandir(name, &list, NULL, alphasort);
	for (int i = 0; i < n; i++) {
		const char *e = list[i]->d_name;
		if (strcmp(e, ".") && strcmp(e, "..")) {
			char path[600], line[900];
			struct stat s;
			snprintf(path, sizeof path, "%s/%s", name, e);
			if (lstat(path, &s) == 0) {
				long then = s.st_mtime == 2000000 ? 1 : 0;
				snprintf(line, sizeof line, "%s %o %d %d %ld %ld %ld", path, s.st_mode, s.st_uid, s.st_gid,
					S_ISDIR(s.st_mode) ? 0L : (long)s.st_nlink, S_ISREG(s.st_mode) ? (long)s.st_size : 0L, then);
				for (char *c = line; *c; c++)
					h = h * 33 + (unsigned char)*c;
				if (S_ISDIR(s.st_mode))
					h = h * 33 + digest(path);
			}
		}
		free(list[i]);
	}
	if (n >= 0)
		free(list);
	return h;
}
static unsigned long state(void)
{
	struct stat s, above;
	if (stat(".", &s) != 0 || stat("..", &above) != 0)
		return 0;
	unsigned long own = s.st_mode * 31 + s.st_uid * 7 + s.st_gid + above.st_mode * 131 + above.st_uid * 17 + above.st_gid;
	return (digest(".") * 33 + own) & 0xffffffff;
}
static void settled(int dirfd, int r, int error)
{
	become(0);
	must(fchdir(dirfd), "fchdir");
	printf(" = %s [%lx]\n", r < 0 ? strerrorname_np(error) : "0", state());
}
/* The folder is made anew only after a call that changed it. */
static unsigned long fresh;
static void prepare(void)
{
	if (fresh != 0 && state() == fresh)
		return;
	wipe(".");
	fixture();
	fresh = state();
}

int main(int argc, char **argv)
{
	if (argc < 4 || chdir(argv[1]) != 0)
		return 2;
	int step = atoi(argv[2]), number = -atoi(argv[3]);
	nodev = argc > 4 && !strcmp(argv[4], "nodev");
	setvbuf(stdout, NULL, _IOFBF, 1 << 16);
	umask(022);
	memset(longname, 'n', 256);
	memset(longpath, 'p', 4200);
	for (int i = 0; i < 2000; i++)
		strcat(deep, "./");
	strcat(deep, "ufile");
	if (mkdir("calls", 0755) != 0 || chdir("calls") != 0)
		return 2;
	int here = open(".", O_RDONLY | O_DIRECTORY);
	static const uid_t users[] = { 0, USER };
	for (int u = 0; u < COUNT(users); u++) {
		for (int c = 0; c < COUNT(ONE); c++)
			for (int p = 0; p < COUNT(PATHS); p++) {
				if (number++ % step != 0)
					continue;
				if (nodev && PATHS[p] != (char *)8 && !strcmp(PATHS[p], "null"))
					continue;
				prepare();
				printf("%d %s %s", users[u], ONE[c].name, show(PATHS[p]));
				become(users[u]);
				int r = ONE[c].run(PATHS[p]);
				settled(here, r, errno);
			}
		for (int c = 0; c < COUNT(TWO); c++)
			for (int a = 0; a < COUNT(PAIRS); a++)
				for (int b = 0; b < COUNT(PAIRS); b++) {
					if (number++ % step != 0)
						continue;
					prepare();
					printf("%d %s %s %s", users[u], TWO[c].name, show(PAIRS[a]), show(PAIRS[b]));
					become(users[u]);
					int r = TWO[c].run(PAIRS[a], PAIRS[b]);
					settled(here, r, errno);
				}
	}
	if (chdir("..") == 0) {
		wipe("calls");
		rmdir("calls");
	}
	return 0;
}
