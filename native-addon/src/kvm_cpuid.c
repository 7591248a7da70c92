/*
 * What the guest's cpuid instruction says. With hardware below KVM: what KVM supports. Without, ring 3 runs on the processor as it is,
 * and KVM's list says less than what executes: then what this process sees itself.
 */
#include "kvm_run.h"

#include <cpuid.h>
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#define MAX_ENTRIES 256
#define XSAVE_BIT (1u << 26)
#define OSXSAVE_BIT (1u << 27)
/* x87, SSE, AVX, and AVX-512's three. Not: protection keys, tiles. */
#define XCR0_KNOWN 0xe7

static struct {
	struct kvm_cpuid2 head;
	struct kvm_cpuid_entry2 entries[MAX_ENTRIES];
} list;
/* What this process sees: asked once, each leaf may cost an exit to a hypervisor. */
static struct {
	bool known;
	uint32_t count;
	struct kvm_cpuid_entry2 entries[MAX_ENTRIES];
} native;
static uint64_t cr4, xcr0;
static size_t xstate_bytes;

static struct kvm_cpuid_entry2 *find(uint32_t function, uint32_t index)
{
	for (uint32_t i = 0; i < list.head.nent; i++)
		if (list.entries[i].function == function && list.entries[i].index == index)
			return &list.entries[i];
	return NULL;
}

static void add_native(uint32_t function, uint32_t index, bool indexed)
{
	struct kvm_cpuid_entry2 *e = find(function, index);
	if (e == NULL) {
		if (list.head.nent == MAX_ENTRIES)
			return;
		e = &list.entries[list.head.nent++];
	}
	*e = (struct kvm_cpuid_entry2){ .function = function, .index = index, .flags = indexed ? KVM_CPUID_FLAG_SIGNIFCANT_INDEX : 0 };
	__cpuid_count(function, index, e->eax, e->ebx, e->ecx, e->edx);
}

static void take_native(void)
{
	uint32_t last, b, c, d;
	if (native.known) {
		memcpy(list.entries, native.entries, native.count * sizeof(native.entries[0]));
		list.head.nent = native.count;
		return;
	}
	__cpuid(0, last, b, c, d);
	list.head.nent = 0;
	for (uint32_t f = 0; f <= last && f <= 0x20; f++) {
		bool indexed = f == 4 || f == 7 || f == 0xb || f == 0xd || f == 0x14 || f == 0x1f;
		for (uint32_t i = 0; i < (f == 0xd ? 20 : indexed ? 4 : 1); i++)
			add_native(f, i, indexed);
	}
	__cpuid(0x80000000, last, b, c, d);
	for (uint32_t f = 0x80000000; f <= last && f <= 0x80000030; f++)
		for (uint32_t i = 0; i < (f == 0x8000001d ? 4 : 1); i++)
			add_native(f, i, f == 0x8000001d);
	memcpy(native.entries, list.entries, list.head.nent * sizeof(native.entries[0]));
	native.count = list.head.nent;
	native.known = true;
}

/* Leaves of hypervisors say nothing to an application. */
static void take_supported(void)
{
	uint32_t kept = 0;
	for (uint32_t i = 0; i < list.head.nent; i++)
		if ((list.entries[i].function & 0xf0000000) != 0x40000000)
			list.entries[kept++] = list.entries[i];
	list.head.nent = kept;
}

static void derive(void)
{
	const struct kvm_cpuid_entry2 *one = find(1, 0), *seven = find(7, 0), *areas = find(0xd, 0);
	cr4 = 0x6a0; /* PAE PGE OSFXSR OSXMMEXCPT */
	xcr0 = 3;
	if (seven != NULL && (seven->ebx & 1) != 0)
		cr4 |= CR4_FSGSBASE;
	if (one != NULL && (one->ecx & XSAVE_BIT) != 0) {
		cr4 |= CR4_OSXSAVE;
		if (areas != NULL)
			xcr0 = (areas->eax & XCR0_KNOWN) | 3;
	}
	xstate_bytes = 576;
	for (uint32_t i = 2; i < 8; i++) {
		const struct kvm_cpuid_entry2 *area = (xcr0 >> i & 1) != 0 ? find(0xd, i) : NULL;
		if (area != NULL && area->eax + area->ebx > xstate_bytes)
			xstate_bytes = area->eax + area->ebx;
	}
}

/* For vm.entry. 0 or -errno. */
int cpuid_load(void)
{
	memset(&list, 0, sizeof(list));
	list.head.nent = MAX_ENTRIES;
	if (ioctl(vm.kvm_fd, KVM_GET_SUPPORTED_CPUID, &list) != 0)
		return -errno;
	if (vm.entry == ENTRY_HARDWARE)
		take_supported();
	else
		take_native();
	derive();
	return 0;
}

int cpuid_install(int fd, int index)
{
	struct kvm_cpuid_entry2 *one = find(1, 0), *topology = find(0xb, 0);
	if (one != NULL)
		one->ebx = (one->ebx & 0x00ffffff) | (uint32_t)index << 24;
	if (topology != NULL)
		topology->edx = (uint32_t)index;
	return ioctl(fd, KVM_SET_CPUID2, &list) == 0 ? 0 : -errno;
}

uint64_t cpuid_cr4(void) { return cr4; }
uint64_t cpuid_xcr0(void) { return xcr0; }
/* Of an XSAVE image with these components, standard format. */
size_t cpuid_xstate_bytes(void) { return xstate_bytes; }

/* Of guest-physical addresses. */
int cpuid_address_bits(void)
{
	const struct kvm_cpuid_entry2 *sizes = find(0x80000008, 0);
	return sizes != NULL ? (int)(sizes->eax & 0xff) : 36;
}
