/* moments.c: what the sites held at marks and at the ends of requests. See heap.h. */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "heap/inside.h"

#define MOST_MOMENTS 400u

static void keep_moment(struct heap *h, struct heap_moment m)
{
    array_room(h->moment, h->moments, h->moment_room);
    m.site = memory_take((h->sites + 1) * sizeof *m.site);
    for (uint32_t i = 0; i < h->sites; i++)
        m.site[i] = h->site[i].live_bytes;
    m.live_bytes = h->totals.live_bytes;
    m.live_spread = h->totals.live_spread;
    m.mapped_bytes = h->totals.mapped_bytes;
    m.sites = h->sites;
    h->moment[h->moments++] = m;
}

/* Drops every second request of those kept. */
static void thin_out(struct heap *h)
{
    uint32_t kept = 0;
    h->moment_stride *= 2;
    for (uint32_t i = 0; i < h->moments; i++) {
        const struct heap_moment m = h->moment[i];
        if (m.request && m.request % h->moment_stride)
            free(m.site);
        else
            h->moment[kept++] = m;
    }
    h->moments = kept;
}

void moments_mark(struct heap *h, uint64_t time)
{
    if (h->moments < 2 * MOST_MOMENTS) /* a program that marks without end gets no longer a line */
        keep_moment(h, (struct heap_moment){ .time = time, .mark = h->mark[h->marks - 1].name });
}

void moments_request(struct heap *h, uint64_t time)
{
    if (!h->moment_stride)
        h->moment_stride = 1;
    if (h->requests % h->moment_stride)
        return;
    if (h->moments >= MOST_MOMENTS)
        thin_out(h);
    if (h->moments < 2 * MOST_MOMENTS && h->requests % h->moment_stride == 0)
        keep_moment(h, (struct heap_moment){ .time = time, .request = h->requests });
}

void moments_free(struct heap *h)
{
    for (uint32_t i = 0; i < h->moments; i++)
        free(h->moment[i].site);
    free(h->moment);
}

uint32_t heap_moment_count(const struct heap *h)
{
    return h->moments;
}

struct heap_moment heap_moment(const struct heap *h, uint32_t i)
{
    return h->moment[i];
}
