/* exposure.c: the clock that leaks are judged by. See leaks.h. */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "leaks/leaks.h"

/* Ends of the target's requests: those of memtap.h, or else marks named "request". */
static uint64_t *request_ends(const struct heap *h, uint64_t *count)
{
    uint64_t n = 0, *end = memory_take((heap_request_count(h) + heap_mark_count(h) + 1) * sizeof *end);
    for (uint32_t i = 0; i < heap_request_count(h); i++)
        end[n++] = heap_request(h, i)->time;
    for (uint32_t i = 0; !heap_request_count(h) && i < heap_mark_count(h); i++)
        if (strcmp(heap_mark(h, i)->name, "request") == 0)
            end[n++] = heap_mark(h, i)->time;
    *count = n;
    return end;
}

static void cut_by_requests(struct leaks_exposure *x, const uint64_t *end, uint64_t count)
{
    uint64_t before = 0;
    for (unsigned i = 0; i < LEAKS_SLICES; i++) {
        uint64_t upto = count * (i + 1) / LEAKS_SLICES;
        x->units[i] = (double)(upto - before);
        x->end[i + 1] = upto ? end[upto - 1] : x->end[i];
        before = upto;
    }
    x->source = "requests marked by the target";
    x->unit = "request";
    x->count = count;
}

/* A process that ends in peace spends its last moments freeing: they are left out. */
static void cut_by_time(struct leaks_exposure *x, const struct trace *t)
{
    uint64_t from = trace_info(t)->start_time, whole = trace_end_time(t) - from;
    if (trace_info(t)->end == TRACE_END_EXIT)
        whole -= whole / 50;
    double seconds = (double)trace_ns(t, from + whole) / 1e9;
    for (unsigned i = 0; i < LEAKS_SLICES; i++) {
        x->end[i + 1] = from + whole / LEAKS_SLICES * (i + 1);
        x->units[i] = seconds / LEAKS_SLICES;
    }
    x->source = "time";
    x->unit = "second";
    x->count = (uint64_t)seconds;
}

bool exposure_cut(struct leaks_exposure *x, const struct trace *t, const struct heap *h)
{
    uint64_t count, *end = request_ends(h, &count);
    memset(x, 0, sizeof *x);
    x->end[0] = trace_info(t)->start_time;
    if (count)
        cut_by_requests(x, end, count);
    else
        cut_by_time(x, t);
    free(end);
    for (unsigned i = 1; i + 1 < LEAKS_SLICES; i++)
        x->judged += (uint64_t)x->units[i];
    x->judged_ns = trace_ns(t, x->end[LEAKS_SLICES - 1]) - trace_ns(t, x->end[1]);
    return x->count >= LEAKS_LEAST_UNITS;
}
