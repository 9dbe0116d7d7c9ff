/*
 * churn.c: malloc and free where threads come and go, or where one frees what another has allocated.
 *
 *   churn exchange PAIRS BLOCKS       as many blocks from PAIRS producers, each freed by its own consumer
 *   churn threads AT_ONCE THREADS     threads that allocate 100 times and end, AT_ONCE of them at any time
 *
 * Prints nanoseconds of wall time per block, over all threads together, and how many calls of malloc and free were
 * made; for `threads`, the time holds the making and the end of the threads, too.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MOST_PAIRS 16
#define QUEUE 1024u /* blocks under way from a producer to its consumer */
#define BLOCKS_OF_THREAD 100
#define FRAME __attribute__((noinline, noclone))

struct exchange {
    _Atomic(void *) queue[QUEUE]; /* NULL: taken */
    long blocks;
};

static struct exchange exchange[MOST_PAIRS];
static long threads_left;

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* A stack of ten frames or so, with the size in its path. */
static FRAME void *allocate_below(unsigned frames, size_t size)
{
    void *block = frames ? allocate_below(frames - 1, size) : malloc(size);
    __asm__ volatile("" : : "r"(block) : "memory");
    return block;
}

static size_t size_of(long number)
{
    return 16 + (size_t)((uint64_t)number * 0x9e3779b97f4a7c15u >> 54); /* up to 1,039 */
}

static void *produce(void *argument)
{
    struct exchange *e = argument;
    for (long i = 0; i < e->blocks; i++) {
        char *block = allocate_below(8, size_of(i));
        block[0] = (char)i;
        while (atomic_load_explicit(&e->queue[i % QUEUE], memory_order_acquire))
            sched_yield();
        atomic_store_explicit(&e->queue[i % QUEUE], block, memory_order_release);
    }
    return NULL;
}

static void *consume(void *argument)
{
    struct exchange *e = argument;
    for (long i = 0; i < e->blocks; i++) {
        void *block;
        while (!(block = atomic_load_explicit(&e->queue[i % QUEUE], memory_order_acquire)))
            sched_yield();
        atomic_store_explicit(&e->queue[i % QUEUE], NULL, memory_order_release);
        free(block);
    }
    return NULL;
}

static void *live_shortly(void *argument)
{
    (void)argument;
    void *block[BLOCKS_OF_THREAD];
    for (long i = 0; i < BLOCKS_OF_THREAD; i++)
        block[i] = allocate_below(8, size_of(i));
    for (long i = 0; i < BLOCKS_OF_THREAD; i++)
        free(block[i]);
    return NULL;
}

/* One of those that keep AT_ONCE threads alive. */
static void *make_threads(void *argument)
{
    (void)argument;
    pthread_t id;
    while (__atomic_fetch_sub(&threads_left, 1, __ATOMIC_RELAXED) > 0) {
        if (pthread_create(&id, NULL, live_shortly, NULL) != 0)
            abort();
        pthread_join(id, NULL);
    }
    return NULL;
}

static void start(pthread_t *id, void *(*function)(void *), void *argument)
{
    if (pthread_create(id, NULL, function, argument) != 0)
        abort();
}

int main(int argc, char **argv)
{
    pthread_t id[2 * MOST_PAIRS];
    int many = argc == 4 ? atoi(argv[2]) : 0, started = 0;
    long work = argc == 4 ? atol(argv[3]) : 0, blocks;
    if (many < 1 || many > MOST_PAIRS || work < many) {
        fprintf(stderr, "usage: churn exchange PAIRS BLOCKS | churn threads AT_ONCE THREADS\n");
        return 2;
    }
    double begun = now_ns();
    if (strcmp(argv[1], "exchange") == 0) {
        for (int i = 0; i < many; i++) {
            exchange[i].blocks = work / many;
            start(&id[started++], produce, &exchange[i]);
            start(&id[started++], consume, &exchange[i]);
        }
        blocks = work / many * many;
    } else {
        threads_left = work;
        for (int i = 0; i < many; i++)
            start(&id[started++], make_threads, NULL);
        blocks = work * BLOCKS_OF_THREAD;
    }
    while (started > 0)
        pthread_join(id[--started], NULL);
    printf("%.2f %ld\n", (now_ns() - begun) / (double)blocks, 2 * blocks);
    return 0;
}
