/*
 * Entries of a directory with their attributes, for the gofer, whose JavaScript is interpreted: two calls and a copy an entry, times
 * thousands. What an entry looks like is declared in lib/p9/messages.ts (Rreaddirx).
 */
#include "addon.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* struct statx up to stx_mnt_id goes over the wire; the kernel writes all of it. */
#define ATTR_SIZE 144
#define MODE_OFFSET 28
#define STATX_ROOM 256
#define MAX_TARGET 4095

/* struct linux_dirent64 */
#define DIRENT_RECLEN 16
#define DIRENT_NAME 19

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static void put16(uint8_t *p, size_t value)
{
	p[0] = (uint8_t)value;
	p[1] = (uint8_t)(value >> 8);
}

/*
 * One entry at `out` of `room` bytes, of which `reserved` belong to entries that follow. Bytes written: 0 if the name is gone, -1
 * if it does not fit.
 */
static ssize_t put_entry(int dirfd, const char *name, size_t length, uint8_t *out, size_t room, size_t reserved)
{
	size_t fixed = ATTR_SIZE + 2 + length + 2;
	if (room < fixed || room < STATX_ROOM)
		return -1;
	/* STATX_BASIC_STATS | STATX_BTIME */
	if (syscall(SYS_statx, dirfd, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, 0xfff, out) != 0)
		return 0;
	bool link = (get16(out + MODE_OFFSET) & S_IFMT) == S_IFLNK;
	put16(out + ATTR_SIZE, length);
	memcpy(out + ATTR_SIZE + 2, name, length);
	ssize_t target = 0;
	if (link && room - fixed > reserved) {
		size_t space = room - fixed - reserved;
		space = space > MAX_TARGET ? MAX_TARGET : space;
		target = readlinkat(dirfd, name, (char *)out + fixed, space);
		/* One that fills the space may have been cut off: then none is told. */
		if (target < 0 || (size_t)target == space)
			target = 0;
	}
	put16(out + fixed - 2, (size_t)target);
	return (ssize_t)(fixed + (size_t)target);
}

/*
 * encodeEntries(dirfd, dirents, used, out, at, limit, growth) -> where the next entry goes, or -EOVERFLOW. `dirents` holds `used` bytes of
 * getdents64; entries are written to out[at..limit). An entry without target takes at most `growth` times its size there, so the
 * caller knows that all fit.
 */
static napi_value encode_entries(napi_env env, napi_callback_info info)
{
	struct args a = get_args(env, info);
	size_t dirents_length, out_length;
	const uint8_t *dirents = arg_bytes(&a, 1, &dirents_length);
	uint8_t *out = arg_bytes(&a, 3, &out_length);
	size_t used = (size_t)arg_i64(&a, 2), at = (size_t)arg_i64(&a, 4), limit = (size_t)arg_i64(&a, 5);
	size_t growth = (size_t)arg_i64(&a, 6);
	int dirfd = (int)arg_i64(&a, 0);

	if (used > dirents_length || limit > out_length || at > limit)
		return make_double(env, -EINVAL);
	for (size_t next, i = 0; i + DIRENT_NAME < used; i = next) {
		next = i + get16(dirents + i + DIRENT_RECLEN);
		if (next <= i + DIRENT_NAME || next > used)
			return make_double(env, -EINVAL);
		const char *name = (const char *)dirents + i + DIRENT_NAME;
		size_t length = strnlen(name, next - i - DIRENT_NAME);
		if (length == next - i - DIRENT_NAME)
			return make_double(env, -EINVAL);
		if (name[0] == '.' && (length == 1 || (length == 2 && name[1] == '.')))
			continue;
		ssize_t n = put_entry(dirfd, name, length, out + at, limit - at, (used - next) * growth);
		if (n < 0)
			return make_double(env, -EOVERFLOW);
		at += (size_t)n;
	}
	return make_double(env, (double)at);
}

void listing_register(napi_env env, napi_value exports)
{
	export_function(env, exports, "encodeEntries", encode_entries);
}
