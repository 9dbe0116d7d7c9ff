/*
 * latency.c: how long single calls of malloc and free take, and what made the longest so long.
 *
 *   latency EVENTS CPU MODULES FOLDER [SESSION]
 *
 * On that CPU alone, 15 frames deep, it times each of EVENTS calls, every second one a free of a block that was made 64
 * before; then each of the first calls of 200 new threads; then those from MODULES shared objects (FOLDER/0.so, ...: of
 * latency_module.so.c) that were just loaded; then the loading of libstdc++, whose start allocates. What timing itself
 * takes is measured first and subtracted. SESSION is where the tap writes: the header of its trace tells which call
 * closed a chunk.
 *
 * Prints lines: a name and numbers, times in nanoseconds.
 *   times NAME COUNT P50 P99 P99.9 MAX
 *   long NAME ALL CLOSED SWITCHED FAULTED OTHER SECONDS    calls of LONG_NS or more by what happened meanwhile: the
 *       call closed a chunk; the scheduler took the CPU away; a page was given; nothing that is seen here
 *   idle COUNT SWITCHED MAX SECONDS    the gaps of LONG_NS or more in a loop that does nothing but look at the clock
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <memtap/trace.h>

#define LONG_NS 10000.0
#define THREADS 200
#define MOST_MODULES 500
#define LIVE 64u
#define LOOK 1024u /* events between two looks at what the scheduler did */
#define FRAMES 15
#define FRAME __attribute__((noinline, noclone))
#define BUCKETS 2048u

struct times {
    uint64_t count[BUCKETS], total, longest;
};

struct causes {
    long all, closed, switched, faulted, other;
};

static struct times mallocs, frees, closing, first_of_thread, second_of_thread, first_of_module, second_of_module;
static struct causes causes[2]; /* of malloc, of free */
static double ns_per_tick, long_ticks;
static uint64_t own; /* ticks that timing itself takes */
static struct rusage seen;
static const volatile uint64_t *sequence; /* of the next chunk; stays 0 without a trace */
static uint64_t no_sequence, events;
static void *live[LIVE];

#ifdef __x86_64__
#include <x86intrin.h>
static inline uint64_t ticks(void)
{
    _mm_lfence();
    uint64_t now = __rdtsc();
    _mm_lfence();
    return now;
}
#else
static inline uint64_t ticks(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}
#endif

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* --- distributions: buckets are 3 % wide ------------------------------------------------------------------------- */

static unsigned bucket_of(uint64_t value)
{
    unsigned power = value < 32 ? 0 : 63 - (unsigned)__builtin_clzll(value);
    return power ? (power - 4) * 32 + (unsigned)(value >> (power - 5) & 31) : (unsigned)value;
}

static double middle_of(unsigned bucket)
{
    unsigned power = bucket / 32 + 4;
    return bucket < 32 ? bucket : ((double)(32 + bucket % 32) + 0.5) * (double)(1ull << (power - 5));
}

static uint64_t put(struct times *t, uint64_t taken)
{
    taken = taken > own ? taken - own : 0;
    t->count[bucket_of(taken)]++;
    t->total++;
    if (taken > t->longest)
        t->longest = taken;
    return taken;
}

static double percentile(const struct times *t, double share)
{
    uint64_t before = 0;
    for (unsigned i = 0; i < BUCKETS; i++) {
        before += t->count[i];
        if ((double)before >= share * (double)t->total)
            return middle_of(i) * ns_per_tick;
    }
    return 0;
}

static void print_times(const char *name, const struct times *t)
{
    printf("times %s %lu %.1f %.1f %.1f %.1f\n", name, (unsigned long)t->total, percentile(t, 0.5), percentile(t, 0.99),
           percentile(t, 0.999), (double)t->longest * ns_per_tick);
}

/* --- clocks ------------------------------------------------------------------------------------------------------- */

static void calibrate(void)
{
    static struct times empty;
    double from = now_ns();
    uint64_t from_ticks = ticks();
    while (now_ns() - from < 5e7)
        continue;
    ns_per_tick = (now_ns() - from) / (double)(ticks() - from_ticks);
    long_ticks = LONG_NS / ns_per_tick;
    for (int i = 0; i < 200000; i++) {
        uint64_t begun = ticks();
        put(&empty, ticks() - begun);
    }
    own = (uint64_t)(percentile(&empty, 0.5) / ns_per_tick);
}

static void watch_trace(const char *session)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%d.mtap", session, (int)getpid());
    int file = open(path, O_RDONLY);
    void *header = file < 0 ? MAP_FAILED : mmap(NULL, TRACE_HEADER_SIZE, PROT_READ, MAP_SHARED, file, 0);
    if (header == MAP_FAILED) {
        fprintf(stderr, "latency: no trace %s\n", path);
        exit(1);
    }
    sequence = &((const struct trace_header *)header)->status.next_sequence;
}

/* --- many calls --------------------------------------------------------------------------------------------------- */

static FRAME void explain(struct causes *c, bool closed)
{
    struct rusage now;
    getrusage(RUSAGE_THREAD, &now);
    c->all++;
    if (closed)
        c->closed++;
    else if (now.ru_nivcsw != seen.ru_nivcsw || now.ru_nvcsw != seen.ru_nvcsw)
        c->switched++;
    else if (now.ru_minflt != seen.ru_minflt || now.ru_majflt != seen.ru_majflt)
        c->faulted++;
    else
        c->other++;
    seen = now;
}

static void note(struct times *t, struct causes *c, uint64_t taken, bool closed)
{
    taken = put(t, taken);
    if (closed)
        put(&closing, taken + own);
    if ((double)taken >= long_ticks)
        explain(c, closed);
}

static FRAME void allocate(uint64_t way)
{
    for (unsigned i = 0; i < 16; i++) {
        size_t size = 16 + (events * 0x9e3779b97f4a7c15u >> 53) % 1985;
        void **place = &live[events / 2 % LIVE];
        uint64_t before = *sequence, begun = ticks();
        free(*place);
        uint64_t ended = ticks(), between = *sequence;
        if (*place)
            note(&frees, &causes[1], ended - begun, between != before);
        begun = ticks();
        *place = malloc(size);
        ended = ticks();
        memset(*place, (int)way, 16);
        note(&mallocs, &causes[0], ended - begun, *sequence != between);
        events += 2;
        if (events % LOOK == 0)
            getrusage(RUSAGE_THREAD, &seen);
    }
}

static FRAME void descend(unsigned frames, uint64_t way);

static FRAME void aside(unsigned frames, uint64_t way)
{
    descend(frames, way);
    __asm__ volatile("" : : : "memory");
}

static FRAME void descend(unsigned frames, uint64_t way)
{
    if (frames == 0)
        allocate(way);
    else if (way & 1)
        aside(frames - 1, way >> 1);
    else
        descend(frames - 1, way >> 1);
    __asm__ volatile("" : : : "memory");
}

static void print_causes(const char *name, const struct causes *c, double seconds)
{
    printf("long %s %ld %ld %ld %ld %ld %.3f\n", name, c->all, c->closed, c->switched, c->faulted, c->other, seconds);
}

static double time_calls(uint64_t wanted)
{
    double begun = now_ns();
    getrusage(RUSAGE_THREAD, &seen);
    for (uint64_t i = 0; events < wanted; i++)
        descend(FRAMES, i % 64 * 0x9e3779b97f4a7c15u >> 20);
    return (now_ns() - begun) / 1e9;
}

/* What interrupts a loop that calls nothing. */
static void idle(double seconds)
{
    struct rusage before, after;
    double end = now_ns() + seconds * 1e9;
    uint64_t last = ticks(), longest = 0;
    long count = 0;
    getrusage(RUSAGE_THREAD, &before);
    for (unsigned i = 0; i % LOOK || now_ns() < end; i++) {
        uint64_t now = ticks(), gap = now - last;
        count += (double)gap >= long_ticks;
        longest = gap > longest ? gap : longest;
        last = now;
    }
    getrusage(RUSAGE_THREAD, &after);
    printf("idle %ld %ld %.1f %.3f\n", count, after.ru_nivcsw - before.ru_nivcsw, (double)longest * ns_per_tick,
           seconds);
}

/* --- first calls -------------------------------------------------------------------------------------------------- */

static void time_two(void *(*allocate_it)(size_t), struct times *first, struct times *second)
{
    uint64_t begun = ticks();
    void *one = allocate_it(100);
    uint64_t between = ticks();
    void *two = allocate_it(100);
    uint64_t ended = ticks();
    put(first, between - begun);
    put(second, ended - between);
    free(one);
    free(two);
}

static void *thread(void *argument)
{
    time_two(malloc, &first_of_thread, &second_of_thread);
    return argument;
}

static void time_threads(void)
{
    pthread_t id;
    for (int i = 0; i < THREADS; i++) {
        if (pthread_create(&id, NULL, thread, NULL) != 0)
            exit(1);
        pthread_join(id, NULL);
    }
}

static void time_modules(int modules, const char *folder)
{
    static struct times load_of_module, load_of_libstdcxx;
    char path[4096];
    for (int i = 0; i < modules; i++) {
        snprintf(path, sizeof path, "%s/%d.so", folder, i);
        uint64_t begun = ticks();
        void *module = dlopen(path, RTLD_NOW);
        put(&load_of_module, ticks() - begun);
        void *(*function)(size_t) = module ? (void *(*)(size_t))dlsym(module, "module_allocate") : NULL;
        if (!function) {
            fprintf(stderr, "latency: no module %s\n", path);
            exit(1);
        }
        time_two(function, &first_of_module, &second_of_module);
    }
    uint64_t begun = ticks();
    void *library = dlopen("libstdc++.so.6", RTLD_NOW);
    put(&load_of_libstdcxx, ticks() - begun);
    print_times("load_of_module", &load_of_module);
    if (library)
        print_times("load_of_libstdcxx", &load_of_libstdcxx);
}

int main(int argc, char **argv)
{
    uint64_t wanted = argc > 4 ? strtoull(argv[1], NULL, 10) : 0;
    int cpu = argc > 4 ? atoi(argv[2]) : -1, modules = argc > 4 ? atoi(argv[3]) : -1;
    if (wanted < LOOK || cpu < 0 || cpu >= CPU_SETSIZE || modules < 0 || modules > MOST_MODULES) {
        fprintf(stderr, "usage: latency EVENTS CPU MODULES FOLDER [SESSION]\n");
        return 2;
    }
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((size_t)cpu, &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0)
        return 1;
    sequence = &no_sequence;
    calibrate();
    if (argc > 5)
        watch_trace(argv[5]);
    double seconds = time_calls(wanted);
    idle(seconds < 3 ? seconds : 3);
    print_times("malloc", &mallocs);
    print_times("free", &frees);
    print_times("closing", &closing);
    print_causes("malloc", &causes[0], seconds);
    print_causes("free", &causes[1], seconds);
    time_threads();
    print_times("first_of_thread", &first_of_thread);
    print_times("second_of_thread", &second_of_thread);
    time_modules(modules, argv[4]);
    print_times("first_of_module", &first_of_module);
    print_times("second_of_module", &second_of_module);
    printf("own %.1f\n", (double)own * ns_per_tick);
    return 0;
}
