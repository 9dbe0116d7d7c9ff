/* stamp.c: see stamp.h. */
#include "stamp.h"

#define SETTLE 25000u     /* time units, of 4 ns or more: 100 us */
#define OTHERS UINT32_MAX /* no thread's id */

uint32_t stamp_alone __attribute__((aligned(64)));

/* A stamp, and no other thread takes itself to be alone any more. Returns who did before: 0: nobody. */
static uint32_t stamp(uint32_t id, uint64_t *now)
{
    *now = tracefile_now();
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    uint32_t alone = __atomic_load_n(&stamp_alone, __ATOMIC_ACQUIRE);
    if (likely(alone == 0 || alone == id))
        return alone;
    while (alone && !__atomic_compare_exchange_n(&stamp_alone, &alone, 0, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
        ;
    *now = tracefile_now();
    return OTHERS;
}

uint64_t stamp_now(void)
{
    uint64_t now;
    stamp(thread_self.tid, &now);
    return now;
}

/* Until the coarse clock moves on the thread stamps its events itself; and before that it does not try to be alone. */
static void give_up(struct thread *t, uint64_t tick)
{
    t->stamp.tick = t->stamp.tried = tick;
    t->stamp.alone = OTHERS;
}

static void try_alone(struct thread *t, uint64_t tick, uint64_t now)
{
    uint32_t nobody = 0;
    bool tried = t->stamp.tried == tick;
    give_up(t, tick);
    if (tried || !__atomic_compare_exchange_n(&stamp_alone, &nobody, t->tid, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
        return;
    t->stamp.settled = now + SETTLE;
    stamp_forget(t);
}

uint64_t stamp_anew(struct thread *t)
{
    uint64_t now, tick = coarse_tick();
    uint32_t alone = stamp(t->tid, &now);
    if (unlikely(tick == COARSE_UNKNOWN)) {
        coarse_try();
    } else if (alone == OTHERS) {
        give_up(t, tick);
    } else if (alone == 0) {
        try_alone(t, tick, now);
    } else if (t->stamp.settled == 0) { /* the id of a thread that has ended */
        t->stamp.settled = now + SETTLE;
    } else if (now >= t->stamp.settled) {
        t->stamp.tick = tick;
        t->stamp.alone = t->tid;
    }
    return now;
}

void stamp_forked(void)
{
    stamp_alone = 0;
    thread_self.stamp = (struct thread_stamp){ .tick = 0 };
}
