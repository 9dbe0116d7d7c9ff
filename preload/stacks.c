/* stacks.c: see stacks.h. */
#include "stacks.h"

#define XXH_INLINE_ALL
#define XXH_NO_STREAM
#include <xxhash.h>

#define TIERS 4u
#define TIER_BITS(tier)                                                                                                \
    (14u + 3u * (tier))      /* of the number of its buckets; a tier is open once those before are full */
#define FIRST_BLOCK_BITS 12u /* the first block holds 4,096 nodes, each further one as many as all before it */
#define BLOCKS 14u           /* up to 33 M nodes */

#define TAG_VALUE (1ull << 63)    /* no code address has this bit */
#define STRING_PARENT 0xffffffffu /* no node has this number: strings are found by their hash under it */
#define PARENT (1u << 31)

struct node {
    uint64_t value; /* written last; 0: not yet, or no more */
    uint32_t parent;
    uint32_t next; /* in the bucket's chain; 0 ends it. With PARENT: it is some other node's parent */
};

static struct {
    uint32_t *tier[TIERS]; /* heads of chains, by hash; new nodes go into the last tier that is open */
    uint32_t open;         /* which that is */
    struct node *block[BLOCKS];
    uint32_t used; /* next free number - RECORD_NODE_FIRST */
} table;

static unsigned block_of(uint32_t n)
{
    return n >> FIRST_BLOCK_BITS ? 32 - FIRST_BLOCK_BITS - (unsigned)__builtin_clz(n) : 0;
}

static uint32_t block_first(unsigned block)
{
    return block ? 1u << (FIRST_BLOCK_BITS + block - 1) : 0;
}

static size_t block_size(unsigned block)
{
    return sizeof(struct node) << (FIRST_BLOCK_BITS + (block ? block - 1 : 0));
}

/* Where the node is, or would be; NULL: no node has had such a number yet. */
static inline __attribute__((always_inline)) struct node *node_or_null(uint32_t number)
{
    uint32_t n = number - RECORD_NODE_FIRST;
    unsigned block = block_of(n);
    struct node *nodes = likely(block < BLOCKS) ? __atomic_load_n(&table.block[block], __ATOMIC_ACQUIRE) : NULL;
    return likely(nodes != NULL) ? &nodes[n - block_first(block)] : NULL;
}

static struct node *node_at(uint32_t number)
{
    uint32_t n = number - RECORD_NODE_FIRST;
    unsigned block = block_of(n);
    return &__atomic_load_n(&table.block[block], __ATOMIC_ACQUIRE)[n - block_first(block)];
}

static inline bool is(const struct node *node, uint32_t parent, uint64_t value)
{
    return __atomic_load_n(&node->value, __ATOMIC_ACQUIRE) == value && node->parent == parent;
}

static inline uint32_t next_of(const struct node *node)
{
    return __atomic_load_n(&node->next, __ATOMIC_RELAXED) & ~PARENT;
}

static inline bool is_parent(const struct node *node)
{
    return __atomic_load_n(&node->next, __ATOMIC_RELAXED) & PARENT;
}

static inline void set_parent(struct node *node)
{
    if (!is_parent(node))
        __atomic_fetch_or(&node->next, PARENT, __ATOMIC_RELAXED);
}

static uint32_t bucket_of(unsigned tier, uint32_t parent, uint64_t value)
{
    uint64_t hash = value * 0x9e3779b97f4a7c15ull ^ (uint64_t)parent * 0xc2b2ae3d27d4eb4full;
    return (uint32_t)(hash >> (64 - TIER_BITS(tier)));
}

static uint32_t find_between(uint32_t from, uint32_t to, uint32_t parent, uint64_t value)
{
    const struct node *node;
    for (uint32_t number = from; number != to; number = next_of(node)) {
        node = node_at(number);
        if (is(node, parent, value))
            return number;
    }
    return 0;
}

static uint32_t find_by_hash(uint32_t parent, uint64_t value)
{
    uint32_t number = 0;
    for (unsigned tier = __atomic_load_n(&table.open, __ATOMIC_ACQUIRE) + 1; tier-- > 0 && !number;) {
        const uint32_t *bucket = __atomic_load_n(&table.tier[tier], __ATOMIC_ACQUIRE);
        if (likely(bucket != NULL))
            number = find_between(__atomic_load_n(&bucket[bucket_of(tier, parent, value)], __ATOMIC_ACQUIRE), 0, parent,
                                  value);
    }
    return number;
}

/* A bucket is hardly ever in the cache, the parent nearly always is: nodes that one walk defined lie side by side. */
uint32_t stacks_find(uint32_t parent, uint64_t value)
{
    const struct node *above = node_or_null(parent), *beside = node_or_null(parent + 1);
    if (above && !is_parent(above))
        return 0;
    return beside && is(beside, parent, value) ? parent + 1 : find_by_hash(parent, value);
}

#ifdef UNWIND_CHECK
bool stacks_is(uint32_t number, uint64_t value, uint32_t *parent)
{
    const struct node *node = number == RECORD_NODE_NONE ? NULL : node_at(number);
    if (node)
        *parent = node->parent;
    return node && __atomic_load_n(&node->value, __ATOMIC_RELAXED) == value;
}
#endif

/* Puts memory of `size` bytes where *place points, unless there is some. */
static bool provide(void **place, size_t size)
{
    void *none = NULL, *memory;
    if (__atomic_load_n(place, __ATOMIC_ACQUIRE))
        return true;
    if (!(memory = sys_map(size)))
        return false;
    if (!__atomic_compare_exchange_n(place, &none, memory, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        sys_unmap(memory, size);
    return true;
}

static bool provide_tier(unsigned tier)
{
    return provide((void **)&table.tier[tier], sizeof *table.tier[tier] << TIER_BITS(tier));
}

/* Opens the next tier when there are as many nodes as buckets in the last: chains stay short. Two threads may just then
 * define the same thing in two tiers; a stack with two numbers does no harm. */
static void grow(uint32_t used)
{
    uint32_t open = __atomic_load_n(&table.open, __ATOMIC_ACQUIRE);
    if (used >> TIER_BITS(open) && open + 1 < TIERS && provide_tier(open + 1))
        __atomic_compare_exchange_n(&table.open, &open, open + 1, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

/* A number nobody else has, and memory for its node; 0 if the table is full. */
static uint32_t new_number(void)
{
    uint32_t n = __atomic_fetch_add(&table.used, 1, __ATOMIC_RELAXED);
    unsigned block = block_of(n);
    grow(n);
    if (block < BLOCKS && provide_tier(0) && provide((void **)&table.block[block], block_size(block)))
        return n + RECORD_NODE_FIRST;
    tracefile_shortfall(TRACE_SHORT_STACKS_FULL);
    return 0;
}

/* Makes a recorded definition findable. Returns its number, or the number of whoever was first. */
static uint32_t publish(uint32_t number, uint32_t parent, uint64_t value)
{
    struct node *node = node_at(number), *above = node_or_null(parent);
    unsigned tier = __atomic_load_n(&table.open, __ATOMIC_ACQUIRE);
    uint32_t *head = &table.tier[tier][bucket_of(tier, parent, value)], seen = 0;
    uint32_t first = __atomic_load_n(head, __ATOMIC_ACQUIRE);
    do {
        uint32_t theirs = find_between(first, seen, parent, value);
        if (theirs)
            return theirs;
        seen = first;
        node->parent = parent;
        node->next = first;
        __atomic_store_n(&node->value, value, __ATOMIC_RELEASE);
    } while (!__atomic_compare_exchange_n(head, &first, number, false, __ATOMIC_RELEASE, __ATOMIC_ACQUIRE));
    if (above)
        set_parent(above);
    return number;
}

uint32_t stacks_define(struct cursor *cursor, uint32_t parent, uint64_t value, uint32_t module, uint64_t offset)
{
    uint32_t number = new_number();
    struct record_node r = { .id = number, .parent = parent, .module = module, .value = offset };
    if (!number || !ring_put(cursor, RECORD_NODE, &r, NULL, 0, NULL, 0))
        return 0;
    return publish(number, parent, value);
}

uint32_t stacks_tagged(struct cursor *cursor, uint32_t stack, uint32_t string)
{
    uint64_t value = TAG_VALUE | string;
    uint32_t node = stacks_find(stack, value);
    return node ? node : stacks_define(cursor, stack, value, RECORD_MODULE_TAG, string);
}

uint32_t stacks_string(struct cursor *cursor, const char *text, size_t size)
{
    uint64_t value = XXH3_64bits(text, size);
    uint32_t number = stacks_find(STRING_PARENT, value);
    if (number)
        return number;
    number = new_number();
    struct record_string r = { .id = number };
    if (!number || !ring_put(cursor, RECORD_STRING, &r, text, size, NULL, 0))
        return 0;
    return publish(number, STRING_PARENT, value);
}

void stacks_retire(uint64_t start, uint64_t end)
{
    uint32_t used = __atomic_load_n(&table.used, __ATOMIC_ACQUIRE);
    for (uint32_t n = 0; n < used && block_of(n) < BLOCKS && table.block[block_of(n)]; n++) {
        struct node *node = node_at(n + RECORD_NODE_FIRST);
        uint64_t value = __atomic_load_n(&node->value, __ATOMIC_RELAXED);
        if (value >= start && value < end)
            __atomic_store_n(&node->value, 0, __ATOMIC_RELAXED);
    }
}

void stacks_forget(bool interrupted)
{
    for (unsigned block = 0; block < BLOCKS; block++) {
        if (table.block[block] && !interrupted)
            sys_unmap(table.block[block], block_size(block));
        table.block[block] = NULL;
    }
    for (unsigned tier = 0; tier < TIERS; tier++) {
        if (table.tier[tier] && !interrupted)
            sys_unmap(table.tier[tier], sizeof *table.tier[tier] << TIER_BITS(tier));
        table.tier[tier] = NULL;
    }
    table.open = 0;
    table.used = 0;
}
