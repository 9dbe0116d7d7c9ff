/* The table of stacks: one node for each (parent, address), found again until its code is gone. */
#include "unit/cmocka_tap.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "stacks.h"

static struct cursor *cursor;

static void start_trace(void)
{
    static char directory[] = "/tmp/memtap-stacks-XXXXXX";
    static const char settings[TRACE_SETTINGS_SIZE];
    struct tracefile_start s = {
        .directory = mkdtemp(directory), .program = "p", .settings = settings, .limit = 1ull << 30, .warnings = ""
    };
    assert_int_equal(tracefile_create(&s), 0);
    char path[128];
    snprintf(path, sizeof path, "%s/%d.mtap", directory, getpid());
    unlink(path);
    rmdir(directory);
    cursor = ring_take(1, &(enum trace_loss){ 0 });
}

static void nodes_are_found_again_by_parent_and_value(void **state)
{
    (void)state;
    uint32_t a = stacks_define(cursor, 0, 0x1000, 1, 0x10), b = stacks_define(cursor, a, 0x2000, 1, 0x20);
    assert_true(a >= RECORD_NODE_FIRST && b != a);
    assert_int_equal(stacks_find(0, 0x1000), a);
    assert_int_equal(stacks_find(a, 0x2000), b);
    assert_int_equal(stacks_find(0, 0x2000), 0);
    assert_int_equal(stacks_define(cursor, a, 0x2000, 1, 0x20), b); /* somebody was first */
}

static void many_nodes_fit_and_stay_apart(void **state)
{
    (void)state;
    uint32_t parent = 0, first = stacks_define(cursor, 0, 0x700000, 1, 0);
    for (unsigned i = 1; i < 30000; i++)
        parent = stacks_define(cursor, i % 100 ? parent : 0, 0x700000 + i, 1, i);
    assert_int_equal(stacks_find(0, 0x700000), first);
    for (unsigned i = 0; i < 30000; i += 100)
        assert_int_not_equal(stacks_find(0, 0x700000 + i), 0);
}

static void a_parent_may_have_many_children(void **state)
{
    (void)state;
    uint32_t parent = stacks_define(cursor, 0, 0xc000000, 1, 0), first = stacks_define(cursor, parent, 0xd000000, 1, 0);
    for (unsigned i = 1; i < 20000; i++)
        stacks_define(cursor, parent, 0xd000000 + i * 5, 1, i * 5);
    for (unsigned i = 0; i < 20000; i++)
        assert_int_equal(stacks_find(parent, 0xd000000 + i * 5), first + i);
    assert_int_equal(stacks_find(parent, 0xd000001), 0);
    assert_int_equal(stacks_find(first, 0xd000005), 0);
}

static void retired_code_is_not_found_any_more(void **state)
{
    (void)state;
    uint32_t gone = stacks_define(cursor, 0, 0x900100, 1, 0), stays = stacks_define(cursor, 0, 0x901000, 1, 0);
    stacks_retire(0x900000, 0x901000);
    assert_int_equal(stacks_find(0, 0x900100), 0);
    assert_int_equal(stacks_find(0, 0x901000), stays);
    assert_int_not_equal(stacks_define(cursor, 0, 0x900100, 2, 0), gone);
}

static void code_may_come_and_go(void **state)
{
    (void)state;
    uint32_t parent = stacks_define(cursor, 0, 0xf00000, 1, 0), sibling = stacks_define(cursor, parent, 0xf10000, 1, 0);
    for (unsigned i = 1; i < 100; i++)
        stacks_define(cursor, parent, 0xf10000 + i, 1, i);
    for (unsigned i = 0; i < 2000; i++) {
        uint32_t node = stacks_define(cursor, parent, 0xf20000, 1, 0);
        assert_int_equal(stacks_find(parent, 0xf20000), node);
        stacks_retire(0xf20000, 0xf20001);
        assert_int_equal(stacks_find(parent, 0xf20000), 0);
    }
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(stacks_find(parent, 0xf10000 + i), sibling + i);
}

static void strings_and_tags_have_their_own_numbers(void **state)
{
    (void)state;
    uint32_t kv = stacks_string(cursor, "kv-cache", 8), other = stacks_string(cursor, "kv-cachE", 8);
    assert_true(kv && other && kv != other);
    assert_int_equal(stacks_string(cursor, "kv-cache", 8), kv);
    uint32_t stack = stacks_define(cursor, 0, 0xa00000, 1, 0), tagged = stacks_tagged(cursor, stack, kv);
    assert_true(tagged && tagged != stack);
    assert_int_equal(stacks_tagged(cursor, stack, kv), tagged);
    assert_int_not_equal(stacks_tagged(cursor, stack, other), tagged);
}

static uint32_t seen[8][2000], common_parent;

static void *define_all(void *number)
{
    struct cursor *c = ring_take(100 + (uint32_t)(uintptr_t)number, &(enum trace_loss){ 0 });
    for (unsigned i = 0; i < 2000; i++)
        seen[(uintptr_t)number][i] = stacks_define(c, common_parent, 0xb000000 + i, 1, i);
    ring_give_back(c);
    return NULL;
}

static void threads_that_define_at_once_agree(void **state)
{
    pthread_t thread[8];
    (void)state;
    common_parent = stacks_define(cursor, 0, 0xe000000, 1, 0);
    for (uintptr_t i = 0; i < 8; i++)
        pthread_create(&thread[i], NULL, define_all, (void *)i);
    for (unsigned i = 0; i < 8; i++)
        pthread_join(thread[i], NULL);
    for (unsigned i = 0; i < 2000; i++)
        for (unsigned t = 0; t < 8; t++)
            assert_int_equal(seen[t][i], stacks_find(common_parent, 0xb000000 + i));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nodes_are_found_again_by_parent_and_value),
        cmocka_unit_test(many_nodes_fit_and_stay_apart),
        cmocka_unit_test(a_parent_may_have_many_children),
        cmocka_unit_test(retired_code_is_not_found_any_more),
        cmocka_unit_test(code_may_come_and_go),
        cmocka_unit_test(strings_and_tags_have_their_own_numbers),
        cmocka_unit_test(threads_that_define_at_once_agree),
    };
    start_trace();
    return unit_main(tests);
}
