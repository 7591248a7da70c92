/* The mapped ranges of a space: an ordered array. */
#include "kvm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Index of the first range that ends above va. */
size_t range_index(const struct space *s, uint64_t va)
{
	size_t low = 0, high = s->count;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (s->ranges[middle].end > va)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

struct range *range_find(const struct space *s, uint64_t va)
{
	size_t i = range_index(s, va);
	return i < s->count && s->ranges[i].start <= va ? &s->ranges[i] : NULL;
}

bool range_covers(const struct space *s, uint64_t start, uint64_t end)
{
	for (size_t i = range_index(s, start); start < end; i++) {
		if (i == s->count || s->ranges[i].start > start)
			return false;
		start = s->ranges[i].end;
	}
	return true;
}

static bool adjoin(const struct range *a, const struct range *b)
{
	return a->end == b->start && a->file == b->file && a->protection == b->protection && a->flags == b->flags &&
	       (a->file == NULL || a->offset + (a->end - a->start) == b->offset);
}

static int insert(struct space *s, size_t at, const struct range *r)
{
	if (s->count == s->capacity) {
		size_t capacity = s->capacity == 0 ? 32 : s->capacity * 2;
		struct range *grown = realloc(s->ranges, capacity * sizeof(*grown));
		if (grown == NULL)
			return -ENOMEM;
		s->ranges = grown;
		s->capacity = capacity;
	}
	memmove(&s->ranges[at + 1], &s->ranges[at], (s->count - at) * sizeof(*r));
	s->ranges[at] = *r;
	s->count++;
	return 0;
}

static void removal(struct space *s, size_t at)
{
	memmove(&s->ranges[at], &s->ranges[at + 1], (s->count - at - 1) * sizeof(s->ranges[0]));
	s->count--;
}

/* Joins the range at `at` with the one before it, if they are one. */
static bool join(struct space *s, size_t at)
{
	if (at == 0 || at >= s->count || !adjoin(&s->ranges[at - 1], &s->ranges[at]))
		return false;
	s->ranges[at - 1].end = s->ranges[at].end;
	file_put(s->ranges[at].file);
	removal(s, at);
	return true;
}

/* Where nothing is mapped. Takes the range's file reference, also if it fails. */
int range_add(struct space *s, const struct range *r)
{
	size_t at = range_index(s, r->start);
	int e = insert(s, at, r);
	if (e != 0) {
		file_put(r->file);
		return e;
	}
	join(s, at + 1);
	join(s, at);
	return 0;
}

/* No range crosses va afterwards. */
static int split_at(struct space *s, uint64_t va)
{
	struct range *r = range_find(s, va);
	if (r == NULL || r->start == va)
		return 0;
	struct range tail = *r;
	size_t at = (size_t)(r - s->ranges);
	tail.offset += va - tail.start;
	tail.start = va;
	int e = insert(s, at + 1, &tail);
	if (e != 0)
		return e;
	file_hold(tail.file);
	s->ranges[at].end = va;
	return 0;
}

/* Takes [start, end) out. Translations must be gone already: a file's last reference may go. */
int range_cut(struct space *s, uint64_t start, uint64_t end)
{
	int e = split_at(s, start);
	if (e == 0)
		e = split_at(s, end);
	if (e != 0)
		return e;
	size_t first = range_index(s, start), last = first;
	while (last < s->count && s->ranges[last].start < end)
		file_put(s->ranges[last++].file);
	memmove(&s->ranges[first], &s->ranges[last], (s->count - last) * sizeof(s->ranges[0]));
	s->count -= last - first;
	return 0;
}

/* protection -1: unchanged. */
int range_change(struct space *s, uint64_t start, uint64_t end, int protection, int set, int clear)
{
	int e = split_at(s, start);
	if (e == 0)
		e = split_at(s, end);
	if (e != 0)
		return e;
	size_t first = range_index(s, start), i = first;
	for (; i < s->count && s->ranges[i].start < end; i++) {
		if (protection >= 0)
			s->ranges[i].protection = (uint8_t)protection;
		s->ranges[i].flags = (uint8_t)((s->ranges[i].flags & ~clear) | set);
	}
	for (; i > first; i--)
		join(s, i);
	join(s, first);
	return 0;
}
