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
#include "process/launch.h"
#include "trace/trace.h"

struct run_options {
    struct launch launch;
    const char *output, *allocator;
    char session[PATH_MAX];
    bool force, quiet;
};

static int read_options(struct run_options *o, int argc, char **argv)
{
    static const struct option options[] = {
        { "output", required_argument, NULL, 'o' },
        { "force", no_argument, NULL, 'f' },
        { "allocator", required_argument, NULL, 'a' },
        { "limit", required_argument, NULL, 'l' },
        { "no-follow", no_argument, NULL, 'n' },
        { "quiet", no_argument, NULL, 'q' },
        { NULL, 0, NULL, 0 },
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

static void remove_traces(const char *directory)
{
    struct session s;
    struct error e;
    if (session_open(directory, &s, &e)) {
        for (uint32_t i = 0; i < s.count; i++)
            unlink(trace_path(s.trace[i]));
        session_close(&s);
    }
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
        remove_traces(name);
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

/* The kernel told us how the program ended; its tap may not have been able to say so. */
static void note_end(const struct session *s, pid_t pid, int status)
{
    struct error e;
    enum trace_end kind = WIFSIGNALED(status) ? TRACE_END_SIGNAL : TRACE_END_EXIT;
    for (uint32_t i = s->count; i-- > 0;)
        if (trace_info(s->trace[i])->pid == (uint32_t)pid) {
            if (trace_info(s->trace[i])->end == TRACE_END_OPEN)
                trace_set_end(trace_path(s->trace[i]), kind,
                              WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), &e);
            return;
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

static void finish(const struct run_options *o, pid_t pid, int status)
{
    struct session s;
    struct error e;
    if (!session_open(o->session, &s, &e)) {
        if (!o->quiet)
            fprintf(stderr, "memtap: nothing was recorded (memtap doctor %s tells why)\n", o->launch.argv[0]);
        return;
    }
    note_end(&s, pid, status);
    if (!o->quiet)
        print_end(o, &s);
    session_close(&s);
}

int command_run(int argc, char **argv)
{
    struct run_options o = { .output = NULL };
    struct error e;
    int code = read_options(&o, argc, argv);
    if (code != EXIT_FINE)
        return code;
    if (!make_session(&o, &e))
        return command_fail(&e);
    pid_t pid = launch_start(&o.launch, &e);
    if (pid < 0) {
        rmdir(o.session);
        return command_fail(&e);
    }
    int status = launch_wait(pid, 0, NULL, NULL);
    finish(&o, pid, status);
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
