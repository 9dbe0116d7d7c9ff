/* cfi.c: the short form of a row, which covers nearly all frames. See cfi.h. */
#include "cfi.h"

#include "cfi_row.h"
#include "sys.h"

/* Registers by their DWARF numbers (System V ABI, AMD64 supplement, figure 3.36). */
enum { REG_FP = ARCH_DWARF_FP, REG_SP = ARCH_DWARF_SP, REG_RA = ARCH_DWARF_RA };

/* An expression of the form: base register + offset. */
static bool is_register_offset(struct bytes e, uint64_t *base, int64_t *offset)
{
    enum { OP_BREG0 = 0x70 };
    *base = take(&e, 1) - OP_BREG0;
    *offset = take_sleb(&e);
    return e.at && e.at == e.end;
}

/* Of all expressions for frames compilers use one: base register + offset, dereferenced, perhaps plus a constant. */
static bool pack_expression(struct bytes e, struct cfi_rule *r)
{
    enum { OP_DEREF = 0x06, OP_PLUS_UCONST = 0x23, OP_BREG0 = 0x70 };
    uint64_t base = take(&e, 1) - OP_BREG0;
    int64_t offset = take_sleb(&e), add = 0;
    bool deref = take(&e, 1) == OP_DEREF;
    if (e.at && e.at < e.end && take(&e, 1) == OP_PLUS_UCONST)
        add = (int64_t)take_uleb(&e);
    if (!deref || !e.at || e.at != e.end || (base != REG_SP && base != REG_FP))
        return false;
    r->kind = base == REG_SP ? CFI_DEREF_STACK : CFI_DEREF_FRAME;
    r->cfa = offset;
    r->add = add;
    return r->cfa == offset && r->add == add;
}

static bool pack_frame(const struct cfi_row *row, struct cfi_rule *r)
{
    if (row->base < 0)
        return pack_expression(row->expression, r);
    r->kind = row->base == REG_SP ? CFI_STACK : CFI_FRAME;
    r->cfa = row->offset;
    return (row->base == REG_SP || row->base == REG_FP) && r->cfa == row->offset;
}

/* Where the caller's frame pointer is: unchanged, saved at the frame, or saved at this function's frame pointer. */
static bool pack_fp(const struct cfi_place *fp, struct cfi_rule *r)
{
    uint64_t base;
    int64_t offset = fp->offset;
    if (fp->where == CFI_SAME)
        return true;
    r->saves_fp = true;
    if (fp->where == CFI_SAVED_BY) {
        r->fp_at_fp = true;
        if (!is_register_offset(fp->expression, &base, &offset) || base != REG_FP)
            return false;
    } else if (fp->where != CFI_SAVED) {
        return false;
    }
    r->fp = offset / 8;
    return (int64_t)r->fp * 8 == offset;
}

static struct cfi_rule pack(const struct cfi_row *row)
{
    struct cfi_rule r = { .kind = CFI_UNSUPPORTED };
    const struct cfi_place *ra = &row->place[REG_RA];
    if (row->signal)
        return (struct cfi_rule){ .kind = CFI_SIGNAL };
    if (ra->where == CFI_UNDEFINED)
        return (struct cfi_rule){ .kind = CFI_END };
    if (ra->where == CFI_SAVED && ra->offset == -8 && pack_frame(row, &r) && pack_fp(&row->place[REG_FP], &r))
        return r;
    return (struct cfi_rule){ .kind = CFI_UNSUPPORTED };
}

struct cfi_rule cfi_find(const void *header, uint64_t address)
{
    struct cfi_row row;
    enum cfi_kind found = cfi_row_find(header, address, &row);
    return found == CFI_STACK ? pack(&row) : (struct cfi_rule){ .kind = found };
}
