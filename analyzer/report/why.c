/* why.c: the chain from a component or an address down to the call, the file and the pages. See report.h. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/units.h"
#include "report/report.h"
#include "report/sampling.h"
#include "report/site.h"
#include "report/table.h"

static const char *sentence(enum evidence e)
{
    static const char *const text[] = {
        "the program said so (memtap.h)",
        "the engine's own name for the tensor that lies there",
        "the model file's table of tensors, for bytes that were mapped or read from it",
        "a rule on the call stack",
        "no rule knows the stack: the library that asked for it",
        "the kind of mapping it lies in",
    };
    return text[e];
}

static const struct summary_site *site_of(const struct summary *s, const struct summary_process *p,
                                          const struct owner *o)
{
    for (uint32_t i = 0; o->site != HEAP_NO_SITE && i < s->sites; i++)
        if (s->site[i].id == p->site_id[o->site])
            return &s->site[i];
    return NULL;
}

/* --- an address -------------------------------------------------------------------------------------------------- */

static void print_fact(FILE *out, const char *what, const char *value)
{
    if (*value)
        fprintf(out, "  %-10s %s\n", what, value);
}

static void print_owner(const struct summary *s, const struct summary_process *p, const struct owner *o,
                        const struct report_style *style, FILE *out)
{
    char text[5000], size[UNITS_TEXT], resident[UNITS_TEXT];
    const struct summary_site *site = site_of(s, p, o);
    snprintf(text, sizeof text, "0x%" PRIx64 " to 0x%" PRIx64 ", %s", o->start, o->end,
             units_bytes(size, o->end - o->start));
    print_fact(out, "range", text);
    print_fact(out, "component", o->component);
    print_fact(out, "held", o->how);
    print_fact(out, "because", sentence(o->evidence));
    snprintf(text, sizeof text, "%s%s%s", o->tensor, *o->type ? ", " : "", o->type);
    print_fact(out, "tensor", text);
    print_fact(out, "buffer", o->buffer);
    print_fact(out, "model", o->model);
    snprintf(text, sizeof text, "%.4000s, from byte %" PRIu64, o->file, o->offset);
    print_fact(out, "file", *o->file ? text : "");
    if (owners_measured(p->owners)) {
        snprintf(text, sizeof text, "%s, and %s swapped", units_bytes(resident, o->resident),
                 units_bytes(size, o->swapped));
        print_fact(out, "resident", text);
    }
    if (site) {
        snprintf(text, sizeof text, "%s, site %016" PRIx64, site->call, site->id);
        print_fact(out, "call", text);
        site_print_frames(site, style, out);
    }
}

struct wanted {
    const struct summary *summary;
    const struct summary_process *process;
    const struct report_style *style;
    FILE *out;
    uint64_t address;
    bool found;
};

static void print_if_wanted(void *context, const struct owner *o)
{
    struct wanted *w = context;
    const struct trace_info *info = w->process->info;
    if (w->address < o->start || w->address >= o->end)
        return;
    fprintf(w->out, "%s0x%" PRIx64 " of %s (pid %u)\n", w->found ? "\n" : "", w->address, info->name, info->pid);
    print_owner(w->summary, w->process, o, w->style, w->out);
    w->found = true;
}

static bool why_address(const struct summary *s, uint64_t address, const struct report_style *style, FILE *out)
{
    struct wanted w = { .summary = s, .style = style, .out = out, .address = address };
    for (uint32_t i = 0; i < s->processes; i++) {
        w.process = &s->process[i];
        owners_each(s->process[i].owners, print_if_wanted, &w);
    }
    return w.found;
}

/* --- a component ------------------------------------------------------------------------------------------------- */

/* Ranges that are what they are for the same reason. */
struct reason {
    const struct summary_process *process;
    struct owner example;
    uint64_t bytes, resident;
    double ranges;
};

struct reasons {
    const char *component; /* of which they are wanted */
    const struct summary_process *process;
    struct reason *reason;
    uint32_t count, room;
};

static bool same_reason(const struct reason *r, const struct summary_process *p, const struct owner *o)
{
    const struct owner *x = &r->example;
    return r->process == p && x->site == o->site && x->evidence == o->evidence &&
           strcmp(x->component, o->component) == 0 && strcmp(x->how, o->how) == 0 && strcmp(x->file, o->file) == 0 &&
           strcmp(x->buffer, o->buffer) == 0;
}

static bool lies_below(const char *path, const char *component)
{
    size_t length = strlen(component);
    return strncmp(path, component, length) == 0 && (path[length] == '\0' || path[length] == '/');
}

static void add_reason(void *context, const struct owner *o)
{
    struct reasons *r = context;
    uint32_t i = 0;
    if (!lies_below(o->component, r->component) || (!o->allocated && o->resident + o->swapped == 0))
        return;
    while (i < r->count && !same_reason(&r->reason[i], r->process, o))
        i++;
    if (i == r->count) {
        array_room(r->reason, r->count, r->room);
        r->reason[r->count++] = (struct reason){ .process = r->process, .example = *o };
    }
    r->reason[i].bytes += o->allocated ? owner_weigh(o, o->end - o->start) : 0;
    r->reason[i].resident += owner_weigh(o, o->resident + o->swapped);
    r->reason[i].ranges += o->weight;
}

static int by_weight(const void *a, const void *b)
{
    const struct reason *x = a, *y = b;
    uint64_t p = x->bytes > x->resident ? x->bytes : x->resident, q = y->bytes > y->resident ? y->bytes : y->resident;
    return (p < q) - (p > q);
}

static void print_reason(const struct summary *s, const struct reason *r, const struct report_style *style, FILE *out)
{
    char bytes[UNITS_TEXT], resident[UNITS_TEXT], count[UNITS_TEXT], text[1200];
    const struct owner *o = &r->example;
    const struct summary_site *site = site_of(s, r->process, o);
    const bool measured = owners_measured(r->process->owners);
    snprintf(text, sizeof text, "%s%s%s: %s allocated, %s%sin %s range%s of %s (pid %u)", o->component,
             *o->how ? " " : "", o->how, units_bytes(bytes, r->bytes),
             measured ? units_bytes(resident, r->resident) : "", measured ? " resident, " : "",
             units_count(count, (uint64_t)r->ranges), r->ranges < 2 ? "" : "s", r->process->info->name,
             r->process->info->pid);
    fputc('\n', out);
    table_wrap(text, 0, style->width, out);
    print_fact(out, "because", sentence(o->evidence));
    print_fact(out, "buffer", o->buffer);
    print_fact(out, "file", o->file);
    if (*o->tensor)
        print_fact(out, r->ranges > 1 ? "such as" : "tensor", o->tensor);
    if (!site) {
        snprintf(text, sizeof text, "0x%" PRIx64 " to 0x%" PRIx64, o->start, o->end);
        print_fact(out, r->ranges > 1 ? "such as" : "range", text);
        return;
    }
    print_fact(out, "call", site->call);
    site_print_frames(site, style, out);
}

static bool why_component(const struct summary *s, const char *component, const struct report_style *style, FILE *out)
{
    struct reasons r = { .component = component };
    for (uint32_t i = 0; i < s->processes; i++) {
        r.process = &s->process[i];
        owners_each(s->process[i].owners, add_reason, &r);
    }
    array_sort(r.reason, r.count, sizeof *r.reason, by_weight);
    if (r.count)
        sampling_print(s->sample_mean, 0, style->width, out);
    for (uint32_t i = 0; i < r.count && i < style->top; i++)
        print_reason(s, &r.reason[i], style, out);
    if (r.count > style->top)
        fprintf(out, "\n%u more reasons (--top N shows more)\n", r.count - style->top);
    free(r.reason);
    return r.count > 0;
}

bool report_why(const struct summary *s, const char *what, const struct report_style *style, FILE *out)
{
    char *rest;
    uint64_t address = strtoull(what, &rest, 16);
    bool is_address = strncmp(what, "0x", 2) == 0 && !*rest;
    return is_address ? why_address(s, address, style, out) : why_component(s, what, style, out);
}
