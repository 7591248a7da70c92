/*
 * Which vCPU runs which thread. Every vCPU is a thread of this process that runs one application thread at a time until it stops; a
 * stopped thread's event goes to the ring, and the kernel thread is woken if it sleeps. There are more vCPUs than processors, so
 * the host shares the time; only beyond that are threads queued, and preempted by sched_preempt.
 */
#include "kvm_run.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define VCPU_STACK (128 << 10)
/* ns that a thread may run while others wait. */
#define SLICE 10000000ULL

struct sched sched = { .lock = PTHREAD_MUTEX_INITIALIZER, .stopped = PTHREAD_COND_INITIALIZER, .doorbell = -1 };

static uint64_t clock_ns(clockid_t id)
{
	struct timespec ts = { 0 };
	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ULL + (uint64_t)ts.tv_nsec;
}

static struct slot *slot_of(const struct thread *t)
{
	return &sched.shared->slots[t->index];
}

struct thread *thread_at(int64_t index)
{
	return index >= 0 && index < MAX_THREADS && sched.threads[index].state != THREAD_FREE ? &sched.threads[index] : NULL;
}

/* The thread has stopped; its slot says why. The lock is held. */
static void post(struct thread *t)
{
	uint32_t head = atomic_load_explicit(&sched.shared->head, memory_order_relaxed);
	t->state = THREAD_STOPPED;
	atomic_store(&t->kick, false);
	sched.shared->ring[head % RING_SIZE] = t->index;
	atomic_store(&sched.shared->head, head + 1);
	if (atomic_exchange(&sched.shared->sleeping, 0) != 0)
		eventfd_write(sched.doorbell, 1);
	pthread_cond_broadcast(&sched.stopped);
}

static void enqueue(struct thread *t)
{
	t->next = NULL;
	if (sched.last != NULL)
		sched.last->next = t;
	else
		sched.first = t;
	sched.last = t;
	t->state = THREAD_QUEUED;
	sched.queued++;
}

static void dequeue(struct thread *t)
{
	struct thread *before = NULL, *at = sched.first;
	while (at != t) {
		before = at;
		at = at->next;
	}
	*(before != NULL ? &before->next : &sched.first) = t->next;
	if (sched.last == t)
		sched.last = before;
	sched.queued--;
}

/* CPU time of the vCPU's thread since the last look goes to whom it ran for. */
static void charge(struct vcpu *v, struct thread *t)
{
	uint64_t now = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	t->cpu_ns += now - v->cpu_mark;
	v->cpu_mark = now;
}

static bool must_yield(struct thread *t)
{
	return atomic_load(&t->preempt) && sched.queued > 0;
}

static bool is_canonical(uint64_t address)
{
	return (uint64_t)((int64_t)(address << 16) >> 16) == address;
}

/* Runs the thread until it stops; true: it goes to the end of the queue instead. */
static bool run_thread(struct vcpu *v, struct thread *t)
{
	struct slot *slot = slot_of(t);
	enum outcome o = OUTCOME_AGAIN;
	slot->vcpu = (uint32_t)v->index;
	while (o != OUTCOME_STOPPED) {
		__atomic_store_n(&v->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
		if (o == OUTCOME_AGAIN) {
			if (atomic_load(&t->kick)) {
				slot->kind = KIND_INTERRUPT;
				return false;
			}
			if (must_yield(t))
				return true;
			if (!is_canonical(slot->registers[RIP])) {
				slot->vector = 13; /* as the processor says of a return there */
				slot->number = 0;
				exit_signal(slot, SIGSEGV, 0x80, 0);
				return false;
			}
			vcpu_load(v, t);
		}
		o = exit_handle(v, t, slot, vcpu_enter(v, v->space));
	}
	return false;
}

/* A vCPU in a state that nobody knows is no more used: another takes its place. What it held of a thread's vector state is lost. */
static bool replace(struct vcpu *v)
{
	if (v->owner != NULL)
		v->owner->home = NULL, v->owner = NULL;
	vcpu_shut(v);
	v->broken = vcpu_renew(v, sched.next_id++) != 0;
	return !v->broken;
}

/* False: the thread cannot run on it. The lock is held. */
static bool prepare(struct vcpu *v, struct thread *t)
{
	if (v->broken && !replace(v))
		return false;
	v->space = &vm.spaces[t->space];
	v->faults = 0;
	return xstate_load(v, t) == 0;
}

static void *vcpu_main(void *arg)
{
	struct vcpu *v = arg;
	atomic_store(&v->tid, (pid_t)syscall(SYS_gettid));
	pthread_mutex_lock(&sched.lock);
	while (!v->stop) {
		struct thread *t = v->assigned;
		if (t == NULL && sched.first != NULL) {
			t = sched.first;
			dequeue(t);
		}
		if (t == NULL) {
			v->busy = false;
			pthread_cond_wait(&v->wake, &sched.lock);
			continue;
		}
		v->assigned = t;
		v->busy = true;
		t->state = THREAD_RUNNING;
		atomic_store(&t->preempt, false);
		v->started = clock_ns(CLOCK_MONOTONIC);
		if (v->owner != t)
			v->cpu_mark = clock_ns(CLOCK_THREAD_CPUTIME_ID);
		bool again = false;
		if (prepare(v, t)) {
			pthread_mutex_unlock(&sched.lock);
			again = run_thread(v, t);
			pthread_mutex_lock(&sched.lock);
		} else {
			exit_lost(slot_of(t), LOSS_IOCTL);
		}
		v->assigned = NULL;
		if (again || sched.queued > 0)
			charge(v, t);
		if (again)
			enqueue(t);
		else
			post(t);
	}
	pthread_mutex_unlock(&sched.lock);
	return NULL;
}

static int vcpu_start(struct vcpu *v)
{
	pthread_attr_t attributes;
	sigset_t all, old;
	int e = vcpu_open(v, sched.vcpu_count, sched.next_id++);
	if (e != 0)
		return e;
	pthread_cond_init(&v->wake, NULL);
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, VCPU_STACK);
	/* Kicks; signals by which the C library changes identities in every thread. */
	sigfillset(&all);
	sigdelset(&all, SIGUSR2);
	for (int s = 32; s < SIGRTMIN; s++)
		sigdelset(&all, s);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	v->busy = true;
	e = pthread_create(&v->id, &attributes, vcpu_main, v);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attributes);
	if (e != 0) {
		vcpu_shut(v);
		return -e;
	}
	sched.vcpu_count++;
	return 0;
}

static void assign(struct thread *t)
{
	struct vcpu *chosen = t->home != NULL && !t->home->busy ? t->home : NULL;
	for (int i = 0; i < sched.vcpu_count && chosen == NULL; i++)
		if (!sched.vcpus[i].busy && sched.vcpus[i].owner == NULL)
			chosen = &sched.vcpus[i];
	for (int i = 0; i < sched.vcpu_count && chosen == NULL; i++)
		if (!sched.vcpus[i].busy)
			chosen = &sched.vcpus[i];
	if (chosen == NULL && sched.vcpu_count < sched.vcpu_limit) {
		struct vcpu *v = &sched.vcpus[sched.vcpu_count];
		if (vcpu_start(v) == 0)
			v->assigned = t;
		else
			sched.vcpu_limit = sched.vcpu_count;
		if (v->assigned == t)
			return;
	}
	if (chosen == NULL) {
		enqueue(t);
		return;
	}
	chosen->busy = true;
	chosen->assigned = t;
	pthread_cond_signal(&chosen->wake);
}

/* Index of a stopped thread of the space, or -errno. */
int thread_new(uint32_t space)
{
	static uint32_t next;
	for (uint32_t n = 0; n < MAX_THREADS; n++) {
		uint32_t i = (next + n) % MAX_THREADS;
		struct thread *t = &sched.threads[i];
		if (t->state != THREAD_FREE)
			continue;
		memset(t, 0, sizeof(*t));
		memset(&sched.shared->slots[i], 0, sizeof(struct slot));
		*t = (struct thread){ .state = THREAD_STOPPED, .index = i, .space = space };
		t->peer_next = sched.members[space];
		if (t->peer_next != NULL)
			t->peer_next->peer_before = t;
		sched.members[space] = t;
		next = i + 1;
		return (int)i;
	}
	return -EAGAIN;
}

/* A stopped thread, whose last event was taken. */
void thread_free(struct thread *t)
{
	pthread_mutex_lock(&sched.lock);
	xstate_drop(t);
	t->state = THREAD_FREE;
	if (t->peer_next != NULL)
		t->peer_next->peer_before = t->peer_before;
	*(t->peer_before != NULL ? &t->peer_before->peer_next : &sched.members[t->space]) = t->peer_next;
	pthread_mutex_unlock(&sched.lock);
}

/* A stopped thread runs on as its slot says. */
void thread_resume(struct thread *t, bool step)
{
	pthread_mutex_lock(&sched.lock);
	t->step = step;
	t->own_trap_flag = (slot_of(t)->registers[EFLAGS] & 0x100) != 0;
	atomic_store(&t->kick, false);
	t->state = THREAD_QUEUED;
	assign(t);
	pthread_mutex_unlock(&sched.lock);
}

static void interrupt_locked(struct thread *t)
{
	if (t->state == THREAD_STOPPED || t->state == THREAD_FREE)
		return;
	atomic_store(&t->kick, true);
	for (struct thread *q = sched.first; q != NULL; q = q->next) {
		if (q != t)
			continue;
		dequeue(t);
		slot_of(t)->kind = KIND_INTERRUPT;
		post(t);
		return;
	}
	for (int i = 0; i < sched.vcpu_count; i++)
		if (sched.vcpus[i].assigned == t)
			vcpu_kick(&sched.vcpus[i]);
}

/* An event follows, if the thread has not stopped before. */
void thread_interrupt(struct thread *t)
{
	pthread_mutex_lock(&sched.lock);
	interrupt_locked(t);
	pthread_mutex_unlock(&sched.lock);
}

/* No thread of the space runs afterwards. Each has posted an event that JavaScript has yet to take. */
void space_stop(uint32_t space)
{
	pthread_mutex_lock(&sched.lock);
	for (struct thread *t = sched.members[space]; t != NULL; t = t->peer_next)
		interrupt_locked(t);
	for (struct thread *t = sched.members[space]; t != NULL; t = t->peer_next) {
		while (t->state != THREAD_STOPPED)
			pthread_cond_wait(&sched.stopped, &sched.lock);
	}
	pthread_mutex_unlock(&sched.lock);
}

/* Whoever ran its slice while others wait makes room. */
void sched_preempt(void)
{
	pthread_mutex_lock(&sched.lock);
	uint64_t now = clock_ns(CLOCK_MONOTONIC);
	for (int i = 0; i < sched.vcpu_count && sched.queued > 0; i++) {
		struct vcpu *v = &sched.vcpus[i];
		if (v->assigned == NULL || now - v->started < SLICE)
			continue;
		atomic_store(&v->assigned->preempt, true);
		vcpu_kick(v);
	}
	pthread_mutex_unlock(&sched.lock);
}

/* ns */
uint64_t thread_cpu(struct thread *t)
{
	clockid_t id;
	pthread_mutex_lock(&sched.lock);
	uint64_t total = t->cpu_ns;
	if (t->home != NULL && t->home->owner == t && pthread_getcpuclockid(t->home->id, &id) == 0)
		total += clock_ns(id) - t->home->cpu_mark;
	pthread_mutex_unlock(&sched.lock);
	return total;
}
