/* take.c: a snapshot of a live process. See residency.h. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/memory.h"
#include "residency/inside.h"

static uint64_t monotonic_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* --- sums of the whole process ----------------------------------------------------------------------------------- */

static bool read_status(pid_t pid, struct residency_totals *t)
{
    const struct {
        const char *name;
        uint64_t *value;
    } fields[] = { { "VmRSS:", &t->rss },          { "RssAnon:", &t->rss_anon }, { "RssFile:", &t->rss_file },
                   { "RssShmem:", &t->rss_shmem }, { "VmSwap:", &t->swap },      { "HugetlbPages:", &t->hugetlb } };
    char path[64], line[512];
    bool any = false;
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof line, f))
        for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
            if (strncmp(line, fields[i].name, strlen(fields[i].name)) == 0) {
                *fields[i].value = strtoull(line + strlen(fields[i].name), NULL, 10) << 10;
                any = true;
            }
    if (f)
        fclose(f);
    return any; /* a process that has ended has a status without memory */
}

/* The number behind "oom_kill" in a file of a control group. */
static bool read_oom_kills(const char *path, uint64_t *kills)
{
    char line[256];
    bool found = false;
    FILE *f = fopen(path, "re");
    while (f && !found && fgets(line, sizeof line, f))
        found = sscanf(line, "oom_kill %" SCNu64, kills) == 1;
    if (f)
        fclose(f);
    return found;
}

/* Lines of /proc/PID/cgroup: "0::/path" of version 2, "4:cpu,memory:/path" of version 1. */
bool residency_oom_kills(pid_t pid, uint64_t *kills)
{
    bool found = false;
    char name[64], line[4096], path[4300];
    snprintf(name, sizeof name, "/proc/%d/cgroup", (int)pid);
    FILE *f = fopen(name, "re");
    while (f && !found && fgets(line, sizeof line, f)) {
        char *controllers = strchr(line, ':'), *group = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!group)
            continue;
        *group++ = '\0';
        group[strcspn(group, "\n")] = '\0';
        if (controllers[1] == '\0')
            snprintf(path, sizeof path, "/sys/fs/cgroup%s/memory.events", group);
        else if (strstr(controllers, "memory"))
            snprintf(path, sizeof path, "/sys/fs/cgroup/memory%s/memory.oom_control", group);
        else
            continue;
        found = read_oom_kills(path, kills);
    }
    if (f)
        fclose(f);
    return found;
}

/* --- by one method or another ------------------------------------------------------------------------------------ */

static struct builder begin(enum residency_method method)
{
    struct residency_snapshot *s = memory_take(sizeof *s);
    s->mono_ns = monotonic_ns();
    s->method = method;
    return (struct builder){ .s = s };
}

static bool take_pages(struct builder *b, pid_t pid, struct error *e)
{
    switch (b->s->method) {
    case RESIDENCY_BY_SCAN:
        return maps_read(b, pid, false, e) && pages_scan(b, pid);
    case RESIDENCY_BY_PAGEMAP:
        return maps_read(b, pid, true, e) && pages_pagemap(b, pid);
    case RESIDENCY_BY_SMAPS:
        return maps_read(b, pid, true, e);
    default:
        return true;
    }
}

struct residency_snapshot *take_by(pid_t pid, enum residency_method method, struct error *e)
{
    for (; method <= RESIDENCY_BY_STATUS; method++) {
        struct builder b = begin(method);
        if (take_pages(&b, pid, e) && read_status(pid, &b.s->totals)) {
            b.s->totals.has_oom_kills = residency_oom_kills(pid, &b.s->totals.oom_kills);
            builder_finish(&b);
            b.s->cost_ns = monotonic_ns() - b.s->mono_ns;
            return b.s;
        }
        residency_free(b.s);
    }
    if (kill(pid, 0) < 0 && errno == ESRCH)
        error_set(e, EXIT_TROUBLE, "there is no process %d", (int)pid);
    else
        error_set(e, EXIT_TROUBLE, "the process %d has no memory any more, or /proc does not show it", (int)pid);
    return NULL;
}

struct residency_snapshot *residency_take(pid_t pid, struct error *e)
{
    return take_by(pid, RESIDENCY_BY_SCAN, e);
}
