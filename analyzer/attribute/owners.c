/* owners.c: blocks and mappings, split by what lies in them. See owners.h. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "attribute/inside.h"
#include "base/memory.h"

struct owner *owners_add(struct finder *f, uint64_t start, uint64_t end)
{
    struct owners *o = f->owners;
    array_room(o->owner, o->count, o->room);
    struct owner *owner = &o->owner[o->count++];
    *owner = (struct owner){ .start = start,
                             .end = end,
                             .component = "",
                             .how = "",
                             .model = "",
                             .file = "",
                             .tensor = "",
                             .type = "",
                             .buffer = "",
                             .site = HEAP_NO_SITE,
                             .weight = 1 };
    return owner;
}

uint64_t owner_weigh(const struct owner *o, uint64_t bytes)
{
    return o->weight > 1 ? (uint64_t)llround((double)bytes * o->weight) : bytes;
}

/* --- places: what the program asked for -------------------------------------------------------------------------- */

struct place {
    uint64_t start, end, time;
    uint32_t site, tag;
    uint32_t mapping; /* number in the heap, or HEAP_NO_SITE for a block */
    bool reserved;    /* address space only; mprotect may have made memory of it */
    double weight;    /* as in struct owner */
};

struct places {
    uint64_t sample_mean;
    struct place *place;
    uint32_t count, room;
};

static void add_place(struct places *p, const struct place *place)
{
    array_room(p->place, p->count, p->room);
    p->place[p->count++] = *place;
}

static void add_block(void *context, uint64_t address, const struct heap_block *b)
{
    struct places *p = context;
    double weight = heap_weigh(p->sample_mean, b->size).blocks;
    add_place(p, &(struct place){ address, address + b->size, b->time, b->site, b->tag, HEAP_NO_SITE, false, weight });
}

/* A mapping goes before the blocks that lie in it. */
static int by_start(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    if (x->start != y->start)
        return x->start < y->start ? -1 : 1;
    return x->end != y->end ? (x->end > y->end ? -1 : 1) : (x->mapping > y->mapping) - (x->mapping < y->mapping);
}

static struct places collect_places(const struct heap *h)
{
    struct places p = { .sample_mean = heap_sample_mean(h) };
    heap_each_block(h, add_block, &p);
    for (uint32_t i = 0; i < heap_mapping_count(h); i++) {
        const struct heap_mapping *m = heap_mapping(h, i);
        add_place(&p, &(struct place){ m->start, m->end, m->time, m->site, m->tag, i, m->prot == 0, 1 });
    }
    array_sort(p.place, p.count, sizeof *p.place, by_start);
    return p;
}

/* --- splitting a place ------------------------------------------------------------------------------------------- */

/* [start, end) by the call stack, the weakest evidence. */
static struct owner *own_by_site(struct finder *f, const struct place *p, uint64_t start, uint64_t end)
{
    const struct attribution *a = &f->site[p->site];
    struct owner *o = owners_add(f, start, end);
    o->component = a->component;
    o->how = a->how;
    o->evidence = a->evidence;
    o->time = p->time;
    o->site = p->site;
    o->allocated = !p->reserved;
    o->weight = p->weight;
    return o;
}

/* [start, end) holds the bytes of a file from `offset` on: by the file's own table, if it is a model. */
static void own_by_file(struct finder *f, const struct place *p, uint64_t start, uint64_t end, const char *path,
                        uint64_t offset, const char *how)
{
    const struct model *m = tensors_model(f->tensors, path);
    while (start < end) {
        const struct model_tensor *t = m ? tensors_at(f->tensors, m, path, offset) : NULL;
        uint64_t until = !t                   ? end
                         : t->offset > offset ? start + (t->offset - offset)
                                              : start + (t->offset + t->bytes - offset);
        struct owner *o = own_by_site(f, p, start, until < end ? until : end);
        o->file = path;
        o->offset = offset;
        if (m) {
            bool inside = t && t->offset <= offset;
            o->component = inside                                   ? t->component
                           : offset < m->file[t ? t->file : 0].data ? "metadata"
                                                                    : "weights/other";
            o->how = how;
            o->model = symbols_base_name(m->path);
            o->evidence = EVIDENCE_FILE;
            o->tensor = inside ? t->name : "";
            o->type = inside ? t->type.name : "";
        }
        offset += o->end - start;
        start = o->end;
    }
}

/* [start, end) without tensors of the engine: file bytes that were mapped or read there, else the stack. */
static void own_plain(struct finder *f, const struct place *p, uint64_t start, uint64_t end)
{
    const struct heap_mapping *m = p->mapping != HEAP_NO_SITE ? heap_mapping(f->heap, p->mapping) : NULL;
    const char *path = m && m->file ? trace_string(f->trace, m->file) : NULL;
    if (path) {
        own_by_file(f, p, start, end, path, m->offset + (start - m->start), "mapped");
        return;
    }
    uint32_t count = heap_file_bytes_count(f->heap);
    /* What JavaScript looks into the file with is not what the engine computes with. */
    const char *how = strncmp(f->site[p->site].component, "runtime/js", 10) == 0 ? "copy" : "read";
    for (uint32_t i = heap_file_bytes_behind(f->heap, start); start < end; i++) {
        const struct heap_content *c = i < count ? heap_file_bytes(f->heap, i) : NULL;
        if (!c || c->start >= end) {
            tensors_own_rest(f, own_by_site(f, p, start, end));
            return;
        }
        if (c->start > start)
            tensors_own_rest(f, own_by_site(f, p, start, c->start));
        uint64_t from = c->start > start ? c->start : start, to = c->end < end ? c->end : end;
        path = trace_string(f->trace, c->file);
        own_by_file(f, p, from, to, path ? path : "", c->offset + (from - c->start), how);
        start = to;
    }
}

/* The file whose bytes were mapped or read to the address; NULL if none were. */
static const char *source_of(const struct finder *f, const struct place *p, uint64_t address)
{
    const struct heap_mapping *m = p->mapping != HEAP_NO_SITE ? heap_mapping(f->heap, p->mapping) : NULL;
    if (m)
        return m->file ? trace_string(f->trace, m->file) : NULL;
    uint32_t count = heap_file_bytes_count(f->heap), i = heap_file_bytes_behind(f->heap, address);
    const struct heap_content *c = i < count ? heap_file_bytes(f->heap, i) : NULL;
    return c && c->start <= address ? trace_string(f->trace, c->file) : NULL;
}

/* [start, end) of a place that no other place covers. */
static void own_range(struct finder *f, const struct place *p, uint64_t start, uint64_t end)
{
    uint32_t count = heap_tensor_count(f->heap);
    for (uint32_t i = heap_tensor_behind(f->heap, start); start < end; i++) {
        const struct heap_content *c = i < count ? heap_tensor(f->heap, i) : NULL;
        if (!c || c->start >= end) {
            own_plain(f, p, start, end);
            return;
        }
        struct owner o = {
            .time = p->time, .site = p->site, .file = "", .allocated = !p->reserved, .weight = p->weight
        };
        if (!tensors_own(f, i, source_of(f, p, c->start), &o))
            continue;
        if (c->start > start)
            own_plain(f, p, start, c->start);
        o.start = c->start > start ? c->start : start;
        o.end = start = c->end < end ? c->end : end;
        o.offset += *o.file ? o.start - c->start : 0;
        *owners_add(f, o.start, o.end) = o;
    }
}

static void own_by_tag(struct finder *f, const struct place *p, uint64_t start, uint64_t end, const char *tag)
{
    struct owner *o = own_by_site(f, p, start, end);
    o->component = rules_keep(f->rules, tag);
    o->how = "";
    o->evidence = EVIDENCE_TAG;
}

static void own_part(struct finder *f, const struct place *p, uint64_t start, uint64_t end)
{
    const struct attribution *a = &f->site[p->site];
    const char *tag = p->tag ? trace_string(f->trace, p->tag) : NULL;
    if (tag)
        own_by_tag(f, p, start, end, tag);
    else if (a->evidence == EVIDENCE_TAG || start == end)
        own_by_site(f, p, start, end);
    else
        own_range(f, p, start, end);
}

/* The tap's own memory is nobody's; what an allocator mapped to put blocks in is not asked for twice. */
static bool is_asked_for(const struct finder *f, const struct place *p)
{
    const char *component = f->site[p->site].component;
    return component && strcmp(component, ATTRIBUTION_BACKING) != 0;
}

/* Each place without those that begin inside of it. */
static void own_places(struct finder *f, const struct places *p)
{
    for (uint32_t i = 0; i < p->count; i++) {
        const struct place *place = &p->place[i];
        uint64_t start = place->start;
        uint32_t first = f->owners->count;
        if (!is_asked_for(f, place))
            continue;
        for (uint32_t k = i + 1; k < p->count && p->place[k].start < place->end; k++) {
            if (p->place[k].start > start)
                own_part(f, place, start, p->place[k].start);
            if (p->place[k].end > start)
                start = p->place[k].end;
        }
        if (start < place->end || place->start == place->end)
            own_part(f, place, start, place->end);
        if (f->owners->count > first)
            f->owners->owner[first].first = !place->reserved;
    }
}

/* --- the whole --------------------------------------------------------------------------------------------------- */

static int by_address(const void *a, const void *b)
{
    const struct owner *x = a, *y = b;
    return x->start != y->start ? (x->start > y->start) - (x->start < y->start) : (x->end > y->end) - (x->end < y->end);
}

static void measure(struct finder *f)
{
    for (uint32_t i = 0; i < f->owners->count; i++) {
        struct owner *o = &f->owners->owner[i];
        struct residency_bytes r = residency_of(f->pages, o->start, o->end);
        o->resident = r.anon + r.file;
        o->swapped = r.swapped;
    }
}

/* So that the name of a tensor tells its model: what was read to one place may have been copied to another since. */
static void open_models(struct finder *f)
{
    for (uint32_t i = 0; i < trace_string_count(f->trace); i++) {
        const char *text = trace_string(f->trace, i);
        if (text && *text == '/')
            tensors_model(f->tensors, text);
    }
}

static int by_range(const void *a, const void *b)
{
    const struct trace_range *x = a, *y = b;
    return (x->start > y->start) - (x->start < y->start);
}

static void collect_own(struct finder *f)
{
    f->own = memory_take(TRACE_OWN * sizeof *f->own);
    for (uint32_t i = 0; i < TRACE_OWN; i++)
        if (trace_info(f->trace)->own[i].start < trace_info(f->trace)->own[i].end)
            f->own[f->owns++] = trace_info(f->trace)->own[i];
    array_sort(f->own, f->owns, sizeof *f->own, by_range);
    f->owners->knows_own = f->owns > 0;
}

struct owners owners_find(const struct heap *h, const struct trace *t, const struct attribution *site,
                          const struct residency_snapshot *pages, struct rules *rules, struct tensors *tensors)
{
    struct owners found = { .measured = pages != NULL };
    struct finder f = {
        .owners = &found, .heap = h, .trace = t, .site = site, .pages = pages, .rules = rules, .tensors = tensors
    };
    struct places places = collect_places(h);
    tensors_sort_caches(&f);
    collect_own(&f);
    open_models(&f);
    own_places(&f, &places);
    array_sort(found.owner, found.count, sizeof *found.owner, by_address);
    if (pages) {
        measure(&f);
        remains_find(&f);
        array_sort(found.owner, found.count, sizeof *found.owner, by_address);
    }
    free(places.place);
    free(f.own);
    free(f.swa);
    return found;
}

void owners_free(struct owners *o)
{
    free(o->owner);
    *o = (struct owners){ .count = 0 };
}
