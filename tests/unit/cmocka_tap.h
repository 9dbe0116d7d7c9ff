/* cmocka_tap.h: what every unit test begins with. */
#ifndef TESTS_CMOCKA_TAP_H
#define TESTS_CMOCKA_TAP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

/* Runs the tests and prints them in TAP form, as tests/run reads it. */
#define unit_main(tests) (setenv("CMOCKA_MESSAGE_OUTPUT", "TAP", 1), cmocka_run_group_tests(tests, NULL, NULL))

#endif
