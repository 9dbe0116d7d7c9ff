/*
 * sample.h: what the kernel says about the memory of this process, every tenth of a second or so, recorded by whichever
 * thread records an event when a sample is due. No thread and no timer of our own.
 */
#ifndef PRELOAD_SAMPLE_H
#define PRELOAD_SAMPLE_H

#include "ring.h"

#define SAMPLE_INTERVAL ((uint64_t)1 << 24) /* time units: 70 to 130 ms */

extern HIDDEN uint64_t sample_next; /* the trace clock when the next one is due; 0: at once */

/* Hot path. */
static inline bool sample_due(uint64_t now)
{
    return unlikely(now >= __atomic_load_n(&sample_next, __ATOMIC_RELAXED));
}

/* The same behind an event that may have opened a chunk: that took long enough, the sample can wait for the next one. */
static inline bool sample_due_behind(const struct cursor *cursor, uint64_t now)
{
    return sample_due(now) && (!ring_has_turned(cursor) || __atomic_load_n(&sample_next, __ATOMIC_RELAXED) == 0);
}

/* Takes a sample, unless another thread does. */
void sample_take(struct cursor *cursor, uint64_t now);

/* In a forked child: the open file is the parent's. */
void sample_forget(void);

#endif
