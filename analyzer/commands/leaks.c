/* leaks.c: memtap leaks, what grows and how fast. */
#include <stdio.h>
#include <stdlib.h>

#include "commands/command.h"
#include "commands/commands.h"
#include "report/growth.h"

struct leaks_options {
    const char *session, *rules;
    bool json, quiet;
    struct report_style style;
};

static int read_options(struct leaks_options *o, int argc, char **argv)
{
    static const struct option options[] = {
        { "json", no_argument, NULL, 'j' },
        { "top", required_argument, NULL, 'n' },
        { "rules", required_argument, NULL, 'r' },
        { "quiet", no_argument, NULL, 'q' },
        { NULL, 0, NULL, 0 },
    };
    int answer;
    while ((answer = getopt_long(argc, argv, ":n:q", options, NULL)) != -1) {
        switch (answer) {
        case 'j':
            o->json = true;
            break;
        case 'n':
            if (!command_number(optarg, &o->style.top))
                return command_misused("leaks", "--top wants a number, not %s", optarg);
            break;
        case 'r':
            o->rules = optarg;
            break;
        case 'q':
            o->quiet = true;
            break;
        default:
            return command_bad_option("leaks", answer, argv);
        }
    }
    if (optind + 1 != argc)
        return command_misused("leaks", "leaks wants one session");
    o->session = argv[optind];
    return EXIT_FINE;
}

static int judge(const struct command_input *in, const struct leaks_options *o)
{
    const struct session *s = &in->session;
    struct heap **heap;
    struct leaks *leaks = leaks_judge(s, &heap, in->symbols, in->rules, o->quiet);
    struct growth g = { .session = s, .leaks = leaks, .heap = heap, .symbols = in->symbols };
    bool fine = true;
    if (o->json)
        fine = growth_json(&g, &o->style, stdout);
    else
        growth_text(&g, &o->style, stdout);
    int code = growth_found(&g) ? EXIT_FINDING : growth_judged(&g) && !growth_doubted(&g) ? EXIT_FINE : EXIT_DAMAGED;
    leaks_free_all(leaks, s->count);
    heap_free_all(heap, s->count);
    return command_finish(fine ? code : EXIT_TROUBLE);
}

int command_leaks(int argc, char **argv)
{
    struct leaks_options o = { .style = { .top = 10, .width = command_width() } };
    struct command_input in;
    int code = read_options(&o, argc, argv);
    if (code == EXIT_FINE)
        code = command_open(&in, o.session, o.rules);
    if (code != EXIT_FINE)
        return code;
    code = judge(&in, &o);
    command_close(&in);
    return code;
}
