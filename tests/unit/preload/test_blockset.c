/* The set of recorded blocks: nothing that was put in is missed until it is taken out, and nothing else is found. */
#include "unit/cmocka_tap.h"

#include <pthread.h>
#include <string.h>

#include "blockset.h"

static int begin(void **state)
{
    (void)state;
    if (!blockset.bucket)
        blockset_start();
    memset(blockset.bucket, 0, BLOCKSET_BUCKETS * sizeof *blockset.bucket);
    blockset.full = false;
    return 0;
}

static const void *block(uintptr_t address)
{
    return (const void *)address;
}

static void blocks_are_there_until_taken_out(void **state)
{
    (void)state;
    assert_false(blockset_has(block(0x1000)));
    assert_true(blockset_put(block(0x1000)));
    assert_true(blockset_put(block(0x1000))); /* once is enough */
    assert_true(blockset_has(block(0x1000)));
    assert_false(blockset_has(block(0x1010)));
    assert_true(blockset_take(block(0x1000)));
    assert_false(blockset_take(block(0x1000)));
    assert_false(blockset_has(block(0x1000)));
}

static uint64_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

/* The address with this hash: blockset_hash multiplies by an odd number, which has an inverse (by Newton's method). */
static uintptr_t address_of(uint64_t hash)
{
    uint64_t factor = blockset_hash(block(1)), inverse = factor;
    for (int i = 0; i < 6; i++)
        inverse *= 2 - factor * inverse;
    return hash * inverse;
}

/* Addresses of one bucket, far more than it holds. */
static void addresses_of_one_bucket_find_room_behind_it(void **state)
{
    enum { MANY = 90 };
    uintptr_t same[MANY];
    (void)state;
    for (unsigned i = 0; i < MANY; i++)
        same[i] = address_of(0x1234567890abcdefull ^ (uint64_t)i << 8);
    for (unsigned i = 0; i < MANY; i++)
        assert_true(blockset_put(block(same[i])));
    for (unsigned i = 0; i < MANY; i += 2)
        assert_true(blockset_take(block(same[i])));
    for (unsigned i = 0; i < MANY; i++)
        assert_int_equal(blockset_has(block(same[i])), i % 2);
    for (unsigned i = 0; i < MANY; i += 2)
        assert_true(blockset_put(block(same[i])));
    for (unsigned i = 0; i < MANY; i++)
        assert_true(blockset_take(block(same[i])));
    for (unsigned i = 0; i < BLOCKSET_BUCKETS; i++)
        assert_int_equal(blockset.bucket[i].marks, 0); /* also what was counted as passed is gone */
}

static void the_set_follows_any_order(void **state)
{
    enum { ADDRESSES = 100000 };
    static bool there[ADDRESSES];
    uint64_t random = 1;
    (void)state;
    for (int step = 0; step < 2000000; step++) {
        uint64_t i = next_random(&random) % ADDRESSES;
        const void *b = block(0x7f0000000000 + i * 48);
        assert_int_equal(blockset_has(b), there[i]);
        if (there[i])
            assert_true(blockset_take(b));
        else
            assert_true(blockset_put(b));
        there[i] = !there[i];
    }
}

static void a_full_set_takes_every_block_for_a_recorded_one(void **state)
{
    unsigned count = 0;
    (void)state;
    while (blockset_put(block(0x10000 + count * 16ul)))
        count++;
    assert_true(count > BLOCKSET_SLOTS * BLOCKSET_BUCKETS / 10 * 6);
    for (unsigned i = 0; i <= count; i++)
        assert_true(blockset_has(block(0x10000 + i * 16ul)));
    assert_true(blockset_take(block(0x10000)));
    assert_true(blockset_has(block(0x10000)));
}

#define THREADS 4u
#define OF_EACH 5000u

/* Each thread has addresses of its own, mixed with the others' in the buckets. Counts wrong answers. */
static void *churn(void *argument)
{
    uintptr_t number = (uintptr_t)argument, wrong = 0;
    static bool there[THREADS][OF_EACH];
    uint64_t random = number + 1;
    for (int step = 0; step < 1000000; step++) {
        uint64_t i = next_random(&random) % OF_EACH;
        const void *b = block(0x7f0000000000 + (i * THREADS + number) * 16);
        wrong += blockset_has(b) != there[number][i];
        wrong += !(there[number][i] ? blockset_take(b) : blockset_put(b));
        there[number][i] = !there[number][i];
    }
    return (void *)wrong;
}

static void threads_do_not_lose_each_others_blocks(void **state)
{
    pthread_t id[THREADS];
    (void)state;
    for (uintptr_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&id[i], NULL, churn, (void *)i), 0);
    for (unsigned i = 0; i < THREADS; i++) {
        void *wrong;
        pthread_join(id[i], &wrong);
        assert_null(wrong);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(blocks_are_there_until_taken_out, begin),
        cmocka_unit_test_setup(addresses_of_one_bucket_find_room_behind_it, begin),
        cmocka_unit_test_setup(the_set_follows_any_order, begin),
        cmocka_unit_test_setup(a_full_set_takes_every_block_for_a_recorded_one, begin),
        cmocka_unit_test_setup(threads_do_not_lose_each_others_blocks, begin),
    };
    return unit_main(tests);
}
