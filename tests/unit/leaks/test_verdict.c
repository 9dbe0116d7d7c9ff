/* The word for a row of the survivor table. */
#include "unit/cmocka_tap.h"

#include <string.h>

#include "leaks/leaks.h"

static struct leaks_exposure hundred_requests(void)
{
    struct leaks_exposure x = { .unit = "request", .count = 100, .judged = 80, .judged_ns = 8000000000ull };
    for (unsigned i = 0; i < LEAKS_SLICES; i++)
        x.units[i] = 10;
    return x;
}

/* Survivors by slice, and the live bytes at the end of each. */
static struct leaks_row row(const uint64_t *survivors, const int64_t *live)
{
    struct leaks_row r = { .live_bytes = 1 };
    for (unsigned i = 0; i < LEAKS_SLICES; i++) {
        r.survivor_bytes[i] = survivors[i];
        r.survivors[i] = survivors[i] > 0;
        r.live_at[i] = live ? live[i] : 0;
    }
    return r;
}

static enum leaks_verdict judge(struct leaks_row *r)
{
    struct leaks_exposure x = hundred_requests();
    verdict_decide(r, &x);
    return r->verdict;
}

static void survivors_in_every_slice_grow_at_their_rate(void **state)
{
    const uint64_t survivors[] = { 1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000 };
    struct leaks_row r = row(survivors, NULL);
    (void)state;
    assert_int_equal(judge(&r), LEAKS_GROWING);
    assert_true(r.bytes_per_unit == 100);
    assert_true(r.bytes_per_hour == 100 * 80 * 3600 / 8.0);
}

static void warm_up_is_one_time(void **state)
{
    const uint64_t survivors[] = { 5000000, 0, 0, 0, 0, 0, 0, 0, 0, 0 };
    struct leaks_row r = row(survivors, NULL);
    (void)state;
    assert_int_equal(judge(&r), LEAKS_ONE_TIME);
    assert_true(r.bytes_per_unit == 0);
}

static void what_only_the_last_slice_holds_is_not_held_against_it(void **state)
{
    const uint64_t survivors[] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 9000000 };
    struct leaks_row r = row(survivors, NULL);
    (void)state;
    assert_int_equal(judge(&r), LEAKS_STEADY);
}

static void a_table_that_fills_ever_slower_does_not_grow(void **state)
{
    const uint64_t survivors[] = { 9000, 8000, 5000, 3000, 1500, 700, 300, 100, 0, 0 };
    struct leaks_row r = row(survivors, NULL);
    (void)state;
    assert_int_equal(judge(&r), LEAKS_STEADY);
}

static void a_leak_in_every_third_request_grows(void **state)
{
    const uint64_t survivors[] = { 400, 300, 300, 400, 300, 300, 400, 300, 300, 400 };
    struct leaks_row r = row(survivors, NULL);
    (void)state;
    assert_int_equal(judge(&r), LEAKS_STEADY); /* 32 bytes a request are below what is worth a word */
    const uint64_t larger[] = { 40000, 30000, 30000, 40000, 30000, 30000, 40000, 30000, 30000, 40000 };
    r = row(larger, NULL);
    assert_int_equal(judge(&r), LEAKS_GROWING);
}

static void a_vector_that_is_reallocated_ever_larger_grows(void **state)
{
    const uint64_t survivors[] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 100000 };
    const int64_t live[] = { 10000, 20000, 30000, 40000, 50000, 60000, 70000, 80000, 90000, 100000 };
    struct leaks_row r = row(survivors, live);
    (void)state;
    assert_int_equal(judge(&r), LEAKS_GROWING);
    assert_true(r.bytes_per_unit == 1000);
}

static void blocks_that_come_and_go_are_steady(void **state)
{
    const uint64_t survivors[] = { 0, 0, 0, 0, 0, 0, 0, 0, 500, 9500 };
    const int64_t live[] = { 10000, 9000, 11000, 10000, 9500, 10500, 10000, 9900, 10100, 10000 };
    struct leaks_row r = row(survivors, live);
    (void)state;
    assert_int_equal(judge(&r), LEAKS_STEADY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(survivors_in_every_slice_grow_at_their_rate),
        cmocka_unit_test(warm_up_is_one_time),
        cmocka_unit_test(what_only_the_last_slice_holds_is_not_held_against_it),
        cmocka_unit_test(a_table_that_fills_ever_slower_does_not_grow),
        cmocka_unit_test(a_leak_in_every_third_request_grows),
        cmocka_unit_test(a_vector_that_is_reallocated_ever_larger_grows),
        cmocka_unit_test(blocks_that_come_and_go_are_steady),
    };
    return unit_main(tests);
}
