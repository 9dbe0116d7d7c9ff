/*
 * unwind_table.c: walks the stack by rules (unwind_step.h). Where there is no rule (code of Go or of a just-in-time
 * compiler, hand-written assembly) the frame pointer is tried, if what it points to looks like a frame; else the walk ends
 * there, honestly.
 *
 * Nothing is read that is not known to be mapped: stack pages are checked with the kernel before they are first read.
 */
#include "unwind_table.h"

#include "modules.h"
#include "unwind.h"

#define PAGE ((uint64_t)4096)
#define FAR (64 * PAGE)

/* --- reading the stack ------------------------------------------------------------------------------------------- */

__thread struct unwind_window unwind_window;

static bool is_mapped(uint64_t page)
{
    uint64_t word;
    return sys_read_memory((const void *)page, &word, sizeof word);
}

static bool reach(struct unwind_window *w, uint64_t page)
{
    for (; page < w->low; w->low -= PAGE)
        if (!is_mapped(w->low - PAGE))
            return false;
    for (; page >= w->high; w->high += PAGE)
        if (!is_mapped(w->high))
            return false;
    return true;
}

/* Takes the page of the address in, with all between. If it is far away, or behind a hole, this is another stack: the
 * window moves there. */
static bool take_page(struct unwind_window *w, uint64_t page)
{
    bool near = page + FAR >= w->low && page <= w->high + FAR;
    if (near && reach(w, page))
        return true;
    if (!is_mapped(page))
        return false;
    w->low = page;
    w->high = page + PAGE;
    return true;
}

bool unwind_widen(struct unwind_window *w, uint64_t address)
{
    bool taken = address % 8 == 0 && take_page(w, address & ~(PAGE - 1));
    w->span = w->high > w->low ? w->high - w->low - 7 : 0;
    return taken;
}

/* --- walking ----------------------------------------------------------------------------------------------------- */

static bool step_over_signal(struct unwind_window *w, struct unwind_registers *r)
{
    uint64_t sp = r->sp;
    if (!unwind_read(w, sp + ARCH_SIGNAL_FP, &r->fp) || !unwind_read(w, sp + ARCH_SIGNAL_PC, &r->pc) ||
        !unwind_read(w, sp + ARCH_SIGNAL_SP, &r->sp))
        return false;
    r->exact = true;
    return true;
}

/* Code without tables mostly keeps frame pointers, as that of Go and of just-in-time compilers: whether there may be a
 * frame where it points, above and not far. */
static bool has_frame_above(const struct unwind_registers *r)
{
    return r->fp >= r->sp && r->fp - r->sp <= 1u << 20 && r->fp % 8 == 0;
}

bool unwind_is_call_from_go(uint64_t pc)
{
    uint8_t code[ARCH_GO_CODE];
    return sys_read_memory((const void *)pc, code, sizeof code) && arch_is_call_from_go(code);
}

/* Whether a frame of code without tables has a caller that the frame pointer leads to. */
static bool has_caller(const struct unwind_registers *r)
{
    return has_frame_above(r) || (r->fp != 0 && r->fp % 8 == 0 && unwind_is_call_from_go(r->pc));
}

/* False, and nothing changed, if what is there does not return into code. */
static bool follow_frame_pointer(struct unwind_window *w, struct unwind_registers *r)
{
    uint64_t fp, pc, header;
    if (!unwind_read(w, r->fp, &fp) || !unwind_read(w, r->fp + 8, &pc) || !modules_frame_header(arch_code(pc), &header))
        return false;
    *r = (struct unwind_registers){ .pc = arch_code(pc), .sp = r->fp + 16, .fp = fp };
    return true;
}

static enum cfi_kind step_without_tables(struct unwind_window *w, struct unwind_registers *r,
                                         struct unwind_reads *reads)
{
    uint64_t header;
    reads->by_fp = true;
    reads->impure = !modules_frame_header(r->pc, &header); /* then there may be a rule the next time */
    if (!has_caller(r))
        return r->fp ? CFI_NONE : CFI_END;
    reads->pc_at = r->fp + 8;
    reads->fp_at = r->fp;
    if (follow_frame_pointer(w, r))
        return CFI_STACK;
    reads->impure = true;
    return CFI_NONE;
}

enum cfi_kind unwind_step_otherwise(struct unwind_window *w, struct unwind_registers *r, enum cfi_kind kind,
                                    struct unwind_reads *reads)
{
    *reads = (struct unwind_reads){ .impure = kind == CFI_SIGNAL };
    switch (kind) {
    case CFI_SIGNAL:
        return step_over_signal(w, r) ? CFI_STACK : CFI_NONE;
    case CFI_NONE:
        return step_without_tables(w, r, reads);
    case CFI_UNSUPPORTED:
        return CFI_UNSUPPORTED;
    default:
        return CFI_END;
    }
}

/* --- the slow walk, for stacks with a frame that the rules cannot tell --------------------------------------------- */

static bool read_for_step(void *w, uint64_t address, uint64_t *word)
{
    return unwind_read(w, address, word);
}

static enum cfi_kind step_slowly(struct unwind_window *w, struct cfi_registers *all)
{
    uint64_t *value = all->value, header;
    if (!modules_frame_header(value[ARCH_DWARF_RA], &header))
        return CFI_END;
    enum cfi_kind kind = header ? cfi_step((const void *)header, all, read_for_step, w) : CFI_NONE;
    if (kind == CFI_SIGNAL)
        return arch_step_over_signal(value, read_for_step, w) && (all->exact = true) ? CFI_STACK : CFI_END;
    if (kind == CFI_NONE) {
        struct unwind_registers r = { value[ARCH_DWARF_RA], value[ARCH_DWARF_SP], value[ARCH_DWARF_FP], all->exact };
        if (!has_caller(&r) || !follow_frame_pointer(w, &r))
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
    while (count < most && step_slowly(&unwind_window, &all) == CFI_STACK && all.value[ARCH_DWARF_RA])
        pc[count++] = (void *)all.value[ARCH_DWARF_RA];
    return count;
}

int unwind_table_walk(struct unwind_registers r, void **pc, unsigned most)
{
    struct unwind_reads reads;
    enum cfi_kind kind = CFI_END;
    unsigned count = 0;
    while (count < most && (kind = unwind_step(&unwind_window, &r, &reads)) == CFI_STACK && r.pc)
        pc[count++] = (void *)r.pc;
    return kind == CFI_UNSUPPORTED ? -1 : (int)count;
}

static unsigned walk(void **pc, unsigned most)
{
    struct unwind_registers r = { .exact = true };
    arch_get_registers(r.pc, r.sp, r.fp);
    int count = unwind_table_walk(r, pc, most);
    return count < 0 ? walk_slowly(pc, most) : (unsigned)count;
}

static bool start(void)
{
    return (ARCH_HAS_CFI || ARCH_HAS_RECORDS) && unwind_rules_start();
}

const struct unwinder unwind_table = {
    .name = "table",
    .start = start,
    .walk = walk,
    .code_gone = unwind_rules_gone,
};
