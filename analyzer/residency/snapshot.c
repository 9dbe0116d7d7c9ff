/* snapshot.c: putting a snapshot together, and asking it. See residency.h and inside.h. */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "residency/inside.h"

/* --- putting together -------------------------------------------------------------------------------------------- */

/* While names grow, their place moves: until builder_finish a path is kept as an offset. */
struct residency_vma *builder_vma(struct builder *b, const char *name, size_t size)
{
    struct residency_snapshot *s = b->s;
    if (s->vmas >= MOST_VMAS)
        return NULL;
    while (b->names_size + size + 1 > b->names_room) {
        b->names_room = b->names_room ? 2 * b->names_room : 4096;
        s->names = memory_resize(s->names, b->names_room);
    }
    array_room(s->vma, s->vmas, b->vma_room);
    struct residency_vma *v = &s->vma[s->vmas++];
    *v = (struct residency_vma){ .path = (const char *)(uintptr_t)b->names_size };
    memcpy(s->names + b->names_size, name, size);
    s->names[b->names_size + size] = '\0';
    b->names_size += size + 1;
    return v;
}

bool builder_run(struct builder *b, uint64_t start, uint64_t end, enum residency_kind kind, bool huge)
{
    struct residency_snapshot *s = b->s;
    if (s->runs) {
        struct residency_run *last = &s->run[s->runs - 1];
        if (last->end == start && last->kind == kind && last->huge == huge) {
            last->end = end;
            return true;
        }
    }
    if (s->runs >= MOST_RUNS)
        return false;
    array_room(s->run, s->runs, b->run_room);
    s->run[s->runs++] = (struct residency_run){ .start = start, .end = end, .kind = kind, .huge = huge };
    return true;
}

static void add(struct residency_bytes *sum, const struct residency_bytes *more)
{
    for (int kind = 0; kind < RESIDENCY_KINDS; kind++)
        sum->of[kind] += more->of[kind];
    sum->huge += more->huge;
}

static void add_run(struct residency_bytes *sum, const struct residency_run *r, uint64_t bytes)
{
    sum->of[r->kind] += bytes;
    sum->huge += r->huge ? bytes : 0;
}

static bool any(const struct residency_bytes *bytes)
{
    uint64_t sum = 0;
    for (int kind = 0; kind < RESIDENCY_KINDS; kind++)
        sum |= bytes->of[kind];
    return sum != 0;
}

static struct residency_bytes of_runs(const struct residency_snapshot *s, uint64_t start, uint64_t end);

void builder_finish(struct builder *b)
{
    struct residency_snapshot *s = b->s;
    s->before = memory_take((s->runs + 1) * sizeof *s->before);
    for (uint32_t i = 0; i < s->runs; i++) {
        s->before[i + 1] = s->before[i];
        add_run(&s->before[i + 1], &s->run[i], s->run[i].end - s->run[i].start);
    }
    s->found = s->before[s->runs];
    for (uint32_t i = 0; i < s->vmas; i++) {
        struct residency_vma *v = &s->vma[i];
        v->path = s->names + (uintptr_t)v->path;
        v->resident = of_runs(s, v->start, v->end);
        if (!any(&v->spread))
            continue;
        add(&v->resident, &v->spread);
        add(&s->found, &v->spread);
        s->has_spread = true;
    }
}

void residency_free(struct residency_snapshot *s)
{
    if (!s)
        return;
    free(s->vma);
    free(s->run);
    free(s->before);
    free(s->names);
    free(s);
}

/* --- asking ------------------------------------------------------------------------------------------------------ */

/* Bytes of all runs below an address. */
static struct residency_bytes below(const struct residency_snapshot *s, uint64_t address)
{
    uint32_t low = array_behind(s->run, s->runs, end, address);
    struct residency_bytes sum = s->before[low];
    if (low < s->runs && s->run[low].start < address)
        add_run(&sum, &s->run[low], address - s->run[low].start);
    return sum;
}

static struct residency_bytes of_runs(const struct residency_snapshot *s, uint64_t start, uint64_t end)
{
    struct residency_bytes sum = below(s, end), less = below(s, start);
    for (int kind = 0; kind < RESIDENCY_KINDS; kind++)
        sum.of[kind] -= less.of[kind];
    sum.huge -= less.huge;
    return sum;
}

/* The first mapping that ends behind the address. */
static uint32_t vma_behind(const struct residency_snapshot *s, uint64_t address)
{
    return array_behind(s->vma, s->vmas, end, address);
}

/* What is only known as a sum over a mapping is taken to lie evenly in it. */
static void add_share(struct residency_bytes *sum, const struct residency_vma *v, uint64_t start, uint64_t end)
{
    uint64_t from = start > v->start ? start : v->start, to = end < v->end ? end : v->end;
    double share = (double)(to - from) / (double)(v->end - v->start);
    for (int kind = 0; kind < RESIDENCY_KINDS; kind++)
        sum->of[kind] += (uint64_t)((double)v->spread.of[kind] * share + 0.5);
}

struct residency_bytes residency_of(const struct residency_snapshot *s, uint64_t start, uint64_t end)
{
    struct residency_bytes sum = { .huge = 0 };
    if (start >= end)
        return sum;
    sum = of_runs(s, start, end);
    if (s->has_spread)
        for (uint32_t i = vma_behind(s, start); i < s->vmas && s->vma[i].start < end; i++)
            add_share(&sum, &s->vma[i], start, end);
    return sum;
}

const struct residency_vma *residency_vma_at(const struct residency_snapshot *s, uint64_t address)
{
    uint32_t i = vma_behind(s, address);
    return i < s->vmas && s->vma[i].start <= address ? &s->vma[i] : NULL;
}
