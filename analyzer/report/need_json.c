/* need_json.c: what models will take, for programs; the names are those of model.schema.json. See report/need.h. */
#include <inttypes.h>
#include <jansson.h>
#include <string.h>

#include "report/need.h"
#include "report/values.h"

static json_t *tensor_json(const struct model_tensor *t)
{
    json_t *shape = json_array();
    for (uint32_t i = 0; i < t->dims; i++)
        json_array_append_new(shape, values_number(t->dim[i]));
    return json_pack("{s:o s:o s:o s:o s:o s:o s:o s:o s:b}", "name", values_text(t->name), "component",
                     values_text(t->component), "type", values_text(t->type.name), "shape", shape, "bytes",
                     values_number(t->bytes), "file", values_number(t->file), "offset", values_number(t->offset),
                     "layer", t->layer < 0 ? json_null() : json_integer(t->layer), "unknown_type", t->bytes_by_gap);
}

static json_t *model_json(const struct model *m)
{
    json_t *files = json_array(), *tensors = json_array();
    for (uint32_t i = 0; i < m->files; i++)
        json_array_append_new(files, json_pack("{s:o s:o s:o}", "path", values_text(m->file[i].path), "bytes",
                                               values_number(m->file[i].size), "data", values_number(m->file[i].data)));
    for (uint32_t i = 0; i < m->tensors; i++)
        json_array_append_new(tensors, tensor_json(&m->tensor[i]));
    return json_pack("{s:o s:s s:o s:o s:o s:o s:o}", "path", values_text(m->path), "format",
                     model_format_name(m->format), "version", m->version ? values_number(m->version) : json_null(),
                     "architecture", values_text(m->architecture), "name", values_text(m->name), "files", files,
                     "tensors", tensors);
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
            json_array_append_new(parts,
                                  json_pack("{s:s s:o s:o s:o s:o s:b}", "kind", kinds[kind], "layers",
                                            values_number(kv->count[kind]), "bytes_per_token",
                                            values_number(kind == NEED_RECURRENT ? 0 : kv->token[kind]), "cells",
                                            values_number(kind == NEED_FULL     ? kv->cells
                                                          : kind == NEED_WINDOW ? kv->window_cells
                                                                                : o->parallel),
                                            "bytes", values_number(kv->bytes[kind]), "estimate", kind != NEED_FULL));
    for (uint32_t i = 0; i < kv->layers; i++)
        json_array_append_new(layers, json_pack("{s:s s:o}", "kind", kinds[kv->layer[i].kind], "bytes",
                                                values_number(kv->layer[i].bytes)));
    return json_pack("{s:o s:o s:o s:s s:s s:o s:s s:o s:o}", "ctx", values_number(kv->ctx), "trained_ctx",
                     kv->trained_ctx ? values_number(kv->trained_ctx) : json_null(), "parallel",
                     values_number(o->parallel), "keys", o->keys->name, "values", o->values->name, "window",
                     values_number(kv->window), "window_source", kv->source, "parts", parts, "layers", layers);
}

static json_t *expected_json(const struct need *n)
{
    return json_pack("{s:o s:o s:o s:o s:o}", "mapped_file_bytes", values_number(n->bytes), "mapped_bytes",
                     values_number(n->mapped), "repacked_bytes", values_number(n->repacked),
                     "mapped_with_repacking_bytes", values_number(n->mapped + n->repacked), "read_bytes",
                     values_number(n->read));
}

static json_t *need_object(const struct need *n, const struct need_options *o)
{
    json_t *components = json_array(), *vision = json_null();
    for (uint32_t i = 0; i < n->rows; i++) {
        const struct need_row *r = &n->row[i];
        json_array_append_new(components, json_pack("{s:o s:o s:o s:o s:b}", "path", values_text(r->component), "type",
                                                    values_text(r->type), "tensors", values_number(r->tensors), "bytes",
                                                    values_number(r->bytes), "quantised", r->quantised));
    }
    if (n->image)
        vision =
            json_pack("{s:o s:o s:o s:o}", "image_size", values_number(n->image), "patches", values_number(n->patches),
                      "image_bytes", values_number(n->pixels), "attention_matrix_bytes", values_number(n->attention));
    return json_pack("{s:o s:o s:o s:o s:o s:o s:b s:o s:o s:o}", "model", model_json(n->model), "mmproj",
                     n->mmproj ? model_json(n->mmproj) : json_null(), "components", components, "bytes",
                     values_number(n->bytes), "mmproj_bytes", values_number(n->mmproj_bytes), "unquantised_bytes",
                     values_number(n->unquantised), "tied_embedding", n->tied, "vision", vision, "kv_cache",
                     cache_json(n, o), "expected", expected_json(n));
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
