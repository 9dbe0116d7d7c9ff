/*
 * pairs.c: what a malloc and its free cost, at a given depth of the stack and in several threads at once.
 *
 *   pairs DEPTH THREADS PAIRS [BATCH]
 *
 * Each thread makes PAIRS / THREADS pairs of 16 to 2,000 bytes. For every BATCH of them (16) it descends anew to DEPTH
 * frames below its first function, by one of 64 ways through functions with different frames. It does all of it once
 * before the clock starts. Prints: nanoseconds per pair of one thread, and how many calls of malloc and free were made.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define WAYS 64u
#define SIZES 1024u
#define MOST_THREADS 64

/* What makes compilers keep frames, calls and allocations. */
#define FRAME __attribute__((noinline, noclone))
#define KEEP(pointer) __asm__ volatile("" : : "r"(pointer) : "memory")

struct work {
    uint64_t way; /* two bits for each frame; turned around when they are used up */
    uint32_t at;  /* in the list of sizes */
    uint32_t batch;
    long pairs; /* to make */
    double ns;  /* per pair */
};

static uint32_t sizes[SIZES];
static pthread_barrier_t ready;
static int depth;
static uint32_t batch = 16;

static uint64_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 16;
}

static FRAME void allocate(struct work *w)
{
    for (uint32_t i = 0; i < w->batch; i++) {
        char *block = malloc(sizes[w->at++ % SIZES]);
        block[0] = (char)i;
        KEEP(block);
        free(block);
    }
}

static void descend(struct work *w, int frames, uint64_t way);

/* A function with a frame of its own size and its own saved registers. */
#define DESCENT(name, bytes)                                                                                           \
    static FRAME void name(struct work *w, int frames, uint64_t way)                                                   \
    {                                                                                                                  \
        char local[bytes];                                                                                             \
        local[0] = (char)frames;                                                                                       \
        KEEP(local);                                                                                                   \
        descend(w, frames - 1, way >> 2 | way << 62);                                                                  \
        KEEP(local);                                                                                                   \
        w->at += (uint32_t)(frames & 1);                                                                               \
    }

DESCENT(small, 8)
DESCENT(middle, 72)
DESCENT(large, 400)
DESCENT(huge, 2000)

static inline __attribute__((always_inline)) void descend(struct work *w, int frames, uint64_t way)
{
    static void (*const function[])(struct work *, int, uint64_t) = { small, middle, large, huge };
    if (frames > 0)
        function[way & 3](w, frames, way);
    else
        allocate(w);
    KEEP(w);
}

static FRAME void run(struct work *w, long pairs)
{
    uint64_t state = 1;
    for (long done = 0, i = 0; done < pairs; done += w->batch, i++) {
        if (i % WAYS == 0)
            state = 1;
        w->way = next_random(&state) * 0x9e3779b97f4a7c15u;
        descend(w, depth, w->way);
    }
}

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void *thread(void *argument)
{
    struct work *w = argument;
    run(w, (long)(WAYS * w->batch));
    pthread_barrier_wait(&ready);
    double start = now_ns();
    run(w, w->pairs);
    w->ns = (now_ns() - start) / (double)w->pairs;
    return NULL;
}

int main(int argc, char **argv)
{
    static struct work work[MOST_THREADS];
    pthread_t id[MOST_THREADS];
    uint64_t state = 42;
    depth = argc > 3 ? atoi(argv[1]) : -1;
    int threads = argc > 3 ? atoi(argv[2]) : 0;
    batch = argc > 4 ? (uint32_t)atoi(argv[4]) : batch;
    if (depth < 0 || threads < 1 || threads > MOST_THREADS || batch < 1) {
        fprintf(stderr, "usage: pairs DEPTH THREADS PAIRS [BATCH]\n");
        return 2;
    }
    for (uint32_t i = 0; i < SIZES; i++)
        sizes[i] = 16 + (uint32_t)(next_random(&state) % 1985);
    long pairs = (atol(argv[3]) / threads + batch - 1) / batch * batch;
    pthread_barrier_init(&ready, NULL, (unsigned)threads);
    for (int i = 0; i < threads; i++) {
        work[i] = (struct work){ .batch = batch, .pairs = pairs };
        if (pthread_create(&id[i], NULL, thread, &work[i]) != 0)
            return 1;
    }
    double sum = 0;
    for (int i = 0; i < threads; i++) {
        pthread_join(id[i], NULL);
        sum += work[i].ns;
    }
    printf("%.2f %ld\n", sum / threads, 2 * threads * (pairs + (long)(WAYS * batch)));
    return 0;
}
