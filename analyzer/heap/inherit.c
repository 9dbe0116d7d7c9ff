/*
 * inherit.c: a forked child frees blocks that its parent allocated. The child is replayed first; what it freed without
 * having allocated becomes a question to the parent's replay: what was at this address when you forked?
 */
#include <stdlib.h>

#include "base/memory.h"
#include "heap/inside.h"

static void ask(struct heap *parent, struct heap *child, const struct heap_unknown *unknown)
{
    const struct trace_info *i = trace_info(child->trace);
    array_room(parent->watch, parent->watches, parent->watch_room);
    parent->watch[parent->watches++] = (struct heap_watch){ .from = i->fork_before ? i->fork_before : i->fork_after,
                                                            .to = i->fork_after,
                                                            .unknown = *unknown,
                                                            .child = child };
}

void inherit_ask(struct heap *child, struct heap *parent)
{
    const struct heap_unknown totals = { .address = 0 };
    child->parent = parent;
    ask(parent, child, &totals);
    for (uint32_t i = 0; i < child->unknowns; i++)
        if (child->unknown[i].address)
            ask(parent, child, &child->unknown[i]);
}

static void answer(const struct heap *h, struct heap_watch *w, uint64_t size)
{
    struct heap_weight weight = heap_weigh(h->mean, size);
    w->blocks = weight.blocks;
    w->bytes = weight.bytes;
    w->answered = true;
}

static void look_at(struct heap *h, struct heap_watch *w)
{
    if (w->unknown.address == 0) {
        w->blocks = h->totals.live_blocks;
        w->bytes = h->totals.live_bytes;
        w->answered = true;
        return;
    }
    const struct table_block *b = table_find(&h->blocks, w->unknown.address);
    if (!b)
        return;
    answer(h, w, b->size);
}

/* While the child was being made, other threads of the parent went on: what they allocated then may be in the child. */
static void look_again(struct heap *h, const struct trace_event *e)
{
    const struct record *r = &e->record;
    bool makes = r->kind == RECORD_ALLOC || (r->kind == RECORD_REALLOC && e->part == TRACE_MAKES);
    uint64_t address = r->kind == RECORD_ALLOC ? r->alloc.address : r->realloc.address;
    for (uint32_t i = h->next_watch; makes && i-- > 0 && h->watch[i].to >= e->time;)
        if (!h->watch[i].answered && h->watch[i].unknown.address == address)
            answer(h, &h->watch[i], r->kind == RECORD_ALLOC ? r->alloc.size : r->realloc.size);
}

static int by_from(const void *a, const void *b)
{
    const struct heap_watch *x = a, *y = b;
    return (x->from > y->from) - (x->from < y->from);
}

void inherit_begin(struct heap *parent)
{
    array_sort(parent->watch, parent->watches, sizeof *parent->watch, by_from);
}

void inherit_answer(struct heap *h, const struct trace_event *next)
{
    while (h->next_watch < h->watches && (!next || h->watch[h->next_watch].from < next->time))
        look_at(h, &h->watch[h->next_watch++]);
    if (next && h->next_watch)
        look_again(h, next);
}

/* The parent has been replayed. What it does not know either, its own parent may: such questions go on upwards. */
void inherit_settle(struct heap *parent)
{
    for (uint32_t i = 0; i < parent->watches; i++) {
        const struct heap_watch *w = &parent->watch[i];
        struct heap *by = w->unknown.by;
        if (w->unknown.address == 0) {
            w->child->at_fork = (struct heap_given){ w->from, w->blocks, w->bytes };
        } else if (w->answered) {
            by->totals.free_count += w->blocks;
            array_room(by->gave, by->gaves, by->gave_room);
            by->gave[by->gaves++] = (struct heap_given){ w->unknown.time, w->blocks, w->bytes };
        } else {
            array_room(parent->unknown, parent->unknowns, parent->unknown_room);
            parent->unknown[parent->unknowns++] = w->unknown;
        }
    }
}

/* What a process inherits: its parent's own blocks, and what the parent had inherited and not yet freed by then. */
void inherit_sum(struct heap *h)
{
    const struct heap *parent = h->parent;
    struct heap_given got = h->at_fork;
    for (uint32_t i = 0; !parent && i < h->unknowns; i++)
        h->unknown[i].by->totals.unmatched_frees += h->unknown[i].address != 0 && !h->unknown[i].by->frees_more;
    if (parent) {
        got.blocks += parent->inherited.blocks;
        got.bytes += parent->inherited.bytes;
    }
    for (uint32_t i = 0; parent && i < parent->gaves; i++)
        if (parent->gave[i].time < got.time) {
            got.blocks -= parent->gave[i].blocks;
            got.bytes -= parent->gave[i].bytes;
        }
    h->inherited = got;
    h->totals.inherited_blocks = got.blocks;
    h->totals.inherited_bytes = got.bytes;
    for (uint32_t i = 0; i < h->gaves; i++) {
        h->totals.inherited_blocks -= h->gave[i].blocks;
        h->totals.inherited_bytes -= h->gave[i].bytes;
    }
}
