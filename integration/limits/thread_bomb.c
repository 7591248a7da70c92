/* makes threads until there are no more to be had, and says whether there were some */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

static void *stay(void *unused)
{
	pause();
	return unused;
}
int main(void)
{
	pthread_attr_t small;
	pthread_t thread;
	int made = 0, error;
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 65536);
	while ((error = pthread_create(&thread, &small, stay, NULL)) == 0 && made < 10000)
		made++;
	puts(error == EAGAIN && made > 10 && made < 100 ? "no more" : "unexpected");
	fflush(stdout);
	_exit(0);
}
