/* Every way to ask that data reach the disk, in the folder that is given. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static int check(const char *what, int r)
{
	if (r < 0)
		perror(what), exit(1);
	return r;
}
static int file(int flags)
{
	return check("open", open("f", O_CREAT | O_RDWR | flags, 0600));
}

int main(int argc, char **argv)
{
	check("chdir", chdir(argc > 1 ? argv[1] : "."));
	int fd = file(0);
	check("write", write(fd, "data", 4));
	check("fsync", fsync(fd));
	check("write", write(fd, "data", 4));
	check("fdatasync", fdatasync(fd));
	check("sync_file_range", sync_file_range(fd, 0, 8, SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER));
	check("O_DSYNC", write(file(O_DSYNC), "data", 4));
	check("O_SYNC", write(file(O_SYNC), "data", 4));
	char *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	check("mmap", memory == MAP_FAILED ? -1 : 0);
	memory[0] = 'D';
	check("msync", msync(memory, 4096, MS_SYNC));
	check("fsync of the directory", fsync(check("open", open(".", O_RDONLY | O_DIRECTORY))));
	check("syncfs", syncfs(fd));
	return 0;
}
