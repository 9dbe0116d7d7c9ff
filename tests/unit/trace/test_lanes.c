/* Chunks come back from lanes as they were, whatever is in them; and no bytes that claim to be lanes do harm. */
#include "unit/cmocka_tap.h"

#include <stdlib.h>
#include <string.h>

#include "trace/lanes.h"

#define CHUNKS (3 * LANES_CHUNKS + 5)
#define GROUPS_ROOM ((size_t)8 << 20)

static struct {
    struct trace_chunk head;
    uint8_t payload[TRACE_PAYLOAD_SIZE];
} chunk[CHUNKS];
static uint8_t groups[GROUPS_ROOM];
static size_t groups_size;
static uint32_t parts, together;

static uint64_t next_random(void)
{
    static uint64_t state = 42;
    state = state * 6364136223846793005u + 1442695040888963407u;
    return state >> 33;
}

/* --- chunks --------------------------------------------------------------------------------------------------------- */

static uint8_t *put_event(struct record_coder *c, uint8_t *p, uint64_t *time, unsigned i)
{
    uint64_t address = 0x10000 + next_random() % 400 * 16 + (next_random() % 50 == 0), random = next_random();
    struct record_alloc alloc = { *time, address, random % 5000, 2 + random % 300, random % RECORD_CALL_COUNT };
    struct record_realloc moved = { *time, 3, address, address + random % 2 * 64, random % 70, 2 + random % 9, 3 };
    struct record_node node = { 2 + i, 1 + i - random % 3 % (1 + i), random % 4, random };
    *time += random % 3 * 20;
    switch (random % 8) {
    case 0:
        return record_put_realloc(c, p, &moved);
    case 1:
        return record_put_plain(c, p, RECORD_NODE, (const uint64_t *)&node, NULL, 0, NULL, 0);
    case 2:
        return record_put_plain(c, p, RECORD_STRING, (const uint64_t *)&node, "text", random % 5, NULL, 0);
    case 3:
    case 4:
    case 5:
        return record_put_free(c, p, &(struct record_free){ *time, address });
    default:
        return record_put_alloc(c, p, &alloc);
    }
}

static void fill_with_records(unsigned n, uint32_t least)
{
    struct record_coder coder;
    uint64_t time = 1000;
    uint8_t *p = chunk[n].payload;
    record_coder_begin(&coder, time);
    for (unsigned i = 0; p < chunk[n].payload + least; i++)
        p = put_event(&coder, p, &time, i);
    chunk[n].head = (struct trace_chunk){ .magic = TRACE_CHUNK_MAGIC, .sequence = n, .time = 1000 };
    chunk[n].head.committed = (uint32_t)(p - chunk[n].payload);
}

/* --- there and back ------------------------------------------------------------------------------------------------- */

static void keep_part(void *context, const void *bytes, size_t size)
{
    (void)context;
    assert_true(groups_size + size <= GROUPS_ROOM);
    memcpy(groups + groups_size, bytes, size);
    groups_size += size;
    parts++;
}

static bool is_same(void *context, const struct trace_chunk *head, const uint8_t *payload)
{
    (void)context;
    assert_memory_equal(head, &chunk[together].head, sizeof *head);
    assert_memory_equal(payload, chunk[together].payload, head->committed);
    together++;
    return true;
}

static void sort_chunks(unsigned count)
{
    struct lanes *l = lanes_new();
    groups_size = parts = 0;
    for (unsigned n = 0; n < count; n++) {
        bool full = lanes_add(l, &chunk[n].head, chunk[n].payload);
        assert_int_equal(full, n % LANES_CHUNKS == LANES_CHUNKS - 1);
        if (full)
            lanes_give(l, keep_part, NULL);
    }
    lanes_give(l, keep_part, NULL);
    lanes_free(l);
}

/* In pieces of `piece` bytes. */
static void put_together(unsigned count, size_t piece)
{
    struct lanes *l = lanes_new();
    together = 0;
    for (size_t at = 0; at < groups_size; at += piece)
        assert_true(lanes_take(l, groups + at, groups_size - at < piece ? groups_size - at : piece, is_same, NULL));
    assert_true(lanes_whole(l));
    assert_int_equal(together, count);
    lanes_free(l);
}

static void records_come_back(void **state)
{
    (void)state;
    for (unsigned n = 0; n < CHUNKS; n++)
        fill_with_records(n, n % 5 ? (uint32_t)(next_random() % 60000) : TRACE_PAYLOAD_SIZE - RECORD_PLAIN_MAX);
    sort_chunks(CHUNKS);
    assert_int_equal(parts, 4 * (2 + LANES));
    put_together(CHUNKS, 1 << 16);
    put_together(CHUNKS, 777);
    put_together(CHUNKS, groups_size);
}

/* All of it goes into fields: only so is it worth anything. */
static void records_need_no_rest(void **state)
{
    (void)state;
    struct lanes_head head;
    fill_with_records(0, 50000);
    sort_chunks(1);
    memcpy(&head, groups, sizeof head);
    assert_int_equal(head.size[LANE_REST], 0);
    assert_true(head.size[LANE_TAG] > 5000);
}

static void nothing_is_nothing(void **state)
{
    (void)state;
    sort_chunks(0);
    assert_int_equal(parts, 0);
    chunk[0].head = (struct trace_chunk){ .magic = TRACE_CHUNK_MAGIC };
    sort_chunks(1);
    put_together(1, 1 << 16);
}

/* Records of which some bytes are others, or that are cut off. */
static void damaged_records_come_back(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 40; round++) {
        for (unsigned n = 0; n < LANES_CHUNKS; n++) {
            fill_with_records(n, 3000);
            for (unsigned i = 0; i < round; i++)
                chunk[n].payload[next_random() % chunk[n].head.committed] = (uint8_t)next_random();
            chunk[n].head.committed -= (uint32_t)(next_random() % 30);
        }
        sort_chunks(LANES_CHUNKS);
        put_together(LANES_CHUNKS, 1 << 16);
    }
}

static void any_bytes_come_back(void **state)
{
    (void)state;
    for (unsigned n = 0; n < CHUNKS; n++) {
        chunk[n].head = (struct trace_chunk){ .magic = TRACE_CHUNK_MAGIC, .sequence = n };
        chunk[n].head.committed = (uint32_t)(next_random() % 4000);
        for (unsigned i = 0; i < chunk[n].head.committed; i++)
            chunk[n].payload[i] = (uint8_t)next_random();
    }
    sort_chunks(CHUNKS);
    put_together(CHUNKS, 1 << 16);
}

/* A number that has more bytes than it needs must not come back shorter. */
static void long_numbers_come_back(void **state)
{
    static const uint8_t node[] = { RECORD_NODE, 6, 0x82, 0x00, 1, 1, 0x85, 0x00 };
    (void)state;
    chunk[0].head = (struct trace_chunk){ .magic = TRACE_CHUNK_MAGIC, .committed = sizeof node };
    memcpy(chunk[0].payload, node, sizeof node);
    sort_chunks(1);
    put_together(1, 1 << 16);
}

/* --- lanes that are none -------------------------------------------------------------------------------------------- */

static bool is_possible(void *context, const struct trace_chunk *head, const uint8_t *payload)
{
    uint64_t *sum = context;
    assert_true(head->committed <= TRACE_PAYLOAD_SIZE);
    for (uint32_t i = 0; i < head->committed; i++)
        *sum += payload[i];
    return true;
}

static bool take_all(size_t size)
{
    uint64_t sum = 0;
    struct lanes *l = lanes_new();
    bool taken = lanes_take(l, groups, size, is_possible, &sum) && lanes_whole(l);
    lanes_free(l);
    return taken;
}

static void cut_off_lanes_are_not_whole(void **state)
{
    (void)state;
    fill_with_records(0, 2000);
    sort_chunks(1);
    assert_true(take_all(groups_size));
    for (size_t size = 1; size < groups_size; size += 11)
        assert_false(take_all(size));
}

static void impossible_sizes_are_refused(void **state)
{
    (void)state;
    struct lanes_head *head = (struct lanes_head *)groups;
    struct lanes_chunk *first = (struct lanes_chunk *)(head + 1);
    uint32_t *bad32[] = { &head->chunks, &head->size[LANE_TAG], &head->size[LANE_REST], &first->head.committed };
    fill_with_records(0, 2000);
    for (unsigned i = 0; i < 4; i++) {
        sort_chunks(1);
        *bad32[i] = UINT32_MAX;
        assert_false(take_all(groups_size));
    }
    sort_chunks(1);
    first->sorted += 1;
    assert_false(take_all(groups_size));
    sort_chunks(1);
    head->chunks = 0;
    assert_false(take_all(groups_size));
}

static void damaged_lanes_do_no_harm(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 300; round++) {
        fill_with_records(0, 3000);
        fill_with_records(1, 3000);
        sort_chunks(2);
        for (unsigned i = 0; i <= round / 10; i++)
            groups[next_random() % groups_size] = (uint8_t)next_random();
        take_all(groups_size);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_come_back),           cmocka_unit_test(records_need_no_rest),
        cmocka_unit_test(nothing_is_nothing),          cmocka_unit_test(damaged_records_come_back),
        cmocka_unit_test(any_bytes_come_back),         cmocka_unit_test(long_numbers_come_back),
        cmocka_unit_test(cut_off_lanes_are_not_whole), cmocka_unit_test(impossible_sizes_are_refused),
        cmocka_unit_test(damaged_lanes_do_no_harm),
    };
    return unit_main(tests);
}
