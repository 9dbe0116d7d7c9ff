/*
 * safetensors.c: safetensors, one file or several with an index, and the config.json beside them. See model.h.
 *
 * The layout (github.com/huggingface/safetensors): eight bytes of length, a JSON object of that length, the data. The
 * places of tensors count from the end of the JSON.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model/inside.h"

/* --- config.json ------------------------------------------------------------------------------------------------- */

static uint8_t *encode(uint64_t bits)
{
    uint8_t *data = memory_take(8);
    for (int i = 0; i < 8; i++)
        data[i] = (uint8_t)(bits >> 8 * i);
    return data;
}

static bool scalar_value(const json_t *j, struct value *v)
{
    double real = json_real_value(j);
    uint64_t bits = 0;
    v->count = 1;
    v->size = 8;
    if (json_is_string(j)) {
        v->type = VALUE_STRING;
        v->size = json_string_length(j);
        v->data = (uint8_t *)memory_copy(json_string_value(j), v->size);
        return true;
    }
    if (json_is_integer(j)) {
        v->type = VALUE_I64;
        bits = (uint64_t)json_integer_value(j);
    } else if (json_is_real(j)) {
        v->type = VALUE_F64;
        memcpy(&bits, &real, sizeof bits);
    } else if (json_is_boolean(j)) {
        v->type = VALUE_U64;
        bits = json_is_true(j);
    } else {
        return false;
    }
    v->data = encode(bits);
    return true;
}

/* Strings, or whole numbers; other arrays are left out. */
static bool array_value(const json_t *j, struct value *v)
{
    size_t count = json_array_size(j), room = 0;
    bool strings = json_is_string(json_array_get(j, 0));
    v->array = true;
    v->count = count;
    v->type = strings ? VALUE_STRING : VALUE_I64;
    for (size_t i = 0; i < count; i++) {
        const json_t *item = json_array_get(j, i);
        if (strings ? !json_is_string(item) : !json_is_integer(item))
            return false;
        room += strings ? json_string_length(item) + 1 : 8;
    }
    v->data = memory_take(room + 1);
    for (size_t i = 0; i < count; i++) {
        const json_t *item = json_array_get(j, i);
        uint8_t *number = strings ? NULL : encode((uint64_t)json_integer_value(item));
        size_t size = strings ? strlen(json_string_value(item)) + 1 : 8;
        memcpy(v->data + v->size, strings ? (const void *)json_string_value(item) : number, size);
        v->size += size;
        free(number);
    }
    return true;
}

static void add_config(struct model *m, json_t *object, const char *prefix, int depth)
{
    const char *key;
    json_t *item;
    json_object_foreach(object, key, item)
    {
        char name[256];
        struct value v = { .key = NULL };
        snprintf(name, sizeof name, "%s%s%s", prefix, *prefix ? "." : "", key);
        if (json_is_object(item) && depth < 3) {
            add_config(m, item, name, depth + 1);
        } else if (json_is_array(item) ? array_value(item, &v) : scalar_value(item, &v)) {
            v.key = model_keep(m, name);
            keys_add(m->keys, &v);
        }
    }
}

/* The model's shape, if its config.json lies beside it. A broken one is as good as none: the tensors do not need it. */
static void read_config(struct model *m, const char *path)
{
    struct error ignored;
    uint64_t size = 0;
    char *name = path_beside(path, "config.json");
    char *text = access(name, F_OK) == 0 ? file_text(name, 1 << 20, &size, &ignored) : NULL;
    json_t *config = text ? json_loadb(text, size, 0, NULL) : NULL;
    const char *found;
    if (json_is_object(config))
        add_config(m, config, "", 0);
    if ((found = model_text(m, "model_type")))
        m->architecture = found;
    if ((found = model_text(m, "_name_or_path")))
        m->name = found;
    json_decref(config);
    free(text);
    free(name);
}

/* --- one file ---------------------------------------------------------------------------------------------------- */

struct reading {
    struct model *m;
    const char *path;
    uint64_t data, size; /* where the data begins, how much of it there is */
    uint32_t file;
    struct error *e;
};

static bool wrong(struct reading *r, const char *name, const char *what)
{
    return error_set(r->e, EXIT_DAMAGED, "%s is damaged: in its header, between bytes 8 and %" PRIu64 ", %.100s %s",
                     r->path, r->data, name, what);
}

static bool whole_number(const json_t *j, uint64_t *n)
{
    *n = (uint64_t)json_integer_value(j);
    return json_is_integer(j) && json_integer_value(j) >= 0;
}

static bool read_shape(struct model_tensor *t, const json_t *shape)
{
    if (!json_is_array(shape) || json_array_size(shape) > MODEL_DIMS)
        return false;
    t->dims = (uint32_t)json_array_size(shape);
    for (uint32_t i = 0; i < MODEL_DIMS; i++)
        t->dim[i] = 1;
    for (uint32_t i = 0; i < t->dims; i++)
        if (!whole_number(json_array_get(shape, i), &t->dim[i]))
            return false;
    return model_elements(t);
}

static bool read_tensor(struct reading *r, const char *name, const json_t *item)
{
    const char *dtype = json_string_value(json_object_get(item, "dtype"));
    const json_t *places = json_object_get(item, "data_offsets");
    uint64_t begin, end, bytes;
    if (strlen(name) > MODEL_NAME_MAX)
        return wrong(r, name, "has a name that is too long");
    if (!dtype || !read_shape(&(struct model_tensor){ .dims = 0 }, json_object_get(item, "shape")))
        return wrong(r, name, "has no dtype, or a shape that cannot be true");
    if (json_array_size(places) != 2 || !whole_number(json_array_get(places, 0), &begin) ||
        !whole_number(json_array_get(places, 1), &end) || begin > end)
        return wrong(r, name, "has no data_offsets");
    if (end > r->size)
        return error_set(r->e, EXIT_DAMAGED,
                         "%s is damaged or cut off: %.100s should end at byte %" PRIu64 ", and the file at %" PRIu64
                         "; fetch it again",
                         r->path, name, r->data + (end < UINT64_MAX - r->data ? end : 0), r->data + r->size);
    struct model_tensor *t = model_add_tensor(r->m, name);
    if (!t)
        return wrong(r, name, "appears twice");
    read_shape(t, json_object_get(item, "shape"));
    t->file = r->file;
    t->offset = r->data + begin;
    t->bytes = end - begin;
    const struct model_type *type = model_type_named(dtype);
    if (!type || type->block > 1) { /* a later dtype: the places say how much it is */
        t->type = (struct model_type){ .name = model_keep(r->m, dtype), .number = -1 };
        t->bytes_by_gap = true;
        return true;
    }
    t->type = *type;
    t->type.number = -1;
    if (__builtin_mul_overflow(t->elements, (uint64_t)type->bytes, &bytes) || bytes != t->bytes)
        return wrong(r, name, "has another size than its shape");
    return true;
}

static bool read_header(struct reading *r, const char *text, uint64_t size)
{
    json_error_t problem;
    const char *key;
    json_t *item, *header = json_loadb(text, size, JSON_REJECT_DUPLICATES, &problem);
    if (!json_is_object(header)) {
        json_decref(header);
        return error_set(r->e, EXIT_DAMAGED, "%s is damaged: its header, from byte 8, is no JSON object: %.100s",
                         r->path, header ? "it is something else" : problem.text);
    }
    bool fine = true;
    if (json_object_size(header) > MODEL_TENSORS_MAX)
        fine = wrong(r, "it", "claims more tensors than any model has");
    json_object_foreach(header, key, item) if (fine && strcmp(key, "__metadata__") != 0) fine =
        read_tensor(r, key, item);
    json_decref(header);
    return fine;
}

static bool read_one(struct model *m, const char *path, struct error *e)
{
    struct span *s = span_open(path, e);
    if (!s)
        return false;
    struct reading r = { .m = m, .path = path, .e = e, .file = model_add_file(m, path, s->size) };
    uint64_t size = span_u64(s, "the length of the header");
    char *text = span_text(s, size, MODEL_JSON_MAX, "the header");
    r.data = s->at;
    r.size = s->size - s->at;
    m->file[r.file].data = r.data;
    bool fine = text && read_header(&r, text, size);
    free(text);
    span_close(s);
    return fine;
}

/* --- opening ----------------------------------------------------------------------------------------------------- */

bool safetensors_read(struct model *m, const char *path, struct error *e)
{
    size_t stem;
    uint32_t asked, count;
    m->format = MODEL_SAFETENSORS;
    read_config(m, path);
    if (!path_part(path, &stem, &asked, &count))
        return read_one(m, path, e);
    for (uint32_t i = 1; i <= count; i++) {
        char *part = path_of_part(path, stem, i, count);
        bool there = access(part, F_OK) == 0, fine = there && read_one(m, part, e);
        if (!there)
            error_set(e, EXIT_TROUBLE, "%s is part %u of %u, and part %u is missing: there is no %s", path, asked,
                      count, i, part);
        free(part);
        if (!fine)
            return false;
    }
    return true;
}

static bool has_file(const struct model *m, const char *path)
{
    for (uint32_t i = 0; i < m->files; i++)
        if (strcmp(m->file[i].path, path) == 0)
            return true;
    return false;
}

/* Opens every file that the index names, each once; then every tensor of the index must be there. */
static bool read_listed(struct model *m, const char *path, json_t *map, struct error *e)
{
    const char *tensor;
    json_t *item;
    json_object_foreach(map, tensor, item)
    {
        const char *name = json_string_value(item);
        if (!name || !*name || strchr(name, '/'))
            return error_set(e, EXIT_DAMAGED, "%s is damaged: it names no file beside it for %.100s", path, tensor);
        char *part = path_beside(path, name);
        bool there = has_file(m, part) || access(part, F_OK) == 0;
        bool fine = there && (has_file(m, part) || read_one(m, part, e));
        if (!there)
            error_set(e, EXIT_TROUBLE, "%s names a file that is missing: there is no %s", path, part);
        free(part);
        if (!fine)
            return false;
    }
    json_object_foreach(map, tensor, item) if (!model_find(m, tensor)) return error_set(
        e, EXIT_DAMAGED, "%s says that %.100s is in %.100s, and it is not", path, tensor, json_string_value(item));
    return true;
}

bool safetensors_read_index(struct model *m, const char *path, struct error *e)
{
    uint64_t size;
    json_error_t problem;
    char *text = file_text(path, MODEL_JSON_MAX, &size, e);
    if (!text)
        return false;
    json_t *index = json_loadb(text, size, 0, &problem), *map = json_object_get(index, "weight_map");
    bool fine;
    free(text);
    m->format = MODEL_SAFETENSORS;
    if (!json_is_object(map) || json_object_size(map) == 0) {
        fine = error_set(e, EXIT_DAMAGED, "%s is no index of a model: %.100s", path,
                         index ? "it has no weight_map" : problem.text);
    } else {
        read_config(m, path);
        fine = read_listed(m, path, map, e);
    }
    json_decref(index);
    return fine;
}
