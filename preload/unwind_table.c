/*
 * unwind_table.c: walks the stack by rules that are looked up once per code address (cfi.h) and then found by hash, in
 * memory that all threads share and nobody locks. Where there is no rule (code of a just-in-time compiler, hand-written
 * assembly) the frame pointer is tried, if what it points to looks like a frame; else the walk ends there, honestly.
 *
 * Nothing is read that is not known to be mapped: stack pages are checked with the kernel before they are first read.
 */
#include "cfi.h"
#include "modules.h"
#include "unwind.h"

#define FIRST_SIZE 8192u /* entries of the first table, each later one is twice as large */
#define TABLES 10u
#define FULL_SHARE 2u /* a table is full when one in so many entries is taken */
#define PAGE ((uint64_t)4096)
#define FAR (64 * PAGE)

/* An entry's key is the address, shifted up, and whether it is exact. 0: free, 1: retired. */
struct entry {
    uint64_t key;
    struct cfi_rule rule;
};

struct table {
    struct entry *entry;
    uint32_t size, used;
};

static struct {
    struct table table[TABLES];
    uint32_t current; /* tables before it are only read */
} rules;

/* --- the table of rules ------------------------------------------------------------------------------------------ */

static uint32_t slot_of(uint64_t key, uint32_t size)
{
    return (uint32_t)(key * 0x9e3779b97f4a7c15ull >> 40) & (size - 1);
}

/* The rule of a key in one table; kind CFI_UNKNOWN if it is not there, or not yet complete. */
static struct cfi_rule find_in(const struct table *t, uint64_t key)
{
    const struct entry *entry = __atomic_load_n(&t->entry, __ATOMIC_ACQUIRE);
    struct cfi_rule rule = { .kind = CFI_UNKNOWN };
    for (uint32_t i = slot_of(key, t->size); entry; i = (i + 1) & (t->size - 1)) {
        uint64_t there = __atomic_load_n(&entry[i].key, __ATOMIC_ACQUIRE);
        if (there == key) {
            __atomic_load(&entry[i].rule, &rule, __ATOMIC_ACQUIRE);
            break;
        }
        if (there == 0)
            break;
    }
    return rule;
}

static struct cfi_rule find(uint64_t key)
{
    struct cfi_rule rule = { .kind = CFI_UNKNOWN };
    for (uint32_t i = __atomic_load_n(&rules.current, __ATOMIC_ACQUIRE) + 1; i-- > 0 && rule.kind == CFI_UNKNOWN;)
        rule = find_in(&rules.table[i], key);
    return rule;
}

/* Memory for the next table. If two threads want it, one of them wins. */
static bool open_table(uint32_t i)
{
    struct table *t = &rules.table[i];
    struct entry *none = NULL, *memory;
    uint32_t size = FIRST_SIZE << i;
    if (i == TABLES || !(memory = sys_map(size * sizeof *memory)))
        return false;
    t->size = size;
    if (!__atomic_compare_exchange_n(&t->entry, &none, memory, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        sys_unmap(memory, size * sizeof *memory);
    uint32_t before = i ? i - 1 : 0;
    if (i)
        __atomic_compare_exchange_n(&rules.current, &before, i, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
    return true;
}

/* A rule that finds no place is looked up again next time. */
static void put(uint64_t key, struct cfi_rule rule)
{
    uint32_t i = __atomic_load_n(&rules.current, __ATOMIC_ACQUIRE);
    struct table *t = &rules.table[i];
    if (!t->entry && !open_table(i))
        return;
    if (__atomic_fetch_add(&t->used, 1, __ATOMIC_RELAXED) >= t->size / FULL_SHARE) {
        open_table(i + 1);
        return;
    }
    for (uint32_t slot = slot_of(key, t->size);; slot = (slot + 1) & (t->size - 1)) {
        uint64_t there = 0;
        if (__atomic_compare_exchange_n(&t->entry[slot].key, &there, key, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE) ||
            there == key) {
            __atomic_store(&t->entry[slot].rule, &rule, __ATOMIC_RELEASE);
            return;
        }
    }
}

static struct cfi_rule look_up(uint64_t pc, bool exact)
{
    uint64_t header;
    struct cfi_rule rule = { .kind = CFI_NONE };
    if (modules_frame_header(pc, &header) && header)
        rule = cfi_find((const void *)header, exact ? pc : pc - 1);
    put(pc << 1 | exact, rule);
    return rule;
}

static struct cfi_rule rule_of(uint64_t pc, bool exact)
{
    struct cfi_rule rule = find(pc << 1 | exact);
    return likely(rule.kind != CFI_UNKNOWN) ? rule : look_up(pc, exact);
}

/* --- reading the stack ------------------------------------------------------------------------------------------- */

/* The part of a stack that is known to be mapped, in whole pages. What lies above the stack pointer stays mapped while
 * the thread is on that stack. */
struct window {
    uint64_t low, high;
};

static __thread struct window window __attribute__((tls_model("initial-exec")));

static bool is_mapped(uint64_t page)
{
    uint64_t word;
    return sys_read_memory((const void *)page, &word, sizeof word);
}

/* Takes the page of the address in, with all between. Far away means another stack: the window moves there. */
static bool widen(struct window *w, uint64_t address)
{
    uint64_t page = address & ~(PAGE - 1);
    if (page + FAR < w->low || page > w->high + FAR)
        w->low = w->high = page;
    for (; page < w->low; w->low -= PAGE)
        if (!is_mapped(w->low - PAGE))
            return false;
    for (; page >= w->high; w->high += PAGE)
        if (!is_mapped(w->high))
            return false;
    return true;
}

static bool read_word(struct window *w, uint64_t address, uint64_t *word)
{
    if (unlikely(address - w->low >= w->high - w->low))
        if (address % 8 || !widen(w, address))
            return false;
    *word = *(const uint64_t *)address; /* NOLINT(clang-analyzer-core.NullDereference): page 0 is in no window */
    return true;
}

/* --- walking ----------------------------------------------------------------------------------------------------- */

struct registers {
    uint64_t pc, sp, fp;
    bool exact; /* pc is the instruction that runs next, not the one after a call */
};

static bool step_by_rule(struct window *w, struct registers *r, struct cfi_rule rule)
{
    uint64_t frame =
        (rule.kind == CFI_STACK || rule.kind == CFI_DEREF_STACK ? r->sp : r->fp) + (uint64_t)(int64_t)rule.cfa;
    if (rule.kind == CFI_DEREF_STACK || rule.kind == CFI_DEREF_FRAME) {
        if (!read_word(w, frame, &frame))
            return false;
        frame += (uint64_t)(int64_t)rule.add;
    }
    if (unlikely(frame <= r->sp)) /* the caller's frame lies above */
        return false;
    uint64_t fp_base = rule.fp_at_fp ? r->fp : frame;
    if (!read_word(w, frame - 8, &r->pc))
        return false;
    if (rule.saves_fp && !read_word(w, fp_base + (uint64_t)((int64_t)rule.fp * 8), &r->fp))
        r->fp = 0; /* tables are wrong between `leave` and `ret` of some realigned functions; it may not be needed */
    r->sp = frame;
    r->exact = false;
    return true;
}

static bool step_over_signal(struct window *w, struct registers *r)
{
    uint64_t sp = r->sp;
    if (!read_word(w, sp + ARCH_SIGNAL_FP, &r->fp) || !read_word(w, sp + ARCH_SIGNAL_PC, &r->pc) ||
        !read_word(w, sp + ARCH_SIGNAL_SP, &r->sp))
        return false;
    r->exact = true;
    return true;
}

/* Code without tables that keeps frame pointers, as just-in-time compilers mostly do: believed only if the frame lies
 * above, not far, and returns into code. */
static bool step_by_frame_pointer(struct window *w, struct registers *r)
{
    uint64_t fp, pc, header;
    if (r->fp < r->sp || r->fp - r->sp > 1u << 20 || r->fp % 8)
        return false;
    if (!read_word(w, r->fp, &fp) || !read_word(w, r->fp + 8, &pc) || !modules_frame_header(pc, &header))
        return false;
    *r = (struct registers){ .pc = pc, .sp = r->fp + 16, .fp = fp };
    return true;
}

/* One step. CFI_STACK: made. CFI_UNSUPPORTED: there is a caller, but it takes more than this to find it. */
static enum cfi_kind step(struct window *w, struct registers *r)
{
    struct cfi_rule rule = rule_of(r->pc, r->exact);
    if (likely(rule.kind == CFI_STACK || rule.kind == CFI_FRAME))
        return step_by_rule(w, r, rule) ? CFI_STACK : CFI_END;
    switch (rule.kind) {
    case CFI_DEREF_STACK:
    case CFI_DEREF_FRAME:
        return step_by_rule(w, r, rule) ? CFI_STACK : CFI_END;
    case CFI_SIGNAL:
        return step_over_signal(w, r) ? CFI_STACK : CFI_END;
    case CFI_NONE:
        return step_by_frame_pointer(w, r) ? CFI_STACK : CFI_END;
    case CFI_UNSUPPORTED:
        return CFI_UNSUPPORTED;
    default:
        return CFI_END;
    }
}

/* --- the slow walk, for stacks with a frame that the rules cannot tell --------------------------------------------- */

static bool read_for_step(void *w, uint64_t address, uint64_t *word)
{
    return read_word(w, address, word);
}

static enum cfi_kind step_slowly(struct window *w, struct cfi_registers *all)
{
    uint64_t *value = all->value, header;
    if (!modules_frame_header(value[ARCH_DWARF_RA], &header))
        return CFI_END;
    enum cfi_kind kind = header ? cfi_step((const void *)header, all, read_for_step, w) : CFI_NONE;
    if (kind == CFI_SIGNAL)
        return arch_step_over_signal(value, read_for_step, w) && (all->exact = true) ? CFI_STACK : CFI_END;
    if (kind == CFI_NONE) {
        struct registers r = { value[ARCH_DWARF_RA], value[ARCH_DWARF_SP], value[ARCH_DWARF_FP], all->exact };
        if (!step_by_frame_pointer(w, &r))
            return CFI_END;
        value[ARCH_DWARF_RA] = r.pc;
        value[ARCH_DWARF_SP] = r.sp;
        value[ARCH_DWARF_FP] = r.fp;
        all->exact = false;
        return CFI_STACK;
    }
    return kind;
}

/* With all registers, from the beginning: what a frame of this kind needs was saved further in. */
static __attribute__((noinline)) unsigned walk_slowly(void **pc, unsigned most)
{
    struct cfi_registers all = { .exact = true };
    unsigned count = 0;
    arch_get_all_registers(all.value);
    while (count < most && step_slowly(&window, &all) == CFI_STACK && all.value[ARCH_DWARF_RA])
        pc[count++] = (void *)all.value[ARCH_DWARF_RA];
    return count;
}

static unsigned walk(void **pc, unsigned most)
{
    struct registers r = { .exact = true };
    struct window *w = &window;
    unsigned count = 0;
    enum cfi_kind kind = CFI_END;
    arch_get_registers(r.pc, r.sp, r.fp);
    while (count < most && (kind = step(w, &r)) == CFI_STACK && r.pc)
        pc[count++] = (void *)r.pc;
    return kind == CFI_UNSUPPORTED ? walk_slowly(pc, most) : count;
}

static bool start(void)
{
    return ARCH_HAS_CFI && open_table(0);
}

static void code_gone(uint64_t from, uint64_t to)
{
    for (uint32_t i = 0; i <= __atomic_load_n(&rules.current, __ATOMIC_ACQUIRE); i++)
        for (uint32_t slot = 0; rules.table[i].entry && slot < rules.table[i].size; slot++) {
            uint64_t key = __atomic_load_n(&rules.table[i].entry[slot].key, __ATOMIC_RELAXED);
            if (key > 1 && key >> 1 >= from && key >> 1 < to)
                __atomic_store_n(&rules.table[i].entry[slot].key, 1, __ATOMIC_RELAXED);
        }
}

const struct unwinder unwind_table = {
    .name = "table",
    .start = start,
    .walk = walk,
    .code_gone = code_gone,
};
