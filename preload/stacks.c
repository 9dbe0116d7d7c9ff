/* stacks.c: see stacks.h. */
#include "stacks.h"

#define XXH_INLINE_ALL
#define XXH_NO_STREAM
#include <xxhash.h>

#define FIRST_BLOCK_BITS 12u /* the first block holds 4,096 nodes, each further one as many as all before it */
#define BLOCKS 14u           /* up to 33 M nodes */

#define TAG_VALUE (1ull << 63)    /* no code address has this bit */
#define STRING_PARENT 0xffffffffu /* no node has this number: strings are found by their hash under it */
#define PARENT (1u << 31)
#define GROUP 16u   /* nodes; as many heads of chains are one cache line */
#define ROOTS 4096u /* heads for the children of no node */
#define LONGEST 8u  /* nodes of a chain */

struct node {
    uint64_t value; /* written last; 0: not yet, or no more */
    uint32_t parent;
    uint32_t next; /* in its chain; 0 ends it. With PARENT: it is some other node's parent */
};

/*
 * A node is found through a chain whose head lies beside its parent: who looks for a child has just come by the parent.
 * A chain that is full goes on at the heads beside its newest node, one of them by further bits of the hash, and so on
 * (a hash trie), so a function may have many thousands of call sites. Chains are shared by whoever comes to them.
 */
struct group {
    struct node node[GROUP];
    uint32_t head[GROUP];
};

static struct {
    struct group *block[BLOCKS];
    uint32_t root[ROOTS];
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
    return sizeof(struct group) / GROUP << (FIRST_BLOCK_BITS + (block ? block - 1 : 0));
}

/* The group where the node is, or would be; NULL: no node has had such a number yet. */
static inline __attribute__((always_inline)) struct group *group_or_null(uint32_t number)
{
    uint32_t n = number - RECORD_NODE_FIRST;
    unsigned block = block_of(n);
    struct group *groups = likely(block < BLOCKS) ? __atomic_load_n(&table.block[block], __ATOMIC_ACQUIRE) : NULL;
    return likely(groups != NULL) ? &groups[(n - block_first(block)) / GROUP] : NULL;
}

/* Of a node that there is. */
static inline __attribute__((always_inline)) struct group *group_of(uint32_t number)
{
    struct group *group = group_or_null(number);
    if (!group)
        __builtin_unreachable();
    return group;
}

static inline struct node *node_in(struct group *group, uint32_t number)
{
    return &group->node[(number - RECORD_NODE_FIRST) % GROUP];
}

static inline __attribute__((always_inline)) struct node *node_at(uint32_t number)
{
    return node_in(group_of(number), number);
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

static inline uint64_t hash_of(uint32_t parent, uint64_t value)
{
    uint64_t hash = value * 0x9e3779b97f4a7c15ull ^ parent * 0xc2b2ae3d27d4eb4full;
    return hash ^ hash >> 32;
}

/* Where a node can be put into a chain. */
struct place {
    uint32_t *head; /* NULL: nowhere, all its chains are full */
    uint32_t first; /* what is there now */
    uint32_t next;  /* what comes behind it */
};

/* Looks for a node in its chains. 0: it is not there, but could be at the place. A full chain of nodes that are no more is
 * as good as an empty one. */
static uint32_t find_in_chains(struct group *above, uint32_t parent, uint64_t value, struct place *place)
{
    uint64_t hash = hash_of(parent, value);
    uint32_t *head = above ? &above->head[hash % GROUP] : &table.root[hash >> 52];
    *place = (struct place){ .head = NULL };
    for (;;) {
        uint32_t first = __atomic_load_n(head, __ATOMIC_ACQUIRE), length = 0;
        uint64_t living = 0;
        const struct node *node;
        for (uint32_t number = first; number; number = next_of(node), length++) {
            node = node_at(number);
            if (is(node, parent, value))
                return number;
            living |= __atomic_load_n(&node->value, __ATOMIC_RELAXED);
        }
        bool full = length >= LONGEST;
        if (!place->head && (!full || !living))
            *place = (struct place){ head, first, living ? first : 0 };
        if (!full || !hash)
            return 0;
        hash /= GROUP;
        head = &group_of(first)->head[hash % GROUP];
    }
}

/* Most nodes have the number after their parent's: one walk defined both. */
uint32_t stacks_find(uint32_t parent, uint64_t value)
{
    struct group *above = group_or_null(parent), *beside;
    struct place place;
    if (above && !is_parent(node_in(above, parent)))
        return 0;
    beside = group_or_null(parent + 1);
    if (beside && is(node_in(beside, parent + 1), parent, value))
        return parent + 1;
    return find_in_chains(above, parent, value, &place);
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

/* A number nobody else has, and memory for its node; 0 if the table is full. */
static uint32_t new_number(void)
{
    uint32_t n = __atomic_fetch_add(&table.used, 1, __ATOMIC_RELAXED);
    unsigned block = block_of(n);
    if (block < BLOCKS && provide((void **)&table.block[block], block_size(block)))
        return n + RECORD_NODE_FIRST;
    tracefile_shortfall(TRACE_SHORT_STACKS_FULL);
    return 0;
}

/* Makes a recorded definition findable. Returns its number, or the number of whoever was first. */
static uint32_t publish(uint32_t number, uint32_t parent, uint64_t value)
{
    struct group *above = group_or_null(parent);
    struct node *node = node_at(number);
    struct place place;
    node->parent = parent;
    do {
        uint32_t theirs = find_in_chains(above, parent, value, &place);
        if (theirs)
            return theirs;
        node->next = place.next;
        __atomic_store_n(&node->value, value, __ATOMIC_RELEASE);
    } while (place.head &&
             !__atomic_compare_exchange_n(place.head, &place.first, number, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED));
    if (above)
        set_parent(node_in(above, parent));
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
    __builtin_memset(table.root, 0, sizeof table.root);
    table.used = 0;
}
