/* event_heap.c: what becomes of malloc and its family: nearly all events, so each has a short way. See event.h. */
#include "event.h"
#include "event_inside.h"
#include "event_sampling.h"
#include "event_start.h"
#include "sample.h"
#include "stamp.h"
#include "unwind.h"

/* Hot path: begins an event where every event is recorded, nothing special is known of the thread, and its cursor has
 * room for an alloc or a free. NULL: event_begin has to find out. */
static inline struct cursor *begin_quickly(struct thread *t, uintptr_t here)
{
    struct cursor *c = thread_enter_quickly(t, here);
    if (likely(c && c->end - c->at >= (ptrdiff_t)RECORD_HOT_MAX))
        return c;
    if (c)
        thread_leave_quickly(t);
    return NULL;
}

static __attribute__((noinline)) void sample_and_leave(struct thread *t, uint64_t now)
{
    sample_take(t->cursor, now);
    thread_leave_quickly(t);
}

static inline void end_quickly(struct thread *t, uint64_t now)
{
    if (sample_due(now))
        sample_and_leave(t, now);
    else
        thread_leave_quickly(t);
}

/* Where recording has stopped: counts the event as lost, or returns false. */
static inline bool lose_quickly(struct thread *t)
{
    return *event_state == EVENT_AWAKE && thread_lose_quickly(t);
}

/* Room for a record of the hot kinds; where there is none, the event is counted as lost. */
static uint8_t *reserve_or_lose(struct cursor *c)
{
    uint8_t *p = ring_reserve(c, RECORD_HOT_MAX);
    if (!p)
        ring_lose(c);
    return p;
}

static bool record_alloc(struct cursor *c, const struct record_alloc *r)
{
    uint8_t *p = reserve_or_lose(c);
    if (p)
        ring_commit(c, record_put_alloc(&c->coder, p, r));
    return p != NULL;
}

/* True if a block was recorded. */
static __attribute__((noinline)) bool alloc_slowly(enum record_call call, const void *block, size_t size,
                                                   const void *caller)
{
    struct thread_pass pass;
    if (lose_quickly(&thread_self) || !event_begin(&pass))
        return false;
    uint32_t node = event_stack(&pass, caller);
    struct record_alloc r = { stamp_heap(block), (uintptr_t)block, size, node, call };
    bool recorded = block && record_alloc(pass.cursor, &r);
    if (!block)
        event_failure(&pass, call, size, node);
    event_end(&pass, r.time);
    return recorded;
}

/* Where begin_quickly has succeeded, but the last stamp does not do; or it does (`stamped`), but the stack is another one
 * than the last time, or tagged. */
static __attribute__((noinline)) void alloc_anew(enum record_call call, const void *block, size_t size,
                                                 const void *caller, bool stamped)
{
    struct thread *t = &thread_self;
    struct cursor *c = t->cursor;
    uint64_t now = stamped ? c->coder.time : stamp_anew(t, c, block, size);
    uint32_t node = stamped ? 0 : unwind_same_stack(c, caller);
    if (unlikely(t->tags))
        node = event_stack(&(struct thread_pass){ .thread = t, .cursor = c }, caller);
    else if (!node)
        node = unwind_stack(c, caller);
    record_alloc(c, &(struct record_alloc){ now, (uintptr_t)block, size, node, call });
    end_quickly(t, now);
}

static __attribute__((noinline)) void alloc_quickly(enum record_call call, const void *block, size_t size,
                                                    const void *caller)
{
    struct thread *t = &thread_self;
    struct cursor *c = likely(block != NULL) ? begin_quickly(t, (uintptr_t)__builtin_frame_address(0)) : NULL;
    if (unlikely(!c)) {
        alloc_slowly(call, block, size, caller);
        return;
    }
    if (unlikely(!stamp_lasts(t, c, block, size))) {
        alloc_anew(call, block, size, caller, false);
        return;
    }
    uint32_t node = unwind_same_stack(c, caller);
    if (unlikely(!node || t->tags)) {
        alloc_anew(call, block, size, caller, true);
        return;
    }
    struct record_alloc r = { c->coder.time, (uintptr_t)block, size, node, call };
    ring_commit(c, record_put_alloc(&c->coder, c->at, &r));
    thread_leave_quickly(t);
}

/* Where not every event is recorded, or none. */
static __attribute__((noinline)) void alloc_if_chosen(enum record_call call, const void *block, size_t size,
                                                      const void *caller)
{
    bool counted = *event_state == EVENT_SAMPLING;
    if (!sampling_passes_over(block, size, counted) && alloc_slowly(call, block, size, caller))
        sampling_keep(block);
}

void event_alloc(enum record_call call, const void *block, size_t size, const void *caller)
{
    if (likely(*event_state == EVENT_AWAKE))
        alloc_quickly(call, block, size, caller);
    else if (!sampling_is_done_with_alloc(block, size))
        alloc_if_chosen(call, block, size, caller);
}

/* Where there is room for it. */
static inline void put_free(struct cursor *c, const void *block, uint64_t now)
{
    struct record_free r = { now, (uintptr_t)block };
    ring_commit(c, record_put_free(&c->coder, c->at, &r));
}

/* True if it was recorded. */
static __attribute__((noinline)) bool free_slowly(const void *block)
{
    struct thread_pass pass;
    if (lose_quickly(&thread_self) || !event_begin(&pass))
        return false;
    bool has_room = reserve_or_lose(pass.cursor) != NULL;
    uint64_t now = stamp_heap(block);
    if (has_room)
        put_free(pass.cursor, block, now);
    event_end(&pass, now);
    return has_room;
}

/* Where begin_quickly has succeeded, but the last stamp does not do. */
static __attribute__((noinline)) void free_anew(const void *block)
{
    struct thread *t = &thread_self;
    uint64_t now = stamp_anew(t, t->cursor, block, 0);
    put_free(t->cursor, block, now);
    end_quickly(t, now);
}

static __attribute__((noinline)) void free_quickly(const void *block)
{
    struct thread *t = &thread_self;
    struct cursor *c = begin_quickly(t, (uintptr_t)__builtin_frame_address(0));
    if (unlikely(!c)) {
        free_slowly(block);
    } else if (unlikely(!stamp_lasts(t, c, block, 0))) {
        free_anew(block);
    } else {
        put_free(c, block, c->coder.time);
        thread_leave_quickly(t);
    }
}

static __attribute__((noinline)) void free_if_kept(const void *block)
{
    if (!sampling_ignores(block) && free_slowly(block))
        sampling_release(block);
}

void event_free(const void *block)
{
    if (likely(*event_state == EVENT_AWAKE))
        free_quickly(block);
    else if (!sampling_is_done_with_free(block))
        free_if_kept(block);
}

static bool record_realloc(struct cursor *c, const struct record_realloc *r)
{
    uint8_t *p = reserve_or_lose(c);
    if (p)
        ring_commit(c, record_put_realloc(&c->coder, p, r));
    return p != NULL;
}

struct event_before event_realloc_begin(const void *old)
{
    bool recorded = !old || sampling_release(old);
    return (struct event_before){ recorded ? event_stamp_heap(old) : 0, recorded };
}

/* Of a block that is recorded, to one that may not be; false: its end could not be recorded. */
static bool realloc_recorded(const struct record_realloc *r, uint64_t before, bool failed, const void *caller)
{
    struct thread_pass pass;
    if (!event_begin(&pass))
        return false;
    struct record_realloc complete = *r;
    complete.node = r->address || failed ? event_stack(&pass, caller) : RECORD_NODE_NONE;
    complete.time = stamp_heap((const void *)r->address);
    complete.took = complete.time - before;
    bool recorded = !failed && record_realloc(pass.cursor, &complete);
    if (failed)
        event_failure(&pass, (enum record_call)r->call, r->size, (uint32_t)complete.node);
    event_end(&pass, complete.time);
    return recorded;
}

/* The same where every event is recorded, and begin_quickly succeeds; else false. */
static bool realloc_quickly(const struct record_realloc *r, uint64_t before, const void *caller)
{
    struct thread *t = &thread_self;
    struct cursor *c = begin_quickly(t, (uintptr_t)__builtin_frame_address(0));
    if (unlikely(!c))
        return false;
    struct record_realloc complete = *r;
    complete.time = stamp_holds(t) ? c->coder.time : stamp_anew(t, c, (const void *)r->address, r->size);
    complete.took = complete.time - before;
    complete.node = event_stack(&(struct thread_pass){ .thread = t, .cursor = c }, caller);
    record_realloc(c, &complete);
    end_quickly(t, complete.time);
    return true;
}

void event_realloc(enum record_call call, struct event_before before, const void *old, const void *block, size_t size,
                   const void *caller)
{
    struct record_realloc r = { .old = (uintptr_t)old, .address = (uintptr_t)block, .size = size, .call = call };
    if (likely(*event_state == EVENT_AWAKE && block) && realloc_quickly(&r, before.time, caller))
        return;
    bool failed = !block && size > 0, chosen = failed || (block && !sampling_passes_over(block, size, false));
    if (!chosen)
        r.address = r.size = 0;
    bool recorded = before.recorded ? realloc_recorded(&r, before.time, failed, caller)
                                    : chosen && alloc_slowly(call, block, size, caller);
    if (before.recorded && !recorded)
        sampling_keep(old); /* it lives on, or nothing says that it does not */
    if (recorded && chosen)
        sampling_keep(block);
}
