/* intern.c: see intern.h. */
#include "base/intern.h"

#include <htslib/khash.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

KHASH_MAP_INIT_STR(strings, uint32_t)

struct intern {
    khash_t(strings) * table;
    char **text;
    uint32_t count, room;
};

struct intern *intern_new(void)
{
    struct intern *in = memory_take(sizeof *in);
    in->table = kh_init(strings);
    return in;
}

void intern_free(struct intern *in)
{
    if (!in)
        return;
    for (uint32_t i = 0; i < in->count; i++)
        free(in->text[i]);
    free(in->text);
    kh_destroy(strings, in->table);
    free(in);
}

uint32_t intern_add(struct intern *in, const char *text)
{
    khint_t k = kh_get(strings, in->table, text);
    if (k != kh_end(in->table))
        return kh_value(in->table, k);
    int result;
    array_room(in->text, in->count, in->room);
    in->text[in->count] = memory_copy(text, strlen(text));
    k = kh_put(strings, in->table, in->text[in->count], &result);
    kh_value(in->table, k) = in->count;
    return in->count++;
}

bool intern_find(const struct intern *in, const char *text, uint32_t *number)
{
    khint_t k = kh_get(strings, in->table, text);
    bool there = k != kh_end(in->table);
    if (there)
        *number = kh_value(in->table, k);
    return there;
}

const char *intern_text(const struct intern *in, uint32_t number)
{
    return in->text[number];
}
