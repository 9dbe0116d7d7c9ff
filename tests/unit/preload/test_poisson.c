/* The countdown that chooses blocks for a sample: its distribution. Seeds are fixed where they decide about a number. */
#include "unit/cmocka_tap.h"

#include <math.h>

#include "poisson.h"

#define DRAWS 1000000

/* Within five standard errors of what is expected of a share of so many draws. */
static void assert_share(double share, double expected, double count)
{
    assert_true(fabs(share - expected) <= 5 * sqrt(expected * (1 - expected) / count));
}

static void distances_have_their_mean(void **unused)
{
    const uint64_t means[] = { 100, 524288, 1ull << 32 };
    (void)unused;
    for (unsigned i = 0; i < sizeof means / sizeof *means; i++) {
        uint64_t state = 12345 + i;
        double sum = 0, mean = (double)means[i];
        for (int k = 0; k < DRAWS; k++) {
            int64_t distance = poisson_draw(&state, means[i]);
            assert_true(distance >= 1);
            sum += (double)distance;
        }
        double expected = 1 / -expm1(-1 / mean); /* rounded up to whole bytes: the geometric distribution's */
        assert_true(fabs(sum / DRAWS - expected) <= 5 * mean / sqrt(DRAWS));
    }
}

static void distances_are_exponentially_distributed(void **unused)
{
    const uint64_t mean = 4096, sizes[] = { 1, 16, 100, 1000, 4096, 12000, 40000 };
    double nearer[sizeof sizes / sizeof *sizes] = { 0 };
    uint64_t state = 99;
    (void)unused;
    for (int k = 0; k < DRAWS; k++) {
        int64_t distance = poisson_draw(&state, mean);
        for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++)
            nearer[i] += (uint64_t)distance <= sizes[i];
    }
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++)
        assert_share(nearer[i] / DRAWS, -expm1(-(double)sizes[i] / (double)mean), DRAWS);
}

/* As the hooks do it. */
static bool chooses(size_t size)
{
    if (!poisson_count(size))
        return false;
    if (poisson_begin() && !poisson_count(size))
        return false;
    poisson_advance();
    return true;
}

static void blocks_are_chosen_by_their_size(void **unused)
{
    const size_t sizes[] = { 0, 8, 300, 1000, 4000 };
    double chosen[sizeof sizes / sizeof *sizes] = { 0 };
    (void)unused;
    poisson_mean = 4096;
    poisson_self = (struct poisson){ .left = 1, .state = 7 };
    for (int k = 0; k < DRAWS; k++)
        for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++)
            chosen[i] += chooses(sizes[i]);
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        double size = sizes[i] ? (double)sizes[i] : 1;
        assert_share(chosen[i] / DRAWS, -expm1(-size / (double)poisson_mean), DRAWS);
    }
}

/* Every thread and forked child begins at another place, and its first block has no better chance than others. */
static void beginners_differ_and_are_not_favoured(void **unused)
{
    double chosen = 0;
    int64_t last = 0;
    unsigned same = 0;
    (void)unused;
    poisson_mean = 4096;
    for (int k = 0; k < 100000; k++) {
        poisson_forget();
        chosen += chooses(1000);
        same += poisson_self.left == last;
        last = poisson_self.left;
    }
    assert_share(chosen / 100000, -expm1(-1000.0 / 4096), 100000);
    assert_true(same < 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(distances_have_their_mean),
        cmocka_unit_test(distances_are_exponentially_distributed),
        cmocka_unit_test(blocks_are_chosen_by_their_size),
        cmocka_unit_test(beginners_differ_and_are_not_favoured),
    };
    return unit_main(tests);
}
