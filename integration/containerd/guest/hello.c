#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static void *work(void *arg)
{
	*(int *)arg *= 2;
	return arg;
}

int main(int argc, char **argv)
{
	pthread_t threads[4];
	int values[4] = { 1, 2, 3, 4 }, total = 0, status;
	int *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, work, &values[i]);
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		total += values[i];
	}
	if (fork() == 0) {
		*shared = 42;
		_exit(5);
	}
	wait(&status);
	printf("hello from %s, %d arguments, threads %d, child %d, shared %d\n", argv[0], argc, total, WEXITSTATUS(status), *shared);
	return 0;
}
