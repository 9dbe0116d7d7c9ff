/* The thread that decodes ahead changes nothing: the same events, and after each of them the same is known. */
#include "unit/cmocka_tap.h"
#include "unit/trace_builder.h"

#include <stdlib.h>

#include "trace/trace.h"

#define CURSORS 5u
#define CHUNKS 120u
#define LONG_TEXT 60000u

static struct builder b;
static const char path[] = "/tmp/memtap-reader-test.mtap";

/* --- a trace with all that a reader may meet ----------------------------------------------------------------------- */

static void put_definitions(unsigned c, uint64_t time)
{
    struct record_node node = { .id = 2 + c, .parent = c ? 1 + c : 0, .module = 1, .value = 0x1000 + c };
    struct record_module module = { .time = time, .id = 1 + c % 3, .start = 0x400000, .end = 0x500000 };
    struct record_thread thread = { .time = time, .tid = 100 + c % 7 };
    struct record_string string = { .id = 2 + c };
    builder_put(&b, RECORD_NODE, &node, "");
    builder_put(&b, RECORD_MODULE, &module, "/lib/libmodel.so");
    builder_put(&b, RECORD_STRING, &string, "a component");
    builder_put(&b, RECORD_THREAD, &thread, "worker");
}

static void put_events(unsigned c, uint64_t time)
{
    struct record_sample sample = { .time = time + 200, .mono_ns = 2000000 + time * 3 };
    struct record_fork fork = { .time = time + 210, .took = 5, .pid = 8 };
    struct record_mark mark = { .time = time + 220, .value = c };
    struct record_map map = { .time = time + 230, .took = 9, .address = 0x7000000 + c * 8192, .size = 8192 };
    for (unsigned i = 0; i < 60; i++)
        builder_alloc(&b, time + i * 3, 0x10000 + ((uint64_t)c * 60 + i) * 32, 16 + i);
    for (unsigned i = 0; i < 20; i++)
        builder_realloc(&b, time + 180 + i, i, 0x10000 + ((uint64_t)c * 60 + i) * 32, 0x900000 + c * 640 + i * 16, i);
    for (unsigned i = 20; i < 60; i++)
        builder_free(&b, time + 200, 0x10000 + ((uint64_t)c * 60 + i) * 32);
    builder_put(&b, RECORD_SAMPLE, &sample, "");
    builder_put(&b, RECORD_FORK, &fork, "");
    builder_put(&b, RECORD_MARK, &mark, "half way");
    builder_put(&b, RECORD_MAP, &map, "");
    builder_put(&b, (enum record_kind)0xf0, NULL, "of a later version");
}

/* One text is longer than a batch of any size. */
static void put_long_text(uint64_t time)
{
    static char text[LONG_TEXT + 1];
    struct record_mark mark = { .time = time + 300 };
    memset(text, 'x', LONG_TEXT);
    builder_chunk(&b, 0, 100, time);
    builder_put(&b, RECORD_MARK, &mark, text);
    builder_end_chunk(&b);
}

static void make_trace(void)
{
    builder_begin(&b, 7);
    for (unsigned c = 0; c < CHUNKS; c++) {
        uint64_t time = 1000 + c / CURSORS * 400 + c % 3;
        builder_chunk(&b, c % CURSORS, 100 + c % CURSORS, time);
        put_definitions(c, time);
        put_events(c, time);
        if (c % 17 == 5)
            *b.at++ = 0x20; /* an alloc without its end */
        builder_end_chunk(&b);
        if (c % 13 == 4)
            b.log[b.log_size - TRACE_LOG_ALIGN] ^= 0x10; /* damage in the chunk's last block */
        if (c == CHUNKS / 2)
            put_long_text(time);
    }
    builder_write(&b, path);
}

/* --- what a reader says -------------------------------------------------------------------------------------------- */

struct seen {
    uint64_t events, sum, done;
    struct trace_health health;
};

static void add(struct seen *s, const void *bytes, size_t size)
{
    s->sum = XXH3_64bits_withSeed(bytes, size, s->sum);
}

static void see(struct seen *s, const struct trace *t, struct trace_reader *r, const struct trace_event *e)
{
    const struct record *rec = &e->record;
    const struct trace_health *h = trace_health(t);
    uint64_t known[] = {
        e->time,
        e->tid,
        e->part,
        rec->kind,
        trace_reader_done(r),
        h->damaged_chunks,
        h->bad_records,
        trace_ns(t, 5e6),
        trace_end_time(t),
        trace_node_count(t),
        trace_string_count(t),
    };
    unsigned fields = rec->kind == RECORD_ALLOC ? 5 : rec->kind == RECORD_FREE ? 2 : record_shape(rec->kind).fields;
    add(s, known, sizeof known);
    add(s, rec->field, fields * sizeof *rec->field);
    add(s, rec->text, rec->text_size);
    s->events++;
}

/* Reads up to `most` events; with looking ahead at every event, or without. */
static struct seen read_with(enum trace_decoding decoding, uint64_t most, bool looks)
{
    struct error e;
    struct trace *t;
    struct seen s = { .events = 0 };
    assert_true(trace_open(path, &t, &e));
    struct trace_reader *r = trace_reader_with(t, decoding);
    for (const struct trace_event *event; s.events < most && (event = trace_reader_next(r));) {
        while (looks && trace_reader_soon(r))
            ;
        see(&s, t, r, event);
    }
    s.done = trace_reader_done(r);
    s.health = *trace_health(t);
    trace_reader_free(r);
    trace_close(t);
    return s;
}

static void a_thread_that_decodes_ahead_changes_nothing(void **state)
{
    (void)state;
    make_trace();
    struct seen alone = read_with(TRACE_DECODE_INLINE, UINT64_MAX, false);
    struct seen helped = read_with(TRACE_DECODE_AHEAD, UINT64_MAX, true);
    assert_true(alone.events > 10000);
    assert_true(alone.health.damaged_chunks > 5 && alone.health.bad_records > 3);
    assert_int_equal(alone.events, helped.events);
    assert_true(alone.sum == helped.sum);
    assert_int_equal(alone.done, helped.done);
    assert_memory_equal(&alone.health, &helped.health, sizeof alone.health);
}

static void reading_may_end_at_any_event(void **state)
{
    (void)state;
    make_trace();
    for (uint64_t most = 0; most < 3000; most += 271) {
        struct seen alone = read_with(TRACE_DECODE_INLINE, most, true),
                    helped = read_with(TRACE_DECODE_AHEAD, most, false);
        assert_int_equal(alone.events, most);
        assert_true(alone.sum == helped.sum && helped.events == most);
    }
}

static void a_trace_without_chunks_has_no_events(void **state)
{
    (void)state;
    builder_begin(&b, 7);
    builder_write(&b, path);
    assert_int_equal(read_with(TRACE_DECODE_AHEAD, UINT64_MAX, true).events, 0);
    assert_int_equal(read_with(TRACE_DECODE_INLINE, UINT64_MAX, true).events, 0);
}

static void what_comes_soon_is_shown_once_and_then_comes(void **state)
{
    struct error e;
    struct trace *t;
    uint64_t shown = 0, came = 0, allocs_shown = 0, allocs_came = 0;
    (void)state;
    make_trace();
    assert_true(trace_open(path, &t, &e));
    struct trace_reader *r = trace_reader_with(t, TRACE_DECODE_INLINE);
    for (const struct trace_event *event; (event = trace_reader_next(r));) {
        came++;
        allocs_came += event->record.kind == RECORD_ALLOC ? event->record.alloc.address : 0;
        for (const struct trace_event *soon; (soon = trace_reader_soon(r)); shown++)
            allocs_shown += soon->record.kind == RECORD_ALLOC ? soon->record.alloc.address : 0;
    }
    assert_true(shown > came / 2 && shown < came);
    assert_true(allocs_shown <= allocs_came && allocs_shown > allocs_came / 2);
    trace_reader_free(r);
    trace_close(t);
}

#define test(name) cmocka_unit_test_teardown(name, builder_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(a_thread_that_decodes_ahead_changes_nothing),
        test(reading_may_end_at_any_event),
        test(a_trace_without_chunks_has_no_events),
        test(what_comes_soon_is_shown_once_and_then_comes),
    };
    return unit_main(tests);
}
