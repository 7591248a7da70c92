/* mremap(2): pages change their address. */
#include "kvm.h"

#include <errno.h>

static bool is_large(const struct space *s, uint64_t va)
{
	int level;
	uint64_t *leaf = leaf_find(s, va, &level);
	return leaf != NULL && level == 1 && *leaf != 0;
}

/* One large entry, both places aligned. */
static int move_large(struct gather *g, struct space *s, uint64_t from, uint64_t to)
{
	int level;
	uint64_t *target = directory_make(s, to), *source = leaf_find(s, from, &level);
	if (target == NULL)
		return -ENOMEM;
	*target = *source;
	*source = 0;
	gather_zap(g);
	return 0;
}

static int move_small(struct gather *g, struct space *s, uint64_t from, uint64_t to)
{
	int level;
	uint64_t *source = leaf_find(s, from, &level);
	if (*source == 0)
		return 0;
	uint64_t *target = leaf_make(s, to);
	if (target == NULL)
		return -ENOMEM;
	leaf_set(target, *source);
	gather_flush(g, *source & PTE_FRAME, PAGE_SIZE);
	leaf_set(source, 0);
	return 0;
}

static int move_pages(struct gather *g, struct space *s, uint64_t from, uint64_t length, uint64_t to)
{
	uint64_t end = from + length;
	int64_t distance = (int64_t)(to - from);
	for (uint64_t va = next_mapped(s, from, end); va < end; va = next_mapped(s, va, end)) {
		int e;
		if (is_large(s, va) && distance % (int64_t)BLOCK_SIZE == 0) {
			e = move_large(g, s, va, va + (uint64_t)distance);
			va += BLOCK_SIZE;
		} else if (is_large(s, va)) {
			int level;
			e = split_large(leaf_find(s, va, &level));
			gather_zap(g);
		} else {
			e = move_small(g, s, va, va + (uint64_t)distance);
			va += PAGE_SIZE;
		}
		if (e != 0)
			return e;
	}
	return 0;
}

/* [from, from + old) moves to [to, to + new); keep: the source stays mapped, empty. The two do not overlap. */
int space_move(struct space *s, uint64_t from, uint64_t old_length, uint64_t to, uint64_t new_length, bool keep)
{
	const struct range *found = range_find(s, from);
	if (found == NULL || found->end < from + old_length)
		return -EFAULT;
	struct range moved = *found;
	moved.offset += from - moved.start;
	moved.start = to;
	moved.end = to + new_length;
	file_hold(moved.file);
	int e = space_unmap(s, to, new_length);
	struct gather g;
	gather_begin(&g, s, false);
	if (e == 0)
		e = isolate_edges(&g, s, from, from + old_length);
	if (e == 0)
		e = move_pages(&g, s, from, old_length < new_length ? old_length : new_length, to);
	gather_end(&g);
	if (e == 0 && !keep)
		e = space_unmap(s, from, old_length);
	if (e != 0) {
		file_put(moved.file);
		return e;
	}
	return range_add(s, &moved);
}

/* Anonymous memory gets longer where it is; what lies behind it goes. -EFAULT if it is not one mapping. */
int space_grow(struct space *s, uint64_t start, uint64_t old_length, uint64_t new_length)
{
	const struct range *r = range_find(s, start);
	if (r == NULL || r->file != NULL || r->end < start + old_length)
		return -EFAULT;
	if (new_length <= old_length)
		return 0;
	struct range more = *r;
	more.start = start + old_length;
	more.end = start + new_length;
	int e = space_unmap(s, more.start, new_length - old_length);
	return e != 0 ? e : range_add(s, &more);
}
