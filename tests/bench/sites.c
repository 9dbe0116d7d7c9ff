/*
 * sites.c: what the tap keeps in memory for many different call stacks.
 *
 *   sites THREADS SITES
 *
 * All threads together allocate from SITES different stacks of twelve frames or so, ten times each, and keep a few of
 * the blocks; then all rest. Prints the resident bytes of the process at that moment, and how many calls were made.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MOST_THREADS 64
#define FRAMES 8
#define TIMES 10
#define FRAME __attribute__((noinline, noclone))

static pthread_barrier_t rest, end;
static long sites_of_thread;

static void *descend(unsigned frames, unsigned long way);

/* Each is another frame: three bits of the way say which. */
#define STEP(name)                                                                                                     \
    static FRAME void *name(unsigned frames, unsigned long way)                                                        \
    {                                                                                                                  \
        void *block = descend(frames - 1, way >> 3);                                                                   \
        __asm__ volatile("" : : "r"(block) : "memory");                                                                \
        return block;                                                                                                  \
    }
STEP(a)
STEP(b)
STEP(c)
STEP(d)
STEP(e)
STEP(f)
STEP(g)
STEP(h)

static inline __attribute__((always_inline)) void *descend(unsigned frames, unsigned long way)
{
    static void *(*const step[])(unsigned, unsigned long) = { a, b, c, d, e, f, g, h };
    return frames ? step[way & 7](frames, way) : malloc(100);
}

static void *allocate(void *argument)
{
    unsigned long first = (unsigned long)argument * (unsigned long)sites_of_thread;
    for (int time = 0; time < TIMES; time++)
        for (long i = 0; i < sites_of_thread; i++) {
            void *block = descend(FRAMES, first + (unsigned long)i);
            if (i % 16 || time)
                free(block);
        }
    pthread_barrier_wait(&rest);
    pthread_barrier_wait(&end);
    return NULL;
}

static long resident_bytes(void)
{
    long all, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f || fscanf(f, "%ld %ld", &all, &resident) != 2)
        resident = 0;
    if (f)
        fclose(f);
    return resident * sysconf(_SC_PAGESIZE);
}

int main(int argc, char **argv)
{
    pthread_t id[MOST_THREADS];
    long threads = argc == 3 ? atol(argv[1]) : 0, sites = argc == 3 ? atol(argv[2]) : 0;
    if (threads < 1 || threads > MOST_THREADS || sites < threads) {
        fprintf(stderr, "usage: sites THREADS SITES\n");
        return 2;
    }
    sites_of_thread = sites / threads;
    pthread_barrier_init(&rest, NULL, (unsigned)threads + 1);
    pthread_barrier_init(&end, NULL, (unsigned)threads + 1);
    for (long i = 0; i < threads; i++)
        if (pthread_create(&id[i], NULL, allocate, (void *)i) != 0)
            return 1;
    pthread_barrier_wait(&rest);
    printf("%ld %ld\n", resident_bytes(), threads * sites_of_thread * (2 * TIMES - 1));
    fflush(stdout);
    pthread_barrier_wait(&end);
    for (long i = 0; i < threads; i++)
        pthread_join(id[i], NULL);
    return 0;
}
