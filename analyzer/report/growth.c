/* growth.c: see growth.h. */
#include "report/growth.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "base/units.h"
#include "report/sampling.h"
#include "report/table.h"

#define SHOWN_FRAMES 4u /* names in the one-line stack */

/* Whether the first site of any process, which has the worst verdict, has this one. */
static bool is_worst(const struct growth *g, enum leaks_verdict verdict)
{
    for (uint32_t i = 0; i < g->session->count; i++)
        if (g->leaks[i].judged && g->leaks[i].sites && g->leaks[i].site[0].verdict == verdict)
            return true;
    return false;
}

bool growth_found(const struct growth *g)
{
    return is_worst(g, LEAKS_GROWING);
}

bool growth_doubted(const struct growth *g)
{
    return is_worst(g, LEAKS_INCONCLUSIVE);
}

bool growth_judged(const struct growth *g)
{
    for (uint32_t i = 0; i < g->session->count; i++)
        if (g->leaks[i].judged)
            return true;
    return false;
}

static double per_day(double per_hour)
{
    return per_hour * 24;
}

/* By how much an inconclusive row may grow. */
static double most_per_unit(double maybe, double variance)
{
    return maybe + HEAP_SURE * sqrt(variance);
}

/* --- one row as text --------------------------------------------------------------------------------------------- */

/* "ggml_backend_sched_new < llama_context::sched_reserve < ...": named frames, the plumbing left out. */
static void stack_line(const struct growth *g, uint32_t process, const struct leaks_row *row, char *text, size_t size)
{
    struct symbol_stack stack = { .frame = NULL };
    char name[400];
    size_t used = 0;
    uint32_t shown = 0;
    *text = '\0';
    symbols_stack(g->symbols, g->session->trace[process], heap_site(g->heap[process], row->site)->node, &stack);
    for (uint32_t i = 0; i < stack.count && shown < SHOWN_FRAMES && used + 4 < size; i++) {
        const struct symbol_frame *f = stack.frame[i];
        if (!f->function || !*f->module || strncmp(f->function, "operator new", 12) == 0 ||
            strncmp(f->function, "std::", 5) == 0)
            continue;
        used += (size_t)snprintf(text + used, size - used, "%s%s", shown ? " < " : "",
                                 symbols_shorten(f->function, name, sizeof name));
        shown++;
    }
    if (!shown && stack.count)
        snprintf(text, size, "%s+0x%" PRIx64, symbols_base_name(stack.frame[0]->module), stack.frame[0]->offset);
    symbols_stack_free(&stack);
}

/* One unit for all slices, so that they can be compared at a glance. */
static void print_slices(const struct leaks_row *row, uint32_t width, FILE *out)
{
    static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
    char line[400];
    uint64_t most = 0;
    unsigned unit = 0;
    for (unsigned i = 0; i < LEAKS_SLICES; i++)
        most = row->survivor_bytes[i] > most ? row->survivor_bytes[i] : most;
    for (; most >= 1000 && unit + 1 < sizeof units / sizeof *units; most >>= 10)
        unit++;
    size_t used = (size_t)snprintf(line, sizeof line, "survivors by slice, %s:", units[unit]);
    for (unsigned i = 0; i < LEAKS_SLICES && used + 40 < sizeof line; i++)
        used += (size_t)snprintf(line + used, sizeof line - used, " %.*f", unit ? 1 : 0,
                                 (double)row->survivor_bytes[i] / (double)(1ull << 10 * unit));
    fputs("    ", out);
    table_clip(line, width - 4, out);
    fputc('\n', out);
}

static void print_growing(const struct growth *g, uint32_t process, const struct leaks_row *row,
                          const struct report_style *style, FILE *out)
{
    char rate[UNITS_TEXT], error[SAMPLING_TEXT], hour[UNITS_TEXT], live[UNITS_TEXT], blocks[UNITS_TEXT], line[2000];
    snprintf(line, sizeof line, "GROWING   %.80s%s%s · %s%s per %s · %s per hour · now %s in %s blocks", row->component,
             *row->how ? " " : "", row->how, units_change(rate, row->bytes_per_unit),
             sampling_error(error, row->variance), g->leaks[process].exposure.unit,
             units_change(hour, row->bytes_per_hour), units_bytes(live, row->live_bytes),
             units_count(blocks, (uint64_t)row->live_blocks));
    fputc('\n', out);
    table_clip(line, style->width, out);
    fputs("\n    ", out);
    stack_line(g, process, row, line, sizeof line);
    table_clip(line, style->width - 4, out);
    fputc('\n', out);
    print_slices(row, style->width, out);
}

/* --- the text ---------------------------------------------------------------------------------------------------- */

static void print_headline(const struct growth *g, uint32_t process, const struct report_style *style, FILE *out)
{
    char rate[UNITS_TEXT], error[SAMPLING_TEXT], day[UNITS_TEXT];
    const struct leaks *l = &g->leaks[process];
    const struct trace_info *info = trace_info(l->trace);
    enum leaks_verdict worst = l->sites ? l->site[0].verdict : LEAKS_STEADY;
    fprintf(out, "%s · %s (pid %u)\n\n", symbols_base_name(g->session->path), info->name, info->pid);
    if (worst == LEAKS_GROWING)
        fprintf(out, "GROWING: %s%s per %s, that is %s per day at this rate\n", units_change(rate, l->bytes_per_unit),
                sampling_error(error, l->variance), l->exposure.unit, units_change(day, per_day(l->bytes_per_hour)));
    if (worst == LEAKS_GROWING && l->maybe_per_unit > 0)
        fprintf(out, "%s more per %s are inconclusive, and not in that\n", units_change(rate, l->maybe_per_unit),
                l->exposure.unit);
    if (worst == LEAKS_INCONCLUSIVE)
        fprintf(out, "INCONCLUSIVE: up to %s per %s may grow; the sample is too small to tell\n",
                units_change(rate, most_per_unit(l->maybe_per_unit, l->variance)), l->exposure.unit);
    if (worst > LEAKS_INCONCLUSIVE)
        fprintf(out, "STEADY: nothing grows with the %ss\n", l->exposure.unit);
    fprintf(out,
            "judged on %" PRIu64 " of %" PRIu64 " %ss (%s), in %u slices; the first is warm-up, the last too "
            "young\n",
            l->exposure.judged, l->exposure.count, l->exposure.unit, l->exposure.source, LEAKS_SLICES);
    sampling_print(info->sample_bytes, 0, style->width, out);
    if (info->sample_bytes)
        fprintf(out, "what grows by less than %s per %s may go unseen\n",
                units_bytes(rate, (uint64_t)l->unseen_per_unit), l->exposure.unit);
}

/* What grows for sure, or up to how much may. */
static const char *rate_cell(char text[UNITS_TEXT + 8], const struct leaks_row *row)
{
    char rate[UNITS_TEXT];
    if (row->verdict == LEAKS_GROWING)
        return units_change(text, row->bytes_per_unit);
    if (row->verdict != LEAKS_INCONCLUSIVE)
        return "";
    snprintf(text, UNITS_TEXT + 8, "up to %s", units_change(rate, most_per_unit(row->maybe_per_unit, row->variance)));
    return text;
}

static void print_components(const struct leaks *l, const struct report_style *style, FILE *out)
{
    char live[UNITS_TEXT], blocks[UNITS_TEXT], rate[UNITS_TEXT + 8], label[200], unit[60];
    struct table t;
    snprintf(unit, sizeof unit, "PER %s", strcmp(l->exposure.unit, "request") == 0 ? "REQUEST" : "SECOND");
    table_begin(&t, "llrrr", 1);
    table_row(&t, "VERDICT", "COMPONENT", "LIVE", "BLOCKS", unit, NULL);
    for (uint32_t i = 0; i < l->components && i < style->top; i++) {
        const struct leaks_row *c = &l->component[i];
        snprintf(label, sizeof label, "%.150s%s%s", c->component, *c->how ? " " : "", c->how);
        table_row(&t, leaks_verdict_name(c->verdict), label, units_bytes(live, c->live_bytes),
                  units_count(blocks, (uint64_t)c->live_blocks), rate_cell(rate, c), NULL);
    }
    fputc('\n', out);
    table_print(&t, 0, style->width, out);
}

static void print_process(const struct growth *g, uint32_t process, const struct report_style *style, FILE *out)
{
    const struct leaks *l = &g->leaks[process];
    uint32_t shown = 0;
    print_headline(g, process, style, out);
    for (uint32_t i = 0; i < l->sites && l->site[i].verdict == LEAKS_GROWING; i++, shown++)
        if (shown < style->top)
            print_growing(g, process, &l->site[i], style, out);
    if (shown > style->top)
        fprintf(out, "\n%u more sites grow (--top N shows more)\n", shown - style->top);
    print_components(l, style, out);
}

void growth_text(const struct growth *g, const struct report_style *style, FILE *out)
{
    uint32_t printed = 0, unjudged = 0;
    for (uint32_t i = 0; i < g->session->count; i++) {
        if (!g->leaks[i].judged) {
            unjudged++;
            continue;
        }
        if (printed++)
            fputc('\n', out);
        print_process(g, i, style, out);
    }
    if (unjudged)
        fprintf(out, "%s%u process%s not judged: fewer than %u requests or seconds\n", printed ? "\n" : "", unjudged,
                unjudged == 1 ? "" : "es", LEAKS_LEAST_UNITS);
}

/* --- JSON -------------------------------------------------------------------------------------------------------- */

static json_t *text(const char *s)
{
    json_t *value = json_string(s);
    return value ? value : json_string("?");
}

static json_t *blocks_json(const double *blocks)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < LEAKS_SLICES; i++)
        json_array_append_new(list, json_integer(llround(blocks[i])));
    return list;
}

static json_t *bytes_json(const uint64_t *bytes)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < LEAKS_SLICES; i++)
        json_array_append_new(list, json_integer((json_int_t)bytes[i]));
    return list;
}

static json_t *row_json(const struct growth *g, uint32_t process, const struct leaks_row *row)
{
    char stack[2000], sentence[3000], rate[UNITS_TEXT], day[UNITS_TEXT], live[UNITS_TEXT];
    const struct leaks *l = &g->leaks[process];
    stack_line(g, process, row, stack, sizeof stack);
    if (row->verdict == LEAKS_GROWING)
        snprintf(sentence, sizeof sentence, "%s grows by %s per %s, %s per day, in %s", row->component,
                 units_change(rate, row->bytes_per_unit), l->exposure.unit,
                 units_change(day, per_day(row->bytes_per_hour)), stack);
    else if (row->verdict == LEAKS_INCONCLUSIVE)
        snprintf(sentence, sizeof sentence,
                 "%s may grow by up to %s per %s, too little of it was sampled to tell, in %s", row->component,
                 units_change(rate, most_per_unit(row->maybe_per_unit, row->variance)), l->exposure.unit, stack);
    else
        snprintf(sentence, sizeof sentence, "%s holds %s and does not grow, in %s", row->component,
                 units_bytes(live, row->live_bytes), stack);
    json_t *o = json_pack(
        "{s:s s:n s:o s:s s:s s:i s:f s:f s:f s:I s:I s:[{s:s s:o s:o}] s:o}", "verdict",
        leaks_verdict_name(row->verdict), "confidence", "component", text(row->component), "how", row->how, "site",
        stack, "pid", trace_info(l->trace)->pid, "bytes_per_unit", row->bytes_per_unit, "bytes_per_hour",
        row->bytes_per_hour, "bytes_per_day", per_day(row->bytes_per_hour), "live_bytes", (json_int_t)row->live_bytes,
        "live_blocks", (json_int_t)llround(row->live_blocks), "evidence", "kind", "survivors", "blocks",
        blocks_json(row->survivors), "bytes", bytes_json(row->survivor_bytes), "sentence", text(sentence));
    if (!trace_info(l->trace)->sample_bytes)
        return o;
    json_object_set_new(o, "error", json_real(sqrt(row->variance)));
    if (row->verdict == LEAKS_INCONCLUSIVE)
        json_object_set_new(o, "most_bytes_per_unit", json_real(most_per_unit(row->maybe_per_unit, row->variance)));
    return o;
}

/* The process whose exposure speaks for the session: the one with the most units. */
static const struct leaks *main_process(const struct growth *g)
{
    const struct leaks *best = &g->leaks[0];
    for (uint32_t i = 1; i < g->session->count; i++)
        if (g->leaks[i].judged && (!best->judged || g->leaks[i].exposure.count > best->exposure.count))
            best = &g->leaks[i];
    return best;
}

static json_t *balance_json(const struct growth *g)
{
    double unit = 0, hour = 0;
    for (uint32_t i = 0; i < g->session->count; i++) {
        unit += g->leaks[i].bytes_per_unit;
        hour += g->leaks[i].bytes_per_hour;
    }
    return json_pack("{s:f s:f s:f}", "growing_bytes_per_unit", unit, "growing_bytes_per_hour", hour,
                     "growing_bytes_per_day", per_day(hour));
}

bool growth_json(const struct growth *g, const struct report_style *style, FILE *out)
{
    json_t *verdicts = json_array();
    uint64_t mean = 0;
    const struct leaks_exposure *x = &main_process(g)->exposure;
    for (uint32_t process = 0; process < g->session->count; process++) {
        uint64_t own = trace_info(g->leaks[process].trace)->sample_bytes;
        mean = own > mean ? own : mean;
        for (uint32_t i = 0; i < g->leaks[process].sites && i < style->top; i++)
            json_array_append_new(verdicts, row_json(g, process, &g->leaks[process].site[i]));
    }
    json_t *root = json_pack("{s:i s:o s:{s:s s:s s:I s:I} s:o s:o}", "schema_version", 1, "session",
                             text(g->session->path), "exposure", "source", x->source ? x->source : "none", "unit",
                             x->unit ? x->unit : "second", "count", (json_int_t)x->count, "judged",
                             (json_int_t)x->judged, "balance", balance_json(g), "verdicts", verdicts);
    sampling_json(root, mean);
    bool fine = root && json_dumpf(root, out, JSON_INDENT(1)) == 0 && fputc('\n', out) != EOF;
    json_decref(root);
    return fine;
}
