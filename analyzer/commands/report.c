/* report.c: memtap report, where the memory is. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands/command.h"
#include "commands/commands.h"
#include "commands/moment.h"
#include "report/report.h"

struct report_options {
    const char *session, *rules, *why;
    struct command_moment at;
    bool json, quiet;
    uint32_t pid;
    struct report_style style;
};

static bool read_by(struct report_options *o, const char *by)
{
    static const char *const names[] = { "component", "site", "module", "thread", "time" };
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
            moment_read(&o->at, optarg);
            o->style.failure = o->at.oom;
            break;
        case 'b':
            if (!read_by(o, optarg))
                return command_misused("report", "--by wants component, site, module, thread or time, not %s", optarg);
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

static int print(const struct summary *s, const struct command_input *in, const struct report_options *o)
{
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

int command_report(int argc, char **argv)
{
    struct report_options o = { .style = { .top = 20, .width = command_width() } };
    struct command_input in;
    struct command_answer answer;
    struct error e;
    int code = read_options(&o, argc, argv);
    if (code == EXIT_FINE)
        code = command_open(&in, o.session, o.rules);
    if (code != EXIT_FINE)
        return code;
    if (moment_answer(&in, &o.at, o.pid, o.quiet, &answer, &e)) {
        code = print(&answer.summary, &in, &o);
        moment_free(&answer);
    } else {
        code = command_fail(&e);
    }
    command_close(&in);
    return code;
}
