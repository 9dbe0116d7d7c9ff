/* unwind_rules.c: the rules of all code addresses met so far, in memory that all threads share and nobody locks. See
 * unwind_step.h. */
#include "modules.h"
#include "unwind_step.h"

#define FIRST_SIZE 8192u /* entries of the first table, each later one is twice as large */
#define TABLES 10u
#define FULL_SHARE 2u /* a table is full when one in so many entries is taken */

static struct unwind_rule no_entry;
static struct unwind_rules none = { .entry = &no_entry, .size = 1 };
static struct unwind_rules tables[TABLES]; /* those before the newest are only read */

struct unwind_rules *unwind_rules = &none;

/* The rule of a key in one table; kind CFI_UNKNOWN if it is not there, or not yet complete. */
static struct cfi_rule find_in(const struct unwind_rules *t, uint64_t key)
{
    struct cfi_rule rule = { .kind = CFI_UNKNOWN };
    for (uint32_t i = unwind_rule_slot(key, t->size);; i = (i + 1) & (t->size - 1)) {
        uint64_t there = __atomic_load_n(&t->entry[i].key, __ATOMIC_ACQUIRE);
        if (there == key) {
            __atomic_load(&t->entry[i].rule, &rule, __ATOMIC_ACQUIRE);
            break;
        }
        if (there == 0)
            break;
    }
    return rule;
}

/* Memory for a table, and makes it the newest. If two threads want it, one of them wins. */
static bool open_table(uint32_t i)
{
    struct unwind_rules *t = &tables[i], *before = i ? &tables[i - 1] : &none;
    struct unwind_rule *nothing = NULL, *memory;
    uint32_t size = FIRST_SIZE << i;
    if (i == TABLES || !(memory = sys_map(size * sizeof *memory)))
        return false;
    t->size = size;
    if (!__atomic_compare_exchange_n(&t->entry, &nothing, memory, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        sys_unmap(memory, size * sizeof *memory);
    __atomic_compare_exchange_n(&unwind_rules, &before, t, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
    return true;
}

/* A rule that finds no place is looked up again next time. */
static void put(uint64_t key, struct cfi_rule rule)
{
    struct unwind_rules *t = __atomic_load_n(&unwind_rules, __ATOMIC_ACQUIRE);
    if (t == &none)
        return;
    if (__atomic_fetch_add(&t->used, 1, __ATOMIC_RELAXED) >= t->size / FULL_SHARE) {
        open_table((uint32_t)(t - tables) + 1);
        return;
    }
    for (uint32_t slot = unwind_rule_slot(key, t->size);; slot = (slot + 1) & (t->size - 1)) {
        uint64_t there = 0;
        if (__atomic_compare_exchange_n(&t->entry[slot].key, &there, key, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE) ||
            there == key) {
            __atomic_store(&t->entry[slot].rule, &rule, __ATOMIC_RELEASE);
            return;
        }
    }
}

/* Of a function with a frame record: both words are at the frame pointer. */
static const struct cfi_rule by_record = { .kind = CFI_FRAME, .cfa = 16, .saves_fp = true, .fp = -2 };

static struct cfi_rule look_up(uint64_t key)
{
    uint64_t header, pc = key >> 1;
    struct cfi_rule rule = { .kind = CFI_NONE };
    if (!modules_frame_header(pc, &header))
        return rule; /* perhaps not yet: another thread may just be looking at the maps */
    if (ARCH_HAS_RECORDS)
        rule = by_record;
    else if (header)
        rule = cfi_find((const void *)header, key & 1 ? pc : pc - 1);
    put(key, rule);
    return rule;
}

struct cfi_rule unwind_rule_slow(uint64_t key)
{
    struct cfi_rule rule = { .kind = CFI_UNKNOWN };
    const struct unwind_rules *newest = __atomic_load_n(&unwind_rules, __ATOMIC_ACQUIRE);
    for (const struct unwind_rules *t = newest; newest != &none && t >= tables; t--)
        if ((rule = find_in(t, key)).kind != CFI_UNKNOWN) {
            if (t != newest)
                put(key, rule); /* where it will be found sooner */
            return rule;
        }
    return look_up(key);
}

bool unwind_rules_start(void)
{
    return unwind_rules != &none || open_table(0);
}

void unwind_rules_gone(uint64_t from, uint64_t to)
{
    for (uint32_t i = 0; i < TABLES && __atomic_load_n(&tables[i].entry, __ATOMIC_ACQUIRE); i++)
        for (uint32_t slot = 0; slot < tables[i].size; slot++) {
            uint64_t key = __atomic_load_n(&tables[i].entry[slot].key, __ATOMIC_RELAXED);
            if (key > 1 && key >> 1 >= from && key >> 1 < to)
                __atomic_store_n(&tables[i].entry[slot].key, 1, __ATOMIC_RELAXED);
        }
}
