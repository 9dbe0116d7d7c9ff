/* inside.h: what the files of symbols/ know of the table of names. */
#ifndef SYMBOLS_INSIDE_H
#define SYMBOLS_INSIDE_H

#include <htslib/khash.h>

#include "base/intern.h"
#include "symbols/elf.h"
#include "symbols/symbols.h"

struct module {
    char *key;              /* "BUILD-ID PATH" */
    const char *path;       /* the part of the key behind the blank */
    struct elf_module *elf; /* NULL: no names */
};

/* What was found at an address of a module. */
struct place {
    struct symbol_frame *frame;
    uint32_t count, module;
    bool exact, signal, counted;
};

KHASH_MAP_INIT_STR(modules, uint32_t)
KHASH_MAP_INIT_INT64(places, struct place)

struct symbols {
    struct intern *text;
    khash_t(modules) * module_index;
    struct module *module;
    uint32_t modules, module_room;
    khash_t(places) * places;
    uint64_t asked, named;     /* places that a trace asked for */
    const struct trace *trace; /* whose modules have these numbers: */
    uint32_t *number;          /* by the module's number in the trace; 0: not looked up yet, else number + 1 */
    uint32_t numbers;
};

/* The number of the module with this key, made if it is new; `m` (or NULL) says where its file is. */
uint32_t symbols_add_module(struct symbols *s, const char *key, const struct trace_module *m);
const char *symbols_keep(struct symbols *s, const char *text); /* NULL stays NULL */
void symbols_put(struct symbols *s, uint64_t offset, const struct place *p);

#endif
