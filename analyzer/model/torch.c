/*
 * torch.c: PyTorch checkpoints, which are zip archives: NAME/data.pkl describes the tensors, NAME/data/KEY are their
 * storages. See model.h. Zip by APPNOTE.TXT of PKWARE, sections 4.3.7, 4.3.12 to 4.3.16 and 4.5.3.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/inside.h"

#define END_SIZE 22u
#define END_SEARCH (END_SIZE + 65535u)
#define ENTRIES_MAX MODEL_TENSORS_MAX
#define DIRECTORY_MAX (256ull << 20)
#define PICKLE_MAX (64u << 20)

struct storage {
    const char *key; /* what comes behind "data/" */
    uint64_t offset, size;
    bool named; /* a tensor of the pickle lies in it */
};

struct archive {
    struct span *s;
    struct model *m;
    uint64_t directory, entries;
    struct storage *storage;
    uint32_t count, room;
    struct intern *keys; /* number i is storage i */
    uint64_t pickle, pickle_size;
    uint16_t pickle_method;
    bool has_pickle, big_endian;
};

static uint64_t little(const uint8_t *p, int size)
{
    uint64_t n = 0;
    for (int i = 0; i < size; i++)
        n |= (uint64_t)p[i] << 8 * i;
    return n;
}

/* --- the archive ------------------------------------------------------------------------------------------------- */

/* The 64-bit record of the end, if the locator before the usual one points to it. */
static bool read_end64(struct archive *a, uint64_t end)
{
    uint8_t locator[20], record[56];
    struct span *s = a->s;
    if (end < sizeof locator)
        return true;
    span_seek(s, end - sizeof locator, "the 64-bit locator");
    span_bytes(s, locator, sizeof locator, "the 64-bit locator");
    if (s->failed || memcmp(locator, "PK\6\7", 4) != 0)
        return !s->failed;
    span_seek(s, little(locator + 8, 8), "the 64-bit end of the archive");
    span_bytes(s, record, sizeof record, "the 64-bit end of the archive");
    if (!s->failed && memcmp(record, "PK\6\6", 4) != 0)
        return span_damaged(s, "the 64-bit end of the archive is not there");
    a->entries = little(record + 32, 8);
    a->directory = little(record + 48, 8);
    return !s->failed;
}

static bool find_directory(struct archive *a)
{
    struct span *s = a->s;
    uint32_t size = s->size < END_SEARCH ? (uint32_t)s->size : END_SEARCH;
    uint64_t start = s->size - size;
    uint8_t *tail = memory_take(END_SEARCH);
    span_seek(s, start, "the end of the archive");
    span_bytes(s, tail, size, "the end of the archive");
    int64_t at = (int64_t)size - END_SIZE;
    while (at >= 0 && memcmp(tail + at, "PK\5\6", 4) != 0)
        at--;
    if (at >= 0) {
        a->entries = little(tail + at + 10, 2);
        a->directory = little(tail + at + 16, 4);
    }
    free(tail);
    if (s->failed)
        return false;
    if (at < 0)
        return error_set(s->error, EXIT_DAMAGED,
                         "%s is cut off: it has no directory of a zip archive at its end, byte %" PRIu64
                         "; fetch or save it again",
                         s->path, s->size);
    if (!read_end64(a, start + (uint64_t)at))
        return false;
    span_seek(s, a->directory, "the directory");
    if (!s->failed && a->entries > ENTRIES_MAX)
        return span_damaged(s, "the directory claims %" PRIu64 " entries", a->entries);
    return !s->failed;
}

struct entry {
    uint16_t method;
    uint64_t size, stored, header;
};

/* The 64-bit numbers of the extra field replace those that are all ones. */
static void read_extra64(const uint8_t *extra, uint32_t size, struct entry *en)
{
    uint64_t *const fields[] = { &en->size, &en->stored, &en->header };
    for (uint32_t at = 0; at + 4 <= size;) {
        uint32_t id = (uint32_t)little(extra + at, 2), length = (uint32_t)little(extra + at + 2, 2), used = 0;
        if (length > size - at - 4)
            return;
        for (int i = 0; id == 1 && i < 3; i++)
            if (*fields[i] == UINT32_MAX && used + 8 <= length) {
                *fields[i] = little(extra + at + 4 + used, 8);
                used += 8;
            }
        at += 4 + length;
    }
}

/* Where the bytes of an entry begin: its own header has another extra field than the directory. */
static bool data_offset(struct archive *a, const struct entry *en, const char *name, uint64_t *offset)
{
    uint8_t local[30];
    struct span *s = a->s;
    uint64_t back = s->at;
    span_seek(s, en->header, "an entry of the archive");
    span_bytes(s, local, sizeof local, "an entry of the archive");
    if (s->failed)
        return false;
    if (memcmp(local, "PK\3\4", 4) != 0)
        return span_damaged(s, "the entry %.100s is not where the directory says", name);
    *offset = s->at + little(local + 26, 2) + little(local + 28, 2);
    if (*offset > s->size || en->stored > s->size - *offset)
        return span_damaged(s, "the entry %.100s should take %" PRIu64 " bytes, and is cut off", name, en->stored);
    return span_seek(s, back, "the directory");
}

static bool note_entry(struct archive *a, const char *name, const struct entry *en)
{
    const char *inside = strchr(name, '/');
    uint64_t offset = 0;
    inside = inside ? inside + 1 : name;
    bool pickle = strcmp(inside, "data.pkl") == 0, storage = strncmp(inside, "data/", 5) == 0 && inside[5];
    if (!pickle && !storage) {
        a->big_endian |= strcmp(inside, "byteorder") == 0 && en->size == 3; /* "big", not "little" */
        return true;
    }
    if (!data_offset(a, en, name, &offset))
        return false;
    if (pickle) {
        a->has_pickle = true;
        a->pickle = offset;
        a->pickle_size = en->stored;
        a->pickle_method = en->method;
        return true;
    }
    if (en->method || en->stored != en->size)
        return span_damaged(a->s, "the storage %.100s is compressed, which PyTorch never does", name);
    if (intern_add(a->keys, inside + 5) != a->count)
        return span_damaged(a->s, "the storage %.100s appears twice", name);
    array_room(a->storage, a->count, a->room);
    a->storage[a->count] =
        (struct storage){ .key = intern_text(a->keys, a->count), .offset = offset, .size = en->size };
    a->count++;
    return true;
}

static bool read_entry(struct archive *a)
{
    uint8_t fixed[46];
    struct span *s = a->s;
    if (!span_bytes(s, fixed, sizeof fixed, "an entry of the directory"))
        return false;
    if (memcmp(fixed, "PK\1\2", 4) != 0)
        return span_damaged(s, "the directory ends before its last entry");
    struct entry en = { .method = (uint16_t)little(fixed + 10, 2),
                        .stored = little(fixed + 20, 4),
                        .size = little(fixed + 24, 4),
                        .header = little(fixed + 42, 4) };
    uint32_t name_size = (uint32_t)little(fixed + 28, 2), extra_size = (uint32_t)little(fixed + 30, 2);
    char *name = span_text(s, name_size, UINT16_MAX, "the name of an entry");
    char *extra = name ? span_text(s, extra_size, UINT16_MAX, "the extra field of an entry") : NULL;
    span_skip(s, little(fixed + 32, 2), "the comment of an entry");
    bool fine = name && extra && !s->failed;
    if (fine) {
        read_extra64((const uint8_t *)extra, extra_size, &en);
        fine = note_entry(a, name, &en);
    }
    free(name);
    free(extra);
    return fine;
}

/* --- tensors ----------------------------------------------------------------------------------------------------- */

/* PyTorch's names of storages. */
static const struct model_type *storage_type(const char *name)
{
    static const char *const names[][2] = {
        { "FloatStorage", "F32" },
        { "HalfStorage", "F16" },
        { "BFloat16Storage", "BF16" },
        { "DoubleStorage", "F64" },
        { "LongStorage", "I64" },
        { "IntStorage", "I32" },
        { "ShortStorage", "I16" },
        { "CharStorage", "I8" },
        { "ByteStorage", "U8" },
        { "BoolStorage", "BOOL" },
        { "float8_e4m3fn", "F8_E4M3" },
        { "float8_e5m2", "F8_E5M2" },
        { "ComplexFloatStorage", "C64" },
        { "ComplexDoubleStorage", "C128" },
        { "float32", "F32" },
        { "float16", "F16" },
        { "bfloat16", "BF16" },
        { "float64", "F64" },
        { "int64", "I64" },
        { "int32", "I32" },
        { "int16", "I16" },
        { "int8", "I8" },
        { "uint8", "U8" },
        { "bool", "BOOL" },
        { "uint16", "U16" },
        { "uint32", "U32" },
        { "uint64", "U64" },
        { "complex64", "C64" },
        { "complex128", "C128" },
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i][0]) == 0)
            return model_type_named(names[i][1]);
    return NULL;
}

static bool add_tensor(void *context, const struct pickle_tensor *p)
{
    struct archive *a = context;
    const struct model_type *type = storage_type(p->type);
    uint32_t number;
    uint64_t first, bytes;
    struct model_tensor shape = { .dims = p->dims };
    memcpy(shape.dim, p->dim, sizeof shape.dim);
    if (!intern_find(a->keys, p->storage, &number))
        return span_damaged(a->s, "the storage data/%.100s of %.100s is missing", p->storage, p->name);
    const struct storage *st = &a->storage[number];
    if (!model_elements(&shape) || (type && (__builtin_mul_overflow(p->first, (uint64_t)type->bytes, &first) ||
                                             __builtin_mul_overflow(shape.elements, (uint64_t)type->bytes, &bytes))))
        return span_damaged(a->s, "the dimensions of %.100s are too large to be true", p->name);
    if (!type) {
        first = 0;
        bytes = st->size;
    }
    if (first > st->size || bytes > st->size - first)
        return span_damaged(a->s, "%.100s does not fit into its storage data/%.100s", p->name, p->storage);
    struct model_tensor *t = strlen(p->name) <= MODEL_NAME_MAX ? model_add_tensor(a->m, p->name) : NULL;
    if (!t)
        return span_damaged(a->s, "the tensor %.100s appears twice, or its name is too long", p->name);
    const char *name = t->name;
    *t = shape;
    t->name = name;
    t->layer = -1;
    t->bytes_by_gap = !type;
    t->type = type ? *type : (struct model_type){ .name = model_keep(a->m, p->type) };
    t->type.number = -1;
    t->bytes = bytes;
    t->offset = st->offset + first;
    a->storage[number].named = true;
    return true;
}

/* What the pickle does not name keeps the name of its entry. */
static void add_nameless(struct archive *a)
{
    for (uint32_t i = 0; i < a->count; i++) {
        char name[MODEL_NAME_MAX];
        const struct storage *st = &a->storage[i];
        if (st->named || !st->size)
            continue;
        snprintf(name, sizeof name, "data/%.1000s", st->key);
        struct model_tensor *t = model_add_tensor(a->m, name);
        if (!t)
            continue;
        t->type = (struct model_type){ .name = "bytes", .number = -1 };
        t->dims = 1;
        t->dim[0] = t->elements = t->bytes = st->size;
        t->offset = st->offset;
        t->bytes_by_gap = true;
    }
}

static bool read_pickle(struct archive *a)
{
    char why[200] = "";
    struct span *s = a->s;
    if (!a->has_pickle)
        return error_set(s->error, EXIT_DAMAGED, "%s is a zip archive, but no PyTorch checkpoint: it has no data.pkl",
                         s->path);
    if (a->big_endian)
        return error_set(s->error, EXIT_DAMAGED, "%s was written on a big-endian machine, which memtap does not read",
                         s->path);
    if (a->pickle_method)
        return span_damaged(s, "data.pkl is compressed, which PyTorch never does");
    span_seek(s, a->pickle, "data.pkl");
    char *text = span_text(s, a->pickle_size, PICKLE_MAX, "data.pkl");
    if (!text)
        return false;
    bool fine = pickle_read((const uint8_t *)text, a->pickle_size, add_tensor, a, why);
    free(text);
    if (!fine && !s->failed) {
        s->at = a->pickle;
        return span_damaged(s, "data.pkl %s", why);
    }
    return fine;
}

bool torch_read(struct model *m, const char *path, struct error *e)
{
    struct archive a = { .m = m, .s = span_open(path, e) };
    if (!a.s)
        return false;
    a.keys = intern_new();
    m->format = MODEL_TORCH;
    model_add_file(m, path, a.s->size);
    bool fine = find_directory(&a);
    uint64_t start = a.directory;
    for (uint64_t i = 0; fine && i < a.entries; i++) {
        fine = read_entry(&a);
        if (fine && a.s->at - start > DIRECTORY_MAX)
            fine = span_damaged(a.s, "the directory does not end within %llu MiB", DIRECTORY_MAX >> 20);
    }
    fine = fine && read_pickle(&a);
    if (fine)
        add_nameless(&a);
    intern_free(a.keys);
    free(a.storage);
    span_close(a.s);
    return fine;
}
