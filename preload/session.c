/* session.c: see session.h. */
#include "session.h"

#include "sys.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <time.h>

#include "lines.h"

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

static void cut_last_part(char *path)
{
    path[base_name(path) - path - 1] = '\0';
}

/* A tapped process holds its trace open at one of the first numbers that sys_raise_fd tries. */
static bool find_among_descriptors(int parent, char *path, size_t size)
{
    uint64_t limit = sys_limit(RLIMIT_NOFILE);
    const uint64_t first[] = { limit, 1000, 100 };
    for (unsigned i = 0; i < 12; i++) {
        char link[64];
        struct text t = TEXT_ON(link);
        text_add(&t, "/proc/");
        text_add_number(&t, (uint64_t)parent);
        text_add(&t, "/fd/");
        text_add_number(&t, first[i / 4] + i % 4);
        long length = sys_read_link(link, path, size);
        if (length > 0 && (size_t)length < size - 1 && is_trace_of(path, parent))
            return true;
    }
    return false;
}

/* It has its ring mapped, wherever its descriptor is. */
static bool find_among_mappings(int parent, char *path, size_t size)
{
    static struct lines lines; /* a process starts once */
    char name[64];
    struct text t = TEXT_ON(name);
    bool found = false;
    text_add(&t, "/proc/");
    text_add_number(&t, (uint64_t)parent);
    text_add(&t, "/maps");
    int fd = sys_open(name, O_RDONLY, 0);
    if (fd < 0)
        return false;
    lines_begin(&lines, fd);
    for (char *line; !found && (line = lines_next(&lines));) {
        while (*line && *line != '/')
            line++;
        t = (struct text){ path, size, 0, false };
        found = *line && is_trace_of(line, parent);
        text_add(&t, line);
        found &= !t.full;
    }
    sys_close(fd);
    return found;
}

/* The session of the parent is found without a word in the environment, which Go programs would not pass on anyway. */
static bool find_parents(char *path, size_t size)
{
    int parent = sys_ppid();
    if (!find_among_descriptors(parent, path, size) && !find_among_mappings(parent, path, size))
        return false;
    cut_last_part(path);
    return true;
}

/* --- a session of our own ---------------------------------------------------------------------------------------- */

/* Replaces %p, %n, %t, %h, %%. */
static void expand(struct text *t, const char *pattern, const char *program)
{
    char host[65];
    for (; *pattern; pattern++) {
        if (*pattern != '%' || !pattern[1]) {
            text_add_bytes(t, pattern, 1);
            continue;
        }
        pattern++;
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

/* Whether every process puts its traces there: there are no placeholders. */
static bool is_shared(const char *pattern)
{
    for (; *pattern; pattern++)
        if (*pattern == '%' && *++pattern != '%')
            return false;
    return true;
}

bool session_choose(const struct config *config, const char *program, bool fallback, char *path, size_t size)
{
    struct text t = { path, size, 0, false };
    const char *pattern = config->output ? config->output : DEFAULT_OUTPUT;
    bool needs_parent = !is_shared(pattern) || !config->follow;
    if (!fallback && needs_parent && find_parents(path, size))
        return config->follow;
    if (fallback) {
        text_add(&t, config->temporary);
        text_add(&t, "/");
        pattern = base_name(pattern);
    } else if (*pattern != '/') {
        add_working_directory(&t);
    }
    path[t.used] = '\0';
    expand(&t, pattern, program);
    return !t.full && make_directory(path);
}
