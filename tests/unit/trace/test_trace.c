/* Reading traces that are damaged, cut off, doubled, or from another version. */
#include "unit/cmocka_tap.h"
#include "unit/trace_builder.h"

#include "trace/trace.h"

static struct builder b;
static const char path[] = "/tmp/memtap-trace-test.mtap";

static void make_chunks(unsigned chunks)
{
    builder_begin(&b, 7);
    for (unsigned c = 0; c < chunks; c++) {
        builder_chunk(&b, c % 2, 7 + c % 2, 1000 + c * 100);
        for (unsigned i = 0; i < 50; i++)
            builder_alloc(&b, 1000 + c * 100 + i, 0x1000 + (c * 50 + i) * 16, 16);
        builder_end_chunk(&b);
    }
}

struct found {
    uint64_t events, last_time;
    struct trace_health health;
    bool in_order;
};

static struct found read_all(void)
{
    struct error e;
    struct trace *t;
    struct found f = { .in_order = true };
    assert_true(trace_open(path, &t, &e));
    struct trace_reader *r = trace_reader_new(t);
    for (const struct trace_event *event; (event = trace_reader_next(r));) {
        f.in_order &= event->time >= f.last_time;
        f.last_time = event->time;
        f.events++;
    }
    trace_reader_free(r);
    f.health = *trace_health(t);
    trace_close(t);
    return f;
}

static void streams_are_merged_in_the_order_of_time(void **state)
{
    (void)state;
    make_chunks(6);
    builder_write(&b, path);
    struct found f = read_all();
    assert_int_equal(f.events, 300);
    assert_true(f.in_order);
    assert_int_equal(f.health.damaged_chunks + f.health.missing_chunks, 0);
}

static void a_flipped_bit_costs_one_chunk_and_is_counted(void **state)
{
    (void)state;
    make_chunks(6);
    b.log[sizeof(struct trace_chunk) + 20] ^= 4;
    builder_write(&b, path);
    struct found f = read_all();
    assert_int_equal(f.events, 250);
    assert_int_equal(f.health.damaged_chunks, 1);
}

static void an_overwritten_chunk_head_is_skipped_over(void **state)
{
    (void)state;
    make_chunks(6);
    memset(b.log + 512, 0x55, 64);
    builder_write(&b, path);
    struct found f = read_all();
    assert_int_equal(f.events % 50, 0);
    assert_true(f.events < 300 && f.events >= 200);
    assert_true(f.health.damaged_chunks + f.health.missing_chunks > 0);
}

static void a_file_that_was_cut_off_gives_what_is_left(void **state)
{
    (void)state;
    make_chunks(6);
    builder_write(&b, path);
    assert_int_equal(truncate(path, TRACE_HEADER_SIZE + (off_t)b.log_size - 700), 0);
    struct found f = read_all();
    assert_int_equal(f.events, 250);
    assert_true(f.health.missing_chunks == 1);
    for (off_t size = 0; size < TRACE_HEADER_SIZE; size += 1777) {
        struct error e;
        struct trace *t;
        assert_int_equal(truncate(path, size), 0);
        if (trace_open(path, &t, &e))
            trace_close(t);
        else
            assert_true(e.code == EXIT_DAMAGED && e.text[0]);
    }
}

static void a_chunk_that_is_there_twice_counts_once(void **state)
{
    (void)state;
    make_chunks(3);
    memcpy(b.log + b.log_size, b.log, 512); /* the first chunk again */
    size_t first = (sizeof(struct trace_chunk) + ((struct trace_chunk *)b.log)->stored + 511) & ~(size_t)511;
    memcpy(b.log + b.log_size, b.log, first);
    b.log_size += first;
    builder_write(&b, path);
    assert_int_equal(read_all().events, 150);
}

static void a_newer_major_version_is_refused_with_a_sentence(void **state)
{
    struct error e;
    struct trace *t;
    (void)state;
    make_chunks(1);
    b.header.identity.major = TRACE_MAJOR + 1;
    builder_write(&b, path);
    assert_false(trace_open(path, &t, &e));
    assert_int_equal(e.code, EXIT_DAMAGED);
    assert_non_null(strstr(e.text, "use a newer one"));
}

static void definitions_that_make_no_sense_are_refused(void **state)
{
    struct record_node cycle = { .id = 5, .parent = 5, .module = 1 }, huge = { .id = 1ull << 40 };
    struct record_module overlong = { .time = 1000, .id = 3, .build_id_size = 4000000000u };
    (void)state;
    builder_begin(&b, 7);
    builder_chunk(&b, 0, 7, 1000);
    builder_put(&b, RECORD_NODE, &cycle, "");
    builder_put(&b, RECORD_NODE, &huge, "");
    builder_put(&b, RECORD_MODULE, &overlong, "path");
    builder_end_chunk(&b);
    builder_write(&b, path);
    assert_int_equal(read_all().health.bad_records, 3);
}

static void what_is_no_trace_is_refused(void **state)
{
    struct error e;
    struct session s;
    (void)state;
    assert_false(session_open("/tmp/memtap-there-is-no-such-session", &s, &e));
    assert_int_equal(e.code, EXIT_TROUBLE);
    assert_false(session_open("/etc/passwd", &s, &e));
    assert_int_equal(e.code, EXIT_DAMAGED);
    assert_false(session_open("/etc", &s, &e));
    assert_int_equal(e.code, EXIT_DAMAGED);
}

#define test(name) cmocka_unit_test_teardown(name, builder_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(streams_are_merged_in_the_order_of_time),    test(a_flipped_bit_costs_one_chunk_and_is_counted),
        test(an_overwritten_chunk_head_is_skipped_over),  test(a_file_that_was_cut_off_gives_what_is_left),
        test(a_chunk_that_is_there_twice_counts_once),    test(a_newer_major_version_is_refused_with_a_sentence),
        test(definitions_that_make_no_sense_are_refused), test(what_is_no_trace_is_refused),
    };
    return unit_main(tests);
}
