/*
 * latency.c: how long single calls of malloc and free take.
 *
 *   latency CALLS
 *
 * Makes CALLS calls of each at 15 frames or so, at every 64th step on another stack, and looks at the clock around each.
 * Prints nanoseconds, the clock's own share taken off: the median, the 99th, 99.9th and 99.99th percentile, and the
 * longest but for those during which the kernel says that it took the processor away.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define FRAME __attribute__((noinline, noclone))
#define KEEP(pointer) __asm__ volatile("" : : "r"(pointer) : "memory")
#define BLOCKS 64u
#define LONGEST 1000000u /* ns; all above count as that */

static uint32_t histogram[LONGEST + 1];
static uint64_t longest;

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static long switches(void)
{
    struct rusage u;
    getrusage(RUSAGE_THREAD, &u);
    return u.ru_nivcsw;
}

static void count(uint64_t ns)
{
    static long switches_before;
    histogram[ns < LONGEST ? ns : LONGEST]++;
    if (ns <= longest)
        return;
    long switches_now = switches();
    if (switches_now == switches_before)
        longest = ns;
    switches_before = switches_now;
}

static FRAME void calls(uint32_t random)
{
    void *block[BLOCKS];
    for (uint32_t i = 0; i < BLOCKS; i++) {
        size_t size = 16 + (random + i * 2654435761u) % 500;
        uint64_t before = now_ns();
        block[i] = malloc(size);
        count(now_ns() - before);
        KEEP(block[i]);
    }
    for (uint32_t i = 0; i < BLOCKS; i++) {
        uint64_t before = now_ns();
        free(block[i]);
        count(now_ns() - before);
    }
}

#define DESCENT(name, bytes) static FRAME void name(int frames, uint32_t random);
#define WAYS(W) W(small, 8) W(middle, 72) W(large, 400) W(huge, 2000)
WAYS(DESCENT)
#undef DESCENT

static inline __attribute__((always_inline)) void descend(int frames, uint32_t random)
{
    static void (*const way[])(int, uint32_t) = { small, middle, large, huge };
    if (frames > 0)
        way[random >> (2 * frames) & 3](frames - 1, random);
    else
        calls(random);
    KEEP(&random);
}

#define DESCENT(name, bytes)                                                                                           \
    static FRAME void name(int frames, uint32_t random)                                                                \
    {                                                                                                                  \
        char local[bytes];                                                                                             \
        KEEP(local);                                                                                                   \
        descend(frames, random);                                                                                       \
        KEEP(local);                                                                                                   \
    }
WAYS(DESCENT)

static uint64_t quantile(uint64_t total, double share)
{
    uint64_t seen = 0, wanted = (uint64_t)((double)total * share);
    for (uint32_t ns = 0; ns < LONGEST; ns++)
        if ((seen += histogram[ns]) > wanted)
            return ns;
    return LONGEST;
}

int main(int argc, char **argv)
{
    uint64_t wanted = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000, total = 0, clock_ns = UINT64_MAX;
    uint32_t random = 1;
    for (int i = 0; i < 1000; i++) {
        uint64_t before = now_ns(), ns = now_ns() - before;
        clock_ns = ns < clock_ns ? ns : clock_ns;
    }
    count(0);
    for (bool begun = false; total < 2 * wanted; total += begun ? 2ull * BLOCKS : 0) {
        random = random * 1664525u + 1013904223u;
        descend(13, (random >> 8 & 63) * 0x9e3779b1u);
        if (!begun && random >> 26 == 0) { /* beginnings are another matter */
            memset(histogram, 0, sizeof histogram);
            longest = 0;
            begun = true;
        }
    }
    static const double shares[] = { 0.5, 0.99, 0.999, 0.9999 };
    for (unsigned i = 0; i < 4; i++) {
        uint64_t ns = quantile(total, shares[i]);
        printf("%llu ", (unsigned long long)(ns > clock_ns ? ns - clock_ns : 0));
    }
    printf("%llu\n", (unsigned long long)(longest - clock_ns));
    return 0;
}
