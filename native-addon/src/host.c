/*
 * Host calls: one raw system-call primitive, and the few places where a call's arguments are pointers that JavaScript
 * cannot form. What is allowed is decided above, in TypeScript, and below, by the process's seccomp filter.
 */
#include "addon.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/*
 * syscall(nr, a0..a5) -> result, or -errno. A number is passed as it is, a view as its address, null as 0.
 * Safe as far as the caller's lengths are: the typed wrapper of each call passes a view and its own byteLength.
 */
static napi_value host_syscall(napi_env env, napi_callback_info info)
{
	struct args a = get_args(env, info);
	long n[6] = { 0 };
	for (size_t i = 0; i < 6 && i + 1 < a.count; i++) {
		napi_valuetype type = napi_undefined;
		napi_typeof(env, a.v[i + 1], &type);
		if (type == napi_number) {
			n[i] = arg_i64(&a, i + 1);
		} else if (type == napi_object) {
			size_t length;
			n[i] = (long)arg_bytes(&a, i + 1, &length);
		}
	}
	long r = syscall(arg_i64(&a, 0), n[0], n[1], n[2], n[3], n[4], n[5]);
	return make_double(env, r == -1 ? -errno : (double)r);
}

/* addressOf(view) -> address of its first byte, valid while the view is referenced. For iovec, msghdr and the like. */
static napi_value host_address_of(napi_env env, napi_callback_info info)
{
	struct args a = get_args(env, info);
	size_t length;
	return make_double(env, (double)(uintptr_t)arg_bytes(&a, 0, &length));
}

/* clockNow(clockId) -> ns. */
static napi_value host_clock_now(napi_env env, napi_callback_info info)
{
	struct args a = get_args(env, info);
	struct timespec ts = { 0 };
	clock_gettime(arg_i64(&a, 0), &ts);
	return make_double(env, (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec);
}

/*
 * pollWait(pollFd, events, timeoutNs) -> events that epoll_pwait2(2) has written, or -errno; 0 after a signal. timeoutNs -1: no limit.
 * Safe: no more events than the view holds.
 */
static napi_value host_poll_wait(napi_env env, napi_callback_info info)
{
	struct args a = get_args(env, info);
	size_t length;
	void *events = arg_bytes(&a, 1, &length);
	int64_t timeout = arg_i64(&a, 2);
	struct timespec ts = { timeout / 1000000000, timeout % 1000000000 };
	long n = syscall(SYS_epoll_pwait2, (int)arg_i64(&a, 0), events, (int)(length / 12), timeout < 0 ? NULL : &ts, NULL, 0);
	return make_double(env, n >= 0 ? (double)n : errno == EINTR ? 0 : -errno);
}

static size_t clamp(const struct args *a, size_t i, size_t length, size_t *offset)
{
	double o = arg_double(a, i), n = arg_double(a, i + 1);
	*offset = o < 0 || o > (double)length ? length : (size_t)o;
	size_t rest = length - *offset;
	return n < 0 ? 0 : n > (double)rest ? rest : (size_t)n;
}

/* The arguments of readProcess and writeProcess, given to `call`: bytes, or -errno. Bounds are clamped to the view. */
static napi_value transfer(napi_env env, napi_callback_info info,
			   ssize_t (*call)(pid_t, const struct iovec *, unsigned long, const struct iovec *, unsigned long, unsigned long))
{
	struct args a = get_args(env, info);
	size_t length, offset;
	char *data = arg_bytes(&a, 2, &length);
	struct iovec local = { .iov_len = clamp(&a, 3, length, &offset) };
	local.iov_base = data + offset;
	struct iovec remote = { (void *)arg_i64(&a, 1), local.iov_len };
	ssize_t n = call(arg_i64(&a, 0), &local, 1, &remote, 1, 0);
	return make_double(env, n < 0 ? -errno : (double)n);
}

/* readProcess(pid, address, view, offset, count) -> bytes, or -errno. A partial read (a hole in the other process) gives the bytes before the hole. */
static napi_value host_read_process(napi_env env, napi_callback_info info)
{
	return transfer(env, info, process_vm_readv);
}

/* writeProcess(pid, address, view, offset, count) -> bytes, or -errno. The other process's page protections hold. */
static napi_value host_write_process(napi_env env, napi_callback_info info)
{
	return transfer(env, info, process_vm_writev);
}

static void unmap_buffer(napi_env env, void *data, void *hint)
{
	(void)env;
	munmap(data, (size_t)(uintptr_t)hint);
}

/*
 * mapShared(fd, length, offset, prot) -> ArrayBuffer over a MAP_SHARED mapping, or -errno. Unmapped when collected. Another process
 * may change it at any time: read each value once. The file must never be shorter than the mapping (sealed memfds).
 */
static napi_value host_map_shared(napi_env env, napi_callback_info info)
{
	struct args a = get_args(env, info);
	size_t length = (size_t)arg_i64(&a, 1);
	void *p = mmap(NULL, length, (int)arg_i64(&a, 3), MAP_SHARED, (int)arg_i64(&a, 0), arg_i64(&a, 2));
	if (p == MAP_FAILED)
		return make_double(env, -errno);
	napi_value out;
	if (napi_create_external_arraybuffer(env, p, length, unmap_buffer, (void *)(uintptr_t)length, &out) != napi_ok) {
		munmap(p, length);
		return make_double(env, -ENOMEM);
	}
	return out;
}

void host_register(napi_env env, napi_value exports)
{
	export_function(env, exports, "syscall", host_syscall);
	export_function(env, exports, "addressOf", host_address_of);
	export_function(env, exports, "clockNow", host_clock_now);
	export_function(env, exports, "pollWait", host_poll_wait);
	export_function(env, exports, "readProcess", host_read_process);
	export_function(env, exports, "writeProcess", host_write_process);
	export_function(env, exports, "mapShared", host_map_shared);
}
