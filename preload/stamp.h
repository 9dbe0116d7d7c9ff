/*
 * stamp.h: the time stamps of events.
 *
 * Reading the processor's counter takes as long as everything else that the tap does for an event (11 to 24 ns in a
 * virtual machine). So as long as one thread alone records, its events are stamped with the time of the record before,
 * until the kernel's coarse clock has moved on (1 to 10 ms): their order is the order of the records, and nobody else's
 * events have to fit in between. As soon as another thread records, every event gets a stamp of its own.
 *
 * Why no stamp contradicts what the program did: say an event of thread B comes before one of thread A because A got
 * the block from B, through a lock or an allocator. B, before it took its stamp, made sure that A is not alone any more
 * (stamp_alone), and so A sees that. The other way around an old stamp of A's is only earlier than it was. When a thread
 * finds itself alone, others may be about to stamp events without having seen that: until 100 us have passed it goes on
 * to stamp each event itself. Between B's stamp and its look at stamp_alone are two instructions; an interrupt
 * between them happens before the look, and the processor's own reordering does not reach that far.
 */
#ifndef PRELOAD_STAMP_H
#define PRELOAD_STAMP_H

#include "coarse.h"
#include "thread.h"

/* The id of the thread that records alone; 0: none does. */
extern HIDDEN uint32_t stamp_alone;

/* A stamp for any event. */
uint64_t stamp_now(void);

/* Where the hot path's does not do. */
uint64_t stamp_anew(struct thread *t);

/* Whether the time of the thread's last record will do for its next one. */
static inline bool stamp_holds(const struct thread *t)
{
    return coarse_tick() == t->stamp.tick && __atomic_load_n(&stamp_alone, __ATOMIC_ACQUIRE) == t->stamp.alone;
}

/* Hot path: the stamp of an event of a thread of which nothing special is known, whose next record goes to `c`. */
static inline uint64_t stamp_quickly(struct thread *t, const struct cursor *c)
{
    if (likely(coarse_tick() == t->stamp.tick)) {
        uint32_t alone = __atomic_load_n(&stamp_alone, __ATOMIC_ACQUIRE);
        if (likely(alone == t->stamp.alone))
            return c->coder.time;
        if (alone == 0) {
            uint64_t now = tracefile_now();
            __atomic_signal_fence(__ATOMIC_SEQ_CST);
            if (likely(__atomic_load_n(&stamp_alone, __ATOMIC_ACQUIRE) == 0))
                return now;
        }
    }
    return stamp_anew(t);
}

/* The thread has recorded something elsewhere than with its own cursor: its next event is stamped anew. */
static inline void stamp_forget(struct thread *t)
{
    t->stamp.tick = 0;
}

/* In a forked child. */
void stamp_forked(void);

#endif
