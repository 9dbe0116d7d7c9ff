/* unwind_table.h: what else uses the walk of unwind_table.c. Inside unwind*. */
#ifndef PRELOAD_UNWIND_TABLE_H
#define PRELOAD_UNWIND_TABLE_H

#include "unwind_step.h"

extern __thread struct unwind_window unwind_window __attribute__((tls_model("initial-exec")));

/* Whether Go called C where this is the return address: it had changed over to the thread's own stack, and the frame
 * pointer was still on the goroutine's. */
bool unwind_is_call_from_go(uint64_t pc);

/* The return addresses from the caller of this frame on, innermost first. -1: a frame needs more than sp and fp. */
int unwind_table_walk(struct unwind_registers r, void **pc, unsigned most);

#endif
