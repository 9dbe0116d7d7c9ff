/* cfi_row.c: finds the entry of a function in .eh_frame and runs its program. See cfi_row.h. */
#include "cfi_row.h"

/* --- common and per-function entries ----------------------------------------------------------------------------- */

struct cie {
    struct bytes instructions;
    uint64_t code_align;
    int64_t data_align;
    uint64_t return_register;
    uint8_t encoding; /* of addresses in its FDEs */
    bool augmented, signal;
};

/* The content of an entry, behind its length. */
static struct bytes open_entry(const uint8_t *at)
{
    struct bytes b = { at, at + 12 };
    uint64_t length = take(&b, 4);
    if (length == 0xffffffff)
        length = take(&b, 8);
    b.end = b.at + length;
    return b;
}

static void read_augmentation(struct bytes *b, const char *letters, struct cie *c)
{
    uint64_t size = *letters == 'z' ? take_uleb(b) : 0;
    struct bytes data = { b->at, b->at ? b->at + size : NULL };
    c->augmented = *letters == 'z';
    for (const char *l = letters + c->augmented; *l && data.at; l++) {
        if (*l == 'R')
            c->encoding = (uint8_t)take(&data, 1);
        else if (*l == 'L')
            take(&data, 1);
        else if (*l == 'P') {
            uint8_t encoding = (uint8_t)take(&data, 1);
            take_pointer(&data, encoding, 0);
        } else if (*l == 'S')
            c->signal = true;
    }
    skip(b, size);
}

static bool read_cie(const uint8_t *at, struct cie *c)
{
    struct bytes b = open_entry(at);
    *c = (struct cie){ .encoding = 0 };
    if (take(&b, 4) != 0)
        return false;
    uint64_t version = take(&b, 1);
    const char *letters = (const char *)b.at;
    while (b.at && take(&b, 1))
        ;
    if (version >= 4)
        take(&b, 2);
    c->code_align = take_uleb(&b);
    c->data_align = take_sleb(&b);
    c->return_register = version == 1 ? take(&b, 1) : take_uleb(&b);
    if (b.at)
        read_augmentation(&b, letters, c);
    c->instructions = b;
    return b.at != NULL;
}

/* --- the program that describes a function ------------------------------------------------------------------------ */

#define REMEMBERED 4u

struct machine {
    struct cfi_row *row, initial, remembered[REMEMBERED];
    unsigned depth;
    uint64_t address; /* that the row is for, from here on */
    const struct cie *cie;
};

static void set_place(struct machine *m, uint64_t number, enum cfi_where where, int64_t offset)
{
    if (number < ARCH_DWARF_REGISTERS)
        m->row->place[number] = (struct cfi_place){ .where = where, .offset = (int32_t)offset };
}

static void set_expression(struct machine *m, uint64_t number, enum cfi_where where, struct bytes expression)
{
    if (number < ARCH_DWARF_REGISTERS)
        m->row->place[number] = (struct cfi_place){ .where = where, .expression = expression };
}

static void restore_place(struct machine *m, uint64_t number)
{
    if (number < ARCH_DWARF_REGISTERS)
        m->row->place[number] = m->initial.place[number];
}

static void remember(struct machine *m)
{
    if (m->depth < REMEMBERED)
        m->remembered[m->depth] = *m->row;
    m->depth++;
}

static void recall(struct machine *m)
{
    if (m->depth > 0 && --m->depth < REMEMBERED)
        *m->row = m->remembered[m->depth];
}

/* Instructions with an operand in their low six bits. Returns false for the others. */
static bool run_packed(struct machine *m, struct bytes *b, uint8_t op)
{
    uint64_t operand = op & 0x3f;
    switch (op >> 6) {
    case 1: /* DW_CFA_advance_loc */
        m->address += operand * m->cie->code_align;
        return true;
    case 2: /* DW_CFA_offset */
        set_place(m, operand, CFI_SAVED, (int64_t)take_uleb(b) * m->cie->data_align);
        return true;
    case 3: /* DW_CFA_restore */
        restore_place(m, operand);
        return true;
    default:
        return false;
    }
}

static void run_advance(struct machine *m, struct bytes *b, uint8_t op)
{
    const unsigned size = op == 0x02 ? 1 : op == 0x03 ? 2 : 4;
    if (op == 0x01) /* DW_CFA_set_loc */
        m->address = take_pointer(b, m->cie->encoding, 0);
    else
        m->address += take(b, size) * m->cie->code_align;
}

static void run_cfa(struct machine *m, struct bytes *b, uint8_t op)
{
    const int64_t align = m->cie->data_align;
    if (op == 0x0f) { /* DW_CFA_def_cfa_expression */
        m->row->base = -1;
        m->row->expression = take_block(b);
        return;
    }
    if (op == 0x0c || op == 0x12 || op == 0x0d) /* DW_CFA_def_cfa, _sf, _register */
        m->row->base = (int32_t)take_uleb(b);
    if (op == 0x0c || op == 0x0e) /* DW_CFA_def_cfa, _offset */
        m->row->offset = (int64_t)take_uleb(b);
    if (op == 0x12 || op == 0x13) /* the _sf forms */
        m->row->offset = take_sleb(b) * align;
}

static void run_register(struct machine *m, struct bytes *b, uint8_t op)
{
    const int64_t align = m->cie->data_align;
    uint64_t number = take_uleb(b);
    switch (op) {
    case 0x05: /* DW_CFA_offset_extended */
        set_place(m, number, CFI_SAVED, (int64_t)take_uleb(b) * align);
        break;
    case 0x11: /* DW_CFA_offset_extended_sf */
        set_place(m, number, CFI_SAVED, take_sleb(b) * align);
        break;
    case 0x2f: /* DW_CFA_GNU_negative_offset_extended */
        set_place(m, number, CFI_SAVED, -((int64_t)take_uleb(b) * align));
        break;
    case 0x06: /* DW_CFA_restore_extended */
        restore_place(m, number);
        break;
    case 0x07: /* DW_CFA_undefined */
        set_place(m, number, CFI_UNDEFINED, 0);
        break;
    case 0x08: /* DW_CFA_same_value */
        set_place(m, number, CFI_SAME, 0);
        break;
    case 0x09: /* DW_CFA_register */
        set_place(m, number, CFI_IN_REGISTER, (int64_t)take_uleb(b));
        break;
    case 0x10: /* DW_CFA_expression */
        set_expression(m, number, CFI_SAVED_BY, take_block(b));
        break;
    case 0x16: /* DW_CFA_val_expression */
        set_expression(m, number, CFI_VALUE_BY, take_block(b));
        break;
    case 0x14: /* DW_CFA_val_offset */
        set_place(m, number, CFI_VALUE, (int64_t)take_uleb(b) * align);
        break;
    default: /* DW_CFA_val_offset_sf */
        set_place(m, number, CFI_VALUE, take_sleb(b) * align);
        break;
    }
}

static void run_one(struct machine *m, struct bytes *b)
{
    uint8_t op = (uint8_t)take(b, 1);
    if (run_packed(m, b, op) || op == 0x00) /* DW_CFA_nop */
        return;
    if (op <= 0x04)
        run_advance(m, b, op);
    else if (op == 0x0a)
        remember(m);
    else if (op == 0x0b)
        recall(m);
    else if ((op >= 0x0c && op <= 0x0f) || op == 0x12 || op == 0x13)
        run_cfa(m, b, op);
    else if (op == 0x2e) /* DW_CFA_GNU_args_size */
        take_uleb(b);
    else if (op <= 0x16 || op == 0x2f)
        run_register(m, b, op);
    else
        b->at = NULL; /* unknown: what follows cannot be trusted */
}

/* Runs instructions until the next would be for code behind `address`. False if they make no sense. */
static bool run(struct machine *m, struct bytes b, uint64_t address)
{
    while (b.at && b.at < b.end && m->address <= address)
        run_one(m, &b);
    return b.at != NULL;
}

/* --- finding the entry ------------------------------------------------------------------------------------------- */

static enum cfi_kind interpret(const uint8_t *fde, uint64_t address, struct cfi_row *row)
{
    struct bytes b = open_entry(fde);
    const uint8_t *origin = b.at;
    struct cie cie;
    uint64_t distance = take(&b, 4);
    if (!b.at || distance == 0 || !read_cie(origin - distance, &cie))
        return CFI_NONE;
    uint64_t start = take_pointer(&b, cie.encoding, 0), length = take_number(&b, cie.encoding & 0x0f);
    if (cie.augmented)
        skip(&b, take_uleb(&b));
    if (!b.at || address - start >= length)
        return CFI_NONE;
    struct machine m;
    m.row = row;
    m.cie = &cie;
    m.depth = 0;
    m.address = 0;
    *row = (struct cfi_row){ .base = -1, .signal = cie.signal };
    if (!run(&m, cie.instructions, UINT64_MAX))
        return CFI_UNSUPPORTED;
    m.initial = *row;
    m.address = start;
    return run(&m, b, address) ? CFI_STACK : CFI_UNSUPPORTED;
}

/* The search table that linkers write: pairs of (start of function, its entry), sorted, relative to the header. */
struct pair {
    int32_t start, entry;
};

enum cfi_kind cfi_row_find(const void *header, uint64_t address, struct cfi_row *row)
{
    struct bytes b = { header, (const uint8_t *)header + 64 };
    const uint64_t base = (uintptr_t)header;
    uint64_t version = take(&b, 1);
    uint8_t frame = (uint8_t)take(&b, 1), number = (uint8_t)take(&b, 1), table = (uint8_t)take(&b, 1);
    if (version != 1 || table != (ENC_DATAREL | ENC_S4) || number == ENC_OMIT)
        return CFI_NONE;
    take_pointer(&b, frame, base);
    uint64_t count = take_pointer(&b, number, base), low = 0;
    const struct pair *pair = (const void *)b.at;
    for (uint64_t high = pair ? count : 0; low < high;) {
        uint64_t middle = low + (high - low) / 2;
        if (base + (uint64_t)(int64_t)pair[middle].start <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low ? interpret((const uint8_t *)base + pair[low - 1].entry, address, row) : CFI_NONE;
}
