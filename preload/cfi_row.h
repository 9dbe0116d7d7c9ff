/* cfi_row.h: one row of a module's call frame information: where a frame begins and its caller's registers are. Inside
 * cfi*. */
#ifndef PRELOAD_CFI_ROW_H
#define PRELOAD_CFI_ROW_H

#include "cfi.h"
#include "cfi_bytes.h"

enum cfi_where {
    CFI_SAME,        /* unchanged */
    CFI_SAVED,       /* in memory, at the frame + offset */
    CFI_VALUE,       /* is the frame + offset */
    CFI_IN_REGISTER, /* in register `offset` */
    CFI_SAVED_BY,    /* in memory, at the address that the expression gives */
    CFI_VALUE_BY,    /* is what the expression gives */
    CFI_UNDEFINED,
};

struct cfi_place {
    enum cfi_where where;
    int32_t offset;
    struct bytes expression;
};

struct cfi_row {
    int32_t base; /* the frame is at this register + offset; -1: what the expression gives */
    int64_t offset;
    struct bytes expression;
    struct cfi_place place[ARCH_DWARF_REGISTERS];
    bool signal; /* the kernel made this frame */
};

/* The row for an address, or why there is none: CFI_NONE, CFI_UNSUPPORTED; CFI_STACK stands for success. */
enum cfi_kind cfi_row_find(const void *header, uint64_t address, struct cfi_row *row);

#endif
