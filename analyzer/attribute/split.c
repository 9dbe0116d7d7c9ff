/* split.c: a piece of a place, split by what lies in it: what is known of a range beats the call stack of the whole. */
#include <string.h>

#include "attribute/inside.h"
#include "base/memory.h"

static struct owner *add_owner(struct owners *w, uint64_t start, uint64_t end)
{
    array_room(w->piece, w->pieces, w->piece_room);
    struct owner *owner = &w->piece[w->pieces++];
    *owner = OWNER_OF_NOTHING(start, end);
    return owner;
}

/* [start, end) by the call stack, the weakest evidence. */
static struct owner *own_by_site(struct owners *w, const struct place *p, uint64_t start, uint64_t end)
{
    const struct attribution *a = &w->site[p->site];
    struct owner *o = add_owner(w, start, end);
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
static void own_by_file(struct owners *w, const struct place *p, uint64_t start, uint64_t end, const char *path,
                        uint64_t offset, const char *how)
{
    const struct model *m = tensors_model(w->tensors, path);
    while (start < end) {
        const struct model_tensor *t = m ? tensors_at(w->tensors, m, path, offset) : NULL;
        uint64_t until = !t                   ? end
                         : t->offset > offset ? start + (t->offset - offset)
                                              : start + (t->offset + t->bytes - offset);
        struct owner *o = own_by_site(w, p, start, until < end ? until : end);
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
static void own_plain(struct owners *w, const struct place *p, uint64_t start, uint64_t end)
{
    const struct heap_mapping *m = p->mapping != HEAP_NO_SITE ? heap_mapping(w->heap, p->mapping) : NULL;
    const char *path = m && m->file ? trace_string(w->trace, m->file) : NULL;
    if (path) {
        own_by_file(w, p, start, end, path, m->offset + (start - m->start), "mapped");
        return;
    }
    uint32_t count = heap_file_bytes_count(w->heap);
    /* What JavaScript looks into the file with is not what the engine computes with. */
    const char *how = strncmp(w->site[p->site].component, "runtime/js", 10) == 0 ? "copy" : "read";
    for (uint32_t i = heap_file_bytes_behind(w->heap, start); start < end; i++) {
        const struct heap_content *c = i < count ? heap_file_bytes(w->heap, i) : NULL;
        if (!c || c->start >= end) {
            tensors_own_rest(w, own_by_site(w, p, start, end));
            return;
        }
        if (c->start > start)
            tensors_own_rest(w, own_by_site(w, p, start, c->start));
        uint64_t from = c->start > start ? c->start : start, to = c->end < end ? c->end : end;
        path = trace_string(w->trace, c->file);
        own_by_file(w, p, from, to, path ? path : "", c->offset + (from - c->start), how);
        start = to;
    }
}

/* The file whose bytes were mapped or read to the address; NULL if none were. */
static const char *source_of(const struct owners *w, const struct place *p, uint64_t address)
{
    const struct heap_mapping *m = p->mapping != HEAP_NO_SITE ? heap_mapping(w->heap, p->mapping) : NULL;
    if (m)
        return m->file ? trace_string(w->trace, m->file) : NULL;
    uint32_t count = heap_file_bytes_count(w->heap), i = heap_file_bytes_behind(w->heap, address);
    const struct heap_content *c = i < count ? heap_file_bytes(w->heap, i) : NULL;
    return c && c->start <= address ? trace_string(w->trace, c->file) : NULL;
}

/* [start, end) of a place that no other place covers. */
static void own_range(struct owners *w, const struct place *p, uint64_t start, uint64_t end)
{
    uint32_t count = heap_tensor_count(w->heap);
    for (uint32_t i = heap_tensor_behind(w->heap, start); start < end; i++) {
        const struct heap_content *c = i < count ? heap_tensor(w->heap, i) : NULL;
        if (!c || c->start >= end) {
            own_plain(w, p, start, end);
            return;
        }
        struct owner o = {
            .time = p->time, .site = p->site, .file = "", .allocated = !p->reserved, .weight = p->weight
        };
        if (!tensors_own(w, i, source_of(w, p, c->start), &o))
            continue;
        if (c->start > start)
            own_plain(w, p, start, c->start);
        o.start = c->start > start ? c->start : start;
        o.end = start = c->end < end ? c->end : end;
        o.offset += *o.file ? o.start - c->start : 0;
        *add_owner(w, o.start, o.end) = o;
    }
}

static void own_by_tag(struct owners *w, const struct place *p, uint64_t start, uint64_t end, const char *tag)
{
    struct owner *o = own_by_site(w, p, start, end);
    o->component = rules_keep(w->rules, tag);
    o->how = "";
    o->evidence = EVIDENCE_TAG;
}

void split_place(struct owners *w, const struct place *p, uint64_t start, uint64_t end)
{
    w->pieces = 0;
    const struct attribution *a = &w->site[p->site];
    const char *tag = p->tag ? trace_string(w->trace, p->tag) : NULL;
    if (tag)
        own_by_tag(w, p, start, end, tag);
    else if (a->evidence == EVIDENCE_TAG || start == end)
        own_by_site(w, p, start, end);
    else
        own_range(w, p, start, end);
}
