/* failure.c: see failure.h. */
#include "report/failure.h"

#include <inttypes.h>
#include <string.h>

#include "base/units.h"
#include "report/site.h"
#include "report/table.h"
#include "report/values.h"

struct collector {
    struct summary_failure *f;
    const struct trace *trace;
    const struct attribution *site;
    const uint64_t *site_id;
    uint64_t now_ns;
};

static bool is_larger(const struct summary_block *a, const struct summary_block *b)
{
    return a->size != b->size ? a->size > b->size : a->address < b->address;
}

static bool is_newer(const struct summary_block *a, const struct summary_block *b)
{
    return a->age_ns != b->age_ns ? a->age_ns < b->age_ns : a->address < b->address;
}

static void insert(struct summary_block *list, uint32_t count, const struct summary_block *b,
                   bool (*before)(const struct summary_block *, const struct summary_block *))
{
    uint32_t at = count < SUMMARY_BLOCKS ? count : SUMMARY_BLOCKS;
    while (at > 0 && before(b, &list[at - 1]))
        at--;
    if (at == SUMMARY_BLOCKS)
        return;
    for (uint32_t i = SUMMARY_BLOCKS - 1; i > at; i--)
        list[i] = list[i - 1];
    list[at] = *b;
}

static void collect(void *context, uint64_t address, const struct heap_block *block)
{
    struct collector *c = context;
    if (!c->site[block->site].component)
        return;
    struct summary_block b = { .address = address,
                               .size = block->size,
                               .age_ns = c->now_ns - trace_ns(c->trace, block->time),
                               .site = c->site_id[block->site],
                               .component = c->site[block->site].component };
    insert(c->f->largest, c->f->blocks, &b, is_larger);
    insert(c->f->newest, c->f->blocks, &b, is_newer);
    c->f->blocks += c->f->blocks < SUMMARY_BLOCKS;
}

void failure_add(struct summary *s, const struct summary_process *p, const struct heap *h, const struct trace *t,
                 const struct attribution *site)
{
    const struct heap_failure *last = heap_last_failure(h);
    if (!last)
        return;
    s->failure = (struct summary_failure){ .process = p,
                                           .size = last->size,
                                           .site = p->site_id[last->site],
                                           .call = trace_call_name(heap_site(h, last->site)->call) };
    struct collector c = { &s->failure, t, site, p->site_id, trace_ns(t, heap_time(h)) };
    heap_each_block(h, collect, &c);
}

/* --- showing ----------------------------------------------------------------------------------------------------- */

static void print_blocks(const char *title, const struct summary_block *block, uint32_t count,
                         const struct report_style *style, FILE *out)
{
    char size[UNITS_TEXT], age[UNITS_TEXT], address[24], site[20];
    struct table t;
    table_begin(&t, "rrlll", 2);
    table_row(&t, "SIZE", "AGE", title, "ADDRESS", "SITE", NULL);
    for (uint32_t i = 0; i < count; i++) {
        snprintf(address, sizeof address, "0x%" PRIx64, block[i].address);
        snprintf(site, sizeof site, "%016" PRIx64, block[i].site);
        table_row(&t, units_bytes(size, block[i].size), units_duration(age, block[i].age_ns), block[i].component,
                  address, site, NULL);
    }
    fputc('\n', out);
    table_print(&t, 2, style->width, out);
}

void failure_print(const struct summary *s, const struct report_style *style, FILE *out)
{
    const struct summary_failure *f = &s->failure;
    char size[UNITS_TEXT], text[400];
    if (!f->process)
        return;
    snprintf(text, sizeof text, "%s of %s failed in %s (pid %u), last before this moment:", f->call,
             units_bytes(size, f->size), f->process->info->name, f->process->info->pid);
    fputc('\n', out);
    table_wrap(text, 2, style->width, out);
    for (uint32_t i = 0; i < s->sites; i++)
        if (s->site[i].id == f->site) {
            site_print_frames(&s->site[i], style, out);
            break;
        }
    print_blocks("LARGEST BLOCKS", f->largest, f->blocks, style, out);
    print_blocks("NEWEST BLOCKS", f->newest, f->blocks, style, out);
}

static json_t *blocks_json(const struct summary_block *block, uint32_t count)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < count; i++) {
        char site[20];
        snprintf(site, sizeof site, "%016" PRIx64, block[i].site);
        json_array_append_new(list, json_pack("{s:I s:I s:I s:s s:o}", "address", (json_int_t)block[i].address, "size",
                                              (json_int_t)block[i].size, "age_ns", (json_int_t)block[i].age_ns, "site",
                                              site, "component", values_text(block[i].component)));
    }
    return list;
}

json_t *failure_json(const struct summary *s)
{
    const struct summary_failure *f = &s->failure;
    char site[20];
    if (!f->process)
        return json_null();
    snprintf(site, sizeof site, "%016" PRIx64, f->site);
    return json_pack("{s:I s:s s:I s:s s:o s:o}", "pid", (json_int_t)f->process->info->pid, "call", f->call, "size",
                     (json_int_t)(f->size > INT64_MAX ? INT64_MAX : f->size), "site", site, "largest",
                     blocks_json(f->largest, f->blocks), "newest", blocks_json(f->newest, f->blocks));
}
