/* The threads that run vCPUs, as a whole: what they share is made, and they are stopped. */
#include "kvm_run.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

static void on_kick(int number)
{
	(void)number; /* its coming is all */
}

int sched_open(int vcpu_limit)
{
	void *p = mmap(NULL, sizeof(struct shared), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return -errno;
	sched.shared = p;
	sched.doorbell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (sched.doorbell < 0)
		return -errno;
	sched.vcpu_limit = vcpu_limit < MAX_VCPUS ? vcpu_limit : MAX_VCPUS;
	struct sigaction action = { .sa_handler = on_kick };
	return sigaction(SIGUSR2, &action, NULL) == 0 ? 0 : -errno;
}

/* Stops every vCPU. The shared memory is JavaScript's to free. */
void sched_close(void)
{
	pthread_mutex_lock(&sched.lock);
	for (int i = 0; i < sched.vcpu_count; i++) {
		struct vcpu *v = &sched.vcpus[i];
		v->stop = true;
		pthread_cond_signal(&v->wake);
		if (v->assigned != NULL) {
			atomic_store(&v->assigned->kick, true);
			vcpu_kick(v);
		}
	}
	pthread_mutex_unlock(&sched.lock);
	for (int i = 0; i < sched.vcpu_count; i++) {
		pthread_join(sched.vcpus[i].id, NULL);
		vcpu_shut(&sched.vcpus[i]);
	}
	for (uint32_t i = 0; i < MAX_THREADS; i++)
		free(sched.threads[i].xstate);
	memset(sched.threads, 0, sizeof(sched.threads));
	sched.vcpu_count = sched.queued = sched.next_id = 0;
	sched.first = sched.last = NULL;
	memset(sched.members, 0, sizeof(sched.members));
	if (sched.doorbell >= 0)
		close(sched.doorbell);
	sched.doorbell = -1;
	sched.shared = NULL;
}
