/* The virtual machine as a whole: everything opened in order, and closed. */
#include "kvm_machine.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define VDSO_GPA 0x20000000ULL
/* Most that the vDSO and its data take. */
#define MAX_VDSO (1ULL << 20)
#define NEEDED_SYNC (KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS)

struct vm vm = { .lock = PTHREAD_MUTEX_INITIALIZER, .fd = -1 };

/* What any of it needs of the host's KVM. NULL: it is there; else what is not. */
const char *machine_lacks(int kvm_fd)
{
	if (ioctl(kvm_fd, KVM_GET_API_VERSION, 0) != 12)
		return "another KVM API than version 12";
	if ((ioctl(kvm_fd, KVM_CHECK_EXTENSION, KVM_CAP_SYNC_REGS) & NEEDED_SYNC) != NEEDED_SYNC)
		return "no KVM_CAP_SYNC_REGS";
	if (ioctl(kvm_fd, KVM_CHECK_EXTENSION, KVM_CAP_IMMEDIATE_EXIT) <= 0)
		return "no KVM_CAP_IMMEDIATE_EXIT";
	if (ioctl(kvm_fd, KVM_CHECK_EXTENSION, KVM_CAP_READONLY_MEM) <= 0)
		return "no KVM_CAP_READONLY_MEM";
	if (ioctl(kvm_fd, KVM_CHECK_EXTENSION, KVM_CAP_XSAVE) <= 0)
		return "no KVM_CAP_XSAVE";
	return NULL;
}

static int open_memory(const struct machine_options *o)
{
	int e = cpuid_load();
	if (e == 0)
		e = window_open(o->kvm_fd, cpuid_address_bits());
	if (e == 0)
		e = tables_open();
	if (e == 0)
		e = frames_open();
	if (e == 0)
		e = files_open();
	vm.vdso_place = o->vdso_place;
	if (e != 0 || o->vdso_length == 0 || o->vdso_length > MAX_VDSO)
		return e;
	/* The host may refuse to show it; then applications have none. */
	if (window_show(VDSO_GPA, o->vdso_host, o->vdso_length) == 0) {
		vm.vdso_gpa = VDSO_GPA;
		vm.vdso_host = o->vdso_host;
		vm.vdso_length = o->vdso_length;
		vm.vdso_entry = o->vdso_place + o->vdso_code;
	}
	return 0;
}

/* 0 or -errno; after an error nothing is left open. The KVM descriptor stays the caller's. */
int machine_open(const struct machine_options *o)
{
	if (vm.running)
		return -EBUSY;
	memset(vm.spaces, 0, sizeof(vm.spaces));
	vm.kvm_fd = o->kvm_fd;
	vm.entry = o->entry;
	vm.paging = o->paging;
	vm.vdso_length = vm.vdso_gpa = 0;
	vm.pagemap_fd = o->pagemap_fd;
	room_open();
	vm.fd = ioctl(o->kvm_fd, KVM_CREATE_VM, 0);
	if (vm.fd < 0)
		return -errno;
	vm.running = true;
	vm.run_size = ioctl(o->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	int e = vm.run_size < 0 ? -errno : open_memory(o);
	if (e == 0)
		e = guest_build();
	if (e == 0)
		e = sched_open(o->vcpu_limit);
	if (e != 0)
		machine_close();
	return e;
}

void machine_close(void)
{
	if (!vm.running)
		return;
	sched_close();
	for (int i = 0; i < MAX_SPACES; i++)
		if (vm.spaces[i].used)
			space_free(&vm.spaces[i]);
	files_close();
	frames_close();
	tables_close();
	close(vm.fd);
	vm.fd = -1;
	window_close();
	vm.running = false;
}
