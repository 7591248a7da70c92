/*
 * Small memory that system calls name: copied to the slot together with the request, or back from it with the answer, so that the Sentry
 * needs no host call for it. The application may name memory that is not there, and change it meanwhile: what cannot be reached is left
 * out, and the Sentry looks for itself.
 *
 * Nothing may be listed that other threads signal through (futex words): the copy is as old as the call.
 */
#include "frames.h"
#include "stub.h"

/* Longest string, and longest memory with a length of its own; what has a fixed length is shorter. */
#define MAX_STRING 256U
#define MAX_COUNTED 4096U
#define PAGE 4096UL

enum kind {
	NOTHING,
	IN,         /* `size` bytes */
	IN_COUNTED, /* `size` bytes times the next argument; all or nothing */
	IN_STRING,  /* a path */
	OUT,
	OUT_COUNTED, /* as far as there is room */
};
struct row {
	struct {
		uint8_t kind, argument;
		uint16_t size;
	} piece[3];
};

#define TIMESPEC 16
#define SIGSET 8
#define SIGACTION 32
#define STACK_T 24
#define STAT 144
#define STATX 256
#define IOVEC 16
#define POLLFD 8
#define EPOLL_EVENT 12
#define RLIMIT 16
#define MSGHDR 56

#define PATH(argument) { IN_STRING, argument, 0 }

static const struct row rows[] = {
	[__NR_read] = { { { OUT_COUNTED, 1, 1 } } },
	[__NR_write] = { { { IN_COUNTED, 1, 1 } } },
	[__NR_pread64] = { { { OUT_COUNTED, 1, 1 } } },
	[__NR_pwrite64] = { { { IN_COUNTED, 1, 1 } } },
	[__NR_readv] = { { { IN_COUNTED, 1, IOVEC } } },
	[__NR_writev] = { { { IN_COUNTED, 1, IOVEC } } },
	[__NR_open] = { { PATH(0) } },
	[__NR_openat] = { { PATH(1) } },
	[__NR_stat] = { { PATH(0), { OUT, 1, STAT } } },
	[__NR_lstat] = { { PATH(0), { OUT, 1, STAT } } },
	[__NR_newfstatat] = { { PATH(1), { OUT, 2, STAT } } },
	[__NR_fstat] = { { { OUT, 1, STAT } } },
	[__NR_statx] = { { PATH(1), { OUT, 4, STATX } } },
	[__NR_access] = { { PATH(0) } },
	[__NR_faccessat] = { { PATH(1) } },
	[__NR_faccessat2] = { { PATH(1) } },
	[__NR_readlink] = { { PATH(0), { OUT_COUNTED, 1, 1 } } },
	[__NR_readlinkat] = { { PATH(1), { OUT_COUNTED, 2, 1 } } },
	[__NR_getdents64] = { { { OUT_COUNTED, 1, 1 } } },
	[__NR_getxattr] = { { PATH(0), { IN_STRING, 1, 0 }, { OUT_COUNTED, 2, 1 } } },
	[__NR_lgetxattr] = { { PATH(0), { IN_STRING, 1, 0 }, { OUT_COUNTED, 2, 1 } } },
	[__NR_fgetxattr] = { { { IN_STRING, 1, 0 }, { OUT_COUNTED, 2, 1 } } },
	[__NR_listxattr] = { { PATH(0), { OUT_COUNTED, 1, 1 } } },
	[__NR_llistxattr] = { { PATH(0), { OUT_COUNTED, 1, 1 } } },
	[__NR_symlink] = { { PATH(0), PATH(1) } },
	[__NR_symlinkat] = { { PATH(0), PATH(2) } },
	[__NR_link] = { { PATH(0), PATH(1) } },
	[__NR_linkat] = { { PATH(1), PATH(3) } },
	[__NR_getcwd] = { { { OUT_COUNTED, 0, 1 } } },
	[__NR_chdir] = { { PATH(0) } },
	[__NR_mkdir] = { { PATH(0) } },
	[__NR_mkdirat] = { { PATH(1) } },
	[__NR_rmdir] = { { PATH(0) } },
	[__NR_unlink] = { { PATH(0) } },
	[__NR_unlinkat] = { { PATH(1) } },
	[__NR_rename] = { { PATH(0), PATH(1) } },
	[__NR_renameat] = { { PATH(1), PATH(3) } },
	[__NR_renameat2] = { { PATH(1), PATH(3) } },
	[__NR_chmod] = { { PATH(0) } },
	[__NR_fchmodat] = { { PATH(1) } },
	[__NR_chown] = { { PATH(0) } },
	[__NR_lchown] = { { PATH(0) } },
	[__NR_fchownat] = { { PATH(1) } },
	[__NR_utimensat] = { { PATH(1), { IN, 2, 2 * TIMESPEC } } },
	[__NR_statfs] = { { PATH(0) } },
	[__NR_execve] = { { PATH(0) } },
	[__NR_pipe] = { { { OUT, 0, 8 } } },
	[__NR_pipe2] = { { { OUT, 0, 8 } } },
	[__NR_poll] = { { { IN_COUNTED, 0, POLLFD }, { OUT_COUNTED, 0, POLLFD } } },
	[__NR_ppoll] = { { { IN_COUNTED, 0, POLLFD }, { IN, 2, TIMESPEC }, { OUT_COUNTED, 0, POLLFD } } },
	[__NR_epoll_ctl] = { { { IN, 3, EPOLL_EVENT } } },
	[__NR_epoll_wait] = { { { OUT_COUNTED, 1, EPOLL_EVENT } } },
	[__NR_epoll_pwait] = { { { OUT_COUNTED, 1, EPOLL_EVENT } } },
	[__NR_connect] = { { { IN_COUNTED, 1, 1 } } },
	[__NR_bind] = { { { IN_COUNTED, 1, 1 } } },
	[__NR_socketpair] = { { { OUT, 3, 8 } } },
	[__NR_setsockopt] = { { { IN_COUNTED, 3, 1 } } },
	[__NR_sendto] = { { { IN_COUNTED, 1, 1 }, { IN_COUNTED, 4, 1 } } },
	[__NR_recvfrom] = { { { OUT_COUNTED, 1, 1 } } },
	[__NR_sendmsg] = { { { IN, 1, MSGHDR } } },
	[__NR_recvmsg] = { { { IN, 1, MSGHDR } } },
	[__NR_rt_sigaction] = { { { IN, 1, SIGACTION }, { OUT, 2, SIGACTION } } },
	[__NR_rt_sigprocmask] = { { { IN, 1, SIGSET }, { OUT, 2, SIGSET } } },
	[__NR_rt_sigsuspend] = { { { IN, 0, SIGSET } } },
	[__NR_rt_sigtimedwait] = { { { IN, 0, SIGSET }, { IN, 2, TIMESPEC } } },
	[__NR_sigaltstack] = { { { IN, 0, STACK_T }, { OUT, 1, STACK_T } } },
	[__NR_nanosleep] = { { { IN, 0, TIMESPEC } } },
	[__NR_clock_nanosleep] = { { { IN, 2, TIMESPEC } } },
	[__NR_timerfd_settime] = { { { IN, 2, 2 * TIMESPEC } } },
	[__NR_setitimer] = { { { IN, 1, 2 * TIMESPEC } } },
	[__NR_futex] = { { { IN, 3, TIMESPEC } } }, /* or a number */
	[__NR_clone3] = { { { IN_COUNTED, 0, 1 } } },
	[__NR_wait4] = { { { OUT, 1, 4 } } },
	[__NR_waitid] = { { { OUT, 2, 128 } } },
	[__NR_uname] = { { { OUT, 0, 390 } } },
	[__NR_getrlimit] = { { { OUT, 1, RLIMIT } } },
	[__NR_prlimit64] = { { { IN, 2, RLIMIT }, { OUT, 3, RLIMIT } } },
	[__NR_rseq] = { { { OUT, 0, 32 } } },
	[__NR_getrandom] = { { { OUT_COUNTED, 0, 1 } } },
};
_Static_assert(2 * MAX_STRING + MAX_COUNTED <= DATA_SIZE, "the longest pieces fit");

static const uint8_t argument_register[] = { RDI, RSI, RDX, R10, R8, R9 };

static inline uint64_t argument(const struct slot *slot, unsigned i)
{
	return slot->regs[argument_register[i]];
}

/* How long a piece is; 0: it is left out. */
static uint32_t piece_length(const struct slot *slot, unsigned kind, unsigned at, uint32_t size, uint32_t room)
{
	uint64_t address = argument(slot, at);
	if (address < PAGE || address >= STUB_BASE - DATA_SIZE)
		return 0;
	if (kind == IN_STRING) {
		uint64_t rest = PAGE - address % PAGE; /* the string may end there, and nothing be behind it */
		return rest < MAX_STRING ? (uint32_t)rest : MAX_STRING;
	}
	if (kind == IN || kind == OUT)
		return size <= room ? size : 0;
	uint64_t count = argument(slot, at + 1);
	uint32_t most = room < MAX_COUNTED ? room : MAX_COUNTED;
	if (count <= most / size)
		return (uint32_t)count * size;
	return kind == OUT_COUNTED ? most / size * size : 0;
}

/* Whether a piece, of at most a page's length, can be written; so it is in all of the pages that it touches. */
static int can_write(uint64_t address, uint32_t length)
{
	return stub_probe((void *)address) == 0 && stub_probe((void *)(address + length - 1)) == 0;
}

/* What a call writes, too large for the slot: into the room, if that is ours. */
static int gather_large(struct slot *slot, unsigned kind, unsigned at, uint32_t size, struct piece *piece)
{
	uint64_t count = argument(slot, at + 1), address = argument(slot, at);
	if (!slot->memory.own_room || kind != IN_COUNTED || size != 1 || count <= MAX_COUNTED || count > ROOM_SIZE || address < PAGE ||
	    address >= STUB_BASE - ROOM_SIZE || stub_copy((void *)ROOM, (void *)address, count) != 0)
		return 0;
	*piece = (struct piece){ address, (uint32_t)count, IN_ROOM };
	return 1;
}

void gather(struct slot *slot)
{
	struct call_memory *memory = &slot->memory;
	uint32_t nr = (uint32_t)slot->regs[RAX];
	memory->gathered = 0;
	if (nr >= sizeof(rows) / sizeof(rows[0]) || rows[nr].piece[0].kind == NOTHING)
		return;
	uint32_t used = 0, ins = 0, outs = 0;
	for (int i = 0; i < PIECES; i++)
		memory->in[i].length = memory->out[i].length = 0;
	for (unsigned i = 0; i < 3 && rows[nr].piece[i].kind != NOTHING; i++) {
		unsigned kind = rows[nr].piece[i].kind, at = rows[nr].piece[i].argument;
		uint32_t length = piece_length(slot, kind, at, rows[nr].piece[i].size, DATA_SIZE - used);
		uint64_t address = argument(slot, at);
		int is_out = kind == OUT || kind == OUT_COUNTED;
		if (length == 0 && i == 0 && gather_large(slot, kind, at, rows[nr].piece[i].size, &memory->in[0])) {
			ins++;
			continue;
		}
		if (length == 0 || (is_out ? !can_write(address, length) : stub_copy(slot->data + used, (void *)address, length) != 0))
			continue;
		struct piece *piece = is_out ? &memory->out[outs++] : &memory->in[ins++];
		*piece = (struct piece){ address, length, 0 };
		used += (length + 7) & ~7U;
	}
	memory->gathered = 1;
}

/* Where what is to be written lies; NULL: nowhere. */
static const void *source_of(const struct slot *slot, struct piece piece)
{
	uint32_t offset = piece.offset & ~IN_ROOM;
	uint64_t size = piece.offset & IN_ROOM ? ROOM_SIZE : DATA_SIZE;
	if (piece.length > size || offset > size - piece.length)
		return 0;
	return piece.offset & IN_ROOM ? (const void *)(ROOM + offset) : slot->data + offset;
}

int scatter(const struct slot *slot)
{
	int done = 1;
	for (int i = 0; i < PIECES; i++) {
		const struct piece piece = slot->memory.written[i];
		if (piece.length == 0)
			continue;
		const void *source = source_of(slot, piece);
		done &= source != 0 && stub_copy((void *)piece.address, source, piece.length) == 0;
	}
	return done;
}
