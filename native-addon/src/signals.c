/*
 * Signals as events: a handler that may run on any thread writes to an eventfd, which the kernel thread polls. (A signalfd would need the
 * signal blocked in every thread, and Node sets its threads' masks itself.)
 */
#include "addon.h"

#include <errno.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define LAST_SIGNAL 64

/* Set before the handler is installed, never changed afterwards. */
static int events[LAST_SIGNAL + 1];

static void on_signal(int number)
{
	int saved = errno;
	uint64_t one = 1;
	ssize_t n = write(events[number], &one, sizeof(one)); /* async-signal-safe; full means that it is readable anyway */
	(void)n;
	errno = saved;
}

/* signalEvents(number) -> non-blocking eventfd that becomes readable when the signal comes, or -errno. Once for each signal. */
static napi_value signal_events(napi_env env, napi_callback_info info)
{
	struct args a = get_args(env, info);
	int64_t number = arg_i64(&a, 0);
	if (number < 1 || number > LAST_SIGNAL || events[number] != 0)
		return make_double(env, -EINVAL);
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (fd < 0)
		return make_double(env, -errno);
	events[number] = fd;
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	sigfillset(&action.sa_mask);
	if (sigaction((int)number, &action, NULL) != 0)
		return make_double(env, -errno);
	return make_double(env, fd);
}

/* ignoreSignal(number) -> 0 or -errno. */
static napi_value ignore_signal(napi_env env, napi_callback_info info)
{
	struct args a = get_args(env, info);
	struct sigaction action = { .sa_handler = SIG_IGN };
	return make_double(env, sigaction((int)arg_i64(&a, 0), &action, NULL) == 0 ? 0 : -errno);
}

void signals_register(napi_env env, napi_value exports)
{
	export_function(env, exports, "signalEvents", signal_events);
	export_function(env, exports, "ignoreSignal", ignore_signal);
}
