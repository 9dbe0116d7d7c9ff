/* text.c: the report for people. The answer first, then the table, then how sure it is. See report.h. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/units.h"
#include "report/beyond.h"
#include "report/components.h"
#include "report/failure.h"
#include "report/report.h"
#include "report/sampling.h"
#include "report/site.h"
#include "report/table.h"
#include "report/timeline.h"

/* --- the header -------------------------------------------------------------------------------------------------- */

static uint64_t lost_events(const struct summary *s)
{
    uint64_t lost = 0;
    for (int cause = 0; cause < TRACE_LOSS_COUNT; cause++)
        lost += s->losses[cause];
    return lost;
}

/* A line of the header, wrapped where the terminal is narrow. */
static void line(const struct report_style *style, FILE *out, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void line(const struct report_style *style, FILE *out, const char *format, ...)
{
    char text[1200];
    va_list values;
    va_start(values, format);
    vsnprintf(text, sizeof text, format, values);
    va_end(values);
    table_wrap(text, 2, style->width, out);
}

static void print_title(const struct summary *s, const struct report_style *style, FILE *out)
{
    char text[600], duration[UNITS_TEXT], who[200];
    const struct summary_process *p = &s->process[0];
    if (s->processes == 1)
        snprintf(who, sizeof who, "%.120s (pid %u)", p->info->name, p->info->pid);
    else
        snprintf(who, sizeof who, "%.120s and %u more processes", p->info->name, s->processes - 1);
    snprintf(text, sizeof text, "%.200s · %s, %s · at: %s", symbols_base_name(s->session), who,
             units_duration(duration, s->duration_ns), s->at);
    table_wrap(text, 0, style->width, out);
    fputc('\n', out);
}

static void print_held(const struct summary *s, const struct report_style *style, FILE *out)
{
    char live[UNITS_TEXT], blocks[UNITS_TEXT], peak[UNITS_TEXT], mapped[UNITS_TEXT], count[UNITS_TEXT];
    char live_error[SAMPLING_TEXT], peak_error[SAMPLING_TEXT];
    const struct heap_totals *t = &s->totals;
    line(style, out, "%s%s live in %s heap blocks (peak %s%s) + %s mapped · %s allocations",
         units_bytes(live, t->live_bytes), sampling_error(live_error, s->live_variance),
         units_count(blocks, (uint64_t)t->live_blocks), units_bytes(peak, t->peak_bytes),
         sampling_error(peak_error, s->peak_variance), units_bytes(mapped, t->mapped_bytes),
         units_count(count, (uint64_t)t->alloc_count));
    if (t->inherited_bytes)
        line(style, out, "%s more inherited from parents at fork, shared with them until written",
             units_bytes(live, t->inherited_bytes));
}

/* As the last snapshot has it, or the tap's own sample. Processes that lived one after the other were never resident
 * together: for several there is no sum. */
static void print_resident(const struct summary *s, const struct report_style *style, FILE *out)
{
    char all[UNITS_TEXT], anon[UNITS_TEXT], file[UNITS_TEXT], swap[UNITS_TEXT], explained[60] = "",
                                                                                when[UNITS_TEXT + 40] = "";
    const struct summary_process *p = &s->process[0];
    const struct residency_totals sample = { .rss_anon = p->sample.rss_anon,
                                             .rss_file = p->sample.rss_file,
                                             .swap = p->sample.swap };
    const struct residency_totals *m = s->measured ? &p->pages : &sample;
    if (s->processes > 1 || !m->rss_anon)
        return;
    if (s->measured)
        snprintf(explained, sizeof explained, " · %.1f %% explained", 100.0 * summary_explained(s));
    if (s->measured && (p->pages_late_ns > 200000000 || p->pages_late_ns < -200000000))
        snprintf(when, sizeof when, " · as of %s %s", units_duration(all, (uint64_t)llabs(p->pages_late_ns)),
                 p->pages_late_ns > 0 ? "later" : "before");
    char bytes[UNITS_TEXT];
    line(style, out, "%s resident = %s anonymous + %s mapped file + %s swapped%s%s",
         units_bytes(bytes, m->rss_anon + m->rss_file + m->swap), units_bytes(anon, m->rss_anon),
         units_bytes(file, m->rss_file), units_bytes(swap, m->swap), explained, when);
}

static void print_sureness(const struct summary *s, const struct report_style *style, FILE *out)
{
    char lost[UNITS_TEXT], named[UNITS_TEXT], asked[UNITS_TEXT], own[UNITS_TEXT], ring[UNITS_TEXT];
    sampling_print(s->sample_mean, 2, style->width, out);
    line(style, out, "%s events lost · %s of %s frames named · memtap itself %s + %s ring, not counted",
         units_count(lost, lost_events(s)), units_count(named, s->frames_named), units_count(asked, s->frames_asked),
         units_bytes(own, s->sample.own + s->totals.own_bytes), units_bytes(ring, s->own_ring));
}

/* How the stacks were found, for those who want to know what they are worth. */
static void print_walks(const struct summary *s, const struct report_style *style, FILE *out)
{
    char partly[UNITS_TEXT], wholly[UNITS_TEXT], slowly[UNITS_TEXT], cut[UNITS_TEXT];
    if (s->walks[TRACE_WALK_PARTLY] + s->walks[TRACE_WALK_WHOLLY] + s->walks[TRACE_WALK_SLOWLY] == 0)
        return; /* a trace of before these were counted */
    line(style, out, "all stacks remembered but %s walked in part, %s as a whole (%s of these end early), %s slowly",
         units_count(partly, s->walks[TRACE_WALK_PARTLY]), units_count(wholly, s->walks[TRACE_WALK_WHOLLY]),
         units_count(cut, s->walks[TRACE_WALK_CUT]), units_count(slowly, s->walks[TRACE_WALK_SLOWLY]));
}

static const char *loss_text(int cause)
{
    static const char *const texts[] = {
#define LOSS_TEXT(name, key, text) text,
        TRACE_LOSSES(LOSS_TEXT)
#undef LOSS_TEXT
    };
    return texts[cause];
}

static void print_shortfalls(const struct trace_info *info, const struct report_style *style, FILE *out)
{
    static const char *const texts[] = {
        "/proc was not there: late modules and memory samples are missing",
        "libunwind was not there: stacks are one frame deep",
        "the directory asked for was not writable: the session is in $TMPDIR or /tmp",
        "the table of call stacks was full: later events have no stack",
        "the set of sampled blocks was full: all frees were recorded from then on",
    };
    for (unsigned bit = 0; bit < sizeof texts / sizeof *texts; bit++)
        if (info->shortfall & 1u << bit)
            line(style, out, "pid %u: %s", info->pid, texts[bit]);
    for (const char *warning = info->warnings; *warning;) {
        size_t length = strcspn(warning, "\n");
        line(style, out, "pid %u: %.*s", info->pid, (int)length, warning);
        warning += length + (warning[length] == '\n');
    }
}

/* What is missing and why: said before any number that it could make wrong. */
static void print_losses(const struct summary *s, const struct report_style *style, FILE *out)
{
    char text[UNITS_TEXT];
    for (int cause = 0; cause < TRACE_LOSS_COUNT; cause++)
        if (s->losses[cause])
            line(style, out, "LOST: %s events, because %s", units_count(text, s->losses[cause]), loss_text(cause));
    if (s->left_out)
        line(style, out, "LOST: %llu trace%s could not be read", (unsigned long long)s->left_out,
             s->left_out == 1 ? "" : "s");
    if (s->unbegun)
        line(style, out, "%u more process%s ended, or %s looked at, before there was anything to record", s->unbegun,
             s->unbegun == 1 ? "" : "es", s->unbegun == 1 ? "was" : "were");
    for (uint32_t i = 0; i < s->processes; i++) {
        const struct trace_info *info = s->process[i].info;
        if (info->stopped >= 0)
            line(style, out, "LOST: the recording of pid %u ended early, because %s", info->pid,
                 loss_text(info->stopped));
        print_shortfalls(info, style, out);
    }
    if (s->damaged_chunks || s->missing_chunks || s->bad_records)
        line(style, out, "LOST: %llu chunks damaged, %llu missing, %llu not decoded to their end",
             (unsigned long long)s->damaged_chunks, (unsigned long long)s->missing_chunks,
             (unsigned long long)s->bad_records);
    if (s->totals.unmatched_frees)
        line(style, out, "%s frees of blocks that were never seen allocated",
             units_count(text, s->totals.unmatched_frees));
}

static uint64_t held(const struct summary_process *p)
{
    return p->totals.live_bytes + p->totals.mapped_bytes;
}

static int by_held(const void *a, const void *b)
{
    const struct summary_process *x = *(const struct summary_process *const *)a;
    const struct summary_process *y = *(const struct summary_process *const *)b;
    if (held(x) != held(y))
        return held(x) > held(y) ? -1 : 1;
    return (x->start_ns > y->start_ns) - (x->start_ns < y->start_ns);
}

static void add_process(struct table *t, const struct summary_process *p)
{
    char live[UNITS_TEXT], mapped[UNITS_TEXT], peak[UNITS_TEXT], rss[UNITS_TEXT], pid[16], end[32];
    snprintf(pid, sizeof pid, "%u", p->info->pid);
    table_row(t, pid, p->info->name, units_bytes(live, p->totals.live_bytes),
              units_bytes(mapped, p->totals.mapped_bytes), units_bytes(peak, p->totals.peak_bytes),
              p->has_sample ? units_bytes(rss, p->sample.rss_anon + p->sample.rss_file + p->sample.swap) : "",
              report_end(p->info, end), NULL);
}

/* Each at its own end, or at the moment asked for; the largest first. */
static void print_processes(const struct summary *s, const struct report_style *style, FILE *out)
{
    const uint32_t most = style->verbose ? s->processes : 8;
    char size[UNITS_TEXT], label[64];
    uint64_t rest = 0;
    struct table t;
    if (s->processes < 2)
        return;
    const struct summary_process **order = memory_take(s->processes * sizeof *order);
    for (uint32_t i = 0; i < s->processes; i++)
        order[i] = &s->process[i];
    array_sort(order, s->processes, sizeof *order, by_held);
    table_begin(&t, "llrrrrl", 1);
    table_row(&t, "PID", "PROCESS", "LIVE", "MAPPED", "PEAK", "RESIDENT", "END", NULL);
    for (uint32_t i = 0; i < s->processes; i++) {
        if (i < most)
            add_process(&t, order[i]);
        else
            rest += held(order[i]);
    }
    snprintf(label, sizeof label, "%u more", s->processes - most);
    if (s->processes > most)
        table_row(&t, "", label, units_bytes(size, rest), NULL);
    fputc('\n', out);
    table_print(&t, 2, style->width, out);
    free(order);
}

/* --- sites, modules, threads ------------------------------------------------------------------------------------- */

/* What an allocator behind the tap maps is the room in which the other sites' blocks live: not told twice. */
static void print_sites(const struct summary *s, const struct report_style *style, FILE *out)
{
    uint32_t shown = 0, left = 0;
    for (uint32_t i = 0; i < s->sites; i++) {
        if (strcmp(s->site[i].component, "allocator/backing") == 0 && !style->verbose)
            continue;
        if (shown < style->top) {
            site_print(&s->site[i], style, out);
            shown++;
        } else {
            left++;
        }
    }
    if (left)
        fprintf(out, "\n  %u more sites (--top N shows more)\n", left);
}

static void print_groups(const struct summary_group *group, uint32_t count, bool threads,
                         const struct report_style *style, FILE *out)
{
    char live[UNITS_TEXT], blocks[UNITS_TEXT], allocs[UNITS_TEXT], bytes[UNITS_TEXT], label[300];
    struct table t;
    table_begin(&t, "lrrrr", 0);
    table_row(&t, threads ? "THREAD" : "MODULE", "LIVE", "BLOCKS", "ALLOCATIONS", "ALLOCATED", NULL);
    for (uint32_t i = 0; i < count && i < style->top; i++) {
        const struct summary_group *g = &group[i];
        if (threads)
            snprintf(label, sizeof label, "%u %s", g->tid, g->name);
        else
            snprintf(label, sizeof label, "%s", *g->name ? symbols_base_name(g->name) : "generated code");
        table_row(&t, label, units_bytes(live, g->live_bytes), units_count(blocks, (uint64_t)g->live_blocks),
                  units_count(allocs, (uint64_t)g->alloc_count), units_bytes(bytes, g->alloc_bytes), NULL);
    }
    fputc('\n', out);
    table_print(&t, 2, style->width, out);
}

static void print_histogram(const struct summary *s, const struct report_style *style, FILE *out)
{
    char low[UNITS_TEXT], high[UNITS_TEXT], range[80], count[UNITS_TEXT], share[16];
    struct table t;
    table_begin(&t, "lrr", 0);
    table_row(&t, "SIZE OF ALLOCATION", "COUNT", "SHARE", NULL);
    for (unsigned bits = 0; bits < 65; bits++) {
        if (s->totals.histogram[bits] <= 0)
            continue;
        uint64_t from = bits ? 1ull << (bits - 1) : 0, to = bits < 64 ? (1ull << bits) - 1 : UINT64_MAX;
        snprintf(range, sizeof range, "%s to %s", units_bytes(low, from), units_bytes(high, bits ? to : 0));
        snprintf(share, sizeof share, "%.1f %%", 100.0 * s->totals.histogram[bits] / s->totals.alloc_count);
        table_row(&t, range, units_count(count, (uint64_t)s->totals.histogram[bits]), share, NULL);
    }
    fputc('\n', out);
    table_print(&t, 2, style->width, out);
    if (!s->sample_mean)
        fprintf(out, "\n  %s temporary: freed before their thread allocated again\n",
                units_count(count, s->totals.temporary));
}

void report_text(const struct summary *s, const struct report_style *style, FILE *out)
{
    print_title(s, style, out);
    print_held(s, style, out);
    print_resident(s, style, out);
    print_sureness(s, style, out);
    if (style->verbose)
        print_walks(s, style, out);
    print_losses(s, style, out);
    print_processes(s, style, out);
    switch (style->by) {
    case REPORT_BY_COMPONENT:
        components_print(s, style, out);
        beyond_print(s, style, out);
        break;
    case REPORT_BY_SITE:
        print_sites(s, style, out);
        break;
    case REPORT_BY_MODULE:
        print_groups(s->module, s->modules, false, style, out);
        break;
    case REPORT_BY_TIME:
        timeline_print(s, style, out);
        break;
    case REPORT_BY_THREAD:
        print_groups(s->thread, s->threads, true, style, out);
        break;
    }
    if (style->failure)
        failure_print(s, style, out);
    if (style->verbose)
        print_histogram(s, style, out);
}
