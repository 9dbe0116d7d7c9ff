/* ls.c: memtap ls, the processes of a session. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/units.h"
#include "commands/command.h"
#include "commands/commands.h"
#include "heap/heap.h"
#include "report/report.h"
#include "report/table.h"

#define SHORT_NS 2000000000u /* a child that lived shorter and holds next to nothing is a probe */
#define LITTLE (1u << 20)

static uint64_t held(const struct heap *h)
{
    return heap_totals(h)->live_bytes + heap_totals(h)->mapped_bytes;
}

static uint64_t lifetime_ns(const struct trace *t)
{
    return trace_ns(t, trace_end_time(t));
}

static uint64_t count_events(const struct heap *h)
{
    return (uint64_t)(heap_totals(h)->alloc_count + heap_totals(h)->free_count);
}

static uint64_t count_snapshots(const struct session *s)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < s->count; i++) {
        struct residency *r = command_residency(s->trace[i]);
        count += r ? residency_count(r) : 0;
        residency_close(r);
    }
    return count;
}

static void print_title(const struct session *s, struct heap **heap)
{
    char duration[UNITS_TEXT], events[UNITS_TEXT], size[UNITS_TEXT];
    uint64_t end = 0, total = 0, bytes = 0, lost = 0, sampled = 0, snapshots = count_snapshots(s),
             first = trace_mono_ns(s->trace[0], 0);
    for (uint32_t i = 0; i < s->count; i++) {
        uint64_t ended = trace_mono_ns(s->trace[i], trace_end_time(s->trace[i])) - first;
        end = ended > end ? ended : end;
        total += count_events(heap[i]);
        bytes += trace_health(s->trace[i])->bytes;
        lost += trace_has_lost(s->trace[i]);
        sampled |= trace_info(s->trace[i])->sample_bytes;
    }
    printf("%s · %u process%s, %s, %s heap events%s, %s of trace, ", symbols_base_name(s->path), s->count,
           s->count == 1 ? "" : "es", units_duration(duration, end), units_count(events, total),
           sampled ? " (an estimate: sampled)" : "", units_bytes(size, bytes));
    if (snapshots)
        printf("%" PRIu64 " snapshot%s of pages, ", snapshots, snapshots == 1 ? "" : "s");
    if (lost)
        printf("losses in %" PRIu64 " of them\n", lost);
    else
        puts("0 lost");
}

static bool is_probe(const struct trace *t, const struct heap *h)
{
    return !trace_info(t)->running && lifetime_ns(t) < SHORT_NS && held(h) < LITTLE;
}

static void add_process(struct table *t, const struct trace *trace, const struct heap *h, uint32_t number)
{
    char name[300], pid[24], end[32], word[64], size[UNITS_TEXT], duration[UNITS_TEXT];
    const struct trace_info *info = trace_info(trace);
    const char *first = info->argc > 1 && *info->argv[1] != '-' ? info->argv[1] : "";
    snprintf(name, sizeof name, "%s%s%s%.100s%s", number ? "└ " : "", info->name, *first ? " " : "",
             symbols_base_name(first), info->forked ? " (fork)" : "");
    snprintf(pid, sizeof pid, "pid %u", info->pid);
    report_end(info, end);
    if (info->end == TRACE_END_SIGNAL || (info->end == TRACE_END_OPEN && !info->running && !info->replaced))
        snprintf(word, sizeof word, "%s, holding", info->end == TRACE_END_SIGNAL ? end : "ended unseen");
    else
        snprintf(word, sizeof word, "%s", end);
    table_row(t, name, pid, word, units_duration(duration, lifetime_ns(trace)), units_bytes(size, held(h)), NULL);
}

static void print_processes(const struct session *s, struct heap **heap, bool all)
{
    char label[64], duration[UNITS_TEXT], size[UNITS_TEXT];
    uint64_t probes_ns = 0, probes_held = 0;
    uint32_t probes = 0;
    struct table t;
    table_begin(&t, "lllrr", 0);
    for (uint32_t i = 0; i < s->count; i++) {
        if (i == 0 || all || s->count < 8 || !is_probe(s->trace[i], heap[i])) {
            add_process(&t, s->trace[i], heap[i], i);
            continue;
        }
        probes++;
        probes_ns += lifetime_ns(s->trace[i]);
        probes_held += held(heap[i]);
    }
    snprintf(label, sizeof label, "└ %u probes", probes);
    if (probes)
        table_row(&t, label, "", "in all", units_duration(duration, probes_ns), units_bytes(size, probes_held), NULL);
    table_print(&t, 2, command_width(), stdout);
}

int command_ls(int argc, char **argv)
{
    static const struct option options[] = {
        { "all", no_argument, NULL, 'a' },
        { "quiet", no_argument, NULL, 'q' },
        { NULL, 0, NULL, 0 },
    };
    struct heap_options replay = { .quiet = false };
    struct session s;
    struct error e;
    bool all = false;
    int answer;
    while ((answer = getopt_long(argc, argv, ":aq", options, NULL)) != -1) {
        if (answer == 'a')
            all = true;
        else if (answer == 'q')
            replay.quiet = true;
        else
            return command_bad_option("ls", answer, argv);
    }
    if (optind + 1 != argc)
        return command_misused("ls", "ls wants one session");
    if (!command_session(argv[optind], &s, &e))
        return command_fail(&e);
    struct heap **heap = heap_replay(&s, &replay);
    print_title(&s, heap);
    print_processes(&s, heap, all);
    heap_free_all(heap, s.count);
    session_close(&s);
    return command_finish(EXIT_FINE);
}
