/*
 * A FUSE server that answers nothing and heeds no INTERRUPT: whoever waits for it can be killed all the same. Linux lets them wait until the
 * connection is aborted, so this runs in the sandbox alone.
 */
#include "../conformance/fuse_server.h"
#include <sys/xattr.h>

static int stuck_calls(int which)
{
	char buffer[16];
	struct stat st;
	int fd;
	switch (which) {
	case 0:
		return stat(at("never"), &st);
	case 1:
		return mkdir(at("never"), 0755);
	case 2:
		return open(at("never"), O_CREAT | O_WRONLY, 0644);
	case 3:
		return execl(at("never"), "never", NULL);
	case 4:
		return chdir(at("never"));
	case 5:
		fd = open(mountpoint, O_RDONLY | O_DIRECTORY);
		return getxattr(at("never"), "user.x", buffer, sizeof buffer) + fd;
	default:
		return rename(at("never"), at("ever"));
	}
}

int main(void)
{
	become_mounter();
	defaults();
	start_server("");
	struct stat st;
	CHECK(stat(mountpoint, &st) == 0);
	shared->stuck = FUSE_LOOKUP;
	pid_t pids[7];
	for (int i = 0; i < 7; i++) {
		fflush(stdout);
		pids[i] = fork();
		if (pids[i] == 0)
			_exit(stuck_calls(i));
	}
	WAIT_FOR(shared->count[FUSE_LOOKUP] == 7);
	for (int i = 0; i < 7; i++) {
		int status;
		CHECK(waitpid(pids[i], &status, WNOHANG) == 0);
		CHECK(kill(pids[i], SIGKILL) == 0);
		CHECK(waitpid(pids[i], &status, 0) == pids[i] && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	}
	WAIT_FOR(shared->count[FUSE_INTERRUPT] == 7);
	/* The server works on. */
	shared->stuck = 0;
	CHECK(mkdir(at("d"), 0755) == 0 && rmdir(at("d")) == 0);
	stop_server();
	puts("ok");
	return 0;
}
