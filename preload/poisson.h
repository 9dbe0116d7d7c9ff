/*
 * poisson.h: which allocations are recorded when only a sample is: points fall on the bytes that a thread allocates, as
 * a Poisson process, and a block is chosen if a point falls on it. So a block of s bytes is chosen with the probability
 * 1 - exp(-s / mean), whatever came before it, and the analyzer can weigh it by the inverse.
 *
 * Each thread counts down the bytes to its next point. The distance is drawn from the exponential distribution and
 * rounded up, which makes that probability exact for whole bytes.
 */
#ifndef PRELOAD_POISSON_H
#define PRELOAD_POISSON_H

#include "sys.h"

struct poisson {
    int64_t left;   /* bytes to the next point; 0 or less: the point is reached, or the thread is new */
    uint64_t state; /* of the generator; 0: the thread is new */
};

/* The calling thread's. */
extern __thread struct poisson poisson_self __attribute__((tls_model("initial-exec"), visibility("hidden")));

/* Bytes between two points, on average; not 0 while there is sampling. Set once, before there are threads. */
extern HIDDEN uint64_t poisson_mean;

/* Hot path: counts a block; true if that reaches the point, or the thread is new. A block of 0 bytes counts as one. */
static inline bool poisson_count(size_t size)
{
    poisson_self.left -= (int64_t)(size + !size);
    return unlikely(poisson_self.left <= 0);
}

/* Gives a new thread its generator and its first distance; false if it is not new. */
bool poisson_begin(void);

/* The next distance, from the point that has been reached. */
void poisson_advance(void);

/* In a forked child: it shall not go on with the parent's numbers. */
void poisson_forget(void);

/* A distance with this mean: 1 or more, exponentially distributed. *state is not 0. mean: up to 2^32. */
int64_t poisson_draw(uint64_t *state, uint64_t mean);

#endif
