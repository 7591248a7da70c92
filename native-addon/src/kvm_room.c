/*
 * How much memory applications may still be given. Pages count when their frames are handed out, not when they are touched: so nothing can
 * grow behind our back, and memory_trim takes back what was not touched. Near the end pages are given one by one.
 */
#include "kvm.h"
#include "kvm_run.h"

/* Pages that copies of the Sentry's own may take beyond the end: their caller cannot wait. */
#define OVERDRAFT 4096
#define UNLIMITED (1LL << 50)

void room_open(void)
{
	vm.room = (struct room){ .pages = UNLIMITED };
}

/* So many pages more, from now on; they are given one by one within the last `zone`. Negative: no limit. */
void room_grant(int64_t pages, int64_t zone)
{
	if (pages < 0)
		room_open();
	else
		vm.room = (struct room){ .pages = pages, .zone = zone, .alarm = pages > zone + zone / 2 ? zone : 0 };
}

void room_give_back(int64_t pages)
{
	vm.room.pages += pages;
	if (vm.room.pages > 2 * vm.room.zone)
		vm.room.alarm = vm.room.zone;
}

/* FAULT_NONE: a page may be given. guest: whose thread can wait until the Sentry has made room. */
enum fault room_check(bool guest)
{
	if (vm.room.pages > vm.room.alarm)
		return FAULT_NONE;
	if (guest)
		return FAULT_SHORT;
	atomic_store(&sched.shared->memory_short, 1);
	return vm.room.pages > vm.room.alarm - OVERDRAFT ? FAULT_NONE : FAULT_MEMORY;
}
