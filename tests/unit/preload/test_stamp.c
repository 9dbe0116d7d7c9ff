/* Time stamps: what they cost must not cost their order. */
#include "unit/cmocka_tap.h"

#include <time.h>
#include <unistd.h>

#include "stamp.h"

#define self (&thread_self)
static struct cursor cursor;
static char block[1 << 16];

/* What an event of the heap does. */
static uint64_t stamp_with(struct thread *t, struct cursor *c, const void *touched, size_t size)
{
    return c->coder.time = stamp_lasts(t, c, touched, size) ? c->coder.time : stamp_anew(t, c, touched, size);
}

static uint64_t stamp_a(const void *touched, size_t size)
{
    return stamp_with(self, &cursor, touched, size);
}

static uint64_t stamp_one(void)
{
    return stamp_a(block, 16);
}

/* Gives the clock the time to prove itself. */
static void find_clock(void)
{
    tracefile_clock = arch_ticks_usable() ? TRACE_CLOCK_TSC : TRACE_CLOCK_MONOTONIC;
    self->tid = 7;
    coarse_start(environ);
    for (int i = 0; i < 100 && coarse_tick() == COARSE_UNKNOWN; i++) {
        usleep(1000);
        coarse_try();
    }
}

static void the_coarse_clock_is_the_kernels(void **state)
{
    (void)state;
    assert_int_not_equal(coarse_tick(), COARSE_UNKNOWN);
    for (int i = 0; i < 50; i++) {
        struct timespec before, after;
        clock_gettime(CLOCK_MONOTONIC_COARSE, &before);
        uint64_t tick = coarse_tick();
        clock_gettime(CLOCK_MONOTONIC_COARSE, &after);
        if (before.tv_nsec == after.tv_nsec)
            assert_true(tick == ((uint64_t)before.tv_sec << 30) + (uint64_t)before.tv_nsec);
        usleep(500);
    }
    coarse_check();
    assert_int_not_equal(coarse_tick(), COARSE_UNKNOWN);
}

/* Stamps events for a while. Returns how many got the stamp of the event before; fails if one is earlier. */
static unsigned stamp_many(void)
{
    unsigned same = 0;
    for (int i = 0; i < 2000000; i++) {
        uint64_t before = cursor.coder.time;
        assert_true(stamp_one() >= before);
        same += cursor.coder.time == before;
    }
    return same;
}

static void a_thread_alone_uses_a_stamp_again(void **state)
{
    (void)state;
    assert_true(stamp_many() > 1900000);
    assert_int_equal(stamp_alone, 7);
}

static void an_event_of_another_thread_ends_that(void **state)
{
    uint64_t alone, other;
    (void)state;
    while (stamp_alone != 7 || self->stamp.alone != 7)
        stamp_one();
    alone = stamp_one();
    self->tid = 8;
    other = stamp_now();
    self->tid = 7;
    assert_int_equal(stamp_alone, 0);
    assert_true(other > alone);
    assert_true(stamp_one() > other);
}

/* --- beside another thread ---------------------------------------------------------------------------------------- */

static struct thread other = { .tid = 8 };
static struct cursor other_cursor = { .index = 1 };

static uint64_t other_stamps(const void *touched)
{
    self->tid = other.tid;
    uint64_t now = stamp_with(&other, &other_cursor, touched, 16);
    self->tid = 7;
    return now;
}

/* Makes sure that neither is alone in this tick, and that this thread has a stamp of its own for the block. */
static uint64_t begin_beside(void)
{
    do {
        while (stamp_alone != 7 || self->stamp.alone != 7)
            stamp_one();
        self->stamp.left = 0;
        other_stamps(&block[4096]);
        stamp_one();
    } while (stamp_alone != 0 || self->stamp.left != STAMP_SHARED);
    return coarse_tick();
}

/* Whether the next event gets a stamp that serves others in turn, no earlier than this one. */
static bool is_stamped_anew(uint64_t before)
{
    self->stamp.left--;
    return stamp_one() >= before && self->stamp.left == STAMP_SHARED;
}

/* Tries until all of it happens in one tick. */
#define IN_ONE_TICK(check)                                                                                             \
    do {                                                                                                               \
        uint64_t tick;                                                                                                 \
        bool right;                                                                                                    \
        do {                                                                                                           \
            tick = begin_beside();                                                                                     \
            right = check();                                                                                           \
        } while (coarse_tick() != tick);                                                                               \
        assert_true(right);                                                                                            \
    } while (0)

static bool few_share(void)
{
    uint64_t now = cursor.coder.time;
    bool right = true;
    for (unsigned i = 0; i < STAMP_SHARED; i++)
        right &= stamp_one() == now;
    return right && stamp_one() > now;
}

static bool another_class_does_not_matter(void)
{
    uint64_t now = cursor.coder.time;
    other_stamps(&block[4096]);
    return stamp_one() == now;
}

static bool large_blocks_do_not_share(void)
{
    uint64_t now = cursor.coder.time;
    return stamp_a(block, STAMP_SMALL + 1) > now && is_stamped_anew(now);
}

static bool what_another_touches_is_stamped_anew(void)
{
    return is_stamped_anew(other_stamps(block));
}

static bool a_mark_ends_it(void)
{
    self->tid = other.tid;
    uint64_t theirs = stamp_now();
    self->tid = 7;
    return is_stamped_anew(theirs);
}

static bool the_slow_path_ends_it(void)
{
    self->tid = other.tid;
    uint64_t theirs = stamp_heap(block);
    self->tid = 7;
    return is_stamped_anew(theirs);
}

/* In a new tick, not beside others any more but not settled either. False if that took too long. */
static bool begin_to_settle(void)
{
    uint64_t tick = begin_beside();
    while (coarse_tick() == tick)
        ;
    stamp_one();
    self->stamp.left = 0;
    return stamp_alone == 7 && stamp_one() < self->stamp.settled && self->stamp.left == STAMP_SHARED;
}

static void until_it_is_settled_a_thread_goes_on_as_beside_others(void **state)
{
    bool (*const checks[])(void) = { few_share, what_another_touches_is_stamped_anew };
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        bool in_time = false, right = false;
        for (unsigned tries = 0; !in_time && tries < 1000; tries++) {
            in_time = begin_to_settle();
            right = checks[i]();
            in_time &= cursor.coder.time < self->stamp.settled;
        }
        assert_true(in_time);
        assert_true(right);
    }
}

static void beside_another_thread_few_events_share_a_stamp(void **state)
{
    (void)state;
    IN_ONE_TICK(few_share);
    IN_ONE_TICK(another_class_does_not_matter);
    IN_ONE_TICK(large_blocks_do_not_share);
}

static void what_came_from_another_thread_is_later(void **state)
{
    (void)state;
    IN_ONE_TICK(what_another_touches_is_stamped_anew);
    IN_ONE_TICK(a_mark_ends_it);
    IN_ONE_TICK(the_slow_path_ends_it);
}

static void old_stamps_are_not_used_over_the_end_of_a_tick(void **state)
{
    (void)state;
    stamp_many();
    for (int i = 0; i < 20; i++) {
        uint64_t before = stamp_one(), between = tracefile_now();
        usleep(25000);
        assert_true(stamp_one() > between && between >= before);
    }
}

static void what_was_recorded_elsewhere_comes_before(void **state)
{
    (void)state;
    stamp_many();
    uint64_t elsewhere = stamp_now();
    stamp_forget(self);
    assert_true(stamp_one() >= elsewhere);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_coarse_clock_is_the_kernels),
        cmocka_unit_test(a_thread_alone_uses_a_stamp_again),
        cmocka_unit_test(an_event_of_another_thread_ends_that),
        cmocka_unit_test(beside_another_thread_few_events_share_a_stamp),
        cmocka_unit_test(until_it_is_settled_a_thread_goes_on_as_beside_others),
        cmocka_unit_test(what_came_from_another_thread_is_later),
        cmocka_unit_test(old_stamps_are_not_used_over_the_end_of_a_tick),
        cmocka_unit_test(what_was_recorded_elsewhere_comes_before),
    };
    find_clock();
    return unit_main(tests);
}
