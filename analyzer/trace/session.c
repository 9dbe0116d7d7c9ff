/* session.c: the traces of one process tree. See trace.h. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/memory.h"
#include "trace/inside.h"
#include "trace/pack.h"

/* Adds a trace; a descriptor of -1 means the file of that path. The first failure is kept in `first`. */
static void add_trace(struct session *s, int fd, const char *path, struct error *first)
{
    struct error e = { 0, "" };
    struct trace *t;
    if (!(fd < 0 ? trace_open(path, &t, &e) : trace_open_fd(fd, path, &t, &e))) {
        if (first->code == 0)
            *first = e;
        return;
    }
    s->trace = memory_resize(s->trace, (s->count + 1) * sizeof *s->trace);
    s->trace[s->count++] = t;
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

static bool is_trace_name(const char *name)
{
    size_t length = strlen(name);
    return name[0] >= '0' && name[0] <= '9' && length > 5 && strcmp(name + length - 5, ".mtap") == 0;
}

static bool add_directory(struct session *s, struct error *e)
{
    DIR *d = opendir(s->path);
    if (!d)
        return error_set(e, EXIT_TROUBLE, "cannot read the directory %s: %s", s->path, strerror(errno));
    for (struct dirent *entry; (entry = readdir(d));) {
        char path[4400];
        snprintf(path, sizeof path, "%.4000s/%.255s", s->path, entry->d_name);
        if (is_trace_name(entry->d_name))
            add_trace(s, -1, path, e);
    }
    closedir(d);
    if (s->count == 0 && e->code == 0)
        return error_set(e, EXIT_DAMAGED, "%s is a directory without traces in it", s->path);
    return s->count > 0;
}

/* What add_unpacked adds to. */
struct target {
    struct session *session;
    struct error *first;
};

static void add_unpacked(void *context, int fd, const char *label)
{
    struct target *t = context;
    add_trace(t->session, fd, label, t->first);
}

static void add_pack(struct session *s, const char *path, struct error *e)
{
    struct error of_pack;
    if (!pack_read(path, add_unpacked, &(struct target){ s, e }, &s->symbols, &of_pack))
        *e = of_pack;
    else if (s->count == 0 && e->code == 0)
        error_set(e, EXIT_DAMAGED, "%s is cut off: there is no trace in it", path);
}

bool session_open(const char *path, struct session *s, struct error *e)
{
    struct stat st;
    *s = (struct session){ .path = memory_copy(path, strlen(path)) };
    e->code = 0;
    if (stat(path, &st) < 0) {
        error_set(e, EXIT_TROUBLE, "cannot open the session %s: %s", path, strerror(errno));
    } else if (S_ISDIR(st.st_mode)) {
        add_directory(s, e);
    } else if (pack_is(path)) {
        add_pack(s, path, e);
    } else {
        add_trace(s, -1, path, e);
    }
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
