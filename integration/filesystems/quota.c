/* A directory whose quota is used up: what each call answers, and that a mapping's new page is SIGBUS. */
#include "../conformance/check.h"
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>

static sigjmp_buf back;
static int code;
static void on_bus(int signal, siginfo_t *info, void *context)
{
	(void)signal, (void)context;
	code = info->si_code;
	siglongjmp(back, 1);
}
#define SHOW(expression)                                                                       \
	do {                                                                                   \
		long result_ = (long)(expression);                                             \
		printf("%s: %s\n", #expression, result_ < 0 ? strerrorname_np(errno) : "ok"); \
	} while (0)

#define MAPPED (64 << 20)
static char bytes[1 << 20];

int main(int argc, char **argv)
{
	CHECK(argc == 2 && chdir(argv[1]) == 0);
	struct sigaction action = {.sa_sigaction = on_bus, .sa_flags = SA_SIGINFO};
	CHECK(sigaction(SIGBUS, &action, NULL) == 0);
	memset(bytes, 7, sizeof bytes);
	int sparse = open("sparse", O_CREAT | O_RDWR, 0644), big = open("big", O_CREAT | O_RDWR, 0644);
	CHECK(sparse >= 0 && big >= 0 && ftruncate(sparse, MAPPED) == 0);
	volatile char *map = mmap(NULL, MAPPED, PROT_READ | PROT_WRITE, MAP_SHARED, sparse, 0);
	CHECK(map != MAP_FAILED);
	while (write(big, bytes, sizeof bytes) > 0)
		;
	printf("full: %s\n", strerrorname_np(errno));
	while (write(big, bytes, 4096) > 0)
		;
	printf("full: %s\n", strerrorname_np(errno));
	SHOW(pwrite(big, bytes, sizeof bytes, 32 << 20));
	SHOW(fallocate(sparse, 0, 0, 32 << 20));
	if (sigsetjmp(back, 1) == 0) {
		for (int i = 0; i < MAPPED; i += 4096)
			map[i] = 1;
		printf("no signal\n");
	} else
		printf("SIGBUS %d\n", code);
	/* names take room as well, once the last of it is gone */
	char name[300];
	int made = 0, failed = 0;
	for (; made < 100000 && failed == 0; made++) {
		snprintf(name, sizeof name, "%0200d", made);
		if (mkdir(name, 0755) != 0)
			failed = errno;
	}
	printf("names: %s\n", failed == 0 ? "no end" : strerrorname_np(failed));
	SHOW(close(open("file", O_CREAT | O_EXCL | O_WRONLY, 0644)));
	SHOW(symlink("target", "link"));
	SHOW(rename("big", "bigger"));
	SHOW(close(big));
	return 0;
}
