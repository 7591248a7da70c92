/*
 * Which entry and which paging rules work on this host, found by trying: a virtual machine of its own for each entry, one vCPU, a page of
 * code. A guard thread ends a run that does not end.
 */
#include "kvm_machine.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#define CODE 0x400000ULL
#define DATA 0x600000ULL
#define SPARE 0x601000ULL
/* ns after which a run has failed. */
#define PATIENCE_NS 900000000L
#define ROUNDS 16

static struct {
	struct vcpu *vcpu;
	_Atomic bool done;
	pthread_mutex_t lock;
	pthread_cond_t finished;
} guard = { .lock = PTHREAD_MUTEX_INITIALIZER, .finished = PTHREAD_COND_INITIALIZER };

static void *guard_main(void *unused)
{
	(void)unused;
	struct timespec until;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += PATIENCE_NS;
	until.tv_sec += until.tv_nsec / 1000000000L;
	until.tv_nsec %= 1000000000L;
	pthread_mutex_lock(&guard.lock);
	while (!guard.done && pthread_cond_timedwait(&guard.finished, &guard.lock, &until) != ETIMEDOUT)
		;
	if (!guard.done)
		vcpu_kick(guard.vcpu);
	pthread_mutex_unlock(&guard.lock);
	return NULL;
}

static double now_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

/* Runs code until its system call. False: it ended in another way. */
static bool run(struct vcpu *v, struct thread *t)
{
	struct slot *slot = &sched.shared->slots[t->index];
	for (int tries = 0; tries < 8; tries++) {
		vcpu_load(v, t);
		enum outcome o = exit_handle(v, t, slot, vcpu_enter(v, v->space));
		if (o == OUTCOME_STOPPED)
			return slot->kind == KIND_CALL;
	}
	return false;
}

static bool start_at(struct vcpu *v, struct thread *t, const char *code, size_t length)
{
	struct slot *slot = &sched.shared->slots[t->index];
	memset(slot, 0, sizeof(*slot));
	slot->registers[RIP] = CODE;
	slot->registers[RBX] = DATA;
	slot->registers[RAX] = 39;
	return space_copy(v->space, CODE, (char *)(uintptr_t)code, length, true, true) == (int64_t)length && run(v, t);
}

/*
 * Changes what DATA shows behind the processor's back, asks for a flush of its TLB, and looks: if the old page is still there, the host
 * keeps shadow tables.
 */
static bool finds_paging(struct vcpu *v, struct thread *t, enum paging *paging)
{
	static const char load[] = "\x48\x8b\x3b\x0f\x05"; /* mov (%rbx),%rdi; syscall */
	struct slot *slot = &sched.shared->slots[t->index];
	uint64_t one = 1, two = 2;
	if (space_copy(v->space, DATA, (char *)&one, 8, true, false) != 8 || space_copy(v->space, SPARE, (char *)&two, 8, true, false) != 8)
		return false;
	if (!start_at(v, t, load, 5) || slot->registers[RDI] != 1)
		return false;
	int level;
	uint64_t *a = leaf_find(v->space, DATA, &level), *b = leaf_find(v->space, SPARE, &level), old = *a;
	*a = *b;
	atomic_fetch_add(&v->space->generation, 1);
	bool ran = start_at(v, t, load, 5);
	*paging = slot->registers[RDI] == 2 ? PAGING_TLB : PAGING_SHADOW;
	*a = old;
	return ran;
}

static void measure(struct vcpu *v, struct thread *t, struct probe *p)
{
	static const char clock[] = "\x0f\x31\x0f\x05"; /* rdtsc; syscall */
	static const char loop[] = "\x0f\x05\xeb\xfc";  /* syscall; jmp to it */
	struct slot *slot = &sched.shared->slots[t->index];
	uint64_t before = __rdtsc();
	if (start_at(v, t, clock, 4)) {
		uint64_t seen = slot->registers[RDX] << 32 | (slot->registers[RAX] & 0xffffffff);
		p->same_clock = seen >= before && seen <= __rdtsc();
	}
	if (!start_at(v, t, loop, 4))
		return;
	double best = 0;
	for (int i = 0; i < ROUNDS; i++) {
		double start = now_ns();
		if (!run(v, t))
			return;
		double took = now_ns() - start;
		if (best == 0 || took < best)
			best = took;
	}
	p->round_trip_ns = best;
	best = 0;
	for (int i = 0; i < ROUNDS; i++) {
		double start = now_ns();
		syscall(SYS_tgkill, getpid(), atomic_load(&v->tid), SIGUSR2);
		double took = now_ns() - start;
		if (best == 0 || took < best)
			best = took;
	}
	p->trap_ns = best;
}

/* The machine is open for one entry: does it work? */
static bool try_machine(struct probe *p)
{
	static struct vcpu v;
	pthread_t id;
	bool works = false;
	int e = vcpu_open(&v, 0, 0);
	if (e != 0) {
		snprintf(p->message, sizeof(p->message), "a vCPU cannot be set up (errno %d)", -e);
		return false;
	}
	int space = space_new();
	int thread = space < 0 ? space : thread_new((uint32_t)space);
	if (thread >= 0) {
		struct thread *t = &sched.threads[thread];
		v.space = &vm.spaces[space];
		guard.vcpu = &v;
		guard.done = false;
		atomic_store(&v.tid, (pid_t)syscall(SYS_gettid));
		bool watched = pthread_create(&id, NULL, guard_main, NULL) == 0;
		works = watched && space_map(v.space, CODE, PAGE_SIZE, PROT_READ | PROT_EXEC) == 0 &&
			space_map(v.space, DATA, 2 * PAGE_SIZE, PROT_READ | PROT_WRITE) == 0 && start_at(&v, t, "\x0f\x05", 2) &&
			finds_paging(&v, t, &p->paging);
		if (works)
			measure(&v, t, p);
		else
			snprintf(p->message, sizeof(p->message), "a system call does not come out: exit %u, rip 0x%llx, error %d",
				 v.run->exit_reason, (unsigned long long)v.run->s.regs.regs.rip, (int)sched.shared->slots[thread].number);
		pthread_mutex_lock(&guard.lock);
		guard.done = true;
		pthread_cond_signal(&guard.finished);
		pthread_mutex_unlock(&guard.lock);
		if (watched)
			pthread_join(id, NULL);
	}
	vcpu_shut(&v);
	return works;
}

/* The machine must not be open. */
void kvm_probe(int kvm_fd, struct probe *p)
{
	static const enum entry candidates[] = { ENTRY_HARDWARE, ENTRY_USER, ENTRY_FAULT };
	memset(p, 0, sizeof(*p));
	const char *lacks = machine_lacks(kvm_fd);
	if (lacks != NULL) {
		snprintf(p->message, sizeof(p->message), "%s", lacks);
		return;
	}
	for (size_t i = 0; i < sizeof(candidates) / sizeof(candidates[0]) && p->entry == ENTRY_NONE; i++) {
		struct machine_options o = { .kvm_fd = kvm_fd, .vcpu_limit = 0, .pagemap_fd = -1, .entry = candidates[i], .paging = PAGING_TLB };
		int e = machine_open(&o);
		if (e != 0) {
			snprintf(p->message, sizeof(p->message), "a virtual machine cannot be made (errno %d)", -e);
			continue;
		}
		struct shared *shared = sched.shared;
		if (try_machine(p))
			p->entry = candidates[i];
		machine_close();
		munmap(shared, sizeof(*shared));
	}
}
