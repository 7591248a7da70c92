/*
 * Memory under churn: several processes with several threads map, unmap, protect, move, fork and exec at random (seeded), and look after
 * every step that what they own holds what they wrote, and what is new holds zeros: nobody ever sees another's page, nor an old one.
 * argv[1]: steps of each thread. "fresh" is what the exec'ed copy is told.
 */
#include "check.h"
#include <pthread.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define PAGE 4096UL
#define AREAS 12
#define PROCESSES 3
#define THREADS 2

struct area {
	char *start;
	uint64_t pages, mark; /* what its pages are filled from */
	int pieced;           /* mapped in pieces, which the kernel may keep apart: mremap refuses those */
};
struct worker {
	uint64_t random, name;
	struct area areas[AREAS];
	long steps;
};

static uint64_t next(struct worker *w)
{
	w->random ^= w->random << 13;
	w->random ^= w->random >> 7;
	w->random ^= w->random << 17;
	return w->random;
}

static uint64_t word_of(uint64_t mark, uint64_t page, uint64_t word)
{
	return (mark * 0x9e3779b97f4a7c15ULL) ^ (page * 0xff51afd7ed558ccdULL) ^ (word + 1);
}

/* Words 0, 171 and 511 of a page tell whose it is. */
static const uint64_t samples[3] = { 0, 171, 511 };

static void fill(struct area *a, uint64_t first, uint64_t count)
{
	for (uint64_t p = first; p < first + count; p++)
		for (int i = 0; i < 3; i++)
			((uint64_t *)(a->start + p * PAGE))[samples[i]] = word_of(a->mark, p, samples[i]);
}
static void look(const struct area *a)
{
	for (uint64_t p = 0; p < a->pages; p++)
		for (int i = 0; i < 3; i++)
			CHECK(((uint64_t *)(a->start + p * PAGE))[samples[i]] == word_of(a->mark, p, samples[i]));
}
static void look_zero(const char *start, uint64_t pages)
{
	for (uint64_t p = 0; p < pages; p++)
		for (int i = 0; i < 3; i++)
			CHECK(((const uint64_t *)(start + p * PAGE))[samples[i]] == 0);
}

static void make(struct worker *w, struct area *a)
{
	static const uint16_t sizes[8] = { 1, 2, 5, 16, 40, 130, 512, 1100 };
	a->pages = sizes[next(w) % 8];
	a->start = mmap(NULL, a->pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(a->start != MAP_FAILED);
	a->mark = (w->name << 32) ^ next(w);
	a->pieced = 0;
	look_zero(a->start, a->pages);
	fill(a, 0, a->pages);
}
static void drop(struct area *a)
{
	CHECK(munmap(a->start, a->pages * PAGE) == 0);
	a->start = NULL;
}

/* A hole in the middle is mapped again, empty. */
static void hole(struct worker *w, struct area *a)
{
	uint64_t first = next(w) % a->pages, count = 1 + next(w) % (a->pages - first);
	char *at = a->start + first * PAGE;
	CHECK(munmap(at, count * PAGE) == 0);
	char *back = mmap(at, count * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	if (back != at) {
		/* Another thread was faster: the area ends there, and what is behind it goes. */
		CHECK(back == MAP_FAILED && errno == EEXIST);
		if (first + count < a->pages)
			CHECK(munmap(at + count * PAGE, (a->pages - first - count) * PAGE) == 0);
		a->pages = first;
		return;
	}
	a->pieced = 1;
	look_zero(at, count);
	fill(a, first, count);
}
static void protect(struct worker *w, struct area *a)
{
	CHECK(mprotect(a->start, a->pages * PAGE, next(w) % 2 ? PROT_READ : PROT_NONE) == 0);
	CHECK(mprotect(a->start, a->pages * PAGE, PROT_READ) == 0);
	look(a);
	CHECK(mprotect(a->start, a->pages * PAGE, PROT_READ | PROT_WRITE) == 0);
	a->mark++;
	fill(a, 0, a->pages);
}
static void move(struct worker *w, struct area *a)
{
	uint64_t pages = 1 + next(w) % (2 * a->pages);
	if (a->pieced)
		return;
	char *to = mremap(a->start, a->pages * PAGE, pages * PAGE, MREMAP_MAYMOVE);
	CHECK(to != MAP_FAILED);
	a->start = to;
	if (pages > a->pages) {
		look_zero(to + a->pages * PAGE, pages - a->pages);
		fill(a, a->pages, pages - a->pages);
	}
	a->pages = pages;
}
static void forget(struct worker *w, struct area *a)
{
	uint64_t first = next(w) % a->pages, count = 1 + next(w) % (a->pages - first);
	CHECK(madvise(a->start + first * PAGE, count * PAGE, MADV_DONTNEED) == 0);
	look_zero(a->start + first * PAGE, count);
	fill(a, first, count);
}

/* The child's writes stay the child's. */
static void split(struct worker *w)
{
	pid_t pid = fork();
	CHECK(pid >= 0);
	for (int i = 0; i < AREAS; i++) {
		struct area *a = &w->areas[i];
		if (a->start == NULL || a->pages == 0)
			continue;
		look(a);
		if (next(w) % 2 == (pid == 0)) {
			a->mark ^= pid == 0 ? 0x5555 : 0xaaaa;
			fill(a, 0, a->pages);
		}
	}
	for (int i = 0; i < AREAS; i++)
		if (w->areas[i].start != NULL)
			look(&w->areas[i]);
	if (pid == 0) {
		if (next(w) % 3 == 0)
			execl("/proc/self/exe", "churn", "fresh", NULL);
		_exit(0);
	}
	int status;
	CHECK(waitpid(pid, &status, 0) == pid);
	if (status != 0)
		fprintf(stderr, "a child ended with status 0x%x\n", status);
	CHECK(status == 0);
	for (int i = 0; i < AREAS; i++)
		if (w->areas[i].start != NULL)
			look(&w->areas[i]);
}

static void *work(void *arg)
{
	struct worker *w = arg;
	for (long n = 0; n < w->steps; n++) {
		struct area *a = &w->areas[next(w) % AREAS];
		if (a->pages == 0)
			a->start = NULL;
		if (a->start == NULL) {
			make(w, a);
			continue;
		}
		look(a);
		switch (next(w) % 8) {
		case 0:
		case 1: drop(a); break;
		case 2: hole(w, a); break;
		case 3: protect(w, a); break;
		case 4: move(w, a); break;
		case 5: forget(w, a); break;
		case 6: look(a); break;
		default:
			if (next(w) % 4 == 0)
				split(w);
		}
	}
	for (int i = 0; i < AREAS; i++)
		if (w->areas[i].start != NULL && w->areas[i].pages > 0)
			look(&w->areas[i]);
	return NULL;
}

static void process(uint64_t name, long steps)
{
	static struct worker workers[THREADS];
	pthread_t ids[THREADS];
	for (int i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){ .name = name * THREADS + i + 1, .random = 88172645463325252ULL + name * 977 + i, .steps = steps };
		CHECK(pthread_create(&ids[i], NULL, work, &workers[i]) == 0);
	}
	for (int i = 0; i < THREADS; i++)
		CHECK(pthread_join(ids[i], NULL) == 0);
	_exit(0);
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "fresh") == 0) {
		struct worker w = { .random = 1234567, .name = 99 };
		for (int i = 0; i < 4; i++)
			make(&w, &w.areas[i]);
		for (int i = 0; i < 4; i++)
			look(&w.areas[i]);
		return 0;
	}
	long steps = argc > 1 ? atol(argv[1]) : 60;
	pid_t pids[PROCESSES];
	for (int i = 0; i < PROCESSES; i++) {
		pids[i] = fork();
		CHECK(pids[i] >= 0);
		if (pids[i] == 0)
			process((uint64_t)i, steps);
	}
	for (int i = 0; i < PROCESSES; i++) {
		int status;
		CHECK(waitpid(pids[i], &status, 0) == pids[i] && status == 0);
	}
	printf("ok churn\n");
	return 0;
}
