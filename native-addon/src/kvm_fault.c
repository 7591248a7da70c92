/* Page faults: what becomes of an access to a page that is not mapped, or not so. */
#include "kvm.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

/* Pages that a fault maps around it: of a file (they cost nothing until they are touched), of scattered anonymous memory. */
#define FILE_AROUND 64
#define SMALL_AROUND 8
/* Least part of an aligned 2 MiB that is worth a block of its own. */
#define RESERVE_BYTES (128 << 10)
/* A range of this size whose 2 MiB are entered at the edge next to others in use is filled in order: huge pages of the host. */
#define STREAM_BYTES (8 << 20)

static bool permits(int protection, int access)
{
	if ((access & ACCESS_WRITE) != 0)
		return (protection & PROT_WRITE) != 0;
	return (access & ACCESS_EXEC) != 0 ? (protection & PROT_EXEC) != 0 : protection != PROT_NONE;
}

/* The entry for a page of the range. exclusive: nobody else names the frame. */
uint64_t leaf_flags(const struct range *r, uint64_t gpa, bool exclusive)
{
	if (r->protection == PROT_NONE)
		return gpa | PTE_HELD;
	uint64_t flags = gpa | PTE_PRESENT | PTE_USER | PTE_ACCESSED_DIRTY;
	bool owned = (r->flags & RANGE_SHARED) != 0 ? r->file != NULL && r->file->writable : exclusive && is_anonymous(gpa);
	if ((r->protection & PROT_WRITE) != 0 && owned)
		flags |= PTE_WRITE;
	return (r->protection & PROT_EXEC) != 0 ? flags : flags | PTE_NX;
}

/* Copies a page into a fresh frame. A page of a file is read by the host: it may be gone. */
static bool copy_page(uint64_t to, uint64_t from)
{
	if (is_anonymous(from)) {
		memcpy(window_host(to), window_host(from), PAGE_SIZE);
		return true;
	}
	struct iovec local = { window_host(to), PAGE_SIZE }, remote = { window_host(from), PAGE_SIZE };
	return process_vm_readv(getpid(), &local, 1, &remote, 1, 0) == (ssize_t)PAGE_SIZE;
}

/* A write to a page that is mapped without the right to. */
static enum fault write_fault(struct space *s, const struct range *r, uint64_t *leaf, bool guest)
{
	uint64_t old = *leaf & PTE_FRAME;
	bool anonymous = is_anonymous(old);
	if (anonymous ? frame_exclusive(old) : (r->flags & RANGE_SHARED) != 0) {
		leaf_set(leaf, leaf_flags(r, old, true));
		return FAULT_NONE;
	}
	enum fault room = room_check(guest);
	if (room != FAULT_NONE)
		return room;
	uint64_t frame = frame_take(false);
	if (frame == 0)
		return FAULT_MEMORY;
	if (!copy_page(frame, old)) {
		frame_drop(frame);
		frame_recycle(frame, false);
		return FAULT_BUS;
	}
	leaf_set(leaf, leaf_flags(r, frame, true));
	if (!anonymous) {
		s->file_pages--;
		s->anonymous_pages++;
	}
	if (guest && vm.paging == PAGING_SHADOW) {
		/* The host looks at the entry again when the instruction is repeated. */
		if (anonymous)
			frame_drop(old); /* not the last: it was shared */
		return FAULT_NONE;
	}
	struct gather g;
	gather_begin(&g, s, false);
	gather_drop(&g, old);
	gather_end(&g);
	return FAULT_NONE;
}

/* A write to a large page without the right to: alone in it, or it is split. */
static enum fault write_fault_large(struct space *s, const struct range *r, uint64_t *entry)
{
	uint64_t block = *entry & PTE_FRAME;
	bool exclusive = true;
	for (unsigned i = 0; i < BLOCK_PAGES && exclusive; i++)
		exclusive = frame_exclusive(block + i * PAGE_SIZE);
	if (exclusive) {
		*entry = leaf_flags(r, block, true) | PTE_LARGE;
		return FAULT_NONE;
	}
	if (split_large(entry) != 0)
		return FAULT_MEMORY;
	struct gather g;
	gather_begin(&g, s, false);
	gather_zap(&g);
	gather_end(&g);
	return FAULT_NONE;
}

static bool is_stream(const struct space *s, const struct range *r, uint64_t va)
{
	uint64_t page = va % BLOCK_SIZE / PAGE_SIZE, neighbour = page == 0 ? va - BLOCK_SIZE : va + BLOCK_SIZE;
	if (r->end - r->start < STREAM_BYTES || (page != 0 && page != BLOCK_PAGES - 1))
		return false;
	int level;
	const uint64_t *leaf = leaf_find(s, neighbour, &level);
	return leaf != NULL && level == 1 && (*leaf & PTE_LARGE) != 0;
}

/* A whole aligned 2 MiB of one range, never touched: one large entry. False if there is no block. */
static bool populate_large(struct space *s, const struct range *r, uint64_t *entry, uint64_t va)
{
	uint64_t block = block_reserve(is_stream(s, r, va));
	if (block == 0)
		return false;
	frame_hold(block, BLOCK_PAGES);
	block_unreserve(block);
	s->anonymous_pages += BLOCK_PAGES;
	__atomic_store_n(entry, leaf_flags(r, block, true) | PTE_LARGE, __ATOMIC_RELEASE);
	return true;
}

/* Near the limit: only what is touched. */
static bool is_tight(void)
{
	return vm.room.pages < vm.room.zone + BLOCK_PAGES;
}

static enum fault populate_small(struct space *s, const struct range *r, uint64_t *leaf, uint64_t va)
{
	uint64_t around = is_tight() ? PAGE_SIZE : SMALL_AROUND * PAGE_SIZE;
	uint64_t first = va & ~(around - 1), last = first + around;
	leaf -= (va - first) / PAGE_SIZE;
	for (; first < last; first += PAGE_SIZE, leaf++) {
		if (*leaf != 0 || first < r->start || first >= r->end)
			continue;
		uint64_t frame = frame_take(true);
		if (frame == 0)
			return (va & PAGE_MASK) >= first ? FAULT_MEMORY : FAULT_NONE;
		leaf_set(leaf, leaf_flags(r, frame, true));
		s->anonymous_pages++;
	}
	return FAULT_NONE;
}

/*
 * Anonymous memory costs the host nothing before it is touched, so all of the range's part of an aligned 2 MiB is mapped at once,
 * by a large entry if it is all of it, else from a block reserved for it; small ranges get single frames.
 */
static enum fault populate_anonymous(struct space *s, const struct range *r, uint64_t va)
{
	uint64_t start = va & ~(BLOCK_SIZE - 1), end = start + BLOCK_SIZE;
	uint64_t low = r->start > start ? r->start : start, high = r->end < end ? r->end : end;
	uint64_t *directory = directory_make(s, va);
	if (directory == NULL)
		return FAULT_MEMORY;
	if (*directory == 0 && high - low == BLOCK_SIZE && !is_tight() && populate_large(s, r, directory, va))
		return FAULT_NONE;
	uint64_t *leaf = leaf_make(s, va);
	if (leaf == NULL)
		return FAULT_MEMORY;
	uint64_t table = *directory;
	if (table_used(table) == 0 && table_block(table) == 0 && high - low >= RESERVE_BYTES)
		table_set_block(table, block_reserve(false));
	uint64_t block = table_block(table);
	if (block == 0)
		return populate_small(s, r, leaf, va);
	uint64_t *leaves = table_at(table);
	if (is_tight()) {
		low = va & PAGE_MASK;
		high = low + PAGE_SIZE;
	}
	for (uint64_t at = low; at < high; at += PAGE_SIZE) {
		uint64_t gpa = block + (at - start);
		uint64_t *l = &leaves[(at - start) / PAGE_SIZE];
		if (*l != 0 || !frame_unused(gpa)) /* a child of fork may still have the frame that was here */
			continue;
		frame_hold(gpa, 1);
		leaf_set(l, leaf_flags(r, gpa, true));
		s->anonymous_pages++;
	}
	return *leaf != 0 ? FAULT_NONE : populate_small(s, r, leaf, va);
}

static enum fault populate_file(struct space *s, const struct range *r, uint64_t va)
{
	uint64_t size = file_size(r->file), first = va & ~(FILE_AROUND * PAGE_SIZE - 1), last = first + FILE_AROUND * PAGE_SIZE;
	if (r->offset + (va - r->start) >= size)
		return FAULT_BUS;
	uint64_t *leaf = leaf_make(s, va);
	if (leaf == NULL)
		return FAULT_MEMORY;
	int e;
	uint64_t offset = (r->offset + (va - r->start)) & PAGE_MASK, gpa = file_page(r->file, offset, &e);
	if (gpa == 0)
		return e == -ENOMEM ? FAULT_MEMORY : FAULT_BUS;
	if (first < r->start)
		first = r->start;
	if (last > r->end)
		last = r->end;
	va &= PAGE_MASK;
	for (uint64_t at = first; at < last; at += PAGE_SIZE) {
		uint64_t o = r->offset + (at - r->start);
		uint64_t *l = leaf - (int64_t)(va - at) / (int64_t)PAGE_SIZE;
		if (*l != 0 || o >= size || o / BLOCK_SIZE != offset / BLOCK_SIZE)
			continue;
		leaf_set(l, leaf_flags(r, gpa + (o - offset), false));
		s->file_pages++;
		/* Not given back when it is unmapped: the Sentry counts anew when it is asked for more. */
		vm.room.pages -= r->file->in_memory && r->file->writable;
	}
	return FAULT_NONE;
}

/* guest: the space's own code faulted, and repeats the access. forced: as a debugger; protection does not count. */
enum fault space_fault(struct space *s, uint64_t va, int access, bool guest, bool forced)
{
	const struct range *r = range_find(s, va);
	if (r == NULL)
		return FAULT_UNMAPPED;
	if (!permits(r->protection, access) && (!forced || ((access & ACCESS_WRITE) != 0 && (r->flags & RANGE_SHARED) != 0)))
		return FAULT_FORBIDDEN;
	bool writes = (access & ACCESS_WRITE) != 0;
	int level;
	uint64_t *leaf = leaf_find(s, va, &level);
	if (leaf != NULL && level == 1 && *leaf != 0) {
		if (!writes || (*leaf & PTE_WRITE) != 0)
			return FAULT_NONE;
		enum fault e = write_fault_large(s, r, leaf);
		if (e != FAULT_NONE || (*leaf & PTE_LARGE) != 0)
			return e;
		leaf = leaf_find(s, va, &level);
	}
	if (leaf != NULL && level == 0 && *leaf != 0)
		return writes && (*leaf & PTE_WRITE) == 0 ? write_fault(s, r, leaf, guest) : FAULT_NONE;
	enum fault e = room_check(guest);
	if (e == FAULT_NONE)
		e = r->file != NULL ? populate_file(s, r, va) : populate_anonymous(s, r, va);
	if (e != FAULT_NONE || !writes)
		return e;
	/* A private page of a file comes without the right to write: at once, not by another fault. */
	leaf = leaf_find(s, va, &level);
	return level == 0 && (*leaf & PTE_WRITE) == 0 ? write_fault(s, r, leaf, guest) : FAULT_NONE;
}

/* The host could not give a page: those behind the end of their file are taken out, so that the access faults with an address. */
bool drop_beyond_end(struct space *s)
{
	bool dropped = false;
	struct gather g;
	gather_begin(&g, s, false);
	for (size_t i = 0; i < s->count; i++) {
		const struct range *r = &s->ranges[i];
		if (r->file == NULL)
			continue;
		uint64_t size = file_size(r->file);
		uint64_t from = size <= r->offset ? r->start : r->start + (size - r->offset);
		for (uint64_t va = next_mapped(s, from, r->end); va < r->end; va = next_mapped(s, va + PAGE_SIZE, r->end)) {
			int level;
			uint64_t *leaf = leaf_find(s, va, &level);
			if (leaf == NULL || level != 0 || *leaf == 0 || is_anonymous(*leaf & PTE_FRAME))
				continue;
			gather_drop(&g, *leaf & PTE_FRAME);
			leaf_set(leaf, 0);
			s->file_pages--;
			dropped = true;
		}
	}
	gather_end(&g);
	return dropped;
}
