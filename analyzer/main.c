/* main.c: the table of verbs. Nothing that a verb needs lives here. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "commands/commands.h"

static const struct verb {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *usage, *help;
} verbs[] = {
    { "run", command_run, "run [-o SESSION] [-f] [--allocator NAME] [--limit SIZE] [--sample SIZE] -- CMD",
      "run a program under the tap" },
    { "report", command_report, "report SESSION [--at MARK|peak|end] [--by component|site|module|thread] [--json]",
      "where the memory is" },
    { "leaks", command_leaks, "leaks SESSION [--json]", "what grows, and how fast" },
    { "model", command_model,
      "model FILE... [--mmproj FILE] [--ctx N] [--parallel N] [--kv-type TYPE] [--batch N] [--json]",
      "what a model file will need, and why" },
    { "ls", command_ls, "ls SESSION", "what is in a session" },
    { "dump", command_dump, "dump [--live|--pages] TRACE|SESSION",
      "every event as text, or the blocks that live at the end" },
    { "mark", command_mark, "mark SESSION|PID NAME [VALUE]", "name this instant in a live recording" },
    { "pause", command_pause, "pause SESSION|PID", "stop recording for a while" },
    { "resume", command_resume, "resume SESSION|PID", "go on recording" },
    { "pack", command_pack, "pack SESSION [-o FILE]", "one compressed, self-contained file" },
    { "rules", command_rules, "rules check FILE... | rules list", "check your own rules, list all of them" },
    { "doctor", command_doctor, "doctor [CMD|PID]", "will the tap see this program" },
};

static int help(const char *verb)
{
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (verb && strcmp(verbs[i].name, verb) == 0) {
            printf("usage: memtap %s\n\n%s; the manual page memtap-%s(1) has the details\n", verbs[i].usage,
                   verbs[i].help, verb);
            return EXIT_FINE;
        }
    if (verb) {
        fprintf(stderr, "memtap: there is no verb %s; memtap help lists them\n", verb);
        return EXIT_TROUBLE;
    }
    puts("usage: memtap VERB ...\n\n"
         "memtap shows which part of a model server holds the memory, whether it grows, and whether that is a leak.\n");
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        printf("  %-8s %s\n", verbs[i].name, verbs[i].help);
    puts("\nmemtap help VERB says more. Exit codes: 0 fine, 1 something was found, 2 usage or I/O, 3 damaged input.");
    return EXIT_FINE;
}

static void out_of_memory(size_t wanted)
{
    fprintf(stderr, "memtap: out of memory: %zu bytes more were needed\n", wanted);
    exit(EXIT_TROUBLE);
}

int main(int argc, char **argv)
{
    memory_on_failure(out_of_memory);
    if (argc < 2) {
        help(NULL);
        return EXIT_TROUBLE;
    }
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "version") == 0)
        return printf("memtap %s\n", MEMTAP_VERSION) < 0 ? EXIT_TROUBLE : EXIT_FINE;
    if (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
        return help(argc > 2 ? argv[2] : NULL);
    if (argc == 3 && (strcmp(argv[2], "--help") == 0 || strcmp(argv[2], "-h") == 0))
        return help(argv[1]);
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (strcmp(verbs[i].name, argv[1]) == 0)
            return verbs[i].run(argc - 1, argv + 1);
    return help(argv[1]);
}
