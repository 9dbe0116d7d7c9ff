/* watch.c: when snapshots of running processes are taken. See residency.h. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/memory.h"
#include "residency/residency.h"

#define SECOND 1000000000ull
#define SPARSE 100       /* so many snapshots of equal distance, then the distance grows with the age */
#define SPARSE_MARKS 500 /* the same for those at marks */
#define MOST_FAILURES 3

/* Why snapshots are taken, and what they may cost: processor time, one part of `share` of the time, and `advance` before it is earned,
 * so that programs that run shortly have some too. */
enum reason { AT_INTERVAL, AT_MARK, REASONS };
static const struct {
    uint64_t share, advance_ns;
} budget[REASONS] = { { 200, SECOND / 10 }, { 20, SECOND } };

struct watched {
    uint64_t first_ns, next_ns, mark_ns;
    uint32_t marks, failures;
};

struct residency_watch {
    uint64_t started_ns, spent_ns[REASONS];
    struct watched *process;
    uint32_t count;
};

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

struct residency_watch *residency_watch_new(void)
{
    struct residency_watch *w = memory_take(sizeof *w);
    w->started_ns = clock_ns(CLOCK_MONOTONIC);
    return w;
}

void residency_watch_free(struct residency_watch *w)
{
    free(w->process);
    free(w);
}

/* After 0.25, 0.5 and 1 s; then every second; from the age of SPARSE seconds on the distance grows, so that a day has
 * 800 and a week 1,000. */
static uint64_t next_time(const struct watched *p, uint64_t now)
{
    uint64_t age = now - p->first_ns, distance = age / SPARSE > SECOND ? age / SPARSE : SECOND;
    if (age < SECOND / 4)
        return p->first_ns + SECOND / 4;
    return now + (age < SECOND / 2 ? SECOND / 4 : age < SECOND ? SECOND / 2 : distance);
}

/* The process may be another program by now, which is not traced: the trace is mapped by the one that it is of. */
static bool is_of(const struct residency_snapshot *s, const char *trace)
{
    const char *slash = strrchr(trace, '/'), *name = slash ? slash : trace;
    for (uint32_t i = 0; i < s->vmas; i++) {
        size_t length = strlen(s->vma[i].path), size = strlen(name);
        if (length >= size && strcmp(s->vma[i].path + length - size, name) == 0)
            return true;
    }
    return false;
}

static void take(struct residency_watch *w, struct watched *p, enum reason reason, pid_t pid, const char *trace)
{
    struct error e;
    uint64_t begun = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    struct residency_snapshot *s = residency_take(pid, &e);
    bool kept = s && is_of(s, trace) && residency_keep(trace, s, &e);
    residency_free(s);
    p->failures = kept ? 0 : p->failures + 1;
    w->spent_ns[reason] += clock_ns(CLOCK_THREAD_CPUTIME_ID) - begun;
}

static bool affords(const struct residency_watch *w, enum reason reason, uint64_t now)
{
    return w->spent_ns[reason] <= budget[reason].advance_ns + (now - w->started_ns) / budget[reason].share;
}

void residency_watch_step(struct residency_watch *w, uint32_t number, pid_t pid, const char *trace, uint32_t marks)
{
    uint64_t now = clock_ns(CLOCK_MONOTONIC);
    if (number >= w->count) {
        w->process = memory_resize(w->process, (number + 1) * sizeof *w->process);
        for (; w->count <= number; w->count++)
            w->process[w->count] = (struct watched){ .first_ns = 0 };
    }
    struct watched *p = &w->process[number];
    if (!p->first_ns) {
        p->first_ns = now;
        p->next_ns = next_time(p, now);
    }
    bool mark = marks != p->marks && now - p->mark_ns >= (now - p->first_ns) / SPARSE_MARKS;
    enum reason reason = mark ? AT_MARK : AT_INTERVAL;
    if ((!mark && now < p->next_ns) || p->failures == MOST_FAILURES || !affords(w, reason, now))
        return;
    take(w, p, reason, pid, trace);
    if (mark)
        p->mark_ns = now;
    p->marks = marks;
    p->next_ns = next_time(p, now);
}
