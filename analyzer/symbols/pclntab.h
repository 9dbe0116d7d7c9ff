/*
 * pclntab.h: the functions of a Go program as its own runtime finds them, which needs them even where the symbol table is
 * stripped. Inside symbols/. Of Go 1.18 and later (internal/abi/symtab.go, runtime/symtab.go).
 */
#ifndef SYMBOLS_PCLNTAB_H
#define SYMBOLS_PCLNTAB_H

#include <libelf.h>
#include <stdbool.h>
#include <stdint.h>

/* The table .gopclntab. The file must stay open. */
struct pclntab {
    const uint8_t *data;
    uint64_t size;
    uint64_t text; /* the address that functions are counted from */
    uint64_t names, table;
    uint32_t functions;
};

/* False if the file has no such table, or one that is not understood. */
bool pclntab_open(struct pclntab *t, Elf *elf);

/* The function with this index, below t->functions: its addresses, and its name, which belongs to the file. NULL: damaged. */
const char *pclntab_function(const struct pclntab *t, uint32_t index, uint64_t *start, uint64_t *end);

#endif
