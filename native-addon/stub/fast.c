/*
 * The fast way of a system call (fast.S): there is no signal frame, the application's registers are in the slot and its extended state in
 * the processor. Most answers are a result and need no more. For any other the thread raises a signal after all and goes on as if the
 * call had come by one: the Sentry does not see the difference.
 */
#include "registers.h"
#include "stub.h"

#define USER_CS 0x33
#define USER_SS 0x2b

_Static_assert(offsetof(struct slot, kick) == 0x4c && offsetof(struct slot, regs[RSP]) == 0xf8 && offsetof(struct slot, regs[RIP]) == 0xe0, "fast.S says so");
_Static_assert(SLOTS >> 25 == 0x3ff801 && SLOTS_LENGTH == 1UL << 25 && STACKS + STACK_SIZE - SLOTS * 4 == (uint64_t)-0x17fcfffff8000, "fast.S says so");

__attribute__((noreturn, visibility("hidden"))) void stub_upgrade(struct slot *slot);

/* Whether the answer is about more than a result and memory. */
static int needs_frame(const struct slot *slot, uint32_t state)
{
	if (state == STATE_REPLY && (slot->flags & ~(uint32_t)(REPLY_RESULT | REPLY_EXIT | REPLY_WRITE)))
		return 1;
	uint32_t count = slot->command_count;
	for (uint32_t i = 0; i < count && i < MAX_COMMANDS; i++) {
		uint32_t op = slot->commands[i].op;
		if (op != OP_HOST && op != OP_MAP_FILE && op != OP_ADVISE)
			return 1;
	}
	return 0;
}

/* The answer; what rax is then. */
static uint64_t finish(struct slot *slot)
{
	for (;;) {
		uint32_t state = wait_reply(slot);
		if (needs_frame(slot, state)) {
			slot->upgrading = UPGRADE_ANSWERED;
			stub_upgrade(slot); /* the answer is still there */
		}
		carry_out_all(slot, state, NULL);
		if (state == STATE_REPLY)
			break;
		post_started(slot);
	}
	if (slot->flags & REPLY_EXIT)
		leave(slot);
	if (slot->flags & REPLY_WRITE && !scatter(slot))
		return (uint64_t)-EFAULT;
	return slot->flags & REPLY_RESULT ? slot->result : slot->regs[RAX];
}

static void post_request(struct slot *slot, uint32_t kind)
{
	slot->kick = 0;
	slot->kind = kind;
	slot->code = 1;
	slot->fpstate = 0;
	post(slot);
}

__attribute__((used)) uint64_t on_fast(struct slot *slot)
{
	uint64_t result;
	const struct own_call own = { slot->regs[RAX], { slot->regs[RDI], slot->regs[RSI], slot->regs[RDX], slot->regs[R10] }, slot->regs[RSP] };
	if (answer_alone(slot, &own, 0, &result))
		return result;
	switch (slot->regs[RAX]) {
	case __NR_exit: /* says more of itself there */
	case __NR_clone:
	case __NR_clone3:
	case __NR_fork:
	case __NR_vfork:
		slot->upgrading = UPGRADE_UNASKED;
		stub_upgrade(slot);
	}
	slot->regs[CS] = USER_CS;
	slot->regs[SS] = USER_SS;
	slot->regs[FS_BASE] = read_fs();
	slot->regs[GS_BASE] = 0;
	if (slot->regs[RAX] == __NR_futex) {
		struct futex_call call = { slot->regs[RDI], slot->regs[RSI], slot->regs[RDX], slot->regs[R10], slot->regs[R9] };
		int64_t r = futex_here(slot, &call, 0);
		if (r != FUTEX_NOT_HERE)
			return (uint64_t)r;
	}
	gather(slot);
	post_request(slot, KIND_SYSCALL);
	return finish(slot);
}

/* A kick came while the thread was in here; regs say what the application sees next. */
__attribute__((used)) uint64_t on_fast_kicked(struct slot *slot)
{
	post_request(slot, KIND_INTERRUPT);
	return finish(slot);
}
