/*
 * oracle.c: a program that makes every kind of call that the tap hooks, by chance, in many threads, and keeps books of
 * its own. tests/suites/oracle compares them with what a trace says.
 *
 *   oracle MODE SEED THREADS STEPS LEDGER
 *
 *   mix         THREADS threads, STEPS steps each
 *   serial      the same, but one call at a time
 *   churn       STEPS short threads, THREADS at a time
 *   fork        one call at a time; the main thread forks while the others rest: a child, and that a grandchild
 *   fork-busy   the main thread forks three times while the others work
 *   fork-tag    a child allocates under the component tag that its parent pushed
 *   handover    two threads hand the same addresses back and forth, STEPS times each
 *   turns       the same with up to 8 threads and many addresses; now and then one of them works alone for a while
 *   remap       half of the threads make room in the address space, the others take it
 *
 * A child writes its ledger to LEDGER.PID.
 */
#include <memtap/memtap.h>
#include <sys/wait.h>

#include "oracle_heap.h"
#include "oracle_map.h"

#define COMPONENT "oracle"
#define CELLS 16u
#define STACK_SIZE (256u << 10) /* small enough for libc to keep the stacks of threads that ended */

static struct {
    const char *mode, *ledger;
    uint32_t threads, steps, child_steps;
    bool serial, busy;
    pthread_mutex_t one_at_a_time;
    pthread_barrier_t all;
    atomic_bool stop;
    _Atomic(void *) cell[CELLS]; /* handover: what one thread leaves there another takes; cell 0 only, in turns all */
} run = { .one_at_a_time = PTHREAD_MUTEX_INITIALIZER };

/* --- the mix ----------------------------------------------------------------------------------------------------- */

/* Malloc's room at the end of its heap: never given back, never used up, so that it never moves the break again. */
#define BREAK_ROOM ((size_t)64 << 20)

static void trim(struct worker *w)
{
    malloc_trim(BREAK_ROOM + random_below(w, 2) * 65536);
    book_record(w, BOOK_trim);
}

static void step(struct worker *w)
{
    if (run.serial)
        pthread_mutex_lock(&run.one_at_a_time);
    if (random_one_in(w, 10))
        map_step(w);
    else if (w->index == 0 && random_one_in(w, 2000))
        trim(w);
    else
        heap_step(w);
    if (run.serial)
        pthread_mutex_unlock(&run.one_at_a_time);
}

static void steps(struct worker *w, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        step(w);
}

/* --- forked children --------------------------------------------------------------------------------------------- */

static void fork_child(struct worker *w, uint32_t depth);

/* Frees a part of what the parent's threads held: their slots are now this thread's affair. */
static void free_inherited(struct worker *w)
{
    for (uint32_t i = 0; i < WORKERS; i++)
        for (uint32_t k = 0; k < SLOTS; k++)
            if (oracle->worker[i].slot[k].at && random_one_in(w, 3))
                heap_free_slot(w, &oracle->worker[i].slot[k]);
}

static void __attribute__((noreturn)) child_live(struct worker *w, uint32_t depth)
{
    char path[4096];
    snprintf(path, sizeof path, "%s.%d", run.ledger, getpid());
    books_inherit();
    run.serial = false;
    if (strcmp(run.mode, "fork-tag") != 0) { /* a test of its own */
        memtap_pop();
        memtap_push(COMPONENT);
    }
    free_inherited(w);
    steps(w, run.child_steps);
    if (depth > 1)
        fork_child(w, depth - 1);
    steps(w, run.child_steps);
    memtap_pop();
    books_write(path);
    if (depth > 1)
        _exit(0);
    exit(0);
}

static void fork_child(struct worker *w, uint32_t depth)
{
    int status;
    pthread_mutex_lock(&oracle->queue_lock); /* the child finds the queue as it is between two calls */
    pid_t pid = fork();
    pthread_mutex_unlock(&oracle->queue_lock);
    if (pid < 0)
        die("fork: %s", strerror(errno));
    if (pid == 0)
        child_live(w, depth);
    oracle->child[oracle->children++] = pid;
    if (!run.busy && (waitpid(pid, &status, 0) != pid || status != 0))
        die("the child %d ended with status %#x", pid, status);
}

static void wait_children(void)
{
    int status;
    for (uint32_t i = 0; run.busy && i < oracle->children; i++)
        if (waitpid(oracle->child[i], &status, 0) != oracle->child[i] || status != 0)
            die("the child %d ended with status %#x", oracle->child[i], status);
}

static void run_fork(struct worker *w)
{
    steps(w, run.steps / 2);
    pthread_barrier_wait(&run.all);
    if (w->index == 0)
        fork_child(w, 2);
    pthread_barrier_wait(&run.all);
    steps(w, run.steps / 2);
}

static void run_fork_tag(struct worker *w)
{
    steps(w, run.steps / 2);
    if (w->index == 0)
        fork_child(w, 1);
    steps(w, run.steps / 2);
}

static void run_fork_busy(struct worker *w)
{
    if (w->index > 0) {
        while (!run.stop)
            step(w);
        return;
    }
    for (uint32_t i = 0; i < 3; i++) {
        steps(w, run.steps / 4);
        fork_child(w, 1);
    }
    steps(w, run.steps / 4);
    run.stop = true;
}

/* --- the same addresses, from thread to thread ------------------------------------------------------------------- */

static void *make_small(struct worker *w, size_t size)
{
    void *at = malloc(size);
    if (!at)
        die("no memory");
    book_record(w, BOOK_alloc);
    book_made(w, RECORD_CALL_MALLOC, size);
    return at;
}

static void free_small(struct worker *w, void *at)
{
    if (!at)
        return;
    book_record(w, BOOK_free);
    w->book.frees++;
    free(at);
}

/* In one arena and without caches what one thread frees is what the other gets next. */
static void run_handover(struct worker *w)
{
    const size_t size = 48;
    for (uint32_t i = 0; i < run.steps; i++) {
        void *at = make_small(w, size);
        free_small(w, i % 2 ? at : atomic_exchange(&run.cell[0], at));
    }
    pthread_barrier_wait(&run.all);
    if (w->index == 0)
        slot_put(&w->slot[0], &(struct block){ .at = run.cell[0], .size = size });
}

/* The rests are about as long as the coarse clock of the tap takes to move on. */
static void run_turns(struct worker *w)
{
    const size_t size = 48;
    for (uint32_t i = 0; i < run.steps; i++) {
        free_small(w, atomic_exchange(&run.cell[random_below(w, CELLS)], make_small(w, size)));
        if (random_one_in(w, 2000))
            usleep((useconds_t)(1000 * random_below(w, 12)));
    }
    pthread_barrier_wait(&run.all);
    if (w->index == 0)
        for (uint32_t i = 0; i < CELLS; i++)
            free_small(w, run.cell[i]);
}

static void *map_pages(struct worker *w, uint32_t pages)
{
    void *at = mmap(NULL, (size_t)pages * PAGE, READ_WRITE, PRIVATE, -1, 0);
    if (at == MAP_FAILED)
        die("mmap: %s", strerror(errno));
    book_record(w, BOOK_map);
    book_made(w, RECORD_CALL_MMAP, (size_t)pages * PAGE);
    return at;
}

/* Makes room again and again: by shrinking, moving and unmapping. */
static void run_remap(struct worker *w)
{
    struct region *r = &w->region[0];
    for (uint32_t i = 0; i < run.steps; i++) {
        uint32_t pages = 4;
        region_set(r, REGION_PLAIN, map_pages(w, pages), pages);
        for (uint32_t k = 0; k < 2; k++) {
            uint32_t next = k ? 8 : 2;
            void *at = mremap(r->start, (size_t)pages * PAGE, (size_t)next * PAGE, MREMAP_MAYMOVE);
            if (at == MAP_FAILED)
                die("mremap: %s", strerror(errno));
            book_record(w, BOOK_remap);
            region_set(r, REGION_PLAIN, at, pages = next);
        }
        unmap_whole(w, r);
    }
}

/* Takes the room that the others make, and keeps it. */
static void run_remap_keep(struct worker *w)
{
    for (uint32_t i = 0; i < run.steps / 4; i++)
        oracle->kept[atomic_fetch_add(&oracle->kept_count, 1) % KEPT] = (uintptr_t)map_pages(w, 1);
}

/* --- threads ----------------------------------------------------------------------------------------------------- */

static bool mode_is(const char *mode)
{
    return strcmp(run.mode, mode) == 0;
}

static void work(struct worker *w)
{
    if (mode_is("fork"))
        run_fork(w);
    else if (mode_is("fork-busy"))
        run_fork_busy(w);
    else if (mode_is("fork-tag"))
        run_fork_tag(w);
    else if (mode_is("handover"))
        run_handover(w);
    else if (mode_is("turns"))
        run_turns(w);
    else if (mode_is("remap"))
        w->index % 2 ? run_remap_keep(w) : run_remap(w);
    else
        steps(w, run.steps);
}

static void *thread(void *worker)
{
    pthread_barrier_wait(&run.all);
    memtap_push(COMPONENT);
    work(worker);
    memtap_pop();
    pthread_barrier_wait(&run.all);
    return NULL;
}

static pthread_t start(void *(*body)(void *), uint32_t worker)
{
    pthread_t id;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_SIZE);
    if (pthread_create(&id, &attributes, body, &oracle->worker[worker]))
        die("no thread");
    pthread_attr_destroy(&attributes);
    return id;
}

/* The main thread is the first worker. Threads begin and end together, so libc allocates nothing for them meanwhile. */
static void run_together(void)
{
    pthread_t id[WORKERS];
    pthread_barrier_init(&run.all, NULL, run.threads);
    for (uint32_t i = 1; i < run.threads; i++)
        id[i] = start(thread, i);
    thread(&oracle->worker[0]);
    for (uint32_t i = 1; i < run.threads; i++)
        pthread_join(id[i], NULL);
}

static void *short_thread(void *worker)
{
    struct block own = { .at = NULL };
    memtap_push(COMPONENT);
    heap_make(worker, &own);
    heap_hand_over(&own);
    for (uint32_t i = 0; i < 4; i++)
        heap_step(worker);
    if (own.at)
        heap_free_slot(worker, &own); /* the queue was full */
    memtap_pop();
    return NULL;
}

static void run_churn(void)
{
    pthread_t id[WORKERS];
    for (uint32_t done = 0; done < run.steps; done += run.threads) {
        for (uint32_t i = 0; i < run.threads; i++)
            id[i] = start(short_thread, i);
        for (uint32_t i = 0; i < run.threads; i++)
            pthread_join(id[i], NULL);
    }
}

/* Another thread's realloc of a block of the main arena may move the break while the oracle does: malloc gets its room
 * at once. */
static bool keep_malloc_off_the_break(void)
{
    const size_t piece = 100 << 10;
    void *volatile held[4];
    if (!mallopt(M_MMAP_THRESHOLD, 128 << 10) || !mallopt(M_TRIM_THRESHOLD, INT32_MAX) ||
        !mallopt(M_TOP_PAD, BREAK_ROOM))
        return false;
    for (size_t i = 0; i < 4; i++)
        held[i] = malloc(piece); /* more than what malloc begins with: the break moves, by the pad */
    for (size_t i = 0; i < 4; i++)
        free(held[i]);
    return mallopt(M_TOP_PAD, 128 << 10);
}

int main(int argc, char **argv)
{
    if (argc != 6)
        die("usage: oracle MODE SEED THREADS STEPS LEDGER");
    run.mode = argv[1];
    run.threads = (uint32_t)atoi(argv[3]);
    run.steps = (uint32_t)atoi(argv[4]);
    run.ledger = argv[5];
    run.serial = mode_is("serial") || mode_is("fork");
    run.busy = mode_is("fork-busy");
    run.child_steps = mode_is("fork-tag") ? 50 : 1500; /* few, to leave something of what it inherits */
    if (run.threads < 1 || run.threads > WORKERS)
        die("1 to %u threads", WORKERS);
    books_open((uint64_t)atoi(argv[2]));
    heap_open();
    oracle->self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    oracle->brk_allowed = keep_malloc_off_the_break();
    if ((mode_is("handover") || mode_is("turns")) && !mallopt(M_ARENA_MAX, 1))
        die("no M_ARENA_MAX");
    if (mode_is("churn"))
        run_churn();
    else
        run_together();
    wait_children();
    books_write(run.ledger);
    return 0;
}
