/* The application's registers: between a signal frame and a slot. Segment bases are in no frame: they are read and written here. */
#ifndef TSVISOR_STUB_REGISTERS_H
#define TSVISOR_STUB_REGISTERS_H

#include "host_abi.h"
#include "systrap_stub.h"

static inline uint64_t read_fs(void)
{
	uint64_t v;
	__asm__ volatile("rdfsbase %0" : "=r"(v));
	return v;
}
static inline uint64_t read_gs(void)
{
	uint64_t v;
	__asm__ volatile("rdgsbase %0" : "=r"(v));
	return v;
}

/* A thread whose application leaves gs alone has its slot there (fast.S); the application's is 0 then. */
static inline int is_slot(uint64_t gs)
{
	return gs - SLOTS < SLOTS_LENGTH;
}

/* All that a frame has. */
static inline void load_general(struct sigcontext *c, const uint64_t *from)
{
	c->r15 = from[R15], c->r14 = from[R14], c->r13 = from[R13], c->r12 = from[R12], c->rbp = from[RBP], c->rbx = from[RBX];
	c->r11 = from[R11], c->r10 = from[R10], c->r9 = from[R9], c->r8 = from[R8], c->rax = from[RAX], c->rcx = from[RCX];
	c->rdx = from[RDX], c->rsi = from[RSI], c->rdi = from[RDI], c->rip = from[RIP], c->rsp = from[RSP], c->eflags = from[EFLAGS];
	c->cs = (uint16_t)from[CS], c->ss = (uint16_t)from[SS];
}
static inline void write_gs(uint64_t v)
{
	__asm__ volatile("wrgsbase %0" : : "r"(v));
}
static inline void save_registers(uint64_t *to, const struct sigcontext *c)
{
	to[R15] = c->r15, to[R14] = c->r14, to[R13] = c->r13, to[R12] = c->r12, to[RBP] = c->rbp, to[RBX] = c->rbx;
	to[R11] = c->r11, to[R10] = c->r10, to[R9] = c->r9, to[R8] = c->r8, to[RAX] = c->rax, to[RCX] = c->rcx;
	to[RDX] = c->rdx, to[RSI] = c->rsi, to[RDI] = c->rdi, to[RIP] = c->rip, to[RSP] = c->rsp, to[EFLAGS] = c->eflags;
	to[CS] = c->cs, to[SS] = c->ss;
	to[FS_BASE] = read_fs();
	uint64_t gs = read_gs();
	to[GS_BASE] = is_slot(gs) ? 0 : gs;
}
static inline void load_registers(struct sigcontext *c, struct slot *slot)
{
	const uint64_t *from = slot->regs;
	load_general(c, from);
	__asm__ volatile("wrfsbase %0" : : "r"(from[FS_BASE]));
	write_gs(from[GS_BASE] == 0 ? (uint64_t)slot : from[GS_BASE]);
}

#endif
