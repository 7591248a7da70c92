/*
 * Which of the pages that were given are really there: the host's pagemap of this process knows. For what proc shows of a space, and for
 * taking back what was never touched.
 */
#include "kvm.h"
#include "kvm_run.h"

#include <string.h>
#include <unistd.h>

/* proc_pid_pagemap(5) */
#define MAP_PRESENT (1ULL << 63)
#define MAP_SWAPPED (1ULL << 62)
#define MAP_FILE (1ULL << 61)
#define MAP_EXCLUSIVE (1ULL << 56)
/* Least part of a block that is worth taking back. */
#define WORTH_TRIMMING 16

/* The host's word on a block of anonymous memory; all there if it gives none. */
struct residency {
	uint64_t block; /* 0: none yet */
	uint64_t pages[BLOCK_PAGES];
};

static void look_at(struct residency *r, uint64_t block)
{
	if (r->block == block)
		return;
	r->block = block;
	off_t at = (off_t)((uintptr_t)window_host(block) / PAGE_SIZE * sizeof(uint64_t));
	if (vm.pagemap_fd < 0 || pread(vm.pagemap_fd, r->pages, sizeof(r->pages), at) != (ssize_t)sizeof(r->pages))
		memset(r->pages, 0xff, sizeof(r->pages));
}

/* MAP_PRESENT, MAP_SWAPPED or 0. Single frames are zeroed when they are given: there. */
static uint64_t whereabouts(struct residency *r, uint64_t gpa)
{
	if (frame_is_small(gpa))
		return MAP_PRESENT;
	look_at(r, gpa & ~(BLOCK_SIZE - 1));
	return r->pages[gpa / PAGE_SIZE % BLOCK_PAGES] & (MAP_PRESENT | MAP_SWAPPED);
}

/* Guest-physical address of the page at va, 0 if it has none. */
static uint64_t page_of(const struct space *s, uint64_t va)
{
	int level;
	const uint64_t *leaf = leaf_find(s, va, &level);
	if (leaf == NULL || *leaf == 0)
		return 0;
	return (*leaf & PTE_FRAME) + (level == 1 ? va % BLOCK_SIZE & PAGE_MASK : 0);
}

/* Anonymous pages of the space that are in memory. */
uint64_t space_resident(const struct space *s)
{
	static struct residency r;
	uint64_t count = 0;
	r.block = 0;
	for (size_t i = 0; i < s->count; i++) {
		const struct range *range = &s->ranges[i];
		for (uint64_t va = next_mapped(s, range->start, range->end); va < range->end; va += PAGE_SIZE) {
			if (va % BLOCK_SIZE == 0 && (va = next_mapped(s, va, range->end)) >= range->end)
				break;
			uint64_t gpa = page_of(s, va);
			count += gpa != 0 && is_anonymous(gpa) && (whereabouts(&r, gpa) & MAP_PRESENT) != 0;
		}
	}
	return count;
}

/* proc_pid_pagemap(5) of `count` pages from va on, without frame numbers. */
void space_pagemap(const struct space *s, uint64_t va, uint64_t *into, size_t count)
{
	static struct residency r;
	r.block = 0;
	memset(into, 0, count * sizeof(*into));
	for (size_t i = 0; i < count; i++, va += PAGE_SIZE) {
		uint64_t gpa = va < vm.vdso_place ? page_of(s, va) : 0;
		if (gpa == 0)
			continue;
		if (!is_anonymous(gpa))
			into[i] = MAP_PRESENT | MAP_FILE;
		else if ((into[i] = whereabouts(&r, gpa)) == MAP_PRESENT && frame_exclusive(gpa))
			into[i] |= MAP_EXCLUSIVE;
	}
}

/* The block that the 2 MiB at `entry` have for themselves alone, 0 if there is none. */
static uint64_t own_block(uint64_t entry)
{
	if ((entry & PTE_LARGE) == 0)
		return table_block(entry);
	uint64_t block = entry & PTE_FRAME;
	for (unsigned i = 0; i < BLOCK_PAGES; i++)
		if (!frame_exclusive(block + i * PAGE_SIZE))
			return 0;
	return block;
}

static bool is_own(uint64_t leaf, uint64_t block)
{
	return leaf != 0 && (leaf & PTE_FRAME & ~(BLOCK_SIZE - 1)) == block && frame_exclusive(leaf & PTE_FRAME);
}

/* Entries of pages that are not there are held back from the guest. */
static void hold_back(uint64_t *entry, uint64_t block)
{
	static struct residency r;
	unsigned absent = 0;
	r.block = 0;
	look_at(&r, block);
	for (unsigned i = 0; i < BLOCK_PAGES; i++)
		absent += (r.pages[i] & (MAP_PRESENT | MAP_SWAPPED)) == 0;
	if (absent < WORTH_TRIMMING)
		return;
	if ((*entry & PTE_LARGE) != 0) {
		if (split_large(entry) != 0)
			return;
		block_keep(block);
		table_set_block(*entry, block);
	}
	uint64_t *leaves = table_at(*entry);
	for (unsigned i = 0; i < BLOCK_PAGES; i++)
		if (is_own(leaves[i], block) && whereabouts(&r, leaves[i] & PTE_FRAME) == 0)
			leaf_set(&leaves[i], (leaves[i] & PTE_FRAME) | PTE_HELD);
}

/* No vCPU can have touched them since: those that are still not there are given up, the others are shown again. */
static void settle(struct space *s, const struct range *range, uint64_t *entry, uint64_t block)
{
	static struct residency r;
	if ((*entry & PTE_LARGE) != 0)
		return;
	uint64_t *leaves = table_at(*entry);
	r.block = 0;
	for (unsigned i = 0; i < BLOCK_PAGES; i++) {
		uint64_t gpa = leaves[i] & PTE_FRAME;
		if ((leaves[i] & PTE_PRESENT) != 0 || !is_own(leaves[i], block))
			continue;
		if (whereabouts(&r, gpa) != 0) {
			leaf_set(&leaves[i], leaf_flags(range, gpa, true));
		} else {
			leaf_set(&leaves[i], 0);
			frame_drop(gpa);
			s->anonymous_pages--;
		}
	}
}

static void each_block(bool settles)
{
	for (size_t n = 0; n < MAX_SPACES; n++) {
		struct space *s = &vm.spaces[n];
		for (size_t i = 0; s->used && i < s->count; i++) {
			const struct range *range = &s->ranges[i];
			uint64_t start = (range->start + BLOCK_SIZE - 1) & ~(BLOCK_SIZE - 1), end = range->end & ~(BLOCK_SIZE - 1);
			if (range->file != NULL || range->protection == 0)
				continue;
			for (uint64_t va = next_mapped(s, start, end); va < end; va = next_mapped(s, va + BLOCK_SIZE, end)) {
				uint64_t *entry = directory_make(s, va), block = own_block(*entry);
				if (block != 0 && settles)
					settle(s, range, entry, block);
				else if (block != 0)
					hold_back(entry, block);
			}
		}
	}
}

/* Pages that are given and may be touched without our being asked. */
static uint64_t count_absent(void)
{
	static struct residency r;
	uint64_t absent = 0, block;
	bool own;
	for (int huge = 0; huge < 2; huge++) {
		for (uint32_t n = 0; (block = block_at(huge, n, &own)) != 0; n++) {
			if (!own)
				continue;
			r.block = 0;
			look_at(&r, block);
			for (unsigned i = 0; i < BLOCK_PAGES; i++)
				absent += (r.pages[i] & (MAP_PRESENT | MAP_SWAPPED)) == 0 && !frame_unused(block + i * PAGE_SIZE);
		}
	}
	return absent;
}

/*
 * Takes back what was given and never touched, where a range has whole blocks: touched later, it is given again. How many such pages are left:
 * those at the edges of ranges, and those that processes share.
 */
uint64_t memory_trim(void)
{
	frames_clean();
	each_block(false);
	if (vm.paging == PAGING_SHADOW)
		window_zap();
	else
		flush_everywhere();
	each_block(true);
	return count_absent();
}
