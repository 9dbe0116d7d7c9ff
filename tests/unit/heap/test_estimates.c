/* What sampled blocks stand for: estimates without bias, and error bars that hold the truth as often as they say. */
#include "unit/cmocka_tap.h"

#include <math.h>

#include "heap/heap.h"

static uint64_t random_state = 1;

static double next_random(void)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (double)(random_state >> 11) * 0x1p-53;
}

static double chance(uint64_t mean, uint64_t size)
{
    return size >= mean ? 1 : -expm1(-(double)(size ? size : 1) / (double)mean);
}

static void blocks_of_the_mean_and_more_stand_for_themselves(void **state)
{
    const uint64_t means[] = { 0, 1, 4096, 524288 };
    (void)state;
    for (unsigned i = 0; i < sizeof means / sizeof *means; i++)
        for (uint64_t size = means[i]; size < means[i] + 3; size++) {
            struct heap_weight w = heap_weigh(means[i], size);
            assert_true(w.blocks == 1 && w.bytes == size && w.spread == 0);
        }
}

static void weights_are_the_inverse_of_the_chance(void **state)
{
    const uint64_t sizes[] = { 1, 16, 1000, 100000, 524287 }, mean = 524288;
    (void)state;
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        double p = chance(mean, sizes[i]), size = (double)sizes[i], square = (double)mean * (double)mean;
        struct heap_weight w = heap_weigh(mean, sizes[i]);
        assert_true(fabs(w.blocks * p - 1) < 1e-4);
        assert_true(fabs((double)w.bytes * p - size) < 1);
        assert_true(fabs(w.spread * square / (size * size * (1 - p) / (p * p)) - 1) < 1e-4);
    }
    struct heap_weight nothing = heap_weigh(mean, 0);
    assert_true(nothing.bytes == 0 && nothing.spread == 0 && fabs(nothing.blocks / 524288.5 - 1) < 1e-6);
}

static void what_is_freed_takes_away_what_it_brought(void **state)
{
    double blocks = 0, spread = 0;
    (void)state;
    for (uint64_t size = 0; size < 600000; size += 7) {
        blocks += heap_weigh(524288, size).blocks;
        spread += heap_weigh(524288, size).spread;
    }
    for (uint64_t size = 0; size < 600000; size += 7) { /* in another order than last in, first out */
        blocks -= heap_weigh(524288, size).blocks;
        spread -= heap_weigh(524288, size).spread;
    }
    assert_true(blocks == 0 && spread == 0);
}

/* 3,000 samples of the same population: blocks of many sizes. */
static void error_bars_hold_the_truth(void **state)
{
    enum { TRIALS = 3000, BLOCKS = 4000 };
    const uint64_t mean = 4096;
    double sum = 0, squares = 0, variances = 0, truth = 0, blocks = 0;
    unsigned inside = 0;
    (void)state;
    for (uint64_t i = 0; i < BLOCKS; i++)
        truth += (double)(i * i % 6007);
    for (unsigned trial = 0; trial < TRIALS; trial++) {
        double estimate = 0, spread = 0;
        for (uint64_t i = 0; i < BLOCKS; i++) {
            uint64_t size = i * i % 6007;
            if (next_random() >= chance(mean, size))
                continue;
            struct heap_weight w = heap_weigh(mean, size);
            estimate += (double)w.bytes;
            spread += w.spread;
            blocks += w.blocks;
        }
        double variance = spread * (double)mean * (double)mean;
        sum += estimate;
        squares += (estimate - truth) * (estimate - truth);
        variances += variance;
        inside += fabs(estimate - truth) <= HEAP_SURE * sqrt(variance);
    }
    double deviation = sqrt(squares / TRIALS);
    assert_true(fabs(sum / TRIALS - truth) < 5 * deviation / sqrt(TRIALS));
    assert_true(fabs(variances / squares - 1) <
                0.15); /* a variance from 3,000 values is 2.6 % off, as its standard error */
    assert_true(fabs(blocks / TRIALS / BLOCKS - 1) < 0.05);
    assert_true(fabs((double)inside / TRIALS - 0.95) < 0.02); /* 5 standard errors */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_of_the_mean_and_more_stand_for_themselves),
        cmocka_unit_test(weights_are_the_inverse_of_the_chance),
        cmocka_unit_test(what_is_freed_takes_away_what_it_brought),
        cmocka_unit_test(error_bars_hold_the_truth),
    };
    return unit_main(tests);
}
