/*
 * Taking translations away. Entries are changed first, then named here; gather_end makes the change seen and returns frames. All of it
 * under vm.lock, so that no frame is used again before.
 *
 * PAGING_TLB: one flush for the space, and other vCPUs that run it are stopped for it. PAGING_SHADOW: the host drops what it derived
 * from a frame when the frame's own mapping here changes: by madvise if it is freed, else by mprotect there and back. Beyond a few such
 * runs it is cheaper to make the host forget everything.
 */
#include "kvm.h"
#include "kvm_run.h"

#include <sys/mman.h>

void gather_begin(struct gather *g, struct space *s, bool dying)
{
	*g = (struct gather){ .space = s, .dying = dying };
}

/* The frames at gpa live on, but translations to them must go. */
void gather_flush(struct gather *g, uint64_t gpa, uint64_t length)
{
	g->changed = true;
	if (g->dying || g->zap || vm.paging != PAGING_SHADOW)
		return;
	if (g->count > 0 && g->runs[g->count - 1].gpa + g->runs[g->count - 1].length == gpa) {
		g->runs[g->count - 1].length += length;
	} else if (g->count < GATHER_RUNS) {
		g->runs[g->count].gpa = gpa;
		g->runs[g->count++].length = length;
	} else {
		g->zap = true;
	}
}

/* A directory's entry has changed its kind, which under shadow paging nothing but a zap tells the host. */
void gather_zap(struct gather *g)
{
	g->changed = true;
	if (!g->dying)
		g->zap = true;
}

static void release(struct gather *g)
{
	if (g->release_length > 0)
		madvise(window_host(g->release_gpa), g->release_length, MADV_DONTNEED);
	g->release_length = 0;
}

/* An entry that named the frame or file page is gone. */
void gather_drop(struct gather *g, uint64_t gpa)
{
	g->changed = true;
	if (!is_anonymous(gpa)) {
		gather_flush(g, gpa, PAGE_SIZE);
		return;
	}
	bool is_small = frame_is_small(gpa);
	if (!frame_drop(gpa)) {
		gather_flush(g, gpa, PAGE_SIZE);
	} else if (is_small) {
		gather_flush(g, gpa, PAGE_SIZE);
		frame_recycle(gpa, false);
	} else if (g->release_length > 0 && g->release_gpa + g->release_length == gpa) {
		g->release_length += PAGE_SIZE;
	} else {
		release(g);
		g->release_gpa = gpa;
		g->release_length = PAGE_SIZE;
	}
}

/* An error of mprotect (out of maps) leaves a stale translation: then the host forgets everything instead. */
static bool touch(uint64_t gpa, uint64_t length)
{
	if (!is_anonymous(gpa))
		return files_touch(gpa, length);
	char *host = window_host(gpa);
	return mprotect(host, length, PROT_READ) == 0 && mprotect(host, length, PROT_READ | PROT_WRITE) == 0;
}

void gather_end(struct gather *g)
{
	release(g);
	if (g->dying || !g->changed)
		return;
	if (vm.paging == PAGING_TLB) {
		flush_space(g->space);
		return;
	}
	for (size_t i = 0; i < g->count && !g->zap; i++)
		g->zap = !touch(g->runs[i].gpa, g->runs[i].length);
	if (g->zap)
		window_zap();
}
