/*
 * unwind_check.h: in a build with UNWIND_CHECK (make check-unwinding) every stack that a memo answered for is walked afresh by
 * the tables and compared, and one in some thousands also with libunwind's. In all other builds nothing. Inside unwind*.
 *
 * What was counted lies in the file that MEMTAP_CHECK names, which all processes of a run share: struct unwind_counts,
 * and behind it what is known of the first stacks that differed.
 */
#ifndef PRELOAD_UNWIND_CHECK_H
#define PRELOAD_UNWIND_CHECK_H

#include "unwind_step.h"

struct unwind_counts {
    uint64_t same;          /* stacks of the last time */
    uint64_t other;         /* of another time, or walked, in part at least */
    uint64_t slow;          /* that took more than rules */
    uint64_t frames;        /* compared */
    uint64_t differed;      /* from the fresh walk */
    uint64_t sampled;       /* with libunwind */
    uint64_t differed_then; /* from that */
    uint64_t stories;       /* how many stories follow: see unwind_check.c */
};

#ifdef UNWIND_CHECK
void unwind_check_start(void); /* when libc is ready */
/* `generation`: of the memo that gave the node. */
void unwind_check(uint32_t node, bool same, const struct unwind_registers *r, uint32_t generation);
#else
static inline void unwind_check_start(void)
{
}

static inline void unwind_check(uint32_t node, bool same, const struct unwind_registers *r, uint32_t generation)
{
    (void)node, (void)same, (void)r, (void)generation;
}
#endif

#endif
