/* table.c: see table.h. Linear probing; what is removed leaves no trace, for the blocks behind it move up. */
#include "heap/table.h"

#include <stddef.h>

#include "base/memory.h"

#define FIRST_ROOM 1024u

struct table_block *table_find(const struct table *t, uint64_t address)
{
    if (!t->room)
        return NULL;
    for (uint64_t i = table_home(t, address);; i = (i + 1) & (t->room - 1)) {
        struct table_block *b = &t->block[i];
        if (!b->number)
            return NULL;
        if (b->address == address)
            return b;
    }
}

static struct table_block *find_or_end(const struct table *t, uint64_t address)
{
    uint64_t i = table_home(t, address);
    while (t->block[i].number && t->block[i].address != address)
        i = (i + 1) & (t->room - 1);
    return &t->block[i];
}

static void grow(struct table *t)
{
    struct table old = *t;
    t->room = old.room ? old.room * 2 : FIRST_ROOM;
    t->shift = 64 - (unsigned)__builtin_ctzll(t->room);
    t->block = memory_take_pages(t->room * sizeof *t->block);
    for (uint64_t i = 0; i < old.room; i++)
        if (old.block[i].number)
            *find_or_end(t, old.block[i].address) = old.block[i];
    memory_free_pages(old.block, old.room * sizeof *old.block);
}

struct table_block *table_put(struct table *t, uint64_t address)
{
    if (t->count >= t->room / 8 * 5)
        grow(t);
    struct table_block *b = find_or_end(t, address);
    t->count += !b->number;
    b->address = address;
    return b;
}

void table_remove(struct table *t, struct table_block *b)
{
    const uint64_t mask = t->room - 1;
    uint64_t hole = (uint64_t)(b - t->block);
    for (uint64_t i = (hole + 1) & mask; t->block[i].number; i = (i + 1) & mask) {
        uint64_t home = table_home(t, t->block[i].address);
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            t->block[hole] = t->block[i];
            hole = i;
        }
    }
    t->block[hole].number = 0;
    t->count--;
}

const struct table_block *table_next(const struct table *t, uint64_t *i)
{
    while (*i < t->room) {
        const struct table_block *b = &t->block[(*i)++];
        if (b->number)
            return b;
    }
    return NULL;
}

void table_free(struct table *t)
{
    memory_free_pages(t->block, t->room * sizeof *t->block);
}
