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

struct thread {
    uint32_t depth;      /* how many times over the thread is inside the tap */
    uintptr_t outermost; /* frame address of the outermost entry: a thread above it left by siglongjmp */
    uint32_t tid;
    struct cursor *cursor;
    uint64_t generation;       /* of the process: differs in a forked child */
    bool in_start;             /* what happens now happens for the tap */
    bool ending;               /* its destructors have run: cursors are taken for one event at a time */
    uint64_t fork_before;      /* clock when fork() was called; 0: not in fork() */
    uint32_t tag[THREAD_TAGS]; /* components.h */
    uint32_t tags;
};

/* The calling thread's. */
extern __thread struct thread thread_self __attribute__((tls_model("initial-exec"), visibility("hidden")));

/* What an event may do. */
struct thread_pass {
    struct thread *thread;
    struct cursor *cursor; /* NULL: nothing is to be recorded */
    bool temporary;        /* the cursor goes back when the event is over */
    bool own;              /* the memory is the tap's own */
};

/* Begins an event. thread_leave must follow, also where cursor is NULL. A handler that leaves the tap by siglongjmp never
 * comes to it: that is noticed at the next event. */
struct thread_pass thread_enter(void);
void thread_leave(struct thread_pass *pass);

/* Whatever this thread allocates between the two is the tap's own. */
void thread_start_begin(void);
void thread_start_end(void);

/* Arranges to be told when a thread ends. Once, before there are threads. */
void thread_start(void);

/* In a forked child: the calling thread's cursor was the parent's. */
void thread_forget(void);

#endif
