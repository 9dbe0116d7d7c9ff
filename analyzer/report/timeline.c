/* timeline.c: see timeline.h. */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/units.h"
#include "report/table.h"
#include "report/timeline.h"

#define COLUMNS 5u

const char *phase_name(enum phase p)
{
    static const char *const names[] = { "load", "warm-up", "serve" };
    return names[p];
}

enum phase phase_of(const struct heap *h, uint64_t time)
{
    const struct heap_phases *p = heap_phases(h);
    uint64_t served = p->request ? p->request : p->compute;
    if (served && time >= served)
        return PHASE_SERVE;
    return p->compute && time >= p->compute ? PHASE_WARM_UP : PHASE_LOAD;
}

static uint32_t find_part(struct summary *s, const char *component)
{
    for (uint32_t i = 0; i < s->parts; i++)
        if (strcmp(s->part[i], component) == 0)
            return i;
    array_room(s->part, s->parts, s->part_room);
    s->part[s->parts] = component;
    return s->parts++;
}

void timeline_add(struct summary *s, uint32_t process, const struct heap *h, const struct trace *t,
                  const struct attribution *site, uint64_t session_start)
{
    uint32_t sites = heap_site_count(h), before = s->moments;
    uint32_t *part = memory_take((sites + 1) * sizeof *part);
    if (heap_moment_count(h) == 0)
        sites = 0;
    for (uint32_t i = 0; i < sites; i++)
        part[i] = find_part(s, site[i].component ? site[i].component : OWNER_MEMTAP);
    for (uint32_t i = 0; i < heap_moment_count(h); i++) {
        struct heap_moment m = heap_moment(h, i);
        array_room(s->moment, s->moments, s->moment_room);
        struct summary_moment *to = &s->moment[s->moments++];
        *to = (struct summary_moment){ .process = process,
                                       .time_ns = trace_mono_ns(t, m.time) - session_start,
                                       .mark = m.mark,
                                       .request = m.request,
                                       .live_bytes = m.live_bytes,
                                       .live_variance = heap_variance(h, m.live_spread),
                                       .mapped_bytes = m.mapped_bytes,
                                       .bytes = memory_take((s->parts + 1) * sizeof *to->bytes) };
        for (uint32_t k = 0; k < m.sites; k++)
            to->bytes[part[k]] += m.site[k];
    }
    for (uint32_t i = 0; i < before; i++) { /* those of other processes know fewer parts */
        uint64_t *bytes = memory_take((s->parts + 1) * sizeof *bytes);
        memcpy(bytes, s->moment[i].bytes, s->moment[i].parts * sizeof *bytes);
        free(s->moment[i].bytes);
        s->moment[i].bytes = bytes;
    }
    for (uint32_t i = 0; i < s->moments; i++)
        s->moment[i].parts = s->parts;
    free(part);
}

void timeline_free(struct summary *s)
{
    for (uint32_t i = 0; i < s->moments; i++)
        free(s->moment[i].bytes);
    free(s->moment);
    free(s->part);
}

/* --- printing ---------------------------------------------------------------------------------------------------- */

/* The parts that were ever the largest. */
static uint32_t choose_parts(const struct summary *s, uint32_t chosen[COLUMNS])
{
    uint64_t most[COLUMNS];
    uint32_t count = 0;
    for (uint32_t p = 0; p < s->parts; p++) {
        uint64_t greatest = 0;
        for (uint32_t i = 0; i < s->moments; i++)
            greatest = s->moment[i].bytes[p] > greatest ? s->moment[i].bytes[p] : greatest;
        uint32_t at = count;
        while (at > 0 && most[at - 1] < greatest)
            at--;
        if (at == COLUMNS || !greatest || strcmp(s->part[p], OWNER_MEMTAP) == 0)
            continue;
        count += count < COLUMNS;
        for (uint32_t k = count - 1; k > at; k--) {
            most[k] = most[k - 1];
            chosen[k] = chosen[k - 1];
        }
        most[at] = greatest;
        chosen[at] = p;
    }
    return count;
}

static void print_moment(struct table *t, const struct summary_moment *m, const uint32_t *chosen, uint32_t count)
{
    char time[UNITS_TEXT], live[UNITS_TEXT], label[120], cell[COLUMNS][UNITS_TEXT];
    const char *text[COLUMNS] = { NULL };
    if (m->mark)
        snprintf(label, sizeof label, "%.100s", m->mark);
    else
        snprintf(label, sizeof label, "request %llu end", (unsigned long long)m->request);
    for (uint32_t i = 0; i < count; i++)
        text[i] = units_bytes(cell[i], m->bytes[chosen[i]]);
    table_row(t, units_duration(time, m->time_ns), label, units_bytes(live, m->live_bytes + m->mapped_bytes), text[0],
              text[1], text[2], text[3], text[4], NULL);
}

void timeline_print(const struct summary *s, const struct report_style *style, FILE *out)
{
    uint32_t chosen[COLUMNS] = { 0 }, count = choose_parts(s, chosen), left = 0;
    const char *head[COLUMNS] = { NULL };
    struct table t;
    if (!s->moments) {
        fputs("\n  no marks and no requests: memtap mark, or memtap.h in the program, sets them\n", out);
        return;
    }
    for (uint32_t i = 0; i < count; i++)
        head[i] = s->part[chosen[i]];
    table_begin(&t, "rlrrrrrr", 1);
    table_row(&t, "TIME", "MOMENT", "HELD", head[0], head[1], head[2], head[3], head[4], NULL);
    uint32_t rows = style->top ? style->top : 1, step = (s->moments + rows - 1) / rows;
    for (uint32_t i = 0; i < s->moments; i++) {
        if (s->moment[i].mark || i % step == 0 || i + 1 == s->moments)
            print_moment(&t, &s->moment[i], chosen, count);
        else
            left++;
    }
    fputc('\n', out);
    table_print(&t, 2, style->width, out);
    if (left)
        fprintf(out, "\n  %u more moments (--top N shows more)\n", left);
}
