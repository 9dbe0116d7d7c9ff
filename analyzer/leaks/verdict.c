/* verdict.c: one word for one row of the survivor table. See leaks.h. */
#include "leaks/leaks.h"

#define FIRST 1u                 /* judged slices: the first is warm-up, */
#define LAST (LEAKS_SLICES - 2u) /* the last is too young */
#define ENOUGH_SLICES 0.75       /* of the judged ones must have survivors, or grow */
#define NOT_SLOWING 0.5          /* the second half must bring at least this share of the first */
#define LEAST_BYTES_PER_UNIT 64.0

const char *leaks_verdict_name(enum leaks_verdict v)
{
    static const char *const names[] = { "GROWING", "STEADY", "ONE-TIME" };
    return names[v];
}

/* How many of the judged slices that have any exposure satisfy the condition. */
struct share {
    unsigned hits, slices;
};

static bool enough(struct share s)
{
    return s.slices > 0 && s.hits >= ENOUGH_SLICES * s.slices;
}

static bool survivors_grow(const struct leaks_row *row, const struct leaks_exposure *x)
{
    const unsigned middle = (FIRST + LAST + 1) / 2;
    struct share with = { 0, 0 };
    double early = 0, late = 0;
    for (unsigned i = FIRST; i <= LAST; i++) {
        if (x->units[i] <= 0)
            continue;
        with.slices++;
        with.hits += row->survivor_bytes[i] > 0;
        *(i < middle ? &early : &late) += (double)row->survivor_bytes[i];
    }
    return enough(with) && late >= NOT_SLOWING * early;
}

/* A vector that is reallocated ever larger has one survivor only, the youngest: its live bytes tell. */
static bool live_bytes_grow(const struct leaks_row *row, const struct leaks_exposure *x)
{
    struct share up = { 0, 0 };
    const unsigned middle = (FIRST + LAST) / 2;
    for (unsigned i = FIRST + 1; i <= LAST; i++) {
        if (x->units[i] <= 0)
            continue;
        up.slices++;
        up.hits += row->live_at[i] > row->live_at[i - 1];
    }
    double early = (double)(row->live_at[middle] - row->live_at[FIRST]);
    double late = (double)(row->live_at[LAST] - row->live_at[middle]);
    return enough(up) && early > 0 && late >= NOT_SLOWING * early;
}

static double judged_units(const struct leaks_exposure *x)
{
    double units = 0;
    for (unsigned i = FIRST; i <= LAST; i++)
        units += x->units[i];
    return units;
}

static double survivor_rate(const struct leaks_row *row, const struct leaks_exposure *x)
{
    double bytes = 0;
    for (unsigned i = FIRST; i <= LAST; i++)
        bytes += (double)row->survivor_bytes[i];
    return bytes / judged_units(x);
}

static double live_rate(const struct leaks_row *row, const struct leaks_exposure *x)
{
    return (double)(row->live_at[LAST] - row->live_at[0]) / judged_units(x);
}

static bool born_at_once(const struct leaks_row *row)
{
    unsigned slices = 0;
    for (unsigned i = 0; i < LEAKS_SLICES; i++)
        slices += row->survivor_bytes[i] > 0;
    return slices <= 1 && row->survivor_bytes[LEAKS_SLICES - 1] == 0;
}

void verdict_decide(struct leaks_row *row, const struct leaks_exposure *x)
{
    bool by_survivors = survivors_grow(row, x), by_live = live_bytes_grow(row, x);
    double rate = by_survivors ? survivor_rate(row, x) : by_live ? live_rate(row, x) : 0;
    row->verdict = born_at_once(row) ? LEAKS_ONE_TIME : LEAKS_STEADY;
    if (rate < LEAST_BYTES_PER_UNIT)
        return;
    row->verdict = LEAKS_GROWING;
    row->bytes_per_unit = rate;
    row->bytes_per_hour = x->judged_ns ? rate * judged_units(x) * 3600e9 / (double)x->judged_ns : 0;
}
