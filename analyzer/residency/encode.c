/*
 * encode.c: a snapshot as bytes and back. See inside.h.
 *
 * All numbers are varints, seven bits a byte, least first:
 *   method, cost_ns, page size, totals: rss rss_anon rss_file rss_shmem swap hugetlb has_oom_kills oom_kills
 *   number of mappings, and for each: gap in pages to the end of the last one, pages, flags, backing, offset, major, minor,
 *       inode, length of the path, path; and if it has an estimate, the bytes of each kind and of huge pages
 *   number of runs, and for each: gap in pages << 4 | kind << 1 | huge, pages
 * What follows is for later versions, and skipped.
 */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "residency/inside.h"

enum { FLAG_SHARED = 8, FLAG_DELETED = 16, FLAG_SPREAD = 32 }; /* below: prot */

/* --- writing ----------------------------------------------------------------------------------------------------- */

static void put_bytes(struct bytes *b, const void *bytes, size_t size)
{
    while (b->size + size > b->room) {
        b->room = b->room ? 2 * b->room : 16384;
        b->byte = memory_resize(b->byte, b->room);
    }
    memcpy(b->byte + b->size, bytes, size);
    b->size += size;
}

static void put(struct bytes *b, uint64_t value)
{
    uint8_t byte[10];
    size_t size = 0;
    for (; value >= 128; value >>= 7)
        byte[size++] = (uint8_t)(value | 128);
    byte[size++] = (uint8_t)value;
    put_bytes(b, byte, size);
}

static void put_vma(struct bytes *b, const struct residency_vma *v, uint64_t gap, uint64_t page)
{
    uint64_t spread = v->spread.huge;
    for (int kind = 0; kind < RESIDENCY_KINDS; kind++)
        spread |= v->spread.of[kind];
    put(b, gap / page);
    put(b, (v->end - v->start) / page);
    put(b, v->prot | (v->shared ? FLAG_SHARED : 0) | (v->deleted ? FLAG_DELETED : 0) | (spread ? FLAG_SPREAD : 0));
    put(b, v->backing);
    put(b, v->offset);
    put(b, v->major);
    put(b, v->minor);
    put(b, v->inode);
    put(b, strlen(v->path));
    put_bytes(b, v->path, strlen(v->path));
    for (int kind = 0; spread && kind < RESIDENCY_KINDS; kind++)
        put(b, v->spread.of[kind]);
    if (spread)
        put(b, v->spread.huge);
}

void encode(const struct residency_snapshot *s, uint64_t page, struct bytes *b)
{
    const struct residency_totals *t = &s->totals;
    const uint64_t head[] = { s->method,    s->cost_ns, page,       t->rss,           t->rss_anon, t->rss_file,
                              t->rss_shmem, t->swap,    t->hugetlb, t->has_oom_kills, t->oom_kills };
    uint64_t last = 0;
    for (size_t i = 0; i < sizeof head / sizeof *head; i++)
        put(b, head[i]);
    put(b, s->vmas);
    for (uint32_t i = 0; i < s->vmas; last = s->vma[i++].end)
        put_vma(b, &s->vma[i], s->vma[i].start - last, page);
    put(b, s->runs);
    last = 0;
    for (uint32_t i = 0; i < s->runs; last = s->run[i++].end) {
        const struct residency_run *r = &s->run[i];
        put(b, (r->start - last) / page << 4 | (uint64_t)r->kind << 1 | r->huge);
        put(b, (r->end - r->start) / page);
    }
}

/* --- reading ----------------------------------------------------------------------------------------------------- */

struct input {
    const uint8_t *at, *end;
    bool bad;
};

static uint64_t get(struct input *in)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && in->at < in->end; shift += 7) {
        uint8_t byte = *in->at++;
        value |= (uint64_t)(byte & 127) << shift;
        if (byte < 128)
            return value;
    }
    in->bad = true;
    return 0;
}

/* A number that counts, or means, something up to `most`. */
static uint64_t get_below(struct input *in, uint64_t most)
{
    uint64_t value = get(in);
    in->bad |= value > most;
    return in->bad ? 0 : value;
}

/* Moves *at by a number of pages; addresses stay below 2^63. */
static uint64_t forward(struct input *in, uint64_t at, uint64_t pages, uint64_t page)
{
    const uint64_t most = (uint64_t)1 << 63;
    in->bad |= pages > (most - at) / page;
    return in->bad ? at : at + pages * page;
}

static uint64_t get_vma(struct input *in, struct builder *b, uint64_t last, uint64_t page)
{
    struct residency_vma v = { .start = forward(in, last, get(in), page) };
    v.end = forward(in, v.start, get(in), page);
    uint64_t flags = get(in);
    v.prot = flags & 7;
    v.shared = flags & FLAG_SHARED;
    v.deleted = flags & FLAG_DELETED;
    v.backing = (enum residency_backing)get_below(in, RESIDENCY_OF_SPECIAL);
    v.offset = get(in);
    v.major = (uint32_t)get(in);
    v.minor = (uint32_t)get(in);
    v.inode = get(in);
    size_t size = (size_t)get_below(in, (uint64_t)(in->end - in->at));
    struct residency_vma *kept = in->bad || v.end == v.start ? NULL : builder_vma(b, (const char *)in->at, size);
    in->bad |= !kept;
    in->at += in->bad ? 0 : size;
    for (int kind = 0; flags & FLAG_SPREAD && kind < RESIDENCY_KINDS; kind++)
        v.spread.of[kind] = get_below(in, v.end - v.start);
    v.spread.huge = flags & FLAG_SPREAD ? get_below(in, v.end - v.start) : 0;
    if (!kept)
        return last;
    v.path = kept->path;
    *kept = v;
    return v.end;
}

static uint64_t get_run(struct input *in, struct builder *b, uint64_t last, uint64_t page)
{
    uint64_t what = get(in);
    uint64_t start = forward(in, last, what >> 4, page), end = forward(in, start, get(in), page);
    in->bad |= (what >> 1 & 7) >= RESIDENCY_KINDS || end == start;
    in->bad |= in->bad || !builder_run(b, start, end, (enum residency_kind)(what >> 1 & 7), what & 1);
    return end;
}

bool decode(const uint8_t *bytes, size_t size, struct residency_snapshot *s)
{
    struct input in = { bytes, bytes + size, false };
    struct builder b = { .s = s };
    s->method = (enum residency_method)get_below(&in, RESIDENCY_BY_STATUS);
    s->cost_ns = get(&in);
    uint64_t page = get_below(&in, 1u << 20), last = 0;
    uint64_t *const totals[] = { &s->totals.rss,       &s->totals.rss_anon, &s->totals.rss_file,
                                 &s->totals.rss_shmem, &s->totals.swap,     &s->totals.hugetlb };
    for (size_t i = 0; i < sizeof totals / sizeof *totals; i++)
        *totals[i] = get(&in);
    s->totals.has_oom_kills = get(&in);
    s->totals.oom_kills = get(&in);
    in.bad |= !page;
    for (uint64_t left = get(&in); left && !in.bad; left--)
        last = get_vma(&in, &b, last, page);
    last = 0;
    for (uint64_t left = in.bad ? 0 : get(&in); left && !in.bad; left--)
        last = get_run(&in, &b, last, page);
    if (in.bad) /* the mappings' names are no texts yet */
        s->vmas = 0;
    builder_finish(&b);
    return !in.bad;
}
