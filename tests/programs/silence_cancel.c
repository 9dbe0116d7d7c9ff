/*
 * silence_cancel.c: threads that are cancelled: at every kind of cancellation point, while they allocate, and
 * asynchronously while they compute; their cleanup handlers and destructors use the heap.
 */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS 60

static __thread void *volatile kept; /* a pair of malloc and free that nobody can see would be left out */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t never = PTHREAD_COND_INITIALIZER;
static sem_t ready, blocked;
static int pipe_fd[2];
static pthread_key_t key;
static int cleaned, destroyed;
static volatile long sink;

static void count(int *counter)
{
    __atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
}

/* --- what is done at a cancellation ------------------------------------------------------------------------------ */

static void clean(void *block)
{
    free(realloc(block, 1000));
    count(&cleaned);
}

static void unlock(void *unused)
{
    (void)unused;
    pthread_mutex_unlock(&mutex);
}

/* Sets the value again, as careless libraries do: destructors of a thread then run in several turns. */
static void destroy(void *value)
{
    long turns = *(long *)value;
    free(value);
    count(&destroyed);
    if (turns > 1) {
        long *again = malloc(sizeof *again);
        *again = turns - 1;
        pthread_setspecific(key, again);
    }
}

/* --- where it happens -------------------------------------------------------------------------------------------- */

static void in_read(void)
{
    char c;
    if (read(pipe_fd[0], &c, 1) >= 0)
        abort();
}

static void in_sleep(void)
{
    struct timespec long_time = { 1000, 0 };
    nanosleep(&long_time, NULL);
}

static void in_semaphore(void)
{
    sem_wait(&blocked);
}

static void in_select(void)
{
    select(0, NULL, NULL, NULL, NULL);
}

static void in_condition(void)
{
    pthread_mutex_lock(&mutex);
    pthread_cleanup_push(unlock, NULL);
    for (;;)
        pthread_cond_wait(&never, &mutex);
    pthread_cleanup_pop(1);
}

static void while_allocating(void)
{
    for (;;) {
        free(kept = malloc(100));
        pthread_testcancel();
    }
}

/* Only code that touches nothing but its own variables may be cancelled anywhere. */
static void while_computing(void)
{
    pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
    for (;;)
        sink = sink * 31 + 7;
}

static void *run(void *where)
{
    void *block = malloc(200);
    long *turns = malloc(sizeof *turns);
    *turns = 3;
    pthread_setspecific(key, turns);
    pthread_cleanup_push(clean, block);
    sem_post(&ready);
    ((void (*)(void))where)();
    pthread_cleanup_pop(0);
    return NULL;
}

static void cancel_in(const char *name, void (*where)(void))
{
    int cancelled = 0;
    cleaned = destroyed = 0;
    for (int round = 0; round < ROUNDS; round++) {
        pthread_t thread;
        void *result;
        pthread_create(&thread, NULL, run, (void *)where);
        sem_wait(&ready);
        if (round % 2)
            usleep(100); /* every other one has got to where it blocks */
        pthread_cancel(thread);
        pthread_join(thread, &result);
        cancelled += result == PTHREAD_CANCELED;
    }
    printf("%s: %d cancelled, %d cleaned, %d destroyed\n", name, cancelled, cleaned, destroyed);
}

static void *leave(void *unused)
{
    (void)unused;
    void *block = malloc(10);
    pthread_cleanup_push(clean, block);
    pthread_exit(block);
    pthread_cleanup_pop(0);
    return NULL;
}

static void exit_threads(void)
{
    pthread_attr_t detached;
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    cleaned = 0;
    for (int round = 0; round < 400; round++) {
        pthread_t thread;
        while (pthread_create(&thread, &detached, leave, NULL) == EAGAIN)
            usleep(1000);
    }
    while (__atomic_load_n(&cleaned, __ATOMIC_RELAXED) < 400)
        usleep(1000);
    printf("detached: %d cleaned\n", cleaned);
}

int main(void)
{
    if (pipe(pipe_fd) != 0)
        return 2;
    sem_init(&ready, 0, 0);
    sem_init(&blocked, 0, 0);
    pthread_key_create(&key, destroy);
    cancel_in("read", in_read);
    cancel_in("sleep", in_sleep);
    cancel_in("semaphore", in_semaphore);
    cancel_in("select", in_select);
    cancel_in("condition", in_condition);
    cancel_in("allocating", while_allocating);
    cancel_in("computing", while_computing);
    exit_threads();
    return 0;
}
