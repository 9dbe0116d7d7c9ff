/*
 * gguf.c: GGUF, the format of llama.cpp and Ollama. See model.h.
 *
 * The layout is that of the specification (ggml/docs/gguf.md) and of gguf_init_from_file_impl in ggml/src/gguf.cpp:
 * version 1 has 32-bit lengths and counts, 2 and 3 have 64-bit ones, 3 allows big endian.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model/inside.h"

#define KEYS_MAX 65536u
#define KEPT_ARRAY_MAX (1u << 20) /* bytes; longer arrays are passed over: vocabularies, not shapes */
#define HEADER_MAX (256ull << 20) /* bytes of all keys and tensor lines: a hole of a terabyte must not keep us busy */
#define ALIGNMENT_MAX (1ull << 24)
#define NESTING_MAX 4

struct gguf {
    struct span *s;
    struct model *m;
    uint32_t version, file;
    uint64_t tensors, keys, alignment, data;
    uint64_t split_number, split_count, split_tensors;
    uint32_t first; /* tensor of this file in m */
};

static uint64_t number(struct gguf *g, const char *what)
{
    return g->version == 1 ? span_u32(g->s, what) : span_u64(g->s, what);
}

static bool header_fits(struct gguf *g)
{
    if (g->s->at <= HEADER_MAX)
        return !g->s->failed;
    return span_damaged(g->s, "the header does not end within %llu MiB", HEADER_MAX >> 20);
}

static bool skip_strings(struct gguf *g, uint64_t count)
{
    for (uint64_t i = 0; i < count && header_fits(g); i++)
        span_skip(g->s, number(g, "the length of a string in an array"), "a string in an array");
    return !g->s->failed;
}

/* Reads the elements of an array; those of plain numbers are kept if they are few. */
static bool read_array(struct gguf *g, struct value *v, int nesting)
{
    struct span *s = g->s;
    uint64_t at = s->at, size;
    uint32_t type = span_u32(s, "the type of an array");
    v->count = number(g, "the length of an array");
    if (s->failed)
        return false;
    if (type >= VALUE_TYPES) {
        s->at = at;
        return span_damaged(s, "an array has elements of the unknown type %u", type);
    }
    v->type = type;
    v->offset = s->at;
    v->length_size = g->version == 1 ? 4 : 8;
    if (type == VALUE_STRING)
        return skip_strings(g, v->count);
    if (type == VALUE_ARRAY) {
        if (nesting == NESTING_MAX)
            return span_damaged(s, "arrays are nested more than %d deep", NESTING_MAX);
        for (uint64_t i = 0; i < v->count && header_fits(g); i++)
            read_array(g, &(struct value){ .array = true }, nesting + 1);
        return !s->failed;
    }
    if (__builtin_mul_overflow(v->count, (uint64_t)value_size(type), &size))
        size = UINT64_MAX; /* which is not there either */
    if (size > KEPT_ARRAY_MAX || nesting)
        return span_skip(s, size, "an array");
    v->size = size;
    v->data = (uint8_t *)span_text(s, size, size, "an array");
    return v->data != NULL;
}

static bool read_string(struct gguf *g, struct value *v)
{
    uint64_t length = number(g, "the length of a string");
    uint64_t kept = length < MODEL_TEXT_MAX ? length : MODEL_TEXT_MAX;
    v->count = 1;
    v->data = (uint8_t *)span_text(g->s, kept, kept, "a string");
    v->size = kept;
    return v->data && span_skip(g->s, length - kept, "a string");
}

static bool read_value(struct gguf *g, struct value *v)
{
    struct span *s = g->s;
    uint64_t at = s->at;
    uint32_t type = span_u32(s, "the type of a value");
    if (s->failed)
        return false;
    if (type >= VALUE_TYPES) {
        s->at = at;
        return span_damaged(s, "the value of %.100s has the unknown type %u", v->key, type);
    }
    v->type = type;
    v->array = type == VALUE_ARRAY;
    if (v->array)
        return read_array(g, v, 0);
    if (type == VALUE_STRING)
        return read_string(g, v);
    v->count = 1;
    v->size = value_size(type);
    v->data = (uint8_t *)span_text(s, v->size, v->size, "a value");
    return v->data != NULL;
}

/* What of a key this reader needs itself, from every part of a split model. */
static void note_key(struct gguf *g, const struct value *v)
{
    static const char *const keys[] = { "general.alignment", "split.no", "split.count", "split.tensors.count" };
    uint64_t *const places[] = { &g->alignment, &g->split_number, &g->split_count, &g->split_tensors };
    for (int i = 0; i < 4; i++)
        if (strcmp(v->key, keys[i]) == 0 && !v->array && v->data && value_size(v->type)) {
            *places[i] = 0;
            for (uint32_t b = 0; b < value_size(v->type); b++)
                *places[i] |= (uint64_t)v->data[b] << 8 * b;
        }
}

static bool read_key(struct gguf *g)
{
    struct value v = { .key = NULL };
    uint64_t at = g->s->at;
    char *key = span_text(g->s, number(g, "the length of a key"), MODEL_KEY_MAX, "a key");
    if (!key)
        return false;
    v.key = model_keep(g->m, key);
    free(key);
    if (!read_value(g, &v)) {
        free(v.data);
        return false;
    }
    note_key(g, &v);
    if (g->file > 0) { /* of a split model the first part has the keys that count */
        free(v.data);
        return true;
    }
    if (keys_add(g->m->keys, &v))
        return true;
    g->s->at = at;
    return span_damaged(g->s, "the key %.100s appears twice", v.key);
}

/* The bytes of a tensor; 0 for a type that is not known. */
static bool size_tensor(struct gguf *g, struct model_tensor *t, uint32_t type)
{
    const struct model_type *known = model_type(type);
    char name[24];
    if (!model_elements(t))
        return span_damaged(g->s, "the dimensions of %.100s are too large to be true", t->name);
    if (!known) {
        snprintf(name, sizeof name, "type %u", type);
        t->type = (struct model_type){ .name = model_keep(g->m, name), .number = (int32_t)(type & INT32_MAX) };
        t->bytes_by_gap = true;
        return true;
    }
    t->type = *known;
    if (t->dim[0] % t->type.block)
        return span_damaged(g->s, "a row of %.100s has %" PRIu64 " elements, no multiple of the %u in a block of %s",
                            t->name, t->dim[0], t->type.block, t->type.name);
    if (__builtin_mul_overflow(t->elements / t->type.block, (uint64_t)t->type.bytes, &t->bytes))
        return span_damaged(g->s, "the dimensions of %.100s are too large to be true", t->name);
    return true;
}

static bool read_tensor(struct gguf *g)
{
    struct span *s = g->s;
    uint64_t at = s->at;
    char *name = span_text(s, number(g, "the length of a tensor's name"), MODEL_NAME_MAX, "the name of a tensor");
    if (!name)
        return false;
    struct model_tensor *t = model_add_tensor(g->m, name);
    if (!t) {
        s->at = at;
        span_damaged(s, "the tensor %.100s appears twice", name);
        free(name);
        return false;
    }
    free(name);
    t->file = g->file;
    t->dims = span_u32(s, "the number of a tensor's dimensions");
    if (t->dims > MODEL_DIMS) {
        uint32_t dims = t->dims;
        t->dims = 0;
        return span_damaged(s, "%.100s has %u dimensions", t->name, dims);
    }
    for (uint32_t i = 0; i < t->dims; i++)
        t->dim[i] = number(g, "a dimension");
    for (uint32_t i = t->dims; i < MODEL_DIMS; i++)
        t->dim[i] = 1;
    uint32_t type = span_u32(s, "the type of a tensor");
    t->offset = span_u64(s, "the place of a tensor");
    return !s->failed && size_tensor(g, t, type);
}

static int by_offset(const void *a, const void *b)
{
    const struct model_tensor *const *x = a, *const *y = b;
    if ((*x)->offset != (*y)->offset)
        return (*x)->offset < (*y)->offset ? -1 : 1;
    return ((*x)->bytes > (*y)->bytes) - ((*x)->bytes < (*y)->bytes); /* an empty one before what begins there too */
}

/* Tensors begin at multiples of the alignment, lie in the file, and do not overlap; unknown ones end where the next begins. */
static bool place_tensors(struct gguf *g)
{
    uint32_t count = g->m->tensors - g->first;
    struct model_tensor **order = memory_take((count + 1) * sizeof *order);
    bool fine = true;
    for (uint32_t i = 0; i < count; i++)
        order[i] = &g->m->tensor[g->first + i];
    array_sort(order, count, sizeof(struct model_tensor *), by_offset);
    for (uint32_t i = 0; i < count && fine; i++) {
        struct model_tensor *t = order[i];
        uint64_t room = g->s->size > g->data ? g->s->size - g->data : 0;
        uint64_t next = i + 1 < count && order[i + 1]->offset < room ? order[i + 1]->offset : room;
        if (t->offset & (g->alignment - 1))
            fine = span_damaged(g->s, "%.100s begins at %" PRIu64 ", no multiple of the alignment %" PRIu64, t->name,
                                t->offset, g->alignment);
        else if (t->offset > room || t->bytes > room - t->offset)
            fine = error_set(g->s->error, EXIT_DAMAGED,
                             "%s is cut off: %.100s should take %" PRIu64 " bytes at byte %" PRIu64
                             ", and the file ends at %" PRIu64 "; fetch it again",
                             g->s->path, t->name, t->bytes, g->data + t->offset, g->s->size);
        else if (!t->bytes_by_gap && t->bytes > next - t->offset)
            fine = span_damaged(g->s, "%.100s and %.100s overlap", t->name, order[i + 1]->name);
        else if (t->bytes_by_gap)
            t->bytes = next - t->offset;
    }
    for (uint32_t i = 0; i < count; i++)
        order[i]->offset += g->data;
    free(order);
    return fine;
}

static bool read_counts(struct gguf *g)
{
    struct span *s = g->s;
    span_skip(s, 4, "the magic number");
    g->version = span_u32(s, "the version");
    if (s->failed)
        return false;
    if (g->version && (g->version & 0xffff) == 0)
        return error_set(s->error, EXIT_DAMAGED,
                         "%s is a big-endian GGUF file (version %u); memtap reads little-endian ones", s->path,
                         __builtin_bswap32(g->version));
    if (g->version < 1 || g->version > 3)
        return error_set(s->error, EXIT_DAMAGED, "%s has version %u of GGUF; memtap reads 1 to 3", s->path, g->version);
    g->tensors = number(g, "the number of tensors");
    g->keys = number(g, "the number of keys");
    if (!s->failed && (g->tensors > MODEL_TENSORS_MAX || g->keys > KEYS_MAX))
        return span_damaged(s, "it claims %" PRIu64 " tensors and %" PRIu64 " keys, more than any model has",
                            g->tensors, g->keys);
    return !s->failed;
}

static bool read_part(struct gguf *g, const char *path, struct error *e)
{
    g->s = span_open(path, e);
    if (!g->s)
        return false;
    g->file = model_add_file(g->m, path, g->s->size);
    g->first = g->m->tensors;
    g->alignment = 32;
    bool fine = read_counts(g);
    for (uint64_t i = 0; fine && i < g->keys; i++)
        fine = read_key(g) && header_fits(g);
    if (fine && (g->alignment == 0 || g->alignment > ALIGNMENT_MAX || (g->alignment & (g->alignment - 1))))
        fine = span_damaged(g->s, "general.alignment is %" PRIu64 ", no power of two", g->alignment);
    for (uint64_t i = 0; fine && i < g->tensors; i++)
        fine = read_tensor(g) && header_fits(g);
    if (fine) {
        g->data = (g->s->at + g->alignment - 1) & ~(g->alignment - 1); /* a power of two, as was checked */
        if (g->data > g->s->size)
            g->data = g->s->size; /* a file without weights need not be padded */
        fine = place_tensors(g);
    }
    g->m->file[g->file].data = g->data;
    span_close(g->s);
    return fine;
}

/* All parts, whichever of them was named. */
static bool read_parts(struct gguf *g, const char *path, struct error *e)
{
    size_t stem;
    uint32_t asked, count;
    struct gguf first = { .m = g->m };
    if (!path_part(path, &stem, &asked, &count))
        return read_part(g, path, e);
    bool fine = true;
    for (uint32_t i = 1; fine && i <= count; i++) {
        char *part = path_of_part(path, stem, i, count);
        struct gguf next = { .m = g->m };
        if (access(part, F_OK) != 0)
            fine = error_set(e, EXIT_TROUBLE, "%s is part %u of %u, and part %u is missing: there is no %s", path,
                             asked, count, i, part);
        else
            fine = read_part(&next, part, e);
        if (fine && (next.split_count != count || next.split_number != i - 1))
            fine = error_set(e, EXIT_DAMAGED,
                             "%s is by its name part %u of %u, but says itself that it is part %" PRIu64 " of %" PRIu64,
                             part, i, count, next.split_number + 1, next.split_count);
        if (i == 1)
            first = next;
        free(part);
    }
    *g = first;
    if (fine && g->split_tensors && g->split_tensors != g->m->tensors)
        return error_set(e, EXIT_DAMAGED, "%s says that the model has %" PRIu64 " tensors, and its parts have %u",
                         g->m->file[0].path, g->split_tensors, g->m->tensors);
    return fine;
}

bool gguf_read(struct model *m, const char *path, struct error *e)
{
    struct gguf g = { .m = m };
    const char *text;
    m->format = MODEL_GGUF;
    if (!read_parts(&g, path, e))
        return false;
    if (m->files == 1 && g.split_count > 1)
        return error_set(e, EXIT_TROUBLE,
                         "%s is part %" PRIu64 " of %" PRIu64
                         " of a split model, but its name does not say where the others are: call it "
                         "NAME-%05" PRIu64 "-of-%05" PRIu64 ".gguf, beside them",
                         path, g.split_number + 1, g.split_count, g.split_number + 1, g.split_count);
    m->version = g.version;
    if ((text = model_text(m, "general.architecture")))
        m->architecture = text;
    if ((text = model_text(m, "general.name")))
        m->name = text;
    return true;
}
