/* The coding of records: what is encoded comes back, and damaged bytes never make the decoder run over its end. */
#include "unit/cmocka_tap.h"

#include <memtap/record.h>
#include <string.h>

static uint64_t seed = 88172645463325252ull;

static uint64_t random64(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    return seed ^= seed << 17;
}

/* Numbers of every magnitude, and small ones often. */
static uint64_t any_number(void)
{
    return random64() >> random64() % 64;
}

static uint64_t any_address(void)
{
    static uint64_t recent[32];
    uint64_t *slot = &recent[random64() % 32];
    if (!*slot || random64() % 4 == 0)
        *slot = random64() % 8 ? 0x7f0000000000ull + any_number() % (1ull << 32) * 16
                               : random64() >> 4; /* user addresses have up to 57 bits */
    return *slot;
}

struct sample {
    enum record_kind kind;
    struct record record;
    char text[64];
    uint32_t size;
};

static const enum record_kind kinds[] = {
#define KIND(tag, NAME, name, timed) RECORD_##NAME,
    RECORD_KINDS(KIND)
#undef KIND
};

static uint64_t now;

static struct sample any_record(void)
{
    struct sample s = { .kind = random64() % 2 ? kinds[random64() % 3]
                                               : kinds[random64() % (sizeof kinds / sizeof *kinds)] };
    for (unsigned i = 0; i < 12; i++)
        s.record.field[i] = any_number();
    now += any_number() % (1ull << 40);
    if (record_shape((uint8_t)s.kind).timed)
        s.record.field[0] = now;
    if (s.kind == RECORD_ALLOC)
        s.record.alloc =
            (struct record_alloc){ now, any_address(), any_number() % 5000, random64() % 300, random64() % 5 };
    if (s.kind == RECORD_FREE)
        s.record.free.address = any_address();
    if (s.kind == RECORD_REALLOC)
        s.record.realloc = (struct record_realloc){ now,           any_number(),        any_address(),
                                                    any_address(), any_number() % 5000, random64() % 300,
                                                    random64() % 5 };
    if (s.kind & 0x80)
        s.size = (uint32_t)(random64() % sizeof s.text);
    for (uint32_t i = 0; i < s.size; i++)
        s.text[i] = (char)random64();
    return s;
}

static uint8_t *put(struct record_coder *c, uint8_t *p, const struct sample *s)
{
    switch (s->kind) {
    case RECORD_ALLOC:
        return record_put_alloc(c, p, &s->record.alloc);
    case RECORD_FREE:
        return record_put_free(c, p, &s->record.free);
    case RECORD_REALLOC:
        return record_put_realloc(c, p, &s->record.realloc);
    default:
        return record_put_plain(c, p, s->kind, s->record.field, s->text, s->size / 2, s->text + s->size / 2,
                                s->size - s->size / 2);
    }
}

#define RECORDS 20000
static struct sample samples[RECORDS];
static uint8_t bytes[RECORDS * 256];

static size_t encode_all(void)
{
    static struct record_coder coder;
    uint8_t *p = bytes;
    now = 1000;
    record_coder_begin(&coder, now);
    for (unsigned i = 0; i < RECORDS; i++) {
        samples[i] = any_record();
        uint8_t *end = put(&coder, p, &samples[i]);
        assert_true((size_t)(end - p) <=
                    (samples[i].kind & 0x80 ? RECORD_PLAIN_MAX + samples[i].size : RECORD_HOT_MAX));
        p = end;
    }
    return (size_t)(p - bytes);
}

static void every_record_comes_back_as_it_was_written(void **state)
{
    static struct record_coder coder;
    size_t size = encode_all();
    const uint8_t *p = bytes;
    (void)state;
    record_coder_begin(&coder, 1000);
    for (unsigned i = 0; i < RECORDS; i++) {
        struct record r;
        p = record_get(&coder, p, bytes + size, &r);
        assert_non_null(p);
        assert_int_equal(r.kind, samples[i].kind);
        for (unsigned f = 0; f < record_shape((uint8_t)r.kind).fields; f++)
            assert_true(r.field[f] == samples[i].record.field[f]);
        assert_int_equal(r.text_size, samples[i].size);
        assert_memory_equal(r.text, samples[i].text, r.text_size);
    }
    assert_ptr_equal(p, bytes + size);
}

static void churn_takes_few_bytes(void **state)
{
    static struct record_coder coder;
    uint8_t *p = bytes;
    (void)state;
    now = 0;
    record_coder_begin(&coder, now);
    for (unsigned i = 0; i < 10000; i++) {
        uint64_t address = 0x555500001000ull + i % 7 * 64;
        p = record_put_alloc(&coder, p, &(struct record_alloc){ now += 40, address, 48, 1000 + i % 7, 1 });
        p = record_put_free(&coder, p, &(struct record_free){ now += 30, address });
    }
    assert_true(p - bytes <= 10000 * (4 + 3) + 200);
}

/* Bytes are cut off at every place, and flipped: decoding ends, and never reads beyond the end. */
static void damaged_bytes_are_refused_or_decoded_within_bounds(void **state)
{
    static struct record_coder coder;
    size_t size = encode_all();
    (void)state;
    for (unsigned trial = 0; trial < 3000; trial++) {
        size_t start = random64() % (size / 2), length = random64() % 300;
        uint8_t *copy = malloc(length ? length : 1); /* exactly as long as what may be read */
        const uint8_t *p = copy, *end = copy + length;
        memcpy(copy, bytes + start, length);
        for (unsigned flips = random64() % 4; flips-- > 0 && length;)
            copy[random64() % length] ^= (uint8_t)(1 << random64() % 8);
        record_coder_begin(&coder, 0);
        for (struct record r; p && p < end;) {
            const uint8_t *next = record_get(&coder, p, end, &r);
            assert_true(!next || (next > p && next <= end));
            assert_true(!next || (r.text >= copy && r.text + r.text_size <= end));
            p = next;
        }
        free(copy);
    }
}

static void unknown_kinds_are_skipped_by_their_length(void **state)
{
    static struct record_coder coder;
    struct record r;
    const uint8_t unknown[] = { 0xfe, 3, 'a', 'b', 'c', RECORD_FREE, 5, 4 };
    (void)state;
    record_coder_begin(&coder, 0);
    const uint8_t *p = record_get(&coder, unknown, unknown + sizeof unknown, &r);
    assert_ptr_equal(p, unknown + 5);
    assert_int_equal(r.kind, 0xfe);
    assert_int_equal(r.text_size, 3);
    assert_non_null(record_get(&coder, p, unknown + sizeof unknown, &r));
    assert_int_equal(r.kind, RECORD_FREE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_record_comes_back_as_it_was_written),
        cmocka_unit_test(churn_takes_few_bytes),
        cmocka_unit_test(damaged_bytes_are_refused_or_decoded_within_bounds),
        cmocka_unit_test(unknown_kinds_are_skipped_by_their_length),
    };
    return unit_main(tests);
}
