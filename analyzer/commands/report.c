/* report.c: memtap report, where the memory is. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands/command.h"
#include "commands/commands.h"
#include "report/report.h"

struct report_options {
    const char *session, *rules;
    struct heap_until until;
    bool peak, json, quiet;
    uint32_t pid;
    struct report_style style;
};

/* "end", "peak", "request N", or the name of a mark. */
static void read_at(struct report_options *o, const char *at)
{
    uint64_t number;
    char rest;
    o->peak = strcmp(at, "peak") == 0;
    if (o->peak || strcmp(at, "end") == 0)
        return;
    if (sscanf(at, "request %" SCNu64 "%c", &number, &rest) == 1)
        o->until = (struct heap_until){ .what = HEAP_UNTIL_REQUEST, .event = number };
    else
        o->until = (struct heap_until){ .what = HEAP_UNTIL_MARK, .mark = at };
}

static bool read_by(struct report_options *o, const char *by)
{
    static const char *const names[] = { "component", "site", "module", "thread" };
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(by, names[i]) == 0) {
            o->style.by = (enum report_by)i;
            return true;
        }
    return false;
}

static int read_options(struct report_options *o, int argc, char **argv)
{
    static const struct option options[] = {
        { "at", required_argument, NULL, 'a' },
        { "by", required_argument, NULL, 'b' },
        { "top", required_argument, NULL, 'n' },
        { "pid", required_argument, NULL, 'p' },
        { "json", no_argument, NULL, 'j' },
        { "rules", required_argument, NULL, 'r' },
        { "quiet", no_argument, NULL, 'q' },
        { "verbose", no_argument, NULL, 'v' },
        { NULL, 0, NULL, 0 },
    };
    int answer;
    while ((answer = getopt_long(argc, argv, ":b:n:p:qv", options, NULL)) != -1) {
        switch (answer) {
        case 'a':
            read_at(o, optarg);
            break;
        case 'b':
            if (!read_by(o, optarg))
                return command_misused("report", "--by wants component, site, module or thread, not %s", optarg);
            break;
        case 'n':
            if (!command_number(optarg, &o->style.top))
                return command_misused("report", "--top wants a number, not %s", optarg);
            break;
        case 'p':
            if (!command_number(optarg, &o->pid))
                return command_misused("report", "--pid wants a process id, not %s", optarg);
            break;
        case 'j':
            o->json = true;
            break;
        case 'r':
            o->rules = optarg;
            break;
        case 'q':
            o->quiet = true;
            break;
        case 'v':
            o->style.verbose = true;
            break;
        default:
            return command_bad_option("report", answer, argv);
        }
    }
    if (optind + 1 != argc)
        return command_misused("report", "report wants one session");
    o->session = argv[optind];
    return EXIT_FINE;
}

/* The moment of a mark or request in one process is a moment of all: the others are cut at the same time. */
static bool find_moment(const struct session *s, struct heap **heap, struct heap_until *until, struct error *e)
{
    for (uint32_t i = 0; i < s->count; i++)
        if (heap_reached(heap[i])) {
            *until =
                (struct heap_until){ .what = HEAP_UNTIL_MONO, .event = trace_mono_ns(s->trace[i], heap_time(heap[i])) };
            return true;
        }
    if (until->what == HEAP_UNTIL_MARK)
        return error_set(e, EXIT_TROUBLE, "the session %s has no mark \"%s\"", s->path, until->mark);
    return error_set(e, EXIT_TROUBLE, "the session %s has no request %" PRIu64, s->path, until->event);
}

/* Replays the session up to the moment that is asked for. */
static struct heap **replay(const struct session *s, struct report_options *o, struct error *e)
{
    struct heap_options options = { .until = o->until, .peak = false, .quiet = o->quiet };
    struct heap **heap = heap_replay(s, &options);
    if (!o->peak && o->until.what == HEAP_UNTIL_END)
        return heap;
    bool found = o->peak || find_moment(s, heap, &options.until, e);
    options.peak = o->peak;
    options.found = heap;
    struct heap **again = found ? heap_replay(s, &options) : NULL;
    heap_free_all(heap, s->count);
    return again;
}

static void describe_at(const struct report_options *o, char *text, size_t size)
{
    if (o->until.what == HEAP_UNTIL_MARK)
        snprintf(text, size, "mark %s", o->until.mark);
    else if (o->until.what == HEAP_UNTIL_REQUEST)
        snprintf(text, size, "request %" PRIu64 " end", o->until.event);
    else
        snprintf(text, size, "%s", o->peak ? "peak" : "end");
}

/* What a process holds right now, if it runs and the end is asked for: newer than the tap's last sample. */
static void look_at_running(struct summary *s, const struct report_options *o)
{
    struct error e;
    for (uint32_t i = 0; i < s->processes && !o->peak && o->until.what == HEAP_UNTIL_END; i++) {
        struct summary_process *p = &s->process[i];
        struct residency_snapshot *now = p->info->running ? residency_take((pid_t)p->info->pid, &e) : NULL;
        if (now) {
            const struct residency_totals *t = &now->totals;
            struct heap_sample *all = &s->sample, *own = &p->sample;
            all->rss_anon += t->rss_anon - own->rss_anon;
            all->rss_file += t->rss_file - own->rss_file;
            all->rss_shmem += t->rss_shmem - own->rss_shmem;
            all->swap += t->swap - own->swap;
            own->rss_anon = t->rss_anon;
            own->rss_file = t->rss_file;
            own->rss_shmem = t->rss_shmem;
            own->swap = t->swap;
            p->has_sample = true;
        }
        residency_free(now);
    }
}

static int show(const struct command_input *in, struct heap **heap, const struct report_options *o)
{
    struct summary summary = { .session = NULL };
    bool fine = true;
    describe_at(o, summary.at, sizeof summary.at);
    summary_build(&summary, &in->session, heap, o->pid, in->symbols, in->rules);
    if (summary.processes == 0) {
        struct error e;
        error_set(&e, EXIT_TROUBLE, "the session %s has no process %u", in->session.path, o->pid);
        summary_free(&summary);
        return command_fail(&e);
    }
    look_at_running(&summary, o);
    if (o->json)
        fine = report_json(&summary, &o->style, stdout);
    else
        report_text(&summary, &o->style, stdout);
    summary_free(&summary);
    return command_finish(fine ? EXIT_FINE : EXIT_TROUBLE);
}

int command_report(int argc, char **argv)
{
    struct report_options o = { .style = { .top = 20, .width = command_width() } };
    struct command_input in;
    struct error e;
    int code = read_options(&o, argc, argv);
    if (code == EXIT_FINE)
        code = command_open(&in, o.session, o.rules);
    if (code != EXIT_FINE)
        return code;
    struct heap **heap = replay(&in.session, &o, &e);
    code = heap ? show(&in, heap, &o) : command_fail(&e);
    if (heap)
        heap_free_all(heap, in.session.count);
    command_close(&in);
    return code;
}
