/*
 * agreement_c.c: allocates in ways whose number and sizes are known, for comparing the books of several tools.
 *
 *   family            20,000 calls of all functions that every tool sees, by a fixed sequence of pseudo-random numbers
 *   all               the same with memalign and pvalloc
 *   threads           `family` in four threads at once
 *   FUNCTION COUNT    COUNT times: memalign, pvalloc, realloc0 (a block, realloc to 0), failed (too large), once
 *   mallinfo FILE     leaves blocks behind and writes to FILE what glibc says of the heap before and after
 */
#include <malloc.h>
#include <memtap/memtap.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS 256
#define CALLS 20000

struct work {
    uint32_t random;
    unsigned functions; /* of those in use_function */
    void *block[SLOTS];
};

static uint32_t next(struct work *w, uint32_t below)
{
    w->random = w->random * 1664525u + 1013904223u;
    return (w->random >> 8) % below;
}

/* Mostly small, some beyond the threshold from which malloc maps memory of its own. */
static size_t next_size(struct work *w)
{
    return next(w, 100) == 0 ? 100000 + next(w, 200000) : 1 + next(w, 1500);
}

static void *use_function(struct work *w, void *old)
{
    void *block = NULL;
    size_t size = next_size(w);
    unsigned function = next(w, w->functions);
    if (function >= 3)
        free(old);
    switch (function) {
    case 0:
        return realloc(old, size);
    case 1:
        return realloc(old, size / 2 + 1);
    case 2:
        return reallocarray(old, size / 8 + 1, 8);
    case 3:
        return calloc(1 + size / 16, 16);
    case 4:
        return posix_memalign(&block, (size_t)16 << next(w, 6), size) == 0 ? block : NULL;
    case 5:
        return aligned_alloc(64, (size + 63) / 64 * 64);
    case 6:
        return valloc(size);
    case 12:
        return memalign(128, size);
    case 13:
        return pvalloc(size);
    default:
        return malloc(size);
    }
}

/* Every tenth slot keeps its block: it is still there at the end. */
static void *work(void *argument)
{
    struct work *w = argument;
    for (int i = 0; i < CALLS; i++) {
        uint32_t slot = next(w, SLOTS);
        w->block[slot] = use_function(w, w->block[slot]);
    }
    for (int slot = 0; slot < SLOTS; slot++)
        if (slot % 10)
            free(w->block[slot]);
    free(NULL);
    return NULL;
}

static int work_in_threads(void)
{
    static struct work w[4];
    pthread_t thread[4];
    for (uint32_t i = 0; i < 4; i++) {
        w[i] = (struct work){ .random = i + 1, .functions = 12 };
        pthread_create(&thread[i], NULL, work, &w[i]);
    }
    for (int i = 0; i < 4; i++)
        pthread_join(thread[i], NULL);
    return 0;
}

/* Compilers know malloc too well: they leave out calls whose result is not used. */
static void *volatile seen;

static int work_single(unsigned functions)
{
    static struct work w;
    w = (struct work){ .random = 1, .functions = functions };
    work(&w);
    return 0;
}

static int repeat(const char *function, int count)
{
    for (int i = 0; i < count; i++) {
        size_t size = 1 + 37 * (size_t)i;
        if (strcmp(function, "memalign") == 0)
            seen = memalign(64, size);
        else if (strcmp(function, "pvalloc") == 0)
            seen = pvalloc(size);
        else if (strcmp(function, "failed") == 0)
            seen = malloc((size_t)1 << 62);
        else if (strcmp(function, "once") == 0)
            seen = malloc(size);
        else if (strcmp(function, "realloc0") == 0) {
            seen = malloc(size);
            seen = realloc(seen, 0);
        } else
            return 2;
    }
    return 0;
}

/* --- what glibc says of its heap --------------------------------------------------------------------------------- */

static void write_mallinfo(FILE *out)
{
    struct mallinfo2 m = mallinfo2();
    fprintf(out, "mallinfo %zu %zu %zu\n", m.uordblks, m.hblks, m.hblkhd);
}

/* Blocks that malloc keeps in its caches for quick use count as used: the suite switches these caches off. */
static int compare_mallinfo(const char *path)
{
    static struct work w = { .random = 7, .functions = 14 };
    FILE *out = fopen(path, "w");
    if (!out)
        return 2;
    static char buffer[1 << 16]; /* stdio shall not allocate in between */
    setvbuf(out, buffer, _IOFBF, sizeof buffer);
    write_mallinfo(out);
    memtap_mark("from", 0);
    work(&w);
    memtap_mark("to", 0);
    write_mallinfo(out);
    for (int slot = 0; slot < SLOTS; slot += 10)
        if (w.block[slot])
            fprintf(out, "block %p %zu\n", w.block[slot], malloc_usable_size(w.block[slot]));
    fprintf(out, "malloc_info\n");
    malloc_info(0, out);
    fclose(out);
    return 0;
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    if (strcmp(what, "family") == 0)
        return work_single(12);
    if (strcmp(what, "all") == 0)
        return work_single(14);
    if (strcmp(what, "threads") == 0)
        return work_in_threads();
    if (argc == 3 && strcmp(what, "mallinfo") == 0)
        return compare_mallinfo(argv[2]);
    return argc == 3 ? repeat(what, atoi(argv[2])) : 2;
}
