/* components.c: see components.h. */
#include "components.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "stacks.h"
#include "sys.h"

#define MOST 1024u
#define BUCKETS 256u
#define NAME_MAX_SIZE 120u

struct component {
    uint32_t next;   /* in its bucket; 0: the last one */
    uint32_t string; /* in this process's trace; 0: not there yet */
    uint32_t size;
    char name[NAME_MAX_SIZE];
};

static struct {
    struct component component[MOST]; /* number 0 stands for none */
    uint32_t bucket[BUCKETS];
    uint32_t last;
} table;

static uint32_t find(uint32_t number, const char *name, size_t size)
{
    for (; number; number = table.component[number].next) {
        const struct component *c = &table.component[number];
        if (c->size == size && __builtin_memcmp(c->name, name, size) == 0)
            return number;
    }
    return 0;
}

/* Two threads that add a name at once make two components of it, which is one in the trace. */
static uint32_t add(uint32_t *bucket, const char *name, size_t size)
{
    if (__atomic_load_n(&table.last, __ATOMIC_RELAXED) >= MOST - 1)
        return 0;
    uint32_t number = __atomic_add_fetch(&table.last, 1, __ATOMIC_RELAXED);
    if (number >= MOST)
        return 0;
    struct component *c = &table.component[number];
    c->size = (uint32_t)size;
    __builtin_memcpy(c->name, name, size);
    c->next = __atomic_load_n(bucket, __ATOMIC_RELAXED);
    while (!__atomic_compare_exchange_n(bucket, &c->next, number, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED))
        ;
    return number;
}

uint32_t components_number(const char *name)
{
    size_t size = sys_strlen(name);
    if (size > NAME_MAX_SIZE)
        size = NAME_MAX_SIZE;
    uint32_t *bucket = &table.bucket[XXH3_64bits(name, size) % BUCKETS];
    uint32_t number = find(__atomic_load_n(bucket, __ATOMIC_ACQUIRE), name, size);
    return number ? number : add(bucket, name, size);
}

uint32_t components_string(struct cursor *cursor, uint32_t number)
{
    struct component *c = &table.component[number];
    uint32_t string = __atomic_load_n(&c->string, __ATOMIC_RELAXED);
    if (!string && number) {
        string = stacks_string(cursor, c->name, c->size);
        __atomic_store_n(&c->string, string, __ATOMIC_RELAXED);
    }
    return string;
}

void components_forget(void)
{
    for (uint32_t i = 0; i < MOST && i <= table.last; i++)
        table.component[i].string = 0;
}
