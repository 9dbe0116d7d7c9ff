/* keys.c: a model's keys and values. See model.h and inside.h. */
#include <htslib/khash.h>
#include <stdlib.h>
#include <string.h>

#include "model/inside.h"

KHASH_MAP_INIT_STR(places, uint32_t)

struct model_keys {
    struct value *value;
    uint32_t count, room;
    khash_t(places) * place;
};

uint32_t value_size(enum value_type type)
{
    static const uint8_t sizes[VALUE_TYPES] = { 1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8 };
    return sizes[type];
}

struct model_keys *keys_new(void)
{
    struct model_keys *k = memory_take(sizeof *k);
    k->place = kh_init(places);
    return k;
}

void keys_free(struct model_keys *k)
{
    if (!k)
        return;
    for (uint32_t i = 0; i < k->count; i++)
        free(k->value[i].data);
    kh_destroy(places, k->place);
    free(k->value);
    free(k);
}

bool keys_add(struct model_keys *k, const struct value *v)
{
    int fresh;
    khint_t at = kh_put(places, k->place, v->key, &fresh);
    if (!fresh) {
        free(v->data);
        return false;
    }
    kh_value(k->place, at) = k->count;
    array_room(k->value, k->count, k->room);
    k->value[k->count++] = *v;
    return true;
}

static const struct value *find(const struct model *m, const char *key)
{
    khint_t at = kh_get(places, m->keys->place, key);
    return at == kh_end(m->keys->place) ? NULL : &m->keys->value[kh_value(m->keys->place, at)];
}

uint32_t model_key_count(const struct model *m)
{
    return m->keys->count;
}

const char *model_key(const struct model *m, uint32_t number)
{
    return m->keys->value[number].key;
}

bool model_has(const struct model *m, const char *key)
{
    return find(m, key) != NULL;
}

uint64_t model_count(const struct model *m, const char *key)
{
    const struct value *v = find(m, key);
    return v ? v->count : 0;
}

static uint64_t raw(const struct value *v, uint64_t index)
{
    uint64_t n = 0;
    for (uint32_t size = value_size(v->type), i = 0; i < size; i++)
        n |= (uint64_t)v->data[index * size + i] << 8 * i;
    return n;
}

/* Whether an element is kept and is a number. */
static bool kept(const struct value *v, uint64_t index)
{
    return v && v->data && v->type != VALUE_STRING && index < v->count;
}

static bool signed_value(const struct value *v, uint64_t index, int64_t *value)
{
    uint64_t n = raw(v, index);
    switch (v->type) {
    case VALUE_I8:
        *value = (int64_t)(n ^ 0x80) - 0x80; /* the eighth bit is the sign */
        return true;
    case VALUE_I16:
        *value = (int16_t)n;
        return true;
    case VALUE_I32:
        *value = (int32_t)n;
        return true;
    case VALUE_I64:
        *value = (int64_t)n;
        return true;
    default:
        return false;
    }
}

bool model_u64(const struct model *m, const char *key, uint64_t index, uint64_t *value)
{
    const struct value *v = find(m, key);
    int64_t number;
    if (!kept(v, index) || v->type == VALUE_F32 || v->type == VALUE_F64)
        return false;
    if (signed_value(v, index, &number)) {
        *value = (uint64_t)number;
        return number >= 0;
    }
    *value = raw(v, index);
    return true;
}

bool model_f64(const struct model *m, const char *key, uint64_t index, double *value)
{
    const struct value *v = find(m, key);
    int64_t number;
    if (!kept(v, index))
        return false;
    uint64_t bits = raw(v, index);
    if (v->type == VALUE_F64) {
        memcpy(value, &bits, sizeof *value);
    } else if (v->type == VALUE_F32) {
        float f;
        uint32_t low = (uint32_t)bits;
        memcpy(&f, &low, sizeof f);
        *value = f;
    } else {
        *value = signed_value(v, index, &number) ? (double)number : (double)bits;
    }
    return true;
}

const char *model_text(const struct model *m, const char *key)
{
    const struct value *v = find(m, key);
    return v && v->type == VALUE_STRING && !v->array ? (const char *)v->data : NULL;
}

char *model_text_at(const struct model *m, const char *key, uint64_t index)
{
    const struct value *v = find(m, key);
    struct error e;
    char *text = NULL;
    if (!v || v->type != VALUE_STRING || index >= v->count)
        return NULL;
    if (!v->array)
        return memory_copy((const char *)v->data, v->size);
    if (!v->length_size) {
        const char *p = (const char *)v->data;
        for (; index; index--)
            p += strlen(p) + 1;
        return memory_copy(p, strlen(p));
    }
    struct span *s = span_open(m->file[0].path, &e);
    if (!s)
        return NULL;
    span_seek(s, v->offset, "an array");
    for (uint64_t i = 0; i <= index && !s->failed; i++) {
        uint64_t length = v->length_size == 4 ? span_u32(s, "a length") : span_u64(s, "a length");
        if (i == index)
            text = span_text(s, length, MODEL_TEXT_MAX, "a string");
        else
            span_skip(s, length, "a string");
    }
    span_close(s);
    return text;
}
