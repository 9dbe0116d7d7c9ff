/* Replay: the live set and the totals that follow from the events, also where events of threads come close together. */
#include "unit/cmocka_tap.h"
#include "unit/trace_builder.h"

#include <sys/mman.h>

#include "heap/heap.h"

static struct builder b;
static struct session session;
static struct heap **heap;
static const char path[] = "/tmp/memtap-heap-test.mtap";

static void replay(const struct heap_options *options)
{
    struct error e;
    builder_end_chunk(&b);
    builder_write(&b, path);
    assert_true(session_open(path, &session, &e));
    heap = heap_replay(&session, options ? options : &(struct heap_options){ .quiet = true });
    assert_int_equal(trace_health(session.trace[0])->damaged_chunks + trace_health(session.trace[0])->bad_records, 0);
}

static int begin(void **state)
{
    (void)state;
    builder_begin(&b, 42);
    builder_chunk(&b, 0, 42, 2000);
    heap = NULL;
    return 0;
}

static int end(void **state)
{
    (void)state;
    if (heap)
        heap_free_all(heap, session.count);
    session_close(&session);
    return unlink(path);
}

static const struct heap_totals *totals(void)
{
    return heap_totals(heap[0]);
}

static void blocks_live_until_they_are_freed(void **state)
{
    (void)state;
    builder_alloc(&b, 2001, 0x1000, 10);
    builder_alloc(&b, 2002, 0x2000, 20);
    builder_free(&b, 2003, 0x1000);
    replay(NULL);
    assert_int_equal(totals()->alloc_count, 2);
    assert_int_equal(totals()->alloc_bytes, 30);
    assert_int_equal(totals()->free_count, 1);
    assert_int_equal(totals()->live_blocks, 1);
    assert_int_equal(totals()->live_bytes, 20);
    assert_int_equal(totals()->peak_bytes, 30);
    assert_int_equal(totals()->unmatched_frees, 0);
}

static void realloc_releases_and_makes_at_its_two_stamps(void **state)
{
    (void)state;
    builder_alloc(&b, 2001, 0x1000, 10);
    builder_realloc(&b, 2020, 10, 0x1000, 0x3000, 50);
    builder_end_chunk(&b);
    builder_chunk(&b, 1, 43, 2000);
    builder_alloc(&b, 2015, 0x1000, 7); /* the old address is given out before realloc returns */
    replay(NULL);
    assert_int_equal(totals()->live_blocks, 2);
    assert_int_equal(totals()->live_bytes, 57);
    assert_int_equal(totals()->repaired, 0);
    assert_int_equal(totals()->peak_bytes, 57);
}

static void realloc_to_zero_records_a_free(void **state)
{
    (void)state;
    builder_alloc(&b, 2001, 0x1000, 10);
    builder_realloc(&b, 2020, 10, 0x1000, 0, 0);
    replay(NULL);
    assert_int_equal(totals()->live_blocks, 0);
    assert_int_equal(totals()->free_count, 1);
    assert_int_equal(totals()->alloc_count, 1);
}

static void stamps_that_changed_places_are_repaired(void **state)
{
    (void)state;
    builder_alloc(&b, 2001, 0x1000, 10);
    builder_free(&b, 2011, 0x1000); /* stamped late: the other thread has the address since 2010 */
    builder_alloc(&b, 2030, 0x2000, 5);
    builder_end_chunk(&b);
    builder_chunk(&b, 1, 43, 2000);
    builder_alloc(&b, 2010, 0x1000, 20);
    builder_free(&b, 2029, 0x2000); /* stamped before the allocation of what it frees */
    replay(NULL);
    assert_int_equal(totals()->repaired, 2);
    assert_int_equal(totals()->live_blocks, 1);
    assert_int_equal(totals()->live_bytes, 20);
    assert_int_equal(totals()->unmatched_frees, 0);
}

static void a_free_of_what_nobody_allocated_is_counted(void **state)
{
    (void)state;
    builder_free(&b, 2001, 0x9000);
    builder_alloc(&b, 9000000, 0x9000, 8); /* much later: not its allocation */
    replay(NULL);
    assert_int_equal(totals()->unmatched_frees, 1);
    assert_int_equal(totals()->live_blocks, 1);
}

static void temporary_blocks_are_freed_before_the_thread_allocates_again(void **state)
{
    (void)state;
    builder_alloc(&b, 2001, 0x1000, 10);
    builder_free(&b, 2002, 0x1000);
    builder_alloc(&b, 2003, 0x1000, 10);
    builder_alloc(&b, 2004, 0x2000, 10);
    builder_free(&b, 2005, 0x1000);
    replay(NULL);
    assert_int_equal(totals()->temporary, 1);
}

static void map(uint64_t time, uint64_t start, uint64_t size, unsigned prot)
{
    struct record_map r = {
        .time = time, .took = 1, .address = start, .size = size, .node = 2, .call = RECORD_CALL_MMAP, .prot = prot
    };
    builder_put(&b, RECORD_MAP, &r, "");
}

static void unmap(uint64_t time, uint64_t start, uint64_t size)
{
    struct record_unmap r = { .time = time, .took = 1, .address = start, .size = size, .call = RECORD_CALL_MUNMAP };
    builder_put(&b, RECORD_UNMAP, &r, "");
}

static void partial_munmap_splits_a_mapping(void **state)
{
    (void)state;
    map(2010, 0x100000, 0x5000, PROT_READ);
    unmap(2020, 0x101000, 0x1000);
    unmap(2030, 0x104000, 0x9000);
    replay(NULL);
    assert_int_equal(heap_mapping_count(heap[0]), 2);
    assert_int_equal(heap_mapping(heap[0], 0)->end, 0x101000);
    assert_int_equal(heap_mapping(heap[0], 1)->start, 0x102000);
    assert_int_equal(heap_mapping(heap[0], 1)->end, 0x104000);
    assert_int_equal(totals()->mapped_bytes, 0x3000);
}

static void a_fixed_mapping_commits_a_part_of_a_reservation(void **state)
{
    (void)state;
    map(2010, 0x100000, 0x10000, PROT_NONE);
    map(2020, 0x104000, 0x2000, PROT_READ | PROT_WRITE);
    replay(NULL);
    assert_int_equal(totals()->mapped_bytes, 0x2000);
    assert_int_equal(totals()->reserved_bytes, 0xe000);
    assert_int_equal(heap_mapping_count(heap[0]), 3);
}

static void mremap_moves_bytes_and_keeps_their_owner(void **state)
{
    struct record_remap move = { .time = 2020,
                                 .took = 2,
                                 .old = 0x100000,
                                 .old_size = 0x2000,
                                 .address = 0x900000,
                                 .size = 0x4000,
                                 .node = 3,
                                 .flags = MREMAP_MAYMOVE };
    (void)state;
    map(2010, 0x100000, 0x2000, PROT_READ);
    builder_put(&b, RECORD_REMAP, &move, "");
    replay(NULL);
    assert_int_equal(heap_mapping_count(heap[0]), 1);
    assert_int_equal(heap_mapping(heap[0], 0)->start, 0x900000);
    assert_int_equal(heap_site(heap[0], heap_mapping(heap[0], 0)->site)->call, RECORD_CALL_MMAP);
    assert_int_equal(totals()->mapped_bytes, 0x4000);
}

static void an_unaligned_mremap_leaves_nothing_behind_and_takes_nothing_of_others(void **state)
{
    struct record_remap move = { .time = 2030,
                                 .took = 10,
                                 .old = 0x100000,
                                 .old_size = 0x2f00,
                                 .address = 0x900000,
                                 .size = 0x4000,
                                 .node = 3,
                                 .flags = MREMAP_MAYMOVE };
    (void)state;
    map(2010, 0x100000, 0x3000, PROT_READ);
    builder_put(&b, RECORD_REMAP, &move, "");
    builder_end_chunk(&b);
    builder_chunk(&b, 1, 2, 2020); /* another thread, between the two times of the move */
    map(2025, 0x100000, 0x1000, PROT_READ);
    replay(NULL);
    assert_int_equal(heap_mapping_count(heap[0]), 2);
    assert_int_equal(heap_mapping(heap[0], 0)->start, 0x100000);
    assert_int_equal(heap_mapping(heap[0], 0)->time, 2025);
    assert_int_equal(heap_mapping(heap[0], 1)->start, 0x900000);
    assert_int_equal(totals()->mapped_bytes, 0x5000);
}

static void shmdt_releases_all_pieces_of_a_segment(void **state)
{
    struct record_map attach = {
        .time = 2010, .took = 1, .address = 0x100000, .size = 0x4000, .node = 2, .call = RECORD_CALL_SHMAT, .prot = 3
    };
    struct record_unmap detach = { .time = 2030, .took = 1, .address = 0x100000, .call = RECORD_CALL_SHMDT };
    (void)state;
    builder_put(&b, RECORD_MAP, &attach, "");
    map(2020, 0x101000, 0x1000, PROT_READ);
    builder_put(&b, RECORD_UNMAP, &detach, "");
    replay(NULL);
    assert_int_equal(heap_mapping_count(heap[0]), 1);
    assert_int_equal(heap_mapping(heap[0], 0)->start, 0x101000);
}

static void replay_stops_at_the_peak_and_at_a_mark(void **state)
{
    struct record_mark mark = { .time = 2003 };
    (void)state;
    builder_alloc(&b, 2001, 0x1000, 10);
    builder_alloc(&b, 2002, 0x2000, 20);
    builder_put(&b, RECORD_MARK, &mark, "middle");
    builder_free(&b, 2004, 0x1000);
    builder_alloc(&b, 2005, 0x3000, 100);
    builder_free(&b, 2006, 0x2000);
    replay(&(struct heap_options){ .quiet = true, .until = { .what = HEAP_UNTIL_MARK, .mark = "middle" } });
    assert_true(heap_reached(heap[0]));
    assert_int_equal(totals()->live_bytes, 30);
    heap_free_all(heap, 1);
    struct heap **whole = heap_replay(&session, &(struct heap_options){ .quiet = true });
    heap = heap_replay(&session, &(struct heap_options){ .quiet = true, .peak = true, .found = whole });
    assert_int_equal(heap_totals(whole[0])->live_bytes, 100);
    assert_int_equal(totals()->live_bytes, 120);
    heap_free_all(whole, 1);
}

static void sampled_blocks_stand_for_others(void **state)
{
    struct heap_weight w = heap_weigh(4096, 100);
    (void)state;
    b.header.identity.sample_bytes = 4096;
    builder_alloc(&b, 2001, 0x1000, 100);
    builder_alloc(&b, 2002, 0x2000, 100);
    builder_alloc(&b, 2003, 0x4000, 5000);
    builder_free(&b, 2004, 0x1000);
    replay(NULL);
    assert_int_equal(heap_sample_mean(heap[0]), 4096);
    assert_true(totals()->alloc_count == 2 * w.blocks + 1 && totals()->free_count == w.blocks);
    assert_int_equal(totals()->alloc_bytes, 2 * w.bytes + 5000);
    assert_true(totals()->live_blocks == w.blocks + 1 && totals()->live_spread == w.spread);
    assert_int_equal(totals()->live_bytes, w.bytes + 5000);
    assert_int_equal(totals()->peak_bytes, 2 * w.bytes + 5000);
    assert_true(totals()->peak_spread == 2 * w.spread);
    assert_int_equal(totals()->temporary, 0);
}

/* In an exact trace the address would lie in no block, so the mapping is meant. */
static void a_tag_on_a_block_that_was_not_sampled_is_not_its_mappings(void **state)
{
    struct record_tag inside = { .time = 2002, .address = 0x20010, .string = 7 };
    struct record_tag whole = { .time = 2003, .address = 0x40000, .string = 8 };
    (void)state;
    b.header.identity.sample_bytes = 4096;
    map(2000, 0x20000, 0x10000, PROT_READ | PROT_WRITE);
    map(2001, 0x40000, 0x10000, PROT_READ | PROT_WRITE);
    builder_put(&b, RECORD_TAG, &inside, "");
    builder_put(&b, RECORD_TAG, &whole, "");
    replay(NULL);
    assert_int_equal(heap_mapping(heap[0], 0)->tag, 0);
    assert_int_equal(heap_mapping(heap[0], 1)->tag, 8);
}

/* Where the tap had no more room for the addresses of sampled blocks, it records every free. */
static void frees_of_unsampled_blocks_are_no_news(void **state)
{
    (void)state;
    b.header.identity.sample_bytes = 16;
    b.header.status.shortfall = TRACE_SHORT_SAMPLE_FULL;
    builder_free(&b, 2001, 0x1000);
    builder_end_chunk(&b);
    builder_chunk(&b, 1, 43, 2000);
    builder_alloc(&b, 2002, 0x1000, 100); /* another thread has got the address at once */
    replay(NULL);
    assert_int_equal(totals()->unmatched_frees, 0);
    assert_int_equal(totals()->repaired, 0);
    assert_int_equal(totals()->live_blocks, 1);
}

#define test(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(blocks_live_until_they_are_freed),
        test(realloc_releases_and_makes_at_its_two_stamps),
        test(realloc_to_zero_records_a_free),
        test(stamps_that_changed_places_are_repaired),
        test(a_free_of_what_nobody_allocated_is_counted),
        test(temporary_blocks_are_freed_before_the_thread_allocates_again),
        test(partial_munmap_splits_a_mapping),
        test(a_fixed_mapping_commits_a_part_of_a_reservation),
        test(mremap_moves_bytes_and_keeps_their_owner),
        test(an_unaligned_mremap_leaves_nothing_behind_and_takes_nothing_of_others),
        test(shmdt_releases_all_pieces_of_a_segment),
        test(replay_stops_at_the_peak_and_at_a_mark),
        test(sampled_blocks_stand_for_others),
        test(a_tag_on_a_block_that_was_not_sampled_is_not_its_mappings),
        test(frees_of_unsampled_blocks_are_no_news),
    };
    return unit_main(tests);
}
