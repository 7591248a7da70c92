/* Shared subtrees: what is mounted on shared, slave, private and unbindable mounts, where it shows, and what mountinfo says. */
#define _GNU_SOURCE
#include "check.h"
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

static char base[] = "/tmp/prop-XXXXXX";
static void at(const char *name) { CHECK(mkdir(name, 0755) == 0); }
static void bind(const char *from, const char *to) { CHECK(mount(from, to, NULL, MS_BIND, NULL) == 0); }
static void kind(const char *where, unsigned long how) { CHECK(mount(NULL, where, NULL, how, NULL) == 0); }
static void tmp(const char *where) { CHECK(mount("x", where, "tmpfs", 0, NULL) == 0); }

struct entry {
	char point[200], fields[3][40];
	int count;
};
static int by_point(const void *a, const void *b)
{
	int order = strcmp(((const struct entry *)a)->point, ((const struct entry *)b)->point);
	return order ? order : strcmp(((const struct entry *)a)->fields[0], ((const struct entry *)b)->fields[0]);
}
/* Which of the places below the base are mounts, with their optional fields; groups are numbered as they appear. */
static void show(const char *what)
{
	static struct entry entries[100];
	char line[4096], *rest;
	long groups[64];
	int count = 0, known = 0;
	FILE *f = fopen("/proc/self/mountinfo", "r");
	while (fgets(line, sizeof line, f)) {
		char point[4096];
		if (sscanf(line, "%*d %*d %*s %*s %4095s", point) != 1 || strncmp(point, base, strlen(base)) || !(rest = strstr(line, " - ")))
			continue;
		*rest = 0;
		struct entry *e = &entries[count++];
		memset(e, 0, sizeof *e);
		snprintf(e->point, sizeof e->point, "%s", point + strlen(base));
		for (char *word = strtok(line, " "); word; word = strtok(NULL, " "))
			if (e->count < 3 && (!strcmp(word, "unbindable") || !strncmp(word, "shared:", 7) || !strncmp(word, "master:", 7)))
				snprintf(e->fields[e->count++], 40, "%s", word);
	}
	fclose(f);
	qsort(entries, count, sizeof *entries, by_point);
	printf("%s:", what);
	for (struct entry *e = entries; e < entries + count; e++) {
		printf(" %s", e->point);
		for (int i = 0; i < e->count; i++) {
			char *colon = strchr(e->fields[i], ':');
			long id = colon ? atol(colon + 1) : 0;
			int n = 0;
			while (colon && n < known && groups[n] != id)
				n++;
			if (colon && n == known)
				groups[known++] = id;
			printf(colon ? "(%.6s %d)" : "(%s)", e->fields[i], n);
		}
	}
	printf("\n");
}

static void put(const char *file, const char *text)
{
	int fd = open(file, O_WRONLY);
	CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

int main(void)
{
	CHECK(mkdtemp(base));
	CHECK(unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0);
	put("/proc/self/uid_map", "0 0 1");
	put("/proc/self/setgroups", "deny");
	put("/proc/self/gid_map", "0 0 1");
	CHECK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	tmp(base);
	CHECK(chdir(base) == 0);
	at("a"), at("b"), at("c"), at("d"), at("e");
	tmp("a");
	at("a/x"), at("a/y"), at("a/z");
	kind("a", MS_SHARED);
	show("shared");
	bind("a", "b");
	bind("a", "c");
	kind("c", MS_SLAVE);
	bind("c", "d");
	kind("d", MS_SHARED);
	bind("a", "e");
	kind("e", MS_PRIVATE);
	show("five kinds");
	tmp("a/x");
	show("on a peer");
	tmp("c/y");
	show("on a slave");
	tmp("d/y");
	show("on a shared slave");
	bind("d", "e/z");
	show("bound below a private one");
	CHECK(umount("e/z") == 0);
	at("b/x/in");
	tmp("b/x/in");
	show("on what was propagated");
	FAILS(umount("a/x"), EBUSY);
	CHECK(umount("a/x/in") == 0);
	show("taken away");
	CHECK(umount2("b/x", MNT_DETACH) == 0);
	show("detached at the other peer");
	at("u");
	kind(base, MS_UNBINDABLE);
	show("unbindable");
	FAILS(mount(base, "u", NULL, MS_BIND, NULL), EINVAL);
	kind(base, MS_PRIVATE);
	tmp("u");
	at("u/from"), at("u/to");
	tmp("u/from");
	CHECK(mount("u/from", "u/to", NULL, MS_MOVE, NULL) == 0);
	show("moved");
	kind("u", MS_SHARED);
	FAILS(mount("u/to", "u/from", NULL, MS_MOVE, NULL), EINVAL);
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		CHECK(unshare(CLONE_NEWNS) == 0);
		tmp("a/z");
		CHECK(umount("u/to") == 0);
		_exit(0);
	}
	int status;
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	show("from another namespace");
	kind(base, MS_REC | MS_PRIVATE);
	show("all private");
	CHECK(chdir("/") == 0 && umount2(base, MNT_DETACH) == 0 && rmdir(base) == 0);
	return 0;
}
