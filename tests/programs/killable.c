/*
 * killable.c: a program that waits to be killed. Two threads allocate and free as fast as they can, also each other's
 * blocks; after every call that has returned they count it in a shared file, which outlives SIGKILL as the trace does.
 *
 *   killable PROGRESS [PAUSE]     PAUSE: nanoseconds, about, between two calls
 *
 * tests/suites/kill reads the file: struct progress is its layout.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define THREADS 2u
#define RECENT 64u /* kinds of the last calls */
#define SHARED 256u
#define SECONDS 20u /* nobody has killed it: it goes by itself */

enum kind { KIND_ALLOC = 1, KIND_FREE, KIND_REALLOC, KIND_MAP, KIND_UNMAP, KIND_REMAP };

struct progress {
    _Atomic uint64_t pid; /* main has begun */
    struct {
        _Atomic uint64_t tid;
        _Atomic uint64_t count;         /* calls that have returned */
        _Atomic uint8_t recent[RECENT]; /* enum kind of call number n at n % RECENT */
        uint8_t room[48];
    } thread[THREADS];
};

_Static_assert(sizeof(struct progress) == 8 + THREADS * 128, "the suite knows the layout");

static struct progress *progress;
static _Atomic(void *) shared[SHARED];
static unsigned pause_turns;

static void returned(unsigned me, enum kind kind)
{
    uint64_t n = atomic_load_explicit(&progress->thread[me].count, memory_order_relaxed);
    progress->thread[me].recent[n % RECENT] = (uint8_t)kind;
    progress->thread[me].count = n + 1;
    for (volatile unsigned i = 0; i < pause_turns; i++)
        ;
}

static void *make(unsigned me, uint64_t random)
{
    size_t size = 1 + (random >> 20) % (random % 64 ? 400 : 200000);
    void *at = random >> 40 & 3 ? malloc(size) : calloc(1, size);
    returned(me, KIND_ALLOC);
    return at;
}

static void release(unsigned me, void *at, uint64_t random)
{
    if (random >> 50 & 1) {
        at = realloc(at, 1 + (random >> 30) % 1000);
        returned(me, KIND_REALLOC);
    }
    free(at);
    returned(me, KIND_FREE);
}

static void map(unsigned me)
{
    const size_t page = 4096;
    char *at = mmap(NULL, 4 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    returned(me, KIND_MAP);
    at = mremap(at, 4 * page, 8 * page, MREMAP_MAYMOVE);
    returned(me, KIND_REMAP);
    munmap(at + 2 * page, 2 * page);
    returned(me, KIND_UNMAP);
    munmap(at, 2 * page);
    returned(me, KIND_UNMAP);
    munmap(at + 4 * page, 4 * page);
    returned(me, KIND_UNMAP);
}

static void *run(void *number)
{
    unsigned me = (unsigned)(uintptr_t)number;
    uint64_t random = (me + 1) * 0x9e3779b97f4a7c15ull;
    progress->thread[me].tid = (uint64_t)gettid();
    for (;;) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        void *old = atomic_exchange(&shared[random % SHARED], make(me, random));
        if (old)
            release(me, old, random);
        if (random % 512 == 0)
            map(me);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t id;
    int fd = argc > 1 ? open(argv[1], O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;
    if (fd < 0 || ftruncate(fd, sizeof *progress) < 0)
        return 2;
    progress = mmap(NULL, sizeof *progress, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (progress == MAP_FAILED)
        return 2;
    pause_turns = argc > 2 ? (unsigned)atoi(argv[2]) : 0;
    progress->pid = (uint64_t)getpid();
    for (unsigned i = 0; i < THREADS; i++)
        if (pthread_create(&id, NULL, run, (void *)(uintptr_t)i))
            return 2;
    sleep(SECONDS);
    return 3;
}
