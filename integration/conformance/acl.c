/* POSIX access control lists: what they grant, how chmod and inheritance move them, and what is refused. */
#define _GNU_SOURCE
#include "check.h"
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#define ACCESS "system.posix_acl_access"
#define DEFAULT "system.posix_acl_default"
enum { USER_OBJ = 1, USER = 2, GROUP_OBJ = 4, GROUP = 8, MASK = 16, OTHER = 32 };
struct entry {
	uint16_t tag, perm;
	uint32_t id;
};
struct acl {
	uint32_t version;
	struct entry entries[8];
};

static void set(const char *path, const char *name, int count, const struct entry *entries)
{
	struct acl acl = { 2, {} };
	memcpy(acl.entries, entries, count * sizeof *entries);
	int r = setxattr(path, name, &acl, 4 + count * sizeof *entries, 0);
	printf("set %s %s: %s\n", path, name + 17, r ? strerrorname_np(errno) : "0");
}
#define SET(path, name, ...) set(path, name, sizeof (struct entry[]){ __VA_ARGS__ } / sizeof(struct entry), (struct entry[]){ __VA_ARGS__ })
static void show(const char *path)
{
	struct stat s;
	lstat(path, &s);
	printf("%s %o", path, s.st_mode);
	static const char *const names[] = { ACCESS, DEFAULT };
	for (int n = 0; n < 2; n++) {
		struct acl acl;
		ssize_t r = getxattr(path, names[n], &acl, sizeof acl);
		printf(" %s=%s", names[n] + 17, r < 0 ? strerrorname_np(errno) : "");
		for (int i = 0; 4 + i * 8 < r; i++)
			printf("%u:%d:%o ", acl.entries[i].tag, (int)acl.entries[i].id, acl.entries[i].perm);
	}
	char list[500];
	ssize_t n = listxattr(path, list, sizeof list), acls = 0;
	for (ssize_t at = 0; at < n; at += strlen(list + at) + 1)
		acls += !strncmp(list + at, "system.", 7);
	printf(" listed=%ld\n", (long)acls);
}
static void as(uid_t uid, gid_t gid, const char *path)
{
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		setgroups(0, NULL);
		if (setresgid(gid, gid, gid) || setresuid(uid, uid, uid))
			_exit(1);
		printf("%d:%d %s", uid, gid, path);
		for (int mask = 1; mask <= 4; mask *= 2)
			printf(" %s", access(path, mask) ? strerrorname_np(errno) : "yes");
		printf("\n");
		fflush(stdout);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
}

int main(void)
{
	char dir[] = "/tmp/acl-XXXXXX";
	if (!mkdtemp(dir) || chdir(dir) || chmod(".", 0755))
		return 2;
	umask(027);
	close(open("file", O_CREAT | O_WRONLY, 0640));
	show("file");
	SET("file", ACCESS, { USER_OBJ, 6, -1 }, { USER, 7, 7 }, { USER, 0, 8 }, { GROUP_OBJ, 4, -1 }, { GROUP, 2, 50 }, { MASK, 6, -1 }, { OTHER, 1, -1 });
	show("file");
	as(7, 9, "file"), as(8, 50, "file"), as(9, 50, "file"), as(9, 0, "file"), as(9, 9, "file");
	chmod("file", 0705);
	show("file");
	as(7, 9, "file"), as(9, 0, "file"), as(9, 9, "file");
	chmod("file", 0777);
	as(8, 9, "file");
	chown("file", 8, 50);
	as(8, 9, "file"), as(0, 0, "file");
	show("file");
	SET("file", ACCESS, { USER_OBJ, 6, -1 }, { GROUP_OBJ, 4, -1 }, { OTHER, 4, -1 });
	show("file");
	SET("file", ACCESS, { USER_OBJ, 6, -1 }, { GROUP_OBJ, 4, -1 }, { USER, 4, 3 }, { MASK, 7, -1 }, { OTHER, 4, -1 });
	SET("file", ACCESS, { USER_OBJ, 6, -1 }, { USER, 4, 3 }, { GROUP_OBJ, 4, -1 }, { OTHER, 4, -1 });
	SET("file", ACCESS, { USER_OBJ, 6, -1 }, { GROUP_OBJ, 4, -1 });
	SET("file", ACCESS, { USER_OBJ, 14, -1 }, { GROUP_OBJ, 4, -1 }, { OTHER, 4, -1 });
	SET("file", DEFAULT, { USER_OBJ, 6, -1 }, { GROUP_OBJ, 4, -1 }, { OTHER, 4, -1 });
	mkdir("dir", 0755);
	SET("dir", DEFAULT, { USER_OBJ, 7, -1 }, { USER, 6, 7 }, { GROUP_OBJ, 7, -1 }, { MASK, 7, -1 }, { OTHER, 4, -1 });
	show("dir");
	close(open("dir/made", O_CREAT | O_WRONLY, 0666));
	close(open("dir/tight", O_CREAT | O_WRONLY, 0600));
	mkdir("dir/sub", 0777);
	mkdir("dir/sub/subsub", 0700);
	mkfifo("dir/fifo", 0644);
	if (symlink("made", "dir/link"))
		return 2;
	show("dir/made"), show("dir/tight"), show("dir/sub"), show("dir/sub/subsub"), show("dir/fifo");
	as(7, 9, "dir/made"), as(7, 9, "dir/tight");
	printf("remove: %d %s\n", removexattr("dir", DEFAULT), strerrorname_np(errno));
	show("dir");
	close(open("dir/after", O_CREAT | O_WRONLY, 0666));
	show("dir/after");
	SET("dir", ACCESS, { USER_OBJ, 7, -1 }, { USER, 0, 7 }, { GROUP_OBJ, 5, -1 }, { MASK, 5, -1 }, { OTHER, 5, -1 });
	as(7, 9, "dir/after"), as(6, 9, "dir/after");
	printf("remove: %d\n", removexattr("dir", ACCESS));
	show("dir");
	as(7, 9, "dir/after");
	if (chdir("/") == 0) {
		char command[100];
		snprintf(command, sizeof command, "rm -rf %s", dir);
		return system(command) != 0;
	}
	return 0;
}
