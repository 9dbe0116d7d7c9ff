/* coarse.c: see coarse.h. */
#include "coarse.h"

#include <elf.h>
#include <errno.h>
#include <time.h>

#define PAGE ((uintptr_t)4096)
#define FARTHEST ((uintptr_t)16) /* pages below the vDSO that are looked at */

static const volatile uint64_t unknown[2] = { 0, COARSE_UNKNOWN };
const volatile uint64_t *coarse_clock = unknown;

static struct {
    const volatile uint64_t *place; /* where it may be; NULL: nowhere */
    uint64_t first;                 /* its nanoseconds when it was found */
} candidate;

static bool agrees(const volatile uint64_t *place)
{
    struct timespec before, after;
    sys_clock(CLOCK_MONOTONIC_COARSE, &before);
    uint64_t seconds = place[0], nanoseconds = place[1];
    sys_clock(CLOCK_MONOTONIC_COARSE, &after);
    return before.tv_nsec != after.tv_nsec || /* it moved meanwhile: the next look will tell */
           (seconds == (uint64_t)before.tv_sec && nanoseconds == (uint64_t)before.tv_nsec);
}

static const volatile uint64_t *find_in_page(const volatile uint64_t *page)
{
    struct timespec now;
    sys_clock(CLOCK_MONOTONIC_COARSE, &now);
    for (unsigned i = 0; i + 1 < PAGE / sizeof *page; i++)
        if (page[i] == (uint64_t)now.tv_sec && page[i + 1] == (uint64_t)now.tv_nsec)
            return page + i;
    return NULL;
}

/* The address of the vDSO, getauxval(3); 0: there is none. */
static uintptr_t find_vdso(char *const *envp)
{
    while (*envp)
        envp++;
    for (const Elf64_auxv_t *aux = (const void *)(envp + 1); aux->a_type != AT_NULL; aux++)
        if (aux->a_type == AT_SYSINFO_EHDR)
            return (uintptr_t)aux->a_un.a_val;
    return 0;
}

void coarse_start(char *const *envp)
{
    uintptr_t vdso = find_vdso(envp);
    for (uintptr_t i = 1; vdso > FARTHEST * PAGE && i <= FARTHEST && !candidate.place; i++)
        if (sys_can_read((const void *)(vdso - i * PAGE)))
            candidate.place = find_in_page((const volatile uint64_t *)(vdso - i * PAGE));
    if (candidate.place)
        candidate.first = candidate.place[1];
}

void coarse_try(void)
{
    const volatile uint64_t *place = __atomic_load_n(&candidate.place, __ATOMIC_RELAXED);
    if (!place || place[1] == candidate.first)
        return;
    if (agrees(place))
        __atomic_store_n(&coarse_clock, place, __ATOMIC_RELEASE);
    else
        __atomic_store_n(&candidate.place, NULL, __ATOMIC_RELAXED);
}

void coarse_check(void)
{
    const volatile uint64_t *place = __atomic_load_n(&coarse_clock, __ATOMIC_ACQUIRE);
    if (place == unknown || agrees(place))
        return;
    __atomic_store_n(&candidate.place, NULL, __ATOMIC_RELAXED);
    __atomic_store_n(&coarse_clock, unknown, __ATOMIC_RELEASE);
}
