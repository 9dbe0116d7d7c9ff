/* summary.c: see report.h. */
#include <htslib/khash.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "report/failure.h"
#include "report/report.h"
#include "report/timeline.h"

/* By path, how and model. */
KHASH_MAP_INIT_STR(components, uint32_t)

/* What one call of summary_build works with. */
struct builder {
    struct summary *s;
    const struct summary_input *in;
    const struct trace *trace;
    struct symbol_stack stack;
    khash_t(components) * index; /* of s->component */
    /* of the present process: */
    struct summary_process *process;
    const struct heap *heap;
    uint64_t unrecorded; /* resident bytes of blocks that only their estimates hold */
    uint64_t rest;       /* resident bytes of OWNER_REST */
    uint64_t seen;       /* resident and swapped bytes of all owners */
    struct {
        const char *path, *how, *model;
        uint32_t number; /* plus 1; 0: there was none yet */
    } last;              /* component that was found */
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
    }
    if (p->end_ns > s->duration_ns)
        s->duration_ns = p->end_ns;
    add_totals(&s->totals, &p->totals);
    s->alloc_variance += heap_variance(h, p->totals.alloc_spread);
    s->live_variance += heap_variance(h, p->totals.live_spread);
    s->peak_variance += heap_variance(h, p->totals.peak_spread);
    s->sample_mean = heap_sample_mean(h) > s->sample_mean ? heap_sample_mean(h) : s->sample_mean;
    for (int cause = 0; cause < TRACE_LOSS_COUNT; cause++)
        s->losses[cause] += info->losses[cause];
    for (int how = 0; how < TRACE_WALK_COUNT; how++)
        s->walks[how] += info->walks[how];
    s->damaged_chunks += health->damaged_chunks;
    s->missing_chunks += health->missing_chunks;
    s->bad_records += health->bad_records;
    s->own_anonymous += info->own_bytes;
    s->own_ring += info->ring_bytes;
}

/* --- sites ------------------------------------------------------------------------------------------------------- */

static void add_site(struct builder *b, const struct heap *heap, uint32_t index)
{
    struct summary *s = b->s;
    const struct heap_site *h = heap_site(heap, index);
    const char *call = trace_call_name(h->call);
    symbols_stack(b->in->symbols, b->trace, h->node, &b->stack);
    struct attribution a = b->process->site[index] = rules_attribute(b->in->rules, &b->stack, call);
    array_room(s->site, s->sites, s->site_room);
    struct summary_site *site = &s->site[s->sites++];
    uint64_t id = b->process->site_id[index] = symbols_stack_id(&b->stack, a.identity, call);
    *site = (struct summary_site){ .id = id,
                                   .component = a.component,
                                   .how = a.how,
                                   .call = call,
                                   .module = a.module,
                                   .evidence = a.evidence,
                                   .mapping = h->mapping,
                                   .alloc_count = h->alloc_count,
                                   .alloc_bytes = h->alloc_bytes,
                                   .alloc_variance = heap_variance(heap, h->alloc_spread),
                                   .live_blocks = h->live_blocks,
                                   .live_bytes = h->live_bytes,
                                   .live_variance = heap_variance(heap, h->live_spread),
                                   .peak_bytes = h->peak_bytes,
                                   .temporary = h->temporary,
                                   .failed = h->failed,
                                   .frames = b->stack.count };
    site->frame = memory_take(b->stack.count * sizeof *site->frame);
    for (uint32_t i = 0; i < b->stack.count; i++)
        site->frame[i] = *b->stack.frame[i];
}

/* --- components, modules, threads -------------------------------------------------------------------------------- */

static uint32_t component_number(struct builder *b, const struct owner *o)
{
    struct summary *s = b->s;
    char key[900];
    int fresh;
    snprintf(key, sizeof key, "%.500s\n%.100s\n%.250s", o->component, o->how, o->model);
    khint_t k = kh_put(components, b->index, key, &fresh);
    if (fresh) {
        kh_key(b->index, k) = memory_copy(key, strlen(key));
        kh_value(b->index, k) = s->components;
        array_room(s->component, s->components, s->component_room);
        s->component[s->components++] = (struct summary_component){
            .path = o->component, .how = o->how, .model = o->model, .about = rules_about(b->in->rules, o->component)
        };
        bounds_find(trace_info(b->trace), o->component, &s->component[s->components - 1].bound);
    }
    return kh_value(b->index, k);
}

/* Many in a row are of the same one. */
static struct summary_component *find_component(struct builder *b, const struct owner *o)
{
    if (!b->last.number || b->last.path != o->component || b->last.how != o->how || b->last.model != o->model) {
        b->last.number = component_number(b, o) + 1;
        b->last.path = o->component;
        b->last.how = o->how;
        b->last.model = o->model;
    }
    return &b->s->component[b->last.number - 1];
}

static void add_owner(void *context, const struct owner *o)
{
    struct builder *b = context;
    struct summary *s = b->s;
    b->seen += o->resident + o->swapped;
    if (strcmp(o->component, OWNER_MEMTAP) == 0) {
        s->resident -= o->resident + o->swapped;
        return;
    }
    if (strcmp(o->component, OWNER_NOBODY) == 0) {
        s->unexplained += o->resident + o->swapped;
        return;
    }
    struct summary_component *c = find_component(b, o);
    uint64_t recorded = o->allocated ? o->end - o->start : 0, bytes = owner_weigh(o, recorded);
    uint64_t resident = owner_weigh(o, o->resident), swapped = owner_weigh(o, o->swapped);
    c->blocks += o->first ? o->weight : 0;
    c->allocated += bytes;
    c->variance += (double)recorded * (double)recorded * o->weight * (o->weight - 1);
    c->evidence[o->evidence] += o->allocated ? bytes : resident;
    c->born[phase_of(b->heap, o->time)] += bytes;
    c->resident += resident;
    c->swapped += swapped;
    b->unrecorded += resident - o->resident + swapped - o->swapped;
    b->rest += strcmp(o->component, OWNER_REST) == 0 ? o->resident : 0;
}

/* What is resident of blocks that were not recorded has been given to their components by estimate: it is a part of
 * what was found beside the recorded ones; or, where it lay alone in its mapping, of the `nobody` bytes without an owner. */
static void take_from_rest(struct builder *b, uint64_t nobody)
{
    uint64_t taken = b->unrecorded < b->rest ? b->unrecorded : b->rest, more = b->unrecorded - taken;
    if (taken) {
        struct summary_component *c =
            find_component(b, &(struct owner){ .component = OWNER_REST, .how = "", .model = "" });
        c->resident -= taken;
        c->evidence[EVIDENCE_SYSTEM] -= taken;
    }
    b->s->unexplained -= more < nobody ? more : nobody;
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
    m->live_variance += site->live_variance;
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
                                                          .live_bytes = t->live_bytes,
                                                          .live_variance = heap_variance(h, t->live_spread) };
    }
}

/* A snapshot knows more than the tap's own sample. Where the tap's own memory lies is not known, as much of what has no
 * owner is the tap's as it holds privately. */
static void add_pages(struct builder *b, struct summary_process *p, const struct residency_snapshot *pages,
                      uint64_t nobody)
{
    struct summary *s = b->s;
    uint64_t own = owners_know_own(p->owners) ? 0 : p->info->own_resident < nobody ? p->info->own_resident : nobody;
    uint64_t said = pages->totals.rss_anon + pages->totals.rss_file + pages->totals.swap;
    uint64_t found = pages->found.anon + pages->found.file + pages->found.swapped;
    s->measured = true;
    s->unexplained += found > b->seen ? found - b->seen : 0; /* in mappings made since their list was read */
    p->pages = pages->totals;
    if (found > said) { /* the process went on between the two looks; what was found has owners, */
        p->pages.rss_anon = pages->found.anon;
        p->pages.rss_file = pages->found.file;
        p->pages.swap = pages->found.swapped;
    } else { /* and what was not has none */
        s->unexplained += said - found;
    }
    p->has_sample = true;
    p->sample.rss_anon = p->pages.rss_anon;
    p->sample.rss_file = p->pages.rss_file;
    p->sample.rss_shmem = p->pages.rss_shmem;
    p->sample.swap = p->pages.swap;
    s->resident += p->pages.rss_anon + p->pages.rss_file + p->pages.swap - own;
    s->unexplained -= own;
}

static void add_heap(struct builder *b, struct summary_process *p, const struct heap *h,
                     const struct residency_snapshot *pages)
{
    struct summary *s = b->s;
    uint32_t first = s->sites;
    b->process = p;
    b->heap = h;
    b->unrecorded = b->rest = b->seen = 0;
    p->site = memory_take((heap_site_count(h) + 1) * sizeof *p->site);
    p->site_id = memory_take((heap_site_count(h) + 1) * sizeof *p->site_id);
    for (uint32_t i = 0; i < heap_site_count(h); i++)
        if (!heap_site(h, i)->own)
            add_site(b, h, i);
    for (uint32_t i = first; i < s->sites; i++) {
        if (strcmp(s->site[i].component, ATTRIBUTION_BACKING) == 0)
            s->backing += s->site[i].live_bytes;
        add_to_module(s, &s->site[i]);
    }
    p->owners = owners_find(h, b->trace, p->site, pages, b->in->rules, b->in->tensors);
    timeline_add(s, s->processes - 1, h, b->trace, p->site, trace_mono_ns(b->in->session->trace[0], 0));
    failure_add(s, p, h, b->trace, p->site);
    uint64_t nobody = s->unexplained;
    owners_each(p->owners, add_owner, b);
    take_from_rest(b, s->unexplained - nobody);
    if (pages) {
        add_pages(b, p, pages, s->unexplained - nobody);
        p->pages_late_ns = (int64_t)(pages->mono_ns - trace_mono_ns(b->trace, heap_time(h)));
    }
    add_threads(b, h);
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
        into->alloc_variance += from->alloc_variance;
        into->live_variance += from->live_variance;
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

static void free_index(khash_t(components) * index)
{
    for (khint_t k = kh_begin(index); k != kh_end(index); k++)
        if (kh_exist(index, k))
            free((char *)kh_key(index, k));
    kh_destroy(components, index);
}

/* Whether there is anything to say of a process: at a moment before or after its life there is not. */
static bool is_wanted(const struct summary_input *in, const struct trace *t)
{
    const struct trace_info *info = trace_info(t);
    if (in->only_pid)
        return info->pid == in->only_pid;
    bool ended = info->end == TRACE_END_EXIT || info->end == TRACE_END_SIGNAL || info->replaced;
    return !in->moment_ns ||
           (trace_mono_ns(t, 0) <= in->moment_ns && !(ended && trace_mono_ns(t, trace_end_time(t)) < in->moment_ns));
}

void summary_build(struct summary *s, const struct summary_input *in)
{
    const struct session *session = in->session;
    struct builder b = { .s = s, .in = in, .index = kh_init(components) };
    s->session = session->path;
    s->left_out = session->left_out;
    s->unbegun = session->unbegun;
    s->process = memory_take(session->count * sizeof *s->process);
    for (uint32_t i = 0; i < session->count; i++) {
        b.trace = session->trace[i];
        if (!is_wanted(in, b.trace))
            continue;
        add_process(&b, in->heap[i], trace_mono_ns(session->trace[0], 0));
        struct summary_process *p = &s->process[s->processes - 1];
        add_heap(&b, p, in->heap[i], in->pages[i]);
        add_sample(&s->sample, &p->sample);
    }
    s->model_file_bytes = tensors_file_bytes(in->tensors);
    symbols_stack_free(&b.stack);
    free_index(b.index);
    symbols_count(in->symbols, &s->frames_asked, &s->frames_named);
    s->totals.mapped_bytes -= s->backing < s->totals.mapped_bytes ? s->backing : s->totals.mapped_bytes;
    sort_all(s);
}

double summary_explained(const struct summary *s)
{
    return s->resident ? 1.0 - (double)s->unexplained / (double)s->resident : 1.0;
}

void summary_free(struct summary *s)
{
    for (uint32_t i = 0; i < s->sites; i++)
        free(s->site[i].frame);
    for (uint32_t i = 0; i < s->processes; i++) {
        owners_free(s->process[i].owners);
        free(s->process[i].site);
        free(s->process[i].site_id);
    }
    timeline_free(s);
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
