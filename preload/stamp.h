/*
 * stamp.h: the time stamps of events.
 *
 * Reading the processor's counter takes as long as everything else that the tap does for an event (11 to 24 ns in a
 * virtual machine). So an event of the heap may bear the time of the thread's record before, if no event that had to
 * come before it can have a later one, and the kernel's coarse clock has not moved on since (1 to 10 ms).
 *
 * As long as one thread alone records, no other events have to come before: all its stamps serve until the clock moves
 * on. Say an event of thread B comes before one of thread A because A got the block from B, through a lock or an
 * allocator. B, between its stamp and its record, made sure that A is not alone any more (stamp_alone), and so A sees
 * that. The other way around an old stamp of A's is only earlier than it was. When a thread finds itself alone, others
 * may be about to stamp events without having seen that: until 100 us have passed it goes on as beside them.
 *
 * Beside other threads an old stamp serves if nobody else has touched the block since it was taken. A table says who
 * last touched a block, for classes of addresses:
 * - A thread that is not entered there enters itself, takes a stamp, and looks whether it is entered still. Who came in
 *   between may have the later stamp; then nobody is entered.
 * - Who does not want to use its stamp again takes it, and then enters nobody.
 * - So a thread that finds itself entered has taken its last stamp after all others that touched the class.
 * Events not of the heap (a mark, a mapping, a fork) move stamp_epoch on once they have their stamp, and so does a
 * thread that ends another's being alone before it does: in another epoch every thread takes a new stamp first.
 * What this does not keep is the order of two threads' events with different blocks. So it is for few small blocks only:
 * a peak may be wrong by STAMP_SHARED * STAMP_SMALL bytes, 64 KiB, for each thread.
 */
#ifndef PRELOAD_STAMP_H
#define PRELOAD_STAMP_H

#include "coarse.h"
#include "thread.h"

#define STAMP_CLASSES 65536u
#define STAMP_NOBODY UINT16_MAX
#define STAMP_SMALL 2048u
#define STAMP_SHARED 32u /* events that bear the stamp of another one */

_Static_assert(TRACE_SLOTS < STAMP_NOBODY, "each cursor has a number in stamp_toucher");

/* The id of the thread that records alone; 0: none does. */
extern HIDDEN uint32_t stamp_alone;
extern HIDDEN uint32_t stamp_epoch;
/* Inside stamp.*: by class of addresses, who touched one last: the number of a cursor, from 1 on. */
extern HIDDEN uint16_t stamp_toucher[STAMP_CLASSES];

/* A stamp for any event but those of the heap. */
uint64_t stamp_now(void);

/* A stamp for an event of the heap. */
uint64_t stamp_heap(const void *block);

/* A stamp for an event of the heap whose next record goes to `c`, where stamp_lasts says no. `size`: of a new block, else
 * 0. */
uint64_t stamp_anew(struct thread *t, const struct cursor *c, const void *block, size_t size);

/* Whether the thread is alone, and the time of its last record will do for its next one. */
static inline bool stamp_holds(const struct thread *t)
{
    return coarse_tick() == t->stamp.tick && __atomic_load_n(&stamp_alone, __ATOMIC_ACQUIRE) == t->stamp.alone;
}

/* Neighbours have neighbouring entries, so threads with heaps of their own write to cache lines of their own; equal
 * offsets in the heaps of several threads do not meet. */
static inline uint16_t *stamp_toucher_of(const void *block)
{
    uintptr_t address = (uintptr_t)block;
    return &stamp_toucher[((address >> 4) + (address >> 20) * 0x9e40) % STAMP_CLASSES];
}

/* Whether a thread is entered as the last to touch, in the epoch of its last stamp. `zero`: 0, as arch_zero_after makes
 * it where a stamp has to be taken first. */
static inline bool stamp_is_entered(const struct thread *t, const struct cursor *c, const uint16_t *toucher,
                                    uintptr_t zero)
{
    return __atomic_load_n(toucher + zero, __ATOMIC_ACQUIRE) == c->index + 1 &&
           __atomic_load_n(&stamp_epoch + zero, __ATOMIC_ACQUIRE) == t->stamp.epoch;
}

/* Whether the time of the last record will do beside other threads. */
static inline bool stamp_holds_beside(const struct thread *t, const struct cursor *c, const void *block, size_t size)
{
    return stamp_is_entered(t, c, stamp_toucher_of(block), 0) && t->stamp.left > 0 && size <= STAMP_SMALL;
}

/* Hot path: whether the time of the last record will do for an event of a thread of which nothing special is known. */
static inline bool stamp_lasts(struct thread *t, const struct cursor *c, const void *block, size_t size)
{
    if (unlikely(coarse_tick() != t->stamp.tick))
        return false;
    uint32_t alone = __atomic_load_n(&stamp_alone, __ATOMIC_ACQUIRE);
    if (likely(alone == t->stamp.alone))
        return true;
    if (unlikely((alone != 0 && alone != t->tid) || !stamp_holds_beside(t, c, block, size)))
        return false;
    t->stamp.left--;
    return true;
}

/* The thread has recorded something elsewhere than with its own cursor: its next event is stamped anew. */
static inline void stamp_forget(struct thread *t)
{
    t->stamp.tick = 0;
}

/* In a forked child. */
void stamp_forked(void);

#endif
