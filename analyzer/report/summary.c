/* summary.c: see report.h. */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "report/report.h"

/* What one call of summary_build works with. */
struct builder {
    struct summary *s;
    struct symbols *symbols;
    struct rules *rules;
    const struct trace *trace;
    struct symbol_stack stack;
    uint32_t *place; /* of the present heap's sites in s->site */
};

/* --- processes and totals ---------------------------------------------------------------------------------------- */

static void add_totals(struct heap_totals *sum, const struct heap_totals *t)
{
    sum->alloc_count += t->alloc_count;
    sum->alloc_bytes += t->alloc_bytes;
    sum->free_count += t->free_count;
    sum->live_blocks += t->live_blocks;
    sum->live_bytes += t->live_bytes;
    sum->peak_bytes += t->peak_bytes;
    sum->temporary += t->temporary;
    sum->failed_allocs += t->failed_allocs;
    sum->mapped_bytes += t->mapped_bytes;
    sum->mapped_peak += t->mapped_peak;
    sum->reserved_bytes += t->reserved_bytes;
    sum->unmatched_frees += t->unmatched_frees;
    sum->repaired += t->repaired;
    sum->inherited_blocks += t->inherited_blocks;
    sum->inherited_bytes += t->inherited_bytes;
    sum->own_bytes += t->own_bytes;
    for (unsigned i = 0; i < 65; i++)
        sum->histogram[i] += t->histogram[i];
}

static void add_sample(struct heap_sample *sum, const struct heap_sample *s)
{
    sum->rss_anon += s->rss_anon;
    sum->rss_file += s->rss_file;
    sum->rss_shmem += s->rss_shmem;
    sum->swap += s->swap;
    sum->own += s->own;
}

static const char *role_of(const struct trace_info *info, bool first)
{
    return info->forked ? "fork" : first ? "main" : "child";
}

static void add_process(struct builder *b, const struct heap *h, uint64_t session_start)
{
    struct summary *s = b->s;
    const struct trace_info *info = trace_info(b->trace);
    const struct trace_health *health = trace_health(b->trace);
    struct summary_process *p = &s->process[s->processes];
    const struct heap_sample *sample = heap_last_sample(h);
    *p = (struct summary_process){ .info = info,
                                   .health = health,
                                   .totals = *heap_totals(h),
                                   .role = role_of(info, s->processes == 0),
                                   .start_ns = trace_mono_ns(b->trace, 0) - session_start,
                                   .end_ns = trace_mono_ns(b->trace, trace_end_time(b->trace)) - session_start };
    s->processes++;
    if (sample) {
        p->has_sample = true;
        p->sample = *sample;
        add_sample(&s->sample, sample);
    }
    if (p->end_ns > s->duration_ns)
        s->duration_ns = p->end_ns;
    add_totals(&s->totals, &p->totals);
    for (int cause = 0; cause < TRACE_LOSS_COUNT; cause++)
        s->losses[cause] += info->losses[cause];
    s->damaged_chunks += health->damaged_chunks;
    s->missing_chunks += health->missing_chunks;
    s->bad_records += health->bad_records;
    s->own_anonymous += info->own_bytes;
    s->own_ring += info->ring_bytes;
}

/* --- sites ------------------------------------------------------------------------------------------------------- */

static void add_site(struct builder *b, const struct heap_site *h, uint32_t index)
{
    struct summary *s = b->s;
    const char *call = trace_call_name(h->call);
    symbols_stack(b->symbols, b->trace, h->node, &b->stack);
    struct attribution a = rules_attribute(b->rules, &b->stack, call);
    array_room(s->site, s->sites, s->site_room);
    b->place[index] = s->sites;
    struct summary_site *site = &s->site[s->sites++];
    *site = (struct summary_site){ .id = symbols_stack_id(&b->stack, a.identity, call),
                                   .component = a.component,
                                   .how = a.how,
                                   .call = call,
                                   .module = a.module,
                                   .evidence = a.evidence,
                                   .mapping = h->mapping,
                                   .alloc_count = h->alloc_count,
                                   .alloc_bytes = h->alloc_bytes,
                                   .live_blocks = h->live_blocks,
                                   .live_bytes = h->live_bytes,
                                   .peak_bytes = h->peak_bytes,
                                   .temporary = h->temporary,
                                   .failed = h->failed,
                                   .frames = b->stack.count };
    site->frame = memory_take(b->stack.count * sizeof *site->frame);
    for (uint32_t i = 0; i < b->stack.count; i++)
        site->frame[i] = *b->stack.frame[i];
}

/* --- components, modules, threads -------------------------------------------------------------------------------- */

static struct summary_component *find_component(struct summary *s, const char *path, const char *how)
{
    for (uint32_t i = 0; i < s->components; i++)
        if (strcmp(s->component[i].path, path) == 0 && strcmp(s->component[i].how, how) == 0)
            return &s->component[i];
    array_room(s->component, s->components, s->component_room);
    s->component[s->components] = (struct summary_component){ .path = path, .how = how };
    return &s->component[s->components++];
}

static void add_to_component(struct summary *s, const char *path, const char *how, enum evidence evidence,
                             uint64_t blocks, uint64_t bytes)
{
    struct summary_component *c = find_component(s, path, how);
    c->blocks += blocks;
    c->allocated += bytes;
    c->evidence[evidence] += bytes;
}

static bool is_backing(const struct summary_site *site)
{
    return strcmp(site->component, "allocator/backing") == 0;
}

/* A block that memtap_tag named belongs to that component, not to its site's. */
static void move_tagged(struct builder *b, uint32_t tag, uint32_t site_index, uint64_t bytes)
{
    struct summary *s = b->s;
    const struct summary_site *site = &s->site[b->place[site_index]];
    const char *name = trace_string(b->trace, tag);
    if (!name)
        return;
    struct summary_component *from = find_component(s, site->component, site->how);
    from->blocks--;
    from->allocated -= bytes;
    from->evidence[site->evidence] -= bytes;
    add_to_component(s, name, "", EVIDENCE_TAG, 1, bytes);
}

static void move_block(void *context, uint64_t address, const struct heap_block *block)
{
    (void)address;
    if (block->tag)
        move_tagged(context, block->tag, block->site, block->size);
}

static struct summary_group *find_module(struct summary *s, const char *name)
{
    for (uint32_t i = 0; i < s->modules; i++)
        if (strcmp(s->module[i].name, name) == 0)
            return &s->module[i];
    array_room(s->module, s->modules, s->module_room);
    s->module[s->modules] = (struct summary_group){ .name = name };
    return &s->module[s->modules++];
}

static void add_to_module(struct summary *s, const struct summary_site *site)
{
    struct summary_group *m = find_module(s, site->module);
    m->alloc_count += site->alloc_count;
    m->alloc_bytes += site->alloc_bytes;
    m->live_blocks += site->live_blocks;
    m->live_bytes += site->live_bytes;
}

static void add_threads(struct builder *b, const struct heap *h)
{
    struct summary *s = b->s;
    for (uint32_t i = 0; i < heap_thread_count(h); i++) {
        const struct heap_thread *t = heap_thread(h, i);
        array_room(s->thread, s->threads, s->thread_room);
        s->thread[s->threads++] = (struct summary_group){ .name = trace_thread_name(b->trace, t->tid),
                                                          .pid = trace_info(b->trace)->pid,
                                                          .tid = t->tid,
                                                          .alloc_count = t->alloc_count,
                                                          .alloc_bytes = t->alloc_bytes,
                                                          .live_blocks = t->live_blocks,
                                                          .live_bytes = t->live_bytes };
    }
}

static void add_heap(struct builder *b, const struct heap *h)
{
    struct summary *s = b->s;
    uint32_t first = s->sites;
    b->place = memory_take((heap_site_count(h) + 1) * sizeof *b->place);
    for (uint32_t i = 0; i < heap_site_count(h); i++)
        if (!heap_site(h, i)->own)
            add_site(b, heap_site(h, i), i);
    for (uint32_t i = first; i < s->sites; i++) {
        const struct summary_site *site = &s->site[i];
        if (is_backing(site))
            s->backing += site->live_bytes;
        else
            add_to_component(s, site->component, site->how, site->evidence, site->live_blocks, site->live_bytes);
        add_to_module(s, site);
    }
    heap_each_block(h, move_block, b);
    for (uint32_t i = 0; i < heap_mapping_count(h); i++) {
        const struct heap_mapping *m = heap_mapping(h, i);
        if (m->tag && m->prot)
            move_tagged(b, m->tag, m->site, m->end - m->start);
    }
    add_threads(b, h);
    free(b->place);
}

/* --- putting in order -------------------------------------------------------------------------------------------- */

static int by_id(const void *a, const void *b)
{
    const struct summary_site *x = a, *y = b;
    if (x->id != y->id)
        return x->id < y->id ? -1 : 1;
    return strcmp(x->component, y->component);
}

/* The same stack in several processes is one site. */
static void merge_sites(struct summary *s)
{
    uint32_t kept = 0;
    array_sort(s->site, s->sites, sizeof *s->site, by_id);
    for (uint32_t i = 0; i < s->sites; i++) {
        struct summary_site *into = kept ? &s->site[kept - 1] : NULL, *from = &s->site[i];
        if (!into || by_id(into, from) != 0) {
            s->site[kept++] = *from;
            continue;
        }
        into->alloc_count += from->alloc_count;
        into->alloc_bytes += from->alloc_bytes;
        into->live_blocks += from->live_blocks;
        into->live_bytes += from->live_bytes;
        into->peak_bytes += from->peak_bytes;
        into->temporary += from->temporary;
        into->failed += from->failed;
        free(from->frame);
    }
    s->sites = kept;
}

static int by_live_bytes(const void *a, const void *b)
{
    const struct summary_site *x = a, *y = b;
    if (x->live_bytes != y->live_bytes)
        return x->live_bytes > y->live_bytes ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

static int by_group_bytes(const void *a, const void *b)
{
    const struct summary_group *x = a, *y = b;
    if (x->live_bytes != y->live_bytes)
        return x->live_bytes > y->live_bytes ? -1 : 1;
    return x->tid != y->tid ? (x->tid > y->tid) - (x->tid < y->tid) : strcmp(x->name, y->name);
}

static int by_path(const void *a, const void *b)
{
    const struct summary_component *x = a, *y = b;
    int order = strcmp(x->path, y->path);
    return order ? order : strcmp(x->how, y->how);
}

static void sort_all(struct summary *s)
{
    merge_sites(s);
    array_sort(s->site, s->sites, sizeof *s->site, by_live_bytes);
    array_sort(s->component, s->components, sizeof *s->component, by_path);
    array_sort(s->module, s->modules, sizeof *s->module, by_group_bytes);
    array_sort(s->thread, s->threads, sizeof *s->thread, by_group_bytes);
}

void summary_build(struct summary *s, const struct session *session, struct heap **heap, uint32_t only_pid,
                   struct symbols *symbols, struct rules *rules)
{
    struct builder b = { .s = s, .symbols = symbols, .rules = rules };
    s->session = session->path;
    s->left_out = session->left_out;
    s->process = memory_take(session->count * sizeof *s->process);
    for (uint32_t i = 0; i < session->count; i++) {
        b.trace = session->trace[i];
        if (only_pid && trace_info(b.trace)->pid != only_pid)
            continue;
        add_process(&b, heap[i], trace_mono_ns(session->trace[0], 0));
        add_heap(&b, heap[i]);
    }
    symbols_stack_free(&b.stack);
    symbols_count(symbols, &s->frames_asked, &s->frames_named);
    s->totals.mapped_bytes -= s->backing < s->totals.mapped_bytes ? s->backing : s->totals.mapped_bytes;
    sort_all(s);
}

void summary_free(struct summary *s)
{
    for (uint32_t i = 0; i < s->sites; i++)
        free(s->site[i].frame);
    free(s->site);
    free(s->process);
    free(s->component);
    free(s->module);
    free(s->thread);
    memset(s, 0, sizeof *s);
}

const char *report_end(const struct trace_info *info, char text[32])
{
    if (info->end == TRACE_END_EXIT)
        snprintf(text, 32, "exit %d", info->end_status & 0xff);
    else if (info->end == TRACE_END_SIGNAL)
        snprintf(text, 32, "signal %d", info->end_status);
    else
        snprintf(text, 32, "%s", info->running ? "running" : info->replaced ? "exec" : "unknown");
    return text;
}
