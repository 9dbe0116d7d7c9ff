/* The MEMTAP_* variables. */
#include "unit/cmocka_tap.h"

#include <string.h>

#include "config.h"
#include "settings.h"

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

static void settings_that_bound_memory_are_kept_and_nothing_else(void **state)
{
    const char *env[] = { "LLAMA_API_KEY=secret", "LLAMA_ARG_CACHE_RAM=512", "LLAMA_ARG_CACHE_RAM_X=1",
                          "HOME=/root",           "MALLOC_ARENA_MAX=2",      NULL };
    char kept[64] = { 0 };
    (void)state;
    settings_keep((char **)env, kept, sizeof kept);
    assert_memory_equal(kept, "LLAMA_ARG_CACHE_RAM=512\0MALLOC_ARENA_MAX=2\0", 43);
}

static void settings_that_do_not_fit_are_left_out(void **state)
{
    const char *env[] = { "LLAMA_ARG_CACHE_RAM=51200000000", "MALLOC_ARENA_MAX=2", NULL };
    char kept[20] = { 0 };
    (void)state;
    settings_keep((char **)env, kept, sizeof kept);
    assert_string_equal(kept, "MALLOC_ARENA_MAX=2");
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
        cmocka_unit_test(settings_that_bound_memory_are_kept_and_nothing_else),
        cmocka_unit_test(settings_that_do_not_fit_are_left_out),
        cmocka_unit_test(a_sample_is_a_size_up_to_4_gib),
    };
    return unit_main(tests);
}
