/* estimates.c: what the blocks of a sample stand for. See heap.h. */
#include <math.h>

#include "heap/inside.h"

/* Weights are whole multiples of these parts, so that sums do not depend on their order, and what is freed takes away
 * exactly what it brought. */
#define PARTS_OF_BLOCK 65536.0
#define PARTS_OF_SPREAD 1048576.0

static double in_parts(double value, double parts)
{
    return round(value * parts) / parts;
}

struct heap_weight heap_whole(uint64_t size)
{
    return (struct heap_weight){ .blocks = 1, .bytes = size };
}

struct heap_weight heap_weigh(uint64_t mean, uint64_t size)
{
    if (size >= mean)
        return heap_whole(size);
    double x = (double)(size ? size : 1) / (double)mean, chosen = -expm1(-x);
    double spread = size ? (x / chosen) * (x / chosen) * exp(-x) : 0;
    return (struct heap_weight){ .blocks = in_parts(1 / chosen, PARTS_OF_BLOCK),
                                 .bytes = (uint64_t)llround((double)size / chosen),
                                 .spread = in_parts(spread, PARTS_OF_SPREAD) };
}

uint64_t heap_sample_mean(const struct heap *h)
{
    return h->mean;
}

double heap_variance(const struct heap *h, double spread)
{
    return spread * (double)h->mean * (double)h->mean;
}
