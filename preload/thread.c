/* thread.c: see thread.h. */
#include "thread.h"

#include <pthread.h>

#include "real.h"
#include "stamp.h"

#define DEEPEST 8u /* signal handlers nested in the tap */

__thread struct thread thread_self __attribute__((tls_model("initial-exec"), aligned(64)));

uint32_t thread_generation = 1;

static struct {
    int (*key_create)(pthread_key_t *, void (*)(void *));
    int (*set_specific)(pthread_key_t, const void *);
    pthread_key_t key;
    bool has_key;
} threads;

/* --- beginning and end of a thread ------------------------------------------------------------------------------- */

/* Runs among the destructors of thread-specific data. Those that run later can still allocate. */
static void thread_end(void *unused)
{
    (void)unused;
    struct thread *t = &thread_self;
    t->ending = true;
    t->ready = 0;
    if (t->cursor && t->generation == thread_generation && t->depth == 0)
        ring_give_back(t->cursor);
    t->cursor = NULL;
}

void thread_start(void)
{
    threads.key_create = real_next("pthread_key_create");
    threads.set_specific = real_next("pthread_setspecific");
    threads.has_key = threads.key_create && threads.set_specific && threads.key_create(&threads.key, thread_end) == 0;
}

/* Where the thread's stack lies; a signal handler that is the first to need a cursor may be on another one. */
static bool record_stack(struct cursor *c)
{
    struct record_stack r = { .time = tracefile_now(), .address = (uintptr_t)__builtin_frame_address(0) };
    return sys_on_signal_stack() || ring_put(c, RECORD_STACK, &r, NULL, 0, NULL, 0);
}

static bool record_thread(struct thread *t, struct cursor *c)
{
    char name[16];
    struct record_thread r = { .time = tracefile_now(), .tid = t->tid };
    if (c->owned_before == t->tid)
        return true;
    sys_thread_name(name);
    return ring_put(c, RECORD_THREAD, &r, name, sys_strlen(name), NULL, 0) && record_stack(c);
}

static struct cursor *take_cursor(struct thread *t)
{
    if (t->tid == 0)
        t->tid = (uint32_t)sys_tid();
    enum trace_loss cause;
    struct cursor *c = ring_take(t->tid, &cause);
    if (c && record_thread(t, c))
        return c;
    if (c) {
        int hindrance = tracefile_hindrance();
        cause = hindrance >= 0 ? (enum trace_loss)hindrance : TRACE_LOSS_NO_MEMORY;
        ring_give_back(c);
    }
    if (!t->in_start)
        tracefile_lose(cause, 1);
    return NULL;
}

/* The thread's own cursor, for as long as it lives. */
static void adopt_cursor(struct thread *t)
{
    t->generation = thread_generation;
    t->cursor = take_cursor(t);
    if (!t->cursor || !threads.has_key)
        return;
    bool in_start = t->in_start;
    t->in_start = true;
    threads.set_specific(threads.key, t); /* allocates if the key is not among the first 32 */
    t->in_start = in_start;
}

/* --- one event --------------------------------------------------------------------------------------------------- */

static struct cursor *take_for_a_moment(struct thread *t)
{
    if (t->depth <= DEEPEST)
        return take_cursor(t);
    tracefile_lose(TRACE_LOSS_NESTED, 1);
    return NULL;
}

/* Losses are counted in the thread's own slot where it has one: a shared counter would slow all threads down. */
static void lose(struct thread *t, enum trace_loss cause)
{
    if (cause != TRACE_LOSS_PAUSED && t->cursor && t->generation == thread_generation)
        t->cursor->chunk->lost++;
    else
        tracefile_lose(cause, 1);
}

/* The stack has been unwound past the frame that was inside the tap: nobody will come back to it. */
static bool was_left(const struct thread *t, uintptr_t here)
{
    return here >= t->outermost && !sys_on_signal_stack();
}

static void recover(struct thread *t)
{
    t->depth = 1;
    if (t->generation != thread_generation || !t->cursor)
        return;
    ring_restart_others(t->tid, t->cursor);
    ring_restart(t->cursor);
}

struct thread_pass thread_enter(uintptr_t here)
{
    struct thread *t = &thread_self;
    struct thread_pass pass = { .thread = t, .own = t->in_start };
    t->depth++;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    int hindrance = tracefile_hindrance();
    if (likely(t->depth == 1))
        t->outermost = here;
    else if (unlikely(here >= t->outermost) && hindrance < 0 && was_left(t, here))
        recover(t);
    if (unlikely(hindrance >= 0)) {
        if (!t->in_start)
            lose(t, (enum trace_loss)hindrance);
    } else if (unlikely((t->depth > 1 && !t->in_start) || t->ending)) {
        pass.cursor = take_for_a_moment(t);
        stamp_forget(t);
        pass.temporary = true;
    } else {
        if (unlikely(!t->cursor || t->generation != thread_generation))
            adopt_cursor(t);
        pass.cursor = t->cursor;
        t->ready = t->cursor && !t->in_start ? thread_generation : 0;
    }
    return pass;
}

void thread_leave(struct thread_pass *pass)
{
    if (pass->temporary && pass->cursor)
        ring_give_back(pass->cursor);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    pass->thread->depth--;
}

void thread_start_begin(void)
{
    thread_self.in_start = true;
    thread_self.ready = 0;
}

void thread_start_end(void)
{
    thread_self.in_start = false;
}

void thread_forget(void)
{
    thread_generation += thread_generation == UINT32_MAX ? 2 : 1;
    thread_self.ready = 0;
    thread_self.tid = 0;
    thread_self.cursor = NULL;
}
