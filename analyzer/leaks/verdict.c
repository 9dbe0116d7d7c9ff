/* verdict.c: one word for one row of the survivor table. See leaks.h. */
#include <math.h>

#include "leaks/leaks.h"

#define FIRST 1u                 /* judged slices: the first is warm-up, */
#define LAST (LEAKS_SLICES - 2u) /* the last is too young */
#define ENOUGH_SLICES 0.75       /* of the judged ones must have survivors, or grow */
#define NOT_SLOWING 0.5          /* the second half must bring at least this share of the first */
#define LEAST_BYTES_PER_UNIT 64.0
#define TELLING 3.0 /* samples in a slice on average: then a slice without any has none, at 95 % */

const char *leaks_verdict_name(enum leaks_verdict v)
{
    static const char *const names[] = { "GROWING", "INCONCLUSIVE", "STEADY", "ONE-TIME" };
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

double verdict_units(const struct leaks_exposure *x)
{
    double units = 0;
    for (unsigned i = FIRST; i <= LAST; i++)
        units += x->units[i];
    return units;
}

static bool born_at_once(const struct leaks_row *row)
{
    unsigned slices = 0;
    for (unsigned i = 0; i < LEAKS_SLICES; i++)
        slices += row->survivor_bytes[i] > 0;
    return slices <= 1 && row->survivor_bytes[LEAKS_SLICES - 1] == 0;
}

/* --- how sure it is ----------------------------------------------------------------------------------------------- */

struct estimate {
    double bytes, variance;
};

/* What a row grows by in the judged slices, and by how much less than NOT_SLOWING allows its later half slows down. */
struct growth_of_row {
    struct estimate whole, late;
};

static struct growth_of_row survivor_growth(const struct leaks_row *row)
{
    const unsigned middle = (FIRST + LAST + 1) / 2;
    struct growth_of_row g = { { 0, 0 }, { 0, 0 } };
    for (unsigned i = FIRST; i <= LAST; i++) {
        double share = i < middle ? -NOT_SLOWING : 1;
        g.whole.bytes += (double)row->survivor_bytes[i];
        g.whole.variance += row->survivor_variance[i];
        g.late.bytes += share * (double)row->survivor_bytes[i];
        g.late.variance += share * share * row->survivor_variance[i];
    }
    return g;
}

/* As if no block lived at two of these moments: the error is smaller where some do. */
static struct growth_of_row live_growth(const struct leaks_row *row)
{
    const unsigned middle = (FIRST + LAST) / 2;
    const double share = 1 + NOT_SLOWING;
    return (struct growth_of_row){
        .whole = { (double)(row->live_at[LAST] - row->live_at[0]), row->live_variance[LAST] + row->live_variance[0] },
        .late = { (double)row->live_at[LAST] - share * (double)row->live_at[middle] +
                      NOT_SLOWING * (double)row->live_at[FIRST],
                  row->live_variance[LAST] + share * share * row->live_variance[middle] +
                      NOT_SLOWING * NOT_SLOWING * row->live_variance[FIRST] },
    };
}

static bool is_above(struct estimate e, double bytes)
{
    return e.variance <= 0 || e.bytes - HEAP_SURE * sqrt(e.variance) >= bytes;
}

static bool is_below(struct estimate e, double bytes)
{
    return e.bytes + HEAP_SURE * sqrt(e.variance > 0 ? e.variance : 0) < bytes;
}

/* Whether survivors as many as these would be seen in every slice that has some. */
static bool is_telling(struct estimate e, const struct leaks_exposure *x)
{
    unsigned slices = 0;
    for (unsigned i = FIRST; i <= LAST; i++)
        slices += x->units[i] > 0;
    return e.bytes * e.bytes >= TELLING * slices * e.variance;
}

/* Whether a row that does not grow by its estimates does not by what they stand for: it has no survivors, or too few,
 * or they become fewer, or there are none in too many slices. */
static bool surely_still(const struct leaks_row *row, const struct leaks_exposure *x, bool by_survivors)
{
    struct growth_of_row g = survivor_growth(row);
    if (g.whole.variance <= 0 || is_below(g.whole, LEAST_BYTES_PER_UNIT * verdict_units(x)) || is_below(g.late, 0))
        return true;
    return !by_survivors && g.late.bytes >= 0 && is_telling(g.whole, x);
}

void verdict_decide(struct leaks_row *row, const struct leaks_exposure *x)
{
    const double units = verdict_units(x);
    bool by_survivors = survivors_grow(row, x), by_live = !by_survivors && live_bytes_grow(row, x);
    struct growth_of_row g = by_live ? live_growth(row) : survivor_growth(row);
    double rate = by_survivors || by_live ? g.whole.bytes / units : 0;
    bool grows = rate >= LEAST_BYTES_PER_UNIT;
    bool sure = grows ? is_above(g.whole, LEAST_BYTES_PER_UNIT * units) && is_above(g.late, 0)
                      : surely_still(row, x, by_survivors);
    row->verdict = grows ? LEAKS_GROWING : born_at_once(row) ? LEAKS_ONE_TIME : LEAKS_STEADY;
    if (!sure) {
        row->verdict = LEAKS_INCONCLUSIVE;
        row->maybe_per_unit = g.whole.bytes / units;
    } else if (grows) {
        row->bytes_per_unit = rate;
        row->bytes_per_hour = x->judged_ns ? rate * units * 3600e9 / (double)x->judged_ns : 0;
    }
    row->variance = grows || !sure ? g.whole.variance / (units * units) : 0;
}
