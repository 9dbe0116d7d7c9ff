/* sites.c: totals per site and per thread. */
#include <stdlib.h>

#include "base/memory.h"
#include "heap/inside.h"

/* --- the index: open addressing, four places to a cache line; nothing is ever removed ------------------------------- */

static struct site_place *find_place(const struct site_index *x, uint64_t key)
{
    uint64_t i = key * 0x9e3779b97f4a7c15ull >> x->shift;
    while (x->place[i].number && x->place[i].key != key)
        i = (i + 1) & (x->room - 1);
    return &x->place[i];
}

static void grow(struct site_index *x)
{
    const struct site_index old = *x;
    x->room = old.room ? old.room * 2 : 256;
    x->shift = 64 - (unsigned)__builtin_ctzll(x->room);
    x->place = memory_take(x->room * sizeof *x->place);
    for (uint64_t i = 0; i < old.room; i++)
        if (old.place[i].number)
            *find_place(x, old.place[i].key) = old.place[i];
    free(old.place);
}

/* --- sites ------------------------------------------------------------------------------------------------------- */

uint32_t sites_find(struct heap *h, uint64_t node, uint64_t call, bool mapping)
{
    const uint64_t key = node << 8 | (call & 0xff);
    if (h->sites >= h->site_index.room / 2)
        grow(&h->site_index);
    struct site_place *p = find_place(&h->site_index, key);
    if (p->number)
        return p->number - 1;
    array_room(h->site, h->sites, h->site_room);
    h->site[h->sites] = (struct heap_site){
        .node = (uint32_t)node, .call = (uint32_t)call, .mapping = mapping, .own = node == RECORD_NODE_TAP
    };
    *p = (struct site_place){ key, ++h->sites };
    return h->sites - 1;
}

void sites_add(struct heap *h, uint32_t site, struct heap_weight w)
{
    struct heap_site *s = &h->site[site];
    s->live_blocks += w.blocks;
    s->live_bytes += w.bytes;
    s->live_spread += w.spread;
    if (s->live_bytes > s->peak_bytes)
        s->peak_bytes = s->live_bytes;
}

void sites_remove(struct heap *h, uint32_t site, struct heap_weight w)
{
    struct heap_site *s = &h->site[site];
    s->live_blocks -= w.blocks;
    s->live_bytes -= w.bytes;
    s->live_spread -= w.spread;
}

/* --- threads ----------------------------------------------------------------------------------------------------- */

uint32_t threads_find(struct heap *h, uint32_t tid)
{
    int fresh;
    uint32_t *recent = &h->recent_thread[tid % HEAP_RECENT_THREADS];
    if (*recent < h->threads && h->thread[*recent].tid == tid)
        return *recent;
    khint_t k = kh_put(threads, h->thread_index, tid, &fresh);
    if (fresh) {
        array_room(h->thread, h->threads, h->thread_room);
        h->thread[h->threads] = (struct heap_thread){ .tid = tid };
        kh_value(h->thread_index, k) = h->threads++;
    }
    return *recent = kh_value(h->thread_index, k);
}
