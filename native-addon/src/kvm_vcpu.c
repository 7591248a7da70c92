/* A vCPU: its descriptor, its registers, entering the guest, and stopping one that is there. */
#include "kvm_run.h"

#include <errno.h>
#include <signal.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What an application may have in its flags: CF PF AF ZF SF TF DF OF NT RF AC ID; interrupts are always on. */
#define USER_FLAGS 0x254dd5ULL
#define FIXED_FLAGS 0x202ULL
#define TRAP_FLAG 0x100ULL

/* Flushes that concern every space. */
static _Atomic uint64_t everywhere;

/* id: the host's, never used twice in a machine. Its thread and its place in the guest's ring 0 stay. */
int vcpu_renew(struct vcpu *v, int id)
{
	v->space_id = 0;
	v->fd = ioctl(vm.fd, KVM_CREATE_VCPU, id);
	if (v->fd < 0)
		return -errno;
	v->run = mmap(NULL, (size_t)vm.run_size, PROT_READ | PROT_WRITE, MAP_SHARED, v->fd, 0);
	if (v->run == MAP_FAILED) {
		int e = -errno;
		close(v->fd);
		v->fd = -1;
		return e;
	}
	int e = guest_setup_vcpu(v->fd, v->index, &v->state);
	if (e != 0)
		vcpu_shut(v);
	else
		v->run->kvm_valid_regs = KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS;
	return e;
}

int vcpu_open(struct vcpu *v, int index, int id)
{
	memset(v, 0, sizeof(*v));
	v->index = index;
	return vcpu_renew(v, id);
}

void vcpu_shut(struct vcpu *v)
{
	if (v->fd < 0)
		return;
	munmap(v->run, (size_t)vm.run_size);
	close(v->fd);
	v->fd = -1;
}

static uint64_t flags_for(const struct thread *t, uint64_t flags)
{
	return (flags & USER_FLAGS) | FIXED_FLAGS | (t->step ? TRAP_FLAG : 0);
}

/* The next entry runs the thread from what its slot says. */
void vcpu_load(struct vcpu *v, const struct thread *t)
{
	const uint64_t *r = sched.shared->slots[t->index].registers;
	struct kvm_sync_regs *s = &v->run->s.regs;
	s->regs = (struct kvm_regs){
		.rax = r[RAX], .rbx = r[RBX], .rcx = r[RCX], .rdx = r[RDX], .rsi = r[RSI], .rdi = r[RDI], .rsp = r[RSP], .rbp = r[RBP],
		.r8 = r[R8], .r9 = r[R9], .r10 = r[R10], .r11 = r[R11], .r12 = r[R12], .r13 = r[R13], .r14 = r[R14], .r15 = r[R15],
		.rip = r[RIP], .rflags = flags_for(t, r[EFLAGS]),
	};
	s->sregs = v->state.sregs;
	s->sregs.cr3 = v->space->root;
	s->sregs.fs.base = r[FS_BASE];
	s->sregs.gs.base = r[GS_BASE];
	v->run->kvm_dirty_regs = KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS;
}

static uint64_t generation_of(const struct space *s)
{
	return atomic_load(&s->generation) + atomic_load(&everywhere);
}

/*
 * KVM_RUN. Under PAGING_TLB an entry whose translations may be older than the space's last flush asks for one: a changed CR4.PGE does.
 * in_guest goes up before the generation is read, so that whoever raises it either is seen here or sees us.
 */
int vcpu_enter(struct vcpu *v, struct space *s)
{
	atomic_fetch_add(&v->entries, 1);
	atomic_store(&v->in_guest, true);
	if (vm.paging == PAGING_TLB) {
		uint64_t generation = generation_of(s);
		if (v->space_id != s->id || atomic_load(&v->seen) != generation) {
			if (v->run->kvm_dirty_regs == 0)
				v->run->kvm_dirty_regs = KVM_SYNC_X86_SREGS;
			v->state.sregs.cr4 ^= CR4_PGE;
			v->run->s.regs.sregs.cr4 = v->state.sregs.cr4;
			v->space_id = s->id;
			atomic_store(&v->seen, generation);
		}
	}
	int r = ioctl(v->fd, KVM_RUN, 0);
	int result = r < 0 ? -errno : 0;
	atomic_store(&v->in_guest, false);
	return result;
}

/* It leaves KVM_RUN, or does not stay in the next one. */
void vcpu_kick(struct vcpu *v)
{
	pid_t tid = atomic_load(&v->tid);
	__atomic_store_n(&v->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	if (tid != 0)
		syscall(SYS_tgkill, getpid(), tid, SIGUSR2);
}

/* An exception waits for delivery: registers that are changed now would get it. */
bool vcpu_has_event(const struct vcpu *v)
{
	struct kvm_vcpu_events events;
	return ioctl(v->fd, KVM_GET_VCPU_EVENTS, &events) == 0 && (events.exception.injected || events.exception.pending);
}

static void wait_out(struct vcpu *v, const struct space *s, uint64_t generation)
{
	if (!atomic_load(&v->in_guest) || (s != NULL && v->space != s))
		return;
	vcpu_kick(v);
	while (atomic_load(&v->in_guest) && atomic_load(&v->seen) < generation)
		sched_yield();
}

/* PAGING_TLB: no vCPU uses a translation of the space that is older than this call. vm.lock is held. */
void flush_space(struct space *s)
{
	atomic_fetch_add(&s->generation, 1);
	for (int i = 0; i < sched.vcpu_count; i++)
		wait_out(&sched.vcpus[i], s, generation_of(s));
}
void flush_everywhere(void)
{
	atomic_fetch_add(&everywhere, 1);
	for (int i = 0; i < sched.vcpu_count; i++)
		if (sched.vcpus[i].space != NULL)
			wait_out(&sched.vcpus[i], NULL, generation_of(sched.vcpus[i].space));
}

/* membarrier(2): each thread of the space that is in the guest leaves it once. */
void space_barrier(struct space *s)
{
	for (int i = 0; i < sched.vcpu_count; i++) {
		struct vcpu *v = &sched.vcpus[i];
		uint32_t entry = atomic_load(&v->entries);
		if (v->space != s || !atomic_load(&v->in_guest))
			continue;
		vcpu_kick(v);
		while (atomic_load(&v->in_guest) && atomic_load(&v->entries) == entry)
			sched_yield();
	}
}
