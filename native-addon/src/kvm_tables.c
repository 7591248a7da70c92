/*
 * Page tables, in frames of their own region. A freed table is used again only after the host has forgotten what it derived from it:
 * under shadow paging a table that came back under a new root would still show the old one's pages.
 */
#include "kvm.h"
#include "kvm_run.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Freed tables that make a flush worth while; as many again are handed out in the meantime. */
#define QUARANTINE 512

/* Pages that a table costs: its own; the host's for the same 2 MiB, in the window's tables and in its shadow of ours. */
#define TABLE_COST 3

/* What we know of a table of the lowest level: how many entries are set, which reserved block is its (+ 1 to tell it from none). */
struct table_info {
	uint64_t block;
	uint16_t used;
};

static struct {
	struct table_info *info;
	uint32_t *clean, *quarantine;
	size_t clean_count, clean_capacity, quarantine_count, quarantine_capacity;
	uint64_t next;
} tables;

static size_t info_bytes(void)
{
	return vm.tables.limit / PAGE_SIZE * sizeof(*tables.info);
}

int tables_open(void)
{
	memset(&tables, 0, sizeof(tables));
	void *p = mmap(NULL, info_bytes(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return -errno;
	tables.info = p;
	return 0;
}

void tables_close(void)
{
	if (tables.info != NULL)
		munmap(tables.info, info_bytes());
	free(tables.clean);
	free(tables.quarantine);
	memset(&tables, 0, sizeof(tables));
}

uint64_t *table_at(uint64_t gpa)
{
	return (uint64_t *)(vm.tables.host + ((gpa & PTE_FRAME) - vm.tables.gpa));
}
static struct table_info *info_of(uint64_t gpa)
{
	return &tables.info[((gpa & PTE_FRAME) - vm.tables.gpa) / PAGE_SIZE];
}

static bool push(uint32_t **list, size_t *count, size_t *capacity, uint32_t value)
{
	if (*count == *capacity) {
		size_t more = *capacity == 0 ? 1024 : *capacity * 2;
		uint32_t *grown = realloc(*list, more * sizeof(*grown));
		if (grown == NULL)
			return false;
		*list = grown;
		*capacity = more;
	}
	(*list)[(*count)++] = value;
	return true;
}

/* All in quarantine are clean after a flush of everything. */
static void recycle(void)
{
	if (vm.paging == PAGING_SHADOW) {
		if (window_zap() != 0)
			return;
	} else {
		flush_everywhere();
	}
	while (tables.quarantine_count > 0) {
		uint32_t number = tables.quarantine[tables.quarantine_count - 1];
		if (!push(&tables.clean, &tables.clean_count, &tables.clean_capacity, number))
			return;
		tables.quarantine_count--;
	}
}

/* An empty table; 0 if there is no memory. */
uint64_t table_take(void)
{
	if (tables.clean_count == 0 && tables.quarantine_count >= QUARANTINE)
		recycle();
	vm.room.pages -= TABLE_COST;
	if (tables.clean_count > 0)
		return vm.tables.gpa + (uint64_t)tables.clean[--tables.clean_count] * PAGE_SIZE;
	if (region_grow(&vm.tables, (tables.next + 1) * PAGE_SIZE) != 0)
		return 0;
	return vm.tables.gpa + tables.next++ * PAGE_SIZE;
}

void table_free(uint64_t gpa)
{
	gpa &= PTE_FRAME;
	memset(table_at(gpa), 0, PAGE_SIZE);
	room_give_back(TABLE_COST);
	*info_of(gpa) = (struct table_info){ 0 };
	/* If the list cannot grow the table is lost: never unsafe. */
	push(&tables.quarantine, &tables.quarantine_count, &tables.quarantine_capacity, (uint32_t)((gpa - vm.tables.gpa) / PAGE_SIZE));
}

static unsigned slot(uint64_t va, int level)
{
	return (va >> (12 + 9 * level)) & 511;
}

/* The entry that maps va: level 0, or 1 for a large one, which may be empty if it is level 1 at most. NULL: not even a directory. */
uint64_t *leaf_find(const struct space *s, uint64_t va, int *level)
{
	uint64_t *table = table_at(s->root);
	for (int l = 3; l > 0; l--) {
		uint64_t *e = &table[slot(va, l)];
		if (l == 1 && ((*e & PTE_LARGE) != 0 || *e == 0)) {
			*level = 1;
			return e;
		}
		if ((*e & PTE_PRESENT) == 0)
			return NULL;
		table = table_at(*e);
	}
	*level = 0;
	return &table[slot(va, 0)];
}

/* The entry of va's 2 MiB. NULL: no memory. */
uint64_t *directory_make(struct space *s, uint64_t va)
{
	uint64_t *table = table_at(s->root);
	for (int l = 3; l > 1; l--) {
		uint64_t *e = &table[slot(va, l)];
		if (*e == 0) {
			uint64_t t = table_take();
			if (t == 0)
				return NULL;
			*e = t | PTE_PRESENT | PTE_WRITE | PTE_USER | 0x20;
		}
		table = table_at(*e);
	}
	return &table[slot(va, 1)];
}

/* The entry of va's page; its 2 MiB are not mapped by a large one. NULL: no memory. */
uint64_t *leaf_make(struct space *s, uint64_t va)
{
	uint64_t *e = directory_make(s, va);
	if (e == NULL)
		return NULL;
	if (*e == 0) {
		uint64_t t = table_take();
		if (t == 0)
			return NULL;
		*e = t | PTE_PRESENT | PTE_WRITE | PTE_USER | 0x20;
	}
	return &table_at(*e)[slot(va, 0)];
}

/* Stores an entry of a table of the lowest level. */
void leaf_set(uint64_t *leaf, uint64_t value)
{
	struct table_info *info = &tables.info[((char *)leaf - vm.tables.host) / PAGE_SIZE];
	info->used = (uint16_t)(info->used + (value != 0) - (*leaf != 0));
	__atomic_store_n(leaf, value, __ATOMIC_RELEASE);
}

unsigned table_used(uint64_t gpa) { return info_of(gpa)->used; }
/* The reserved block of a table; 0 if it has none. */
uint64_t table_block(uint64_t gpa) { return info_of(gpa)->block; }
void table_set_block(uint64_t gpa, uint64_t block) { info_of(gpa)->block = block; }

/*
 * A large entry becomes a table that maps the same frames with the same rights. Under shadow paging the caller must zap. 0 or -ENOMEM.
 */
int split_large(uint64_t *directory_entry)
{
	uint64_t large = *directory_entry, t = table_take();
	if (t == 0)
		return -ENOMEM;
	uint64_t *table = table_at(t);
	for (unsigned i = 0; i < BLOCK_PAGES; i++)
		table[i] = (large & ~PTE_LARGE) + i * PAGE_SIZE;
	struct table_info *info = info_of(t);
	info->used = BLOCK_PAGES;
	__atomic_store_n(directory_entry, t | PTE_PRESENT | PTE_WRITE | PTE_USER | 0x20, __ATOMIC_RELEASE);
	return 0;
}

/* The first address at or after va, in 2 MiB that have an entry; `end` if there is none before it. */
uint64_t next_mapped(const struct space *s, uint64_t va, uint64_t end)
{
	while (va < end) {
		uint64_t *table = table_at(s->root), entry = 0;
		int l = 3;
		for (; l > 0; l--) {
			entry = table[slot(va, l)];
			if (entry == 0 || l == 1)
				break;
			table = table_at(entry);
		}
		if (entry != 0)
			return va;
		uint64_t span = 1ULL << (12 + 9 * l);
		va = (va & ~(span - 1)) + span;
	}
	return end;
}
