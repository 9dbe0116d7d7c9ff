/* cfi_step.c: a step to the caller by everything the tables say. See cfi.h. */
#include "cfi.h"

#include "cfi_row.h"
#include "sys.h"

/* --- expressions (DWARF 5, section 2.5) --------------------------------------------------------------------------- */

#define DEPTH 16u

/* What an expression computes with. Whatever goes wrong sets `bad`. */
struct evaluation {
    const struct cfi_registers *registers;
    bool (*read)(void *context, uint64_t address, uint64_t *word);
    void *context;
    uint64_t stack[DEPTH];
    unsigned depth;
    bool bad;
};

static void push(struct evaluation *e, uint64_t value)
{
    if (e->depth < DEPTH)
        e->stack[e->depth++] = value;
    else
        e->bad = true;
}

static uint64_t pop(struct evaluation *e)
{
    if (e->depth > 0)
        return e->stack[--e->depth];
    e->bad = true;
    return 0;
}

static uint64_t register_value(struct evaluation *e, uint64_t number)
{
    if (number < ARCH_DWARF_REGISTERS)
        return e->registers->value[number];
    e->bad = true;
    return 0;
}

/* DW_OP_const1u to const8s, constu, consts. False if it is none of them. */
static bool push_constant(struct evaluation *e, struct bytes *b, uint8_t op)
{
    switch (op) {
    case 0x08:
        push(e, take(b, 1));
        return true;
    case 0x09:
        push(e, (uint64_t)(int8_t)take(b, 1));
        return true;
    case 0x0a:
        push(e, take(b, 2));
        return true;
    case 0x0b:
        push(e, (uint64_t)(int16_t)take(b, 2));
        return true;
    case 0x0c:
        push(e, take(b, 4));
        return true;
    case 0x0d:
        push(e, (uint64_t)(int32_t)take(b, 4));
        return true;
    case 0x0e:
    case 0x0f:
        push(e, take(b, 8));
        return true;
    case 0x10:
        push(e, take_uleb(b));
        return true;
    case 0x11:
        push(e, (uint64_t)take_sleb(b));
        return true;
    default:
        return false;
    }
}

/* Operations on the two topmost values. False if it is none of them. */
static bool combine(struct evaluation *e, uint8_t op)
{
    if (!(op == 0x1a || op == 0x1c || op == 0x1e || (op >= 0x21 && op <= 0x27 && op != 0x23) ||
          (op >= 0x29 && op <= 0x2e)))
        return false;
    uint64_t b = pop(e), a = pop(e);
    const int64_t sa = (int64_t)a, sb = (int64_t)b;
    switch (op) {
    case 0x1a:
        push(e, a & b);
        break;
    case 0x1c:
        push(e, a - b);
        break;
    case 0x1e:
        push(e, a * b);
        break;
    case 0x21:
        push(e, a | b);
        break;
    case 0x22:
        push(e, a + b);
        break;
    case 0x24:
        push(e, b < 64 ? a << b : 0);
        break;
    case 0x25:
        push(e, b < 64 ? a >> b : 0);
        break;
    case 0x26:
        push(e, (uint64_t)(sa >> (b < 64 ? b : 63)));
        break;
    case 0x27:
        push(e, a ^ b);
        break;
    case 0x29:
        push(e, sa == sb);
        break;
    case 0x2a:
        push(e, sa >= sb);
        break;
    case 0x2b:
        push(e, sa > sb);
        break;
    case 0x2c:
        push(e, sa <= sb);
        break;
    case 0x2d:
        push(e, sa < sb);
        break;
    default:
        push(e, sa != sb);
        break;
    }
    return true;
}

static void evaluate_one(struct evaluation *e, struct bytes *b)
{
    uint8_t op = (uint8_t)take(b, 1);
    uint64_t word = 0;
    if (push_constant(e, b, op) || combine(e, op))
        return;
    if (op >= 0x30 && op <= 0x4f) { /* DW_OP_lit0 to lit31 */
        push(e, op - 0x30u);
    } else if (op >= 0x70 && op <= 0x8f) { /* DW_OP_breg0 to breg31 */
        uint64_t base = register_value(e, op - 0x70u);
        push(e, base + (uint64_t)take_sleb(b));
    } else if (op == 0x06) { /* DW_OP_deref */
        e->bad |= !e->read(e->context, pop(e), &word);
        push(e, word);
    } else if (op == 0x23) { /* DW_OP_plus_uconst */
        word = pop(e);
        push(e, word + take_uleb(b));
    } else if (op == 0x12) { /* DW_OP_dup */
        word = pop(e);
        push(e, word);
        push(e, word);
    } else if (op == 0x13) { /* DW_OP_drop */
        pop(e);
    } else if (op != 0x96) { /* DW_OP_nop */
        e->bad = true;
    }
}

static uint64_t evaluate(struct evaluation *e, struct bytes expression)
{
    while (expression.at && expression.at < expression.end && !e->bad)
        evaluate_one(e, &expression);
    e->bad |= !expression.at;
    return pop(e);
}

/* --- the step ----------------------------------------------------------------------------------------------------- */

static uint64_t find_frame(struct evaluation *e, const struct cfi_row *row)
{
    return row->base < 0 ? evaluate(e, row->expression)
                         : register_value(e, (uint64_t)row->base) + (uint64_t)row->offset;
}

static uint64_t find_register(struct evaluation *e, const struct cfi_place *p, uint64_t frame, uint64_t same)
{
    uint64_t value = 0, address = frame + (uint64_t)(int64_t)p->offset;
    switch (p->where) {
    case CFI_SAVED:
        e->bad |= !e->read(e->context, address, &value);
        return value;
    case CFI_VALUE:
        return address;
    case CFI_IN_REGISTER:
        return register_value(e, (uint64_t)p->offset);
    case CFI_SAVED_BY:
        push(e, frame);
        e->bad |= !e->read(e->context, evaluate(e, p->expression), &value);
        e->depth = 0;
        return value;
    case CFI_VALUE_BY:
        push(e, frame);
        value = evaluate(e, p->expression);
        e->depth = 0;
        return value;
    default:
        return same;
    }
}

enum cfi_kind cfi_step(const void *header, struct cfi_registers *r,
                       bool (*read)(void *context, uint64_t address, uint64_t *word), void *context)
{
    struct cfi_row row;
    struct cfi_registers caller = { .exact = false };
    struct evaluation e = { .registers = r, .read = read, .context = context };
    uint64_t pc = r->value[ARCH_DWARF_RA];
    enum cfi_kind found = cfi_row_find(header, r->exact ? pc : pc - 1, &row);
    if (found != CFI_STACK)
        return found;
    if (row.signal)
        return CFI_SIGNAL;
    if (row.place[ARCH_DWARF_RA].where == CFI_UNDEFINED)
        return CFI_END;
    uint64_t frame = find_frame(&e, &row);
    e.depth = 0;
    bool bad = e.bad;
    for (unsigned i = 0; i < ARCH_DWARF_REGISTERS; i++) {
        e.bad = false;
        caller.value[i] = find_register(&e, &row.place[i], frame, r->value[i]);
        bad |= e.bad && (i == ARCH_DWARF_RA || i == ARCH_DWARF_SP); /* others may never be needed */
    }
    if (row.place[ARCH_DWARF_SP].where == CFI_SAME)
        caller.value[ARCH_DWARF_SP] = frame; /* by definition, unless said otherwise */
    if (bad)
        return CFI_UNSUPPORTED;
    *r = caller;
    return CFI_STACK;
}
