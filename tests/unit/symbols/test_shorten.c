/* Names shortened for people. */
#include "unit/cmocka_tap.h"

#include "symbols/symbols.h"

static const char *shorten(const char *name)
{
    static char text[200];
    return symbols_shorten(name, text, sizeof text);
}

static void template_arguments_are_left_out(void **state)
{
    (void)state;
    assert_string_equal(shorten("std::vector<int, std::allocator<int> >::reserve"), "std::vector<...>::reserve");
    assert_string_equal(shorten("plain"), "plain");
    assert_string_equal(shorten("f<a>::g<b<c>>"), "f<...>::g<...>");
}

static void operators_keep_their_signs(void **state)
{
    (void)state;
    assert_string_equal(shorten("X::operator<"), "X::operator<");
    assert_string_equal(shorten("X::operator<<"), "X::operator<<");
    assert_string_equal(shorten("X::operator->"), "X::operator->");
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(template_arguments_are_left_out),
                                        cmocka_unit_test(operators_keep_their_signs) };
    return unit_main(tests);
}
