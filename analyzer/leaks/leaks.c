/* leaks.c: the survivor table of each process. See leaks.h. */
#include "leaks/leaks.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

#define FEWEST_SAMPLES 3.0 /* where so many are expected, there is none in 1 of 20 cases: exp(-3) */

/* Follows one process through the second replay. */
struct watcher {
    struct leaks *leaks;
    const struct heap *heap;
    struct leaks_row *row; /* by site of the heap */
    uint32_t rows;
    unsigned slice; /* the one that is going on */
    bool counted;   /* the survivors, at the end of the last slice */
};

/* --- live bytes at the end of each slice -------------------------------------------------------------------------- */

static struct leaks_row *row_of(struct watcher *w, uint32_t site)
{
    if (site >= w->rows) {
        uint32_t rows = site + 1024;
        w->row = memory_resize(w->row, rows * sizeof *w->row);
        memset(w->row + w->rows, 0, (rows - w->rows) * sizeof *w->row);
        w->rows = rows;
    }
    return &w->row[site];
}

static void end_slice(struct watcher *w)
{
    for (uint32_t i = 0; i < heap_site_count(w->heap); i++) {
        const struct heap_site *site = heap_site(w->heap, i);
        struct leaks_row *row = row_of(w, i);
        row->live_at[w->slice] = (int64_t)site->live_bytes;
        row->live_variance[w->slice] = heap_variance(w->heap, site->live_spread);
    }
    w->slice++;
}

/* --- survivors --------------------------------------------------------------------------------------------------- */

static unsigned slice_of(const struct leaks_exposure *x, uint64_t time)
{
    unsigned slice = 0;
    while (slice + 1 < LEAKS_SLICES && time > x->end[slice + 1])
        slice++;
    return slice;
}

static void count_survivor(struct watcher *w, uint32_t site, uint64_t time, struct heap_weight weight)
{
    struct leaks_row *row = row_of(w, site);
    unsigned slice = slice_of(&w->leaks->exposure, time);
    row->survivors[slice] += weight.blocks;
    row->survivor_bytes[slice] += weight.bytes;
    row->survivor_variance[slice] += heap_variance(w->heap, weight.spread);
    row->live_blocks += weight.blocks;
    row->live_bytes += weight.bytes;
}

static void count_block(void *context, uint64_t address, const struct heap_block *b)
{
    struct watcher *w = context;
    (void)address;
    count_survivor(w, b->site, b->time, heap_weigh(heap_sample_mean(w->heap), b->size));
}

static void count_survivors(struct watcher *w)
{
    w->counted = true;
    heap_each_block(w->heap, count_block, w);
    for (uint32_t i = 0; i < heap_mapping_count(w->heap); i++) {
        const struct heap_mapping *m = heap_mapping(w->heap, i);
        if (m->prot && !heap_site(w->heap, m->site)->own)
            count_survivor(w, m->site, m->time, heap_whole(m->end - m->start));
    }
}

static void before_event(void *context, uint32_t number, const struct heap *h, const struct trace_event *e)
{
    struct watcher *w = &((struct watcher *)context)[number];
    w->heap = h;
    while (w->slice < LEAKS_SLICES && e->time > w->leaks->exposure.end[w->slice + 1])
        end_slice(w);
    if (w->slice == LEAKS_SLICES && !w->counted)
        count_survivors(w); /* what the process tears down after its work says nothing */
}

/* --- rows -------------------------------------------------------------------------------------------------------- */

static int by_growth(const void *a, const void *b)
{
    const struct leaks_row *x = a, *y = b;
    if (x->verdict != y->verdict)
        return x->verdict < y->verdict ? -1 : 1;
    if (x->bytes_per_unit != y->bytes_per_unit)
        return x->bytes_per_unit > y->bytes_per_unit ? -1 : 1;
    if (x->live_bytes != y->live_bytes)
        return x->live_bytes > y->live_bytes ? -1 : 1;
    return strcmp(x->component, y->component);
}

static void add_row(struct leaks_row *sum, const struct leaks_row *row)
{
    sum->live_bytes += row->live_bytes;
    sum->live_blocks += row->live_blocks;
    for (unsigned i = 0; i < LEAKS_SLICES; i++) {
        sum->survivors[i] += row->survivors[i];
        sum->survivor_bytes[i] += row->survivor_bytes[i];
        sum->live_at[i] += row->live_at[i];
        sum->survivor_variance[i] += row->survivor_variance[i];
        sum->live_variance[i] += row->live_variance[i];
    }
}

/* A component grows if one of its sites does, at the rate of those. */
static void add_to_component(struct leaks *l, const struct leaks_row *site)
{
    struct leaks_row *c = NULL;
    for (uint32_t i = 0; i < l->components && !c; i++)
        if (strcmp(l->component[i].component, site->component) == 0 && strcmp(l->component[i].how, site->how) == 0)
            c = &l->component[i];
    if (!c) {
        l->component = memory_resize(l->component, (l->components + 1) * sizeof *l->component);
        c = &l->component[l->components++];
        *c = *site;
        c->site = HEAP_NO_SITE;
        return;
    }
    add_row(c, site);
    if (site->verdict < c->verdict)
        c->verdict = site->verdict;
    c->bytes_per_unit += site->bytes_per_unit;
    c->bytes_per_hour += site->bytes_per_hour;
    c->maybe_per_unit += site->maybe_per_unit;
    c->variance += site->variance;
}

/* Says whose the row is; false if it belongs in no table. */
static bool name_row(struct watcher *w, uint32_t site, struct leaks_row *row, struct symbol_stack *stack,
                     struct symbols *symbols, struct rules *rules)
{
    const struct heap_site *s = heap_site(w->heap, site);
    const char *call = trace_call_name(s->call);
    if (s->own)
        return false;
    symbols_stack(symbols, w->leaks->trace, s->node, stack);
    struct attribution a = rules_attribute(rules, stack, call);
    row->component = a.component;
    row->how = a.how;
    row->site = site;
    row->id = symbols_stack_id(stack, a.identity, call);
    return strcmp(a.component, "allocator/backing") != 0;
}

static int by_id(const void *a, const void *b)
{
    const struct leaks_row *x = a, *y = b;
    if (x->id != y->id)
        return x->id < y->id ? -1 : 1;
    return x->live_bytes != y->live_bytes ? (x->live_bytes > y->live_bytes ? -1 : 1) : 0;
}

/* Sites that differ in generated code only are one. */
static void merge_rows(struct leaks *l)
{
    uint32_t kept = 0;
    array_sort(l->site, l->sites, sizeof *l->site, by_id);
    for (uint32_t i = 0; i < l->sites; i++) {
        if (kept && l->site[kept - 1].id == l->site[i].id)
            add_row(&l->site[kept - 1], &l->site[i]);
        else
            l->site[kept++] = l->site[i];
    }
    l->sites = kept;
}

static void make_rows(struct watcher *w, struct symbols *symbols, struct rules *rules)
{
    struct leaks *l = w->leaks;
    struct symbol_stack stack = { .frame = NULL };
    l->site = memory_take((heap_site_count(w->heap) + 1) * sizeof *l->site);
    for (uint32_t i = 0; i < heap_site_count(w->heap); i++) {
        struct leaks_row *row = row_of(w, i);
        if (row->live_bytes && name_row(w, i, row, &stack, symbols, rules))
            l->site[l->sites++] = *row;
    }
    symbols_stack_free(&stack);
    merge_rows(l);
    for (uint32_t i = 0; i < l->sites; i++) {
        verdict_decide(&l->site[i], &l->exposure);
        add_to_component(l, &l->site[i]);
    }
}

static void judge_process(struct watcher *w, struct symbols *symbols, struct rules *rules)
{
    struct leaks *l = w->leaks;
    while (w->slice < LEAKS_SLICES)
        end_slice(w);
    if (!w->counted)
        count_survivors(w);
    make_rows(w, symbols, rules);
    for (uint32_t i = 0; i < l->sites; i++) {
        l->bytes_per_unit += l->site[i].bytes_per_unit;
        l->bytes_per_hour += l->site[i].bytes_per_hour;
        l->maybe_per_unit += l->site[i].maybe_per_unit;
        l->variance += l->site[i].variance;
    }
    l->unseen_per_unit = FEWEST_SAMPLES * (double)heap_sample_mean(w->heap) / verdict_units(&l->exposure);
    array_sort(l->site, l->sites, sizeof *l->site, by_growth);
    array_sort(l->component, l->components, sizeof *l->component, by_growth);
}

struct leaks *leaks_judge(const struct session *s, struct heap ***heap, struct symbols *symbols, struct rules *rules,
                          bool quiet)
{
    struct heap_options options = { .quiet = quiet };
    struct heap **first = heap_replay(s, &options);
    struct leaks *leaks = memory_take(s->count * sizeof *leaks);
    struct watcher *watcher = memory_take(s->count * sizeof *watcher);
    for (uint32_t i = 0; i < s->count; i++) {
        leaks[i].trace = s->trace[i];
        leaks[i].judged = exposure_cut(&leaks[i].exposure, s->trace[i], first[i]);
        watcher[i].leaks = &leaks[i];
    }
    heap_free_all(first, s->count);
    options.before_event = before_event;
    options.context = watcher;
    *heap = heap_replay(s, &options);
    for (uint32_t i = 0; i < s->count; i++) {
        watcher[i].heap = (*heap)[i];
        if (leaks[i].judged)
            judge_process(&watcher[i], symbols, rules);
        free(watcher[i].row);
    }
    free(watcher);
    return leaks;
}

void leaks_free_all(struct leaks *leaks, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        free(leaks[i].site);
        free(leaks[i].component);
    }
    free(leaks);
}
