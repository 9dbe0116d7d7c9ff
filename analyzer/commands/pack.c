/* pack.c: memtap pack, a session in one compressed file that opens anywhere. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/units.h"
#include "commands/command.h"
#include "commands/commands.h"
#include "symbols/symbols.h"
#include "trace/trace.h"

/* Reads all events, so that every stack is known, and finds the names of all of them. */
static char *find_names(const struct session *s)
{
    struct symbols *symbols = symbols_new();
    struct symbol_stack stack = { .frame = NULL };
    symbols_import(symbols, s->symbols);
    for (uint32_t i = 0; i < s->count; i++) {
        struct trace_reader *r = trace_reader_new(s->trace[i]);
        while (trace_reader_next(r))
            ;
        trace_reader_free(r);
        for (uint32_t node = 0; node < trace_node_count(s->trace[i]); node++)
            symbols_stack(symbols, s->trace[i], node, &stack);
    }
    char *text = symbols_export(symbols);
    symbols_stack_free(&stack);
    symbols_free(symbols);
    return text;
}

static void default_name(const char *session, char *name, size_t size)
{
    size_t length = strlen(session);
    while (length > 1 && session[length - 1] == '/')
        length--;
    snprintf(name, size, "%.*s.pack", (int)length, session);
}

int command_pack(int argc, char **argv)
{
    static const struct option options[] = { { "output", required_argument, NULL, 'o' }, { NULL, 0, NULL, 0 } };
    char name[4200] = "", size[UNITS_TEXT];
    struct session s;
    struct error e;
    struct stat st;
    int answer;
    while ((answer = getopt_long(argc, argv, ":o:", options, NULL)) != -1) {
        if (answer != 'o')
            return command_bad_option("pack", answer, argv);
        snprintf(name, sizeof name, "%s", optarg);
    }
    if (optind + 1 != argc)
        return command_misused("pack", "pack wants one session");
    if (!*name)
        default_name(argv[optind], name, sizeof name);
    if (!command_session(argv[optind], &s, &e))
        return command_fail(&e);
    char *names = find_names(&s);
    bool fine = session_pack(&s, names, name, &e);
    free(names);
    session_close(&s);
    if (!fine)
        return command_fail(&e);
    printf("%s, %s\n", name, units_bytes(size, stat(name, &st) == 0 ? (uint64_t)st.st_size : 0));
    return command_finish(EXIT_FINE);
}
