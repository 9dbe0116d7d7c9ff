/* trace.c: one trace: its identity, its clock, its definitions. See trace.h. */
#include "trace/inside.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"

/* --- identity ---------------------------------------------------------------------------------------------------- */

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

/* The command's name before the field may hold spaces and parentheses. */
uint64_t trace_start_of_process(uint32_t pid)
{
    char path[32], text[1024];
    snprintf(path, sizeof path, "/proc/%u/stat", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t size = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        close(fd);
    if (size <= 0)
        return 0;
    text[size] = '\0';
    const char *p = strrchr(text, ')');
    for (int field = 2; p && field < 22; field++)
        p = strchr(p + 1, ' ');
    return p ? strtoull(p, NULL, 10) : 0;
}

static bool is_running(const struct trace_info *i)
{
    char host[65] = "";
    gethostname(host, sizeof host - 1);
    return i->end == TRACE_END_OPEN && i->start_jiffies && strcmp(host, i->host) == 0 &&
           trace_start_of_process(i->pid) == i->start_jiffies;
}

const char *trace_setting(const struct trace_info *info, const char *name)
{
    size_t length = strlen(name);
    for (const char *s = info->settings; *s; s += strlen(s) + 1)
        if (strncmp(s, name, length) == 0 && s[length] == '=')
            return s + length + 1;
    return NULL;
}

/* host, executable, argv...: NUL-terminated, one after the other. */
static void read_strings(struct trace *t)
{
    const struct trace_header *h = &t->source.header;
    const char *p = h->strings, *end = h->strings + h->identity.strings_size;
    uint32_t room = 0;
    for (uint32_t n = 0; p < end; n++) {
        if (n == 0) {
            t->info.host = p;
        } else if (n == 1) {
            t->info.executable = p;
        } else {
            array_room(t->argv, t->info.argc, room);
            t->argv[t->info.argc++] = p;
        }
        p += strnlen(p, (size_t)(end - p)) + 1;
    }
    t->info.host = t->info.host ? t->info.host : "";
    t->info.executable = t->info.executable ? t->info.executable : "";
    t->info.argv = t->argv;
    t->info.name = last_part(t->info.argc && *t->argv[0] ? t->argv[0] : t->info.executable);
    if (*t->info.name == '-' && t->info.name[1])
        t->info.name++; /* a login shell */
}

static uint64_t ring_bytes(const struct source *s)
{
    uint64_t slots = 0;
    for (uint32_t i = 0; i < s->header.status.region_count * TRACE_REGION_SLOTS; i++)
        slots += s->header.slots[i] != 0;
    return sizeof s->header + slots * TRACE_CHUNK_SIZE;
}

static void read_info(struct trace *t)
{
    const struct trace_header *h = &t->source.header;
    const struct trace_identity *id = &h->identity;
    t->info = (struct trace_info){
        .pid = id->pid,
        .ppid = id->ppid,
        .uid = id->uid,
        .forked = id->origin == TRACE_ORIGIN_FORK,
        .parent = id->fork_parent,
        .version = id->version,
        .start_realtime_ns = id->start_realtime_ns,
        .start_jiffies = id->start_jiffies,
        .start_time = id->start_time,
        .fork_before = id->fork_before,
        .fork_after = id->fork_after,
        .tap_start = id->tap_start,
        .tap_end = id->tap_end,
        .end = h->status.end <= TRACE_END_SIGNAL ? (enum trace_end)h->status.end : TRACE_END_OPEN,
        .end_status = h->status.end_status,
        .shortfall = h->status.shortfall,
        .stopped = h->status.stopped && h->status.stopped <= TRACE_LOSS_COUNT ? (int)h->status.stopped - 1 : -1,
        .warnings = h->warnings,
        .settings = h->settings,
        .own_bytes = h->status.own_anonymous,
        .own_resident = h->status.own_resident,
        .own = h->own,
        .walks = h->walks,
        .ring_bytes = ring_bytes(&t->source),
        .sample_bytes = id->sample_bytes < TRACE_SAMPLE_MOST ? id->sample_bytes : TRACE_SAMPLE_MOST,
    };
    for (int cause = 0; cause < TRACE_LOSS_COUNT; cause++)
        t->info.losses[cause] = h->status.losses[cause];
    if (t->info.stopped >= 0)
        t->info.losses[t->info.stopped] += t->source.lost;
    read_strings(t);
    t->info.running = is_running(&t->info);
}

/* --- clock ------------------------------------------------------------------------------------------------------- */

void trace_clock_pair(struct trace *t, uint64_t time, uint64_t mono_ns)
{
    if (time > t->clock.last_time && mono_ns > t->clock.first_ns) {
        t->clock.last_time = time;
        t->clock.last_ns = mono_ns;
    }
}

static void read_clock(struct trace *t)
{
    const struct trace_header *h = &t->source.header;
    t->clock.first_time = t->clock.last_time = t->end_time = h->identity.start_time;
    t->clock.first_ns = t->clock.last_ns = h->identity.start_mono_ns;
    t->clock.nominal = h->identity.clock == TRACE_CLOCK_TSC ? (double)(1ull << h->identity.time_shift) / 3.0
                                                            : (double)(1ull << h->identity.time_shift);
    for (uint32_t i = 0; i < t->source.count; i++)
        trace_clock_pair(t, t->source.chunk[i].time, t->source.chunk[i].mono_ns);
    trace_clock_pair(t, h->status.end_time, h->status.end_mono_ns);
    if (h->status.end_time > t->end_time)
        t->end_time = h->status.end_time;
}

/* Two stamps taken one after the other are up to a microsecond apart, so a short base line says little: over less than
 * a millisecond the nominal rate of 3 GHz is the better guess. */
uint64_t trace_ns(const struct trace *t, uint64_t time)
{
    const double base = (double)(t->clock.last_time - t->clock.first_time);
    const double ns = (double)(t->clock.last_ns - t->clock.first_ns);
    if (time <= t->clock.first_time)
        return 0;
    double rate = ns > 1e6 && base > 0 ? ns / base : t->clock.nominal;
    return (uint64_t)((double)(time - t->clock.first_time) * rate);
}

uint64_t trace_mono_ns(const struct trace *t, uint64_t time)
{
    return t->clock.first_ns + trace_ns(t, time);
}

uint64_t trace_end_time(const struct trace *t)
{
    return t->end_time;
}

/* --- the room's face --------------------------------------------------------------------------------------------- */

bool trace_open_fd(int fd, const char *path, struct trace **out, struct error *e)
{
    struct trace *t = memory_take(sizeof *t);
    *out = NULL;
    if (!source_open(&t->source, fd, path, e)) {
        free(t);
        return false;
    }
    t->path = memory_copy(path, strlen(path));
    t->pages = -1;
    uint64_t decoded = 0;
    for (uint32_t i = 0; i < t->source.count; i++)
        decoded += t->source.chunk[i].committed;
    definitions_begin(&t->definitions, decoded);
    read_info(t);
    read_clock(t);
    t->health = (struct trace_health){ .chunks = t->source.count,
                                       .bytes = t->source.bytes,
                                       .damaged_chunks = t->source.damaged,
                                       .missing_chunks = t->source.missing };
    *out = t;
    return true;
}

int trace_open_file(const char *path, struct error *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        error_set(e, EXIT_TROUBLE, "cannot open %s: %s", path, strerror(errno));
    return fd;
}

bool trace_open(const char *path, struct trace **out, struct error *e)
{
    int fd = trace_open_file(path, e);
    *out = NULL;
    return fd >= 0 && trace_open_fd(fd, path, out, e);
}

int trace_pages(const struct trace *t)
{
    char path[4400];
    size_t length = strlen(t->path);
    if (t->pages >= 0)
        return fcntl(t->pages, F_DUPFD_CLOEXEC, 0);
    if (length <= 5 || strcmp(t->path + length - 5, ".mtap") != 0)
        return -1;
    snprintf(path, sizeof path, "%.*s.pages", (int)length - 5, t->path);
    return open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
}

void trace_close(struct trace *t)
{
    if (!t)
        return;
    source_close(&t->source);
    if (t->pages >= 0)
        close(t->pages);
    definitions_free(&t->definitions);
    free(t->argv);
    free(t->path);
    free(t);
}

const char *trace_path(const struct trace *t)
{
    return t->path;
}

const struct trace_info *trace_info(const struct trace *t)
{
    return &t->info;
}

const struct trace_health *trace_health(const struct trace *t)
{
    return &t->health;
}

bool trace_has_lost(const struct trace *t)
{
    bool lost = t->health.damaged_chunks || t->health.missing_chunks || t->health.bad_records || t->info.stopped >= 0;
    for (int cause = 0; cause < TRACE_LOSS_COUNT; cause++)
        lost |= t->info.losses[cause] != 0;
    return lost;
}

uint32_t trace_node_count(const struct trace *t)
{
    return t->definitions.nodes;
}

uint32_t trace_module_count(const struct trace *t)
{
    return t->definitions.modules;
}

const struct trace_node *trace_node(const struct trace *t, uint32_t id)
{
    return id < t->definitions.nodes && t->definitions.node[id].defined ? &t->definitions.node[id] : NULL;
}

const struct trace_module *trace_module(const struct trace *t, uint32_t id)
{
    return id < t->definitions.modules && t->definitions.module[id].path ? &t->definitions.module[id] : NULL;
}

uint32_t trace_string_count(const struct trace *t)
{
    return t->definitions.strings;
}

const char *trace_string(const struct trace *t, uint32_t id)
{
    return id < t->definitions.strings ? t->definitions.string[id] : NULL;
}

const char *trace_thread_name(const struct trace *t, uint32_t tid)
{
    return definitions_thread(&t->definitions, tid);
}

const char *trace_call_name(uint32_t call)
{
    static const char *const names[] = {
#define CALL_TEXT(name, text) text,
        RECORD_CALLS(CALL_TEXT)
#undef CALL_TEXT
    };
    return call < RECORD_CALL_COUNT ? names[call] : "?";
}
