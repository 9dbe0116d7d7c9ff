/* actual.c: see actual.h. */
#include "report/actual.h"

#include <jansson.h>
#include <string.h>

#include "base/units.h"
#include "report/sampling.h"
#include "report/table.h"
#include "report/values.h"

static const struct {
    const char *name, *title;
} parts[] = {
    { "weights_mapped", "weights, mapped" },   { "weights_read", "weights, read" },
    { "weights_repacked", "repacked copies" }, { "kv_full", "KV, full layers" },
    { "kv_swa", "KV, window layers" },         { "compute", "compute buffers" },
};

/* --- computing --------------------------------------------------------------------------------------------------- */

static bool starts_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

/* Of weights. ACTUAL_PARTS: of none of them. */
static enum actual_part part_of_how(const char *how)
{
    return strcmp(how, "mapped") == 0     ? ACTUAL_MAPPED
           : strcmp(how, "repacked") == 0 ? ACTUAL_REPACKED
           : strcmp(how, "read") == 0     ? ACTUAL_READ
                                          : ACTUAL_PARTS;
}

static enum actual_part part_of(const struct summary_component *c)
{
    if (starts_with(c->path, "kv-cache/swa"))
        return ACTUAL_KV_SWA;
    if (starts_with(c->path, "kv-cache/"))
        return ACTUAL_KV_FULL;
    if (strcmp(c->path, "compute/text") == 0 || strcmp(c->path, "compute/vision") == 0)
        return ACTUAL_COMPUTE; /* what schedules them is no buffer of theirs */
    return starts_with(c->path, "weights/") ? part_of_how(c->how) : ACTUAL_PARTS;
}

/* A buffer has no name, but a type and a usage; a cache is told by the first tensor in it. */
static enum actual_part part_of_buffer(const struct heap *h, const struct heap_buffer *b)
{
    enum actual_part part = part_of_how(owners_how(b));
    if (part == ACTUAL_MAPPED || part == ACTUAL_REPACKED)
        return part;
    if (b->usage == 2)
        return ACTUAL_COMPUTE;
    for (uint32_t i = 0; i < heap_tensor_count(h); i++) {
        const struct heap_content *t = heap_tensor(h, i);
        if (t->start >= b->start && t->end <= b->end && starts_with(t->name, "cache_"))
            return ACTUAL_KV_FULL; /* of both kinds: they are told apart in no figure of the engine */
    }
    return b->usage == 1 ? ACTUAL_READ : ACTUAL_PARTS;
}

/* The tables beside the tensors are not worth a word. */
static bool differ(const struct actual_row *r)
{
    uint64_t more = r->allocated > r->expected ? r->allocated - r->expected : r->expected - r->allocated;
    return more > 4096 + r->expected / 1000;
}

static void explain(struct actual *a, const struct need *n)
{
    struct actual_row *r = a->row;
    for (int i = 0; i < ACTUAL_PARTS; i++)
        r[i].why = "";
    if (r[ACTUAL_REPACKED].allocated && differ(&r[ACTUAL_REPACKED]))
        r[ACTUAL_REPACKED].why = "this processor repacks other types";
    else if (r[ACTUAL_REPACKED].expected && !r[ACTUAL_REPACKED].allocated)
        r[ACTUAL_REPACKED].why = "this build does not repack";
    if (differ(&r[ACTUAL_KV_SWA]))
        r[ACTUAL_KV_SWA].why = "the engine chose other cells for the window";
    if (differ(&r[ACTUAL_KV_FULL]))
        r[ACTUAL_KV_FULL].why = n->has_kv ? "another context or type: see --ctx, --kv-type" : "not foreseen";
    if (differ(&r[ACTUAL_READ]))
        r[ACTUAL_READ].why = r[ACTUAL_READ].allocated > r[ACTUAL_READ].expected ? "another model's, or one more copy"
                                                                                : "not all of it is loaded";
    if (differ(&r[ACTUAL_MAPPED]))
        r[ACTUAL_MAPPED].why = "not all of it is mapped any more";
    if (r[ACTUAL_COMPUTE].allocated)
        r[ACTUAL_COMPUTE].why = "not foreseen: depends on the batch";
}

struct actual actual_compute(const struct need *n, const struct summary *s, struct heap **heap, uint32_t heaps)
{
    struct actual a = { .summary = s };
    for (uint32_t i = 0; i < s->components; i++) {
        enum actual_part part = part_of(&s->component[i]);
        if (part == ACTUAL_PARTS)
            continue;
        a.row[part].allocated += s->component[i].allocated;
        a.row[part].resident += s->component[i].resident + s->component[i].swapped;
    }
    for (uint32_t i = 0; i < heaps; i++)
        for (uint32_t k = 0; k < heap_buffer_count(heap[i]); k++) {
            const struct heap_buffer *b = heap_buffer(heap[i], k);
            enum actual_part part = part_of_buffer(heap[i], b);
            if (part != ACTUAL_PARTS)
                a.row[part].engine += b->end - b->start;
            a.engine = true;
        }
    bool mapped = a.row[ACTUAL_MAPPED].allocated > 0;
    a.row[ACTUAL_MAPPED].expected = mapped ? n->bytes : 0;
    a.row[ACTUAL_READ].expected = n->mmproj_bytes + (mapped ? 0 : n->bytes - a.row[ACTUAL_REPACKED].allocated);
    a.row[ACTUAL_REPACKED].expected = n->repacked;
    a.row[ACTUAL_KV_FULL].expected = n->kv.bytes[NEED_FULL] + n->kv.bytes[NEED_RECURRENT];
    a.row[ACTUAL_KV_SWA].expected = n->kv.bytes[NEED_WINDOW];
    explain(&a, n);
    return a;
}

/* --- showing ----------------------------------------------------------------------------------------------------- */

static const char *cell(char text[UNITS_TEXT], uint64_t bytes)
{
    return bytes ? units_bytes(text, bytes) : "-";
}

void actual_text(const struct actual *a, uint32_t width, FILE *out)
{
    char expected[UNITS_TEXT], allocated[UNITS_TEXT], resident[UNITS_TEXT], engine[UNITS_TEXT], text[400];
    const struct summary *s = a->summary;
    struct table t;
    fputc('\n', out);
    snprintf(text, sizeof text, "in %.200s · at: %s", symbols_base_name(s->session), s->at);
    table_wrap(text, 2, width, out);
    sampling_print(s->sample_mean, 2, width, out);
    fputc('\n', out);
    table_begin(&t, "lrrrrl", 0);
    table_row(&t, "PART", "EXPECTED", "ALLOCATED", s->measured ? "RESIDENT" : "", a->engine ? "ENGINE" : "",
              "THE DIFFERENCE", NULL);
    for (int i = 0; i < ACTUAL_PARTS; i++) {
        const struct actual_row *r = &a->row[i];
        if (r->expected || r->allocated || r->engine)
            table_row(&t, parts[i].title, cell(expected, r->expected), cell(allocated, r->allocated),
                      s->measured ? cell(resident, r->resident) : "", a->engine ? cell(engine, r->engine) : "", r->why,
                      NULL);
    }
    table_print(&t, 2, width, out);
    if (a->engine)
        table_wrap("ENGINE: the buffers that it made, by its own API. Mapped ones are spans of the file from the first "
                   "to the last tensor of a device, and both caches count as one.",
                   2, width, out);
}

bool actual_json(const struct actual *a, FILE *out)
{
    json_t *list = json_array();
    for (int i = 0; i < ACTUAL_PARTS; i++) {
        const struct actual_row *r = &a->row[i];
        json_array_append_new(
            list, json_pack("{s:s s:o s:o s:o s:o s:s}", "part", parts[i].name, "expected", values_number(r->expected),
                            "allocated", values_number(r->allocated), "resident",
                            a->summary->measured ? values_number(r->resident) : json_null(), "engine",
                            a->engine ? values_number(r->engine) : json_null(), "difference", r->why));
    }
    json_t *document = json_pack("{s:i s:s s:o}", "schema_version", 1, "at", a->summary->at, "parts", list);
    bool fine = json_dumpf(document, out, JSON_INDENT(1)) == 0 && fputc('\n', out) != EOF;
    json_decref(document);
    return fine;
}
