/* poisson.c: see poisson.h. */
#include "poisson.h"

#include <time.h>

#define LN_2 0.693147180559945309417

__thread struct poisson poisson_self __attribute__((tls_model("initial-exec")));

uint64_t poisson_mean;

/* xorshift64* (S. Vigna, An experimental exploration of Marsaglia's xorshift generators, scrambled, 2016). */
static uint64_t next_random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545f4914f6cdd1dull;
}

/* Spreads a seed over all bits (the finalizer of splitmix64). */
static uint64_t spread(uint64_t seed)
{
    seed = (seed ^ seed >> 30) * 0xbf58476d1ce4e5b9ull;
    seed = (seed ^ seed >> 27) * 0x94d049bb133111ebull;
    return seed ^ seed >> 31;
}

/* ln(m) for m from 1 to 2: twice the series of artanh((m - 1) / (m + 1)), whose terms shrink ninefold or more. */
static double logarithm(double m)
{
    double z = (m - 1) / (m + 1), power = z, sum = 0;
    for (int k = 1; k < 32; k += 2) {
        sum += power / k;
        power *= z * z;
    }
    return 2 * sum;
}

/* -ln(u) * mean, with u = random / 2^64 = m / 2^(zeros + 1). */
int64_t poisson_draw(uint64_t *state, uint64_t mean)
{
    uint64_t random = next_random(state); /* never 0, as the state is not */
    int zeros = __builtin_clzll(random);
    double m = (double)(random << zeros) * 0x1p-63;
    double distance = ((zeros + 1) * LN_2 - logarithm(m)) * (double)mean;
    int64_t whole = (int64_t)distance;
    return whole + (whole < distance || whole == 0);
}

bool poisson_begin(void)
{
    struct poisson *p = &poisson_self;
    if (p->state)
        return false;
    uint64_t seed = spread((uint64_t)sys_tid() << 32 ^ (uint64_t)sys_pid()) ^ spread(sys_clock_ns(CLOCK_MONOTONIC)) ^
                    spread((uintptr_t)p ^ arch_ticks());
    p->state = spread(seed) | 1;
    p->left = poisson_draw(&p->state, poisson_mean);
    return true;
}

void poisson_advance(void)
{
    poisson_self.left = poisson_draw(&poisson_self.state, poisson_mean);
}

void poisson_forget(void)
{
    poisson_self = (struct poisson){ 0, 0 };
}
