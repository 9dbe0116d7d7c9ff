/*
 * table.h: the live blocks by address, inside heap/. Open addressing with the blocks inline, two to a cache line: with
 * a million of them a look-up costs one miss, and table_prefetch hides that one.
 */
#ifndef HEAP_TABLE_H
#define HEAP_TABLE_H

#include <stdbool.h>
#include <stdint.h>

struct table_block {
    uint64_t address, size, time;
    uint32_t number; /* of its site, plus 1; 0: nothing is here */
    uint32_t thread;
};

struct table {
    struct table_block *block;
    uint64_t count, room; /* room: a power of two, or 0 */
    unsigned shift;       /* of a hash, to a place */
};

/* NULL if there is none. What these return is valid until the next change of the table. */
struct table_block *table_find(const struct table *t, uint64_t address);
/* The block at this address, or a new one with nothing but its address set: its number is 0 then, and must become
 * another. */
struct table_block *table_put(struct table *t, uint64_t address);
void table_remove(struct table *t, struct table_block *b);
void table_free(struct table *t);

/* The next block that is there, from place *i on; NULL behind the last. */
const struct table_block *table_next(const struct table *t, uint64_t *i);

/* Where the address belongs, spread by 2^64 / golden ratio: addresses are multiples of 16, mostly. */
static inline uint64_t table_home(const struct table *t, uint64_t address)
{
    return address * 0x9e3779b97f4a7c15ull >> t->shift;
}

/* The address will be looked for soon. */
static inline void table_prefetch(const struct table *t, uint64_t address)
{
    if (t->room)
        __builtin_prefetch(&t->block[table_home(t, address)], 1);
}

#endif
