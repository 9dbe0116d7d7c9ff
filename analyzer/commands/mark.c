/* mark.c: memtap mark, a name for this instant in a live recording. */
#include <ctype.h>
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands/command.h"
#include "commands/commands.h"
#include "trace/control.h"
#include "trace/trace.h"

/* The trace that a process has open: the descriptor whose file is called PID.mtap or PID-N.mtap. */
static bool find_trace(const char *pid, char *path, size_t size, struct error *e)
{
    char directory[300];
    snprintf(directory, sizeof directory, "/proc/%.200s/fd", pid);
    DIR *d = opendir(directory);
    bool found = false;
    if (!d)
        return error_set(e, EXIT_TROUBLE, "there is no process %s that this user may look into", pid);
    for (struct dirent *entry; !found && (entry = readdir(d));) {
        char link[600];
        snprintf(link, sizeof link, "%s/%s", directory, entry->d_name);
        ssize_t length = readlink(link, path, size - 1);
        path[length > 0 ? length : 0] = '\0';
        const char *base = strrchr(path, '/');
        size_t digits = strlen(pid);
        found = base && strncmp(base + 1, pid, digits) == 0 && (base[1 + digits] == '.' || base[1 + digits] == '-') &&
                length > 5 && strcmp(path + length - 5, ".mtap") == 0;
    }
    closedir(d);
    return found || error_set(e, EXIT_TROUBLE, "the process %s does not run under the tap", pid);
}

static bool mark_session(const char *session, const char *name, double value, struct error *e)
{
    struct session s;
    bool any = false;
    if (!session_open(session, &s, e))
        return false;
    for (uint32_t i = 0; i < s.count; i++)
        if (trace_info(s.trace[i])->running) {
            any = true;
            if (!trace_mark(trace_path(s.trace[i]), name, value, e)) {
                session_close(&s);
                return false;
            }
        }
    session_close(&s);
    return any || error_set(e, EXIT_TROUBLE, "no process of the session %s is running any more", session);
}

static bool all_digits(const char *text)
{
    for (const char *p = text; *p; p++)
        if (!isdigit((unsigned char)*p))
            return false;
    return *text != '\0';
}

int command_mark(int argc, char **argv)
{
    static const struct option options[] = { { NULL, 0, NULL, 0 } };
    char path[PATH_MAX], *end;
    struct error e;
    int answer;
    while ((answer = getopt_long(argc, argv, "+:", options, NULL)) != -1)
        return command_bad_option("mark", answer, argv);
    if (argc - optind != 2 && argc - optind != 3)
        return command_misused("mark", "mark wants a session or process, a name, and perhaps a value");
    const char *target = argv[optind], *name = argv[optind + 1], *number = argc - optind == 3 ? argv[optind + 2] : "0";
    double value = strtod(number, &end);
    if (!*number || *end)
        return command_misused("mark", "the value of a mark is a number, not %s", number);
    bool fine = all_digits(target) && access(target, F_OK) != 0
                    ? find_trace(target, path, sizeof path, &e) && trace_mark(path, name, value, &e)
                    : mark_session(target, name, value, &e);
    return fine ? EXIT_FINE : command_fail(&e);
}
