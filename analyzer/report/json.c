/* json.c: the report for programs; the names are those of report.schema.json. See report.h. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "report/failure.h"
#include "report/report.h"

/* JSON text is UTF-8; paths and symbol names need not be. */
static json_t *text(const char *s)
{
    json_t *value = json_string(s);
    if (value)
        return value;
    char *copy = memory_copy(s, strlen(s));
    for (char *p = copy; *p; p++)
        if (*p & 0x80)
            *p = '?';
    value = json_string(copy);
    free(copy);
    return value;
}

static json_t *number(uint64_t n)
{
    return json_integer((json_int_t)(n > INT64_MAX ? INT64_MAX : n));
}

static json_t *process_json(const struct summary_process *p)
{
    char end[32];
    json_t *argv = json_array();
    for (uint32_t i = 0; i < p->info->argc; i++)
        json_array_append_new(argv, text(p->info->argv[i]));
    return json_pack("{s:o s:o s:o s:s s:o s:o s:o s:s s:o s:o s:o s:o}", "pid", number(p->info->pid), "ppid",
                     number(p->info->ppid), "name", text(p->info->name), "role", p->role, "argv", argv, "start_ns",
                     number(p->start_ns), "end_ns", number(p->end_ns), "end", report_end(p->info, end), "live_bytes",
                     number(p->totals.live_bytes), "mapped_bytes", number(p->totals.mapped_bytes), "rss_anon",
                     number(p->sample.rss_anon), "inherited_bytes", number(p->totals.inherited_bytes));
}

static json_t *totals_json(const struct summary *s)
{
    const struct heap_totals *t = &s->totals;
    uint64_t lost = 0;
    for (int cause = 0; cause < TRACE_LOSS_COUNT; cause++)
        lost += s->losses[cause];
    json_t *o =
        json_pack("{s:o s:o s:o s:o s:o s:o s:o s:o s:o}", "alloc_count", number(t->alloc_count), "alloc_bytes",
                  number(t->alloc_bytes), "free_count", number(t->free_count), "live_blocks", number(t->live_blocks),
                  "live_bytes", number(t->live_bytes), "peak_bytes", number(t->peak_bytes), "mapped_bytes",
                  number(t->mapped_bytes), "lost_events", number(lost), "unmatched_frees", number(t->unmatched_frees));
    json_t *more = json_pack("{s:o s:o s:o s:o s:o s:o s:o s:o s:o s:o s:o}", "rss_anon", number(s->sample.rss_anon),
                             "rss_file", number(s->sample.rss_file), "rss_shmem", number(s->sample.rss_shmem), "swap",
                             number(s->sample.swap), "temporary", number(t->temporary), "failed_allocs",
                             number(t->failed_allocs), "reserved_bytes", number(t->reserved_bytes), "repaired_events",
                             number(t->repaired), "inherited_bytes", number(t->inherited_bytes), "explained_share",
                             s->measured ? json_real(summary_explained(s)) : json_null(), "unexplained_bytes",
                             s->measured ? number(s->unexplained) : json_null());
    json_object_set_new(more, "resident_bytes", s->measured ? number(s->resident) : json_null());
    json_object_update(o, more);
    json_decref(more);
    return o;
}

static json_t *memtap_json(const struct summary *s)
{
    json_t *o = json_pack("{s:o s:o s:o}", "anonymous", number(s->own_anonymous), "resident",
                          number(s->sample.own + s->totals.own_bytes), "ring", number(s->own_ring));
    uint64_t rss = s->sample.rss_anon + s->sample.rss_file + s->sample.swap;
    json_object_set_new(o, "of_rss", s->measured ? number(rss - s->resident) : json_null());
    return o;
}

static json_t *component_json(const struct summary_component *c, bool measured)
{
    json_t *evidence = json_object(), *born = json_object();
    for (int p = 0; p < PHASE_COUNT; p++)
        if (c->born[p])
            json_object_set_new(born, phase_name((enum phase)p), number(c->born[p]));
    for (int e = 0; e < EVIDENCE_COUNT; e++)
        if (c->evidence[e])
            json_object_set_new(evidence, evidence_name((enum evidence)e), number(c->evidence[e]));
    json_t *bound =
        c->bound.source
            ? json_pack("{s:o s:o s:s}", "bytes", c->bound.bytes ? number(c->bound.bytes) : json_null(), "pieces",
                        c->bound.pieces ? number(c->bound.pieces) : json_null(), "source", c->bound.source)
            : json_null();
    return json_pack("{s:o s:o s:s s:o s:o s:o s:o s:o s:o s:o s:o}", "path", text(c->path), "about",
                     c->about ? text(c->about) : json_null(), "how", c->how, "model",
                     *c->model ? text(c->model) : json_null(), "allocated", number(c->allocated), "resident",
                     measured ? number(c->resident) : json_null(), "swapped",
                     measured ? number(c->swapped) : json_null(), "blocks", number(c->blocks), "born", born, "bound",
                     bound, "evidence", evidence);
}

/* A tensor may lie in several ranges of owners, one behind the other. */
static void add_tensors(json_t *list, const struct summary_process *p)
{
    const struct owner *owner = p->owners.owner;
    for (uint32_t i = 0, next; i < p->owners.count; i = next) {
        const struct owner *o = &owner[i];
        uint64_t resident = o->resident;
        for (next = i + 1; next < p->owners.count && *o->tensor && owner[next].start == owner[next - 1].end &&
                           strcmp(owner[next].tensor, o->tensor) == 0;
             next++)
            resident += owner[next].resident;
        if (!*o->tensor)
            continue;
        json_array_append_new(list,
                              json_pack("{s:o s:s s:s s:s s:o s:o s:o s:o s:o s:s s:o}", "name", text(o->tensor),
                                        "component", o->component, "how", o->how, "type", o->type, "bytes",
                                        number(owner[next - 1].end - o->start), "address", number(o->start), "device",
                                        text("cpu"), "buffer", *o->buffer ? text(o->buffer) : json_null(), "resident",
                                        p->owners.measured ? number(resident) : json_null(), "evidence",
                                        evidence_name(o->evidence), "pid", number(p->info->pid)));
    }
}

static json_t *frame_json(const struct symbol_frame *f)
{
    return json_pack("{s:o s:o s:o s:o s:o s:b}", "function", f->function ? text(f->function) : json_null(), "file",
                     f->file ? text(f->file) : json_null(), "line", f->line ? number(f->line) : json_null(), "module",
                     text(f->module), "offset", number(f->offset), "inlined", f->inlined);
}

static json_t *site_json(const struct summary_site *site)
{
    char id[20];
    json_t *frames = json_array();
    for (uint32_t i = 0; i < site->frames; i++)
        json_array_append_new(frames, frame_json(&site->frame[i]));
    snprintf(id, sizeof id, "%016llx", (unsigned long long)site->id);
    return json_pack("{s:s s:o s:s s:s s:b s:o s:o s:o s:o s:o s:o s:o}", "id", id, "component", text(site->component),
                     "how", site->how, "call", site->call, "mapping", site->mapping, "alloc_count",
                     number(site->alloc_count), "alloc_bytes", number(site->alloc_bytes), "live_blocks",
                     number(site->live_blocks), "live_bytes", number(site->live_bytes), "peak_bytes",
                     number(site->peak_bytes), "temporary", number(site->temporary), "frames", frames);
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
            json_object_set_new(o, keys[cause], number(s->losses[cause]));
    if (s->left_out)
        json_object_set_new(o, "unreadable_traces", number(s->left_out));
    if (s->damaged_chunks)
        json_object_set_new(o, "damaged_chunks", number(s->damaged_chunks));
    if (s->missing_chunks)
        json_object_set_new(o, "missing_chunks", number(s->missing_chunks));
    if (s->bad_records)
        json_object_set_new(o, "bad_records", number(s->bad_records));
    return o;
}

static json_t *groups_json(const struct summary_group *group, uint32_t count, uint32_t top, bool threads)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < count && i < top; i++) {
        const struct summary_group *g = &group[i];
        json_t *o = json_pack("{s:o s:o s:o s:o s:o}", "name", text(g->name), "alloc_count", number(g->alloc_count),
                              "alloc_bytes", number(g->alloc_bytes), "live_blocks", number(g->live_blocks),
                              "live_bytes", number(g->live_bytes));
        if (threads) {
            json_object_set_new(o, "pid", number(g->pid));
            json_object_set_new(o, "tid", number(g->tid));
        }
        json_array_append_new(list, o);
    }
    return list;
}

static json_t *histogram_json(const struct summary *s)
{
    json_t *list = json_array();
    for (unsigned bits = 0; bits < 65; bits++)
        if (s->totals.histogram[bits])
            json_array_append_new(list,
                                  json_pack("{s:o s:o}", "up_to", number(bits < 63 ? (1ull << bits) - 1 : INT64_MAX),
                                            "count", number(s->totals.histogram[bits])));
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
                json_object_set_new(components, s->part[p], number(m->bytes[p]));
        json_array_append_new(
            list, json_pack("{s:o s:o s:o s:o s:o s:o s:o}", "pid", number(s->process[m->process].info->pid), "time_ns",
                            number(m->time_ns), "mark", m->mark ? text(m->mark) : json_null(), "request",
                            m->request ? number(m->request) : json_null(), "live_bytes", number(m->live_bytes),
                            "mapped_bytes", number(m->mapped_bytes), "components", components));
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
            json_array_append_new(components, component_json(&s->component[i], s->measured));
    for (uint32_t i = 0; i < s->sites && i < style->top; i++)
        json_array_append_new(sites, site_json(&s->site[i]));
    json_t *root = json_pack(
        "{s:i s:o s:s s:o s:o s:o s:o s:o s:o s:o s:o s:o}", "schema_version", 1, "session", text(s->session), "at",
        s->at, "processes", processes, "totals", totals_json(s), "components", components, "sites", sites, "losses",
        losses_json(s), "memtap", memtap_json(s), "modules", groups_json(s->module, s->modules, style->top, false),
        "threads", groups_json(s->thread, s->threads, style->top, true), "size_histogram", histogram_json(s));
    json_object_set_new(root, "tensors", tensors);
    json_object_set_new(root, "timeline", timeline_json(s));
    json_object_set_new(root, "failure", failure_json(s));
    bool fine = root && json_dumpf(root, out, JSON_INDENT(1)) == 0 && fputc('\n', out) != EOF;
    json_decref(root);
    return fine;
}
