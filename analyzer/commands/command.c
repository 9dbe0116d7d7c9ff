/* command.c: see command.h. */
#include "commands/command.h"

#include <errno.h>
#include <glob.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/memory.h"

int command_fail(const struct error *e)
{
    fprintf(stderr, "memtap: %s\n", e->text);
    return e->code;
}

int command_misused(const char *verb, const char *format, ...)
{
    va_list values;
    fputs("memtap: ", stderr);
    va_start(values, format);
    vfprintf(stderr, format, values);
    va_end(values);
    fprintf(stderr, "; see: memtap help %s\n", verb);
    return EXIT_TROUBLE;
}

int command_bad_option(const char *verb, int answer, char **argv)
{
    const char *word = argv[optind > 1 ? optind - 1 : 1];
    if (answer == ':')
        return command_misused(verb, "%s needs a value", word);
    return command_misused(verb, "%s has no option %s", verb, word);
}

bool command_number(const char *text, uint32_t *number)
{
    char *end;
    unsigned long long n = strtoull(text, &end, 10);
    *number = n > UINT32_MAX ? UINT32_MAX : (uint32_t)n;
    return *text >= '0' && *text <= '9' && !*end;
}

bool command_session(const char *path, struct session *s, struct error *e)
{
    bool open = session_open(path, s, e);
    if (open && s->left_out)
        fprintf(stderr, "memtap: %u trace%s of this session left out: %s\n", s->left_out,
                s->left_out == 1 ? " is" : "s are", s->why_left_out.text);
    return open;
}

struct residency *command_residency(const struct trace *t)
{
    char path[4400];
    struct error e;
    int fd = trace_pages(t);
    if (fd < 0)
        return NULL;
    residency_path(trace_path(t), path, sizeof path);
    struct residency *r = residency_open_fd(fd, path, &e);
    if (!r || !residency_whole(r, &e))
        fprintf(stderr, "memtap: %s\n", e.text);
    return r;
}

static void add_file(struct command_rules *files, const char *path)
{
    array_room(files->file, files->count, files->room);
    files->file[files->count++] = memory_copy(path, strlen(path));
}

/* A folder of that name may hold characters that glob would take for its own. */
static char *quote_for_glob(const char *path)
{
    char *out = memory_take(2 * strlen(path) + 1), *p = out;
    for (; *path; *p++ = *path++)
        if (strchr("\\*?[", *path))
            *p++ = '\\';
    *p = '\0';
    return out;
}

struct command_rules command_rules_find(const char *first)
{
    struct command_rules files = { .count = 0 };
    const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    char pattern[8300];
    glob_t found;
    if (first)
        add_file(&files, first);
    bool own = config && *config == '/'; /* the specification: a relative path is to be ignored */
    char *folder = quote_for_glob(own ? config : home ? home : "");
    bool fits =
        snprintf(pattern, sizeof pattern, "%s%s/memtap/*.rules", folder, own ? "" : "/.config") < (int)sizeof pattern;
    free(folder);
    if (!fits || (!own && !home) || glob(pattern, 0, NULL, &found) != 0)
        return files;
    for (size_t i = 0; i < found.gl_pathc; i++)
        add_file(&files, found.gl_pathv[i]);
    globfree(&found);
    return files;
}

void command_rules_free(struct command_rules *files)
{
    for (uint32_t i = 0; i < files->count; i++)
        free(files->file[i]);
    free(files->file);
}

int command_open(struct command_input *in, const char *session, const char *rules)
{
    struct error e;
    if (!command_session(session, &in->session, &e))
        return command_fail(&e);
    struct command_rules files = command_rules_find(rules);
    in->rules = rules_new((const char *const *)files.file, files.count, &e);
    command_rules_free(&files);
    if (!in->rules) {
        session_close(&in->session);
        return command_fail(&e);
    }
    in->symbols = symbols_new();
    symbols_import(in->symbols, in->session.symbols);
    return EXIT_FINE;
}

void command_close(struct command_input *in)
{
    rules_free(in->rules); /* before the names, which its table refers to */
    symbols_free(in->symbols);
    session_close(&in->session);
}

uint32_t command_width(void)
{
    struct winsize size;
    const char *columns = getenv("COLUMNS");
    long width = columns ? strtol(columns, NULL, 10) : 0;
    if (width <= 0 && isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0)
        width = size.ws_col;
    if (width <= 0)
        width = 100;
    return width < 60 ? 60 : width > 1000 ? 1000 : (uint32_t)width;
}

int command_finish(int code)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return code;
    fprintf(stderr, "memtap: cannot write to the standard output: %s\n", strerror(errno));
    return EXIT_TROUBLE;
}
