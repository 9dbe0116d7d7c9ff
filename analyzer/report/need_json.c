/* need_json.c: what models will take, for programs; the names are those of model.schema.json. See report/need.h. */
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "report/need.h"

/* JSON text is UTF-8; what stands in a file need not be. */
static json_t *text(const char *s)
{
    json_t *value = json_string(s);
    if (value)
        return value;
    char *copy = memory_copy(s, strlen(s));
    for (char *p = copy; *p; p++)
        if (*p & 0x80)
            *p = '?';
    value = json_string(copy);
    free(copy);
    return value;
}

static json_t *number(uint64_t n)
{
    return json_integer((json_int_t)(n > INT64_MAX ? INT64_MAX : n));
}

static json_t *tensor_json(const struct model_tensor *t)
{
    json_t *shape = json_array();
    for (uint32_t i = 0; i < t->dims; i++)
        json_array_append_new(shape, number(t->dim[i]));
    return json_pack("{s:o s:o s:o s:o s:o s:o s:o s:o s:b}", "name", text(t->name), "component", text(t->component),
                     "type", text(t->type.name), "shape", shape, "bytes", number(t->bytes), "file", number(t->file),
                     "offset", number(t->offset), "layer", t->layer < 0 ? json_null() : json_integer(t->layer),
                     "unknown_type", t->bytes_by_gap);
}

static json_t *model_json(const struct model *m)
{
    json_t *files = json_array(), *tensors = json_array();
    for (uint32_t i = 0; i < m->files; i++)
        json_array_append_new(files, json_pack("{s:o s:o s:o}", "path", text(m->file[i].path), "bytes",
                                               number(m->file[i].size), "data", number(m->file[i].data)));
    for (uint32_t i = 0; i < m->tensors; i++)
        json_array_append_new(tensors, tensor_json(&m->tensor[i]));
    return json_pack("{s:o s:s s:o s:o s:o s:o s:o}", "path", text(m->path), "format", model_format_name(m->format),
                     "version", m->version ? number(m->version) : json_null(), "architecture", text(m->architecture),
                     "name", text(m->name), "files", files, "tensors", tensors);
}

static json_t *cache_json(const struct need *n, const struct need_options *o)
{
    static const char *const kinds[] = { "full", "swa", "recurrent", "none" };
    const struct need_kv *kv = &n->kv;
    json_t *parts = json_array(), *layers = json_array();
    if (!n->has_kv)
        return json_null();
    for (int kind = 0; kind < NEED_NONE; kind++)
        if (kv->count[kind])
            json_array_append_new(parts, json_pack("{s:s s:o s:o s:o s:o s:b}", "kind", kinds[kind], "layers",
                                                   number(kv->count[kind]), "bytes_per_token",
                                                   number(kind == NEED_RECURRENT ? 0 : kv->token[kind]), "cells",
                                                   number(kind == NEED_FULL     ? kv->cells
                                                          : kind == NEED_WINDOW ? kv->window_cells
                                                                                : o->parallel),
                                                   "bytes", number(kv->bytes[kind]), "estimate", kind != NEED_FULL));
    for (uint32_t i = 0; i < kv->layers; i++)
        json_array_append_new(
            layers, json_pack("{s:s s:o}", "kind", kinds[kv->layer[i].kind], "bytes", number(kv->layer[i].bytes)));
    return json_pack("{s:o s:o s:o s:s s:s s:o s:s s:o s:o}", "ctx", number(kv->ctx), "trained_ctx",
                     kv->trained_ctx ? number(kv->trained_ctx) : json_null(), "parallel", number(o->parallel), "keys",
                     o->keys->name, "values", o->values->name, "window", number(kv->window), "window_source",
                     kv->source, "parts", parts, "layers", layers);
}

static json_t *expected_json(const struct need *n)
{
    return json_pack("{s:o s:o s:o s:o s:o}", "mapped_file_bytes", number(n->bytes), "mapped_bytes", number(n->mapped),
                     "repacked_bytes", number(n->repacked), "mapped_with_repacking_bytes",
                     number(n->mapped + n->repacked), "read_bytes", number(n->read));
}

static json_t *need_object(const struct need *n, const struct need_options *o)
{
    json_t *components = json_array(), *vision = json_null();
    for (uint32_t i = 0; i < n->rows; i++) {
        const struct need_row *r = &n->row[i];
        json_array_append_new(components, json_pack("{s:o s:o s:o s:o s:b}", "path", text(r->component), "type",
                                                    text(r->type), "tensors", number(r->tensors), "bytes",
                                                    number(r->bytes), "quantised", r->quantised));
    }
    if (n->image)
        vision = json_pack("{s:o s:o s:o s:o}", "image_size", number(n->image), "patches", number(n->patches),
                           "image_bytes", number(n->pixels), "attention_matrix_bytes", number(n->attention));
    return json_pack("{s:o s:o s:o s:o s:o s:o s:b s:o s:o s:o}", "model", model_json(n->model), "mmproj",
                     n->mmproj ? model_json(n->mmproj) : json_null(), "components", components, "bytes",
                     number(n->bytes), "mmproj_bytes", number(n->mmproj_bytes), "unquantised_bytes",
                     number(n->unquantised), "tied_embedding", n->tied, "vision", vision, "kv_cache", cache_json(n, o),
                     "expected", expected_json(n));
}

bool need_json(const struct need *n, uint32_t count, const struct need_options *o, FILE *out)
{
    json_t *models = json_array();
    for (uint32_t i = 0; i < count; i++)
        json_array_append_new(models, need_object(&n[i], o));
    json_t *document = json_pack("{s:i s:o}", "schema_version", 1, "models", models);
    bool fine = json_dumpf(document, out, JSON_INDENT(1)) == 0 && fputc('\n', out) != EOF;
    json_decref(document);
    return fine;
}
