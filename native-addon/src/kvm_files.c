/*
 * Mapped files. A file that ranges map is known by its identity and shown in the window in chunks of 2 MiB, on demand, for as long as any
 * range of any space maps it; so all see the same pages of the host's cache. Files change size at any time: nothing here reads their
 * pages, and who does (kvm_access.c, kvm_fault.c) lets the host do it, which says EFAULT where this process would get SIGBUS.
 */
#include "kvm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * Chunks that are mapped at once: what the window has room for. Each may be a mapping of this process, of which the host allows some 65,000;
 * those of one file that follow each other are one.
 */
static size_t max_chunks(void)
{
	return vm.files.limit / BLOCK_SIZE;
}

/* By its own call: the C library makes another one of it, with a path. */
static int stat_of(int fd, struct stat *st)
{
	return (int)syscall(SYS_fstat, fd, st);
}

struct file_chunk {
	uint64_t index; /* in the file, ascending */
	uint32_t place; /* in the window */
};

static struct {
	struct kvm_file *all;
	struct kvm_file **owners; /* of each place in the window */
	uint32_t *free;
	size_t free_count, places, used;
} files;

int files_open(void)
{
	memset(&files, 0, sizeof(files));
	files.owners = calloc(max_chunks(), sizeof(*files.owners));
	files.free = calloc(max_chunks(), sizeof(*files.free));
	return files.owners == NULL || files.free == NULL ? -ENOMEM : 0;
}

void files_close(void)
{
	while (files.all != NULL) {
		struct kvm_file *f = files.all;
		files.all = f->next;
		close(f->fd);
		free(f->chunks);
		free(f);
	}
	free(files.owners);
	free(files.free);
	memset(&files, 0, sizeof(files));
}

static char *place_host(uint32_t place)
{
	return vm.files.host + place * BLOCK_SIZE;
}

static int chunk_show(const struct kvm_file *f, const struct file_chunk *c, uint64_t from, uint64_t length)
{
	int protection = f->writable ? PROT_READ | PROT_WRITE : PROT_READ;
	void *p = mmap(place_host(c->place) + from, length, protection, MAP_SHARED | MAP_FIXED, f->fd, (off_t)(c->index * BLOCK_SIZE + from));
	return p == MAP_FAILED ? -errno : 0;
}

/* Index of the first chunk that is not before `index`. */
static size_t chunk_position(const struct kvm_file *f, uint64_t index)
{
	size_t low = 0, high = f->chunk_count;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (f->chunks[middle].index < index)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int chunk_make(struct kvm_file *f, size_t at, uint64_t index)
{
	if (files.free_count == 0 && files.places == max_chunks())
		return -ENOMEM;
	uint32_t place = files.free_count > 0 ? files.free[files.free_count - 1] : (uint32_t)files.places;
	int e = region_grow(&vm.files, (place + 1) * BLOCK_SIZE);
	struct file_chunk c = { index, place };
	if (e != 0 || (e = chunk_show(f, &c, 0, BLOCK_SIZE)) != 0)
		return e;
	struct file_chunk *grown = realloc(f->chunks, (f->chunk_count + 1) * sizeof(*grown));
	if (grown == NULL)
		return -ENOMEM;
	f->chunks = grown;
	memmove(&grown[at + 1], &grown[at], (f->chunk_count - at) * sizeof(*grown));
	grown[at] = c;
	f->chunk_count++;
	files.owners[place] = f;
	if (files.free_count > 0)
		files.free_count--;
	else
		files.places++;
	return 0;
}

/* Guest-physical address of the file's page at `offset`; 0 and *error if it cannot be shown. */
uint64_t file_page(struct kvm_file *f, uint64_t offset, int *error)
{
	uint64_t index = offset / BLOCK_SIZE;
	size_t at = chunk_position(f, index);
	if (at == f->chunk_count || f->chunks[at].index != index) {
		*error = chunk_make(f, at, index);
		if (*error != 0)
			return 0;
	}
	return vm.files.gpa + f->chunks[at].place * BLOCK_SIZE + (offset % BLOCK_SIZE & PAGE_MASK);
}

/* The host drops its translations to these pages: they are mapped anew as they were, in one step. */
bool files_touch(uint64_t gpa, uint64_t length)
{
	while (length > 0) {
		uint64_t within = (gpa - vm.files.gpa) % BLOCK_SIZE;
		uint64_t n = BLOCK_SIZE - within < length ? BLOCK_SIZE - within : length;
		uint32_t place = (uint32_t)((gpa - vm.files.gpa) / BLOCK_SIZE);
		struct kvm_file *f = place < max_chunks() ? files.owners[place] : NULL;
		if (f == NULL)
			return false;
		size_t i = 0;
		while (i < f->chunk_count && f->chunks[i].place != place)
			i++;
		if (i == f->chunk_count || chunk_show(f, &f->chunks[i], within, n) != 0)
			return false;
		gpa += n;
		length -= n;
	}
	return true;
}

/* What the descriptor allows: EACCES as mmap(2)'s. *writable: it may be mapped for writing. */
static int file_rights(int fd, bool shared, int protection, bool *writable)
{
	int flags = fcntl(fd, F_GETFL);
	if (flags < 0)
		return -errno;
	int mode = flags & O_ACCMODE;
	if (mode == O_WRONLY || (flags & O_PATH) != 0)
		return -EACCES;
	*writable = shared && mode == O_RDWR;
	return shared && (protection & PROT_WRITE) != 0 && !*writable ? -EACCES : 0;
}

static struct kvm_file *file_find(const struct stat *st, bool writable)
{
	for (struct kvm_file *f = files.all; f != NULL; f = f->next)
		if (f->inode == st->st_ino && f->device == st->st_dev && f->writable == writable)
			return f;
	return NULL;
}

static struct kvm_file *file_new(int fd, const struct stat *st, bool writable)
{
	struct kvm_file *f = calloc(1, sizeof(*f));
	int own = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (f == NULL || own < 0) {
		free(f);
		if (own >= 0)
			close(own);
		return NULL;
	}
	*f = (struct kvm_file){ .next = files.all, .device = st->st_dev, .inode = st->st_ino, .writable = writable, .fd = own, .references = 1 };
	/* memfds and the like alone have seals. */
	f->in_memory = fcntl(own, F_GET_SEALS) >= 0;
	files.all = f;
	return f;
}

/* A reference to the file behind a descriptor, which stays the caller's. NULL and *error (-errno) if it cannot be mapped so. */
struct kvm_file *file_get(int fd, bool shared, int protection, int *error)
{
	struct stat st;
	bool writable = false;
	*error = file_rights(fd, shared, protection, &writable);
	if (*error == 0 && stat_of(fd, &st) != 0)
		*error = -errno;
	if (*error != 0)
		return NULL;
	struct kvm_file *f = file_find(&st, writable);
	f = f != NULL ? file_hold(f) : file_new(fd, &st, writable);
	if (f == NULL) {
		*error = -EMFILE;
		return NULL;
	}
	/* The host refuses what cannot be mapped at all, or not for writing (seals). */
	if (f->chunk_count == 0 && file_page(f, 0, error) == 0) {
		file_put(f);
		if (writable && *error == -EPERM && (protection & PROT_WRITE) == 0) {
			f = file_find(&st, false);
			f = f != NULL ? file_hold(f) : file_new(fd, &st, false);
			if (f != NULL && (f->chunk_count > 0 || file_page(f, 0, error) != 0))
				return f;
			if (f != NULL)
				file_put(f);
		}
		return NULL;
	}
	return f;
}

struct kvm_file *file_hold(struct kvm_file *f)
{
	if (f != NULL)
		f->references++;
	return f;
}

/* The last one unmaps its chunks. No page-table entry names them any more. */
void file_put(struct kvm_file *f)
{
	if (f == NULL || --f->references > 0)
		return;
	for (size_t i = 0; i < f->chunk_count; i++) {
		uint32_t place = f->chunks[i].place;
		mmap(place_host(place), BLOCK_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
		files.owners[place] = NULL;
		files.free[files.free_count++] = place;
	}
	for (struct kvm_file **p = &files.all; *p != NULL; p = &(*p)->next) {
		if (*p == f) {
			*p = f->next;
			break;
		}
	}
	close(f->fd);
	free(f->chunks);
	free(f);
}

uint64_t file_size(const struct kvm_file *f)
{
	struct stat st;
	return stat_of(f->fd, &st) == 0 ? ((uint64_t)st.st_size + PAGE_SIZE - 1) & PAGE_MASK : 0;
}
