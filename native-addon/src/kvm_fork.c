/* fork(2): a space with the same ranges, whose private pages are shared until either side writes. */
#include "kvm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The child names what the parent names; private frames lose the right to write in both. */
static int share_leaf(struct gather *g, struct space *child, const struct range *r, uint64_t *leaf, uint64_t va)
{
	uint64_t *copy = leaf_make(child, va);
	if (copy == NULL)
		return -ENOMEM;
	uint64_t gpa = *leaf & PTE_FRAME, value = *leaf;
	if (is_anonymous(gpa)) {
		frame_hold(gpa, 1);
		child->anonymous_pages++;
	} else {
		child->file_pages++;
	}
	if ((r->flags & RANGE_SHARED) == 0 && (value & PTE_WRITE) != 0) {
		value &= ~PTE_WRITE;
		leaf_set(leaf, value);
		gather_flush(g, gpa, PAGE_SIZE);
	}
	leaf_set(copy, value);
	return 0;
}

static int share_large(struct gather *g, struct space *child, uint64_t *entry, uint64_t va)
{
	uint64_t *copy = directory_make(child, va);
	if (copy == NULL)
		return -ENOMEM;
	frame_hold(*entry & PTE_FRAME, BLOCK_PAGES);
	child->anonymous_pages += BLOCK_PAGES;
	if ((*entry & PTE_WRITE) != 0) {
		*entry &= ~PTE_WRITE;
		gather_flush(g, *entry & PTE_FRAME, BLOCK_SIZE);
	}
	*copy = *entry;
	return 0;
}

static int share_range(struct gather *g, struct space *parent, struct space *child, const struct range *r)
{
	for (uint64_t va = next_mapped(parent, r->start, r->end); va < r->end; va = next_mapped(parent, va, r->end)) {
		int level, e = 0;
		uint64_t *leaf = leaf_find(parent, va, &level);
		if (level == 1 && vm.paging == PAGING_SHADOW) {
			/* Writes after the fork would split it one by one, with a zap each: one for all. */
			e = split_large(leaf);
			gather_zap(g);
		} else if (level == 1) {
			e = share_large(g, child, leaf, va);
			va += BLOCK_SIZE;
		} else {
			if (*leaf != 0)
				e = share_leaf(g, child, r, leaf, va);
			va += PAGE_SIZE;
		}
		if (e != 0)
			return e;
	}
	return 0;
}

static int copy_ranges(struct space *child, const struct space *parent)
{
	for (size_t i = 0; i < parent->count; i++) {
		struct range r = parent->ranges[i];
		if ((r.flags & RANGE_DONTFORK) != 0)
			continue;
		file_hold(r.file);
		int e = range_add(child, &r);
		if (e != 0)
			return e;
	}
	return 0;
}

/* Index of the copy, or -errno. */
int space_fork(struct space *parent)
{
	int index = space_new();
	if (index < 0)
		return index;
	struct space *child = &vm.spaces[index];
	struct gather g;
	gather_begin(&g, parent, false);
	int e = copy_ranges(child, parent);
	for (size_t i = 0; i < parent->count && e == 0; i++) {
		const struct range *r = &parent->ranges[i];
		if ((r->flags & (RANGE_DONTFORK | RANGE_WIPEONFORK)) == 0)
			e = share_range(&g, parent, child, r);
	}
	gather_end(&g);
	if (e != 0) {
		space_free(child);
		return e;
	}
	return index;
}
