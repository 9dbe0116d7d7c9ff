/* ahead.c: see ahead.h. */
#include "trace/ahead.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>

#include "base/memory.h"

struct ahead {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t asked, filled;
    struct order *first, **last; /* asked for */
    const struct order *awaited;
    bool idle, ends;
};

bool ahead_pays(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 1;
}

/* The next order; NULL when it is time to end. With the lock held. */
static struct order *take(struct ahead *a)
{
    while (!a->first && !a->ends) {
        a->idle = true;
        pthread_cond_wait(&a->asked, &a->lock);
        a->idle = false;
    }
    struct order *o = a->ends ? NULL : a->first;
    if (o && !(a->first = o->next))
        a->last = &a->first;
    return o;
}

static void *run(void *argument)
{
    struct ahead *a = argument;
    pthread_mutex_lock(&a->lock);
    for (struct order *o; (o = take(a));) {
        pthread_mutex_unlock(&a->lock);
        decoder_fill(o->decoder, &o->batch, o->bytes);
        pthread_mutex_lock(&a->lock);
        o->filled = true;
        if (a->awaited == o)
            pthread_cond_signal(&a->filled);
    }
    pthread_mutex_unlock(&a->lock);
    return NULL;
}

/* Signals are for the thread that was there before. */
static bool start(struct ahead *a)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool started = pthread_create(&a->thread, NULL, run, a) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}

static void forget(struct ahead *a)
{
    pthread_cond_destroy(&a->filled);
    pthread_cond_destroy(&a->asked);
    pthread_mutex_destroy(&a->lock);
    free(a);
}

struct ahead *ahead_begin(void)
{
    struct ahead *a = memory_take(sizeof *a);
    pthread_mutex_init(&a->lock, NULL);
    pthread_cond_init(&a->asked, NULL);
    pthread_cond_init(&a->filled, NULL);
    a->last = &a->first;
    if (start(a))
        return a;
    forget(a);
    return NULL;
}

void ahead_ask(struct ahead *a, struct order *o)
{
    o->filled = false;
    o->next = NULL;
    pthread_mutex_lock(&a->lock);
    *a->last = o;
    a->last = &o->next;
    bool wake = a->idle;
    pthread_mutex_unlock(&a->lock);
    if (wake)
        pthread_cond_signal(&a->asked);
}

void ahead_wait(struct ahead *a, struct order *o)
{
    pthread_mutex_lock(&a->lock);
    a->awaited = o;
    while (!o->filled)
        pthread_cond_wait(&a->filled, &a->lock);
    a->awaited = NULL;
    pthread_mutex_unlock(&a->lock);
}

void ahead_end(struct ahead *a)
{
    pthread_mutex_lock(&a->lock);
    a->ends = true;
    pthread_mutex_unlock(&a->lock);
    pthread_cond_signal(&a->asked);
    pthread_join(a->thread, NULL);
    forget(a);
}
