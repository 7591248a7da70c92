/* Floating-point and vector state. It stays in the vCPU that ran a thread last, and is moved when another thread or vCPU needs it. */
#include "kvm_run.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

/* struct fxregs_state and the XSAVE header (Intel SDM vol. 1, ch. 13). */
#define FCW 0
#define MXCSR 24
#define MXCSR_MASK 28
#define SOFTWARE 464
#define HEADER 512
#define HEADER_END 576
#define X87_SSE 3ULL
#define DEFAULT_MXCSR_MASK 0xffbfu

static uint8_t *bytes_of(struct kvm_xsave *x)
{
	return (uint8_t *)x;
}

static void set_initial(struct kvm_xsave *x)
{
	const uint64_t present = X87_SSE;
	memset(x, 0, sizeof(*x));
	*(uint16_t *)(bytes_of(x) + FCW) = 0x37f;
	*(uint32_t *)(bytes_of(x) + MXCSR) = 0x1f80;
	memcpy(bytes_of(x) + HEADER, &present, sizeof(present));
}

static struct kvm_xsave *buffer(struct thread *t)
{
	if (t->xstate == NULL) {
		t->xstate = aligned_alloc(64, sizeof(*t->xstate));
		if (t->xstate != NULL)
			set_initial(t->xstate);
	}
	return t->xstate;
}

/* The thread's state is in its buffer afterwards, and in no vCPU. */
static int settle(struct thread *t)
{
	if (buffer(t) == NULL)
		return -ENOMEM;
	if (t->home == NULL)
		return 0;
	if (ioctl(t->home->fd, KVM_GET_XSAVE, t->xstate) != 0)
		return -errno;
	t->home->owner = NULL;
	t->home = NULL;
	return 0;
}

/* The vCPU holds the thread's state afterwards. Both, and whoever's state is in the way, do not run. */
int xstate_load(struct vcpu *v, struct thread *t)
{
	if (v->owner == t)
		return 0;
	int e = v->owner != NULL ? settle(v->owner) : 0;
	if (e == 0)
		e = settle(t);
	if (e == 0 && ioctl(v->fd, KVM_SET_XSAVE, t->xstate) != 0)
		e = -errno;
	if (e != 0)
		return e;
	v->owner = t;
	t->home = v;
	return 0;
}

int xstate_copy(struct thread *from, struct thread *to)
{
	int e = settle(from);
	if (e == 0 && buffer(to) == NULL)
		e = -ENOMEM;
	if (e == 0)
		memcpy(to->xstate, from->xstate, sizeof(*to->xstate));
	return e;
}

/* Bytes; as ptrace gives it: the first software word names the components that are enabled. */
size_t xstate_get(struct thread *t, uint8_t *into, size_t room)
{
	size_t size = cpuid_xstate_bytes();
	uint64_t enabled = cpuid_xcr0(), present;
	if (room < size || settle(t) != 0)
		return 0;
	memcpy(into, t->xstate, size);
	/* The host may name components that the guest does not have. */
	memcpy(&present, into + HEADER, sizeof(present));
	present &= enabled;
	memcpy(into + HEADER, &present, sizeof(present));
	memset(into + SOFTWARE, 0, HEADER - SOFTWARE);
	memcpy(into + SOFTWARE, &enabled, sizeof(enabled));
	return size;
}

/* image NULL: the initial state. False if the processor would refuse it; the state is unchanged then. */
bool xstate_set(struct thread *t, const uint8_t *image, size_t length)
{
	if (image != NULL) {
		uint64_t header[8];
		uint32_t mxcsr, mask;
		if (length < cpuid_xstate_bytes() || length > sizeof(struct kvm_xsave))
			return false;
		memcpy(header, image + HEADER, sizeof(header));
		memcpy(&mxcsr, image + MXCSR, sizeof(mxcsr));
		if ((header[0] & ~cpuid_xcr0()) != 0)
			return false;
		for (size_t i = 1; i < 8; i++)
			if (header[i] != 0)
				return false;
		if (settle(t) != 0)
			return false;
		memcpy(&mask, bytes_of(t->xstate) + MXCSR_MASK, sizeof(mask));
		if ((mxcsr & ~(mask != 0 ? mask : DEFAULT_MXCSR_MASK)) != 0)
			return false;
	} else if (settle(t) != 0) {
		return false;
	}
	set_initial(t->xstate);
	if (image == NULL)
		return true;
	memcpy(t->xstate, image, SOFTWARE);
	memcpy(bytes_of(t->xstate) + HEADER, image + HEADER, length - HEADER);
	return true;
}

/* The thread is gone. */
void xstate_drop(struct thread *t)
{
	if (t->home != NULL)
		t->home->owner = NULL;
	t->home = NULL;
	free(t->xstate);
	t->xstate = NULL;
}
