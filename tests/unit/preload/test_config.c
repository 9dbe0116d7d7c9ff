/* The MEMTAP_* variables. */
#include "unit/cmocka_tap.h"

#include <string.h>

#include "config.h"

static void sizes_take_units(void **state)
{
    const char *env[] = { "PATH=/bin", "MEMTAP_LIMIT=512M", "MEMTAP_OUTPUT=/x/%p", NULL };
    const struct config *c = config_read((char **)env);
    (void)state;
    assert_int_equal(c->limit, 512u << 20);
    assert_string_equal(c->output, "/x/%p");
    assert_true(c->follow);
    assert_string_equal(c->warnings, "");
}

static void bad_and_unknown_settings_become_warnings(void **state)
{
    const char *env[] = { "MEMTAP_LIMIT=lots", "MEMTAP_FOLLOW=maybe", "MEMTAP_COLOUR=red", "TMPDIR=relative", NULL };
    const struct config *c = config_read((char **)env);
    (void)state;
    assert_true(c->limit == (uint64_t)4 << 30);
    assert_true(c->follow);
    assert_non_null(strstr(c->warnings, "MEMTAP_LIMIT=lots: not a size"));
    assert_non_null(strstr(c->warnings, "MEMTAP_FOLLOW=maybe: neither 0 nor 1"));
    assert_non_null(strstr(c->warnings, "MEMTAP_COLOUR=red: no such setting"));
    assert_string_equal(c->temporary, "/tmp");
}

static void sizes_that_do_not_fit_are_refused(void **state)
{
    const char *env[] = { "MEMTAP_LIMIT=99999999T", NULL };
    (void)state;
    assert_non_null(strstr(config_read((char **)env)->warnings, "not a size"));
}

static void a_sample_is_a_size_up_to_4_gib(void **state)
{
    const char *good[] = { "MEMTAP_SAMPLE=512K", NULL }, *largest[] = { "MEMTAP_SAMPLE=4G", NULL };
    const char *large[] = { "MEMTAP_SAMPLE=4294967297", NULL }, *bad[] = { "MEMTAP_SAMPLE=often", NULL };
    (void)state;
    assert_int_equal(config_read((char **)good)->sample, 512 << 10);
    assert_true(config_read((char **)largest)->sample == (uint64_t)4 << 30);
    assert_int_equal(config_read((char **)large)->sample, 0);
    assert_non_null(strstr(config_read((char **)large)->warnings, "MEMTAP_SAMPLE=4294967297: not a size"));
    assert_int_equal(config_read((char **)bad)->sample, 0);
    assert_non_null(strstr(config_read((char **)bad)->warnings, "MEMTAP_SAMPLE=often: not a size"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_take_units),
        cmocka_unit_test(bad_and_unknown_settings_become_warnings),
        cmocka_unit_test(sizes_that_do_not_fit_are_refused),
        cmocka_unit_test(a_sample_is_a_size_up_to_4_gib),
    };
    return unit_main(tests);
}
