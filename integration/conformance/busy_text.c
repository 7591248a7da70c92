/* a file that runs cannot be written, a file that is open for writing cannot be run (ETXTBSY); RLIMIT_FSIZE of calls that copy */
#include "check.h"
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static char directory[] = "/tmp/busy.XXXXXX", program[64], script[64];

static void copy_of(const char *from, const char *to)
{
	char buffer[65536];
	ssize_t n;
	int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0755);
	CHECK(in >= 0 && out >= 0);
	while ((n = read(in, buffer, sizeof buffer)) > 0)
		CHECK(write(out, buffer, n) == n);
	CHECK(n == 0 && close(in) == 0 && close(out) == 0);
}
/* errno of execve, or the child's exit status negated */
static int run(const char *path, int fd)
{
	char *argv[] = { (char *)path, "child", NULL }, *envp[] = { NULL };
	int status;
	pid_t pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		if (fd >= 0)
			syscall(SYS_execveat, fd, "", argv, envp, AT_EMPTY_PATH);
		else
			execve(path, argv, envp);
		_exit(errno);
	}
	CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
	return WEXITSTATUS(status);
}
enum { RAN = 77 };

static void written_files_do_not_run(void)
{
	int fd = open(program, O_WRONLY);
	CHECK(fd >= 0 && run(program, -1) == ETXTBSY);
	int again = dup(fd);
	CHECK(close(fd) == 0 && run(program, -1) == ETXTBSY); /* open through another descriptor */
	CHECK(close(again) == 0 && run(program, -1) == RAN);
	fd = open(program, O_RDWR);
	void *mapped = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(mapped != MAP_FAILED && close(fd) == 0 && run(program, -1) == ETXTBSY);
	CHECK(munmap(mapped, 4096) == 0 && run(program, -1) == RAN);
	fd = open(program, O_RDONLY);
	CHECK(fd >= 0 && run(program, fd) == RAN && close(fd) == 0);
	fd = open(script, O_WRONLY);
	CHECK(fd >= 0 && run(script, -1) == ETXTBSY && close(fd) == 0 && run(script, -1) == RAN);
}

static void running_files_are_not_written(void)
{
	int ready[2], go[2];
	char c;
	CHECK(pipe(ready) == 0 && pipe(go) == 0);
	pid_t pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		char out[8], in[8];
		snprintf(out, sizeof out, "%d", ready[1]);
		snprintf(in, sizeof in, "%d", go[0]);
		close(go[1]);
		execl(program, program, "wait", out, in, NULL);
		_exit(1);
	}
	CHECK(read(ready[0], &c, 1) == 1);
	FAILS(open(program, O_WRONLY), ETXTBSY);
	FAILS(open(program, O_RDWR), ETXTBSY);
	FAILS(open(program, O_RDONLY | O_TRUNC), ETXTBSY);
	FAILS(truncate(program, 0), ETXTBSY);
	struct stat st;
	CHECK(stat(program, &st) == 0 && st.st_size > 1000);
	CHECK(chmod(program, 0700) == 0); /* what is about the name, or about attributes, is free */
	int fd = open(program, O_RDONLY);
	CHECK(fd >= 0 && close(fd) == 0);
	CHECK(close(go[1]) == 0);
	int status;
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	CHECK((fd = open(program, O_WRONLY)) >= 0 && close(fd) == 0);
}

static volatile int exceeded;
static void on_xfsz(int signal) { exceeded += signal == SIGXFSZ; }

static void limits_of_copies(void)
{
	enum { LIMIT = 1000, MORE = 4000 };
	char from[80], to[80], bytes[MORE];
	struct rlimit limit = { LIMIT, LIMIT };
	struct sigaction action = { .sa_handler = on_xfsz };
	int pipes[2];
	loff_t offset;
	memset(bytes, 'x', sizeof bytes);
	snprintf(from, sizeof from, "%s/from", directory);
	snprintf(to, sizeof to, "%s/to", directory);
	int in = open(from, O_RDWR | O_CREAT, 0600);
	CHECK(in >= 0 && write(in, bytes, MORE) == MORE);
	CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0 && sigaction(SIGXFSZ, &action, NULL) == 0 && pipe(pipes) == 0);

	int out = open(to, O_RDWR | O_CREAT | O_TRUNC, 0600);
	off_t at = 0;
	CHECK(sendfile(out, in, &at, MORE) == LIMIT && at == LIMIT);
	exceeded = 0;
	FAILS(sendfile(out, in, &at, MORE), EFBIG);
	CHECK(exceeded == 1 && lseek(out, 0, SEEK_END) == LIMIT);

	CHECK(ftruncate(out, 0) == 0 && write(pipes[1], bytes, MORE) == MORE);
	offset = LIMIT - 10;
	CHECK(splice(pipes[0], NULL, out, &offset, MORE, 0) == 10 && offset == LIMIT);
	exceeded = 0;
	FAILS(splice(pipes[0], NULL, out, &offset, MORE, 0), EFBIG);
	CHECK(exceeded == 1);
	CHECK(lseek(out, LIMIT, SEEK_SET) == LIMIT);
	FAILS(splice(pipes[0], NULL, out, NULL, MORE, 0), EFBIG);
	CHECK(exceeded == 2);

	CHECK(ftruncate(out, 0) == 0);
	loff_t source = 0, target = LIMIT - 20;
	CHECK(syscall(SYS_copy_file_range, in, &source, out, &target, (size_t)MORE, 0) == 20);
	exceeded = 0;
	FAILS(syscall(SYS_copy_file_range, in, &source, out, &target, (size_t)MORE, 0), EFBIG);
	CHECK(exceeded == 1);
}

int main(int argc, char **argv)
{
	if (argc == 2)
		return RAN;
	if (argc == 4) { /* says that it runs, until nobody holds the pipe */
		char c = 1;
		CHECK(write(atoi(argv[2]), &c, 1) == 1 && read(atoi(argv[3]), &c, 1) == 0);
		return 0;
	}
	CHECK(mkdtemp(directory) != NULL);
	snprintf(program, sizeof program, "%s/program", directory);
	snprintf(script, sizeof script, "%s/script", directory);
	copy_of("/proc/self/exe", program);
	int fd = open(script, O_WRONLY | O_CREAT, 0755);
	CHECK(fd >= 0 && write(fd, "#!/bin/sh\nexit 77\n", 18) == 18 && close(fd) == 0);
	PART(written_files_do_not_run);
	PART(running_files_are_not_written);
	PART(limits_of_copies);
	char command[96];
	snprintf(command, sizeof command, "rm -r %s", directory);
	return system(command);
}
