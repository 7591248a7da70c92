/*
 * What the guest has of ring 0: descriptors, one stub for each exception, the system call's entry. All it ever does there is leave: each
 * stub writes a port, which ends KVM_RUN, and the Sentry's side goes on from the registers and the frame that the processor pushed.
 */
#include "kvm_run.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

/* Pages of MISC, from its start; and of ring 0, from guest.ring0. */
#define PAGE_ENTRY 0
#define PAGE_GDT 1
#define PAGE_IDT 2
#define PAGE_STUBS 3
#define PAGE_VSYSCALL 4
#define PAGE_VCPU 16 /* two for each: TSS, stack */

const struct guest_layout guest = { .lstar = 0xffffffffff000000, .ring0 = 0xffffffffff000000, .vsyscall = 0xffffffffff600000 };

static struct {
	uint64_t kernel_directory, vdso_directory;
} shared;

uint64_t guest_kernel_directory(void) { return shared.kernel_directory; }
uint64_t guest_vdso_directory(void) { return shared.vdso_directory; }
uint64_t guest_stubs(void) { return guest.ring0 + PAGE_STUBS * PAGE_SIZE; }

static char *misc(unsigned page)
{
	return vm.misc.host + page * PAGE_SIZE;
}

/* Maps one page below a shared level-3 table; level-2 and lower tables are made. */
static int map_shared(uint64_t directory, uint64_t va, uint64_t entry)
{
	uint64_t *table = table_at(directory);
	const uint64_t link = PTE_PRESENT | PTE_WRITE | PTE_USER | 0x20;
	for (int l = 2; l > 0; l--) {
		uint64_t *e = &table[(va >> (12 + 9 * l)) & 511];
		if (*e == 0) {
			uint64_t t = table_take();
			if (t == 0)
				return -ENOMEM;
			*e = t | link;
		}
		table = table_at(*e);
	}
	leaf_set(&table[(va >> 12) & 511], entry);
	return 0;
}

static int map_ring0(unsigned page, uint64_t flags)
{
	return map_shared(shared.kernel_directory, guest.ring0 + page * PAGE_SIZE, (vm.misc.gpa + page * PAGE_SIZE) | PTE_PRESENT | flags);
}

static void fill_descriptors(void)
{
	uint64_t *gdt = (uint64_t *)misc(PAGE_GDT);
	gdt[2] = 0x00af9b000000ffffULL; /* ring 0 code */
	gdt[3] = 0x00cf93000000ffffULL;
	gdt[5] = 0x00cff3000000ffffULL; /* user data, selector 0x2b */
	gdt[6] = 0x00affb000000ffffULL; /* user code, 64 bits, 0x33 */
	for (uint64_t v = 0; v < 256; v++) {
		uint64_t stub = guest.ring0 + PAGE_STUBS * PAGE_SIZE + v * STUB_SIZE;
		uint64_t dpl = v == 3 || v == 4 ? 3 : 0; /* int3, into */
		uint64_t *gate = (uint64_t *)(misc(PAGE_IDT) + v * 16);
		gate[0] = (stub & 0xffff) | 0x10 << 16 | (0x8e | dpl << 5) << 40 | (stub >> 16 & 0xffff) << 48;
		gate[1] = stub >> 32;
		memcpy(misc(PAGE_STUBS) + v * STUB_SIZE, "\xe6\x12\xf4\xeb\xfd", 5); /* out %al,$0x12; hlt; jmp to it */
	}
}

/* mov $nr,%rax; syscall; ret: the three calls that old programs make at fixed addresses. */
static void fill_vsyscall(void)
{
	static const uint8_t calls[3] = { 96, 201, 53 }; /* gettimeofday, time, getcpu (309) */
	memset(misc(PAGE_VSYSCALL), 0xcc, PAGE_SIZE);
	for (unsigned i = 0; i < 3; i++) {
		uint8_t *at = (uint8_t *)misc(PAGE_VSYSCALL) + i * 0x400;
		memcpy(at, "\x48\xc7\xc0\x00\x00\x00\x00\x0f\x05\xc3", 10);
		at[3] = calls[i];
		at[4] = i == 2; /* 309 = 0x135 */
	}
}

static int map_vdso(void)
{
	for (uint64_t at = 0; at < vm.vdso_length; at += PAGE_SIZE) {
		uint64_t flags = PTE_PRESENT | PTE_USER | PTE_ACCESSED_DIRTY | (vm.vdso_place + at < vm.vdso_entry ? PTE_NX : 0);
		/* Its level-2 table is shared: it hangs in every space's level-3 table. */
		int e = map_shared(shared.kernel_directory, vm.vdso_place + at, (vm.vdso_gpa + at) | flags);
		if (e != 0)
			return e;
	}
	if (vm.vdso_length == 0)
		return 0;
	uint64_t *upper = table_at(shared.kernel_directory);
	uint64_t *e = &upper[(vm.vdso_place >> 30) & 511];
	shared.vdso_directory = *e & PTE_FRAME;
	*e = 0;
	return 0;
}

/* Builds ring 0 for vm.entry. 0 or -errno. */
int guest_build(void)
{
	memset(&shared, 0, sizeof(shared));
	shared.kernel_directory = table_take();
	if (shared.kernel_directory == 0)
		return -ENOMEM;
	int e = map_vdso();
	if (e != 0)
		return e;
	fill_descriptors();
	fill_vsyscall();
	memcpy(misc(PAGE_ENTRY), "\xe6\x11\x48\x0f\x07", 5); /* out %al,$0x11; sysretq */
	const uint64_t fixed = PTE_ACCESSED_DIRTY;
	if (vm.entry != ENTRY_FAULT)
		e = map_ring0(PAGE_ENTRY, fixed | (vm.entry == ENTRY_USER ? PTE_USER : 0));
	for (unsigned p = PAGE_GDT; p <= PAGE_STUBS && e == 0; p++)
		e = map_ring0(p, fixed | PTE_WRITE);
	for (unsigned p = PAGE_VCPU; p < PAGE_VCPU + 2 * MAX_VCPUS && e == 0; p++)
		e = map_ring0(p, fixed | PTE_WRITE | PTE_NX);
	if (e == 0)
		e = map_shared(shared.kernel_directory, guest.vsyscall, (vm.misc.gpa + PAGE_VSYSCALL * PAGE_SIZE) | PTE_PRESENT | PTE_USER | fixed);
	return e;
}

static struct kvm_segment user_segment(uint16_t selector, uint8_t type, bool code)
{
	return (struct kvm_segment){
		.limit = 0xffffffff, .selector = selector, .type = type, .present = 1, .dpl = 3, .db = !code, .s = 1, .l = code, .g = 1,
	};
}

static int set_msrs(int fd)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entries[4];
	} m = { .head.nmsrs = 4, .entries = {
		{ .index = 0xc0000081, .data = 0x0023001000000000ULL }, /* STAR: sysret to 0x33 and 0x2b */
		{ .index = 0xc0000082, .data = guest.lstar },
		{ .index = 0xc0000083, .data = guest.lstar },
		{ .index = 0xc0000084, .data = 0x47700 }, /* SFMASK: TF, IF, DF, IOPL, NT, RF?, AC */
	} };
	return ioctl(fd, KVM_SET_MSRS, &m) == 4 ? 0 : -EIO;
}

/* The vCPU's first state, from what its CPUID allows. 0 or -errno. */
int guest_setup_vcpu(int fd, int index, struct vcpu_state *state)
{
	int e = cpuid_install(fd, index);
	if (e == 0)
		e = set_msrs(fd);
	if (e != 0)
		return e;
	struct kvm_sregs *s = &state->sregs;
	if (ioctl(fd, KVM_GET_SREGS, s) != 0)
		return -errno;
	unsigned tss = PAGE_VCPU + 2 * (unsigned)index;
	uint64_t tss_at = guest.ring0 + tss * PAGE_SIZE;
	state->stack_gpa = vm.misc.gpa + (tss + 1) * PAGE_SIZE;
	memset(misc(tss), 0, PAGE_SIZE);
	*(uint64_t *)(misc(tss) + 4) = tss_at + 2 * PAGE_SIZE; /* rsp0: the end of the stack's page */
	/* ENTRY_USER: a bitmap of zeros, so that the entry may write its port. Else it lies behind the end: no port for ring 3. */
	*(uint16_t *)(misc(tss) + 0x66) = vm.entry == ENTRY_USER ? 0 : 0xffff;
	s->cs = user_segment(0x33, 11, true);
	s->ds = s->es = s->fs = s->gs = s->ss = user_segment(0x2b, 3, false);
	s->gdt = (struct kvm_dtable){ .base = guest.ring0 + PAGE_GDT * PAGE_SIZE, .limit = 7 * 8 - 1 };
	s->idt = (struct kvm_dtable){ .base = guest.ring0 + PAGE_IDT * PAGE_SIZE, .limit = 256 * 16 - 1 };
	s->tr = (struct kvm_segment){ .base = tss_at, .limit = 0x67, .selector = 0x40, .type = 11, .present = 1 };
	s->cr0 = 0x80050033; /* PG AM WP NE ET MP PE */
	s->cr4 = cpuid_cr4();
	s->efer = 0xd01; /* NXE LMA LME SCE */
	s->cr3 = shared.kernel_directory;
	if (ioctl(fd, KVM_SET_SREGS, s) != 0)
		return -errno;
	struct kvm_xcrs x = { .nr_xcrs = 1, .xcrs = { { .xcr = 0, .value = cpuid_xcr0() } } };
	if ((s->cr4 & CR4_OSXSAVE) != 0 && ioctl(fd, KVM_SET_XCRS, &x) != 0)
		return -errno;
	/* Where the guest's clock has an offset of its own, it gets none: the vDSO reads the host's data. Refused: the probe sees it. */
	uint64_t no_offset = 0;
	struct kvm_device_attr attribute = { .group = KVM_VCPU_TSC_CTRL, .attr = KVM_VCPU_TSC_OFFSET, .addr = (uint64_t)(uintptr_t)&no_offset };
	ioctl(fd, KVM_SET_DEVICE_ATTR, &attribute);
	return 0;
}
