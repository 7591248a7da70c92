/*
 * A FUSE server in memory, written against /dev/fuse alone. The tests and the server share a page of knobs and counters.
 */
#ifndef FUSE_SERVER_H
#define FUSE_SERVER_H

#include "check.h"
#include <dirent.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

#define NODES 8192
#define LARGEST (8 << 20)
#define BUFFER ((1 << 20) + 8192)

struct node {
	int used, gone;		/* gone: without a name */
	int parent;
	char name[256];
	unsigned mode, uid, gid, nlink, rdev;
	char *data;
	size_t size;
	uint64_t lookups, mtime;
	uint32_t mtimensec;
	char xattr_name[64], xattr[256];
	int xattr_size;
};

struct shared {
	/* knobs */
	volatile uint64_t entry_valid, attr_valid;	/* seconds */
	volatile unsigned open_flags;	/* FOPEN_* of OPEN and CREATE */
	volatile unsigned init_flags;	/* FUSE_* that INIT takes, if offered */
	volatile unsigned max_write, max_pages;
	volatile int missing[64];	/* these opcodes answer ENOSYS */
	volatile int failing[64];	/* these answer this errno; LOOKUP of "fail:OPCODE:ERRNO" sets it */
	volatile int slow_flush;	/* FLUSH takes so many microseconds */
	volatile int cut;		/* GETATTR of a longer file first cuts it to this size; 0: not */
	volatile int stuck;		/* this opcode is read and never answered */
	volatile int broken;		/* how to answer LOOKUP of "broken" */
	volatile int interruptible;	/* a stuck request is answered with EINTR when it is interrupted */
	volatile int threads, clone;
	volatile int spliced;		/* answers to READ go through a pipe, as libfuse sends them */
	volatile int many;		/* names that the root lists besides its own */
	volatile unsigned revents;	/* of POLL */
	volatile uint64_t poll_handle;
	volatile uint64_t lock_owner;	/* who holds the one lock there is; 0: nobody */
	volatile uint64_t big_offsets;	/* added to the offsets of READDIR */
	/* what happened */
	volatile uint64_t count[64], forgotten, flushed;
	volatile uint64_t retrieved_unique, retrieved_offset, retrieved_size;	/* of FUSE_NOTIFY_REPLY */
	char retrieved[64];
	volatile unsigned last_uid, last_pid, last_umask, last_open_flags, largest_write, largest_read;
	volatile uint64_t last_fh_released;
	volatile int ended;		/* errno of the device's read */
	volatile int alive;
	pthread_mutex_t lock;
};

static struct shared *shared;
static struct node nodes[NODES];
static int device = -1;
static char mountpoint[64];
static pid_t server_pid;
static unsigned protocol_minor;

static int node_new(int parent, const char *name, unsigned mode, unsigned uid, unsigned gid)
{
	for (int i = 2; i < NODES; i++) {
		struct node *n = &nodes[i];
		if (n->used)
			continue;
		memset(n, 0, sizeof *n);
		n->used = 1;
		n->parent = parent;
		snprintf(n->name, sizeof n->name, "%s", name);
		n->mode = mode;
		n->uid = uid;
		n->gid = gid;
		n->nlink = S_ISDIR(mode) ? 2 : 1;
		struct timespec now;
		clock_gettime(CLOCK_REALTIME, &now);
		n->mtime = now.tv_sec;
		n->mtimensec = now.tv_nsec;
		return i;
	}
	return 0;
}

static int node_find(int parent, const char *name)
{
	for (int i = 2; i < NODES; i++)
		if (nodes[i].used && !nodes[i].gone && nodes[i].parent == parent && strcmp(nodes[i].name, name) == 0)
			return i;
	return 0;
}

static void touch(struct node *n)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	n->mtime = now.tv_sec;
	n->mtimensec = now.tv_nsec;
}

static int node_resize(struct node *n, size_t size)
{
	if (size > LARGEST)
		return -EFBIG;
	char *data = realloc(n->data, size + 1);
	if (data == NULL)
		return -ENOMEM;
	if (size > n->size)
		memset(data + n->size, 0, size - n->size);
	n->data = data;
	n->size = size;
	touch(n);
	return 0;
}

static void fill_attr(int id, struct fuse_attr *attr)
{
	struct node *n = &nodes[id];
	memset(attr, 0, sizeof *attr);
	attr->ino = id;
	attr->mode = n->mode;
	attr->nlink = n->gone ? 0 : n->nlink;
	attr->uid = n->uid;
	attr->gid = n->gid;
	attr->rdev = n->rdev;
	attr->size = n->size;
	attr->blocks = (n->size + 511) / 512;
	attr->blksize = 4096;
	attr->mtime = n->mtime;
	attr->mtimensec = n->mtimensec;
}

static void fill_entry(int id, struct fuse_entry_out *entry)
{
	memset(entry, 0, sizeof *entry);
	entry->nodeid = id;
	entry->generation = 1;
	entry->entry_valid = shared->entry_valid;
	entry->attr_valid = shared->attr_valid;
	fill_attr(id, &entry->attr);
	nodes[id].lookups++;
}

static void reply(int fd, uint64_t unique, int error, const void *body, size_t length)
{
	struct fuse_out_header head = { .len = sizeof head + (error ? 0 : length), .error = error, .unique = unique };
	struct iovec parts[2] = { { &head, sizeof head }, { (void *)body, error ? 0 : length } };
	ssize_t n = writev(fd, parts, 2);
	/* ENOENT: whoever asked is gone */
	if (n < 0 && errno != ENOENT && errno != ENODEV && shared->broken == 0)
		fprintf(stderr, "server: answer: %s\n", strerror(errno));
}

/* The header is given to the pipe before the length is known. */
static void reply_spliced(int fd, uint64_t unique, const void *body, size_t length, size_t asked)
{
	static char page[4096] __attribute__((aligned(4096)));
	static int ends[2];
	struct fuse_out_header *head = (void *)page;
	struct iovec first = { head, sizeof *head }, second = { (void *)body, length };
	if (ends[1] == 0) {
		CHECK(pipe(ends) == 0);
		CHECK(fcntl(ends[1], F_SETPIPE_SZ, 1 << 20) >= 1 << 20);
	}
	*head = (struct fuse_out_header){ .len = sizeof *head + asked, .error = 0, .unique = unique };
	CHECK(vmsplice(ends[1], &first, 1, 0) == sizeof *head);
	CHECK(length == 0 || vmsplice(ends[1], &second, 1, 0) == (ssize_t)length);
	head->len = sizeof *head + length;
	CHECK(splice(ends[0], NULL, fd, NULL, head->len, 0) == (ssize_t)head->len);
}

static size_t add_dirent(char *buffer, size_t used, size_t room, uint64_t offset, const char *name, uint64_t ino, unsigned type)
{
	size_t length = strlen(name), whole = FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET + length);
	if (used + whole > room)
		return 0;
	struct fuse_dirent *d = (void *)(buffer + used);
	memset(d, 0, whole);
	d->ino = ino;
	d->off = offset + shared->big_offsets;
	d->namelen = length;
	d->type = type;
	memcpy(d->name, name, length);
	return whole;
}

static size_t add_plus(char *buffer, size_t used, size_t room, uint64_t offset, int id)
{
	size_t length = strlen(nodes[id].name), whole = FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET_DIRENTPLUS + length);
	if (used + whole > room)
		return 0;
	struct fuse_direntplus *d = (void *)(buffer + used);
	memset(d, 0, whole);
	fill_entry(id, &d->entry_out);
	d->dirent.ino = id;
	d->dirent.off = offset + shared->big_offsets;
	d->dirent.namelen = length;
	d->dirent.type = nodes[id].mode >> 12;
	memcpy(d->dirent.name, nodes[id].name, length);
	return whole;
}

/* Offsets: i + 1 for node i, NODES + k for the k-th of the many names. */
static void read_directory(int fd, const struct fuse_in_header *in, const struct fuse_read_in *arg, int plus)
{
	static __thread char buffer[65536];
	size_t used = 0, room = arg->size < sizeof buffer ? arg->size : sizeof buffer;
	uint64_t from = arg->offset == 0 ? 0 : arg->offset - shared->big_offsets;
	for (uint64_t i = from; i < (uint64_t)NODES; i++) {
		if (i < 2 || !nodes[i].used || nodes[i].gone || nodes[i].parent != (int)in->nodeid)
			continue;
		size_t n = plus ? add_plus(buffer, used, room, i + 1, i) :
				  add_dirent(buffer, used, room, i + 1, nodes[i].name, i, nodes[i].mode >> 12);
		if (n == 0)
			goto done;
		used += n;
	}
	if (in->nodeid == 1 && !plus)
		for (uint64_t k = from > NODES ? from - NODES : 0; k < (uint64_t)shared->many; k++) {
			char name[32];
			snprintf(name, sizeof name, "many-%06lu", (unsigned long)k);
			size_t n = add_dirent(buffer, used, room, NODES + k + 1, name, 100000 + k, DT_REG);
			if (n == 0)
				break;
			used += n;
		}
done:
	reply(fd, in->unique, 0, buffer, used);
}

static void lookup_broken(int fd, const struct fuse_in_header *in)
{
	struct fuse_entry_out out;
	memset(&out, 0, sizeof out);
	out.nodeid = 7777;
	out.attr.mode = S_IFREG | 0644;
	out.attr.nlink = 1;
	switch (shared->broken) {
	case 1: /* no type */
		out.attr.mode = 0644;
		break;
	case 2: /* the root again */
		out.nodeid = 1;
		out.attr.mode = S_IFDIR | 0755;
		break;
	case 3: /* a size that no file has */
		out.attr.size = ~0ull;
		break;
	case 4: /* cut */
		reply(fd, in->unique, 0, &out, sizeof out - 8);
		return;
	case 5: /* an error that is none */
		reply(fd, in->unique, 5, NULL, 0);
		reply(fd, in->unique, -4095, NULL, 0);
		reply(fd, in->unique, -ENOENT, NULL, 0);
		return;
	}
	reply(fd, in->unique, 0, &out, sizeof out);
}

static void server_init(int fd, const struct fuse_in_header *in, const struct fuse_init_in *arg)
{
	struct fuse_init_out out;
	memset(&out, 0, sizeof out);
	out.major = FUSE_KERNEL_VERSION;
	out.minor = protocol_minor = arg->minor < 31 ? arg->minor : 31;
	out.max_readahead = arg->max_readahead;
	out.flags = (shared->init_flags | FUSE_BIG_WRITES) & arg->flags;
	out.max_background = 12;
	out.congestion_threshold = 9;
	out.max_write = shared->max_write;
	out.max_pages = shared->max_pages;
	out.time_gran = 1;
	reply(fd, in->unique, 0, &out, sizeof out);
}

static void set_attributes(struct node *n, const struct fuse_setattr_in *arg, int *error)
{
	if (arg->valid & FATTR_MODE)
		n->mode = (n->mode & S_IFMT) | (arg->mode & 07777);
	if (arg->valid & FATTR_UID)
		n->uid = arg->uid;
	if (arg->valid & FATTR_GID)
		n->gid = arg->gid;
	if (arg->valid & FATTR_SIZE)
		*error = node_resize(n, arg->size);
	if (arg->valid & FATTR_MTIME && !(arg->valid & FATTR_MTIME_NOW)) {
		n->mtime = arg->mtime;
		n->mtimensec = arg->mtimensec;
	}
}

static int rename_node(int from_dir, const char *from, int to_dir, const char *to)
{
	int id = node_find(from_dir, from), old = node_find(to_dir, to);
	if (id == 0)
		return -ENOENT;
	if (old != 0 && old != id) {
		if (--nodes[old].nlink == 0 || S_ISDIR(nodes[old].mode))
			nodes[old].gone = 1;
		nodes[old].gone = 1;
	}
	nodes[id].parent = to_dir;
	snprintf(nodes[id].name, sizeof nodes[id].name, "%s", to);
	return 0;
}

/* One request; the lock is held. */
static void serve(int fd, char *message)
{
	const struct fuse_in_header *in = (void *)message;
	const void *arg = message + sizeof *in;
	const char *text = arg;
	int id = in->nodeid < NODES ? (int)in->nodeid : 0;
	struct node *n = &nodes[id];
	struct fuse_entry_out entry;
	struct fuse_attr_out attr;
	struct fuse_open_out open_out;
	int error = 0, child;

	if (in->opcode < 64)
		shared->count[in->opcode]++;
	if (in->opcode != FUSE_FORGET && in->opcode != FUSE_BATCH_FORGET && in->opcode != FUSE_INTERRUPT && in->opcode != FUSE_RELEASE) {
		shared->last_uid = in->uid;
		shared->last_pid = in->pid;
	}
	memset(&open_out, 0, sizeof open_out);
	memset(&attr, 0, sizeof attr);
	if (in->opcode < 64 && shared->missing[in->opcode]) {
		reply(fd, in->unique, -ENOSYS, NULL, 0);
		return;
	}
	int opcode, failure;
	if (in->opcode == FUSE_LOOKUP && sscanf(text, "fail:%d:%d", &opcode, &failure) == 2 && opcode > 0 && opcode < 64) {
		shared->failing[opcode] = failure;
		reply(fd, in->unique, -ENOENT, NULL, 0);
		return;
	}
	if (in->opcode < 64 && shared->failing[in->opcode]) {
		reply(fd, in->unique, -shared->failing[in->opcode], NULL, 0);
		return;
	}
	static uint64_t held;
	if (shared->stuck != 0 && (int)in->opcode == shared->stuck) {
		held = in->unique;
		return;
	}
	switch (in->opcode) {
	case FUSE_INIT:
		server_init(fd, in, arg);
		break;
	case FUSE_LOOKUP:
		if (strcmp(text, "broken") == 0) {
			lookup_broken(fd, in);
			break;
		}
		child = node_find(id, text);
		if (child == 0)
			reply(fd, in->unique, -ENOENT, NULL, 0);
		else {
			fill_entry(child, &entry);
			reply(fd, in->unique, 0, &entry, sizeof entry);
		}
		break;
	case FUSE_FORGET:
		n->lookups -= ((const struct fuse_forget_in *)arg)->nlookup;
		shared->forgotten += ((const struct fuse_forget_in *)arg)->nlookup;
		break;
	case FUSE_BATCH_FORGET: {
		const struct fuse_batch_forget_in *batch = arg;
		const struct fuse_forget_one *one = (const void *)(batch + 1);
		for (uint32_t i = 0; i < batch->count; i++) {
			nodes[one[i].nodeid].lookups -= one[i].nlookup;
			shared->forgotten += one[i].nlookup;
		}
		break;
	}
	case FUSE_GETATTR:
		if (shared->cut > 0 && n->size > (size_t)shared->cut)
			node_resize(n, shared->cut);
		attr.attr_valid = shared->attr_valid;
		fill_attr(id, &attr.attr);
		reply(fd, in->unique, n->used ? 0 : -ENOENT, &attr, sizeof attr);
		break;
	case FUSE_SETATTR:
		set_attributes(n, arg, &error);
		attr.attr_valid = shared->attr_valid;
		fill_attr(id, &attr.attr);
		reply(fd, in->unique, error, &attr, sizeof attr);
		break;
	case FUSE_READLINK:
		reply(fd, in->unique, 0, n->data, n->size);
		break;
	case FUSE_SYMLINK: {
		const char *target = text + strlen(text) + 1;
		child = node_new(id, text, S_IFLNK | 0777, in->uid, in->gid);
		node_resize(&nodes[child], strlen(target));
		memcpy(nodes[child].data, target, strlen(target));
		fill_entry(child, &entry);
		reply(fd, in->unique, 0, &entry, sizeof entry);
		break;
	}
	case FUSE_MKNOD: {
		const struct fuse_mknod_in *mk = arg;
		child = node_new(id, (const char *)(mk + 1), mk->mode, in->uid, in->gid);
		nodes[child].rdev = mk->rdev;
		fill_entry(child, &entry);
		reply(fd, in->unique, 0, &entry, sizeof entry);
		break;
	}
	case FUSE_MKDIR: {
		const struct fuse_mkdir_in *mk = arg;
		shared->last_umask = mk->umask;
		child = node_new(id, (const char *)(mk + 1), S_IFDIR | (mk->mode & 07777), in->uid, in->gid);
		fill_entry(child, &entry);
		reply(fd, in->unique, 0, &entry, sizeof entry);
		break;
	}
	case FUSE_UNLINK:
	case FUSE_RMDIR:
		child = node_find(id, text);
		if (child == 0)
			error = -ENOENT;
		else if (in->opcode == FUSE_RMDIR) {
			for (int i = 2; i < NODES; i++)
				if (nodes[i].used && !nodes[i].gone && nodes[i].parent == child)
					error = -ENOTEMPTY;
		}
		if (error == 0)
			nodes[child].gone = 1;
		reply(fd, in->unique, error, NULL, 0);
		break;
	case FUSE_RENAME: {
		const struct fuse_rename_in *re = arg;
		const char *from = (const char *)(re + 1);
		reply(fd, in->unique, rename_node(id, from, re->newdir, from + strlen(from) + 1), NULL, 0);
		break;
	}
	case FUSE_RENAME2: {
		const struct fuse_rename2_in *re = arg;
		const char *from = (const char *)(re + 1), *to = from + strlen(from) + 1;
		if (re->flags & 2) { /* RENAME_EXCHANGE */
			int a = node_find(id, from), b = node_find(re->newdir, to);
			nodes[a].parent = re->newdir;
			nodes[b].parent = id;
			char name[256];
			strcpy(name, nodes[a].name);
			strcpy(nodes[a].name, nodes[b].name);
			strcpy(nodes[b].name, name);
		} else
			error = rename_node(id, from, re->newdir, to);
		reply(fd, in->unique, error, NULL, 0);
		break;
	}
	case FUSE_LINK:
		/* The tests make one more name of a file and look at the count: both are the same node. */
		reply(fd, in->unique, -EPERM, NULL, 0);
		break;
	case FUSE_OPEN:
	case FUSE_OPENDIR:
		shared->last_open_flags = ((const struct fuse_open_in *)arg)->flags;
		if (in->opcode == FUSE_OPEN && ((const struct fuse_open_in *)arg)->flags & O_TRUNC)
			node_resize(n, 0);
		open_out.fh = 1000 + id;
		open_out.open_flags = in->opcode == FUSE_OPEN ? shared->open_flags : 0;
		reply(fd, in->unique, 0, &open_out, sizeof open_out);
		break;
	case FUSE_CREATE: {
		const struct fuse_create_in *cr = arg;
		struct {
			struct fuse_entry_out entry;
			struct fuse_open_out open;
		} both;
		memset(&both, 0, sizeof both);
		child = node_new(id, (const char *)(cr + 1), S_IFREG | (cr->mode & 07777), in->uid, in->gid);
		shared->last_umask = cr->umask;
		fill_entry(child, &both.entry);
		both.open.fh = 1000 + child;
		both.open.open_flags = shared->open_flags;
		reply(fd, in->unique, child == 0 ? -ENOSPC : 0, &both, sizeof both);
		break;
	}
	case FUSE_READ: {
		const struct fuse_read_in *rd = arg;
		size_t left = rd->offset < n->size ? n->size - rd->offset : 0;
		if (rd->size > shared->largest_read)
			shared->largest_read = rd->size;
		if (left > rd->size)
			left = rd->size;
		if (shared->spliced)
			reply_spliced(fd, in->unique, n->data + rd->offset, left, rd->size);
		else
			reply(fd, in->unique, 0, n->data + rd->offset, left);
		break;
	}
	case FUSE_WRITE: {
		const struct fuse_write_in *wr = arg;
		struct fuse_write_out out = { .size = wr->size };
		if (wr->size > shared->largest_write)
			shared->largest_write = wr->size;
		if (wr->offset + wr->size > n->size)
			error = node_resize(n, wr->offset + wr->size);
		if (error == 0) {
			memcpy(n->data + wr->offset, wr + 1, wr->size);
			touch(n);
		}
		reply(fd, in->unique, error, &out, sizeof out);
		break;
	}
	case FUSE_STATFS: {
		struct fuse_statfs_out out = { .st = { .blocks = 1000, .bfree = 500, .bavail = 400, .files = 300, .ffree = 200,
						       .bsize = 8192, .namelen = 99, .frsize = 1024 } };
		reply(fd, in->unique, 0, &out, sizeof out);
		break;
	}
	case FUSE_RELEASE:
	case FUSE_RELEASEDIR:
		shared->last_fh_released = ((const struct fuse_release_in *)arg)->fh;
		reply(fd, in->unique, 0, NULL, 0);
		break;
	case FUSE_FLUSH:
		if (shared->slow_flush > 0) {
			usleep(shared->slow_flush);
			shared->flushed++;
		}
		reply(fd, in->unique, strcmp(n->name, "refused") == 0 ? -EDQUOT : 0, NULL, 0);
		break;
	case FUSE_FSYNC:
	case FUSE_FSYNCDIR:
	case FUSE_ACCESS:
		reply(fd, in->unique, strcmp(n->name, "refused") == 0 ? (in->opcode == FUSE_ACCESS ? -EACCES : -EDQUOT) : 0, NULL, 0);
		break;
	case FUSE_SETXATTR: {
		const struct fuse_setxattr_in *set = arg;
		const char *name = text + FUSE_COMPAT_SETXATTR_IN_SIZE;
		snprintf(n->xattr_name, sizeof n->xattr_name, "%s", name);
		n->xattr_size = set->size;
		memcpy(n->xattr, name + strlen(name) + 1, set->size);
		reply(fd, in->unique, 0, NULL, 0);
		break;
	}
	case FUSE_GETXATTR: {
		const struct fuse_getxattr_in *get = arg;
		struct fuse_getxattr_out out = { .size = n->xattr_size };
		if (strcmp((const char *)(get + 1), n->xattr_name) != 0)
			reply(fd, in->unique, -ENODATA, NULL, 0);
		else if (get->size == 0)
			reply(fd, in->unique, 0, &out, sizeof out);
		else
			reply(fd, in->unique, get->size < (unsigned)n->xattr_size ? -ERANGE : 0, n->xattr, n->xattr_size);
		break;
	}
	case FUSE_LISTXATTR: {
		const struct fuse_getxattr_in *get = arg;
		size_t length = n->xattr_name[0] == 0 ? 0 : strlen(n->xattr_name) + 1;
		struct fuse_getxattr_out out = { .size = length };
		if (get->size == 0)
			reply(fd, in->unique, 0, &out, sizeof out);
		else
			reply(fd, in->unique, get->size < length ? -ERANGE : 0, n->xattr_name, length);
		break;
	}
	case FUSE_REMOVEXATTR:
		error = strcmp(text, n->xattr_name) == 0 ? 0 : -ENODATA;
		if (error == 0)
			n->xattr_name[0] = 0;
		reply(fd, in->unique, error, NULL, 0);
		break;
	case FUSE_NOTIFY_REPLY: {
		const struct fuse_notify_retrieve_in *re = arg;
		memcpy(shared->retrieved, re + 1, re->size < sizeof shared->retrieved ? re->size : sizeof shared->retrieved);
		shared->retrieved_unique = in->unique;
		shared->retrieved_size = re->size;
		shared->retrieved_offset = re->offset;
		break;
	}
	case FUSE_READDIR:
	case FUSE_READDIRPLUS:
		read_directory(fd, in, arg, in->opcode == FUSE_READDIRPLUS);
		break;
	case FUSE_INTERRUPT:
		if (shared->interruptible && held == ((const struct fuse_interrupt_in *)arg)->unique)
			reply(fd, held, -EINTR, NULL, 0);
		break;
	case FUSE_IOCTL: {
		const struct fuse_ioctl_in *io = arg;
		struct {
			struct fuse_ioctl_out head;
			uint32_t value;
		} out;
		memset(&out, 0, sizeof out);
		out.value = io->in_size == 4 ? *(const uint32_t *)(io + 1) + 1 : 0;
		out.head.result = 7;
		reply(fd, in->unique, 0, &out, sizeof out.head + io->out_size);
		break;
	}
	case FUSE_POLL: {
		const struct fuse_poll_in *po = arg;
		struct fuse_poll_out out = { .revents = shared->revents & po->events };
		shared->poll_handle = po->kh;
		reply(fd, in->unique, 0, &out, sizeof out);
		break;
	}
	case FUSE_SETLK:
	case FUSE_SETLKW: {
		const struct fuse_lk_in *lk = arg;
		if (lk->lk.type == F_UNLCK) {
			if (shared->lock_owner == lk->owner)
				shared->lock_owner = 0;
		} else if (shared->lock_owner != 0 && shared->lock_owner != lk->owner)
			error = -EAGAIN;
		else
			shared->lock_owner = lk->owner;
		reply(fd, in->unique, error, NULL, 0);
		break;
	}
	case FUSE_GETLK: {
		const struct fuse_lk_in *lk = arg;
		struct fuse_lk_out out = { .lk = lk->lk };
		out.lk.type = F_UNLCK;
		if (shared->lock_owner != 0 && shared->lock_owner != lk->owner)
			out.lk = (struct fuse_file_lock){ .start = 10, .end = 19, .type = F_WRLCK, .pid = 0 };
		reply(fd, in->unique, 0, &out, sizeof out);
		break;
	}
	case FUSE_FALLOCATE: {
		const struct fuse_fallocate_in *fa = arg;
		if (fa->mode != 0)
			error = -EOPNOTSUPP;
		else if (fa->offset + fa->length > n->size)
			error = node_resize(n, fa->offset + fa->length);
		reply(fd, in->unique, error, NULL, 0);
		break;
	}
	case FUSE_LSEEK: {
		const struct fuse_lseek_in *ls = arg;
		struct fuse_lseek_out out = { .offset = ls->whence == SEEK_HOLE ? n->size : ls->offset + 1 };
		reply(fd, in->unique, ls->offset >= n->size ? -ENXIO : 0, &out, sizeof out);
		break;
	}
	case FUSE_COPY_FILE_RANGE: {
		const struct fuse_copy_file_range_in *cp = arg;
		struct node *to = &nodes[cp->nodeid_out];
		struct fuse_write_out out = { .size = cp->len };
		if (cp->off_out + cp->len > to->size)
			node_resize(to, cp->off_out + cp->len);
		memcpy(to->data + cp->off_out, n->data + cp->off_in, cp->len);
		reply(fd, in->unique, 0, &out, sizeof out);
		break;
	}
	default:
		reply(fd, in->unique, -ENOSYS, NULL, 0);
	}
}

static void *serve_device(void *argument)
{
	int fd = (int)(long)argument;
	char *message = malloc(BUFFER);
	int ends[2];
	CHECK(pipe(ends) == 0 && fcntl(ends[1], F_SETPIPE_SZ, 1 << 20) >= 1 << 20);
	for (;;) {
		ssize_t n = shared->spliced ? splice(fd, NULL, ends[1], NULL, 1 << 20, 0) : read(fd, message, BUFFER);
		if (n > 0 && shared->spliced)
			CHECK(read(ends[0], message, n) == n);
		if (n < 0 && (errno == EINTR || errno == ENOENT))
			continue;
		if (n < 0) {
			shared->ended = errno;
			return NULL;
		}
		pthread_mutex_lock(&shared->lock);
		serve(fd, message);
		pthread_mutex_unlock(&shared->lock);
	}
}

static void server_main(void)
{
	pthread_t threads[8];
	signal(SIGINT, SIG_IGN);
	nodes[1] = (struct node){ .used = 1, .mode = S_IFDIR | 0755, .nlink = 2 };
	shared->alive = 1;
	for (int i = 1; i < shared->threads; i++) {
		int fd = device;
		if (shared->clone) {
			uint32_t from = device;
			fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
			CHECK(fd >= 0);
			CHECK(ioctl(fd, FUSE_DEV_IOC_CLONE, &from) == 0);
		}
		CHECK(pthread_create(&threads[i], NULL, serve_device, (void *)(long)fd) == 0);
	}
	serve_device((void *)(long)device);
	_exit(0);
}

static void write_map(const char *what, pid_t pid)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/%s", pid, what);
	int fd = open(path, O_WRONLY);
	CHECK(fd >= 0 && write(fd, "0 0 65536", 9) == 9 && close(fd) == 0);
}

/* Root of a user namespace may mount FUSE, whatever it may do outside. */
static void become_mounter(void)
{
	int ready[2], mapped[2];
	char c = 0;
	CHECK(pipe(ready) == 0 && pipe(mapped) == 0);
	pid_t self = getpid(), pid = fork();
	if (pid == 0) {
		CHECK(read(ready[0], &c, 1) == 1);
		write_map("uid_map", self);
		write_map("gid_map", self);
		CHECK(write(mapped[1], &c, 1) == 1);
		_exit(0);
	}
	CHECK(unshare(CLONE_NEWUSER) == 0);
	CHECK(write(ready[1], &c, 1) == 1 && read(mapped[0], &c, 1) == 1);
	int status;
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	CHECK(setresgid(0, 0, 0) == 0 && setresuid(0, 0, 0) == 0);
	CHECK(unshare(CLONE_NEWNS) == 0);
}

static void defaults(void)
{
	pthread_mutexattr_t attributes;
	if (shared == NULL)
		shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(shared != MAP_FAILED);
	memset(shared, 0, sizeof *shared);
	shared->entry_valid = shared->attr_valid = 1;
	shared->max_write = 131072;
	shared->threads = 1;
	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
	pthread_mutex_init(&shared->lock, &attributes);
}

/* Mounts, and starts the server as a child; the device stays open here as well. `options` begins with a comma, or is empty. */
static void start_server_keeping(const char *options)
{
	char text[256];
	device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	CHECK(device >= 0);
	strcpy(mountpoint, "/tmp/tsvisor-fuse-XXXXXX");
	CHECK(mkdtemp(mountpoint) != NULL);
	CHECK(unshare(CLONE_NEWNS) == 0);
	CHECK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	snprintf(text, sizeof text, "fd=%d,rootmode=40000,user_id=%u,group_id=%u%s", device, getuid(), getgid(), options);
	CHECK(mount("test", mountpoint, "fuse.test", MS_NOSUID | MS_NODEV, text) == 0);
	fflush(stdout);
	server_pid = fork();
	CHECK(server_pid >= 0);
	if (server_pid == 0)
		server_main();
}

/* As above; the device is the server's alone. */
static void start_server(const char *options)
{
	start_server_keeping(options);
	close(device);
	device = -1;
}

static void stop_server(void)
{
	CHECK(umount2(mountpoint, 0) == 0);
	int status;
	CHECK(waitpid(server_pid, &status, 0) == server_pid);
	CHECK(status == 0);
	CHECK(shared->ended == ENODEV);
	CHECK(rmdir(mountpoint) == 0);
}

static const char *at(const char *name)
{
	static char paths[8][512];
	static int next;
	char *path = paths[next++ % 8];
	snprintf(path, 512, "%s/%s", mountpoint, name);
	return path;
}

#define WAIT_FOR(condition)                       \
	do {                                      \
		for (int i_ = 0; !(condition); i_++) { \
			CHECK(i_ < 4000);         \
			usleep(5000);             \
		}                                 \
	} while (0)

/* What clients do most. */
static void fill(const char *path, const char *content)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	CHECK(fd >= 0);
	CHECK(write(fd, content, strlen(content)) == (ssize_t)strlen(content));
	CHECK(close(fd) == 0);
}

static void expect(const char *path, const char *content)
{
	char buffer[4096];
	int fd = open(path, O_RDONLY);
	CHECK(fd >= 0);
	ssize_t n = read(fd, buffer, sizeof buffer);
	CHECK(n == (ssize_t)strlen(content));
	CHECK(memcmp(buffer, content, n) == 0);
	CHECK(read(fd, buffer, sizeof buffer) == 0);
	CHECK(close(fd) == 0);
}

#endif
