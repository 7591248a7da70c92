/*
 * Anonymous frames. Two kinds of blocks of 2 MiB: a reserved block belongs to one aligned 2 MiB of one address space, each frame at its
 * natural place in it, so that one large entry can map it; a small block gives single frames to whoever asks. Every frame counts the
 * page-table entries that name it. What is freed of a reserved block goes back to the host at once (kvm_gather.c).
 */
#include "kvm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Freed small frames that are kept with their old contents; beyond it their memory is the host's again. */
#define KEPT_DIRTY 2048
#define CLEAN 1u

enum block_kind { BLOCK_FREE, BLOCK_RESERVED, BLOCK_ORPHAN, BLOCK_SMALL };

struct block {
	uint16_t used; /* frames with references */
	uint8_t kind;
	uint8_t pad;
	uint32_t next; /* in the list of free blocks, + 1 */
};

/* A region of anonymous memory. */
struct pool {
	struct region *region;
	uint32_t *references;
	struct block *blocks;
	uint32_t next_block, free_blocks;
};

static struct pool pools[2]; /* plain, huge */

/* Stack of free small frames: frame number in `plain` << 1 | CLEAN. */
static struct {
	uint32_t *free;
	size_t count, capacity, dirty;
	uint64_t block; /* being handed out, from `used` on */
	unsigned used;
} small;

static void *reserve(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return p == MAP_FAILED ? NULL : p;
}

int frames_open(void)
{
	for (int i = 0; i < 2; i++) {
		struct pool *p = &pools[i];
		*p = (struct pool){ .region = i == 0 ? &vm.plain : &vm.huge };
		p->references = reserve(p->region->limit / PAGE_SIZE * sizeof(*p->references));
		p->blocks = reserve(p->region->limit / BLOCK_SIZE * sizeof(*p->blocks));
		if (p->references == NULL || p->blocks == NULL)
			return -ENOMEM;
	}
	memset(&small, 0, sizeof(small));
	small.used = BLOCK_PAGES;
	return 0;
}

void frames_close(void)
{
	for (int i = 0; i < 2; i++) {
		struct pool *p = &pools[i];
		if (p->references != NULL)
			munmap(p->references, p->region->limit / PAGE_SIZE * sizeof(*p->references));
		if (p->blocks != NULL)
			munmap(p->blocks, p->region->limit / BLOCK_SIZE * sizeof(*p->blocks));
		*p = (struct pool){ 0 };
	}
	free(small.free);
	memset(&small, 0, sizeof(small));
}

static struct pool *pool_of(uint64_t gpa)
{
	return region_has(&vm.plain, gpa) ? &pools[0] : &pools[1];
}
static uint32_t *references(uint64_t gpa)
{
	struct pool *p = pool_of(gpa);
	return &p->references[(gpa - p->region->gpa) / PAGE_SIZE];
}
static struct block *block_of(uint64_t gpa)
{
	struct pool *p = pool_of(gpa);
	return &p->blocks[(gpa - p->region->gpa) / BLOCK_SIZE];
}

static uint64_t block_take(struct pool *p, enum block_kind kind)
{
	uint32_t index;
	if (p->free_blocks != 0) {
		index = p->free_blocks - 1;
		p->free_blocks = p->blocks[index].next;
	} else {
		index = p->next_block;
		if (region_grow(p->region, (uint64_t)(index + 1) * BLOCK_SIZE) != 0)
			return 0;
		p->next_block++;
	}
	p->blocks[index] = (struct block){ .kind = (uint8_t)kind };
	return p->region->gpa + index * BLOCK_SIZE;
}

static void block_free_if_unused(uint64_t gpa)
{
	struct block *b = block_of(gpa);
	struct pool *p = pool_of(gpa);
	if (b->kind != BLOCK_ORPHAN || b->used != 0)
		return;
	b->kind = BLOCK_FREE;
	b->next = p->free_blocks;
	p->free_blocks = (uint32_t)(b - p->blocks) + 1;
}

/* A block of zeros for one aligned 2 MiB of a space; 0 if there is no more. huge: worth huge pages of the host. */
uint64_t block_reserve(bool huge)
{
	return block_take(&pools[huge], BLOCK_RESERVED);
}

/* The block, all of whose frames are used, is somebody's again: what becomes unused stays his. */
void block_keep(uint64_t gpa)
{
	block_of(gpa)->kind = BLOCK_RESERVED;
}

/* Nothing new will be put into the block: it is free when its last frame is. */
void block_unreserve(uint64_t gpa)
{
	block_of(gpa)->kind = BLOCK_ORPHAN;
	block_free_if_unused(gpa);
}

static uint64_t small_take(bool *clean)
{
	if (small.count > 0) {
		uint32_t entry = small.free[--small.count];
		*clean = (entry & CLEAN) != 0;
		small.dirty -= !*clean;
		return vm.plain.gpa + (uint64_t)(entry >> 1) * PAGE_SIZE;
	}
	if (small.used == BLOCK_PAGES) {
		small.block = block_take(&pools[0], BLOCK_SMALL);
		if (small.block == 0)
			return 0;
		small.used = 0;
	}
	*clean = true;
	return small.block + small.used++ * PAGE_SIZE;
}

/* A frame with one reference; 0 if there is none. */
uint64_t frame_take(bool zeroed)
{
	bool clean;
	uint64_t gpa = small_take(&clean);
	if (gpa == 0)
		return 0;
	if (zeroed && !clean)
		memset(window_host(gpa), 0, PAGE_SIZE);
	*references(gpa) = 1;
	vm.room.pages--;
	return gpa;
}

void frame_hold(uint64_t gpa, size_t count)
{
	uint32_t *r = references(gpa);
	struct block *b = block_of(gpa);
	for (size_t i = 0; i < count; i++)
		if (r[i]++ == 0) {
			b->used++;
			vm.room.pages--;
		}
}

/* True if it was the last reference: the frame's memory is the caller's to release (gather_drop does). */
bool frame_drop(uint64_t gpa)
{
	uint32_t *r = references(gpa);
	if (--*r > 0)
		return false;
	room_give_back(1);
	struct block *b = block_of(gpa);
	if (b->kind != BLOCK_SMALL) {
		b->used--;
		block_free_if_unused(gpa);
	}
	return true;
}

/* Block number `index` of a region; 0: there are no more. *own: it is no free one, and none of single frames. */
uint64_t block_at(bool huge, uint32_t index, bool *own)
{
	const struct pool *p = &pools[huge];
	if (index >= p->next_block)
		return 0;
	*own = p->blocks[index].kind == BLOCK_RESERVED || p->blocks[index].kind == BLOCK_ORPHAN;
	return p->region->gpa + index * BLOCK_SIZE;
}

bool frame_is_small(uint64_t gpa)
{
	return block_of(gpa)->kind == BLOCK_SMALL;
}
bool frame_exclusive(uint64_t gpa)
{
	return *references(gpa) == 1;
}
bool frame_unused(uint64_t gpa)
{
	return *references(gpa) == 0;
}

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return x < y ? -1 : x > y;
}

/* The dirty ones' memory goes back to the host, in runs. */
void frames_clean(void)
{
	qsort(small.free, small.count, sizeof(*small.free), by_number);
	for (size_t i = 0; i < small.count;) {
		size_t n = 1;
		uint32_t first = small.free[i] >> 1;
		while (i + n < small.count && small.free[i + n] >> 1 == first + n)
			n++;
		madvise(vm.plain.host + first * PAGE_SIZE, n * PAGE_SIZE, MADV_DONTNEED);
		for (size_t k = i; k < i + n; k++)
			small.free[k] |= CLEAN;
		i += n;
	}
	small.dirty = 0;
}

/* A small frame that nothing names any more, nor any translation. */
void frame_recycle(uint64_t gpa, bool clean)
{
	if (small.count == small.capacity) {
		size_t capacity = small.capacity == 0 ? 1024 : small.capacity * 2;
		uint32_t *grown = realloc(small.free, capacity * sizeof(*grown));
		if (grown == NULL)
			return; /* lost to us, and to nobody else */
		small.free = grown;
		small.capacity = capacity;
	}
	small.free[small.count++] = (uint32_t)((gpa - vm.plain.gpa) / PAGE_SIZE) << 1 | (clean ? CLEAN : 0);
	small.dirty += !clean;
	if (small.dirty > KEPT_DIRTY)
		frames_clean();
}
