/*
 * thread.h: what the tap keeps of each thread: whether it is inside the tap, and its cursor.
 *
 * A hook can be entered while the thread is already inside the tap, by a signal handler that allocates: its events are
 * recorded with a cursor taken for the moment. While the tap starts, what the loader allocates on its behalf is
 * recorded as the tap's own.
 */
#ifndef PRELOAD_THREAD_H
#define PRELOAD_THREAD_H

#include "ring.h"

#define THREAD_TAGS 32u /* depth of memtap_push */

/* For stamp.c: ticks of the coarse clock, and a time. */
struct thread_stamp {
    uint64_t tick;    /* up to its end the thread knows how to stamp events; 0: it does not */
    uint32_t alone;   /* what stamp_alone has to be for old stamps to do */
    uint32_t epoch;   /* what stamp_epoch has to be for old stamps to do beside other threads */
    uint32_t left;    /* how many events more the last stamp may serve there */
    uint64_t tried;   /* tick in which it has tried to be alone */
    uint64_t settled; /* from then on it may rely on being alone; 0: it never was */
};

struct thread {
    uint32_t depth;      /* how many times over the thread is inside the tap */
    uint32_t ready;      /* thread_generation if the next event may use the cursor without further questions, else 0 */
    uintptr_t outermost; /* frame address of the outermost entry: a thread above it left by siglongjmp */
    struct cursor *cursor;
    uint32_t tid;
    uint32_t tags; /* how many there are */
    struct thread_stamp stamp;
    uint32_t generation;       /* of the cursor */
    bool in_start;             /* what happens now happens for the tap */
    bool ending;               /* its destructors have run: cursors are taken for one event at a time */
    uint64_t fork_before;      /* clock when fork() was called; 0: not in fork() */
    uint32_t tag[THREAD_TAGS]; /* components.h */
};

/* The calling thread's. What each event needs of it lies in one cache line. */
extern __thread struct thread thread_self __attribute__((tls_model("initial-exec"), visibility("hidden"), aligned(64)));

/* What an event may do. */
struct thread_pass {
    struct thread *thread;
    struct cursor *cursor; /* NULL: nothing is to be recorded */
    bool temporary;        /* the cursor goes back when the event is over */
    bool own;              /* the memory is the tap's own */
};

extern HIDDEN uint32_t thread_generation; /* of the process: differs in a forked child; not 0 */

/* Hot path: begins the event of a thread of which nothing special is known, in a process that records. Returns its
 * cursor, or NULL: then thread_enter has to find out. thread_leave_quickly must follow. `here` as there. */
static inline struct cursor *thread_enter_quickly(struct thread *t, uintptr_t here)
{
    const struct trace_header *h = tracefile_header;
    uint32_t odd = t->depth | (t->ready ^ thread_generation) | __atomic_load_n(&h->status.stopped, __ATOMIC_RELAXED) |
                   __atomic_load_n(&h->control.pause, __ATOMIC_RELAXED);
    if (unlikely(odd))
        return NULL;
    t->depth = 1;
    t->outermost = here;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    return t->cursor;
}

static inline void thread_leave_quickly(struct thread *t)
{
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    t->depth = 0;
}

/* The same where nothing is to be recorded now: counts the event as lost, or returns false. */
static inline bool thread_lose_quickly(struct thread *t)
{
    int hindrance = tracefile_hindrance();
    if (hindrance < 0 || (t->depth | (t->ready ^ thread_generation)))
        return false;
    if (hindrance == (int)TRACE_LOSS_PAUSED)
        tracefile_lose(TRACE_LOSS_PAUSED, 1);
    else
        t->cursor->chunk->lost++;
    return true;
}

/* Begins an event. `here`: the frame address of the event's function. thread_leave must follow, also where cursor is NULL.
 * A handler that leaves the tap by siglongjmp never comes to it: that is noticed at the next event. */
struct thread_pass thread_enter(uintptr_t here);
void thread_leave(struct thread_pass *pass);

/* Whatever this thread allocates between the two is the tap's own. */
void thread_start_begin(void);
void thread_start_end(void);

/* Arranges to be told when a thread ends. Once, before there are threads. */
void thread_start(void);

/* In a forked child: the calling thread's cursor was the parent's. */
void thread_forget(void);

#endif
