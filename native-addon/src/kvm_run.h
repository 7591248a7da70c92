/* Threads of applications and the vCPUs that run them. sched.lock guards who runs where; it is never held across KVM_RUN. */
#ifndef TSVISOR_KVM_RUN_H
#define TSVISOR_KVM_RUN_H

#include "kvm.h"

#include <sys/types.h>

#define REGISTERS 27
#define RING_SIZE (2 * MAX_THREADS)

/* Index in slot.registers: the order of struct user_regs_struct, as platforms/platform.ts has it. */
enum reg {
	R15, R14, R13, R12, RBP, RBX, R11, R10, R9, R8, RAX, RCX, RDX, RSI, RDI, ORIG_RAX, RIP, CS, EFLAGS, RSP, SS, FS_BASE, GS_BASE,
};

enum kind { KIND_CALL = 1, KIND_FAULT, KIND_INTERRUPT, KIND_LOST, KIND_SHORT };

/* One thread as JavaScript sees it (platforms/kvm/layout.ts). Whose turn it is to write follows from who runs it. */
struct slot {
	uint32_t kind, signal, code, vcpu;
	uint64_t address;
	int32_t number; /* KIND_CALL: of the call; -1 for other entries. KIND_LOST: enum loss. KIND_FAULT: the processor's error code */
	uint32_t vector; /* KIND_FAULT */
	uint64_t registers[REGISTERS];
} __attribute__((aligned(256)));
enum loss { LOSS_SHUTDOWN = 1, LOSS_ENTRY, LOSS_INTERNAL, LOSS_RING0, LOSS_EXIT, LOSS_MEMORY, LOSS_IOCTL, LOSS_LOOP };

/* What JavaScript and C share, in one mapping. */
struct shared {
	_Atomic uint32_t head; /* events that were ever posted */
	_Atomic uint32_t tail; /* and taken; JavaScript's */
	_Atomic uint32_t sleeping;
	_Atomic uint32_t memory_short; /* a copy of the Sentry's own went beyond what applications may have */
	uint32_t pad[1020];
	uint32_t ring[RING_SIZE];
	struct slot slots[MAX_THREADS];
};

enum thread_state { THREAD_FREE, THREAD_STOPPED, THREAD_QUEUED, THREAD_RUNNING };

struct vcpu;
struct thread {
	enum thread_state state;
	uint32_t index, space;
	_Atomic bool kick, preempt;
	bool step, own_trap_flag;
	struct vcpu *home; /* holds its floating-point state; NULL: `xstate` does, or it is the initial one */
	struct kvm_xsave *xstate;
	uint64_t cpu_ns;
	struct thread *next;                    /* in the queue */
	struct thread *peer_next, *peer_before; /* of the same space */
};

struct vcpu {
	int index, fd;
	struct kvm_run *run;
	struct vcpu_state state;
	pthread_t id;
	_Atomic pid_t tid;
	pthread_cond_t wake;
	struct thread *assigned, *owner; /* to run; whose floating-point state it holds */
	bool busy, stop, broken;
	_Atomic bool in_guest;
	_Atomic uint32_t entries;
	_Atomic uint64_t seen; /* generation that the last entry has flushed for */
	uint64_t space_id;
	struct space *space;
	unsigned faults; /* in a row, of the same instruction */
	uint64_t fault_rip, fault_what;
	uint64_t cpu_mark, started;
};

struct sched {
	pthread_mutex_t lock;
	pthread_cond_t stopped; /* some thread has stopped */
	struct thread threads[MAX_THREADS];
	struct vcpu vcpus[MAX_VCPUS];
	int vcpu_count, vcpu_limit;
	struct thread *first, *last;
	struct thread *members[MAX_SPACES]; /* a space's threads */
	int queued, doorbell, next_id;
	struct shared *shared;
};
extern struct sched sched;

/* kvm_vcpu.c */
int vcpu_open(struct vcpu *v, int index, int id);
int vcpu_renew(struct vcpu *v, int id);
void vcpu_shut(struct vcpu *v);
void vcpu_load(struct vcpu *v, const struct thread *t);
int vcpu_enter(struct vcpu *v, struct space *s);
void vcpu_kick(struct vcpu *v);
bool vcpu_has_event(const struct vcpu *v);
void flush_space(struct space *s);
void flush_everywhere(void);
void space_barrier(struct space *s);

/* kvm_exit.c: why KVM_RUN ended. */
enum outcome {
	OUTCOME_AGAIN,    /* the thread goes on as its slot says */
	OUTCOME_CONTINUE, /* the vCPU goes on as it is */
	OUTCOME_STOPPED,  /* the slot tells why */
};
enum outcome exit_handle(struct vcpu *v, struct thread *t, struct slot *slot, int result);
enum outcome exit_signal(struct slot *slot, uint32_t signal, uint32_t code, uint64_t address);
enum outcome exit_lost(struct slot *slot, enum loss loss);

/* kvm_xstate.c */
int xstate_load(struct vcpu *v, struct thread *t);
int xstate_copy(struct thread *from, struct thread *to);
size_t xstate_get(struct thread *t, uint8_t *into, size_t room);
bool xstate_set(struct thread *t, const uint8_t *image, size_t length);
void xstate_drop(struct thread *t);

/* kvm_sched.c */
int sched_open(int vcpu_limit);
void sched_close(void);
int thread_new(uint32_t space);
void thread_free(struct thread *t);
void thread_resume(struct thread *t, bool step);
void thread_interrupt(struct thread *t);
void space_stop(uint32_t space);
void sched_preempt(void);
uint64_t thread_cpu(struct thread *t);
struct thread *thread_at(int64_t index);

#endif
