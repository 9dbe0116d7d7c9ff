/* session.c: see session.h. */
#include "session.h"

#include "sys.h"

#include <errno.h>
#include <fcntl.h>
#include <time.h>

#define DEFAULT_OUTPUT "memtap-%n-%p.mtap"

static const char *base_name(const char *path)
{
    const char *base = path;
    for (; *path; path++)
        if (*path == '/' && path[1])
            base = path + 1;
    return base;
}

/* --- the parent's session ---------------------------------------------------------------------------------------- */

/* Whether `file` is the trace of process `pid`: its name begins with the pid and ends in ".mtap". */
static bool is_trace_of(const char *file, int pid)
{
    const char *end, *base = base_name(file);
    size_t length = sys_strlen(base);
    return sys_parse_number(base, &end, 10) == (uint64_t)pid && (*end == '.' || *end == '-') && length > 5 &&
           sys_equal(base + length - 5, ".mtap");
}

/*
 * A tapped process holds its trace open at one of the first descriptors that sys_raise_fd gives, so the parent's
 * session is found without a word in the environment, which Go programs would not pass on anyway.
 */
static bool find_parents(char *path, size_t size)
{
    static const uint16_t places[] = { 1000, 1001, 1002, 1003, 100, 101, 102, 103 };
    int parent = sys_ppid();
    for (unsigned i = 0; i < sizeof places / sizeof *places; i++) {
        char link[64];
        struct text t = TEXT_ON(link);
        text_add(&t, "/proc/");
        text_add_number(&t, (uint64_t)parent);
        text_add(&t, "/fd/");
        text_add_number(&t, places[i]);
        long length = sys_read_link(link, path, size);
        if (length > 0 && (size_t)length < size - 1 && is_trace_of(path, parent)) {
            path[base_name(path) - path - 1] = '\0';
            return true;
        }
    }
    return false;
}

/* --- a session of our own ---------------------------------------------------------------------------------------- */

/* Replaces %p, %n, %t, %h, %%; true if there was any but %%. */
static bool expand(struct text *t, const char *pattern, const char *program)
{
    bool any = false;
    char host[65];
    for (; *pattern; pattern++) {
        if (*pattern != '%' || !pattern[1]) {
            text_add_bytes(t, pattern, 1);
            continue;
        }
        any |= *++pattern != '%';
        if (*pattern == 'p') {
            text_add_number(t, (uint64_t)sys_pid());
        } else if (*pattern == 't') {
            text_add_number(t, sys_clock_ns(CLOCK_REALTIME) / 1000000000u);
        } else if (*pattern == 'n') {
            text_add(t, base_name(program));
        } else if (*pattern == 'h') {
            sys_host_name(host, sizeof host);
            text_add(t, host);
        } else {
            text_add_bytes(t, pattern, 1);
        }
    }
    return any;
}

static void add_working_directory(struct text *t)
{
    char directory[4096];
    if (sys_read_link("/proc/self/cwd", directory, sizeof directory) > 0) {
        text_add(t, directory);
        text_add(t, "/");
    }
}

static bool make_directory(const char *path)
{
    int made = sys_make_dir(path, 0700);
    return made == 0 || made == -EEXIST;
}

bool session_choose(const struct config *config, const char *program, bool fallback, char *path, size_t size)
{
    struct text t = { path, size, 0, false };
    const char *pattern = config->output ? config->output : DEFAULT_OUTPUT;
    bool has_parent = find_parents(path, size);
    if (has_parent && !config->follow)
        return false;
    if (fallback) {
        text_add(&t, config->temporary);
        text_add(&t, "/");
        pattern = base_name(pattern);
    } else if (*pattern != '/') {
        add_working_directory(&t);
    }
    bool own = expand(&t, pattern, program);
    if (own && !fallback && has_parent)
        return find_parents(path, size);
    return !t.full && make_directory(path);
}
