/*
 * silence_storm.c: two threads load and unload a library again and again while two others allocate.
 *
 *      silence_storm LIBRARY ROUNDS
 *
 * The library allocates when it is loaded and unloaded, and its function allocates with its own code on the stack, so
 * a profiler that takes the loader's lock while it unwinds, or unwinds through code that goes away, gets stuck or dies.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static const char *library;
static long rounds;
static volatile int over;
static int wrong;

static void *load(void *unused)
{
    (void)unused;
    for (long round = 0; round < rounds; round++) {
        void *handle = dlopen(library, round % 2 ? RTLD_NOW : RTLD_LAZY);
        int (*work)(int) = handle ? (int (*)(int))dlsym(handle, "storm_work") : NULL;
        if (!work || work((int)round) != round * 3 || dlclose(handle) != 0)
            __atomic_fetch_add(&wrong, 1, __ATOMIC_RELAXED);
    }
    return NULL;
}

static void __attribute__((noinline)) allocate_below(int depth)
{
    if (depth > 0)
        allocate_below(depth - 1);
    else
        free(realloc(malloc(70), 200));
    __asm__ volatile("");
}

static void *allocate(void *unused)
{
    (void)unused;
    for (int depth = 0; !over; depth = (depth + 1) % 40)
        allocate_below(depth);
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t loader[2], allocator[2];
    if (argc != 3)
        return 2;
    library = argv[1];
    rounds = atol(argv[2]);
    for (int i = 0; i < 2; i++) {
        pthread_create(&allocator[i], NULL, allocate, NULL);
        pthread_create(&loader[i], NULL, load, NULL);
    }
    for (int i = 0; i < 2; i++)
        pthread_join(loader[i], NULL);
    over = 1;
    for (int i = 0; i < 2; i++)
        pthread_join(allocator[i], NULL);
    printf("the storm is over, %d wrong\n", wrong);
    return wrong != 0;
}
