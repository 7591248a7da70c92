/* Thousands of calls on a handful of names in every combination that a seed gives: what each answers, line by line. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static unsigned long long state;
static unsigned next(unsigned limit)
{
	state = state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (unsigned)(state >> 33) % limit;
}

static const char *const PARTS[] = { "a", "b", "c", "a", "b", "..", ".", "l" };

static void path(char *out)
{
	int n = 1 + next(3);
	out[0] = 0;
	for (int i = 0; i < n; i++) {
		strcat(out, PARTS[next(8)]);
		if (i + 1 < n)
			strcat(out, next(12) ? "/" : "//");
	}
	if (next(12) == 0)
		strcat(out, "/");
	if (next(200) == 0)
		out[0] = 0;
}

static void tell(const char *call, const char *p, const char *q, long r)
{
	printf("%s %s %s = %ld %s\n", call, p, q, r, r < 0 ? strerrorname_np(errno) : "");
}

static void tell_stat(const char *call, const char *p, long r, const struct stat *s)
{
	if (r < 0)
		tell(call, p, "", r);
	else
		printf("%s %s = %o %ld %d\n", call, p, s->st_mode, S_ISDIR(s->st_mode) ? 0 : (long)s->st_size, S_ISDIR(s->st_mode) ? 0 : (int)s->st_nlink);
}

static const int FLAGS[] = { O_RDONLY, O_WRONLY, O_RDWR, O_RDWR | O_CREAT, O_RDWR | O_CREAT | O_EXCL, O_WRONLY | O_CREAT | O_TRUNC,
	O_RDONLY | O_DIRECTORY, O_RDONLY | O_NOFOLLOW, O_RDWR | O_CREAT | O_NOFOLLOW, O_PATH, O_PATH | O_NOFOLLOW, O_WRONLY | O_APPEND,
	O_RDWR | O_TRUNC, O_RDONLY | O_NOFOLLOW | O_DIRECTORY, O_RDONLY | O_CREAT, O_RDWR | __O_TMPFILE | O_DIRECTORY };

static void open_one(const char *p, int step)
{
	int flags = FLAGS[next(16)];
	int fd = open(p, flags, 0666 & ~next(512));
	printf("open %s %o = %s\n", p, flags, fd < 0 ? strerrorname_np(errno) : "ok");
	if (fd < 0)
		return;
	char text[16];
	sprintf(text, "%d.", step);
	long w = write(fd, text, strlen(text));
	int we = w < 0 ? errno : 0;
	long r = pread(fd, text, sizeof text, 0);
	printf("  write %ld %s read %ld %s\n", w, we ? strerrorname_np(we) : "", r, r < 0 ? strerrorname_np(errno) : "");
	close(fd);
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void list(const char *p)
{
	DIR *d = opendir(p);
	if (!d) {
		tell("list", p, "", -1);
		return;
	}
	char *names[64];
	int n = 0;
	for (struct dirent *e; (e = readdir(d)) && n < 64;) {
		char entry[300];
		sprintf(entry, "%s:%d", e->d_name, e->d_type);
		names[n++] = strdup(entry);
	}
	closedir(d);
	qsort(names, n, sizeof *names, compare);
	printf("list %s =", p);
	for (int i = 0; i < n; i++) {
		printf(" %s", names[i]);
		free(names[i]);
	}
	printf("\n");
}

static void where(void)
{
	char text[4096];
	long r = syscall(SYS_getcwd, text, sizeof text);
	if (r < 0)
		tell("getcwd", "", "", r);
	else
		printf("getcwd = %s\n", text);
}

static void step(int i)
{
	char p[64], q[64], text[256];
	struct stat s;
	long r;
	path(p);
	path(q);
	switch (next(22)) {
	case 0: case 1: case 2:
		open_one(p, i);
		break;
	case 3: case 4:
		tell("mkdir", p, "", mkdir(p, 0777));
		break;
	case 5:
		tell("rmdir", p, "", rmdir(p));
		break;
	case 6:
		tell("unlink", p, "", unlink(p));
		break;
	case 7:
		tell("link", p, q, linkat(AT_FDCWD, p, AT_FDCWD, q, next(2) ? AT_SYMLINK_FOLLOW : 0));
		break;
	case 8: case 9:
		tell("symlink", p, q, symlink(p, q));
		break;
	case 10: case 11: case 12:
		tell("rename", p, q, rename(p, q));
		break;
	case 13:
		tell("noreplace", p, q, syscall(SYS_renameat2, AT_FDCWD, p, AT_FDCWD, q, 1));
		break;
	case 14:
		tell("exchange", p, q, syscall(SYS_renameat2, AT_FDCWD, p, AT_FDCWD, q, 2));
		break;
	case 15:
		r = stat(p, &s);
		tell_stat("stat", p, r, &s);
		break;
	case 16:
		r = lstat(p, &s);
		tell_stat("lstat", p, r, &s);
		break;
	case 17:
		r = readlink(p, text, sizeof text - 1);
		text[r < 0 ? 0 : r] = 0;
		tell("readlink", p, text, r);
		break;
	case 18:
		tell("chmod", p, "", chmod(p, next(8) ? 0777 : next(512)));
		break;
	case 19:
		tell("truncate", p, "", truncate(p, next(100)));
		break;
	case 20:
		if (next(4) == 0)
			tell("chdir", p, "", chdir(p));
		else
			tell("access", p, "", access(p, next(8)));
		where();
		break;
	case 21:
		list(p);
		break;
	}
	if (i % 100 == 99 && chdir("/") != 0) /* out of a directory that is gone */
		abort();
}

/* One sequence in a fresh directory, which is the root: nothing else is within reach. */
static void run(unsigned long long seed, int steps, int uid)
{
	char base[] = "/tmp/names-test-XXXXXX", command[64];
	if (!mkdtemp(base) || chmod(base, 0777) != 0)
		abort();
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		state = seed;
		if (chroot(base) != 0 || chdir("/") != 0)
			abort();
		if (uid && (setresgid(uid, uid, uid) != 0 || setresuid(uid, uid, uid) != 0))
			abort();
		printf("== seed %llu uid %d\n", seed, uid);
		for (int i = 0; i < steps; i++)
			step(i);
		fflush(stdout);
		_exit(0);
	}
	int status;
	waitpid(pid, &status, 0);
	if (status != 0)
		printf("ended with %x\n", status);
	snprintf(command, sizeof command, "rm -rf %s", base);
	if (system(command) != 0)
		abort();
}

int main(int argc, char **argv)
{
	int seeds = argc > 1 ? atoi(argv[1]) : 10;
	int first = argc > 2 ? atoi(argv[2]) : 1;
	umask(022);
	for (int i = first; i < first + seeds; i++)
		run(i, 600, i % 2 ? 0 : 1000);
	return 0;
}
