/* heap.c: replay, and the room's face. See heap.h. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/progress.h"
#include "heap/inside.h"

/* --- one event --------------------------------------------------------------------------------------------------- */

static void apply_alloc(struct heap *h, const struct trace_event *e, uint64_t address, uint64_t size, uint64_t node,
                        uint64_t call)
{
    struct heap_block b = {
        .size = size, .time = e->time, .site = sites_find(h, node, call, false), .thread = threads_find(h, e->tid)
    };
    blocks_add(h, address, &b);
}

static void apply_realloc(struct heap *h, const struct trace_event *e)
{
    const struct record_realloc *r = &e->record.realloc;
    if (e->part == TRACE_RELEASES)
        blocks_remove(h, r->old, e->time, e->tid);
    else if (r->address)
        apply_alloc(h, e, r->address, r->size, r->node, r->call);
}

static void apply_failed(struct heap *h, const struct record_alloc_failed *r)
{
    uint32_t site = sites_find(h, r->node, r->call, r->call >= RECORD_CALL_MMAP); /* may move h->site */
    h->site[site].failed++;
    if (h->site[site].own) /* what the loader could not get for the tap is no failure of the program's */
        return;
    h->totals.failed_allocs++;
    h->has_failure = true;
    h->failure = (struct heap_failure){ .time = r->time, .event = h->events, .size = r->size, .site = site };
}

static uint64_t page_up(uint64_t size)
{
    return (size + 4095) & ~(uint64_t)4095;
}

static struct heap_mapping new_mapping(struct heap *h, const struct trace_event *e, uint64_t start, uint64_t size,
                                       uint64_t node, uint64_t call)
{
    return (struct heap_mapping){ .start = start,
                                  .end = start + page_up(size),
                                  .time = e->time,
                                  .site = sites_find(h, node, call, true),
                                  .thread = threads_find(h, e->tid),
                                  .prot = 3 };
}

static void count_mapping(struct heap *h, const struct heap_mapping *m)
{
    h->site[m->site].alloc_count++;
    h->site[m->site].alloc_bytes += m->end - m->start;
}

static void apply_map(struct heap *h, const struct trace_event *e)
{
    const struct record_map *r = &e->record.map;
    if (e->part == TRACE_RELEASES)
        return; /* mappings_make takes away what lies under a fixed mapping */
    struct heap_mapping m = new_mapping(h, e, r->address, r->size, r->node, r->call);
    m.offset = r->offset;
    m.file = (uint32_t)r->file;
    m.prot = (uint32_t)r->prot;
    m.flags = (uint32_t)r->flags;
    count_mapping(h, &m);
    mappings_make(h, &m);
}

static void apply_unmap(struct heap *h, const struct trace_event *e)
{
    const struct record_unmap *r = &e->record.unmap;
    if (e->part != TRACE_RELEASES)
        return;
    if (r->call == RECORD_CALL_SHMDT)
        mappings_detach(h, r->address);
    else
        mappings_release(h, r->address, r->address + page_up(r->size));
}

static void apply_remap(struct heap *h, const struct trace_event *e)
{
    struct record_remap r = e->record.remap;
    r.old_size = page_up(r.old_size);
    r.size = page_up(r.size);
    if (e->part == TRACE_RELEASES) {
        mappings_leave(h, &r, e->tid);
        return;
    }
    struct heap_mapping fresh = new_mapping(h, e, r.address, r.size, r.node, RECORD_CALL_MREMAP);
    mappings_arrive(h, &r, &fresh, e->tid);
}

static void apply_break(struct heap *h, const struct trace_event *e)
{
    const struct record_brk *r = &e->record.brk;
    if (e->part == TRACE_RELEASES && r->address < r->old)
        mappings_release(h, r->address, r->old);
    if (e->part != TRACE_MAKES || r->address <= r->old)
        return;
    struct heap_mapping m = new_mapping(h, e, r->old, r->address - r->old, r->node, r->call);
    m.end = r->address;
    count_mapping(h, &m);
    mappings_make(h, &m);
}

static void apply_tag(struct heap *h, const struct record_tag *r)
{
    if (!blocks_tag(h, r->address, (uint32_t)r->string))
        mappings_tag(h, r->address, (uint32_t)r->string);
}

static void apply_mark(struct heap *h, const struct record *r)
{
    array_room(h->mark, h->marks, h->mark_room);
    struct heap_mark *m = &h->mark[h->marks++];
    *m = (struct heap_mark){ .time = r->mark.time, .name = memory_copy((const char *)r->text, r->text_size) };
    memcpy(&m->value, &r->mark.value, sizeof m->value);
    moments_mark(h, m->time);
}

static void apply_request_end(struct heap *h, const struct record_request_end *r)
{
    array_room(h->request, h->requests, h->request_room);
    h->request[h->requests++] = (struct heap_request){ .time = r->time, .id = r->id, .units = r->units };
    moments_request(h, r->time);
}

static void apply_sample(struct heap *h, const struct record_sample *r)
{
    h->has_sample = true;
    h->sample = (struct heap_sample){ r->time, r->rss_anon, r->rss_file, r->rss_shmem, r->swap, r->own };
}

static void apply_engine(struct heap *h, const struct record_engine *r)
{
    if (r->what == RECORD_ENGINE_COMPUTE && !h->phases.compute)
        h->phases.compute = r->time;
}

static void apply_stack(struct heap *h, uint64_t address)
{
    array_room(h->stack, h->stacks, h->stack_room);
    h->stack[h->stacks++] = address;
}

static void apply(struct heap *h, const struct trace_event *e)
{
    const struct record *r = &e->record;
    switch (r->kind) {
    case RECORD_ALLOC:
        apply_alloc(h, e, r->alloc.address, r->alloc.size, r->alloc.node, r->alloc.call);
        break;
    case RECORD_FREE:
        blocks_remove(h, r->free.address, e->time, e->tid);
        break;
    case RECORD_REALLOC:
        apply_realloc(h, e);
        break;
    case RECORD_ALLOC_FAILED:
        apply_failed(h, &r->alloc_failed);
        break;
    case RECORD_MAP:
        apply_map(h, e);
        break;
    case RECORD_UNMAP:
        apply_unmap(h, e);
        break;
    case RECORD_REMAP:
        apply_remap(h, e);
        break;
    case RECORD_BREAK:
        apply_break(h, e);
        break;
    case RECORD_TAG:
        apply_tag(h, &r->tag);
        break;
    case RECORD_MARK:
        apply_mark(h, r);
        break;
    case RECORD_REQUEST_BEGIN:
        if (!h->phases.request)
            h->phases.request = r->request_begin.time;
        break;
    case RECORD_STACK:
        apply_stack(h, r->stack.address);
        break;
    case RECORD_FILE_BYTES:
        contents_file_bytes(h, &r->file_bytes);
        break;
    case RECORD_TENSOR:
        contents_tensor(h, r);
        break;
    case RECORD_BUFFER:
        contents_buffer(h, r);
        break;
    case RECORD_BUFFER_FREE:
        contents_buffer_free(h, r->buffer_free.id);
        break;
    case RECORD_ENGINE:
        apply_engine(h, &r->engine);
        break;
    case RECORD_REQUEST_END:
        apply_request_end(h, &r->request_end);
        break;
    case RECORD_SAMPLE:
        apply_sample(h, &r->sample);
        break;
    default:
        break;
    }
}

/* --- replay ------------------------------------------------------------------------------------------------------ */

/* Whether replay stops before this event; a mark or request that is looked for is applied first. */
static bool stops_before(struct heap *h, const struct trace_event *e)
{
    const struct heap_until *u = &h->options.until;
    if (u->what == HEAP_UNTIL_EVENT)
        return h->events >= u->event;
    if (u->what == HEAP_UNTIL_MONO)
        return trace_mono_ns(h->trace, e->time) > u->event;
    return h->reached;
}

static void note_reached(struct heap *h, const struct record *r)
{
    const struct heap_until *u = &h->options.until;
    if (u->what == HEAP_UNTIL_MARK && r->kind == RECORD_MARK)
        h->reached = strlen(u->mark) == r->text_size && memcmp(u->mark, r->text, r->text_size) == 0;
    if (u->what == HEAP_UNTIL_REQUEST && r->kind == RECORD_REQUEST_END)
        h->reached = h->requests == u->event;
}

#define STEP 65536u    /* events from one look at the clock to the next */
#define IN_CACHE 8192u /* places for blocks: looking ahead for so few costs more than it gains */

/* Fetches what the events that come next will look at. */
static void look_ahead(struct heap *h, struct trace_reader *r)
{
    for (const struct trace_event *e; (e = trace_reader_soon(r));) {
        if (e->record.kind == RECORD_ALLOC)
            table_prefetch(&h->blocks, e->record.alloc.address);
        else if (e->record.kind == RECORD_FREE)
            table_prefetch(&h->blocks, e->record.free.address);
    }
}

/* `p` counts the bytes of the whole session, `before` those of traces that were replayed already. */
static void replay(struct heap *h, struct progress *p, uint64_t before)
{
    const struct trace_event *e;
    struct trace_reader *r = trace_reader_new(h->trace);
    inherit_begin(h);
    while ((e = trace_reader_next(r)) && !stops_before(h, e)) {
        if (h->watches)
            inherit_answer(h, e);
        if (h->options.before_event)
            h->options.before_event(h->options.context, h->number, h, e);
        if (h->blocks.room > IN_CACHE)
            look_ahead(h, r);
        h->events++;
        h->time = e->time;
        apply(h, e);
        note_reached(h, &e->record);
        if (h->events % STEP == 0)
            progress_step(p, before + trace_reader_done(r));
    }
    inherit_answer(h, NULL);
    for (uint64_t i = 1; trace_reader_next(r); i++) /* definitions may still come */
        if (i % STEP == 0)
            progress_step(p, before + trace_reader_done(r));
    trace_reader_free(r);
}

static struct heap *heap_new(struct trace *t, uint32_t number, const struct heap_options *options)
{
    struct heap *h = memory_take(sizeof *h);
    h->trace = t;
    h->number = number;
    h->options = *options;
    h->knows_all = !trace_info(t)->forked && !trace_has_lost(t);
    h->mean = trace_info(t)->sample_bytes;
    h->frees_more = h->mean && (trace_info(t)->shortfall & TRACE_SHORT_SAMPLE_FULL);
    h->names = intern_new();
    h->tags = kh_init(numbers);
    h->early = kh_init(numbers);
    h->displaced = kh_init(numbers);
    h->thread_index = kh_init(threads);
    return h;
}

static struct heap *find_parent(const struct session *s, struct heap **heap, uint32_t child)
{
    const char *name = trace_info(s->trace[child])->parent;
    for (uint32_t i = 0; i < child; i++) {
        const char *path = trace_path(s->trace[i]), *slash = strrchr(path, '/');
        if (strcmp(slash ? slash + 1 : path, name) == 0)
            return heap[i];
    }
    return NULL;
}

/* Children first: they start later, and they have questions to their parents. */
struct heap **heap_replay(const struct session *s, const struct heap_options *options)
{
    struct heap **heap = memory_take(s->count * sizeof *heap);
    struct progress p;
    uint64_t bytes = 0, done = 0;
    for (uint32_t i = 0; i < s->count; i++) {
        heap[i] = heap_new(s->trace[i], i, options);
        bytes += trace_health(s->trace[i])->bytes;
        if (options->peak)
            heap[i]->options.until =
                (struct heap_until){ .what = HEAP_UNTIL_EVENT, .event = options->found[i]->totals.peak_event };
    }
    progress_begin(&p, "replaying", bytes, options->quiet);
    for (uint32_t i = s->count; i-- > 0;) {
        replay(heap[i], &p, done);
        done += trace_health(s->trace[i])->bytes;
        inherit_settle(heap[i]);
        struct heap *parent = trace_info(s->trace[i])->forked ? find_parent(s, heap, i) : NULL;
        if (parent)
            inherit_ask(heap[i], parent);
    }
    progress_end(&p);
    for (uint32_t i = 0; i < s->count; i++)
        inherit_sum(heap[i]);
    return heap;
}

static void heap_free(struct heap *h)
{
    for (uint32_t i = 0; i < h->marks; i++)
        free(h->mark[i].name);
    contents_free(h);
    moments_free(h);
    table_free(&h->blocks);
    kh_destroy(numbers, h->tags);
    kh_destroy(numbers, h->early);
    kh_destroy(numbers, h->displaced);
    free(h->site_index.place);
    kh_destroy(threads, h->thread_index);
    free(h->site);
    free(h->thread);
    free(h->mapping);
    free(h->moving);
    free(h->mark);
    free(h->request);
    free(h->unknown);
    free(h->watch);
    free(h->gave);
    free(h);
}

void heap_free_all(struct heap **heap, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        heap_free(heap[i]);
    free(heap);
}

/* --- what it came to --------------------------------------------------------------------------------------------- */

bool heap_reached(const struct heap *h)
{
    return h->reached;
}

uint64_t heap_time(const struct heap *h)
{
    return h->time;
}

const struct heap_totals *heap_totals(const struct heap *h)
{
    return &h->totals;
}

uint32_t heap_site_count(const struct heap *h)
{
    return h->sites;
}

const struct heap_site *heap_site(const struct heap *h, uint32_t i)
{
    return &h->site[i];
}

uint32_t heap_thread_count(const struct heap *h)
{
    return h->threads;
}

const struct heap_thread *heap_thread(const struct heap *h, uint32_t i)
{
    return &h->thread[i];
}

uint32_t heap_mapping_count(const struct heap *h)
{
    return h->mappings;
}

const struct heap_mapping *heap_mapping(const struct heap *h, uint32_t i)
{
    return &h->mapping[i];
}

uint32_t heap_mark_count(const struct heap *h)
{
    return h->marks;
}

const struct heap_mark *heap_mark(const struct heap *h, uint32_t i)
{
    return &h->mark[i];
}

uint32_t heap_request_count(const struct heap *h)
{
    return h->requests;
}

const struct heap_request *heap_request(const struct heap *h, uint32_t i)
{
    return &h->request[i];
}

const struct heap_phases *heap_phases(const struct heap *h)
{
    return &h->phases;
}

uint32_t heap_stack_count(const struct heap *h)
{
    return h->stacks;
}

uint64_t heap_stack(const struct heap *h, uint32_t i)
{
    return h->stack[i];
}

const struct heap_failure *heap_last_failure(const struct heap *h)
{
    return h->has_failure ? &h->failure : NULL;
}

const struct heap_sample *heap_last_sample(const struct heap *h)
{
    return h->has_sample ? &h->sample : NULL;
}
