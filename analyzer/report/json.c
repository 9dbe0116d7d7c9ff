/* json.c: the report for programs; the names are those of report.schema.json. See report.h. */
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "report/failure.h"
#include "report/report.h"
#include "report/sampling.h"
#include "report/values.h"

static json_t *process_json(const struct summary_process *p)
{
    char end[32];
    json_t *argv = json_array();
    for (uint32_t i = 0; i < p->info->argc; i++)
        json_array_append_new(argv, values_text(p->info->argv[i]));
    json_t *settings = json_object();
    for (const char *s = p->info->settings; *s; s += strlen(s) + 1) {
        const char *equals = strchrnul(s, '=');
        json_object_setn_new(settings, s, (size_t)(equals - s), values_text(*equals ? equals + 1 : ""));
    }
    return json_pack("{s:o s:o s:o s:s s:o s:o s:o s:o s:s s:o s:o s:o s:o}", "pid", values_number(p->info->pid),
                     "ppid", values_number(p->info->ppid), "name", values_text(p->info->name), "role", p->role, "argv",
                     argv, "settings", settings, "start_ns", values_number(p->start_ns), "end_ns",
                     values_number(p->end_ns), "end", report_end(p->info, end), "live_bytes",
                     values_number(p->totals.live_bytes), "mapped_bytes", values_number(p->totals.mapped_bytes),
                     "rss_anon", values_number(p->sample.rss_anon), "inherited_bytes",
                     values_number(p->totals.inherited_bytes));
}

/* A count of blocks, which is a whole number unless it is an estimate. */
static json_t *count_json(double count)
{
    return values_number((uint64_t)llround(count));
}

/* Which blocks were temporary is not known of a sample. */
static json_t *temporary_json(const struct summary *s, uint64_t temporary)
{
    return s->sample_mean ? json_null() : values_number(temporary);
}

static json_t *totals_json(const struct summary *s)
{
    const struct heap_totals *t = &s->totals;
    uint64_t lost = 0;
    for (int cause = 0; cause < TRACE_LOSS_COUNT; cause++)
        lost += s->losses[cause];
    json_t *o = json_pack("{s:o s:o s:o s:o s:o s:o s:o s:o s:o}", "alloc_count", count_json(t->alloc_count),
                          "alloc_bytes", values_number(t->alloc_bytes), "free_count", count_json(t->free_count),
                          "live_blocks", count_json(t->live_blocks), "live_bytes", values_number(t->live_bytes),
                          "peak_bytes", values_number(t->peak_bytes), "mapped_bytes", values_number(t->mapped_bytes),
                          "lost_events", values_number(lost), "unmatched_frees", values_number(t->unmatched_frees));
    json_t *more =
        json_pack("{s:o s:o s:o s:o s:o s:o s:o s:o s:o s:o s:o}", "rss_anon", values_number(s->sample.rss_anon),
                  "rss_file", values_number(s->sample.rss_file), "rss_shmem", values_number(s->sample.rss_shmem),
                  "swap", values_number(s->sample.swap), "temporary", temporary_json(s, t->temporary), "failed_allocs",
                  values_number(t->failed_allocs), "reserved_bytes", values_number(t->reserved_bytes),
                  "repaired_events", values_number(t->repaired), "inherited_bytes", values_number(t->inherited_bytes),
                  "explained_share", s->measured ? json_real(summary_explained(s)) : json_null(), "unexplained_bytes",
                  s->measured ? values_number(s->unexplained) : json_null());
    json_object_set_new(more, "resident_bytes", s->measured ? values_number(s->resident) : json_null());
    json_object_update(o, more);
    json_decref(more);
    sampling_error_json(o, "error", s->sample_mean, s->live_variance);
    sampling_error_json(o, "alloc_error", s->sample_mean, s->alloc_variance);
    sampling_error_json(o, "peak_error", s->sample_mean, s->peak_variance);
    return o;
}

static json_t *memtap_json(const struct summary *s)
{
    json_t *o = json_pack("{s:o s:o s:o}", "anonymous", values_number(s->own_anonymous), "resident",
                          values_number(s->sample.own + s->totals.own_bytes), "ring", values_number(s->own_ring));
    uint64_t rss = s->sample.rss_anon + s->sample.rss_file + s->sample.swap;
    json_object_set_new(o, "of_rss", s->measured ? values_number(rss - s->resident) : json_null());
    json_object_set_new(o, "walks",
                        json_pack("{s:o s:o s:o s:o}", "partly", values_number(s->walks[TRACE_WALK_PARTLY]), "wholly",
                                  values_number(s->walks[TRACE_WALK_WHOLLY]), "slowly",
                                  values_number(s->walks[TRACE_WALK_SLOWLY]), "cut",
                                  values_number(s->walks[TRACE_WALK_CUT])));
    return o;
}

static json_t *component_json(const struct summary *s, const struct summary_component *c)
{
    const bool measured = s->measured;
    json_t *evidence = json_object(), *born = json_object();
    for (int p = 0; p < PHASE_COUNT; p++)
        if (c->born[p])
            json_object_set_new(born, phase_name((enum phase)p), values_number(c->born[p]));
    for (int e = 0; e < EVIDENCE_COUNT; e++)
        if (c->evidence[e])
            json_object_set_new(evidence, evidence_name((enum evidence)e), values_number(c->evidence[e]));
    json_t *bound = c->bound.source ? json_pack("{s:o s:o s:s}", "bytes",
                                                c->bound.bytes ? values_number(c->bound.bytes) : json_null(), "pieces",
                                                c->bound.pieces ? values_number(c->bound.pieces) : json_null(),
                                                "source", c->bound.source)
                                    : json_null();
    json_t *o = json_pack("{s:o s:o s:s s:o s:o s:o s:o s:o s:o s:o s:o}", "path", values_text(c->path), "about",
                          c->about ? values_text(c->about) : json_null(), "how", c->how, "model",
                          *c->model ? values_text(c->model) : json_null(), "allocated", values_number(c->allocated),
                          "resident", measured ? values_number(c->resident) : json_null(), "swapped",
                          measured ? values_number(c->swapped) : json_null(), "blocks", count_json(c->blocks), "born",
                          born, "bound", bound, "evidence", evidence);
    sampling_error_json(o, "error", s->sample_mean, c->variance);
    return o;
}

/* A tensor may lie in several ranges of owners, one behind the other. */
struct tensor_list {
    json_t *list;
    const struct summary_process *process;
    struct owner
        tensor; /* the one that the last owner belonged to, as far as it goes; tensor "": it belonged to none */
};

static void end_tensor(struct tensor_list *l)
{
    const struct owner *o = &l->tensor;
    const struct summary_process *p = l->process;
    if (!*o->tensor)
        return;
    json_array_append_new(l->list,
                          json_pack("{s:o s:o s:s s:s s:o s:o s:o s:o s:o s:s s:o}", "name", values_text(o->tensor),
                                    "component", values_text(o->component), "how", o->how, "type", o->type, "bytes",
                                    values_number(o->end - o->start), "address", values_number(o->start), "device",
                                    values_text("cpu"), "buffer", *o->buffer ? values_text(o->buffer) : json_null(),
                                    "resident", owners_measured(p->owners) ? values_number(o->resident) : json_null(),
                                    "evidence", evidence_name(o->evidence), "pid", values_number(p->info->pid)));
}

static void add_tensor(void *context, const struct owner *o)
{
    struct tensor_list *l = context;
    if (*o->tensor && o->start == l->tensor.end && strcmp(o->tensor, l->tensor.tensor) == 0) {
        l->tensor.end = o->end;
        l->tensor.resident += o->resident;
        return;
    }
    end_tensor(l);
    l->tensor = *o;
}

static void add_tensors(json_t *list, const struct summary_process *p)
{
    struct tensor_list l = { .list = list, .process = p, .tensor.tensor = "" };
    owners_each(p->owners, add_tensor, &l);
    end_tensor(&l);
}

static json_t *frame_json(const struct symbol_frame *f)
{
    return json_pack("{s:o s:o s:o s:o s:o s:b}", "function", f->function ? values_text(f->function) : json_null(),
                     "file", f->file ? values_text(f->file) : json_null(), "line",
                     f->line ? values_number(f->line) : json_null(), "module", values_text(f->module), "offset",
                     values_number(f->offset), "inlined", f->inlined);
}

static json_t *site_json(const struct summary *s, const struct summary_site *site)
{
    char id[20];
    json_t *frames = json_array();
    for (uint32_t i = 0; i < site->frames; i++)
        json_array_append_new(frames, frame_json(&site->frame[i]));
    snprintf(id, sizeof id, "%016llx", (unsigned long long)site->id);
    json_t *o = json_pack("{s:s s:o s:s s:s s:b s:o s:o s:o s:o s:o s:o s:o}", "id", id, "component",
                          values_text(site->component), "how", site->how, "call", site->call, "mapping", site->mapping,
                          "alloc_count", count_json(site->alloc_count), "alloc_bytes", values_number(site->alloc_bytes),
                          "live_blocks", count_json(site->live_blocks), "live_bytes", values_number(site->live_bytes),
                          "peak_bytes", values_number(site->peak_bytes), "temporary",
                          temporary_json(s, site->temporary), "frames", frames);
    sampling_error_json(o, "error", s->sample_mean, site->live_variance);
    sampling_error_json(o, "alloc_error", s->sample_mean, site->alloc_variance);
    return o;
}

static json_t *losses_json(const struct summary *s)
{
    static const char *const keys[] = {
#define LOSS_KEY(name, key, text) key,
        TRACE_LOSSES(LOSS_KEY)
#undef LOSS_KEY
    };
    json_t *o = json_object();
    for (int cause = 0; cause < TRACE_LOSS_COUNT; cause++)
        if (s->losses[cause])
            json_object_set_new(o, keys[cause], values_number(s->losses[cause]));
    if (s->left_out)
        json_object_set_new(o, "unreadable_traces", values_number(s->left_out));
    if (s->damaged_chunks)
        json_object_set_new(o, "damaged_chunks", values_number(s->damaged_chunks));
    if (s->missing_chunks)
        json_object_set_new(o, "missing_chunks", values_number(s->missing_chunks));
    if (s->bad_records)
        json_object_set_new(o, "bad_records", values_number(s->bad_records));
    return o;
}

static json_t *groups_json(const struct summary *s, const struct summary_group *group, uint32_t count, uint32_t top,
                           bool threads)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < count && i < top; i++) {
        const struct summary_group *g = &group[i];
        json_t *o = json_pack("{s:o s:o s:o s:o s:o}", "name", values_text(g->name), "alloc_count",
                              count_json(g->alloc_count), "alloc_bytes", values_number(g->alloc_bytes), "live_blocks",
                              count_json(g->live_blocks), "live_bytes", values_number(g->live_bytes));
        sampling_error_json(o, "error", s->sample_mean, g->live_variance);
        if (threads) {
            json_object_set_new(o, "pid", values_number(g->pid));
            json_object_set_new(o, "tid", values_number(g->tid));
        }
        json_array_append_new(list, o);
    }
    return list;
}

static json_t *histogram_json(const struct summary *s)
{
    json_t *list = json_array();
    for (unsigned bits = 0; bits < 65; bits++)
        if (s->totals.histogram[bits] > 0)
            json_array_append_new(list, json_pack("{s:o s:o}", "up_to",
                                                  values_number(bits < 63 ? (1ull << bits) - 1 : INT64_MAX), "count",
                                                  count_json(s->totals.histogram[bits])));
    return list;
}

/* Bytes that live, by component; what a component does not hold at a moment is left out. */
static json_t *timeline_json(const struct summary *s)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < s->moments; i++) {
        const struct summary_moment *m = &s->moment[i];
        json_t *components = json_object();
        for (uint32_t p = 0; p < m->parts; p++)
            if (m->bytes[p] && strcmp(s->part[p], OWNER_MEMTAP) != 0)
                json_object_set_new(components, s->part[p], values_number(m->bytes[p]));
        json_t *o = json_pack(
            "{s:o s:o s:o s:o s:o s:o s:o}", "pid", values_number(s->process[m->process].info->pid), "time_ns",
            values_number(m->time_ns), "mark", m->mark ? values_text(m->mark) : json_null(), "request",
            m->request ? values_number(m->request) : json_null(), "live_bytes", values_number(m->live_bytes),
            "mapped_bytes", values_number(m->mapped_bytes), "components", components);
        sampling_error_json(o, "error", s->sample_mean, m->live_variance);
        json_array_append_new(list, o);
    }
    return json_pack("{s:s s:o}", "unit", "ns", "points", list);
}

bool report_json(const struct summary *s, const struct report_style *style, FILE *out)
{
    json_t *processes = json_array(), *components = json_array(), *sites = json_array(), *tensors = json_array();
    for (uint32_t i = 0; i < s->processes; i++) {
        json_array_append_new(processes, process_json(&s->process[i]));
        add_tensors(tensors, &s->process[i]);
    }
    for (uint32_t i = 0; i < s->components; i++)
        if (s->component[i].allocated || s->component[i].resident)
            json_array_append_new(components, component_json(s, &s->component[i]));
    for (uint32_t i = 0; i < s->sites && i < style->top; i++)
        json_array_append_new(sites, site_json(s, &s->site[i]));
    json_t *root =
        json_pack("{s:i s:o s:s s:o s:o s:o s:o s:o s:o s:o s:o s:o}", "schema_version", 1, "session",
                  values_text(s->session), "at", s->at, "processes", processes, "totals", totals_json(s), "components",
                  components, "sites", sites, "losses", losses_json(s), "memtap", memtap_json(s), "modules",
                  groups_json(s, s->module, s->modules, style->top, false), "threads",
                  groups_json(s, s->thread, s->threads, style->top, true), "size_histogram", histogram_json(s));
    json_object_set_new(root, "unbegun_processes", values_number(s->unbegun));
    json_object_set_new(root, "tensors", tensors);
    json_object_set_new(root, "timeline", timeline_json(s));
    json_object_set_new(root, "failure", failure_json(s));
    sampling_json(root, s->sample_mean);
    bool fine = root && json_dumpf(root, out, JSON_INDENT(1)) == 0 && fputc('\n', out) != EOF;
    json_decref(root);
    return fine;
}
