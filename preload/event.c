/* event.c: see event.h. */
#include "event.h"

#include <fcntl.h>
#include <time.h>

#include "components.h"
#include "event_inside.h"
#include "event_start.h"
#include "modules.h"
#include "sample.h"
#include "stacks.h"
#include "stamp.h"
#include "thread.h"
#include "unwind.h"

/* --- what every event does --------------------------------------------------------------------------------------- */

/* The stack under the component tag that is in force. */
static __attribute__((noinline)) uint32_t tagged(struct cursor *cursor, const struct thread *t, uint32_t node)
{
    uint32_t tag = t->tag[(t->tags < THREAD_TAGS ? t->tags : THREAD_TAGS) - 1];
    uint32_t string = components_string(cursor, tag);
    return string ? stacks_tagged(cursor, node, string) : node;
}

uint32_t event_stack(const struct thread_pass *pass, const void *caller)
{
    if (pass->own)
        return RECORD_NODE_TAP;
    uint32_t node = unwind_same_stack(pass->cursor, caller);
    if (!node)
        node = unwind_stack(pass->cursor, caller);
    return likely(pass->thread->tags == 0) ? node : tagged(pass->cursor, pass->thread, node);
}

bool event_begin_at(struct thread_pass *pass, uintptr_t here)
{
    if (!event_awake())
        return false;
    *pass = thread_enter(here);
    if (likely(pass->cursor != NULL))
        return true;
    thread_leave(pass);
    return false;
}

/* The same for something of the tap's own: if there is no room for it, nothing of the program's is lost. */
static bool begin_own(struct thread_pass *pass)
{
    thread_start_begin();
    bool begun = event_begin(pass);
    thread_start_end();
    return begun;
}

void event_end(struct thread_pass *pass, uint64_t now)
{
    if (!pass->temporary && sample_due_behind(pass->cursor, now))
        sample_take(pass->cursor, now);
    thread_leave(pass);
}

void event_put_now(enum record_kind kind, uint64_t *time, const char *text)
{
    struct thread_pass pass;
    if (!event_begin(&pass))
        return;
    *time = stamp_now();
    ring_put(pass.cursor, kind, time, text, text ? sys_strlen(text) : 0, NULL, 0);
    event_end(&pass, *time);
}

/* The same for a kind that goes on with `took`; with a stack if there is a place for its node. */
static void put_span(enum record_kind kind, uint64_t *time, uint64_t before, uint64_t *node, const void *caller)
{
    struct thread_pass pass;
    if (!event_begin(&pass))
        return;
    if (node)
        *node = event_stack(&pass, caller);
    time[0] = stamp_now();
    time[1] = time[0] - before;
    ring_put(pass.cursor, kind, time, NULL, 0, NULL, 0);
    event_end(&pass, time[0]);
}

void event_failure(const struct thread_pass *pass, enum record_call call, size_t size, uint32_t node)
{
    struct record_alloc_failed r = { .time = stamp_now(), .size = size, .node = node, .call = call };
    ring_put(pass->cursor, RECORD_ALLOC_FAILED, &r, NULL, 0, NULL, 0);
}

static bool is_recording(void)
{
    return event_awake() && tracefile_hindrance() < 0;
}

/* The cursor whose last stamp will do for the next event; NULL: it has to be stamped anew. */
static const struct cursor *stamped_before(void)
{
    const struct thread *t = &thread_self;
    return *event_state == EVENT_AWAKE && t->ready == thread_generation && stamp_holds(t) ? t->cursor : NULL;
}

uint64_t event_stamp(void)
{
    const struct cursor *c = stamped_before();
    return c ? c->coder.time : is_recording() ? stamp_now() : 0;
}

uint64_t event_stamp_heap(const void *block)
{
    const struct cursor *c = stamped_before();
    return c ? c->coder.time : is_recording() ? stamp_heap(block) : 0;
}

/* --- address space ----------------------------------------------------------------------------------------------- */

/* The file behind a descriptor, as the number of its path. */
static uint32_t file_of(struct cursor *cursor, int fd)
{
    char link[32], path[512];
    struct text t = TEXT_ON(link);
    text_add(&t, "/proc/self/fd/");
    text_add_number(&t, (uint64_t)fd);
    long size = sys_read_link(link, path, sizeof path);
    return size > 0 ? stacks_string(cursor, path, (size_t)size) : 0;
}

void event_map(enum record_call call, uint64_t before, const void *address, size_t size, int prot, int flags, int fd,
               uint64_t offset, const void *caller)
{
    struct thread_pass pass;
    if (!event_begin(&pass))
        return;
    struct record_map r = {
        .address = (uintptr_t)address,
        .size = size,
        .node = event_stack(&pass, caller),
        .call = call,
        .prot = (uint64_t)prot,
        .flags = (uint64_t)flags,
        .offset = offset,
        .file = fd >= 0 ? file_of(pass.cursor, fd) : 0,
    };
    r.time = stamp_now();
    r.took = r.time - before;
    ring_put(pass.cursor, RECORD_MAP, &r, NULL, 0, NULL, 0);
    event_end(&pass, r.time);
}

void event_map_failed(enum record_call call, size_t size, const void *caller)
{
    struct thread_pass pass;
    if (!event_begin(&pass))
        return;
    event_failure(&pass, call, size, event_stack(&pass, caller));
    thread_leave(&pass);
}

void event_unmap(enum record_call call, uint64_t before, const void *address, size_t size)
{
    struct record_unmap r = { .address = (uintptr_t)address, .size = size, .call = call };
    put_span(RECORD_UNMAP, &r.time, before, NULL, NULL);
}

void event_remap(uint64_t before, const void *old, size_t old_size, const void *address, size_t size, int flags,
                 const void *caller)
{
    struct record_remap r = { .old = (uintptr_t)old,
                              .old_size = old_size,
                              .address = (uintptr_t)address,
                              .size = size,
                              .flags = (uint64_t)flags };
    put_span(RECORD_REMAP, &r.time, before, &r.node, caller);
}

void event_break(enum record_call call, uint64_t before, const void *old, const void *now, const void *caller)
{
    struct record_brk r = { .old = (uintptr_t)old, .address = (uintptr_t)now, .call = call };
    put_span(RECORD_BREAK, &r.time, before, &r.node, caller);
}

void event_advise(const void *address, size_t size, int advice)
{
    struct record_advise r = { .address = (uintptr_t)address, .size = size, .advice = (uint64_t)advice };
    event_put_now(RECORD_ADVISE, &r.time, NULL);
}

void event_lock(const void *address, size_t size)
{
    struct record_lock r = { .address = (uintptr_t)address, .size = size };
    event_put_now(RECORD_LOCK, &r.time, NULL);
}

void event_trim(uint64_t before, size_t pad, int released)
{
    struct record_trim r = { .pad = pad, .released = (uint64_t)released };
    put_span(RECORD_TRIM, &r.time, before, NULL, NULL);
}

/* --- process ----------------------------------------------------------------------------------------------------- */

void event_fork_begin(void)
{
    thread_self.fork_before = is_recording() ? stamp_now() : 0; /* of its own: what came before is earlier */
}

void event_fork_end(int pid)
{
    struct record_fork r = { .pid = (uint64_t)pid };
    uint64_t before = thread_self.fork_before;
    if (pid == 0) {
        event_sleep(); /* the child wakes at its first event, and needs fork_before then */
        return;
    }
    thread_self.fork_before = 0;
    if (pid > 0)
        put_span(RECORD_FORK, &r.time, before, NULL, NULL);
}

void event_exit(int status)
{
    struct trace_header *h = tracefile_header;
    struct thread_pass pass;
    bool sandboxed = tracefile_hindrance() == TRACE_LOSS_SANDBOX; /* then no system call is safe */
    if (!(*event_state & EVENT_AWAKE) || (!sandboxed && (uint32_t)sys_pid() != h->identity.pid))
        return; /* asleep: a forked child that recorded nothing; another pid: between vfork and exec */
    h->status.end_status = status;
    __atomic_store_n(&h->status.end, TRACE_END_EXIT, __ATOMIC_RELEASE);
    if (tracefile_hindrance() >= 0 || !begin_own(&pass))
        return;
    h->status.end_time = stamp_now();
    h->status.end_mono_ns = sys_clock_ns(CLOCK_MONOTONIC);
    sample_next = 0; /* the last one */
    event_end(&pass, h->status.end_time);
}

void event_sandbox_begin(void)
{
    if (event_awake())
        tracefile_stop(TRACE_LOSS_SANDBOX);
}

void event_sandbox_end(bool entered)
{
    if (!entered)
        tracefile_resume(TRACE_LOSS_SANDBOX);
}

void event_unloaded(void)
{
    struct thread_pass pass;
    if (!begin_own(&pass))
        return;
    modules_changed();
    thread_leave(&pass);
}

/* --- what the target says of itself ------------------------------------------------------------------------------ */

void event_tag_push(const char *component)
{
    struct thread *t = &thread_self;
    if (t->tags < THREAD_TAGS)
        t->tag[t->tags] = components_number(component);
    t->tags++;
}

void event_tag_pop(void)
{
    thread_self.tags -= thread_self.tags > 0;
}

void event_tag_block(const void *block, const char *component)
{
    struct thread_pass pass;
    if (!event_begin(&pass))
        return;
    struct record_tag r = { .address = (uintptr_t)block };
    r.string = stacks_string(pass.cursor, component, sys_strlen(component));
    r.time = stamp_now();
    ring_put(pass.cursor, RECORD_TAG, &r, NULL, 0, NULL, 0);
    event_end(&pass, r.time);
}

/* People ask what the memory was at a mark: a sample is taken right before it. */
void event_mark(const char *name, double value)
{
    struct thread_pass pass;
    struct record_mark r;
    __builtin_memcpy(&r.value, &value, sizeof value);
    if (event_begin(&pass)) {
        __atomic_store_n(&sample_next, 0, __ATOMIC_RELAXED);
        event_end(&pass, stamp_now());
    }
    event_put_now(RECORD_MARK, &r.time, name);
    tracefile_count_mark();
}

void event_request_begin(uint64_t id)
{
    struct record_request_begin r = { .id = id };
    event_put_now(RECORD_REQUEST_BEGIN, &r.time, NULL);
}

void event_request_end(uint64_t id, uint64_t units)
{
    struct record_request_end r = { .id = id, .units = units };
    event_put_now(RECORD_REQUEST_END, &r.time, NULL);
}
