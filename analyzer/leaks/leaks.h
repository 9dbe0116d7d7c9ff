/*
 * leaks.h: does memory grow, where, and how fast per unit of work. The run is cut into equal slices of exposure
 * (requests if the target marked them, else time). What is born in a slice and still alive at the end of the last one is
 * a survivor of its slice; what a process frees while it ends is no matter. The first slice is warm-up; the last is not
 * held against a site, since its blocks may yet be freed.
 *
 * Of a sampled trace all figures are estimates (heap.h). A verdict is given only if it would be the same anywhere within
 * the error, at 95 %; else the row is inconclusive.
 */
#ifndef LEAKS_LEAKS_H
#define LEAKS_LEAKS_H

#include <stdbool.h>
#include <stdint.h>

#include "attribute/attribute.h"
#include "heap/heap.h"
#include "symbols/symbols.h"
#include "trace/trace.h"

#define LEAKS_SLICES 10u
#define LEAKS_LEAST_UNITS 5u /* with fewer units of exposure nothing is judged */

enum leaks_verdict {
    LEAKS_GROWING,      /* survivors in nearly every judged slice, not slowing down; or ever more live bytes */
    LEAKS_INCONCLUSIVE, /* the sample is too small to tell */
    LEAKS_STEADY,       /* blocks come and go, the live bytes stay */
    LEAKS_ONE_TIME,     /* born in one slice, mostly in warm-up, and kept */
};

/* What the run is measured by. */
struct leaks_exposure {
    const char *source, *unit;      /* "requests marked by the target", "request"; "time", "second" */
    uint64_t count;                 /* units in the whole run */
    uint64_t judged;                /* units in the judged slices */
    uint64_t judged_ns;             /* how long these took */
    uint64_t end[LEAKS_SLICES + 1]; /* trace clock: slice i lasts from end[i] to end[i + 1] */
    double units[LEAKS_SLICES];     /* in each slice */
};

struct leaks_row {
    enum leaks_verdict verdict;
    const char *component, *how;
    uint64_t id;   /* symbols_stack_id of the site */
    uint32_t site; /* of the heap, one of those with this id; HEAP_NO_SITE: a component's sum */
    uint64_t live_bytes;
    double live_blocks;
    double survivors[LEAKS_SLICES];
    uint64_t survivor_bytes[LEAKS_SLICES];
    int64_t live_at[LEAKS_SLICES];                                       /* bytes at the end of each slice */
    double survivor_variance[LEAKS_SLICES], live_variance[LEAKS_SLICES]; /* of these bytes */
    double bytes_per_unit, bytes_per_hour;
    double maybe_per_unit; /* inconclusive: what it grows by, if it does */
    double variance;       /* of bytes_per_unit or maybe_per_unit */
};

/* One process, judged. */
struct leaks {
    const struct trace *trace;
    struct leaks_exposure exposure;
    bool judged;            /* false: too little exposure */
    struct leaks_row *site; /* growing ones first, by growth */
    uint32_t sites;
    struct leaks_row *component;
    uint32_t components;
    double bytes_per_unit, bytes_per_hour; /* sum over what grows */
    double maybe_per_unit, variance;       /* sums over the sites */
    double unseen_per_unit;                /* a site that grows by less may have no sample at all; 0: none */
};

const char *leaks_verdict_name(enum leaks_verdict v); /* "GROWING", ... */

/*
 * Judges every process of a session, replaying it twice. leaks[i] belongs to session->trace[i]; *heap is the replayed
 * session, as heap_replay gives it. Both are the caller's: leaks_free_all, heap_free_all.
 */
struct leaks *leaks_judge(const struct session *s, struct heap ***heap, struct symbols *symbols, struct rules *rules,
                          bool quiet);
void leaks_free_all(struct leaks *leaks, uint32_t count);

/* exposure.c: cuts the run of one process into slices. False if there is too little of it. Inside leaks/. */
bool exposure_cut(struct leaks_exposure *x, const struct trace *t, const struct heap *h);

/* verdict.c: the units of exposure in the judged slices, and the word for one row, by its slices; fills in the rates
 * too. Inside leaks/. */
double verdict_units(const struct leaks_exposure *x);
void verdict_decide(struct leaks_row *row, const struct leaks_exposure *x);

#endif
