/*
 * coarse.h: the kernel's coarse clock, which moves on by 1 to 10 ms, for the price of two loads.
 *
 * The kernel keeps its clocks in a page that every process can read, right below the vDSO (Linux: include/vdso/
 * datapage.h, struct vdso_timestamp: 64-bit seconds and nanoseconds). Where in that page is the kernel's own affair and
 * has changed over the years; so the place of CLOCK_MONOTONIC_COARSE is found by its value, is believed once it has
 * moved on together with the clock, and is compared with the clock again at every full chunk. Where it is not found (a
 * time namespace, another kernel) the tap works without.
 */
#ifndef PRELOAD_COARSE_H
#define PRELOAD_COARSE_H

#include "sys.h"

/* Inside coarse.*: seconds and nanoseconds. */
extern HIDDEN const volatile uint64_t *coarse_clock;

#define COARSE_UNKNOWN 1u

/* A number that differs from the one before when the clock has moved on, never 0; COARSE_UNKNOWN: it is not known. */
static inline uint64_t coarse_tick(void)
{
    const volatile uint64_t *clock = __atomic_load_n(&coarse_clock, __ATOMIC_ACQUIRE);
    return clock[1] + (clock[0] << 30);
}

/* Looks for it. `envp`: as the kernel put it on the stack, with the auxiliary vector behind. */
void coarse_start(char *const *envp);

/* Where it is not believed yet: whether it can be by now. */
void coarse_try(void);

/* Where it is: whether it still may be. */
void coarse_check(void);

#endif
