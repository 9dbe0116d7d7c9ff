/* mappings.c: the address space as the calls of the target shape it: pieces in the order of their addresses. */
#include <string.h>
#include <sys/mman.h>

#include "base/memory.h"
#include "heap/inside.h"

uint32_t heap_mapping_behind(const struct heap *h, uint64_t address)
{
    return array_behind(h->mapping, h->mappings, end, address);
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
        sites_add(h, m->site, heap_whole(bytes));
    else
        sites_remove(h, m->site, heap_whole(bytes));
}

static void insert_piece(struct heap *h, const struct heap_mapping *m)
{
    uint32_t at = heap_mapping_behind(h, m->start);
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
    contents_forget(h, start, end);
    for (;;) {
        uint32_t i = heap_mapping_behind(h, start);
        if (i == h->mappings || h->mapping[i].start >= end)
            return;
        cut_piece(h, i, start, end);
    }
}

void mappings_detach(struct heap *h, uint64_t address)
{
    for (uint32_t i = heap_mapping_behind(h, address); i < h->mappings; i++) {
        const struct heap_mapping *m = &h->mapping[i];
        if (h->site[m->site].call == RECORD_CALL_SHMAT && m->start - m->offset == address)
            take_piece(h, i--);
    }
}

void mappings_make(struct heap *h, const struct heap_mapping *m)
{
    if (m->start >= m->end)
        return;
    mappings_release(h, m->start, m->end); /* MAP_FIXED: what was there is gone */
    insert_piece(h, m);
}

/* Notes what of [start, end) there is, for the thread whose mremap moves it. */
static void note_moving(struct heap *h, uint64_t start, uint64_t end, uint32_t tid)
{
    for (uint32_t i = heap_mapping_behind(h, start); i < h->mappings && h->mapping[i].start < end; i++) {
        struct heap_mapping m = h->mapping[i];
        if (m.start < start) {
            m.offset += start - m.start;
            m.start = start;
        }
        if (m.end > end)
            m.end = end;
        array_room(h->moving, h->movings, h->moving_room);
        h->moving[h->movings++] = (struct heap_moving){ tid, m };
    }
}

void mappings_leave(struct heap *h, const struct record_remap *r, uint32_t tid)
{
    uint64_t size = r->old_size ? r->old_size : r->size; /* 0: shared memory becomes visible at a second place */
    note_moving(h, r->old, r->old + size, tid);
    if (r->old_size && !(r->flags & MREMAP_DONTUNMAP))
        mappings_release(h, r->old, r->old + r->old_size);
}

/* The bytes stay whose they were: the pieces from the old place keep their sites at the new one, and the last of them
 * gets what is added. */
void mappings_arrive(struct heap *h, const struct record_remap *r, const struct heap_mapping *fresh, uint32_t tid)
{
    struct heap_mapping last = *fresh;
    bool any = false;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < h->movings; i++) {
        struct heap_mapping m = h->moving[i].piece;
        if (h->moving[i].tid != tid) {
            h->moving[kept++] = h->moving[i];
            continue;
        }
        m.start += r->address - r->old;
        m.end += r->address - r->old;
        if (m.start >= fresh->end)
            continue;
        if (any)
            mappings_make(h, &last);
        last = m;
        any = true;
    }
    h->movings = kept;
    last.end = fresh->end;
    mappings_make(h, &last);
}

bool mappings_tag(struct heap *h, uint64_t address, uint32_t tag)
{
    uint32_t i = heap_mapping_behind(h, address);
    if (i == h->mappings || h->mapping[i].start > address)
        return false;
    if (h->mean && h->mapping[i].start != address)
        return false; /* more likely a block in it that was not recorded */
    h->mapping[i].tag = tag;
    return true;
}
