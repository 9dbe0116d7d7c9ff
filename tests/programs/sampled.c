/*
 * sampled.c: a program that knows what it allocated where, to hold the estimates of a sampled recording against.
 *
 *   sampled LEDGER SEED [fork|many]
 *
 * Threads allocate at sites of one size each, free about half of it, also each other's blocks and through realloc; one
 * site makes large blocks, one maps memory. With `fork` a child does some of the same, frees what it has from its
 * parent, and writes LEDGER.child. With `many` there are three times as many of the smallest blocks. The ledger has a line for each site, and then each live block:
 *
 *   site NAME SIZE ALLOCATED LIVE          blocks
 *   live ADDRESS SIZE
 *
 * Sizes are 16 n + 9, which nothing else in the process asks for.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS 4u
#define FRAME __attribute__((noinline, noclone))
#define KEEP(pointer) __asm__ volatile("" : : "r"(pointer) : "memory")

/* name, size, blocks of each thread */
#define SITES(S)                                                                                                       \
    S(tiny, 25, 60000)                                                                                                 \
    S(small, 201, 15000)                                                                                               \
    S(middle, 3001, 1500)                                                                                              \
    S(large, 70009, 60)                                                                                                \
    S(huge, 5242889, 3)

enum site {
#define SITE_NUMBER(name, size, count) SITE_##name,
    SITES(SITE_NUMBER) SITE_moved,
    SITE_COUNT
};

#define MOVED_SIZE 409u
#define MOVED_BLOCKS 12000u

static struct {
    const char *name;
    size_t size;
    uint32_t count;
} sites[] = {
#define SITE_ROW(name, size, count) { "at_" #name, size, count },
    SITES(SITE_ROW){ "at_moved", MOVED_SIZE, MOVED_BLOCKS }
};

/* One thread's blocks of one site; a block that is freed leaves NULL. */
struct blocks {
    void **block;
    uint32_t allocated;
};

static struct blocks blocks[THREADS][SITE_COUNT];
static pthread_barrier_t ready;
static uint64_t seed;

#define SITE_FUNCTION(name, size, count)                                                                               \
    static FRAME void *at_##name(void)                                                                                 \
    {                                                                                                                  \
        void *block = malloc(size);                                                                                    \
        KEEP(block);                                                                                                   \
        return block;                                                                                                  \
    }
SITES(SITE_FUNCTION)

static FRAME void *at_moved(void *old)
{
    void *block = realloc(old, MOVED_SIZE);
    KEEP(block);
    return block;
}

static uint64_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

static void *make(enum site site)
{
    static void *(*const function[])(void) = {
#define SITE_POINTER(name, size, count) at_##name,
        SITES(SITE_POINTER)
    };
    return function[site]();
}

/* Some of the small blocks become larger: the old one is freed by realloc, which is a site of its own. */
static void move(struct blocks *small, struct blocks *moved, uint64_t *state)
{
    for (uint32_t i = 0; moved->allocated < sites[SITE_moved].count && i < small->allocated; i++)
        if (next_random(state) % 8) {
            moved->block[moved->allocated++] = at_moved(small->block[i]);
            small->block[i] = NULL;
        }
}

static void free_some(struct blocks *b, uint64_t *state)
{
    for (uint32_t i = 0; i < b->allocated; i++)
        if (next_random(state) % 2) {
            free(b->block[i]);
            b->block[i] = NULL;
        }
}

static void *work(void *argument)
{
    uint32_t number = (uint32_t)(uintptr_t)argument;
    uint64_t state = seed + number;
    for (uint32_t site = 0; site < SITE_moved; site++) {
        struct blocks *b = &blocks[number][site];
        while (b->allocated < sites[site].count)
            b->block[b->allocated++] = make((enum site)site);
    }
    pthread_barrier_wait(&ready);
    struct blocks *theirs = blocks[(number + 1) % THREADS];
    move(&theirs[SITE_small], &theirs[SITE_moved], &state);
    for (uint32_t site = 0; site < SITE_COUNT; site++)
        free_some(&theirs[site], &state);
    return NULL;
}

/* --- the ledger -------------------------------------------------------------------------------------------------- */

static void write_ledger(const char *path)
{
    char line[100];
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    for (uint32_t site = 0; site < SITE_COUNT; site++) {
        uint64_t allocated = 0, live = 0;
        for (uint32_t t = 0; t < THREADS; t++) {
            allocated += blocks[t][site].allocated;
            for (uint32_t i = 0; i < blocks[t][site].allocated; i++)
                live += blocks[t][site].block[i] != NULL;
        }
        int length = snprintf(line, sizeof line, "site %s %zu %llu %llu\n", sites[site].name, sites[site].size,
                              (unsigned long long)allocated, (unsigned long long)live);
        if (write(fd, line, (size_t)length) != length)
            abort();
    }
    for (uint32_t t = 0; t < THREADS; t++)
        for (uint32_t site = 0; site < SITE_COUNT; site++)
            for (uint32_t i = 0; i < blocks[t][site].allocated; i++) {
                const void *block = blocks[t][site].block[i];
                int length = block ? snprintf(line, sizeof line, "live %p %zu\n", block, sites[site].size) : 0;
                if (write(fd, line, (size_t)length) != length)
                    abort();
            }
    close(fd);
}

/* What the child has from its parent it frees, but for one thread's blocks, which are then in no ledger of its own. */
static void be_child(const char *ledger)
{
    char path[4096];
    uint64_t state = seed + THREADS;
    for (uint32_t t = 0; t < THREADS; t++)
        for (uint32_t site = 0; site < SITE_COUNT; site++) {
            struct blocks *b = &blocks[t][site];
            for (uint32_t i = 0; t > 0 && i < b->allocated; i++)
                free(b->block[i]);
            b->allocated = 0;
        }
    for (uint32_t site = 0; site < SITE_moved; site++) {
        struct blocks *b = &blocks[0][site];
        while (b->allocated < sites[site].count)
            b->block[b->allocated++] = make((enum site)site);
        free_some(b, &state);
    }
    snprintf(path, sizeof path, "%s.child", ledger);
    write_ledger(path);
    _exit(0);
}

int main(int argc, char **argv)
{
    pthread_t id[THREADS];
    if (argc < 3)
        return 2;
    seed = strtoull(argv[2], NULL, 10) * 1000;
    if (argc > 3 && strcmp(argv[3], "many") == 0)
        sites[SITE_tiny].count *= 3;
    for (uint32_t t = 0; t < THREADS; t++)
        for (uint32_t site = 0; site < SITE_COUNT; site++) {
            size_t size = sites[site].count * sizeof(void *);
            blocks[t][site].block = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        }
    pthread_barrier_init(&ready, NULL, THREADS);
    for (uint32_t t = 0; t < THREADS; t++)
        pthread_create(&id[t], NULL, work, (void *)(uintptr_t)t);
    for (uint32_t t = 0; t < THREADS; t++)
        pthread_join(id[t], NULL);
    if (argc > 3 && strcmp(argv[3], "fork") == 0) {
        pid_t child = fork();
        if (child == 0)
            be_child(argv[1]);
        waitpid(child, NULL, 0);
    }
    write_ledger(argv[1]);
    _exit(0);
}
