/* session.c: the traces of one process tree. See trace.h. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "trace/inside.h"
#include "trace/pack.h"

static void leave_out(struct session *s, const struct error *e)
{
    if (s->left_out++ == 0)
        s->why_left_out = *e;
}

static void add_trace(struct session *s, int fd, const char *path)
{
    struct error e = { 0, "" };
    struct trace *t;
    bool unbegun = source_is_unbegun(fd);
    if (trace_open_fd(fd, path, &t, &e)) {
        s->trace = memory_resize(s->trace, (s->count + 1) * sizeof *s->trace);
        s->trace[s->count++] = t;
    } else if (!unbegun) {
        leave_out(s, &e);
    } else if (s->unbegun++ == 0 && s->left_out == 0) {
        s->why_left_out = e;
    }
}

static void add_file(struct session *s, const char *path)
{
    struct error e = { 0, "" };
    int fd = trace_open_file(path, &e);
    if (fd < 0)
        leave_out(s, &e);
    else
        add_trace(s, fd, path);
}

static bool is_there_anything(const struct session *s)
{
    return s->count + s->left_out + s->unbegun > 0;
}

static int by_start(const void *a, const void *b)
{
    const struct trace *x = *(struct trace *const *)a, *y = *(struct trace *const *)b;
    uint64_t s = x->clock.first_ns, t = y->clock.first_ns;
    return s != t ? (s < t ? -1 : 1) : strcmp(x->path, y->path);
}

/* exec keeps the process and its start: of its images only the last one can be running. */
static void find_replaced(struct session *s)
{
    for (uint32_t i = 0; i < s->count; i++)
        for (uint32_t k = i + 1; k < s->count; k++) {
            struct trace_info *a = &s->trace[i]->info;
            const struct trace_info *b = &s->trace[k]->info;
            if (a->pid != b->pid || a->start_jiffies != b->start_jiffies || !a->start_jiffies)
                continue;
            a->replaced = a->end == TRACE_END_OPEN;
            a->running = false;
        }
}

/* Of a file that belongs to a process: "12.mtap", "12.pages". */
static bool is_named(const char *name, const char *ending)
{
    size_t length = strlen(name), size = strlen(ending);
    return name[0] >= '0' && name[0] <= '9' && length > size && strcmp(name + length - size, ending) == 0;
}

/* The next file of a session's directory that is named so; false behind the last. */
static bool next_file(DIR *d, const char *directory, const char *ending, char *path, size_t size)
{
    for (struct dirent *entry; (entry = readdir(d));)
        if (is_named(entry->d_name, ending)) {
            snprintf(path, size, "%.4000s/%.255s", directory, entry->d_name);
            return true;
        }
    return false;
}

static bool add_directory(struct session *s, struct error *e)
{
    char path[4400];
    DIR *d = opendir(s->path);
    if (!d)
        return error_set(e, EXIT_TROUBLE, "cannot read the directory %s: %s", s->path, strerror(errno));
    while (next_file(d, s->path, ".mtap", path, sizeof path))
        add_file(s, path);
    closedir(d);
    return is_there_anything(s) || error_set(e, EXIT_DAMAGED, "%s is a directory without traces in it", s->path);
}

static void add_unpacked(void *context, int fd, const char *label)
{
    add_trace(context, fd, label);
}

/* The snapshots of a trace stand behind it in a pack, under its name but for the ending. */
static void add_pages(void *context, int fd, const char *label)
{
    const struct session *s = context;
    struct trace *t = s->count ? s->trace[s->count - 1] : NULL;
    size_t stem = t ? strlen(t->path) - strlen(".mtap") : 0, length = strlen(label);
    bool fits = t && t->pages < 0 && strlen(t->path) > 5 && length == stem + strlen(".pages") &&
                strncmp(label, t->path, stem) == 0 && strcmp(label + stem, ".pages") == 0;
    if (fits)
        t->pages = fd;
    else
        close(fd);
}

static bool add_pack(struct session *s, const char *path, struct error *e)
{
    const struct pack_taker taker = { .trace = add_unpacked, .pages = add_pages, .context = s };
    bool whole = pack_read(path, &taker, &s->symbols, e);
    if (!whole && s->count)
        leave_out(s, e);
    return whole &&
           (is_there_anything(s) || error_set(e, EXIT_DAMAGED, "%s is cut off: there is no trace in it", path));
}

static bool add_all(struct session *s, const char *path, struct error *e)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return error_set(e, EXIT_TROUBLE, "cannot open the session %s: %s", path, strerror(errno));
    if (S_ISDIR(st.st_mode))
        return add_directory(s, e);
    if (pack_is(path))
        return add_pack(s, path, e);
    add_file(s, path);
    return true;
}

/* A trace holds a descriptor as long as the session is open, and a session may have more processes than the soft limit
 * allows. */
static void allow_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

bool session_open(const char *path, struct session *s, struct error *e)
{
    *s = (struct session){ .path = memory_copy(path, strlen(path)) };
    allow_descriptors();
    if (add_all(s, path, e) && s->count == 0)
        *e = s->why_left_out;
    array_sort(s->trace, s->count, sizeof *s->trace, by_start);
    find_replaced(s);
    if (s->count == 0)
        session_close(s);
    return s->count > 0;
}

void session_close(struct session *s)
{
    for (uint32_t i = 0; i < s->count; i++)
        trace_close(s->trace[i]);
    free(s->trace);
    free(s->symbols);
    free(s->path);
    *s = (struct session){ .path = NULL };
}

void session_remove(const char *directory)
{
    static const char *const endings[] = { ".mtap", ".pages" };
    char path[4400];
    for (unsigned i = 0; i < sizeof endings / sizeof *endings; i++) {
        DIR *d = opendir(directory);
        while (d && next_file(d, directory, endings[i], path, sizeof path))
            unlink(path);
        if (d)
            closedir(d);
    }
}
