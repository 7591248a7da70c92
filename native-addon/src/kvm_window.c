/* The window: regions of guest-physical memory, their memslots, and the flush of everything that the host has derived from them. */
#include "kvm.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

/* A slot that is added and removed to make the host forget all its shadow tables; slot numbers from 1 are the regions'. */
#define ZAP_SLOT 0
#define ZAP_GPA 0x30000000ULL
#define MISC_GPA 0x10000000ULL
#define MISC_LIMIT (4ULL << 20)
#define GIB (1ULL << 30)

static char zap_page[PAGE_SIZE] __attribute__((aligned(4096)));

static int set_slot(int slot, uint64_t gpa, void *host, uint64_t size, uint32_t flags)
{
	struct kvm_userspace_memory_region r = {
		.slot = (uint32_t)slot, .flags = flags, .guest_phys_addr = gpa, .memory_size = size, .userspace_addr = (uint64_t)(uintptr_t)host,
	};
	return ioctl(vm.fd, KVM_SET_USER_MEMORY_REGION, &r) == 0 ? 0 : -errno;
}

/* Address space only: nothing is backed yet. */
static int region_open(struct region *r, uint64_t gpa, uint64_t limit, uint64_t step, int protection)
{
	*r = (struct region){ .gpa = gpa, .limit = limit, .step = step, .protection = protection };
	r->host = mmap(NULL, limit + BLOCK_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (r->host == MAP_FAILED)
		return -errno;
	/* Blocks are aligned in both address spaces, so that a huge page of the host can be one of the guest. */
	r->host = (char *)(((uintptr_t)r->host + BLOCK_SIZE - 1) & ~(BLOCK_SIZE - 1));
	return 0;
}

/* At least `size` bytes of the region are backed by a slot. 0 or -errno. */
int region_grow(struct region *r, uint64_t size)
{
	while (r->size < size) {
		uint64_t more = r->step < r->limit - r->size ? r->step : r->limit - r->size;
		if (more == 0)
			return -ENOMEM;
		char *at = r->host + r->size;
		if (r->protection != PROT_NONE && mprotect(at, more, r->protection) != 0)
			return -errno;
		if (r == &vm.huge)
			madvise(at, more, MADV_HUGEPAGE);
		else if (r == &vm.plain)
			madvise(at, more, MADV_NOHUGEPAGE);
		int e = set_slot(vm.next_slot, r->gpa + r->size, at, more, 0);
		if (e != 0)
			return e;
		vm.next_slot++;
		r->size += more;
	}
	return 0;
}

/* Read-only memory of ours as it lies (the vDSO and its data). */
int window_show(uint64_t gpa, void *host, uint64_t size)
{
	int e = set_slot(vm.next_slot, gpa, host, size, KVM_MEM_READONLY);
	if (e == 0)
		vm.next_slot++;
	return e;
}

/* The host forgets every shadow page table: they are built anew from what the guest's tables say now. */
int window_zap(void)
{
	int e = set_slot(ZAP_SLOT, ZAP_GPA, zap_page, PAGE_SIZE, 0);
	return e != 0 ? e : set_slot(ZAP_SLOT, ZAP_GPA, zap_page, 0, 0);
}

/* address_bits: of guest-physical addresses. The virtual machine exists. 0 or -errno. */
int window_open(int kvm_fd, int address_bits)
{
	/* All lies below 2^39; a guest with wider addresses gets eight times the room. */
	uint64_t scale = address_bits >= 42 ? 8 : 1;
	int rw = PROT_READ | PROT_WRITE, e;

	vm.kvm_fd = kvm_fd;
	vm.next_slot = 1;
	memset(zap_page, 0, sizeof(zap_page)); /* resident: an unbacked page would not be known to the host */
	if ((e = region_open(&vm.misc, MISC_GPA, MISC_LIMIT, MISC_LIMIT, rw)) != 0 || (e = region_grow(&vm.misc, MISC_LIMIT)) != 0)
		return e;
	if ((e = region_open(&vm.tables, 4 * GIB * scale, 8 * GIB * scale, GIB / 16, rw)) != 0)
		return e;
	if ((e = region_open(&vm.plain, 64 * GIB * scale, 128 * GIB * scale, GIB / 4, rw)) != 0)
		return e;
	if ((e = region_open(&vm.huge, 192 * GIB * scale, 128 * GIB * scale, GIB / 2, rw)) != 0)
		return e;
	return region_open(&vm.files, 320 * GIB * scale, 128 * GIB * scale, GIB / 4, PROT_NONE);
}

void window_close(void)
{
	struct region *all[] = { &vm.misc, &vm.tables, &vm.plain, &vm.huge, &vm.files };
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (all[i]->host != NULL && all[i]->host != MAP_FAILED)
			munmap(all[i]->host, all[i]->limit);
		*all[i] = (struct region){ 0 };
	}
}

/* Where a guest-physical address is in this process. NULL outside of the window. */
char *window_host(uint64_t gpa)
{
	struct region *all[] = { &vm.plain, &vm.huge, &vm.files, &vm.tables, &vm.misc };
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (region_has(all[i], gpa))
			return all[i]->host + (gpa - all[i]->gpa);
	if (gpa - vm.vdso_gpa < vm.vdso_length)
		return vm.vdso_host + (gpa - vm.vdso_gpa);
	return NULL;
}
