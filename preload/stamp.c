/* stamp.c: see stamp.h. */
#include "stamp.h"

#define SETTLE 25000u     /* time units, of 4 ns or more: 100 us */
#define OTHERS UINT32_MAX /* no thread's id */

uint32_t stamp_alone __attribute__((aligned(64)));
uint32_t stamp_epoch;
uint16_t stamp_toucher[STAMP_CLASSES] __attribute__((aligned(64)));

/* The time, read when all before is done and before anything behind begins. */
static uint64_t read_clock(void)
{
    arch_order();
    uint64_t now = tracefile_now();
    arch_order();
    return now;
}

static void begin_epoch(void)
{
    __atomic_add_fetch(&stamp_epoch, 1, __ATOMIC_SEQ_CST);
}

/* A stamp, and no other thread takes itself to be alone any more. Returns who did before: 0: nobody. */
static uint32_t stamp(uint32_t id, uint64_t *now)
{
    *now = read_clock();
    uint32_t alone = __atomic_load_n(&stamp_alone, __ATOMIC_ACQUIRE);
    if (likely(alone == 0 || alone == id))
        return alone;
    begin_epoch();
    while (alone && !__atomic_compare_exchange_n(&stamp_alone, &alone, 0, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
        ;
    *now = read_clock();
    return OTHERS;
}

uint64_t stamp_now(void)
{
    uint64_t now;
    stamp(thread_self.tid, &now);
    begin_epoch();
    return now;
}

/* With a stamp that has been taken. */
static void touch_as_nobody(const void *block)
{
    __atomic_store_n(stamp_toucher_of(block), STAMP_NOBODY, __ATOMIC_RELEASE);
}

uint64_t stamp_heap(const void *block)
{
    uint64_t now;
    stamp(thread_self.tid, &now);
    touch_as_nobody(block);
    return now;
}

/* Whether a stamp that was taken just now serves further events: the thread is still entered, and no other is alone. */
static bool serves(const struct thread *t, const struct cursor *c, const uint16_t *toucher, uintptr_t zero)
{
    uint32_t alone = __atomic_load_n(&stamp_alone + zero, __ATOMIC_ACQUIRE);
    return stamp_is_entered(t, c, toucher, zero) && (alone == 0 || alone == t->tid);
}

/* Takes a stamp as a thread that is entered. False if it is not, or not any more. Cheaper than entering. */
static bool stamp_entered(const struct thread *t, const struct cursor *c, const uint16_t *toucher, uint64_t *now)
{
    if (!stamp_is_entered(t, c, toucher, 0))
        return false;
    *now = tracefile_now();
    return serves(t, c, toucher, arch_zero_after(*now));
}

/* Enters the thread and takes a stamp. False if it is not entered any more. */
static bool stamp_and_enter(struct thread *t, const struct cursor *c, uint16_t *toucher, uint64_t *now)
{
    t->stamp.epoch = __atomic_load_n(&stamp_epoch, __ATOMIC_ACQUIRE);
    t->stamp.left = 0;
    __atomic_exchange_n(toucher, (uint16_t)(c->index + 1), __ATOMIC_SEQ_CST);
    *now = read_clock();
    return serves(t, c, toucher, 0);
}

/* Of a thread that is alone: whether it may rely on that at the time of a new stamp. */
static void settle(struct thread *t, uint64_t now)
{
    t->stamp.alone = now >= t->stamp.settled ? t->tid : OTHERS;
}

/* A stamp that serves further events beside other threads. False if the thread is not entered any more. */
static bool stamp_beside(struct thread *t, const struct cursor *c, const void *block, uint64_t *now)
{
    uint16_t *toucher = stamp_toucher_of(block);
    if (!stamp_entered(t, c, toucher, now) && !stamp_and_enter(t, c, toucher, now))
        return false;
    t->stamp.left = STAMP_SHARED;
    if (__atomic_load_n(&stamp_alone, __ATOMIC_ACQUIRE) == t->tid)
        settle(t, *now);
    return true;
}

/* Until the coarse clock moves on the thread takes itself to be beside others, and does not try to be alone again. */
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
    if (!tried && __atomic_compare_exchange_n(&stamp_alone, &nobody, t->tid, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
        t->stamp.settled = now + SETTLE;
}

/* A stamp that serves no other event; where the coarse clock has moved on, the thread may find itself alone. */
static uint64_t stamp_apart(struct thread *t, uint64_t tick, const void *block)
{
    uint64_t now;
    uint32_t alone = stamp(t->tid, &now);
    if (unlikely(tick == COARSE_UNKNOWN)) {
        coarse_try();
    } else if (alone == OTHERS) {
        give_up(t, tick);
    } else if (alone == 0) {
        try_alone(t, tick, now);
    } else {
        if (t->stamp.settled == 0) /* the id of a thread that has ended */
            t->stamp.settled = now + SETTLE;
        t->stamp.tick = tick;
        settle(t, now);
    }
    touch_as_nobody(block);
    return now;
}

uint64_t stamp_anew(struct thread *t, const struct cursor *c, const void *block, size_t size)
{
    uint64_t now, tick = coarse_tick();
    uint32_t alone = __atomic_load_n(&stamp_alone, __ATOMIC_ACQUIRE);
    if (tick != t->stamp.tick || (alone != 0 && alone != t->tid))
        return stamp_apart(t, tick, block);
    if (size > STAMP_SMALL)
        return stamp_heap(block);
    return stamp_beside(t, c, block, &now) ? now : stamp_apart(t, tick, block);
}

void stamp_forked(void)
{
    stamp_alone = 0;
    thread_self.stamp = (struct thread_stamp){ .tick = 0 };
}
