/* Exchanges two names of the working directory as fast as it can, and moves a directory out and back, until it is killed. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>

int main(int argc, char **argv)
{
	if (argc < 5)
		return 2;
	printf("ready\n");
	fflush(stdout);
	for (unsigned i = 0;; i++) {
		if (renameat2(AT_FDCWD, argv[1], AT_FDCWD, argv[2], RENAME_EXCHANGE))
			return perror("exchange"), 1;
		if (i % 16 == 0 && (rename(argv[3], argv[4]) || rename(argv[4], argv[3])))
			return perror("move"), 1;
	}
}
