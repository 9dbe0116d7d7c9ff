/*
 * stripped.c: functions without a name between functions with one. When the library has been stripped, only the
 * exported ones are named; `sizeless` is exported, but does not say how long it is, as assembly often does.
 */
#include <stdlib.h>

typedef void *allocate(size_t);

void *volatile stripped_block;

#define FRAME __attribute__((noinline, noclone))
#define AFTER_CALL __asm__ volatile("" ::: "memory")

FRAME void first_exported(size_t size)
{
    stripped_block = malloc(size);
    AFTER_CALL;
}

static FRAME void hidden_after_first(size_t size)
{
    stripped_block = malloc(size);
    AFTER_CALL;
}

FRAME void second_exported(size_t size)
{
    hidden_after_first(size);
    AFTER_CALL;
}

__asm__(".globl sizeless\n"
        ".type sizeless, @function\n"
        "sizeless: ret\n");

static FRAME void hidden_after_sizeless(size_t size)
{
    stripped_block = malloc(size);
    AFTER_CALL;
}

FRAME void third_exported(size_t size)
{
    hidden_after_sizeless(size);
    AFTER_CALL;
}
