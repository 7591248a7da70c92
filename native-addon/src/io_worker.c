/*
 * Transfers on files that would make the kernel thread wait: read from disk, write-back, fsync. A small pool of threads
 * takes jobs from a ring and puts results into another; an eventfd tells the kernel thread's poll loop.
 *
 * The pool runs no JavaScript and touches nothing but the buffer of a job. A buffer belongs to a job from ioSubmit until its
 * completion was taken: the caller holds a reference to it that long, and its memory does not move (backing stores never do).
 * There is one pool in a process; it is never stopped.
 */
#include "addon.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <unistd.h>

#define MAX_THREADS 8
#define MAX_JOBS 64
#define WORKER_STACK (64 << 10)

enum operation { OP_READ, OP_WRITE, OP_FSYNC, OP_FDATASYNC, OP_FLUSH, OP_PUNCH, OP_CLOSE, OP_COPY, OP_COUNT };

/* The buffer of an OP_COPY: where the bytes go. */
struct copy_target {
	int64_t position;
	int32_t fd, pad;
};

struct job {
	double id;
	int operation, fd, flags;
	void *buffer;
	size_t count;
	off_t position;
	ssize_t result;
};

/* All below is guarded by lock. A job is in exactly one place: waiting, in a worker's hands, or finished. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t work;
	struct job waiting[MAX_JOBS], finished[MAX_JOBS];
	size_t first, count, finished_count, outstanding;
	int event_fd;
} pool = { .lock = PTHREAD_MUTEX_INITIALIZER, .work = PTHREAD_COND_INITIALIZER, .event_fd = -1 };

/* What close(2) reports, without closing: a duplicate goes. */
static int flush(int fd)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (copy < 0)
		return copy;
	/* Linux has closed it even if it says EINTR; asking again would close another's. */
	int r = close(copy);
	return r < 0 && errno == EINTR ? 0 : r;
}

static ssize_t copy(const struct job *j)
{
	const struct copy_target *target = j->buffer;
	off_t from = j->position, to = target->position;
	return copy_file_range(j->fd, &from, target->fd, &to, j->count, 0);
}

static ssize_t perform(const struct job *j)
{
	struct iovec iov = { j->buffer, j->count };
	ssize_t n;
	do {
		switch (j->operation) {
		case OP_READ: n = preadv2(j->fd, &iov, 1, j->position, j->flags); break;
		case OP_WRITE: n = pwritev2(j->fd, &iov, 1, j->position, j->flags); break;
		case OP_FSYNC: n = fsync(j->fd); break;
		case OP_FDATASYNC: n = fdatasync(j->fd); break;
		case OP_FLUSH: n = flush(j->fd); break;
		case OP_PUNCH: n = fallocate(j->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, j->position, (off_t)j->count); break;
		case OP_COPY: n = copy(j); break;
		default: close(j->fd); n = 0; break; /* whatever it says, it is closed */
		}
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

static void *worker(void *unused)
{
	(void)unused;
	pthread_mutex_lock(&pool.lock);
	for (;;) {
		while (pool.count == 0)
			pthread_cond_wait(&pool.work, &pool.lock);
		struct job j = pool.waiting[pool.first];
		pool.first = (pool.first + 1) % MAX_JOBS;
		pool.count--;
		pthread_mutex_unlock(&pool.lock);
		j.result = perform(&j);
		pthread_mutex_lock(&pool.lock);
		/* There is room: no more than MAX_JOBS are outstanding. */
		pool.finished[pool.finished_count++] = j;
		eventfd_write(pool.event_fd, 1);
	}
	return NULL;
}

/* ioStart(threads) -> eventfd or -errno. The same descriptor again if the pool runs already. */
static napi_value io_start(napi_env env, napi_callback_info info)
{
	struct args a = get_args(env, info);
	int64_t threads = arg_i64(&a, 0);
	if (threads < 1 || threads > MAX_THREADS)
		return make_double(env, -EINVAL);
	if (pool.event_fd >= 0)
		return make_double(env, pool.event_fd);
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (fd < 0)
		return make_double(env, -errno);
	pool.event_fd = fd;

	pthread_attr_t attributes;
	sigset_t all, old;
	int started = 0, r = 0;
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, WORKER_STACK);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	/* Signals are the main thread's; those of set*id and the like come by tgkill and must pass. */
	sigfillset(&all);
	for (int s = SIGRTMIN; s <= SIGRTMAX; s++)
		sigdelset(&all, s);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	for (; started < threads && r == 0; started += r == 0) {
		pthread_t thread;
		r = pthread_create(&thread, &attributes, worker, NULL);
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attributes);
	if (started > 0)
		return make_double(env, fd);
	close(fd);
	pool.event_fd = -1;
	return make_double(env, -r);
}

/* ioSubmit(job, operation, fd, buffer, count, position, flags) -> 0, -EAGAIN if too many are outstanding, -EINVAL. */
static napi_value io_submit(napi_env env, napi_callback_info info)
{
	struct args a = get_args(env, info);
	size_t length;
	struct job j = {
		.id = arg_double(&a, 0), .operation = (int)arg_i64(&a, 1), .fd = (int)arg_i64(&a, 2),
		.buffer = arg_bytes(&a, 3, &length), .position = arg_i64(&a, 5), .flags = (int)arg_i64(&a, 6),
	};
	int64_t count = arg_i64(&a, 4);
	if (j.operation < 0 || j.operation >= OP_COUNT || count < 0 || (j.operation <= OP_WRITE && (uint64_t)count > length) ||
	    (j.operation == OP_COPY && length < sizeof(struct copy_target)) || pool.event_fd < 0)
		return make_double(env, -EINVAL);
	j.count = (size_t)count;
	pthread_mutex_lock(&pool.lock);
	int r = -EAGAIN;
	if (pool.outstanding < MAX_JOBS) {
		pool.waiting[(pool.first + pool.count) % MAX_JOBS] = j;
		pool.count++;
		pool.outstanding++;
		pthread_cond_signal(&pool.work);
		r = 0;
	}
	pthread_mutex_unlock(&pool.lock);
	return make_double(env, r);
}

/* ioCompletions(into) -> pairs (job, result) that were written. The oldest first; what does not fit stays. */
static napi_value io_completions(napi_env env, napi_callback_info info)
{
	struct args a = get_args(env, info);
	size_t length, taken = 0;
	double *into = arg_bytes(&a, 0, &length);
	size_t room = length / (2 * sizeof(double));
	eventfd_t ignored;

	if (pool.event_fd < 0)
		return make_double(env, 0);
	pthread_mutex_lock(&pool.lock);
	eventfd_read(pool.event_fd, &ignored);
	for (; taken < room && taken < pool.finished_count; taken++) {
		into[2 * taken] = pool.finished[taken].id;
		into[2 * taken + 1] = (double)pool.finished[taken].result;
	}
	pool.finished_count -= taken;
	pool.outstanding -= taken;
	for (size_t i = 0; i < pool.finished_count; i++)
		pool.finished[i] = pool.finished[i + taken];
	if (pool.finished_count > 0)
		eventfd_write(pool.event_fd, 1);
	pthread_mutex_unlock(&pool.lock);
	return make_double(env, (double)taken);
}

void io_worker_register(napi_env env, napi_value exports)
{
	export_function(env, exports, "ioStart", io_start);
	export_function(env, exports, "ioSubmit", io_submit);
	export_function(env, exports, "ioCompletions", io_completions);
}
