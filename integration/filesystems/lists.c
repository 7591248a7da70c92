/* "set": gives a tree access control lists. "show": what they grant to whom, and what is made there. In the working directory. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { USER_OBJ = 1, USER = 2, GROUP_OBJ = 4, GROUP = 8, MASK = 16, OTHER = 32 };
struct entry { uint16_t tag, perm; uint32_t id; };
struct acl { uint32_t version; struct entry entries[8]; };

static int give(const char *path, const char *kind, int count, const struct entry *entries)
{
	struct acl acl = { 2, {} };
	char name[40];
	snprintf(name, sizeof name, "system.posix_acl_%s", kind);
	memcpy(acl.entries, entries, count * sizeof *entries);
	return setxattr(path, name, &acl, 4 + count * sizeof *entries, 0);
}
#define GIVE(path, kind, ...) give(path, kind, sizeof (struct entry[]){ __VA_ARGS__ } / sizeof(struct entry), (struct entry[]){ __VA_ARGS__ })
static int make(void)
{
	umask(0);
	if (mkdir("open", 0755) || mkdir("closed", 0755) || mkdir("heir", 0755) || chmod(".", 0755))
		return 1;
	close(open("open/file", O_CREAT | O_WRONLY, 0640));
	close(open("closed/file", O_CREAT | O_WRONLY, 0644));
	return GIVE("open/file", "access", { USER_OBJ, 6, -1 }, { USER, 6, 7 }, { USER, 0, 8 }, { GROUP_OBJ, 4, -1 }, { GROUP, 2, 50 }, { MASK, 6, -1 }, { OTHER, 0, -1 })
		|| GIVE("closed", "access", { USER_OBJ, 7, -1 }, { USER, 0, 7 }, { GROUP_OBJ, 5, -1 }, { MASK, 5, -1 }, { OTHER, 5, -1 })
		|| GIVE("heir", "access", { USER_OBJ, 7, -1 }, { USER, 7, 7 }, { GROUP_OBJ, 5, -1 }, { MASK, 7, -1 }, { OTHER, 5, -1 })
		|| GIVE("heir", "default", { USER_OBJ, 7, -1 }, { USER, 6, 8 }, { GROUP_OBJ, 7, -1 }, { MASK, 7, -1 }, { OTHER, 4, -1 });
}
static void show(const char *path)
{
	static const char *const names[] = { "system.posix_acl_access", "system.posix_acl_default" };
	struct stat s;
	if (stat(path, &s)) {
		printf("%s %s\n", path, strerrorname_np(errno));
		return;
	}
	printf("%s %o %d", path, s.st_mode, s.st_uid);
	for (int n = 0; n < 2; n++) {
		struct acl acl;
		ssize_t r = getxattr(path, names[n], &acl, sizeof acl);
		printf(" %s", r < 0 ? strerrorname_np(errno) : "");
		for (int i = 0; 4 + i * 8 < r; i++)
			printf("%u:%d:%o ", acl.entries[i].tag, (int)acl.entries[i].id, acl.entries[i].perm);
	}
	printf("\n");
}
static void as(uid_t uid, gid_t gid)
{
	static const char *const paths[] = { "open/file", "closed/file", "closed", "heir" };
	char name[40];
	fflush(stdout);
	if (fork() == 0) {
		if (setgroups(0, NULL) || setresgid(gid, gid, gid) || setresuid(uid, uid, uid))
			_exit(1);
		printf("%d:%d", uid, gid);
		for (int i = 0; i < 4; i++)
			for (int flags = O_RDONLY; flags <= O_RDWR; flags++) {
				int fd = open(paths[i], flags);
				printf(" %s", fd < 0 ? strerrorname_np(errno) : "opened");
				close(fd);
			}
		umask(077);
		snprintf(name, sizeof name, "heir/of%d", uid);
		int fd = open(name, O_CREAT | O_EXCL | O_RDWR, 0666);
		printf(" %s\n", fd < 0 ? strerrorname_np(errno) : "made");
		_exit(fflush(stdout));
	}
	wait(NULL);
	snprintf(name, sizeof name, "heir/of%d", uid);
	show(name);
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "set") == 0)
		return make();
	show("open/file"), show("closed"), show("heir");
	as(7, 9), as(8, 50), as(9, 50), as(9, 0), as(10, 9), as(0, 0);
	chmod("open/file", 0604);
	show("open/file");
	as(7, 9);
	umask(027);
	mkdir("heir/sub", 0777);
	mkdir("heir/sub/plain", 0750);
	show("heir/sub"), show("heir/sub/plain");
	printf("%d\n", removexattr("heir", "system.posix_acl_default"));
	mkdir("heir/after", 0777);
	show("heir"), show("heir/after");
	return 0;
}
