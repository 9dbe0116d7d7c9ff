/* moment.c: see moment.h. */
#include "commands/moment.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "residency/residency.h"

void moment_read(struct command_moment *m, const char *at)
{
    uint64_t number;
    char rest;
    m->peak = strcmp(at, "peak") == 0;
    m->oom = strcmp(at, "oom") == 0;
    if (m->peak || m->oom || strcmp(at, "end") == 0)
        return;
    if (sscanf(at, "request %" SCNu64 "%c", &number, &rest) == 1)
        m->until = (struct heap_until){ .what = HEAP_UNTIL_REQUEST, .event = number };
    else
        m->until = (struct heap_until){ .what = HEAP_UNTIL_MARK, .mark = at };
}

/* The moment of a mark or request in one process is a moment of all: the others are cut at the same time. */
static bool find_moment(const struct session *s, struct heap **heap, struct heap_until *until, struct error *e)
{
    for (uint32_t i = 0; i < s->count; i++)
        if (heap_reached(heap[i])) {
            *until =
                (struct heap_until){ .what = HEAP_UNTIL_MONO, .event = trace_mono_ns(s->trace[i], heap_time(heap[i])) };
            return true;
        }
    if (until->what == HEAP_UNTIL_MARK)
        return error_set(e, EXIT_TROUBLE, "the session %s has no mark \"%s\"", s->path, until->mark);
    return error_set(e, EXIT_TROUBLE, "the session %s has no request %" PRIu64, s->path, until->event);
}

/* The last allocation that failed, in whichever process; else when the kernel killed one for want of memory. */
static bool find_failure(const struct session *s, struct heap **heap, struct heap_until *until, struct error *e)
{
    for (uint32_t i = 0; i < s->count; i++) {
        const struct heap_failure *f = heap_last_failure(heap[i]);
        uint64_t time = f ? trace_mono_ns(s->trace[i], f->time) : 0;
        if (f && (until->what != HEAP_UNTIL_MONO || time > until->event))
            *until = (struct heap_until){ .what = HEAP_UNTIL_MONO, .event = time };
    }
    for (uint32_t i = 0; i < s->count && until->what != HEAP_UNTIL_MONO; i++)
        for (uint32_t k = 0; k < heap_mark_count(heap[i]); k++)
            if (strcmp(heap_mark(heap[i], k)->name, "oom") == 0) /* memtap run saw the kernel kill it */
                *until = (struct heap_until){ .what = HEAP_UNTIL_MONO,
                                              .event = trace_mono_ns(s->trace[i], heap_mark(heap[i], k)->time) };
    return until->what == HEAP_UNTIL_MONO ||
           error_set(e, EXIT_TROUBLE,
                     "in the session %s no allocation failed, and nothing was killed for want of memory", s->path);
}

/* Replays the session up to the moment that is asked for. */
static struct heap **replay(const struct session *s, const struct command_moment *m, bool quiet, uint64_t *moment_ns,
                            struct error *e)
{
    struct heap_options options = { .until = m->until, .peak = false, .quiet = quiet };
    struct heap **heap = heap_replay(s, &options);
    if (!m->peak && !m->oom && m->until.what == HEAP_UNTIL_END)
        return heap;
    bool found = m->peak || (m->oom ? find_failure : find_moment)(s, heap, &options.until, e);
    *moment_ns = found && !m->peak ? options.until.event : 0;
    options.peak = m->peak;
    options.found = heap;
    struct heap **again = found ? heap_replay(s, &options) : NULL;
    heap_free_all(heap, s->count);
    return again;
}

static void describe_at(const struct command_moment *m, char *text, size_t size)
{
    if (m->until.what == HEAP_UNTIL_MARK)
        snprintf(text, size, "mark %s", m->until.mark);
    else if (m->until.what == HEAP_UNTIL_REQUEST)
        snprintf(text, size, "request %" PRIu64 " end", m->until.event);
    else
        snprintf(text, size, "%s", m->peak ? "peak" : m->oom ? "oom" : "end");
}

/* What was resident nearest to the moment of the heap: now, if it is the end of a process that still runs. */
static struct residency_snapshot *find_pages(const struct trace *t, const struct heap *h, bool at_end)
{
    struct error e;
    struct residency_snapshot *now =
        at_end && trace_info(t)->running ? residency_take((pid_t)trace_info(t)->pid, &e) : NULL;
    if (now)
        return now;
    struct residency *r = command_residency(t);
    if (!r)
        return NULL;
    uint32_t nearest = residency_nearest(r, trace_mono_ns(t, heap_time(h)));
    struct residency_snapshot *s = nearest < residency_count(r) ? residency_load(r, nearest) : NULL;
    residency_close(r);
    return s;
}

void moment_free(struct command_answer *a)
{
    summary_free(&a->summary);
    tensors_free(a->tensors);
    for (uint32_t i = 0; a->pages && i < a->count; i++)
        residency_free(a->pages[i]);
    free(a->pages);
    heap_free_all(a->heap, a->count);
}

bool moment_answer(const struct command_input *in, const struct command_moment *m, uint32_t pid, bool quiet,
                   struct command_answer *a, struct error *e)
{
    const struct session *session = &in->session;
    bool at_end = !m->peak && !m->oom && m->until.what == HEAP_UNTIL_END;
    memset(a, 0, sizeof *a);
    uint64_t moment_ns = 0;
    if (!(a->heap = replay(session, m, quiet, &moment_ns, e)))
        return false;
    a->count = session->count;
    a->pages = memory_take((a->count + 1) * sizeof *a->pages);
    a->tensors = tensors_new();
    for (uint32_t i = 0; i < a->count; i++)
        a->pages[i] = find_pages(session->trace[i], a->heap[i], at_end);
    describe_at(m, a->summary.at, sizeof a->summary.at);
    summary_build(&a->summary, &(struct summary_input){ .session = session,
                                                        .heap = a->heap,
                                                        .pages = a->pages,
                                                        .only_pid = pid,
                                                        .moment_ns = moment_ns,
                                                        .symbols = in->symbols,
                                                        .rules = in->rules,
                                                        .tensors = a->tensors });
    if (a->summary.processes)
        return true;
    moment_free(a);
    return error_set(e, EXIT_TROUBLE, "the session %s has no process %u", session->path, pid);
}
