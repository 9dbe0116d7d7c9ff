/* blockset.c: see blockset.h. */
#include "blockset.h"

#define SMALL (1u << BLOCKSET_SMALL_BITS)
#define LARGE (1u << BLOCKSET_LARGE_BITS)
#define LARGE_SHIFT (56 - BLOCKSET_SMALL_BITS - BLOCKSET_LARGE_BITS) /* the bits of the hash below those of the mark */
#define REACH 17u /* buckets that are tried: one of the small table, and the rest side by side in the large one */
#define MOST_PASSED 255u
#define CHANGING 1u /* stands in a slot whose mark is being taken away: no address */

struct blockset blockset;

/* Where an address is, or would be: bucket `number` of those that are tried. */
struct place {
    struct blockset_bucket *bucket;
    unsigned number, slot;
};

static struct blockset_bucket *bucket_of(uint64_t hash, unsigned number)
{
    if (number == 0)
        return &blockset.bucket[hash >> (64 - BLOCKSET_SMALL_BITS)];
    return &blockset.bucket[SMALL + ((hash >> LARGE_SHIFT) + number) % LARGE];
}

static uint8_t *mark_at(struct blockset_bucket *b, unsigned slot)
{
    return (uint8_t *)&b->marks + slot;
}

static uint8_t *passed_at(struct blockset_bucket *b)
{
    return (uint8_t *)&b->marks + BLOCKSET_SLOTS;
}

void blockset_start(void)
{
    blockset.bucket = sys_map(BLOCKSET_BUCKETS * sizeof *blockset.bucket);
    blockset.full = !blockset.bucket;
}

static bool find(const void *block, struct place *p)
{
    uint64_t hash = blockset_hash(block);
    for (p->number = 0; p->number < REACH; p->number++) {
        p->bucket = bucket_of(hash, p->number);
        for (p->slot = 0; p->slot < BLOCKSET_SLOTS; p->slot++)
            if (__atomic_load_n(&p->bucket->address[p->slot], __ATOMIC_ACQUIRE) == (uintptr_t)block)
                return true;
        if (!__atomic_load_n(passed_at(p->bucket), __ATOMIC_ACQUIRE))
            return false;
    }
    return false;
}

bool blockset_find(const void *block)
{
    struct place p;
    return find(block, &p);
}

/* Counts an address that finds no room in the bucket; false if that cannot be counted. */
static bool pass(struct blockset_bucket *b)
{
    uint8_t passed = __atomic_load_n(passed_at(b), __ATOMIC_RELAXED);
    do {
        if (passed == MOST_PASSED)
            return false;
    } while (!__atomic_compare_exchange_n(passed_at(b), &passed, (uint8_t)(passed + 1), false, __ATOMIC_ACQ_REL,
                                          __ATOMIC_RELAXED));
    return true;
}

/* The address is no more behind the first `count` buckets. */
static void unpass(uint64_t hash, unsigned count)
{
    while (count-- > 0)
        __atomic_fetch_sub(passed_at(bucket_of(hash, count)), 1, __ATOMIC_ACQ_REL);
}

static bool put_into(struct blockset_bucket *b, const void *block, uint8_t mark)
{
    for (unsigned slot = 0; slot < BLOCKSET_SLOTS; slot++) {
        uintptr_t none = 0;
        if (__atomic_load_n(&b->address[slot], __ATOMIC_RELAXED) == 0 &&
            __atomic_compare_exchange_n(&b->address[slot], &none, (uintptr_t)block, false, __ATOMIC_ACQ_REL,
                                        __ATOMIC_RELAXED)) {
            __atomic_store_n(mark_at(b, slot), mark, __ATOMIC_RELEASE);
            return true;
        }
    }
    return false;
}

bool blockset_put(const void *block)
{
    uint64_t hash = blockset_hash(block);
    unsigned number = 0;
    if (blockset.full)
        return false;
    if (blockset_find(block))
        return true;
    for (; number < REACH; number++) {
        if (put_into(bucket_of(hash, number), block, blockset_mark(hash)))
            return true;
        if (!pass(bucket_of(hash, number)))
            break;
    }
    unpass(hash, number);
    __atomic_store_n(&blockset.full, true, __ATOMIC_RELAXED);
    return false;
}

bool blockset_take(const void *block)
{
    struct place p;
    uintptr_t address = (uintptr_t)block;
    if (!blockset.bucket || !find(block, &p) ||
        !__atomic_compare_exchange_n(&p.bucket->address[p.slot], &address, CHANGING, false, __ATOMIC_ACQ_REL,
                                     __ATOMIC_RELAXED))
        return false;
    __atomic_store_n(mark_at(p.bucket, p.slot), 0, __ATOMIC_RELEASE);
    __atomic_store_n(&p.bucket->address[p.slot], 0, __ATOMIC_RELEASE);
    unpass(blockset_hash(block), p.number);
    return true;
}
