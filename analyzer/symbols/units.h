/*
 * units.h: the compilation unit that holds an address, where .debug_aranges does not say it: clang writes none, and
 * libdw looks nowhere else. Inside symbols/.
 */
#ifndef SYMBOLS_UNITS_H
#define SYMBOLS_UNITS_H

#include <elfutils/libdwfl.h>

struct units;

/* The units of a file; read when they are first asked for. */
struct units *units_new(Dwfl_Module *module);
void units_free(struct units *u);

/* NULL: none says that it holds the address. `bias` is set as by dwfl_module_addrdie. */
Dwarf_Die *units_at(struct units *u, Dwarf_Addr address, Dwarf_Addr *bias);

#endif
