/* Watches what is named and prints every change, until a file "end" appears in the first folder. "-" in front: the events of the object alone. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#define CHANGES (IN_MODIFY | IN_ATTRIB | IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO | IN_CREATE | IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF)

int main(int argc, char **argv)
{
	static const char *const names[] = { "access", "modify", "attrib", "close_write", "close", "open", "from", "to", "create", "delete", "delete_self", "move_self", "?", "unmount", "overflow", "ignored" };
	static char buffer[65536] __attribute__((aligned(8)));
	int in = inotify_init1(0);
	for (int i = 1; i < argc; i++) {
		int wd = inotify_add_watch(in, argv[i], CHANGES);
		printf("%s %d %s\n", argv[i], wd, wd < 0 ? strerror(errno) : "");
	}
	printf("ready\n");
	fflush(stdout);
	unsigned cookie = 0;
	for (;;) {
		ssize_t n = read(in, buffer, sizeof buffer);
		if (n < 0)
			return 1;
		for (char *p = buffer; p < buffer + n; p += sizeof(struct inotify_event) + ((struct inotify_event *)p)->len) {
			struct inotify_event *e = (void *)p;
			printf("%d", e->wd);
			for (int i = 0; i < 16; i++)
				if (e->mask & (1 << i))
					printf(" %s", names[i]);
			printf("%s%s%s%s\n", e->mask & IN_ISDIR ? "/" : "", e->len ? " " : "", e->len ? e->name : "", cookie && e->cookie == cookie ? " same cookie" : "");
			cookie = e->cookie;
			if (e->wd == 1 && e->len && strcmp(e->name, "end") == 0 && (e->mask & IN_CREATE))
				return 0;
		}
		fflush(stdout);
	}
}
