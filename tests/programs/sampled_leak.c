/*
 * sampled_leak.c: 100 requests, each of which leaks 64 blocks of 1,009 bytes (6.2 MiB in all), makes a thousand that it
 * frees again, and keeps nothing of them; 2 MiB of cache are made before the first.
 */
#include <stdint.h>
#include <stdlib.h>

#include <memtap/memtap.h>

#define FRAME __attribute__((noinline, noclone))
#define KEEP(pointer) __asm__ volatile("" : : "r"(pointer) : "memory")

static FRAME void *at_leak(void)
{
    void *block = malloc(1009);
    KEEP(block);
    return block;
}

static FRAME void *at_cache(void)
{
    void *block = malloc(2057);
    KEEP(block);
    return block;
}

static FRAME void *at_churn(void)
{
    void *block = malloc(505);
    KEEP(block);
    return block;
}

int main(void)
{
    void *churn[1000];
    for (int i = 0; i < 1024; i++)
        at_cache();
    for (uint64_t request = 1; request <= 100; request++) {
        memtap_request_begin(request);
        for (int i = 0; i < 64; i++)
            at_leak();
        for (int i = 0; i < 1000; i++)
            churn[i] = at_churn();
        for (int i = 0; i < 1000; i++)
            free(churn[i]);
        memtap_request_end(request, 0);
    }
    return 0;
}
