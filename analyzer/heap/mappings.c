/* mappings.c: the address space as the calls of the target shape it: pieces in the order of their addresses. */
#include <string.h>
#include <sys/mman.h>

#include "base/memory.h"
#include "heap/inside.h"

/* The first piece that ends behind `address`. */
static uint32_t find_piece(const struct heap *h, uint64_t address)
{
    uint32_t low = 0, high = h->mappings;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (h->mapping[middle].end > address)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static void count(struct heap *h, const struct heap_mapping *m, uint64_t bytes, bool made)
{
    uint64_t *total = m->prot ? &h->totals.mapped_bytes : &h->totals.reserved_bytes;
    if (h->site[m->site].own)
        total = &h->totals.own_bytes;
    *total = made ? *total + bytes : *total - bytes;
    if (h->totals.mapped_bytes > h->totals.mapped_peak)
        h->totals.mapped_peak = h->totals.mapped_bytes;
    if (!m->prot)
        return; /* a reservation holds no memory */
    if (made)
        sites_add(h, m->site, bytes);
    else
        sites_remove(h, m->site, bytes);
}

static void insert_piece(struct heap *h, const struct heap_mapping *m)
{
    uint32_t at = find_piece(h, m->start);
    array_room(h->mapping, h->mappings, h->mapping_room);
    memmove(&h->mapping[at + 1], &h->mapping[at], (h->mappings - at) * sizeof *h->mapping);
    h->mapping[at] = *m;
    h->mappings++;
    count(h, m, m->end - m->start, true);
}

static struct heap_mapping take_piece(struct heap *h, uint32_t at)
{
    struct heap_mapping m = h->mapping[at];
    h->mappings--;
    memmove(&h->mapping[at], &h->mapping[at + 1], (h->mappings - at) * sizeof *h->mapping);
    count(h, &m, m.end - m.start, false);
    return m;
}

/* Takes [start, end) out of the piece at `at`, which overlaps it: what sticks out on either side stays. */
static void cut_piece(struct heap *h, uint32_t at, uint64_t start, uint64_t end)
{
    struct heap_mapping m = take_piece(h, at), head = m, tail = m;
    if (m.start < start) {
        head.end = start;
        insert_piece(h, &head);
    }
    if (m.end > end) {
        tail.start = end;
        tail.offset += end - m.start;
        insert_piece(h, &tail);
    }
}

void mappings_release(struct heap *h, uint64_t start, uint64_t end)
{
    for (;;) {
        uint32_t i = find_piece(h, start);
        if (i == h->mappings || h->mapping[i].start >= end)
            return;
        cut_piece(h, i, start, end);
    }
}

void mappings_release_whole(struct heap *h, uint64_t start)
{
    uint32_t i = find_piece(h, start);
    if (i < h->mappings && h->mapping[i].start == start)
        mappings_release(h, start, h->mapping[i].end);
}

void mappings_make(struct heap *h, const struct heap_mapping *m)
{
    if (m->start >= m->end)
        return;
    mappings_release(h, m->start, m->end); /* MAP_FIXED: what was there is gone */
    insert_piece(h, m);
}

/* The bytes stay whose they were: the piece at the old place keeps its site at the new one. */
void mappings_move(struct heap *h, const struct record_remap *r, const struct heap_mapping *fresh)
{
    uint32_t i = find_piece(h, r->old);
    struct heap_mapping moved = *fresh;
    if (i < h->mappings && h->mapping[i].start <= r->old) {
        moved = h->mapping[i];
        moved.offset += r->old - moved.start;
        moved.start = fresh->start;
        moved.end = fresh->end;
    }
    if (r->old_size && !(r->flags & MREMAP_DONTUNMAP))
        mappings_release(h, r->old, r->old + r->old_size);
    mappings_make(h, &moved);
}

bool mappings_tag(struct heap *h, uint64_t address, uint32_t tag)
{
    uint32_t i = find_piece(h, address);
    if (i == h->mappings || h->mapping[i].start > address)
        return false;
    h->mapping[i].tag = tag;
    return true;
}
