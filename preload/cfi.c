/* cfi.c: see cfi.h. */
#include "cfi.h"

#include "sys.h"

/* Registers by their DWARF numbers (System V ABI, AMD64 supplement, figure 3.36). */
enum { REG_FP = ARCH_DWARF_FP, REG_SP = ARCH_DWARF_SP, REG_RA = ARCH_DWARF_RA };

/* Pointer encodings of .eh_frame (LSB Core 5.0, 10.5.1). */
enum {
    ENC_ULEB = 0x01,
    ENC_U2 = 0x02,
    ENC_U4 = 0x03,
    ENC_U8 = 0x04,
    ENC_SLEB = 0x09,
    ENC_S2 = 0x0a,
    ENC_S4 = 0x0b,
    ENC_S8 = 0x0c,
    ENC_PCREL = 0x10,
    ENC_DATAREL = 0x30,
    ENC_INDIRECT = 0x80,
    ENC_OMIT = 0xff,
};

/* --- reading ----------------------------------------------------------------------------------------------------- */

/* Bytes between at and end; running over the end sets at to NULL, and everything read then is 0. */
struct bytes {
    const uint8_t *at, *end;
};

static uint64_t take(struct bytes *b, unsigned size)
{
    uint64_t value = 0;
    if (!b->at || (uint64_t)(b->end - b->at) < size) {
        b->at = NULL;
        return 0;
    }
    __builtin_memcpy(&value, b->at, size); /* little-endian */
    b->at += size;
    return value;
}

static void skip(struct bytes *b, uint64_t size)
{
    b->at = b->at && (uint64_t)(b->end - b->at) >= size ? b->at + size : NULL;
}

static uint64_t take_uleb(struct bytes *b)
{
    uint64_t value = 0, byte = 0x80;
    for (unsigned shift = 0; byte & 0x80 && shift < 64; shift += 7) {
        byte = take(b, 1);
        value |= (byte & 0x7f) << shift;
    }
    return value;
}

static int64_t take_sleb(struct bytes *b)
{
    uint64_t value = 0, byte = 0x80;
    unsigned shift = 0;
    for (; byte & 0x80 && shift < 64; shift += 7) {
        byte = take(b, 1);
        value |= (byte & 0x7f) << shift;
    }
    if (byte & 0x40 && shift < 64)
        value |= ~0ull << shift;
    return (int64_t)value;
}

static uint64_t take_number(struct bytes *b, uint8_t encoding)
{
    switch (encoding & 0x0f) {
    case 0:
    case ENC_U8:
    case ENC_S8:
        return take(b, 8);
    case ENC_ULEB:
        return take_uleb(b);
    case ENC_SLEB:
        return (uint64_t)take_sleb(b);
    case ENC_U2:
        return take(b, 2);
    case ENC_S2:
        return (uint64_t)(int16_t)take(b, 2);
    case ENC_U4:
        return take(b, 4);
    case ENC_S4:
        return (uint64_t)(int32_t)take(b, 4);
    default:
        b->at = NULL;
        return 0;
    }
}

/* `data` is what the encoding "datarel" counts from. */
static uint64_t take_pointer(struct bytes *b, uint8_t encoding, uint64_t data)
{
    uint64_t base = (encoding & 0x70) == ENC_PCREL ? (uintptr_t)b->at : (encoding & 0x70) == ENC_DATAREL ? data : 0;
    if (encoding == ENC_OMIT)
        return 0;
    return base + take_number(b, encoding);
}

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

/* Where a register of the caller is. */
enum place { PLACE_SAME, PLACE_SAVED, PLACE_UNDEFINED, PLACE_ODD };

struct row {
    enum cfi_kind kind;
    int64_t cfa, add;
    struct {
        enum place place;
        int64_t offset;
    } fp, ra;
};

#define REMEMBERED 8u

struct machine {
    struct row row, initial, remembered[REMEMBERED];
    unsigned depth;
    uint64_t address; /* that the row is for, from here on */
    const struct cie *cie;
};

static void set_register(struct machine *m, uint64_t number, enum place place, int64_t offset)
{
    if (number == REG_FP) {
        m->row.fp.place = place;
        m->row.fp.offset = offset;
    } else if (number == REG_RA) {
        m->row.ra.place = place;
        m->row.ra.offset = offset;
    }
}

static void restore_register(struct machine *m, uint64_t number)
{
    if (number == REG_FP)
        m->row.fp = m->initial.fp;
    else if (number == REG_RA)
        m->row.ra = m->initial.ra;
}

static void set_cfa_register(struct machine *m, uint64_t number)
{
    m->row.kind = number == REG_SP ? CFI_STACK : number == REG_FP ? CFI_FRAME : CFI_UNSUPPORTED;
}

/* Of all expressions compilers use one: base register + offset, dereferenced, perhaps plus a constant. */
static void set_cfa_expression(struct machine *m, struct bytes e)
{
    enum { OP_DEREF = 0x06, OP_PLUS_UCONST = 0x23, OP_BREG0 = 0x70 };
    uint64_t base = take(&e, 1) - OP_BREG0;
    int64_t offset = take_sleb(&e);
    bool deref = take(&e, 1) == OP_DEREF;
    int64_t add = 0;
    if (e.at && e.at < e.end && take(&e, 1) == OP_PLUS_UCONST)
        add = (int64_t)take_uleb(&e);
    if (!deref || !e.at || e.at != e.end || (base != REG_SP && base != REG_FP)) {
        m->row.kind = CFI_UNSUPPORTED;
        return;
    }
    m->row.kind = base == REG_SP ? CFI_DEREF_STACK : CFI_DEREF_FRAME;
    m->row.cfa = offset;
    m->row.add = add;
}

static struct bytes take_block(struct bytes *b)
{
    uint64_t size = take_uleb(b);
    struct bytes block = { b->at, NULL };
    skip(b, size);
    block.end = b->at;
    return block;
}

static void remember(struct machine *m)
{
    if (m->depth < REMEMBERED)
        m->remembered[m->depth] = m->row;
    m->depth++;
}

static void recall(struct machine *m)
{
    if (m->depth > 0 && --m->depth < REMEMBERED)
        m->row = m->remembered[m->depth];
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
        set_register(m, operand, PLACE_SAVED, (int64_t)take_uleb(b) * m->cie->data_align);
        return true;
    case 3: /* DW_CFA_restore */
        restore_register(m, operand);
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
    if (op == 0x0c || op == 0x12 || op == 0x0d) /* DW_CFA_def_cfa, _sf, _register */
        set_cfa_register(m, take_uleb(b));
    if (op == 0x0c || op == 0x0e) /* DW_CFA_def_cfa, _offset */
        m->row.cfa = (int64_t)take_uleb(b);
    if (op == 0x12 || op == 0x13) /* the _sf forms */
        m->row.cfa = take_sleb(b) * align;
}

static void run_register(struct machine *m, struct bytes *b, uint8_t op)
{
    const int64_t align = m->cie->data_align;
    uint64_t number = take_uleb(b);
    switch (op) {
    case 0x05: /* DW_CFA_offset_extended */
        set_register(m, number, PLACE_SAVED, (int64_t)take_uleb(b) * align);
        break;
    case 0x11: /* DW_CFA_offset_extended_sf */
        set_register(m, number, PLACE_SAVED, take_sleb(b) * align);
        break;
    case 0x2f: /* DW_CFA_GNU_negative_offset_extended */
        set_register(m, number, PLACE_SAVED, -((int64_t)take_uleb(b) * align));
        break;
    case 0x06: /* DW_CFA_restore_extended */
        restore_register(m, number);
        break;
    case 0x07: /* DW_CFA_undefined */
        set_register(m, number, PLACE_UNDEFINED, 0);
        break;
    case 0x08: /* DW_CFA_same_value */
        set_register(m, number, PLACE_SAME, 0);
        break;
    case 0x10: /* DW_CFA_expression */
    case 0x16: /* DW_CFA_val_expression */
        take_block(b);
        set_register(m, number, PLACE_ODD, 0);
        break;
    default: /* DW_CFA_register, DW_CFA_val_offset, DW_CFA_val_offset_sf */
        take_uleb(b);
        set_register(m, number, PLACE_ODD, 0);
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
    else if (op == 0x0f) /* DW_CFA_def_cfa_expression */
        set_cfa_expression(m, take_block(b));
    else if ((op >= 0x0c && op <= 0x0e) || op == 0x12 || op == 0x13)
        run_cfa(m, b, op);
    else if (op == 0x2e) /* DW_CFA_GNU_args_size */
        take_uleb(b);
    else if (op <= 0x16 || op == 0x2f)
        run_register(m, b, op);
    else
        b->at = NULL; /* unknown: what follows cannot be trusted */
}

/* Runs instructions until the row for `address` is complete. False if they make no sense. */
static bool run(struct machine *m, struct bytes b, uint64_t address)
{
    struct row row = m->row;
    while (b.at && b.at < b.end) {
        run_one(m, &b);
        if (m->address > address)
            break;
        row = m->row;
    }
    m->row = row;
    return b.at != NULL;
}

static struct cfi_rule pack(const struct row *row, bool signal)
{
    struct cfi_rule r = { .kind = row->kind, .cfa = row->cfa, .add = row->add };
    if (signal)
        return (struct cfi_rule){ .kind = CFI_SIGNAL };
    if (row->ra.place == PLACE_UNDEFINED)
        return (struct cfi_rule){ .kind = CFI_END };
    r.saves_fp = row->fp.place == PLACE_SAVED;
    r.fp = r.saves_fp ? row->fp.offset / 8 : 0;
    if (row->ra.place != PLACE_SAVED || row->ra.offset != -8 || row->fp.place == PLACE_ODD || r.cfa != row->cfa ||
        r.add != row->add || (r.saves_fp && r.fp * 8 != row->fp.offset) || row->kind == CFI_UNKNOWN)
        return (struct cfi_rule){ .kind = CFI_UNSUPPORTED };
    return r;
}

/* --- finding the entry ------------------------------------------------------------------------------------------- */

static struct cfi_rule interpret(const uint8_t *fde, uint64_t address)
{
    const struct cfi_rule none = { .kind = CFI_NONE };
    struct bytes b = open_entry(fde);
    const uint8_t *origin = b.at;
    struct cie cie;
    uint64_t distance = take(&b, 4);
    if (!b.at || distance == 0 || !read_cie(origin - distance, &cie))
        return none;
    uint64_t start = take_pointer(&b, cie.encoding, 0), length = take_number(&b, cie.encoding & 0x0f);
    if (cie.augmented)
        skip(&b, take_uleb(&b));
    if (!b.at || address - start >= length)
        return none;
    struct machine m = { .cie = &cie };
    if (!run(&m, cie.instructions, UINT64_MAX))
        return (struct cfi_rule){ .kind = CFI_UNSUPPORTED };
    m.initial = m.row;
    m.address = start;
    if (!run(&m, b, address))
        return (struct cfi_rule){ .kind = CFI_UNSUPPORTED };
    return pack(&m.row, cie.signal);
}

/* The search table that linkers write: pairs of (start of function, its entry), sorted, relative to the header. */
struct pair {
    int32_t start, entry;
};

struct cfi_rule cfi_find(const void *header, uint64_t address)
{
    const struct cfi_rule none = { .kind = CFI_NONE };
    struct bytes b = { header, (const uint8_t *)header + 64 };
    const uint64_t base = (uintptr_t)header;
    uint64_t version = take(&b, 1);
    uint8_t frame = (uint8_t)take(&b, 1), number = (uint8_t)take(&b, 1), table = (uint8_t)take(&b, 1);
    if (version != 1 || table != (ENC_DATAREL | ENC_S4) || number == ENC_OMIT)
        return none;
    take_pointer(&b, frame, base);
    uint64_t count = take_pointer(&b, number, base), low = 0;
    const struct pair *pair = (const void *)b.at;
    for (uint64_t high = count; low < high;) {
        uint64_t middle = low + (high - low) / 2;
        if (base + (uint64_t)(int64_t)pair[middle].start <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low ? interpret((const uint8_t *)base + pair[low - 1].entry, address) : none;
}
