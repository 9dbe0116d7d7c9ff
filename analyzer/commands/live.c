/* live.c: memtap mark, pause and resume, orders to a live recording. */
#include <ctype.h>
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands/command.h"
#include "commands/commands.h"
#include "residency/residency.h"
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

/* What is to be done to one trace. */
struct order {
    enum { ORDER_MARK, ORDER_PAUSE, ORDER_RESUME } what;
    const char *name;
    double value;
};

/* A mark comes with a snapshot of where the pages are. That there is none does not make the mark worse. */
static bool mark(pid_t pid, const char *path, const struct order *o, struct error *e)
{
    struct error lesser;
    if (!trace_mark(path, o->name, o->value, e))
        return false;
    struct residency_snapshot *s = residency_take(pid, &lesser);
    if (!s || !residency_keep(path, s, &lesser))
        fprintf(stderr, "memtap: no snapshot of the resident pages at this mark: %s\n", lesser.text);
    residency_free(s);
    return true;
}

static bool carry_out(pid_t pid, const char *path, const struct order *o, struct error *e)
{
    return o->what == ORDER_MARK ? mark(pid, path, o, e) : trace_pause(path, o->what == ORDER_PAUSE, e);
}

static bool order_session(const char *session, const struct order *o, struct error *e)
{
    struct session s;
    bool any = false, fine = true;
    if (!command_session(session, &s, e))
        return false;
    for (uint32_t i = 0; i < s.count && fine; i++)
        if (trace_info(s.trace[i])->running) {
            any = true;
            fine = carry_out((pid_t)trace_info(s.trace[i])->pid, trace_path(s.trace[i]), o, e);
        }
    session_close(&s);
    return fine && (any || error_set(e, EXIT_TROUBLE, "no process of the session %s is running any more", session));
}

static bool all_digits(const char *text)
{
    for (const char *p = text; *p; p++)
        if (!isdigit((unsigned char)*p))
            return false;
    return *text != '\0';
}

static int give_order(const char *target, const struct order *o)
{
    char path[PATH_MAX];
    struct error e;
    bool is_pid = all_digits(target) && access(target, F_OK) != 0;
    bool fine = is_pid ? find_trace(target, path, sizeof path, &e) && carry_out(atoi(target), path, o, &e)
                       : order_session(target, o, &e);
    return fine ? EXIT_FINE : command_fail(&e);
}

static bool no_options(int argc, char **argv, int *code)
{
    static const struct option options[] = { { NULL, 0, NULL, 0 } };
    int answer = getopt_long(argc, argv, "+:", options, NULL);
    if (answer != -1)
        *code = command_bad_option(argv[0], answer, argv);
    return answer == -1;
}

int command_mark(int argc, char **argv)
{
    char *end;
    int code;
    if (!no_options(argc, argv, &code))
        return code;
    if (argc - optind != 2 && argc - optind != 3)
        return command_misused("mark", "mark wants a session or process, a name, and perhaps a value");
    const char *number = argc - optind == 3 ? argv[optind + 2] : "0";
    struct order o = { .what = ORDER_MARK, .name = argv[optind + 1], .value = strtod(number, &end) };
    if (!*number || *end)
        return command_misused("mark", "the value of a mark is a number, not %s", number);
    return give_order(argv[optind], &o);
}

static int switch_recording(int argc, char **argv, int what)
{
    struct order o = { .what = what };
    int code;
    if (!no_options(argc, argv, &code))
        return code;
    if (argc - optind != 1)
        return command_misused(argv[0], "%s wants one session or process", argv[0]);
    return give_order(argv[optind], &o);
}

int command_pause(int argc, char **argv)
{
    return switch_recording(argc, argv, ORDER_PAUSE);
}

int command_resume(int argc, char **argv)
{
    return switch_recording(argc, argv, ORDER_RESUME);
}
