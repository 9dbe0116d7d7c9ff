/* report.c: memtap report, where the memory is. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "commands/command.h"
#include "commands/commands.h"
#include "report/report.h"
#include "residency/residency.h"

struct report_options {
    const char *session, *rules, *why;
    struct heap_until until;
    uint64_t moment_ns; /* CLOCK_MONOTONIC of a mark or request; 0: another moment for each process */
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
        { "at", required_argument, NULL, 'a' },  { "by", required_argument, NULL, 'b' },
        { "top", required_argument, NULL, 'n' }, { "pid", required_argument, NULL, 'p' },
        { "json", no_argument, NULL, 'j' },      { "rules", required_argument, NULL, 'r' },
        { "why", required_argument, NULL, 'w' }, { "quiet", no_argument, NULL, 'q' },
        { "verbose", no_argument, NULL, 'v' },   { NULL, 0, NULL, 0 },
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
        case 'w':
            o->why = optarg;
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
    o->moment_ns = found && !o->peak ? options.until.event : 0;
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

/* What was resident nearest to the moment of the heap: now, if it is the end of a process that still runs. */
static struct residency_snapshot *find_pages(const struct trace *t, const struct heap *h, bool at_end)
{
    struct error e;
    struct residency_snapshot *now =
        at_end && trace_info(t)->running ? residency_take((pid_t)trace_info(t)->pid, &e) : NULL;
    if (now)
        return now;
    int fd = trace_pages(t);
    struct residency *r = fd >= 0 ? residency_open_fd(fd, trace_path(t), &e) : NULL;
    if (!r)
        return NULL;
    uint32_t nearest = residency_nearest(r, trace_mono_ns(t, heap_time(h)));
    struct residency_snapshot *s = nearest < residency_count(r) ? residency_load(r, nearest) : NULL;
    residency_close(r);
    return s;
}

static int print(const struct summary *s, const struct command_input *in, const struct report_options *o)
{
    if (s->processes == 0) {
        struct error e;
        error_set(&e, EXIT_TROUBLE, "the session %s has no process %u", in->session.path, o->pid);
        return command_fail(&e);
    }
    bool fine = true;
    if (o->why && !report_why(s, o->why, &o->style, stdout)) {
        struct error e;
        error_set(&e, EXIT_TROUBLE, "nothing in %s is %s at that moment", in->session.path, o->why);
        return command_fail(&e);
    }
    if (o->why)
        return command_finish(EXIT_FINE);
    if (o->json)
        fine = report_json(s, &o->style, stdout);
    else
        report_text(s, &o->style, stdout);
    return command_finish(fine ? EXIT_FINE : EXIT_TROUBLE);
}

static int show(const struct command_input *in, struct heap **heap, const struct report_options *o)
{
    struct summary summary = { .session = NULL };
    bool at_end = !o->peak && o->until.what == HEAP_UNTIL_END;
    struct summary_input input = { .session = &in->session,
                                   .heap = heap,
                                   .pages = memory_take((in->session.count + 1) * sizeof *input.pages),
                                   .only_pid = o->pid,
                                   .moment_ns = o->moment_ns,
                                   .symbols = in->symbols,
                                   .rules = in->rules,
                                   .tensors = tensors_new() };
    for (uint32_t i = 0; i < in->session.count; i++)
        input.pages[i] = find_pages(in->session.trace[i], heap[i], at_end);
    describe_at(o, summary.at, sizeof summary.at);
    summary_build(&summary, &input);
    int code = print(&summary, in, o);
    summary_free(&summary);
    tensors_free(input.tensors);
    for (uint32_t i = 0; i < in->session.count; i++)
        residency_free(input.pages[i]);
    free(input.pages);
    return code;
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
