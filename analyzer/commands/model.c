/* model.c: memtap model, what a model file will need, and why. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "commands/command.h"
#include "commands/commands.h"
#include "commands/moment.h"
#include "model/model.h"
#include "model/need.h"
#include "report/actual.h"
#include "report/need.h"

#define BATCH_DEFAULT 512u /* llama.cpp's --ubatch-size */

/* Every file and projector that was named; the n-th projector goes with the n-th file. */
struct inputs {
    struct model *model, *mmproj;
    bool json;
    uint32_t models, mmprojs;
    const char **mmproj_path;
    const char *session; /* to be compared with; NULL: none */
    struct command_moment at;
    struct need_options need;
};

/* "q8_0", or "q8_0,f16" for keys and values apart */
static bool parse_types(const char *text, struct need_options *o)
{
    char keys[32];
    const char *comma = strchr(text, ',');
    snprintf(keys, sizeof keys, "%.*s", comma ? (int)(comma - text) : 31, text);
    o->keys = model_type_named(keys);
    o->values = comma ? model_type_named(comma + 1) : o->keys;
    return o->keys && o->values;
}

static bool parse_count(const char *text, uint64_t least, uint64_t *n)
{
    uint32_t number;
    bool fine = command_number(text, &number) && number >= least;
    *n = number;
    return fine;
}

static int parse_option(int answer, char **argv, struct inputs *in)
{
    uint64_t n = 0;
    switch (answer) {
    case 'm':
        in->mmproj_path[in->mmprojs++] = optarg;
        return EXIT_FINE;
    case 'j':
        in->json = true;
        return EXIT_FINE;
    case 's':
        in->session = optarg;
        return EXIT_FINE;
    case 'a':
        moment_read(&in->at, optarg);
        return EXIT_FINE;
    case 'c':
        if (parse_count(optarg, 1, &in->need.ctx))
            return EXIT_FINE;
        return command_misused("model", "--ctx wants a number of tokens, not %s", optarg);
    case 'p':
        if (parse_count(optarg, 1, &n) && n <= 1024) {
            in->need.parallel = (uint32_t)n;
            return EXIT_FINE;
        }
        return command_misused("model", "--parallel wants a number of sequences from 1 to 1024, not %s", optarg);
    case 'b':
        if (parse_count(optarg, 1, &in->need.batch))
            return EXIT_FINE;
        return command_misused("model", "--batch wants a number of tokens, not %s", optarg);
    case 'k':
        if (parse_types(optarg, &in->need))
            return EXIT_FINE;
        return command_misused(
            "model", "--kv-type wants f16, q8_0, q4_0 or another type, or two as in q8_0,f16; not %s", optarg);
    default:
        return command_bad_option("model", answer, argv);
    }
}

static int parse_options(int argc, char **argv, struct inputs *in)
{
    static const struct option options[] = {
        { "mmproj", required_argument, NULL, 'm' },
        { "ctx", required_argument, NULL, 'c' },
        { "parallel", required_argument, NULL, 'p' },
        { "kv-type", required_argument, NULL, 'k' },
        { "batch", required_argument, NULL, 'b' },
        { "session", required_argument, NULL, 's' },
        { "at", required_argument, NULL, 'a' },
        { "json", no_argument, NULL, 'j' },
        { NULL, 0, NULL, 0 },
    };
    int answer;
    while ((answer = getopt_long(argc, argv, ":", options, NULL)) != -1) {
        int code = parse_option(answer, argv, in);
        if (code != EXIT_FINE)
            return code;
    }
    if (optind == argc)
        return command_misused("model", "model wants at least one model file");
    if (in->mmprojs > (uint32_t)(argc - optind))
        return command_misused("model", "there are more projectors than model files");
    if (in->session && optind + 1 != argc)
        return command_misused("model", "--session goes with one model file");
    return EXIT_FINE;
}

/* Opens all of them, or none. */
static bool open_all(char **paths, uint32_t count, struct inputs *in, struct error *e)
{
    bool fine = true;
    uint32_t projectors = in->mmprojs;
    in->mmprojs = 0;
    for (; fine && in->models < count; in->models += fine)
        fine = model_open(paths[in->models], &in->model[in->models], e);
    for (; fine && in->mmprojs < projectors; in->mmprojs += fine)
        fine = model_open(in->mmproj_path[in->mmprojs], &in->mmproj[in->mmprojs], e);
    return fine;
}

/* Beside what a recorded process holds. */
static int compare(const struct inputs *in, const struct need *n)
{
    struct command_input session;
    struct command_answer answer;
    struct error e;
    int code = command_open(&session, in->session, NULL);
    if (code != EXIT_FINE)
        return code;
    if (moment_answer(&session, &in->at, 0, true, &answer, &e)) {
        struct actual a = actual_compute(n, &answer.summary, answer.heap, answer.count);
        if (in->json)
            actual_json(&a, stdout); /* command_finish looks whether it arrived */
        else
            actual_text(&a, command_width(), stdout);
        moment_free(&answer);
    } else {
        code = command_fail(&e);
    }
    command_close(&session);
    return code;
}

static int show(struct inputs *in)
{
    int code = EXIT_FINE;
    struct need *need = memory_take(in->models * sizeof *need);
    for (uint32_t i = 0; i < in->models; i++)
        need_compute(&in->model[i], i < in->mmprojs ? &in->mmproj[i] : NULL, &in->need, &need[i]);
    if (in->json && !in->session)
        need_json(need, in->models, &in->need, stdout); /* command_finish looks whether it arrived */
    else if (in->models == 1 && !in->json)
        need_text(need, &in->need, command_width(), stdout);
    else if (!in->json)
        need_text_beside(need, in->models, &in->need, command_width(), stdout);
    if (in->session)
        code = compare(in, &need[0]);
    for (uint32_t i = 0; i < in->models; i++)
        need_free(&need[i]);
    free(need);
    return command_finish(code);
}

int command_model(int argc, char **argv)
{
    struct inputs in = { .need = { .parallel = 1, .batch = BATCH_DEFAULT } };
    struct error e;
    in.need.keys = in.need.values = model_type_named("F16");
    in.model = memory_take((size_t)argc * sizeof *in.model);
    in.mmproj = memory_take((size_t)argc * sizeof *in.mmproj);
    in.mmproj_path = memory_take((size_t)argc * sizeof *in.mmproj_path);
    int code = parse_options(argc, argv, &in);
    if (code == EXIT_FINE)
        code = open_all(argv + optind, (uint32_t)(argc - optind), &in, &e) ? show(&in) : command_fail(&e);
    else
        in.mmprojs = 0; /* named, but not opened */
    for (uint32_t i = 0; i < in.models; i++)
        model_close(&in.model[i]);
    for (uint32_t i = 0; i < in.mmprojs; i++)
        model_close(&in.mmproj[i]);
    free(in.model);
    free(in.mmproj);
    free(in.mmproj_path);
    return code;
}
