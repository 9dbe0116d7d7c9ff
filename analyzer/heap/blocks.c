/*
 * blocks.c: the live blocks. The events of one address alternate: alloc, free, alloc. Time stamps of different
 * processors may turn two of them round when an address goes from thread to thread within nanoseconds; such pairs are
 * put right and counted.
 */
#include "base/memory.h"
#include "heap/inside.h"

#define WINDOW 4096u /* time units, 16 to 65 us: events further apart than this are never out of order */

static void put_number(khash_t(numbers) * table, uint64_t address, uint64_t number)
{
    int fresh;
    khint_t k = kh_put(numbers, table, address, &fresh);
    kh_value(table, k) = number;
}

/*
 * Whether a free of this address came just before: then the two have changed places. But where blocks are freed that
 * were not seen allocated (a parent's, or one from a pause), a thread often gets such an address back at once.
 */
static bool free_came_early(struct heap *h, uint64_t address, const struct heap_block *b)
{
    khint_t k = kh_get(numbers, h->early, address);
    if (k == kh_end(h->early))
        return false;
    struct heap_unknown *u = &h->unknown[kh_value(h->early, k)];
    kh_del(numbers, h->early, k);
    if (b->time - u->time >= WINDOW || h->frees_more || (!h->knows_all && u->tid == h->thread[b->thread].tid))
        return false;
    u->address = 0;
    return true;
}

/* Whether this address was given out again just before this free of its former block. */
static bool free_comes_late(struct heap *h, uint64_t address, uint64_t time)
{
    khint_t k = kh_get(numbers, h->displaced, address);
    if (k == kh_end(h->displaced))
        return false;
    bool near = time - kh_value(h->displaced, k) < WINDOW;
    kh_del(numbers, h->displaced, k);
    return near;
}

static void count_allocation(struct heap *h, uint64_t address, const struct heap_block *b, struct heap_weight w)
{
    struct heap_site *s = &h->site[b->site];
    struct heap_thread *t = &h->thread[b->thread];
    s->alloc_count += w.blocks;
    s->alloc_bytes += w.bytes;
    s->alloc_spread += w.spread;
    t->alloc_count += w.blocks;
    t->alloc_bytes += w.bytes;
    t->last_address = address;
    if (s->own)
        return;
    h->totals.alloc_count += w.blocks;
    h->totals.alloc_bytes += w.bytes;
    h->totals.alloc_spread += w.spread;
    h->totals.histogram[b->size ? 64 - __builtin_clzll(b->size) : 0] += w.blocks;
}

static void note_peak(struct heap *h)
{
    struct heap_totals *t = &h->totals;
    if (t->live_bytes <= t->peak_bytes)
        return;
    t->peak_bytes = t->live_bytes;
    t->peak_spread = t->live_spread;
    t->peak_event = h->events;
}

static void count_live(struct heap *h, const struct heap_block *b, struct heap_weight w)
{
    struct heap_totals *t = &h->totals;
    struct heap_thread *thread = &h->thread[b->thread];
    sites_add(h, b->site, w);
    thread->live_blocks += w.blocks;
    thread->live_bytes += w.bytes;
    thread->live_spread += w.spread;
    if (h->site[b->site].own) {
        t->own_bytes += w.bytes;
        return;
    }
    t->live_blocks += w.blocks;
    t->live_bytes += w.bytes;
    t->live_spread += w.spread;
    note_peak(h);
}

static void count_free(struct heap *h, const struct heap_block *b, struct heap_weight w)
{
    h->site[b->site].free_count += w.blocks;
    h->thread[b->thread].free_count += w.blocks;
    h->totals.free_count += h->site[b->site].own ? 0 : w.blocks;
}

static void count_dead(struct heap *h, const struct heap_block *b, struct heap_weight w)
{
    struct heap_totals *t = &h->totals;
    struct heap_thread *thread = &h->thread[b->thread];
    sites_remove(h, b->site, w);
    thread->live_blocks -= w.blocks;
    thread->live_bytes -= w.bytes;
    thread->live_spread -= w.spread;
    if (h->site[b->site].own) {
        t->own_bytes -= w.bytes;
        return;
    }
    t->live_blocks -= w.blocks;
    t->live_bytes -= w.bytes;
    t->live_spread -= w.spread;
}

/* The block that was at the address is gone. */
static void count_gone(struct heap *h, const struct heap_block *b)
{
    struct heap_weight w = heap_weigh(h->mean, b->size);
    count_free(h, b, w);
    count_dead(h, b, w);
}

/* --- tags: few blocks have one, so they stand aside -------------------------------------------------------------- */

static uint32_t tag_of(const struct heap *h, uint64_t address)
{
    khint_t k = kh_size(h->tags) ? kh_get(numbers, h->tags, address) : kh_end(h->tags);
    return k == kh_end(h->tags) ? 0 : (uint32_t)kh_value(h->tags, k);
}

static void forget_tag(struct heap *h, uint64_t address)
{
    if (kh_size(h->tags))
        kh_del(numbers, h->tags, kh_get(numbers, h->tags, address));
}

bool blocks_tag(struct heap *h, uint64_t address, uint32_t tag)
{
    if (!table_find(&h->blocks, address))
        return false;
    put_number(h->tags, address, tag);
    return true;
}

/* --- life and death ---------------------------------------------------------------------------------------------- */

static struct heap_block block_of(const struct table_block *b)
{
    return (struct heap_block){ .size = b->size, .time = b->time, .site = b->number - 1, .thread = b->thread };
}

static struct heap_block block_with_tag(const struct heap *h, const struct table_block *b)
{
    struct heap_block block = block_of(b);
    block.tag = tag_of(h, b->address);
    return block;
}

void blocks_add(struct heap *h, uint64_t address, const struct heap_block *block)
{
    struct heap_weight w = heap_weigh(h->mean, block->size);
    count_allocation(h, address, block, w);
    if (kh_size(h->early) && free_came_early(h, address, block)) {
        count_free(h, block, w); /* the block is dead already */
        h->totals.repaired++;
        return;
    }
    if (h->mean)
        contents_forget(h, address, address + block->size); /* of a block that was not recorded */
    struct table_block *b = table_put(&h->blocks, address);
    if (b->number) {
        const struct heap_block displaced = block_of(b); /* its free is still to come */
        count_gone(h, &displaced);
        forget_tag(h, address);
        put_number(h->displaced, address, block->time);
    }
    b->size = block->size;
    b->time = block->time;
    b->number = block->site + 1;
    b->thread = block->thread;
    count_live(h, block, w);
}

/* Frees of unrecorded blocks of a sample are no news, but a forked child's may be of its parent's blocks. */
static void note_unknown(struct heap *h, uint64_t address, uint64_t time, uint32_t tid)
{
    if (h->frees_more && !trace_info(h->trace)->forked)
        return;
    put_number(h->early, address, h->unknowns);
    array_room(h->unknown, h->unknowns, h->unknown_room);
    h->unknown[h->unknowns++] = (struct heap_unknown){ address, time, tid, h };
}

void blocks_remove(struct heap *h, uint64_t address, uint64_t time, uint32_t tid)
{
    if (kh_size(h->displaced) && free_comes_late(h, address, time)) {
        h->totals.repaired++;
        return;
    }
    struct table_block *found = table_find(&h->blocks, address);
    if (!found) {
        note_unknown(h, address, time, tid);
        return;
    }
    const struct heap_block b = block_of(found);
    table_remove(&h->blocks, found);
    forget_tag(h, address);
    count_gone(h, &b);
    contents_forget(h, address, address + b.size);
    uint32_t freeing = threads_find(h, tid); /* may move h->thread */
    struct heap_thread *t = &h->thread[freeing];
    if (!h->mean && t->last_address == address && t == &h->thread[b.thread]) {
        h->site[b.site].temporary++;
        h->totals.temporary += !h->site[b.site].own;
        t->last_address = 0;
    }
}

void heap_each_block(const struct heap *h, void (*visit)(void *context, uint64_t address, const struct heap_block *b),
                     void *context)
{
    const struct table_block *b;
    for (uint64_t i = 0; (b = table_next(&h->blocks, &i));) {
        struct heap_block block = block_with_tag(h, b);
        if (!h->site[block.site].own)
            visit(context, b->address, &block);
    }
}

struct heap_block heap_block(const struct heap *h, uint64_t address)
{
    return block_with_tag(h, table_find(&h->blocks, address));
}
