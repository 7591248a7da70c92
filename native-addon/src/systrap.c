/*
 * The systrap platform's calls: the window through which the Sentry sees every thread's slot, waking and waiting for stubs. The
 * layout of a slot is in stub/systrap_stub.h. Slots are written by the application as well: nothing here follows what they hold.
 */
#include "addon.h"
#include "../stub/systrap_stub.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void unmap_window(napi_env env, void *data, void *hint)
{
	(void)env;
	munmap(data, (size_t)(uintptr_t)hint);
}

/* slotWindow(count) -> ArrayBuffer of so many pages of zeros, into which slots are mapped; or -errno. */
static napi_value slot_window(napi_env env, napi_callback_info info)
{
	struct args a = get_args(env, info);
	size_t length = (size_t)arg_i64(&a, 0) * SLOT_SIZE;
	void *p = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return make_double(env, -errno);
	napi_value out;
	if (napi_create_external_arraybuffer(env, p, length, unmap_window, (void *)(uintptr_t)length, &out) != napi_ok) {
		munmap(p, length);
		return make_double(env, -ENOMEM);
	}
	return out;
}

/*
 * slotMap(window, index, fd, page, count) -> 0 or -errno: `count` slots of the memfd from slot `page` on appear as slots `index` and following of the
 * window; fd -1: zeros again. Safe: the index is checked, and the memfd is sealed against shrinking, so that a look at it cannot fault.
 */
static napi_value slot_map(napi_env env, napi_callback_info info)
{
	struct args a = get_args(env, info);
	size_t length;
	char *window = arg_bytes(&a, 0, &length);
	int64_t index = arg_i64(&a, 1);
	int fd = (int)arg_i64(&a, 2);
	int64_t count = arg_i64(&a, 4);
	if (window == NULL || index < 0 || count < 1 || (size_t)count > length / SLOT_SIZE || (size_t)index > length / SLOT_SIZE - (size_t)count)
		return make_double(env, -EINVAL);
	int flags = MAP_FIXED | (fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE : MAP_SHARED);
	void *p = mmap(window + index * SLOT_SIZE, (size_t)count * SLOT_SIZE, PROT_READ | PROT_WRITE, flags, fd, fd < 0 ? 0 : arg_i64(&a, 3) * SLOT_SIZE);
	return make_double(env, p == MAP_FAILED ? -errno : 0);
}

/* The slot at a byte offset of the window; NULL if it is none. */
static struct slot *slot_at(const struct args *a)
{
	size_t length;
	char *window = arg_bytes(a, 0, &length);
	int64_t index = arg_i64(a, 1);
	if (window == NULL || index < 0 || (size_t)index >= length / SLOT_SIZE)
		return NULL;
	return (struct slot *)(window + index * SLOT_SIZE);
}

static long futex(_Atomic uint32_t *word, int op, uint32_t value, const struct timespec *timeout)
{
	return syscall(SYS_futex, word, op, value, timeout, NULL, 0);
}

/* slotWake(window, index): the stub that sleeps on the slot's state looks again. */
static napi_value slot_wake(napi_env env, napi_callback_info info)
{
	struct args a = get_args(env, info);
	struct slot *slot = slot_at(&a);
	if (slot != NULL)
		futex(&slot->state, FUTEX_WAKE, 1, NULL);
	return make_undefined(env);
}

static bool is_alive(pid_t pid)
{
	siginfo_t info = { 0 };
	return waitid(P_PID, pid, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) == 0 && info.si_pid == 0;
}

/* How long a stub may take to answer while its process lives; then it does not play by the rules. */
#define ANSWER_SECONDS 4
/*
 * How often to look whether it lives. The first looks come sooner: a seed that has started, and its process alone, tells nobody who sleeps
 * here.
 */
#define LOOK_NS 20000000L
#define FIRST_LOOK_NS 100000L

static bool has_posted(struct slot *slot)
{
	uint32_t state = __atomic_load_n(&slot->state, __ATOMIC_ACQUIRE);
	return state == STATE_POSTED || state == STATE_SLEEPING;
}

static bool spins_until_posted(struct slot *slot, uint64_t cycles)
{
	uint64_t start = cycles > 0 ? __builtin_ia32_rdtsc() : 0;
	while (cycles > 0 && __builtin_ia32_rdtsc() - start < cycles) {
		if (has_posted(slot))
			return true;
		__builtin_ia32_pause();
	}
	return false;
}

static long wait_posted(struct slot *slot, pid_t pid)
{
	struct timespec start, now;
	struct timespec look = { 0, FIRST_LOOK_NS };
	clock_gettime(CLOCK_MONOTONIC, &start);
	for (;;) {
		uint32_t state = __atomic_load_n(&slot->state, __ATOMIC_ACQUIRE);
		if (state == STATE_POSTED || state == STATE_SLEEPING)
			return 0;
		if (futex(&slot->state, FUTEX_WAIT, state, &look) == 0 || errno == EAGAIN || errno == EINTR) {
			/* Changed, or woken by whoever can: a hostile process may do so for ever, so the clock decides. */
		} else if (!is_alive(pid)) {
			return -ESRCH;
		}
		look.tv_nsec = look.tv_nsec < LOOK_NS / 2 ? look.tv_nsec * 2 : LOOK_NS;
		clock_gettime(CLOCK_MONOTONIC, &now);
		if (now.tv_sec - start.tv_sec > ANSWER_SECONDS)
			return -ETIMEDOUT;
	}
}

/* slotAwait(window, index, pid) -> 0 once the stub has posted, -ESRCH if its process (a child of ours) ended, or -ETIMEDOUT. */
static napi_value slot_await(napi_env env, napi_callback_info info)
{
	struct args a = get_args(env, info);
	struct slot *slot = slot_at(&a);
	return make_double(env, slot == NULL ? -EINVAL : (double)wait_posted(slot, (pid_t)arg_i64(&a, 2)));
}

/*
 * slotCommand(window, index, pid, spin): the stopped stub carries out the slot's commands now. Result as of slotAwait. spin: cycles to look for it
 * before we sleep, if the stub has another CPU.
 */
static napi_value slot_command(napi_env env, napi_callback_info info)
{
	struct args a = get_args(env, info);
	struct slot *slot = slot_at(&a);
	if (slot == NULL)
		return make_double(env, -EINVAL);
	if (__atomic_exchange_n(&slot->state, STATE_COMMAND, __ATOMIC_SEQ_CST) == STATE_SLEEPING)
		futex(&slot->state, FUTEX_WAKE, 1, NULL);
	if (spins_until_posted(slot, (uint64_t)arg_i64(&a, 3)))
		return make_double(env, 0);
	return make_double(env, (double)wait_posted(slot, (pid_t)arg_i64(&a, 2)));
}

/* canPatchCalls() -> whether the processor has what stub/fast.S uses beyond what systrap needs anyway: BMI2. */
static napi_value can_patch_calls(napi_env env, napi_callback_info info)
{
	(void)info;
	napi_value out;
	napi_get_boolean(env, __builtin_cpu_supports("bmi2"), &out);
	return out;
}

void systrap_register(napi_env env, napi_value exports)
{
	export_function(env, exports, "slotWindow", slot_window);
	export_function(env, exports, "slotMap", slot_map);
	export_function(env, exports, "canPatchCalls", can_patch_calls);
	export_function(env, exports, "slotWake", slot_wake);
	export_function(env, exports, "slotAwait", slot_await);
	export_function(env, exports, "slotCommand", slot_command);
}
