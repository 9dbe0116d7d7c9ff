/* Numbers as people read them. */
#include "unit/cmocka_tap.h"

#include "base/units.h"

static void bytes_get_a_unit_and_three_digits(void **state)
{
    char t[UNITS_TEXT];
    (void)state;
    assert_string_equal(units_bytes(t, 0), "0 B");
    assert_string_equal(units_bytes(t, 1023), "1023 B");
    assert_string_equal(units_bytes(t, 1024), "1.0 KiB");
    assert_string_equal(units_bytes(t, 1536), "1.5 KiB");
    assert_string_equal(units_bytes(t, 104857600), "100 MiB");
    assert_string_equal(units_bytes(t, 14388117504ull), "13.4 GiB");
    assert_string_equal(units_bytes(t, UINT64_MAX), "16.0 EiB");
}

static void changes_have_a_sign(void **state)
{
    char t[UNITS_TEXT];
    (void)state;
    assert_string_equal(units_change(t, 1536), "+1.5 KiB");
    assert_string_equal(units_change(t, -3), "-3 B");
}

static void counts_have_separators(void **state)
{
    char t[UNITS_TEXT];
    (void)state;
    assert_string_equal(units_count(t, 7), "7");
    assert_string_equal(units_count(t, 1234), "1,234");
    assert_string_equal(units_count(t, 123456789), "123,456,789");
}

static void durations_use_fitting_units(void **state)
{
    char t[UNITS_TEXT];
    (void)state;
    assert_string_equal(units_duration(t, 350000000), "350 ms");
    assert_string_equal(units_duration(t, 2500000000ull), "2.5 s");
    assert_string_equal(units_duration(t, 372000000000ull), "6 min 12 s");
    assert_string_equal(units_duration(t, 7380000000000ull), "2 h 3 min");
}

static void sizes_are_parsed_or_refused(void **state)
{
    uint64_t n;
    (void)state;
    assert_true(units_parse_size("512M", &n) && n == 512u << 20);
    assert_true(units_parse_size("7", &n) && n == 7);
    assert_false(units_parse_size("", &n));
    assert_false(units_parse_size("-1", &n));
    assert_false(units_parse_size("5X", &n));
    assert_false(units_parse_size("99999999999T", &n));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_get_a_unit_and_three_digits),
        cmocka_unit_test(changes_have_a_sign),
        cmocka_unit_test(counts_have_separators),
        cmocka_unit_test(durations_use_fitting_units),
        cmocka_unit_test(sizes_are_parsed_or_refused),
    };
    return unit_main(tests);
}
