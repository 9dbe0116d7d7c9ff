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

/* The address will be looked for soon; not for an empty table. (gcc 12 takes a function that does nothing else for one that does nothing, and
 * drops calls of it, unless it is inlined before it is looked at.) */
static inline __attribute__((always_inline)) void table_prefetch(const struct table *t, uint64_t address)
{
    uint64_t home = table_home(t, address);
    __builtin_prefetch(&t->block[home], 1);
    __builtin_prefetch(&t->block[(home + 2) & (t->room - 1)], 1); /* the next line: where it is not, or what moves up */
}

#endif
