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

/* The same as seen by a sample with this mean: each of these bytes brings about a square of the mean. */
static void sample(struct leaks_row *r, double mean)
{
    for (unsigned i = 0; i < LEAKS_SLICES; i++) {
        r->survivor_variance[i] = (double)r->survivor_bytes[i] * mean;
        r->live_variance[i] = (double)r->live_at[i] * mean;
    }
}

static void growth_by_many_samples_is_sure(void **state)
{
    const uint64_t survivors[] = { 80000, 90000, 70000, 80000, 85000, 75000, 80000, 90000, 70000, 80000 };
    struct leaks_row r = row(survivors, NULL);
    (void)state;
    sample(&r, 1000);
    assert_int_equal(judge(&r), LEAKS_GROWING);
    assert_true(r.bytes_per_unit == 8000);
    assert_true(r.variance == 640000.0 * 1000 / 80 / 80);
}

static void growth_by_few_samples_is_inconclusive(void **state)
{
    const uint64_t survivors[] = { 10000, 10000, 0, 10000, 20000, 10000, 10000, 10000, 10000, 10000 };
    struct leaks_row r = row(survivors, NULL);
    (void)state;
    sample(&r, 10000);
    assert_int_equal(judge(&r), LEAKS_INCONCLUSIVE);
    assert_true(r.bytes_per_unit == 0 && r.maybe_per_unit == 1000);
}

/* Two samples in two slices may be all there is of a leak, or of a cache. */
static void stillness_by_few_samples_is_inconclusive(void **state)
{
    const uint64_t survivors[] = { 0, 0, 50000, 0, 0, 0, 50000, 0, 0, 0 };
    struct leaks_row r = row(survivors, NULL);
    (void)state;
    sample(&r, 50000);
    assert_int_equal(judge(&r), LEAKS_INCONCLUSIVE);
    assert_true(r.maybe_per_unit == 1250);
}

static void stillness_by_many_samples_is_sure(void **state)
{
    const uint64_t filling[] = { 0, 400000, 300000, 100000, 1000, 0, 0, 0, 0, 0 };
    const uint64_t at_times[] = { 0, 0, 50000, 0, 0, 0, 0, 60000, 0, 0 };
    struct leaks_row r = row(filling, NULL);
    (void)state;
    sample(&r, 1000);
    assert_int_equal(judge(&r), LEAKS_STEADY);
    r = row(at_times, NULL);
    sample(&r, 1000);
    assert_int_equal(judge(&r), LEAKS_STEADY);
}

static void no_sample_at_all_is_no_doubt(void **state)
{
    const uint64_t warm_up[] = { 800000, 0, 0, 0, 0, 0, 0, 0, 0, 0 }, young[] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 50000 };
    struct leaks_row r = row(warm_up, NULL);
    (void)state;
    sample(&r, 50000);
    assert_int_equal(judge(&r), LEAKS_ONE_TIME);
    r = row(young, NULL);
    sample(&r, 50000);
    assert_int_equal(judge(&r), LEAKS_STEADY);
}

/* Live bytes that seem to rise, by less than their error. */
static void a_rise_within_the_error_is_inconclusive(void **state)
{
    const uint64_t survivors[] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 100000 };
    const int64_t live[] = { 100000, 101000, 102000, 103000, 104000, 105000, 106000, 107000, 108000, 109000 };
    struct leaks_row r = row(survivors, live);
    (void)state;
    sample(&r, 1000);
    assert_int_equal(judge(&r), LEAKS_INCONCLUSIVE);
    r = row(survivors, live); /* large blocks are recorded exactly */
    assert_int_equal(judge(&r), LEAKS_GROWING);
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
        cmocka_unit_test(growth_by_many_samples_is_sure),
        cmocka_unit_test(growth_by_few_samples_is_inconclusive),
        cmocka_unit_test(stillness_by_few_samples_is_inconclusive),
        cmocka_unit_test(stillness_by_many_samples_is_sure),
        cmocka_unit_test(no_sample_at_all_is_no_doubt),
        cmocka_unit_test(a_rise_within_the_error_is_inconclusive),
    };
    return unit_main(tests);
}
