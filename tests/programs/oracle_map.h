/* oracle_map.h: every call for address space that the tap hooks, entered into the books. */
#ifndef ORACLE_MAP_H
#define ORACLE_MAP_H

#include <errno.h>
#include <sys/ipc.h>
#include <sys/shm.h>

#include "oracle_books.h"

#define READ_WRITE (PROT_READ | PROT_WRITE)
#define PRIVATE (MAP_PRIVATE | MAP_ANONYMOUS)

static volatile size_t map_huge = (size_t)1 << 62;

static uint32_t random_pages(struct worker *w)
{
    if (random_one_in(w, 100))
        return 1 + (uint32_t)random_below(w, REGION_PAGES);
    return 1 + (uint32_t)random_below(w, random_one_in(w, 4) ? 512 : 16);
}

/* A size that takes `pages` pages and need not be a multiple of one. */
static size_t random_bytes(struct worker *w, uint32_t pages)
{
    return (size_t)pages * PAGE - (random_one_in(w, 2) ? random_below(w, PAGE) : 0);
}

/* --- regions ----------------------------------------------------------------------------------------------------- */

static void region_set(struct region *r, enum region_kind kind, void *start, uint32_t pages)
{
    r->kind = kind;
    r->start = start;
    r->pages = pages;
    r->generation = oracle->generation;
    r->even = true;
    memset(r->state, kind == REGION_RESERVED ? PAGE_RESERVED : PAGE_COMMITTED, pages);
}

static struct region *region_free_one(struct worker *w)
{
    for (uint32_t i = 0; i < REGIONS; i++)
        if (w->region[i].kind == REGION_NONE)
            return &w->region[i];
    return NULL;
}

/* Any region of this kind that is whole and was made by this process. */
static struct region *region_even(struct worker *w, enum region_kind kind)
{
    uint32_t first = (uint32_t)random_below(w, REGIONS);
    for (uint32_t i = 0; i < REGIONS; i++) {
        struct region *r = &w->region[(first + i) % REGIONS];
        if (r->kind == kind && r->even && r->generation == oracle->generation)
            return r;
    }
    return NULL;
}

/* Pages [from, to) from some page on that are still the region's, at most `most`. */
static bool region_run(struct worker *w, const struct region *r, uint32_t most, uint32_t *from, uint32_t *to)
{
    uint32_t at = (uint32_t)random_below(w, r->pages);
    *from = at;
    while (at < r->pages && at - *from < most && r->state[at] != PAGE_GONE)
        at++;
    *to = at;
    return *from < *to;
}

/* --- making ------------------------------------------------------------------------------------------------------ */

static void map_failed(struct worker *w, const void *at)
{
    if (at != MAP_FAILED && at != (void *)-1)
        die("a mapping that cannot be made was made at %p", at);
    book_record(w, BOOK_alloc_failed);
}

static void map_new(struct worker *w, struct region *r, enum region_kind kind)
{
    uint32_t pages = kind == REGION_FILE ? 1 + (uint32_t)random_below(w, 4) : random_pages(w);
    int prot = kind == REGION_RESERVED ? PROT_NONE : random_one_in(w, 4) ? PROT_READ : READ_WRITE;
    int flags = kind == REGION_SHARED ? MAP_SHARED | MAP_ANONYMOUS : PRIVATE;
    size_t size = random_bytes(w, pages);
    off_t offset = 0;
    int fd = -1;
    if (kind == REGION_FILE) {
        flags = MAP_PRIVATE;
        fd = oracle->self;
        offset = (off_t)random_below(w, 4) * PAGE;
    } else if (random_one_in(w, 3)) {
        flags |= MAP_NORESERVE;
    }
    void *at =
        random_one_in(w, 2) ? mmap(NULL, size, prot, flags, fd, offset) : mmap64(NULL, size, prot, flags, fd, offset);
    if (at == MAP_FAILED)
        die("no mapping of %zu bytes: %s", size, strerror(errno));
    book_record(w, BOOK_map);
    book_made(w, RECORD_CALL_MMAP, (size_t)pages * PAGE);
    region_set(r, kind, at, pages);
}

static void map_segment(struct worker *w, struct region *r)
{
    uint32_t pages = 1 + (uint32_t)random_below(w, 16);
    int id = shmget(IPC_PRIVATE, random_bytes(w, pages), IPC_CREAT | 0600);
    if (id < 0)
        die("shmget: %s", strerror(errno));
    void *at = shmat(id, NULL, random_one_in(w, 2) ? SHM_RDONLY : 0);
    shmctl(id, IPC_RMID, NULL);
    if (at == (void *)-1)
        die("shmat: %s", strerror(errno));
    book_record(w, BOOK_map);
    book_made(w, RECORD_CALL_SHMAT, (size_t)pages * PAGE);
    region_set(r, REGION_SEGMENT, at, pages);
}

/* Puts a piece of a reservation in use, or takes it out of use again, by mapping over it. */
static void map_over(struct worker *w, struct region *r)
{
    uint32_t from, to;
    bool commit = !random_one_in(w, 3);
    if (!region_run(w, r, 1 + (uint32_t)random_below(w, 64), &from, &to))
        return;
    void *want = r->start + (size_t)from * PAGE;
    size_t size = random_bytes(w, to - from);
    if (mmap(want, size, commit ? READ_WRITE : PROT_NONE, PRIVATE | MAP_FIXED, -1, 0) != want)
        die("MAP_FIXED: %s", strerror(errno));
    book_record(w, BOOK_map);
    book_made(w, RECORD_CALL_MMAP, (size_t)(to - from) * PAGE);
    memset(r->state + from, commit ? PAGE_COMMITTED : PAGE_RESERVED, to - from);
    r->even = false;
}

/* --- unmapping --------------------------------------------------------------------------------------------------- */

static void unmap_pages(struct worker *w, struct region *r, uint32_t from, uint32_t to)
{
    if (munmap(r->start + (size_t)from * PAGE, random_bytes(w, to - from)))
        die("munmap: %s", strerror(errno));
    book_record(w, BOOK_unmap);
    memset(r->state + from, PAGE_GONE, to - from);
    r->even = false;
}

/* What was cut out before may be somebody else's by now, so each rest goes by itself. */
static void unmap_whole(struct worker *w, struct region *r)
{
    for (uint32_t from = 0, to; from < r->pages; from = to) {
        for (to = from; to < r->pages && r->state[to] != PAGE_GONE; to++)
            ;
        if (to > from)
            unmap_pages(w, r, from, to);
        else
            to++;
    }
    r->kind = REGION_NONE;
}

/* Cuts a hole into an attached segment. Its first page stays: by that address it is detached, with all that is left. */
static void segment_cut(struct worker *w, struct region *r)
{
    uint32_t from, to;
    if (region_run(w, r, 4, &from, &to) && from + (from == 0) < to)
        unmap_pages(w, r, from + (from == 0), to);
}

static void segment_detach(struct worker *w, struct region *r)
{
    if (shmdt(r->start))
        die("shmdt: %s", strerror(errno));
    book_record(w, BOOK_unmap);
    r->kind = REGION_NONE;
}

static void unmap_some(struct worker *w, struct region *r)
{
    uint32_t from, to;
    if (r->kind == REGION_SEGMENT)
        random_one_in(w, 3) ? segment_cut(w, r) : segment_detach(w, r);
    else if (random_one_in(w, 3))
        unmap_whole(w, r);
    else if (region_run(w, r, 1 + (uint32_t)random_below(w, r->pages), &from, &to))
        unmap_pages(w, r, from, to);
}

/* --- moving ------------------------------------------------------------------------------------------------------ */

static void remap_resize(struct worker *w, struct region *r)
{
    uint32_t pages = random_one_in(w, 2) ? random_pages(w) : 1 + (uint32_t)random_below(w, r->pages);
    int flags = random_one_in(w, 4) ? 0 : MREMAP_MAYMOVE;
    void *at = mremap(r->start, random_bytes(w, r->pages), random_bytes(w, pages), flags);
    if (at == MAP_FAILED) {
        book_record(w, BOOK_alloc_failed); /* no room to grow in place */
        return;
    }
    book_record(w, BOOK_remap);
    region_set(r, r->kind, at, pages);
}

/* Moves the region onto a part of a reservation. */
static void remap_fixed(struct worker *w, struct region *r)
{
    struct region *onto = region_even(w, REGION_RESERVED);
    if (!onto || onto->pages < r->pages)
        return;
    uint32_t from = (uint32_t)random_below(w, onto->pages - r->pages + 1);
    void *want = onto->start + (size_t)from * PAGE;
    if (mremap(r->start, (size_t)r->pages * PAGE, (size_t)r->pages * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, want) != want)
        die("MREMAP_FIXED: %s", strerror(errno));
    book_record(w, BOOK_remap);
    memset(onto->state + from, PAGE_COMMITTED, r->pages);
    onto->even = false;
    r->kind = REGION_NONE;
}

/* Moves the bytes and leaves an empty mapping where they were; or makes a second view of a shared mapping. */
static void remap_twin(struct worker *w, struct region *r, struct region *twin)
{
    size_t size = (size_t)r->pages * PAGE;
    void *at = r->kind == REGION_SHARED ? mremap(r->start, 0, size, MREMAP_MAYMOVE)
                                        : mremap(r->start, size, size, MREMAP_MAYMOVE | MREMAP_DONTUNMAP);
    if (at == MAP_FAILED) {
        book_record(w, BOOK_alloc_failed); /* kernels before 5.7 have no MREMAP_DONTUNMAP */
        return;
    }
    book_record(w, BOOK_remap);
    region_set(twin, r->kind, at, r->pages);
}

static void remap_any(struct worker *w)
{
    struct region *r = region_even(w, random_one_in(w, 4) ? REGION_SHARED : REGION_PLAIN), *room = region_free_one(w);
    uint64_t how = random_below(w, 10);
    if (!r)
        return;
    if (how < 6)
        remap_resize(w, r);
    else if (how < 8)
        remap_fixed(w, r);
    else if (room)
        remap_twin(w, r, room);
}

/* --- the program break ------------------------------------------------------------------------------------------- */

static void break_grow(struct worker *w)
{
    size_t size = random_one_in(w, 2) ? (1 + random_below(w, 32)) * PAGE : 1 + random_below(w, 100000);
    bool by_brk = random_one_in(w, 2);
    uintptr_t old = (uintptr_t)sbrk(0);
    if (oracle->breaks == BREAKS && oracle->brk[BREAKS - 1].end != old)
        return;
    if (by_brk ? brk((void *)(old + size)) != 0 : sbrk((intptr_t)size) != (void *)old)
        die("the program break does not grow: %s", strerror(errno));
    book_record(w, BOOK_brk);
    book_made(w, by_brk ? RECORD_CALL_BRK : RECORD_CALL_SBRK, size);
    if (oracle->breaks == 0 || oracle->brk[oracle->breaks - 1].end != old)
        oracle->brk[oracle->breaks++].start = old;
    oracle->brk[oracle->breaks - 1].end = old + size;
}

/* Only what is still the oracle's own may go: malloc may have moved the break as well. */
static void break_shrink(struct worker *w)
{
    uintptr_t end = (uintptr_t)sbrk(0);
    if (oracle->breaks == 0 || oracle->brk[oracle->breaks - 1].end != end)
        return;
    uintptr_t start = oracle->brk[oracle->breaks - 1].start;
    size_t size = random_one_in(w, 3) ? end - start : 1 + random_below(w, end - start);
    bool by_brk = random_one_in(w, 2);
    if (by_brk ? brk((void *)(end - size)) != 0 : sbrk(-(intptr_t)size) != (void *)end)
        die("the program break does not shrink: %s", strerror(errno));
    book_record(w, BOOK_brk);
    oracle->brk[oracle->breaks - 1].end = end - size;
    if (end - size == start)
        oracle->breaks--;
}

static void break_any(struct worker *w)
{
    if (w->index != 0 || !oracle->brk_allowed)
        return;
    if (random_one_in(w, 8))
        map_failed(w, sbrk((intptr_t)map_huge));
    else if (random_one_in(w, 2))
        break_grow(w);
    else
        break_shrink(w);
}

/* --- calls that make nothing ------------------------------------------------------------------------------------- */

static void map_fail(struct worker *w, const struct region *r)
{
    switch (random_below(w, 6)) {
    case 0:
        map_failed(w, mmap(NULL, map_huge, READ_WRITE, PRIVATE, -1, 0));
        break;
    case 1:
        map_failed(w, mmap64(NULL, 0, READ_WRITE, PRIVATE, -1, 0));
        break;
    case 2:
        map_failed(w, mremap((void *)(PAGE + 1), PAGE, PAGE, MREMAP_MAYMOVE));
        break;
    case 3:
        map_failed(w, shmat(-1, NULL, 0));
        break;
    case 4:
        if (r->kind != REGION_NONE && (munmap(r->start + 1, PAGE) == 0 || munmap(r->start, 0) == 0))
            die("a munmap that cannot succeed did");
        break;
    default:
        if (madvise((void *)(PAGE + 1), PAGE, MADV_NORMAL) == 0 || shmdt((void *)(PAGE + 1)) == 0)
            die("madvise or shmdt that cannot succeed did");
    }
}

static void map_advise(struct worker *w, struct region *r)
{
    static const int advices[] = { MADV_DONTNEED, MADV_WILLNEED, MADV_FREE, MADV_HUGEPAGE, MADV_NORMAL };
    int advice = advices[random_below(w, 5)];
    uint32_t from, to;
    if (!region_run(w, r, 64, &from, &to))
        return;
    void *at = r->start + (size_t)from * PAGE;
    size_t size = (size_t)(to - from) * PAGE;
    if (random_one_in(w, 2)) {
        r->even &= advice != MADV_HUGEPAGE; /* that splits the mapping, and mremap wants one */
        if (madvise(at, size, advice) == 0)
            book_record(w, BOOK_advise);
    } else if (to - from <= 4 && mlock(at, size) == 0) {
        book_record(w, BOOK_lock);
        munlock(at, size);
    }
}

/* --- one step ---------------------------------------------------------------------------------------------------- */

static void map_step(struct worker *w)
{
    static const enum region_kind kinds[] = { REGION_PLAIN,    REGION_PLAIN,    REGION_PLAIN, REGION_SHARED,
                                              REGION_RESERVED, REGION_RESERVED, REGION_FILE };
    struct region *r = &w->region[random_below(w, REGIONS)];
    bool inherited = r->kind != REGION_NONE && r->generation != oracle->generation;
    uint64_t what = random_below(w, 100);
    if (what < 10)
        break_any(w);
    else if (what < 16)
        map_fail(w, r);
    else if (what < 40)
        remap_any(w);
    else if (r->kind == REGION_NONE && what < 45)
        map_segment(w, r);
    else if (r->kind == REGION_NONE)
        map_new(w, r, kinds[random_below(w, sizeof kinds / sizeof *kinds)]);
    else if (r->kind == REGION_RESERVED && !inherited && what < 75)
        map_over(w, r);
    else if (what < 80)
        map_advise(w, r);
    else
        unmap_some(w, r);
}

#endif
