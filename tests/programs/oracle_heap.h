/* oracle_heap.h: every heap call that the tap hooks, entered into the books. */
#ifndef ORACLE_HEAP_H
#define ORACLE_HEAP_H

#include <dlfcn.h>
#include <malloc.h>

#include "oracle_books.h"

#define MARKED 16u /* blocks of at least this size carry a mark in their first bytes */

/* Sizes that no allocator can give; volatile, or the compiler knows the answer. */
static volatile size_t heap_huge = (size_t)1 << 62;
static volatile size_t heap_many = (size_t)1 << 61;
static void *volatile heap_nothing; /* or realloc(NULL, n) becomes malloc(n) */

/* Only some libcs have these; the tap exports them all. */
static struct {
    void (*cfree)(void *);
    void (*free_sized)(void *, size_t);
    void (*free_aligned_sized)(void *, size_t, size_t);
} heap_rare;

static void heap_open(void)
{
    heap_rare.cfree = (void (*)(void *))dlsym(RTLD_DEFAULT, "cfree");
    heap_rare.free_sized = (void (*)(void *, size_t))dlsym(RTLD_DEFAULT, "free_sized");
    heap_rare.free_aligned_sized = (void (*)(void *, size_t, size_t))dlsym(RTLD_DEFAULT, "free_aligned_sized");
}

static size_t random_size(struct worker *w)
{
    uint64_t class = random_below(w, 1000);
    if (class < 20)
        return 0;
    if (class < 700)
        return random_below(w, 256);
    if (class < 900)
        return random_below(w, 4096);
    if (class < 985)
        return random_below(w, 65536);
    if (class < 998)
        return random_below(w, 1 << 20);
    return random_below(w, (64u << 20) + 1);
}

/* --- marks: the block is nobody else's ---------------------------------------------------------------------------- */

static void mark_put(void *at, uint64_t size)
{
    if (size >= MARKED)
        *(uint64_t *)at = (uintptr_t)at ^ size;
}

static void mark_check(const void *at, const void *was, uint64_t size)
{
    if (size >= MARKED && *(const uint64_t *)at != ((uintptr_t)was ^ size))
        die("block %p of %lu bytes was overwritten", was, size);
}

/* --- making ------------------------------------------------------------------------------------------------------ */

static void *call_aligned(struct worker *w, struct block *b)
{
    void *at = NULL;
    b->alignment = (size_t)16 << random_below(w, 9);
    switch (b->call) {
    case RECORD_CALL_MEMALIGN:
        return memalign(b->alignment, b->size);
    case RECORD_CALL_ALIGNED_ALLOC:
        return aligned_alloc(b->alignment, b->size);
    case RECORD_CALL_POSIX_MEMALIGN:
        return posix_memalign(&at, b->alignment, b->size) ? NULL : at;
    case RECORD_CALL_VALLOC:
        b->alignment = PAGE;
        return valloc(b->size);
    default:
        b->alignment = PAGE;
        return pvalloc(b->size);
    }
}

/* Sets b->size as well: calloc and reallocarray multiply. */
static void *call_alloc(struct worker *w, struct block *b)
{
    size_t each = 1 + random_below(w, 24), count = (b->size + each - 1) / each;
    b->alignment = 16;
    switch (b->call) {
    case RECORD_CALL_MALLOC:
        high_add(b->size);
        return malloc(b->size);
    case RECORD_CALL_CALLOC:
        high_add(b->size = count * each);
        return calloc(count, each);
    case RECORD_CALL_REALLOC:
        high_add(b->size);
        return realloc(heap_nothing, b->size);
    case RECORD_CALL_REALLOCARRAY:
        high_add(b->size = count * each);
        return reallocarray(heap_nothing, count, each);
    default:
        high_add(b->size);
        return call_aligned(w, b);
    }
}

/* Puts a new block into the slot, which is empty. */
static void heap_make(struct worker *w, struct block *slot)
{
    static const enum record_call calls[] = {
        RECORD_CALL_MALLOC,         RECORD_CALL_MALLOC,   RECORD_CALL_MALLOC,        RECORD_CALL_MALLOC,
        RECORD_CALL_MALLOC,         RECORD_CALL_CALLOC,   RECORD_CALL_CALLOC,        RECORD_CALL_REALLOC,
        RECORD_CALL_REALLOCARRAY,   RECORD_CALL_MEMALIGN, RECORD_CALL_ALIGNED_ALLOC, RECORD_CALL_VALLOC,
        RECORD_CALL_POSIX_MEMALIGN, RECORD_CALL_PVALLOC,
    };
    slot->call = calls[random_below(w, sizeof calls / sizeof *calls)];
    slot->size = random_size(w);
    void *at = call_alloc(w, slot);
    if (!at)
        die("no memory for %lu bytes", slot->size);
    low_add(slot->size);
    book_record(w, BOOK_alloc);
    book_made(w, slot->call, slot->size);
    if (slot->call == RECORD_CALL_CALLOC && slot->size >= MARKED && *(uint64_t *)at != 0)
        die("calloc gave dirty memory");
    mark_put(at, slot->size);
    slot->generation = oracle->generation;
    atomic_store(&slot->at, at);
}

/* --- freeing and resizing ---------------------------------------------------------------------------------------- */

static void slot_put(struct block *slot, const struct block *b)
{
    slot->size = b->size;
    slot->alignment = b->alignment;
    slot->call = b->call;
    slot->generation = b->generation;
    atomic_store(&slot->at, b->at);
}

/* Takes the block out of its slot: what is copied out here is what the next call frees. */
static struct block slot_take(struct block *slot)
{
    struct block b = { .at = NULL };
    slot_put(&b, slot);
    atomic_store(&slot->at, NULL);
    mark_check(b.at, b.at, b.size);
    return b;
}

/* A free begins, or what in realloc is one. */
static void free_begins(struct worker *w, const struct block *b)
{
    w->book.frees++;
    if (b->generation == oracle->generation) {
        low_take(b->size);
        return;
    }
    w->book.inherited_frees++;
    w->book.inherited_bytes += b->size;
}

static void free_ended(const struct block *b)
{
    if (b->generation == oracle->generation)
        high_take(b->size);
}

static void free_by_realloc(struct worker *w, void *at)
{
    volatile size_t none = 0;
    void *left = random_one_in(w, 2) ? realloc(at, none) : reallocarray(at, none, 8);
    book_record(w, BOOK_realloc);
    if (left)
        die("realloc(p, 0) did not free: this libc is not for the oracle");
}

static bool can_be_sized(const struct block *b)
{
    return b->call == RECORD_CALL_MALLOC || b->call == RECORD_CALL_CALLOC || b->call == RECORD_CALL_REALLOC;
}

static void free_somehow(struct worker *w, const struct block *b, void *at, uint64_t how)
{
    if (how == 1 && heap_rare.cfree) {
        heap_rare.cfree(at);
        w->book.cfree++;
    } else if (how <= 3 && heap_rare.free_sized && can_be_sized(b)) {
        heap_rare.free_sized(at, b->size);
        w->book.free_sized++;
    } else if (how <= 5 && heap_rare.free_aligned_sized && b->call == RECORD_CALL_ALIGNED_ALLOC) {
        heap_rare.free_aligned_sized(at, b->alignment, b->size);
        w->book.free_aligned_sized++;
    } else {
        free(at);
    }
}

static void heap_free(struct worker *w, const struct block *b)
{
    uint64_t how = random_below(w, 16);
    void *at = b->at;
    free_begins(w, b);
    if (how == 0) {
        free_by_realloc(w, at);
    } else {
        free_somehow(w, b, at, how);
        book_record(w, BOOK_free);
    }
    free_ended(b);
}

static void heap_free_slot(struct worker *w, struct block *slot)
{
    struct block b = slot_take(slot);
    heap_free(w, &b);
}

static void heap_resize(struct worker *w, struct block *slot)
{
    struct block old = slot_take(slot);
    size_t each = 1 + random_below(w, 24), size = random_size(w) + 1;
    bool array = random_one_in(w, 3);
    if (array)
        size = (size + each - 1) / each * each;
    free_begins(w, &old);
    high_add(size);
    void *at = array ? reallocarray(old.at, size / each, each) : realloc(old.at, size);
    if (!at)
        die("no memory for %zu bytes", size);
    free_ended(&old);
    low_add(size);
    book_record(w, BOOK_realloc);
    slot->call = array ? RECORD_CALL_REALLOCARRAY : RECORD_CALL_REALLOC;
    book_made(w, slot->call, size);
    if (old.size >= MARKED && size >= MARKED)
        mark_check(at, old.at, old.size);
    mark_put(at, size);
    slot->size = size;
    slot->alignment = 16;
    slot->generation = oracle->generation;
    atomic_store(&slot->at, at);
}

/* --- failing ----------------------------------------------------------------------------------------------------- */

/* Calls that cannot succeed. The block in the slot lives on. */
static void heap_fail(struct worker *w, struct block *slot)
{
    void *at = slot->at, *got = NULL;
    uint64_t which = random_below(w, at ? 9 : 7);
    switch (which) {
    case 0:
        got = malloc(heap_huge);
        break;
    case 1:
        got = calloc(heap_many, 16);
        break;
    case 2:
        got = memalign(64, heap_huge);
        break;
    case 3:
        if (posix_memalign(&got, 3, 100))
            got = NULL;
        break;
    case 4:
        got = valloc(heap_huge);
        break;
    case 5:
        got = reallocarray(heap_nothing, heap_many, 16);
        break;
    case 6:
        got = aligned_alloc(4096, heap_huge);
        break;
    case 7:
        got = realloc(at, heap_huge);
        break;
    default:
        got = reallocarray(at, heap_many, 16);
    }
    if (got)
        die("call %lu that cannot succeed did", which);
    book_record(w, BOOK_alloc_failed);
    if (at)
        mark_check(at, at, slot->size);
}

/* --- from thread to thread --------------------------------------------------------------------------------------- */

static void heap_hand_over(struct block *slot)
{
    pthread_mutex_lock(&oracle->queue_lock);
    if (oracle->queued < QUEUE) {
        slot_put(&oracle->queue[oracle->queued++], slot);
        atomic_store(&slot->at, NULL);
    }
    pthread_mutex_unlock(&oracle->queue_lock);
}

/* Frees, or keeps, a block that somebody has handed over. */
static void heap_receive(struct worker *w, struct block *slot)
{
    struct block b = { .at = NULL };
    pthread_mutex_lock(&oracle->queue_lock);
    if (oracle->queued > 0) {
        uint32_t i = (uint32_t)random_below(w, oracle->queued--);
        slot_put(&b, &oracle->queue[i]);
        slot_put(&oracle->queue[i], &oracle->queue[oracle->queued]);
        if (!slot->at)
            slot_put(slot, &b);
    }
    pthread_mutex_unlock(&oracle->queue_lock);
    if (b.at && slot->at != b.at) {
        mark_check(b.at, b.at, b.size);
        heap_free(w, &b);
    }
}

/* --- one step ---------------------------------------------------------------------------------------------------- */

static void heap_step(struct worker *w)
{
    struct block *slot = &w->slot[random_below(w, SLOTS)];
    uint64_t what = random_below(w, 100);
    if (what < 4) {
        heap_fail(w, slot);
    } else if (what < 12) {
        heap_receive(w, slot);
    } else if (!slot->at) {
        heap_make(w, slot);
    } else if (what < 45) {
        for (uint64_t chain = random_below(w, 4) + 1; chain > 0; chain--)
            heap_resize(w, slot);
    } else if (what < 60) {
        heap_hand_over(slot);
    } else if (what < 61) {
        free(NULL);
    } else {
        heap_free_slot(w, slot);
    }
}

#endif
