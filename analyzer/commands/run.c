/* run.c: memtap run, a program under the tap. */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/units.h"
#include "commands/command.h"
#include "commands/commands.h"
#include "process/endings.h"
#include "process/inspect.h"
#include "process/launch.h"
#include "residency/residency.h"
#include "trace/trace.h"

struct run_options {
    struct launch launch;
    const char *output, *allocator;
    char session[PATH_MAX];
    bool force, quiet;
};

/* What is done while the program runs. */
struct watch {
    pid_t pid;
    int status;
    struct trace_drain *drain;
    struct endings *endings;
    uint32_t held; /* processes that endings has been told of */
    struct residency_watch *residency;
    uint64_t oom_kills; /* of our control group, before; the program may leave it only of its own will */
};

static int read_options(struct run_options *o, int argc, char **argv)
{
    static const struct option options[] = {
        { "output", required_argument, NULL, 'o' },    { "force", no_argument, NULL, 'f' },
        { "allocator", required_argument, NULL, 'a' }, { "limit", required_argument, NULL, 'l' },
        { "sample", required_argument, NULL, 's' },    { "no-follow", no_argument, NULL, 'n' },
        { "quiet", no_argument, NULL, 'q' },           { NULL, 0, NULL, 0 },
    };
    int answer;
    while ((answer = getopt_long(argc, argv, "+:o:fq", options, NULL)) != -1) {
        switch (answer) {
        case 'o':
            o->output = optarg;
            break;
        case 'f':
            o->force = true;
            break;
        case 'a':
            o->allocator = optarg;
            break;
        case 'l':
            if (!units_parse_size(optarg, &o->launch.limit))
                return command_misused("run", "--limit wants a size such as 512M, not %s", optarg);
            break;
        case 's':
            if (!units_parse_size(optarg, &o->launch.sample) || !o->launch.sample ||
                o->launch.sample > TRACE_SAMPLE_MOST)
                return command_misused("run", "--sample wants a size such as 512K, up to 4G, not %s", optarg);
            break;
        case 'n':
            o->launch.only_first = true;
            break;
        case 'q':
            o->quiet = true;
            break;
        default:
            command_bad_option("run", answer, argv);
            return EXIT_RUN_FAILED;
        }
    }
    if (optind == argc) {
        command_misused("run", "run wants a program to run");
        return EXIT_RUN_FAILED;
    }
    o->launch.argv = argv + optind;
    return EXIT_FINE;
}

/* --- the session's directory ------------------------------------------------------------------------------------- */

/* The allocator that is to serve the target, and whether jemalloc's own API is recorded as well. */
static bool choose_allocator(struct run_options *o, struct error *e)
{
    struct inspection program;
    if (o->allocator && strcmp(o->allocator, "jemalloc") == 0)
        o->launch.allocator = "libjemalloc.so.2";
    else if (o->allocator && strchr(o->allocator, '/'))
        o->launch.allocator = o->allocator;
    else if (o->allocator && strcmp(o->allocator, "glibc") != 0)
        return error_set(e, EXIT_RUN_FAILED, "--allocator wants glibc, jemalloc or the path of a library, not %s",
                         o->allocator);
    bool known = inspect_program(o->launch.argv[0], 0, &program, e);
    o->launch.with_jemalloc_api =
        (known && program.needs_jemalloc) || (o->launch.allocator && strstr(o->launch.allocator, "jemalloc"));
    return true;
}

static bool make_session(struct run_options *o, struct error *e)
{
    char name[PATH_MAX], directory[PATH_MAX];
    const char *program = strrchr(o->launch.argv[0], '/');
    if (o->output)
        snprintf(name, sizeof name, "%s", o->output);
    else
        snprintf(name, sizeof name, "memtap-%.200s-%d.mtap", program ? program + 1 : o->launch.argv[0], getpid());
    if (mkdir(name, 0700) < 0) {
        if (errno != EEXIST)
            return error_set(e, EXIT_RUN_FAILED, "cannot make the session %s: %s", name, strerror(errno));
        if (!o->force && rmdir(name) < 0)
            return error_set(e, EXIT_RUN_FAILED, "the session %s is there already; -f records over it", name);
        session_remove(name);
        if (mkdir(name, 0700) < 0 && errno != EEXIST)
            return error_set(e, EXIT_RUN_FAILED, "cannot make the session %s: %s", name, strerror(errno));
    }
    if (!realpath(name, directory))
        return error_set(e, EXIT_RUN_FAILED, "cannot find the session %s: %s", name, strerror(errno));
    snprintf(o->session, sizeof o->session, "%s", directory);
    o->launch.session = o->session;
    return true;
}

/* --- afterwards -------------------------------------------------------------------------------------------------- */

/* The kernel kills for want of memory without a word to the process: the count of its control group says it. */
static bool was_killed_for_memory(const struct watch *w, int status)
{
    uint64_t kills;
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL && residency_oom_kills(getpid(), &kills) &&
           kills > w->oom_kills;
}

/* How a process ended, as far as its own tap could not say. */
static void note_end(const struct watch *w, const struct trace *t, int status)
{
    struct error e;
    if (trace_info(t)->end == TRACE_END_OPEN && was_killed_for_memory(w, status))
        trace_mark(trace_path(t), "oom", 0, &e);
    if (trace_info(t)->end == TRACE_END_OPEN && !trace_info(t)->replaced)
        trace_set_end(trace_path(t), WIFSIGNALED(status) ? TRACE_END_SIGNAL : TRACE_END_EXIT,
                      WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), &e);
}

static void note_ends(const struct session *s, const struct watch *w)
{
    for (uint32_t i = 0; i < s->count; i++) {
        pid_t pid = (pid_t)trace_info(s->trace[i])->pid;
        int status = w->status;
        if (pid == w->pid || endings_status(w->endings, pid, &status))
            note_end(w, s->trace[i], status);
    }
}

static void print_end(const struct run_options *o, const struct session *s)
{
    char size[UNITS_TEXT];
    uint64_t bytes = 0, lost = 0;
    for (uint32_t i = 0; i < s->count; i++) {
        bytes += trace_health(s->trace[i])->bytes;
        lost += trace_has_lost(s->trace[i]);
    }
    fprintf(stderr, "memtap: %u process%s recorded, %s of trace%s; memtap report %s\n", s->count,
            s->count == 1 ? "" : "es", units_bytes(size, bytes), lost ? ", with losses (the report says why)" : "",
            o->output ? o->output : o->session);
}

static void finish(const struct run_options *o, const struct watch *w)
{
    struct session s;
    struct error e;
    if (!session_open(o->session, &s, &e)) {
        if (!o->quiet)
            fprintf(stderr, "memtap: nothing was recorded (memtap doctor %s tells why)\n", o->launch.argv[0]);
        return;
    }
    note_ends(&s, w);
    if (!o->quiet)
        print_end(o, &s);
    session_close(&s);
}

/* Empties the rings, often while there is something in them, seldom else; takes hold of new processes, and looks at where
 * their pages are from time to time. */
static unsigned watch(void *context)
{
    struct watch *w = context;
    struct trace_drained t;
    char path[PATH_MAX];
    bool any = trace_drain_step(w->drain);
    for (; trace_drain_at(w->drain, w->held, &t); w->held++)
        endings_watch(w->endings, (pid_t)t.pid);
    for (uint32_t i = 0; trace_drain_at(w->drain, i, &t); i++) {
        if (!t.running)
            continue;
        trace_drain_path(w->drain, i, path, sizeof path);
        residency_watch_step(w->residency, i, (pid_t)t.pid, path, t.marks);
    }
    return any ? 2 : 10;
}

int command_run(int argc, char **argv)
{
    struct run_options o = { .output = NULL };
    struct error e;
    int code = read_options(&o, argc, argv);
    if (code != EXIT_FINE)
        return code;
    if (!choose_allocator(&o, &e) || !make_session(&o, &e))
        return command_fail(&e);
    pid_t pid = launch_start(&o.launch, &e);
    if (pid < 0) {
        rmdir(o.session);
        return command_fail(&e);
    }
    struct watch w = {
        .pid = pid, .drain = trace_drain_new(o.session), .endings = endings_new(), .residency = residency_watch_new()
    };
    residency_oom_kills(getpid(), &w.oom_kills);
    w.status = launch_wait(pid, watch, &w);
    trace_drain_free(w.drain);
    residency_watch_free(w.residency);
    finish(&o, &w);
    endings_free(w.endings);
    return WIFSIGNALED(w.status) ? 128 + WTERMSIG(w.status) : WEXITSTATUS(w.status);
}
