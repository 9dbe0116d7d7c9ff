/* sites.c: totals per site and per thread. */
#include "base/memory.h"
#include "heap/inside.h"

uint32_t sites_find(struct heap *h, uint64_t node, uint64_t call, bool mapping)
{
    int fresh;
    khint_t k = kh_put(sites, h->site_index, node << 8 | (call & 0xff), &fresh);
    if (!fresh)
        return kh_value(h->site_index, k);
    array_room(h->site, h->sites, h->site_room);
    h->site[h->sites] = (struct heap_site){
        .node = (uint32_t)node, .call = (uint32_t)call, .mapping = mapping, .own = node == RECORD_NODE_TAP
    };
    kh_value(h->site_index, k) = h->sites;
    return h->sites++;
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

/* Events come in runs of one thread. */
uint32_t threads_find(struct heap *h, uint32_t tid)
{
    int fresh;
    if (h->last_thread < h->threads && h->thread[h->last_thread].tid == tid)
        return h->last_thread;
    khint_t k = kh_put(threads, h->thread_index, tid, &fresh);
    if (fresh) {
        array_room(h->thread, h->threads, h->thread_room);
        h->thread[h->threads] = (struct heap_thread){ .tid = tid };
        kh_value(h->thread_index, k) = h->threads++;
    }
    return h->last_thread = kh_value(h->thread_index, k);
}
