/*
 * oracle_books.h: the ledger of oracle.c: what the program knows of its own calls. It lies in memory that the program
 * took by raw system calls, so keeping it makes no event of its own. Written to a file at the end, one fact a line.
 *
 * A child of fork() keeps its own: the generation goes up, and blocks and regions of an older generation are inherited.
 */
#ifndef ORACLE_BOOKS_H
#define ORACLE_BOOKS_H

#include <fcntl.h>
#include <memtap/record.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE 4096u
#define WORKERS 8u
#define SLOTS 256u          /* blocks that a worker holds at most */
#define REGIONS 24u         /* pieces of address space that a worker holds at most */
#define REGION_PAGES 16384u /* largest of them: 64 MiB */
#define QUEUE 1024u         /* blocks that are handed from thread to thread */
#define BREAKS 64u
#define KEPT 65536u /* mappings that are kept to the end */

/* The records that the tap must have written, named as memtap dump names them. */
#define BOOK_KINDS(K)                                                                                                  \
    K(alloc) K(free) K(realloc) K(alloc_failed) K(map) K(unmap) K(remap) K(brk) K(advise) K(lock) K(trim)

enum book_kind {
#define BOOK_KIND_NAME(name) BOOK_##name,
    BOOK_KINDS(BOOK_KIND_NAME)
#undef BOOK_KIND_NAME
        BOOK_KIND_COUNT
};

struct book {
    uint64_t record[BOOK_KIND_COUNT];
    uint64_t call_count[RECORD_CALL_COUNT], call_bytes[RECORD_CALL_COUNT]; /* blocks and mappings made, by call */
    uint64_t frees;                                                        /* by free or by realloc */
    uint64_t inherited_frees, inherited_bytes;                             /* of them, blocks of the parent */
    uint64_t cfree, free_sized, free_aligned_sized;
};

/*
 * A slot is set after the block was allocated and cleared before it is freed, so a child that is forked meanwhile by
 * another thread finds in it only what lives in its copy of the heap.
 */
struct block {
    _Atomic(void *) at;
    uint64_t size, alignment;
    enum record_call call;
    uint32_t generation;
};

enum region_kind { REGION_NONE, REGION_PLAIN, REGION_SHARED, REGION_RESERVED, REGION_FILE, REGION_SEGMENT };
enum page_state { PAGE_GONE, PAGE_RESERVED, PAGE_COMMITTED };

struct region {
    enum region_kind kind;
    uint8_t *start;
    uint32_t pages;
    uint32_t generation;
    bool even;      /* still one mapping, as it was made */
    uint8_t *state; /* enum page_state of each page */
};

struct worker {
    uint32_t index;
    uint64_t random;
    struct book book;
    struct block slot[SLOTS];
    struct region region[REGIONS];
};

struct oracle {
    uint32_t generation;
    bool brk_allowed; /* worker 0 may move the program break */
    int self;         /* a file to map */
    /*
     * Live bytes as they are at least and at most while calls are under way: a block counts in `low` from the end of
     * the call that made it to the begin of the call that frees it, in `high` from begin to end. Whatever moment the
     * tap stamps lies between.
     */
    _Atomic uint64_t low, high, low_peak, high_peak;
    pthread_mutex_t queue_lock;
    uint32_t queued;
    struct block queue[QUEUE];
    struct {
        uintptr_t start, end;
    } brk[BREAKS];
    uint32_t breaks;
    _Atomic uint32_t kept_count;
    uintptr_t kept[KEPT]; /* of one page each */
    uint32_t children;
    int child[16];
    struct worker worker[WORKERS];
};

static struct oracle *oracle;

static void __attribute__((noreturn, format(printf, 1, 2))) die(const char *format, ...)
{
    char text[512];
    va_list more;
    va_start(more, format);
    int size = vsnprintf(text, sizeof text, format, more);
    va_end(more);
    if (write(2, text, (size_t)size) < 0 || write(2, "\n", 1) < 0)
        abort();
    _exit(99);
}

/* --- chance ------------------------------------------------------------------------------------------------------ */

static uint64_t random_next(struct worker *w)
{
    uint64_t x = w->random;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return w->random = x;
}

static uint64_t random_below(struct worker *w, uint64_t limit)
{
    return (random_next(w) >> 11) % limit;
}

static bool random_one_in(struct worker *w, uint64_t n)
{
    return random_below(w, n) == 0;
}

/* --- memory of the ledger itself --------------------------------------------------------------------------------- */

static void *books_memory(size_t size)
{
    long p = syscall(SYS_mmap, NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == -1)
        die("no memory for the ledger");
    return (void *)p;
}

static void books_open(uint64_t seed)
{
    oracle = books_memory(sizeof *oracle);
    pthread_mutex_init(&oracle->queue_lock, NULL);
    for (uint32_t i = 0; i < WORKERS; i++) {
        struct worker *w = &oracle->worker[i];
        w->index = i;
        w->random = (seed * WORKERS + i + 1) * 0x9e3779b97f4a7c15ull | 1;
        uint8_t *states = books_memory((size_t)REGIONS * REGION_PAGES);
        for (uint32_t k = 0; k < REGIONS; k++)
            w->region[k].state = states + (size_t)k * REGION_PAGES;
    }
}

/* --- bytes that live --------------------------------------------------------------------------------------------- */

static void raise_to(_Atomic uint64_t *peak, uint64_t value)
{
    uint64_t seen = atomic_load(peak);
    while (seen < value && !atomic_compare_exchange_weak(peak, &seen, value))
        ;
}

static void low_add(uint64_t size)
{
    raise_to(&oracle->low_peak, atomic_fetch_add(&oracle->low, size) + size);
}

static void low_take(uint64_t size)
{
    atomic_fetch_sub(&oracle->low, size);
}

static void high_add(uint64_t size)
{
    raise_to(&oracle->high_peak, atomic_fetch_add(&oracle->high, size) + size);
}

static void high_take(uint64_t size)
{
    atomic_fetch_sub(&oracle->high, size);
}

static void book_made(struct worker *w, enum record_call call, uint64_t size)
{
    w->book.call_count[call]++;
    w->book.call_bytes[call] += size;
}

static void book_record(struct worker *w, enum book_kind kind)
{
    w->book.record[kind]++;
}

/* A fork has made this process: nothing is its own yet. */
static void books_inherit(void)
{
    oracle->generation++;
    oracle->children = 0;
    oracle->breaks = 0;
    atomic_store(&oracle->low, 0);
    atomic_store(&oracle->high, 0);
    atomic_store(&oracle->low_peak, 0);
    atomic_store(&oracle->high_peak, 0);
    for (uint32_t i = 0; i < WORKERS; i++)
        memset(&oracle->worker[i].book, 0, sizeof oracle->worker[i].book);
}

/* --- writing it down --------------------------------------------------------------------------------------------- */

struct ledger {
    int fd;
    size_t used;
    char text[65536];
};

static void ledger_flush(struct ledger *l)
{
    if (write(l->fd, l->text, l->used) != (ssize_t)l->used)
        die("the ledger cannot be written");
    l->used = 0;
}

static void __attribute__((format(printf, 2, 3))) ledger_line(struct ledger *l, const char *format, ...)
{
    va_list more;
    if (l->used > sizeof l->text - 256)
        ledger_flush(l);
    va_start(more, format);
    l->used += (size_t)vsnprintf(l->text + l->used, 256, format, more);
    va_end(more);
}

static void ledger_totals(struct ledger *l)
{
    static const char *const kinds[] = {
#define BOOK_KIND_TEXT(name) #name,
        BOOK_KINDS(BOOK_KIND_TEXT)
    };
    static const char *const calls[] = {
#define BOOK_CALL_TEXT(name, text) text,
        RECORD_CALLS(BOOK_CALL_TEXT)
    };
    struct book sum = { .frees = 0 };
    const uint64_t *from;
    for (uint32_t i = 0; i < WORKERS; i++) {
        from = (const uint64_t *)&oracle->worker[i].book;
        for (size_t k = 0; k < sizeof sum / sizeof(uint64_t); k++)
            ((uint64_t *)&sum)[k] += from[k];
    }
    for (int k = 0; k < BOOK_KIND_COUNT; k++)
        ledger_line(l, "record %s %lu\n", kinds[k], sum.record[k]);
    for (int c = 1; c < RECORD_CALL_COUNT; c++)
        if (sum.call_count[c])
            ledger_line(l, "call %s %lu %lu\n", calls[c], sum.call_count[c], sum.call_bytes[c]);
    ledger_line(l, "frees %lu\ninherited_frees %lu\ninherited_bytes %lu\n", sum.frees, sum.inherited_frees,
                sum.inherited_bytes);
    ledger_line(l, "cfree %lu\nfree_sized %lu\nfree_aligned_sized %lu\n", sum.cfree, sum.free_sized,
                sum.free_aligned_sized);
    ledger_line(l, "low_peak %lu\nhigh_peak %lu\n", atomic_load(&oracle->low_peak), atomic_load(&oracle->high_peak));
}

static void ledger_blocks(struct ledger *l, const struct block *block, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (block[i].at && block[i].generation == oracle->generation)
            ledger_line(l, "live %p %lu\n", block[i].at, block[i].size);
}

static void ledger_region(struct ledger *l, const struct region *r)
{
    for (uint32_t from = 0, to; from < r->pages; from = to) {
        for (to = from; to < r->pages && r->state[to] == r->state[from]; to++)
            ;
        if (r->state[from] != PAGE_GONE)
            ledger_line(l, "%s %p %p\n", r->state[from] == PAGE_COMMITTED ? "mapped" : "reserved",
                        r->start + (size_t)from * PAGE, r->start + (size_t)to * PAGE);
    }
}

static void books_write(const char *path)
{
    struct ledger *l = books_memory(sizeof *l);
    l->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (l->fd < 0)
        die("cannot write %s", path);
    ledger_line(l, "pid %d\n", getpid());
    for (uint32_t i = 0; i < oracle->children; i++)
        ledger_line(l, "child %d\n", oracle->child[i]);
    ledger_totals(l);
    ledger_blocks(l, oracle->queue, oracle->queued);
    for (uint32_t i = 0; i < WORKERS; i++) {
        struct worker *w = &oracle->worker[i];
        ledger_blocks(l, w->slot, SLOTS);
        for (uint32_t k = 0; k < REGIONS; k++)
            if (w->region[k].kind != REGION_NONE && w->region[k].generation == oracle->generation)
                ledger_region(l, &w->region[k]);
    }
    for (uint32_t i = 0; i < oracle->breaks; i++)
        if (oracle->brk[i].start < oracle->brk[i].end)
            ledger_line(l, "mapped %p %p\n", (void *)oracle->brk[i].start, (void *)oracle->brk[i].end);
    for (uint32_t i = 0; i < oracle->kept_count; i++)
        ledger_line(l, "mapped %p %p\n", (void *)oracle->kept[i], (void *)(oracle->kept[i] + PAGE));
    ledger_line(l, "end\n");
    ledger_flush(l);
    close(l->fd);
}

#endif
