/* Signal frames on the application's stack. */
#ifndef TSVISOR_STUB_FRAMES_H
#define TSVISOR_STUB_FRAMES_H

#include "host_abi.h"
#include "systrap_stub.h"

#pragma GCC visibility push(hidden)

/* Copies; not 0 if either side cannot be reached (any part may have been copied). */
int stub_copy(void *to, const void *from, uint64_t length);
/* Not 0 if the byte cannot be written; it keeps its value. */
int stub_probe(void *at);
/* Where they fault, and where they go on then. */
void stub_copy_here(void);
void stub_probe_here(void);
void stub_copy_failed(void);

/* The thread will enter the handler. 0: its stack cannot hold the frame; registers are unchanged. */
int push_frame(const struct frame_order *order, struct ucontext *uc);
/* What the frame at the stack pointer says: of rt_sigreturn(2), for the Sentry to know before it lets the thread return. */
void peek_frame(struct frame_peek *peek, const struct ucontext *uc);
/* The thread goes on where that frame says. 0: it is broken; general registers are unchanged, the extended state may be initial. */
int pop_frame(struct ucontext *uc);

#pragma GCC visibility pop

#endif
