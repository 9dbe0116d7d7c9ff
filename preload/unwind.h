/*
 * unwind.h: the call stack of the calling thread, as a node of the table of stacks.
 *
 * Unwinders are members behind one interface; unwind.c drops the tap's own frames, and turns addresses into nodes, of
 * which those that the previous stack of the same cursor had as well cost a comparison each. What the table unwinder has
 * walked before need not be walked again: unwind_memo.h.
 */
#ifndef PRELOAD_UNWIND_H
#define PRELOAD_UNWIND_H

#include "ring.h"
#include "unwind_check.h"
#include "unwind_memo.h"

/* One way of walking a stack. */
struct unwinder {
    const char *name;
    /* Prepares it; false if it cannot work here. Once, at the start. */
    bool (*start)(void);
    /* Writes return addresses, innermost first, beginning anywhere inside the tap. Returns how many, at most `most`. */
    unsigned (*walk)(void **pc, unsigned most);
    /* The code at these addresses has been unloaded: forget what is remembered of it. */
    void (*code_gone)(uint64_t from, uint64_t to);
    /* This is a forked child: locks that other threads held will never be let go. NULL: nothing to do. */
    void (*forked)(void);
};

extern const struct unwinder unwind_table;     /* tables and hash, the default where the processor allows */
extern const struct unwinder unwind_libunwind; /* the reference; cannot start before libc is ready */

/* Uses this unwinder from now on; false if it cannot work. Without one stacks hold the caller only. */
bool unwind_use(const struct unwinder *unwinder);

/* When libc is ready and may allocate, if no other unwinder is used from then on. */
void unwind_ready(void);

/* The node of the stack that called the hook; `caller` is what the hook says of it by ARCH_CALLER. 0 if it cannot be
 * recorded. Records may have to be put for it. For a stack that is not the one of the last time: ask unwind_same_stack
 * first, here that one would be walked anew. */
uint32_t unwind_stack(struct cursor *cursor, const void *caller);

/* Hot path: the same, without records, if it is the stack that the cursor had the last time; else 0. */
static inline uint32_t unwind_same_stack(const struct cursor *cursor, const void *caller)
{
    struct unwind_registers r = { .exact = false };
    arch_caller_registers(caller, &r.pc, &r.sp, &r.fp);
    uint32_t node = likely(cursor->attached != NULL) ? unwind_memo_same(cursor->attached, r.pc, r.sp, r.fp) : 0;
    if (likely(node != 0))
        unwind_check(node, true, &r, unwind_memos_of(cursor)->generation);
    return node;
}

/* Before what is known of code that was unloaded is forgotten anywhere, and when it is: what other threads learn between
 * the two, from a part of it, does not last. */
void unwind_code_goes(void);
void unwind_code_gone(uint64_t from, uint64_t to);
void unwind_forked(void);

#endif
