/*
 * Uses a directory "a" of the folder that is given while somebody exchanges it with a link that leads out, for so many milliseconds. Prints what
 * was read; whatever fails must fail for a reason that such an exchange gives.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static int worked, failed;
static void result(const char *what, int r)
{
	if (r >= 0)
		worked++;
	else if (errno == ENOENT || errno == ELOOP || errno == ENOTDIR || errno == ESTALE || errno == EEXIST || errno == EXDEV || errno == ENOTEMPTY)
		failed++;
	else
		printf("%s: %s\n", what, strerror(errno));
}
static void reads(const char *path)
{
	char text[20] = "";
	int fd = open(path, O_RDONLY);
	result("open", fd);
	if (fd >= 0 && read(fd, text, sizeof text - 1) >= 0 && strcmp(text, "inside"))
		printf("%s says %s\n", path, text);
	if (fd >= 0)
		close(fd);
}
static void creates(const char *path)
{
	int fd = open(path, O_CREAT | O_RDWR, 0666);
	result("create", fd);
	if (fd >= 0 && write(fd, "inside", 6) == 6)
		close(fd);
}

int main(int argc, char **argv)
{
	struct timespec start, now;
	if (argc < 3 || chdir(argv[1]))
		return 2;
	clock_gettime(CLOCK_MONOTONIC, &start);
	do {
		struct stat s;
		reads("a/file"), reads("a/b/c/file"), reads("a/away/file");
		creates("a/new"), creates("a/b/new");
		result("rename", rename("a/new", "a/b/moved"));
		result("link", link("a/b/moved", "a/linked"));
		result("symlink", symlink("nowhere", "a/symlink"));
		result("mkdir", mkdir("a/made", 0777));
		result("truncate", truncate("a/linked", 6));
		result("chmod", chmod("a/linked", 0600));
		result("stat", stat("a/linked", &s));
		result("exchange", renameat2(AT_FDCWD, "a/linked", AT_FDCWD, "a/symlink", RENAME_EXCHANGE));
		DIR *d = opendir("a");
		for (struct dirent *e; d && (e = readdir(d));)
			if (strcmp(e->d_name, "secret") == 0)
				printf("a holds a secret\n");
		if (d)
			closedir(d);
		result("rmdir", rmdir("a/made"));
		result("unlink", unlink("a/symlink"));
		result("unlink", unlink("a/linked"));
		result("unlink", unlink("a/b/moved"));
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while ((now.tv_sec - start.tv_sec) * 1000 + (now.tv_nsec - start.tv_nsec) / 1000000 < atoi(argv[2]));
	printf("%s\n", worked > 100 && failed > 10 ? "raced" : "no race");
	return 0;
}
