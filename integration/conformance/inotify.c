/* inotify: the events of ordinary file operations, in order, compared with the host's */
#include "check.h"
#include <dirent.h>
#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/wait.h>

static int in;
static void events(const char *what)
{
	static const char *const names[] = { "access", "modify", "attrib", "close_write", "close", "open", "from", "to", "create", "delete", "delete_self", "move_self", "?", "unmount", "overflow", "ignored" };
	char buffer[8192] __attribute__((aligned(8)));
	printf("%s:", what);
	ssize_t n = read(in, buffer, sizeof buffer);
	unsigned cookie = 0;
	for (char *p = buffer; n > 0 && p < buffer + n; p += sizeof(struct inotify_event) + ((struct inotify_event *)p)->len) {
		struct inotify_event *e = (void *)p;
		printf(" %d", e->wd);
		for (int i = 0; i < 16; i++)
			if (e->mask & (1 << i))
				printf(" %s", names[i]);
		printf("%s%s%s%s;", e->mask & IN_ISDIR ? "/" : "", e->len ? " " : "", e->len ? e->name : "", cookie && e->cookie == cookie ? " same cookie" : "");
		cookie = e->cookie;
	}
	printf(" %s\n", n < 0 ? strerror(errno) : "");
}

static void directory(void)
{
	char dir[] = "/tmp/conformance-inotify-XXXXXX";
	CHECK(mkdtemp(dir) && chdir(dir) == 0 && mkdir("d", 0755) == 0);
	in = inotify_init1(IN_NONBLOCK);
	printf("watch %d\n", inotify_add_watch(in, "d", IN_ALL_EVENTS & ~IN_ACCESS));
	events("nothing");
	int fd = open("d/f", O_CREAT | O_RDWR, 0644);
	events("open with O_CREAT");
	CHECK(write(fd, "abc", 3) == 3);
	events("write");
	CHECK(ftruncate(fd, 1) == 0);
	events("ftruncate");
	CHECK(fchmod(fd, 0600) == 0);
	events("fchmod");
	close(fd);
	events("close");
	fd = open("d/f", O_RDONLY);
	close(fd);
	events("open and close");
	CHECK(rename("d/f", "d/g") == 0);
	events("rename");
	CHECK(rename("d/g", "h") == 0);
	events("rename out");
	CHECK(rename("h", "d/i") == 0);
	events("rename in");
	CHECK(link("d/i", "d/j") == 0);
	events("link");
	CHECK(symlink("nowhere", "d/k") == 0);
	events("symlink");
	CHECK(mkdir("d/sub", 0755) == 0 && rmdir("d/sub") == 0);
	events("mkdir, rmdir");
	CHECK(mkfifo("d/p", 0600) == 0 && unlink("d/p") == 0);
	events("mkfifo, unlink");
	CHECK(chmod("d", 0700) == 0);
	events("chmod of the directory");
	printf("watch %d\n", inotify_add_watch(in, "d/i", IN_ALL_EVENTS & ~IN_ACCESS));
	fd = open("d/j", O_WRONLY | O_TRUNC);
	events("open the other name with O_TRUNC");
	close(fd);
	events("close");
	CHECK(unlink("d/j") == 0);
	events("unlink one name");
	CHECK(unlink("d/i") == 0);
	events("unlink the last");
	CHECK(unlink("d/k") == 0 && rmdir("d") == 0);
	events("rmdir");
	printf("%d %s\n", inotify_rm_watch(in, 1), strerror(errno));
	CHECK(mkdir("e", 0755) == 0);
	printf("watch %d\n", inotify_add_watch(in, "e", IN_CREATE | IN_ONESHOT));
	close(open("e/1", O_CREAT | O_WRONLY, 0600));
	close(open("e/2", O_CREAT | O_WRONLY, 0600));
	events("one shot");
	printf("watch %d\n", inotify_add_watch(in, "e", IN_CREATE));
	close(open("e/3", O_CREAT | O_WRONLY, 0600));
	events("again");
	printf("rm %d\n", inotify_rm_watch(in, 4));
	events("removed");
	printf("%d\n", inotify_add_watch(in, "e/1", IN_OPEN | IN_ONLYDIR));
	printf("%d\n", inotify_add_watch(in, "e", 0));
	printf("%d\n", inotify_add_watch(0, "e", IN_OPEN));
	for (int i = 1; i < 4; i++) {
		char name[8];
		snprintf(name, sizeof name, "e/%d", i);
		CHECK(unlink(name) == 0);
	}
	CHECK(rmdir("e") == 0 && chdir("/") == 0 && rmdir(dir) == 0);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	PART(directory);
	return 0;
}
