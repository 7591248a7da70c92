/* Address spaces: what memory calls do to ranges and pages. Callers hold vm.lock and have checked that ranges lie in the application's part. */
#include "kvm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* fallocate(2) */
#define PUNCH_HOLE 3

static uint64_t next_space_id = 1;

struct space *space_at(int64_t index)
{
	return index >= 0 && index < MAX_SPACES && vm.spaces[index].used ? &vm.spaces[index] : NULL;
}

/* Index of an empty space, or -errno. */
int space_new(void)
{
	for (int i = 0; i < MAX_SPACES; i++) {
		struct space *s = &vm.spaces[i];
		if (s->used)
			continue;
		uint64_t root = table_take(), upper = root == 0 ? 0 : table_take();
		if (upper == 0)
			return -ENOMEM;
		memset(s, 0, sizeof(*s));
		s->used = true;
		s->id = next_space_id++;
		s->root = root;
		uint64_t link = PTE_PRESENT | PTE_WRITE | PTE_USER | 0x20;
		uint64_t *top = table_at(root);
		/* Ring 0 and the vDSO are the same tables in every space. */
		top[511] = guest_kernel_directory() | link;
		if (vm.vdso_length > 0) {
			top[(vm.vdso_place >> 39) & 511] = upper | link;
			table_at(upper)[(vm.vdso_place >> 30) & 511] = guest_vdso_directory() | link;
		} else {
			table_free(upper);
		}
		return i;
	}
	return -EAGAIN;
}

static void free_tables(uint64_t table, int level)
{
	uint64_t *entries = table_at(table);
	for (unsigned i = 0; i < 512; i++) {
		if ((entries[i] & PTE_PRESENT) == 0 || (level == 3 && i == 511))
			continue;
		if (level == 2 && (entries[i] & PTE_FRAME) == guest_vdso_directory())
			continue;
		if (level > 1)
			free_tables(entries[i] & PTE_FRAME, level - 1);
	}
	table_free(table);
}

/* No thread of it runs. */
void space_free(struct space *s)
{
	struct gather g;
	gather_begin(&g, s, true);
	for (size_t i = 0; i < s->count; i++)
		drop_pages(&g, s, s->ranges[i].start, s->ranges[i].end);
	gather_end(&g);
	free_tables(s->root, 3);
	for (size_t i = 0; i < s->count; i++)
		file_put(s->ranges[i].file);
	free(s->ranges);
	memset(s, 0, sizeof(*s));
}

static void drop_large(struct gather *g, struct space *s, uint64_t *entry)
{
	uint64_t block = *entry & PTE_FRAME;
	__atomic_store_n(entry, 0, __ATOMIC_RELEASE);
	for (unsigned i = 0; i < BLOCK_PAGES; i++)
		gather_drop(g, block + i * PAGE_SIZE);
	gather_zap(g);
	s->anonymous_pages -= BLOCK_PAGES;
}

static void drop_small(struct gather *g, struct space *s, uint64_t *leaf)
{
	uint64_t gpa = *leaf & PTE_FRAME;
	leaf_set(leaf, 0);
	*(is_anonymous(gpa) ? &s->anonymous_pages : &s->file_pages) -= 1;
	gather_drop(g, gpa);
}

/* Takes all pages of [start, end) out, and tables that are empty then. Large entries do not cross the edges (isolate_edges). */
void drop_pages(struct gather *g, struct space *s, uint64_t start, uint64_t end)
{
	for (uint64_t va = next_mapped(s, start, end); va < end; va = next_mapped(s, va, end)) {
		uint64_t stop = (va & ~(BLOCK_SIZE - 1)) + BLOCK_SIZE;
		uint64_t *entry = directory_make(s, va);
		if (stop > end)
			stop = end;
		if ((*entry & PTE_LARGE) != 0) {
			drop_large(g, s, entry);
			va = stop;
			continue;
		}
		uint64_t table = *entry & PTE_FRAME, *leaf = &table_at(table)[(va / PAGE_SIZE) & 511];
		for (; va < stop && table_used(table) > 0; va += PAGE_SIZE, leaf++)
			if (*leaf != 0)
				drop_small(g, s, leaf);
		if (table_used(table) == 0) {
			__atomic_store_n(entry, 0, __ATOMIC_RELEASE);
			if (table_block(table) != 0)
				block_unreserve(table_block(table));
			table_free(table);
			g->changed = true;
		}
		va = stop;
	}
}

/* Large entries that cross start or end become tables. */
int isolate_edges(struct gather *g, struct space *s, uint64_t start, uint64_t end)
{
	const uint64_t edges[2] = { start, end };
	for (int i = 0; i < 2; i++) {
		int level;
		uint64_t *leaf = edges[i] % BLOCK_SIZE == 0 ? NULL : leaf_find(s, edges[i], &level);
		if (leaf == NULL || level != 1 || *leaf == 0)
			continue;
		if (split_large(leaf) != 0)
			return -ENOMEM;
		gather_zap(g);
	}
	return 0;
}

int space_unmap(struct space *s, uint64_t start, uint64_t length)
{
	struct gather g;
	gather_begin(&g, s, false);
	int e = isolate_edges(&g, s, start, start + length);
	if (e == 0)
		drop_pages(&g, s, start, start + length);
	gather_end(&g);
	return e != 0 ? e : range_cut(s, start, start + length);
}

int space_map(struct space *s, uint64_t start, uint64_t length, int protection)
{
	int e = space_unmap(s, start, length);
	struct range r = { .start = start, .end = start + length, .protection = (uint8_t)protection };
	return e != 0 ? e : range_add(s, &r);
}

int space_map_file(struct space *s, uint64_t start, uint64_t length, int protection, bool shared, int fd, uint64_t offset)
{
	int e;
	struct kvm_file *f = file_get(fd, shared, protection, &e);
	if (f == NULL)
		return e;
	e = space_unmap(s, start, length);
	if (e != 0) {
		file_put(f);
		return e;
	}
	struct range r = {
		.start = start, .end = start + length, .file = f, .offset = offset, .protection = (uint8_t)protection,
		.flags = shared ? RANGE_SHARED : 0,
	};
	return range_add(s, &r);
}

/* An entry gets the rights of its range; what loses some is flushed. */
static void reprotect(struct gather *g, const struct range *r, uint64_t *leaf, uint64_t length)
{
	uint64_t old = *leaf, gpa = old & PTE_FRAME, large = old & PTE_LARGE;
	bool exclusive = is_anonymous(gpa) && (large == 0 ? frame_exclusive(gpa) : (old & PTE_WRITE) != 0);
	uint64_t now = leaf_flags(r, gpa, exclusive) | large;
	if (large == 0)
		leaf_set(leaf, now);
	else
		__atomic_store_n(leaf, now, __ATOMIC_RELEASE);
	uint64_t lost = old & ~now & (PTE_PRESENT | PTE_WRITE);
	if (lost != 0 || ((old & PTE_PRESENT) != 0 && (now & ~old & PTE_NX) != 0))
		gather_flush(g, gpa, length);
}

int space_protect(struct space *s, uint64_t start, uint64_t length, int protection)
{
	uint64_t end = start + length;
	if ((protection & PROT_WRITE) != 0)
		for (size_t i = range_index(s, start); i < s->count && s->ranges[i].start < end; i++)
			if ((s->ranges[i].flags & RANGE_SHARED) != 0 && !s->ranges[i].file->writable)
				return -EACCES;
	struct gather g;
	gather_begin(&g, s, false);
	int e = isolate_edges(&g, s, start, end);
	if (e == 0)
		e = range_change(s, start, end, protection, 0, 0);
	for (uint64_t va = e == 0 ? next_mapped(s, start, end) : end; va < end; va = next_mapped(s, va, end)) {
		int level;
		uint64_t *leaf = leaf_find(s, va, &level);
		const struct range *r = range_find(s, va);
		uint64_t span = level == 1 ? BLOCK_SIZE : PAGE_SIZE;
		if (*leaf != 0 && r != NULL)
			reprotect(&g, r, leaf, span);
		va = (va & ~(span - 1)) + span;
	}
	gather_end(&g);
	return e;
}

/* MADV_DONTNEED: anonymous pages read as zeros, private pages of files as the file. Frames of blocks that are ours alone are only emptied. */
static int forget(struct space *s, uint64_t start, uint64_t end)
{
	struct gather g;
	gather_begin(&g, s, false);
	int e = 0;
	for (uint64_t va = next_mapped(s, start, end); va < end && e == 0; va = next_mapped(s, va, end)) {
		int level;
		uint64_t *leaf = leaf_find(s, va, &level);
		const struct range *r = range_find(s, va);
		uint64_t gpa = (*leaf & PTE_FRAME) + (level == 1 ? va % BLOCK_SIZE & PAGE_MASK : 0);
		if (*leaf == 0 || r == NULL || (r->flags & RANGE_SHARED) != 0) {
			va += PAGE_SIZE;
		} else if (r->file == NULL && is_anonymous(gpa) && frame_exclusive(gpa) && !frame_is_small(gpa)) {
			if (g.release_length == 0 || g.release_gpa + g.release_length != gpa) {
				if (g.release_length > 0)
					madvise(window_host(g.release_gpa), g.release_length, MADV_DONTNEED);
				g.release_gpa = gpa;
				g.release_length = 0;
			}
			g.release_length += PAGE_SIZE;
			va += PAGE_SIZE;
		} else if (level == 1) {
			e = split_large(leaf);
			gather_zap(&g);
		} else {
			drop_small(&g, s, leaf);
			va += PAGE_SIZE;
		}
	}
	gather_end(&g);
	return e;
}

static int punch(struct space *s, uint64_t start, uint64_t end)
{
	for (size_t i = range_index(s, start); i < s->count && s->ranges[i].start < end; i++) {
		const struct range *r = &s->ranges[i];
		uint64_t low = r->start > start ? r->start : start, high = r->end < end ? r->end : end;
		if (r->file == NULL || !r->file->writable)
			return -EACCES;
		if (fallocate(r->file->fd, PUNCH_HOLE, (off_t)(r->offset + (low - r->start)), (off_t)(high - low)) != 0)
			return -errno;
	}
	return 0;
}

int space_advise(struct space *s, uint64_t start, uint64_t length, int advice)
{
	uint64_t end = start + length;
	switch (advice) {
	case MADV_DONTNEED:
	case MADV_FREE: return forget(s, start, end);
	case MADV_REMOVE: return punch(s, start, end);
	case MADV_DONTFORK: return range_change(s, start, end, -1, RANGE_DONTFORK, 0);
	case MADV_DOFORK: return range_change(s, start, end, -1, 0, RANGE_DONTFORK);
	case MADV_WIPEONFORK: return range_change(s, start, end, -1, RANGE_WIPEONFORK, 0);
	case MADV_KEEPONFORK: return range_change(s, start, end, -1, 0, RANGE_WIPEONFORK);
	default: return 0;
	}
}
