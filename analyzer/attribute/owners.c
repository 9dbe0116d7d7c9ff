/* owners.c: blocks and mappings by address, each without those that begin inside of it. See owners.h. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "attribute/inside.h"
#include "base/memory.h"

uint64_t owner_weigh(const struct owner *o, uint64_t bytes)
{
    return o->weight > 1 ? (uint64_t)llround((double)bytes * o->weight) : bytes;
}

/* --- places, in the order of their start ------------------------------------------------------------------------- */

static void add_block(void *context, uint64_t address, const struct heap_block *b)
{
    struct owners *w = context;
    (void)b;
    array_room(w->block, w->blocks, w->block_room);
    w->block[w->blocks++].address = address;
}

static int by_number(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static struct place place_of_block(const struct owners *w, uint64_t address)
{
    const struct heap_block b = heap_block(w->heap, address);
    return (struct place){ .start = address,
                           .end = address + b.size,
                           .time = b.time,
                           .site = b.site,
                           .tag = b.tag,
                           .mapping = HEAP_NO_SITE,
                           .weight = heap_weigh(heap_sample_mean(w->heap), b.size).blocks };
}

static struct place place_of_mapping(const struct owners *w, uint32_t number)
{
    const struct heap_mapping *m = heap_mapping(w->heap, number);
    return (struct place){ .start = m->start,
                           .end = m->end,
                           .time = m->time,
                           .site = m->site,
                           .tag = m->tag,
                           .mapping = number,
                           .reserved = m->prot == 0,
                           .weight = 1 };
}

/* The next place, of two that begin together the longer one; false behind the last. A mapping goes before the blocks that
 * lie in it. */
static bool next_place(struct owners *w, struct place *p)
{
    struct place m = { 0 }, b = { 0 };
    const bool mapping = w->walk.mapping < heap_mapping_count(w->heap), block = w->walk.block < w->blocks;
    if (mapping)
        m = place_of_mapping(w, w->walk.mapping);
    if (block)
        b = place_of_block(w, w->block[w->walk.block].address);
    const bool mapping_first = mapping && (!block || m.start < b.start || (m.start == b.start && m.end >= b.end));
    *p = mapping_first ? m : b;
    w->walk.mapping += mapping_first;
    w->walk.block += !mapping_first;
    return mapping || block;
}

/* --- from place to place ----------------------------------------------------------------------------------------- */

static void measure(const struct owners *w, struct owner *o)
{
    struct residency_bytes r = residency_of(w->pages, o->start, o->end);
    o->resident = r.anon + r.file;
    o->swapped = r.swapped;
}

static void hand_over(struct owners *w, struct owner *o)
{
    if (w->pages) {
        remains_until(w, o->start);
        measure(w, o);
    }
    w->walk.visit(w->walk.context, o);
    if (o->end > w->walk.covered)
        w->walk.covered = o->end;
}

/* The tap's own memory is nobody's; what an allocator mapped to put blocks in is not asked for twice. */
static bool is_asked_for(const struct owners *w, const struct place *p)
{
    const char *component = w->site[p->site].component;
    return component && strcmp(component, ATTRIBUTION_BACKING) != 0;
}

/* [start, end) of a place that no other place covers. */
static void own(struct owners *w, struct place *p, uint64_t start, uint64_t end)
{
    if (!is_asked_for(w, p))
        return;
    split_place(w, p, start, end);
    if (w->pieces && !p->begun) {
        w->piece[0].first = !p->reserved;
        p->begun = true;
    }
    for (uint32_t i = 0; i < w->pieces; i++)
        hand_over(w, &w->piece[i]);
}

/* The places that are open have what lies before the limit, the one that began last before the others. */
static void own_until(struct owners *w, uint64_t limit)
{
    while (w->walk.opens) {
        struct place *p = &w->walk.open[w->walk.opens - 1];
        uint64_t until = p->end < limit ? p->end : limit;
        if (w->walk.at < until) {
            own(w, p, w->walk.at, until);
            w->walk.at = until;
        }
        if (p->end > limit)
            return;
        w->walk.opens--;
    }
}

void owners_each(struct owners *w, owners_visitor *visit, void *context)
{
    w->walk = (struct owners_walk){ .visit = visit, .context = context };
    for (struct place p; next_place(w, &p);) {
        own_until(w, p.start);
        w->walk.at = p.start;
        if (p.start == p.end) {
            own(w, &p, p.start, p.end);
        } else {
            array_room(w->walk.open, w->walk.opens, w->walk.open_room);
            w->walk.open[w->walk.opens++] = p;
        }
    }
    own_until(w, UINT64_MAX);
    if (w->pages)
        remains_until(w, UINT64_MAX);
    free(w->walk.open);
}

/* --- the whole --------------------------------------------------------------------------------------------------- */

/* So that the name of a tensor tells its model: what was read to one place may have been copied to another since. */
static void open_models(struct owners *w)
{
    for (uint32_t i = 0; i < trace_string_count(w->trace); i++) {
        const char *text = trace_string(w->trace, i);
        const struct model *m = text && *text == '/' ? tensors_model(w->tensors, text) : NULL;
        if (m) {
            array_room(w->model, w->models, w->model_room);
            w->model[w->models++] = m;
        }
    }
}

static int by_range(const void *a, const void *b)
{
    const struct trace_range *x = a, *y = b;
    return (x->start > y->start) - (x->start < y->start);
}

static void collect_own(struct owners *w)
{
    w->own = memory_take(TRACE_OWN * sizeof *w->own);
    for (uint32_t i = 0; i < TRACE_OWN; i++)
        if (trace_info(w->trace)->own[i].start < trace_info(w->trace)->own[i].end)
            w->own[w->owns++] = trace_info(w->trace)->own[i];
    array_sort(w->own, w->owns, sizeof *w->own, by_range);
}

struct owners *owners_find(const struct heap *h, const struct trace *t, const struct attribution *site,
                           const struct residency_snapshot *pages, struct rules *rules, struct tensors *tensors)
{
    struct owners *w = memory_take(sizeof *w);
    *w = (struct owners){ .heap = h, .trace = t, .site = site, .pages = pages, .rules = rules, .tensors = tensors };
    heap_each_block(h, add_block, w);
    array_sort(w->block, w->blocks, sizeof *w->block, by_number);
    tensors_sort_caches(w);
    collect_own(w);
    open_models(w);
    return w;
}

bool owners_measured(const struct owners *w)
{
    return w->pages != NULL;
}

bool owners_know_own(const struct owners *w)
{
    return w->owns > 0;
}

void owners_free(struct owners *w)
{
    if (!w)
        return;
    free(w->block);
    free(w->model);
    free(w->piece);
    free(w->own);
    free(w->swa);
    free(w);
}
