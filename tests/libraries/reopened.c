/*
 * reopened.c: a few frames of a library that comes and goes. Built twice, with different FRAME_SIZE, the code lies at
 * the same places but the frames do not.
 */
#ifndef FRAME_SIZE
#define FRAME_SIZE 40
#endif

static __attribute__((noinline, noclone)) int descend(void (*call)(void), int depth)
{
    volatile char local[FRAME_SIZE];
    local[depth] = (char)depth;
    if (depth > 0)
        descend(call, depth - 1);
    call();
    return local[depth];
}

void reopened_call(void (*call)(void), int depth)
{
    volatile int sum = descend(call, depth);
    (void)sum;
}
