/* Which bound of a cache is in force. */
#include "unit/cmocka_tap.h"

#include <string.h>

#include "attribute/bounds.h"

static struct bound bound_of(const char *component, const char *settings, const char *const *argv)
{
    struct trace_info info = { .name = "llama-server", .settings = settings, .argv = argv };
    struct bound b = { .source = NULL };
    while (argv[info.argc])
        info.argc++;
    if (!bounds_find(&info, component, &b))
        b.source = NULL;
    return b;
}

static const char *const bare[] = { "llama-server", NULL };

static void a_bound_is_the_default_where_nothing_is_said(void **state)
{
    struct bound b = bound_of("prompt-cache", "", bare);
    (void)state;
    assert_string_equal(b.source, "default");
    assert_true(b.bytes == (uint64_t)8 << 30);
    b = bound_of("checkpoints", "", bare);
    assert_true(b.pieces == 32 && b.bytes == 0);
    assert_null(bound_of("weights", "", bare).source);
}

static void a_bound_comes_by_the_environment(void **state)
{
    struct bound b = bound_of("prompt-cache", "MALLOC_ARENA_MAX=2\0LLAMA_ARG_CACHE_RAM=512\0", bare);
    (void)state;
    assert_string_equal(b.source, "LLAMA_ARG_CACHE_RAM");
    assert_true(b.bytes == 512u << 20);
}

static void the_command_line_goes_before_the_environment(void **state)
{
    const char *const argv[] = { "llama-server", "-cram", "256", NULL };
    struct bound b = bound_of("prompt-cache", "LLAMA_ARG_CACHE_RAM=-1\0", argv);
    (void)state;
    assert_string_equal(b.source, "-cram");
    assert_true(b.bytes == 256u << 20);
}

static void no_limit_is_no_bound(void **state)
{
    (void)state;
    assert_null(bound_of("prompt-cache", "LLAMA_ARG_CACHE_RAM=-1\0", bare).source);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bound_is_the_default_where_nothing_is_said),
        cmocka_unit_test(a_bound_comes_by_the_environment),
        cmocka_unit_test(the_command_line_goes_before_the_environment),
        cmocka_unit_test(no_limit_is_no_bound),
    };
    return unit_main(tests);
}
