/*
 * blockset.h: the addresses of the blocks that were recorded and are not freed yet, when only a sample is recorded: a
 * free is recorded if its block was. Nothing is locked. An address is put in after malloc returned it, and taken out
 * before it goes to free, so nobody else deals with it meanwhile.
 *
 * A hash table of buckets, one cache line each: seven addresses, and a word with a mark of each (eight bits of its hash).
 * For most frees the word alone says that the address is not there; it changes only when a recorded block comes or goes.
 * There is a small table, which stays in the cache, and a large one for what finds no room in its bucket of the small one,
 * or in the buckets before it; every bucket that an address passes counts it.
 */
#ifndef PRELOAD_BLOCKSET_H
#define PRELOAD_BLOCKSET_H

#include "sys.h"

#define BLOCKSET_SMALL_BITS 12u /* of the number of buckets: 256 KiB */
#define BLOCKSET_LARGE_BITS 16u /* 4 MiB, of which what is not used takes no memory */
#define BLOCKSET_BUCKETS ((1u << BLOCKSET_SMALL_BITS) + (1u << BLOCKSET_LARGE_BITS))
#define BLOCKSET_SLOTS 7u

struct blockset_bucket {
    uint64_t marks; /* byte i: of address[i], or 0; byte 7: how many addresses passed. Little-endian */
    uintptr_t address[BLOCKSET_SLOTS];
};

struct blockset {
    struct blockset_bucket *bucket; /* those of the small table, then those of the large one */
    bool full;                      /* an address found no room: from then on every block may be a recorded one */
};

extern HIDDEN struct blockset blockset;

/* Makes the tables, once; where there is no memory for it, it is full from the start. */
void blockset_start(void);

/* Puts an address in, if it is not there. False: there is no room, and `full` is set. */
bool blockset_put(const void *block);

/* Takes an address out; false if it was not there. */
bool blockset_take(const void *block);

static inline uint64_t blockset_hash(const void *block)
{
    return (uintptr_t)block * 0x9e3779b97f4a7c15ull; /* 2^64 / golden ratio */
}

static inline uint8_t blockset_mark(uint64_t hash)
{
    uint8_t mark = (uint8_t)(hash >> (56 - BLOCKSET_SMALL_BITS));
    return mark ? mark : 1;
}

/* Whether a bucket with these marks may hold an address with this mark, or one behind it may: if one of the bytes is the
 * mark, or something passed. */
static inline bool blockset_may_hold(uint64_t marks, uint8_t mark)
{
    const uint64_t ones = 0x0101010101010101ull, highs = 0x0080808080808080ull;
    uint64_t zero_if_same = marks ^ mark * ones;
    return (((zero_if_same - ones) & ~zero_if_same & highs) | marks >> 56) != 0;
}

/* Whether the address is really there. */
bool blockset_find(const void *block);

/* Hot path: whether the address is not there, for all but a few of those that are not. */
static inline bool blockset_lacks(const void *block)
{
    uint64_t hash = blockset_hash(block);
    if (unlikely(blockset.full))
        return false;
    uint64_t marks = __atomic_load_n(&blockset.bucket[hash >> (64 - BLOCKSET_SMALL_BITS)].marks, __ATOMIC_RELAXED);
    return likely(!blockset_may_hold(marks, blockset_mark(hash)));
}

/* Whether the free of this block is to be recorded. */
static inline bool blockset_has(const void *block)
{
    return blockset.full || (!blockset_lacks(block) && blockset_find(block));
}

#endif
