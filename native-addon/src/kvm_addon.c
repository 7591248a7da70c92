/*
 * What JavaScript asks of the KVM platform (platforms/kvm). Indices of spaces and threads are checked here; addresses and lengths of
 * memory calls by the caller, who knows the application's range.
 */
#include "addon.h"
#include "kvm_machine.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* ns between looks at who has run long enough, while threads are queued. */
#define TICK_NS 5000000LL

static void unmap_shared(napi_env env, void *data, void *hint)
{
	(void)env;
	(void)hint;
	munmap(data, sizeof(struct shared));
}

/* kvmOpen(kvmFd, entry, paging, vcpus, vdsoStart, vdsoCode, vdsoEnd, vdsoPlace, pagemapFd) -> ArrayBuffer over struct shared, or -errno. */
static napi_value addon_open(napi_env env, napi_callback_info info)
{
	struct args a = get_args(env, info);
	struct machine_options o = {
		.kvm_fd = (int)arg_i64(&a, 0), .entry = (enum entry)arg_i64(&a, 1), .paging = (enum paging)arg_i64(&a, 2),
		.vcpu_limit = (int)arg_i64(&a, 3), .vdso_host = (char *)(uintptr_t)arg_i64(&a, 4),
		.vdso_code = (uint64_t)(arg_i64(&a, 5) - arg_i64(&a, 4)), .vdso_length = (uint64_t)(arg_i64(&a, 6) - arg_i64(&a, 4)),
		.vdso_place = (uint64_t)arg_i64(&a, 7), .pagemap_fd = (int)arg_i64(&a, 8),
	};
	int e = machine_open(&o);
	if (e != 0)
		return make_double(env, e);
	napi_value out;
	if (napi_create_external_arraybuffer(env, sched.shared, sizeof(struct shared), unmap_shared, NULL, &out) != napi_ok) {
		machine_close();
		return make_double(env, -ENOMEM);
	}
	return out;
}

static napi_value addon_close(napi_env env, napi_callback_info info)
{
	machine_close();
	return make_undefined(env);
}

/* kvmProbe(kvmFd, into) -> message. into: entry, paging, same clock, round trip and trap in ns. */
static napi_value addon_probe(napi_env env, napi_callback_info info)
{
	struct args a = get_args(env, info);
	size_t length;
	double *into = arg_bytes(&a, 1, &length);
	struct probe p;
	kvm_probe((int)arg_i64(&a, 0), &p);
	if (length >= 5 * sizeof(double)) {
		into[0] = p.entry;
		into[1] = p.paging;
		into[2] = p.same_clock;
		into[3] = p.round_trip_ns;
		into[4] = p.trap_ns;
	}
	napi_value out;
	napi_create_string_latin1(env, p.message, NAPI_AUTO_LENGTH, &out);
	return out;
}

/* kvmVdso() -> where an application finds the vDSO's code; 0 if the host does not show it. */
static napi_value addon_vdso(napi_env env, napi_callback_info info)
{
	return make_double(env, vm.vdso_length > 0 ? (double)vm.vdso_entry : 0);
}

static napi_value addon_space_new(napi_env env, napi_callback_info info)
{
	pthread_mutex_lock(&vm.lock);
	int r = space_new();
	pthread_mutex_unlock(&vm.lock);
	return make_double(env, r);
}

/* Runs a memory operation on the space in argument 0; the lock is held. */
#define ON_SPACE(expression)                                                   \
	struct args a = get_args(env, info);                                   \
	pthread_mutex_lock(&vm.lock);                                          \
	struct space *s = space_at(arg_i64(&a, 0));                            \
	int64_t r = s == NULL ? -EINVAL : (expression);                        \
	pthread_mutex_unlock(&vm.lock);                                        \
	return make_double(env, (double)r)
#define U(i) ((uint64_t)arg_i64(&a, i))

static napi_value addon_fork(napi_env env, napi_callback_info info)
{
	ON_SPACE(space_fork(s));
}
/* kvmMap(space, address, length, protection) */
static napi_value addon_map(napi_env env, napi_callback_info info)
{
	ON_SPACE(space_map(s, U(1), U(2), (int)U(3)));
}
/* kvmMapFile(space, address, length, protection, shared, fd, offset) */
static napi_value addon_map_file(napi_env env, napi_callback_info info)
{
	ON_SPACE(space_map_file(s, U(1), U(2), (int)U(3), U(4) != 0, (int)U(5), U(6)));
}
static napi_value addon_unmap(napi_env env, napi_callback_info info)
{
	ON_SPACE(space_unmap(s, U(1), U(2)));
}
static napi_value addon_protect(napi_env env, napi_callback_info info)
{
	ON_SPACE(space_protect(s, U(1), U(2), (int)U(3)));
}
/* kvmMove(space, from, oldLength, to, newLength, keep) */
static napi_value addon_move(napi_env env, napi_callback_info info)
{
	ON_SPACE(space_move(s, U(1), U(2), U(3), U(4), U(5) != 0));
}
static napi_value addon_advise(napi_env env, napi_callback_info info)
{
	ON_SPACE(space_advise(s, U(1), U(2), (int)U(3)));
}
/* kvmGrow(space, address, oldLength, newLength): a mapping of anonymous memory gets longer where it is. */
static napi_value addon_grow(napi_env env, napi_callback_info info)
{
	ON_SPACE(space_grow(s, U(1), U(2), U(3)));
}
/* kvmChangeWord(space, address, operation) */
static napi_value addon_change_word(napi_env env, napi_callback_info info)
{
	ON_SPACE(space_change_word(s, U(1), (uint32_t)U(2)));
}
/* kvmBarrier(space): every thread of it that runs passes a barrier. */
static napi_value addon_barrier(napi_env env, napi_callback_info info)
{
	struct args a = get_args(env, info);
	struct space *s = space_at(arg_i64(&a, 0));
	if (s != NULL)
		space_barrier(s);
	return make_undefined(env);
}

/* kvmCopy(space, address, view, offset, count, flags) -> bytes or -EFAULT. flags: 1 write, 2 forced. Bounds are clamped to the view. */
static napi_value addon_copy(napi_env env, napi_callback_info info)
{
	struct args a = get_args(env, info);
	size_t length;
	char *data = arg_bytes(&a, 2, &length);
	uint64_t offset = U(3), count = U(4);
	if (offset > length)
		offset = length;
	if (count > length - offset)
		count = length - offset;
	pthread_mutex_lock(&vm.lock);
	struct space *s = space_at(arg_i64(&a, 0));
	int64_t r = s == NULL ? -EINVAL : space_copy(s, U(1), data + offset, count, (U(5) & 1) != 0, (U(5) & 2) != 0);
	pthread_mutex_unlock(&vm.lock);
	return make_double(env, (double)r);
}

/* kvmRelease(space): stops its threads, frees its memory. Their events are still in the ring. */
static napi_value addon_release(napi_env env, napi_callback_info info)
{
	struct args a = get_args(env, info);
	struct space *s = space_at(arg_i64(&a, 0));
	if (s == NULL)
		return make_double(env, -EINVAL);
	space_stop((uint32_t)arg_i64(&a, 0));
	pthread_mutex_lock(&vm.lock);
	space_free(s);
	pthread_mutex_unlock(&vm.lock);
	return make_double(env, 0);
}

/* kvmPages(space, into): anonymous pages, pages of files. */
static napi_value addon_pages(napi_env env, napi_callback_info info)
{
	struct args a = get_args(env, info);
	size_t length;
	double *into = arg_bytes(&a, 1, &length);
	pthread_mutex_lock(&vm.lock);
	struct space *s = space_at(arg_i64(&a, 0));
	if (s != NULL && length >= 2 * sizeof(double)) {
		into[0] = (double)space_resident(s);
		into[1] = (double)s->file_pages;
	}
	pthread_mutex_unlock(&vm.lock);
	return make_undefined(env);
}

/* kvmPagemap(space, address, into, pages): 8 bytes for each page. */
static napi_value addon_pagemap(napi_env env, napi_callback_info info)
{
	struct args a = get_args(env, info);
	size_t length;
	uint64_t *into = arg_bytes(&a, 2, &length);
	size_t count = U(3) < length / sizeof(*into) ? U(3) : length / sizeof(*into);
	pthread_mutex_lock(&vm.lock);
	struct space *s = space_at(arg_i64(&a, 0));
	if (s != NULL)
		space_pagemap(s, U(1), into, count);
	pthread_mutex_unlock(&vm.lock);
	return make_undefined(env);
}

/* kvmGrant(pages, zone): what applications may be given from now on; negative: any. */
static napi_value addon_grant(napi_env env, napi_callback_info info)
{
	struct args a = get_args(env, info);
	pthread_mutex_lock(&vm.lock);
	room_grant(arg_i64(&a, 0), arg_i64(&a, 1));
	pthread_mutex_unlock(&vm.lock);
	return make_undefined(env);
}
/* kvmTrim() -> pages that are given and not touched, all the same */
static napi_value addon_trim(napi_env env, napi_callback_info info)
{
	pthread_mutex_lock(&vm.lock);
	uint64_t left = memory_trim();
	pthread_mutex_unlock(&vm.lock);
	return make_double(env, (double)left);
}

/* kvmThread(space, source) -> index of a stopped thread, or -errno. source: whose floating-point state it gets; -1: the initial one. */
static napi_value addon_thread(napi_env env, napi_callback_info info)
{
	struct args a = get_args(env, info);
	if (space_at(arg_i64(&a, 0)) == NULL)
		return make_double(env, -EINVAL);
	int index = thread_new((uint32_t)arg_i64(&a, 0));
	struct thread *source = thread_at(arg_i64(&a, 1));
	if (index >= 0 && source != NULL) {
		pthread_mutex_lock(&sched.lock);
		int e = xstate_copy(source, &sched.threads[index]);
		pthread_mutex_unlock(&sched.lock);
		if (e != 0) {
			thread_free(&sched.threads[index]);
			return make_double(env, e);
		}
	}
	return make_double(env, index);
}

#define ON_THREAD(statement)                                                   \
	struct args a = get_args(env, info);                                   \
	struct thread *t = thread_at(arg_i64(&a, 0));                          \
	if (t != NULL)                                                         \
		statement;                                                     \
	return make_undefined(env)

static napi_value addon_thread_free(napi_env env, napi_callback_info info)
{
	ON_THREAD(thread_free(t));
}
/* kvmResume(thread, step) */
static napi_value addon_resume(napi_env env, napi_callback_info info)
{
	ON_THREAD(thread_resume(t, arg_i64(&a, 1) != 0));
}
static napi_value addon_interrupt(napi_env env, napi_callback_info info)
{
	ON_THREAD(thread_interrupt(t));
}
static napi_value addon_cpu(napi_env env, napi_callback_info info)
{
	struct args a = get_args(env, info);
	struct thread *t = thread_at(arg_i64(&a, 0));
	return make_double(env, t == NULL ? 0 : (double)thread_cpu(t));
}

/* kvmGetXstate(thread, into) -> bytes */
static napi_value addon_get_xstate(napi_env env, napi_callback_info info)
{
	struct args a = get_args(env, info);
	size_t length;
	uint8_t *into = arg_bytes(&a, 1, &length);
	struct thread *t = thread_at(arg_i64(&a, 0));
	if (t == NULL)
		return make_double(env, 0);
	pthread_mutex_lock(&sched.lock);
	size_t n = xstate_get(t, into, length);
	pthread_mutex_unlock(&sched.lock);
	return make_double(env, (double)n);
}
/* kvmSetXstate(thread, image or null) -> 1, or 0 if it is invalid */
static napi_value addon_set_xstate(napi_env env, napi_callback_info info)
{
	struct args a = get_args(env, info);
	size_t length;
	uint8_t *image = arg_bytes(&a, 1, &length);
	struct thread *t = thread_at(arg_i64(&a, 0));
	if (t == NULL)
		return make_double(env, 0);
	pthread_mutex_lock(&sched.lock);
	bool done = xstate_set(t, image, length);
	pthread_mutex_unlock(&sched.lock);
	return make_double(env, done);
}

/* Thread id of a vCPU's thread; 0 if it does not run. */
static napi_value addon_tid(napi_env env, napi_callback_info info)
{
	struct args a = get_args(env, info);
	int64_t i = arg_i64(&a, 0);
	return make_double(env, i >= 0 && i < sched.vcpu_count ? atomic_load(&sched.vcpus[i].tid) : 0);
}

static int64_t monotonic_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

/*
 * kvmWait(pollFd, timeoutNs) -> 1 if pollFd is readable. Sleeps until an event is in the ring, the descriptor is readable, or the time has
 * come (-1: no limit). While threads are queued it wakes to make the running ones take turns.
 */
static napi_value addon_wait(napi_env env, napi_callback_info info)
{
	struct args a = get_args(env, info);
	int64_t timeout = arg_i64(&a, 1), end = timeout < 0 ? INT64_MAX : monotonic_ns() + timeout;
	struct pollfd fds[2] = { { .fd = sched.doorbell, .events = POLLIN }, { .fd = (int)arg_i64(&a, 0), .events = POLLIN } };
	bool readable = false;
	for (;;) {
		atomic_store(&sched.shared->sleeping, 1);
		if (atomic_load(&sched.shared->head) != atomic_load(&sched.shared->tail))
			timeout = 0;
		bool ticks = __atomic_load_n(&sched.queued, __ATOMIC_RELAXED) > 0;
		int64_t span = ticks && (timeout < 0 || timeout > TICK_NS) ? TICK_NS : timeout;
		struct timespec ts = { span / 1000000000, span % 1000000000 };
		int ready = ppoll(fds, 2, span < 0 ? NULL : &ts, NULL);
		atomic_store(&sched.shared->sleeping, 0);
		eventfd_t ignored;
		if (ready > 0 && fds[0].revents != 0)
			eventfd_read(sched.doorbell, &ignored);
		readable = ready > 0 && fds[1].revents != 0;
		if (ticks)
			sched_preempt();
		if (ready != 0 || span == timeout || (timeout = end - monotonic_ns()) <= 0)
			return make_double(env, readable);
	}
}

static napi_value addon_preempt(napi_env env, napi_callback_info info)
{
	sched_preempt();
	return make_undefined(env);
}

void kvm_register(napi_env env, napi_value exports)
{
	static const struct { const char *name; napi_callback fn; } functions[] = {
		{ "kvmOpen", addon_open }, { "kvmClose", addon_close }, { "kvmProbe", addon_probe }, { "kvmVdso", addon_vdso },
		{ "kvmSpace", addon_space_new }, { "kvmFork", addon_fork }, { "kvmMap", addon_map }, { "kvmMapFile", addon_map_file },
		{ "kvmUnmap", addon_unmap }, { "kvmProtect", addon_protect }, { "kvmMove", addon_move }, { "kvmAdvise", addon_advise },
		{ "kvmChangeWord", addon_change_word }, { "kvmGrow", addon_grow }, { "kvmBarrier", addon_barrier }, { "kvmCopy", addon_copy }, { "kvmRelease", addon_release }, { "kvmPages", addon_pages },
		{ "kvmThread", addon_thread }, { "kvmThreadFree", addon_thread_free }, { "kvmResume", addon_resume },
		{ "kvmInterrupt", addon_interrupt }, { "kvmCpuTime", addon_cpu }, { "kvmGetXstate", addon_get_xstate },
		{ "kvmSetXstate", addon_set_xstate }, { "kvmVcpuThread", addon_tid }, { "kvmPagemap", addon_pagemap }, { "kvmGrant", addon_grant }, { "kvmTrim", addon_trim }, { "kvmWait", addon_wait }, { "kvmPreempt", addon_preempt },
	};
	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++)
		export_function(env, exports, functions[i].name, functions[i].fn);
}
