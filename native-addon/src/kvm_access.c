/* The Sentry's own access to application memory: by the page tables, with the rights that the application has. */
#include "kvm.h"

#include <errno.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static uint64_t frame_of(const uint64_t *leaf, int level, uint64_t va)
{
	return (*leaf & PTE_FRAME) + va % (level == 1 ? BLOCK_SIZE : PAGE_SIZE);
}

/* Guest-physical address of va, made accessible; 0 if it is not. */
static uint64_t translate(struct space *s, uint64_t va, bool write, bool forced)
{
	const uint64_t need = PTE_PRESENT | PTE_USER | (write ? PTE_WRITE : 0);
	int level;
	uint64_t *leaf = leaf_find(s, va, &level);
	if (leaf != NULL && (*leaf & need) == need)
		return frame_of(leaf, level, va);
	if (space_fault(s, va, write ? ACCESS_WRITE : ACCESS_READ, false, forced) != FAULT_NONE)
		return 0;
	leaf = leaf_find(s, va, &level);
	/* After a forced fault the frame is right, whatever the entry allows. */
	return leaf != NULL && *leaf != 0 && (forced || (*leaf & need) == need) ? frame_of(leaf, level, va) : 0;
}

/* A file's page may be gone: the host copies, and says so. */
static bool copy_file(char *window, char *buffer, size_t n, bool write)
{
	struct iovec local = { buffer, n }, remote = { window, n };
	ssize_t done = write ? process_vm_writev(getpid(), &local, 1, &remote, 1, 0) : process_vm_readv(getpid(), &local, 1, &remote, 1, 0);
	return done == (ssize_t)n;
}

static bool in_vdso(uint64_t va)
{
	return va - vm.vdso_place < vm.vdso_length;
}

/* Bytes up to the first page that does not allow it; -EFAULT if that is the first. */
int64_t space_copy(struct space *s, uint64_t va, char *buffer, size_t count, bool write, bool forced)
{
	size_t done = 0;
	while (done < count) {
		size_t n = PAGE_SIZE - va % PAGE_SIZE < count - done ? PAGE_SIZE - va % PAGE_SIZE : count - done;
		uint64_t gpa = in_vdso(va) && !write ? vm.vdso_gpa + (va - vm.vdso_place) : translate(s, va, write, forced);
		if (gpa == 0)
			break;
		char *window = window_host(gpa);
		if (is_anonymous(gpa)) {
			memcpy(write ? window : buffer + done, write ? buffer + done : window, n);
		} else if (!copy_file(window, buffer + done, n, write)) {
			break;
		}
		done += n;
		va += n;
	}
	return done > 0 || count == 0 ? (int64_t)done : -EFAULT;
}

/* operation: as FUTEX_WAKE_OP encodes it. The host changes the word, atomically against the application's threads, or says EFAULT. */
int space_change_word(struct space *s, uint64_t va, uint32_t operation)
{
	uint64_t gpa = va % 4 == 0 ? translate(s, va, true, false) : 0;
	if (gpa == 0)
		return -EFAULT;
	uint32_t *word = (uint32_t *)window_host(gpa);
	return syscall(SYS_futex, word, FUTEX_WAKE_OP, 0, 0, word, operation) < 0 ? -errno : 0;
}
