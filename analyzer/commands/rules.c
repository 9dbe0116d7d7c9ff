/* rules.c: memtap rules, the rules by which stacks become components. */
#include <stdio.h>
#include <string.h>

#include "commands/command.h"
#include "commands/commands.h"

/* Every file is read, so that one call shows what is wrong with each. */
static int check(char **file, int count)
{
    int code = EXIT_FINE;
    for (int i = 0; i < count; i++) {
        struct error e;
        if (!rules_check(file[i], &e))
            code = command_fail(&e);
    }
    return code;
}

/* In the order in which they are asked; the output is itself a rule file. */
static int list(void)
{
    struct error e;
    struct command_rules files = command_rules_find(NULL);
    struct rules *r = rules_new((const char *const *)files.file, files.count, &e);
    command_rules_free(&files);
    if (!r)
        return command_fail(&e);
    const char *source = "";
    for (uint32_t i = 0; i < rules_count(r); i++) {
        struct rules_line l = rules_line(r, i);
        if (strcmp(l.source, source) != 0)
            printf("%s# %s\n", *source ? "\n" : "", l.source);
        puts(l.text);
        source = l.source;
    }
    rules_free(r);
    return command_finish(EXIT_FINE);
}

int command_rules(int argc, char **argv)
{
    if (argc > 2 && strcmp(argv[1], "check") == 0)
        return check(argv + 2, argc - 2);
    if (argc == 2 && strcmp(argv[1], "list") == 0)
        return list();
    if (argc > 1 && strcmp(argv[1], "check") == 0)
        return command_misused("rules", "rules check wants a file");
    return command_misused("rules", "rules wants check and files, or list");
}
