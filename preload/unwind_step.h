/*
 * unwind_step.h: one step to the caller of a frame, by rules that are looked up once per code address (cfi.h) and then
 * found by hash. Inside unwind*. Everything here is on the hot path, and inline as far as nearly all frames need it.
 */
#ifndef PRELOAD_UNWIND_STEP_H
#define PRELOAD_UNWIND_STEP_H

#include "cfi.h"
#include "sys.h"

/* --- rules -------------------------------------------------------------------------------------------------------- */

/* A code address, and whether it is the instruction that runs next rather than the one after a call. */
static inline uint64_t unwind_key(uint64_t pc, bool exact)
{
    return pc << 1 | exact;
}

/* The key in the table of rules: 0: free, 1: retired. */
struct unwind_rule {
    uint64_t key;
    struct cfi_rule rule;
};

/* The newest table of rules; written to by unwind_rules.c only. Before there is one, a table with one free entry. */
struct unwind_rules {
    struct unwind_rule *entry;
    uint32_t size, used;
};
extern HIDDEN struct unwind_rules *unwind_rules;

static inline uint32_t unwind_rule_slot(uint64_t key, uint32_t size)
{
    return (uint32_t)(key * 0x9e3779b97f4a7c15ull >> 40) & (size - 1);
}

/* Prepares the table. False if there is no memory. */
bool unwind_rules_start(void);

/* Forgets the rules of code that is gone. */
void unwind_rules_gone(uint64_t from, uint64_t to);

/* Where the first entry looked at does not have it. */
struct cfi_rule unwind_rule_slow(uint64_t key);

static inline struct cfi_rule unwind_rule_of(uint64_t key)
{
    const struct unwind_rules *t = __atomic_load_n(&unwind_rules, __ATOMIC_ACQUIRE);
    const struct unwind_rule *e = &t->entry[unwind_rule_slot(key, t->size)];
    if (likely(__atomic_load_n(&e->key, __ATOMIC_ACQUIRE) == key)) {
        struct cfi_rule rule;
        __atomic_load(&e->rule, &rule, __ATOMIC_RELAXED);
        if (likely(rule.kind != CFI_UNKNOWN))
            return rule;
    }
    return unwind_rule_slow(key);
}

/* --- reading the stack -------------------------------------------------------------------------------------------- */

/* The part of a stack that is known to be mapped, in whole pages. What lies above the stack pointer stays mapped while
 * the thread is on that stack. */
struct unwind_window {
    uint64_t low, high;
    uint64_t span; /* how many addresses from low on a word can be read at: 7 less than there are bytes; 0: empty */
};

/* Whether there is a word at an address that is not in the window, which then is made to hold it. */
bool unwind_widen(struct unwind_window *w, uint64_t address);

static inline bool unwind_read(struct unwind_window *w, uint64_t address, uint64_t *word)
{
    if (unlikely(address - w->low >= w->span) && !unwind_widen(w, address))
        return false;
    *word = *(const uint64_t *)address; /* NOLINT(clang-analyzer-core.NullDereference): page 0 is in no window */
    return true;
}

/* --- steps -------------------------------------------------------------------------------------------------------- */

struct unwind_registers {
    uint64_t pc, sp, fp;
    bool exact; /* see unwind_key */
};

/* What a step has read: where the return address is, where the caller's frame pointer is (0: it is unchanged), and
 * where the frame's own address was (0: it was computed). */
struct unwind_reads {
    uint64_t pc_at, fp_at, frame_at, frame;
    bool by_fp;  /* the frame pointer was used */
    bool impure; /* the step depended on more than registers and these words */
};

/* Of frame records the last one ends the chain for good; a table that ends like this may be wrong. */
static inline bool unwind_ends(struct unwind_registers *r, struct unwind_reads *reads)
{
    if (!ARCH_HAS_RECORDS)
        return false;
    *reads = (struct unwind_reads){ .by_fp = true };
    r->pc = 0;
    return true;
}

static inline bool unwind_step_by_rule(struct unwind_window *w, struct unwind_registers *r, struct cfi_rule rule,
                                       struct unwind_reads *reads)
{
    bool by_sp = rule.kind == CFI_STACK || rule.kind == CFI_DEREF_STACK;
    uint64_t frame = (by_sp ? r->sp : r->fp) + (uint64_t)(int64_t)rule.cfa;
    reads->by_fp = !by_sp || rule.fp_at_fp;
    reads->frame_at = 0;
    if (unlikely(rule.kind == CFI_DEREF_STACK || rule.kind == CFI_DEREF_FRAME)) {
        reads->frame_at = frame;
        if (!unwind_read(w, frame, &frame))
            return false;
        reads->frame = frame;
        frame += (uint64_t)(int64_t)rule.add;
    }
    if (unlikely(frame <= r->sp)) /* the caller's frame lies above */
        return unwind_ends(r, reads);
    uint64_t fp_at = (rule.fp_at_fp ? r->fp : frame) + (uint64_t)((int64_t)rule.fp * 8);
    reads->pc_at = frame - 8;
    reads->fp_at = rule.saves_fp ? fp_at : 0;
    if (unlikely(!unwind_read(w, frame - 8, &r->pc)))
        return false;
    r->pc = arch_code(r->pc);
    if (rule.saves_fp && unlikely(!unwind_read(w, fp_at, &r->fp))) {
        r->fp = 0; /* tables are wrong between `leave` and `ret` of some realigned functions; it may not be needed */
        reads->impure = true;
    }
    r->sp = frame;
    r->exact = false;
    return true;
}

/* Frames that are not found by a rule: signal frames and code without tables. */
enum cfi_kind unwind_step_otherwise(struct unwind_window *w, struct unwind_registers *r, enum cfi_kind kind,
                                    struct unwind_reads *reads);

/* One step. CFI_STACK: made. CFI_UNSUPPORTED: there is a caller, but it takes more than this to find it. CFI_NONE: it is
 * not to be found. CFI_END: there is none. */
static inline enum cfi_kind unwind_step(struct unwind_window *w, struct unwind_registers *r, struct unwind_reads *reads)
{
    struct cfi_rule rule = unwind_rule_of(unwind_key(r->pc, r->exact));
    reads->impure = false;
    if (unlikely(rule.kind < CFI_STACK || rule.kind > CFI_DEREF_FRAME))
        return unwind_step_otherwise(w, r, (enum cfi_kind)rule.kind, reads);
    if (likely(unwind_step_by_rule(w, r, rule, reads)))
        return CFI_STACK;
    reads->impure = true;
    return CFI_NONE;
}

#endif
